package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/provider"
	"gatehouse/provider/ticket"
	"gatehouse/storage"
	"gatehouse/templates"
)

func TestSignUpRefusesWhatIsNotRightAndKeepsTheRest(t *testing.T) {
	m := correspond(t, "memory", func(o *provider.Options) {
		o.SignUp.TermsVersion, o.Brand = "2026-01", templates.Brand{TermsURL: "https://id.example/terms"}
	})
	b := m.browser("")
	fields := func(changes url.Values) url.Values {
		all := url.Values{"email": {"ada@example.com"}, "name": {"Ada"}, "password": {password}, "terms": {"1"}}
		for name, value := range changes {
			all[name] = value
		}
		return all
	}
	for name, changes := range map[string]url.Values{
		"a short password": {"password": {"too short"}}, "the address as the password": {"password": {"ada@example.com"}}, "no consent to the terms": {"terms": {""}},
		"a name of two lines": {"name": {"Ada\nLovelace"}}, "a long name": {"name": {strings.Repeat("a", 101)}},
	} {
		p := b.ask("/signup", "signup", fields(changes))
		if p.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `value="ada@example.com"`) || strings.Contains(p.Body, password) {
			t.Errorf("%s: %d %s", name, p.StatusCode, cut(p.Body))
		}
	}
	if len(m.post.Mails("")) != 0 {
		t.Error("a mail was sent")
	}
	m.wants(b.ask("/signup", "signup", fields(nil)), http.StatusOK)
	m.wants(b.press(m.link("ada@example.com", "signup"), "confirm", nil), http.StatusSeeOther)
	if u := m.account("ada@example.com"); u == nil || u.TermsVersion != "2026-01" || u.TermsAccepted.IsZero() {
		t.Errorf("%+v", u)
	}
}

// Row 149: an invitation makes one account, and only the one that it is for.
func TestRow149InvitationMakesOneAccount(t *testing.T) {
	onBoth(t, func(m *mailed) {
		tickets := ticket.New(ticket.Options{Store: m.Store, Users: m.Store, Issuer: m.URL, Now: m.Clock.Now})
		link, err := tickets.Issue(m.Context(), storage.Ticket{Kind: storage.TicketInvite, Email: "ada@example.com", EmailKey: "ada@example.com", Data: map[string]string{"mailed": "1"}})
		m.ok(err)
		b := m.browser("")
		p := m.wants(b.get(link), http.StatusOK)
		m.wants(b.submit(p, "signup", url.Values{"email": {"eve@evil.example"}, "password": {password}}), http.StatusSeeOther)
		if m.account("ada@example.com") == nil || m.account("eve@evil.example") != nil {
			t.Error("the account is not the one that was invited")
		}
		m.wants(b.get(link), http.StatusForbidden)
		m.wants(b.submit(p, "signup", url.Values{"password": {password}}), http.StatusForbidden)
	}, func(o *provider.Options) { o.SignUp.Mode = "invite" })
}
