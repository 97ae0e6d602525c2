package account

import (
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
		return web.Render(w, r, http.StatusUnprocessableEntity, page)
	}
	if err := a.Post.Send(r, proof(w, r, c.User, address, key)); err != nil {
		return err
	}
	return back(w, r, interaction.ReturnProfile, "email_sent")
}

// proof is the letter with the link that proves an address.
func proof(w http.ResponseWriter, r *http.Request, u *storage.User, address, key string) letter.Letter {
	l := letter.Letter{
		To: key, Counted: key, Lang: u.Locale, Ticket: storage.Ticket{Kind: storage.TicketEmail, Subject: u.Subject, Email: address, EmailKey: key, Data: letter.Begun(w, r, nil, nil)},
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
