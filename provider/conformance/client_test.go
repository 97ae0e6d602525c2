package conformance

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	clients "gatehouse/provider/client"
	"gatehouse/storage"
)

const (
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	// challenge is the S256 challenge of verifier (RFC 7636 appendix B).
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	allScopes = "openid profile email address phone offline_access"
)

// values are parameters; an empty value takes a default away.
type values map[string]string

// client is a registered client and its folder at the relying party.
type client struct {
	s          *suite
	ID, Secret string
	Callback   string
}

// compatible is a confidential client for everything that OpenID Connect Core knows.
const compatible = `{"profile":"compatible","grant_types":["authorization_code","implicit","refresh_token"],` +
	`"response_types":["code","id_token","id_token token","code id_token","code token","code id_token token"]}`

// client registers a strict confidential client with one redirect URI and all scopes. Each change is JSON in the stored form, laid over it, in which {rp} stands
// for the client's folder at the relying party.
func (s *suite) client(changes ...string) *client {
	s.Helper()
	secret, hash := clients.NewSecret()
	c := &client{s: s, ID: "c-" + strings.ToLower(rand.Text()[:12]), Secret: secret}
	c.Callback = s.rp.URL + "/" + c.ID + "/callback"
	stored := &storage.Client{
		ID: c.ID, Name: "Example App", RedirectURIs: []string{c.Callback}, GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		Scopes: strings.Fields(allScopes), AuthMethod: "client_secret_basic", AccessToken: "jwt", Profile: "strict", RegisteredBy: "operator",
		Secrets: []storage.ClientSecret{{Hash: hash}},
	}
	for _, change := range changes {
		if err := json.Unmarshal([]byte(strings.ReplaceAll(change, "{rp}", s.rp.URL+"/"+c.ID)), stored); err != nil {
			s.Fatalf("%s: %v", change, err)
		}
	}
	if !slices.Contains([]string{"client_secret_basic", "client_secret_post"}, stored.AuthMethod) {
		c.Secret, stored.Secrets = "", nil
	}
	c.ID = stored.ID
	if err := s.Store.CreateClient(s.Context(), stored); err != nil {
		s.Fatal(err)
	}
	return c
}

// path is a path in the client's folder.
func (c *client) path(name string) string { return "/" + c.ID + "/" + name }

// home is a page of the client, from which it sends people to the server.
func (c *client) home() *page {
	u, _ := url.Parse(c.Callback) // it was made by us
	u.Path = c.path("home")
	return &page{URL: u, Header: http.Header{}}
}

// params are those of an authorization request with PKCE, state and nonce.
func (c *client) params(v values) url.Values {
	params := url.Values{
		"client_id": {c.ID}, "redirect_uri": {c.Callback}, "response_type": {"code"}, "scope": {"openid"}, "state": {"af0ifjsldkj"}, "nonce": {"n-0S6_WzA2Mj"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for name, value := range v {
		if params.Set(name, value); value == "" {
			params.Del(name)
		}
	}
	return params
}

// plain takes PKCE away.
var plain = values{"code_challenge": "", "code_challenge_method": ""}

// with joins values; later ones win.
func (v values) with(more values) values {
	joined := maps.Clone(v)
	maps.Copy(joined, more)
	return joined
}

func (c *client) url(v values) string { return c.s.URL + "/oauth2/authorize?" + c.params(v).Encode() }

// response is what an authorization request ended with: a response at the client, or a page of the server.
type response struct {
	s      *suite
	c      *client
	Page   *page
	Mode   string // query, fragment, form_post; page if the browser stayed at the server
	Params url.Values
	before int // how often the client's callback was called before the request
}

// authorize sends the browser from the client's page to the server and walks through.
func (b *browser) authorize(c *client, v values) *response {
	b.s.Helper()
	b.s.Clock.Advance(tick)
	before := len(b.s.rp.at(c.path("callback")))
	r := b.arrive(c, b.walk(b.follow(c.home(), c.url(v))))
	r.before = before
	return r
}

// arrive reads the response out of the page that the browser is on.
func (b *browser) arrive(c *client, p *page) *response {
	b.s.Helper()
	r := &response{s: b.s, c: c, Page: p, Mode: "page"}
	if b.s.ours(p) {
		return r
	}
	seen := b.s.rp.at(p.URL.Path)
	if len(seen) == 0 {
		b.s.Fatalf("the browser is at %s, where the relying party saw nothing", p.URL)
	}
	last := seen[len(seen)-1]
	var modes []string
	if p.URL.RawFragment != "" || p.URL.Fragment != "" {
		modes, r.Params = append(modes, "fragment"), b.parse(p.URL.EscapedFragment())
	}
	if last.Method == "POST" {
		modes, r.Params = append(modes, "form_post"), b.parse(last.Body)
	}
	if query := b.parse(last.RawQuery); query.Has("iss") || query.Has("code") || query.Has("error") || query.Has("id_token") {
		modes, r.Params = append(modes, "query"), query
	}
	if len(modes) != 1 {
		b.s.Fatalf("the response travels in %v: %s %s", modes, last.Method, p.URL) // A10: never mixed
	}
	r.Mode = modes[0]
	r.check()
	return r
}

func (b *browser) parse(raw string) url.Values {
	b.s.Helper()
	params, err := url.ParseQuery(raw)
	if err != nil {
		b.s.Fatalf("broken parameters %q: %v", raw, err)
	}
	return params
}

// known are the parameters of each kind of response (A8); parameters of the redirect URI itself are the client's.
var (
	errorMembers   = []string{"error", "error_description", "error_uri", "state", "session_state", "iss"}
	successMembers = []string{"code", "id_token", "access_token", "token_type", "expires_in", "scope", "state", "session_state", "iss"}
)

// check holds every response that any test sees against A7, A8 and A9.
func (r *response) check() {
	r.s.Helper()
	if got := r.Params["iss"]; len(got) != 1 || got[0] != r.s.URL {
		r.s.Errorf("iss is %q, want %q (A7)", got, r.s.URL)
	}
	allowed := successMembers
	if r.Params.Has("error") {
		allowed = errorMembers
	}
	for name, all := range r.Params {
		if len(all) != 1 {
			r.s.Errorf("%s came %d times", name, len(all))
		}
		if !slices.Contains(allowed, name) && !strings.HasPrefix(name, "rp_") {
			r.s.Errorf("unexpected parameter %s in %v (A8)", name, r.Params)
		}
	}
	r.s.checkDescription(r.Params.Get("error_description"))
}

// checkDescription is A9 and trap 5.
func (s *suite) checkDescription(text string) {
	s.Helper()
	for _, char := range text {
		if char < ' ' || char > '~' || char == '"' || char == '\\' {
			s.Errorf("error_description %q holds %q (A9)", text, char)
		}
	}
}

// code demands success and returns the code.
func (r *response) code() string {
	r.s.Helper()
	if code := r.Params.Get("code"); code != "" && !r.Params.Has("error") {
		return code
	}
	r.s.Fatalf("no code: %s %v, page %d at %s: %s", r.Mode, r.Params, r.Page.Status, r.Page.URL, r.Page.Body)
	return ""
}

// wantError demands an error response at the client.
func (r *response) wantError(codes ...string) {
	r.s.Helper()
	if r.Mode == "page" {
		r.s.Errorf("the browser stayed at %s (%d) instead of going back with %v: %s", r.Page.URL, r.Page.Status, codes, r.Page.Body)
		return
	}
	if !slices.Contains(codes, r.Params.Get("error")) || r.Params.Has("code") || r.Params.Has("id_token") || r.Params.Has("access_token") {
		r.s.Errorf("got %v, want error %v", r.Params, codes)
	}
}

// wantPage demands an error page of the server and that the client heard nothing.
func (r *response) wantPage(status int) {
	r.s.Helper()
	if r.Mode != "page" || r.Page.Status != status || !strings.HasPrefix(r.Page.Header.Get("Content-Type"), "text/html") {
		r.s.Fatalf("got %s, status %d, %s at %s, want an HTML page of the server with %d", r.Mode, r.Page.Status, r.Page.Header.Get("Content-Type"), r.Page.URL, status)
	}
	if got := r.s.rp.at(r.c.path("callback")); len(got) > r.before {
		r.s.Errorf("the client received %v", got[len(got)-1])
	}
}

// interactionErrors are the answers to prompt=none that a client understands (OIDC Core section 3.1.2.6).
var interactionErrors = []string{"login_required", "consent_required", "interaction_required", "account_selection_required"}

// answer is the answer of a protocol endpoint.
type answer struct {
	s      *suite
	Status int
	Header http.Header
	Raw    string
	JSON   map[string]any
}

// Str returns a string member, empty if there is none.
func (a *answer) Str(name string) string { v, _ := a.JSON[name].(string); return v }

// form builds a POST with a form.
func (s *suite) form(path string, form url.Values) *http.Request {
	s.Helper()
	r, err := http.NewRequest("POST", s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// do sends a request of a program, which has no cookies.
func (s *suite) do(r *http.Request) *answer {
	s.Helper()
	reply, err := wire().RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	defer reply.Body.Close()
	raw, err := io.ReadAll(reply.Body)
	if err != nil {
		s.Fatal(err)
	}
	a := &answer{s: s, Status: reply.StatusCode, Header: reply.Header, Raw: string(raw)}
	if strings.HasPrefix(reply.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &a.JSON); err != nil && len(raw) > 0 && raw[0] == '{' {
			s.Errorf("broken JSON %s: %v", raw, err)
		}
	}
	return a
}

// post calls a protocol endpoint as the client, with its secret by Basic if it has one.
func (c *client) post(path string, v values, changes ...func(*http.Request)) *answer {
	c.s.Helper()
	form := url.Values{}
	for name, value := range v {
		if value != "" {
			form.Set(name, value)
		}
	}
	if c.Secret == "" && !form.Has("client_assertion") {
		form.Set("client_id", c.ID)
	}
	r := c.s.form(path, form)
	if c.Secret != "" && !form.Has("client_assertion") && !form.Has("client_secret") {
		r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	}
	for _, change := range changes {
		change(r)
	}
	return c.s.do(r)
}

// redeem exchanges a code; more overwrites or, empty, removes parameters.
func (c *client) redeem(code string, more values) *answer {
	c.s.Helper()
	return c.post("/oauth2/token", values{"grant_type": "authorization_code", "code": code, "redirect_uri": c.Callback, "code_verifier": verifier}.with(more))
}

// refresh uses a refresh token.
func (c *client) refresh(token string, more values) *answer {
	c.s.Helper()
	return c.post("/oauth2/token", values{"grant_type": "refresh_token", "refresh_token": token}.with(more))
}

// tokens signs the user in with a new browser and demands tokens.
func (c *client) tokens(v values) *answer {
	c.s.Helper()
	return c.redeem(c.s.browser().authorize(c, v).code(), nil).wantTokens()
}

// wantTokens is T4.
func (a *answer) wantTokens() *answer {
	a.s.Helper()
	expires, ok := a.JSON["expires_in"].(float64)
	if a.Status != http.StatusOK || a.Str("access_token") == "" || !strings.EqualFold(a.Str("token_type"), "bearer") || !ok || expires <= 0 {
		a.s.Fatalf("no tokens: %d %s", a.Status, a.Raw)
	}
	a.wantNoStore()
	return a
}

func (a *answer) wantNoStore() {
	a.s.Helper()
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") || a.Header.Get("Cache-Control") != "no-store" {
		a.s.Errorf("Content-Type %q, Cache-Control %q, want JSON that is not stored", a.Header.Get("Content-Type"), a.Header.Get("Cache-Control"))
	}
}

// wantError demands an OAuth error in JSON, with the members of RFC 6749 section 5.2 and no others.
func (a *answer) wantError(status int, codes ...string) {
	a.s.Helper()
	if a.Status != status || !slices.Contains(codes, a.Str("error")) {
		a.s.Errorf("got %d %s, want %d %v", a.Status, a.Raw, status, codes)
	}
	a.wantNoStore()
	a.s.checkDescription(a.Str("error_description"))
	for name := range a.JSON {
		if !slices.Contains([]string{"error", "error_description", "error_uri"}, name) {
			a.s.Errorf("unexpected member %s in %s", name, a.Raw)
		}
	}
}

// userinfo asks with a bearer token.
func (s *suite) userinfo(token string, changes ...func(*http.Request)) *answer {
	s.Helper()
	r, err := http.NewRequest("GET", s.URL+"/oauth2/userinfo", nil)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for _, change := range changes {
		change(r)
	}
	return s.do(r)
}

// get fetches a document of the server.
func (s *suite) get(path string) *answer {
	s.Helper()
	r, err := http.NewRequest("GET", s.URL+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	return s.do(r)
}

// metadata is the discovery document.
func (s *suite) metadata() map[string]any {
	s.Helper()
	a := s.get("/.well-known/openid-configuration")
	if a.Status != http.StatusOK || a.JSON == nil {
		s.Fatalf("discovery: %d %s", a.Status, a.Raw)
	}
	return a.JSON
}

// strings returns a member of a document that is a list of strings.
func (s *suite) list(document map[string]any, name string) (out []string) {
	s.Helper()
	raw, ok := document[name].([]any)
	if !ok {
		s.Errorf("%s is %v, want an array", name, document[name])
		return nil
	}
	for _, v := range raw {
		text, ok := v.(string)
		if !ok {
			s.Errorf("%s holds %v, want strings", name, v)
		}
		out = append(out, text)
	}
	return out
}

const patience = 10 * time.Second // how long a test waits for what happens in the background
