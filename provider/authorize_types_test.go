package provider_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"gatehouse/provider"
	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// The response types of the front channel: OpenID Connect Core sections 3.2 and 3.3.

// everything enables all that configuration can enable of the authorization endpoint.
func everything(o *provider.Options) {
	o.ResponseTypes, o.UnsignedRequestObjects, o.UnsignedIDTokens, o.SessionManagement = grant.ResponseTypes(), true, true, true
}

// frontChannel makes a client one that may use every response type.
func frontChannel(c *storage.Client) {
	c.Profile, c.ResponseTypes, c.GrantTypes = "compatible", grant.ResponseTypes(), []string{"authorization_code", "implicit", "refresh_token"}
}

// answered returns how an answer reached the client at callback, and its parameters. A second way beside the first is an error.
func (s *server) answered(p page) (mode string, params url.Values) {
	s.Helper()
	if p.StatusCode == http.StatusOK {
		action, params := s.posted(p)
		if action != callback {
			s.Errorf("posts to %s", action)
		}
		return "form_post", params
	}
	location := p.Header.Get("Location")
	rest, ok := strings.CutPrefix(location, callback)
	if !ok || p.StatusCode != http.StatusSeeOther || rest == "" {
		s.Fatalf("no answer to the client: %d %q %s", p.StatusCode, location, cut(p.Body))
	}
	mode = map[byte]string{'?': "query", '#': "fragment"}[rest[0]]
	if strings.ContainsAny(rest[1:], "?#") || mode == "fragment" && strings.Contains(rest, "+") {
		s.Errorf("%s mixes query and fragment, or spells a space so that scripts misread it", location)
	}
	params, err := url.ParseQuery(rest[1:])
	if err != nil {
		s.Fatal(err)
	}
	return mode, params
}

// wantAnswer demands a mode and an error; an empty code demands success.
func (s *server) wantAnswer(p page, mode, code string) url.Values {
	s.Helper()
	got, params := s.answered(p)
	if got != mode {
		s.Errorf("A10: the answer comes by %s, want %s: %v", got, mode, params)
	}
	if code != "" {
		s.wantErrorParams(params, code, "af0ifjsldkj")
	} else if params.Has("error") {
		s.Errorf("%s: %s", params.Get("error"), params.Get("error_description"))
	}
	return params
}

// half is the left half of a hash in base64url (OpenID Connect Core section 3.3.2.11), computed apart from the server.
func half(alg, value string) string {
	if alg == "EdDSA" {
		sum := sha512.Sum512([]byte(value))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// wantHashes demands at_hash, c_hash and s_hash of what is there, and none of what is not.
func (s *server) wantHashes(id map[string]any, alg string, of map[string]string) {
	s.Helper()
	for name, value := range of {
		got, found := id[name]
		if value == "" && found || value != "" && got != half(alg, value) {
			s.Errorf("A27: %s is %v, want that of %q", name, got, value)
		}
	}
}

const frontNonce = "n-0S6_WzA2Mj"

// frontMembers are the parameters of each response type, beside state and iss.
var frontMembers = map[string][]string{
	"code": {"code"}, "id_token": {"id_token"}, "id_token token": {"access_token", "expires_in", "id_token", "scope", "token_type"},
	"code id_token": {"code", "id_token"}, "code token": {"access_token", "code", "expires_in", "scope", "token_type"},
	"code id_token token": {"access_token", "code", "expires_in", "id_token", "scope", "token_type"},
}

// A10, A12, A27, T14, T15: every response type, in every order of its words, by every mode it can have.
func TestA10A27EveryResponseType(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256", "PS256", "EdDSA"} {
		s := start(t, "memory", everything, func(o *provider.Options) { o.Keys.Algorithms = []string{"RS256", "ES256", "PS256", "EdDSA"} })
		s.client(frontChannel, func(c *storage.Client) { c.IDTokenAlg = alg })
		s.user("ada@example.com", fullUser)
		b := s.browser("ada@example.com")
		b.code(nil)
		for _, responseType := range grant.ResponseTypes() {
			words := strings.Split(responseType, " ")
			slices.Reverse(words)
			for _, mode := range []string{"", "fragment", "form_post"} {
				t.Run(alg+" "+responseType+" "+mode, func(t *testing.T) {
					s, want := s.on(t), mode
					switch {
					case mode == "" && responseType == "code":
						want = "query"
					case mode == "":
						want = "fragment"
					}
					for _, sent := range []string{responseType, strings.Join(words, " ")} {
						params := s.wantAnswer(b.get(s.authorizeURL(url.Values{"response_type": {sent}, "response_mode": {mode}, "prompt": {"none"}})), want, "")
						s.checkFrontAnswer(responseType, alg, params)
					}
				})
			}
		}
	}
}

// checkFrontAnswer verifies one successful answer with everything in it.
func (s *server) checkFrontAnswer(responseType, alg string, params url.Values) {
	s.Helper()
	want := append(slices.Clone(frontMembers[responseType]), "iss", "session_state", "state")
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(params)); !slices.Equal(got, want) {
		s.Fatalf("members %v, want %v", got, want)
	}
	if params.Get("iss") != s.URL || params.Get("state") != "af0ifjsldkj" {
		s.Errorf("A6, A7: iss %q, state %q", params.Get("iss"), params.Get("state"))
	}
	alone := responseType == "id_token"
	if raw := params.Get("id_token"); raw != "" {
		id := s.verifyID(raw)
		s.wantHashes(id, alg, map[string]string{"at_hash": params.Get("access_token"), "c_hash": params.Get("code"), "s_hash": "af0ifjsldkj"})
		s.wantSignIn(id)
		if _, found := id["email"]; found != alone {
			s.Errorf("T14: email in the ID token is %v, alone %v", id["email"], alone)
		}
		if _, found := id["name"]; found != alone {
			s.Errorf("T14: name in the ID token is %v, alone %v", id["name"], alone)
		}
	}
	access := params.Get("access_token")
	if access != "" {
		if params.Get("token_type") != "Bearer" || params.Get("expires_in") != "600" || !strings.HasPrefix(params.Get("scope"), "openid profile email") {
			s.Errorf("token_type %q, expires_in %q, scope %q", params.Get("token_type"), params.Get("expires_in"), params.Get("scope"))
		}
		if u := s.wantOK(s.userinfo(access)); u.Str("sub") != "sub-ada-example-com" || u.Str("email") != "ada@example.com" {
			s.Errorf("userinfo: %s", u.Raw)
		}
	}
	if params.Get("code") == "" {
		return
	}
	a := s.wantOK(s.redeem(params.Get("code")))
	second := s.verifyID(a.Str("id_token"))
	s.wantHashes(second, alg, map[string]string{"at_hash": a.Str("access_token"), "c_hash": ""})
	s.wantSignIn(second)
	if _, found := second["email"]; found {
		s.Error("T14: the ID token of the token endpoint has an email")
	}
	if access != "" {
		if one, two := jwtPayload(s.T, access)["gid"], jwtPayload(s.T, a.Str("access_token"))["gid"]; one != two {
			s.Errorf("one answer, two grants: %v and %v", one, two)
		}
		// T5: all that came of the authorization dies when its code comes back.
		s.wantError(s.redeem(params.Get("code")), http.StatusBadRequest, "invalid_grant")
		if got := s.userinfo(access); got.Status != http.StatusUnauthorized {
			s.Errorf("the access token of the front channel survives the replay of its code: %d %s", got.Status, got.Raw)
		}
	}
}

// verifyID verifies an ID token as a relying party does.
func (s *server) verifyID(raw string) map[string]any {
	s.Helper()
	p, err := gooidc.NewProvider(s.Context(), s.URL)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := p.Verifier(&gooidc.Config{ClientID: "app", Now: s.Clock.Now}).Verify(s.Context(), raw); err != nil {
		s.Fatalf("%v: %s", err, raw)
	}
	return jwtPayload(s.T, raw)
}

// wantSignIn demands what an ID token says of the sign-in (T13, T15).
func (s *server) wantSignIn(id map[string]any) {
	s.Helper()
	sid, _ := id["sid"].(string)
	at, _ := id["auth_time"].(float64)
	if id["sub"] != "sub-ada-example-com" || id["iss"] != s.URL || id["nonce"] != frontNonce || sid == "" || id["acr"] != "1" || s.Clock.Now().Sub(time.Unix(int64(at), 0)).Abs() > time.Hour {
		s.Errorf("T13, T15: %v", id)
	}
}

// A5, A10, A12, row 14: where errors go. The client may use every response type.
func TestA5A10A12ErrorsOfTheFrontChannel(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel)
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	for name, tc := range map[string]struct {
		values     url.Values
		mode, code string
	}{
		"A5 missing":                       {url.Values{"response_type": {""}}, "query", "invalid_request"},
		"A5 missing, form_post":            {url.Values{"response_type": {""}, "response_mode": {"form_post"}}, "form_post", "invalid_request"},
		"A10 token alone":                  {url.Values{"response_type": {"token"}}, "query", "unsupported_response_type"},
		"A10 unknown":                      {url.Values{"response_type": {"jam"}}, "query", "unsupported_response_type"},
		"A10 unknown, form_post":           {url.Values{"response_type": {"jam"}, "response_mode": {"form_post"}}, "form_post", "unsupported_response_type"},
		"A10 none":                         {url.Values{"response_type": {"none"}}, "query", "unsupported_response_type"},
		"a word twice":                     {url.Values{"response_type": {"id_token id_token"}}, "query", "unsupported_response_type"},
		"another case":                     {url.Values{"response_type": {"ID_TOKEN"}}, "query", "unsupported_response_type"},
		"row 14 query for id_token":        {url.Values{"response_type": {"id_token"}, "response_mode": {"query"}}, "fragment", "invalid_request"},
		"row 14 query for code token":      {url.Values{"response_type": {"code token"}, "response_mode": {"query"}}, "fragment", "invalid_request"},
		"row 14 unknown mode":              {url.Values{"response_type": {"code id_token"}, "response_mode": {"web_message"}}, "fragment", "invalid_request"},
		"row 14 unknown mode, code":        {url.Values{"response_mode": {"web_message"}}, "query", "invalid_request"},
		"A12 id_token without nonce":       {url.Values{"response_type": {"id_token"}, "nonce": {""}}, "fragment", "invalid_request"},
		"A12 id_token token":               {url.Values{"response_type": {"id_token token"}, "nonce": {""}}, "fragment", "invalid_request"},
		"A12 code id_token":                {url.Values{"response_type": {"code id_token"}, "nonce": {""}}, "fragment", "invalid_request"},
		"A12 code id_token token, post":    {url.Values{"response_type": {"code id_token token"}, "nonce": {""}, "response_mode": {"form_post"}}, "form_post", "invalid_request"},
		"A12 code token needs none":        {url.Values{"response_type": {"code token"}, "nonce": {""}}, "fragment", ""},
		"A12 code needs none":              {url.Values{"nonce": {""}}, "query", ""},
		"A10 code by fragment":             {url.Values{"response_mode": {"fragment"}}, "fragment", ""},
		"A10 error of code by fragment":    {url.Values{"response_mode": {"fragment"}, "scope": {"jam"}}, "fragment", "invalid_scope"},
		"A10 bad scope":                    {url.Values{"response_type": {"id_token"}, "scope": {"openid jam"}}, "fragment", "invalid_scope"},
		"id_token without openid":          {url.Values{"response_type": {"id_token"}, "scope": {"email"}}, "fragment", "invalid_scope"},
		"A10 bad prompt":                   {url.Values{"response_type": {"code token"}, "prompt": {"sing"}}, "fragment", "invalid_request"},
		"A10 prompt create":                {url.Values{"response_type": {"code id_token"}, "prompt": {"create"}}, "fragment", "invalid_request"},
		"A10 bad hint":                     {url.Values{"response_type": {"id_token"}, "id_token_hint": {"x"}}, "fragment", "invalid_request"},
		"A23 a malformed challenge counts": {url.Values{"response_type": {"code id_token"}, "code_challenge": {"x"}}, "fragment", "invalid_request"},
		"A23 PKCE without a code":          {url.Values{"response_type": {"id_token"}, "code_challenge": {"x"}}, "fragment", ""},
		"A23 no PKCE":                      {url.Values{"response_type": {"code id_token"}, "code_challenge": {""}, "code_challenge_method": {""}}, "fragment", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s.on(t).wantAnswer(b.get(s.authorizeURL(tc.values)), tc.mode, tc.code)
		})
	}
	t.Run("A13 no session", func(t *testing.T) {
		for _, responseType := range grant.ResponseTypes()[1:] {
			s.on(t).wantAnswer(s.opened(url.Values{"response_type": {responseType}, "prompt": {"none"}}), "fragment", "login_required")
		}
	})
	t.Run("A24 denied", func(t *testing.T) {
		denies := s.browser("ada@example.com")
		denies.Deny = true
		s.on(t).wantAnswer(denies.walk(s.authorizeURL(url.Values{"response_type": {"code id_token"}, "prompt": {"consent"}})), "fragment", "access_denied")
	})
	t.Run("row 9 repeated", func(t *testing.T) {
		s.on(t).wantAnswer(b.get(s.raw(url.Values{"response_type": {"id_token"}}, "scope=openid")), "fragment", "invalid_request")
		s.on(t).wantAnswer(b.get(s.raw(url.Values{"response_type": {"id_token"}}, "response_type=code")), "query", "invalid_request")
		s.on(t).wantAnswer(b.get(s.raw(url.Values{"response_type": {"id_token"}, "response_mode": {"form_post"}}, "response_mode=query")), "fragment", "invalid_request")
	})
}

// Nothing that a strict client sees gets looser because the server has every option on, and its errors say what to do.
func TestRow14StrictClientsGetCodesOnly(t *testing.T) {
	s := start(t, "memory", everything)
	s.client()
	// The profile binds, whatever the registration came to say.
	s.client(frontChannel, func(c *storage.Client) { c.ID, c.Profile = "odd", "strict" })
	s.client(func(c *storage.Client) { c.ID, c.Profile = "plain", "compatible" })
	s.client(frontChannel, func(c *storage.Client) {
		c.ID, c.ResponseTypes, c.GrantTypes = "implicit", []string{"id_token"}, []string{"authorization_code"}
	})
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	for _, id := range []string{"app", "odd", "plain"} {
		b.code(url.Values{"client_id": {id}})
		for _, responseType := range grant.ResponseTypes()[1:] {
			t.Run(id+" "+responseType, func(t *testing.T) {
				s := s.on(t)
				params := s.wantAnswer(b.get(s.authorizeURL(url.Values{"response_type": {responseType}, "client_id": {id}})), "query", "unauthorized_client")
				if text := params.Get("error_description"); id != "plain" && !(strings.Contains(text, "strict") && strings.Contains(text, "compatible")) || !strings.Contains(text, responseType) {
					t.Errorf("the error %q does not say what to do", text)
				}
				s.wantAnswer(b.get(s.authorizeURL(url.Values{"response_type": {responseType}, "client_id": {id}, "response_mode": {"form_post"}})), "form_post", "unauthorized_client")
			})
		}
		t.Run(id+" modes", func(t *testing.T) {
			s := s.on(t)
			s.wantAnswer(b.get(s.authorizeURL(url.Values{"response_mode": {"fragment"}, "client_id": {id}})), "query", "invalid_request")
			s.wantAnswer(b.get(s.authorizeURL(url.Values{"response_mode": {"fragment"}, "response_type": {"id_token"}, "client_id": {id}})), "query", "invalid_request")
			if id != "plain" {
				s.wantAnswer(b.get(s.authorizeURL(url.Values{"code_challenge": {""}, "client_id": {id}})), "query", "invalid_request")
			}
		})
	}
	t.Run("without the grant", func(t *testing.T) {
		s.on(t).wantAnswer(b.get(s.authorizeURL(url.Values{"response_type": {"id_token"}, "client_id": {"implicit"}})), "fragment", "unauthorized_client")
	})
}

// What configuration has not enabled does not exist, whatever a client registered.
func TestResponseTypesAreOffByDefault(t *testing.T) {
	s := start(t, "memory")
	s.client(frontChannel)
	s.user("ada@example.com")
	for _, responseType := range grant.ResponseTypes()[1:] {
		s.wantAnswer(s.opened(url.Values{"response_type": {responseType}}), "fragment", "unsupported_response_type")
	}
	d := s.wantOK(s.fetch(s.URL + "/.well-known/openid-configuration"))
	if modes := d.list("response_modes_supported"); slices.Contains(modes, "fragment") {
		t.Errorf("D4: %v", modes)
	}
}

func TestD4D5FrontChannelIsInTheDocument(t *testing.T) {
	s := start(t, "memory", everything)
	d := s.wantOK(s.fetch(s.URL + "/.well-known/openid-configuration"))
	for name, want := range map[string][]string{
		"response_types_supported": grant.ResponseTypes(), "response_modes_supported": {"query", "form_post", "fragment"},
		"grant_types_supported": {"authorization_code", "refresh_token", "client_credentials", "implicit"}, "prompt_values_supported": {"none", "login", "consent", "select_account"},
	} {
		if got := d.list(name); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// A public client keeps its need of PKCE where there is a code, and its loopback redirect is asked about every time.
func TestRow41PublicClientsOfTheFrontChannelNeedPKCE(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel, func(c *storage.Client) { c.AuthMethod = "none" })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	s.wantAnswer(b.walk(s.authorizeURL(url.Values{"response_type": {"code id_token"}, "code_challenge": {""}, "code_challenge_method": {""}})), "fragment", "invalid_request")
	s.wantAnswer(b.walk(s.authorizeURL(url.Values{"response_type": {"id_token token"}, "code_challenge": {""}, "code_challenge_method": {""}})), "fragment", "")
}

// OIDC Core section 11: without a code there is no refresh token, so offline_access is ignored: neither asked about, nor granted, nor remembered.
func TestOfflineAccessNeedsACode(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel)
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	params := s.wantAnswer(b.walk(s.authorizeURL(url.Values{"response_type": {"id_token token"}, "scope": {"openid offline_access"}})), "fragment", "")
	if params.Get("scope") != "openid" || params.Has("refresh_token") || !slices.Contains(b.Pages, "consent") {
		t.Errorf("%v after %v", params, b.Pages)
	}
	consent, err := s.Store.Consent(t.Context(), subject, "app")
	if err != nil || !slices.Equal(consent.Scopes, []string{"openid"}) {
		t.Errorf("%v %v", consent, err)
	}
	s.wantAnswer(b.get(s.authorizeURL(url.Values{"response_type": {"code token"}, "scope": {"openid offline_access"}, "prompt": {"none"}})), "fragment", "consent_required")
}

// Opaque access tokens have a row, and die with the session as all others do.
func TestR34OpaqueTokensOfTheFrontChannel(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client(frontChannel, func(c *storage.Client) { c.AccessToken = "opaque" })
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		for _, responseType := range []string{"id_token token", "code id_token token"} {
			params := s.wantAnswer(b.walk(s.authorizeURL(url.Values{"response_type": {responseType}, "scope": {"openid email"}})), "fragment", "")
			access := params.Get("access_token")
			if !strings.HasPrefix(access, "gth_at_") {
				s.Fatalf("%v", params)
			}
			id := jwtPayload(s.T, params.Get("id_token"))
			s.wantHashes(id, "RS256", map[string]string{"at_hash": access, "c_hash": params.Get("code")})
			s.wantOK(s.userinfo(access))
			s.noSecrets(access, params.Get("code"), params.Get("id_token"))
			if err := s.Store.EndSession(s.Context(), id["sid"].(string)); err != nil {
				s.Fatal(err)
			}
			s.eventually("the token dies with its session", func() bool { return s.userinfo(access).Status == http.StatusUnauthorized })
			if params.Has("code") {
				s.wantError(s.redeem(params.Get("code")), http.StatusBadRequest, "invalid_grant")
			}
		}
	}, everything)
}

// JWTs of the front channel die with session, user and client as those of the token endpoint do.
func TestRow59FrontChannelTokensAreRevoked(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel)
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	ask := func() string {
		p := b.walk(s.authorizeURL(url.Values{"response_type": {"id_token token"}}))
		return s.wantAnswer(p, "fragment", "").Get("access_token")
	}
	for name, revocation := range map[string]storage.Revocation{
		"subject": {Kind: storage.RevokeSubject, ID: subject}, "client": {Kind: storage.RevokeClient, ID: "app"},
		"subject and client": {Kind: storage.RevokeSubjectClient, ID: storage.SubjectClient(subject, "app")},
	} {
		token := ask()
		s.wantOK(s.userinfo(token))
		s.Clock.Advance(time.Millisecond)
		if _, err := s.Store.RevokeTokens(t.Context(), revocation); err != nil {
			t.Fatal(err)
		}
		s.eventually("revocation by "+name, func() bool { return s.userinfo(token).Status == http.StatusUnauthorized })
	}
	token := ask()
	if a := s.post("/oauth2/revoke", url.Values{"token": {token}}); a.Status != http.StatusOK {
		t.Fatal(a.Raw)
	}
	if got := s.introspect(token); got.JSON["active"] != false {
		t.Errorf("revoked, and %s", got.Raw)
	}
}

// Row 13: values of the front channel are inert on the form_post page, and everything comes back as it went in the fragment.
func TestA6Row13HostileStateInTheFrontChannel(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel)
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	for name, state := range hostileValues {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			for _, mode := range []string{"fragment", "form_post"} {
				got, params := s.answered(b.get(s.authorizeURL(url.Values{"response_type": {"code id_token token"}, "response_mode": {mode}, "state": {state}, "nonce": {state}})))
				id := jwtPayload(t, params.Get("id_token"))
				if got != mode || params.Get("state") != state || id["nonce"] != state || id["s_hash"] != half("RS256", state) {
					t.Errorf("%s: state %q, nonce %q", got, params.Get("state"), id["nonce"])
				}
			}
		})
	}
	params := s.wantAnswer(b.get(s.authorizeURL(url.Values{"response_type": {"id_token"}, "state": {"x"}})), "fragment", "")
	if params.Get("state") != "x" {
		t.Error(params)
	}
	_, params = s.answered(b.get(s.authorizeURL(url.Values{"response_type": {"id_token"}, "state": {""}})))
	if _, found := jwtPayload(t, params.Get("id_token"))["s_hash"]; found || params.Has("state") {
		t.Error("s_hash of no state")
	}
}

// A4: the query of a registered URI is kept where the answer is in the fragment.
func TestA4QueryOfTheURIAndFragment(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel, func(c *storage.Client) { c.RedirectURIs = []string{callback + "?tenant=7"} })
	s.user("ada@example.com")
	p := s.browser("ada@example.com").walk(s.authorizeURL(url.Values{"response_type": {"id_token"}, "redirect_uri": {callback + "?tenant=7"}}))
	if location := p.Header.Get("Location"); !strings.HasPrefix(location, callback+"?tenant=7#") {
		t.Errorf("sent to %q", location)
	}
}

// Row 12, ruling 21: tokens are never posted to an app's own scheme.
func TestRow12FormPostOfTokensNeedsHTTPS(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel, func(c *storage.Client) { c.RedirectURIs = []string{"com.example.app:/cb"} })
	p := s.opened(url.Values{"response_type": {"id_token"}, "response_mode": {"form_post"}, "redirect_uri": {"com.example.app:/cb"}})
	location, ok := strings.CutPrefix(p.Header.Get("Location"), "com.example.app:/cb#")
	params, _ := url.ParseQuery(location)
	if !ok || params.Get("error") != "invalid_request" {
		t.Errorf("%d %q", p.StatusCode, p.Header.Get("Location"))
	}
}
