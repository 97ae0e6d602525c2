package provider_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/grant"
	"gatehouse/provider/ratelimit"
	"gatehouse/storage"
)

// What holds for every error of every endpoint: a registered code, a clean description, nothing kept in a cache, nothing of the request in it that hurts (issue 3, errors;
// RFC 6749 sections 4.1.2.1 and 5.2; the head of the attack list).

// registeredErrors are the codes of the IANA registry "OAuth Extensions Error" that this server has a use for.
var registeredErrors = []string{
	"invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope", "server_error", "temporarily_unavailable", "invalid_client", "invalid_grant",
	"unsupported_grant_type", "invalid_token", "insufficient_scope", "interaction_required", "login_required", "account_selection_required", "consent_required", "invalid_request_uri", "invalid_request_object",
	"request_not_supported", "request_uri_not_supported", "registration_not_supported", "invalid_redirect_uri", "invalid_client_metadata", "invalid_software_statement", "unapproved_software_statement",
	"invalid_target", "unmet_authentication_requirements", "unsupported_token_type",
}

// wantCleanError demands what every error owes; code and description are what was read from it.
func (s *server) wantCleanError(where, code, description string) {
	s.Helper()
	if !slices.Contains(registeredErrors, code) {
		s.Errorf("%s: %q is no registered error code (%s)", where, code, description)
	}
	if description == "" || len(description) > 500 || strings.ContainsFunc(description, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		s.Errorf("%s: description %q", where, description)
	}
}

// sweepValues are what is put in the place of every parameter.
var sweepValues = map[string]string{
	"empty": "", "quote": `"`, "back slash": `\`, "control": "a\x00b\x1b[31m", "lines": "a\r\nX-Evil: 1", "not ASCII": "ä漢🙂\u202e", "markup": "<svg onload=alert(1)>", "broken UTF-8": "\xff\xfe", "long": strings.Repeat("x", 20000),
	"JSON": `{"a":[]}`, "percent": "%00%0d%0a", "uri": "https://evil.example/\"x", "token": "gth_rt_x", "jwt": "a.b.c", "words": "none login \"x\"",
}

func TestEveryErrorHasARegisteredCodeAndACleanDescription(t *testing.T) {
	s := start(t, "memory", registers("open", everyOption))
	k := newAssertionKeys(t)
	s.client(frontChannel, func(c *storage.Client) { c.JWKS, c.FirstParty = k.jwks(), true })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	made := s.register("", nil)
	auth := []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}
	names := map[string][]string{
		"/oauth2/token": append([]string{"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource"}, auth...), "/oauth2/revoke": append([]string{"token", "token_type_hint"}, auth...),
		"/oauth2/introspect": append([]string{"token", "token_type_hint"}, auth...),
		"/oauth2/par": append([]string{"request", "request_uri", "response_type", "response_mode", "redirect_uri", "scope", "state", "nonce", "prompt", "max_age", "claims", "id_token_hint", "login_hint", "acr_values",
			"resource", "code_challenge", "code_challenge_method", "registration", "display", "ui_locales"}, auth...),
	}
	errors := 0
	for path, params := range names {
		for _, param := range params {
			for name, value := range sweepValues {
				where, values := path+" "+param+" "+name, url.Values{}
				switch path {
				case "/oauth2/par":
					values = s.pushable(nil)
				case "/oauth2/token":
					values = url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "redirect_uri": {callback}, "code_verifier": {verifier}}
					if param == "refresh_token" {
						values.Set("grant_type", "refresh_token")
					}
				}
				values.Set(param, value)
				a := s.post(path, values)
				if a.Status >= 500 || a.Header.Get("Cache-Control") != "no-store" || a.Status >= 400 && a.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: %d %v %s", where, a.Status, a.Header, a.Raw)
				}
				if a.Status >= 400 {
					errors++
					s.wantCleanError(where, a.Str("error"), a.Str("error_description"))
				}
			}
		}
	}
	for _, param := range names["/oauth2/par"] {
		for name, value := range sweepValues {
			for _, responseType := range []string{"code", "code id_token"} {
				p := b.get(s.authorizeURL(url.Values{"response_type": {responseType}, param: {value}, "x": {value}}))
				if p.StatusCode >= 500 || strings.ContainsAny(p.Header.Get("Location"), "\r\n\"<> ") {
					t.Errorf("authorize %s %s: %d %q", param, name, p.StatusCode, p.Header.Get("Location"))
				}
				if params := answerOf(p); params.Has("error") {
					errors++
					s.wantCleanError("authorize "+param+" "+name, params.Get("error"), params.Get("error_description"))
				}
			}
		}
	}
	for name, value := range sweepValues {
		for where, a := range map[string]answer{
			"userinfo": s.userinfoBy("POST", func(r *http.Request) {
				setBody(r, "application/x-www-form-urlencoded", url.Values{"access_token": {value}}.Encode())
			}),
			"register": s.call("POST", "/oauth2/register", "", webApp(object{"client_name": value, "redirect_uris": []string{value}})), "register, raw": s.call("POST", "/oauth2/register", "", "{"+value),
			"manage": s.manage("PUT", made, "", webApp(object{"client_id": value})), "manage another": s.call("GET", "/oauth2/register/"+url.PathEscape(strings.ReplaceAll(value, "\x00", "")), made.Str("registration_access_token"), nil),
		} {
			if a.Status >= 500 || a.Status < 400 {
				t.Errorf("%s %s: %d %s", where, name, a.Status, a.Raw)
				continue
			}
			if a.Status == http.StatusNotFound {
				continue // no endpoint: the page of any unknown address
			}
			errors++
			s.wantCleanError(where+" "+name, a.Str("error"), a.Str("error_description"))
			if challenge := a.Header.Get("WWW-Authenticate"); a.Status == http.StatusUnauthorized && !strings.HasPrefix(challenge, "B") {
				t.Errorf("%s %s: WWW-Authenticate %q", where, name, challenge)
			}
		}
	}
	if errors < 500 {
		t.Errorf("only %d errors were seen", errors)
	}
}

// Row 61, for every protocol endpoint: by another method, in another encoding, with parameters in the address, with two Authorization headers, as a cookie's bearer.
func TestRow61HowRequestsMayArriveAtEveryEndpoint(t *testing.T) {
	s := start(t, "memory", registers("open", everyOption))
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	made := s.register("", nil)
	send := func(method, path, contentType, body string, changes ...func(*http.Request)) answer {
		r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		s.ok(err)
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		r.SetBasicAuth("app", clientSecret)
		for _, change := range changes {
			change(r)
		}
		return s.send(r)
	}
	const form, jsonType = "application/x-www-form-urlencoded", "application/json"
	own := strings.TrimPrefix(made.Str("registration_client_uri"), s.URL)
	bodies := map[string]string{
		"/oauth2/token": "grant_type=client_credentials", "/oauth2/revoke": "token=x", "/oauth2/introspect": "token=x", "/oauth2/par": s.pushable(nil).Encode(), "/oauth2/register": `{"redirect_uris":["` + callback + `"]}`, own: `{}`,
	}
	for path, body := range bodies {
		t.Run("row 61 "+strings.TrimSuffix(path, made.Str("client_id")), func(t *testing.T) {
			s := s.on(t)
			want, wrong := form, []string{jsonType, "multipart/form-data; boundary=x", "text/plain", form + "; charset=utf-16", "", "application/xml"}
			if strings.HasPrefix(path, "/oauth2/register") {
				want, wrong = jsonType, []string{form, "multipart/form-data; boundary=x", "text/plain", jsonType + "; charset=utf-16", "", "application/jwt"}
			}
			write := map[bool]string{true: "PUT", false: "POST"}[path == own]
			for _, contentType := range wrong {
				a := send(write, path, contentType, body)
				if a.Status != http.StatusUnsupportedMediaType && a.Status != http.StatusUnauthorized {
					t.Errorf("%q: %d %s", contentType, a.Status, a.Raw)
				}
				s.wantCleanError(contentType, a.Str("error"), a.Str("error_description"))
			}
			for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "TRACE", "HEAD"} {
				if path == own && method != "PATCH" && method != "TRACE" && method != "HEAD" {
					continue
				}
				a := send(method, path, want, body, header("X-HTTP-Method-Override", "POST"))
				if a.Status != http.StatusMethodNotAllowed || a.Header.Get("Allow") == "" {
					t.Errorf("%s: %d", method, a.Status)
				}
				if method != "HEAD" {
					s.wantCleanError(method, a.Str("error"), a.Str("error_description"))
				}
			}
			two := send(write, path, want, body, func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+made.Str("registration_access_token")) })
			s.wantCleanError("two Authorization headers", two.Str("error"), two.Str("error_description"))
			if two.Status != http.StatusBadRequest {
				t.Errorf("two Authorization headers: %d %s", two.Status, two.Raw)
			}
			if want == form {
				a := send("POST", path+"?client_id=app", want, body)
				if a.Status != http.StatusBadRequest {
					t.Errorf("parameters in the address: %d %s", a.Status, a.Raw)
				}
			}
			// A signed-in browser's cookies are nobody's credentials here (ruling 9): a form that another site submits does nothing in its name.
			here, _ := url.Parse(s.URL)
			a := send(write, path, want, body, noBasic, func(r *http.Request) {
				for _, c := range b.client.Jar.Cookies(here) {
					r.AddCookie(c)
				}
			})
			if path != "/oauth2/register" && a.Status != http.StatusUnauthorized || len(a.Header["Set-Cookie"]) > 0 {
				t.Errorf("with cookies alone: %d %s %v", a.Status, a.Raw, a.Header["Set-Cookie"])
			}
		})
	}
}

// Ruling 31 at the endpoints of this issue: who may read what, and preflights.
func TestRuling31CORSOfPushedRequestsAndRegistration(t *testing.T) {
	s := start(t, "memory", registers("open", everyOption, func(o *provider.Options) { o.Limits.Registration = ratelimit.Limit{Burst: 50, Every: time.Millisecond} }))
	s.publicClient("spa", "https://rp.example/callback", "http://127.0.0.1:7000/cb")
	made := s.register("", nil)
	own := strings.TrimPrefix(made.Str("registration_client_uri"), s.URL)
	push := s.pushable(url.Values{"client_id": {"spa"}})
	bad := maps.Clone(push)
	bad.Set("scope", "nothing")
	for from, allowed := range map[string]bool{"https://rp.example": true, "http://127.0.0.1:7000": true, "https://evil.example": false, "null": false, "https://rp.example.evil.example": false, "http://rp.example": false, "": false} {
		for name, a := range map[string]answer{
			"pushed": s.post("/oauth2/par", push, noBasic, header("Origin", from)), "refused": s.post("/oauth2/par", bad, noBasic, header("Origin", from)),
		} {
			got := a.Header["Access-Control-Allow-Origin"]
			if allowed != (len(got) == 1 && got[0] == from) || !allowed && len(got) > 0 || a.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("par, %s, from %q: %v", name, from, a.Header)
			}
			if allowed && !strings.Contains(a.Header.Get("Vary"), "Origin") {
				t.Errorf("par, %s: a cache could give this answer to others: %v", name, a.Header)
			}
		}
		for name, a := range map[string]answer{
			"register": s.call("POST", "/oauth2/register", "", webApp(nil), header("Origin", from)), "refused": s.call("POST", "/oauth2/register", "", "{", header("Origin", from)), "read": s.call("GET", own, made.Str("registration_access_token"), nil, header("Origin", from)),
			"read by nobody": s.call("GET", own, "", nil, header("Origin", from)),
		} {
			if got := a.Header["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
				t.Errorf("%s from %q: %v", name, from, a.Header)
			}
		}
	}
	for path, methods := range map[string][]string{"/oauth2/par": {"POST"}, "/oauth2/register": {"POST"}, own: {"GET", "PUT", "DELETE"}, "/oauth2/token": {"POST"}, "/oauth2/userinfo": {"GET", "POST"}, "/oauth2/revoke": {"POST"}} {
		for from, allowed := range map[string]bool{"https://anybody.example": true, "null": false} {
			for _, method := range methods {
				r, err := http.NewRequest("OPTIONS", s.URL+path, nil)
				s.ok(err)
				r.Header.Set("Origin", from)
				r.Header.Set("Access-Control-Request-Method", method)
				r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
				a := s.send(r)
				// A preflight that is not answered 2xx has failed, whatever its headers.
				if got := a.Header.Get("Access-Control-Allow-Origin"); allowed && got != from || !allowed && (a.Status != http.StatusForbidden || got == from) || a.Header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("preflight of %s %s from %s: %d %v", method, path, from, a.Status, a.Header)
				}
				if allowed && (a.Status != http.StatusNoContent || !strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), method)) {
					t.Errorf("preflight of %s %s: %d %v", method, path, a.Status, a.Header)
				}
			}
		}
	}
	// Pages are nobody's to read from elsewhere: neither authorize nor sign-out answers scripts.
	for _, path := range []string{"/oauth2/authorize", "/oauth2/logout", "/login", "/consent", "/account"} {
		r, err := http.NewRequest("GET", s.URL+path, nil)
		s.ok(err)
		r.Header.Set("Origin", "https://rp.example")
		if a := s.send(r); a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s can be read from elsewhere", path)
		}
	}
}

// Rows 179 to 182 where this issue touches them: no answer of the front channel without a living session, and none to the cookie of another time.
func TestRow182NoAnswerOfAnyTypeToADeadSession(t *testing.T) {
	ends := map[string]func(s *server, b *browser){
		"signed out": func(s *server, b *browser) { b.submit(b.get(s.URL+"/account"), "logout", nil) },
		"idle":       func(s *server, _ *browser) { s.Clock.Advance(31 * time.Minute) },
		"disabled": func(s *server, _ *browser) {
			_, err := s.Store.UpdateUser(s.Context(), "sub-ada-example-com", func(u *storage.User) error { u.Disabled = true; return nil })
			s.ok(err)
		},
		"ended elsewhere": func(s *server, _ *browser) {
			sessions, err := s.Store.SessionsOf(s.Context(), "sub-ada-example-com")
			s.ok(err)
			for _, session := range sessions {
				s.ok(s.Store.EndSession(s.Context(), session.ID))
			}
		},
		"password changed": func(s *server, _ *browser) { s.ok(s.Store.SetPassword(s.Context(), "sub-ada-example-com", "$none$")) },
	}
	for name, end := range ends {
		t.Run("row 182 "+name, func(t *testing.T) {
			s := start(t, "memory", quickKeys, everything)
			b := frontClient(s)
			here, _ := url.Parse(s.URL)
			stolen := b.client.Jar.Cookies(here)
			end(s, b)
			thief := s.browser("")
			thief.client.Jar.SetCookies(here, stolen)
			for _, responseType := range grant.ResponseTypes() {
				uri := s.push(url.Values{"response_type": {responseType}, "prompt": {"none"}})
				for way, target := range map[string]string{"plain": s.authorizeURL(url.Values{"response_type": {responseType}, "prompt": {"none"}}), "pushed": s.withPushed(uri, nil)} {
					if params := answerOf(thief.get(target)); params.Get("error") != "login_required" || params.Has("code") || params.Has("id_token") || params.Has("access_token") {
						t.Errorf("%s %s: %v", way, responseType, params)
					}
				}
				if got := s.at(thief.get(s.authorizeURL(url.Values{"response_type": {responseType}}))); !strings.Contains(got, "/login?") {
					t.Errorf("%s: sent to %s", responseType, got)
				}
			}
		})
	}
}

// Trap 14: an ID token without a signature is never given to a browser.
func TestTrap14NoUnsignedIDTokenInTheFrontChannel(t *testing.T) {
	s := start(t, "memory", quickKeys, everything)
	b := frontClient(s, func(c *storage.Client) { c.IDTokenAlg = "none" })
	for _, responseType := range grant.ResponseTypes() {
		params := answerOf(b.get(s.authorizeURL(url.Values{"response_type": {responseType}})))
		if strings.Contains(responseType, "id_token") {
			s.wantErrorParams(params, "server_error", "af0ifjsldkj")
		} else if params.Has("id_token") || params.Has("error") {
			t.Errorf("%s: %v", responseType, params)
		}
	}
}
