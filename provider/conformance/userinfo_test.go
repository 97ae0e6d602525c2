package conformance

import (
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Lines U1 to U7.

func TestU1GetAndPost(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		token := c.tokens(values{"scope": "openid email"}).Str("access_token")
		inBody := s.form("/oauth2/userinfo", url.Values{"access_token": {token}})
		inHeader, err := http.NewRequest("POST", s.URL+"/oauth2/userinfo", nil)
		if err != nil {
			s.Fatal(err)
		}
		inHeader.Header.Set("Authorization", "Bearer "+token)
		for _, a := range []*answer{s.userinfo(token), s.do(inBody), s.do(inHeader)} {
			if a.Status != http.StatusOK || a.Str("sub") != s.person.Subject || a.Str("email") != s.person.Email {
				s.Errorf("%d %s", a.Status, a.Raw)
			}
		}
		twice := s.form("/oauth2/userinfo", url.Values{"access_token": {token}})
		twice.Header.Set("Authorization", "Bearer "+token)
		if a := s.do(twice); a.Status != http.StatusBadRequest || a.Str("error") != "invalid_request" {
			s.Errorf("in header and body: %d %s (RFC 6750 section 2)", a.Status, a.Raw)
		}
	})
}

func TestU2ScopeClaimsAreComplete(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		a := c.tokens(values{"scope": allScopes})
		info := s.userinfo(a.Str("access_token"))
		if !strings.HasPrefix(info.Header.Get("Content-Type"), "application/json") || info.Str("sub") != c.idToken(a.Str("id_token")).Str("sub") {
			s.Errorf("%s %s", info.Header.Get("Content-Type"), info.Raw)
		}
		want := maps.Clone(s.person.Claims)
		maps.Copy(want, map[string]any{"sub": s.person.Subject, "email": s.person.Email, "email_verified": true, "updated_at": info.JSON["updated_at"]})
		if !reflect.DeepEqual(info.JSON, want) {
			s.Errorf("got %v, want %v", info.JSON, want)
		}
	})
}

func TestU2AbsentClaimsAreLeftOut(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		if _, err := s.Store.UpdateUser(s.Context(), s.person.Subject, bare); err != nil {
			s.Fatal(err)
		}
		info := s.userinfo(c.tokens(values{"scope": allScopes}).Str("access_token"))
		if names := slices.Sorted(maps.Keys(info.JSON)); !slices.Equal(names, []string{"email", "email_verified", "sub", "updated_at"}) {
			s.Errorf("a user without claims has %v", info.JSON)
		}
		if strings.Contains(info.Raw, "null") || strings.Contains(info.Raw, `""`) || strings.Contains(info.Raw, "{}") {
			s.Errorf("empty values in %s", info.Raw)
		}
	})
}

func TestU3TypesOfClaims(t *testing.T) {
	everywhere(t, func(s *suite) {
		info := s.userinfo(s.client().tokens(values{"scope": allScopes}).Str("access_token"))
		for _, name := range []string{"email_verified", "phone_number_verified"} {
			if _, ok := info.JSON[name].(bool); !ok {
				s.Errorf("%s is %v", name, info.JSON[name])
			}
		}
		updated, ok := info.JSON["updated_at"].(float64)
		if !ok || updated < 1e9 || updated > float64(s.Clock.Now().Unix()+1) || updated != float64(int64(updated)) {
			s.Errorf("updated_at is %v, want seconds", info.JSON["updated_at"])
		}
		if !regexp.MustCompile(`^\d{4}(-\d{2}-\d{2})?$`).MatchString(info.Str("birthdate")) {
			s.Errorf("birthdate is %q", info.Str("birthdate"))
		}
		address, ok := info.JSON["address"].(map[string]any)
		if !ok || len(address) != 6 {
			s.Errorf("address is %v", info.JSON["address"])
		}
		for name, value := range address {
			if _, ok := value.(string); !ok {
				s.Errorf("address.%s is %v", name, value)
			}
		}
	})
}

// claimsOf are the claims that each scope stands for (OIDC Core section 5.4).
var claimsOf = map[string][]string{
	"profile": {
		"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
	},
	"email": {"email", "email_verified"}, "address": {"address"}, "phone": {"phone_number", "phone_number_verified"},
}

func TestU4OnlyClaimsOfGrantedScopes(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		for scope, names := range claimsOf {
			info := s.userinfo(c.tokens(values{"scope": "openid " + scope}).Str("access_token"))
			if got, want := slices.Sorted(maps.Keys(info.JSON)), append(slices.Clone(names), "sub"); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				s.Errorf("%s: got %v, want %v", scope, got, want)
			}
		}
		if info := s.userinfo(c.tokens(nil).Str("access_token")); len(info.JSON) != 1 {
			s.Errorf("openid alone: %s", info.Raw)
		}
	})
}

func TestU5SignedUserinfo(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, alg := range []string{"RS256", "ES256"} {
			c := s.client(`{"userinfo_signed_response_alg":"` + alg + `"}`)
			info := s.userinfo(c.tokens(values{"scope": "openid email"}).Str("access_token"))
			if info.Status != http.StatusOK || info.Header.Get("Content-Type") != "application/jwt" {
				s.Fatalf("%d %s %s", info.Status, info.Header.Get("Content-Type"), info.Raw)
			}
			token := s.verify(info.Raw)
			if token.Header["alg"] != alg || token.Str("iss") != s.URL || token.Claims["aud"] != c.ID || token.Str("sub") != s.person.Subject || token.Str("email") != s.person.Email {
				s.Errorf("header %v, claims %v", token.Header, token.Claims)
			}
			if token.Claims["nonce"] != nil || token.Claims["exp"] != nil {
				s.Errorf("claims %v: no nonce, and nothing that lets it pass for an ID token", token.Claims)
			}
			s.browser().authorize(c, values{"prompt": "none", "id_token_hint": info.Raw}).wantError("invalid_request", "login_required")
		}
	})
}

func TestU6DeadTokensAre401(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		token := c.tokens(nil).Str("access_token")
		if a := c.post("/oauth2/revoke", values{"token": token}); a.Status != http.StatusOK {
			s.Errorf("revoke: %d %s", a.Status, a.Raw)
		}
		expired := c.tokens(nil)
		s.pass(11 * time.Minute)
		for _, dead := range []string{token, expired.Str("access_token"), expired.Str("id_token"), "junk", "a.b.c"} {
			a := s.userinfo(dead)
			if a.Status != http.StatusUnauthorized || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer ") || !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				s.Errorf("%d, WWW-Authenticate %q", a.Status, a.Header.Get("WWW-Authenticate"))
			}
		}
		none := s.get("/oauth2/userinfo")
		if challenge := none.Header.Get("WWW-Authenticate"); none.Status != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer") || strings.Contains(challenge, "error=") {
			s.Errorf("without a token: %d, WWW-Authenticate %q (RFC 6750 section 3.1)", none.Status, challenge)
		}
	})
}

func TestU6TokenInTheQueryIsRefused(t *testing.T) {
	everywhere(t, func(s *suite) {
		token := s.client().tokens(nil).Str("access_token")
		if a := s.get("/oauth2/userinfo?access_token=" + token); a.Status != http.StatusBadRequest && a.Status != http.StatusUnauthorized {
			s.Errorf("%d %s", a.Status, a.Raw)
		}
	})
}

func TestU7DateAcceptAndScheme(t *testing.T) {
	everywhere(t, func(s *suite) {
		token := s.client().tokens(nil).Str("access_token")
		for _, accept := range []string{"", "*/*", "application/json", "application/*;q=0.5, text/html", "text/html", "application/jwt", "application/json; charset=utf-8"} {
			for _, scheme := range []string{"Bearer", "bearer", "BEARER", "beArer"} {
				a := s.userinfo(token, func(r *http.Request) {
					r.Header.Set("Authorization", scheme+" "+token)
					r.Header.Set("Accept", accept)
				})
				if _, err := http.ParseTime(a.Header.Get("Date")); a.Status != http.StatusOK || err != nil || a.JSON == nil {
					s.Errorf("%s, Accept %q: %d %s, Date %q", scheme, accept, a.Status, a.Raw, a.Header.Get("Date"))
				}
			}
		}
	})
}
