package provider_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/storage"
)

// Attacks on the page that asks for the terms: nobody accepts for somebody else, and nobody what the page did not show.

var accept = url.Values{"decision": {"accept"}, "version": {"2026-01"}}

// Row 27: the page belongs to the browser that began the request, whatever token is sent.
func TestRow27TermsOfAnotherBrowserAreNotAskedHere(t *testing.T) {
	s := start(t, "memory", quickKeys, withTerms)
	s.client()
	ada, eve := s.user("ada@example.com"), s.user("eve@example.com")
	attacker, victim := s.browser("eve@example.com"), s.browser("ada@example.com")
	_, theirs := readForm(t, attacker.askedForTerms(nil).Body, "terms")
	own := victim.askedForTerms(nil)
	_, fields := readForm(t, own.Body, "terms")
	id := theirs.Get("interaction")
	for name, b := range map[string]*browser{"signed in": victim, "without cookies": s.browser("")} {
		s.wantPage(b.follow(b.get(s.URL+"/terms?interaction="+id)), http.StatusForbidden, "another browser")
		for _, decision := range []string{"accept", "decline"} {
			for whose, token := range map[string]string{"own": fields.Get("csrf"), "theirs": theirs.Get("csrf"), "none": ""} {
				sent := maps.Clone(accept)
				sent["interaction"], sent["csrf"], sent["decision"] = []string{id}, []string{token}, []string{decision}
				if p := b.follow(b.post(s.URL+"/terms", sent)); p.StatusCode != http.StatusForbidden {
					t.Errorf("%s, token %s, %s: %d %s", name, whose, decision, p.StatusCode, cut(p.Body))
				}
			}
		}
	}
	s.wantTerms(ada, "")
	s.wantTerms(eve, "")
	flow, err := s.Store.Interaction(t.Context(), id)
	if s.ok(err); len(flow.Proofs) != 1 || !flow.ConsumedAt.IsZero() { // the sign-in
		t.Errorf("the interaction has changed: %+v", flow)
	}
	victim.codeFrom(s.at(victim.accepts(own))) // what was sent used nothing up
}

// Rows 27 and 183: somebody else signs in while the page is open.
func TestRow183TermsAreAcceptedByWhomThePageNamesOnly(t *testing.T) {
	s := start(t, "memory", quickKeys, withTerms)
	s.client()
	ada, bob := s.user("ada@example.com"), s.user("bob@example.com")
	b := s.browser("ada@example.com")
	open := b.askedForTerms(nil)
	_, fields := readForm(t, open.Body, "terms")
	b.User = "bob@example.com"
	_, bobs := readForm(t, b.askedForTerms(url.Values{"prompt": {"login"}}).Body, "terms")
	if p := b.accepts(open); p.StatusCode != http.StatusForbidden {
		t.Errorf("the form of the one before: %d to %q", p.StatusCode, p.Header.Get("Location"))
	}
	for way, p := range map[string]page{
		"GET": b.get(s.URL + "/terms?interaction=" + fields.Get("interaction")), "POST": b.post(s.URL+"/terms", with(fields, "csrf", bobs.Get("csrf"))),
		"accept": b.post(s.URL+"/terms", with(with(fields, "csrf", bobs.Get("csrf")), "decision", "accept")),
	} {
		if to := s.at(p); !strings.HasSuffix(to, "/oauth2/authorize?interaction="+fields.Get("interaction")) {
			t.Errorf("%s with a token of their own leads to %s", way, to)
		}
	}
	s.wantTerms(ada, "")
	s.wantTerms(bob, "")
	if p := b.follow(b.get(s.URL + "/oauth2/authorize?interaction=" + fields.Get("interaction"))); !hasForm(p.Body, "login") {
		t.Errorf("the request of the one before goes on: %d %s", p.StatusCode, cut(p.Body))
	}
}

func TestRow181TermsNeedBothProtections(t *testing.T) {
	s := start(t, "memory", quickKeys, withTerms)
	s.client()
	ada := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	_, fields := readForm(t, b.askedForTerms(nil).Body, "terms")
	good := with(fields, "decision", "accept")
	cookie := "Cookie: " + b.cookies()
	for name, p := range map[string]page{
		"no token": s.bareForm("/terms", with(good, "csrf", ""), cookie, "Origin: "+s.URL), "another token": s.bareForm("/terms", with(good, "csrf", fields.Get("interaction")), cookie, "Origin: "+s.URL),
		"foreign origin": s.bareForm("/terms", good, cookie, "Origin: https://evil.example"), "null origin": s.bareForm("/terms", good, cookie, "Origin: null"),
		"cross-site": s.bareForm("/terms", good, cookie, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"), "same site": s.bareForm("/terms", good, cookie, "Origin: https://other.id.example", "Sec-Fetch-Site: same-site"),
	} {
		if p.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, p.StatusCode)
		}
	}
	for _, query := range []string{"&decision=accept&version=2026-01", "&decision=decline&csrf=" + url.QueryEscape(fields.Get("csrf"))} {
		b.get(s.URL + "/terms?interaction=" + fields.Get("interaction") + query)
	}
	s.wantTerms(ada, "")
	s.wants(b.post(s.URL+"/terms", good), http.StatusSeeOther)
	s.wantTerms(ada, "2026-01")
}

func TestTermsOfAFormAreNeverStored(t *testing.T) {
	s := start(t, "memory", quickKeys, withTerms)
	s.client()
	ada := s.user("ada@example.com", accepted("2025-12"))
	b := s.browser("ada@example.com")
	p := b.askedForTerms(nil)
	_, fields := readForm(t, p.Body, "terms")
	if fields.Get("version") != "2026-01" {
		t.Fatalf("the form is of version %q", fields.Get("version"))
	}
	for _, version := range []string{"", "2025-12", "2027-01", "2026-01 ", "2026-1"} {
		again := b.submit(p, "terms", url.Values{"decision": {"accept"}, "version": {version}})
		if text := visible(t, again.Body); again.StatusCode != http.StatusConflict || !strings.Contains(text, "have changed once more") || !hasForm(again.Body, "terms") {
			t.Errorf("%q: %d %s", version, again.StatusCode, text)
		}
	}
	for _, decision := range []string{"", "yes", "ACCEPT", "allow"} {
		if p := b.submit(p, "terms", url.Values{"decision": {decision}}); p.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %d", decision, p.StatusCode)
		}
	}
	s.wantTerms(ada, "2025-12")
	if n := s.timesAccepted(ada); n != 0 {
		t.Errorf("%d lines in the history", n)
	}
}

// A server that starts anew with other terms shows them before anybody accepts them.
func TestTermsThatChangedWhileThePageWasOpenAreShownFirst(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		ada := s.user("ada@example.com")
		b := s.browser("ada@example.com")
		old := b.askedForTerms(nil)
		_, fields := readForm(s.T, old.Body, "terms")
		next := s.node(quickKeys, withTerms, func(o *provider.Options) { o.SignUp.TermsVersion = "2026-08" })
		p := b.post(next.URL+"/terms", with(fields, "decision", "accept"))
		if p.StatusCode != http.StatusConflict {
			s.Fatalf("%d %s", p.StatusCode, cut(p.Body))
		}
		s.wantTerms(ada, "")
		_, fields = readForm(s.T, p.Body, "terms")
		s.wants(b.post(next.URL+"/terms", with(fields, "decision", "accept")), http.StatusSeeOther)
		s.wantTerms(ada, "2026-08")
	}, quickKeys, withTerms)
}

func TestRow33WhoIsDisabledOrLockedOutMeanwhileAcceptsNothing(t *testing.T) {
	for name, locked := range map[string]func(m *mailed, subject string){
		"disabled": func(m *mailed, subject string) {
			_, err := m.Store.UpdateUser(m.Context(), subject, func(u *storage.User) error { u.Disabled = true; return nil })
			m.ok(err)
		},
		"a new password": func(m *mailed, subject string) { m.ok(m.Store.SetPassword(m.Context(), subject, "")) },
		"deleted":        func(m *mailed, subject string) { m.ok(m.Store.DeleteUser(m.Context(), subject)) },
	} {
		for _, at := range []string{"before the click", "during the click"} {
			t.Run(name+" "+at, func(t *testing.T) {
				m := correspond(t, "memory", withTerms)
				m.client()
				ada := m.user("ada@example.com")
				b := m.browser("ada@example.com")
				p := b.askedForTerms(nil)
				if at == "before the click" {
					locked(m, ada)
				} else {
					m.before("UpdateUser", func() { locked(m, ada) })
				}
				p = b.accepts(p)
				if to := p.Header.Get("Location"); p.StatusCode != http.StatusForbidden && !strings.HasPrefix(to, "/oauth2/authorize?interaction=") {
					t.Errorf("%d to %q", p.StatusCode, to)
				}
				if u, err := m.Store.User(t.Context(), ada); err == nil && u.TermsVersion != "" {
					t.Errorf("accepted: %+v", u)
				}
				if n := m.timesAccepted(ada); n != 0 {
					t.Errorf("%d lines in the history", n)
				}
			})
		}
	}
}

func TestTermsDoNotUndoAChangeOfTheUserThatCameFirst(t *testing.T) {
	m := correspond(t, "memory", withTerms)
	m.client()
	ada := m.user("ada@example.com")
	b := m.browser("ada@example.com")
	p := b.askedForTerms(nil)
	m.before("UpdateUser", func() {
		_, err := m.Store.UpdateUser(t.Context(), ada, func(u *storage.User) error {
			u.Locale, u.Claims = "de", map[string]any{"name": "Ada King"}
			return nil
		})
		m.ok(err)
	})
	m.wants(b.accepts(p), http.StatusSeeOther)
	u, err := m.Store.User(t.Context(), ada)
	if m.ok(err); u.TermsVersion != "2026-01" || u.Locale != "de" || u.Claims["name"] != "Ada King" {
		t.Errorf("%+v", u)
	}
}

func TestTermsThatAreNotStoredAreNotAccepted(t *testing.T) {
	for _, op := range []string{"UpdateUser", "SessionByCookie", "Interaction"} {
		t.Run(op, func(t *testing.T) {
			m := correspond(t, "memory", withTerms)
			m.client()
			ada := m.user("ada@example.com")
			b := m.browser("ada@example.com")
			p := b.askedForTerms(nil)
			var down page
			if !m.broken.during(op, func() { down = b.accepts(p) }) {
				t.Fatal("it was not asked for")
			}
			m.on(t).wantDownPage(down)
			if m.wantTerms(ada, ""); m.timesAccepted(ada) != 0 {
				t.Error("the history says that they are")
			}
			b.codeFrom(m.at(b.accepts(p)))
		})
	}
}

// Rows 22 and 27: a page that was open for too long begins its request anew, and accepts nothing.
func TestRow27StaleTermsBeginAnewWithNothingAccepted(t *testing.T) {
	for _, backend := range []string{"memory", "sqlite"} {
		t.Run(backend, func(t *testing.T) {
			s := start(t, backend, quickKeys, longSessions, withTerms)
			s.client()
			ada := s.user("ada@example.com")
			b := s.browser("ada@example.com")
			open := b.askedForTerms(nil)
			s.advance(45 * time.Minute)
			for name, p := range map[string]page{"sent": b.accepts(open), "reloaded": b.get(open.Request.URL.String())} {
				p = b.follow(p)
				if !hasForm(p.Body, "terms") || p.Request.URL.String() == open.Request.URL.String() {
					t.Errorf("%s: %d at %s", name, p.StatusCode, p.Request.URL)
				}
				s.wantTerms(ada, "")
			}
			b.codeFrom(s.at(b.accepts(b.follow(b.accepts(open)))))
			s.wantTerms(ada, "2026-01")
			s.advance(storage.InteractionGrace)
			s.wantPage(b.follow(b.get(open.Request.URL.String())), http.StatusForbidden)
		})
	}
}

func TestTermsAreNotAskedForAnInteractionOfAnotherKind(t *testing.T) {
	m := correspond(t, "memory", withTerms)
	m.client()
	ada := m.user("ada@example.com")
	b := m.browser("ada@example.com")
	p := b.follow(b.get(m.URL + "/account"))
	_, fields := readForm(t, p.Body, "login")
	id := fields.Get("interaction")
	open := b.askedForTerms(nil)
	_, own := readForm(t, open.Body, "terms")
	for _, other := range []string{id, "", "x", strings.Repeat("A", 43), `"><script>alert(1)</script>`} {
		sent := with(with(own, "interaction", other), "decision", "accept")
		for way, p := range map[string]page{"GET": b.get(m.URL + "/terms?interaction=" + url.QueryEscape(other)), "POST": b.post(m.URL+"/terms", sent)} {
			if p = b.follow(p); p.StatusCode < 400 || hasForm(p.Body, "terms") || strings.Contains(p.Body, "<script>alert") {
				t.Errorf("%s %q: %d %s", way, other, p.StatusCode, cut(p.Body))
			}
		}
	}
	m.wantTerms(ada, "")
	b.codeFrom(m.at(b.accepts(open)))
}

// Row 10: a client that is gone, or may nothing any more, gets nobody's consent to anything.
func TestRow10TermsOfAClientThatIsGoneLeadBack(t *testing.T) {
	s := start(t, "memory", quickKeys, withTerms)
	s.client()
	ada := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	open := b.askedForTerms(nil)
	_, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.Disabled = true; return nil })
	s.ok(err)
	s.eventually("the client is known to be disabled", func() bool { return b.get(open.Request.URL.String()).StatusCode == http.StatusSeeOther })
	if p := b.follow(b.accepts(open)); p.StatusCode < 400 || p.Header.Get("Location") != "" {
		t.Errorf("%d to %q", p.StatusCode, p.Header.Get("Location"))
	}
	s.wantTerms(ada, "")
}
