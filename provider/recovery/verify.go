package recovery

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/letter"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// startVerify serves POST: whoever is signed in wants to prove the address that the account has.
func (f *Recovery) startVerify(w http.ResponseWriter, r *http.Request) error {
	current, err := f.Sessions.Current(r)
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	if current == nil {
		return web.Redirect(w, r, web.LocalURL(r, "/account", nil))
	}
	user := current.User
	web.SetUserLang(r, user.Locale)
	if user.EmailKey == "" || user.EmailVerified {
		return web.Render(w, r, http.StatusOK, templates.Told{
			Heading: templates.Say("recovery.verified_title"), Message: templates.Say("recovery.verify_done"), Next: web.LocalURL(r, "/account", nil), Button: templates.Say("recovery.to_account"),
		})
	}
	l := letter.Letter{Lang: web.Lang(r), Ticket: storage.Ticket{Kind: storage.TicketVerify, Data: letter.Begun(w, r, nil, nil)}, Mail: templates.Mail{Kind: templates.MailVerify}}
	address(&l, user)
	if err := f.Post.Send(r, l); err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, templates.Told{
		Mail: true, Heading: templates.Say("recovery.verify_sent_title"), Message: templates.Say("recovery.verify_sent", "Address", user.Email, "Life", f.Tickets.Life(storage.TicketVerify)),
		Next: web.LocalURL(r, "/account", nil), Button: templates.Say("recovery.to_account"),
	})
}

// findVerify returns the ticket of a link that proves an address and its user: the address that the account has, or one that it shall have.
func (f *Recovery) findVerify(r *http.Request, token string) (*storage.Ticket, *storage.User, error) {
	t, err := f.Tickets.Look(r.Context(), storage.TicketVerify, token)
	if errors.Is(err, storage.ErrNotFound) {
		t, err = f.Tickets.Look(r.Context(), storage.TicketEmail, token)
	}
	if err != nil {
		return nil, nil, err
	}
	user, err := f.Store.User(r.Context(), t.Subject)
	if err != nil {
		return nil, nil, fmt.Errorf("read user of link: %w", err)
	}
	if user.Disabled || t.Kind == storage.TicketVerify && user.EmailKey != t.EmailKey {
		return nil, nil, fmt.Errorf("link of %s: %w", user.Subject, storage.ErrNotFound)
	}
	web.SetUserLang(r, user.Locale)
	return t, user, nil
}

// mayVerify tells whether the request comes from somebody who wants the address to be the account's: the browser that asked for the link, or one that is signed in as the user. Anybody can
// have a link mailed to a stranger, whose click would prove the stranger's address for an account that is not the stranger's (security rows 151 and 172).
func (f *Recovery) mayVerify(r *http.Request, t *storage.Ticket) (bool, error) {
	if letter.Here(r, t) {
		return true, nil
	}
	current, err := f.Sessions.Current(r)
	if err != nil {
		return false, fmt.Errorf("read session: %w", err)
	}
	return current != nil && current.Session.Subject == t.Subject, nil
}

// signInFirst answers everybody else. The link is not used up.
func signInFirst(w http.ResponseWriter, r *http.Request) error {
	return web.Render(w, r, http.StatusForbidden, templates.Told{
		Bad: true, Heading: templates.Say("recovery.verify_elsewhere_title"), Message: templates.Say("recovery.verify_elsewhere"), Next: web.LocalURL(r, "/account", nil), Button: templates.Say("recovery.sign_in"),
	})
}

// askVerify serves GET of the link: a button.
func (f *Recovery) askVerify(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	t, user, err := f.findVerify(r, token)
	if err != nil {
		return deadLink(w, r, err, "/account")
	}
	if may, err := f.mayVerify(r, t); err != nil {
		return err
	} else if !may {
		return signInFirst(w, r)
	}
	page := templates.Press{For: templates.PressVerify, Token: token, Heading: templates.Say("recovery.verify_title"), Button: templates.Say("recovery.verify_go")}
	account := labelOf(user)
	if user.Username != "" {
		account = user.Username
	}
	page.Message = templates.Say("recovery.verify_text", "Address", t.Email, "Account", account)
	if t.Kind == storage.TicketEmail {
		page.Message = templates.Say("recovery.change_text", "Address", t.Email, "Account", account)
	}
	return web.Render(w, r, http.StatusOK, page)
}

// errMoved says that the account's address has become another since the link was made.
var errMoved = errors.New("the address has changed")

// verify serves POST: the address is proven, and becomes the account's if it was not. The old one is told, with a link that takes it back.
func (f *Recovery) verify(w http.ResponseWriter, r *http.Request) error {
	ctx, token := r.Context(), r.PostFormValue("token")
	t, _, err := f.findVerify(r, token)
	if err != nil {
		return deadLink(w, r, err, "/account")
	}
	if may, err := f.mayVerify(r, t); err != nil {
		return err
	} else if !may {
		return signInFirst(w, r)
	}
	if t, err = f.Tickets.Consume(ctx, t.Kind, token); err != nil {
		return deadLink(w, r, err, "/account")
	}
	var before storage.User
	user, err := f.Store.UpdateUser(ctx, t.Subject, func(u *storage.User) error {
		before = *u
		if u.Epoch != t.Epoch || t.Kind == storage.TicketVerify && u.EmailKey != t.EmailKey { // also if whoever asked was locked out since the link was used up (security row 172)
			return errMoved
		}
		if t.Kind == storage.TicketEmail {
			u.Email, u.EmailKey = t.Email, t.EmailKey
		}
		u.EmailVerified = true
		return nil
	})
	switch {
	case errors.Is(err, errMoved), dead(err):
		return deadLink(w, r, storage.ErrNotFound, "/account")
	case errors.Is(err, storage.ErrExists):
		return web.Render(w, r, http.StatusConflict, templates.Told{
			Bad: true, Heading: templates.Say("recovery.address_taken_title"), Message: templates.Say("recovery.address_taken", "Address", t.Email), Next: web.LocalURL(r, "/account", nil), Button: templates.Say("recovery.to_account"),
		})
	case err != nil:
		return fmt.Errorf("store address: %w", err)
	}
	if err := f.noteAddress(r, t, &before, user); err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, templates.Told{
		Heading: templates.Say("recovery.verified_title"), Message: templates.Say("recovery.verified", "Address", t.Email), Next: web.LocalURL(r, "/account", nil), Button: templates.Say("recovery.to_account"),
	})
}

// noteAddress tells the old address, with a link that takes the change back. Who puts right by hand what somebody else has changed has a link for the address of before: then the one of in between gets
// none, and those that it got end (security row 172).
func (f *Recovery) noteAddress(r *http.Request, t *storage.Ticket, before, user *storage.User) error {
	event := activity.Event{Kind: activity.EmailVerified, Detail: t.Email}
	if t.Kind == storage.TicketEmail && before.EmailKey != user.EmailKey {
		event.Kind = activity.EmailChanged
		returned, err := f.Store.ReturnTickets(r.Context(), user.Subject, user.EmailKey)
		if err != nil {
			return fmt.Errorf("end links of the old address: %w", err)
		}
		if before.EmailKey != "" && before.EmailVerified { // nobody has proven to read another one (security row 144)
			event.To = before.EmailKey
			if !returned {
				event.Undo = activity.Undo(before, time.Time{})
			}
		}
	}
	f.Activity.Note(r.Context(), letter.From(r), user, event)
	return nil
}
