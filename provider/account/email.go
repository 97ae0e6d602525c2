package account

import (
	"errors"
	"fmt"
	"net/http"

	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/letter"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// changeEmail sends a link to the address that the account shall have, or to the one that it has and that nobody has proven. Whether another account has it is not looked at, or whoever is
// signed in could ask for anybody (security row 136): the page that the link leads to tells whoever has the mailbox.
func (a *Account) changeEmail(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	typed := r.PostFormValue("email")
	address, key, err := credential.Address(typed)
	wrong := templates.Text{}
	switch {
	case err != nil:
		wrong = templates.Say("account.email_wrong")
	case key == c.User.EmailKey && c.User.EmailVerified:
		wrong = templates.Say("account.email_same")
	}
	if !wrong.Empty() {
		page := a.profilePage(r, c)
		page.Email, page.EmailError = typed, wrong
		return a.renderProfile(w, r, c, http.StatusUnprocessableEntity, page)
	}
	if err := a.Post.Send(r, proof(w, r, c.User, address, key)); err != nil {
		return err
	}
	return back(w, r, interaction.ReturnProfile, "email_sent")
}

// cancelEmail makes the link worthless that would give the account another address. Without such a link it changes nothing; whether the address of the page is the account's by then is looked at afterwards,
// because the link may have been opened since the page was, also at the same moment.
func (a *Account) cancelEmail(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	if err := a.Store.RevokeTickets(r.Context(), c.Session.Subject, storage.TicketEmail); err != nil {
		return fmt.Errorf("cancel change of address: %w", err)
	}
	now, err := a.Store.User(r.Context(), c.Session.Subject)
	if errors.Is(err, storage.ErrNotFound) {
		return web.NotFound()
	}
	if err != nil {
		return fmt.Errorf("read user: %w", err)
	}
	if _, key, err := credential.Address(r.PostFormValue("email")); err == nil && key == now.EmailKey {
		return back(w, r, interaction.ReturnProfile, "email_too_late")
	}
	return back(w, r, interaction.ReturnProfile, "email_cancelled")
}

// proof is the letter with the link that proves an address.
func proof(w http.ResponseWriter, r *http.Request, u *storage.User, address, key string) letter.Letter {
	l := letter.Letter{
		To: key, Counted: key, Lang: u.Locale, Ticket: storage.Ticket{Kind: storage.TicketEmail, Subject: u.Subject, Epoch: u.Epoch, Email: address, EmailKey: key, Data: letter.Begun(w, r, nil, nil)},
		Mail: templates.Mail{Kind: templates.MailEmailChange, Address: address},
	}
	if key == u.EmailKey {
		l.Ticket.Kind, l.Mail.Kind = storage.TicketVerify, templates.MailVerify
	}
	if l.Lang == "" {
		l.Lang = web.Lang(r)
	}
	return l
}
