package conformance

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Lines A20 to A22 and trap 4: request objects (RFC 9101), where only what is inside counts.

// object are the claims of a request object; nil in more removes one.
func (c *client) object(more map[string]any) map[string]any {
	now := c.s.Clock.Now()
	claims := map[string]any{"iss": c.ID, "aud": c.s.URL, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	for name, value := range c.params(nil) {
		claims[name] = value[0]
	}
	maps.Copy(claims, more)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// outer is a request of which only what must be outside is outside.
func (c *client) outer(more values) values {
	v := values{}
	for name := range c.params(nil) {
		v[name] = ""
	}
	return v.with(values{"client_id": c.ID, "response_type": "code", "scope": "openid"}).with(more)
}

// signing registers keys for request objects.
func signing(pairs ...*pair) string { return `{"jwks":` + jwkSet(pairs...) + `}` }

// wantRefused demands that a request is refused, by a page or at the client, and nobody was asked to sign in for it.
func (r *response) wantRefused(b *browser, codes ...string) {
	r.s.Helper()
	if len(b.Steps) > 0 {
		r.s.Errorf("the user was asked: %v", b.Steps)
	}
	if r.Mode != "page" {
		r.wantError(codes...)
		return
	}
	r.wantPage(http.StatusBadRequest)
	for _, code := range codes {
		if strings.Contains(r.Page.Body, code) {
			return
		}
	}
	r.s.Errorf("the page names none of %v: %s", codes, r.Page.Body)
}

func TestA20ObjectByValueOverridesTheQuery(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(signing(own.rs256()), `{"redirect_uris":["{rp}/callback","{rp}/other"]}`)
		object := own.rs256().sign("oauth-authz-req+jwt", c.object(map[string]any{"state": "inside", "nonce": "inside", "redirect_uri": s.rp.URL + c.path("other"), "scope": "openid email"}))
		r := s.browser().authorize(c, values{"request": object, "state": "outside", "nonce": "outside"})
		if r.Params.Get("state") != "inside" || !strings.HasSuffix(r.Page.URL.Path, "/other") {
			s.Errorf("%s %v", r.Page.URL, r.Params)
		}
		a := c.redeem(r.code(), values{"redirect_uri": s.rp.URL + c.path("other")}).wantTokens()
		if token := c.idToken(a.Str("id_token")); token.Str("nonce") != "inside" || a.Str("scope") != "openid email" {
			s.Errorf("%s, claims %v", a.Raw, token.Claims)
		}
	})
}

func TestA20NothingOutsideTheObjectCounts(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(signing(own.rs256()))
		object := own.rs256().sign("", c.object(map[string]any{"state": nil, "nonce": nil}))
		r := s.browser().authorize(c, values{"request": object, "state": "outside", "nonce": "outside", "prompt": "none", "max_age": "x"})
		token := c.idToken(c.redeem(r.code(), nil).Str("id_token"))
		if r.Params.Has("state") || token.Claims["nonce"] != nil {
			s.Errorf("response %v, claims %v", r.Params, token.Claims)
		}
		// Types inside are JSON: max_age is a number, claims an object.
		s.browser().authorize(c, c.outer(values{"request": own.rs256().sign("", c.object(map[string]any{"max_age": 1000, "claims": map[string]any{"id_token": map[string]any{"email": nil}}}))})).code()
		b := s.browser()
		b.authorize(c, c.outer(values{"request": own.rs256().sign("", c.object(map[string]any{"prompt": "none"}))})).wantError("login_required", "interaction_required")
	})
}

func TestA20ResponseModeOfTheObjectCounts(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(signing(own.rs256()))
		r := s.browser().authorize(c, c.outer(values{"request": own.rs256().sign("", c.object(map[string]any{"response_mode": "form_post"})), "response_mode": "query"}))
		if r.code(); r.Mode != "form_post" {
			s.Errorf("in the %s", r.Mode)
		}
	})
}

func TestA20ObjectByPost(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(signing(own.rs256())), s.browser()
		object := own.rs256().sign("", c.object(nil))
		b.arrive(c, b.walk(b.send(c.home(), s.URL+"/oauth2/authorize", c.params(c.outer(values{"request": object}))))).code()
	})
}

func TestA20ClientIDInsideAndOutsideMustMatch(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, other := s.client(signing(own.rs256())), s.client(signing(own.rs256()))
		for _, object := range []map[string]any{{"client_id": other.ID}, {"client_id": other.ID, "iss": other.ID, "redirect_uri": other.Callback}, {"client_id": 1}} {
			b := s.browser()
			b.authorize(c, c.outer(values{"request": own.rs256().sign("", c.object(object))})).wantRefused(b, "invalid_request_object", "invalid_request")
		}
	})
}

func TestA20UnsignedObjectsForClientsThatMay(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, change := range []string{`{}`, `{"request_object_signing_alg":"none"}`} {
			c := s.client(compatible, change)
			r := s.browser().authorize(c, c.outer(values{"request": unsigned(c.object(map[string]any{"state": "inside"}))}))
			if r.code(); r.Params.Get("state") != "inside" {
				s.Errorf("%s: %v", change, r.Params)
			}
		}
		c, b := s.client(compatible, signing(own.rs256()), `{"request_object_signing_alg":"RS256"}`), s.browser()
		b.authorize(c, c.outer(values{"request": unsigned(c.object(nil))})).wantRefused(b, "invalid_request_object")
	})
}

func TestA20ObjectsAreNotNested(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(signing(own.rs256()), `{"request_uris":["{rp}/request"]}`)
		inner := own.rs256().sign("", c.object(nil))
		s.rp.serve(c.path("request"), document{ContentType: "application/oauth-authz-req+jwt", Body: inner})
		for _, object := range []map[string]any{{"request": inner}, {"request_uri": s.rp.URL + c.path("request")}} {
			b := s.browser()
			b.authorize(c, c.outer(values{"request": own.rs256().sign("", c.object(object))})).wantRefused(b, "invalid_request_object")
		}
		b := s.browser()
		b.authorize(c, c.outer(values{"request": inner, "request_uri": s.rp.URL + c.path("request")})).wantRefused(b, "invalid_request")
		if len(s.rp.at(c.path("request"))) > 0 {
			s.Error("the request_uri was fetched")
		}
	})
}

func TestA21ObjectByReference(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, registered := range []string{"{rp}/request", "{rp}/request#c2hhMjU2LW9mLXNvbWV0aGluZy1lbHNl", "{rp}/request?id=1#x"} {
			c := s.client(signing(own.es256()), `{"request_uris":["`+registered+`"]}`)
			s.rp.serve(c.path("request"), document{ContentType: "application/oauth-authz-req+jwt", Body: own.es256().sign("oauth-authz-req+jwt", c.object(map[string]any{"state": "inside"}))})
			r := s.browser().authorize(c, c.outer(values{"request_uri": strings.ReplaceAll(registered, "{rp}", s.rp.URL+"/"+c.ID), "state": "outside"}))
			if r.code(); r.Params.Get("state") != "inside" {
				s.Errorf("%v", r.Params)
			}
			seen := s.rp.at(c.path("request"))
			if len(seen) == 0 || seen[0].Method != "GET" || strings.Contains(seen[0].RawQuery, "#") || seen[0].Header.Get("Cookie") != "" {
				s.Errorf("fetched by %v", seen)
			}
		}
	})
}

func TestA21OnlyRegisteredURIsAreFetched(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(signing(own.es256()), `{"request_uris":["{rp}/request#right"]}`)
		s.rp.serve(c.path("request"), document{ContentType: "application/oauth-authz-req+jwt", Body: own.es256().sign("", c.object(nil))})
		s.rp.serve(c.path("other"), document{ContentType: "application/oauth-authz-req+jwt", Body: own.es256().sign("", c.object(nil))})
		for _, sent := range []string{"/other", "/request#wrong", "/request", "/request?x=1#right"} {
			b := s.browser()
			b.authorize(c, c.outer(values{"request_uri": s.rp.URL + "/" + c.ID + sent})).wantRefused(b, "invalid_request_uri", "invalid_request")
		}
		if n := len(s.rp.at(c.path("other"))) + len(s.rp.at(c.path("request"))); n > 0 {
			s.Errorf("%d fetches", n)
		}
	})
}

func TestA21BrokenReferences(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(signing(own.es256()), `{"request_uris":["{rp}/missing","{rp}/junk","{rp}/away"]}`)
		s.rp.serve(c.path("missing"), document{Status: http.StatusNotFound})
		s.rp.serve(c.path("junk"), document{ContentType: "text/plain", Body: "junk"})
		s.rp.serve(c.path("away"), document{Status: http.StatusFound, Header: http.Header{"Location": {s.rp.URL + c.path("target")}}})
		s.rp.serve(c.path("target"), document{ContentType: "application/oauth-authz-req+jwt", Body: own.es256().sign("", c.object(nil))})
		for _, name := range []string{"missing", "junk", "away"} {
			b := s.browser()
			b.authorize(c, c.outer(values{"request_uri": s.rp.URL + c.path(name)})).wantRefused(b, "invalid_request_uri", "invalid_request_object")
		}
		if len(s.rp.at(c.path("target"))) > 0 {
			s.Error("a redirect was followed")
		}
	})
}

func TestA22SignaturesAreVerifiedWithRegisteredKeys(t *testing.T) {
	everywhere(t, func(s *suite) {
		byValue := s.client(signing(own.rs256(), own.es256(), own.eddsa()))
		byURI := s.client(`{"jwks_uri":"{rp}/jwks"}`)
		s.rp.serve(byURI.path("jwks"), document{ContentType: "application/json", Body: jwkSet(own.rs256(), own.es256(), own.eddsa())})
		for _, c := range []*client{byValue, byURI} {
			for _, key := range []*pair{own.rs256(), own.rs256().as("PS256"), own.es256(), own.eddsa(), own.rs256().without()} {
				s.browser().authorize(c, c.outer(values{"request": key.sign("", c.object(nil))})).code()
			}
			good := own.rs256().sign("", c.object(nil))
			parts := strings.Split(good, ".")
			for name, bad := range map[string]string{
				"foreign key": own.other().sign("", c.object(nil)), "foreign key under our kid": own.other().named("rsa-1").sign("", c.object(nil)), "unsigned": unsigned(c.object(nil)),
				"stripped": parts[0] + "." + parts[1] + ".", "spliced": parts[0] + "." + strings.Split(own.rs256().sign("", c.object(map[string]any{"scope": "openid email"})), ".")[1] + "." + parts[2],
				"by the public key": mac(jwkSet(own.rs256()), c.object(nil)), "junk": "junk", "empty object": own.rs256().sign("", map[string]any{}),
			} {
				b := s.browser()
				if r := b.authorize(c, c.outer(values{"request": bad})); r.Params.Has("code") {
					s.Errorf("%s: accepted", name)
				} else {
					r.wantRefused(b, "invalid_request_object", "invalid_request")
				}
			}
		}
	})
}

func TestA22RegisteredAlgorithmIsTheOnlyOne(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(signing(own.rs256(), own.es256()), `{"request_object_signing_alg":"ES256"}`)
		s.browser().authorize(c, c.outer(values{"request": own.es256().sign("", c.object(nil))})).code()
		b := s.browser()
		b.authorize(c, c.outer(values{"request": own.rs256().sign("", c.object(nil))})).wantRefused(b, "invalid_request_object")
	})
}

func TestA22ClaimsOfObjects(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, now := s.client(signing(own.es256())), s.Clock.Now()
		at := func(d time.Duration) int64 { return now.Add(d).Unix() }
		for _, good := range []map[string]any{
			{"iss": nil, "aud": nil, "exp": nil, "iat": nil}, {"aud": []string{s.URL}}, {"aud": []string{"https://other.example", s.URL}}, {"nbf": at(8 * time.Second)}, {"exp": at(59 * time.Minute)},
		} {
			b := s.browser()
			if r := b.authorize(c, c.outer(values{"request": own.es256().sign("", c.object(good))})); r.Params.Get("code") == "" {
				s.Errorf("%v: %s %v %s", good, r.Mode, r.Params, r.Page.Body)
			}
		}
		for _, bad := range []map[string]any{
			{"iss": "other"}, {"aud": "https://other.example"}, {"aud": []string{}}, {"exp": at(-2 * time.Minute)}, {"exp": at(3 * time.Hour)}, {"nbf": at(5 * time.Minute)}, {"exp": "soon"},
		} {
			b := s.browser()
			r := b.authorize(c, c.outer(values{"request": own.es256().sign("", c.object(bad))}))
			if r.Params.Has("code") {
				s.Errorf("%v: accepted", bad)
				continue
			}
			r.wantRefused(b, "invalid_request_object")
		}
	})
}

func TestA22ClientsThatMustSign(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(signing(own.es256()), `{"require_signed_request_object":true}`)
		b := s.browser()
		b.authorize(c, nil).wantRefused(b, "invalid_request", "invalid_request_object")
		s.browser().authorize(c, c.outer(values{"request": own.es256().sign("", c.object(nil))})).code()
	})
}

// Pushed requests (RFC 9126): line D13 announces them, issue 3 wants the endpoint.

// push sends a request to the PAR endpoint.
func (c *client) push(v values) *answer {
	c.s.Helper()
	form := values{}
	for name, value := range c.params(v) {
		form[name] = value[0]
	}
	return c.post("/oauth2/par", form)
}

// pushed demands success and returns the request_uri.
func (a *answer) pushed() string {
	a.s.Helper()
	lifetime, _ := a.JSON["expires_in"].(float64)
	uri := a.Str("request_uri")
	if a.Status != http.StatusCreated || !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") || lifetime < 60 || lifetime > 90 || len(a.JSON) != 2 {
		a.s.Fatalf("%d %s", a.Status, a.Raw)
	}
	a.wantNoStore()
	if entropy(uri) < 128 {
		a.s.Errorf("%s can be guessed", uri)
	}
	return uri
}

// at is a request by reference.
func (c *client) reference(uri string, more values) values {
	v := c.outer(more)
	v["response_type"], v["scope"], v["request_uri"] = "", "", uri
	return v.with(more)
}

func TestPARPushedRequestIsUsedOnce(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		uri := c.push(values{"state": "pushed", "scope": "openid email"}).pushed()
		b.follow(c.home(), c.url(c.reference(uri, nil))) // looking at the login page uses nothing up
		r := b.authorize(c, c.reference(uri, nil))
		if a := c.redeem(r.code(), nil).wantTokens(); r.Params.Get("state") != "pushed" || a.Str("scope") != "openid email" {
			s.Errorf("%v %s", r.Params, a.Raw)
		}
		b.Steps = nil
		b.authorize(c, c.reference(uri, nil)).wantPage(http.StatusBadRequest)
	})
}

func TestPARQueryCopiesAreIgnored(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		uri := c.push(values{"state": "pushed"}).pushed()
		r := s.browser().authorize(c, c.reference(uri, values{"state": "query", "redirect_uri": "https://evil.example/", "scope": "openid profile", "prompt": "none"}))
		if a := c.redeem(r.code(), nil).wantTokens(); r.Params.Get("state") != "pushed" || a.Str("scope") != "openid" {
			s.Errorf("%v %s", r.Params, a.Raw)
		}
	})
}

func TestPARBelongsToItsClientAndExpires(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		other := s.client(`{"redirect_uris":["` + c.Callback + `"]}`)
		uri := c.push(nil).pushed()
		s.browser().authorize(other, other.reference(uri, nil)).wantPage(http.StatusBadRequest)
		s.browser().authorize(c, c.reference(uri+"x", nil)).wantPage(http.StatusBadRequest)
		s.pass(91 * time.Second)
		s.browser().authorize(c, c.reference(uri, nil)).wantPage(http.StatusBadRequest)
	})
}

func TestPARRefusesAtOnce(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		for _, bad := range refusable {
			if bad.v["id_token_hint"] != "" {
				continue
			}
			c.push(bad.v).wantError(http.StatusBadRequest, bad.codes...)
		}
		c.push(values{"redirect_uri": "https://evil.example/"}).wantError(http.StatusBadRequest, "invalid_request", "invalid_redirect_uri")
		c.push(values{"redirect_uri": ""}).wantError(http.StatusBadRequest, "invalid_request")
		c.push(plain).wantError(http.StatusBadRequest, "invalid_request")
		c.push(values{"request_uri": "urn:ietf:params:oauth:request_uri:x"}).wantError(http.StatusBadRequest, "invalid_request")
		c.push(values{"client_id": s.client().ID}).wantError(http.StatusBadRequest, "invalid_request")
		unproven := s.form("/oauth2/par", c.params(nil))
		s.do(unproven).wantError(http.StatusUnauthorized, "invalid_client")
		if a := s.get("/oauth2/par?" + c.params(nil).Encode()); a.Status != http.StatusMethodNotAllowed {
			s.Errorf("GET: %d", a.Status)
		}
	})
}

func TestPARForPublicClientsAndWithObjects(t *testing.T) {
	everywhere(t, func(s *suite) {
		public := s.client(`{"token_endpoint_auth_method":"none"}`)
		r := s.browser().authorize(public, public.reference(public.push(nil).pushed(), nil))
		public.redeem(r.code(), nil).wantTokens()
		c := s.client(signing(own.es256()))
		object := own.es256().sign("oauth-authz-req+jwt", c.object(map[string]any{"state": "inside"}))
		r = s.browser().authorize(c, c.reference(c.post("/oauth2/par", values{"request": object}).pushed(), nil))
		if r.code(); r.Params.Get("state") != "inside" {
			s.Errorf("%v", r.Params)
		}
		c.post("/oauth2/par", values{"request": own.other().sign("", c.object(nil))}).wantError(http.StatusBadRequest, "invalid_request_object")
	})
}

func TestPARRequiredByRegistration(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(`{"require_pushed_authorization_requests":true}`), s.browser()
		b.authorize(c, nil).wantRefused(b, "invalid_request")
		s.browser().authorize(c, c.reference(c.push(nil).pushed(), nil)).code()
	})
}

func TestTrap2AssertionAudienceAtPAR(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.withKeys(`{}`, own.es256())
		for _, aud := range []any{s.URL, s.URL + "/oauth2/token", s.URL + "/oauth2/par"} {
			v := asserted(own.es256().sign("", c.assertion(map[string]any{"aud": aud})))
			for name, value := range c.params(nil) {
				v[name] = value[0]
			}
			c.post("/oauth2/par", v).pushed()
		}
		v := asserted(own.es256().sign("", c.assertion(map[string]any{"aud": "https://other.example"})))
		c.post("/oauth2/par", v.with(values{"response_type": "code"})).wantError(http.StatusUnauthorized, "invalid_client")
	})
}
