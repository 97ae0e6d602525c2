package conformance

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Lines A10, A12, A27 and the second half of T14: tokens from the authorization endpoint.

// flows are the response types with what comes back besides state, iss and session_state, sorted.
var flows = []struct {
	responseType string
	members      []string
}{
	{"code", []string{"code"}},
	{"id_token", []string{"id_token"}},
	{"id_token token", []string{"access_token", "expires_in", "id_token", "token_type"}},
	{"code id_token", []string{"code", "id_token"}},
	{"code token", []string{"access_token", "code", "expires_in", "token_type"}},
	{"code id_token token", []string{"access_token", "code", "expires_in", "id_token", "token_type"}},
}

func modeOf(responseType string) string {
	if responseType == "code" {
		return "query"
	}
	return "fragment"
}

// got are the names of a response's parameters without those that every response may have.
func (r *response) got() []string {
	common := []string{"state", "iss", "session_state", "scope"}
	return slices.Sorted(func(yield func(string) bool) {
		for name := range r.Params {
			if !slices.Contains(common, name) && !yield(name) {
				return
			}
		}
	})
}

func TestA10ResultsTravelInTheirMode(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(compatible), s.browser()
		for _, flow := range flows {
			for _, asked := range []string{"", modeOf(flow.responseType), "form_post"} {
				r := b.authorize(c, plain.with(values{"response_type": flow.responseType, "response_mode": asked}))
				want := asked
				if want == "" {
					want = modeOf(flow.responseType)
				}
				if r.Mode != want || !slices.Equal(r.got(), flow.members) || r.Params.Get("state") != "af0ifjsldkj" {
					s.Errorf("%s by %q: %s %v", flow.responseType, asked, r.Mode, r.Params)
				}
			}
		}
	})
}

func TestA10ErrorsTravelInTheirMode(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(compatible)
		for _, flow := range flows {
			for _, asked := range []string{"", "form_post"} {
				want := asked
				if want == "" {
					want = modeOf(flow.responseType)
				}
				request := plain.with(values{"response_type": flow.responseType, "response_mode": asked})
				for code, v := range map[string]values{"login_required": {"prompt": "none"}, "invalid_scope": {"scope": "openid unregistered"}, "invalid_request": {"max_age": "x"}} {
					r := s.browser().authorize(c, request.with(v))
					if r.wantError(code); r.Mode != want {
						s.Errorf("%s by %q: %s in the %s", flow.responseType, asked, code, r.Mode)
					}
				}
			}
		}
	})
}

func TestA10TokensNeverTravelInTheQuery(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(compatible)
		for _, flow := range flows[1:] {
			r := s.browser().authorize(c, plain.with(values{"response_type": flow.responseType, "response_mode": "query"}))
			if r.wantError("invalid_request"); r.Mode != "fragment" {
				s.Errorf("%s: the error travels in the %s", flow.responseType, r.Mode)
			}
		}
		// A code may be asked for in the fragment.
		if r := s.browser().authorize(c, plain.with(values{"response_mode": "fragment"})); r.Mode != "fragment" || r.Params.Get("code") == "" {
			s.Errorf("code by fragment: %s %v", r.Mode, r.Params)
		}
	})
}

func TestA10OrderOfResponseTypeDoesNotMatter(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(compatible), s.browser()
		for _, responseType := range []string{"token id_token", "id_token code", "token code", "token id_token code", "id_token code token"} {
			if r := b.authorize(c, plain.with(values{"response_type": responseType})); r.Mode != "fragment" || r.Params.Has("error") {
				s.Errorf("%s: %s %v", responseType, r.Mode, r.Params)
			}
		}
		for _, responseType := range []string{"token", "none", "code code", "id_token id_token", "code none"} {
			r := b.authorize(c, plain.with(values{"response_type": responseType}))
			r.wantError("unsupported_response_type", "invalid_request")
		}
	})
}

func TestA10UnregisteredResponseTypesAreRefused(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(`{"profile":"compatible","grant_types":["authorization_code","implicit"],"response_types":["code","id_token"]}`)
		s.browser().authorize(c, plain.with(values{"response_type": "code id_token"})).wantError("unauthorized_client")
		if r := s.browser().authorize(c, plain.with(values{"response_type": "id_token"})); r.Params.Get("id_token") == "" {
			s.Errorf("%v", r.Params)
		}
	})
}

func TestA12NonceIsRequiredForFrontChannelIDTokens(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(compatible)
		for _, flow := range flows {
			r := s.browser().authorize(c, plain.with(values{"response_type": flow.responseType, "nonce": ""}))
			if strings.Contains(flow.responseType, "id_token") {
				r.wantError("invalid_request")
			} else if r.code(); r.Params.Has("error") {
				s.Errorf("%s: %v", flow.responseType, r.Params)
			}
			if r.Mode != modeOf(flow.responseType) {
				s.Errorf("%s: in the %s", flow.responseType, r.Mode)
			}
		}
	})
}

func TestA27HashesInFrontChannelIDTokens(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, alg := range []string{"RS256", "ES256"} {
			c, b := s.client(compatible, `{"id_token_signed_response_alg":"`+alg+`"}`), s.browser()
			for _, flow := range flows {
				r := b.authorize(c, plain.with(values{"response_type": flow.responseType}))
				if !strings.Contains(flow.responseType, "id_token") {
					continue
				}
				token := c.idToken(r.Params.Get("id_token"))
				if token.Header["alg"] != alg || token.Str("nonce") != "n-0S6_WzA2Mj" || token.Str("sub") != s.person.Subject || token.Str("sid") == "" {
					s.Errorf("%s: header %v, claims %v", flow.responseType, token.Header, token.Claims)
				}
				for claim, value := range map[string]string{"at_hash": r.Params.Get("access_token"), "c_hash": r.Params.Get("code")} {
					if got := token.Claims[claim]; value == "" && got != nil || value != "" && got != half(value) {
						s.Errorf("%s: %s is %v, want that of %q", flow.responseType, claim, got, value)
					}
				}
				if got := token.Claims["s_hash"]; got != nil && got != half("af0ifjsldkj") {
					s.Errorf("%s: s_hash is %v", flow.responseType, got)
				}
			}
		}
	})
}

func TestA27HybridCodeGivesTheSameUser(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(compatible), s.browser()
		for _, responseType := range []string{"code id_token", "code token", "code id_token token"} {
			r := b.authorize(c, values{"response_type": responseType, "scope": "openid email offline_access"})
			a := c.redeem(r.code(), nil).wantTokens()
			token := c.idToken(a.Str("id_token"))
			if a.Str("refresh_token") == "" || token.Str("sub") != s.person.Subject || token.Claims["at_hash"] != nil && token.Claims["at_hash"] != half(a.Str("access_token")) {
				s.Errorf("%s: %s, claims %v", responseType, a.Raw, token.Claims)
			}
			for _, access := range []string{a.Str("access_token"), r.Params.Get("access_token")} {
				if access == "" {
					continue
				}
				if info := s.userinfo(access); info.Str("sub") != s.person.Subject || info.Str("email") != s.person.Email {
					s.Errorf("%s: userinfo %d %s", responseType, info.Status, info.Raw)
				}
			}
			c.redeem(r.code(), nil).wantError(http.StatusBadRequest, "invalid_grant")
		}
	})
}

func TestA27CodeOfAHybridFlowKeepsItsChallenge(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(compatible)
		r := s.browser().authorize(c, values{"response_type": "code id_token"})
		c.redeem(r.code(), values{"code_verifier": ""}).wantError(http.StatusBadRequest, "invalid_grant")
	})
}

func TestT14IDTokenAloneHasTheScopeClaims(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(compatible), s.browser()
		for _, flow := range flows[1:] {
			r := b.authorize(c, plain.with(values{"response_type": flow.responseType, "scope": "openid email profile"}))
			if !strings.Contains(flow.responseType, "id_token") {
				continue
			}
			token := c.idToken(r.Params.Get("id_token"))
			if alone := flow.responseType == "id_token"; alone != (token.Str("email") == s.person.Email) || alone != (token.Str("name") == "Ada King Lovelace") {
				s.Errorf("%s: claims %v", flow.responseType, slices.Sorted(maps.Keys(token.Claims)))
			}
		}
	})
}

func TestFrontChannelTokensComeWithoutRefreshToken(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(compatible)
		r := s.browser().authorize(c, plain.with(values{"response_type": "id_token token", "scope": "openid offline_access"}))
		if r.Params.Has("refresh_token") || !strings.EqualFold(r.Params.Get("token_type"), "bearer") || r.Params.Get("access_token") == "" {
			s.Errorf("%v", r.Params)
		}
	})
}
