package provider_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/memory"
)

// Storage failures (ruling 33): every endpoint and page says so with 503, or by a redirect once the client is proven; nothing is answered with success that
// is not stored, and what was begun can be finished or begun anew afterwards.

// fault makes one operation of a memory store fail while it is set.
type fault struct {
	op  atomic.Value // string
	hit atomic.Int64
}

var errDisk = errors.New("disk on fire")

func faulty(t *testing.T) (*server, *fault) {
	f := &fault{}
	f.op.Store("")
	return startAs(t, "memory", func(s *server) {
		s.Idle = true
		s.Store.(*memory.Store).Fault = func(op string) error {
			if broken := f.op.Load().(string); broken == op || broken == "*" {
				f.hit.Add(1)
				return errDisk
			}
			return nil
		}
	}), f
}

// during makes op fail while do runs, and tells whether it was asked for.
func (f *fault) during(op string, do func()) bool {
	f.hit.Store(0)
	f.op.Store(op)
	defer f.op.Store("")
	do()
	return f.hit.Load() > 0
}

// wantDownPage demands the page of a failure.
func (s *server) wantDownPage(p page) {
	s.Helper()
	s.wantPage(p, http.StatusServiceUnavailable)
	if p.Header.Get("Retry-After") == "" || strings.Contains(p.Body, errDisk.Error()) {
		s.Errorf("Retry-After %q: %s", p.Header.Get("Retry-After"), cut(p.Body))
	}
}

// wantDown demands the JSON of a failure.
func (s *server) wantDown(a answer) {
	s.Helper()
	s.wantError(a, http.StatusServiceUnavailable, "temporarily_unavailable")
	if a.Header.Get("Retry-After") == "" || strings.Contains(a.Raw, errDisk.Error()) || strings.Contains(a.Raw, "_token") {
		s.Errorf("Retry-After %q: %s", a.Header.Get("Retry-After"), a.Raw)
	}
}

func TestStorageFailureAtAuthorize(t *testing.T) {
	s, f := faulty(t)
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	// Before the client is proven: a page.
	var p page
	if f.during("Client", func() { p = b.get(s.authorizeURL(nil)) }) {
		s.wantDownPage(p)
	} else {
		t.Error("the client was never read")
	}
	if f.during("CreateInteraction", func() {
		p = b.post(s.URL+"/oauth2/authorize", url.Values{"client_id": {"app"}, "redirect_uri": {callback}})
	}) {
		s.wantDownPage(p)
	}
	b.code(nil)
	// After it: the client is told, and the next try works.
	stranger := s.browser("ada@example.com")
	for op, ask := range map[string]func() page{
		"SessionByCookie":   func() page { return b.get(s.authorizeURL(nil)) },
		"Consent":           func() page { return b.get(s.authorizeURL(nil)) },
		"CreateToken":       func() page { return b.get(s.authorizeURL(nil)) },
		"CreateInteraction": func() page { return stranger.get(s.authorizeURL(nil)) },
	} {
		t.Run(op, func(t *testing.T) {
			s := s.on(t)
			var p page
			if !f.during(op, func() { p = ask() }) {
				t.Fatal("the operation was not needed")
			}
			s.wantRedirect(p, "temporarily_unavailable")
			if b.code(nil) == "" {
				t.Error("no code afterwards")
			}
		})
	}
	p = page{}
	if f.during("SessionByCookie", func() { p = b.get(s.authorizeURL(url.Values{"prompt": {"none"}})) }) {
		s.wantRedirect(p, "temporarily_unavailable")
	}
	t.Run("TouchSession", func(t *testing.T) {
		s := s.on(t)
		s.Clock.Advance(2 * time.Minute)
		var p page
		if !f.during("TouchSession", func() { p = b.get(s.authorizeURL(nil)) }) {
			t.Fatal("the operation was not needed")
		}
		s.wantRedirect(p, "temporarily_unavailable")
		b.code(nil)
	})
}

// A sign-in and a consent are broken at every operation in turn, and then finished by the same browser.
func TestStorageFailureInEveryStepOfASignIn(t *testing.T) {
	s, f := faulty(t)
	s.client()
	n := 0
	for _, step := range []struct {
		name string
		ops  []string
		// reach brings a browser to the step and returns what to send there.
		reach func(b *browser) func() page
	}{
		{"sign-in page", []string{"Interaction"}, func(b *browser) func() page {
			at := b.get(s.authorizeURL(nil)).Header.Get("Location")
			return func() page { return b.get(s.URL + at) }
		}},
		{"sign-in", []string{"Interaction", "Rate", "UserByLogin", "CreateSession", "UpdateInteraction"}, func(b *browser) func() page {
			p := s.signIn(b)
			return func() page { return b.submit(p, "login", url.Values{"username": {b.User}, "password": {password}}) }
		}},
		{"failed sign-in", []string{"Interaction", "Rate", "UserByLogin", "SwapRate"}, func(b *browser) func() page {
			p := s.signIn(b)
			return func() page { return b.submit(p, "login", url.Values{"username": {b.User}, "password": {"wrong"}}) }
		}},
		{"consent page", []string{"Interaction", "SessionByCookie"}, func(b *browser) func() page {
			at := b.toConsent()
			return func() page { return b.get(at) }
		}},
		{"consent", []string{"Interaction", "SessionByCookie", "GrantConsent", "UpdateInteraction"}, func(b *browser) func() page {
			p := b.get(b.toConsent())
			return func() page { return b.submit(p, "consent", url.Values{"decision": {"allow"}}) }
		}},
		{"denial", []string{"UpdateInteraction"}, func(b *browser) func() page {
			p := b.get(b.toConsent())
			return func() page { return b.submit(p, "consent", url.Values{"decision": {"deny"}}) }
		}},
		{"return with the consent", []string{"Interaction"}, func(b *browser) func() page {
			p := b.get(b.toConsent())
			at := b.submit(p, "consent", url.Values{"decision": {"allow"}}).Header.Get("Location")
			return func() page { return b.get(s.URL + at) }
		}},
		{"account page", []string{"SessionByCookie", "ConsentsOf", "GrantsOf", "Notices"}, func(b *browser) func() page {
			b.code(nil)
			return func() page { return b.get(s.URL + "/account") }
		}},
		{"account page of nobody", []string{"CreateInteraction"}, func(b *browser) func() page {
			return func() page { return b.get(s.URL + "/account") }
		}},
		{"sign-out", []string{"SessionByCookie", "SessionClients", "EndSession"}, func(b *browser) func() page {
			b.code(nil)
			p := b.get(s.URL + "/account")
			return func() page { return b.submit(p, "logout", nil) }
		}},
		{"disconnecting", []string{"SessionByCookie", "RevokeConsent"}, func(b *browser) func() page {
			b.code(nil)
			_, fields := readForm(t, b.get(s.URL+"/account").Body, "logout")
			return func() page { return b.post(s.URL+"/account/disconnect", with(fields, "client_id", "app")) }
		}},
		{"dismissing", []string{"DismissNotice"}, func(b *browser) func() page {
			b.code(nil)
			_, fields := readForm(t, b.get(s.URL+"/account").Body, "logout")
			return func() page { return b.post(s.URL+"/account/dismiss", with(fields, "notice", "1")) }
		}},
	} {
		for _, op := range step.ops {
			t.Run(step.name+" "+op, func(t *testing.T) {
				s := s.on(t)
				n++
				email := "user" + strings.Repeat("x", n) + "@example.com"
				subject := s.user(email)
				b := s.browser(email)
				send := step.reach(b)
				sessions, consented := s.sessions(subject), s.hasConsent(subject)
				var p page
				if !f.during(op, func() { p = send() }) {
					t.Fatal("the operation was not needed")
				}
				s.wantDownPage(p)
				lasts := op == "UpdateInteraction" // the step before it is complete, and is not undone
				if !lasts && (s.sessions(subject) != sessions || s.hasConsent(subject) != consented) {
					t.Errorf("%d sessions and consent %v, before the failure %d and %v", s.sessions(subject), s.hasConsent(subject), sessions, consented)
				}
				if p = send(); p.StatusCode >= 500 {
					t.Errorf("the same request afterwards: %d %s", p.StatusCode, cut(p.Body))
				}
				if a := s.redeem(b.code(nil)); a.Status != http.StatusOK {
					t.Errorf("no tokens afterwards: %d %s", a.Status, a.Raw)
				}
			})
		}
	}
}

// toConsent brings a new user's browser to the consent page and returns its address.
func (b *browser) toConsent() string {
	b.s.Helper()
	p := b.submit(b.s.signIn(b), "login", url.Values{"username": {b.User}, "password": {password}})
	return b.s.URL + b.get(b.s.URL+p.Header.Get("Location")).Header.Get("Location")
}

// When the last step cannot be written, the client is told, the code does not exist, and the same browser gets one at the next try.
func TestStorageFailureAtTheEndOfAnInteraction(t *testing.T) {
	for _, op := range []string{"SessionByCookie", "Consent", "ConsumeInteraction", "CreateToken"} {
		t.Run(op, func(t *testing.T) {
			s, f := faulty(t)
			s.client()
			s.user("ada@example.com")
			b := s.browser("ada@example.com")
			p := b.get(b.toConsent())
			at := b.submit(p, "consent", url.Values{"decision": {"allow"}}).Header.Get("Location")
			if !f.during(op, func() { p = b.get(s.URL + at) }) {
				t.Fatal("the operation was not needed")
			}
			s.wantRedirect(p, "temporarily_unavailable")
			again := b.get(s.URL + at)
			if op == "CreateToken" { // the interaction is used up; the client begins anew
				s.wantPage(again, http.StatusOK, "Already finished")
			} else if s.wantCode(s.sentTo(again, callback), "af0ifjsldkj") == "" {
				t.Error("the same interaction gives no code afterwards")
			}
			if s.redeem(b.code(url.Values{"prompt": {"none"}})).Status != http.StatusOK {
				t.Error("no tokens afterwards")
			}
		})
	}
}

func TestStorageFailureLeavesCodeAndRefreshTokenUsable(t *testing.T) {
	for _, format := range []string{"jwt", "opaque"} {
		t.Run(format, func(t *testing.T) {
			s, f := faulty(t)
			s.client(func(c *storage.Client) {
				c.AccessToken, c.GrantTypes = format, append(c.GrantTypes, "client_credentials")
			})
			s.user("ada@example.com")
			b := s.browser("ada@example.com")
			code := b.code(nil)
			var a answer
			for _, op := range []string{"Token", "ExchangeToken"} {
				if !f.during(op, func() { a = s.redeem(code) }) {
					t.Fatalf("%s was not needed for the code", op)
				}
				s.wantDown(a)
			}
			a = s.redeem(code)
			if a.Status != http.StatusOK {
				t.Fatalf("the code died of the failure: %d %s", a.Status, a.Raw)
			}
			token := a.Str("refresh_token")
			for _, op := range []string{"Token", "ExchangeToken"} {
				if !f.during(op, func() { a = s.refresh(token) }) {
					t.Fatalf("%s was not needed for the refresh token", op)
				}
				s.wantDown(a)
			}
			a = s.refresh(token)
			if a.Status != http.StatusOK || a.Str("refresh_token") == token {
				t.Fatalf("the refresh token died of the failure: %d %s", a.Status, a.Raw)
			}
			// A replay that cannot be punished is not answered as if it had been.
			var replay answer
			if !f.during("RevokeTokens", func() { replay = s.redeem(code) }) {
				t.Fatal("a replay revokes nothing")
			}
			s.wantDown(replay)
			s.wantError(s.redeem(code), http.StatusBadRequest, "invalid_grant")
			s.wantError(s.refresh(a.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
			if format == "opaque" {
				if !f.during("CreateToken", func() {
					a = s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"profile"}})
				}) {
					t.Fatal("an opaque token needs no row")
				}
				s.wantDown(a)
			}
		})
	}
}

func TestStorageFailureAtTheOtherEndpoints(t *testing.T) {
	s, f := faulty(t)
	s.client()
	s.client(func(c *storage.Client) {
		c.ID, c.AccessToken, c.LogoURI = "opaque", "opaque", "https://rp.example/logo.png"
	})
	s.user("ada@example.com")
	a := s.tokens(nil)
	b := s.browser("ada@example.com")
	opaque := s.redeem(b.code(url.Values{"client_id": {"opaque"}}), as("opaque", clientSecret))
	for _, c := range []struct {
		name, op string
		ask      func() answer
	}{
		{"userinfo", "User", func() answer { return s.userinfo(a.Str("access_token")) }},
		{"userinfo with an opaque token", "Token", func() answer { return s.userinfo(opaque.Str("access_token")) }},
		{"introspection of a refresh token", "Token", func() answer { return s.introspect(a.Str("refresh_token")) }},
		{"introspection of an opaque token", "Token", func() answer { return s.introspect(opaque.Str("access_token"), as("opaque", clientSecret)) }},
		{"revocation of an access token", "RevokeTokens", func() answer { return s.post("/oauth2/revoke", url.Values{"token": {a.Str("access_token")}}) }},
		{"revocation of a refresh token", "Token", func() answer { return s.post("/oauth2/revoke", url.Values{"token": {a.Str("refresh_token")}}) }},
		{"revocation of a refresh token", "RevokeTokens", func() answer { return s.post("/oauth2/revoke", url.Values{"token": {a.Str("refresh_token")}}) }},
		{"an unknown client", "ClientUpdated", func() answer { return s.introspect("x", as("unknown", "x")) }},
		{"a wrong secret", "ClientUpdated", func() answer { return s.introspect("x", as("app", "x")) }},
		{"a code for an unknown client", "ClientUpdated", func() answer { return s.redeem("x", as("unknown", "x")) }},
	} {
		t.Run(c.name+" "+c.op, func(t *testing.T) {
			s := s.on(t)
			var got answer
			if !f.during(c.op, func() { got = c.ask() }) {
				t.Fatal("the operation was not needed")
			}
			s.wantDown(got)
			if strings.Contains(got.Raw, "active") {
				t.Errorf("a failure says whether the token is active: %s", got.Raw)
			}
		})
	}
	for _, token := range []string{a.Str("access_token"), a.Str("refresh_token")} {
		if got := s.introspect(token); got.JSON["active"] != true {
			t.Errorf("a failed revocation revoked: %s", got.Raw)
		}
	}
	if got := s.post("/oauth2/revoke", url.Values{"token": {a.Str("refresh_token")}}); got.Status != http.StatusOK {
		t.Errorf("revocation afterwards: %d", got.Status)
	}
	for _, token := range []string{a.Str("access_token"), a.Str("refresh_token")} {
		if got := s.introspect(token); got.Raw != `{"active":false}` {
			t.Errorf("after the revocation: %s", got.Raw)
		}
	}
	if f.during("Logo", func() {
		if p := b.get(s.URL + "/client-logo/opaque"); p.StatusCode != http.StatusServiceUnavailable || p.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("logo: %d %q", p.StatusCode, p.Header.Get("Cache-Control"))
		}
	}); f.hit.Load() == 0 {
		t.Error("no logo was read")
	}
	f.during("Ping", func() {
		if p := s.bare("GET", "/readyz", ""); p.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("readyz: %d", p.StatusCode)
		}
		if p := s.bare("GET", "/healthz", ""); p.StatusCode != http.StatusOK {
			t.Errorf("healthz: %d", p.StatusCode)
		}
	})
}

// A store that is gone altogether: tokens whose state cannot be known are not vouched for, what needs no store goes on for a while.
func TestStoreThatIsGone(t *testing.T) {
	s, f := faulty(t)
	s.client(func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
	s.user("ada@example.com")
	a := s.tokens(nil)
	machine := func() answer {
		return s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"profile"}})
	}
	f.during("*", func() {
		if got := machine(); got.Status != http.StatusOK {
			t.Errorf("client_credentials with a copy of the client: %d %s", got.Status, got.Raw)
		}
		if got := s.introspect(a.Str("access_token")); got.JSON["active"] != true {
			t.Errorf("introspection at once: %s", got.Raw)
		}
		s.Clock.Advance(6 * time.Second)
		s.wantDown(s.introspect(a.Str("access_token")))
		s.wantDown(s.userinfo(a.Str("access_token")))
		s.wantDown(s.post("/oauth2/revoke", url.Values{"token": {a.Str("access_token")}}))
		if p := s.bare("GET", "/readyz", ""); p.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("readyz: %d", p.StatusCode)
		}
		if got := machine(); got.Status != http.StatusOK {
			t.Errorf("client_credentials after 6 s: %d %s", got.Status, got.Raw)
		}
		s.Clock.Advance(time.Minute)
		s.wantDown(machine())
		for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/jwks.json", "/healthz"} {
			if p := s.bare("GET", path, ""); p.StatusCode != http.StatusOK {
				t.Errorf("%s: %d", path, p.StatusCode)
			}
		}
	})
	if got := machine(); got.Status != http.StatusOK {
		t.Errorf("client_credentials afterwards: %d %s", got.Status, got.Raw)
	}
	if !strings.Contains(s.Log.String(), errDisk.Error()) {
		t.Error("the log does not say what is wrong")
	}
}
