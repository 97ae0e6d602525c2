package credential

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/provider/seal"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// fakeSecrets keeps the contract of storage.SecretStore in a map.
type fakeSecrets struct {
	mu   sync.Mutex
	rows map[string][]byte
	fail error
}

func (f *fakeSecrets) CreateSecret(_ context.Context, name string, sealed []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	if f.rows[name] != nil {
		return &storage.ExistsError{Field: "id"}
	}
	f.rows[name] = bytes.Clone(sealed)
	return nil
}

func (f *fakeSecrets) Secret(_ context.Context, name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	if f.rows[name] == nil {
		return nil, storage.ErrNotFound
	}
	return bytes.Clone(f.rows[name]), nil
}

func (f *fakeSecrets) HoldsSealed(context.Context) (bool, error) { return len(f.rows) > 0, nil }

func newRing(t testing.TB) *seal.Ring {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	must(t, err)
	ring, err := seal.New([][]byte{key})
	must(t, err)
	return ring
}

func newPasswords(t testing.TB, change ...func(*Options)) *Passwords {
	t.Helper()
	o := Options{Store: &fakeSecrets{rows: map[string][]byte{}}, Seal: newRing(t), Cost: 4}
	for _, f := range change {
		f(&o)
	}
	p, err := New(o)
	must(t, err)
	must(t, p.Load(t.Context()))
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func hash(t testing.TB, p *Passwords, password string) string {
	t.Helper()
	encoded, err := p.Hash(t.Context(), password)
	must(t, err)
	return encoded
}

func check(t testing.TB, p *Passwords, encoded, password string, wantOK, wantRehash bool) {
	t.Helper()
	ok, rehash, err := p.Verify(t.Context(), encoded, password)
	must(t, err)
	if ok != wantOK || rehash != wantRehash {
		t.Errorf("Verify(%.30q) = %t, %t; want %t, %t", password, ok, rehash, wantOK, wantRehash)
	}
}

func TestRow140EveryCharacterOfALongPasswordCounts(t *testing.T) {
	p := newPasswords(t)
	for _, password := range []string{strings.Repeat("a", 128), strings.Repeat("é", 2048), "with spaces and 🦊", "nul\x00inside", strings.Repeat("x", 72), strings.Repeat("x", 73)} {
		encoded := hash(t, p, password)
		check(t, p, encoded, password, true, false)
		check(t, p, encoded, password[:len(password)-1], false, false)
		if len(password) < maxPassword {
			check(t, p, encoded, password+"!", false, false)
		}
		if strings.Contains(encoded, password) {
			t.Error("the encoded form shows the password")
		}
	}
}

func TestRow140ComposedAndDecomposedAreOnePassword(t *testing.T) {
	p := newPasswords(t)
	check(t, p, hash(t, p, "ca\u0301fe\u0301"), "c\u00e1f\u00e9", true, false)
	check(t, p, hash(t, p, "ﬁ"), "fi", false, false) // NFC only: compatibility characters are not folded
}

func TestRow140OversizeIsRefusedWithoutHashing(t *testing.T) {
	p := newPasswords(t)
	encoded := hash(t, p, "x")
	before, _ := p.Work()
	huge := strings.Repeat("a", 1<<20)
	webtest.Quick(t, 50*time.Millisecond, func() {
		check(t, p, encoded, huge, false, false)
		check(t, p, "", huge, false, false)
		var policy *PolicyError
		if _, err := p.Hash(t.Context(), huge); !errors.As(err, &policy) {
			t.Errorf("Hash: %v", err)
		}
		if err := p.Check(huge); !errors.As(err, &policy) {
			t.Errorf("Check: %v", err)
		}
		if n, _ := p.Work(); n != before {
			t.Error("hashed a megabyte")
		}
	})
}

func TestEncodedNamesSchemeCostAndPepper(t *testing.T) {
	p := newPasswords(t)
	parts := strings.Split(hash(t, p, "x"), ":")
	if len(parts) != 4 || parts[0] != "bcrypt-hmac-sha256" || parts[1] != "4" || parts[2] != p.pepper.Load().id || !strings.HasPrefix(parts[3], "$2a$04$") {
		t.Fatalf("encoded %q", parts)
	}
	if first, second := hash(t, p, "x"), hash(t, p, "x"); first == second {
		t.Error("two hashes of one password are equal: no salt")
	}
}

func TestLowerCostIsRehashedAndHigherIsNot(t *testing.T) {
	store, ring := &fakeSecrets{rows: map[string][]byte{}}, newRing(t)
	at := func(cost int) *Passwords {
		return newPasswords(t, func(o *Options) { o.Store, o.Seal, o.Cost = store, ring, cost })
	}
	low, high := at(4), at(5)
	encoded := hash(t, low, "x")
	check(t, high, encoded, "x", true, true)
	check(t, high, encoded, "y", false, false)
	check(t, low, hash(t, high, "x"), "x", true, false)
}

// Ruling 39.
func TestImportedBcryptIsComparedRawAndReplaced(t *testing.T) {
	p := newPasswords(t)
	long := strings.Repeat("ä", 36) // 72 bytes
	for _, password := range []string{"imported", "e\u0301", long} {
		raw, err := bcrypt.GenerateFromPassword([]byte(password), 4)
		must(t, err)
		for _, prefix := range []string{"$2a$", "$2b$", "$2y$"} {
			encoded, err := Imported(prefix + string(raw[4:]))
			must(t, err)
			check(t, p, encoded, password, true, true)
			check(t, p, encoded, password+"x", false, false) // beyond 72 bytes bcrypt itself would not see it
		}
	}
	raw, err := bcrypt.GenerateFromPassword([]byte("x"), 4)
	must(t, err)
	for _, bad := range []string{"", "$2x$" + string(raw[4:]), "$2$" + string(raw[3:]), string(raw[:59]), string(raw) + "x", "$2a$31$" + string(raw[7:]), "$2a$03$" + string(raw[7:]), "plain"} {
		if _, err := Imported(bad); err == nil {
			t.Errorf("Imported(%q) accepted", bad)
		}
	}
}

// Ruling 27.
func TestUnknownUserCostsTheSameWorkAndIsNeverOK(t *testing.T) {
	p := newPasswords(t)
	encoded := hash(t, p, "x")
	for _, stored := range []string{encoded, ""} {
		before, spent := p.Work()
		check(t, p, stored, "wrong", false, false)
		if n, rounds := p.Work(); n-before != 1 || rounds-spent != 1<<4 {
			t.Errorf("stored %q: %d hashes of %d rounds, want one of %d", stored, n-before, rounds-spent, 1<<4)
		}
	}
	if cost, err := bcrypt.Cost(p.dummy); err != nil || cost != 4 {
		t.Errorf("dummy: cost %d, %v", cost, err)
	}
	if err := bcrypt.CompareHashAndPassword(p.dummy, []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("the dummy is not compared in full: %v", err)
	}
	check(t, p, "", "", false, false)
}

func TestDamagedOrForeignHashesFailClosed(t *testing.T) {
	p, other := newPasswords(t), newPasswords(t)
	encoded := hash(t, p, "x")
	for _, bad := range []string{"x", "plain:x", "bcrypt:", "bcrypt:x", "bcrypt-hmac-sha256:4:" + p.pepper.Load().id, encoded[:len(encoded)-1], strings.Replace(encoded, ":4:", ":5:", 1), hash(t, other, "x")} {
		ok, _, err := p.Verify(t.Context(), bad, "x")
		if ok || !errors.Is(err, ErrMalformed) {
			t.Errorf("Verify(%.40s) = %t, %v", bad, ok, err)
		}
		if err != nil && strings.Contains(err.Error(), "$2a$") {
			t.Errorf("the error shows the hash: %v", err)
		}
	}
}

func TestPepperIsMadeOnceAndSealed(t *testing.T) {
	store, ring := &fakeSecrets{rows: map[string][]byte{}}, newRing(t)
	nodes := make([]*Passwords, 8)
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() {
			p, err := New(Options{Store: store, Seal: ring, Cost: 4})
			if err == nil && p.Load(t.Context()) == nil {
				nodes[i] = p
			}
		})
	}
	wg.Wait()
	var encoded string
	for _, p := range nodes {
		if p == nil {
			t.Fatal("a node did not load")
		}
		if encoded == "" {
			encoded = hash(t, p, "x")
		}
		check(t, p, encoded, "x", true, false)
		if bytes.Contains(store.rows[pepperName], p.pepper.Load().key) {
			t.Error("the pepper is stored in clear")
		}
	}
	p, err := New(Options{Store: store, Seal: newRing(t), Cost: 4})
	must(t, err)
	if err := p.Load(t.Context()); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("with another master key: %v", err)
	}
	if _, err := p.Hash(t.Context(), "x"); err == nil {
		t.Error("hashes without a pepper")
	}
	if ok, _, err := p.Verify(t.Context(), encoded, "x"); ok || err == nil {
		t.Error("verifies without a pepper")
	}
	store.fail = storage.ErrUnavailable
	if err := p.Load(t.Context()); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("store down: %v", err)
	}
}

func TestRow142FullHashPoolIsBusyAtOnce(t *testing.T) {
	p := newPasswords(t, func(o *Options) { o.Parallel = 2 })
	hold, started := make(chan struct{}), make(chan struct{}, 2)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := p.pool.do(context.Background(), func() { started <- struct{}{}; <-hold }); err != nil {
				t.Error(err)
			}
		})
	}
	<-started
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 16)
	for range 16 {
		wg.Go(func() {
			_, _, err := p.Verify(ctx, "", "x")
			waiting <- err
		})
	}
	for len(p.pool.admitted) < cap(p.pool.admitted) {
		time.Sleep(time.Millisecond) // until all 16 wait; nothing signals it
	}
	if _, err := p.Hash(t.Context(), "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("Hash: %v", err)
	}
	if _, _, err := p.Verify(t.Context(), "", "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("Verify: %v", err)
	}
	cancel()
	for range 16 {
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("a waiting one whose client left: %v", err)
		}
	}
	close(hold)
	wg.Wait()
	check(t, p, "", "x", false, false)
}

func TestCostIsBounded(t *testing.T) {
	for cost, want := range map[int]bool{3: false, 4: true, 12: true, 15: true, 16: false, -1: false} {
		if _, err := New(Options{Cost: cost}); (err == nil) != want {
			t.Errorf("cost %d: %v", cost, err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	p := newPasswords(b, func(o *Options) { o.Cost = 12 })
	for b.Loop() {
		if _, _, err := p.Verify(b.Context(), "", "x"); err != nil {
			b.Fatal(err)
		}
	}
}
