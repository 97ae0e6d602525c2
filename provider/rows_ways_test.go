package provider_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// Rows of sections B, E and F that must hold whichever way a request arrives and whatever it asks for.

// Rows 22 and 27: a request that demands a new sign-in is not answered with the old one, nor in another browser, nor twice.
func TestRow22And27HoldForEveryWayAndType(t *testing.T) {
	k := newAssertionKeys(t)
	s := start(t, "memory", quickKeys, everything, longSessions)
	s.client(frontChannel, func(c *storage.Client) { c.JWKS, c.FirstParty = k.jwks(), true })
	s.user("ada@example.com", fullUser)
	b, victim := s.browser("ada@example.com"), s.browser("ada@example.com")
	b.code(nil)
	victim.code(nil)
	for way, open := range s.arrivals(k) {
		for _, responseType := range grant.ResponseTypes() {
			for name, demand := range map[string]url.Values{"prompt": {"prompt": {"login"}}, "max_age": {"max_age": {"60"}}} {
				t.Run("row 22 "+name+" "+way+" "+responseType, func(t *testing.T) {
					s := s.on(t)
					s.Clock.Advance(2 * time.Minute)
					values := url.Values{"response_type": {responseType}}
					for param, value := range demand {
						values[param] = value
					}
					asked := s.Clock.Now().Unix()
					login := s.at(b.get(open(values)))
					resume := strings.Replace(login, "/login?", "/oauth2/authorize?", 1)
					if !strings.HasPrefix(login, s.URL+"/login?") {
						t.Fatalf("sent to %s", login)
					}
					for _, edited := range []string{"", "&prompt=", "&max_age=99999", "&response_type=code", "&claims={}"} {
						if got := s.at(b.get(resume + edited)); got != login {
							t.Errorf("with the old session and %q: %s", edited, got)
						}
					}
					s.wantPage(victim.get(resume), http.StatusForbidden) // row 27
					params := answerOf(b.walk(login))
					if params == nil || params.Has("error") {
						t.Fatalf("%v", params)
					}
					id := params.Get("id_token")
					if code := params.Get("code"); code != "" {
						id = s.wantOK(s.redeem(code)).Str("id_token")
					}
					if id != "" {
						if at := jwtPayload(t, id)["auth_time"].(float64); int64(at) < asked {
							t.Errorf("auth_time %v is before the request at %d", at, asked)
						}
					}
					s.wantPage(b.get(resume), http.StatusOK, "Already finished")
				})
			}
		}
	}
}

// Row 28: no page of this issue can be framed, whatever it says; the one that must be is tested where it is.
func TestRow28NewAnswersRefuseFrames(t *testing.T) {
	s := start(t, "memory", quickKeys, everything)
	b := frontClient(s)
	for name, p := range map[string]page{
		"form_post": b.get(s.authorizeURL(url.Values{"response_type": {"code id_token"}, "response_mode": {"form_post"}})), "form_post error": b.get(s.authorizeURL(url.Values{"response_type": {"id_token"}, "response_mode": {"form_post"}, "scope": {"x"}})),
		"used push": b.get(s.withPushed("urn:ietf:params:oauth:request_uri:gth_par_x", nil)), "bad object": b.get(s.withObject("x", nil)), "both": b.get(s.withObject("x", url.Values{"request_uri": {"https://rp.example/o"}})),
		"sign-out": b.get(s.URL + "/oauth2/logout"), "sign-out with a bad hint": b.get(s.URL + "/oauth2/logout?id_token_hint=x"), "redirect": b.get(s.authorizeURL(url.Values{"response_type": {"id_token"}})),
	} {
		if policy := p.Header.Get("Content-Security-Policy"); p.Header.Get("X-Frame-Options") != "DENY" || p.StatusCode != http.StatusSeeOther && !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("row 28: %s can be framed: %d %v", name, p.StatusCode, p.Header)
		}
	}
}

// Rows 64, 67, 69, 70 at the endpoint for pushed requests, for both kinds of assertion: it is no back door to the token endpoint, nor the other way round.
func TestRows64To70AtThePushEndpoint(t *testing.T) {
	s := start(t, "memory", quickKeys)
	key := newAssertionKeys(t)
	s.client(key.register("keyed"))
	s.client(func(c *storage.Client) { c.ID = "app" })
	secret, stored := newSealed(t, testRing(t), "sealed")
	s.client(func(c *storage.Client) {
		c.ID, c.AuthMethod, c.Secrets = "sealed", "client_secret_jwt", []storage.ClientSecret{stored}
	})
	par := s.URL + "/oauth2/par"
	sign := map[string]func(changes ...func(head, claims members)) string{
		"keyed": func(changes ...func(head, claims members)) string { return key.sign(s, "keyed", changes...) },
		"sealed": func(changes ...func(head, claims members)) string {
			return macSign(s, "HS256", secret, "sealed", changes...)
		},
	}
	push := func(id, assertion string, changes ...func(*http.Request)) answer {
		values := s.pushable(url.Values{"client_id": {id}})
		values.Set("client_assertion_type", assertionType)
		values.Set("client_assertion", assertion)
		return s.post("/oauth2/par", values, append([]func(*http.Request){noBasic}, changes...)...)
	}
	token := func(assertion string) answer {
		return s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}, noBasic)
	}
	now := s.Clock.Now().Unix()
	for id, sign := range sign {
		t.Run(id, func(t *testing.T) {
			s := s.on(t)
			for name, aud := range map[string]any{"issuer": s.URL, "token endpoint": s.URL + "/oauth2/token", "the endpoint itself": par, "an array of it": []string{par}} {
				if a := push(id, sign(withClaim("aud", aud))); a.Status != http.StatusCreated {
					t.Errorf("row 67 %s: %d %s", name, a.Status, a.Raw)
				}
			}
			for name, changes := range map[string]func(head, claims members){
				"row 67 slash": withClaim("aud", s.URL+"/"), "row 67 another": withClaim("aud", []string{par, "https://evil.example"}), "row 67 authorize": withClaim("aud", s.URL+"/oauth2/authorize"), "row 67 introspect": withClaim("aud", s.URL+"/oauth2/introspect"),
				"row 67 none": withClaim("aud", nil), "row 70 10 years": withClaim("exp", now+10*365*86400), "row 70 no exp": withClaim("exp", nil), "row 70 no jti": withClaim("jti", nil), "row 70 iat ahead": withClaim("iat", now+600), "row 70 other sub": withClaim("sub", "app"),
				"row 71 none": withHead("alg", "none"), "row 71 crit": withHead("crit", []string{"x"}), "row 72 jku": withHead("jku", "https://evil.example"), "row 71 typ of a request object": withHead("typ", "oauth-authz-req+jwt"),
			} {
				s.wantError(push(id, sign(changes)), http.StatusUnauthorized, "invalid_client")
				if t.Failed() {
					t.Fatal(name)
				}
			}
			s.wantError(token(sign(withClaim("aud", par))), http.StatusUnauthorized, "invalid_client") // meant for the other endpoint
			used := sign()
			if a := push(id, used); a.Status != http.StatusCreated {
				t.Fatalf("%d %s", a.Status, a.Raw)
			}
			s.wantError(token(used), http.StatusUnauthorized, "invalid_client") // row 69: used there is used here
			s.wantError(push(id, used), http.StatusUnauthorized, "invalid_client")
			s.wantError(push(id, sign(), as(id, clientSecret)), http.StatusBadRequest, "invalid_request") // row 64
			s.wantError(push(id, sign(), as("app", clientSecret)), http.StatusBadRequest, "invalid_request")
			if a := push("app", sign()); a.Status != http.StatusUnauthorized && a.Status != http.StatusBadRequest {
				t.Errorf("row 64: an assertion in another client's name: %d %s", a.Status, a.Raw)
			}
		})
	}
	s.wantNoSecrets(secret)
}

// Row 73 for request objects: strangers who send objects with made-up keys, in the open or pushed, cause one fetch a minute, together with those who send assertions.
func TestRow73ObjectsCauseNoMoreFetchesThanAssertions(t *testing.T) {
	s := start(t, "memory", quickKeys)
	key := newAssertionKeys(t)
	from := newKeyServer(t, serving(key.jwks()))
	s.client(func(c *storage.Client) { c.JWKSURI, c.FirstParty = from.URL, true })
	s.daemon(key.at("robot", from))
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	if params := answerOf(b.walk(s.withObject(key.object(s), nil))); params.Get("code") == "" {
		t.Fatalf("%v", params)
	}
	var made atomic.Int32
	unknown := func(head, _ members) { head["kid"] = "made-up-" + string(rune('a'+made.Add(1)%26)) }
	for range 20 {
		if got := answerOf(b.get(s.withObject(key.object(s, unknown), url.Values{"redirect_uri": {callback}}))).Get("error"); got != "invalid_request_object" {
			t.Fatal(got)
		}
		s.wantError(s.post("/oauth2/par", url.Values{"request": {key.object(s, unknown)}}), http.StatusBadRequest, "invalid_request_object")
	}
	if n := from.fetches.Load(); n != 2 {
		t.Errorf("row 73: %d fetches, want the first and one more", n)
	}
	s.Clock.Advance(61 * time.Second)
	for range 20 {
		b.get(s.withObject(key.object(s, unknown), nil))
	}
	if n := from.fetches.Load(); n != 3 {
		t.Errorf("row 73: %d fetches a minute later", n)
	}
	// Row 71: the keys of one client verify nothing of another, although they are at one address.
	if got := answerOf(b.get(s.withObject(key.object(s, claim("client_id", "robot"), claim("iss", "robot")), url.Values{"redirect_uri": {callback}}))).Get("error"); got != "invalid_request_object" {
		t.Error(got)
	}
}

// Row 36 for the front channel: only a valid replay of a code ends what came with it.
func TestRow36OnlyAValidReplayEndsFrontChannelTokens(t *testing.T) {
	s := start(t, "memory", quickKeys, everything)
	b := frontClient(s)
	s.client(func(c *storage.Client) { c.ID = "mallory" })
	for _, responseType := range []string{"code token", "code id_token token"} {
		params := answerOf(b.get(s.authorizeURL(url.Values{"response_type": {responseType}})))
		code, access := params.Get("code"), params.Get("access_token")
		tokens := s.wantOK(s.redeem(code))
		s.wantError(s.redeem(code, as("mallory", clientSecret)), http.StatusBadRequest, "invalid_grant")
		wrong := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {strings.Repeat("x", 43)}}
		s.wantError(s.post("/oauth2/token", wrong), http.StatusBadRequest, "invalid_grant")
		for _, token := range []string{access, tokens.Str("access_token"), tokens.Str("refresh_token")} {
			if !s.active(token) {
				t.Errorf("row 36: %s: a replay by another client, or without the verifier, killed the victim's tokens", responseType)
			}
		}
		s.wantError(s.redeem(code), http.StatusBadRequest, "invalid_grant")
		for _, token := range []string{access, tokens.Str("access_token"), tokens.Str("refresh_token")} {
			if s.active(token) {
				t.Errorf("row 35: %s: a token survives the replay of its code", responseType)
			}
		}
	}
}

// Rows 119, 190, 197: what only an object can carry past the limits of parameters is refused, or harmless to every store, paused and pushed.
func TestRow119HostileMembersOfObjectsOnEveryBackend(t *testing.T) {
	k := newAssertionKeys(t)
	onEveryBackendWith(t, func(s *server) {
		s.client(frontChannel, func(c *storage.Client) { c.JWKS = k.jwks() })
		s.user("ada@example.com")
		good := `{"client_id":"app","redirect_uri":"` + callback + `","response_type":"code","scope":"openid","state":"s","nonce":"n","code_challenge":"` + challenge + `","code_challenge_method":"S256"`
		for name, tc := range map[string]struct{ members, code string }{
			"NUL in an unknown name": {`,"a\u0000b":"x"`, ""}, "NUL in an unknown value": {`,"x":{"a":"\u0000"}`, ""}, "NUL in an unknown text": {`,"x":"\u0000"`, "invalid_request_object"}, "NUL in login_hint": {`,"login_hint":"a\u0000b"`, "invalid_request_object"},
			"NUL in a list": {`,"resource":["https://a.example/\u0000"]`, "invalid_target"}, "no UTF-8 in a name": {",\"a\xffb\":\"x\"", ""}, "no UTF-8 in a value": {",\"x\":{\"a\":\"\xff\"}", ""}, "a lone surrogate": {`,"login_hint":"\ud800"`, ""},
			"an empty name": {`,"":"x"`, ""}, "a long name": {`,"` + strings.Repeat("n", 5000) + `":"x"`, ""}, "500 members": {`,"m` + strings.Join(strings.Split(strings.Repeat("x", 499), ""), "") + `":1` + manyMembers(500), ""},
			"state of 5 KiB": {"", "invalid_request_object"}, "a name like an internal one": {`,"interaction":"x","handle":"y","source":"object","Source":"z"`, ""}, "prototype": {`,"__proto__":{"scope":"admin"},"constructor":{}`, ""},
		} {
			claims := good + tc.members + "}"
			if name == "state of 5 KiB" {
				claims = strings.Replace(good, `"state":"s"`, `"state":"`+strings.Repeat("s", 5<<10)+`"`, 1) + "}"
			}
			sign := func() string { return k.signRaw(s, `{"alg":"ES256","kid":"ec"}`, claims) }
			b := s.browser("ada@example.com")
			params := answerOf(b.walk(s.withObject(sign(), url.Values{"redirect_uri": {callback}})))
			if params.Get("error") != tc.code || tc.code == "" && params.Get("code") == "" {
				s.Errorf("row 119 %s: %v", name, params)
			}
			a := s.post("/oauth2/par", url.Values{"request": {sign()}})
			if tc.code != "" {
				s.wantError(a, http.StatusBadRequest, tc.code)
				continue
			}
			if got := answerOf(b.walk(s.withPushed(a.Str("request_uri"), nil))); got.Get("code") == "" || s.redeem(got.Get("code")).Status != http.StatusOK {
				s.Errorf("row 119 %s, pushed: %d %s, %v", name, a.Status, a.Raw, got)
			}
		}
	}, quickKeys, everything)
}

func manyMembers(n int) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(`,"m` + strconv.Itoa(i) + `":1`)
	}
	return out.String()
}

// Row 81: an object by reference is no larger than one by value, signed or not.
func TestRow81ObjectsByReferenceAreNoLarger(t *testing.T) {
	k := newAssertionKeys(t)
	var s *server
	var unsigned atomic.Bool
	host, _ := objectHost(t, func(w http.ResponseWriter, _ *http.Request) {
		large := []func(head, claims members){claim("x", strings.Repeat("x", 9<<10)), claim("y", strings.Repeat("y", 9<<10))}
		if unsigned.Load() {
			_, _ = w.Write([]byte(k.unsigned(s, large...)))
		} else {
			_, _ = w.Write([]byte(k.object(s, large...)))
		}
	})
	s, _ = objectServer(t, func(c *storage.Client) { c.Profile, c.RequestURIs = "compatible", []string{host.URL + "/o"} }, everything)
	for _, without := range []bool{false, true} {
		unsigned.Store(without)
		params := answerOf(s.browser("").get(s.URL + "/oauth2/authorize?" + url.Values{"client_id": {"app"}, "request_uri": {host.URL + "/o"}, "redirect_uri": {callback}}.Encode()))
		if params.Get("error") != "invalid_request_object" || !strings.Contains(params.Get("error_description"), "long") {
			t.Errorf("row 81: unsigned %t: %v", without, params)
		}
	}
}
