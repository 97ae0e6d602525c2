package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/oauth"
	"gatehouse/storage"
)

// Section B: what a request asks for and what the policy answers. What concerns interactions and consent is in rows_b_flow_test.go.

// longSessions keeps a session alive over the hours that a test lets pass.
func longSessions(o *provider.Options) { o.SessionIdle, o.SessionAbsolute = 6*time.Hour, 12*time.Hour }

// authTime returns auth_time of the ID token that a code is good for.
func (s *server) authTime(code string) int64 {
	s.Helper()
	a := s.redeem(code)
	if a.Status != http.StatusOK {
		s.Fatalf("code exchange: %d %s", a.Status, a.Raw)
	}
	at, ok := jwtPayload(s.T, a.Str("id_token"))["auth_time"].(float64)
	if !ok {
		s.Fatalf("no auth_time in %v", jwtPayload(s.T, a.Str("id_token")))
	}
	return int64(at)
}

// silent asks with prompt=none and demands an error by redirect that leaves nothing behind in the browser.
func (b *browser) silent(s *server, values url.Values, code string) {
	s.Helper()
	values["prompt"] = []string{"none"}
	p := b.get(s.authorizeURL(values))
	s.wantRedirect(p, code)
	if len(p.Header["Set-Cookie"]) != 0 {
		s.Errorf("the answer sets cookies: %v", p.Header["Set-Cookie"])
	}
}

func TestRow19PromptNoneNeverShowsAPage(t *testing.T) {
	s := start(t, "memory", longSessions, func(o *provider.Options) {
		o.Resources = []oauth.Resource{{URI: "https://api.example"}}
	})
	s.client(func(c *storage.Client) { c.Audience = []string{"https://api.example"} })
	s.publicClient("native", "http://127.0.0.1/cb", "com.example.app:/cb", "http://localhost/cb")
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	t.Run("row 19 A13 no session", func(t *testing.T) { b.silent(s.on(t), url.Values{}, "login_required") })
	b.code(url.Values{"scope": {"openid profile"}})
	t.Run("row 19 A13 session and consent", func(t *testing.T) {
		s.on(t).wantCode(s.on(t).sentTo(b.get(s.authorizeURL(url.Values{"prompt": {"none"}, "scope": {"openid profile"}})), callback), "af0ifjsldkj")
	})
	for name, values := range map[string]url.Values{
		"more scopes": {"scope": {"openid profile email"}}, "offline_access": {"scope": {"openid profile offline_access"}},
		"a resource": {"scope": {"openid profile"}, "resource": {"https://api.example"}},
	} {
		t.Run("row 19 consent to "+name, func(t *testing.T) { b.silent(s.on(t), values, "consent_required") })
	}
	t.Run("row 19 another client", func(t *testing.T) {
		s.on(t).client(func(c *storage.Client) { c.ID = "other" })
		b.silent(s.on(t), url.Values{"client_id": {"other"}}, "consent_required")
	})
	for _, uri := range []string{"http://127.0.0.1:9/cb", "com.example.app:/cb", "http://localhost/cb"} {
		t.Run("row 19 ruling 29 always asked "+uri, func(t *testing.T) {
			s := s.on(t)
			values := url.Values{"client_id": {"native"}, "redirect_uri": {uri}}
			for range 2 {
				b.Pages = nil
				s.wantCode(s.sentTo(b.walk(s.authorizeURL(values)), uri), "af0ifjsldkj")
				if got := strings.Join(b.Pages, " "); got != "consent" {
					t.Errorf("pages %q", got)
				}
			}
			values["prompt"] = []string{"none"}
			s.wantErrorParams(s.sentTo(b.get(s.authorizeURL(values)), uri), "consent_required", "af0ifjsldkj")
		})
	}
	t.Run("row 19 step-up", func(t *testing.T) {
		b.silent(s.on(t), url.Values{"scope": {"openid"}, "claims": {`{"id_token":{"acr":{"essential":true,"values":["2"]}}}`}}, "unmet_authentication_requirements")
	})
	s.advance(time.Hour)
	for _, age := range []string{"0", "60", "3599"} {
		t.Run("row 19 max_age "+age, func(t *testing.T) {
			b.silent(s.on(t), url.Values{"scope": {"openid"}, "max_age": {age}}, "login_required")
		})
	}
	s.advance(6*time.Hour + time.Minute)
	t.Run("row 19 idle session", func(t *testing.T) { b.silent(s.on(t), url.Values{"scope": {"openid"}}, "login_required") })
}

func TestRow20PromptValues(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	for _, prompt := range []string{"none login", "login none", "none consent", "none none", "LOGIN", "None", "create", "create x", "login create", "login,consent",
		"login\tconsent", "login\nnone", "ſelect_account", "none\u00a0", strings.Repeat("login ", 600) + "x"} {
		t.Run("row 20 "+cut(prompt), func(t *testing.T) {
			s.on(t).wantRedirect(b.get(s.authorizeURL(url.Values{"prompt": {prompt}})), "invalid_request")
		})
	}
	for prompt, pages := range map[string]string{"login": "login", "consent": "consent", "login consent": "login consent", "consent login": "login consent",
		"select_account": "accounts login", " login  login ": "login", "select_account consent": "accounts login consent"} {
		t.Run("row 20 served "+prompt, func(t *testing.T) {
			s := s.on(t)
			b.Pages = nil
			s.wantCode(s.sentTo(b.walk(s.authorizeURL(url.Values{"prompt": {prompt}})), callback), "af0ifjsldkj")
			if got := strings.Join(b.Pages, " "); got != pages {
				t.Errorf("pages %q, want %q", got, pages)
			}
		})
	}
}

func TestRow21MaxAge(t *testing.T) {
	s := start(t, "memory", longSessions)
	s.client()
	hour := int64(3600)
	s.client(func(c *storage.Client) { c.ID, c.DefaultMaxAge = "strict-age", &hour })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	signedIn := s.authTime(b.code(nil))
	b.code(url.Values{"client_id": {"strict-age"}})
	s.advance(2 * time.Hour)
	for _, age := range []string{"-1", "abc", "1e9", "99999999999999999999", "1.5", "+5", "0x10", " 5", "5 ", "２", "1_000", "-0", "2147483648"} {
		t.Run("row 21 "+age, func(t *testing.T) {
			s := s.on(t)
			s.wantRedirect(b.get(s.authorizeURL(url.Values{"max_age": {age}})), "invalid_request")
			b.silent(s, url.Values{"max_age": {age}}, "invalid_request")
		})
	}
	// From here on the order matters: a new login makes the session young.
	for _, age := range []string{"7300", "86400", "2147483647"} {
		t.Run("row 21 A16 within "+age, func(t *testing.T) {
			s := s.on(t)
			b.Pages = nil
			if got := s.authTime(b.code(url.Values{"max_age": {age}})); got != signedIn || len(b.Pages) != 0 {
				t.Errorf("auth_time %d, want %d; pages %v", got, signedIn, b.Pages)
			}
		})
	}
	for _, values := range []url.Values{{"max_age": {"0"}}, {"max_age": {"3600"}}, {"max_age": {"7100"}}, {"client_id": {"strict-age"}}} {
		t.Run("row 21 A16 elapsed "+values.Encode(), func(t *testing.T) {
			s := s.on(t)
			now := s.Clock.Now().Unix()
			b.Pages = nil
			code := b.code(values)
			if got := strings.Join(b.Pages, " "); got != "login" {
				t.Errorf("pages %q", got)
			}
			changes := []func(*http.Request){}
			if id := values.Get("client_id"); id != "" {
				changes = append(changes, as(id, clientSecret))
			}
			if at := jwtPayload(t, s.redeem(code, changes...).Str("id_token"))["auth_time"].(float64); int64(at) < now {
				t.Errorf("auth_time %v is before the request at %d", at, now)
			}
			s.advance(2 * time.Hour)
		})
	}
	t.Run("row 21 max_age=0 asks every time", func(t *testing.T) {
		for range 2 {
			b.Pages = nil
			b.code(url.Values{"max_age": {"0"}})
			if got := strings.Join(b.Pages, " "); got != "login" {
				t.Errorf("pages %q", got)
			}
		}
	})
}

func TestRow22PromptLoginWithAnOldSession(t *testing.T) {
	for name, values := range map[string]url.Values{"prompt=login": {"prompt": {"login"}}, "max_age": {"max_age": {"60"}}, "max_age=0": {"max_age": {"0"}},
		"login and consent": {"prompt": {"login consent"}}} {
		t.Run("row 22 A15 "+name, func(t *testing.T) {
			s := start(t, "memory", quickKeys, longSessions)
			s.client()
			s.user("ada@example.com")
			b := s.browser("ada@example.com")
			b.code(nil)
			s.advance(time.Hour)
			asked := s.Clock.Now().Unix()
			login := s.at(b.get(s.authorizeURL(values)))
			id := strings.TrimPrefix(login, s.URL+"/login?interaction=")
			resume := s.URL + "/oauth2/authorize?interaction=" + id
			stillLogin := func(when string) {
				t.Helper()
				if got := s.at(b.get(resume)); got != login {
					t.Errorf("%s: %s", when, got)
				}
			}
			stillLogin("the step is skipped")
			b.get(login)
			stillLogin("the page was only looked at")
			if p := b.submit(b.get(login), "login", url.Values{"username": {"ada@example.com"}, "password": {"wrong"}}); p.StatusCode != http.StatusUnauthorized {
				t.Errorf("wrong password: %d", p.StatusCode)
			}
			stillLogin("a wrong password")
			// A second tab uses the old session, which is still good for a request that asks for nothing more.
			s.wantCode(s.sentTo(b.get(s.authorizeURL(nil)), callback), "af0ifjsldkj")
			stillLogin("a second tab finished with the old session")
			// The consent page of this very interaction, reached by hand, proves consent but no login.
			if consent := b.get(s.URL + "/consent?interaction=" + id); hasForm(consent.Body, "consent") {
				b.submit(consent, "consent", url.Values{"decision": {"allow"}})
			}
			stillLogin("consent without login")
			for _, extra := range []string{"&prompt=", "&max_age=99999", "&fresh=1"} {
				if got := s.at(b.get(resume + extra)); got != login {
					t.Errorf("edited URL: %s", got)
				}
			}
			p := b.walk(login)
			if at := s.authTime(s.wantCode(s.sentTo(p, callback), "af0ifjsldkj")); at < asked {
				t.Errorf("auth_time %d is before the request at %d", at, asked)
			}
			s.wantPage(b.get(resume), http.StatusOK, "Already finished") // Back, after the end
			s.wantPage(b.get(login), http.StatusOK, "Already finished")
		})
	}
	t.Run("row 22 the other tab signs in anew", func(t *testing.T) {
		s := start(t, "memory", quickKeys, longSessions)
		s.client()
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		b.code(nil)
		s.advance(time.Hour)
		asked := s.Clock.Now().Unix()
		first := s.at(b.get(s.authorizeURL(url.Values{"prompt": {"login"}})))
		b.code(url.Values{"prompt": {"login"}})
		// The first tab may ask again, or take the login that is newer than its request.
		if at := s.authTime(b.codeFrom(strings.Replace(first, "/login", "/oauth2/authorize", 1))); at < asked {
			t.Errorf("auth_time %d is before the request at %d", at, asked)
		}
	})
}

// codeFrom walks from an address inside the server and returns the code.
func (b *browser) codeFrom(target string) string {
	b.s.Helper()
	return b.s.wantCode(b.s.sentTo(b.walk(target), callback), "af0ifjsldkj")
}

func TestRow29ScopeAbuse(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.Scopes = append(c.Scopes, "photos", "a:b/c.*") })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	for _, scope := range []string{
		"unknown", "openid unknown", "photos.write", "photos ", "photos:write", "PHOTOS", "openid Photos", "phot", "*", "photos*", "a:b/c.d", `openid "`, `openid \`,
		`openid"`, "openid\tprofile", "openid\nprofile", "openid\u00a0profile", "openid\x7f", "openid\u0001", "øpenid", "openid,profile",
		"openid\u2028profile", "",
	} {
		if scope == "photos " {
			continue // a trailing space is only that
		}
		t.Run("row 29 "+scope, func(t *testing.T) {
			s := s.on(t)
			s.wantRedirect(b.get(s.authorizeURL(url.Values{"scope": {scope}})), "invalid_scope")
			s.wantRedirect(s.opened(url.Values{"scope": {scope}}), "invalid_scope") // before any page is shown
		})
	}
	t.Run("row 29 10,000 scopes", func(t *testing.T) {
		s := s.on(t)
		many := strings.TrimSpace(strings.Repeat("x ", 10_000))
		s.wantPage(s.opened(url.Values{"scope": {many}}), http.StatusBadRequest, "scope has more than 50 entries")
		if !strings.Contains(s.Log.String(), `"error":"invalid_scope"`) {
			t.Error("the log does not say invalid_scope")
		}
		a := s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "scope": {many}})
		s.wantError(a, http.StatusBadRequest, "invalid_scope")
		fifty := strings.TrimSpace(strings.Repeat("x ", 50))
		s.wantRedirect(s.opened(url.Values{"scope": {fifty}}), "invalid_scope")
	})
	t.Run("row 29 what is registered is granted as it is", func(t *testing.T) {
		s := s.on(t)
		a := s.redeem(b.code(url.Values{"scope": {"photos openid a:b/c.*"}}))
		if a.Str("scope") != "photos openid a:b/c.*" {
			t.Errorf("granted %q", a.Str("scope"))
		}
	})
}

func TestRow32EssentialACRIsNeverLowered(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	essential := func(members string) string { return `{"id_token":{"acr":{"essential":true,` + members + `}}}` }
	for name, claims := range map[string]string{
		"value": essential(`"value":"2"`), "values": essential(`"values":["2","urn:x"]`), "value and values": essential(`"value":"3","values":["2"]`),
		"case": essential(`"value":"I"`), "spaces": essential(`"value":"1 "`), "empty string": essential(`"value":""`),
	} {
		t.Run("row 32 "+name, func(t *testing.T) {
			s := s.on(t)
			values := url.Values{"claims": {claims}}
			s.wantRedirect(b.get(s.authorizeURL(values)), "unmet_authentication_requirements")
			b.silent(s, values, "unmet_authentication_requirements")
			// Signing in for it changes nothing, and editing the address of the interaction neither.
			fresh := s.browser("ada@example.com")
			s.wantRedirect(fresh.walk(s.authorizeURL(url.Values{"claims": {claims}})), "unmet_authentication_requirements")
			other := s.browser("ada@example.com")
			login := other.get(s.at(other.get(s.authorizeURL(url.Values{"claims": {claims}}))))
			resume := s.at(other.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}}))
			s.wantRedirect(other.get(resume+"&claims={}&acr_values=1"), "unmet_authentication_requirements")
		})
	}
	for name, claims := range map[string]string{
		"reachable": essential(`"values":["2","1"]`), "any": `{"id_token":{"acr":{"essential":true}}}`, "voluntary": `{"id_token":{"acr":{"values":["2"]}}}`,
		"not essential": `{"id_token":{"acr":{"essential":false,"value":"2"}}}`, "null": `{"id_token":{"acr":null}}`,
		"other claims": `{"id_token":{"email":{"essential":true},"auth_time":null},"userinfo":{"acr":null}}`, "nothing": `{}`, "null members": `{"id_token":null,"userinfo":null}`,
	} {
		t.Run("row 32 served "+name, func(t *testing.T) {
			code := s.on(t).wantCode(s.on(t).sentTo(b.get(s.authorizeURL(url.Values{"claims": {claims}})), callback), "af0ifjsldkj")
			if id := jwtPayload(t, s.redeem(code).Str("id_token")); id["acr"] != "1" {
				t.Errorf("acr %v", id["acr"])
			}
		})
	}
	t.Run("row 32 acr_values are voluntary", func(t *testing.T) {
		s.on(t).wantCode(s.on(t).sentTo(b.get(s.authorizeURL(url.Values{"acr_values": {"2 urn:x"}})), callback), "af0ifjsldkj")
	})
	for name, claims := range map[string]string{
		"no JSON": "{", "array": "[]", "null": "null", "string": `"x"`, "trailing": "{}{}", "member": `{"id_token":"x"}`, "acr": `{"id_token":{"acr":"2"}}`,
		"essential": `{"id_token":{"acr":{"essential":"true","value":"2"}}}`, "value": `{"id_token":{"acr":{"essential":true,"value":2}}}`,
		"values": `{"id_token":{"acr":{"essential":true,"values":"2"}}}`, "depth": `{"id_token":{"acr":{"values":` + strings.Repeat("[", 7000) + strings.Repeat("]", 7000) + `}}}`,
	} {
		t.Run("row 31 malformed "+name, func(t *testing.T) {
			s.on(t).wantRedirect(b.get(s.authorizeURL(url.Values{"claims": {claims}})), "invalid_request")
		})
	}
}
