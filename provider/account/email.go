package account

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"

	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
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
	allowed, err := a.mayMail(r, key)
	if err != nil {
		return err
	}
	if allowed {
		if err := a.sendLink(r, c.User, address, key); err != nil {
			return err
		}
	} else {
		web.Annotate(r, "outcome", "no mail: over a limit")
	}
	return back(w, r, interaction.ReturnProfile, "email_sent")
}

// mayMail counts a mail against both limits. Over them the answer is the same.
func (a *Account) mayMail(r *http.Request, key string) (bool, error) {
	peer, _, err := a.Shared.Take(r.Context(), "mail\nip\n"+web.PeerKey(r), a.MailIP)
	if err != nil {
		return false, fmt.Errorf("limit mail of peer: %w", err)
	}
	sum := sha256.Sum256([]byte(key))
	address, _, err := a.Shared.Take(r.Context(), "mail\naddress\n"+base64.RawURLEncoding.EncodeToString(sum[:]), a.MailAddress)
	if err != nil {
		return false, fmt.Errorf("limit mail to address: %w", err)
	}
	return peer && address, nil
}

func (a *Account) sendLink(r *http.Request, u *storage.User, address, key string) error {
	made := storage.Ticket{Kind: storage.TicketEmail, Subject: u.Subject, Email: address, EmailKey: key}
	m := templates.Mail{Kind: templates.MailEmailChange, Address: address}
	if key == u.EmailKey {
		made.Kind, m.Kind = storage.TicketVerify, templates.MailVerify
	}
	link, err := a.Tickets.Issue(r.Context(), made)
	if err != nil {
		return fmt.Errorf("make link: %w", err)
	}
	m.Link, m.Life = link, a.Tickets.Life(made.Kind)
	lang := u.Locale
	if lang == "" {
		lang = web.Lang(r)
	}
	if err := a.Mailer.Send(r.Context(), key, lang, m); err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	return nil
}
