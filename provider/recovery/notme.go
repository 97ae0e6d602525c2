package recovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"gatehouse/provider/activity"
	"gatehouse/provider/letter"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// askNotMe serves GET of the link in a mail that tells of a change: a button.
func (f *Recovery) askNotMe(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	t, err := f.Tickets.Look(r.Context(), storage.TicketRevert, token)
	if err != nil {
		return deadLink(w, r, err, f.again())
	}
	user, err := f.Store.User(r.Context(), t.Subject)
	if err != nil {
		return deadLink(w, r, err, f.again())
	}
	label := labelOf(user)
	if t.Email != "" { // what the person knows the account by; somebody else may have changed the rest
		label = t.Email
	}
	return web.Render(w, r, http.StatusOK, templates.Press{
		For: templates.PressNotMe, Token: token, Heading: templates.Say("recovery.not_me_title"), Message: templates.Say("recovery.not_me_text", "Account", label), Button: templates.Say("recovery.not_me_go"),
	})
}

// notMe serves POST: it locks out whoever is in the account. The address goes back to what it was when the mail was sent, the password goes, and with it every session, token, link and
// trusted browser; then a link to a new password goes to that address, and to no other.
func (f *Recovery) notMe(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	t, err := f.Tickets.Consume(ctx, storage.TicketRevert, r.PostFormValue("token"))
	if err != nil {
		return deadLink(w, r, err, f.again())
	}
	if err := f.restore(ctx, t); err != nil {
		return err
	}
	if err := f.Store.SetPassword(ctx, t.Subject, ""); err != nil {
		return fmt.Errorf("lock others out: %w", err)
	}
	user, err := f.Store.User(ctx, t.Subject)
	if err != nil {
		return fmt.Errorf("read user: %w", err)
	}
	f.Activity.Note(ctx, letter.From(r), user, activity.Event{Kind: activity.AccountReverted, Detail: t.Email})
	page := templates.Told{Heading: templates.Say("recovery.secured_title"), Message: templates.Say("recovery.secured_bare"), Next: web.LocalURL(r, "/account", nil), Button: templates.Say("recovery.sign_in")}
	if !f.NoPassword && !f.NoMail && !user.Disabled && user.EmailKey != "" && user.EmailKey == t.EmailKey {
		l := f.resetLetter(letter.Begun(w, r, nil, nil))
		l.Lang = web.Lang(r)
		address(&l, user)
		l.Counted = "revert\n" + user.EmailKey // the link was proof: what strangers asked for does not keep the owner from a new password
		if err := f.Post.Send(r, l); err != nil {
			return err
		}
		page.Mail, page.Next, page.Message = true, "", templates.Say("recovery.secured", "Address", user.Email)
	}
	return web.Render(w, r, http.StatusOK, page)
}

// restore gives the account the address back that it had when the mail was sent. If somebody else has it by now, the account keeps the one that it has, which then gets nothing.
func (f *Recovery) restore(ctx context.Context, t *storage.Ticket) error {
	if t.EmailKey == "" {
		return nil
	}
	_, err := f.Store.UpdateUser(ctx, t.Subject, func(u *storage.User) error {
		if u.EmailKey != t.EmailKey {
			u.Email, u.EmailKey, u.EmailVerified = t.Email, t.EmailKey, true
		}
		return nil
	})
	if err != nil && !errors.Is(err, storage.ErrExists) {
		return fmt.Errorf("restore address: %w", err)
	}
	return nil
}
