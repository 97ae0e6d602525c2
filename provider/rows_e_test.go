package provider_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/oauth2"

	"gatehouse/provider"
	"gatehouse/provider/client"
	"gatehouse/provider/ratelimit"
	"gatehouse/storage"
)

// Section E of the attack list, first half: clients with secrets, and clients without.

// daemon registers a client that can use client_credentials.
func (s *server) daemon(changes ...func(*storage.Client)) *storage.Client {
	s.Helper()
	return s.client(append([]func(*storage.Client){func(c *storage.Client) {
		c.GrantTypes, c.ResponseTypes, c.RedirectURIs, c.Scopes = []string{"client_credentials"}, nil, []string{callback}, []string{"read"}
	}}, changes...)...)
}

// credentials asks for a token by client_credentials.
func (s *server) credentials(changes ...func(*http.Request)) answer {
	s.Helper()
	return s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, changes...)
}

// inBody puts credentials into the body.
func inBody(id, secret string) func(*http.Request) {
	return func(r *http.Request) {
		noBasic(r)
		addForm(r, url.Values{"client_id": {id}, "client_secret": {secret}})
	}
}

// rawBasic sends Basic credentials without encoding their parts.
func rawBasic(userinfo string) func(*http.Request) {
	return header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(userinfo)))
}

// Row 63: what a stranger learns from a refusal is the same for a client that exists and one that does not.
func TestRow63WrongSecretLooksLikeAnUnknownClient(t *testing.T) {
	s := start(t, "memory")
	s.daemon()
	s.daemon(func(c *storage.Client) { c.ID, c.AuthMethod = "poster", "client_secret_post" })
	s.daemon(func(c *storage.Client) { c.ID, c.Disabled = "disabled", true })
	secretOf, _ := client.NewSecret()
	for name, place := range map[string]func(id, secret string) func(*http.Request){"basic": as, "body": inBody} {
		for _, path := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"} {
			var want answer
			for _, id := range []string{"nobody", "app", "poster", "disabled", "app\x01", strings.Repeat("x", 4000), "app "} {
				for _, secret := range []string{"wrong", secretOf, "", clientSecret + "x", strings.ToLower(clientSecret)} {
					t.Run(fmt.Sprintf("row 63 %s %s %.8q %.6q", name, path, id, secret), func(t *testing.T) {
						a := s.post(path, url.Values{"grant_type": {"client_credentials"}, "token": {"x"}}, place(id, secret))
						s.wantError(a, http.StatusUnauthorized, "invalid_client")
						if challenge := a.Header.Get("WWW-Authenticate"); (name == "basic") != strings.HasPrefix(challenge, "Basic ") {
							t.Errorf("WWW-Authenticate %q", challenge)
						}
						a.Header.Del("X-Request-Id")
						a.Header.Del("Date")
						if want.Raw == "" {
							want = a
						}
						if a.Raw != want.Raw || fmt.Sprint(a.Header) != fmt.Sprint(want.Header) {
							t.Errorf("the answer tells clients apart:\n%s %v\n%s %v", a.Raw, a.Header, want.Raw, want.Header)
						}
					})
				}
			}
		}
	}
	s.wantError(s.credentials(as("disabled", clientSecret)), http.StatusUnauthorized, "invalid_client")
	if !strings.Contains(s.Log.String(), "token.refused") {
		t.Error("refused credentials leave no audit line")
	}
	s.wantNoSecrets(secretOf)
}

// T1 and ruling 19: the two places of a secret stand for each other, for either registration, and Basic is form-encoded.
func TestT1Ruling19PlacesOfTheSecret(t *testing.T) {
	s := start(t, "memory")
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		s.daemon(func(c *storage.Client) { c.ID, c.AuthMethod = method, method })
		s.wantOK(s.credentials(as(method, clientSecret)))
		s.wantOK(s.credentials(inBody(method, clientSecret)))
	}
	const odd = `a+b %/&=:~?"`
	hash, err := bcrypt.GenerateFromPassword([]byte(odd), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s.daemon(func(c *storage.Client) { c.ID, c.Secrets = "team@ops:1", []storage.ClientSecret{{Hash: string(hash)}} })
	s.wantOK(s.credentials(as(url.QueryEscape("team@ops:1"), url.QueryEscape(odd))))
	s.wantOK(s.credentials(inBody("team@ops:1", odd)))
	s.wantOK(s.credentials(header("Authorization", "basic "+base64.StdEncoding.EncodeToString([]byte(url.QueryEscape("team@ops:1")+":"+url.QueryEscape(odd))))))
	s.wantError(s.credentials(rawBasic("team@ops:1:"+odd)), http.StatusUnauthorized, "invalid_client")
	for name, value := range map[string]string{
		"no base64": "Basic !!!", "no colon": "Basic " + base64.StdEncoding.EncodeToString([]byte("app")), "empty": "Basic ", "bad escape": "Basic " + base64.StdEncoding.EncodeToString([]byte("app:%zz")),
		"only a colon": "Basic " + base64.StdEncoding.EncodeToString([]byte(":")), "other scheme": "Digest abc", "bearer": "Bearer " + clientSecret,
	} {
		t.Run("T1 "+name, func(t *testing.T) {
			s.wantError(s.credentials(header("Authorization", value)), http.StatusUnauthorized, "invalid_client")
		})
	}
	s.wantError(s.credentials(noBasic), http.StatusUnauthorized, "invalid_client")
	s.wantNoSecrets()
}

// Row 64: exactly one method.
func TestRow64TwoMethodsAtOnce(t *testing.T) {
	s := start(t, "memory")
	s.daemon()
	s.daemon(func(c *storage.Client) { c.ID = "other" })
	key := newAssertionKeys(t)
	s.daemon(key.register("robot"))
	assertion := func(r *http.Request) {
		addForm(r, url.Values{"client_assertion_type": {assertionType}, "client_assertion": {key.sign(s, "robot")}})
	}
	field := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { addForm(r, url.Values{name: {value}}) }
	}
	for name, changes := range map[string][]func(*http.Request){
		"Basic and body, right secrets":    {field("client_id", "app"), field("client_secret", clientSecret)},
		"Basic and body secret without id": {field("client_secret", clientSecret)},
		"Basic and body, other client":     {field("client_id", "other"), field("client_secret", clientSecret)},
		"Basic and client_id of another":   {field("client_id", "other")},
		"Basic and client_id of nobody":    {field("client_id", "nobody")},
		"Basic of another and assertion":   {assertion},
		"Basic of the same and assertion":  {as("robot", ""), assertion},
		"assertion and secret":             {noBasic, assertion, field("client_secret", clientSecret)},
		"assertion, secret and client_id":  {noBasic, assertion, field("client_id", "robot"), field("client_secret", "x")},
		"all three":                        {assertion, field("client_secret", clientSecret)},
		"two Authorization headers": {func(r *http.Request) {
			r.Header["Authorization"] = append(r.Header["Authorization"], "Basic b3RoZXI6eA==")
		}},
		"assertion without a type":            {noBasic, assertion, func(r *http.Request) { dropForm(r, "client_assertion_type") }},
		"assertion of another type":           {noBasic, assertion, field("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")},
		"assertion type in the wrong letters": {noBasic, assertion, field("client_assertion_type", strings.ToUpper(assertionType))},
	} {
		for _, path := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"} {
			t.Run("row 64 "+name+" "+path, func(t *testing.T) {
				a := s.post(path, url.Values{"grant_type": {"client_credentials"}, "token": {"x"}}, changes...)
				s.wantError(a, http.StatusBadRequest, "invalid_request")
				if a.Str("access_token") != "" {
					t.Error("a token was issued")
				}
			})
		}
	}
	t.Run("row 64 assertion with client_id of another", func(t *testing.T) {
		s.wantError(s.credentials(noBasic, assertion, field("client_id", "app")), http.StatusUnauthorized, "invalid_client")
	})
	s.wantOK(s.credentials(field("client_id", "app"))) // naming the same client twice is no second method
	s.wantOK(s.credentials(noBasic, assertion, field("client_id", "robot")))
}

// dropForm removes a parameter.
func dropForm(r *http.Request, name string) {
	values := formOf(r)
	values.Del(name)
	setBody(r, r.Header.Get("Content-Type"), values.Encode())
}

// A method other than the registered one is refused, and so is a secret where none is registered.
func TestRuling19RegisteredMethodsAreExact(t *testing.T) {
	s := start(t, "memory")
	key := newAssertionKeys(t)
	s.daemon()
	s.daemon(key.register("robot"))
	s.client(public, func(c *storage.Client) { c.ID = "spa" })
	assertion := func(id string) func(*http.Request) {
		return func(r *http.Request) {
			noBasic(r)
			addForm(r, url.Values{"client_assertion_type": {assertionType}, "client_assertion": {key.sign(s, id)}})
		}
	}
	for name, auth := range map[string]func(*http.Request){
		"assertion of a secret client": assertion("app"), "secret of an assertion client": as("robot", clientSecret), "nothing of an assertion client": byID("robot"),
		"nothing of a secret client": byID("app"), "empty secret of a secret client": as("app", ""), "empty Basic of an assertion client": as("robot", ""),
		"secret of a public client": as("spa", clientSecret), "secret of a public client in the body": inBody("spa", "x"), "assertion of a public client": assertion("spa"),
		"assertion of nobody": assertion("nobody"), "public client that does not exist": byID("nobody"),
	} {
		t.Run(name, func(t *testing.T) { s.wantError(s.credentials(auth), http.StatusUnauthorized, "invalid_client") })
	}
	t.Run("public client with client_credentials", func(t *testing.T) {
		s.wantError(s.credentials(byID("spa")), http.StatusBadRequest, "unauthorized_client")
	})
}

// Ruling 19 and interop: x/oauth2 begins with Basic and an empty secret; that must not cost the code.
func TestRuling19PublicClientOfOAuth2(t *testing.T) {
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleAutoDetect, oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		for _, method := range []string{"none", "client_secret_post", "client_secret_basic"} {
			t.Run(fmt.Sprintf("style %d %s", style, method), func(t *testing.T) {
				s := start(t, "memory")
				s.client(func(c *storage.Client) { c.AuthMethod = method })
				s.user("ada@example.com")
				config := oauth2.Config{ClientID: "app", RedirectURL: callback, Endpoint: oauth2.Endpoint{TokenURL: s.URL + "/oauth2/token", AuthStyle: style}}
				if method != "none" {
					config.ClientSecret = clientSecret
				}
				token, err := config.Exchange(t.Context(), s.browser("ada@example.com").code(nil), oauth2.VerifierOption(verifier))
				if err != nil {
					t.Fatal(err)
				}
				token.Expiry = time.Now().Add(-time.Minute)
				again, err := config.TokenSource(t.Context(), token).Token()
				if err != nil || again.RefreshToken == token.RefreshToken {
					t.Errorf("refresh: %v", err)
				}
			})
		}
	}
}

// A failed authentication leaves the code as it was: some clients try another method next.
func TestFailedAuthenticationDoesNotTouchTheCode(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.client(public, func(c *storage.Client) { c.ID = "spa" })
	s.user("ada@example.com")
	code := s.browser("ada@example.com").code(nil)
	for _, auth := range []func(*http.Request){as("app", "wrong"), noBasic, byID("app"), as("nobody", "x")} {
		s.wantError(s.redeem(code, auth), http.StatusUnauthorized, "invalid_client")
	}
	s.wantError(s.redeem(code, byID("spa")), http.StatusBadRequest, "invalid_grant")
	s.wantOK(s.redeem(code))
}

// Secrets that a person chose are kept as bcrypt.
func TestBcryptClientSecret(t *testing.T) {
	s := start(t, "memory")
	const chosen = "a-secret-that-somebody-chose"
	hash, err := client.HashSecret(chosen)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$2") {
		t.Fatalf("stored as %.10s", hash)
	}
	s.daemon(func(c *storage.Client) { c.Secrets = []storage.ClientSecret{{Hash: hash}} })
	s.wantOK(s.credentials(as("app", chosen)))
	s.wantOK(s.credentials(inBody("app", chosen)))
	for _, wrong := range []string{chosen + "x", chosen[:len(chosen)-1], "", strings.ToUpper(chosen), hash, chosen + strings.Repeat("x", 80), clientSecret} {
		s.wantError(s.credentials(as("app", wrong)), http.StatusUnauthorized, "invalid_client")
	}
	s.wantOK(s.credentials(as("app", chosen)))
	s.wantNoSecrets(chosen, hash)
}

// Row 74: of two secrets the old one works until its overlap ends, and a deleted one not at all.
func TestRow74SecretRotation(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	oldSecret, oldHash := client.NewSecret()
	newSecret, newHash := client.NewSecret()
	deadSecret, deadHash := client.NewSecret()
	s.daemon(func(c *storage.Client) { c.Secrets = []storage.ClientSecret{{Hash: oldHash}} })
	s.wantOK(s.credentials(as("app", oldSecret)))
	now := s.Clock.Now()
	if _, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error {
		c.Secrets = []storage.ClientSecret{{Hash: newHash}, {Hash: oldHash, Expires: now.Add(time.Hour)}, {Hash: deadHash, Expires: now.Add(-time.Second)}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s.within(time.Second, "the new secret works", func() bool { return s.credentials(as("app", newSecret)).Status == http.StatusOK })
	s.wantOK(s.credentials(as("app", oldSecret)))
	s.wantError(s.credentials(as("app", deadSecret)), http.StatusUnauthorized, "invalid_client")
	s.Clock.Advance(time.Hour)
	s.wantError(s.credentials(as("app", oldSecret)), http.StatusUnauthorized, "invalid_client")
	s.wantOK(s.credentials(as("app", newSecret)))
	if _, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.Secrets = nil; return nil }); err != nil {
		t.Fatal(err)
	}
	s.within(time.Second, "a deleted secret is dead", func() bool { return s.credentials(as("app", newSecret)).Status == http.StatusUnauthorized })
	s.wantNoSecrets(oldSecret, newSecret, deadSecret)
}

// Row 74: guessing is slow, and locks out nobody but the one who guesses.
func TestRow74GuessingIsLimitedPerClientAndAddress(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) {
		o.Limits.TokenFailures = ratelimit.Limit{Burst: 20, Every: 3 * time.Second}
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	s.daemon()
	s.daemon(func(c *storage.Client) { c.ID = "other" })
	guesser, owner := header("X-Forwarded-For", "203.0.113.9"), header("X-Forwarded-For", "198.51.100.7")
	for i := range 20 {
		// The placement and the spelling of the client id make no new guesses.
		auth := []func(*http.Request){as("app", "wrong"+strconv.Itoa(i)), inBody("app", "wrong"), rawBasic("%61pp:wrong"), header("Authorization", "Basic   "+base64.StdEncoding.EncodeToString([]byte("app:x")))}[i%4]
		path := []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"}[i%3]
		s.wantError(s.post(path, url.Values{"grant_type": {"client_credentials"}, "token": {"x"}}, auth, guesser), http.StatusUnauthorized, "invalid_client")
	}
	for name, auth := range map[string]func(*http.Request){"wrong": as("app", "wrong"), "right": as("app", clientSecret), "in the body": inBody("app", "wrong"), "encoded": rawBasic("%61pp:wrong")} {
		t.Run("row 74 "+name, func(t *testing.T) {
			a := s.credentials(auth, guesser)
			s.wantError(a, http.StatusTooManyRequests, "temporarily_unavailable")
			if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 60 || !strings.Contains(a.Str("error_description"), "failed attempts") {
				t.Errorf("Retry-After %q, %s", a.Header.Get("Retry-After"), a.Raw)
			}
		})
	}
	s.wantOK(s.credentials(as("app", clientSecret), owner))
	s.wantOK(s.credentials(as("other", clientSecret), guesser))
	if !strings.Contains(s.Log.String(), "limit.hit") {
		t.Error("the limit leaves no audit line")
	}
	s.Clock.Advance(3 * time.Second)
	s.wantOK(s.credentials(as("app", clientSecret), guesser))
	// Ruling 14: success is not limited.
	for range 30 {
		s.wantOK(s.credentials(as("app", clientSecret), owner))
	}
}

// T4, T12, T13, T15, T16: the shape of a successful answer.
func TestT4T12T13T15T16TokenResponse(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
	subject := s.user("ada@example.com")
	a := s.tokens(nil)
	if got := a.Header.Get("Content-Type") + " " + a.Header.Get("Cache-Control"); got != "application/json no-store" {
		t.Errorf("T4: headers %q", got)
	}
	if expires, ok := a.JSON["expires_in"].(float64); !ok || expires != 600 || a.Str("token_type") != "Bearer" || a.Str("scope") != "openid profile email offline_access" {
		t.Errorf("T4: %s", a.Raw)
	}
	if refresh := a.Str("refresh_token"); len(refresh) != len("gth_rt_")+49 || strings.ContainsFunc(refresh, func(c rune) bool { return c < '!' || c > '~' }) {
		t.Errorf("T12: refresh token %q", refresh)
	}
	id := jwtPayload(t, a.Str("id_token"))
	if id["iss"] != s.URL || id["sub"] != subject || id["aud"] != "app" || id["acr"] != "1" || id["nonce"] != "n-0S6_WzA2Mj" || id["auth_time"] == nil || id["sid"] == nil {
		t.Errorf("T13, T15: %v", id)
	}
	if head := jwtHeader(t, a.Str("id_token")); head["alg"] != "RS256" || head["kid"] == nil || head["typ"] != "JWT" {
		t.Errorf("T13: header %v", head)
	}
	if head := jwtHeader(t, a.Str("access_token")); head["alg"] != "ES256" || head["kid"] == nil || head["typ"] != "at+jwt" {
		t.Errorf("RFC 9068: header %v", head)
	}
	without := jwtPayload(t, s.tokens(url.Values{"nonce": {""}}).Str("id_token"))
	if _, found := without["nonce"]; found {
		t.Error("T13: a nonce that was not sent")
	}
	daemon := s.wantOK(s.credentials())
	if daemon.Str("refresh_token") != "" || daemon.Str("id_token") != "" || jwtPayload(t, daemon.Str("access_token"))["sub"] != "app" {
		t.Errorf("T16: %s", daemon.Raw)
	}
}

// T13: the algorithm that the client registered.
func TestT13RegisteredAlgorithms(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.IDTokenAlg, c.AccessTokenAlg = "ES256", "RS256" })
	s.user("ada@example.com")
	a := s.tokens(nil)
	if id, at := jwtHeader(t, a.Str("id_token"))["alg"], jwtHeader(t, a.Str("access_token"))["alg"]; id != "ES256" || at != "RS256" {
		t.Errorf("ID token %v, access token %v", id, at)
	}
	if !s.active(a.Str("access_token")) {
		t.Error("the access token is not active")
	}
}

// Ruling 31: who may read the answers of a client's endpoints.
func TestRuling31CORS(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) { o.Limits.TokenFailures = ratelimit.Limit{Burst: 3, Every: time.Minute} })
	s.client(public, func(c *storage.Client) {
		c.RedirectURIs = []string{callback, "http://127.0.0.1:7000/cb", "com.example.app:/cb"}
	})
	s.user("ada@example.com")
	token := s.wantOK(s.redeem(s.browser("ada@example.com").code(nil), byID("app"))).Str("access_token")
	origin := func(value string) func(*http.Request) { return header("Origin", value) }
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}
	calls := map[string]func(from string) answer{
		"token": func(from string) answer { return s.post("/oauth2/token", refresh, byID("app"), origin(from)) },
		"revoke": func(from string) answer {
			return s.post("/oauth2/revoke", url.Values{"token": {"x"}}, byID("app"), origin(from))
		},
		"userinfo": func(from string) answer {
			return s.userinfoBy("GET", func(r *http.Request) { header("Authorization", "Bearer "+token)(r); origin(from)(r) })
		},
		"userinfo with a broken token": func(from string) answer {
			return s.userinfoBy("GET", func(r *http.Request) {
				header("Authorization", "Bearer "+token[:len(token)-4]+"AAAA")(r)
				origin(from)(r)
			})
		},
	}
	for name, call := range calls {
		for from, allowed := range map[string]bool{
			"https://rp.example": true, "http://127.0.0.1:7000": true, "https://evil.example": false, "null": false, "http://rp.example": false, "https://rp.example:8443": false,
			"https://rp.example.evil.example": false, "http://127.0.0.1:7001": false, "com.example.app:": false, "https://rp.example/": false, "": false,
		} {
			t.Run("ruling 31 "+name+" from "+from, func(t *testing.T) {
				a := call(from)
				want := ""
				if allowed {
					want = from
				}
				if got := a.Header.Get("Access-Control-Allow-Origin"); got != want {
					t.Errorf("Access-Control-Allow-Origin %q, want %q", got, want)
				}
				if a.Header.Get("Access-Control-Allow-Credentials") != "" || len(a.Header["Access-Control-Allow-Origin"]) > 1 {
					t.Errorf("headers %v", a.Header)
				}
				if allowed && (!strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") || a.Header.Get("Vary") == "") {
					t.Errorf("headers %v", a.Header)
				}
			})
		}
	}
	guess := func(r *http.Request) { r.Header.Set("Origin", "https://rp.example"); r.SetBasicAuth("app", "a guess") }
	limited := s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, guess)
	for range 100 { // more than any limit of this server
		if limited.Status == http.StatusTooManyRequests {
			break
		}
		limited = s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, guess)
	}
	if limited.Status != http.StatusTooManyRequests || limited.Header.Get("Access-Control-Allow-Origin") != "https://rp.example" {
		t.Errorf("a limited answer must be readable too: %d %v", limited.Status, limited.Header)
	}
	for _, path := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/userinfo"} {
		for from, allowed := range map[string]bool{"https://anybody.example": true, "https://rp.example": true, "null": false} {
			t.Run("ruling 31 preflight "+path+" from "+from, func(t *testing.T) {
				r, err := http.NewRequest("OPTIONS", s.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Origin", from)
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", "authorization,dpop")
				a := s.send(r)
				if got := a.Header.Get("Access-Control-Allow-Origin"); (got == from) != allowed || !allowed && got != "" {
					t.Errorf("Access-Control-Allow-Origin %q", got)
				}
				if allowed && (a.Status != http.StatusNoContent || !strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "Authorization") ||
					!strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "DPoP") || !strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "POST")) {
					t.Errorf("%d %v", a.Status, a.Header)
				}
				if a.Header.Get("Access-Control-Allow-Credentials") != "" {
					t.Error("credentials are allowed")
				}
			})
		}
	}
}
