package recovery

import (
	"net/http"

	"gatehouse/provider/letter"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

func (f *Recovery) magicLetter(data map[string]string) letter.Letter {
	return letter.Letter{Ticket: storage.Ticket{Kind: storage.TicketMagic, Data: data}, Mail: templates.Mail{Kind: templates.MailMagic}}
}

// askMagic serves GET of the link: a button. It signs nobody in, and says so in any other browser than the one that asked for it (security row 151).
func (f *Recovery) askMagic(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	_, user, here, err := f.findMagic(r, token)
	switch {
	case err != nil:
		return deadLink(w, r, err, "/login/mail")
	case !here:
		return elsewhere(w, r)
	}
	return web.Render(w, r, http.StatusOK, templates.Press{
		For: templates.PressSignIn, Token: token, Heading: templates.Say("recovery.magic_title"), Message: templates.Say("recovery.magic_text", "Account", labelOf(user)), Button: templates.Say("recovery.magic_go"),
	})
}

func (f *Recovery) findMagic(r *http.Request, token string) (t *storage.Ticket, user *storage.User, here bool, err error) {
	if t, err = f.Tickets.Look(r.Context(), storage.TicketMagic, token); err != nil {
		return nil, nil, false, err
	}
	user, err = f.owner(r, t)
	return t, user, letter.Here(r, t), err
}

func elsewhere(w http.ResponseWriter, r *http.Request) error {
	return web.Render(w, r, http.StatusForbidden, templates.Told{
		Bad: true, Heading: templates.Say("recovery.elsewhere_title"), Message: templates.Say("recovery.elsewhere"), Next: web.LocalURL(r, "/login/mail", nil), Button: templates.Say("recovery.again"),
	})
}

// magic serves POST: it signs in, as far as a first factor goes. Who comes by a link has shown one thing, the mailbox; what was asked for beyond that still is (security row 159).
func (f *Recovery) magic(w http.ResponseWriter, r *http.Request) error {
	token := r.PostFormValue("token")
	_, user, here, err := f.findMagic(r, token)
	switch {
	case err != nil:
		return deadLink(w, r, err, "/login/mail")
	case !here:
		return elsewhere(w, r)
	}
	t, err := f.Tickets.Consume(r.Context(), storage.TicketMagic, token)
	if err != nil {
		return deadLink(w, r, err, "/login/mail")
	}
	return letter.Enter(w, r, f.SignIn, t, signin.Proof{User: user, AMR: []string{amrMail}, ACR: "1"})
}

// amrMail is how a sign-in by a link is told: the registry (RFC 8176) has no word for a mailbox, and "otp" or "mca" would promise a second factor to those who count them.
const amrMail = "email"
