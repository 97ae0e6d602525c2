package conformance

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"gatehouse/provider"
)

// Lines A13 to A19: who is asked, and for what.

func TestA13PromptNoneWithoutSessionFailsByRedirect(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		for _, mode := range []string{"query", "form_post"} {
			r := b.authorize(c, values{"prompt": "none", "response_mode": mode})
			r.wantError("login_required", "interaction_required")
			if r.Mode != mode || slices.Contains(b.Steps, "login") {
				s.Errorf("%s, steps %v", r.Mode, b.Steps)
			}
		}
	})
}

func TestA13PromptNoneWithSessionAndConsentSucceedsAtOnce(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		first := c.idToken(c.redeem(b.authorize(c, nil).code(), nil).Str("id_token"))
		b.Steps = nil
		r := b.authorize(c, values{"prompt": "none", "nonce": "second"})
		second := c.idToken(c.redeem(r.code(), nil).Str("id_token"))
		if len(b.Steps) > 0 || len(r.Page.Hops) != 1 {
			s.Errorf("steps %v, hops %v: want one redirect", b.Steps, r.Page.Hops)
		}
		if first.Str("sub") != second.Str("sub") || first.Num("auth_time") != second.Num("auth_time") || second.Str("nonce") != "second" {
			s.Errorf("first %v, second %v", first.Claims, second.Claims)
		}
	})
}

// A hidden iframe of the relying party carries the session only if both are on one site: browsers keep a Lax cookie from strangers' frames.
func TestA13PromptNoneInAFrame(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		b.authorize(c, nil).code()
		r := b.arrive(c, b.frame(c.home(), c.url(values{"prompt": "none"})))
		if s.otherSite {
			r.wantError("login_required", "interaction_required")
		} else {
			r.code()
		}
	})
}

// With sessions.cookie_same_site none it carries the session on every site, as applications need that renew their tokens so.
func TestInteropRenewalInAFrameWithCookiesForAllSites(t *testing.T) {
	everywhere(t, func(s *suite) {
		n := s.node(func(o *provider.Options) { o.SameSite = http.SameSiteNoneMode })
		c, b := n.client(), n.browser()
		first := c.idToken(c.redeem(b.authorize(c, nil).code(), nil).Str("id_token"))
		renewed := c.idToken(c.redeem(b.arrive(c, b.frame(c.home(), c.url(values{"prompt": "none"}))).code(), nil).Str("id_token"))
		if first.Str("sub") != renewed.Str("sub") || first.Str("sid") != renewed.Str("sid") {
			s.Errorf("first %v, renewed %v", first.Claims, renewed.Claims)
		}
	})
}

func TestA14PromptNoneWithHint(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		hint := c.redeem(b.authorize(c, nil).code(), nil).Str("id_token")
		b.authorize(c, values{"prompt": "none", "id_token_hint": hint}).code()
		other := s.browser()
		other.person = s.newPerson()
		foreign := c.redeem(other.authorize(c, nil).code(), nil).Str("id_token")
		b.authorize(c, values{"prompt": "none", "id_token_hint": foreign}).wantError(interactionErrors...)
		// The hint is a hint for as long as its key is known, not for as long as the token is valid.
		s.Clock.Advance(time.Hour)
		b.authorize(c, values{"prompt": "none", "id_token_hint": hint}).code()
		for _, forged := range []string{own.rs256().sign("", map[string]any{"iss": s.URL, "sub": s.person.Subject, "aud": c.ID, "iat": 1, "exp": 2}), unsigned(map[string]any{"iss": s.URL, "sub": s.person.Subject, "aud": c.ID})} {
			b.authorize(c, values{"prompt": "none", "id_token_hint": forged}).wantError(append(interactionErrors, "invalid_request")...)
		}
	})
}

func TestA14HintOfAnotherUserNeverGivesACodeForTheWrongOne(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, other := s.client(), s.browser()
		other.person = s.newPerson()
		hint := c.redeem(other.authorize(c, nil).code(), nil).Str("id_token")
		b := s.browser()
		b.authorize(c, nil).code()
		b.Steps = nil
		r := b.authorize(c, values{"id_token_hint": hint}) // the session's user signs in again instead of the hinted one
		if r.wantError("login_required", "access_denied"); !slices.Contains(b.Steps, "login") {
			s.Errorf("steps %v: nobody was asked to sign in as the other", b.Steps)
		}
		b.person = other.person
		if got := c.idToken(c.redeem(b.authorize(c, values{"id_token_hint": hint}).code(), nil).Str("id_token")).Str("sub"); got != other.person.Subject {
			s.Errorf("sub %s, want the hinted %s", got, other.person.Subject)
		}
	})
}

func TestA15PromptLoginAlwaysAsks(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		first := c.idToken(c.redeem(b.authorize(c, nil).code(), nil).Str("id_token"))
		s.pass(5 * time.Second)
		b.Steps = nil
		second := c.idToken(c.redeem(b.authorize(c, values{"prompt": "login"}).code(), nil).Str("id_token"))
		if !slices.Equal(b.Steps, []string{"login"}) || second.Num("auth_time") < first.Num("auth_time")+4 || second.Str("sub") != first.Str("sub") {
			s.Errorf("steps %v, auth_time %d after %d", b.Steps, second.Num("auth_time"), first.Num("auth_time"))
		}
		s.pass(5 * time.Second)
		b.Steps = nil
		third := c.idToken(c.redeem(b.authorize(c, values{"prompt": "login"}).code(), nil).Str("id_token"))
		if !slices.Equal(b.Steps, []string{"login"}) || third.Num("auth_time") < second.Num("auth_time")+4 {
			s.Errorf("the second time: steps %v, auth_time %d after %d", b.Steps, third.Num("auth_time"), second.Num("auth_time"))
		}
		b.Steps = nil
		if b.authorize(c, values{"prompt": "select_account"}).code(); !slices.Contains(b.Steps, "login") {
			s.Errorf("select_account: steps %v", b.Steps)
		}
	})
}

func TestA16MaxAge(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		first := c.idToken(c.redeem(b.authorize(c, nil).code(), nil).Str("id_token"))
		s.pass(100 * time.Second)
		b.Steps = nil
		same := c.idToken(c.redeem(b.authorize(c, values{"max_age": "10000"}).code(), nil).Str("id_token"))
		if len(b.Steps) > 0 || same.Num("auth_time") == 0 || same.Num("auth_time") != first.Num("auth_time") {
			s.Errorf("recent enough: steps %v, auth_time %d and %d", b.Steps, first.Num("auth_time"), same.Num("auth_time"))
		}
		b.authorize(c, values{"max_age": "50", "prompt": "none"}).wantError("login_required", "interaction_required")
		again := c.idToken(c.redeem(b.authorize(c, values{"max_age": "50"}).code(), nil).Str("id_token"))
		if !slices.Equal(b.Steps, []string{"login"}) || again.Num("auth_time") < same.Num("auth_time")+100 {
			s.Errorf("too old: steps %v, auth_time %d after %d", b.Steps, again.Num("auth_time"), same.Num("auth_time"))
		}
		s.pass(2 * time.Second)
		b.Steps = nil
		if b.authorize(c, values{"max_age": "1"}).code(); !slices.Equal(b.Steps, []string{"login"}) {
			s.Errorf("one second too old: steps %v", b.Steps)
		}
	})
}

func TestA16DefaultMaxAgeAndRequireAuthTime(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(`{"default_max_age":60,"require_auth_time":true}`), s.browser()
		b.authorize(c, nil).code()
		s.pass(2 * time.Minute)
		b.Steps = nil
		token := c.idToken(c.redeem(b.authorize(c, nil).code(), nil).Str("id_token"))
		if !slices.Equal(b.Steps, []string{"login"}) || token.Num("auth_time") == 0 {
			s.Errorf("steps %v, claims %v", b.Steps, token.Claims)
		}
	})
}

func TestA17ConsentForOfflineAccess(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		b.authorize(c, values{"scope": "openid offline_access"}).code()
		b.Steps = nil
		a := c.redeem(b.authorize(c, values{"scope": "openid offline_access", "prompt": "consent"}).code(), nil)
		if !slices.Equal(b.Steps, []string{"consent"}) || a.Str("refresh_token") == "" {
			s.Errorf("steps %v, answer %s", b.Steps, a.Raw)
		}
		c.refresh(a.Str("refresh_token"), nil).wantTokens()
	})
}

func TestA18ConsentIsRememberedForClientAndScopes(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		b.authorize(c, values{"scope": "openid profile"}).code()
		b.authorize(c, values{"scope": "openid profile", "prompt": "none"}).code()
		b.authorize(c, values{"scope": "openid", "prompt": "none"}).code()
		b.authorize(c, values{"scope": "openid profile email", "prompt": "none"}).wantError("consent_required", "interaction_required")
		b.authorize(s.client(), values{"prompt": "none"}).wantError("consent_required", "interaction_required")
		b.authorize(c, values{"scope": "openid email"}).code()
		b.authorize(c, values{"scope": "openid profile email", "prompt": "none"}).code() // the union (ruling 29)
		second := s.browser()
		second.Steps = nil
		if second.authorize(c, values{"scope": "openid profile"}).code(); !slices.Equal(second.Steps, []string{"login"}) {
			s.Errorf("in another browser: steps %v, want the login alone", second.Steps)
		}
	})
}

func TestPromptCreateIsAnsweredAsDiscoverySays(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		r := s.browser().authorize(c, values{"prompt": "create"})
		if slices.Contains(s.list(s.metadata(), "prompt_values_supported"), "create") {
			if r.Mode != "page" && r.Params.Get("code") == "" {
				s.Errorf("prompt=create is announced, and refused: %v", r.Params)
			}
			return
		}
		r.wantError("invalid_request")
	})
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestA19ClaimsAreHonouredSeparately(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		ask := asJSON(map[string]any{
			"userinfo": map[string]any{"email": nil, "nickname": map[string]any{"essential": false}},
			"id_token": map[string]any{"given_name": map[string]any{"essential": true}, "email_verified": nil},
		})
		a := c.redeem(b.authorize(c, values{"claims": ask}).code(), nil).wantTokens()
		token, info := c.idToken(a.Str("id_token")), s.userinfo(a.Str("access_token"))
		if token.Str("given_name") != "Ada" || token.Claims["email_verified"] != true || token.Claims["email"] != nil || token.Claims["nickname"] != nil {
			s.Errorf("ID token %v", token.Claims)
		}
		if info.Str("email") != s.person.Email || info.Str("nickname") != "Countess" || info.JSON["given_name"] != nil || info.JSON["family_name"] != nil {
			s.Errorf("userinfo %s", info.Raw)
		}
	})
}

func TestA19UnknownEssentialClaimsAreNotFatal(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		ask := `{"id_token":{"urn:example:shoe_size":{"essential":true,"value":"46"},"name":{"essential":true}},"userinfo":{"http://example.info/claims/groups":null},"other":{}}`
		a := c.tokens(values{"claims": ask})
		if token := c.idToken(a.Str("id_token")); token.Str("name") != "Ada King Lovelace" || token.Claims["urn:example:shoe_size"] != nil {
			s.Errorf("ID token %v", token.Claims)
		}
	})
}

func TestA19ClaimsNamedBySubAndACR(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		own := asJSON(map[string]any{"id_token": map[string]any{"sub": map[string]any{"value": s.person.Subject}}})
		foreign := asJSON(map[string]any{"id_token": map[string]any{"sub": map[string]any{"value": "somebody-else"}}})
		b.authorize(c, values{"claims": own}).code()
		b.authorize(c, values{"claims": own, "prompt": "none"}).code()
		b.authorize(c, values{"claims": foreign, "prompt": "none"}).wantError(interactionErrors...) // OIDC Core section 5.5.1: as with id_token_hint
		acr := func(essential bool, values ...string) string {
			return asJSON(map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": essential, "values": values}}})
		}
		b.authorize(c, values{"claims": acr(true, "urn:example:impossible")}).wantError("unmet_authentication_requirements")
		for _, ask := range []string{acr(true, "1", "urn:example:impossible"), acr(false, "urn:example:impossible")} {
			if token := c.idToken(c.redeem(b.authorize(c, values{"claims": ask}).code(), nil).Str("id_token")); token.Str("acr") != "1" {
				s.Errorf("%s: acr %v", ask, token.Claims["acr"])
			}
		}
	})
}
