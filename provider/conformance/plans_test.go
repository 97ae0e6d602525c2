package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What the plans of the OpenID Foundation's suite do beyond the lines: its clients register themselves, without scope and without PKCE, and ask for several things
// at once.

// grantsOf are the grant types that the suite registers for a response type.
func grantsOf(responseType string) []string {
	switch {
	case responseType == "code":
		return []string{"authorization_code"}
	case strings.Contains(responseType, "code"):
		return []string{"authorization_code", "implicit"}
	}
	return []string{"implicit"}
}

// variant is the registration of one variant of the dynamic plan.
func (s *suite) variant(responseType, method string, more metadata) *registration {
	s.Helper()
	s.rp.serve("/"+s.person.Subject+"/sector", document{ContentType: "application/json", Body: asJSON([]string{s.folder() + "/callback"})})
	m := metadata{
		"response_types": []string{responseType}, "grant_types": grantsOf(responseType), "token_endpoint_auth_method": method, "request_object_signing_alg": "none",
		"sector_identifier_uri": "{rp}/sector", "userinfo_signed_response_alg": "RS256", "request_uris": []string{"{rp}/request#fragment"}, "contacts": []string{"certification@example.com"},
		"jwks": rawKeys(own.rs256().without(), own.es256().without()),
	}
	for name, value := range more {
		m[name] = value
	}
	return s.registered(m)
}

// swap redeems a code of a request without PKCE by the client's own method of authentication.
func (c *registration) swap(code string) *answer {
	c.s.Helper()
	bare := values{"code_verifier": ""}
	switch c.Answer.Str("token_endpoint_auth_method") {
	case "client_secret_post":
		return c.redeem(code, bare.with(values{"client_id": c.ID, "client_secret": c.Secret}))
	case "client_secret_jwt":
		return c.redeem(code, bare.with(asserted(mac(c.Secret, c.assertion(nil)))))
	case "private_key_jwt":
		return c.redeem(code, bare.with(asserted(own.rs256().without().sign("", c.assertion(nil)))))
	}
	return c.redeem(code, bare)
}

var secretMethods = []string{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"}

func TestPlanDynamicEveryVariant(t *testing.T) {
	everywhere(t, func(s *suite) {
		n := 0
		for _, flow := range flows {
			for _, mode := range []string{"", "form_post"} {
				for range 2 { // each method meets each mode, and code meets all of them
					c := s.variant(flow.responseType, secretMethods[n%len(secretMethods)], nil)
					n++
					r := s.browser().authorize(c.client, plain.with(values{"response_type": flow.responseType, "response_mode": mode, "scope": "openid profile email address phone"}))
					want := mode
					if want == "" {
						want = modeOf(flow.responseType)
					}
					if r.Mode != want || !slices.Equal(r.got(), flow.members) {
						s.Fatalf("%s by %q with %s: %s %v", flow.responseType, mode, c.Answer.Str("token_endpoint_auth_method"), r.Mode, r.Params)
					}
					s.tokensOf(c, r)
				}
			}
		}
	})
}

// tokensOf demands that whatever a response holds is of the same user, and worth something at userinfo.
func (s *suite) tokensOf(c *registration, r *response) {
	s.Helper()
	idTokens, access := []string{r.Params.Get("id_token")}, []string{r.Params.Get("access_token")}
	if code := r.Params.Get("code"); code != "" {
		a := c.swap(code).wantTokens()
		idTokens, access = append(idTokens, a.Str("id_token")), append(access, a.Str("access_token"))
	}
	for _, raw := range idTokens {
		if raw == "" {
			continue
		}
		if token := c.idToken(raw); token.Str("sub") != s.person.Subject || token.Str("nonce") != "n-0S6_WzA2Mj" {
			s.Errorf("claims %v", token.Claims)
		}
	}
	for _, raw := range access {
		if raw == "" {
			continue
		}
		info := s.userinfo(raw)
		if info.Header.Get("Content-Type") != "application/jwt" {
			s.Fatalf("userinfo %d %s %s", info.Status, info.Header.Get("Content-Type"), info.Raw)
		}
		token := s.verify(info.Raw)
		for _, names := range claimsOf {
			for _, name := range names {
				if token.Claims[name] == nil {
					s.Errorf("userinfo without %s", name)
				}
			}
		}
	}
}

func TestPlanDynamicRequestObjects(t *testing.T) {
	everywhere(t, func(s *suite) {
		for i, flow := range []string{"code", "code id_token", "id_token token"} {
			reference := "/request-" + strconv.Itoa(i)
			c := s.variant(flow, "client_secret_basic", metadata{"request_uris": []string{"{rp}" + reference + "#fragment"}})
			outside := plain.with(values{"response_type": flow, "state": "outside", "nonce": "outside"})
			object := func(more map[string]any) map[string]any {
				claims := c.object(map[string]any{"response_type": flow, "state": "inside", "nonce": "inside", "code_challenge": nil, "code_challenge_method": nil})
				for name, value := range more {
					claims[name] = value
				}
				return claims
			}
			// By value, where the redirect URI outside is a wrong one.
			r := s.browser().authorize(c.client, outside.with(values{"request": unsigned(object(nil)), "redirect_uri": c.Callback + "/wrong"}))
			if r.Params.Get("state") != "inside" || r.Params.Has("error") || r.Mode != modeOf(flow) {
				s.Errorf("%s by value: %s %v %s", flow, r.Mode, r.Params, r.Page.Body)
			}
			if raw := r.Params.Get("id_token"); raw != "" && c.idToken(raw).Str("nonce") != "inside" {
				s.Errorf("%s: the nonce is the outer one", flow)
			}
			// By reference, with a fragment that is no hash.
			s.rp.serve("/"+s.person.Subject+reference, document{ContentType: "application/oauth-authz-req+jwt", Body: unsigned(object(map[string]any{"scope": "openid email"}))})
			r = s.browser().authorize(c.client, outside.with(values{"request_uri": s.folder() + reference + "#fragment"}))
			if r.Params.Get("state") != "inside" || r.Params.Has("error") {
				s.Errorf("%s by reference: %s %v %s", flow, r.Mode, r.Params, r.Page.Body)
			}
			// A signed one is not what was registered.
			b := s.browser()
			b.authorize(c.client, outside.with(values{"request": own.rs256().without().sign("", object(nil))})).wantRefused(b, "invalid_request_object")
		}
	})
}

func TestPlanBasicManyParametersAtOnce(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, flow := range flows {
			c := s.variant(flow.responseType, "client_secret_basic", metadata{"redirect_uris": []string{"{rp}/callback?rp_foo=bar"}, "sector_identifier_uri": nil, "userinfo_signed_response_alg": nil})
			c.Callback += "?rp_foo=bar"
			place := "userinfo"
			if flow.responseType == "id_token" {
				place = "id_token"
			}
			for _, mode := range []string{"", "form_post"} {
				r := s.browser().authorize(c.client, plain.with(values{
					"response_type": flow.responseType, "response_mode": mode, "acr_values": "1 2", "ui_locales": "se", "claims_locales": "se", "display": "page", "login_hint": "bob@example.com", "extra": "foobar",
					"claims": `{"` + place + `":{"name":{"essential":true}}}`, "max_age": "15000", "scope": "openid phone address email profile",
				}))
				if !slices.Equal(r.got(), slices.Sorted(slices.Values(withQuery(r, flow.members)))) {
					s.Fatalf("%s: %s %v", flow.responseType, r.Mode, r.Params)
				}
				if query := r.Page.URL.Query(); query.Get("rp_foo") != "bar" {
					s.Errorf("%s: the query of the redirect URI is lost: %s", flow.responseType, r.Page.URL)
				}
				s.acrAndName(c, r)
			}
		}
	})
}

// withQuery adds the client's own parameter where the response shares the query with it.
func withQuery(r *response, members []string) []string {
	if r.Mode != "query" {
		return members
	}
	return append(slices.Clone(members), "rp_foo")
}

// acrAndName demands one of the acr values that were asked for, auth_time because of max_age, and the name that is essential.
func (s *suite) acrAndName(c *registration, r *response) {
	s.Helper()
	raw, access := r.Params.Get("id_token"), r.Params.Get("access_token")
	if code := r.Params.Get("code"); code != "" {
		a := c.swap(code).wantTokens()
		raw, access = a.Str("id_token"), a.Str("access_token")
	}
	if raw != "" {
		token := c.idToken(raw)
		if token.Str("acr") != "1" || token.Num("auth_time") == 0 || access == "" && token.Str("name") != "Ada King Lovelace" {
			s.Errorf("claims %v", token.Claims)
		}
	}
	if access != "" {
		if info := s.userinfo(access); info.Str("name") != "Ada King Lovelace" {
			s.Errorf("userinfo %s", info.Raw)
		}
	}
}

func TestPlanBasicEssentialNameAlone(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(nil)
		a := c.swap(s.browser().authorize(c.client, plain.with(values{"claims": `{"userinfo":{"name":{"essential":true}}}`})).code()).wantTokens()
		if info := s.userinfo(a.Str("access_token")); info.Str("name") != "Ada King Lovelace" || len(info.JSON) != 2 {
			s.Errorf("userinfo %s, want sub and name", info.Raw)
		}
	})
}

func TestPlanBasicRefreshWithAndWithoutOpenID(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, method := range secretMethods {
			m := metadata{"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": method, "jwks": rawKeys(own.rs256().without())}
			c, other := s.registered(m), s.registered(m)
			for scope, wantID := range map[string]bool{"openid offline_access": true, "openid": true, "email offline_access": false, "email": false} {
				b := s.browser()
				a := c.swap(b.authorize(c.client, plain.with(values{"scope": scope, "prompt": "consent"})).code()).wantTokens()
				if (a.Str("id_token") != "") != wantID || a.Str("refresh_token") == "" {
					s.Fatalf("%s: %s", scope, a.Raw)
				}
				other.refreshBy(a.Str("refresh_token")).wantError(http.StatusBadRequest, "invalid_grant")
				next := c.refreshBy(a.Str("refresh_token")).wantTokens()
				if next.Str("scope") != scope || !wantID && next.Str("id_token") != "" {
					s.Errorf("%s: refreshed %s", scope, next.Raw)
				}
				if wantID {
					s.sameSignIn(c, a, next)
				}
			}
		}
	})
}

// refreshBy uses a refresh token by the client's own method of authentication.
func (c *registration) refreshBy(token string) *answer {
	c.s.Helper()
	form := values{}
	switch c.Answer.Str("token_endpoint_auth_method") {
	case "client_secret_post":
		form = values{"client_id": c.ID, "client_secret": c.Secret}
	case "client_secret_jwt":
		form = asserted(mac(c.Secret, c.assertion(nil)))
	case "private_key_jwt":
		form = asserted(own.rs256().without().sign("", c.assertion(nil)))
	}
	return c.refresh(token, form)
}

// sameSignIn compares the ID token of a refresh, if there is one, with the first (OpenID Connect Core section 12.2).
func (s *suite) sameSignIn(c *registration, first, next *answer) {
	s.Helper()
	if next.Str("id_token") == "" {
		return
	}
	before, after := c.idToken(first.Str("id_token")), c.idToken(next.Str("id_token"))
	for _, name := range []string{"iss", "sub", "aud", "azp", "auth_time"} {
		if before.Claims[name] != after.Claims[name] {
			s.Errorf("%s was %v and is %v", name, before.Claims[name], after.Claims[name])
		}
	}
}

func TestPlanBasicCodeReuseAfterHalfAMinute(t *testing.T) {
	onBackends(t, func(s *suite) {
		type used struct {
			c      *registration
			code   string
			tokens []string
		}
		var all []used
		for _, flow := range []string{"code", "code id_token", "code token", "code id_token token"} {
			c := s.variant(flow, "client_secret_basic", metadata{"userinfo_signed_response_alg": nil})
			r := s.browser().authorize(c.client, plain.with(values{"response_type": flow}))
			tokens := []string{c.swap(r.code()).wantTokens().Str("access_token")}
			if front := r.Params.Get("access_token"); front != "" {
				tokens = append(tokens, front) // of the same grant
			}
			for _, token := range tokens {
				if info := s.userinfo(token); info.Status != http.StatusOK {
					s.Errorf("%s: before the replay %d %s", flow, info.Status, info.Raw)
				}
			}
			all = append(all, used{c, r.code(), tokens})
		}
		s.pass(30 * time.Second)
		for _, u := range all {
			u.c.swap(u.code).wantError(http.StatusBadRequest, "invalid_grant")
			for _, token := range u.tokens {
				if info := s.userinfo(token); info.Status != http.StatusUnauthorized {
					s.Errorf("%s: after the replay %d", u.c.Answer.Raw, info.Status)
				}
			}
		}
	})
}

// Its HTTP library names charsets and accepts several types.
func TestPlanHeadersOfTheSuite(t *testing.T) {
	onBackends(t, func(s *suite) {
		accept := "text/plain, application/json, application/*+json, */*"
		c := s.registered(nil)
		for _, contentType := range []string{"application/json", "application/json;charset=UTF-8", "application/json; charset=utf-8", "Application/JSON"} {
			r, err := http.NewRequest("POST", s.URL+"/oauth2/register", strings.NewReader(asJSON(metadata{"redirect_uris": []string{c.Callback}})))
			if err != nil {
				s.Fatal(err)
			}
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Accept", accept)
			if a := s.do(r); a.Status != http.StatusCreated {
				s.Errorf("%s: %d %s", contentType, a.Status, a.Raw)
			}
		}
		b := s.browser()
		for _, contentType := range []string{"application/x-www-form-urlencoded;charset=UTF-8", "application/x-www-form-urlencoded; charset=utf-8", "Application/X-WWW-Form-URLEncoded"} {
			typed := func(r *http.Request) {
				r.Header.Set("Content-Type", contentType)
				r.Header.Set("Accept", accept)
			}
			code := b.authorize(c.client, plain).code()
			a := c.post("/oauth2/token", values{"grant_type": "authorization_code", "code": code, "redirect_uri": c.Callback}, typed).wantTokens()
			info := s.form("/oauth2/userinfo", url.Values{"access_token": {a.Str("access_token")}})
			if typed(info); s.do(info).Status != http.StatusOK {
				s.Errorf("userinfo by POST with %s is refused", contentType)
			}
			form := values{}
			for name, value := range c.params(plain) {
				form[name] = value[0]
			}
			c.post("/oauth2/par", form, typed).pushed()
		}
	})
}
