package conformance

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/storage"
)

// Lines T1 to T3: how clients prove who they are.

func TestT1SecretByBasicAndByPost(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, method := range []string{"client_secret_basic", "client_secret_post"} {
			c := s.client(`{"token_endpoint_auth_method":"` + method + `"}`)
			c.redeem(s.browser().authorize(c, nil).code(), nil).wantTokens()
			c.redeem(s.browser().authorize(c, nil).code(), values{"client_id": c.ID, "client_secret": c.Secret}).wantTokens() // ruling 19
		}
	})
}

func TestT1BasicIsFormDecoded(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		secret := `p%40ss+w/o:r=d&"\~secret`
		hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost) // an imported one
		if err != nil {
			s.Fatal(err)
		}
		odd := &storage.Client{
			ID: "urn:odd/" + c.ID, Name: "Odd", RedirectURIs: []string{c.Callback}, GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, Scopes: []string{"openid"},
			AuthMethod: "client_secret_basic", AccessToken: "jwt", Profile: "strict", RegisteredBy: "operator", Secrets: []storage.ClientSecret{{Hash: string(hash)}},
		}
		if err := s.Store.CreateClient(s.Context(), odd); err != nil {
			s.Fatal(err)
		}
		c.ID, c.Secret = odd.ID, secret
		c.redeem(s.browser().authorize(c, nil).code(), nil).wantTokens()
	})
}

func TestT1TwoMethodsAtOnceAreRefused(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		both := func(r *http.Request) { r.SetBasicAuth(c.ID, c.Secret) }
		code := s.browser().authorize(c, nil).code()
		c.post("/oauth2/token", values{"grant_type": "authorization_code", "code": code, "redirect_uri": c.Callback, "code_verifier": verifier, "client_secret": c.Secret}, both).
			wantError(http.StatusBadRequest, "invalid_request")
	})
}

func TestT1PublicClientSendsItsID(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(`{"token_endpoint_auth_method":"none"}`)
		c.redeem(s.browser().authorize(c, nil).code(), nil).wantTokens()
	})
}

// withKeys registers a client for private_key_jwt.
func (s *suite) withKeys(change string, pairs ...*pair) *client {
	s.Helper()
	return s.client(`{"token_endpoint_auth_method":"private_key_jwt","jwks":`+jwkSet(pairs...)+`}`, change)
}

func (c *client) redeemBy(assertion string) *answer {
	c.s.Helper()
	return c.redeem(c.s.browser().authorize(c, nil).code(), asserted(assertion))
}

func TestT1PrivateKeyJWT(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.withKeys(`{}`, own.rs256(), own.es256(), own.eddsa())
		for _, key := range []*pair{own.rs256(), own.rs256().as("PS256"), own.es256(), own.eddsa()} {
			c.redeemBy(key.sign("", c.assertion(nil))).wantTokens()
		}
		c.redeemBy(own.other().sign("", c.assertion(nil))).wantError(http.StatusUnauthorized, "invalid_client")
		c.redeemBy(unsigned(c.assertion(nil))).wantError(http.StatusUnauthorized, "invalid_client")
		c.post("/oauth2/token", values{"grant_type": "authorization_code", "code": "x"}).wantError(http.StatusUnauthorized, "invalid_client")
		secret := s.client()
		secret.redeemBy(own.rs256().sign("", secret.assertion(nil))).wantError(http.StatusUnauthorized, "invalid_client")
	})
}

func TestT2KeysWithoutKid(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.withKeys(`{}`, own.other().without(), own.rs256().without(), own.es256().without())
		c.redeemBy(own.rs256().without().sign("", c.assertion(nil))).wantTokens()
		c.redeemBy(own.es256().without().sign("", c.assertion(nil))).wantTokens()
		c.redeemBy(own.eddsa().without().sign("", c.assertion(nil))).wantError(http.StatusUnauthorized, "invalid_client")
	})
}

func TestT2UnknownKidIsFetchedOnceAndRateLimited(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(`{"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"{rp}/jwks"}`)
		s.rp.serve(c.path("jwks"), document{ContentType: "application/json", Body: jwkSet(own.rs256())})
		c.redeemBy(own.rs256().sign("", c.assertion(nil))).wantTokens()
		c.redeemBy(own.rs256().sign("", c.assertion(nil))).wantTokens()
		if n := len(s.rp.at(c.path("jwks"))); n != 1 {
			s.Errorf("%d fetches for two assertions by one key", n)
		}
		s.pass(2 * time.Minute)
		s.rp.serve(c.path("jwks"), document{ContentType: "application/json", Body: jwkSet(own.rs256(), own.es256())})
		c.redeemBy(own.es256().sign("", c.assertion(nil))).wantTokens() // the new key is found at once
		before := len(s.rp.at(c.path("jwks")))
		for _, kid := range []string{"junk-1", "junk-2", "junk-3", "junk-4"} {
			c.redeemBy(own.other().named(kid).sign("", c.assertion(nil))).wantError(http.StatusUnauthorized, "invalid_client")
		}
		if n := len(s.rp.at(c.path("jwks"))) - before; n > 1 {
			s.Errorf("%d fetches for four unknown kids within a moment", n)
		}
	})
}

func TestT3AudienceOfAssertions(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.withKeys(`{}`, own.es256())
		for _, aud := range []any{s.URL, s.URL + "/oauth2/token", []string{s.URL}, []string{s.URL + "/oauth2/token"}} {
			c.redeemBy(own.es256().sign("", c.assertion(map[string]any{"aud": aud}))).wantTokens()
		}
		for _, aud := range []any{nil, "", "https://other.example", s.URL + "/", s.URL + "/oauth2/authorize", s.URL + "/oauth2/par", c.ID, []string{}, []string{s.URL, "https://other.example"}, 1} {
			c.redeemBy(own.es256().sign("", c.assertion(map[string]any{"aud": aud}))).wantError(http.StatusUnauthorized, "invalid_client")
		}
	})
}

func TestT3ClaimsOfAssertions(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, now := s.withKeys(`{}`, own.es256()), s.Clock.Now()
		at := func(d time.Duration) int64 { return now.Add(d).Unix() }
		for _, good := range []map[string]any{
			nil, {"iat": nil}, {"nbf": at(10 * time.Second)}, {"iat": at(10 * time.Second)}, {"exp": at(60 * time.Minute)}, {"nbf": at(-time.Minute)},
		} {
			if a := c.redeemBy(own.es256().sign("", c.assertion(good))); a.Status != http.StatusOK {
				s.Errorf("%v: %d %s", good, a.Status, a.Raw)
			}
		}
		for _, bad := range []map[string]any{
			{"exp": nil}, {"jti": nil}, {"sub": nil}, {"iss": nil}, {"sub": "other"}, {"iss": "other"}, {"exp": at(-2 * time.Minute)}, {"exp": at(70 * time.Minute)},
			{"nbf": at(2 * time.Minute)}, {"iat": at(2 * time.Minute)}, {"exp": "soon"},
		} {
			if a := c.redeemBy(own.es256().sign("", c.assertion(bad))); a.Status != http.StatusUnauthorized || a.Str("error") != "invalid_client" {
				s.Errorf("%v: %d %s", bad, a.Status, a.Raw)
			}
		}
	})
}

func TestT3AssertionWorksOnce(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.withKeys(`{}`, own.es256())
		assertion := own.es256().sign("", c.assertion(nil))
		c.redeemBy(assertion).wantTokens()
		c.redeemBy(assertion).wantError(http.StatusUnauthorized, "invalid_client")
		wrongType := asserted(own.es256().sign("", c.assertion(nil))).with(values{"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"})
		a := c.redeem(s.browser().authorize(c, nil).code(), wrongType)
		if a.Status == http.StatusOK || !strings.HasPrefix(a.Str("error"), "invalid_") {
			s.Errorf("with a wrong client_assertion_type: %d %s", a.Status, a.Raw)
		}
		form := url.Values{"grant_type": {"client_credentials"}}
		s.do(s.form("/oauth2/token", form)).wantError(http.StatusUnauthorized, "invalid_client")
	})
}
