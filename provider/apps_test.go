package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
)

// lastUsed tells whether the page of connected apps says that the app, which is the only one, was last used at a time.
func (s *server) lastUsed(b *browser, at time.Time) bool {
	s.Helper()
	_, line, found := strings.Cut(b.walk(s.URL+"/account/apps").Body, `<li class="row row-top">`)
	line, _, _ = strings.Cut(line, "</li>")
	return found && strings.Contains(line, "Example App") && strings.Contains(line, `sed <time datetime="`+at.UTC().Format(time.RFC3339)+`"`)
}

// Row 50 for a client whose users are not asked: nothing but its tokens tells that it has access.
func TestRow50FirstPartyAppIsSeenUsedAndDisconnected(t *testing.T) {
	for _, backend := range []string{"memory", "sqlite"} {
		for format, change := range map[string]func(*storage.Client){"jwt": func(*storage.Client) {}, "opaque": func(c *storage.Client) { c.AccessToken = "opaque" }} {
			t.Run(backend+" "+format, func(t *testing.T) {
				s := start(t, backend)
				s.Clock.Hold()
				subject := s.user("ada@example.com")
				s.client(change, func(c *storage.Client) { c.FirstParty = true })
				b := s.browser("ada@example.com")
				a := s.wantOK(s.redeem(b.code(url.Values{"scope": {"openid email offline_access"}})))
				if s.hasConsent(subject) || !s.lastUsed(b, s.Clock.Now()) {
					t.Fatal("there is a consent, or the app is not listed")
				}
				s.Clock.Advance(5 * time.Minute)
				if s.lastUsed(b, s.Clock.Now()) {
					t.Fatal("the app was used without doing anything")
				}
				b.code(url.Values{"prompt": {"none"}})
				if !s.lastUsed(b, s.Clock.Now()) {
					t.Error("single sign-on is no use")
				}
				s.Clock.Advance(20 * time.Hour) // nobody is signed in
				a = s.wantOK(s.refresh(a.Str("refresh_token")))
				if !s.lastUsed(b, s.Clock.Now()) {
					t.Error("a refresh is no use")
				}
				_, fields := readForm(t, b.get(s.URL+"/account").Body, "logout")
				if p := b.post(s.URL+"/account/disconnect", with(fields, "client_id", "app")); p.StatusCode != http.StatusSeeOther {
					t.Fatalf("disconnecting: %d", p.StatusCode)
				}
				s.wantDead(a.Str("refresh_token"), a.Str("access_token"))
				if p := b.get(s.URL + "/account/apps"); !strings.Contains(p.Body, "No app has access") || s.hasConsent(subject) {
					t.Error("the app is listed still, or a consent was made")
				}
			})
		}
	}
}

// Nothing that an app does makes the pages that list it dearer.
func TestConnectedAppsStatements(t *testing.T) {
	onCountedStores(t, func(s *server, c *tracer, b *browser) {
		for _, offline := range []string{"openid", "openid email offline_access"} {
			s.wantOK(s.redeem(b.code(url.Values{"scope": {offline}})))
			// The session, the consents, what clients have, the history.
			var p page
			got := c.during(func() { p = b.get(s.URL + "/account/apps") })
			if p.StatusCode != http.StatusOK || !strings.Contains(p.Body, "Example App") {
				s.Fatalf("%d %s", p.StatusCode, p.Body)
			}
			wantStatements(s.T, "the page of apps", got, 4, 0)
			// The session, notices, factors, sessions, consents and what clients have.
			got = c.during(func() { p = b.get(s.URL + "/account") })
			if p.StatusCode != http.StatusOK {
				s.Fatalf("%d %s", p.StatusCode, p.Body)
			}
			wantStatements(s.T, "the overview", got, 6, 0)
		}
	})
}

// Row 50: what was allowed on a page that is still open in another tab is taken back with the rest.
func TestRow50DisconnectTakesBackAnAnswerThatIsUnderWay(t *testing.T) {
	for _, backend := range []string{"memory", "sqlite"} {
		t.Run(backend, func(t *testing.T) {
			s := start(t, backend, quickKeys)
			subject := s.user("ada@example.com")
			s.client()
			b := s.browser("ada@example.com")
			question := b.follow(b.submit(b.follow(b.get(s.authorizeURL(nil))), "login", adasPassword))
			answered := b.submit(question, "consent", url.Values{"decision": {"allow"}})
			if answered.StatusCode != http.StatusSeeOther || !s.hasConsent(subject) {
				t.Fatalf("%d: nothing was allowed", answered.StatusCode)
			}
			_, fields := readForm(t, b.get(s.URL+"/account").Body, "logout")
			if p := b.post(s.URL+"/account/disconnect", with(fields, "client_id", "app")); p.StatusCode != http.StatusSeeOther {
				t.Fatalf("disconnecting: %d", p.StatusCode)
			}
			if p := b.follow(b.get(s.at(answered))); !hasForm(p.Body, "consent") {
				t.Errorf("the app has access again, and nobody was asked: %d to %q", p.StatusCode, p.Header.Get("Location"))
			}
			if s.hasConsent(subject) {
				t.Error("the consent is back")
			}
		})
	}
}
