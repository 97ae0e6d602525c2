package provider_test

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"hash/fnv"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/provider"
	"gatehouse/provider/client"
	"gatehouse/provider/credential"
	"gatehouse/provider/keys/keystest"
	"gatehouse/provider/mail"
	"gatehouse/provider/mail/mailtest"
	"gatehouse/provider/oauth"
	"gatehouse/provider/outbound"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/seal"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
	"gatehouse/storage/sqlite"
	"gatehouse/storage/sqlite/sqlitetest"
)

// Flow tests talk to a whole server through its HTTP handler, as browsers and clients do.

const (
	callback = "https://rp.example/callback"
	password = "correct horse battery staple"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	// challenge is the S256 challenge of verifier (RFC 7636 appendix B).
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

var masterKey = sha256.Sum256([]byte("master key of the tests"))

// server is one running server under test.
type server struct {
	*testing.T
	URL      string
	Store    storage.Store
	Provider *provider.Provider
	Log      *webtest.Log
	Clock    *webtest.Clock
	// Mail reads what people were sent; this server's, not the other nodes'.
	Mail *mailtest.Store
	// TLS makes boot serve an https issuer, Idle leaves the background jobs out; set them before boot (see startAs).
	TLS, Idle bool
	// Managed tells that Session Management is on.
	Managed bool
	rsa     func(bits int) (*rsa.PrivateKey, error)
	http    *httptest.Server
}

// backends open a fresh store each.
var backends = map[string]func(t *testing.T, o storage.Options) storage.Store{
	"memory": func(_ *testing.T, o storage.Options) storage.Store { return memory.New(o) },
	"sqlite": func(t *testing.T, o storage.Options) storage.Store {
		s, err := sqlite.Open(t.Context(), sqlite.Options{Path: sqlitetest.Migrated(t), Options: o, AutoMigrate: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	},
	"postgres": func(t *testing.T, o storage.Options) storage.Store {
		s, err := postgres.Open(t.Context(), postgres.Options{URL: postgrestest.StartMigrated(t), Options: o, AutoMigrate: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	},
}

// stores are those on which a test of a flow runs: memory and one SQL engine, which one by the test's name, and all of them in a long run. What the engines must have in common is the contract in
// storagetest, which runs whole on each; a flow over both would go through the same statements twice.
func stores(t *testing.T) []string {
	if os.Getenv("GATEHOUSE_SOAK") != "" {
		return slices.Sorted(maps.Keys(backends))
	}
	sum := fnv.New32a()
	sum.Write([]byte(t.Name()))
	return []string{"memory", []string{"sqlite", "postgres"}[sum.Sum32()%2]}
}

// onEveryBackend runs a test on its stores.
func onEveryBackend(t *testing.T, test func(s *server), changes ...func(*provider.Options)) {
	for _, name := range stores(t) {
		t.Run(name, func(t *testing.T) { test(start(t, name, changes...)) })
	}
}

var testTokens = oauth.Lifetimes{
	Code: time.Minute, Pushed: 90 * time.Second, Access: 10 * time.Minute, ID: 10 * time.Minute, RefreshIdle: 14 * 24 * time.Hour, RefreshAbsolute: 90 * 24 * time.Hour,
	PublicRefreshIdle: 7 * 24 * time.Hour, PublicRefreshAbsolute: 30 * 24 * time.Hour, RefreshGrace: time.Minute,
}

// start boots a server on a backend: "memory", "sqlite" or "postgres". Each change may alter the options first.
func start(t *testing.T, backend string, changes ...func(*provider.Options)) *server {
	t.Helper()
	return startAs(t, backend, func(*server) {}, changes...)
}

// startAs is start with a change to the server under test before it boots.
func startAs(t *testing.T, backend string, as func(*server), changes ...func(*provider.Options)) *server {
	t.Helper()
	s := &server{T: t, Log: &webtest.Log{}, Clock: &webtest.Clock{}, rsa: keystest.RSA()}
	s.Store = backends[backend](t, storage.Options{Now: s.Clock.Now, RevocationTTL: provider.RevocationTTL(testTokens, nil)})
	as(s)
	s.boot(changes...)
	return s
}

// boot starts a server process on s.Store; a second call on a copy of s gives a second node.
func (s *server) boot(changes ...func(*provider.Options)) {
	s.Helper()
	s.http = httptest.NewUnstartedServer(nil)
	s.URL = "http://" + s.http.Listener.Addr().String()
	if s.TLS {
		s.URL = "https://" + s.http.Listener.Addr().String()
	}
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		s.Fatal(err)
	}
	out, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		s.Fatal(err)
	}
	s.Mail = mailtest.Watch(s.Store, ring)
	o := provider.Options{
		Issuer: s.URL, Store: s.Mail, Mail: provider.Mail{Carrier: mail.NewBox(1), From: "no-reply@id.example.com"}, Seal: ring, Outbound: out, Log: slog.New(slog.NewJSONHandler(s.Log, nil)), Now: s.Clock.Now, SameSite: http.SameSiteLaxMode,
		SessionIdle: 30 * time.Minute, SessionAbsolute: 12 * time.Hour, Tokens: testTokens,
		Keys:         provider.KeyPolicy{Algorithms: []string{"RS256", "ES256"}, IDToken: "RS256", AccessToken: "ES256", RSABits: 2048, RSAKey: s.rsa, RotateEvery: 90 * 24 * time.Hour},
		PasswordCost: 4, PasswordMinLength: 15,
		Limits: provider.Limits{
			LoginAccount: ratelimit.Backoff{Free: 5, Longest: 15 * time.Minute}, LoginFailures: 100, LoginIP: ratelimit.Limit{Burst: 1000, Every: time.Second}, LoginNet: ratelimit.Limit{Burst: 1000, Every: time.Second},
			TokenFailures: ratelimit.Limit{Burst: 1000, Every: time.Second}, Interactions: ratelimit.Limit{Burst: 1000, Every: time.Second},
		},
	}
	for _, change := range changes {
		change(&o)
	}
	s.Managed = o.SessionManagement
	if s.Provider, err = provider.New(s.Context(), o); err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if !s.Idle {
			s.Provider.Run(ctx)
		}
	}()
	s.http.Config.Handler = s.Provider.Handler()
	if s.TLS {
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	s.Cleanup(func() { s.http.Close(); cancel(); <-stopped })
}

var clientSecret, clientSecretHash = client.NewSecret()

// client registers a confidential client "app" for the code flow with all OpenID scopes; changes may alter it.
func (s *server) client(changes ...func(*storage.Client)) *storage.Client {
	s.Helper()
	c := &storage.Client{
		ID: "app", Name: "Example App", RedirectURIs: []string{callback}, GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		Scopes: []string{"openid", "profile", "email", "address", "phone", "offline_access"}, AuthMethod: "client_secret_basic", AccessToken: "jwt", Profile: "strict",
		Secrets: []storage.ClientSecret{{Hash: clientSecretHash}}, RegisteredBy: "operator",
	}
	for _, change := range changes {
		change(c)
	}
	if c.AuthMethod == "none" || c.AuthMethod == "private_key_jwt" {
		c.Secrets = nil
	}
	if err := s.Store.CreateClient(s.Context(), c); err != nil {
		s.Fatal(err)
	}
	return c
}

// user creates a user who can sign in with password and returns the subject.
func (s *server) user(email string, changes ...func(*storage.User)) string {
	s.Helper()
	key, err := credential.EmailKey(email)
	if err != nil {
		s.Fatal(err)
	}
	u := &storage.User{Subject: "sub-" + strings.NewReplacer("@", "-", ".", "-").Replace(email), Email: email, EmailKey: key, EmailVerified: true, Claims: map[string]any{"name": "Ada Lovelace", "given_name": "Ada"}}
	for _, change := range changes {
		change(u)
	}
	ring, _ := seal.New([][]byte{masterKey[:]})
	passwords, err := credential.New(credential.Options{Store: s.Store, Seal: ring, Cost: 4, MinLength: 15})
	if err == nil {
		err = passwords.Load(s.Context())
	}
	if err != nil {
		s.Fatal(err)
	}
	encoded, err := passwords.Hash(s.Context(), password)
	if err != nil {
		s.Fatal(err)
	}
	if err := s.Store.CreateUser(s.Context(), u, encoded); err != nil {
		s.Fatal(err)
	}
	return u.Subject
}

// browser keeps cookies and follows redirects inside the server only.
type browser struct {
	s      *server
	client *http.Client
	User   string // e-mail it signs in with
	Deny   bool   // answers consent with deny
	Choose string // session that it chooses among several accounts; "" for another account
	Pages  []string
}

func (s *server) browser(email string) *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{s: s, User: email, client: &http.Client{Transport: s.http.Client().Transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// page is one answer with its body read.
type page struct {
	*http.Response
	Body string
}

func (b *browser) do(r *http.Request) page {
	b.s.Helper()
	response, err := b.client.Do(r)
	if err != nil {
		b.s.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.s.Fatal(err)
	}
	b.s.wantHead(response)
	return page{response, string(body)}
}

func (b *browser) get(target string) page {
	b.s.Helper()
	r, err := http.NewRequest("GET", target, nil)
	if err != nil {
		b.s.Fatal(err)
	}
	return b.do(r)
}

func (b *browser) post(target string, values url.Values) page {
	b.s.Helper()
	r, err := http.NewRequest("POST", target, strings.NewReader(values.Encode()))
	if err != nil {
		b.s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", originOf(b.s.URL))
	return b.do(r)
}

// authorizeURL builds an authorization request of client "app" with PKCE; values overwrite, an empty value removes.
func (s *server) authorizeURL(values url.Values) string {
	params := url.Values{
		"client_id": {"app"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile email offline_access"}, "state": {"af0ifjsldkj"}, "nonce": {"n-0S6_WzA2Mj"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for name, value := range values {
		if len(value) == 1 && value[0] == "" {
			params.Del(name)
		} else {
			params[name] = value
		}
	}
	return s.URL + "/oauth2/authorize?" + params.Encode()
}

// walk follows redirects inside the server and fills in login and consent forms, until it meets a redirect to somewhere else or a page it does not know.
func (b *browser) walk(target string) page {
	b.s.Helper()
	// Grants and revocations are compared by the millisecond, and a grant born in that of a revocation is dead. People are slower than that; tests are not.
	b.s.Clock.Advance(time.Millisecond)
	p := b.get(target)
	for range 15 {
		if location := p.Header.Get("Location"); location != "" {
			next, err := p.Request.URL.Parse(location)
			if err != nil || !strings.HasPrefix(next.String(), b.s.URL) {
				return p
			}
			p = b.get(next.String())
			continue
		}
		switch {
		case hasForm(p.Body, "login"):
			b.Pages = append(b.Pages, "login")
			p = b.submit(p, "login", url.Values{"username": {b.User}, "password": {password}})
		case hasForm(p.Body, "accounts"):
			b.Pages = append(b.Pages, "accounts")
			p = b.submit(p, "accounts", url.Values{"account": {b.Choose}})
		case hasForm(p.Body, "consent"):
			b.Pages = append(b.Pages, "consent")
			decision := "allow"
			if b.Deny {
				decision = "deny"
			}
			p = b.submit(p, "consent", url.Values{"decision": {decision}})
		default:
			return p
		}
		if p.StatusCode >= 400 {
			return p
		}
	}
	b.s.Fatal("the walk does not end")
	return p
}

// callback walks an authorization request and returns the parameters that reach the client.
func (b *browser) callback(values url.Values) url.Values {
	b.s.Helper()
	p := b.walk(b.s.authorizeURL(values))
	location, err := p.Location()
	if err != nil {
		b.s.Fatalf("no redirect to the client: %d %s", p.StatusCode, p.Body)
	}
	return location.Query()
}

// code walks an authorization request and returns the code.
func (b *browser) code(values url.Values) string {
	b.s.Helper()
	params := b.callback(values)
	if params.Get("code") == "" {
		b.s.Fatalf("no code: %v", params)
	}
	return params.Get("code")
}

// submit posts a form of a page with its hidden inputs.
func (b *browser) submit(p page, id string, values url.Values) page {
	b.s.Helper()
	action, fields := readForm(b.s.T, p.Body, id)
	target, err := p.Request.URL.Parse(action)
	if err != nil {
		b.s.Fatal(err)
	}
	maps.Copy(fields, values)
	return b.post(target.String(), fields)
}

// originOf cuts the path off an issuer that has one.
func originOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	return u.Scheme + "://" + u.Host
}

func hasForm(body, id string) bool {
	return strings.Contains(body, `<form`) && strings.Contains(body, `id="`+id+`"`)
}

// readForm returns the action and the hidden inputs of the form with the id.
func readForm(t *testing.T, body, id string) (string, url.Values) {
	t.Helper()
	root, err := html.ParseWithOptions(strings.NewReader(body), html.ParseOptionEnableScripting(false))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && attr(n, "id") == id {
			fields := url.Values{}
			for in := range n.Descendants() {
				if in.Type == html.ElementNode && in.Data == "input" && attr(in, "type") == "hidden" {
					fields.Set(attr(in, "name"), attr(in, "value"))
				}
			}
			return attr(n, "action"), fields
		}
	}
	t.Fatalf("no form %q in %s", id, body)
	return "", nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// answer is a JSON answer of a protocol endpoint.
type answer struct {
	Status int
	Header http.Header
	Raw    string
	JSON   map[string]any
}

// Str returns a string member.
func (a answer) Str(name string) string { v, _ := a.JSON[name].(string); return v }

// post sends a form to a protocol endpoint with Basic credentials of client "app"; each change may alter the request.
func (s *server) post(path string, values url.Values, changes ...func(*http.Request)) answer {
	s.Helper()
	r, err := http.NewRequest("POST", s.URL+path, strings.NewReader(values.Encode()))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("app", clientSecret)
	for _, change := range changes {
		change(r)
	}
	return s.send(r)
}

// noBasic removes the credentials, for public clients and attackers.
func noBasic(r *http.Request) { r.Header.Del("Authorization") }

// as uses other Basic credentials.
func as(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(id, secret) }
}

func (s *server) send(r *http.Request) answer {
	s.Helper()
	response, err := s.http.Client().Transport.RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	a := answer{Status: response.StatusCode, Header: response.Header, Raw: string(raw)}
	if len(raw) > 0 {
		_ = json.Unmarshal(raw, &a.JSON) // tests look at Raw where it is not JSON
	}
	return a
}

// redeem exchanges a code of client "app".
func (s *server) redeem(code string, changes ...func(*http.Request)) answer {
	s.Helper()
	return s.post("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}, changes...)
}

// refresh uses a refresh token of client "app".
func (s *server) refresh(token string, changes ...func(*http.Request)) answer {
	s.Helper()
	return s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, changes...)
}

// introspect asks whether a token is active, as client "app".
func (s *server) introspect(token string, changes ...func(*http.Request)) answer {
	s.Helper()
	return s.post("/oauth2/introspect", url.Values{"token": {token}}, changes...)
}

// userinfo calls userinfo with a bearer token.
func (s *server) userinfo(token string) answer {
	s.Helper()
	r, err := http.NewRequest("GET", s.URL+"/oauth2/userinfo", nil)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return s.send(r)
}

// tokens signs a user in and redeems the code.
func (s *server) tokens(values url.Values) answer {
	s.Helper()
	a := s.redeem(s.browser("ada@example.com").code(values))
	if a.Status != http.StatusOK {
		s.Fatalf("code exchange: %d %s", a.Status, a.Raw)
	}
	return a
}

// wantError demands an OAuth error as JSON with no-store.
func (s *server) wantError(a answer, status int, code string) {
	s.Helper()
	if a.Status != status || a.Str("error") != code {
		s.Errorf("got %d %s, want %d %s", a.Status, a.Raw, status, code)
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		s.Errorf("Cache-Control is %q, want no-store", got)
	}
	if strings.ContainsAny(a.Str("error_description"), "\"\\\r\n\t") {
		s.Errorf("error_description %q leaves the character set of RFC 6749", a.Str("error_description"))
	}
}
