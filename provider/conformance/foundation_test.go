package conformance

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the plans of the OpenID Foundation's suite do, in their way: each test registers clients of its own, without a scope, without PKCE, with the grant types and response
// types of the variant and a key without kid.

// variant is a registration for one response type.
func variant(responseType string, more metadata) metadata {
	var grants []string
	if strings.Contains(responseType, "code") {
		grants = append(grants, "authorization_code")
	}
	if responseType != "code" {
		grants = append(grants, "implicit")
	}
	m := metadata{
		"grant_types": grants, "response_types": []string{responseType}, "jwks": json.RawMessage(jwkSet(own.rs256().without())), "contacts": []string{"certification@example.org"},
	}
	maps.Copy(m, more)
	return m
}

func TestTrap1ValidChallengesPassToo(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, responseType := range []string{"code", "code id_token", "code token", "code id_token token"} {
			c := s.registered(variant(responseType, nil))
			c.redeem(s.browser().authorize(c.client, values{"response_type": responseType}).code(), nil).wantTokens()
		}
	})
}

// Trap 3: the registered keys have no kid and neither have the assertions; of several keys of one type the right one is found.
func TestTrap3KeysByValueWithoutKid(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{"token_endpoint_auth_method": "private_key_jwt", "jwks": json.RawMessage(jwkSet(own.other().without(), own.rs256().without(), own.es256().without()))})
		for _, key := range []*pair{own.other(), own.rs256(), own.es256()} {
			c.redeemBy(key.without().sign("", c.assertion(nil))).wantTokens()
			c.redeemBy(key.named("unknown").sign("", c.assertion(nil))).wantTokens() // a kid where the key has none
		}
	})
}

// The client puts another key at its jwks_uri and signs with it at once, again without kid: the refresh token goes on.
func TestT2ClientKeysRotateWithoutKid(t *testing.T) {
	everywhere(t, func(s *suite) {
		jwks := "/" + s.person.Subject + "/jwks"
		s.rp.serve(jwks, document{ContentType: "application/json", Body: jwkSet(own.rs256().without())})
		c := s.registered(metadata{
			"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "{rp}/jwks", "grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
		})
		sign := func(key *pair) values { return asserted(key.without().sign("", c.assertion(nil))) }
		code := s.browser().authorize(c.client, plain.with(values{"scope": "openid offline_access", "prompt": "consent"})).code()
		a := c.redeem(code, values{"code_verifier": ""}.with(sign(own.rs256()))).wantTokens()
		s.Clock.Advance(tick)
		s.rp.serve(jwks, document{ContentType: "application/json", Body: jwkSet(own.other().without())})
		a = c.refresh(a.Str("refresh_token"), sign(own.other())).wantTokens()
		c.refresh(a.Str("refresh_token"), sign(own.rs256())).wantError(http.StatusUnauthorized, "invalid_client")
	})
}

// Trap 4: request_uris are registered and sent with a fragment that is no hash of what is there.
func TestTrap4RequestURIsWithFragments(t *testing.T) {
	everywhere(t, func(s *suite) {
		path := "/" + s.person.Subject + "/requests"
		for alg, sign := range map[string]func(map[string]any) string{
			"RS256": func(o map[string]any) string { return own.rs256().without().sign("", o) },
			"none":  unsigned,
		} {
			c := s.registered(variant("code", metadata{"request_object_signing_alg": alg, "request_uris": []string{"{rp}/requests#" + alg + "-is-not-the-hash"}}))
			if c.Answer.Str("request_object_signing_alg") != alg {
				s.Errorf("%s", c.Answer.Raw)
			}
			object := c.object(map[string]any{"state": "inside", "code_challenge": nil, "code_challenge_method": nil})
			for _, contentType := range []string{"application/jose", "application/oauth-authz-req+jwt", ""} {
				s.rp.serve(path, document{ContentType: contentType, Body: sign(object) + "\n"})
				r := s.browser().authorize(c.client, c.outer(values{"request_uri": s.folder() + "/requests#" + alg + "-is-not-the-hash", "state": "outside"}))
				if c.redeem(r.code(), values{"code_verifier": ""}).wantTokens(); r.Params.Get("state") != "inside" {
					s.Errorf("%s as %s: %v", alg, contentType, r.Params)
				}
			}
		}
	})
}

// Discovery says 1 alone, and clients of a suite ask for what they think of.
func TestD15VoluntaryContextsAreAnswered(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		for _, asked := range []string{"1", "1 2", "2 1", "urn:mace:incommon:iap:silver 1"} {
			if acr := c.idTokenOf(values{"acr_values": asked}).Str("acr"); !slices.Contains(s.list(s.metadata(), "acr_values_supported"), acr) {
				s.Errorf("acr_values %s: acr %q", asked, acr)
			}
		}
	})
}

func TestA2LocalesThatNobodySpeaks(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.registered(variant("code", nil)), s.browser()
		for _, v := range []values{{"ui_locales": "se"}, {"claims_locales": "se"}, {"ui_locales": "se fr-CA fr en", "claims_locales": "se"}, {"display": "popup", "acr_values": "1 2", "login_hint": "bob@example.org"}} {
			b.authorize(c.client, plain.with(v)).code()
		}
	})
}

func TestA15PromptLoginTwice(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.registered(variant("code", nil)), s.browser()
		last := int64(0)
		for i := range 3 {
			b.Steps = nil
			v := plain
			if i > 0 {
				v = plain.with(values{"prompt": "login"})
			}
			token := c.idToken(c.redeem(b.authorize(c.client, v).code(), values{"code_verifier": ""}).Str("id_token"))
			if !slices.Contains(b.Steps, "login") || token.Num("auth_time") <= last {
				s.Errorf("sign-in %d: steps %v, auth_time %d after %d", i, b.Steps, token.Num("auth_time"), last)
			}
			last = token.Num("auth_time")
			s.Clock.Advance(1100 * time.Millisecond)
		}
	})
}

// A4 and A6 in the modes that their own tests leave out.
func TestA4QueryOfTheRedirectURIIsKeptInTheFragmentModes(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, flow := range flows {
			c, b := s.registered(variant(flow.responseType, metadata{"redirect_uris": []string{"{rp}/callback?rp_foo=bar"}})), s.browser()
			for _, v := range []values{nil, {"response_mode": "form_post"}, {"prompt": "none", "scope": "openid unregistered"}} {
				state := "-._~ a+b%&=#"
				r := b.authorize(c.client, plain.with(values{"response_type": flow.responseType, "redirect_uri": s.folder() + "/callback?rp_foo=bar", "state": state}).with(v))
				if got := r.Page.URL.Query().Get("rp_foo"); got != "bar" || r.Params.Get("state") != state {
					s.Errorf("%s %v: at %s with %v", flow.responseType, v, r.Page.URL, r.Params)
				}
			}
			s.browser().authorize(c.client, plain.with(values{"response_type": flow.responseType, "redirect_uri": s.folder() + "/callback"})).wantPage(http.StatusBadRequest)
		}
	})
}

func TestA12NonceIsRequiredByFormPostToo(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, flow := range flows {
			c := s.registered(variant(flow.responseType, nil))
			r := s.browser().authorize(c.client, plain.with(values{"response_type": flow.responseType, "nonce": "", "response_mode": "form_post"}))
			if strings.Contains(flow.responseType, "id_token") {
				r.wantError("invalid_request")
			}
			if r.Mode != "form_post" || r.Params.Get("state") == "" {
				s.Errorf("%s: %s %v", flow.responseType, r.Mode, r.Params)
			}
		}
	})
}

func TestA24CancelTravelsInTheModeOfTheFlow(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, flow := range flows {
			c, b := s.registered(variant(flow.responseType, nil)), s.browser()
			b.Deny = true
			r := b.authorize(c.client, plain.with(values{"response_type": flow.responseType}))
			if r.wantError("access_denied"); r.Mode != modeOf(flow.responseType) || r.Params.Get("state") != "af0ifjsldkj" {
				s.Errorf("%s: %s %v", flow.responseType, r.Mode, r.Params)
			}
		}
	})
}
