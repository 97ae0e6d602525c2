package provider_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/oauth"
	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

// Section D of the attack list, second half: revocation, introspection, userinfo, and how a token request may arrive.

const inactive = `{"active":false}`

// wantUnavailable demands the answer to a store that is down (ruling 33).
func (s *server) wantUnavailable(a answer) {
	s.Helper()
	s.wantError(a, http.StatusServiceUnavailable, "temporarily_unavailable")
	if a.Header.Get("Retry-After") == "" {
		s.Error("503 without Retry-After")
	}
}

// wantBearer demands a refusal of userinfo as RFC 6750 section 3 has it.
func (s *server) wantBearer(a answer, status int, code string) {
	s.Helper()
	s.wantError(a, status, code)
	challenge := a.Header.Get("WWW-Authenticate")
	if !strings.HasPrefix(challenge, "Bearer ") || code != "" && !strings.Contains(challenge, `error="`+code+`"`) {
		s.Errorf("WWW-Authenticate %q", challenge)
	}
	if a.Str("sub") != "" || a.Str("email") != "" {
		s.Errorf("a refusal with claims: %s", a.Raw)
	}
}

func TestRow55RevokingWhatBelongsToAnother(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"jwt", "opaque"} {
		s := start(t, "memory")
		s.client(func(c *storage.Client) { c.AccessToken = format })
		s.client(func(c *storage.Client) { c.ID = "mallory" })
		s.client(public, func(c *storage.Client) { c.ID = "spa" })
		s.user("ada@example.com")
		a := s.tokens(nil)
		for name, auth := range map[string]func(*http.Request){"confidential": as("mallory", clientSecret), "public": byID("spa")} {
			for _, token := range []string{a.Str("refresh_token"), a.Str("access_token")} {
				t.Run("row 55 "+format+" "+name, func(t *testing.T) {
					got := s.post("/oauth2/revoke", url.Values{"token": {token}}, auth)
					if got.Status != http.StatusOK || got.Raw != "" || got.Header.Get("Cache-Control") != "no-store" {
						t.Errorf("%d %q", got.Status, got.Raw)
					}
				})
			}
		}
		s.wantError(s.post("/oauth2/revoke", url.Values{"token": {a.Str("refresh_token")}}, noBasic), http.StatusUnauthorized, "invalid_client")
		s.wantError(s.post("/oauth2/revoke", url.Values{"token": {a.Str("refresh_token")}}, as("app", "wrong")), http.StatusUnauthorized, "invalid_client")
		if !s.active(a.Str("access_token")) {
			t.Error("the access token died by another client's word")
		}
		s.wantOK(s.refresh(a.Str("refresh_token")))
		if strings.Contains(s.Log.String(), "token.revoked") {
			t.Error("the audit log tells of a revocation that did not happen")
		}
	}
}

func TestRow55RevocationIsNeverUntrue(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"jwt", "opaque"} {
		s, f := startFaulty(t)
		s.client(func(c *storage.Client) { c.AccessToken = format })
		s.user("ada@example.com")
		a := s.tokens(nil)
		for _, kind := range []string{"refresh_token", "access_token"} {
			for _, ops := range [][]string{{}, {"RevokeTokens"}, {"Token", "RevokeTokens"}} {
				t.Run(fmt.Sprintf("row 55 %s %s with %v down", format, kind, ops), func(t *testing.T) {
					f.Down(ops...)
					got := s.post("/oauth2/revoke", url.Values{"token": {a.Str(kind)}})
					f.Up()
					s.wantUnavailable(got)
				})
			}
		}
		if !s.active(a.Str("access_token")) {
			t.Error("revoked, although the answer was 503")
		}
		s.wantOK(s.refresh(a.Str("refresh_token")))
		s.wantNoSecrets(a.Str("refresh_token"), a.Str("access_token"))
	}
}

func TestRow56Revocation(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"jwt", "opaque"} {
		for _, hint := range []string{"", "access_token", "refresh_token", "urn:example:unknown"} {
			t.Run("row 56 "+format+", hint "+hint, func(t *testing.T) {
				s := start(t, "memory")
				s.client(func(c *storage.Client) { c.AccessToken = format })
				s.user("ada@example.com")
				revoke := func(token string) {
					t.Helper()
					values := url.Values{"token": {token}}
					if hint != "" {
						values.Set("token_type_hint", hint)
					}
					a := s.post("/oauth2/revoke", values)
					if a.Status != http.StatusOK || a.Raw != "" || a.Header["Content-Type"] != nil {
						t.Errorf("%d %q, Content-Type %v", a.Status, a.Raw, a.Header["Content-Type"])
					}
				}
				first := s.tokens(nil)
				second := s.wantOK(s.refresh(first.Str("refresh_token")))
				// An access token dies alone.
				revoke(second.Str("access_token"))
				if s.active(second.Str("access_token")) || !s.active(first.Str("access_token")) {
					t.Error("revoking one access token did not kill it, or killed another")
				}
				third := s.wantOK(s.refresh(second.Str("refresh_token")))
				// A refresh token, even a used one, takes its grant along.
				revoke(first.Str("refresh_token"))
				s.wantDead(third.Str("refresh_token"), third.Str("access_token"))
				s.wantDead(second.Str("refresh_token"), first.Str("access_token"))
				for _, gone := range []string{third.Str("refresh_token"), third.Str("access_token"), "unknown", "gth_rt_" + strings.Repeat("0", 49), "a.b.c", third.Str("id_token")} {
					revoke(gone)
				}
			})
		}
	}
}

func TestRow56RevocationWithoutToken(t *testing.T) {
	s := start(t, "memory")
	s.client()
	for name, values := range map[string]url.Values{"missing": {"token_type_hint": {"access_token"}}, "empty": {"token": {""}}, "twice": {"token": {"a", "b"}}} {
		t.Run("row 56 "+name, func(t *testing.T) {
			s.wantError(s.post("/oauth2/revoke", values), http.StatusBadRequest, "invalid_request")
		})
	}
}

func TestRow58InactiveIsByteIdentical(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	s.client()
	s.client(func(c *storage.Client) { c.ID = "mallory" })
	s.client(func(c *storage.Client) { c.ID, c.AccessToken = "opaque", "opaque" })
	s.client(func(c *storage.Client) {
		c.ID, c.GrantTypes, c.Scopes, c.AccessToken = "daemon", []string{"client_credentials"}, []string{"read"}, "opaque"
	})
	s.user("ada@example.com")
	expired := s.tokens(nil).Str("access_token")
	expiredOpaque := s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, as("daemon", clientSecret)).Str("access_token")
	s.advance(10*time.Minute + time.Second)
	live, revoked := s.tokens(nil), s.tokens(nil)
	used := s.tokens(nil).Str("refresh_token")
	s.wantOK(s.refresh(used))
	s.wantOK(s.post("/oauth2/revoke", url.Values{"token": {revoked.Str("refresh_token")}}))
	parts := strings.Split(live.Str("access_token"), ".")
	stranger, _ := opaque.Mint(opaque.Refresh)
	_, code := "", s.browser("ada@example.com").code(nil)
	vectors := map[string]string{
		"expired": expired, "expired opaque": expiredOpaque, "revoked access token": revoked.Str("access_token"), "revoked refresh token": revoked.Str("refresh_token"),
		"used refresh token": used, "unknown refresh token": stranger, "ID token": live.Str("id_token"), "code": code, "junk": "junk", "dots": "..", "many dots": strings.Repeat(".", 9000),
		"cut signature": parts[0] + "." + parts[1] + ".", "no signature": parts[0] + "." + parts[1], "other payload": parts[0] + "." + b64(`{"active":true}`) + "." + parts[2],
		"alg none": b64(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + ".", "long": strings.Repeat("A", 16<<10), "NUL escaped": "\\u0000", "brackets": `{"active":true}`,
	}
	var want http.Header
	for name, token := range vectors {
		t.Run("row 58 "+name, func(t *testing.T) {
			got := s.introspect(token)
			delete(got.Header, "X-Request-Id")
			delete(got.Header, "Date")
			if want == nil {
				want = got.Header
			}
			if got.Status != http.StatusOK || got.Raw != inactive {
				t.Errorf("%d %s", got.Status, got.Raw)
			}
			if fmt.Sprint(got.Header) != fmt.Sprint(want) {
				t.Errorf("headers tell: %v, others have %v", got.Header, want)
			}
		})
	}
	for name, token := range map[string]string{"access token": live.Str("access_token"), "refresh token": live.Str("refresh_token")} {
		t.Run("row 58 foreign "+name, func(t *testing.T) {
			got := s.introspect(token, as("mallory", clientSecret))
			if got.Status != http.StatusOK || got.Raw != inactive {
				t.Errorf("%d %s", got.Status, got.Raw)
			}
		})
	}
	if got := want.Get("Content-Type") + " " + want.Get("Cache-Control"); got != "application/json no-store" {
		t.Errorf("headers %q", got)
	}
	// A refresh token is active for its own client, and says that it is none to call an API with.
	own := s.introspect(live.Str("refresh_token"))
	if own.JSON["active"] != true || own.Str("token_use") != "refresh_token" || own.JSON["token_type"] != nil || own.JSON["aud"] != nil {
		t.Errorf("own refresh token: %s", own.Raw)
	}
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// Ruling 32: the token's own client, and who the resource lists.
func TestRuling32WhoMayIntrospect(t *testing.T) {
	t.Parallel()
	const files, mail = "https://files.example/api", "https://mail.example/api"
	s := start(t, "memory", func(o *provider.Options) {
		o.Resources = []oauth.Resource{{URI: files, IntrospectionClients: []string{"files-server"}}, {URI: mail, IntrospectionClients: []string{"mail-server"}}}
	})
	s.client(func(c *storage.Client) { c.Audience = []string{files, mail} })
	for _, id := range []string{"files-server", "mail-server", "stranger"} {
		s.client(func(c *storage.Client) { c.ID = id })
	}
	s.client(public, func(c *storage.Client) { c.ID = "spa" })
	s.user("ada@example.com")
	plain := s.tokens(nil)
	forFiles := s.tokens(url.Values{"resource": {files}})
	forBoth := s.tokens(url.Values{"resource": {files, mail}})
	for _, test := range []struct {
		caller, token string
		active        bool
	}{
		{"app", plain.Str("access_token"), true}, {"app", forFiles.Str("access_token"), true}, {"app", forBoth.Str("access_token"), true},
		{"files-server", plain.Str("access_token"), false}, {"files-server", forFiles.Str("access_token"), true}, {"files-server", forBoth.Str("access_token"), true},
		{"mail-server", forFiles.Str("access_token"), false}, {"mail-server", forBoth.Str("access_token"), true}, {"stranger", forBoth.Str("access_token"), false},
		{"files-server", forFiles.Str("refresh_token"), false}, {"files-server", forFiles.Str("id_token"), false}, {"app", forFiles.Str("refresh_token"), true},
	} {
		got := s.introspect(test.token, as(test.caller, clientSecret))
		if got.Status != http.StatusOK || (got.JSON["active"] == true) != test.active || !test.active && got.Raw != inactive {
			t.Errorf("%s about a token for %v: %d %s", test.caller, test.token[:8], got.Status, got.Raw)
		}
	}
	// RFC 7662 section 2.1: the caller must be known.
	for name, change := range map[string]func(*http.Request){
		"public client": byID("spa"), "nobody": noBasic, "wrong secret": as("app", "wrong"), "public client by Basic": as("spa", ""),
		"bearer token": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+plain.Str("access_token")) },
	} {
		t.Run("introspection by "+name, func(t *testing.T) {
			s.wantError(s.introspect(plain.Str("access_token"), change), http.StatusUnauthorized, "invalid_client")
		})
	}
	s.wantError(s.post("/oauth2/introspect", url.Values{"token_type_hint": {"access_token"}}), http.StatusBadRequest, "invalid_request")
	s.wantError(s.post("/oauth2/introspect", url.Values{"token": {"a", "b"}}), http.StatusBadRequest, "invalid_request")
}

// Rulings 4 and 33: nobody is told that a token is active by a server that cannot know.
func TestRuling4StaleCopies(t *testing.T) {
	t.Parallel()
	s, f := startFaulty(t)
	s.client(func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
	s.user("ada@example.com")
	a := s.tokens(nil)
	credentials := url.Values{"grant_type": {"client_credentials"}}
	f.Down("Changes")
	s.Clock.Advance(6 * time.Second)
	s.wantUnavailable(s.introspect(a.Str("access_token")))
	s.wantUnavailable(s.introspect(a.Str("refresh_token")))
	s.wantUnavailable(s.userinfo(a.Str("access_token")))
	if info := s.userinfo(a.Str("access_token")); info.Header.Get("WWW-Authenticate") != "" {
		t.Error("503 with a challenge: clients would throw the token away")
	}
	s.wantOK(s.post("/oauth2/token", credentials))
	if err := s.Provider.Ready(context.Background()); err == nil {
		t.Error("ready with stale copies")
	}
	f.Down() // all of it: the copy of the client serves for a minute
	s.wantOK(s.post("/oauth2/token", credentials))
	s.Clock.Advance(time.Minute)
	s.wantUnavailable(s.post("/oauth2/token", credentials))
	s.wantUnavailable(s.refresh(a.Str("refresh_token")))
	f.Up()
	s.within(2*time.Second, "the server recovers", func() bool { return s.introspect(a.Str("access_token")).Status == http.StatusOK })
	s.wantOK(s.userinfo(a.Str("access_token")))
	s.wantOK(s.refresh(a.Str("refresh_token")))
}

func TestTokenEndpointWithTheStoreDownSavesNothing(t *testing.T) {
	t.Parallel()
	s, f := startFaulty(t)
	s.client()
	s.user("ada@example.com")
	token := s.tokens(nil).Str("refresh_token")
	code := s.browser("ada@example.com").code(nil)
	for _, op := range []string{"Token", "ExchangeToken"} {
		f.Down(op)
		refreshed, redeemed := s.refresh(token), s.redeem(code)
		f.Up()
		s.wantUnavailable(refreshed)
		s.wantUnavailable(redeemed)
	}
	s.wantOK(s.refresh(token))
	s.wantOK(s.redeem(code))
}

func TestRow61HowATokenRequestMayArrive(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
	form := url.Values{"grant_type": {"client_credentials"}}
	body := form.Encode()
	multipart := "--b\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--b--\r\n"
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		status int
		code   string
	}{
		{"GET", func(r *http.Request) { r.Method = "GET"; setBody(r, "", "") }, 405, "invalid_request"},
		{"GET with a query", func(r *http.Request) { r.Method = "GET"; r.URL.RawQuery = body; setBody(r, "", "") }, 405, "invalid_request"},
		{"PUT", func(r *http.Request) { r.Method = "PUT" }, 405, "invalid_request"},
		{"DELETE", func(r *http.Request) { r.Method = "DELETE" }, 405, "invalid_request"},
		{"method override", func(r *http.Request) { r.Method = "GET"; r.Header.Set("X-HTTP-Method-Override", "POST") }, 405, "invalid_request"},
		{"parameters in the query", func(r *http.Request) {
			r.URL.RawQuery = body
			setBody(r, "application/x-www-form-urlencoded", "")
		}, 400, "invalid_request"},
		{"parameters in both", func(r *http.Request) { r.URL.RawQuery = "scope=openid" }, 400, "invalid_request"},
		{"secret in the query", func(r *http.Request) { noBasic(r); r.URL.RawQuery = "client_id=app&client_secret=" + clientSecret }, 400, "invalid_request"},
		{"multipart", func(r *http.Request) { setBody(r, "multipart/form-data; boundary=b", multipart) }, 415, "invalid_request"},
		{"JSON", func(r *http.Request) { setBody(r, "application/json", `{"grant_type":"client_credentials"}`) }, 415, "invalid_request"},
		{"form sent as text", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "invalid_request"},
		{"no type", func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "invalid_request"},
		{"two types", func(r *http.Request) { r.Header.Add("Content-Type", "application/json") }, 415, "invalid_request"},
		{"charset UTF-16", func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-16")
		}, 415, "invalid_request"},
		{"malformed type", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset") }, 415, "invalid_request"},
		{"empty body", func(r *http.Request) { setBody(r, "application/x-www-form-urlencoded", "") }, 400, "invalid_request"},
		{"bad encoding", func(r *http.Request) { setBody(r, "application/x-www-form-urlencoded", "grant_type=%zz") }, 400, "invalid_request"},
		{"not UTF-8", func(r *http.Request) { setBody(r, "application/x-www-form-urlencoded", body+"&x=%ff") }, 400, "invalid_request"},
		{"NUL", func(r *http.Request) { setBody(r, "application/x-www-form-urlencoded", body+"&x=%00") }, 400, "invalid_request"},
		{"101 parameters", func(r *http.Request) { setBody(r, "application/x-www-form-urlencoded", body+strings.Repeat("&x", 100)) }, 400, "invalid_request"},
		{"100 KB", func(r *http.Request) {
			setBody(r, "application/x-www-form-urlencoded", body+"&x="+strings.Repeat("a", 100<<10))
		}, 413, "invalid_request"},
		{"no grant type", func(r *http.Request) { setBody(r, "application/x-www-form-urlencoded", "scope=openid") }, 400, "invalid_request"},
		{"grant type of other case", func(r *http.Request) { addForm(r, url.Values{"grant_type": {"CLIENT_CREDENTIALS"}}) }, 400, "unsupported_grant_type"},
		{"two grant types in one", func(r *http.Request) { addForm(r, url.Values{"grant_type": {"client_credentials refresh_token"}}) }, 400, "unsupported_grant_type"},
		{"password grant", func(r *http.Request) {
			addForm(r, url.Values{"grant_type": {"password"}, "username": {"a"}, "password": {"b"}})
		}, 400, "unsupported_grant_type"},
		{"implicit grant", func(r *http.Request) { addForm(r, url.Values{"grant_type": {"implicit"}}) }, 400, "unsupported_grant_type"},
	} {
		t.Run("row 61 "+test.name, func(t *testing.T) {
			a := s.post("/oauth2/token", form, test.change)
			if a.Status != test.status || a.Str("access_token") != "" || a.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
				t.Errorf("%d %v %s", a.Status, a.Header, a.Raw)
			}
			if a.Str("error") != test.code {
				t.Errorf("error %q, want %q", a.Str("error"), test.code)
			}
			if test.status == http.StatusMethodNotAllowed && !strings.Contains(a.Header.Get("Allow"), "POST") {
				t.Errorf("Allow %q", a.Header.Get("Allow"))
			}
		})
	}
	s.wantOK(s.post("/oauth2/token", form, header("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")))
	s.wantNoSecrets()
}

// Ruling 46: one value each, except resource and audience.
func TestRuling46RepeatedParameters(t *testing.T) {
	s := start(t, "memory")
	s.client()
	for _, name := range []string{"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "client_id", "client_secret", "client_assertion", "client_assertion_type", "unknown"} {
		t.Run("ruling 46 "+name, func(t *testing.T) {
			for _, values := range [][]string{{"x", "x"}, {"x", "y"}, {"", "x"}} {
				form := url.Values{"grant_type": {"refresh_token"}, name: values}
				a := s.post("/oauth2/token", form, noBasic)
				s.wantError(a, http.StatusBadRequest, "invalid_request")
				if name != "unknown" && !strings.Contains(a.Str("error_description"), name) {
					t.Errorf("the answer does not name the parameter: %s", a.Raw)
				}
			}
		})
	}
}

// userinfoBy sends a userinfo request made by change.
func (s *server) userinfoBy(method string, change func(*http.Request)) answer {
	s.Helper()
	r, err := http.NewRequest(method, s.URL+"/oauth2/userinfo", http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	change(r)
	return s.send(r)
}

func TestU1U6U7HowUserinfoTakesTokens(t *testing.T) {
	s := start(t, "memory")
	s.client()
	subject := s.user("ada@example.com")
	token := s.tokens(nil).Str("access_token")
	const formType = "application/x-www-form-urlencoded"
	body := url.Values{"access_token": {token}}.Encode()
	for _, test := range []struct {
		name   string
		method string
		change func(*http.Request)
		status int
		code   string
	}{
		{"U1 GET", "GET", header("Authorization", "Bearer "+token), 200, ""},
		{"U1 POST", "POST", header("Authorization", "Bearer "+token), 200, ""},
		{"U1 POST with an empty form", "POST", func(r *http.Request) { setBody(r, formType, ""); r.Header.Set("Authorization", "Bearer "+token) }, 200, ""},
		{"U1 POST in the body", "POST", func(r *http.Request) { setBody(r, formType, body) }, 200, ""},
		{"U7 scheme in lower case", "GET", header("Authorization", "bearer "+token), 200, ""},
		{"U7 scheme in upper case", "POST", header("Authorization", "BEARER "+token), 200, ""},
		{"U7 any Accept", "GET", func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Accept", "application/jwt, text/html;q=0.1")
		}, 200, ""},
		{"U6 token in the URL", "GET", func(r *http.Request) { r.URL.RawQuery = body }, 400, "invalid_request"},
		{"U6 token in the URL of a POST", "POST", func(r *http.Request) { r.URL.RawQuery = body }, 400, "invalid_request"},
		{"U6 token in the URL beside the header", "GET", func(r *http.Request) { r.URL.RawQuery = body; r.Header.Set("Authorization", "Bearer "+token) }, 400, "invalid_request"},
		{"U6 token in header and body", "POST", func(r *http.Request) { setBody(r, formType, body); r.Header.Set("Authorization", "Bearer "+token) }, 400, "invalid_request"},
		{"U6 token twice in the body", "POST", func(r *http.Request) { setBody(r, formType, body+"&"+body) }, 400, "invalid_request"},
		{"U6 another token in the body", "POST", func(r *http.Request) { setBody(r, formType, body+"&access_token=x") }, 400, "invalid_request"},
		{"U6 two headers", "GET", func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + token, "Bearer x"} }, 400, "invalid_request"},
		{"U6 JSON body", "POST", func(r *http.Request) { setBody(r, "application/json", `{"access_token":"`+token+`"}`) }, 415, "invalid_request"},
		{"U6 no token", "GET", func(*http.Request) {}, 401, "invalid_token"},
		{"U6 empty token", "GET", header("Authorization", "Bearer "), 401, "invalid_token"},
		{"U6 Basic", "GET", header("Authorization", "Basic "+token), 401, "invalid_token"},
		{"U6 DPoP scheme", "GET", header("Authorization", "DPoP "+token), 401, "invalid_token"},
		{"U6 body in a GET", "GET", func(r *http.Request) { setBody(r, formType, body) }, 401, "invalid_token"},
		{"U6 two tokens in one header", "GET", header("Authorization", "Bearer "+token+", Bearer x"), 401, "invalid_token"},
		{"U6 PUT", "PUT", header("Authorization", "Bearer "+token), 405, "invalid_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := s.userinfoBy(test.method, test.change)
			if a.Status != test.status || a.Str("error") != test.code {
				t.Fatalf("%d %s, want %d %s", a.Status, a.Raw, test.status, test.code)
			}
			if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Date") == "" || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
				t.Errorf("headers %v", a.Header)
			}
			if (a.Str("sub") == subject) != (test.status == 200) {
				t.Errorf("body %s", a.Raw)
			}
			if (test.status == 401 || test.status == 400) && test.name != "U6 two headers" && !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("WWW-Authenticate %q", a.Header.Get("WWW-Authenticate"))
			}
		})
	}
	s.wantNoSecrets(token)
}

// U6 and row 112: what userinfo must not take for an access token.
func TestU6Row112WhatUserinfoRefuses(t *testing.T) {
	t.Parallel()
	const files = "https://files.example/api"
	s := start(t, "memory", func(o *provider.Options) { o.Resources = []oauth.Resource{{URI: files}} })
	s.client(func(c *storage.Client) { c.Audience = []string{files} })
	s.client(func(c *storage.Client) {
		c.ID, c.GrantTypes, c.Scopes = "daemon", []string{"client_credentials"}, []string{"read"}
	})
	s.user("ada@example.com")
	expired := s.tokens(nil).Str("access_token")
	s.advance(10*time.Minute + time.Second)
	live := s.tokens(nil)
	revoked := s.tokens(nil).Str("access_token")
	s.wantOK(s.post("/oauth2/revoke", url.Values{"token": {revoked}}))
	for name, token := range map[string]string{
		"U6 expired": expired, "U6 revoked": revoked, "U6 other audience": s.tokens(url.Values{"resource": {files}}).Str("access_token"), "row 112 ID token": live.Str("id_token"),
		"row 112 refresh token": live.Str("refresh_token"), "row 112 code": s.browser("ada@example.com").code(nil), "row 118 a million dots": strings.Repeat(".", 20000),
	} {
		t.Run(name, func(t *testing.T) { s.wantBearer(s.userinfo(token), http.StatusUnauthorized, "invalid_token") })
	}
	t.Run("U6 client without a user", func(t *testing.T) {
		token := s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, as("daemon", clientSecret)).Str("access_token")
		s.wantBearer(s.userinfo(token), http.StatusForbidden, "insufficient_scope")
	})
	t.Run("U6 no openid", func(t *testing.T) {
		token := s.wantOK(s.refreshWith(live.Str("refresh_token"), url.Values{"scope": {"email"}})).Str("access_token")
		s.wantBearer(s.userinfo(token), http.StatusForbidden, "insufficient_scope")
	})
}

func fullUser(u *storage.User) {
	u.Username, u.UsernameKey = "ada", "ada"
	u.Claims = map[string]any{
		"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "middle_name": "King", "nickname": "Countess", "preferred_username": "ada", "profile": "https://ada.example/",
		"picture": "https://ada.example/p.png", "website": "https://ada.example/w", "gender": "female", "birthdate": "1815-12-10", "zoneinfo": "Europe/London", "locale": "en-GB",
		"updated_at": float64(1700000000), "phone_number": "+44 20 7946 0000", "phone_number_verified": true, "address": map[string]any{"locality": "London", "country": "GB"},
	}
}

// U2, U3, U4: each scope brings all of its claims and no others, in the right types.
func TestU2U3U4UserinfoClaims(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com", fullUser)
	profile := strings.Fields("name given_name family_name middle_name nickname preferred_username profile picture website gender birthdate zoneinfo locale updated_at")
	for scope, claims := range map[string][]string{
		"openid": nil, "openid profile": profile, "openid email": {"email", "email_verified"}, "openid phone": {"phone_number", "phone_number_verified"}, "openid address": {"address"},
		"address phone openid email profile": append([]string{"email", "email_verified", "phone_number", "phone_number_verified", "address"}, profile...),
	} {
		t.Run("U4 "+scope, func(t *testing.T) {
			a := s.tokens(url.Values{"scope": {scope}})
			info := s.wantOK(s.userinfo(a.Str("access_token")))
			var got []string
			for name := range info.JSON {
				got = append(got, name)
			}
			want := append([]string{"sub"}, claims...)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("claims %v, want %v", got, want)
			}
			if info.JSON["sub"] != jwtPayload(t, a.Str("id_token"))["sub"] {
				t.Error("U2: sub differs from the ID token's")
			}
			if strings.Contains(scope, "profile email") || strings.Contains(scope, "email profile") {
				_, verified := info.JSON["email_verified"].(bool)
				_, phone := info.JSON["phone_number_verified"].(bool)
				updated, number := info.JSON["updated_at"].(float64)
				address, object := info.JSON["address"].(map[string]any)
				if !verified || !phone || !number || updated != 1700000000 || !object || address["locality"] != "London" || info.Str("birthdate") != "1815-12-10" {
					t.Errorf("U3: %s", info.Raw)
				}
			}
			// T14: the claims of scopes are at userinfo, not in the ID token.
			for name := range jwtPayload(t, a.Str("id_token")) {
				if slices.Contains(claims, name) {
					t.Errorf("T14: the ID token holds %s", name)
				}
			}
		})
	}
}

// U2: what the user does not have is left out, and row 120: a user's attributes never take the place of the protocol's.
func TestU2Row120HostileAndEmptyAttributes(t *testing.T) {
	s := start(t, "memory")
	s.client()
	subject := s.user("ada@example.com", func(u *storage.User) {
		u.EmailVerified = false
		u.Claims = map[string]any{
			"name": "", "given_name": nil, "address": map[string]any{}, "family_name": "Lovelace", "email": "admin@example.com", "email_verified": true,
			"iss": "https://evil.example", "sub": "admin", "aud": "other", "exp": float64(1 << 40), "acr": "9", "amr": []any{"hwk"}, "cnf": map[string]any{"jkt": "x"}, "scope": "admin",
			"client_id": "admin", "roles": []any{"admin"}, "groups": []any{"admin"},
		}
	})
	a := s.tokens(url.Values{"scope": {"openid profile email address phone"}})
	info := s.wantOK(s.userinfo(a.Str("access_token")))
	for _, name := range []string{"name", "given_name", "address", "phone_number", "phone_number_verified", "nickname", "iss", "aud", "exp", "acr", "amr", "cnf", "scope", "client_id", "roles", "groups"} {
		if value, found := info.JSON[name]; found {
			t.Errorf("userinfo has %s = %v", name, value)
		}
	}
	if info.Str("sub") != subject || info.Str("email") != "ada@example.com" || info.JSON["email_verified"] != false || info.Str("family_name") != "Lovelace" {
		t.Errorf("row 120: %s", info.Raw)
	}
	for _, token := range []string{a.Str("id_token"), a.Str("access_token")} {
		claims := jwtPayload(t, token)
		if claims["iss"] != s.URL || claims["sub"] != subject || claims["acr"] == "9" || claims["cnf"] != nil || claims["roles"] != nil || claims["scope"] == "admin" {
			t.Errorf("row 120: %v", claims)
		}
	}
}

// Row 121: a user who is deleted and created again is somebody else.
func TestRow121DeletedUsersTokensStayDead(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	s.client()
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	a := s.wantOK(s.redeem(b.code(nil)))
	if err := s.Store.DeleteUser(t.Context(), subject); err != nil {
		t.Fatal(err)
	}
	if again := s.user("ada@example.com", func(u *storage.User) { u.Subject = "sub-of-the-second-ada" }); again == subject {
		t.Fatal("the subject was used again")
	}
	s.within(time.Second, "the access token is dead", func() bool { return s.userinfo(a.Str("access_token")).Status == http.StatusUnauthorized })
	s.wantDead(a.Str("refresh_token"), a.Str("access_token"))
	if got := b.callback(url.Values{"prompt": {"none"}}); got.Get("error") != "login_required" {
		t.Errorf("the first user's session answers %v", got)
	}
}
