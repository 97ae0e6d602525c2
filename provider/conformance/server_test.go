package conformance

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential"
	"gatehouse/provider/oauth"
	"gatehouse/provider/outbound"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/seal"
	"gatehouse/provider/web"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

const (
	password = "correct horse battery staple"
	// tick is more than the millisecond by which grants and revocations are compared.
	tick = 5 * time.Millisecond
)

var (
	masterKey = sha256.Sum256([]byte("master key of the conformance tests"))
	lifetimes = oauth.Lifetimes{
		Code: time.Minute, Access: 10 * time.Minute, ID: 10 * time.Minute, RefreshIdle: 14 * 24 * time.Hour, RefreshAbsolute: 90 * 24 * time.Hour,
		PublicRefreshIdle: 7 * 24 * time.Hour, PublicRefreshAbsolute: 30 * 24 * time.Hour, RefreshGrace: time.Minute, Pushed: 90 * time.Second,
	}
	revocationTTL = provider.RevocationTTL(lifetimes, nil)
)

// server is one running server under test.
type server struct {
	// URL is the issuer.
	URL      string
	Store    storage.Store
	Provider *provider.Provider
	Logged   *webtest.Log
	Clock    *webtest.Clock
	http     *httptest.Server
	stop     func()
}

func (s *server) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(s.Logged, nil)) }

// boot starts a server that trusts the relying parties' certificates and has every option on, save what changes take away.
func (s *server) boot(dir string, changes ...func(*provider.Options)) error {
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, authority().pem, 0o600); err != nil {
		return err
	}
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		return err
	}
	out, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.1", "localhost", "::1"}, CAFile: roots, FailureFloor: -1})
	if err != nil {
		return err
	}
	s.http = httptest.NewUnstartedServer(nil)
	s.URL = "https://localhost:" + port(s.http.Listener)
	o := s.options(ring, out)
	for _, change := range changes {
		change(&o)
	}
	if s.Provider, err = provider.New(context.Background(), o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.Provider.Run(ctx)
	}()
	s.http.Config = web.Server("", s.Provider.Handler()) // as the program serves
	s.http.TLS = s.http.Config.TLSConfig.Clone()
	s.http.TLS.Certificates = authority().serverConfig().Certificates
	s.http.StartTLS()
	s.stop = func() { s.http.Close(); cancel(); <-stopped }
	return nil
}

func (s *server) options(ring *seal.Ring, out *outbound.Client) provider.Options {
	many := ratelimit.Limit{Burst: 100_000, Every: time.Millisecond}
	return provider.Options{
		Issuer: s.URL, Store: s.Store, Seal: ring, Outbound: out, Log: s.logger(), Now: s.Clock.Now, SameSite: http.SameSiteLaxMode,
		SessionIdle: 24 * time.Hour, SessionAbsolute: 7 * 24 * time.Hour, Tokens: lifetimes,
		Keys: provider.KeyPolicy{
			Algorithms: []string{"RS256", "ES256", "PS256"}, IDToken: "RS256", AccessToken: "ES256", RSABits: 2048, RotateEvery: 90 * 24 * time.Hour,
		},
		PasswordCost: 4, PasswordMinLength: 15,
		ResponseTypes:          []string{"code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"},
		UnsignedRequestObjects: true, UnsignedIDTokens: true, SessionManagement: true,
		Registration: provider.Registration{Mode: "open", Profile: "compatible", ExpireUnused: 7 * 24 * time.Hour, ExpireIdle: 90 * 24 * time.Hour},
		Limits:       provider.Limits{LoginIP: many, LoginNet: many, TokenFailures: many, Interactions: many, Registration: many, PAR: many},
	}
}

// node starts a second server on the same store, with other options.
func (s *suite) node(change func(*provider.Options)) *suite {
	s.Helper()
	second := &server{Store: s.Store, Logged: s.Logged, Clock: s.Clock}
	if err := second.boot(s.TempDir(), change); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(second.stop)
	return &suite{T: s.T, server: second, rp: s.rp, otherSite: s.otherSite, person: s.person}
}

// registrationMode is an option of a node: how clients register there.
func registrationMode(mode string) func(*provider.Options) {
	return func(o *provider.Options) { o.Registration.Mode = mode }
}

// person is a user with every standard claim (trap 11).
type person struct {
	Subject, Email string
	Claims         map[string]any
}

func (s *suite) newPerson() *person {
	s.Helper()
	id := rand.Text()[:12]
	p := &person{Subject: "sub-" + id, Email: "ada-" + id + "@example.com", Claims: map[string]any{
		"name": "Ada King Lovelace", "given_name": "Ada", "middle_name": "King", "family_name": "Lovelace", "nickname": "Countess", "preferred_username": "ada." + id,
		"profile": "https://example.com/ada", "picture": "https://example.com/ada.png", "website": "https://ada.example", "gender": "female", "birthdate": "1815-12-10",
		"zoneinfo": "Europe/London", "locale": "en-GB", "phone_number": "+44 20 7946 0123", "phone_number_verified": true,
		"address": map[string]any{
			"formatted": "12 St James's Square\nLondon", "street_address": "12 St James's Square", "locality": "London", "region": "England", "postal_code": "SW1Y 4LB", "country": "GB",
		},
	}}
	key, err := credential.EmailKey(p.Email)
	if err != nil {
		s.Fatal(err)
	}
	u := &storage.User{Subject: p.Subject, Email: p.Email, EmailKey: key, EmailVerified: true, Claims: p.Claims}
	if err := s.Store.CreateUser(s.Context(), u, s.encodedPassword()); err != nil {
		s.Fatal(err)
	}
	return p
}

func (s *suite) encodedPassword() string {
	s.Helper()
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		s.Fatal(err)
	}
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
	return encoded
}

// pass lets time go by and returns when the server has noticed: it trusts its copies for five seconds only.
func (s *suite) pass(d time.Duration) {
	s.Helper()
	s.Clock.Advance(d)
	s.eventually("the server is ready again", func() bool { return s.Provider.Ready(s.Context()) == nil })
}

// eventually looks until something that the server does in the background has happened.
func (s *suite) eventually(what string, happened func() bool) {
	s.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !happened(); <-look.C {
		if time.Now().After(end) {
			s.Fatalf("it did not come to pass that %s", what)
		}
	}
}

// bare takes all claims but the address away from a user.
func bare(u *storage.User) error {
	u.Claims = nil
	return nil
}
