package provider_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/oauth"
	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

// Resource indicators (RFC 8707, ruling 5) and opaque access tokens (ruling 34).

const filesAPI, mailAPI, secretAPI = "https://files.example/api", "https://mail.example/api", "https://secret.example/api"

// withResources starts a server with three protected APIs and a client "app" that may ask for two of them.
func withResources(t *testing.T, changes ...func(*provider.Options)) *server {
	s := start(t, "memory", append([]func(*provider.Options){func(o *provider.Options) {
		o.Resources = []oauth.Resource{
			{URI: filesAPI, Scopes: []string{"files:read", "files:write"}, AccessTokenLifetime: 2 * time.Minute, IntrospectionClients: []string{"files-server"}},
			{URI: mailAPI, Scopes: []string{"mail:read"}, AccessTokenLifetime: 5 * time.Minute}, {URI: secretAPI},
		}
	}}, changes...)...)
	s.client(func(c *storage.Client) {
		c.Audience = []string{filesAPI, mailAPI}
		c.Scopes = append(c.Scopes, "files:read", "files:write", "mail:read")
		c.GrantTypes = append(c.GrantTypes, "client_credentials")
	})
	s.user("ada@example.com")
	return s
}

const allScopes = "openid email offline_access files:read files:write mail:read"

func TestRuling5AudienceOfAccessTokens(t *testing.T) {
	s := withResources(t)
	for _, test := range []struct {
		name     string
		resource []string
		aud      any
		scope    string
		expires  float64
	}{
		{"no resource", nil, s.URL, allScopes, 600},
		{"one resource", []string{filesAPI}, filesAPI, "files:read files:write", 120},
		{"the other", []string{mailAPI}, mailAPI, "mail:read", 300},
		{"both", []string{filesAPI, mailAPI}, []any{filesAPI, mailAPI}, "files:read files:write mail:read", 120},
	} {
		t.Run("ruling 5 "+test.name, func(t *testing.T) {
			a := s.tokens(url.Values{"scope": {allScopes}, "resource": test.resource})
			claims := jwtPayload(t, a.Str("access_token"))
			got, list := claims["aud"].([]any)
			want, wantList := test.aud.([]any)
			if list != wantList || list && !slices.Equal(got, want) || !list && claims["aud"] != test.aud {
				t.Errorf("aud %v, want %v", claims["aud"], test.aud)
			}
			if claims["scope"] != test.scope {
				t.Errorf("the token's scope %v, want %s", claims["scope"], test.scope)
			}
			if a.Str("scope") != allScopes {
				t.Errorf("the answer's scope %q is not the grant's", a.Str("scope"))
			}
			if a.JSON["expires_in"] != test.expires || claims["exp"].(float64)-claims["iat"].(float64) != test.expires {
				t.Errorf("lives %v s, want %v", a.JSON["expires_in"], test.expires)
			}
			if userinfo := s.userinfo(a.Str("access_token")); (userinfo.Status == http.StatusOK) != (test.resource == nil) {
				t.Errorf("userinfo: %d", userinfo.Status)
			}
			if id := jwtPayload(t, a.Str("id_token")); id["aud"] != "app" {
				t.Errorf("the ID token is for %v", id["aud"])
			}
		})
	}
	t.Run("ruling 5 default audience", func(t *testing.T) {
		s := withResources(t, func(o *provider.Options) { o.DefaultAudience = "https://default.example" })
		a := s.tokens(nil)
		if aud, _ := jwtPayload(t, a.Str("access_token"))["aud"].([]any); !slices.Equal(aud, []any{s.URL, "https://default.example"}) {
			t.Errorf("aud %v", aud)
		}
		s.wantOK(s.userinfo(a.Str("access_token")))
		if aud := jwtPayload(t, s.tokens(url.Values{"resource": {filesAPI}}).Str("access_token"))["aud"]; aud != filesAPI {
			t.Errorf("with a resource aud is %v", aud)
		}
	})
}

// badTargets are resources that the client may not ask for.
var badTargets = map[string][]string{
	"unknown": {"https://unknown.example"}, "of others": {secretAPI}, "one good, one bad": {filesAPI, secretAPI}, "trailing slash": {filesAPI + "/"}, "upper case": {strings.ToUpper(filesAPI)},
	"fragment": {filesAPI + "#x"}, "query": {filesAPI + "?x"}, "empty": {""}, "relative": {"/api"}, "prefix": {"https://files.example"}, "userinfo": {"https://files.example@evil.example/api"},
}

func TestRuling5InvalidTarget(t *testing.T) {
	s := withResources(t)
	a := s.tokens(url.Values{"scope": {allScopes}, "resource": {filesAPI}})
	b := s.browser("ada@example.com")
	b.code(nil)
	for name, resource := range badTargets {
		t.Run("ruling 5 at client_credentials: "+name, func(t *testing.T) {
			s.wantError(s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "resource": resource}), http.StatusBadRequest, "invalid_target")
		})
		t.Run("ruling 5 at refresh: "+name, func(t *testing.T) {
			s.wantError(s.refreshWith(a.Str("refresh_token"), url.Values{"resource": resource}), http.StatusBadRequest, "invalid_target")
		})
		if name == "empty" {
			continue // browsers' requests leave empty values out
		}
		t.Run("ruling 5 at authorize: "+name, func(t *testing.T) {
			got := b.callback(url.Values{"resource": resource})
			if got.Get("error") != "invalid_target" || got.Get("code") != "" || got.Get("state") != "af0ifjsldkj" || got.Get("iss") != s.URL {
				t.Errorf("%v", got)
			}
		})
	}
	t.Run("ruling 5 registered, but not granted", func(t *testing.T) {
		s.wantError(s.refreshWith(a.Str("refresh_token"), url.Values{"resource": {mailAPI}}), http.StatusBadRequest, "invalid_target")
		code := b.code(url.Values{"resource": {filesAPI}})
		values := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}, "resource": {mailAPI}}
		s.wantError(s.post("/oauth2/token", values), http.StatusBadRequest, "invalid_target")
		values.Set("resource", filesAPI)
		s.wantOK(s.post("/oauth2/token", values)) // asking for too much costs nothing
	})
	t.Run("ruling 5 none granted, one asked for", func(t *testing.T) {
		s.wantError(s.refreshWith(s.tokens(nil).Str("refresh_token"), url.Values{"resource": {filesAPI}}), http.StatusBadRequest, "invalid_target")
	})
}

// RFC 8707 section 2.2: a subset at token and refresh, which does not narrow what comes later.
func TestRuling5SubsetAtTokenAndRefresh(t *testing.T) {
	s := withResources(t)
	aud := func(a answer) any { return jwtPayload(t, s.wantOK(a).Str("access_token"))["aud"] }
	code := s.browser("ada@example.com").code(url.Values{"scope": {allScopes}, "resource": {filesAPI, mailAPI}})
	first := s.post("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}, "resource": {filesAPI}})
	if aud(first) != filesAPI || first.Str("scope") != allScopes {
		t.Errorf("at the code: %v, scope %s", aud(first), first.Str("scope"))
	}
	second := s.refreshWith(first.Str("refresh_token"), url.Values{"resource": {mailAPI}})
	if aud(second) != mailAPI {
		t.Errorf("at the refresh: %v", aud(second))
	}
	third := s.refresh(second.Str("refresh_token"))
	if got, _ := aud(third).([]any); !slices.Equal(got, []any{filesAPI, mailAPI}) {
		t.Errorf("without resource: %v", got)
	}
	daemon := s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "resource": {mailAPI}})
	if aud(daemon) != mailAPI || jwtPayload(t, daemon.Str("access_token"))["scope"] != "mail:read" {
		t.Errorf("client_credentials: %s", daemon.Raw)
	}
}

// Row 50 for resources: what the client may no longer have is not given to it because it was granted once.
func TestRow50ResourcesTakenAwayFromTheClient(t *testing.T) {
	s := withResources(t)
	both := s.tokens(url.Values{"scope": {allScopes}, "resource": {filesAPI, mailAPI}}).Str("refresh_token")
	one := s.tokens(url.Values{"scope": {allScopes}, "resource": {filesAPI}}).Str("refresh_token")
	code := s.browser("ada@example.com").code(url.Values{"scope": {allScopes}, "resource": {filesAPI}})
	if _, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.Audience = []string{mailAPI}; return nil }); err != nil {
		t.Fatal(err)
	}
	s.within(time.Second, "the audience is narrowed", func() bool {
		a := s.wantOK(s.refresh(both))
		both = a.Str("refresh_token")
		return jwtPayload(t, a.Str("access_token"))["aud"] == mailAPI
	})
	s.wantError(s.refresh(one), http.StatusBadRequest, "invalid_target")
	s.wantError(s.redeem(code), http.StatusBadRequest, "invalid_target")
}

// Ruling 34: opaque access tokens are rows; everything else is as with JWTs.
func TestRuling34OpaqueAccessTokens(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client(func(c *storage.Client) {
			c.AccessToken, c.GrantTypes, c.Scopes = "opaque", append(c.GrantTypes, "client_credentials"), append(c.Scopes, "read")
		})
		subject := s.user("ada@example.com")
		a := s.tokens(nil)
		token := a.Str("access_token")
		if !strings.HasPrefix(token, "gth_at_") || len(token) != len("gth_at_")+49 {
			s.Fatalf("token %q", token)
		}
		got := s.introspect(token)
		if got.JSON["active"] != true || got.Str("sub") != subject || got.Str("client_id") != "app" || got.Str("aud") != s.URL || got.Str("iss") != s.URL || got.Str("token_type") != "Bearer" ||
			got.Str("scope") != "openid profile email offline_access" || got.JSON["exp"] == nil || got.Str("jti") == "" || got.Str("jti") == token || got.Str("acr") != "1" {
			s.Errorf("introspection: %s", got.Raw)
		}
		s.wantOK(s.userinfo(token))
		refreshed := s.wantOK(s.refresh(a.Str("refresh_token")))
		again := s.wantOK(s.refresh(a.Str("refresh_token"))) // within the window
		if again.Str("access_token") == refreshed.Str("access_token") || !s.active(again.Str("access_token")) || !s.active(refreshed.Str("access_token")) {
			s.Error("a repeated refresh must bring a fresh opaque token")
		}
		s.wantOK(s.post("/oauth2/revoke", url.Values{"token": {token}}))
		if s.active(token) || s.userinfo(token).Status != http.StatusUnauthorized || !s.active(again.Str("access_token")) {
			s.Error("revoking one opaque token")
		}
		s.wantOK(s.post("/oauth2/revoke", url.Values{"token": {again.Str("refresh_token")}}))
		s.wantDead(again.Str("refresh_token"), again.Str("access_token"))
		daemon := s.wantOK(s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}})).Str("access_token")
		if own := s.introspect(daemon); own.Str("sub") != "app" || own.Str("scope") != "read" {
			s.Errorf("client_credentials: %s", own.Raw)
		}
		s.advance(10*time.Minute + time.Second)
		if s.active(daemon) {
			s.Error("an opaque token outlived its time")
		}
		signature, _ := opaque.Parse(opaque.Access, daemon)
		if n, err := s.Store.Purge(s.Context(), s.Clock.Now(), 500); err != nil || n == 0 {
			s.Errorf("purge: %d %v", n, err)
		}
		if _, err := s.Store.Token(s.Context(), storage.TokenAccess, signature); err == nil {
			s.Error("the expired row is still there")
		}
		s.wantNoSecrets(token, daemon, a.Str("refresh_token"))
	})
}
