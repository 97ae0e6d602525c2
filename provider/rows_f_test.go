package provider_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// Sections B and F of the attack list, for pushed requests and request objects of every response type.

// frontServer has a first-party client that may use every response type, and a signed-in browser. The same on every backend.
func frontClient(s *server, changes ...func(*storage.Client)) *browser {
	s.Helper()
	s.client(append([]func(*storage.Client){frontChannel, func(c *storage.Client) { c.FirstParty = true }}, changes...)...)
	s.user("ada@example.com", fullUser)
	b := s.browser("ada@example.com")
	b.code(nil)
	return b
}

// answerOf reads an answer by redirect, wherever its parameters are; nil for a page.
func answerOf(p page) url.Values {
	u, err := url.Parse(p.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(p.Header.Get("Location"), callback) {
		return nil
	}
	params, err := url.ParseQuery(u.RawQuery + "&" + strings.ReplaceAll(u.EscapedFragment(), "%20", "+"))
	if err != nil {
		return nil
	}
	params.Del("")
	return params
}

// Row 83: of fifty browsers' tabs that come with one pushed request at the same time one is answered, whatever the request asks for and whatever its tokens are.
func TestRow83OnePushedRequestOneAnswerOfEveryType(t *testing.T) {
	for _, format := range []string{"jwt", "opaque"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			onEveryBackendWith(t, func(s *server) {
				b := frontClient(s, func(c *storage.Client) { c.AccessToken = format })
				other := s.node(quickKeys, everything)
				for _, responseType := range grant.ResponseTypes() {
					s.racePushed(b, other, responseType, format)
				}
			}, quickKeys, everything)
		})
	}
}

// racePushed completes one pushed request fifty times at once on two nodes.
func (s *server) racePushed(b *browser, other *server, responseType, format string) {
	s.Helper()
	uri := s.push(url.Values{"response_type": {responseType}})
	at := func(node *server) string {
		return node.URL + "/oauth2/authorize?" + url.Values{"client_id": {"app"}, "request_uri": {uri}}.Encode()
	}
	answers := make([]page, 50)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = b.get(at([]*server{s, other}[i%2])) })
	}
	wg.Wait()
	var won []url.Values
	for _, p := range answers {
		switch params := answerOf(p); {
		case params == nil && p.StatusCode == http.StatusBadRequest: // it was gone before the request was read
		case params.Get("error") == "invalid_request_uri":
			if params.Has("code") || params.Has("access_token") || params.Has("id_token") {
				s.Errorf("%s: a loser got %v", responseType, params)
			}
		case params != nil && !params.Has("error"):
			won = append(won, params)
		default:
			s.Errorf("%s: %d %v %s", responseType, p.StatusCode, params, cut(p.Body))
		}
	}
	if len(won) != 1 {
		s.Fatalf("row 83: %s, %s: %d of 50 were answered", responseType, format, len(won))
	}
	for _, name := range frontMembers[responseType] {
		if won[0].Get(name) == "" {
			s.Errorf("%s: %s is missing in %v", responseType, name, won[0])
		}
	}
	if access := won[0].Get("access_token"); access != "" {
		if strings.HasPrefix(access, "gth_at_") != (format == "opaque") {
			s.Errorf("%s: the access token is not %s", responseType, format)
		}
		s.wantOK(s.userinfo(access))
	}
	if code := won[0].Get("code"); code != "" {
		s.wantOK(s.redeem(code))
	}
	for _, node := range []*server{s, other} {
		node.wantPage(b.get(at(node)), http.StatusBadRequest, "invalid_request_uri")
	}
}

// Row 83: fifty tabs that were paused on the way each have an interaction of their own, and still one wins.
func TestRow83OnePushedRequestManyInteractions(t *testing.T) {
	s := start(t, "sqlite", quickKeys, everything)
	s.client(frontChannel)
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	for _, responseType := range []string{"code", "id_token", "code id_token token"} {
		uri := s.push(url.Values{"response_type": {responseType}, "prompt": {"consent"}})
		var resumes []string
		for range 6 {
			p := b.get(s.withPushed(uri, nil))
			for hasForm(p.Body, "login") || p.Header.Get("Location") != "" {
				if p = b.get(s.at(p)); hasForm(p.Body, "login") {
					p = b.submit(p, "login", url.Values{"username": {b.User}, "password": {password}})
				}
			}
			resumes = append(resumes, s.at(b.submit(p, "consent", url.Values{"decision": {"allow"}})))
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		won := 0
		for _, resume := range resumes {
			wg.Go(func() {
				p := b.get(resume)
				mu.Lock()
				defer mu.Unlock()
				if params := answerOf(p); params.Has("code") || params.Has("id_token") {
					won++
				} else if params.Get("error") != "invalid_request_uri" {
					t.Errorf("%s: %d %v %s", responseType, p.StatusCode, params, cut(p.Body))
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("row 83: %s: %d of %d were answered", responseType, won, len(resumes))
		}
	}
}

// ways are the ways a request can arrive; each returns the address that a browser opens with it.
func (s *server) arrivals(k *assertionKeys) map[string]func(url.Values) string {
	return map[string]func(url.Values) string{
		"plain": s.authorizeURL, "pushed": func(values url.Values) string { return s.withPushed(s.push(values), nil) },
		"object": func(values url.Values) string { return s.withObject(k.wrap(s, values), nil) },
		"object pushed": func(values url.Values) string {
			a := s.post("/oauth2/par", url.Values{"request": {k.wrap(s, values)}})
			if a.Status != http.StatusCreated {
				s.Fatalf("push: %d %s", a.Status, a.Raw)
			}
			return s.withPushed(a.Str("request_uri"), nil)
		},
	}
}

// wrap signs the usual request, with some values changed, as an object.
func (k *assertionKeys) wrap(s *server, values url.Values) string {
	s.Helper()
	params := s.pushable(values)
	return k.object(s, func(_, claims members) {
		for _, name := range []string{"client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method"} {
			claims[name] = nil
		}
		for name := range params {
			claims[name] = params.Get(name)
		}
	})
}

// Rows 19, 21, 32: however a request arrives, and whatever it asks for, silence is answered by the right error, and what it demands is never lowered by what stands beside.
func TestRows19To32HoldForEveryWayAndType(t *testing.T) {
	k := newAssertionKeys(t)
	s := start(t, "memory", quickKeys, everything)
	s.client(frontChannel, func(c *storage.Client) { c.JWKS = k.jwks() })
	s.user("ada@example.com", fullUser)
	b := s.browser("ada@example.com")
	b.code(url.Values{"scope": {"openid"}})
	essential := `{"id_token":{"acr":{"essential":true,"values":["9"]}}}`
	outer := "&" + url.Values{"claims": {"{}"}, "acr_values": {"1"}, "prompt": {"login"}, "max_age": {"9999"}, "scope": {"openid"}, "id_token_hint": {"x"}}.Encode()
	for way, open := range s.arrivals(k) {
		for _, responseType := range grant.ResponseTypes() {
			for name, tc := range map[string]struct {
				nobody bool
				values url.Values
				code   string
			}{
				"row 19 no session":     {true, url.Values{"prompt": {"none"}}, "login_required"},
				"row 19 no consent":     {false, url.Values{"prompt": {"none"}, "scope": {"openid email"}}, "consent_required"},
				"row 31 no consent":     {false, url.Values{"prompt": {"none"}, "scope": {"openid"}, "claims": {`{"id_token":{"email":null}}`}}, "consent_required"},
				"row 21 max_age 0":      {false, url.Values{"prompt": {"none"}, "scope": {"openid"}, "max_age": {"0"}}, "login_required"},
				"row 32 step-up silent": {false, url.Values{"prompt": {"none"}, "scope": {"openid"}, "claims": {essential}}, "unmet_authentication_requirements"},
				"row 32 step-up":        {false, url.Values{"scope": {"openid"}, "claims": {essential}}, "unmet_authentication_requirements"},
			} {
				t.Run(name+" "+way+" "+responseType, func(t *testing.T) {
					s, from := s.on(t), b
					if tc.nobody {
						from = s.browser("")
					}
					values := maps.Clone(tc.values)
					values.Set("response_type", responseType)
					target := open(values)
					if way != "plain" {
						target += outer
					}
					p := from.get(target)
					params := answerOf(p)
					s.wantErrorParams(params, tc.code, "af0ifjsldkj")
					if p.Body != "" || strings.Contains(p.Header.Get("Location"), "?") != (responseType == "code") {
						t.Errorf("HTML, or the wrong mode: %s %s", p.Header.Get("Location"), cut(p.Body))
					}
				})
			}
		}
	}
}

// Rows 20, 21, 29, 31, 42: what is refused in the open is refused inside an object and at the push, with the same code.
func TestRows20To42AreTheSameInsideObjectsAndPushes(t *testing.T) {
	k := newAssertionKeys(t)
	s := start(t, "memory", quickKeys, everything)
	b := frontClient(s, func(c *storage.Client) { c.JWKS, c.AuthMethod = k.jwks(), "client_secret_basic" })
	for name, tc := range map[string]struct {
		values url.Values
		code   string
	}{
		"row 20 none login": {url.Values{"prompt": {"none login"}}, "invalid_request"}, "row 20 LOGIN": {url.Values{"prompt": {"LOGIN"}}, "invalid_request"}, "row 20 create": {url.Values{"prompt": {"create"}}, "invalid_request"},
		"row 21 -1": {url.Values{"max_age": {"-1"}}, "invalid_request"}, "row 21 abc": {url.Values{"max_age": {"abc"}}, "invalid_request"}, "row 21 1e9": {url.Values{"max_age": {"1e9"}}, "invalid_request"},
		"row 21 large": {url.Values{"max_age": {"99999999999999999999"}}, "invalid_request"}, "row 29 unknown": {url.Values{"scope": {"openid admin"}}, "invalid_scope"}, "row 29 quote": {url.Values{"scope": {`openid "`}}, "invalid_scope"},
		"row 29 many": {url.Values{"scope": {strings.TrimSpace(strings.Repeat("x ", 60))}}, "invalid_scope"}, "row 29 line break": {url.Values{"scope": {"openid\nprofile"}}, "invalid_scope"},
		"row 31 array": {url.Values{"claims": {"[]"}}, "invalid_request"}, "row 31 deep": {url.Values{"claims": {strings.Repeat("[", 5000)}}, "invalid_request"}, "row 42 plain": {url.Values{"code_challenge_method": {"plain"}}, "invalid_request"},
		"row 42 short": {url.Values{"code_challenge": {"x"}}, "invalid_request"}, "row 14 mode": {url.Values{"response_mode": {"web_message"}}, "invalid_request"}, "row 14 query": {url.Values{"response_mode": {"query"}, "response_type": {"id_token"}}, "invalid_request"},
		"row 23 hint": {url.Values{"id_token_hint": {"x"}}, "invalid_request"}, "type": {url.Values{"response_type": {"token"}}, "unsupported_response_type"}, "nonce": {url.Values{"response_type": {"id_token"}, "nonce": {""}}, "invalid_request"},
		"resource": {url.Values{"resource": {"https://nowhere.example"}}, "invalid_target"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			if way := "plain"; !strings.Contains(name, "many") {
				if got := answerOf(b.get(s.authorizeURL(tc.values))).Get("error"); got != tc.code {
					t.Errorf("%s: %q", way, got)
				}
			}
			s.wantError(s.post("/oauth2/par", s.pushable(tc.values)), http.StatusBadRequest, tc.code)
			s.wantError(s.post("/oauth2/par", url.Values{"request": {k.wrap(s, tc.values)}}), http.StatusBadRequest, tc.code)
			s.wantErrorParams(answerOf(b.get(s.withObject(k.wrap(s, tc.values), nil))), tc.code, "af0ifjsldkj")
		})
	}
}

// Row 33, and mix-ups of profiles: what changes while a request waits, pushed or at a page, counts when it is answered.
func TestRow33ChangesWhileAPushedOrHybridRequestWaits(t *testing.T) {
	client := func(f func(*storage.Client)) func(*server) error {
		return func(s *server) error {
			_, err := s.Store.UpdateClient(s.Context(), "app", func(c *storage.Client) error { f(c); return nil })
			return err
		}
	}
	for name, tc := range map[string]struct {
		act func(*server) error
		// code is the error that the client hears of; empty: a page that says so.
		code, says string
	}{
		"client disabled":    {client(func(c *storage.Client) { c.Disabled = true }), "", "invalid_client"},
		"client deleted":     {func(s *server) error { return s.Store.DeleteClient(s.Context(), "app") }, "", "invalid_client"},
		"redirect taken":     {client(func(c *storage.Client) { c.RedirectURIs = []string{"https://rp.example/new"} }), "", "redirect"},
		"profile strict":     {client(func(c *storage.Client) { c.Profile = "strict" }), "unauthorized_client", ""},
		"type taken":         {client(func(c *storage.Client) { c.ResponseTypes = []string{"code"} }), "unauthorized_client", ""},
		"scope taken":        {client(func(c *storage.Client) { c.Scopes = []string{"openid"} }), "invalid_scope", ""},
		"grant type taken":   {client(func(c *storage.Client) { c.GrantTypes = []string{"implicit"} }), "unauthorized_client", ""},
		"PKCE, being public": {client(func(c *storage.Client) { c.AuthMethod = "none" }), "invalid_request", ""},
	} {
		t.Run("row 33 "+name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "memory", quickKeys, everything)
			s.client(frontChannel)
			s.user("ada@example.com")
			waiting := url.Values{"response_type": {"code id_token"}, "scope": {"openid email"}, "code_challenge": {""}, "code_challenge_method": {""}}
			b := s.browser("ada@example.com")
			login := b.get(s.at(b.get(s.authorizeURL(waiting))))
			uri := s.push(waiting)
			resume := s.at(b.submit(login, "login", url.Values{"username": {b.User}, "password": {password}}))
			s.ok(tc.act(s))
			for way, target := range map[string]string{"paused": resume, "pushed": s.withPushed(uri, nil)} {
				s.eventually(way+" is refused", func() bool {
					p := b.get(target)
					params := answerOf(p)
					if strings.Contains(p.Header.Get("Location"), "code=") || strings.Contains(p.Header.Get("Location"), "id_token=") {
						t.Fatalf("%s: answered by %s", way, p.Header.Get("Location"))
					}
					return tc.code != "" && params.Get("error") == tc.code || tc.code == "" && p.StatusCode == http.StatusBadRequest && p.Header.Get("Location") == "" && strings.Contains(p.Body, tc.says)
				})
			}
		})
	}
	t.Run("row 33 a client of the same id is another one", func(t *testing.T) {
		onEveryBackendWith(t, func(s *server) {
			b := frontClient(s)
			uri := s.push(nil)
			s.ok(s.Store.DeleteClient(s.Context(), "app"))
			s.client(frontChannel, func(c *storage.Client) { c.FirstParty = true })
			s.eventually("the new client is known", func() bool { return answerOf(b.get(s.authorizeURL(nil))).Has("code") })
			s.wantPage(b.get(s.withPushed(uri, nil)), http.StatusBadRequest, "invalid_request_uri")
		}, quickKeys, everything)
	})
	t.Run("row 33 user disabled", func(t *testing.T) {
		s := start(t, "memory", quickKeys, everything)
		b := frontClient(s)
		for _, responseType := range grant.ResponseTypes() {
			uri := s.push(url.Values{"response_type": {responseType}, "prompt": {"none"}})
			_, err := s.Store.UpdateUser(t.Context(), "sub-ada-example-com", func(u *storage.User) error { u.Disabled = true; return nil })
			s.ok(err)
			if got := answerOf(b.get(s.withPushed(uri, nil))).Get("error"); got != "login_required" {
				t.Errorf("%s: %q", responseType, got)
			}
		}
	})
}

// Row 86: what was pushed stays here: neither address nor cookie of the browser holds any of it, at any step.
func TestRow86NothingPushedIsInAddressesOrCookies(t *testing.T) {
	s := start(t, "memory", quickKeys)
	s.client()
	s.user("ada@example.com")
	secrets := url.Values{"login_hint": {"pushed-hint@example.com"}, "nonce": {"pushed-nonce"}, "state": {"pushed-state"}, "acr_values": {"pushed-acr"}}
	b := s.browser("ada@example.com")
	p := b.get(s.withPushed(s.push(secrets), nil))
	for steps := 0; !strings.HasPrefix(p.Header.Get("Location"), callback); steps++ {
		if steps > 10 {
			t.Fatal("no end")
		}
		for _, text := range []string{p.Header.Get("Location"), strings.Join(p.Header.Values("Set-Cookie"), " ")} {
			if strings.Contains(text, "pushed-") || strings.Contains(text, challenge) || strings.Contains(text, url.QueryEscape(callback)) {
				t.Errorf("step %d: %s", steps, text)
			}
		}
		switch {
		case hasForm(p.Body, "login"):
			p = b.submit(p, "login", url.Values{"username": {b.User}, "password": {password}})
		case hasForm(p.Body, "consent"):
			p = b.submit(p, "consent", url.Values{"decision": {"allow"}})
		default:
			p = b.get(s.at(p))
		}
	}
	if got := answerOf(p); got.Get("state") != "pushed-state" || got.Get("code") == "" {
		t.Errorf("%v", got)
	}
	s.noSecrets("pushed-nonce", "pushed-state")
}

// Row 85: nothing beside a pushed request counts, for every response type; the answer's mode among it.
func TestRow85NothingBesideAPushedRequestCountsForAnyType(t *testing.T) {
	s := start(t, "memory", quickKeys, everything)
	b := frontClient(s)
	for _, responseType := range grant.ResponseTypes() {
		for _, outer := range []url.Values{
			{"response_type": {"code"}, "response_mode": {"query"}, "state": {"evil"}, "nonce": {"evil"}, "redirect_uri": {"https://evil.example/cb"}, "prompt": {"none login"}, "scope": {"x"}, "claims": {"{"}},
			{"request": {"x.y.z"}}, {"max_age": {"0"}}, {"id_token_hint": {"x"}}, {"resource": {"https://evil.example"}}, {"registration": {"{}"}},
		} {
			p := b.get(s.withPushed(s.push(url.Values{"response_type": {responseType}}), outer))
			params := answerOf(p)
			if outer.Has("request") { // two sources at once
				if params.Has("code") || params.Has("id_token") || params.Has("access_token") {
					t.Errorf("row 80: %s: %v", responseType, params)
				}
				continue
			}
			if params.Has("error") || params.Get("state") != "af0ifjsldkj" || strings.Contains(p.Header.Get("Location"), "?") != (responseType == "code") {
				t.Errorf("%s beside %v: %d %s", responseType, outer, p.StatusCode, p.Header.Get("Location"))
			}
			if id := params.Get("id_token"); id != "" && jwtPayload(t, id)["nonce"] != frontNonce {
				t.Errorf("nonce %v", jwtPayload(t, id)["nonce"])
			}
		}
	}
}

// Row 75: an unsigned object by reference, or inside a push, needs every permission that one by value needs.
func TestRow75UnsignedObjectsByReferenceAndPush(t *testing.T) {
	for name, tc := range map[string]struct {
		profile, alg string
		allow, taken bool
	}{
		"allowed": {"compatible", "none", true, true}, "not configured": {"compatible", "none", false, false}, "strict": {"strict", "none", true, false}, "registered another": {"compatible", "ES256", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			k := newAssertionKeys(t)
			var s *server
			host, _ := objectHost(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(k.unsigned(s))) })
			s, _ = objectServer(t, func(c *storage.Client) {
				c.Profile, c.RequestObjectAlg, c.RequestURIs = tc.profile, tc.alg, []string{host.URL + "/o"}
			}, func(o *provider.Options) { o.UnsignedRequestObjects = tc.allow })
			b := s.browser("ada@example.com")
			b.code(nil)
			params := s.sent(b.get(s.URL + "/oauth2/authorize?" + url.Values{"client_id": {"app"}, "request_uri": {host.URL + "/o"}, "redirect_uri": {callback}}.Encode()))
			if params.Has("code") != tc.taken || !tc.taken && params.Get("error") != "invalid_request_object" {
				t.Errorf("by reference: %v", params)
			}
			a := s.post("/oauth2/par", url.Values{"request": {k.unsigned(s)}})
			if (a.Status == http.StatusCreated) != tc.taken || !tc.taken && a.Str("error") != "invalid_request_object" {
				t.Errorf("pushed: %d %s", a.Status, a.Raw)
			}
		})
	}
}

// Row 87: the consent page names the client of a pushed request, and the attacker's push cannot be redeemed by the victim's client, of the front channel neither.
func TestRow87ConsentShowsWhoPushed(t *testing.T) {
	s := start(t, "memory", quickKeys, everything)
	s.client(frontChannel, func(c *storage.Client) { c.Name = "Honest App" })
	s.client(func(c *storage.Client) {
		c.ID, c.Name, c.RedirectURIs = "mallory", "Mallory App", []string{"https://mallory.example/cb"}
	})
	s.user("ada@example.com")
	values := s.pushable(url.Values{"client_id": {"mallory"}, "redirect_uri": {"https://mallory.example/cb"}})
	uri := s.post("/oauth2/par", values, as("mallory", clientSecret)).Str("request_uri")
	b := s.browser("ada@example.com")
	s.wantPage(b.get(s.withPushed(uri, nil)), http.StatusBadRequest, "invalid_request_uri") // not under another's name
	p := b.get(s.withPushed(uri, url.Values{"client_id": {"mallory"}}))
	p = b.submit(b.get(s.at(p)), "login", url.Values{"username": {b.User}, "password": {password}})
	for p.Header.Get("Location") != "" {
		p = b.get(s.at(p))
	}
	if text := visible(t, p.Body); !strings.Contains(text, "Mallory App") || strings.Contains(text, "Honest App") || !strings.Contains(text, "mallory.example") {
		t.Errorf("the page says: %s", text)
	}
	end := b.submit(p, "consent", url.Values{"decision": {"allow"}})
	end = b.get(s.at(end))
	code, err := end.Location()
	s.ok(err)
	s.wantError(s.redeem(code.Query().Get("code")), http.StatusBadRequest, "invalid_grant") // the honest client is not given what mallory pushed
}

// Row 82: a request that was pushed and never taken up, and one that waits at a page for too long, end; the clock of the push is not the user's.
func TestRow82EveryTypeExpires(t *testing.T) {
	s := start(t, "memory", quickKeys, everything)
	s.client(frontChannel)
	s.user("ada@example.com")
	for _, responseType := range grant.ResponseTypes() {
		b := s.browser("ada@example.com")
		unused, waiting := s.push(url.Values{"response_type": {responseType}}), s.push(url.Values{"response_type": {responseType}})
		login := s.at(b.get(s.withPushed(waiting, nil)))
		s.Clock.Advance(91 * time.Second)
		s.wantPage(b.get(s.withPushed(unused, nil)), http.StatusBadRequest, "invalid_request_uri")
		s.Clock.Advance(31 * time.Minute)
		if p := b.get(login); p.StatusCode != http.StatusForbidden {
			t.Errorf("%s: after half an hour: %d", responseType, p.StatusCode)
		}
	}
	if slices.Contains(strings.Fields(s.Log.String()), "panic") {
		t.Error("panic")
	}
}
