package federation_test

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/client"
	"gatehouse/provider/credential"
	"gatehouse/provider/keys/keystest"
	"gatehouse/provider/oauth"
	"gatehouse/provider/outbound"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/seal"
	"gatehouse/provider/upstream"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
	"gatehouse/storage/sqlite"
	"gatehouse/storage/sqlite/sqlitetest"
)

// Flow tests walk a browser through a whole server, a provider that it trusts, and a relying party that verifies what comes out.

const (
	appCallback = "https://rp.example/callback"
	password    = "correct horse battery staple"
	verifier    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge   = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 appendix B
)

// gatehouse is one running server.
type gatehouse struct {
	*testing.T
	URL      string
	Store    storage.Store
	Provider *provider.Provider
	Clock    *webtest.Clock
	Log      *webtest.Log
	key      [32]byte
	rsa      func(bits int) (*rsa.PrivateKey, error)
	http     *httptest.Server
}

var backends = map[string]func(t *testing.T, o storage.Options) storage.Store{
	"memory": func(_ *testing.T, o storage.Options) storage.Store { return memory.New(o) },
	"sqlite": func(t *testing.T, o storage.Options) storage.Store {
		return opened(t)(sqlite.Open(t.Context(), sqlite.Options{Path: sqlitetest.Migrated(t), Options: o, AutoMigrate: true}))
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

func opened(t *testing.T) func(s storage.Store, err error) storage.Store {
	return func(s storage.Store, err error) storage.Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
}

var lifetimes = oauth.Lifetimes{
	Code: time.Minute, Pushed: 90 * time.Second, Access: 10 * time.Minute, ID: 10 * time.Minute, RefreshIdle: 14 * 24 * time.Hour, RefreshAbsolute: 90 * 24 * time.Hour,
	PublicRefreshIdle: 7 * 24 * time.Hour, PublicRefreshAbsolute: 30 * 24 * time.Hour, RefreshGrace: time.Minute,
}

// reserve makes the listener of a server first, so that others can be told its address before it starts. Two servers in one browser need two hosts, localhost and 127.0.0.1:
// cookies know no ports.
func reserve(t *testing.T, backend, host string) *gatehouse {
	t.Helper()
	g := &gatehouse{T: t, Clock: &webtest.Clock{}, Log: &webtest.Log{}, rsa: keystest.RSA()}
	g.key = sha256.Sum256([]byte(t.Name() + backend))
	g.Store = backends[backend](t, storage.Options{Now: g.Clock.Now, RevocationTTL: provider.RevocationTTL(lifetimes, nil)})
	g.http = httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(g.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	g.URL = "http://" + net.JoinHostPort(host, port)
	return g
}

// start boots a server with upstreams.
func start(t *testing.T, backend string, upstreams []upstream.Config, changes ...func(*provider.Options)) *gatehouse {
	t.Helper()
	g := reserve(t, backend, "127.0.0.1")
	if err := g.boot(upstreams, changes...); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gatehouse) boot(upstreams []upstream.Config, changes ...func(*provider.Options)) error {
	g.Helper()
	ring, err := seal.New([][]byte{g.key[:]})
	if err != nil {
		g.Fatal(err)
	}
	out, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		g.Fatal(err)
	}
	many := ratelimit.Limit{Burst: 100000, Every: time.Second}
	o := provider.Options{
		Issuer: g.URL, Store: g.Store, Seal: ring, Outbound: out, Log: slog.New(slog.NewJSONHandler(g.Log, nil)), Now: g.Clock.Now, SameSite: http.SameSiteLaxMode,
		SessionIdle: 30 * time.Minute, SessionAbsolute: 12 * time.Hour, Tokens: lifetimes,
		Keys:         provider.KeyPolicy{Algorithms: []string{"RS256", "ES256"}, IDToken: "RS256", AccessToken: "ES256", RSABits: 2048, RSAKey: g.rsa, RotateEvery: 90 * 24 * time.Hour},
		PasswordCost: 4, PasswordMinLength: 15, Upstreams: upstreams,
		Limits: provider.Limits{LoginIP: many, LoginNet: many, TokenFailures: many, Interactions: many},
	}
	for _, change := range changes {
		change(&o)
	}
	if g.Provider, err = provider.New(g.Context(), o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		g.Provider.Run(ctx)
	}()
	g.http.Config.Handler = g.Provider.Handler()
	g.http.Start()
	g.Cleanup(func() { g.http.Close(); cancel(); <-stopped })
	return nil
}

var appSecret, appSecretHash = client.NewSecret()

// app registers the relying party "app".
func (g *gatehouse) app(changes ...func(*storage.Client)) {
	g.Helper()
	c := &storage.Client{
		ID: "app", Name: "Example App", RedirectURIs: []string{appCallback}, GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		Scopes: []string{"openid", "profile", "email", "offline_access", "groups", "roles"}, AuthMethod: "client_secret_basic", AccessToken: "jwt", Profile: "strict", FirstParty: true,
		Secrets: []storage.ClientSecret{{Hash: appSecretHash}}, RegisteredBy: "operator", PostLogoutRedirectURIs: []string{"https://rp.example/bye"},
	}
	for _, change := range changes {
		change(c)
	}
	if err := g.Store.CreateClient(g.Context(), c); err != nil {
		g.Fatal(err)
	}
}

// user creates a user with a password and a verified address.
func (g *gatehouse) user(email string, changes ...func(*storage.User)) string {
	g.Helper()
	key, err := credential.EmailKey(email)
	if err != nil {
		g.Fatal(err)
	}
	u := &storage.User{Subject: "sub-" + strings.NewReplacer("@", "-", ".", "-").Replace(email), Email: email, EmailKey: key, EmailVerified: true, Claims: map[string]any{"name": "Ada Lovelace"}}
	for _, change := range changes {
		change(u)
	}
	ring, _ := seal.New([][]byte{g.key[:]})
	passwords, err := credential.New(credential.Options{Store: g.Store, Seal: ring, Cost: 4, MinLength: 15})
	if err == nil {
		err = passwords.Load(g.Context())
	}
	if err != nil {
		g.Fatal(err)
	}
	encoded, err := passwords.Hash(g.Context(), password)
	if err == nil {
		err = g.Store.CreateUser(g.Context(), u, encoded)
	}
	if err != nil {
		g.Fatal(err)
	}
	return u.Subject
}

// authorize is an authorization request of "app"; values overwrite.
func (g *gatehouse) authorize(values url.Values) string {
	params := url.Values{
		"client_id": {"app"}, "redirect_uri": {appCallback}, "response_type": {"code"}, "scope": {"openid profile email groups roles"}, "state": {"af0ifjsldkj"}, "nonce": {"n-0S6_WzA2Mj"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	maps.Copy(params, values)
	return g.URL + "/oauth2/authorize?" + params.Encode()
}

// call posts to a protocol endpoint as "app".
func (g *gatehouse) call(path string, form url.Values) map[string]any {
	g.Helper()
	answer := g.send(path, form)
	defer answer.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&out); err != nil || answer.StatusCode != 200 {
		g.Fatalf("%s: %d %v %v", path, answer.StatusCode, out, err)
	}
	return out
}

// hash is web.Hash.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func payload(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// raw posts to a protocol endpoint as "app" and returns the answer, whose body is closed.
func (g *gatehouse) raw(path string, form url.Values) *http.Response {
	g.Helper()
	answer := g.send(path, form)
	answer.Body.Close()
	return answer
}

func (g *gatehouse) send(path string, form url.Values) *http.Response {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), "POST", g.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		g.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("app", appSecret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		g.Fatal(err)
	}
	return answer
}
