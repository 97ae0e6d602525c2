package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider"
	"gatehouse/provider/keys"
	"gatehouse/provider/oauth"
	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

// What clients register of their tokens: algorithms, signed userinfo, lifetimes; and the keys behind them.

var everyAlg = []string{"RS256", "ES256", "PS256", "EdDSA"}

// everyKey boots a server with a key of every algorithm.
func everyKey(o *provider.Options) { o.Keys.Algorithms = everyAlg }

// unsignedIDTokens allows alg none.
func unsignedIDTokens(o *provider.Options) { o.UnsignedIDTokens = true }

// compatible makes a client of the profile that may have alg none.
func compatible(c *storage.Client) { c.Profile = "compatible" }

// verified checks a JWT with the published keys, as a relying party does, and returns its claims. The alg must be the one.
func (s *server) verified(token, alg string) map[string]any {
	s.Helper()
	head := jwtHeader(s.T, token)
	if head["alg"] != alg || head["kid"] == nil {
		s.Errorf("T13: header %v, want alg %s and a kid", head, alg)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	s.ok(err)
	key, found := s.published()[fmt.Sprint(head["kid"])]
	if !found {
		s.Fatalf("the key %v is not published", head["kid"])
	}
	payload, err := jws.Verify(key)
	s.ok(err)
	var claims map[string]any
	s.ok(json.Unmarshal(payload, &claims))
	return claims
}

func TestT13K1EveryRegisteredAlgorithm(t *testing.T) {
	s := start(t, "memory", everyKey)
	s.user("ada@example.com", fullUser)
	b := s.browser("ada@example.com")
	for _, alg := range everyAlg {
		s.client(func(c *storage.Client) { c.ID, c.IDTokenAlg, c.UserinfoAlg, c.AccessTokenAlg = alg, alg, alg, alg })
		t.Run("T13 "+alg, func(t *testing.T) {
			s := s.on(t)
			a := b.tokensOf(alg, nil)
			id := s.verified(a.Str("id_token"), alg)
			s.verified(a.Str("access_token"), alg)
			acr, text := id["acr"].(string)
			if id["iss"] != s.URL || id["aud"] != alg || id["azp"] != nil || id["sub"] == nil || !text || acr == "" || id["sid"] == nil || id["auth_time"] == nil || id["at_hash"] == nil || id["nonce"] != "n-0S6_WzA2Mj" {
				t.Errorf("T13, T15: %v", id)
			}
			again := s.verified(s.wantOK(s.refresh(a.Str("refresh_token"), as(alg, clientSecret))).Str("id_token"), alg)
			for _, name := range []string{"iss", "sub", "aud", "azp", "auth_time", "acr", "sid"} {
				if again[name] != id[name] {
					t.Errorf("T10: %s was %v, is %v", name, id[name], again[name])
				}
			}
			if again["nonce"] != nil {
				t.Error("T10: a refreshed ID token has a nonce")
			}
			info := s.userinfo(a.Str("access_token"))
			if claims := s.verified(info.Raw, alg); claims["sub"] != id["sub"] || info.Header.Get("Content-Type") != "application/jwt" {
				t.Errorf("U5: %v %v", info.Header, claims)
			}
		})
	}
	d := s.wantOK(s.fetch(s.URL + "/.well-known/openid-configuration"))
	for _, name := range []string{"id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported"} {
		if got := d.list(name); !slices.Equal(got, everyAlg) {
			t.Errorf("D7, D8: %s is %v", name, got)
		}
	}
	seen := map[string]bool{}
	for kid, key := range s.published() {
		if seen[kid] = true; key.Use != "sig" || key.Algorithm == "" || !key.IsPublic() {
			t.Errorf("K1: key %s: use %q, alg %q", kid, key.Use, key.Algorithm)
		}
	}
	if raw := s.fetch(s.URL + "/.well-known/jwks.json").Raw; strings.Contains(raw, `"oct"`) || strings.Contains(raw, `"d":`) || len(seen) < 4 {
		t.Errorf("K1: %s", raw)
	}
}

// K1, K2 and trap 10: a rotation adds keys of the configured algorithms at once, of RSA and EC only unless another was asked for.
func TestTrap10K2RotationAddsConfiguredTypesOnly(t *testing.T) {
	for _, test := range []struct{ algorithms, types []string }{
		{[]string{"RS256", "ES256"}, []string{"EC", "RSA"}}, {[]string{"PS256", "RS256"}, []string{"RSA"}}, {[]string{"RS256", "EdDSA"}, []string{"OKP", "RSA"}},
	} {
		t.Run(strings.Join(test.algorithms, " "), func(t *testing.T) {
			configured := func(o *provider.Options) { o.Keys.Algorithms, o.Keys.AccessToken = test.algorithms, "RS256" }
			s := startAs(t, "memory", func(s *server) { s.Idle = true }, configured)
			set := keys.New(keys.Options{Store: s.Store, Seal: testRing(t), Now: s.Clock.Now, Algorithms: test.algorithms, LongestToken: 10 * time.Minute})
			before := s.rawKeys()
			for _, alg := range test.algorithms {
				kid, err := set.Rotate(t.Context(), alg)
				s.ok(err)
				// A process that starts now reads what a running one reads at its next poll.
				if now := s.node(configured).rawKeys(); now[kid] == "" || before[kid] != "" {
					t.Errorf("K2: the new key of %s is not published at once", alg)
				}
			}
			types := map[string]bool{}
			for kid, text := range s.node(configured).rawKeys() {
				var key struct{ Kty, D, K string }
				s.ok(json.Unmarshal([]byte(text), &key))
				types[key.Kty] = true
				if key.D != "" || key.K != "" {
					t.Errorf("K1: key %s is private", kid)
				}
				if old, found := before[kid]; found && old != text {
					t.Errorf("K2: key %s changed", kid)
				}
				delete(before, kid)
			}
			if got := slices.Sorted(maps.Keys(types)); !slices.Equal(got, test.types) || len(before) > 0 {
				t.Errorf("trap 10: types %v, want %v; gone: %v", got, test.types, before)
			}
		})
	}
}

// rawKeys returns the published keys as they are written, by kid.
func (s *server) rawKeys() map[string]string {
	s.Helper()
	var set struct{ Keys []json.RawMessage }
	s.ok(json.Unmarshal([]byte(s.wantOK(s.fetch(s.URL+"/.well-known/jwks.json")).Raw), &set))
	out := map[string]string{}
	for _, text := range set.Keys {
		var key struct{ KID string }
		s.ok(json.Unmarshal(text, &key))
		out[key.KID] = string(text)
	}
	return out
}

// Trap 14: a compatible client may have unsigned ID tokens from the token endpoint, where the configuration allows it. They are worth nothing as a hint.
func TestTrap14UnsignedIDTokens(t *testing.T) {
	none := func(c *storage.Client) { c.IDTokenAlg = "none" }
	t.Run("allowed", func(t *testing.T) {
		s := start(t, "memory", unsignedIDTokens)
		s.client(none, compatible)
		s.client(func(c *storage.Client) { c.ID = "other" })
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		first := b.tokensOf("app", nil)
		for _, a := range []answer{first, s.wantOK(s.refresh(first.Str("refresh_token")))} {
			token := a.Str("id_token")
			claims := jwtPayload(t, token)
			if head := jwtHeader(t, token); head["alg"] != "none" || head["kid"] != nil || !strings.HasSuffix(token, ".") || strings.Count(token, ".") != 2 {
				t.Errorf("header %v of %s", head, token)
			}
			if claims["iss"] != s.URL || claims["aud"] != "app" || claims["sub"] != "sub-ada-example-com" || claims["at_hash"] != nil {
				t.Errorf("claims %v", claims)
			}
			for _, values := range []url.Values{{"prompt": {"none"}}, {}} {
				values.Set("id_token_hint", token)
				if got := b.callback(values); got.Get("error") != "invalid_request" {
					t.Errorf("an unsigned hint: %v", got)
				}
			}
			if s.active(token) || s.userinfo(token).Status != http.StatusUnauthorized {
				t.Error("row 112: an unsigned token is taken for an access token")
			}
		}
		if head := jwtHeader(t, first.Str("access_token")); head["alg"] != "ES256" {
			t.Errorf("the access token is signed with %v", head["alg"])
		}
		if head := jwtHeader(t, b.tokensOf("other", nil).Str("id_token")); head["alg"] != "RS256" {
			t.Errorf("a client that asked for nothing gets alg %v", head["alg"])
		}
		if d := s.fetch(s.URL + "/.well-known/openid-configuration"); !slices.Contains(d.list("id_token_signing_alg_values_supported"), "none") || slices.Contains(d.list("userinfo_signing_alg_values_supported"), "none") {
			t.Error("D8: none is not listed where it is accepted, or where it is not")
		}
	})
	for name, test := range map[string]struct {
		option func(*provider.Options)
		client func(*storage.Client)
		says   string
	}{
		"not configured":  {func(*provider.Options) {}, compatible, "oauth.allow_unsigned_id_tokens"},
		"a strict client": {unsignedIDTokens, func(*storage.Client) {}, "profile"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, "memory", test.option)
			s.client(none, test.client)
			s.user("ada@example.com")
			a := s.redeem(s.browser("ada@example.com").code(nil))
			s.wantError(a, http.StatusInternalServerError, "server_error")
			if a.Str("id_token") != "" || a.Str("access_token") != "" || !strings.Contains(s.Log.String(), test.says) {
				t.Errorf("%s; the log does not say %q", a.Raw, test.says)
			}
			s.node(test.option)
			s.within(5*time.Second, "a warning at the start", func() bool { return strings.Contains(s.Log.String(), "client cannot be given tokens") })
		})
	}
}

// A client whose algorithm has no key any more is told that the server is at fault; the log says what to do, at the start already; and its code is still good
// once the operator has done it.
func TestAlgorithmWithoutAKeyIsNamedInTheLog(t *testing.T) {
	for member, change := range map[string]func(c *storage.Client, alg string){
		"id_token_signed_response_alg":     func(c *storage.Client, alg string) { c.IDTokenAlg = alg },
		"access_token_signed_response_alg": func(c *storage.Client, alg string) { c.AccessTokenAlg = alg },
	} {
		t.Run(member, func(t *testing.T) {
			s := start(t, "memory")
			s.client(func(c *storage.Client) { change(c, "PS256") })
			s.user("ada@example.com")
			code := s.browser("ada@example.com").code(nil)
			s.wantError(s.redeem(code), http.StatusInternalServerError, "server_error")
			for _, says := range []string{"client app has " + member + " PS256", "add PS256 to keys.algorithms"} {
				if !strings.Contains(s.Log.String(), says) {
					t.Errorf("the log does not say %q", says)
				}
			}
			s.node()
			s.within(5*time.Second, "a warning at the start", func() bool {
				return strings.Contains(s.Log.String(), member+" is PS256: add that to keys.algorithms")
			})
			_, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { change(c, "ES256"); return nil })
			s.ok(err)
			s.within(time.Second, "the code works", func() bool { return s.redeem(code).Status == http.StatusOK })
		})
	}
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.UserinfoAlg = "PS256" })
	s.user("ada@example.com")
	s.wantError(s.userinfo(s.tokens(nil).Str("access_token")), http.StatusInternalServerError, "server_error")
	if !strings.Contains(s.Log.String(), "client app has userinfo_signed_response_alg PS256") {
		t.Error("the log does not name the client and the member")
	}
}

// U5, U7: a client that registered an algorithm gets a JWT whatever it accepts, all others JSON; the JWT is for userinfo and nothing else.
func TestU5U7SignedUserinfo(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.UserinfoAlg = "ES256" })
	s.client(func(c *storage.Client) { c.ID = "plain" })
	s.client(pairwise("pair", "shop.example"), func(c *storage.Client) { c.UserinfoAlg = "RS256" })
	s.user("ada@example.com", fullUser, func(u *storage.User) {
		for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "nonce", "auth_time", "acr", "sid", "azp", "cnf"} {
			u.Claims[name] = "https://evil.example"
		}
	})
	b := s.browser("ada@example.com")
	all := url.Values{"scope": {"openid profile email address phone"}}
	plain := s.wantOK(s.userinfo(b.tokensOf("plain", all).Str("access_token")))
	a := b.tokensOf("app", all)
	var token string
	for _, accept := range []string{"", "*/*", "application/json", "application/jwt", "text/html;q=0.1", "nonsense"} {
		for _, method := range []string{"GET", "POST"} {
			info := s.userinfoBy(method, func(r *http.Request) {
				r.Header.Set("Authorization", "Bearer "+a.Str("access_token"))
				r.Header.Set("Accept", accept)
			})
			s.wantOK(info)
			if info.Header.Get("Content-Type") != "application/jwt" || info.Header.Get("Cache-Control") != "no-store" || info.Header.Get("Date") == "" {
				t.Errorf("U5: headers %v", info.Header)
			}
			token = info.Raw
		}
	}
	claims := s.verified(token, "ES256")
	want := maps.Clone(plain.JSON)
	want["iss"], want["aud"] = s.URL, "app"
	if got := fmt.Sprint(claims); got != fmt.Sprint(want) {
		t.Errorf("U5, row 120: %v, want %v", got, want)
	}
	for name, refused := range map[string]bool{
		"as a hint": b.callback(url.Values{"prompt": {"none"}, "id_token_hint": {token}}).Get("error") == "invalid_request", "as an access token": s.userinfo(token).Status == http.StatusUnauthorized,
		"at introspection": !s.active(token)} {
		if !refused {
			t.Errorf("signed userinfo %s", name)
		}
	}
	all.Set("prompt", "none")
	all.Set("id_token_hint", a.Str("id_token"))
	if got := b.callback(all); got.Get("code") == "" {
		t.Errorf("an ID token as a hint: %v", got)
	}
	pair := b.tokensOf("pair", nil)
	if got := s.verified(s.userinfo(pair.Str("access_token")).Raw, "RS256"); got["sub"] != jwtPayload(t, pair.Str("id_token"))["sub"] || got["sub"] == plain.Str("sub") || got["aud"] != "pair" {
		t.Errorf("U2, U5: %v", got)
	}
	// Errors are JSON all the same.
	s.wantBearer(s.userinfo(token), http.StatusUnauthorized, "invalid_token")
}

// Ruling 38: a client may shorten what is configured, never lengthen it; what an answer says of a lifetime is so.
func TestRuling38LifetimesPerClient(t *testing.T) {
	const api = "https://files.example/api"
	s := start(t, "memory", func(o *provider.Options) {
		o.Resources = []oauth.Resource{{URI: api, AccessTokenLifetime: 5 * time.Minute}}
	})
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	for _, test := range []struct {
		name                   string
		wished                 storage.Lifetimes
		values                 url.Values
		access, id, idle, ends time.Duration
	}{
		{"configured", storage.Lifetimes{}, nil, 10 * time.Minute, 10 * time.Minute, 14 * 24 * time.Hour, 90 * 24 * time.Hour},
		{"shorter", storage.Lifetimes{AccessToken: time.Minute, IDToken: 2 * time.Minute, RefreshIdle: time.Hour, RefreshAbsolute: 2 * time.Hour}, nil, time.Minute, 2 * time.Minute, time.Hour, 2 * time.Hour},
		{"longer", storage.Lifetimes{AccessToken: time.Hour, IDToken: time.Hour, RefreshIdle: 1000 * time.Hour, RefreshAbsolute: 10000 * time.Hour}, nil, 10 * time.Minute, 10 * time.Minute, 14 * 24 * time.Hour, 90 * 24 * time.Hour},
		{"idle beyond the absolute end", storage.Lifetimes{RefreshAbsolute: 30 * time.Minute}, nil, 10 * time.Minute, 10 * time.Minute, 30 * time.Minute, 30 * time.Minute},
		{"of a resource", storage.Lifetimes{AccessToken: 7 * time.Minute}, url.Values{"resource": {api}}, 5 * time.Minute, 10 * time.Minute, 14 * 24 * time.Hour, 90 * 24 * time.Hour},
		{"shorter than the resource's", storage.Lifetimes{AccessToken: time.Minute}, url.Values{"resource": {api}}, time.Minute, 10 * time.Minute, 14 * 24 * time.Hour, 90 * 24 * time.Hour},
	} {
		for _, format := range []string{"jwt", "opaque"} {
			t.Run(test.name+" "+format, func(t *testing.T) {
				s, b := s.on(t), *b
				b.s = s
				id := strings.ReplaceAll(test.name+"-"+format, " ", "-")
				s.client(func(c *storage.Client) {
					c.ID, c.Lifetimes, c.AccessToken, c.Audience = id, test.wished, format, []string{api}
				})
				a := b.tokensOf(id, test.values)
				for round := range 2 {
					if round == 1 {
						a = s.wantOK(s.refresh(a.Str("refresh_token"), as(id, clientSecret)))
					}
					idToken := jwtPayload(t, a.Str("id_token"))
					access := s.wantOK(s.introspect(a.Str("access_token"), as(id, clientSecret)))
					refresh := s.wantOK(s.introspect(a.Str("refresh_token"), as(id, clientSecret)))
					for what, got := range map[string][2]float64{
						"expires_in": {a.JSON["expires_in"].(float64), test.access.Seconds()}, "access token": {life(access.JSON), test.access.Seconds()},
						"ID token": {life(idToken), test.id.Seconds()}, "refresh token": {life(refresh.JSON), test.idle.Seconds()},
					} {
						if got[0] < got[1]-2 || got[0] > got[1]+1 {
							t.Errorf("%s lives %v s, want %v", what, got[0], got[1])
						}
					}
				}
				row, err := s.Store.Token(t.Context(), storage.TokenRefresh, opaque.Signature(a.Str("refresh_token")))
				s.ok(err)
				if ends := row.GrantExpires.Sub(row.Created); ends < test.ends-5*time.Second || ends > test.ends+time.Second {
					t.Errorf("the grant ends after %v, want %v", ends, test.ends)
				}
			})
		}
	}
	// And it ends then.
	s.client(func(c *storage.Client) {
		c.Lifetimes = storage.Lifetimes{AccessToken: time.Minute, RefreshIdle: time.Hour, RefreshAbsolute: 90 * time.Minute}
	})
	a := b.tokensOf("app", nil)
	s.advance(61 * time.Second)
	if s.active(a.Str("access_token")) {
		t.Error("a shortened access token outlives its life")
	}
	s.advance(57 * time.Minute)
	a = s.wantOK(s.refresh(a.Str("refresh_token")))
	s.advance(33 * time.Minute)
	s.wantError(s.refresh(a.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
}

// life is exp minus iat.
func life(claims map[string]any) float64 { return claims["exp"].(float64) - claims["iat"].(float64) }

// Row 115: what a revoked key signed is no hint either, and no pairwise name in it is understood.
func TestRow115HintsOfARevokedKeyAreRefused(t *testing.T) {
	s := start(t, "memory")
	s.client(pairwise("app", "shop.example"), func(c *storage.Client) { c.UserinfoAlg = "RS256" })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	old := b.tokensOf("app", nil)
	kid := jwtHeader(t, old.Str("id_token"))["kid"].(string)
	hint := url.Values{"prompt": {"none"}, "id_token_hint": {old.Str("id_token")}}
	if got := b.callback(hint); got.Get("code") == "" {
		t.Fatalf("before: %v", got)
	}
	s.ok(s.keySet().Revoke(t.Context(), kid))
	s.within(time.Second, "the hint is refused", func() bool { return b.callback(hint).Get("error") == "invalid_request" })
	fresh := b.tokensOf("app", nil)
	if jwtHeader(t, fresh.Str("id_token"))["kid"] == kid || jwtHeader(t, s.userinfo(fresh.Str("access_token")).Raw)["kid"] == kid {
		t.Error("the revoked key still signs")
	}
	if jwtPayload(t, fresh.Str("id_token"))["sub"] != jwtPayload(t, old.Str("id_token"))["sub"] {
		t.Error("the pairwise sub changed with a signing key")
	}
}

// Row 119: a payload that the server's own keys signed is a hint only if it says what an ID token says.
func TestRow119WhatIsNoHint(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	good := jwtPayload(t, b.tokensOf("app", nil).Str("id_token"))
	set := s.keySet()
	for name, change := range map[string]func(claims map[string]any){
		"good": func(map[string]any) {}, "no exp": func(c map[string]any) { delete(c, "exp") }, "no iat": func(c map[string]any) { delete(c, "iat") }, "exp a string": func(c map[string]any) { c["exp"] = "1" },
		"no sub": func(c map[string]any) { delete(c, "sub") }, "no aud": func(c map[string]any) { delete(c, "aud") }, "aud of another": func(c map[string]any) { c["aud"] = "other" },
		"iss of another": func(c map[string]any) { c["iss"] = "https://evil.example" }, "gid": func(c map[string]any) { c["gid"] = "x" }, "expired": func(c map[string]any) { c["exp"] = 1 },
		"aud among others": func(c map[string]any) { c["aud"] = []string{"other", "app"} },
	} {
		claims := maps.Clone(good)
		change(claims)
		payload, err := json.Marshal(claims)
		s.ok(err)
		token, err := set.Sign("RS256", "JWT", payload)
		s.ok(err)
		got := b.callback(url.Values{"prompt": {"none"}, "id_token_hint": {token}})
		if want := slices.Contains([]string{"good", "expired", "aud among others"}, name); (got.Get("code") != "") != want || !want && got.Get("error") != "invalid_request" {
			t.Errorf("%s: %v", name, got)
		}
	}
}
