package provider_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider"
	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// Rows 19, 20, 21, 23 and 33: their neighbours, on servers with more steps and in more ways than the plain ones.

// Row 19: silence is kept on a server with every step there is, in every mode, by POST, and whatever cookies the browser has.
func TestRow19SilenceIsKeptWhateverStepIsDue(t *testing.T) {
	for name, login := range map[string]func(*provider.Options){"password page": func(*provider.Options) {}, "in steps": inSteps} {
		t.Run(name, func(t *testing.T) {
			m := furnished(t, login)
			m.client(frontChannel, func(c *storage.Client) { c.ID = "front" })
			m.user("ada@example.com")
			m.user("bob@example.com")
			ada, twoPeople, ended, forged := m.browser("ada@example.com"), m.browser("ada@example.com"), m.browser("ada@example.com"), m.browser("")
			ada.code(url.Values{"scope": {"openid"}})
			ended.code(url.Values{"scope": {"openid"}})
			ended.submit(ended.get(m.URL+"/account"), "logout", nil)
			forged.plant("gth_sid", strings.Repeat("A", 43))
			forged.plant("gth_flow", "x")
			twoPeople.code(url.Values{"scope": {"openid"}})
			twoPeople.User = "bob@example.com"
			twoPeople.code(url.Values{"scope": {"openid"}, "prompt": {"login"}})
			for _, tc := range []struct {
				b      *browser
				values url.Values
				code   string
			}{
				{m.browser(""), nil, "login_required"}, {ended, nil, "login_required"}, {forged, nil, "login_required"}, {m.browser(""), url.Values{"login_hint": {"ada@example.com"}}, "login_required"},
				{m.browser(""), url.Values{"acr_values": {"2"}}, "login_required"}, {ada, url.Values{"scope": {"openid phone"}}, "consent_required"}, {ada, url.Values{"max_age": {"0"}}, "login_required"},
				{ada, url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}, "unmet_authentication_requirements"}, {ada, url.Values{"client_id": {"front"}}, "consent_required"},
				{ada, url.Values{"scope": {"openid offline_access"}}, "consent_required"}, {ada, url.Values{"claims": {`{"id_token":{"sub":{"value":"sub-bob-example-com"}}}`}}, "login_required"}, {twoPeople, url.Values{"scope": {"openid phone"}}, "consent_required"},
			} {
				for _, prompt := range []string{"none", " none", "none ", "  none  "} {
					values := url.Values{"scope": {"openid"}, "prompt": {prompt}}
					for member, list := range tc.values {
						values[member] = list
					}
					for way, p := range tc.b.bothWays(m.authorizeURL(values)) {
						if params := answerOf(p); p.Body != "" || params.Get("error") != tc.code || params.Has("code") {
							t.Errorf("row 19: %v by way %d: %d %v %s", values, way, p.StatusCode, params, cut(p.Body))
						}
					}
					action, params := m.server.posted(tc.b.get(m.authorizeURL(with(values, "response_mode", "form_post"))))
					if action != callback || params.Get("error") != tc.code {
						t.Errorf("row 19: %v by form_post: %v", values, params)
					}
				}
			}
		})
	}
}

// Row 20: where people can sign up, create is no way around the list.
func TestRow20CreateDoesNotWidenTheList(t *testing.T) {
	m := furnished(t)
	m.client(frontChannel, func(c *storage.Client) { c.ID = "front" })
	m.user("ada@example.com")
	ada := m.browser("ada@example.com")
	ada.code(url.Values{"scope": {"openid"}})
	for _, prompt := range []string{
		"create x", "x create", "create none", "none create", "Create", "CREATE", "create,login", "create\tlogin", "create\nlogin", "create\u00a0", "create+login", "creates", "creat", "none none", "none login", "login none", "LOGIN", "nONE", "none,login", "none;login",
		"none\u2003", "none\u200b", "%6eone", "login\r\nX: y", "[none]", `["none"]`, `"none"`, "null", "select-account", "consent/", "*",
	} {
		for _, responseType := range []string{"code", "id_token", "code id_token"} {
			values := url.Values{"prompt": {prompt}, "client_id": {"front"}, "response_type": {responseType}}
			for _, b := range []*browser{ada, m.browser("")} {
				for _, p := range b.bothWays(m.authorizeURL(values)) {
					m.wantErrorParams(answerOf(p), "invalid_request", "af0ifjsldkj")
				}
				_, params := m.server.posted(b.get(m.authorizeURL(with(values, "response_mode", "form_post"))))
				m.wantErrorParams(params, "invalid_request", "af0ifjsldkj")
			}
		}
	}
	for _, p := range ada.bothWays(m.authorizeURL(nil) + "&prompt=none%00") {
		m.wantPage(p, http.StatusBadRequest, "prompt")
	}
	for _, p := range ada.bothWays(m.authorizeURL(nil) + "&prompt=login%ff") {
		m.wantPage(p, http.StatusBadRequest, "prompt")
	}
	for prompt, page := range map[string]string{"create": "/signup", "create create": "/signup", "create login": "/signup", "login": "/login", "login login": "/login"} {
		if got := m.at(ada.get(m.authorizeURL(url.Values{"prompt": {prompt}}))); !strings.HasPrefix(got, m.URL+page+"?") {
			t.Errorf("row 20: %q leads to %s", prompt, got)
		}
	}
}

// Row 21: inside objects max_age may be a number, and is held to the same rules; nothing but digits is a time, and none of it makes an old sign-in young.
func TestRow21MaxAgeInEveryTypeAndWay(t *testing.T) {
	k := newAssertionKeys(t)
	s := start(t, "memory", quickKeys, everything, longSessions)
	s.Clock.Hold()
	ada := frontClient(s, func(c *storage.Client) { c.JWKS = k.jwks() })
	s.advance(2 * time.Hour)
	for _, sent := range []string{"-1", "1.5", "1e9", "1E2", "true", "false", `"-1"`, `"abc"`, `"1e9"`, "99999999999999999999", `"99999999999999999999"`, "2147483648", "-0", `" 5"`, `"5 "`, `"+5"`, `"0x10"`, `"٣"`, "{}", `{"a":1}`, "0.0", "-9223372036854775808", "18446744073709551616", "4294967296", "[0]", "[]", `["0"]`} {
		object := k.signRaw(s, `{"alg":"ES256","kid":"ec"}`, `{"client_id":"app","redirect_uri":"`+callback+`","response_type":"code","scope":"openid","state":"s","code_challenge":"`+challenge+`","code_challenge_method":"S256","max_age":`+sent+`}`)
		for _, b := range []*browser{ada, s.browser("")} {
			if params := answerOf(b.get(s.withObject(object, nil))); params.Get("error") != "invalid_request" {
				t.Errorf("row 21: max_age %s in an object: %v", sent, params)
			}
		}
		s.wantError(s.post("/oauth2/par", url.Values{"request": {object}}), http.StatusBadRequest, "invalid_request")
	}
	for _, sent := range []string{"null", `"0\u0000"`} {
		object := k.signRaw(s, `{"alg":"ES256","kid":"ec"}`, `{"client_id":"app","redirect_uri":"`+callback+`","response_type":"code","scope":"openid","max_age":`+sent+`}`)
		s.wantPage(ada.get(s.withObject(object, nil)), http.StatusBadRequest, "invalid_request_object")
	}
	for way, open := range s.arrivals(k) {
		for _, responseType := range grant.ResponseTypes() {
			for _, age := range []string{"0", "00", "1", "7199"} {
				values := url.Values{"max_age": {age}, "response_type": {responseType}}
				if got := s.at(ada.get(open(values))); !strings.HasPrefix(got, s.URL+"/login?") {
					t.Errorf("row 21: max_age=%s %s %s leads to %s", age, way, responseType, got)
				}
			}
			for _, age := range []string{"7201", "007201", "2147483647"} {
				if params := answerOf(ada.get(open(url.Values{"max_age": {age}, "response_type": {responseType}}))); params == nil || params.Has("error") {
					t.Errorf("row 21: max_age=%s %s %s: %v", age, way, responseType, params)
				}
			}
		}
	}
}

// Row 23: what else is signed, by this server or by the client, is no hint; and neither is one of somebody else's, nor one that was touched.
func TestRow23NothingElseIsAHint(t *testing.T) {
	k := newAssertionKeys(t)
	s := start(t, "memory", everything, func(o *provider.Options) { o.DefaultAudience = "app" }) // so that access tokens name the client, too
	ada := frontClient(s, func(c *storage.Client) { c.JWKS, c.UserinfoAlg = k.jwks(), "RS256" })
	s.client(func(c *storage.Client) { c.ID, c.FirstParty = "other", true })
	s.client(func(c *storage.Client) {
		c.ID, c.FirstParty, c.SubjectType, c.Sector = "pairwise", true, "pairwise", "rp.example"
	})
	tokens := s.wantOK(s.redeem(ada.code(nil)))
	good := tokens.Str("id_token")
	parts := strings.Split(good, ".")
	others := s.redeem(ada.codeOf("other"), as("other", clientSecret)).Str("id_token")
	pairs := s.redeem(ada.codeOf("pairwise"), as("pairwise", clientSecret)).Str("id_token")
	signed := s.userinfo(tokens.Str("access_token")).Raw
	if strings.Count(signed, ".") != 2 || strings.Count(others, ".") != 2 || strings.Count(pairs, ".") != 2 {
		t.Fatalf("userinfo %.40s, ID tokens %.20s %.20s", signed, others, pairs)
	}
	front := answerOf(ada.get(s.authorizeURL(url.Values{"response_type": {"code id_token token"}})))
	claims := jwtPayload(t, good)
	hints := map[string]string{
		"another client's": others, "a pairwise client's": pairs, "signed userinfo": signed, "front-channel access token": front.Get("access_token"), "front-channel code": front.Get("code"), "request object": k.object(s), "client assertion": k.sign(s, "app"),
		"signed by the client": forge(t, jose.ES256, k.ec, map[string]any{"kid": "ec", "typ": "JWT"}, claims), "signed by the client, with our kid": forge(t, jose.ES256, k.ec, map[string]any{"kid": joseHeader(t, good)["kid"], "typ": "JWT"}, claims),
		"space before": " " + good, "space after": good + " ", "tab": good + "\t", "lower case": strings.ToLower(good), "two": good + " " + good, "comma": good + "," + good, "Bearer": "Bearer " + good, "quoted": `"` + good + `"`,
		"signature twice": good + "." + parts[2], "no header": "." + parts[1] + "." + parts[2], "no payload": parts[0] + ".." + parts[2], "payload and header swapped": parts[1] + "." + parts[0] + "." + parts[2], "five parts": "a.b.c.d.e",
		"null": "null", "subject alone": claims["sub"].(string), "session id": fmt.Sprint(claims["sid"]), "pushed": s.push(nil),
	}
	for name, hint := range hints {
		for _, prompt := range []string{"none", "", "login"} {
			for _, b := range []*browser{ada, s.browser("")} {
				for _, p := range b.bothWays(s.authorizeURL(url.Values{"id_token_hint": {hint}, "prompt": {prompt}})) {
					if params := answerOf(p); params.Get("error") != "invalid_request" {
						t.Errorf("row 23: %s, prompt %q: %d %v", name, prompt, p.StatusCode, params)
					}
				}
			}
		}
		if params := answerOf(ada.get(s.withObject(k.wrap(s, url.Values{"id_token_hint": {hint}, "prompt": {"none"}}), url.Values{"id_token_hint": {good}}))); params.Get("error") != "invalid_request" {
			t.Errorf("row 23: %s in an object: %v", name, params)
		}
		s.wantError(s.post("/oauth2/par", s.pushable(url.Values{"id_token_hint": {hint}})), http.StatusBadRequest, "invalid_request")
	}
	for _, responseType := range grant.ResponseTypes() {
		if params := answerOf(ada.get(s.authorizeURL(url.Values{"id_token_hint": {good}, "prompt": {"none"}, "response_type": {responseType}}))); params == nil || params.Has("error") {
			t.Errorf("row 23: the client's own hint and %s: %v", responseType, params)
		}
	}
	s.ok(s.Store.DeleteUser(t.Context(), "sub-ada-example-com"))
	if params := answerOf(ada.get(s.authorizeURL(url.Values{"id_token_hint": {good}, "prompt": {"none"}}))); params.Get("error") != "login_required" {
		t.Errorf("row 23: the hint of somebody who is deleted: %v", params)
	}
}

// Row 33: what is taken away and given back in between does not bring back what it ended, and a client that was made anew is another one.
func TestRow33WhatCameBackIsNotWhatItWas(t *testing.T) {
	const subject = "sub-ada-example-com"
	again := endings["disabled user who is enabled again"]
	changes := map[string]func(s *server, b *browser){
		"user disabled and enabled":   func(s *server, b *browser) { again(s, b, subject) },
		"consent taken back":          func(s *server, _ *browser) { s.ok(s.Store.RevokeConsent(s.Context(), subject, "app")) },
		"password set to what it was": func(s *server, b *browser) { endings["changed password"](s, b, subject) },
		"client made anew": func(s *server, _ *browser) {
			s.ok(s.Store.DeleteClient(s.Context(), "app"))
			s.client(func(c *storage.Client) { c.Name = "made anew" })
		},
	}
	for name, change := range changes {
		t.Run("row 33 between code and token: "+name, func(t *testing.T) {
			s := start(t, "memory", quickKeys)
			s.client()
			s.user("ada@example.com")
			b := s.browser("ada@example.com")
			code := b.code(nil)
			s.Clock.Advance(time.Millisecond)
			change(s, b)
			if name == "client made anew" {
				s.eventually("the new client is known", func() bool {
					return strings.Contains(b.get(s.authorizeURL(url.Values{"redirect_uri": {"https://evil.example/"}})).Body, "made anew")
				})
			}
			s.wantError(s.redeem(code), http.StatusBadRequest, "invalid_grant")
		})
		t.Run("row 33 between login and code: "+name, func(t *testing.T) {
			s := start(t, "memory", quickKeys)
			s.client()
			s.user("ada@example.com")
			at := s.pausedAtConsent(nil)
			s.Clock.Advance(time.Millisecond)
			change(s, at.b)
			p := at.b.submit(at.page, "consent", url.Values{"decision": {"allow"}})
			if name == "consent taken back" || name == "client made anew" {
				return // the person has just said yes, to the name on the page's own client
			}
			if p.StatusCode == http.StatusSeeOther {
				p = at.b.get(s.at(p))
			}
			if strings.Contains(p.Header.Get("Location"), "code=") {
				t.Errorf("a code for a session that is over: %s", p.Header.Get("Location"))
			}
		})
	}
	t.Run("row 33 between code and token: a scope is taken from the client", func(t *testing.T) {
		s := start(t, "memory", quickKeys)
		s.client()
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		code := b.code(nil)
		_, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.Scopes = []string{"openid"}; return nil })
		s.ok(err)
		s.eventually("the change is seen", func() bool {
			return answerOf(b.get(s.authorizeURL(url.Values{"prompt": {"none"}}))).Get("error") == "invalid_scope"
		})
		if a := s.redeem(code); strings.Contains(a.Str("scope"), "email") || strings.Contains(fmt.Sprint(jwtPayload(t, a.Str("access_token"))["scope"]), "email") {
			t.Errorf("row 33: %d %s", a.Status, a.Raw)
		}
	})
}

// Row 33 between the pages of a sign-in in steps: the one behind the name, the choice of accounts, and the second factor.
func TestRow33TheAccountEndsBetweenTwoPages(t *testing.T) {
	for name, end := range map[string]func(s *server, subject string){
		"disabled": func(s *server, subject string) { endings["disabled user"](s, nil, subject) }, "deleted": func(s *server, subject string) { endings["deleted user"](s, nil, subject) },
		"disabled and enabled": func(s *server, subject string) { endings["disabled user who is enabled again"](s, nil, subject) },
	} {
		m := furnished(t, inSteps)
		subject := m.user("ada@example.com")
		b := m.browser("ada@example.com")
		named := b.get(m.at(b.submit(m.server.signIn(b), "login", url.Values{"username": {"ada@example.com"}})))
		known := m.browser("ada@example.com")
		known.code(url.Values{"scope": {"openid"}})
		rows, err := m.Store.SessionsOf(t.Context(), subject)
		m.ok(err)
		choice := known.get(m.at(known.get(m.authorizeURL(url.Values{"prompt": {"select_account"}}))))
		for n := 0; n < 3 && choice.StatusCode == http.StatusSeeOther; n++ {
			choice = known.get(m.at(choice))
		}
		if !strings.Contains(named.Body, `action="/login/password"`) || !hasForm(choice.Body, "accounts") || len(rows) == 0 {
			t.Fatalf("row 33: %d %s\n%d %s", named.StatusCode, cut(named.Body), choice.StatusCode, cut(choice.Body))
		}
		m.Clock.Advance(time.Millisecond)
		end(m.server, subject)
		if p := b.submit(named, "login", url.Values{"password": {password}}); (p.StatusCode == http.StatusSeeOther) != (name == "disabled and enabled") {
			t.Errorf("row 33: %s behind the name: %d %s", name, p.StatusCode, cut(p.Body))
		}
		p := known.submit(choice, "accounts", url.Values{"account": {rows[0].ID}})
		for n := 0; n < 5 && p.StatusCode == http.StatusSeeOther && strings.HasPrefix(p.Header.Get("Location"), "/"); n++ {
			p = known.get(m.at(p))
		}
		if answerOf(p).Has("code") || hasForm(p.Body, "consent") {
			t.Errorf("row 33: %s at the choice of accounts: %d %s", name, p.StatusCode, p.Header.Get("Location"))
		}
		if got := answerOf(known.get(m.authorizeURL(url.Values{"prompt": {"none"}}))); got.Get("error") != "login_required" {
			t.Errorf("row 33: %s, silently: %v", name, got)
		}
	}
}
