package conformance

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The rows of the attack tables A to F that an option could loosen, for strict clients on the server that has every option on.

func TestStrictRowsAInPushedRequestsAndObjects(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(signing(own.es256()))
		for _, uri := range []string{"https://evil.example/cb", c.Callback + "/extra", c.Callback + "?x=1", c.Callback + "#"} { // rows 1, 2 and 5
			c.push(values{"redirect_uri": uri}).wantError(http.StatusBadRequest, "invalid_request", "invalid_redirect_uri")
			object := own.es256().sign("", c.object(map[string]any{"redirect_uri": uri}))
			c.post("/oauth2/par", values{"request": object}).wantError(http.StatusBadRequest, "invalid_request", "invalid_redirect_uri")
			for _, outer := range []string{"", c.Callback} {
				s.browser().authorize(c, c.outer(values{"request": object, "redirect_uri": outer, "prompt": "none"})).wantPage(http.StatusBadRequest)
			}
		}
		for name, value := range map[string]string{ // row 9
			"response_type": "id_token", "scope": "email", "state": "x", "code_challenge": challenge, "response_mode": "fragment", "nonce": "x", "prompt": "none", "claims": "{}",
		} {
			b := s.browser()
			r := b.arrive(c, b.follow(c.home(), c.url(nil)+"&"+url.Values{name: {value}}.Encode()))
			if name == "claims" || name == "prompt" || name == "response_mode" {
				r = b.arrive(c, b.follow(c.home(), c.url(values{name: value})+"&"+url.Values{name: {value}}.Encode()))
			}
			if r.wantRefused(b, "invalid_request"); r.Mode == "fragment" {
				s.Errorf("%s twice: the error is in the fragment", name)
			}
		}
		for name, value := range map[string]string{"redirect_uri": c.Callback, "client_id": c.ID} {
			b := s.browser()
			if p := b.follow(c.home(), c.url(nil)+"&"+url.Values{name: {value}}.Encode()); !s.ours(p) || p.Status != http.StatusBadRequest {
				s.Errorf("%s twice: %d at %s", name, p.Status, p.URL)
			}
		}
	})
}

func TestStrictRowsAOfNativeApps(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(`{"token_endpoint_auth_method":"none","redirect_uris":["com.example.app:/callback","http://127.0.0.1/callback"]}`)
		for _, mode := range []string{"form_post", "fragment"} { // rows 12 and 14
			for _, uri := range []string{"com.example.app:/callback", "http://127.0.0.1:9/callback"} {
				if mode == "form_post" && uri != "com.example.app:/callback" {
					continue // a form may go to the machine itself (ruling 21)
				}
				r := s.get("/oauth2/authorize?" + c.params(values{"redirect_uri": uri, "response_mode": mode}).Encode())
				if location := r.Header.Get("Location"); r.Status != http.StatusSeeOther || !strings.HasPrefix(location, uri+"?error=invalid_request&") {
					s.Errorf("%s to %s: %d, Location %q: %s", mode, uri, r.Status, location, r.Raw)
				}
			}
		}
		for _, uri := range []string{"https://127.0.0.1/callback", "http://localhost/callback", "http://127.0.0.1:99999/callback", "http://evil@127.0.0.1:9/callback", "http://127.0.0.1:9/%63allback"} { // rows 6 and 7
			s.browser().authorize(c, values{"redirect_uri": uri}).wantPage(http.StatusBadRequest)
		}
	})
}

func TestStrictRowsB(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		b.authorize(c, nil).code()
		for _, bad := range []struct {
			v    values
			code string
		}{
			{values{"prompt": "none", "response_mode": "form_post", "scope": "openid email"}, "consent_required"}, {values{"prompt": "LOGIN"}, "invalid_request"}, {values{"prompt": "create x"}, "invalid_request"},
			{values{"max_age": "99999999999999999999"}, "invalid_request"}, {values{"max_age": "abc"}, "invalid_request"}, {values{"scope": "openid photos.write"}, "invalid_scope"},
			{values{"claims": `{"id_token":[]}`}, "invalid_request"},
			{values{"claims": `{"id_token":{"acr":{"essential":true,"value":"2"}}}`}, "unmet_authentication_requirements"},
		} {
			b.Steps = nil
			b.authorize(c, bad.v).wantError(bad.code)
			if slices.Contains(b.Steps, "login") || slices.Contains(b.Steps, "consent") {
				s.Errorf("%v: steps %v", bad.v, b.Steps)
			}
		}
		b.Steps = nil
		if b.authorize(c, values{"max_age": "0"}).code(); !slices.Equal(b.Steps, []string{"login"}) { // row 21
			s.Errorf("max_age 0: steps %v", b.Steps)
		}
		// Row 22: a session that is there already does not answer prompt=login.
		paused := b.follow(c.home(), c.url(values{"prompt": "login"}))
		if again := b.follow(paused, s.URL+"/oauth2/authorize?"+paused.URL.RawQuery); again.form("login") == nil {
			s.Errorf("without a new login: %d at %s", again.Status, again.URL)
		}
	})
}

// Row 28, also for the frame that session management brings: it alone may be framed, and says nothing.
func TestStrictRow28PagesAreNotFramed(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		login := b.frame(c.home(), c.url(nil))
		denied := b.frame(c.home(), c.url(values{"redirect_uri": "https://evil.example/"}))
		b.authorize(c, nil).code()
		account, consent, logout := b.frame(c.home(), s.URL+"/account"), b.frame(c.home(), c.url(values{"scope": "openid email"})), b.frame(c.home(), s.URL+"/oauth2/logout")
		for name, p := range map[string]*page{"login": login, "error": denied, "account": account, "consent": consent, "logout": logout} {
			if !strings.Contains(p.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || p.Header.Get("X-Frame-Options") != "DENY" {
				s.Errorf("%s: policy %q, X-Frame-Options %q", name, p.Header.Get("Content-Security-Policy"), p.Header.Get("X-Frame-Options"))
			}
		}
		for _, cookie := range b.jar.cookies {
			state := strings.HasSuffix(cookie.name, "gth_bs")
			if !cookie.secure || cookie.httpOnly == state || !state && cookie.sameSite != http.SameSiteLaxMode && cookie.sameSite != http.SameSiteStrictMode {
				s.Errorf("cookie %+v", cookie)
			}
		}
	})
}

func TestStrictRowsC(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, loose := s.client(), s.client(compatible)
		b := s.browser()
		code := b.authorize(c, values{"scope": "openid offline_access"}).code()
		a := c.redeem(code, nil).wantTokens()
		// Row 36: a stranger, even a looser one, and a wrong verifier end nothing.
		loose.redeem(code, values{"redirect_uri": c.Callback}).wantError(http.StatusBadRequest, "invalid_grant")
		c.redeem(code, values{"code_verifier": strings.Repeat("a", 43)}).wantError(http.StatusBadRequest, "invalid_grant")
		c.redeem(code, values{"code_verifier": ""}).wantError(http.StatusBadRequest, "invalid_grant")
		if info := s.userinfo(a.Str("access_token")); info.Status != http.StatusOK {
			s.Errorf("row 36: the owner's token is dead: %d", info.Status)
		}
		// Row 45: nothing stands for a code, and a code for nothing else.
		pushed := c.push(nil).pushed()
		for _, junk := range []string{a.Str("refresh_token"), a.Str("access_token"), a.Str("id_token"), pushed, pushed[strings.LastIndexByte(pushed, ':')+1:], s.registered(nil).Token, s.initial(tick * 1e6)} {
			c.redeem(junk, nil).wantError(http.StatusBadRequest, "invalid_grant")
		}
		fresh := b.authorize(c, nil).code()
		c.refresh(fresh, nil).wantError(http.StatusBadRequest, "invalid_grant")
		if info := s.userinfo(fresh); info.Status != http.StatusUnauthorized {
			s.Errorf("a code at userinfo: %d", info.Status)
		}
		c.redeem(fresh, nil).wantTokens()
		// Rows 39 and 43.
		stolen := b.authorize(c, nil).code()
		for _, v := range []values{{"code_verifier": strings.Repeat("b", 43)}, {"code_verifier": ""}, nil} {
			c.redeem(stolen, v).wantError(http.StatusBadRequest, "invalid_grant")
		}
	})
}

func TestStrictRowsD(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, loose := s.client(`{"access_token_format":"opaque"}`), s.client(compatible)
		a := c.tokens(values{"scope": "openid offline_access"})
		refresh, access := a.Str("refresh_token"), a.Str("access_token")
		loose.refresh(refresh, nil).wantError(http.StatusBadRequest, "invalid_grant") // row 48
		for _, changed := range []string{refresh[:len(refresh)-1], refresh + "x", strings.ToUpper(refresh), refresh + "=", refresh[:20]} {
			c.refresh(changed, nil).wantError(http.StatusBadRequest, "invalid_grant") // row 54
		}
		// Row 58: what is no live access token is inactive, in the same words.
		for name, token := range map[string]string{"ID token": a.Str("id_token"), "code": s.browser().authorize(c, nil).code(), "junk": "junk", "changed": access + "x"} {
			if got := c.post("/oauth2/introspect", values{"token": token}); strings.TrimSpace(got.Raw) != `{"active":false}` {
				s.Errorf("row 58, %s: %d %s", name, got.Status, got.Raw)
			}
		}
		loose.post("/oauth2/revoke", values{"token": access}) // row 55
		if got := c.post("/oauth2/introspect", values{"token": access}); got.JSON["active"] != true {
			s.Errorf("row 55: %d %s", got.Status, got.Raw)
		}
		c.refresh(refresh, values{"scope": "openid email"}).wantError(http.StatusBadRequest, "invalid_scope") // row 49
		next := c.refresh(refresh, nil).wantTokens()
		if a := c.post("/oauth2/revoke", values{"token": next.Str("refresh_token"), "token_type_hint": "access_token"}); a.Status != http.StatusOK { // row 56
			s.Errorf("revoke: %d %s", a.Status, a.Raw)
		}
		if info := s.userinfo(next.Str("access_token")); info.Status != http.StatusUnauthorized {
			s.Errorf("row 56: %d", info.Status)
		}
		s.tokenEndpointTakesFormsOnly(c)
	})
}

// tokenEndpointTakesFormsOnly is row 61.
func (s *suite) tokenEndpointTakesFormsOnly(c *client) {
	s.Helper()
	code := s.browser().authorize(c, nil).code()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.Callback}, "code_verifier": {verifier}}
	for name, change := range map[string]func(*http.Request){
		"GET":   func(r *http.Request) { r.Method, r.URL.RawQuery = "GET", form.Encode() },
		"query": func(r *http.Request) { r.URL.RawQuery = form.Encode() },
		"JSON":  func(r *http.Request) { r.Header.Set("Content-Type", "application/json") },
		"parts": func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") },
	} {
		r := s.form("/oauth2/token", url.Values{})
		r.SetBasicAuth(c.ID, c.Secret)
		change(r)
		if a := s.do(r); a.Status < 400 || a.Status >= 500 {
			s.Errorf("row 61, %s: %d %s", name, a.Status, a.Raw)
		}
	}
	c.redeem(code, nil).wantTokens()
}

func TestStrictRowsE(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, other := s.withKeys(`{"token_endpoint_auth_signing_alg":"ES256"}`, own.rs256(), own.es256()), s.withKeys(`{}`, own.es256())
		good := c.assertion(nil)
		header := func(h string) string {
			return base64.RawURLEncoding.EncodeToString([]byte(h)) + "." + strings.SplitN(own.es256().sign("", good), ".", 2)[1]
		}
		for name, assertion := range map[string]string{ // rows 71 and 72
			"none": unsigned(good), "NoNe": header(`{"alg":"NoNe"}`), "public key as secret": mac(jwkSet(own.es256()), good), "another algorithm": own.rs256().sign("", good), "unknown crit": header(`{"alg":"ES256","crit":["x"],"x":1}`),
			"not encoded": header(`{"alg":"ES256","b64":false,"crit":["b64"]}`), "zeroes": strings.Join(append(strings.Split(own.es256().sign("", good), ".")[:2], strings.Repeat("A", 86)), "."),
			"own key": header(`{"alg":"ES256","jwk":` + publicJWK(own.es256()) + `}`), "key elsewhere": header(`{"alg":"ES256","jku":"` + s.rp.URL + `/jku"}`), "audiences": own.es256().sign("", c.assertion(map[string]any{"aud": []string{s.URL, "https://evil.example"}})),
			"a client's of the same key": own.es256().sign("", other.assertion(nil)),
		} {
			if a := c.redeem("x", asserted(assertion).with(values{"client_id": c.ID})); a.Status != http.StatusUnauthorized && a.Status != http.StatusBadRequest || a.Str("error") == "invalid_grant" {
				s.Errorf("%s: %d %s", name, a.Status, a.Raw)
			}
		}
		if len(s.rp.at("/jku")) > 0 {
			s.Error("a key was fetched from where the assertion says")
		}
		jti := c.assertion(nil)["jti"] // row 69: another's jti, and one that was refused, are not used up
		other.redeem("x", asserted(own.es256().sign("", other.assertion(map[string]any{"jti": jti})))).wantError(http.StatusBadRequest, "invalid_grant")
		c.redeem("x", asserted(own.other().sign("", c.assertion(map[string]any{"jti": jti})))).wantError(http.StatusUnauthorized, "invalid_client")
		c.redeemBy(own.es256().sign("", c.assertion(map[string]any{"jti": jti}))).wantTokens()
		// Row 64, across clients.
		secret := s.client()
		secret.post("/oauth2/token", values{"grant_type": "authorization_code", "code": "x", "client_id": c.ID}).wantError(http.StatusBadRequest, "invalid_request")
		c.redeem("x", asserted(own.es256().sign("", c.assertion(nil))).with(values{"client_secret": secret.Secret})).wantError(http.StatusBadRequest, "invalid_request")
	})
}

func publicJWK(p *pair) string {
	text, err := json.Marshal(p.public())
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestStrictRowsF(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(signing(own.es256()), `{"request_uris":["{rp}/request","{rp}/big"],"request_object_signing_alg":"none"}`)
		s.rp.serve(c.path("request"), document{ContentType: "application/jwt", Body: unsigned(c.object(nil))})
		s.rp.serve(c.path("big"), document{ContentType: "application/jwt", Body: own.es256().sign("", c.object(nil)) + strings.Repeat(" ", 70<<10)})
		for name, v := range map[string]values{ // rows 75 and 81
			"by reference": {"request_uri": s.rp.URL + c.path("request")}, "too big": {"request_uri": s.rp.URL + c.path("big")}, "unregistered": {"request_uri": s.rp.URL + "/else"}, "by value": {"request": unsigned(c.object(nil))},
		} {
			b := s.browser()
			if r := b.authorize(c, c.outer(v)); r.Params.Has("code") {
				s.Errorf("%s: accepted", name)
			} else {
				r.wantRefused(b, "invalid_request_object", "invalid_request_uri", "invalid_request")
			}
		}
		d := s.client(signing(own.es256()))
		object := own.es256().sign("", d.object(map[string]any{"scope": "openid"}))
		r := s.browser().authorize(d, d.outer(values{"request": object, "scope": "openid email profile", "prompt": "none", "response_mode": "fragment"})) // row 77
		if a := d.redeem(r.code(), nil).wantTokens(); a.Str("scope") != "openid" || r.Mode != "query" {
			s.Errorf("row 77: %s, in the %s", a.Raw, r.Mode)
		}
		uri := d.push(values{"scope": "openid"}).pushed()
		r = s.browser().authorize(d, d.reference(uri, values{"response_mode": "fragment", "response_type": "code id_token", "scope": "openid email", "code_challenge": "x"})) // row 85
		if a := d.redeem(r.code(), nil).wantTokens(); a.Str("scope") != "openid" || r.Mode != "query" || r.Params.Has("id_token") {
			s.Errorf("row 85: %s, in the %s", a.Raw, r.Mode)
		}
		b := s.browser()
		b.authorize(d, d.outer(values{"request": own.es256().sign("", d.object(map[string]any{"response_mode": "fragment"}))})).wantRefused(b, "invalid_request")
		for _, v := range []values{{"response_type": "code id_token"}, {"response_mode": "fragment"}, {"request": unsigned(d.object(nil))}} { // pushed, what cannot be asked for
			d.push(v).wantError(http.StatusBadRequest, "unauthorized_client", "unsupported_response_type", "invalid_request", "invalid_request_object")
		}
	})
}
