package signup

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/provider/claims"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/letter"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// maxName is the longest name, in characters.
const maxName = 100

// entry is a form that was filled in.
type entry struct {
	email, key, name, password string
	accepted                   bool
}

// fault is what is wrong with a form.
type fault struct {
	status int
	field  string
	text   templates.Text
}

// page is the form for a visitor.
func (s *SignUp) page(r *http.Request, v *visit) templates.SignUp {
	page := templates.SignUp{
		Invite: v.token, AskName: s.Name != "off", NeedName: s.Name == "required", Terms: s.TermsVersion != "", Hint: templates.PasswordHint(s.Passwords.MinLength()),
	}
	if v.flow != nil {
		page.Interaction = v.flow.ID
	}
	if v.invite != nil {
		page.FixedEmail = v.invite.Email
	}
	if c := v.client; c != nil {
		web.Annotate(r, "client", c.ID)
		page.Client = &templates.ClientView{ID: c.ID, Name: c.Name, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI, ClientURI: c.ClientURI, Host: interaction.Target(v.flow.Params.Get("redirect_uri"))}
		if c.LogoURI != "" {
			page.Client.LogoURL = web.LocalURL(r, "/client-logo/"+url.PathEscape(c.ID), nil)
		}
	}
	return page
}

// hinted is the address that the client believes the person to have.
func hinted(v *visit) (address, key string, err error) {
	if v.flow == nil {
		return "", "", nil
	}
	return credential.Address(v.flow.Params.Get("login_hint"))
}

// read takes what was filled in and judges it. Nothing that it finds depends on who has an account.
func (s *SignUp) read(r *http.Request, v *visit) (entry, *fault) {
	e := entry{email: r.PostFormValue("email"), name: strings.TrimSpace(r.PostFormValue("name")), password: r.PostFormValue("password"), accepted: r.PostFormValue("terms") == "1"}
	if v.invite != nil && v.invite.EmailKey != "" {
		e.email = v.invite.Email
	}
	typed := e.email
	var err error
	if e.email, e.key, err = credential.Address(typed); err != nil {
		e.email = typed
		return e, &fault{http.StatusBadRequest, "email", templates.Say("signup.bad_email")}
	}
	if s.Name == "off" {
		e.name = ""
	}
	if e.name == "" && s.Name == "required" || !nameable(e.name) {
		return e, &fault{http.StatusUnprocessableEntity, "name", templates.Say("signup.bad_name")}
	}
	if s.TermsVersion != "" && !e.accepted {
		return e, &fault{http.StatusUnprocessableEntity, "terms", templates.Say("signup.need_terms")}
	}
	var weak *credential.PolicyError
	switch err := s.Passwords.Check(e.password, e.email, e.name); {
	case errors.As(err, &weak):
		return e, &fault{http.StatusUnprocessableEntity, "password", templates.PasswordFault(string(weak.Reason), weak.Length, weak.Least)}
	case err != nil:
		return e, &fault{http.StatusUnprocessableEntity, "password", templates.Say("password.text")}
	}
	return e, nil
}

// nameable tells whether a text can be somebody's name: what could be it on the page of the profile, and shorter.
func nameable(name string) bool {
	return utf8.RuneCountInString(name) <= maxName && (name == "" || claims.Check("name", name) == nil)
}

// submit serves POST: it asks for an account. Who was invited by mail has proven the address and gets it at once; everybody else gets a mail and always the same answer.
func (s *SignUp) submit(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(r, r.PostFormValue("interaction"), r.PostFormValue("invite"))
	if err != nil {
		return s.answer(w, r, err)
	}
	page := s.page(r, v)
	e, wrong := s.read(r, v)
	page.Email, page.Name, page.Accepted = e.email, e.name, e.accepted
	if wrong != nil {
		page.Wrong, page.Error = wrong.field, wrong.text
		return web.Render(w, r, wrong.status, page)
	}
	allowed, wait, err := s.Limiter.Take(r.Context(), "signup\nip\n"+web.PeerKey(r), s.PerIP)
	if err != nil {
		return fmt.Errorf("limit sign-ups: %w", err)
	}
	if !allowed {
		page.Error = waits(w, "signup.wait", wait)
		return web.Render(w, r, http.StatusTooManyRequests, page)
	}
	encoded, err := s.Passwords.Hash(r.Context(), e.password)
	if errors.Is(err, credential.ErrBusy) {
		return web.Unavailable(err)
	}
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	if v.fixed() {
		return s.createInvited(w, r, v, e, encoded)
	}
	return s.write(w, r, v, e, encoded)
}

// waits sets how long to wait and says it.
func waits(w http.ResponseWriter, text string, wait time.Duration) templates.Text {
	seconds := int(math.Ceil(max(wait, time.Second).Seconds()))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return templates.Say(text, "Time", time.Duration(seconds)*time.Second)
}

// write mails the link that makes the account, or, to whoever has one with the address, that it is there. The answer is the same, and so is the work (security row 136).
func (s *SignUp) write(w http.ResponseWriter, r *http.Request, v *visit, e entry, encoded string) error {
	owner, _, err := s.Store.UserByLogin(r.Context(), e.key)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("find user: %w", err)
	}
	l := letter.Letter{To: e.key, Counted: e.key, Lang: web.Lang(r), Ticket: storage.Ticket{Kind: storage.TicketSignUp}, Mail: templates.Mail{Kind: templates.MailSignUp}}
	waiting := s.pending(w, r, v, e, encoded)
	switch {
	case err != nil:
		l.Ticket = waiting
	case owner.Disabled:
		l.To = ""
	default:
		l.To, l.Link, l.Mail = owner.EmailKey, s.Issuer+"/account", templates.Mail{Kind: templates.MailExists}
		if owner.Locale != "" {
			l.Lang = owner.Locale
		}
	}
	if err := s.Post.Send(r, l); err != nil {
		return err
	}
	web.Annotate(r, "outcome", "sign-up asked for")
	return web.Render(w, r, http.StatusOK, templates.Told{
		Mail: true, Heading: templates.Say("signup.sent_title"), Message: templates.Say("signup.sent_text", "Address", e.email, "Life", s.Tickets.Life(storage.TicketSignUp)),
	})
}

// What a ticket of a sign-up holds.
const (
	dataName     = "name"
	dataPassword = "password" // encoded
	dataLocale   = "locale"
	dataTerms    = "terms"
	dataAccepted = "accepted"
	dataInvite   = "invite" // signature
)

// pending is an account that waits for its address to be proven.
func (s *SignUp) pending(w http.ResponseWriter, r *http.Request, v *visit, e entry, encoded string) storage.Ticket {
	data := letter.Begun(w, r, map[string]string{dataName: e.name, dataPassword: encoded, dataLocale: web.Lang(r)}, v.flow)
	if s.TermsVersion != "" {
		data[dataTerms], data[dataAccepted] = s.TermsVersion, s.Now().UTC().Format(time.RFC3339)
	}
	if v.invite != nil {
		data[dataInvite] = v.invite.Signature
	}
	return storage.Ticket{Kind: storage.TicketSignUp, Email: e.email, EmailKey: e.key, Data: data}
}
