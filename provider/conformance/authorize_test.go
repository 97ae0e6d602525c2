package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Lines A1 to A9, A23 and A24: the authorization request and how its errors travel.

func TestA1GetAndCrossSitePostReachTheLoginPage(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		b := s.browser()
		if code := b.authorize(c, values{"scope": "email openid profile"}).code(); code == "" || !slices.Equal(b.Steps, []string{"login", "consent"}) {
			s.Errorf("by GET: steps %v", b.Steps)
		}
		// By POST from the client's page: no CSRF token, no cookie of ours yet.
		b = s.browser()
		r := b.arrive(c, b.walk(b.send(c.home(), s.URL+"/oauth2/authorize", c.params(values{"scope": "profile openid email"}))))
		c.redeem(r.code(), nil).wantTokens()
		if !slices.Equal(b.Steps, []string{"login"}) {
			s.Errorf("by POST: steps %v, want the login alone, since the scopes are the allowed ones in another order", b.Steps)
		}
		// The session counts for a POST from another site, although its cookie does not travel with it.
		b.Steps = nil
		r = b.arrive(c, b.walk(b.send(c.home(), s.URL+"/oauth2/authorize", c.params(nil))))
		if r.code(); len(b.Steps) > 0 {
			s.Errorf("by POST with a session: steps %v, want none", b.Steps)
		}
	})
}

func TestA1OrderOfParametersDoesNotMatter(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		params := c.params(nil)
		names := slices.Sorted(func(yield func(string) bool) {
			for name := range params {
				if !yield(name) {
					return
				}
			}
		})
		for range 3 {
			slices.Reverse(names)
			var pairs []string
			for _, name := range names {
				pairs = append(pairs, name+"="+url.QueryEscape(params.Get(name)))
			}
			b.arrive(c, b.walk(b.follow(c.home(), s.URL+"/oauth2/authorize?"+strings.Join(pairs, "&")))).code()
			names = append(names[3:], names[:3]...)
		}
	})
}

func TestA2UnknownAndVoluntaryParametersAreNoError(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		for _, extra := range []values{
			{"extra": "foobar"}, {"display": "page"}, {"display": "popup"}, {"display": "touch"}, {"display": "wap"}, {"display": "nonsense"}, {"ui_locales": "se"}, {"ui_locales": "de-AT fr en"},
			{"ui_locales": "not a locale !"}, {"claims_locales": "de-AT fr"}, {"login_hint": s.person.Email}, {"login_hint": "nobody@example.com"}, {"login_hint": strings.Repeat("x", 500)},
			{"acr_values": "1 2"}, {"acr_values": "urn:example:unknown"}, {"interaction": "x"}, {"handle": "x"},
		} {
			if r := b.authorize(c, extra); r.Mode != "query" || r.Params.Get("code") == "" {
				s.Errorf("%v: %s %v, page %d", extra, r.Mode, r.Params, r.Page.Status)
			}
		}
	})
}

func TestA3RedirectURIMustEqualARegisteredOne(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(`{"redirect_uris":["{rp}/callback","{rp}/callback?rp_a=1&rp_b=2"]}`)
		for _, sent := range []string{
			c.Callback + "/", c.Callback + "?", c.Callback + "?rp_a=1", c.Callback + "?rp_b=2&rp_a=1", c.Callback + "?rp_a=1&rp_b=2&rp_c=3", c.Callback + "#", c.Callback + "#x",
			strings.Replace(c.Callback, "https:", "http:", 1), strings.Replace(c.Callback, "https:", "HTTPS:", 1), strings.Replace(c.Callback, "/callback", "/Callback", 1),
			strings.Replace(c.Callback, "/callback", "/x/../callback", 1), strings.Replace(c.Callback, "/callback", "/%63allback", 1), strings.Replace(c.Callback, "https://", "https://user@", 1),
			s.rp.URL + "." + "evil.example" + c.path("callback"), "https://evil.example/callback", "javascript:alert(1)", "/callback", "null",
		} {
			s.browser().authorize(c, values{"redirect_uri": sent}).wantPage(http.StatusBadRequest)
			s.browser().authorize(c, values{"redirect_uri": sent, "response_type": "", "prompt": "none"}).wantPage(http.StatusBadRequest)
		}
	})
}

func TestA3UnknownClientGetsAPage(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		for _, v := range []values{{"client_id": "nobody"}, {"client_id": ""}, {"client_id": c.ID + " "}, {"client_id": strings.ToUpper(c.ID)}} {
			s.browser().authorize(c, v).wantPage(http.StatusBadRequest)
		}
	})
}

func TestA4MissingRedirectURIWithSeveralRegisteredGetsAPage(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(`{"redirect_uris":["{rp}/callback","{rp}/other"]}`)
		s.browser().authorize(c, values{"redirect_uri": ""}).wantPage(http.StatusBadRequest)
	})
}

func TestA4QueryOfTheRedirectURIIsKept(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(`{"redirect_uris":["{rp}/callback?rp_foo=bar&rp_x=a%20b%2Bc"]}`), s.browser()
		for _, v := range []values{nil, {"response_type": ""}, {"response_mode": "form_post"}} {
			b.authorize(c, values{"redirect_uri": c.Callback + "?rp_foo=bar&rp_x=a%20b%2Bc"}.with(v))
			seen := s.rp.at(c.path("callback"))
			if raw := seen[len(seen)-1].RawQuery; !strings.HasPrefix(raw, "rp_foo=bar&rp_x=a%20b%2Bc") {
				s.Errorf("%v: the client got the query %q", v, raw)
			}
		}
	})
}

func TestA5MissingResponseTypeIsToldToTheClient(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, profile := range []string{`{}`, compatible} {
			c := s.client(profile)
			r := s.browser().authorize(c, values{"response_type": ""})
			r.wantError("invalid_request", "unsupported_response_type")
			if r.Mode != "query" || r.Params.Get("state") != "af0ifjsldkj" {
				s.Errorf("in the %s: %v", r.Mode, r.Params)
			}
			r = s.browser().authorize(c, values{"response_type": "", "response_mode": "form_post"})
			r.wantError("invalid_request", "unsupported_response_type")
			if r.Mode != "form_post" {
				s.Errorf("asked for form_post, got %s", r.Mode)
			}
		}
	})
}

func TestA6StateComesBackUnchanged(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		all := strings.Repeat("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~", 16)[:1000]
		for _, state := range []string{all, "-._~", "a b+c%20d&e=f#g?h/i", "\"quoted\\\"", "<script>alert(1)</script>", "naïve ☃", "{\"a\":[1,2]}", "'", " leading and trailing "} {
			for _, v := range []values{nil, {"response_type": ""}, {"response_mode": "form_post"}, {"prompt": "none"}} {
				r := b.authorize(c, values{"state": state}.with(v))
				if got := r.Params["state"]; len(got) != 1 || got[0] != state {
					s.Errorf("%v: sent state %q, got %q", v, state, got)
				}
			}
		}
		for _, v := range []values{nil, {"response_type": ""}, {"response_mode": "form_post"}} {
			if r := b.authorize(c, values{"state": ""}.with(v)); r.Mode == "page" || r.Params.Has("state") {
				s.Errorf("%v: no state was sent, got %s %v", v, r.Mode, r.Params)
			}
		}
	})
}

// That A7, A8 and A9 hold for every response of every test is checked in response.check; here are the ones that provoke.
func TestA7IssIsInSuccessAndError(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		for _, v := range []values{{"prompt": "none"}, nil, {"response_type": ""}, {"response_mode": "form_post"}, {"response_mode": "form_post", "response_type": "nonsense"}} {
			if r := b.authorize(c, v); r.Mode == "page" || !slices.Equal(r.Params["iss"], []string{s.URL}) {
				s.Errorf("%v: iss is %q in %s", v, r.Params["iss"], r.Mode)
			}
		}
	})
}

// refusable are requests that are refused at the client, with the codes that may be used.
var refusable = []struct {
	v     values
	codes []string
}{
	{values{"response_type": "nonsense"}, []string{"unsupported_response_type"}},
	{values{"response_type": "code nonsense"}, []string{"unsupported_response_type"}},
	{values{"scope": ""}, []string{"invalid_scope", "invalid_request"}},
	{values{"scope": "openid unregistered"}, []string{"invalid_scope"}},
	{values{"scope": "openid \"\\\x01\r\nü"}, []string{"invalid_scope"}},
	{values{"prompt": "none login"}, []string{"invalid_request"}},
	{values{"prompt": "\"quoted\\\""}, []string{"invalid_request"}},
	{values{"max_age": "-1"}, []string{"invalid_request"}},
	{values{"max_age": "soon\r\n\tü"}, []string{"invalid_request"}},
	{values{"code_challenge": "short"}, []string{"invalid_request"}},
	{values{"code_challenge_method": "plain"}, []string{"invalid_request"}},
	{values{"code_challenge_method": "\"S512\\\n"}, []string{"invalid_request"}},
	{values{"id_token_hint": "no.token.\"at\\all"}, []string{"invalid_request", "login_required"}},
	{values{"claims": "{\"broken\\"}, []string{"invalid_request"}},
	{values{"registration": `{"a":1}`}, []string{"registration_not_supported"}},
}

func TestA8ErrorResponsesHaveOnlyTheirMembers(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		for _, bad := range refusable {
			for _, mode := range []string{"query", "form_post"} {
				r := s.browser().authorize(c, bad.v.with(values{"response_mode": mode}))
				r.wantError(bad.codes...)
				if r.Mode != mode || r.Params.Get("state") != "af0ifjsldkj" || r.Params.Get("error_description") == "" {
					s.Errorf("%v: %s %v, want %s with state and a description", bad.v, r.Mode, r.Params, mode)
				}
			}
		}
	})
}

func TestA8UnknownResponseModeIsRefusedAtTheClient(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		for _, mode := range []string{"fragment", "jwt", "query.jwt", "web_message", "nonsense"} {
			r := s.browser().authorize(c, values{"response_mode": mode})
			if r.wantError("invalid_request"); r.Mode != "query" {
				s.Errorf("%s: the error travels in the %s", mode, r.Mode)
			}
		}
	})
}

func TestA9DescriptionsStayInTheirCharacterSet(t *testing.T) {
	everywhere(t, func(s *suite) {
		hostile := "\"\\\r\n\tü\x00☃"
		for _, profile := range []string{`{}`, compatible} {
			c := s.client(profile)
			for _, name := range []string{
				"response_type", "response_mode", "scope", "prompt", "max_age", "code_challenge", "code_challenge_method", "id_token_hint", "claims", "request", "request_uri", "registration",
				"resource", "acr_values",
			} {
				r := s.browser().authorize(c, values{name: hostile})
				if text := r.Params.Get("error_description"); r.Mode != "page" && r.Params.Has("error") && text == "" {
					s.Errorf("%s: an error without description", name)
				}
			}
			for _, name := range []string{"grant_type", "code", "redirect_uri", "code_verifier", "scope", "resource", "client_assertion_type"} {
				a := c.redeem("junk", values{name: hostile})
				s.checkDescription(a.Str("error_description"))
				if a.Status != http.StatusBadRequest && a.Status != http.StatusUnauthorized || a.Str("error_description") == "" {
					s.Errorf("%s at the token endpoint: %d %s", name, a.Status, a.Raw)
				}
			}
		}
	})
}

func TestA23PKCEIsAcceptedForAnyClientAndRequiredByProfile(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, c := range []*client{s.client(), s.client(compatible), s.client(`{"token_endpoint_auth_method":"none"}`)} {
			c.tokens(nil)
		}
		s.browser().authorize(s.client(), plain).wantError("invalid_request")
		c := s.client(compatible)
		c.redeem(s.browser().authorize(c, plain).code(), values{"code_verifier": ""}).wantTokens()
		// A public client cannot do without, whatever its profile.
		s.browser().authorize(s.client(`{"profile":"compatible","token_endpoint_auth_method":"none"}`), plain).wantError("invalid_request")
	})
}

func TestA24CancelGivesAccessDenied(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, mode := range []string{"query", "form_post"} {
			c, b := s.client(), s.browser()
			b.Deny = true
			r := b.authorize(c, values{"response_mode": mode, "state": "a b&c"})
			r.wantError("access_denied")
			if r.Mode != mode || r.Params.Get("state") != "a b&c" {
				s.Errorf("%s: %v", r.Mode, r.Params)
			}
			b.Deny, b.Steps = false, nil // a no is not remembered
			if b.authorize(c, nil).code(); !slices.Equal(b.Steps, []string{"consent"}) {
				s.Errorf("after the no: steps %v", b.Steps)
			}
		}
	})
}
