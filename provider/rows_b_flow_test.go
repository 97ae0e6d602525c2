package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider"
	"gatehouse/provider/client"
	"gatehouse/provider/oauth"
	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

// Section B, second part: hints, interactions, consent, and what changes while a page is open.

// forge signs claims with a key that is not the server's, under the header given.
func forge(t *testing.T, alg jose.SignatureAlgorithm, key any, header map[string]any, claims map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for name, value := range header {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// joseHeader reads the header of a JWT.
func joseHeader(t *testing.T, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token[:strings.IndexByte(token, '.')])
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	return header
}

func TestRow23IDTokenHint(t *testing.T) {
	s := start(t, "memory", longSessions)
	s.client()
	s.client(func(c *storage.Client) { c.ID = "other" })
	s.user("ada@example.com")
	s.user("bob@example.com")
	ada, bob := s.browser("ada@example.com"), s.browser("bob@example.com")
	adas, bobs := s.redeem(ada.code(nil)), s.redeem(bob.code(nil))
	t.Run("row 23 A14 own hint", func(t *testing.T) {
		s := s.on(t)
		for _, prompt := range []string{"none", ""} {
			s.wantCode(s.sentTo(ada.get(s.authorizeURL(url.Values{"id_token_hint": {adas.Str("id_token")}, "prompt": {prompt}})), callback), "af0ifjsldkj")
		}
	})
	t.Run("row 23 A14 another user's hint", func(t *testing.T) {
		s := s.on(t)
		ada.silent(s, url.Values{"id_token_hint": {bobs.Str("id_token")}}, "login_required")
		s.browser("").silent(s, url.Values{"id_token_hint": {bobs.Str("id_token")}}, "login_required")
		// With pages allowed the person may sign in as the other user; if they do not, the client is told.
		again := s.browser("ada@example.com")
		again.code(nil)
		again.Pages = nil
		s.wantRedirect(again.walk(s.authorizeURL(url.Values{"id_token_hint": {bobs.Str("id_token")}})), "login_required")
		if got := strings.Join(again.Pages, " "); got != "login" {
			t.Errorf("pages %q", got)
		}
		again.User = "bob@example.com"
		code := s.wantCode(s.sentTo(again.walk(s.authorizeURL(url.Values{"id_token_hint": {bobs.Str("id_token")}})), callback), "af0ifjsldkj")
		if id := jwtPayload(t, s.redeem(code).Str("id_token")); id["sub"] != "sub-bob-example-com" {
			t.Errorf("sub %v", id["sub"])
		}
	})
	good := adas.Str("id_token")
	header, claims := joseHeader(t, good), jwtPayload(t, good)
	kid := map[string]any{"kid": header["kid"], "typ": "JWT"}
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	encode := func(v any) string { raw, _ := json.Marshal(v); return base64.RawURLEncoding.EncodeToString(raw) }
	changed := func(name string, value any) string {
		other := jwtPayload(t, good)
		other[name] = value
		return parts[0] + "." + encode(other) + "." + parts[2]
	}
	embedded := map[string]any{"kid": header["kid"], "typ": "JWT", "jwk": jose.JSONWebKey{Key: foreign.Public()}}
	for name, hint := range map[string]string{
		"foreign RSA key":         forge(t, jose.RS256, foreign, kid, claims),
		"foreign EC key":          forge(t, jose.ES256, curve, kid, claims),
		"foreign key in jwk":      forge(t, jose.RS256, foreign, embedded, claims),
		"HMAC with the kid":       forge(t, jose.HS256, []byte(clientSecret), kid, claims),
		"HMAC with public key":    forge(t, jose.HS256, []byte(s.publicModulus(header["kid"].(string))), kid, claims),
		"alg none":                encode(map[string]any{"alg": "none", "typ": "JWT"}) + "." + parts[1] + ".",
		"alg NoNe with kid":       encode(map[string]any{"alg": "NoNe", "kid": header["kid"], "typ": "JWT"}) + "." + parts[1] + ".",
		"no signature":            parts[0] + "." + parts[1] + ".",
		"changed subject":         changed("sub", "sub-bob-example-com"),
		"changed issuer":          changed("iss", "https://evil.example"),
		"access token":            adas.Str("access_token"),
		"refresh token":           adas.Str("refresh_token"),
		"garbage":                 "x.y.z",
		"two parts":               parts[0] + "." + parts[1],
		"four parts":              good + ".x",
		"JSON form":               `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"padded":                  good + "=",
		"line break":              good[:20] + "\n" + good[20:],
		"a million dots, or what": strings.Repeat(".", 16<<10),
	} {
		t.Run("row 23 "+name, func(t *testing.T) {
			s := s.on(t)
			ada.silent(s, url.Values{"id_token_hint": {hint}}, "invalid_request")
			s.wantRedirect(s.browser("").get(s.authorizeURL(url.Values{"id_token_hint": {hint}})), "invalid_request")
		})
	}
	t.Run("row 23 A14 expired but genuine", func(t *testing.T) {
		s := s.on(t)
		s.advance(time.Hour)
		s.wantCode(s.sentTo(ada.get(s.authorizeURL(url.Values{"id_token_hint": {good}, "prompt": {"none"}})), callback), "af0ifjsldkj")
	})
	s.noSecrets(good, adas.Str("access_token"), adas.Str("refresh_token"))
}

// publicModulus returns n of a published RSA key, as the JWK Set writes it.
func (s *server) publicModulus(kid string) string {
	s.Helper()
	r, _ := http.NewRequest("GET", s.URL+"/.well-known/jwks.json", nil)
	a := s.send(r)
	list, _ := a.JSON["keys"].([]any)
	for _, entry := range list {
		if key := entry.(map[string]any); key["kid"] == kid {
			return key["n"].(string)
		}
	}
	s.Fatalf("key %s is not published: %s", kid, a.Raw)
	return ""
}

func TestRow27InteractionOfAnotherBrowser(t *testing.T) {
	s := start(t, "memory")
	s.client()
	attackerSubject := s.user("eve@example.com")
	victimSubject := s.user("ada@example.com")
	attacker := s.browser("eve@example.com")
	login := s.at(attacker.get(s.authorizeURL(nil)))
	id := strings.TrimPrefix(login, s.URL+"/login?interaction=")
	signedIn := s.browser("ada@example.com")
	signedIn.code(nil)
	unchanged := func(t *testing.T) {
		t.Helper()
		flow, err := s.Store.Interaction(t.Context(), id)
		if err != nil || flow.Subject != "" || len(flow.Proofs) != 0 || !flow.ConsumedAt.IsZero() {
			t.Errorf("the interaction has changed: %+v %v", flow, err)
		}
	}
	for name, victim := range map[string]*browser{"without cookies": s.browser("ada@example.com"), "with a session": signedIn} {
		for _, path := range []string{"/login", "/consent", "/oauth2/authorize"} {
			t.Run("row 27 GET "+path+" "+name, func(t *testing.T) {
				s.on(t).wantPage(victim.get(s.URL+path+"?interaction="+id), http.StatusForbidden, "another browser")
				unchanged(t)
			})
		}
		for path, values := range map[string]url.Values{"/login": {"username": {"ada@example.com"}, "password": {password}}, "/consent": {"decision": {"allow"}}} {
			t.Run("row 27 POST "+path+" "+name, func(t *testing.T) {
				values.Set("interaction", id)
				s.on(t).wantPage(victim.post(s.URL+path, values), http.StatusForbidden)
				unchanged(t)
			})
			t.Run("row 27 POST with a token of their own "+path+" "+name, func(t *testing.T) {
				own := victim.get(s.at(victim.get(s.authorizeURL(url.Values{"prompt": {"login"}}))))
				_, fields := readForm(t, own.Body, "login")
				values.Set("interaction", id)
				values.Set("csrf", fields.Get("csrf"))
				s.on(t).wantPage(victim.post(s.URL+path, values), http.StatusForbidden, "another browser")
				unchanged(t)
			})
		}
	}
	t.Run("row 27 the attacker's form token is of no use to the victim's browser", func(t *testing.T) {
		_, fields := readForm(t, attacker.get(login).Body, "login")
		fields.Set("username", "ada@example.com")
		fields.Set("password", password)
		s.on(t).wantPage(signedIn.post(s.URL+"/login", fields), http.StatusForbidden)
		unchanged(t)
	})
	t.Run("row 27 a GET changes nothing", func(t *testing.T) {
		for _, target := range []string{
			"/login?interaction=" + id + "&username=eve@example.com&password=" + url.QueryEscape(password), "/consent?interaction=" + id + "&decision=allow",
			"/consent?interaction=" + id + "&decision=deny", "/oauth2/authorize?interaction=" + id + "&consent=1&denied=1", "/login/restart?interaction=" + id,
		} {
			if p := attacker.get(s.URL + target); strings.Contains(p.Header.Get("Location"), "code=") {
				t.Errorf("%s gives a code", target)
			}
			unchanged(t)
		}
		for _, subject := range []string{attackerSubject, victimSubject} {
			if sessions, err := s.Store.SessionsOf(t.Context(), subject); err != nil || subject == attackerSubject && len(sessions) != 0 {
				t.Errorf("%s has sessions %v, %v", subject, sessions, err)
			}
		}
	})
	t.Run("row 27 it still works where it began", func(t *testing.T) {
		s.on(t).wantCode(s.on(t).sentTo(attacker.walk(login), callback), "af0ifjsldkj")
	})
	t.Run("row 27 after half an hour", func(t *testing.T) {
		s := s.on(t)
		login := s.at(attacker.get(s.authorizeURL(url.Values{"prompt": {"login"}})))
		s.advance(31 * time.Minute)
		if again := s.at(attacker.get(s.at(attacker.get(login)))); again == login || !strings.HasPrefix(again, s.URL+"/login?interaction=") {
			t.Errorf("the request does not begin anew, but at %s", again)
		}
		s.advance(storage.InteractionGrace)
		s.wantPage(attacker.get(login), http.StatusForbidden, "too long ago")
	})
	t.Run("row 27 finished ones look foreign to others", func(t *testing.T) {
		s.on(t).wantPage(signedIn.get(s.URL+"/oauth2/authorize?interaction="+id), http.StatusForbidden, "another browser")
	})
}

func TestRow27AnotherUserSignsInHalfway(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	s.user("bob@example.com")
	b := s.browser("ada@example.com")
	login := b.get(s.at(b.get(s.authorizeURL(nil))))
	resume := s.at(b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}}))
	consent := b.get(s.at(b.get(resume)))
	// In a second tab Bob takes over the browser.
	b.User = "bob@example.com"
	b.code(url.Values{"prompt": {"login"}})
	t.Run("row 27 the open consent page is void", func(t *testing.T) {
		s := s.on(t)
		s.wantPage(b.submit(consent, "consent", url.Values{"decision": {"allow"}}), http.StatusForbidden)
		if c, err := s.Store.Consent(t.Context(), "sub-ada-example-com", "app"); err == nil {
			t.Errorf("Ada's consent was stored: %v", c)
		}
	})
	t.Run("row 27 the pinned user must sign in again", func(t *testing.T) {
		s := s.on(t)
		if got := s.at(b.get(resume)); !strings.Contains(got, "/login?interaction=") {
			t.Errorf("sent to %s", got)
		}
		if p := b.get(strings.Replace(resume, "/oauth2/authorize", "/consent", 1)); hasForm(p.Body, "consent") {
			t.Error("Bob is asked for Ada's consent")
		}
		b.Pages = nil
		code := b.codeFrom(resume)
		if id := jwtPayload(t, s.redeem(code).Str("id_token")); id["sub"] != "sub-bob-example-com" || !slices.Contains(b.Pages, "login") {
			t.Errorf("sub %v, pages %v", id["sub"], b.Pages)
		}
	})
}

func TestRow27ParallelCompletionGivesOneCode(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		s.user("ada@example.com")
		for _, decision := range []string{"allow", "deny"} {
			b := s.browser("ada@example.com")
			login := b.get(s.at(b.get(s.authorizeURL(url.Values{"prompt": {"consent"}}))))
			consent := b.get(s.at(b.get(s.at(b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})))))
			resume := s.at(b.submit(consent, "consent", url.Values{"decision": {decision}}))
			codes := s.race(b, 16, resume)
			if want := map[string]int{"allow": 1, "deny": 0}[decision]; len(codes) != want {
				s.Errorf("%s: %d codes, want %d", decision, len(codes), want)
			}
			s.wantPage(b.get(resume), http.StatusOK, "Already finished")
			for _, code := range codes {
				if a := s.redeem(code); a.Status != http.StatusOK {
					s.Errorf("the winner's code: %d %s", a.Status, a.Raw)
				}
			}
		}
	})
}

func TestRow27ParallelDecisions(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	login := b.get(s.at(b.get(s.authorizeURL(nil))))
	consent := b.get(s.at(b.get(s.at(b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})))))
	action, fields := readForm(t, consent.Body, "consent")
	fields.Set("decision", "allow")
	var mu sync.Mutex
	answers := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r, _ := http.NewRequest("POST", s.URL+action, strings.NewReader(fields.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", s.URL)
			response, err := b.client.Do(r)
			for err == nil && response.StatusCode == http.StatusSeeOther {
				response.Body.Close()
				next, _ := response.Location()
				if next.Query().Has("code") {
					mu.Lock()
					answers["code"]++
					mu.Unlock()
					return
				}
				response, err = b.client.Get(next.String())
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil || response.StatusCode != http.StatusOK {
				answers["fault"]++
				return
			}
			response.Body.Close()
			answers["finished"]++
		})
	}
	wg.Wait()
	if answers["code"] != 1 || answers["finished"] != 7 {
		t.Errorf("row 27 eight parallel decisions: %v", answers)
	}
}

func TestRow28EveryAnswerRefusesFrames(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	login := b.get(s.at(b.get(s.authorizeURL(nil))))
	_, fields := readForm(t, login.Body, "login")
	bad := url.Values{"interaction": fields["interaction"], "csrf": {"x"}}
	throttled := page{}
	for range 8 {
		throttled = b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {"wrong"}})
	}
	huge := b.post(s.URL+"/login", url.Values{"password": {strings.Repeat("x", 100<<10)}})
	for name, tc := range map[string]struct {
		p      page
		status int
	}{
		"login":                {login, http.StatusOK},
		"login without token":  {b.post(s.URL+"/login", bad), http.StatusForbidden},
		"login throttled":      {throttled, http.StatusTooManyRequests},
		"body too large":       {huge, http.StatusRequestEntityTooLarge},
		"repeated field":       {b.post(s.URL+"/login", url.Values{"username": {"a", "b"}}), http.StatusBadRequest},
		"consent without flow": {b.get(s.URL + "/consent"), http.StatusForbidden},
		"authorize":            {b.get(s.URL + "/oauth2/authorize"), http.StatusBadRequest},
		"encoded path":         {b.get(s.URL + "/oauth2%2fauthorize"), http.StatusNotFound},
	} {
		t.Run("row 28 "+name, func(t *testing.T) {
			if tc.p.StatusCode != tc.status {
				t.Errorf("status %d, want %d", tc.p.StatusCode, tc.status)
			}
			if !strings.Contains(tc.p.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || tc.p.Header.Get("X-Frame-Options") != "DENY" {
				t.Errorf("it can be framed: %v", tc.p.Header)
			}
		})
	}
}

// paused is a request that waits at a page.
type paused struct {
	b      *browser
	resume string
	page   page // consent page
}

// pausedAtConsent signs Ada in for a request and stops at the consent page.
func (s *server) pausedAtConsent(values url.Values) paused {
	s.Helper()
	b := s.browser("ada@example.com")
	login := b.get(s.at(b.get(s.authorizeURL(values))))
	resume := s.at(b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}}))
	return paused{b, resume, b.get(s.at(b.get(resume)))}
}

func TestRow33ChangesBetweenLoginAndCode(t *testing.T) {
	const subject = "sub-ada-example-com"
	change := func(f func(*storage.Client)) func(*server) error {
		return func(s *server) error {
			_, err := s.Store.UpdateClient(s.Context(), "app", func(c *storage.Client) error { f(c); return nil })
			return err
		}
	}
	for name, tc := range map[string]struct {
		act    func(s *server) error
		error  string // by redirect
		status int    // of the page, where nothing may be sent to the client
	}{
		"user disabled": {func(s *server) error {
			_, err := s.Store.UpdateUser(s.Context(), subject, func(u *storage.User) error { u.Disabled = true; return nil })
			return err
		}, "access_denied", 0},
		"user deleted":         {func(s *server) error { return s.Store.DeleteUser(s.Context(), subject) }, "access_denied", 0},
		"client disabled":      {change(func(c *storage.Client) { c.Disabled = true }), "", http.StatusBadRequest},
		"client deleted":       {func(s *server) error { return s.Store.DeleteClient(s.Context(), "app") }, "", http.StatusBadRequest},
		"redirect URI removed": {change(func(c *storage.Client) { c.RedirectURIs = []string{"https://rp.example/new"} }), "", http.StatusBadRequest},
		"scope removed":        {change(func(c *storage.Client) { c.Scopes = []string{"openid"} }), "invalid_scope", 0},
		"grant type removed":   {change(func(c *storage.Client) { c.GrantTypes = []string{"client_credentials"} }), "unauthorized_client", 0},
	} {
		for _, when := range []string{"before consent", "after consent"} {
			t.Run("row 33 "+name+" "+when, func(t *testing.T) {
				s := start(t, "memory", quickKeys)
				s.client()
				s.user("ada@example.com")
				at := s.pausedAtConsent(nil)
				if when == "after consent" {
					if next := s.at(at.b.submit(at.page, "consent", url.Values{"decision": {"allow"}})); next != at.resume {
						t.Fatalf("sent to %s", next)
					}
				}
				if err := tc.act(s); err != nil {
					t.Fatal(err)
				}
				// Clients are copied in process: wait until this one has heard of it.
				if tc.status != 0 || tc.error != "access_denied" {
					s.eventually("the change is seen", func() bool {
						location := s.opened(url.Values{"prompt": {"none"}}).Header.Get("Location")
						return location == "" || !strings.Contains(location, "login_required")
					})
				}
				if when == "before consent" {
					// The open page is sent although everything has changed.
					p := at.b.submit(at.page, "consent", url.Values{"decision": {"allow"}})
					if strings.Contains(p.Header.Get("Location"), "code=") {
						t.Fatal("a code")
					}
				}
				p := at.b.get(at.resume)
				if tc.error != "" {
					s.wantRedirect(p, tc.error)
				} else {
					s.wantPage(p, tc.status)
				}
				if name == "user disabled" && when == "before consent" {
					if c, err := s.Store.Consent(t.Context(), subject, "app"); err == nil {
						t.Errorf("a disabled user consented: %v", c)
					}
				}
			})
		}
	}
	t.Run("row 33 disabled user with a session only", func(t *testing.T) {
		s := start(t, "memory", quickKeys)
		s.client()
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		b.code(nil)
		if _, err := s.Store.UpdateUser(t.Context(), subject, func(u *storage.User) error { u.Disabled = true; return nil }); err != nil {
			t.Fatal(err)
		}
		b.silent(s, url.Values{}, "login_required")
		p := b.walk(s.authorizeURL(nil))
		s.wantPage(p, http.StatusUnauthorized, "not right") // signing in again is refused in the words for everyone
	})
}

func TestRow33ChangesBetweenCodeAndToken(t *testing.T) {
	const subject = "sub-ada-example-com"
	update := func(f func(*storage.Client)) func(*server, *browser) error {
		return func(s *server, _ *browser) error {
			_, err := s.Store.UpdateClient(s.Context(), "app", func(c *storage.Client) error { f(c); return nil })
			return err
		}
	}
	online := "openid profile"
	for name, tc := range map[string]struct {
		scope  string
		act    func(s *server, b *browser) error
		status int
		error  string
	}{
		"user disabled": {"", func(s *server, _ *browser) error {
			_, err := s.Store.UpdateUser(s.Context(), subject, func(u *storage.User) error { u.Disabled = true; return nil })
			return err
		}, 400, "invalid_grant"},
		"user deleted":     {"", func(s *server, _ *browser) error { return s.Store.DeleteUser(s.Context(), subject) }, 400, "invalid_grant"},
		"password changed": {"", func(s *server, _ *browser) error { return s.Store.SetPassword(s.Context(), subject, "$none$") }, 400, "invalid_grant"},
		"consent revoked":  {"", func(s *server, _ *browser) error { return s.Store.RevokeConsent(s.Context(), subject, "app") }, 400, "invalid_grant"},
		"signed out, online": {online, func(s *server, b *browser) error {
			out := b.submit(b.get(s.URL+"/account"), "logout", nil)
			if out.StatusCode >= 400 {
				s.Errorf("sign-out: %d", out.StatusCode)
			}
			return nil
		}, 400, "invalid_grant"},
		"client disabled": {"", update(func(c *storage.Client) { c.Disabled = true }), 401, "invalid_client"},
		"client deleted":  {"", func(s *server, _ *browser) error { return s.Store.DeleteClient(s.Context(), "app") }, 401, "invalid_client"},
		"secret replaced": {"", update(func(c *storage.Client) {
			_, hash := client.NewSecret()
			c.Secrets = []storage.ClientSecret{{Hash: hash}}
		}), 401, "invalid_client"},
		"grant type removed": {"", update(func(c *storage.Client) { c.GrantTypes = []string{"client_credentials"} }), 400, "unauthorized_client"},
	} {
		t.Run("row 33 "+name, func(t *testing.T) {
			s := start(t, "memory", quickKeys)
			s.client()
			s.user("ada@example.com")
			b := s.browser("ada@example.com")
			values := url.Values{}
			if tc.scope != "" {
				values.Set("scope", tc.scope)
			}
			code := b.code(values)
			if err := tc.act(s, b); err != nil {
				t.Fatal(err)
			}
			if tc.error == "invalid_client" || tc.error == "unauthorized_client" {
				s.eventually("the change is seen", func() bool {
					return s.post("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}).Str("error") == tc.error
				})
			}
			s.wantError(s.redeem(code), tc.status, tc.error)
			s.noSecrets(code)
		})
	}
	t.Run("row 33 user disabled while the code was written", func(t *testing.T) {
		s := start(t, "memory", quickKeys)
		s.client()
		s.user("ada@example.com")
		code := s.browser("ada@example.com").code(nil)
		row, err := s.Store.Token(t.Context(), storage.TokenCode, opaque.Signature(code))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Store.UpdateUser(t.Context(), subject, func(u *storage.User) error { u.Disabled = true; return nil }); err != nil {
			t.Fatal(err)
		}
		// The revocation found no code yet; the insert came a moment later.
		if err := s.Store.CreateToken(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		s.wantError(s.redeem(code), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("row 33 session over, online", func(t *testing.T) {
		s := start(t, "memory", quickKeys, func(o *provider.Options) { o.SessionAbsolute = 2 * time.Minute })
		s.client()
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		b.code(nil)
		s.advance(100 * time.Second)
		online, offline := b.code(url.Values{"scope": {"openid"}}), b.code(nil)
		s.advance(30 * time.Second)
		s.wantError(s.redeem(online), http.StatusBadRequest, "invalid_grant")
		s.wantTokens(s.redeem(offline))
	})
	t.Run("row 33 offline codes survive sign-out", func(t *testing.T) {
		s := start(t, "memory", quickKeys)
		s.client()
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		code := b.code(nil)
		b.submit(b.get(s.URL+"/account"), "logout", nil)
		if a := s.redeem(code); a.Status != http.StatusOK || a.Str("refresh_token") == "" {
			t.Errorf("%d %s", a.Status, a.Raw)
		}
	})
}

func TestA17A18ConsentMemory(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) {
		o.Resources = []oauth.Resource{{URI: "https://api.example"}, {URI: "https://api2.example"}}
	})
	s.client(func(c *storage.Client) { c.Audience = []string{"https://api.example", "https://api2.example"} })
	s.client(func(c *storage.Client) { c.ID, c.FirstParty = "own", true })
	s.user("ada@example.com")
	s.user("bob@example.com")
	b := s.browser("ada@example.com")
	step := func(name, pages string, values url.Values) {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			b.Pages = nil
			s.wantCode(s.sentTo(b.walk(s.authorizeURL(values)), callback), "af0ifjsldkj")
			if got := strings.Join(b.Pages, " "); got != pages {
				t.Errorf("pages %q, want %q", got, pages)
			}
		})
	}
	step("A18 the first time", "login consent", url.Values{"scope": {"openid profile"}})
	step("A18 remembered", "", url.Values{"scope": {"openid profile"}})
	step("A18 fewer scopes", "", url.Values{"scope": {"openid"}})
	step("A18 another order", "", url.Values{"scope": {"profile openid"}})
	step("A18 more scopes", "consent", url.Values{"scope": {"openid email"}})
	step("A18 the union", "", url.Values{"scope": {"email profile openid"}})
	step("A18 offline", "consent", url.Values{"scope": {"openid offline_access"}})
	step("A18 offline remembered", "", url.Values{"scope": {"openid offline_access"}})
	step("A18 a resource", "consent", url.Values{"scope": {"openid"}, "resource": {"https://api.example"}})
	step("A18 the resource again", "", url.Values{"scope": {"openid profile"}, "resource": {"https://api.example"}})
	step("A18 a second resource", "consent", url.Values{"scope": {"openid"}, "resource": {"https://api.example", "https://api2.example"}})
	step("A17 prompt=consent", "consent", url.Values{"scope": {"openid offline_access"}, "prompt": {"consent"}})
	step("A18 first party", "", url.Values{"client_id": {"own"}, "scope": {"openid email offline_access"}})
	t.Run("A17 offline_access gives a refresh token", func(t *testing.T) {
		a := s.on(t).redeem(b.code(url.Values{"prompt": {"consent"}, "scope": {"openid offline_access"}}))
		if a.Str("refresh_token") == "" || a.Str("scope") != "openid offline_access" {
			t.Errorf("%s", a.Raw)
		}
	})
	t.Run("A18 another user is asked", func(t *testing.T) {
		other := s.on(t).browser("bob@example.com")
		other.code(url.Values{"scope": {"openid"}})
		if got := strings.Join(other.Pages, " "); got != "login consent" {
			t.Errorf("pages %q", got)
		}
	})
	t.Run("A24 deny", func(t *testing.T) {
		s := s.on(t)
		refusing := s.browser("bob@example.com")
		refusing.Deny = true
		for range 2 { // a refusal is not remembered
			refusing.Pages = nil
			s.wantRedirect(refusing.walk(s.authorizeURL(url.Values{"scope": {"openid phone"}})), "access_denied")
			if !slices.Contains(refusing.Pages, "consent") {
				t.Errorf("pages %v", refusing.Pages)
			}
		}
		consent, err := s.Store.Consent(t.Context(), "sub-bob-example-com", "app")
		if err != nil || !slices.Equal(consent.Scopes, []string{"openid"}) {
			t.Errorf("stored consent %+v %v", consent, err)
		}
		s.wantCode(s.sentTo(refusing.get(s.authorizeURL(url.Values{"scope": {"openid"}})), callback), "af0ifjsldkj") // what was allowed before still is
		refusing.silent(s, url.Values{"scope": {"openid phone"}}, "consent_required")
	})
	t.Run("A18 revoked consent is asked again", func(t *testing.T) {
		s := s.on(t)
		if err := s.Store.RevokeConsent(t.Context(), "sub-ada-example-com", "app"); err != nil {
			t.Fatal(err)
		}
		b.silent(s, url.Values{"scope": {"openid"}}, "consent_required")
		b.Pages = nil
		b.code(url.Values{"scope": {"openid"}})
		if got := strings.Join(b.Pages, " "); got != "consent" {
			t.Errorf("pages %q", got)
		}
	})
}

// The form decides yes or no; what is granted stands in the interaction.
func TestA24ConsentFormCannotWidenTheRequest(t *testing.T) {
	for name, tc := range map[string]struct {
		values url.Values
		status int
		scopes []string
	}{
		"more scopes in the form": {url.Values{"decision": {"allow"}, "scope": {"openid profile email phone address"}, "client_id": {"other"},
			"resource": {"https://api.example"}}, http.StatusSeeOther, []string{"openid", "profile"}},
		"fewer scopes":      {url.Values{"decision": {"allow"}, "scope": {"openid"}}, http.StatusSeeOther, []string{"openid", "profile"}},
		"no decision":       {url.Values{}, http.StatusBadRequest, nil},
		"ALLOW":             {url.Values{"decision": {"ALLOW"}}, http.StatusBadRequest, nil},
		"yes":               {url.Values{"decision": {"yes"}}, http.StatusBadRequest, nil},
		"both":              {url.Values{"decision": {"deny", "allow"}}, http.StatusBadRequest, nil},
		"no token":          {url.Values{"decision": {"allow"}, "csrf": {""}}, http.StatusForbidden, nil},
		"wrong token":       {url.Values{"decision": {"allow"}, "csrf": {strings.Repeat("A", 43)}}, http.StatusForbidden, nil},
		"other interaction": {url.Values{"decision": {"allow"}, "interaction": {strings.Repeat("A", 43)}}, http.StatusForbidden, nil},
	} {
		t.Run("A24 "+name, func(t *testing.T) {
			s := start(t, "memory", quickKeys)
			s.client()
			s.user("ada@example.com")
			at := s.pausedAtConsent(url.Values{"scope": {"openid profile"}})
			p := at.b.submit(at.page, "consent", tc.values)
			if p.StatusCode != tc.status {
				t.Errorf("status %d, want %d: %s", p.StatusCode, tc.status, cut(p.Body))
			}
			consent, err := s.Store.Consent(t.Context(), "sub-ada-example-com", "app")
			if tc.scopes == nil {
				if err == nil {
					t.Errorf("consent was stored: %+v", consent)
				}
				if got := s.at(at.b.get(at.resume)); !strings.Contains(got, "/consent?") {
					t.Errorf("sent to %s", got)
				}
				return
			}
			if err != nil || !slices.Equal(consent.Scopes, tc.scopes) || len(consent.Resources) != 0 {
				t.Errorf("stored %+v %v", consent, err)
			}
			if a := s.redeem(s.wantCode(s.sentTo(at.b.get(at.resume), callback), "af0ifjsldkj")); a.Str("scope") != "openid profile" {
				t.Errorf("granted %q", a.Str("scope"))
			}
		})
	}
	for name, header := range map[string]http.Header{
		"cross-site": {"Sec-Fetch-Site": {"cross-site"}}, "same-site": {"Sec-Fetch-Site": {"same-site"}}, "foreign origin": {"Origin": {"https://evil.example"}},
		"null origin": {"Origin": {"null"}},
	} {
		t.Run("A24 row 27 POST from elsewhere "+name, func(t *testing.T) {
			s := start(t, "memory", quickKeys)
			s.client()
			s.user("ada@example.com")
			at := s.pausedAtConsent(nil)
			_, fields := readForm(t, at.page.Body, "consent")
			fields.Set("decision", "allow")
			r, _ := http.NewRequest("POST", s.URL+"/consent", strings.NewReader(fields.Encode()))
			r.Header = header
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			s.wantPage(at.b.do(r), http.StatusForbidden)
			if c, err := s.Store.Consent(t.Context(), "sub-ada-example-com", "app"); err == nil {
				t.Errorf("consent was stored: %v", c)
			}
		})
	}
}
