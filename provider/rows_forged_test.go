package provider_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/provider/credential/credentialtest"
	"gatehouse/storage"
)

// Row 181 for the forms of people who are not signed in yet: those of links in mails, of second factors and of the choice of an account.

// opens reads a form of a page, as the browser that opened it would send it.
func (b *browser) opens(p page, form string, more url.Values, done func() bool) *forgery {
	b.s.Helper()
	action, fields := readForm(b.s.T, p.Body, form)
	maps.Copy(fields, more)
	return &forgery{action, fields, b.cookies(), done}
}

// mailForms opens one of each form that has to do with a mail. Each is about an account of its own.
func (m *mailed) mailForms() map[string]*forgery {
	m.Helper()
	forms := map[string]*forgery{}
	person := func(name string, changes ...func(*storage.User)) (*browser, string, string) {
		email := name + "@example.com"
		return m.browser(email), email, m.user(email, changes...)
	}
	asks := func(b *browser, path, form, email, kind string, fields url.Values) *forgery {
		return b.opens(b.get(m.URL+path), form, fields, func() bool { return m.mails(email, kind) > 0 })
	}
	changed := func(subject string) func() bool {
		before, err := m.Store.User(m.Context(), subject)
		m.ok(err)
		return func() bool {
			now, err := m.Store.User(m.Context(), subject)
			return err == nil && now.Epoch != before.Epoch
		}
	}
	b, email, _ := person("asks-reset")
	forms["ask for a reset"] = asks(b, "/recovery", "recovery", email, "reset", url.Values{"username": {email}})
	b, email, _ = person("asks-link")
	forms["ask for a link"] = asks(b, "/login/mail", "mail-link", email, "magic", url.Values{"username": {email}})
	forms["sign-up"] = asks(m.browser(""), "/signup", "signup", "new@example.com", "signup", url.Values{"email": {"new@example.com"}, "password": {password}})

	b, email, subject := person("resets")
	forms["new password"] = b.opens(b.get(m.resetLink(b, email)), "reset", url.Values{"password": {otherPassword}}, changed(subject))
	b, email, comes := person("comes-by-link")
	m.wants(m.asksForLink(b, "/login/mail", email), http.StatusOK)
	forms["sign-in by a link"] = b.opens(b.get(m.link(email, "magic")), "press", nil, func() bool { return m.sessions(comes) > 0 })
	b = m.browser("")
	m.wants(m.asksForAccount(b, "/signup", "waits@example.com", password), http.StatusOK)
	forms["confirm an account"] = b.opens(b.get(m.link("waits@example.com", "signup")), "confirm", nil, func() bool { return m.account("waits@example.com") != nil })

	b, _, _ = person("asks-proof", unverified)
	b.code(nil)
	forms["ask for a proof"] = b.opens(b.get(m.URL+"/account/profile"), "verify", nil, func() bool { return m.mails("asks-proof@example.com", "verify") > 0 })
	b, email, verified := person("verifies", unverified)
	b.code(nil)
	proof := m.issue(storage.Ticket{Kind: storage.TicketVerify, Subject: verified, Email: email, EmailKey: email})
	forms["prove an address"] = b.opens(b.get(proof), "press", nil, func() bool { return m.account("verifies@example.com").EmailVerified })
	b, email, subject = person("not-me", func(u *storage.User) { u.EmailVerified = true })
	b.resets(m.resetLink(b, email), otherPassword)
	forms["it was not me"] = b.opens(b.get(m.link(email, "password_changed")), "press", nil, changed(subject))
	return forms
}

// factorForms opens one of each form of a second factor, and the choice of an account.
func (s *server) factorForms() map[string]*forgery {
	s.Helper()
	forms := map[string]*forgery{}
	signedIn := func(subject string) func() bool { return func() bool { return s.sessions(subject) > 0 } }
	ada := s.user("ada@example.com")
	app := s.app(ada)
	b := s.browser("ada@example.com")
	forms["code"] = b.opens(b.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}}, signedIn(ada))
	eve := s.user("eve@example.com")
	b = s.browser("eve@example.com")
	p := b.walk(s.authorizeURL(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}))
	own := credentialtest.App{Secret: textOf(s.T, p.Body, `data-secret="`, `"`)}
	forms["enrolment"] = b.opens(p, "enrol", url.Values{"code": {own.Code(s.Clock.Now())}}, func() bool { return s.factorsOf(eve) > 0 })
	kim := s.user("kim@example.com")
	key := s.passkey("kim@example.com")
	b = s.browser("")
	p = s.signIn(b)
	forms["passkey"] = b.opens(p, "passkey", url.Values{"response": {key.Get(b.asked(p))}}, signedIn(kim))
	s.user("lou@example.com")
	b = s.browser("lou@example.com")
	b.code(nil)
	p = b.get(s.at(b.get(s.at(b.get(s.authorizeURL(url.Values{"prompt": {"select_account"}}))))))
	_, fields := readForm(s.T, p.Body, "accounts")
	forms["choice"] = b.opens(p, "accounts", url.Values{"account": {""}}, func() bool {
		flow, err := s.Store.Interaction(s.Context(), fields.Get("interaction"))
		return err == nil && len(flow.Proofs) > 0
	})
	return forms
}

func TestRow181ForgedFormsOfStrangersChangeNothing(t *testing.T) {
	m := correspond(t, "memory", longPages, withApps)
	m.client()
	m.resist(m.mailForms())
}

func TestRow181ForgedSecondFactorsChangeNothing(t *testing.T) {
	s := strong(t, "memory")
	s.resist(s.factorForms())
}

// resist forges every form in every way, and then sends it as its own page does: only that does its work.
func (s *server) resist(forms map[string]*forgery) {
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		f := forms[name]
		s.Run(name, func(t *testing.T) {
			s := s.on(t)
			if f.done() {
				t.Fatal("the work is done before anything is sent")
			}
			for i, c := range forged {
				p := s.forge(f, i)
				if !slices.Contains(c.status, p.StatusCode) {
					t.Errorf("%s: status %d, want one of %v", c.name, p.StatusCode, c.status)
				}
				if f.done() {
					t.Fatalf("%s: the form did its work", c.name)
				}
				if got := fmt.Sprint(p.Header["Set-Cookie"]); strings.Contains(got, "gth_sid") || strings.Contains(got, "gth_td") || p.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s: headers %v", c.name, p.Header)
				}
			}
			for other, o := range forms {
				if o.cookies == f.cookies {
					continue
				}
				stolen := *f
				stolen.fields = with(f.fields, "csrf", o.fields.Get("csrf"))
				if p := s.bareForm(stolen.path, stolen.fields, "Cookie: "+f.cookies, "Origin: "+s.URL); p.StatusCode != http.StatusForbidden || f.done() {
					t.Errorf("with the token of %s: %d", other, p.StatusCode)
				}
			}
			if p := s.bareForm(f.path, f.fields, "Origin: "+s.URL); p.StatusCode != http.StatusForbidden || f.done() {
				t.Errorf("without cookies: %d", p.StatusCode)
			}
			if p := s.bareForm(f.path, f.fields, "Cookie: "+f.cookies, "Origin: "+s.URL, "Sec-Fetch-Site: same-origin"); p.StatusCode >= 400 || !f.done() {
				t.Errorf("from our own page: %d %s", p.StatusCode, cut(p.Body))
			}
		})
	}
}
