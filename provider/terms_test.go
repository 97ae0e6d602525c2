package provider_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/activity"
	"gatehouse/storage"
)

// Terms that changed are asked of everybody who has an account, on the way to an app and nowhere else.

// accepted is a user who accepted a version of the terms long ago.
func accepted(version string) func(*storage.User) {
	return func(u *storage.User) {
		u.TermsVersion, u.TermsAccepted = version, time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	}
}

// askedForTerms signs in on the way to client "app" and returns the page that asks for the terms.
func (b *browser) askedForTerms(values url.Values) page {
	b.s.Helper()
	p := b.walk(b.s.authorizeURL(values))
	if !hasForm(p.Body, "terms") || p.StatusCode != http.StatusOK {
		b.s.Fatalf("no page of terms: %d %s %s", p.StatusCode, p.Header.Get("Location"), cut(p.Body))
	}
	return p
}

// accepts presses the button of the page.
func (b *browser) accepts(p page) page {
	b.s.Helper()
	return b.submit(p, "terms", url.Values{"decision": {"accept"}})
}

// wantTerms demands what is stored of a user.
func (s *server) wantTerms(subject, version string) {
	s.Helper()
	u, err := s.Store.User(s.Context(), subject)
	s.ok(err)
	if u.TermsVersion != version || u.TermsAccepted.IsZero() != (version == "") {
		s.Errorf("stored are the terms %q of %v, want %q", u.TermsVersion, u.TermsAccepted, version)
	}
}

// timesAccepted counts the lines of a user's history.
func (s *server) timesAccepted(subject string) (n int) {
	s.Helper()
	lines, err := s.Store.Activities(s.Context(), subject, storage.MaxActivities)
	s.ok(err)
	for _, line := range lines {
		if line.Kind == activity.TermsAccepted {
			n++
			if line.Detail != "2026-01" || line.ClientID != "app" {
				s.Errorf("the history says %+v", line)
			}
		}
	}
	return n
}

func TestTermsAreAskedOfEverybodyBeforeTheConsent(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		for email, c := range map[string]struct {
			before, heading string
		}{"ada@example.com": {"", "Example House asks you to accept its terms"}, "eve@example.com": {"2025-12", "The terms of Example House have changed"}} {
			subject := s.user(email, func(u *storage.User) {
				if c.before != "" {
					accepted(c.before)(u)
				}
			})
			b := s.browser(email)
			p := b.askedForTerms(nil)
			if text := visible(s.T, p.Body); !strings.Contains(text, c.heading) || !strings.Contains(text, email) || !strings.Contains(text, "Example App") || !strings.Contains(text, "delete your account") {
				s.Errorf("%s reads %s", email, text)
			}
			if links := attributes(s.T, p.Body, "a", "href"); !slices.Contains(links, "https://id.example/terms") || !slices.Contains(links, "/account") {
				s.Errorf("links %q", links)
			}
			if slices.Contains(b.Pages, "consent") {
				s.Error("the consent was asked first")
			}
			s.wantTerms(subject, c.before)
			before := s.Clock.Now().Truncate(time.Microsecond)
			p = b.accepts(p)
			if to := p.Header.Get("Location"); p.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/oauth2/authorize?interaction=") {
				s.Errorf("%d to %q", p.StatusCode, to)
			}
			s.wantTerms(subject, "2026-01")
			u, err := s.Store.User(s.Context(), subject)
			s.ok(err)
			if u.TermsAccepted.Before(before) || u.TermsAccepted.After(s.Clock.Now()) {
				s.Errorf("accepted at %v, want the time of the click, from %v", u.TermsAccepted, before)
			}
			b.codeFrom(s.at(p))
			if !slices.Contains(b.Pages, "consent") {
				s.Error("the consent is not asked any more")
			}
			b.code(url.Values{"prompt": {"none"}})
			if n := s.timesAccepted(subject); n != 1 {
				s.Errorf("%d lines in the history", n)
			}
		}
		if n := strings.Count(s.Log.String(), `"event":"terms.accepted"`); n != 2 {
			s.Errorf("%d lines in the audit log", n)
		}
	}, withTerms, func(o *provider.Options) { o.Brand.Name = "Example House" })
}

func TestTermsAreAskedOnTheWayToFirstPartyClientsAndWithoutSignUpToo(t *testing.T) {
	for name, change := range map[string]func(*provider.Options){
		"as it is": func(*provider.Options) {}, "no mail": func(o *provider.Options) { o.Mail = provider.Mail{} }, "no sign-up": func(o *provider.Options) { o.SignUp.Mode = "off" },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, "memory", quickKeys, withTerms, change)
			s.client(func(c *storage.Client) { c.FirstParty = true })
			subject := s.user("ada@example.com")
			b := s.browser("ada@example.com")
			b.codeFrom(s.at(b.accepts(b.askedForTerms(nil))))
			s.wantTerms(subject, "2026-01")
		})
	}
}

func TestTermsAreAskedOfNobodyWhoHasAcceptedThemAndNowhereWithoutAVersion(t *testing.T) {
	for name, change := range map[string]func(*provider.Options){"2026-01": withTerms, "": func(*provider.Options) {}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, "memory", quickKeys, change)
			s.client()
			subject := s.user("ada@example.com", accepted("2026-01"))
			b := s.browser("ada@example.com")
			b.code(nil)
			// Nor does the page itself ask, whoever opens it.
			p := b.get(s.at(b.get(s.authorizeURL(url.Values{"prompt": {"consent"}}))))
			_, fields := readForm(t, p.Body, "consent")
			for way, p := range map[string]page{
				"GET": b.get(s.URL + "/terms?interaction=" + fields.Get("interaction")), "POST": b.post(s.URL+"/terms", with(with(fields, "decision", "accept"), "version", name)),
			} {
				if !strings.HasSuffix(s.on(t).at(p), "/oauth2/authorize?interaction="+fields.Get("interaction")) {
					t.Errorf("%s leads to %s", way, s.at(p))
				}
			}
			s.wantTerms(subject, "2026-01")
			if n := s.timesAccepted(subject); n != 0 {
				t.Errorf("%d lines in the history", n)
			}
		})
	}
}

func TestTermsAreThoseOfTheClientsBranding(t *testing.T) {
	s := start(t, "memory", quickKeys, withTerms)
	s.client(func(c *storage.Client) {
		c.Branding = &storage.Branding{Name: "Harbour Books", TermsURL: "https://harbour.example/terms"}
	})
	s.user("ada@example.com", accepted("2025-12"))
	p := s.browser("ada@example.com").askedForTerms(nil)
	if links := attributes(t, p.Body, "a", "href"); !slices.Contains(links, "https://harbour.example/terms") || slices.Contains(links, "https://id.example/terms") || !strings.Contains(visible(t, p.Body), "The terms of Harbour Books have changed") {
		t.Errorf("links %q on %s", links, visible(t, p.Body))
	}
}

func TestRow19SilentRequestWithTermsDueIsInteractionRequired(t *testing.T) {
	s := start(t, "memory", quickKeys, withTerms)
	s.client()
	s.user("ada@example.com", accepted("2025-12"))
	b := s.browser("ada@example.com")
	p := b.askedForTerms(nil)
	s.wantErrorParams(s.sentTo(b.get(s.authorizeURL(url.Values{"prompt": {"none"}})), callback), "interaction_required", "af0ifjsldkj")
	b.codeFrom(s.at(b.accepts(p)))
	b.code(url.Values{"prompt": {"none"}})
}

func TestNotNowIsAccessDeniedStoresNothingAndAsksAgain(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		subject := s.user("ada@example.com", accepted("2025-12"))
		b := s.browser("ada@example.com")
		for range 2 {
			p := b.askedForTerms(nil)
			p = b.submit(p, "terms", url.Values{"decision": {"decline"}})
			s.wantErrorParams(s.sentTo(b.get(s.at(p)), callback), "access_denied", "af0ifjsldkj")
			s.wantTerms(subject, "2025-12")
		}
		if s.hasConsent(subject) || s.timesAccepted(subject) != 0 {
			s.Error("something was stored")
		}
	}, withTerms)
}

// Two tabs, and two clicks at once: what was accepted first stands, and the history has it once.
func TestTermsAcceptedTwiceAreAcceptedOnce(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		subject := s.user("ada@example.com")
		b := s.browser("ada@example.com")
		first := b.askedForTerms(nil)
		other := b.askedForTerms(url.Values{"state": {"other-tab"}})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if p := b.accepts(first); p.StatusCode != http.StatusSeeOther {
					s.Errorf("%d %s", p.StatusCode, cut(p.Body))
				}
			})
		}
		wg.Wait()
		u, err := s.Store.User(s.Context(), subject)
		s.ok(err)
		s.Clock.Advance(time.Minute)
		b.codeFrom(s.at(b.accepts(first)))
		s.wantCode(s.sentTo(b.walk(s.at(b.accepts(other))), callback), "other-tab")
		again, err := s.Store.User(s.Context(), subject)
		s.ok(err)
		if n := s.timesAccepted(subject); n != 1 || !again.TermsAccepted.Equal(u.TermsAccepted) {
			s.Errorf("%d lines in the history, accepted at %v and %v", n, u.TermsAccepted, again.TermsAccepted)
		}
		if p := b.accepts(first); !strings.Contains(b.follow(p).Body, "Already finished") {
			s.Errorf("a form of a request that is finished: %d", p.StatusCode)
		}
	}, quickKeys, withTerms)
}

// One tab is about to store what the other stores first.
func TestTermsAcceptedAtTheSameMomentAreToldOfOnce(t *testing.T) {
	m := correspond(t, "memory", withTerms)
	m.client()
	subject := m.user("ada@example.com")
	b := m.browser("ada@example.com")
	p := b.askedForTerms(nil)
	var first *storage.User
	m.before("UpdateUser", func() {
		m.wants(b.accepts(p), http.StatusSeeOther)
		first = m.account("ada@example.com")
		m.Clock.Advance(time.Second)
	})
	p = m.wants(b.accepts(p), http.StatusSeeOther)
	if u := m.account("ada@example.com"); m.timesAccepted(subject) != 1 || !u.TermsAccepted.Equal(first.TermsAccepted) {
		t.Errorf("%d lines in the history, accepted at %v and %v", m.timesAccepted(subject), first.TermsAccepted, u.TermsAccepted)
	}
	b.codeFrom(m.at(p))
}

func TestAccountPageIsNeverBehindTheTerms(t *testing.T) {
	m := correspond(t, "memory", withTerms)
	m.client()
	subject := m.user("ada@example.com")
	b := m.browser("ada@example.com")
	p := b.follow(b.get(m.URL + "/account"))
	if p = b.follow(b.submit(p, "login", adasPassword)); p.StatusCode != http.StatusOK || p.Request.URL.Path != "/account" {
		t.Fatalf("a sign-in to the account leads to %s: %d", p.Request.URL, p.StatusCode)
	}
	for _, path := range []string{"/account", "/account/profile", "/account/security", "/account/sessions", "/account/activity", "/account/apps", "/account/data"} {
		m.wants(b.get(m.URL+path), http.StatusOK)
	}
	if p := b.ask("/account/data", "download", nil); p.StatusCode != http.StatusOK || !strings.Contains(p.Body, subject) {
		t.Errorf("the data: %d %s", p.StatusCode, cut(p.Body))
	}
	p = b.ask("/account/data", "delete", url.Values{"confirm": {"ada@example.com"}})
	if _, err := m.Store.User(t.Context(), subject); err == nil {
		t.Errorf("the account is still there: %d %s", p.StatusCode, cut(p.Body))
	}
}

// Whoever makes an account accepts the terms there, and is not asked once more on the way back to the app.
func TestTermsOfASignUpAreNotAskedTwice(t *testing.T) {
	m := correspond(t, "memory", withTerms)
	m.client()
	b := m.browser("")
	p := b.follow(b.get(m.authorizeURL(url.Values{"prompt": {"create"}})))
	m.wants(b.submit(p, "signup", url.Values{"email": {"ada@example.com"}, "name": {"Ada"}, "password": {password}, "terms": {"1"}}), http.StatusOK)
	p = b.follow(b.press(m.link("ada@example.com", "signup"), "confirm", nil))
	if !hasForm(p.Body, "consent") {
		t.Errorf("%d %s", p.StatusCode, visible(t, p.Body))
	}
}
