package provider_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
	"gatehouse/storage/sqlite"
	"gatehouse/storage/sqlite/sqlitetest"
)

// The cost model of the design: statements on a request's path, except BEGIN and COMMIT. The servers here run no background jobs, and their clock stands
// still, so that every statement seen belongs to the request under test and no session needs its last use written.

// tracer notes the statements of a store.
type tracer struct {
	mu         sync.Mutex
	statements []string
}

func (c *tracer) trace(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statements = append(c.statements, strings.Join(strings.Fields(text), " "))
}

// during returns the statements of do.
func (c *tracer) during(do func()) []string {
	c.mu.Lock()
	c.statements = nil
	c.mu.Unlock()
	do()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statements
}

// writing is what makes a WITH more than a read.
var writing = regexp.MustCompile(`\b(INSERT|UPDATE|DELETE)\b`)

// reads counts the statements that change nothing.
func reads(statements []string) int {
	n := 0
	for _, text := range statements {
		if strings.HasPrefix(text, "SELECT ") || strings.HasPrefix(text, "WITH RECURSIVE ") && !writing.MatchString(text) {
			n++
		}
	}
	return n
}

// onCountedStores runs a test on both SQL stores with a client "app" and the user ada, who is signed in in b and has allowed the client.
func onCountedStores(t *testing.T, test func(s *server, c *tracer, b *browser), changes ...func(*storage.Client)) {
	for _, backend := range []string{"sqlite", "postgres"} {
		t.Run(backend, func(t *testing.T) {
			c, now := &tracer{}, time.Now()
			frozen := func() time.Time { return now }
			options := storage.Options{Now: frozen, RevocationTTL: provider.RevocationTTL(testTokens, nil)}
			s := &server{T: t, Log: &webtest.Log{}, Clock: &webtest.Clock{}, Idle: true}
			var err error
			if backend == "sqlite" {
				s.Store, err = sqlite.Open(t.Context(), sqlite.Options{Path: sqlitetest.Migrated(t), Options: options, AutoMigrate: true, Trace: c.trace})
			} else {
				s.Store, err = postgres.Open(t.Context(), postgres.Options{URL: postgrestest.StartMigrated(t), Options: options, AutoMigrate: true, Trace: c.trace})
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Store.Close() })
			s.boot(everything, withTerms, func(o *provider.Options) { o.Now = frozen })
			s.client(changes...)
			s.user("ada@example.com", accepted("2026-01"))
			b := s.browser("ada@example.com")
			s.redeem(b.code(nil)) // fills the copies of the client
			test(s, c, b)
		})
	}
}

// wantStatements demands at most so many reads and other statements.
func wantStatements(t *testing.T, what string, got []string, maxReads, maxWrites int) {
	t.Helper()
	if r := reads(got); r > maxReads || len(got)-r > maxWrites {
		t.Errorf("%s costs %d reads and %d writes, at most %d and %d are due:\n%s", what, r, len(got)-r, maxReads, maxWrites, strings.Join(got, "\n"))
	}
}

func TestClientCredentialsCostNoStatement(t *testing.T) {
	onCountedStores(t, func(s *server, c *tracer, _ *browser) {
		var a answer
		got := c.during(func() {
			a = s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"profile"}})
		})
		if a.Status != http.StatusOK || len(got) != 0 {
			s.Errorf("%d %s, statements %q", a.Status, a.Raw, got)
		}
	}, func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
}

func TestCodeFlowStatements(t *testing.T) {
	onCountedStores(t, func(s *server, c *tracer, b *browser) {
		var code string
		got := c.during(func() { code = b.code(url.Values{"prompt": {"none"}}) })
		wantStatements(s.T, "authorize with a session", got, 2, 1)
		var a answer
		got = c.during(func() { a = s.redeem(code) })
		if a.Status != http.StatusOK {
			s.Fatalf("%d %s", a.Status, a.Raw)
		}
		wantStatements(s.T, "the exchange of a code", got, 1, 2)
		got = c.during(func() { a = s.refresh(a.Str("refresh_token")) })
		if a.Status != http.StatusOK {
			s.Fatalf("%d %s", a.Status, a.Raw)
		}
		wantStatements(s.T, "a refresh", got, 1, 2)
		var again answer
		got = c.during(func() { again = s.introspect(a.Str("access_token")) })
		if again.JSON["active"] != true || len(got) != 0 {
			s.Errorf("introspecting a JWT: %s, statements %q", again.Raw, got)
		}
		got = c.during(func() { again = s.introspect(a.Str("refresh_token")) })
		if again.JSON["active"] != true {
			s.Errorf("introspecting a refresh token: %s", again.Raw)
		}
		wantStatements(s.T, "introspecting a refresh token", got, 1, 0)
		got = c.during(func() { again = s.userinfo(a.Str("access_token")) })
		if again.Status != http.StatusOK {
			s.Errorf("userinfo: %d %s", again.Status, again.Raw)
		}
		wantStatements(s.T, "userinfo", got, 1, 0)
	})
}

func TestFrontChannelStatements(t *testing.T) {
	onCountedStores(t, func(s *server, c *tracer, b *browser) {
		claims := []string{`{"userinfo":{"name":null},"id_token":{"email":null}}`}
		for responseType, writes := range map[string]int{"id_token": 0, "id_token token": 0, "code id_token": 1, "code token": 1, "code id_token token": 1} {
			var p page
			got := c.during(func() {
				p = b.get(s.authorizeURL(url.Values{"response_type": {responseType}, "prompt": {"none"}, "claims": claims}))
			})
			s.wantAnswer(p, "fragment", "")
			wantStatements(s.T, responseType, got, 2, writes)
		}
	}, frontChannel)
}

func TestOpaqueTokensCostOneInsertMore(t *testing.T) {
	onCountedStores(t, func(s *server, c *tracer, b *browser) {
		code := b.code(nil)
		var a, again answer
		got := c.during(func() { a = s.redeem(code) })
		if a.Status != http.StatusOK || !strings.HasPrefix(a.Str("access_token"), "gth_at_") {
			s.Fatalf("%d %s", a.Status, a.Raw)
		}
		wantStatements(s.T, "the exchange of a code for an opaque token", got, 1, 3)
		got = c.during(func() { again = s.introspect(a.Str("access_token")) })
		if again.JSON["active"] != true {
			s.Errorf("introspection: %s", again.Raw)
		}
		wantStatements(s.T, "introspecting an opaque token", got, 1, 0)
		got = c.during(func() { again = s.userinfo(a.Str("access_token")) })
		if again.Status != http.StatusOK {
			s.Errorf("userinfo: %d %s", again.Status, again.Raw)
		}
		wantStatements(s.T, "userinfo with an opaque token", got, 1, 0)
	}, func(c *storage.Client) { c.AccessToken = "opaque" })
}

// Refused tokens must not be dearer than good ones, and junk costs nothing (ruling 16).
func TestJunkTokensCostNoStatement(t *testing.T) {
	onCountedStores(t, func(s *server, c *tracer, _ *browser) {
		junk := "gth_rt_" + strings.Repeat("A", 49)
		for name, do := range map[string]func() answer{
			"refresh token with a bad checksum": func() answer { return s.refresh(junk) },
			"code with a bad checksum":          func() answer { return s.redeem("gth_ac_" + strings.Repeat("A", 49)) },
			"access token":                      func() answer { return s.userinfo("gth_at_" + strings.Repeat("A", 49)) },
			"unsigned JWT":                      func() answer { return s.userinfo("eyJhbGciOiJub25lIn0.e30.") },
			"introspection":                     func() answer { return s.introspect(junk) },
			"revocation":                        func() answer { return s.post("/oauth2/revoke", url.Values{"token": {junk}}) },
			"discovery": func() answer {
				r, _ := http.NewRequest("GET", s.URL+"/.well-known/openid-configuration", nil)
				return s.send(r)
			},
			"keys": func() answer { r, _ := http.NewRequest("GET", s.URL+"/.well-known/jwks.json", nil); return s.send(r) },
		} {
			if got := c.during(func() { do() }); len(got) != 0 {
				s.Errorf("%s: statements %q", name, got)
			}
		}
	})
}

// A first sign-in: the request is saved, the form shown, the password tried, the consent asked and stored, the code issued.
func TestSignInStatements(t *testing.T) {
	onCountedStores(t, func(s *server, c *tracer, _ *browser) {
		s.user("bob@example.com", accepted("2026-01"))
		b := s.browser("bob@example.com")
		var p page
		follow := func() {
			location, err := p.Location()
			if err != nil {
				s.Fatalf("%d %s", p.StatusCode, p.Body)
			}
			next := p.Request.URL.ResolveReference(location)
			p = b.get(next.String())
		}
		step := func(what string, maxReads, maxWrites int, do func()) {
			s.Helper()
			wantStatements(s.T, what, c.during(do), maxReads, maxWrites)
		}
		step("authorize without a session", 0, 1, func() { p = b.get(s.authorizeURL(nil)) })
		step("the sign-in page", 1, 0, follow)
		// The interaction, the limits of address, network and account before the hash and after it, the user; then the session, the interaction
		// pinned to the user, and the line in the user's history, with the oldest one taken away.
		step("a sign-in", 9, 4, func() {
			p = b.submit(p, "login", url.Values{"username": {"bob@example.com"}, "password": {password}})
		})
		step("the way back", 3, 0, follow)
		step("the consent page", 2, 0, follow)
		step("the consent", 3, 3, func() { p = b.submit(p, "consent", url.Values{"decision": {"allow"}}) })
		step("the first code of a client in a session, which is noted", 3, 3, follow)
		step("the next code", 2, 1, func() { p = b.get(s.authorizeURL(nil)) })
		if !strings.HasPrefix(p.Header.Get("Location"), callback+"?code=") {
			s.Errorf("the flow ends at %d %s", p.StatusCode, p.Body)
		}
	})
}

// An assertion is remembered, so that it works once, and nothing else of it costs a statement.
func TestAssertionsCostOneInsert(t *testing.T) {
	onCountedStores(t, func(s *server, c *tracer, _ *browser) {
		key := newAssertionKeys(s.T)
		s.daemon(key.register("keyed"))
		secret := s.secretClient("robot")
		for name, sign := range map[string]func() string{
			"private_key_jwt": func() string { return key.sign(s, "keyed") }, "client_secret_jwt": func() string { return macSign(s, "HS256", secret, "robot") },
		} {
			s.wantOK(s.asserted(sign())) // fills the copies of the client
			assertion := sign()
			var a answer
			got := c.during(func() { a = s.asserted(assertion) })
			s.wantOK(a)
			wantStatements(s.T, name, got, 0, 1)
		}
	})
}
