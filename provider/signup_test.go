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
		"a name that turns": {"name": {"Ada\u202egnp.exe"}}, "a name that hides": {"name": {"Ada\u2066\u200b"}}, "a name with a separator": {"name": {"Ada\u2028Lovelace"}},
	} {
		p := b.ask("/signup", "signup", fields(changes))
		if p.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `value="ada@example.com"`) || strings.Contains(p.Body, password) {
			t.Errorf("%s: %d %s", name, p.StatusCode, cut(p.Body))
		}
	}
	if len(m.post.Mails("")) != 0 {
		t.Error("a mail was sent")
	}
	const persian = "علی\u200cرضا\u3000رضایی" // is not written without the joiner, and a Japanese name has a space of its own
	m.wants(b.ask("/signup", "signup", fields(url.Values{"name": {persian}})), http.StatusOK)
	m.wants(b.press(m.link("ada@example.com", "signup"), "confirm", nil), http.StatusSeeOther)
	if u := m.account("ada@example.com"); u == nil || u.Claims["name"] != persian || u.TermsVersion != "2026-01" || u.TermsAccepted.IsZero() {
		t.Errorf("%+v", u)
	}
	if p := b.get(m.URL + "/account/activity"); !strings.Contains(p.Body, "Terms accepted") || !strings.Contains(p.Body, "2026-01") {
		t.Errorf("the history: %s", cut(p.Body))
	}
	if n := strings.Count(m.Log.String(), `"terms.accepted"`); n != 1 || !strings.Contains(m.Log.String(), `"2026-01"`) {
		t.Errorf("%d lines in the audit log, or not of this version", n)
	}
}

// Row 149: an invitation makes one account, and only the one that it is for.
func TestRow149InvitationMakesOneAccount(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
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

// Whether people are asked for a name is up to the operator; what they send without being asked is dropped.
func TestSignUpAsksForANameAsConfigured(t *testing.T) {
	for mode, want := range map[string]struct {
		asked       bool
		withoutName int
		kept        string
	}{"": {true, http.StatusOK, "Ada"}, "optional": {true, http.StatusOK, "Ada"}, "required": {true, http.StatusUnprocessableEntity, "Ada"}, "off": {false, http.StatusOK, ""}} {
		t.Run(mode, func(t *testing.T) {
			m := correspond(t, "memory", func(o *provider.Options) { o.SignUp.Name = mode })
			b := m.browser("")
			p := b.get(m.URL + "/signup")
			if asked := strings.Contains(p.Body, `name="name"`); asked != want.asked {
				t.Errorf("asked for a name: %t", asked)
			}
			m.wants(b.submit(p, "signup", url.Values{"email": {"eve@example.com"}, "name": {""}, "password": {password}}), want.withoutName)
			m.wants(b.submit(p, "signup", url.Values{"email": {"ada@example.com"}, "name": {"Ada"}, "password": {password}}), http.StatusOK)
			m.wants(b.press(m.link("ada@example.com", "signup"), "confirm", nil), http.StatusSeeOther)
			if name, _ := m.account("ada@example.com").Claims["name"].(string); name != want.kept {
				t.Errorf("the name is %q, want %q", name, want.kept)
			}
		})
	}
}
