package keys

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// fakeStore keeps the contract of storage.KeyStore in a slice.
type fakeStore struct {
	mu     sync.Mutex
	rows   map[string]storage.SigningKey
	writes int
	fail   error
	// before runs once, right before the next change: somebody else was faster.
	before func()
}

func (f *fakeStore) SigningKeys(context.Context) ([]*storage.SigningKey, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list(), f.fail
}

func (f *fakeStore) list() []*storage.SigningKey {
	var out []*storage.SigningKey
	for _, row := range f.rows {
		out = append(out, &row)
	}
	slices.SortFunc(out, func(a, b *storage.SigningKey) int { return a.Created.Compare(b.Created) })
	return out
}

func (f *fakeStore) ChangeSigningKeys(_ context.Context, change func([]*storage.SigningKey) ([]*storage.SigningKey, error)) error {
	if before := f.before; before != nil {
		f.before = nil
		before()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	rows, err := change(f.list())
	if err != nil {
		return err
	}
	for _, row := range rows {
		f.rows[row.KID] = *row
		f.writes++
	}
	return nil
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *clock) add(d time.Duration) { c.set(c.Now().Add(d)) }

// world is one store with a clock, and as many nodes as asked for.
type world struct {
	store *fakeStore
	clock *clock
	ring  *seal.Ring
}

func newWorld(t testing.TB) *world {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.New([][]byte{key})
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		store: &fakeStore{rows: map[string]storage.SigningKey{}},
		clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		ring:  ring,
	}
}

// node makes a Set of ES256 keys (cheap) unless change says otherwise.
func (w *world) node(change ...func(*Options)) *Set {
	o := Options{Store: w.store, Seal: w.ring, Now: w.clock.Now, Algorithms: []string{ES256}, RSABits: 2048, RotateEvery: 30 * 24 * time.Hour, LongestToken: time.Hour}
	for _, f := range change {
		f(&o)
	}
	return New(o)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sign(t testing.TB, s *Set, alg string) string {
	t.Helper()
	token, err := s.Sign(alg, "at+jwt", []byte(`{"sub":"x"}`))
	must(t, err)
	return token
}

// published reads a node's JWKS as a relying party would.
func published(t testing.TB, s *Set) *jose.JSONWebKeySet {
	t.Helper()
	body, _ := s.JWKS()
	var set jose.JSONWebKeySet
	must(t, json.Unmarshal(body, &set))
	return &set
}

// verifyAsRelyingParty checks a token by a published JWKS only.
func verifyAsRelyingParty(set *jose.JSONWebKeySet, token string) error {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{RS256, PS256, ES256, EdDSA})
	if err != nil {
		return err
	}
	found := set.Key(jws.Signatures[0].Header.KeyID)
	if len(found) != 1 {
		return errors.New("kid is not published")
	}
	_, err = jws.Verify(found[0].Key)
	return err
}

func kidOf(t testing.TB, token string) string {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{RS256, PS256, ES256, EdDSA})
	must(t, err)
	return jws.Signatures[0].Header.KeyID
}

func states(t testing.TB, s *Set) map[string]int {
	t.Helper()
	list, err := s.List(t.Context())
	must(t, err)
	out := map[string]int{}
	for _, k := range list {
		out[k.Alg+" "+k.State]++
	}
	return out
}
