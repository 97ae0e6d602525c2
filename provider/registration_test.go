package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/grant"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/registration"
	"gatehouse/storage"
)

// Lines R1 to R10 of the checklist: dynamic client registration (RFC 7591) and its management (RFC 7592).

// registers lets clients register in a mode.
func registers(mode string, changes ...func(*provider.Options)) func(*provider.Options) {
	return func(o *provider.Options) {
		quickKeys(o)
		o.Registration = provider.Registration{Mode: mode, Profile: "strict", ExpireUnused: 7 * 24 * time.Hour, ExpireIdle: 90 * 24 * time.Hour}
		for _, change := range changes {
			change(o)
		}
	}
}

// expireUnused sets how long a registration lives that nobody uses.
func expireUnused(d time.Duration) func(*provider.Options) {
	return func(o *provider.Options) { o.Registration.ExpireUnused = d }
}

// everyOption switches on all that a client can register for.
func everyOption(o *provider.Options) {
	o.Registration.Profile, o.ResponseTypes, o.UnsignedIDTokens, o.UnsignedRequestObjects = "compatible", grant.ResponseTypes(), true, true
	o.Keys.Algorithms, o.Keys.IDToken = []string{"RS256", "ES256"}, "RS256"
}

type object = map[string]any

// webApp is the smallest registration of a web application; members overwrite, nil removes.
func webApp(members object) object {
	body := object{"redirect_uris": []string{callback}, "client_name": "App"}
	maps.Copy(body, members)
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	return body
}

// call sends JSON (a string as it is) with a bearer token, if there is one.
func (s *server) call(method, path, token string, body any, changes ...func(*http.Request)) answer {
	s.Helper()
	text, raw := body.(string)
	if !raw && body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			s.Fatal(err)
		}
		text = string(encoded)
	}
	target := path
	if strings.HasPrefix(path, "/") {
		target = s.URL + path
	}
	r, err := http.NewRequest(method, target, strings.NewReader(text))
	if err != nil {
		s.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, change := range changes {
		change(r)
	}
	return s.send(r)
}

// register demands that a registration succeeds.
func (s *server) register(token string, members object) answer {
	s.Helper()
	a := s.call("POST", "/oauth2/register", token, webApp(members))
	if a.Status != http.StatusCreated {
		s.Fatalf("register %v: %d %s", members, a.Status, a.Raw)
	}
	return a
}

// manage sends a request of RFC 7592 for a registration that register answered with; an empty token means its own.
func (s *server) manage(method string, of answer, token string, body any) answer {
	s.Helper()
	if token == "" {
		token = of.Str("registration_access_token")
	}
	return s.call(method, of.Str("registration_client_uri"), token, body)
}

// initialToken makes an initial access token as the command line does.
func (s *server) initialToken(ttl time.Duration, reusable bool) string {
	s.Helper()
	token, err := registration.NewInitialToken(s.Context(), s.Store, s.Clock.Now(), ttl, reusable)
	if err != nil {
		s.Fatal(err)
	}
	return token
}

// clients counts the registered clients.
func (s *server) clients() int {
	s.Helper()
	list, err := s.Store.ListClients(s.Context(), "", 1000)
	if err != nil {
		s.Fatal(err)
	}
	return len(list)
}

// hosted serves documents of a relying party.
func hosted(t *testing.T, documents map[string]string) string {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		document, found := documents[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(document))
	}))
	t.Cleanup(h.Close)
	return h.URL
}

func TestR1R6R7R9RegistrationEchoesAllMetadata(t *testing.T) {
	onEveryBackendWith(t, func(s *server) {
		sent := object{
			"redirect_uris": []string{callback, "https://rp.example/other?x=1"}, "client_name": "App", "client_uri": "https://rp.example", "policy_uri": "https://rp.example/p", "tos_uri": "https://rp.example/t",
			"contacts": []string{"ops@rp.example"}, "grant_types": []string{"authorization_code", "implicit", "refresh_token"}, "response_types": []string{"code", "code id_token", "id_token"},
			"scope": "openid email", "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "HS256", "application_type": "web", "jwks_uri": "https://rp.example/jwks",
			"software_id": "4NRB1", "software_version": "2", "subject_type": "pairwise", "id_token_signed_response_alg": "ES256", "userinfo_signed_response_alg": "RS256", "default_max_age": 600.0,
			"require_auth_time": true, "default_acr_values": []string{"1"}, "initiate_login_uri": "https://rp.example/login", "request_uris": []string{"https://rp.example/r.jwt#h", "https://rp.example/r.jwt"},
			"request_object_signing_alg": "PS512", "require_signed_request_object": true, "require_pushed_authorization_requests": true, "post_logout_redirect_uris": []string{"https://rp.example/bye"},
			"backchannel_logout_uri": "https://rp.example/bc?x=1", "backchannel_logout_session_required": true, "frontchannel_logout_uri": "https://rp.example/fc", "frontchannel_logout_session_required": true,
		}
		a := s.register("", sent)
		for name, value := range sent {
			want, _ := json.Marshal(value)
			if got, _ := json.Marshal(a.JSON[name]); string(got) != string(want) {
				s.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		if a.Str("client_id") == "" || !strings.HasPrefix(a.Str("client_secret"), "gth_cs_") || a.JSON["client_secret_expires_at"] != 0.0 || a.JSON["client_id_issued_at"] == nil {
			s.Errorf("R1: %s", a.Raw)
		}
		if got := a.Str("registration_client_uri"); got != s.URL+"/oauth2/register/"+a.Str("client_id") {
			s.Errorf("R2: registration_client_uri %q", got)
		}
		if !strings.HasPrefix(a.Str("registration_access_token"), "gth_rat_") || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
			s.Errorf("R2: %v %s", a.Header, a.Raw)
		}
		stored, err := s.Store.Client(s.Context(), a.Str("client_id"))
		if err != nil {
			s.Fatal(err)
		}
		if kept, _ := json.Marshal(stored); strings.Contains(string(kept), a.Str("client_secret")) || strings.Contains(string(kept), a.Str("registration_access_token")) {
			s.Error("a secret is stored in clear")
		}
		if stored.RegisteredBy != "open" || stored.Sector != "rp.example" || stored.Profile != "compatible" {
			s.Errorf("stored %+v", stored)
		}
		s.noSecrets(a.Str("client_secret"), a.Str("registration_access_token"))
	}, registers("open", everyOption))
}

// onEveryBackendWith is onEveryBackend with options.
func onEveryBackendWith(t *testing.T, test func(s *server), changes ...func(*provider.Options)) {
	for _, name := range stores(t) {
		t.Run(name, func(t *testing.T) { test(start(t, name, changes...)) })
	}
}

func TestR1RegisteredClientSignsIn(t *testing.T) {
	s := start(t, "memory", registers("open"))
	s.user("ada@example.com")
	for method, secret := range map[string]bool{"client_secret_basic": true, "client_secret_post": true, "none": false} {
		a := s.register("", object{"token_endpoint_auth_method": method, "grant_types": []string{"authorization_code", "refresh_token"}})
		if _, shown := a.JSON["client_secret"]; shown != secret {
			s.Errorf("%s: %s", method, a.Raw)
		}
		code := s.browser("ada@example.com").code(url.Values{"client_id": {a.Str("client_id")}})
		tokens := s.redeem(code, as(a.Str("client_id"), a.Str("client_secret"))) // an empty secret counts as none (ruling 19)
		if tokens.Status != http.StatusOK || tokens.Str("refresh_token") == "" {
			s.Errorf("%s: %d %s", method, tokens.Status, tokens.Raw)
		}
	}
}

func TestR2ManagementReadsReplacesAndDeletes(t *testing.T) {
	onEveryBackendWith(t, func(s *server) {
		s.user("ada@example.com")
		a := s.register("", object{"tos_uri": "https://rp.example/t", "logo_uri": nil})
		id := a.Str("client_id")
		read := s.manage("GET", a, "", nil)
		if read.Status != 200 || read.Str("tos_uri") != "https://rp.example/t" || read.Str("registration_access_token") != a.Str("registration_access_token") || read.Str("registration_client_uri") == "" || read.JSON["client_secret"] != nil {
			s.Fatalf("GET: %d %s", read.Status, read.Raw)
		}
		replaced := s.manage("PUT", a, "", webApp(object{"client_id": id, "client_name": "Renamed"}))
		if replaced.Status != 200 || replaced.Str("client_name") != "Renamed" || replaced.JSON["tos_uri"] != nil || replaced.JSON["client_secret"] != nil {
			s.Fatalf("PUT: %d %s", replaced.Status, replaced.Raw)
		}
		// What was read can be sent back as it is, with the secret that still works.
		var again object
		if err := json.Unmarshal([]byte(replaced.Raw), &again); err != nil {
			s.Fatal(err)
		}
		again["client_secret"] = a.Str("client_secret")
		if b := s.manage("PUT", a, "", again); b.Status != 200 {
			s.Errorf("PUT of the answer: %d %s", b.Status, b.Raw)
		}
		code := s.browser("ada@example.com").code(url.Values{"client_id": {id}})
		tokens := s.redeem(code, as(id, a.Str("client_secret")))
		if tokens.Status != 200 {
			s.Fatalf("sign-in: %d %s", tokens.Status, tokens.Raw)
		}
		if gone := s.manage("DELETE", a, "", nil); gone.Status != http.StatusNoContent || gone.Raw != "" {
			s.Fatalf("DELETE: %d %s", gone.Status, gone.Raw)
		}
		if u := s.userinfo(tokens.Str("access_token")); u.Status != http.StatusUnauthorized {
			s.Errorf("Row123: the tokens of a deleted client live: %d", u.Status)
		}
		s.wantError(s.manage("GET", a, "", nil), 401, "invalid_token")
		if s.clients() != 0 {
			s.Error("the client is still there")
		}
	}, registers("open"))
}

func TestR2NewMethodNewSecret(t *testing.T) {
	s := start(t, "memory", registers("open"))
	a := s.register("", object{"token_endpoint_auth_method": "none"})
	put := func(method string) answer {
		b := s.manage("PUT", a, "", webApp(object{"client_id": a.Str("client_id"), "token_endpoint_auth_method": method}))
		if b.Status != 200 {
			s.Fatalf("PUT %s: %d %s", method, b.Status, b.Raw)
		}
		return b
	}
	first := put("client_secret_basic").Str("client_secret")
	if first == "" || put("client_secret_post").Str("client_secret") != "" {
		t.Errorf("basic gave %q; post, which takes the same secret, must give none", first)
	}
	sealed := put("client_secret_jwt").Str("client_secret")
	if sealed == "" || sealed == first {
		t.Errorf("client_secret_jwt needs a secret that can be read again, got %q", sealed)
	}
	for secret, want := range map[string]int{sealed: 200, first: 400} {
		if b := s.manage("PUT", a, "", webApp(object{"client_id": a.Str("client_id"), "token_endpoint_auth_method": "client_secret_jwt", "client_secret": secret})); b.Status != want {
			t.Errorf("repeating the secret: %d %s, want %d", b.Status, b.Raw, want)
		}
	}
}

func TestR3ModesOffTokenOpen(t *testing.T) {
	for mode, want := range map[string]struct {
		anonymous, token int
		listed           bool
	}{"off": {404, 404, false}, "": {404, 404, false}, "token": {401, 201, true}, "open": {201, 201, true}} {
		s := start(t, "memory", registers(mode))
		if a := s.call("POST", "/oauth2/register", "", webApp(nil)); a.Status != want.anonymous {
			t.Errorf("%s without a token: %d %s", mode, a.Status, a.Raw)
		} else if a.Status == 401 && a.Header.Get("WWW-Authenticate") != `Bearer realm="gatehouse"` {
			t.Errorf("%s: WWW-Authenticate %q", mode, a.Header.Get("WWW-Authenticate"))
		}
		a := s.call("POST", "/oauth2/register", s.initialToken(time.Hour, false), webApp(nil))
		if a.Status != want.token {
			t.Errorf("%s with a token: %d %s", mode, a.Status, a.Raw)
		}
		if a.Status == 201 {
			if c, err := s.Store.Client(t.Context(), a.Str("client_id")); err != nil || c.RegisteredBy != "token" {
				t.Errorf("%s: registered by %q, %v", mode, c.RegisteredBy, err)
			}
			if b := s.call("POST", "/oauth2/register", "gth_iat_junk", webApp(nil)); b.Status != 401 || !strings.Contains(b.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				t.Errorf("%s with a bad token: %d %v", mode, b.Status, b.Header)
			}
		}
		document := s.fetch(s.URL + "/.well-known/openid-configuration")
		if got := document.Str("registration_endpoint"); (got == s.URL+"/oauth2/register") != want.listed || (got == "") == want.listed {
			t.Errorf("%s: registration_endpoint %q", mode, got)
		}
	}
}

func TestR4R5R8R10RefusalsAreJSONThatNamesTheMember(t *testing.T) {
	s := start(t, "memory", registers("open"))
	for name, tc := range map[string]struct {
		code, says string
		body       any
	}{
		"R4 fragment":           {"invalid_redirect_uri", "redirect_uris", webApp(object{"redirect_uris": []string{callback + "#x"}})},
		"Row4 wildcard":         {"invalid_redirect_uri", "wildcards", webApp(object{"redirect_uris": []string{"https://*.example.com/cb"}})},
		"Row8 javascript":       {"invalid_redirect_uri", "redirect_uris", webApp(object{"redirect_uris": []string{"javascript:alert(1)"}})},
		"Row8 data":             {"invalid_redirect_uri", "redirect_uris", webApp(object{"redirect_uris": []string{"data:text/html,x"}, "token_endpoint_auth_method": "none"})},
		"Row8 no dot":           {"invalid_redirect_uri", "redirect_uris", webApp(object{"redirect_uris": []string{"myapp:/cb"}, "token_endpoint_auth_method": "none"})},
		"no redirect":           {"invalid_redirect_uri", "redirect_uris", webApp(object{"redirect_uris": nil})},
		"a string for a list":   {"invalid_redirect_uri", "array of strings", webApp(object{"redirect_uris": callback})},
		"R5 both":               {"invalid_client_metadata", "jwks", webApp(object{"jwks": object{"keys": []any{}}, "jwks_uri": "https://rp.example/jwks"})},
		"R6 initiate login":     {"invalid_client_metadata", "initiate_login_uri", webApp(object{"initiate_login_uri": "http://rp.example/login"})},
		"R8 two hosts":          {"invalid_client_metadata", "sector_identifier_uri", webApp(object{"subject_type": "pairwise", "redirect_uris": []string{callback, "https://b.example/cb"}})},
		"R10 inconsistent":      {"invalid_client_metadata", "grant_types", webApp(object{"grant_types": []string{"implicit"}})},
		"software statement":    {"invalid_software_statement", "software_statement", webApp(object{"software_statement": "e30.e30.x"})},
		"no JSON":               {"invalid_client_metadata", "not JSON", `{"redirect_uris":`},
		"a member twice":        {"invalid_client_metadata", "client_name comes twice", `{"client_name":"a","client_name":"b","redirect_uris":["` + callback + `"]}`},
		"Row125 null in a list": {"invalid_client_metadata", "redirect_uris holds null", `{"redirect_uris":["` + callback + `",null]}`},
		"trailing data":         {"invalid_client_metadata", "follows", `{"redirect_uris":["` + callback + `"]} {}`},
		"an array":              {"invalid_client_metadata", "not a JSON object", `[]`},
		"nothing":               {"invalid_client_metadata", "empty", ``},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			a := s.call("POST", "/oauth2/register", "", tc.body)
			s.wantError(a, 400, tc.code)
			if !strings.Contains(a.Str("error_description"), tc.says) || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%v %s, want %q", a.Header, a.Raw, tc.says)
			}
		})
	}
	if s.clients() != 0 {
		t.Error("a refused registration left a client")
	}
	if a := s.call("POST", "/oauth2/register", "", "redirect_uris=x", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }); a.Status != 415 {
		t.Errorf("a form: %d", a.Status)
	}
	if a := s.call("POST", "/oauth2/register", "", webApp(object{"client_name": strings.Repeat("a", 65<<10)})); a.Status != 413 {
		t.Errorf("a body of 65 KiB: %d", a.Status)
	}
	if a := s.call("GET", "/oauth2/register", "", nil); a.Status != 405 {
		t.Errorf("GET: %d", a.Status)
	}
}

func TestR8Row131SectorIdentifierListsEveryRedirect(t *testing.T) {
	s := start(t, "memory", registers("open"))
	other := "https://b.example/cb"
	host := hosted(t, map[string]string{
		"/good": `["` + other + `","` + callback + `","https://c.example/cb"]`, "/lacks": `["` + callback + `"]`, "/numbers": `["` + callback + `","` + other + `",1]`, "/null": `["` + callback + `","` + other + `",null]`,
		"/object": `{"redirect_uris":["` + callback + `","` + other + `"]}`, "/html": `<html>`, "/slash": `["` + callback + `/","` + other + `"]`, "/empty": ``, "/nothing": `null`,
	})
	pairwise := func(uri string) object {
		return object{"subject_type": "pairwise", "redirect_uris": []string{callback, other}, "sector_identifier_uri": uri}
	}
	a := s.register("", pairwise(host+"/good"))
	if c, err := s.Store.Client(t.Context(), a.Str("client_id")); err != nil || c.Sector != "127.0.0.1" {
		t.Errorf("sector %q, %v", c.Sector, err)
	}
	for _, path := range []string{"/lacks", "/numbers", "/null", "/object", "/html", "/slash", "/empty", "/nothing", "/missing"} {
		b := s.call("POST", "/oauth2/register", "", webApp(pairwise(host+path)))
		s.wantError(b, 400, "invalid_client_metadata")
		if !strings.HasPrefix(b.Str("error_description"), "sector_identifier_uri: ") {
			t.Errorf("%s: %s", path, b.Raw)
		}
	}
	// An update to redirect URIs that are not listed, and ruling 45: to another sector.
	id := a.Str("client_id")
	body := webApp(pairwise(host + "/good"))
	body["client_id"] = id
	body["redirect_uris"] = []string{callback, other, "https://d.example/cb"}
	s.wantError(s.manage("PUT", a, "", body), 400, "invalid_client_metadata")
	delete(body, "sector_identifier_uri")
	body["redirect_uris"] = []string{callback}
	s.wantError(s.manage("PUT", a, "", body), 400, "invalid_client_metadata")
	if read := s.manage("GET", a, "", nil); read.Str("sector_identifier_uri") != host+"/good" {
		t.Errorf("a refused update changed the client: %s", read.Raw)
	}
}

func TestR3InitialTokenSurvivesMistakesAndOneOfFiftyWins(t *testing.T) {
	onEveryBackendWith(t, func(s *server) {
		token := s.initialToken(time.Hour, false)
		for range 3 {
			s.wantError(s.call("POST", "/oauth2/register", token, webApp(object{"redirect_uris": nil})), 400, "invalid_redirect_uri")
		}
		var group sync.WaitGroup
		statuses := make(chan int, 50)
		for range 50 {
			group.Go(func() { statuses <- s.call("POST", "/oauth2/register", token, webApp(nil)).Status })
		}
		group.Wait()
		close(statuses)
		count := map[int]int{}
		for status := range statuses {
			count[status]++
		}
		if count[201] != 1 || count[401] != 49 || s.clients() != 1 {
			s.Errorf("50 registrations with one token: %v and %d clients", count, s.clients())
		}
		s.noSecrets(token)
	}, registers("token"))
}

func TestR3InitialTokenExpiresAndMayBeReusable(t *testing.T) {
	s := start(t, "memory", registers("token"))
	reusable, once := s.initialToken(2*time.Hour, true), s.initialToken(time.Hour, false)
	for range 3 {
		s.register(reusable, nil)
	}
	s.Clock.Advance(time.Hour)
	s.wantError(s.call("POST", "/oauth2/register", once, webApp(nil)), 401, "invalid_token")
	s.register(reusable, nil)
	s.Clock.Advance(time.Hour)
	s.wantError(s.call("POST", "/oauth2/register", reusable, webApp(nil)), 401, "invalid_token")
}

func TestRuling50Row122LimitPerAddress(t *testing.T) {
	s := start(t, "memory", registers("open", func(o *provider.Options) { o.Limits.Registration = ratelimit.Limit{Burst: 3, Every: time.Hour} }))
	token := s.initialToken(time.Hour, true)
	for range 5 {
		s.register(token, nil) // somebody vouches for these
	}
	for range 3 {
		s.register("", nil)
	}
	a := s.call("POST", "/oauth2/register", "", webApp(nil))
	s.wantError(a, 429, "temporarily_unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.Clock.Advance(time.Hour)
	s.register("", nil)
}

func TestRuling31RegistrationIsReadableFromEveryOrigin(t *testing.T) {
	s := start(t, "memory", registers("open"))
	origin := func(r *http.Request) { r.Header.Set("Origin", "https://inspector.example") }
	for _, body := range []any{webApp(nil), "{"} {
		if a := s.call("POST", "/oauth2/register", "", body, origin); a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%d %v", a.Status, a.Header)
		}
	}
}

func TestRuling55ScopesOfARegistration(t *testing.T) {
	s := start(t, "memory", registers("open", func(o *provider.Options) {
		o.Resources = []grant.Resource{{URI: "https://open.example", Scopes: []string{"photos"}, DynamicClients: true}, {URI: "https://closed.example", Scopes: []string{"money"}}}
	}))
	if a := s.register("", object{"scope": "openid photos money admin"}); a.Str("scope") != "openid photos" {
		t.Errorf("scope %q", a.Str("scope"))
	}
	if a := s.register("", nil); a.Str("scope") != "openid profile email address phone offline_access photos" {
		t.Errorf("scope %q", a.Str("scope"))
	}
}

// work runs the background jobs until done, which a job may take its minute for.
func (s *server) work(what string, done func() bool) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.Provider.Run(ctx)
	}()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Errorf("%s: not within a minute", what)
			break
		}
	}
	cancel()
	<-stopped
}

func TestUnusedRegistrationsEndAndUsedOnesLiveOn(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(backends)) {
		t.Run(name, func(t *testing.T) {
			s := startAs(t, name, func(s *server) { s.Idle = true }, registers("open"))
			s.user("ada@example.com")
			s.client() // an operator's
			visited, machine, unused := s.register("", nil), s.register("", object{"grant_types": []string{"client_credentials"}, "redirect_uris": nil, "scope": "openid"}), s.register("", nil)
			expires := func(a answer) time.Time {
				c, err := s.Store.Client(t.Context(), a.Str("client_id"))
				if errors.Is(err, storage.ErrNotFound) {
					return time.Time{}
				} else if err != nil {
					t.Fatal(err)
				}
				return c.Expires
			}
			within := func(a answer, days int) bool {
				left := expires(a).Sub(s.Clock.Now())
				return left <= time.Duration(days)*24*time.Hour && left > time.Duration(days)*24*time.Hour-time.Minute
			}
			if !within(unused, 7) || !within(visited, 7) {
				t.Errorf("registrations end at %v and %v, want in 7 days", expires(unused), expires(visited))
			}
			s.browser("ada@example.com").code(url.Values{"client_id": {visited.Str("client_id")}})
			if a := s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, as(machine.Str("client_id"), machine.Str("client_secret"))); a.Status != 200 {
				t.Fatalf("client_credentials: %d %s", a.Status, a.Raw)
			}
			s.work("uses are noted", func() bool { return within(visited, 90) && within(machine, 90) })
			if !within(unused, 7) {
				t.Errorf("the unused one ends at %v", expires(unused))
			}
			s.Clock.Advance(8 * 24 * time.Hour)
			s.work("the unused registration is purged", func() bool { return expires(unused).IsZero() })
			if expires(visited).IsZero() || s.clients() != 3 {
				t.Errorf("%d clients are left, want the two that were used and the operator's", s.clients())
			}
			s.wantError(s.manage("GET", unused, "", nil), 401, "invalid_token")
			s.Clock.Advance(90 * 24 * time.Hour)
			s.work("idle registrations are purged", func() bool { return expires(visited).IsZero() && expires(machine).IsZero() })
			if s.clients() != 1 {
				t.Errorf("%d clients are left, want the operator's", s.clients())
			}
		})
	}
}

// A process notes uses every half minute: another one that purges in between must not take a client that has just been used.
func TestAClientIsNotPurgedBeforeItsLastUseIsNoted(t *testing.T) {
	onEveryBackendWith(t, func(s *server) {
		s.user("ada@example.com")
		a := s.register("", nil)
		s.Clock.Advance(7*24*time.Hour - time.Second)
		b := s.browser("ada@example.com")
		b.code(url.Values{"client_id": {a.Str("client_id")}})
		s.Clock.Advance(time.Minute)
		_, err := s.Store.Purge(t.Context(), s.Clock.Now(), 1000)
		s.ok(err)
		if s.clients() != 1 {
			t.Error("the client was purged although a user has just signed in there")
		}
	}, registers("open"))
}
