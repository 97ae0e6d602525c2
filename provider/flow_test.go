package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/storage"
)

// jwtPayload decodes a JWT without verifying it.
func jwtPayload(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestSignInConsentTokensRefreshUserinfoRevoke(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		subject := s.user("ada@example.com")
		b := s.browser("ada@example.com")
		params := b.callback(nil)
		if params.Get("iss") != s.URL || params.Get("state") != "af0ifjsldkj" {
			t.Errorf("authorization response %v lacks iss or state", params)
		}
		if got := strings.Join(b.Pages, " "); got != "login consent" {
			t.Errorf("pages shown: %s", got)
		}
		tokens := s.redeem(params.Get("code"))
		if tokens.Status != http.StatusOK {
			s.Fatalf("code exchange: %d %s", tokens.Status, tokens.Raw)
		}
		id := jwtPayload(s.T, tokens.Str("id_token"))
		if id["sub"] != subject || id["aud"] != "app" || id["iss"] != s.URL || id["nonce"] != "n-0S6_WzA2Mj" || id["at_hash"] == nil || id["sid"] == nil || id["auth_time"] == nil {
			s.Errorf("ID token claims %v", id)
		}
		info := s.userinfo(tokens.Str("access_token"))
		if info.Status != http.StatusOK || info.Str("sub") != subject || info.Str("email") != "ada@example.com" || info.JSON["email_verified"] != true || info.Str("name") != "Ada Lovelace" {
			s.Errorf("userinfo: %d %s", info.Status, info.Raw)
		}
		refreshed := s.refresh(tokens.Str("refresh_token"))
		if refreshed.Status != http.StatusOK || refreshed.Str("refresh_token") == tokens.Str("refresh_token") {
			s.Fatalf("refresh: %d %s", refreshed.Status, refreshed.Raw)
		}
		if again := jwtPayload(s.T, refreshed.Str("id_token")); again["sub"] != subject || again["nonce"] != nil || again["auth_time"] != id["auth_time"] {
			s.Errorf("refreshed ID token %v", again)
		}
		if active := s.introspect(refreshed.Str("access_token")); active.JSON["active"] != true {
			s.Errorf("introspection: %s", active.Raw)
		}
		if gone := s.post("/oauth2/revoke", url.Values{"token": {refreshed.Str("refresh_token")}}); gone.Status != http.StatusOK || gone.Raw != "" || gone.Header.Get("Content-Type") != "" {
			s.Errorf("revocation: %d %q %v", gone.Status, gone.Raw, gone.Header)
		}
		if dead := s.introspect(refreshed.Str("access_token")); dead.Raw != `{"active":false}` {
			s.Errorf("after revoking the grant: %s", dead.Raw)
		}
		s.wantError(s.refresh(refreshed.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
		if info := s.userinfo(refreshed.Str("access_token")); info.Status != http.StatusUnauthorized || !strings.Contains(info.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			s.Errorf("userinfo with a revoked token: %d %v", info.Status, info.Header)
		}
	})
}

func TestSecondSignInCostsNoPage(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	b.Pages = nil
	b.code(url.Values{"prompt": {"none"}})
	if len(b.Pages) != 0 {
		t.Errorf("pages shown to a browser with a session and remembered consent: %v", b.Pages)
	}
}

func TestClientCredentials(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) {
		c.GrantTypes, c.Scopes = []string{"client_credentials"}, []string{"reports:read", "openid"}
	})
	a := s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
	if a.Status != http.StatusOK || a.Str("scope") != "reports:read" || a.Str("refresh_token") != "" || a.Str("id_token") != "" {
		t.Fatalf("%d %s", a.Status, a.Raw)
	}
	if claims := jwtPayload(t, a.Str("access_token")); claims["sub"] != "app" || claims["client_id"] != "app" || claims["aud"] != s.URL || claims["jti"] == nil {
		t.Errorf("access token claims %v", claims)
	}
	s.wantError(s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}}), http.StatusBadRequest, "invalid_scope")
}
