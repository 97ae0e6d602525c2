package storagetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gatehouse/storage"
)

// RevocationTTL is the Options value of every store that the suite opens.
const RevocationTTL = 11 * time.Minute

// Opener returns a fresh, empty store and closes it in a cleanup of t. The suite hands it a fake clock in o.
type Opener = func(t *testing.T, o storage.Options) storage.Store

// SharedOpener returns two handles, as two processes would have, on one fresh, empty database.
type SharedOpener = func(t *testing.T, o storage.Options) (a, b storage.Store)

// Run checks one backend against the whole contract.
func Run(t *testing.T, open Opener) {
	t.Helper()
	groups := []struct {
		name string
		run  func(*testing.T, Opener)
	}{
		{"Race", raceAlone}, {"Client", testClients}, {"Expiry", testExpiry}, {"User", testUsers}, {"Identity", testIdentities}, {"Adoption", testAdoption},
		{"Session", testSessions}, {"UpstreamSession", testUpstreamSessions},
		{"SessionClient", testSessionClients}, {"Logout", testLogouts}, {"Interaction", testInteractions},
		{"Consent", testConsents}, {"Token", testTokens}, {"Grants", testGrants}, {"Revocation", testRevocations}, {"Cascade", testCascades}, {"Key", testKeys},
		{"Factor", testFactors}, {"Ticket", testTickets}, {"Mail", testMails}, {"Activity", testActivities}, {"Device", testDevices}, {"Import", testImports},
		{"Password", testPasswords}, {"Secret", testSecrets}, {"Change", testChanges}, {"Rate", testRates}, {"Logo", testLogos}, {"Notice", testNotices},
		{"Purge", testPurge}, {"Hostile", testHostile}, {"Context", testContext},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) { g.run(t, open) })
	}
}

// RunShared checks that two handles on one database keep the contract between them: the races with the callers spread over both, and that each sees at
// once what the other wrote.
func RunShared(t *testing.T, open SharedOpener) {
	t.Helper()
	t.Run("Race", func(t *testing.T) {
		clock := newClock()
		a, b := open(t, clock.options())
		runRaces(t, &fixture{Store: a, all: []storage.Store{a, b}, clock: clock}, Rounds)
	})
	t.Run("Visible", func(t *testing.T) {
		clock := newClock()
		a, b := open(t, clock.options())
		testVisible(t, &fixture{Store: a, clock: clock}, &fixture{Store: b, clock: clock})
	})
}

// fixture is a store under test with its clock. Several subtests may share one: they use ids of their own.
type fixture struct {
	storage.Store
	all   []storage.Store // every handle on the database, the embedded one first
	clock *clock
}

func newFixture(t *testing.T, open Opener) *fixture {
	t.Helper()
	c := newClock()
	s := open(t, c.options())
	return &fixture{Store: s, all: []storage.Store{s}, clock: c}
}

// rule is one rule of the contract.
type rule struct {
	name  string
	check func(*testing.T, *fixture)
}

// run checks rules one after the other on one store.
func (f *fixture) run(t *testing.T, rules []rule) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.check(t, f) })
	}
}

// clock is a fake clock. It starts between two microseconds, so that a backend that forgets to truncate is noticed.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 4, 5, 6, 7, 123_456_789, time.UTC)} }

func (c *clock) options() storage.Options {
	return storage.Options{Now: c.Now, RevocationTTL: RevocationTTL}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var bg = context.Background()

var errChange = errors.New("change refused")

// micro is what a backend makes of a time.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// name returns an id that no other test uses.
func name(prefix string) string { return prefix + "-" + rand.Text() }

// grantAt returns a UUIDv7 (RFC 9562 section 5.7) born at a millisecond.
func grantAt(at time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	ms := uint64(at.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6], b[8] = 0x70|b[6]&0x0f, 0x80|b[8]&0x3f
	h := hex.EncodeToString(b[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

func (f *fixture) client(t *testing.T) *storage.Client {
	t.Helper()
	c := &storage.Client{ID: name("client"), Name: "App", AuthMethod: "none", AccessToken: "jwt", Profile: "strict"}
	need(t, f.CreateClient(bg, c))
	return c
}

func (f *fixture) user(t *testing.T) *storage.User {
	t.Helper()
	u := &storage.User{Subject: name("user"), EmailVerified: true}
	u.Email, u.Username = u.Subject+"@Example.org", u.Subject
	u.EmailKey, u.UsernameKey = u.Subject+"@example.org", u.Subject
	need(t, f.CreateUser(bg, u, "hash-of-"+u.Subject))
	return u
}

func (f *fixture) session(t *testing.T, subject string) *storage.Session {
	t.Helper()
	s := f.unsaved(subject)
	need(t, f.CreateSession(bg, s))
	return s
}

// unsaved returns a session that is not stored.
func (f *fixture) unsaved(subject string) *storage.Session {
	now := f.clock.Now()
	return &storage.Session{ID: name("sid"), CookieHash: name("cookie"), Subject: subject, AuthTime: now, Created: now, LastSeen: now,
		Absolute: now.Add(time.Hour)}
}

// token returns an unsaved token of a grant born now.
func (f *fixture) token(kind storage.TokenKind) *storage.Token {
	now := f.clock.Now()
	t := &storage.Token{Kind: kind, Signature: name("sig"), GrantID: grantAt(now), ClientID: name("client"), Payload: []byte(`{"a":1}`),
		Created: now, Expires: now.Add(10 * time.Minute), GrantExpires: now.Add(time.Hour)}
	if kind == storage.TokenInitial {
		t.ClientID = ""
	}
	return t
}

// next returns an unsaved successor in the family of t.
func next(t *storage.Token, kind storage.TokenKind) *storage.Token {
	n := *t
	n.Kind, n.Signature = kind, name("next")
	return &n
}

func need(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func wantExists(t *testing.T, what string, err error, field string) {
	t.Helper()
	var exists *storage.ExistsError
	if !errors.As(err, &exists) || exists.Field != field || !errors.Is(err, storage.ErrExists) {
		t.Errorf("%s: error %v, want ExistsError{%q}", what, err, field)
	}
}

// same compares two values by their JSON: nil and empty lists of the records' own omitempty fields are equal, and a time must be UTC.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, err := json.Marshal(got)
	need(t, err)
	w, err := json.Marshal(want)
	need(t, err)
	if string(g) != string(w) {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// gone and alive ask whether a token has a row.
func gone(t *testing.T, s storage.TokenStore, what string, tok *storage.Token) {
	t.Helper()
	_, err := s.Token(bg, tok.Kind, tok.Signature)
	wantErr(t, what, err, storage.ErrNotFound)
}

func alive(t *testing.T, s storage.TokenStore, what string, tok *storage.Token) *storage.Token {
	t.Helper()
	got, err := s.Token(bg, tok.Kind, tok.Signature)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return got
}
