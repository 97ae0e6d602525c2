package login_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider/account"
	"gatehouse/provider/audit"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/login"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/seal"
	"gatehouse/provider/session"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/templates"
)

const (
	origin = "http://localhost:8080"
	right  = "correct horse battery staple"
)

// server is the sign-in page with everything it stands on, and a record of the work it had done.
type server struct {
	*testing.T
	store     *memory.Store
	flows     *interaction.Flows
	passwords *credential.Passwords
	mux       *web.Mux
	log       *buffer
	clock     *clock
	work      *work
	busy      error         // what Verify answers, if set
	hold      chan struct{} // if set, Verify waits until it is closed
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// work records the counted operations of ruling 27 in order.
type work struct {
	mu  sync.Mutex
	ops []string
}

func (w *work) did(op string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ops = append(w.ops, op)
}

// take returns what was recorded and starts anew.
func (w *work) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ops := w.ops
	w.ops = nil
	return ops
}

func (w *work) count(op string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, o := range w.ops {
		if o == op {
			n++
		}
	}
	return n
}

// The wrappers below record the user reads, the hashes and the reads and writes of limits.

func (s *server) UserByLogin(ctx context.Context, key string) (*storage.User, string, error) {
	s.work.did("read user")
	return s.store.UserByLogin(ctx, key)
}

func (s *server) UpstreamToken(ctx context.Context, id string) ([]byte, error) {
	return s.store.UpstreamToken(ctx, id)
}

func (s *server) RehashPassword(ctx context.Context, subject, old, encoded string) error {
	s.work.did("store hash")
	return s.store.RehashPassword(ctx, subject, old, encoded)
}

// FailPassword is recorded as what it is instead of for an account that exists: one row written.
func (s *server) FailPassword(ctx context.Context, subject string, at time.Time) (int, error) {
	s.work.did("write limit")
	return s.store.FailPassword(ctx, subject, at)
}

func (s *server) ClearFailures(ctx context.Context, subject string, below int) error {
	s.work.did("clear failures")
	return s.store.ClearFailures(ctx, subject, below)
}

func (s *server) Verify(ctx context.Context, encoded, password string) (ok, rehash bool, err error) {
	s.work.did("hash")
	if s.hold != nil {
		<-s.hold
	}
	if s.busy != nil {
		return false, false, s.busy
	}
	return s.passwords.Verify(ctx, encoded, password)
}

func (s *server) Hash(ctx context.Context, password string) (string, error) {
	s.work.did("encode")
	return s.passwords.Hash(ctx, password)
}

func (s *server) Rate(ctx context.Context, key string) (time.Time, error) {
	s.work.did("read limit")
	return s.store.Rate(ctx, key)
}

func (s *server) SwapRate(ctx context.Context, key string, old, next time.Time) (bool, error) {
	s.work.did("write limit")
	return s.store.SwapRate(ctx, key, old, next)
}

// start boots the page with users alice and bob, and carol who is disabled.
func start(t *testing.T, changes ...func(*login.Options)) *server {
	t.Helper()
	s := &server{T: t, log: &buffer{}, work: &work{}, clock: &clock{t: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}}
	s.store = memory.New(storage.Options{Now: s.clock.now, RevocationTTL: time.Hour})
	ring, err := seal.New([][]byte{[]byte("0123456789abcdef0123456789abcdeF")})
	s.must(err)
	s.passwords, err = credential.New(credential.Options{Store: s.store, Seal: ring, Cost: 4, MinLength: 15})
	s.must(err)
	s.must(s.passwords.Load(t.Context()))
	s.flows = interaction.New(interaction.Options{Store: s.store, Seal: ring, Now: s.clock.now})
	sessions := session.New(session.Options{Store: s.store, Idle: 30 * time.Minute, Absolute: 12 * time.Hour, Now: s.clock.now})
	log := slog.New(slog.NewJSONHandler(s.log, nil))
	pages, err := templates.Load()
	s.must(err)
	s.mux, err = web.New(web.Options{Issuer: origin, Templates: pages, CSRFKeys: ring.Derive("csrf", 32), Log: log, Now: s.clock.now})
	s.must(err)
	records := audit.New(log)
	o := login.Options{
		SignIn: signin.New(signin.Options{Sessions: sessions, Flows: s.flows, Clients: s.store, BrowserKeys: [][]byte{[]byte("new key"), []byte("old key")}, Audit: records, Now: s.clock.now}),
		Store:  s, Passwords: s, Sessions: sessions, Flows: s.flows, Clients: s.store, Limiter: ratelimit.New(ratelimit.Options{Store: s, Now: s.clock.now}), Audit: records, Now: s.clock.now,
		Limits: login.Limits{
			AccountFailures: ratelimit.Backoff{Free: 5, Longest: 15 * time.Minute}, MaxFailures: 100, IPFailures: ratelimit.Limit{Burst: 30, Every: 20 * time.Second}, NetFailures: ratelimit.Limit{Burst: 200, Every: 3 * time.Second},
		},
	}
	for _, change := range changes {
		change(&o)
	}
	login.New(o).Mount(s.mux)
	account.New(account.Options{Store: s.store, Sessions: sessions, Flows: s.flows, Clients: s.store, Now: s.clock.now}).Mount(s.mux)
	for _, name := range []string{"alice", "bob", "carol"} {
		s.createUser(name, name == "carol")
	}
	s.must(s.store.CreateClient(t.Context(), &storage.Client{
		ID: "shop", Name: "The Shop", RedirectURIs: []string{"https://shop.example/cb"}, AuthMethod: "none", PolicyURI: "https://shop.example/policy", TOSURI: "https://shop.example/terms", LogoURI: "https://shop.example/logo.png",
	}))
	return s
}

func (s *server) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *server) createUser(name string, disabled bool) {
	encoded, err := s.passwords.Hash(s.Context(), right)
	s.must(err)
	email := name + "@shop.example"
	key, err := credential.EmailKey(email)
	s.must(err)
	s.must(s.store.CreateUser(s.Context(), &storage.User{Subject: "sub-" + name, Email: email, EmailKey: key, Username: name, UsernameKey: name, Disabled: disabled}, encoded))
}

func (s *server) browser() *webtest.Browser { return webtest.New(s.mux, origin) }

// begin starts an authorize interaction in the browser, as the authorization endpoint does, and returns its id. The browser gets its flow cookie from a visit
// of the account page.
func (s *server) begin(b *webtest.Browser, params url.Values) string {
	s.Helper()
	if params == nil {
		params = url.Values{}
	}
	params.Set("client_id", "shop")
	params.Set("redirect_uri", "https://shop.example/cb")
	own := s.accountFlow(b)
	i, err := s.flows.Start(s.Context(), storage.Interaction{Kind: storage.InteractionAuthorize, Params: params, ReturnTo: interaction.ReturnAuthorize, Binder: own.Binder})
	s.must(err)
	return i.ID
}

// accountFlow is the interaction that a visit of the account page begins.
func (s *server) accountFlow(b *webtest.Browser) *storage.Interaction {
	s.Helper()
	anonymous := b.Clone()
	delete(anonymous.Cookies, "gth_sid")
	to := anonymous.Get("/account").Location()
	for name, value := range anonymous.Cookies {
		b.Cookies[name] = value
	}
	u, err := url.Parse(to)
	s.must(err)
	if u.Path != "/login" {
		s.Fatalf("the account page leads to %q", to)
	}
	i, err := s.store.Interaction(s.Context(), u.Query().Get("interaction"))
	s.must(err)
	return i
}

// form opens the form of an interaction.
func (s *server) form(b *webtest.Browser, id string) *webtest.Page {
	s.Helper()
	p := b.Get("/login?interaction=" + url.QueryEscape(id))
	if p.Status != http.StatusOK || p.Form("login") == nil {
		s.Fatalf("no form: %d %s", p.Status, p.Body)
	}
	return p
}

func credentials(username, password string) url.Values {
	return url.Values{"username": {username}, "password": {password}}
}

// signIn opens the form and submits it.
func (s *server) signIn(b *webtest.Browser, id, username, password string) *webtest.Page {
	s.Helper()
	return b.Submit(s.form(b, id), "login", credentials(username, password))
}

// signedIn tells whether the account page opens.
func (s *server) signedIn(b *webtest.Browser) bool {
	return b.Clone().Get("/account").Status == http.StatusOK
}

// plain is a page without what differs by chance: tokens, ids and the name that was typed.
func plain(p *webtest.Page, typed string) string {
	body := p.Body
	if f := p.Form("login"); f != nil {
		for _, field := range []string{"csrf", "interaction"} {
			body = strings.ReplaceAll(body, f.Fields.Get(field), "")
		}
	}
	return strings.ReplaceAll(body, typed, "")
}

func sorted(h http.Header) []string {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
