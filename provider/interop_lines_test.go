package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"gatehouse/provider"
	"gatehouse/provider/client"
	"gatehouse/provider/oauth"
	"gatehouse/storage"
)

// What the field's other clients demand, each with the library that was seen to fail without it.

// interop is a server with a client and a user, for one subtest.
func interop(t *testing.T, changes ...func(*storage.Client)) *server {
	t.Helper()
	s := start(t, "memory")
	s.client(changes...)
	s.user("ada@example.com")
	return s
}

// TestInteropIssInEveryAnswer: oauth4webapi and MCP clients refuse answers, errors too, without the iss that the metadata promises (RFC 9207).
func TestInteropIssInEveryAnswer(t *testing.T) {
	s := interop(t)
	var metadata map[string]any
	s.document("/.well-known/openid-configuration", &metadata)
	if metadata["authorization_response_iss_parameter_supported"] != true {
		t.Error("the metadata does not promise iss")
	}
	s.user("grace@example.com") // consents to nothing
	denying := s.browser("grace@example.com")
	denying.Deny = true
	for _, c := range []struct {
		name    string
		browser *browser
		values  url.Values
		want    string // error, "" is a code
	}{
		{"code", s.browser("ada@example.com"), nil, ""},
		{"denied", denying, nil, "access_denied"},
		{"prompt none without session", s.browser("ada@example.com"), url.Values{"prompt": {"none"}}, "login_required"},
		{"prompt none without consent", denying, url.Values{"prompt": {"none"}}, "consent_required"},
		{"wrong scope", s.browser("ada@example.com"), url.Values{"scope": {"openid root"}}, "invalid_scope"},
		{"wrong response_type", s.browser("ada@example.com"), url.Values{"response_type": {"token"}}, "unsupported_response_type"},
		{"no PKCE", s.browser("ada@example.com"), url.Values{"code_challenge": {""}}, "invalid_request"},
		{"request object", s.browser("ada@example.com"), url.Values{"request": {"e30.e30."}}, "invalid_request_object"},
		{"wrong prompt", s.browser("ada@example.com"), url.Values{"prompt": {"none login"}}, "invalid_request"},
	} {
		for _, mode := range []string{"query", "form_post"} {
			t.Run(c.name+" by "+mode, func(t *testing.T) {
				s := s.on(t)
				values := maps.Clone(c.values)
				if values == nil {
					values = url.Values{}
				}
				values.Set("response_mode", mode)
				c.browser.s = s
				p := c.browser.walk(s.authorizeURL(values))
				var params url.Values
				if mode == "form_post" {
					_, params = s.posted(p)
				} else {
					params = s.sentTo(p, callback)
				}
				if params.Get("iss") != s.URL || params.Get("error") != c.want || params.Get("state") != "af0ifjsldkj" || params.Has("code") == (c.want != "") {
					t.Errorf("%v, want error %q with iss and state", params, c.want)
				}
			})
		}
	}
}

// document fetches JSON that any script may read.
func (s *server) document(path string, into any) answer {
	s.Helper()
	r, err := http.NewRequest("GET", originOf(s.URL)+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	a := s.send(r)
	if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Access-Control-Allow-Origin") != "*" {
		s.Fatalf("%s: %d %v %s", path, a.Status, a.Header, a.Raw)
	}
	if err := json.Unmarshal([]byte(a.Raw), into); err != nil {
		s.Fatal(err)
	}
	return a
}

// TestInteropMetadataDocuments: MCP clients try RFC 8414 with the path inserted first; any 4xx moves them on and a 5xx ends the sign-in.
func TestInteropMetadataDocuments(t *testing.T) {
	for path, places := range map[string][]string{
		"":     {"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
		"/mcp": {"/.well-known/oauth-authorization-server/mcp", "/.well-known/openid-configuration/mcp", "/mcp/.well-known/openid-configuration"},
	} {
		t.Run("issuer path "+path, func(t *testing.T) {
			issuer := ""
			s := start(t, "memory", underPath(path, &issuer))
			for _, place := range places {
				var metadata struct {
					Issuer        string   `json:"issuer"`
					ResponseTypes []string `json:"response_types_supported"`
					Challenges    []string `json:"code_challenge_methods_supported"`
					Algs          []string `json:"id_token_signing_alg_values_supported"`
					AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
				}
				s.document(place, &metadata)
				if metadata.Issuer != issuer || !slices.Equal(metadata.ResponseTypes, []string{"code"}) || !slices.Equal(metadata.Challenges, []string{"S256"}) || metadata.Algs[0] != "RS256" {
					t.Errorf("%s: %+v", place, metadata)
				}
				for _, method := range []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"} {
					if !slices.Contains(metadata.AuthMethods, method) {
						t.Errorf("%s does not offer %s", place, method)
					}
				}
			}
			for _, place := range []string{"/.well-known/oauth-authorization-server/other", "/.well-known/openid-configuration/other", "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
				r, _ := http.NewRequest("GET", originOf(s.URL)+place, nil)
				if a := s.send(r); a.Status != http.StatusNotFound {
					t.Errorf("%s answers %d: clients go on after 404 only", place, a.Status)
				}
			}
		})
	}
}

// TestInteropFailedAuthenticationKeepsTheCode: x/oauth2 tries Basic first and the body after any error, with the same code.
func TestInteropFailedAuthenticationKeepsTheCode(t *testing.T) {
	s := interop(t)
	s.client(func(c *storage.Client) { c.ID = "other" })
	s.client(func(c *storage.Client) { c.ID = "keyed"; keyClient(t, c) })
	for name, change := range map[string]func(*http.Request){
		"wrong secret by Basic":       as("app", "wrong"),
		"empty secret by Basic":       as("app", ""),
		"no authentication":           noBasic,
		"unknown client":              as("nobody", clientSecret),
		"another client":              as("other", clientSecret),
		"Basic that does not decode":  func(r *http.Request) { r.Header.Set("Authorization", "Basic %%%") },
		"client of another method":    as("keyed", clientSecret),
		"Basic beside a wrong client": func(r *http.Request) { withBody(r, "client_id", "other") },
		"Basic beside an assertion": func(r *http.Request) {
			withBody(r, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			withBody(r, "client_assertion", "e30.e30.e30")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			code := s.browser("ada@example.com").code(nil)
			refused := s.redeem(code, change)
			if refused.Status != http.StatusUnauthorized && refused.Status != http.StatusBadRequest || refused.Str("error") == "" || strings.Contains(refused.Raw, "access_token") {
				t.Fatalf("%d %s", refused.Status, refused.Raw)
			}
			s.wantError(refused, refused.Status, refused.Str("error"))
			if basic := strings.HasPrefix(refused.Header.Get("WWW-Authenticate"), "Basic "); refused.Str("error") == "invalid_client" && basic == (name == "no authentication") {
				t.Errorf("WWW-Authenticate %q: it belongs to a client that used Basic", refused.Header.Get("WWW-Authenticate"))
			}
			if a := s.redeem(code); a.Status != http.StatusOK {
				t.Errorf("the code is gone: %d %s", a.Status, a.Raw)
			}
		})
	}
}

// TestInteropBasicIsFormURLEncoded: x/oauth2, Auth.js and openid-client encode id and secret before base64 (RFC 6749 section 2.3.1). The style is given, for
// the automatic one would try the body after a refusal.
func TestInteropBasicIsFormURLEncoded(t *testing.T) {
	s := start(t, "memory")
	for i, c := range []struct{ id, secret string }{
		{"plain", "generated_like-1234"}, {"colon:id", "pass:word"}, {"plus+id", "a+b+c+d+e"}, {"per%cent", "100%25%zz"}, {"sp ace", "&=?/#~!*'()"}, {"urn:example:app/1", "\u00fcber-geheim"},
	} {
		t.Run(c.id, func(t *testing.T) {
			s.client(func(client *storage.Client) {
				client.ID, client.Secrets = c.id, []storage.ClientSecret{{Hash: chosenSecret(t, c.secret)}}
				client.GrantTypes, client.Scopes = []string{"client_credentials"}, []string{"reports:read"}
			})
			for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
				config := clientcredentials.Config{ClientID: c.id, ClientSecret: c.secret, TokenURL: s.URL + "/oauth2/token", AuthStyle: style}
				if _, err := config.Token(t.Context()); err != nil {
					t.Errorf("style %v: %v", style, err)
				}
				config.ClientSecret += "x"
				if _, err := config.Token(t.Context()); err == nil {
					t.Errorf("style %v: a wrong secret is accepted", style)
				}
			}
			plain := s.on(t).post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, as(c.id, c.secret))
			if i == 0 && plain.Status != http.StatusOK { // as MCP SDK v1 sends it: the same bytes, if nothing needs encoding
				t.Errorf("not encoded: %d %s", plain.Status, plain.Raw)
			}
		})
	}
}

// TestInteropAssertionBesideBasic: x/oauth2 first sends an empty Basic secret beside the assertion, and then the very same assertion alone.
func TestInteropAssertionBesideBasic(t *testing.T) {
	var key clientKey
	s := interop(t, func(c *storage.Client) {
		key = keyClient(t, c)
		c.GrantTypes, c.Scopes = []string{"client_credentials"}, []string{"reports:read"}
	})
	for _, secret := range []string{"", "x"} {
		assertion := key.assertion(t, "app", s.URL)
		form := url.Values{
			"grant_type": {"client_credentials"}, "client_assertion": {assertion}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
		s.wantError(s.post("/oauth2/token", form, as("app", secret)), http.StatusBadRequest, "invalid_request")
		if a := s.post("/oauth2/token", form, noBasic); a.Status != http.StatusOK {
			t.Errorf("the assertion was used up by the refusal: %d %s", a.Status, a.Raw)
		}
	}
}

// withBody adds a parameter to a form.
func withBody(r *http.Request, name, value string) {
	addition := "&" + url.Values{name: {value}}.Encode()
	r.Body = io.NopCloser(io.MultiReader(r.Body, strings.NewReader(addition)))
	r.ContentLength += int64(len(addition))
	r.GetBody = nil
}

// TestInteropSecretByHeaderAndBody: zitadel's client, passport-openidconnect and Authlib send the secret in the body, registered for Basic or not; and the
// other way round.
func TestInteropSecretByHeaderAndBody(t *testing.T) {
	inBody := func(r *http.Request) {
		noBasic(r)
		withBody(r, "client_id", "app")
		withBody(r, "client_secret", clientSecret)
	}
	for _, registered := range []string{"client_secret_basic", "client_secret_post"} {
		for way, change := range map[string]func(*http.Request){"header": func(*http.Request) {}, "body": inBody} {
			t.Run(registered+" by "+way, func(t *testing.T) {
				s := interop(t, func(c *storage.Client) { c.AuthMethod = registered })
				tokens := s.redeem(s.browser("ada@example.com").code(nil), change)
				next := s.refresh(tokens.Str("refresh_token"), change)
				asked := s.introspect(next.Str("access_token"), change)
				gone := s.post("/oauth2/revoke", url.Values{"token": {next.Str("refresh_token")}, "token_type_hint": {"refresh_token"}}, change)
				if tokens.Status != 200 || next.Status != 200 || asked.JSON["active"] != true || gone.Status != 200 {
					t.Errorf("code %d %s, refresh %d %s, introspection %s, revocation %d %s", tokens.Status, tokens.Raw, next.Status, next.Raw, asked.Raw, gone.Status, gone.Raw)
				}
			})
		}
	}
}

// TestInteropSecretsNeedNoEncoding: MCP SDK v1 sends plain base64 of id:secret, so what we generate must read the same encoded or not.
func TestInteropSecretsNeedNoEncoding(t *testing.T) {
	for range 50 {
		if secret, _ := client.NewSecret(); url.QueryEscape(secret) != secret {
			t.Fatalf("the secret %q changes when it is encoded", secret)
		}
	}
}

// TestInteropPublicClientWithBasicAndEmptySecret is what x/oauth2 sends first for a client without a secret.
func TestInteropPublicClientWithBasicAndEmptySecret(t *testing.T) {
	s := start(t, "memory")
	s.user("ada@example.com")
	s.publicClient("native", callback)
	code := func(s *server) string {
		return s.browser("ada@example.com").code(url.Values{"client_id": {"native"}})
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		ok     bool
	}{
		{"Basic with empty secret", as("native", ""), true},
		{"client_id in the body", func(r *http.Request) { noBasic(r); withBody(r, "client_id", "native") }, true},
		{"both", func(r *http.Request) { r.SetBasicAuth("native", ""); withBody(r, "client_id", "native") }, true},
		{"empty client_secret in the body", func(r *http.Request) {
			noBasic(r)
			withBody(r, "client_id", "native")
			withBody(r, "client_secret", "")
		}, true},
		{"Basic with a secret", as("native", "secret"), false},
		{"secret in the body", func(r *http.Request) {
			noBasic(r)
			withBody(r, "client_id", "native")
			withBody(r, "client_secret", "secret")
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.on(t)
			a := s.redeem(code(s), c.change)
			if !c.ok {
				s.wantError(a, http.StatusUnauthorized, "invalid_client")
				return
			}
			if a.Status != http.StatusOK {
				t.Fatalf("%d %s", a.Status, a.Raw)
			}
			if next := s.refresh(a.Str("refresh_token"), c.change); next.Status != http.StatusOK {
				t.Errorf("refresh: %d %s", next.Status, next.Raw)
			}
		})
	}
}

// TestInteropScopeOnRefresh: zitadel's client and oidc-client-ts send the whole scope again.
func TestInteropScopeOnRefresh(t *testing.T) {
	s := interop(t)
	for _, c := range []struct{ scope, answered, code string }{
		{"openid profile email offline_access", "openid profile email offline_access", ""},
		{"offline_access email profile openid", "openid profile email offline_access", ""},
		{"openid email", "openid email", ""},
		{"", "openid profile email offline_access", ""},
		{"openid profile email offline_access phone", "", "invalid_scope"},
		{"openid nonsense", "", "invalid_scope"},
	} {
		t.Run("scope "+c.scope, func(t *testing.T) {
			s := s.on(t)
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {s.tokens(nil).Str("refresh_token")}}
			if c.scope != "" {
				form.Set("scope", c.scope)
			}
			a := s.post("/oauth2/token", form)
			if c.code != "" {
				s.wantError(a, http.StatusBadRequest, c.code)
				return
			}
			if a.Status != http.StatusOK || !sameScope(a.Str("scope"), c.answered) {
				t.Errorf("%d %s, want the scope %q", a.Status, a.Raw, c.answered)
			}
			if again := s.refresh(a.Str("refresh_token")); !sameScope(again.Str("scope"), "openid profile email offline_access") {
				t.Errorf("the next refresh has the scope %q: a narrower refresh must not narrow the grant", again.Str("scope"))
			}
		})
	}
}

// TestInteropScopeIsReturnedAsAsked: oauthlib raises "Scope has changed" for any difference between the sets.
func TestInteropScopeIsReturnedAsAsked(t *testing.T) {
	s := interop(t, func(c *storage.Client) {
		c.GrantTypes, c.Scopes = append(c.GrantTypes, "client_credentials"), append(c.Scopes, "reports:read", "reports:write")
	})
	for _, scope := range []string{
		"openid", "profile openid", "openid profile email address phone offline_access", "offline_access openid", "openid email email openid", "reports:read", "reports:write offline_access",
	} {
		t.Run("code "+scope, func(t *testing.T) {
			s := s.on(t)
			a := s.tokens(url.Values{"scope": {scope}})
			if !sameScope(a.Str("scope"), scope) {
				t.Errorf("asked for %q, got %q", scope, a.Str("scope"))
			}
			if asked := s.introspect(a.Str("access_token")); !sameScope(asked.Str("scope"), scope) {
				t.Errorf("introspection says %q", asked.Str("scope"))
			}
		})
	}
	for _, scope := range []string{"reports:read", "reports:write reports:read"} {
		t.Run("client_credentials "+scope, func(t *testing.T) {
			a := s.on(t).post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
			if !sameScope(a.Str("scope"), scope) {
				t.Errorf("asked for %q, got %s", scope, a.Raw)
			}
		})
	}
}

// sameScope compares as oauthlib does: as sets.
func sameScope(a, b string) bool {
	set := func(scope string) []string {
		list := strings.Fields(scope)
		slices.Sort(list)
		return slices.Compact(list)
	}
	return slices.Equal(set(a), set(b)) && len(strings.Fields(a)) == len(set(a))
}

// TestInteropAssertionAudience: openid-client, oauth4webapi and zitadel name the issuer, Authlib the token endpoint, Auth.js both in an array. All of them
// live for up to an hour.
func TestInteropAssertionAudience(t *testing.T) {
	var key clientKey
	s := interop(t, func(c *storage.Client) {
		key = keyClient(t, c)
		c.GrantTypes, c.Scopes = append(c.GrantTypes, "client_credentials"), append(c.Scopes, "reports:read")
	})
	token := s.URL + "/oauth2/token"
	for _, c := range []struct {
		name string
		aud  any
		ok   bool
	}{
		{"issuer", s.URL, true},
		{"token endpoint", token, true},
		{"issuer in an array", []string{s.URL}, true},
		{"token endpoint in an array", []string{token}, true},
		{"both, as Auth.js", []string{s.URL, token}, true},
		{"both, the other way round", []string{token, s.URL}, true},
		{"another server beside the issuer", []string{s.URL, "https://evil.example"}, false},
		{"both and another server", []string{s.URL, token, "https://evil.example"}, false},
		{"issuer with a slash", s.URL + "/", false},
		{"introspection endpoint", s.URL + "/oauth2/introspect", false},
		{"another server", "https://evil.example", false},
		{"empty array", []string{}, false},
		{"empty", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.on(t)
			access := s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, asserting(t, key, s.URL)).Str("access_token")
			for path, form := range map[string]url.Values{
				"/oauth2/token": {"grant_type": {"client_credentials"}}, "/oauth2/introspect": {"token": {access}}, "/oauth2/revoke": {"token": {access}}, "/oauth2/par": s.pushable(nil),
			} {
				a := s.post(path, form, asserting(t, key, c.aud))
				if want := map[bool]int{true: http.StatusCreated, false: http.StatusOK}[path == "/oauth2/par"]; c.ok && a.Status != want {
					t.Errorf("%s: %d %s", path, a.Status, a.Raw)
				}
				if !c.ok {
					s.wantError(a, http.StatusUnauthorized, "invalid_client")
				}
			}
		})
	}
}

// asserting authenticates client "app" with a fresh assertion in the body, without client_id, as RFC 7523 allows.
func asserting(t *testing.T, key clientKey, aud any) func(*http.Request) {
	return func(r *http.Request) {
		noBasic(r)
		withBody(r, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		withBody(r, "client_assertion", key.assertion(t, "app", aud))
	}
}

// TestInteropTokenResponse: what oauth4webapi, x/oauth2 and openid-client read of an answer and of an error.
func TestInteropTokenResponse(t *testing.T) {
	s := interop(t, func(c *storage.Client) {
		c.GrantTypes, c.Scopes = append(c.GrantTypes, "client_credentials"), append(c.Scopes, "reports:read")
	})
	tokens := s.tokens(nil)
	for name, a := range map[string]answer{
		"code": tokens, "refresh": s.refresh(tokens.Str("refresh_token")), "client_credentials": s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}),
	} {
		t.Run(name, func(t *testing.T) {
			expires, isNumber := a.JSON["expires_in"].(float64)
			if a.Status != http.StatusOK || !isNumber || expires != 600 || a.Str("token_type") != "Bearer" || a.Str("access_token") == "" || a.Str("scope") == "" {
				t.Errorf("%d %s", a.Status, a.Raw)
			}
			if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", a.Header)
			}
		})
	}
	for _, c := range []struct {
		name, code string
		status     int
		form       url.Values
		change     func(*http.Request)
	}{
		{"wrong secret", "invalid_client", 401, url.Values{"grant_type": {"client_credentials"}}, as("app", "x")},
		{"unknown code", "invalid_grant", 400, url.Values{"grant_type": {"authorization_code"}, "code": {"gth_ac_x"}, "redirect_uri": {callback}}, nil},
		{"unknown refresh token", "invalid_grant", 400, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"gth_rt_x"}}, nil},
		{"unknown grant", "unsupported_grant_type", 400, url.Values{"grant_type": {"password"}}, nil},
		{"no grant", "invalid_request", 400, url.Values{"x": {"y"}}, nil},
		{"wrong scope", "invalid_scope", 400, url.Values{"grant_type": {"client_credentials"}, "scope": {"root"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.on(t)
			if c.change == nil {
				c.change = func(*http.Request) {}
			}
			a := s.post("/oauth2/token", c.form, c.change)
			s.wantError(a, c.status, c.code)
			if a.Header.Get("Content-Type") != "application/json" || a.Str("error_description") == "" || (a.Header.Get("WWW-Authenticate") != "") != (c.status == 401) {
				t.Errorf("%v %s", a.Header, a.Raw)
			}
		})
	}
}

// TestInteropScriptsMayRead: oidc-client-ts runs in the page of the client, on the origin of its redirect URI, and reads errors too.
func TestInteropScriptsMayRead(t *testing.T) {
	s := interop(t)
	const origin = "https://rp.example"
	from := func(origin string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Origin", origin) }
	}
	t.Run("preflight", func(t *testing.T) {
		for _, path := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/userinfo", "/oauth2/par"} {
			r, _ := http.NewRequest("OPTIONS", s.URL+path, nil)
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", "POST")
			r.Header.Set("Access-Control-Request-Headers", "authorization,dpop,content-type")
			a := s.on(t).send(r)
			allowed := strings.ToLower(a.Header.Get("Access-Control-Allow-Headers"))
			if a.Status != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Origin") != origin || a.Header.Get("Access-Control-Allow-Credentials") != "" ||
				!strings.Contains(allowed, "authorization") || !strings.Contains(allowed, "dpop") || !strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "POST") {
				t.Errorf("%s: %d %v", path, a.Status, a.Header)
			}
		}
	})
	tokens := s.redeem(s.browser("ada@example.com").code(nil), from(origin))
	for name, a := range map[string]answer{
		"token": tokens, "token error": s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, from(origin)),
		"client error": s.refresh("x", as("app", "wrong"), from(origin)), "revocation": s.post("/oauth2/revoke", url.Values{"token": {"x"}}, from(origin)),
		"revocation error": s.post("/oauth2/revoke", url.Values{"x": {"y"}}, from(origin)), "userinfo": s.userinfoFrom(origin, tokens.Str("access_token")),
		"userinfo error": s.userinfoFrom(origin, tokens.Str("access_token")[:len(tokens.Str("access_token"))-6]), "pushed request": s.post("/oauth2/par", s.pushable(nil), from(origin)),
		"pushed request error": s.post("/oauth2/par", s.pushable(url.Values{"scope": {"openid root"}}), from(origin)),
	} {
		t.Run(name, func(t *testing.T) {
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != origin || a.Header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(a.Header.Get("Vary"), "Origin") {
				t.Errorf("%d %s: Access-Control-Allow-Origin %q, %v", a.Status, a.Raw, got, a.Header)
			}
			if exposed := a.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, "WWW-Authenticate") || !strings.Contains(exposed, "DPoP-Nonce") {
				t.Errorf("exposes %q", exposed)
			}
			if failed := strings.HasSuffix(name, "error"); failed != (a.Status >= 400) || failed && (a.Str("error") == "" || a.Header.Get("Content-Type") != "application/json") {
				t.Errorf("%d %s", a.Status, a.Raw)
			}
		})
	}
	t.Run("another origin", func(t *testing.T) {
		for _, stranger := range []string{"https://evil.example", "null", "https://rp.example.evil.example", "http://rp.example"} {
			if a := s.on(t).refresh("x", from(stranger)); a.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s may read the answer", stranger)
			}
		}
	})
}

func (s *server) userinfoFrom(origin, token string) answer {
	s.Helper()
	r, err := http.NewRequest("GET", s.URL+"/oauth2/userinfo", nil)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Origin", origin)
	return s.send(r)
}

// TestInteropRevocationAnswersEmpty: oidc-client-ts refuses an answer of any content type but JSON.
func TestInteropRevocationAnswersEmpty(t *testing.T) {
	s := interop(t)
	tokens := s.tokens(nil)
	for name, token := range map[string]string{"refresh token": tokens.Str("refresh_token"), "access token": tokens.Str("access_token"), "unknown": "gth_rt_unknown", "not ours": "x.y.z"} {
		t.Run(name, func(t *testing.T) {
			a := s.on(t).post("/oauth2/revoke", url.Values{"token": {token}})
			if a.Status != http.StatusOK || a.Raw != "" || a.Header.Get("Content-Type") != "" || a.Header.Get("Content-Length") != "0" {
				t.Errorf("%d %q %v", a.Status, a.Raw, a.Header)
			}
		})
	}
}

// TestInteropClientWithoutPKCE: passport-openidconnect has none; its clients are given the profile compatible, and use a nonce.
func TestInteropClientWithoutPKCE(t *testing.T) {
	noPKCE := url.Values{"code_challenge": {""}, "code_challenge_method": {""}}
	t.Run("strict", func(t *testing.T) {
		s := interop(t)
		if got := s.browser("ada@example.com").callback(noPKCE).Get("error"); got != "invalid_request" {
			t.Errorf("error %q", got)
		}
	})
	t.Run("public", func(t *testing.T) {
		s := interop(t, func(c *storage.Client) { c.Profile, c.AuthMethod = "compatible", "none" })
		if got := s.browser("ada@example.com").callback(noPKCE).Get("error"); got != "invalid_request" {
			t.Errorf("error %q", got)
		}
	})
	t.Run("compatible", func(t *testing.T) {
		s := interop(t, func(c *storage.Client) { c.Profile = "compatible" })
		redeem := func(extra url.Values) answer {
			form := url.Values{"grant_type": {"authorization_code"}, "code": {s.browser("ada@example.com").code(noPKCE)}, "redirect_uri": {callback}}
			maps.Copy(form, extra)
			return s.post("/oauth2/token", form)
		}
		a := redeem(nil)
		if a.Status != http.StatusOK || jwtPayload(t, a.Str("id_token"))["nonce"] != "n-0S6_WzA2Mj" {
			t.Errorf("%d %s", a.Status, a.Raw)
		}
		s.wantError(redeem(url.Values{"code_verifier": {verifier}}), http.StatusBadRequest, "invalid_grant")
	})
}

// published returns the JWKS and checks that every key names itself, its use and its algorithm.
func (s *server) published() map[string]jose.JSONWebKey {
	s.Helper()
	var set jose.JSONWebKeySet
	s.document("/.well-known/jwks.json", &set)
	byKID := map[string]jose.JSONWebKey{}
	for _, key := range set.Keys {
		if key.KeyID == "" || key.Use != "sig" || key.Algorithm == "" || !key.IsPublic() {
			s.Errorf("key %q: use %q, alg %q, public %v", key.KeyID, key.Use, key.Algorithm, key.IsPublic())
		}
		byKID[key.KeyID] = key
	}
	return byKID
}

// TestInteropKeysAreNamed: mod_auth_openidc cannot read EdDSA keys and finds its RSA key by kid; go-oidc verifies only algorithms that the metadata lists.
func TestInteropKeysAreNamed(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) { o.Keys.Algorithms = []string{"RS256", "ES256", "EdDSA", "PS256"} })
	s.client()
	s.user("ada@example.com")
	tokens := s.tokens(nil)
	refreshed := s.refresh(tokens.Str("refresh_token"))
	keys := s.published()
	var metadata struct {
		Algs []string `json:"id_token_signing_alg_values_supported"`
	}
	s.document("/.well-known/openid-configuration", &metadata)
	for name, c := range map[string]struct{ token, alg string }{
		"ID token": {tokens.Str("id_token"), "RS256"}, "refreshed ID token": {refreshed.Str("id_token"), "RS256"},
		"access token": {tokens.Str("access_token"), "ES256"}, "refreshed access token": {refreshed.Str("access_token"), "ES256"},
	} {
		t.Run(name, func(t *testing.T) {
			header := jwtHeader(t, c.token)
			key, known := keys[fmt.Sprint(header["kid"])]
			if !known || header["alg"] != c.alg || key.Algorithm != c.alg {
				t.Fatalf("header %v, key %q of %s", header, key.KeyID, key.Algorithm)
			}
			jws, err := jose.ParseSignedCompact(c.token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.alg)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jws.Verify(key); err != nil {
				t.Error(err)
			}
			if !slices.Contains(metadata.Algs, c.alg) {
				t.Errorf("the metadata lists %v", metadata.Algs)
			}
		})
	}
}

// jwtHeader decodes the header of a JWT.
func jwtHeader(t *testing.T, token string) map[string]any {
	t.Helper()
	encoded, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	return header
}

// TestInteropAccessTokenIsRFC9068: resource servers on go-jose and oauth4webapi demand these members, also of a client's own tokens.
func TestInteropAccessTokenIsRFC9068(t *testing.T) {
	s := interop(t, func(c *storage.Client) {
		c.GrantTypes, c.Scopes = append(c.GrantTypes, "client_credentials"), append(c.Scopes, "reports:read")
	})
	tokens := s.tokens(nil)
	for name, c := range map[string]struct{ token, subject string }{
		"code":               {tokens.Str("access_token"), "sub-ada-example-com"},
		"refresh":            {s.refresh(tokens.Str("refresh_token")).Str("access_token"), "sub-ada-example-com"},
		"client_credentials": {s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}).Str("access_token"), "app"},
	} {
		t.Run(name, func(t *testing.T) {
			header, claims := jwtHeader(t, c.token), jwtPayload(t, c.token)
			if header["typ"] != "at+jwt" || header["kid"] == nil {
				t.Errorf("header %v", header)
			}
			issued, _ := claims["iat"].(float64)
			expires, _ := claims["exp"].(float64)
			if claims["iss"] != s.URL || claims["aud"] != s.URL || claims["sub"] != c.subject || claims["client_id"] != "app" || claims["jti"] == nil || expires-issued != 600 {
				t.Errorf("claims %v", claims)
			}
		})
	}
}

// oddValues are what applications send as state and nonce.
var oddValues = map[string]string{
	"plus and space": "a+b c", "percent": "100%25%zz%", "quotes": `"'<>&` + "`", "not ASCII": "Grüße 東京 \U0001f511", "base64": "ab+/cd==", "json": `{"a":"b","c":["d"]}`,
	"separators": "a=b&c=d#e?f;g", "markup": `"><script>alert(1)</script>`, "very long": strings.Repeat("x", 2000), "one space": " ", "newline": "a\nb",
}

// TestInteropStateReturnsFromLogoutExactly: by the redirect after the end of the session, and by the one after the confirmation that the hint of another computer needs.
func TestInteropStateReturnsFromLogoutExactly(t *testing.T) {
	s := interop(t, func(c *storage.Client) { c.PostLogoutRedirectURIs = []string{bye, bye + "?tenant=7"} })
	_, elsewhere := s.signedInAt(nil)
	for name, value := range oddValues {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			b, a := s.signedInAt(nil)
			values := url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {bye}, "state": {value}}
			if got := s.sentTo(b.get(s.logoutURL(values)), bye); got.Get("state") != value || len(got) != 1 {
				t.Errorf("%v, want the state %q alone", got, value)
			}
			b, _ = s.signedInAt(nil)
			values.Set("id_token_hint", elsewhere.Str("id_token"))
			values.Set("post_logout_redirect_uri", bye+"?tenant=7")
			asked := b.get(s.logoutURL(values))
			s.wantAsked(asked, b)
			if got := s.sentTo(b.submit(asked, "logout", nil), bye+"?tenant=7"); got.Get("state") != value || len(got) != 1 {
				t.Errorf("after the confirmation: %v, want the state %q alone", got, value)
			}
		})
	}
}

// TestInteropStateAndNonceReturnExactly: applications keep JSON, base64 and their users' languages in state.
func TestInteropStateAndNonceReturnExactly(t *testing.T) {
	s := interop(t)
	for name, value := range oddValues {
		for _, mode := range []string{"query", "form_post"} {
			t.Run(name+" by "+mode, func(t *testing.T) {
				s := s.on(t)
				read := func(values url.Values) url.Values {
					values.Set("response_mode", mode)
					p := s.browser("ada@example.com").walk(s.authorizeURL(values))
					if mode == "form_post" {
						_, params := s.posted(p)
						return params
					}
					return s.sentTo(p, callback)
				}
				params := read(url.Values{"state": {value}, "nonce": {value}})
				if params.Get("state") != value {
					t.Errorf("state %q, want %q", params.Get("state"), value)
				}
				if got := jwtPayload(t, s.redeem(params.Get("code")).Str("id_token"))["nonce"]; got != value {
					t.Errorf("nonce %q, want %q", got, value)
				}
				if refused := read(url.Values{"state": {value}, "prompt": {"none"}}); refused.Get("error") != "login_required" || refused.Get("state") != value {
					t.Errorf("error response %v", refused)
				}
			})
		}
	}
}

// TestInteropAuthTimeIsRenewed: openid-client checks auth_time against max_age and after prompt=login.
func TestInteropAuthTimeIsRenewed(t *testing.T) {
	s := interop(t)
	b := s.browser("ada@example.com")
	authTime := func(values url.Values) float64 {
		t.Helper()
		at, _ := jwtPayload(t, s.redeem(b.code(values)).Str("id_token"))["auth_time"].(float64)
		return at
	}
	last := authTime(nil)
	for _, c := range []struct {
		name    string
		values  url.Values
		renewed bool
	}{
		{"nothing asked", nil, false},
		{"prompt=login", url.Values{"prompt": {"login"}}, true},
		{"max_age passed", url.Values{"max_age": {"5"}}, true},
		{"max_age not passed", url.Values{"max_age": {"3600"}}, false},
		{"max_age=0", url.Values{"max_age": {"0"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Clock.Advance(10 * time.Second)
			s.eventually("the server's copies are current at the new time", func() bool { return s.Provider.Ready(t.Context()) == nil })
			now := authTime(c.values)
			if renewed := now > last; renewed != c.renewed {
				t.Errorf("auth_time went from %v to %v, want renewed %v", last, now, c.renewed)
			}
			last = now
		})
	}
}

// TestInteropLoopbackRedirects: MCP clients and command lines listen on a port that they do not choose.
func TestInteropLoopbackRedirects(t *testing.T) {
	s := start(t, "memory")
	s.user("ada@example.com")
	s.publicClient("native", "http://127.0.0.1/callback", "http://localhost:4321/callback")
	s.client(func(c *storage.Client) { c.ID, c.RedirectURIs = "confidential", []string{"http://127.0.0.1/callback"} })
	for _, c := range []struct {
		client, sent string
		ok           bool
	}{
		{"native", "http://127.0.0.1:49152/callback", true},
		{"native", "http://127.0.0.1:1/callback", true},
		{"native", "http://127.0.0.1/callback", true},
		{"native", "http://localhost:4321/callback", true},
		{"native", "http://127.0.0.1:49152/other", false},
		{"native", "http://127.0.0.1:49152/callback/", false},
		{"native", "https://127.0.0.1:49152/callback", false},
		{"native", "http://[::1]:49152/callback", false},
		{"native", "http://localhost:49152/callback", false},
		{"confidential", "http://127.0.0.1:49152/callback", false},
	} {
		t.Run(c.client+" "+c.sent, func(t *testing.T) {
			s := s.on(t)
			p := s.browser("ada@example.com").walk(s.authorizeURL(url.Values{"client_id": {c.client}, "redirect_uri": {c.sent}}))
			if !c.ok {
				s.wantPage(p, http.StatusBadRequest)
				return
			}
			s.wantCode(s.sentTo(p, c.sent), "af0ifjsldkj")
		})
	}
}

// TestInteropResourceForMCP: resource at authorize, token and refresh; aud is exactly what was sent, and no openid is needed for a refresh token. The error codes steer the SDK.
func TestInteropResourceForMCP(t *testing.T) {
	const resource = "https://mcp.example/v1"
	s := start(t, "memory", func(o *provider.Options) { o.Resources = []oauth.Resource{{URI: resource}} })
	s.user("ada@example.com")
	s.client(func(c *storage.Client) {
		c.AuthMethod, c.Audience, c.Scopes = "none", []string{resource}, []string{"tools:read", "offline_access"}
	})
	public := func(r *http.Request) { noBasic(r); withBody(r, "client_id", "app") }
	code := s.browser("ada@example.com").code(url.Values{"scope": {"tools:read offline_access"}, "resource": {resource}, "nonce": {""}, "prompt": {"consent"}})
	a := s.redeem(code, public, func(r *http.Request) { withBody(r, "resource", resource) })
	if a.Status != http.StatusOK || a.Str("refresh_token") == "" || a.Str("id_token") != "" || jwtPayload(t, a.Str("access_token"))["aud"] != resource {
		t.Fatalf("%d %s", a.Status, a.Raw)
	}
	next := s.refresh(a.Str("refresh_token"), public, func(r *http.Request) { withBody(r, "resource", resource) })
	if next.Status != http.StatusOK || jwtPayload(t, next.Str("access_token"))["aud"] != resource {
		t.Errorf("refresh: %d %s", next.Status, next.Raw)
	}
	t.Run("sign in again after", func(t *testing.T) {
		s.on(t).wantError(s.redeem(code, public), http.StatusBadRequest, "invalid_grant")
	})
	t.Run("register again after", func(t *testing.T) {
		unknown := func(r *http.Request) { noBasic(r); withBody(r, "client_id", "forgotten") }
		s.on(t).wantError(s.refresh(next.Str("refresh_token"), unknown), http.StatusUnauthorized, "invalid_client")
	})
	for _, wrong := range []string{resource + "/", "https://MCP.example/v1", "https://mcp.example", "https://other.example"} {
		t.Run("resource "+wrong, func(t *testing.T) {
			if got := s.on(t).browser("ada@example.com").callback(url.Values{"scope": {"tools:read"}, "resource": {wrong}}).Get("error"); got != "invalid_target" {
				t.Errorf("error %q", got)
			}
		})
	}
}

// TestInteropUserinfoTypes: Auth.js, passport-openidconnect and go-oidc read application/json; booleans are booleans.
func TestInteropUserinfoTypes(t *testing.T) {
	s := interop(t)
	a := s.userinfo(s.tokens(nil).Str("access_token"))
	if a.Header.Get("Content-Type") != "application/json" || a.JSON["email_verified"] != true || a.Str("sub") != "sub-ada-example-com" {
		t.Errorf("%v %s", a.Header, a.Raw)
	}
}
