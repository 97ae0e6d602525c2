package conformance

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Nothing that a strict client sees may be looser because the server allows other clients more. The server of these tests has every option on.

func TestStrictClientsNeedPKCEWithS256(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		for _, v := range []values{plain, {"code_challenge": ""}, {"code_challenge_method": ""}, {"code_challenge_method": "plain"}, {"code_challenge_method": "plain", "code_challenge": verifier}} {
			b := s.browser()
			b.authorize(c, v).wantRefused(b, "invalid_request")
		}
		r := s.browser().authorize(c, plain)
		if text := r.Params.Get("error_description"); !strings.Contains(text, "profile") || !strings.Contains(text, "code_challenge") {
			s.Errorf("the error does not name the profile and the way out: %q", text)
		}
	})
}

func TestStrictClientsGetCodesOnly(t *testing.T) {
	everywhere(t, func(s *suite) {
		// Also one whose row says otherwise: an operator may have turned the profile back.
		for _, c := range []*client{s.client(), s.client(compatible, `{"profile":"strict"}`)} {
			for _, flow := range flows[1:] {
				b := s.browser()
				r := b.authorize(c, values{"response_type": flow.responseType})
				if r.wantRefused(b, "unsupported_response_type", "unauthorized_client"); r.Mode == "fragment" && r.Params.Has("code") {
					s.Errorf("%v", r.Params)
				}
			}
		}
	})
}

func TestStrictClientsHaveNoFragmentMode(t *testing.T) {
	everywhere(t, func(s *suite) {
		b, c := s.browser(), s.client()
		r := b.authorize(c, values{"response_mode": "fragment"})
		if r.wantRefused(b, "invalid_request"); r.Mode == "fragment" {
			s.Error("the error itself is in the fragment")
		}
	})
}

func TestStrictClientsCannotSendUnsignedObjects(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, change := range []string{`{}`, signing(own.rs256()), `{"request_object_signing_alg":"none"}`} {
			c, b := s.client(change), s.browser()
			r := b.authorize(c, c.outer(values{"request": unsigned(c.object(nil))}))
			if r.Params.Has("code") {
				s.Errorf("%s: accepted", change)
			}
			r.wantRefused(b, "invalid_request_object", "invalid_request")
			c.post("/oauth2/par", values{"request": unsigned(c.object(nil))}).wantError(http.StatusBadRequest, "invalid_request_object")
		}
	})
}

func TestStrictClientsNeedPKCEInsideObjectsAndPushedRequests(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(signing(own.es256())), s.browser()
		bare := own.es256().sign("", c.object(map[string]any{"code_challenge": nil, "code_challenge_method": nil}))
		b.authorize(c, c.outer(values{"request": bare, "code_challenge": challenge, "code_challenge_method": "S256"})).wantRefused(b, "invalid_request")
		c.post("/oauth2/par", values{"request": bare}).wantError(http.StatusBadRequest, "invalid_request")
		c.push(plain).wantError(http.StatusBadRequest, "invalid_request")
		token := own.es256().sign("", c.object(map[string]any{"response_type": "code id_token"}))
		b.authorize(c, c.outer(values{"request": token, "response_type": "code id_token"})).wantRefused(b, "unsupported_response_type", "unauthorized_client")
	})
}

func TestStrictClientsGetSignedIDTokens(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(`{"id_token_signed_response_alg":"none"}`) // a row that the rules would refuse
		b := s.browser()
		r := b.authorize(c, nil)
		a := c.redeem(r.code(), nil)
		if a.Status != http.StatusInternalServerError || a.Str("error") != "server_error" || a.JSON["id_token"] != nil || a.JSON["access_token"] != nil {
			s.Errorf("%d %s, want server_error: no token at all rather than an unsigned one", a.Status, a.Raw)
		}
	})
}

// Redirect URIs, secrets and replay do not depend on the profile: here for a compatible client, what the other tests show for strict ones.
func TestCompatibleIsNotLooserWhereItNeedNotBe(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(compatible)
		for _, sent := range []string{c.Callback + "/", c.Callback + "?a=b", strings.ToUpper(c.Callback)} {
			s.browser().authorize(c, plain.with(values{"redirect_uri": sent, "response_type": "id_token token"})).wantPage(http.StatusBadRequest)
		}
		code := s.browser().authorize(c, plain).code()
		a := c.redeem(code, values{"code_verifier": ""}).wantTokens()
		c.redeem(code, values{"code_verifier": ""}).wantError(http.StatusBadRequest, "invalid_grant")
		if info := s.userinfo(a.Str("access_token")); info.Status != http.StatusUnauthorized {
			s.Errorf("after the replay: %d", info.Status)
		}
		code = s.browser().authorize(c, nil).code() // a challenge that was sent is verified
		c.redeem(code, values{"code_verifier": ""}).wantError(http.StatusBadRequest, "invalid_grant")
		s.browser().authorize(c, values{"code_challenge_method": "plain"}).wantError("invalid_request")
	})
}

func TestRegistrationCannotChooseItsProfileOrSkipConsent(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{"profile": "strict", "first_party": true, "disabled": true, "client_id": "chosen", "client_secret": "chosen", "registered_by": "operator"})
		if c.ID == "chosen" || c.Secret == "chosen" {
			s.Errorf("%s", c.Answer.Raw)
		}
		b := s.browser()
		b.authorize(c.client, plain).code() // the profile of the configuration
		if len(b.Steps) != 2 {
			s.Errorf("steps %v, want login and consent", b.Steps)
		}
	})
}

// Trap 8: cipher suites of TLS 1.2 with forward secrecy and AEAD only, and TLS 1.3 where both can.
func TestTrap8TLS(t *testing.T) {
	everywhere(t, func(s *suite) {
		address := strings.TrimPrefix(s.URL, "https://")
		dial := func(config *tls.Config) (tls.ConnectionState, error) {
			config.RootCAs = authority().pool
			conn, err := tls.Dial("tcp4", address, config)
			if err != nil {
				return tls.ConnectionState{}, err
			}
			defer conn.Close()
			return conn.ConnectionState(), nil
		}
		if state, err := dial(&tls.Config{}); err != nil || state.Version != tls.VersionTLS13 {
			s.Errorf("version %x, %v", state.Version, err)
		}
		if _, err := dial(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
			s.Error("TLS 1.1 is spoken")
		}
		for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			aead := strings.HasPrefix(suite.Name, "TLS_ECDHE_ECDSA_") && (strings.Contains(suite.Name, "GCM") || strings.Contains(suite.Name, "CHACHA20"))
			_, err := dial(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}})
			if forTLS12 := suite.ID>>8 != 0x13; forTLS12 && aead != (err == nil) {
				s.Errorf("%s: %v", suite.Name, err)
			}
		}
	})
}

// Trap 13 for what is not in T12: values that the server makes up for itself.
func TestTrap13OtherValuesAreRandom(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		for _, raw := range []string{c.push(nil).pushed(), s.registered(nil).Token, s.registered(nil).Secret} {
			if entropy(raw) < 160 {
				s.Errorf("%s: %f bits", raw, entropy(raw))
			}
		}
		var claims struct {
			JTI string `json:"jti"`
		}
		if err := json.Unmarshal([]byte(decode(strings.Split(c.tokens(nil).Str("access_token"), ".")[1])), &claims); err != nil || len(claims.JTI) < 22 {
			s.Errorf("jti %q", claims.JTI)
		}
	})
}
