package signup

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/client"
	"gatehouse/provider/credential"
	"gatehouse/provider/letter"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// guesses bound the passwords that are tried at a link: whoever has only the mailbox must not find out what a stranger chose.
var guesses = ratelimit.Limit{Burst: 5, Every: time.Minute}

// ask serves GET of the link: it shows the button and changes nothing (security row 151).
func (s *SignUp) ask(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	t, err := s.waiting(r, token)
	if t == nil {
		return s.gone(w, r, err)
	}
	return web.Render(w, r, http.StatusOK, templates.SignUpConfirm{Token: token, Email: t.Email, Ask: !letter.Here(r, t)})
}

// waiting returns the sign-up of a link, if it still may come to something; nil otherwise.
func (s *SignUp) waiting(r *http.Request, token string) (*storage.Ticket, error) {
	t, err := s.Tickets.Look(r.Context(), storage.TicketSignUp, token)
	if err != nil {
		return nil, err
	}
	c, err := s.find(r.Context(), letter.ClientOf(t))
	if err != nil {
		return nil, err
	}
	if c != nil {
		web.SetClient(r, c)
	}
	if err := allow(client.SignUp(c, s.Mode), t.Data[dataInvite] != ""); err != nil {
		return nil, err
	}
	return t, nil
}

func (s *SignUp) gone(w http.ResponseWriter, r *http.Request, err error) error {
	if !dead(err) {
		return err
	}
	return web.Render(w, r, http.StatusBadRequest, templates.Told{
		Bad: true, Heading: templates.Say("signup.dead_title"), Message: templates.Say("signup.dead"), Next: web.LocalURL(r, "/account", nil), Button: templates.Say("login.submit"),
	})
}

// confirm serves POST: it makes the account. In the browser that asked for it the person goes on signed in. In any other one the password has to be given: else whoever signs up with
// somebody's address would have the password to an account that its owner made by a click (security row 172); and nobody is signed in there.
func (s *SignUp) confirm(w http.ResponseWriter, r *http.Request) error {
	token := r.PostFormValue("token")
	t, err := s.waiting(r, token)
	if t == nil {
		return s.gone(w, r, err)
	}
	here := letter.Here(r, t)
	if !here {
		if wrong, status, err := s.wrong(w, r, t); err != nil || status != 0 {
			if err != nil {
				return err
			}
			return web.Render(w, r, status, templates.SignUpConfirm{Token: token, Email: t.Email, Ask: true, Error: wrong})
		}
	}
	user, err := s.admit(r, t)
	switch {
	case errors.Is(err, errDeadInvite):
		return s.answer(w, r, errDeadInvite)
	case errors.Is(err, storage.ErrExists):
		s.useUp(r, storage.TicketSignUp, t.Signature)
		return s.taken(w, r, t.Email)
	case err != nil:
		return err
	}
	s.useUp(r, storage.TicketSignUp, t.Signature)
	if !here {
		return web.Render(w, r, http.StatusOK, templates.Told{
			Heading: templates.Say("signup.done_title"), Message: templates.Say("signup.done", "Address", t.Email), Next: web.LocalURL(r, "/account", nil), Button: templates.Say("login.submit"),
		})
	}
	return letter.Enter(w, r, s.SignIn, t, signin.Proof{User: user, AMR: []string{"pwd"}, ACR: "1"})
}

// wrong tells whether the password that was given is not the one that was chosen: status is 0 if it is.
func (s *SignUp) wrong(w http.ResponseWriter, r *http.Request, t *storage.Ticket) (text templates.Text, status int, err error) {
	allowed, wait, err := s.Limiter.Take(r.Context(), "signup\nconfirm\n"+t.Signature, guesses)
	if err != nil {
		return text, 0, fmt.Errorf("limit passwords: %w", err)
	}
	if !allowed {
		return waits(w, "signup.wait_password", wait), http.StatusTooManyRequests, nil
	}
	ok, _, err := s.Passwords.Verify(r.Context(), t.Data[dataPassword], r.PostFormValue("password"))
	if errors.Is(err, credential.ErrBusy) {
		return text, 0, web.Unavailable(err)
	}
	if err != nil {
		return text, 0, fmt.Errorf("verify password: %w", err)
	}
	if !ok {
		return templates.Say("signup.wrong_password"), http.StatusUnauthorized, nil
	}
	return text, 0, nil
}

// admit makes the account of a sign-up. An invitation for one address is used up once the account is there, which is one under any race, because the address is: whatever fails before costs
// nobody the link. One that is for no address counts the accounts itself and has to be used up first.
func (s *SignUp) admit(r *http.Request, t *storage.Ticket) (*storage.User, error) {
	signature := t.Data[dataInvite]
	if signature == "" {
		return s.create(r, t)
	}
	invite, err := s.Store.Ticket(r.Context(), storage.TicketInvite, signature)
	bound := err == nil && invite.EmailKey != "" && invite.EmailKey == t.EmailKey
	if err == nil && !bound {
		_, err = s.Store.ConsumeTicket(r.Context(), storage.TicketInvite, signature)
	}
	if dead(err) {
		return nil, errDeadInvite
	}
	if err != nil {
		return nil, fmt.Errorf("use invitation: %w", err)
	}
	user, err := s.create(r, t)
	if err == nil && bound {
		s.useUp(r, storage.TicketInvite, signature)
	}
	return user, err
}

// useUp consumes a link once its account is there. If that fails the account stands: the link can make no second one, as the address is taken.
func (s *SignUp) useUp(r *http.Request, kind storage.TicketKind, signature string) {
	if _, err := s.Store.ConsumeTicket(r.Context(), kind, signature); err != nil && !dead(err) {
		web.Annotate(r, "outcome", "a link of a sign-up is not used up")
	}
}

// createInvited makes the account of somebody to whom the invitation was mailed: who has its link has the address.
func (s *SignUp) createInvited(w http.ResponseWriter, r *http.Request, v *visit, e entry, encoded string) error {
	t := s.pending(w, r, v, e, encoded)
	user, err := s.admit(r, &t)
	switch {
	case errors.Is(err, errDeadInvite):
		return s.answer(w, r, errDeadInvite)
	case errors.Is(err, storage.ErrExists):
		s.useUp(r, storage.TicketInvite, v.invite.Signature)
		return s.taken(w, r, e.email)
	case err != nil:
		return err
	}
	return letter.Enter(w, r, s.SignIn, &t, signin.Proof{User: user, AMR: []string{"pwd"}, ACR: "1"})
}

// create stores the user whose address is proven. Of any number of callers with one address one succeeds, the others get storage.ErrExists (security row 149).
func (s *SignUp) create(r *http.Request, t *storage.Ticket) (*storage.User, error) {
	user := &storage.User{Subject: newSubject(), Email: t.Email, EmailKey: t.EmailKey, EmailVerified: true, Locale: t.Data[dataLocale], Claims: map[string]any{}}
	if name := t.Data[dataName]; name != "" {
		user.Claims["name"] = name
	}
	if version := t.Data[dataTerms]; version != "" {
		accepted, err := time.Parse(time.RFC3339, t.Data[dataAccepted])
		if err != nil {
			return nil, fmt.Errorf("read when the terms were accepted: %w", err)
		}
		user.TermsVersion, user.TermsAccepted = version, accepted
	}
	if err := s.Store.CreateUser(r.Context(), user, t.Data[dataPassword]); err != nil {
		return nil, fmt.Errorf("create user: %w", err)
	}
	s.Activity.Note(r.Context(), letter.From(r), user, activity.Event{Kind: activity.AccountCreated, ClientID: letter.ClientOf(t)})
	if user.TermsVersion != "" {
		s.Activity.Note(r.Context(), letter.From(r), user, activity.Event{Kind: activity.TermsAccepted, ClientID: letter.ClientOf(t), Target: user.TermsVersion, Detail: user.TermsVersion})
	}
	return user, nil
}

// taken answers whoever proved an address that got an account in the meantime.
func (s *SignUp) taken(w http.ResponseWriter, r *http.Request, address string) error {
	return web.Render(w, r, http.StatusConflict, templates.Told{
		Bad: true, Heading: templates.Say("signup.taken_title"), Message: templates.Say("signup.taken", "Address", address), Next: web.LocalURL(r, "/account", nil), Button: templates.Say("login.submit"),
	})
}

// newSubject is 128 random bits: a name that nobody had before.
func newSubject() string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
