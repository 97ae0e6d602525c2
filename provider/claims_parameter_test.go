package provider_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/oauth"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// The claims parameter: OpenID Connect Core section 5.5.

// protocolClaims are the members of an ID token that are not the user's.
var protocolClaims = []string{"acr", "amr", "at_hash", "aud", "auth_time", "c_hash", "exp", "iat", "iss", "nonce", "s_hash", "sid", "sub"}

// personal returns the sorted names of the user's claims in an ID token or userinfo.
func personal(claims map[string]any) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(claims)), func(name string) bool { return slices.Contains(protocolClaims, name) })
}

// wantClaims demands the user's claims in both places.
func (s *server) wantClaims(a answer, idToken, userinfo []string) {
	s.Helper()
	if got := personal(jwtPayload(s.T, a.Str("id_token"))); !slices.Equal(got, idToken) {
		s.Errorf("A19: the ID token has %v, want %v", got, idToken)
	}
	if got := personal(s.wantOK(s.userinfo(a.Str("access_token"))).JSON); !slices.Equal(got, userinfo) {
		s.Errorf("A19: userinfo has %v, want %v", got, userinfo)
	}
}

func TestA19ClaimsOfUserinfoAndIDTokenApart(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel)
	s.user("ada@example.com", fullUser)
	b := s.browser("ada@example.com")
	b.code(url.Values{"scope": {"openid profile email address phone"}})
	for name, tc := range map[string]struct {
		scope, claims     string
		idToken, userinfo []string
	}{
		"nothing":             {"openid", `{}`, nil, nil},
		"userinfo alone":      {"openid", `{"userinfo":{"email":null,"name":{"essential":true}}}`, nil, []string{"email", "name"}},
		"id_token alone":      {"openid", `{"id_token":{"email":{"essential":false},"phone_number":null}}`, []string{"email", "phone_number"}, nil},
		"different ones":      {"openid", `{"id_token":{"given_name":null},"userinfo":{"address":null}}`, []string{"given_name"}, []string{"address"}},
		"beside a scope":      {"openid email", `{"userinfo":{"nickname":null},"id_token":{"email":null}}`, []string{"email"}, []string{"email", "email_verified", "nickname"}},
		"T14 email is asked":  {"openid email phone", `{"id_token":{"email":{"essential":true}}}`, []string{"email"}, []string{"email", "email_verified", "phone_number", "phone_number_verified"}},
		"unknown essential":   {"openid", `{"id_token":{"shoe_size":{"essential":true}},"userinfo":{"groups":{"essential":true},"roles":null,"gid":null}}`, nil, nil},
		"unknown members":     {"openid", `{"transaction":7,"id_token":{"email":{"purpose":"x","essential":true}}}`, []string{"email"}, nil},
		"another case":        {"openid", `{"ID_TOKEN":{"email":null},"id_token":{"Email":null}}`, nil, nil},
		"null members":        {"openid", `{"id_token":null,"userinfo":null}`, nil, nil},
		"its value":           {"openid", `{"id_token":{"email":{"value":"ada@example.com"},"email_verified":{"value":true}}}`, []string{"email", "email_verified"}, nil},
		"another value":       {"openid", `{"id_token":{"email":{"essential":true,"value":"bob@example.com"},"email_verified":{"value":"true"}}}`, nil, nil},
		"one of its values":   {"openid", `{"id_token":{"email":{"values":["bob@example.com","ada@example.com"]}}}`, []string{"email"}, nil},
		"none of the values":  {"openid", `{"userinfo":{"email":{"values":["bob@example.com"]}}}`, nil, nil},
		"auth_time and acr":   {"openid", `{"id_token":{"auth_time":{"essential":true},"acr":{"essential":true,"values":["1"]}}}`, nil, nil},
		"protocol's own":      {"openid", `{"id_token":{"iss":{"value":"x"},"aud":null,"exp":{"value":1},"sub":null},"userinfo":{"sub":null,"iss":null}}`, nil, nil},
		"language tags":       {"openid", `{"userinfo":{"name#de":null}}`, nil, nil},
		"members named twice": {"openid", `{"id_token":{"email":null},"id_token":{"name":null}}`, []string{"name"}, nil},
		"without openid":      {"email", `{"userinfo":{"name":null},"id_token":{"name":null}}`, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			params := s.wantAnswer(b.get(s.authorizeURL(url.Values{"scope": {tc.scope}, "claims": {tc.claims}, "prompt": {"none"}})), "query", "")
			a := s.wantOK(s.redeem(params.Get("code")))
			if !strings.Contains(tc.scope, "openid") {
				if a.Str("id_token") != "" || len(jwtPayload(t, a.Str("access_token"))["scope"].(string)) == 0 || jwtPayload(t, a.Str("access_token"))["claims"] != nil {
					t.Errorf("%s", a.Raw)
				}
				return
			}
			s.wantClaims(a, tc.idToken, tc.userinfo)
			params = s.wantAnswer(b.get(s.authorizeURL(url.Values{"scope": {tc.scope}, "claims": {tc.claims}, "response_type": {"code id_token token"}})), "fragment", "")
			s.wantClaims(answer{JSON: map[string]any{"id_token": params.Get("id_token"), "access_token": params.Get("access_token")}}, tc.idToken, tc.userinfo)
			s.wantClaims(s.wantOK(s.redeem(params.Get("code"))), tc.idToken, tc.userinfo)
		})
	}
	t.Run("compact", func(t *testing.T) {
		a := s.on(t).wantOK(s.on(t).redeem(b.code(url.Values{"scope": {"openid"}, "claims": {`{"userinfo":{"email":null,"name":null}}`}})))
		if got := jwtPayload(t, a.Str("access_token"))["claims"]; !slices.Equal(got.([]any), []any{"email", "name"}) {
			t.Errorf("claims %v", got)
		}
		a = s.on(t).wantOK(s.on(t).redeem(b.code(nil)))
		if got, found := jwtPayload(t, a.Str("access_token"))["claims"]; found {
			t.Errorf("claims %v of a request without", got)
		}
	})
	t.Run("T14 id_token alone has the scopes and what is asked", func(t *testing.T) {
		params := s.on(t).wantAnswer(b.get(s.authorizeURL(url.Values{"scope": {"openid email"}, "response_type": {"id_token"}, "claims": {`{"id_token":{"name":null},"userinfo":{"nickname":null}}`}})), "fragment", "")
		if got := personal(jwtPayload(t, params.Get("id_token"))); !slices.Equal(got, []string{"email", "email_verified", "name"}) {
			t.Errorf("%v", got)
		}
	})
}

func TestA19ClaimsLiveOnInRefreshedTokens(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"jwt", "opaque"} {
		t.Run(format, func(t *testing.T) {
			onEveryBackend(t, func(s *server) {
				s.client(func(c *storage.Client) { c.AccessToken = format })
				s.user("ada@example.com", fullUser)
				a := s.tokens(url.Values{"scope": {"openid offline_access"}, "claims": {`{"userinfo":{"email":null},"id_token":{"name":null}}`}})
				for range 3 {
					s.wantClaims(a, []string{"name"}, []string{"email"})
					a = s.wantOK(s.refresh(a.Str("refresh_token")))
				}
				if _, err := s.Store.UpdateClient(s.Context(), "app", func(c *storage.Client) error { c.Scopes = []string{"openid", "email", "offline_access"}; return nil }); err != nil {
					s.Fatal(err)
				}
				s.eventually("the client's scopes change", func() bool {
					a = s.wantOK(s.refresh(a.Str("refresh_token")))
					return len(personal(jwtPayload(s.T, a.Str("id_token")))) == 0
				})
			})
		})
	}
}

// Row 31: a claim is had by no other way than the scope it belongs to: registered, shown, allowed, remembered.
func TestRow31ClaimsNeedConsentAndRegistration(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.Scopes = []string{"openid", "email", "phone"} })
	subject := s.user("ada@example.com", fullUser)
	b := s.browser("ada@example.com")
	b.code(url.Values{"scope": {"openid"}})
	claims := `{"userinfo":{"email":null,"name":{"essential":true}},"id_token":{"phone_number":null,"address":null}}`
	s.wantAnswer(b.get(s.authorizeURL(url.Values{"scope": {"openid"}, "claims": {claims}, "prompt": {"none"}})), "query", "consent_required")
	p := b.get(s.authorizeURL(url.Values{"scope": {"openid"}, "claims": {claims}}))
	p = b.get(s.URL + strings.TrimPrefix(p.Header.Get("Location"), s.URL))
	s.wantPage(p, http.StatusOK, "See your e-mail address", "See your phone number")
	if text := visible(t, p.Body); strings.Contains(text, "See your profile") || strings.Contains(text, "postal") {
		t.Errorf("the page offers what the client cannot have: %s", text)
	}
	a := s.wantOK(s.redeem(b.code(url.Values{"scope": {"openid"}, "claims": {claims}})))
	s.wantClaims(a, []string{"phone_number"}, []string{"email"})
	if a.Str("scope") != "openid" {
		t.Errorf("scope %q: single claims are no scope", a.Str("scope"))
	}
	consent, err := s.Store.Consent(t.Context(), subject, "app")
	if err != nil || !slices.Equal(slices.Sorted(slices.Values(consent.Scopes)), []string{"email", "openid", "phone"}) {
		t.Errorf("remembered %v, %v", consent, err)
	}
	// A18: it is remembered, for the claims and for the scope.
	s.wantAnswer(b.get(s.authorizeURL(url.Values{"scope": {"openid"}, "claims": {claims}, "prompt": {"none"}})), "query", "")
	s.wantAnswer(b.get(s.authorizeURL(url.Values{"scope": {"openid phone"}, "prompt": {"none"}})), "query", "")
	// A first-party client is not asked, and gets no more than it registered.
	s.client(func(c *storage.Client) { c.ID, c.Scopes, c.FirstParty = "own", []string{"openid", "phone"}, true })
	a = s.wantOK(s.redeem(b.code(url.Values{"client_id": {"own"}, "scope": {"openid"}, "claims": {claims}}), as("own", clientSecret)))
	s.wantClaims(a, []string{"phone_number"}, nil)
}

func TestRow31MalformedClaimsAreRefusedQuickly(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel)
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, claims := range map[string]string{
		"no JSON": "{", "array": "[]", "null": "null", "string": `"x"`, "number": "7", "trailing": "{}{}", "userinfo": `{"userinfo":[]}`, "id_token": `{"id_token":true}`,
		"claim": `{"userinfo":{"email":"yes"}}`, "essential": `{"userinfo":{"email":{"essential":"true"}}}`, "values": `{"id_token":{"email":{"values":"x"}}}`,
		"sub": `{"id_token":{"sub":{"value":7}}}`, "acr": `{"id_token":{"acr":{"values":[1]}}}`, "depth": `{"userinfo":{"x":` + deep(8000) + `}}`,
		"depth of an unknown member": `{"x":` + deep(8000), "many": `{"userinfo":{"x":0` + strings.Repeat(`,"x":0`, 2600) + `}}`,
		"unknown claim of a wrong type": `{"id_token":{"shoe_size":42}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			webtest.Quick(t, time.Second, func() { // the row's 20 ms are for a machine that does nothing else
				s.wantAnswer(b.get(s.authorizeURL(url.Values{"claims": {claims}})), "query", "invalid_request")
			})
			s.wantAnswer(b.get(s.authorizeURL(url.Values{"claims": {claims}, "response_type": {"id_token"}})), "fragment", "invalid_request")
		})
	}
	t.Run("100 KB", func(t *testing.T) {
		p := b.get(s.authorizeURL(url.Values{"claims": {`{"x":"` + strings.Repeat("a", 100<<10) + `"}`}}))
		s.on(t).wantPage(p, http.StatusBadRequest, "claims")
	})
	t.Run("as many as fit", func(t *testing.T) {
		s.on(t).wantAnswer(b.get(s.authorizeURL(url.Values{"claims": {`{"userinfo":{"email":null` + strings.Repeat(`,"x":null`, 1700) + `}}`}})), "query", "")
	})
}

// sub with a value names the user as id_token_hint does (section 5.5.1).
func TestA14SubInClaimsNamesTheUser(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	s.user("bob@example.com")
	ada := s.browser("ada@example.com")
	hint := s.wantOK(s.redeem(ada.code(nil))).Str("id_token")
	const adas, bobs = `{"value":"sub-ada-example-com"}`, `{"value":"sub-bob-example-com"}`
	for name, tc := range map[string]struct{ claims, hint, code string }{
		"the one who is signed in": {`{"id_token":{"sub":` + adas + `}}`, "", ""},
		"another":                  {`{"id_token":{"sub":` + bobs + `}}`, "", "login_required"},
		"another, in userinfo":     {`{"userinfo":{"sub":` + bobs + `}}`, "", "login_required"},
		"nobody":                   {`{"id_token":{"sub":{"value":"nobody"}}}`, "", "login_required"},
		"one of two":               {`{"id_token":{"sub":{"values":["sub-bob-example-com","sub-ada-example-com"]}}}`, "", ""},
		"no value":                 {`{"id_token":{"sub":{"essential":true}}}`, "", ""},
		"as the hint":              {`{"id_token":{"sub":` + adas + `}}`, hint, ""},
		"against the hint":         {`{"id_token":{"sub":` + bobs + `}}`, hint, "invalid_request"},
		"against each other":       {`{"id_token":{"sub":` + adas + `},"userinfo":{"sub":` + bobs + `}}`, "", "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			s.wantAnswer(ada.get(s.authorizeURL(url.Values{"claims": {tc.claims}, "id_token_hint": {tc.hint}, "prompt": {"none"}})), "query", tc.code)
		})
	}
	t.Run("signs in as that user", func(t *testing.T) {
		s := s.on(t)
		bob := s.browser("bob@example.com")
		s.wantAnswer(bob.walk(s.authorizeURL(url.Values{"claims": {`{"id_token":{"sub":` + bobs + `}}`}})), "query", "")
		ada := s.browser("ada@example.com")
		s.wantAnswer(ada.walk(s.authorizeURL(url.Values{"claims": {`{"id_token":{"sub":` + bobs + `}}`}})), "query", "login_required")
	})
}

// A pairwise client names users as it knows them, and learns nothing by the names that others have for them.
func TestA14SubInClaimsOfPairwiseClients(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel, func(c *storage.Client) { c.SubjectType, c.Sector = "pairwise", "rp.example" })
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	for _, responseType := range []string{"id_token", "code id_token token"} {
		params := s.wantAnswer(b.walk(s.authorizeURL(url.Values{"response_type": {responseType}})), "fragment", "")
		id := s.verifyID(params.Get("id_token"))
		known, sid := id["sub"].(string), id["sid"].(string)
		if known == subject || sid == "" {
			t.Fatalf("sub %q, sid %q", known, sid)
		}
		if params.Has("access_token") {
			access, u := jwtPayload(t, params.Get("access_token")), s.wantOK(s.userinfo(params.Get("access_token")))
			if second := s.verifyID(s.wantOK(s.redeem(params.Get("code"))).Str("id_token")); access["sub"] != known || access["sid"] != sid || u.Str("sub") != known || second["sub"] != known || second["sid"] != sid {
				t.Errorf("one answer, several names: %v, %v, %s, %v", id, access, u.Raw, second)
			}
		}
		for sub, code := range map[string]string{known: "", subject: "login_required", "junk": "login_required"} {
			s.wantAnswer(b.get(s.authorizeURL(url.Values{"response_type": {responseType}, "prompt": {"none"}, "claims": {`{"id_token":{"sub":{"value":"` + sub + `"}}}`}})), "fragment", code)
		}
	}
}

// Ruling 37: default_acr_values and acr_values are wishes; what is had is told.
func TestR37DefaultACRIsAWish(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.DefaultACR, c.RequireAuthTime = []string{"2"}, true })
	s.user("ada@example.com")
	id := jwtPayload(t, s.tokens(url.Values{"acr_values": {"3 2"}}).Str("id_token"))
	if id["acr"] != "1" || id["auth_time"] == nil {
		t.Errorf("%v", id)
	}
}

// A token for another API does not carry what only userinfo can use.
func TestClaimsAreForUserinfoOnly(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) { o.Resources = []oauth.Resource{{URI: filesAPI}} })
	s.client(func(c *storage.Client) { c.Audience = []string{filesAPI} })
	s.user("ada@example.com")
	a := s.tokens(url.Values{"resource": {filesAPI}, "claims": {`{"userinfo":{"email":null}}`}})
	if got, found := jwtPayload(t, a.Str("access_token"))["claims"]; found {
		t.Errorf("claims %v", got)
	}
}
