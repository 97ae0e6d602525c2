package provider_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/storage"
)

// Request objects: lines A20 to A22 and trap 4 of the conformance list, rows 75 to 81 of the attack list, RFC 9101.

// object makes a good request object of client "app"; changes alter header and claims first.
func (k *assertionKeys) object(s *server, changes ...func(head, claims members)) string {
	s.Helper()
	return k.sign(s, "app", append([]func(head, claims members){func(head, claims members) {
		head["typ"] = "oauth-authz-req+jwt"
		claims["sub"], claims["jti"] = nil, nil
		claims["client_id"], claims["redirect_uri"], claims["response_type"], claims["scope"] = "app", callback, "code", "openid email"
		claims["state"], claims["nonce"], claims["code_challenge"], claims["code_challenge_method"] = "inner-state", "inner-nonce", challenge, "S256"
	}}, changes...)...)
}

// unsigned makes an object with alg none.
func (k *assertionKeys) unsigned(s *server, changes ...func(head, claims members)) string {
	s.Helper()
	parts := strings.Split(k.object(s, changes...), ".")
	return b64(`{"alg":"none"}`) + "." + parts[1] + "."
}

// claim sets a claim.
func claim(name string, value any) func(head, claims members) {
	return func(_, claims members) { claims[name] = value }
}

// objectServer has a client "app" whose request objects these keys verify.
func objectServer(t *testing.T, change func(*storage.Client), changes ...func(*provider.Options)) (*server, *assertionKeys) {
	t.Helper()
	s, k := start(t, "memory", append([]func(*provider.Options){quickKeys}, changes...)...), newAssertionKeys(t)
	s.client(func(c *storage.Client) {
		c.JWKS, c.FirstParty = k.jwks(), true
		if change != nil {
			change(c)
		}
	})
	s.user("ada@example.com")
	return s, k
}

// withObject is an authorization request of nothing but client_id and an object; values are added outside of it.
func (s *server) withObject(object string, outer url.Values) string {
	values := url.Values{"client_id": {"app"}, "request": {object}}
	for name, value := range outer {
		values[name] = value
	}
	return s.URL + "/oauth2/authorize?" + values.Encode()
}

func (s *server) sent(p page) url.Values {
	s.Helper()
	return s.sentTo(p, callback)
}

func TestA20OnlyTheObjectCounts(t *testing.T) {
	s, k := objectServer(t, nil)
	b := s.browser("ada@example.com")
	outer := url.Values{
		"redirect_uri": {"https://evil.example/cb"}, "state": {"outer"}, "nonce": {"outer"}, "scope": {"openid address phone"}, "response_type": {"code"}, "prompt": {"none"},
		"max_age": {"0"}, "code_challenge": {"outer"}, "claims": {"{"}, "resource": {"https://nowhere.example"}, "acr_values": {"9"}, "response_mode": {"form_post"},
	}
	params := s.sent(b.walk(s.withObject(k.object(s), outer)))
	tokens := s.redeem(s.wantCode(params, "inner-state"))
	if tokens.Status != http.StatusOK || tokens.Str("scope") != "openid email" {
		t.Fatalf("row 77: %d %s", tokens.Status, tokens.Raw)
	}
	if id := jwtPayload(t, tokens.Str("id_token")); id["nonce"] != "inner-nonce" {
		t.Errorf("nonce %v", id["nonce"])
	}
	// The way through the login page did not change what counts, nor does one without it.
	if params := s.sent(b.get(s.withObject(k.object(s), outer))); params.Get("state") != "inner-state" || params.Get("code") == "" {
		t.Errorf("second request: %v", params)
	}
}

func TestA20ObjectByPOST(t *testing.T) {
	s, k := objectServer(t, nil)
	b := s.browser("ada@example.com")
	b.get(s.URL + "/login")
	p := b.post(s.URL+"/oauth2/authorize", url.Values{"client_id": {"app"}, "request": {k.object(s)}})
	target, _ := p.Request.URL.Parse(p.Header.Get("Location"))
	if params := s.sent(b.walk(target.String())); params.Get("code") == "" || params.Get("state") != "inner-state" {
		t.Errorf("%v", params)
	}
}

func TestRow77WhatIsMissingInsideIsMissing(t *testing.T) {
	s, k := objectServer(t, nil)
	for name, code := range map[string]string{"scope": "invalid_scope", "response_type": "invalid_request", "code_challenge": "invalid_request"} {
		outer := url.Values{name: {map[string]string{"scope": "openid", "code_challenge": challenge}[name]}}
		if name == "response_type" {
			outer = nil // beside an object without one it would differ
		}
		params := s.sent(s.browser("").get(s.withObject(k.object(s, claim(name, nil)), outer)))
		s.wantErrorParams(params, code, "inner-state")
	}
	p := s.browser("").get(s.withObject(k.object(s, claim("redirect_uri", nil)), url.Values{"redirect_uri": {callback}}))
	s.wantPage(p, http.StatusBadRequest, "redirect_uri")
}

func TestRow77IdentitiesInsideMustBeThoseOutside(t *testing.T) {
	s, k := objectServer(t, nil)
	s.client(func(c *storage.Client) { c.ID = "other" })
	for name, change := range map[string]func(head, claims members){
		"client_id of another client": claim("client_id", "other"), "iss of another client": claim("iss", "other"), "aud of another server": claim("aud", "https://other.example"),
		"sub of a client assertion": claim("sub", "app"), "request inside": claim("request", "x"), "request_uri inside": claim("request_uri", "https://rp.example/o"),
		"aud list without this server": claim("aud", []string{"https://other.example"}), "expired": claim("exp", 1000), "exp as text": claim("exp", "soon"),
		"iat ahead": claim("iat", s.Clock.Now().Unix()+600), "nbf ahead": claim("nbf", s.Clock.Now().Unix()+600),
		"lives for days": claim("exp", s.Clock.Now().Unix()+200_000), "typ of an access token": func(head, _ members) { head["typ"] = "at+jwt" },
		"a key in the header": func(head, _ members) { head["jku"] = "https://evil.example" }, "crit": func(head, _ members) { head["crit"] = []string{"x"} },
	} {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			object := k.object(s, change)
			s.wantPage(s.browser("").get(s.withObject(object, nil)), http.StatusBadRequest, "invalid_request_object")
			// If the client's own redirect URI stands beside the object, the client hears of it; nobody else ever does.
			params := s.sent(s.browser("").get(s.withObject(object, url.Values{"redirect_uri": {callback}, "state": {"outer"}})))
			s.wantErrorParams(params, "invalid_request_object", "outer")
			s.wantPage(s.browser("").get(s.withObject(object, url.Values{"redirect_uri": {"https://evil.example/cb"}})), http.StatusBadRequest, "invalid_request_object")
		})
	}
	null := k.signRaw(s, `{"alg":"ES256","kid":"ec"}`, `{"client_id":"app","redirect_uri":"`+callback+`","state":null}`)
	s.wantPage(s.browser("").get(s.withObject(null, nil)), http.StatusBadRequest, "invalid_request_object", "state")
	// The issuer among several audiences is enough, and iss, aud, exp, typ may all be absent (A22).
	for name, change := range map[string]func(head, claims members){
		"aud list": claim("aud", []string{"https://other.example", s.URL}), "bare": func(head, claims members) {
			head["typ"], claims["iss"], claims["aud"], claims["exp"], claims["iat"] = nil, nil, nil, nil, nil
		}, "client_id only outside": claim("client_id", nil), "typ as media type": func(head, _ members) { head["typ"] = "application/oauth-authz-req+jwt" },
	} {
		if params := s.sent(s.browser("ada@example.com").walk(s.withObject(k.object(s, change), nil))); params.Get("code") == "" {
			t.Errorf("%s: %v", name, params)
		}
	}
}

func TestResponseTypeBesideTheObjectMustNotDiffer(t *testing.T) {
	s, k := objectServer(t, nil)
	params := s.sent(s.browser("").get(s.withObject(k.object(s), url.Values{"response_type": {"id_token"}, "redirect_uri": {callback}, "state": {"outer"}})))
	if params.Get("error") != "invalid_request" || !strings.Contains(params.Get("error_description"), "response_type") {
		t.Errorf("%v", params)
	}
}

func TestRow78TypesInTheObjectKeepTheirMeaning(t *testing.T) {
	s, k := objectServer(t, nil)
	b := s.browser("ada@example.com")
	s.sent(b.walk(s.withObject(k.object(s), nil)))
	s.Clock.Advance(2 * time.Minute)
	b.Pages = nil
	if params := s.sent(b.walk(s.withObject(k.object(s, claim("max_age", 300)), nil))); params.Get("code") == "" || len(b.Pages) != 0 {
		t.Errorf("max_age 300: %v %v", params, b.Pages)
	}
	if params := s.sent(b.walk(s.withObject(k.object(s, claim("max_age", 60)), nil))); params.Get("code") == "" || len(b.Pages) != 1 {
		t.Errorf("max_age 60 was not enforced: %v %v", params, b.Pages)
	}
	essential := map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": true, "values": []string{"9"}}}}
	s.wantErrorParams(s.sent(b.get(s.withObject(k.object(s, claim("claims", essential)), nil))), "unmet_authentication_requirements", "inner-state")
	for name, change := range map[string]func(head, claims members){"max_age a list": claim("max_age", []int{1}), "max_age a fraction": claim("max_age", 1.5), "max_age below zero": claim("max_age", -1)} {
		if params := s.sent(b.get(s.withObject(k.object(s, change), nil))); params.Get("error") != "invalid_request" {
			t.Errorf("%s: %v", name, params)
		}
	}
	if params := s.sent(b.get(s.withObject(k.object(s, claim("scope", []string{"openid"})), nil))); params.Get("error") != "invalid_scope" {
		t.Errorf("scope as a list: %v", params)
	}
	// Unknown members mean nothing, whatever they are (A2).
	if params := s.sent(b.get(s.withObject(k.object(s, claim("unknown", map[string]any{"a": []int{1}}), claim("flag", true)), nil))); params.Get("code") == "" {
		t.Errorf("unknown members: %v", params)
	}
}

func TestRow75UnsignedObjectsNeedEveryPermission(t *testing.T) {
	allow := func(o *provider.Options) { o.UnsignedRequestObjects = true }
	compatible := func(c *storage.Client) { c.Profile, c.RequestObjectAlg = "compatible", "none" }
	for name, tc := range map[string]struct {
		client  func(*storage.Client)
		options []func(*provider.Options)
		ok      bool
	}{
		"everything allows it":        {compatible, []func(*provider.Options){allow}, true},
		"configuration forbids it":    {compatible, nil, false},
		"profile forbids it":          {func(c *storage.Client) { compatible(c); c.Profile = "strict" }, []func(*provider.Options){allow}, false},
		"client registered no alg":    {func(c *storage.Client) { compatible(c); c.RequestObjectAlg = "" }, []func(*provider.Options){allow}, true},
		"strict without alg":          {func(c *storage.Client) { c.RequestObjectAlg = "" }, []func(*provider.Options){allow}, false},
		"client registered another":   {func(c *storage.Client) { compatible(c); c.RequestObjectAlg = "ES256" }, []func(*provider.Options){allow}, false},
		"client must sign (RFC 9101)": {func(c *storage.Client) { compatible(c); c.RequireSignedRequestObject = true }, []func(*provider.Options){allow}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, k := objectServer(t, tc.client, tc.options...)
			params := s.sent(s.browser("ada@example.com").walk(s.withObject(k.unsigned(s), url.Values{"redirect_uri": {callback}})))
			if got := params.Get("error"); tc.ok != (got == "") || !tc.ok && got != "invalid_request_object" {
				t.Errorf("%v", params)
			}
			if name != "everything allows it" {
				return
			}
			// Not every spelling is one without a signature, and who registered none signs nothing.
			for _, object := range []string{k.unsigned(s) + "AAAA", strings.TrimSuffix(k.unsigned(s), "."), k.object(s)} {
				if params := s.sent(s.browser("").get(s.withObject(object, url.Values{"redirect_uri": {callback}}))); params.Get("error") != "invalid_request_object" {
					t.Errorf("%.30s: %v", object, params)
				}
			}
		})
	}
}

func TestA22ObjectsAreVerifiedWithTheClientsKeys(t *testing.T) {
	s, k := objectServer(t, func(c *storage.Client) { c.RequestObjectAlg = "RS256" })
	rs256 := func(head, _ members) { head["alg"], head["kid"] = "RS256", "rsa" }
	if params := s.sent(s.browser("ada@example.com").walk(s.withObject(k.object(s, rs256), nil))); params.Get("code") == "" {
		t.Errorf("RS256: %v", params)
	}
	good := strings.Split(k.object(s, rs256), ".")
	other := strings.Split(k.object(s, rs256, claim("scope", "openid phone")), ".")
	for name, object := range map[string]string{
		"another registered key, another alg": k.object(s), "payload of another": good[0] + "." + other[1] + "." + good[2], "no signature": good[0] + "." + good[1] + ".", "text": "text",
		"encrypted": "a.b.c.d.e", "HS256 with the public key": hs256(k, good[1], k.jwks()), "NoNe": b64(`{"alg":"NoNe"}`) + "." + good[1] + ".",
		"a client assertion": k.sign(s, "app", rs256), "members twice": k.signRaw(s, `{"alg":"RS256","kid":"rsa"}`, `{"client_id":"app","state":"a","state":"b"}`), "no object": k.signRaw(s, `{"alg":"RS256","kid":"rsa"}`, `[]`),
	} {
		params := s.sent(s.browser("").get(s.withObject(object, url.Values{"redirect_uri": {callback}, "state": {"outer"}})))
		if params.Get("error") != "invalid_request_object" {
			t.Errorf("%s: %v", name, params)
		}
		s.wantErrorParams(params, "invalid_request_object", "outer")
	}
}

func TestRow80RequestAndRequestURIExcludeEachOther(t *testing.T) {
	s, k := objectServer(t, nil)
	p := s.browser("").get(s.withObject(k.object(s), url.Values{"request_uri": {"https://rp.example/o"}}))
	s.wantPage(p, http.StatusBadRequest, "exclude each other")
	p = s.browser("").get(s.withObject(k.object(s), nil) + "&request=again")
	s.wantPage(p, http.StatusBadRequest, "repeated")
}

func TestClientsThatMustSendSignedObjects(t *testing.T) {
	s, k := objectServer(t, func(c *storage.Client) { c.RequireSignedRequestObject = true })
	if params := s.wantRedirect(s.browser("").get(s.authorizeURL(nil)), "invalid_request"); !strings.Contains(params.Get("error_description"), "signed request object") {
		t.Errorf("%v", params)
	}
	if params := s.sent(s.browser("ada@example.com").walk(s.withObject(k.object(s), nil))); params.Get("code") == "" {
		t.Errorf("%v", params)
	}
}

// objectHost serves request objects and counts how often it was asked.
func objectHost(t *testing.T, serve http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	var asked atomic.Int64
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); serve(w, r) }))
	t.Cleanup(host.Close)
	return host, &asked
}

func TestA21ObjectsByReference(t *testing.T) {
	var object atomic.Value
	host, asked := objectHost(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Fragment != "" || strings.Contains(r.RequestURI, "#") {
			t.Error("trap 4: the fragment was sent")
		}
		w.Header().Set("Content-Type", "application/oauth-authz-req+jwt")
		io.WriteString(w, object.Load().(string))
	})
	plain, versioned := host.URL+"/object", host.URL+"/object?x=1#not-the-hash"
	s, k := objectServer(t, func(c *storage.Client) { c.RequestURIs = []string{plain, versioned} })
	object.Store(k.object(s))
	b := s.browser("ada@example.com")
	byReference := func(uri string) string {
		return s.URL + "/oauth2/authorize?" + url.Values{"client_id": {"app"}, "request_uri": {uri}, "state": {"outer"}, "redirect_uri": {callback}}.Encode()
	}
	for _, uri := range []string{plain, versioned} {
		if params := s.sent(b.walk(byReference(uri))); params.Get("code") == "" || params.Get("state") != "inner-state" {
			t.Errorf("%s: %v", uri, params)
		}
	}
	// Without a fragment nothing tells versions apart: the object is read every time. With one, a copy does.
	object.Store(k.object(s, claim("state", "second")))
	if params := s.sent(b.walk(byReference(plain))); params.Get("state") != "second" {
		t.Errorf("an old object was used: %v", params)
	}
	before := asked.Load()
	if params := s.sent(b.walk(byReference(versioned))); params.Get("state") != "inner-state" || asked.Load() != before {
		t.Errorf("the copy of a versioned object was not used: %v, asked %d times", params, asked.Load()-before)
	}
	// Row 81: what is not registered is not asked for, nor is the registered one in another spelling.
	for _, uri := range []string{host.URL + "/other", plain + "#", host.URL + "/object?x=1", versioned + "x", "https://rp.example/o", "file:///etc/passwd", "urn:x"} {
		s.wantErrorParams(s.sent(b.get(byReference(uri))), "invalid_request_uri", "outer")
	}
	if asked.Load() != before {
		t.Errorf("row 81: %d requests for addresses that are not registered", asked.Load()-before)
	}
}

func TestRow81HostsOfObjectsCannotHurt(t *testing.T) {
	host, _ := objectHost(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/object", http.StatusFound)
		case "/500":
			http.Error(w, "secret detail", http.StatusInternalServerError)
		case "/large":
			io.WriteString(w, strings.Repeat("a", 65<<10))
		case "/html":
			io.WriteString(w, "<html>secret detail</html>")
		}
	})
	paths := map[string]string{"/redirect": "invalid_request_uri", "/500": "invalid_request_uri", "/large": "invalid_request_uri", "/html": "invalid_request_object"}
	s, _ := objectServer(t, func(c *storage.Client) {
		for path := range paths {
			c.RequestURIs = append(c.RequestURIs, host.URL+path)
		}
	})
	for path, code := range paths {
		params := s.sent(s.browser("").get(s.URL + "/oauth2/authorize?" + url.Values{"client_id": {"app"}, "request_uri": {host.URL + path}, "redirect_uri": {callback}, "state": {"s"}}.Encode()))
		s.wantErrorParams(params, code, "s")
		if text := params.Get("error_description"); strings.Contains(text, "secret") || strings.Contains(text, "500") || strings.Contains(text, host.Listener.Addr().String()) {
			t.Errorf("%s: the description tells of the network: %s", path, text)
		}
	}
}

func TestDiscoveryTellsOfRequestObjects(t *testing.T) {
	for _, unsigned := range []bool{false, true} {
		s := start(t, "memory", quickKeys, func(o *provider.Options) { o.UnsignedRequestObjects = unsigned })
		document := s.fetch(s.URL + "/.well-known/openid-configuration")
		for _, name := range []string{"request_parameter_supported", "request_uri_parameter_supported", "require_request_uri_registration"} {
			if document.JSON[name] != true {
				t.Errorf("D9: %s is %v", name, document.JSON[name])
			}
		}
		algs, _ := json.Marshal(document.list("request_object_signing_alg_values_supported"))
		if !strings.Contains(string(algs), `"RS256"`) || strings.Contains(string(algs), `"HS`) || strings.Contains(string(algs), `"none"`) != unsigned {
			t.Errorf("D8: %s", algs)
		}
		if document.Str("pushed_authorization_request_endpoint") != s.URL+"/oauth2/par" || document.JSON["require_pushed_authorization_requests"] != false {
			t.Errorf("D13: %v", document.JSON["pushed_authorization_request_endpoint"])
		}
	}
}
