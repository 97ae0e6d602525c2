package provider_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/grant"
	"gatehouse/provider/outbound"
	"gatehouse/provider/ratelimit"
	"gatehouse/storage"
)

// Rows of security section J that dynamic registration must survive, and those of A and E that it brings.

func TestRow122WithoutInitialTokenNothingRegisters(t *testing.T) {
	s := start(t, "memory", registers("token"))
	used := s.initialToken(time.Hour, false)
	s.register(used, nil)
	foreign := s.register(s.initialToken(time.Hour, false), nil)
	before := s.clients()
	for name, token := range map[string]string{
		"none": "", "junk": "x", "used": used, "a registration token": foreign.Str("registration_access_token"), "a secret": foreign.Str("client_secret"),
		"unknown but well-formed": "gth_iat_" + strings.Repeat("0", 49), "changed": used[:len(used)-1] + "~",
	} {
		a := s.call("POST", "/oauth2/register", token, webApp(nil))
		s.wantError(a, 401, "invalid_token")
		if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: WWW-Authenticate %q", name, a.Header.Get("WWW-Authenticate"))
		}
	}
	// Not in the URL, and not as another scheme.
	good := s.initialToken(time.Hour, false)
	if a := s.call("POST", "/oauth2/register?access_token="+good, "", webApp(nil)); a.Status != 400 {
		t.Errorf("a token in the URL: %d %s", a.Status, a.Raw)
	}
	a := s.call("POST", "/oauth2/register", "", webApp(nil), func(r *http.Request) {
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(good+":")))
	})
	s.wantError(a, 401, "invalid_token")
	if s.clients() != before {
		t.Errorf("%d clients, want %d", s.clients(), before)
	}
	s.register(good, nil)
	s.noSecrets(good, used)
}

func TestRow123RegistrationTokenOpensItsOwnRegistrationOnly(t *testing.T) {
	onEveryBackendWith(t, func(s *server) {
		a, b := s.register("", object{"client_name": "A"}), s.register("", object{"client_name": "B"})
		s.client()
		gone := s.register("", nil)
		s.manage("DELETE", gone, "", nil)
		disabled := s.register("", nil)
		if _, err := s.Store.UpdateClient(s.Context(), disabled.Str("client_id"), func(c *storage.Client) error { c.Disabled = true; return nil }); err != nil {
			s.Fatal(err)
		}
		s.eventually("the disabled client is seen", func() bool { return s.manage("GET", disabled, "", nil).Status == 401 })
		at := func(id string) answer {
			return answer{JSON: object{"registration_client_uri": s.URL + "/oauth2/register/" + id}}
		}
		token := a.Str("registration_access_token")
		var bodies []string
		for name, tc := range map[string]struct {
			of    answer
			token string
		}{
			"another client's":  {b, token},
			"an operator's":     {at("app"), token},
			"one that is gone":  {at(gone.Str("client_id")), gone.Str("registration_access_token")},
			"one never there":   {at("nobody"), token},
			"one switched off":  {at(disabled.Str("client_id")), disabled.Str("registration_access_token")},
			"with junk":         {a, "gth_rat_junk"},
			"with a changed":    {a, token[:len(token)-1] + "~"},
			"with its secret":   {a, a.Str("client_secret")},
			"with one not made": {a, "gth_rat_" + strings.Repeat("0", 49)},
		} {
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				var body any
				if method == "PUT" {
					body = webApp(object{"client_id": b.Str("client_id"), "client_name": "Stolen"})
				}
				r := s.manage(method, tc.of, tc.token, body)
				s.wantError(r, 401, "invalid_token")
				if !strings.Contains(r.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
					s.Errorf("%s %s: %v", method, name, r.Header)
				}
				bodies = append(bodies, r.Raw)
			}
		}
		for _, body := range bodies {
			if body != bodies[0] {
				s.Errorf("two answers tell apart what exists: %s and %s", body, bodies[0])
			}
		}
		s.wantError(s.call("GET", a.Str("registration_client_uri"), "", nil), 401, "invalid_token")
		if r := s.manage("GET", b, "", nil); r.Str("client_name") != "B" {
			s.Errorf("B was changed: %s", r.Raw)
		}
	}, registers("open"))
}

func TestRow123UpdateCannotChangeWhoTheClientIs(t *testing.T) {
	s := start(t, "memory", registers("open"))
	a, b := s.register("", nil), s.register("", nil)
	id := a.Str("client_id")
	for name, members := range map[string]object{
		"client_id missing": {}, "client_id of another": {"client_id": b.Str("client_id")}, "chosen secret": {"client_id": id, "client_secret": "chosen-by-the-client-itself"},
		"secret of another": {"client_id": id, "client_secret": b.Str("client_secret")}, "token of another": {"client_id": id, "registration_access_token": b.Str("registration_access_token")},
		"uri of another": {"client_id": id, "registration_client_uri": b.Str("registration_client_uri")}, "another birth": {"client_id": id, "client_id_issued_at": 1},
		"another end of the secret": {"client_id": id, "client_secret_expires_at": 99999999999},
	} {
		r := s.manage("PUT", a, "", webApp(members))
		if s.wantError(r, 400, "invalid_client_metadata"); t.Failed() {
			t.Fatalf("%s: %s", name, r.Raw)
		}
	}
	before, err := s.Store.Client(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.manage("PUT", a, "", webApp(object{"client_id": id, "registered_by": "operator", "owner": "me", "sector": "x"})); r.Status != 200 {
		t.Fatalf("PUT: %d %s", r.Status, r.Raw)
	}
	after, err := s.Store.Client(t.Context(), id)
	if err != nil || after.RegisteredBy != "open" || after.RegistrationToken != before.RegistrationToken || after.Secrets[0].Hash != before.Secrets[0].Hash || after.Sector != "" || !after.Expires.Equal(before.Expires) {
		t.Errorf("after %+v, %v", after, err)
	}
}

func TestRow123UpdateKeepsWhatAnOperatorGave(t *testing.T) {
	s := start(t, "memory", registers("open"))
	a := s.register("", nil)
	if _, err := s.Store.UpdateClient(t.Context(), a.Str("client_id"), func(c *storage.Client) error { c.Profile, c.FirstParty = "compatible", true; return nil }); err != nil {
		t.Fatal(err)
	}
	r := s.manage("PUT", a, "", webApp(object{"client_id": a.Str("client_id"), "profile": "strict", "first_party": false}))
	if r.Status != 200 || r.Str("profile") != "compatible" || r.JSON["first_party"] != true {
		t.Errorf("%d %s", r.Status, r.Raw)
	}
}

func TestRow124PrivilegesAreIgnoredOrRefused(t *testing.T) {
	s := start(t, "memory", registers("open", func(o *provider.Options) {
		o.Resources = []grant.Resource{{URI: "https://open.example", Scopes: []string{"photos"}, DynamicClients: true}, {URI: "https://closed.example", Scopes: []string{"money"}}}
	}))
	privileged := object{
		"client_id": "chosen", "client_secret": "chosen-by-the-client-itself", "first_party": true, "skip_consent": true, "trusted": true, "disabled": true, "profile": "compatible", "registered_by": "operator", "branding": object{"name": "Your bank", "accent": "#8a1c5b"}, "sign_up": "open",
		"registration_access_token": "gth_rat_chosen", "registration_client_uri": "https://evil.example", "scope": "openid admin money", "client_id_issued_at": 1, "sector": "rp.example", "Profile": "compatible",
	}
	a := s.register("", privileged)
	c, err := s.Store.Client(t.Context(), a.Str("client_id"))
	if err != nil || c.ID == "chosen" || c.FirstParty || c.Disabled || c.Branding != nil || c.SignUp != "" || c.Profile != "strict" || c.RegisteredBy != "open" || strings.Join(c.Scopes, " ") != "openid" || c.Sector != "" || len(c.Secrets) != 1 {
		t.Errorf("stored %+v, %v", c, err)
	}
	if a.Str("client_secret") == "chosen-by-the-client-itself" || a.Str("registration_access_token") == "gth_rat_chosen" || a.Str("registration_client_uri") == "https://evil.example" {
		t.Errorf("the client chose: %s", a.Raw)
	}
	privileged["client_id"] = c.ID
	for _, name := range []string{"client_secret", "registration_access_token", "registration_client_uri", "client_id_issued_at"} {
		delete(privileged, name)
	}
	if r := s.manage("PUT", a, "", webApp(privileged)); r.Status != 200 || r.Str("profile") != "strict" || r.JSON["first_party"] != nil || r.JSON["disabled"] != nil || r.JSON["branding"] != nil || r.JSON["sign_up"] != nil {
		t.Errorf("PUT: %d %s", r.Status, r.Raw)
	}
	for name, members := range map[string]object{
		"password":       {"grant_types": []string{"password"}},
		"token exchange": {"grant_types": []string{"authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"}},
		"another DN":     {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=another"},
		"a closed API":   {"audience": []string{"https://closed.example"}},
		"front channel":  {"response_types": []string{"id_token"}, "grant_types": []string{"implicit"}},
		"no signature":   {"id_token_signed_response_alg": "none"},
	} {
		r := s.call("POST", "/oauth2/register", "", webApp(members))
		if s.wantError(r, 400, "invalid_client_metadata"); t.Failed() {
			t.Fatalf("%s: %s", name, r.Raw)
		}
	}
}

// Nothing that a strict client sees may get looser because the server has every option on.
// What an operator granted stays with a PUT that says what GET said; the skipped consent page was for the addresses that the operator knew.
func TestRow124WhatTheOperatorGranted(t *testing.T) {
	s := start(t, "memory", registers("open", func(o *provider.Options) {
		o.Resources = []grant.Resource{{URI: "https://closed.example", Scopes: []string{"money"}}}
	}))
	a := s.register("", nil)
	id := a.Str("client_id")
	_, err := s.Store.UpdateClient(t.Context(), id, func(c *storage.Client) error {
		c.FirstParty, c.Audience, c.Scopes = true, []string{"https://closed.example"}, append(c.Scopes, "money")
		return nil
	})
	s.ok(err)
	now := s.manage("GET", a, "", nil)
	if r := s.manage("PUT", a, "", now.JSON); r.Status != 200 || r.Str("scope") != now.Str("scope") || r.JSON["first_party"] != true {
		t.Errorf("PUT of what GET said: %d %s", r.Status, r.Raw)
	}
	now.JSON["redirect_uris"] = []string{"https://evil.example/cb"}
	if r := s.manage("PUT", a, "", now.JSON); r.Status != 200 || r.JSON["first_party"] != nil {
		t.Errorf("PUT of another address: %d %s", r.Status, r.Raw)
	}
	now.JSON["audience"] = []string{"https://other.example"}
	s.wantError(s.manage("PUT", a, "", now.JSON), 400, "invalid_client_metadata")
}

// Each update is a write, so they are limited for each registration; so are registrations with tokens that nobody made.
func TestRow122UpdatesAreLimited(t *testing.T) {
	s := start(t, "memory", registers("open", func(o *provider.Options) { o.Limits.Registration = ratelimit.Limit{Burst: 3, Every: time.Hour} }))
	a := s.register("", nil)
	for n := range 4 {
		r := s.manage("PUT", a, "", webApp(object{"client_id": a.Str("client_id")}))
		if want := map[bool]int{true: 429, false: 200}[n == 3]; r.Status != want {
			t.Errorf("update %d: %d %s", n, r.Status, r.Raw)
		}
	}
	if r := s.manage("GET", a, "", nil); r.Status != 200 {
		t.Errorf("reading: %d", r.Status)
	}
	for n := range 3 {
		r := s.call("POST", "/oauth2/register", "gth_iat_junk", webApp(nil))
		if want := map[bool]int{true: 429, false: 401}[n == 2]; r.Status != want {
			t.Errorf("registration %d with a bad token: %d %s", n, r.Status, r.Raw)
		}
	}
}

func TestRow124StrictRegistrationStaysStrictWithEveryOptionOn(t *testing.T) {
	s := start(t, "memory", registers("open", everyOption, func(o *provider.Options) { o.Registration.Profile = "strict" }))
	for name, members := range map[string]object{
		"hybrid": {"response_types": []string{"code id_token"}}, "implicit": {"response_types": []string{"id_token"}}, "unsigned ID tokens": {"id_token_signed_response_alg": "none"},
		"unsigned request objects": {"request_object_signing_alg": "none"}, "compatible": {"profile": "compatible", "response_types": []string{"id_token token"}},
	} {
		r := s.call("POST", "/oauth2/register", "", webApp(members))
		if s.wantError(r, 400, "invalid_client_metadata"); t.Failed() {
			t.Fatalf("%s: %s", name, r.Raw)
		}
	}
}

func TestRow125AddressesOfPages(t *testing.T) {
	s := start(t, "memory", registers("open"))
	for _, member := range []string{"client_uri", "logo_uri", "policy_uri", "tos_uri"} {
		for _, uri := range []string{"javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:image/svg+xml,<svg/>", "vbscript:x", "file:///etc/passwd", "http://rp.example/x", "https://rp.example@evil.example/", "//rp.example/x", "https://rp.example/ x"} {
			r := s.call("POST", "/oauth2/register", "", webApp(object{member: uri}))
			s.wantError(r, 400, "invalid_client_metadata")
			if !strings.HasPrefix(r.Str("error_description"), member) {
				t.Errorf("%s %q: %s", member, uri, r.Raw)
			}
		}
	}
	private := object{"keys": []object{{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}}}
	for _, members := range []object{{"jwks": private}, {"contacts": []any{nil}}, {"contacts": []any{""}}, {"jwks": object{"keys": []any{nil}}}, {"jwks": []any{}}, {"grant_types": object{}}} {
		s.wantError(s.call("POST", "/oauth2/register", "", webApp(members)), 400, "invalid_client_metadata")
	}
}

const onePixel = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"

func TestRow125LogosComeFromOurOwnCacheAndNeverDelay(t *testing.T) {
	s := start(t, "memory", registers("open"))
	hang := make(chan struct{})
	var asked atomic.Int64
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(hang); slow.Close() })
	host := hosted(t, map[string]string{"/logo.png": onePixel, "/logo.svg": "<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "/page": "<html>", "/huge.png": onePixel + strings.Repeat("x", 64<<10), "/second.png": onePixel + "2"})
	logo := func(a answer) answer { return s.fetch(s.URL + "/client-logo/" + a.Str("client_id")) }
	good := s.register("", object{"logo_uri": host + "/logo.png"})
	s.eventually("the logo is served from here", func() bool { return logo(good).Raw == onePixel })
	if got := logo(good).Header.Get("Content-Type"); got != "image/png" {
		t.Errorf("Content-Type %q", got)
	}
	bad := []answer{s.register("", object{"logo_uri": host + "/logo.svg"}), s.register("", object{"logo_uri": host + "/page"}), s.register("", object{"logo_uri": host + "/huge.png"}), s.register("", object{"logo_uri": host + "/missing"})}
	r := s.manage("PUT", good, "", webApp(object{"client_id": good.Str("client_id"), "logo_uri": host + "/second.png"}))
	if r.Status != 200 {
		t.Fatalf("PUT: %d %s", r.Status, r.Raw)
	}
	s.eventually("the new logo is served", func() bool { return logo(good).Raw == onePixel+"2" })
	for _, a := range bad {
		if got := logo(a); got.Status != http.StatusNotFound {
			t.Errorf("%s is served: %d", a.Str("logo_uri"), got.Status)
		}
	}
	// Logos that hang hold up no registration, however many there are.
	began := time.Now()
	for range 120 {
		s.register("", object{"logo_uri": slow.URL + "/logo.png"})
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("120 registrations with logos that hang took %s", took)
	}
	if asked.Load() > 8 {
		t.Errorf("%d logos are fetched at once", asked.Load())
	}
}

func TestRow126InternalAddressesAreRefusedBeforeAnyConnection(t *testing.T) {
	s := start(t, "memory", registers("open", func(o *provider.Options) {
		var err error
		if o.Outbound, err = outbound.New(outbound.Options{}); err != nil {
			t.Fatal(err)
		}
	}))
	var asked atomic.Int64
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(inner.Close)
	port := inner.URL[strings.LastIndex(inner.URL, ":"):]
	for _, member := range []string{"jwks_uri", "sector_identifier_uri", "request_uris", "logo_uri", "backchannel_logout_uri"} {
		for _, host := range []string{"127.0.0.1", "[::1]", "0.0.0.0", "10.0.0.1", "100.64.0.1", "169.254.169.254", "[fd00::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "localhost."} {
			for _, scheme := range []string{"https://", "http://"} {
				var value any = scheme + host + port + "/x"
				if member == "request_uris" {
					value = []string{value.(string)}
				}
				r := s.call("POST", "/oauth2/register", "", webApp(object{member: value}))
				if s.wantError(r, 400, "invalid_client_metadata"); !strings.HasPrefix(r.Str("error_description"), member) {
					t.Fatalf("%s %v: %d %s", member, value, r.Status, r.Raw)
				}
			}
		}
	}
	if asked.Load() != 0 || s.clients() != 0 {
		t.Errorf("%d requests went in, %d clients came of it", asked.Load(), s.clients())
	}
}

func TestRow11Ruling17OpenRegistrationIsNoOpenRedirector(t *testing.T) {
	s := start(t, "memory", registers("open"))
	s.user("ada@example.com")
	open, vouched := s.register("", nil), s.register(s.initialToken(time.Hour, false), nil)
	bad := func(a answer, more url.Values) page {
		values := url.Values{"client_id": {a.Str("client_id")}, "scope": {"bad"}}
		for name, value := range more {
			values[name] = value
		}
		return s.browser("ada@example.com").get(s.authorizeURL(values))
	}
	if p := bad(open, nil); p.StatusCode != 400 || p.Header.Get("Location") != "" || !strings.Contains(p.Body, "rp.example") {
		t.Errorf("an error of an openly registered client: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	if p := bad(open, url.Values{"prompt": {"none"}, "scope": {"openid"}}); !strings.HasPrefix(p.Header.Get("Location"), callback) {
		t.Errorf("the answer to prompt=none: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	if p := bad(vouched, nil); !strings.HasPrefix(p.Header.Get("Location"), callback) {
		t.Errorf("an error of a client that somebody vouches for: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
}
