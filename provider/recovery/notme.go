package recovery

import (
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
// trusted browser, and the ways to sign in that were added since; then a link to a new password goes to that address, and to no other. All of it happens in one step: if that fails, the link works on.
func (f *Recovery) notMe(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	t, err := f.Tickets.Look(ctx, storage.TicketRevert, r.PostFormValue("token"))
	if err != nil {
		return deadLink(w, r, err, f.again())
	}
	before, err := f.Store.User(ctx, t.Subject)
	if err != nil {
		return deadLink(w, r, err, f.again())
	}
	user, err := f.Store.RevertUser(ctx, t.Signature, activity.Since(t))
	if dead(err) { // used at the same moment, or killed by an older one that was
		return deadLink(w, r, err, f.again())
	}
	if err != nil {
		return fmt.Errorf("lock others out: %w", err)
	}
	event := activity.Event{Kind: activity.AccountReverted, Detail: t.Email}
	if before.EmailVerified && before.EmailKey != "" && before.EmailKey != user.EmailKey { // it may be the owner's, and the link a thief's
		event.To, event.Mail = before.EmailKey, &templates.Mail{Kind: templates.MailReverted, Address: before.Email}
	}
	f.Activity.Note(ctx, letter.From(r), user, event)
	page := templates.Told{Heading: templates.Say("recovery.secured_title"), Message: templates.Say("recovery.secured_bare"), Next: web.LocalURL(r, "/account", nil), Button: templates.Say("recovery.sign_in")}
	if !f.NoPassword && !f.NoMail && !user.Disabled && user.EmailKey != "" && user.EmailKey == t.EmailKey {
		l := f.resetLetter(letter.Begun(w, r, nil, nil))
		l.Lang, l.Promised = web.Lang(r), true
		address(&l, user)
		if err := f.Post.Send(r, l); err != nil {
			return err
		}
		page.Mail, page.Next, page.Message = true, "", templates.Say("recovery.secured", "Address", user.Email)
	}
	return web.Render(w, r, http.StatusOK, page)
}
