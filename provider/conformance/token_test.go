package conformance

import (
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Lines T4 to T16: codes, refresh tokens and ID tokens.

func TestT4AnswersAreJSONThatIsNotStored(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		a := c.tokens(values{"scope": "openid offline_access"})
		if len(a.JSON) != 6 || a.Str("id_token") == "" || a.Str("refresh_token") == "" || a.Str("scope") != "openid offline_access" || a.JSON["expires_in"] != 600.0 {
			s.Errorf("members of %s", a.Raw)
		}
		c.refresh(a.Str("refresh_token"), nil).wantTokens()
		c.redeem("junk", nil).wantError(http.StatusBadRequest, "invalid_grant")
	})
}

func TestT5CodeWorksOnceAndReplayEndsItsTokens(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		code := s.browser().authorize(c, values{"scope": "openid offline_access"}).code()
		a := c.redeem(code, nil).wantTokens()
		if got := s.userinfo(a.Str("access_token")); got.Status != http.StatusOK {
			s.Fatalf("before the replay: %d %s", got.Status, got.Raw)
		}
		c.redeem(code, nil).wantError(http.StatusBadRequest, "invalid_grant")
		if got := s.userinfo(a.Str("access_token")); got.Status != http.StatusUnauthorized {
			s.Errorf("the access token lives after the replay: %d %s", got.Status, got.Raw)
		}
		c.refresh(a.Str("refresh_token"), nil).wantError(http.StatusBadRequest, "invalid_grant")
	})
}

func TestT5ReplayHalfAMinuteLater(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		code := s.browser().authorize(c, nil).code()
		a := c.redeem(code, nil).wantTokens()
		s.pass(30 * time.Second)
		c.redeem(code, nil).wantError(http.StatusBadRequest, "invalid_grant")
		if got := s.userinfo(a.Str("access_token")); got.Status != http.StatusUnauthorized {
			s.Errorf("the access token lives after the replay: %d", got.Status)
		}
	})
}

func TestT6CodeIsBound(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(`{"redirect_uris":["{rp}/callback","{rp}/other"]}`)
		other := s.client()
		code := s.browser().authorize(c, nil).code()
		other.redeem(code, values{"redirect_uri": c.Callback}).wantError(http.StatusBadRequest, "invalid_grant")
		c.redeem(code, nil).wantTokens() // a stranger's try changes nothing
		for _, wrong := range []values{{"redirect_uri": s.rp.URL + c.path("other")}, {"redirect_uri": ""}, {"redirect_uri": c.Callback + "?"}} {
			code := s.browser().authorize(c, nil).code()
			c.redeem(code, wrong).wantError(http.StatusBadRequest, "invalid_grant")
		}
		code = s.browser().authorize(c, nil).code()
		s.pass(61 * time.Second)
		c.redeem(code, nil).wantError(http.StatusBadRequest, "invalid_grant")
	})
}

func TestT7WrongOrMissingVerifier(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, c := range []*client{s.client(), s.client(compatible), s.client(`{"token_endpoint_auth_method":"none"}`)} {
			for _, wrong := range []string{"", strings.Repeat("a", 43), challenge, verifier + "A", "short"} {
				code := s.browser().authorize(c, nil).code()
				c.redeem(code, values{"code_verifier": wrong}).wantError(http.StatusBadRequest, "invalid_grant")
				c.redeem(code, nil).wantError(http.StatusBadRequest, "invalid_grant") // and the code is burnt
			}
		}
	})
}

func TestT7WrongClientCredentials(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		code := s.browser().authorize(c, nil).code()
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.Callback}, "code_verifier": {verifier}}
		for _, credentials := range [][2]string{{c.ID, "wrong"}, {c.ID, ""}, {"nobody", c.Secret}, {"", ""}} {
			r := s.form("/oauth2/token", form)
			r.SetBasicAuth(credentials[0], credentials[1])
			a := s.do(r)
			a.wantError(http.StatusUnauthorized, "invalid_client")
			if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
				s.Errorf("%v: WWW-Authenticate %q", credentials, a.Header.Get("WWW-Authenticate"))
			}
		}
		form.Set("client_id", c.ID)
		s.do(s.form("/oauth2/token", form)).wantError(http.StatusUnauthorized, "invalid_client")
		form.Set("client_secret", "wrong")
		s.do(s.form("/oauth2/token", form)).wantError(http.StatusUnauthorized, "invalid_client")
		c.redeem(code, nil).wantTokens()
	})
}

func TestT8VerifierWithAndWithoutChallenge(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(compatible)
		c.redeem(s.browser().authorize(c, nil).code(), nil).wantTokens()
		for range 2 { // the same answer each time
			c.redeem(s.browser().authorize(c, plain).code(), nil).wantError(http.StatusBadRequest, "invalid_grant")
		}
	})
}

func TestT9RefreshWithAndWithoutScope(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, other := s.client(), s.client()
		a := c.tokens(values{"scope": "openid email profile offline_access"})
		token := a.Str("refresh_token")
		other.refresh(token, nil).wantError(http.StatusBadRequest, "invalid_grant")
		next := c.refresh(token, nil).wantTokens()
		if info := s.userinfo(next.Str("access_token")); info.Str("email") != s.person.Email || info.Str("name") == "" {
			s.Errorf("without scope: %s", info.Raw)
		}
		s.Clock.Advance(tick)
		narrow := c.refresh(next.Str("refresh_token"), values{"scope": "openid email"}).wantTokens()
		if info := s.userinfo(narrow.Str("access_token")); info.Str("email") == "" || info.JSON["name"] != nil {
			s.Errorf("narrowed to email: %s", info.Raw)
		}
		wide := c.refresh(narrow.Str("refresh_token"), nil).wantTokens() // narrowing is for one access token (RFC 6749 section 6)
		if info := s.userinfo(wide.Str("access_token")); info.Str("name") == "" {
			s.Errorf("after narrowing: %s", info.Raw)
		}
		c.refresh(wide.Str("refresh_token"), values{"scope": "openid phone"}).wantError(http.StatusBadRequest, "invalid_scope")
		c.refresh(wide.Str("refresh_token"), nil).wantTokens()
	})
}

func TestT10RefreshedIDToken(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		a := c.tokens(values{"scope": "openid offline_access", "max_age": "1000"})
		first := c.idToken(a.Str("id_token"))
		s.pass(2 * time.Second)
		next := c.refresh(a.Str("refresh_token"), nil).wantTokens()
		second := c.idToken(next.Str("id_token"))
		for _, name := range []string{"iss", "sub", "aud", "azp", "auth_time", "acr", "sid"} {
			if first.Claims[name] != second.Claims[name] {
				s.Errorf("%s was %v and is %v", name, first.Claims[name], second.Claims[name])
			}
		}
		if second.Num("iat") <= first.Num("iat") || second.Claims["at_hash"] != half(next.Str("access_token")) {
			s.Errorf("refreshed %v after %v", second.Claims, first.Claims)
		}
		if nonce, has := second.Claims["nonce"]; has && nonce != first.Claims["nonce"] {
			s.Errorf("nonce %v, was %v", nonce, first.Claims["nonce"])
		}
	})
}

func TestT11PreviousRefreshTokenWorksForAMinute(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		first := c.tokens(values{"scope": "openid offline_access"}).Str("refresh_token")
		second := c.refresh(first, nil).wantTokens().Str("refresh_token")
		s.pass(50 * time.Second)
		if again := c.refresh(first, nil).wantTokens().Str("refresh_token"); again != second || second == first {
			s.Error("a repeat within the window does not return the same successor, or nothing rotates")
		}
		s.pass(15 * time.Second)
		c.refresh(first, nil).wantError(http.StatusBadRequest, "invalid_grant")
		c.refresh(second, nil).wantError(http.StatusBadRequest, "invalid_grant") // the family is dead
	})
}

// entropy is Shannon's estimate in bits over the characters of a value.
func entropy(value string) float64 {
	counts, bits := map[rune]float64{}, 0.0
	for _, char := range value {
		counts[char]++
	}
	for _, n := range counts {
		bits -= n * math.Log2(n/float64(len(value)))
	}
	return bits
}

func TestT12CodesAndTokensAreLongAndRandom(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, seen := s.client(`{"access_token_format":"opaque"}`), map[string]bool{}
		random := regexp.MustCompile(`^gth_[a-z]+_[0-9A-Za-z]{49}$`) // 43 digits of base 62 are 256 bits, 6 are the checksum
		for range 3 {
			code := s.browser().authorize(c, values{"scope": "openid offline_access"}).code()
			a := c.redeem(code, nil).wantTokens()
			for _, value := range []string{code, a.Str("access_token"), a.Str("refresh_token")} {
				if !random.MatchString(value) || entropy(value) < 160 || seen[value[:30]] {
					s.Errorf("%s: %f bits", value, entropy(value))
				}
				seen[value[:30]] = true
			}
		}
	})
}

func TestT13IDToken(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		a := c.tokens(values{"nonce": "a nonce with \"quotes\" & ☃"})
		token := c.idToken(a.Str("id_token"))
		if token.Header["alg"] != "RS256" || token.Str("nonce") != "a nonce with \"quotes\" & ☃" || token.Num("exp") != token.Num("iat")+600 {
			s.Errorf("header %v, claims %v", token.Header, token.Claims)
		}
		if _, ok := token.Claims["acr"].(string); !ok || token.Num("auth_time") == 0 || token.Str("sub") != s.person.Subject {
			s.Errorf("claims %v", token.Claims)
		}
		if token := c.idToken(c.tokens(values{"nonce": ""}).Str("id_token")); token.Claims["nonce"] != nil {
			s.Errorf("a nonce from nowhere: %v", token.Claims)
		}
		for _, alg := range []string{"ES256", "PS256", "RS256"} {
			c := s.client(`{"id_token_signed_response_alg":"` + alg + `"}`)
			if token := c.idToken(c.tokens(nil).Str("id_token")); token.Header["alg"] != alg {
				s.Errorf("registered %s, got %v", alg, token.Header)
			}
		}
	})
}

func TestT13NoIDTokenWithoutOpenID(t *testing.T) {
	everywhere(t, func(s *suite) {
		if a := s.client().tokens(values{"scope": "email"}); a.JSON["id_token"] != nil {
			s.Errorf("an ID token without the scope openid: %s", a.Raw)
		}
	})
}

func TestT14ScopeClaimsAreAtUserinfoOnly(t *testing.T) {
	everywhere(t, func(s *suite) {
		token := s.client().idTokenOf(values{"scope": allScopes})
		for name := range token.Claims {
			if !slices.Contains([]string{"iss", "sub", "aud", "exp", "iat", "nonce", "auth_time", "acr", "amr", "azp", "at_hash", "sid", "jti"}, name) {
				s.Errorf("claim %s in an ID token that came with an access token", name)
			}
		}
	})
}

// idTokenOf signs the user in and returns the ID token.
func (c *client) idTokenOf(v values) *jwt {
	c.s.Helper()
	return c.idToken(c.tokens(v).Str("id_token"))
}

func TestT15SessionID(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, d, b := s.client(), s.client(), s.browser()
		sid := func(b *browser, c *client, v values) string {
			return c.idToken(c.redeem(b.authorize(c, v).code(), nil).Str("id_token")).Str("sid")
		}
		first := sid(b, c, nil)
		if first == "" || sid(b, d, nil) != first || sid(b, c, values{"prompt": "login"}) != first {
			s.Errorf("sid %q is not that of the session", first)
		}
		if sid(s.browser(), c, nil) == first {
			s.Error("two browsers share a sid")
		}
	})
}

func TestT16ClientCredentialsGiveNoRefreshToken(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(`{"grant_types":["authorization_code","refresh_token","client_credentials"],"scopes":["openid","offline_access","api"]}`)
		a := c.post("/oauth2/token", values{"grant_type": "client_credentials", "scope": "api"}).wantTokens()
		if a.JSON["refresh_token"] != nil || a.JSON["id_token"] != nil {
			s.Errorf("members of %s", a.Raw)
		}
		for _, scope := range []string{"offline_access", "api offline_access", "openid api"} { // row 111
			c.post("/oauth2/token", values{"grant_type": "client_credentials", "scope": scope}).wantError(http.StatusBadRequest, "invalid_scope")
		}
		public := s.client(`{"token_endpoint_auth_method":"none","grant_types":["client_credentials"],"scopes":["api"]}`)
		public.post("/oauth2/token", values{"grant_type": "client_credentials", "scope": "api"}).wantError(http.StatusBadRequest, "unauthorized_client", "invalid_client")
	})
}
