package keys

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// The signing algorithms that a key can have (RFC 7518 section 3.1, RFC 8037).
const (
	RS256 = "RS256"
	PS256 = "PS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// The timetable of a rotation.
const (
	// publishAhead is how long a new key is published before it signs by the schedule, at the least, so that every cached JWKS has it by then.
	publishAhead = 24 * time.Hour
	// rotateDelay is how long after Rotate the next key signs: more than the time in which every node has reloaded.
	rotateDelay = 5 * time.Second
	// removeSlack is how much longer than its last token a retired key is published.
	removeSlack = 24 * time.Hour
	// eraseAfter is how long after retirement the private half is kept, for nodes whose clock is behind.
	eraseAfter = time.Hour
	// hintFor is how long after it left the JWKS a key still checks id_token_hint values.
	hintFor = 365 * 24 * time.Hour

	defaultRotateEvery  = 90 * 24 * time.Hour
	defaultLongestToken = time.Hour
	defaultRSABits      = 2048
)

// ErrNoKey says that there is no active key for an algorithm.
var ErrNoKey = errors.New("no active signing key")

// Store is what a Set needs of storage.
type Store interface {
	SigningKeys(ctx context.Context) ([]*storage.SigningKey, error)
	ChangeSigningKeys(ctx context.Context, change func([]*storage.SigningKey) ([]*storage.SigningKey, error)) error
}

// Options make a Set.
type Options struct {
	Store Store
	Seal  *seal.Ring
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Algorithms are those that keys are kept for, in order of preference; default RS256 and ES256.
	Algorithms []string
	// RSABits is the size of new RSA keys; default 2048.
	RSABits int
	// RSAKey makes an RSA key of a size in bits; nil means rsa.GenerateKey. Tests that start many servers give keys that they made before.
	RSAKey func(bits int) (*rsa.PrivateKey, error)
	// RotateEvery is how long a key signs before the scheduled rotation; default 90 days.
	RotateEvery time.Duration
	// LongestToken is the longest life of anything that is signed; a retired key stays published that long and a day. Default 1 h.
	LongestToken time.Duration
	// Audit records keys that are made, rotated and revoked; nil records nothing.
	Audit *audit.Log
}

// Set is the issuer's signing keys as this node knows them. It is safe for concurrent use.
type Set struct {
	store        Store
	seal         *seal.Ring
	clock        func() time.Time
	algorithms   []string
	rsaBits      int
	rsaKey       func(bits int) (*rsa.PrivateKey, error)
	rotateEvery  time.Duration
	longestToken time.Duration
	audit        *audit.Log

	loading  sync.Mutex // of two Loads, the one that read later stores later
	snapshot atomic.Pointer[snapshot]
}

// New makes a Set that holds no keys until Load, Ensure or EnsureActive.
func New(o Options) *Set {
	s := &Set{
		store: o.Store, seal: o.Seal, clock: o.Now, algorithms: slices.Clone(o.Algorithms),
		rsaBits: o.RSABits, rsaKey: o.RSAKey, rotateEvery: o.RotateEvery.Truncate(time.Microsecond), longestToken: o.LongestToken.Truncate(time.Microsecond), audit: o.Audit,
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if len(s.algorithms) == 0 {
		s.algorithms = []string{RS256, ES256}
	}
	if s.rsaBits == 0 {
		s.rsaBits = defaultRSABits
	}
	if s.rsaKey == nil {
		s.rsaKey = func(bits int) (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, bits) }
	}
	if s.rotateEvery <= 0 {
		s.rotateEvery = defaultRotateEvery
	}
	if s.longestToken <= 0 {
		s.longestToken = defaultLongestToken
	}
	s.snapshot.Store(&snapshot{})
	return s
}

// Load reads the keys from storage into a new snapshot. It fails, and keeps the old snapshot, if a key that may sign cannot be opened with the
// master keys (seal.ErrUnknownKey names the one that is needed).
func (s *Set) Load(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	rows, err := s.store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("load signing keys: %w", err)
	}
	next, err := s.newSnapshot(rows, s.snapshot.Load())
	if err != nil {
		return fmt.Errorf("load signing keys: %w", err)
	}
	s.snapshot.Store(next)
	return nil
}

// Algorithms returns the algorithms that keys are kept for, in order of preference.
func (s *Set) Algorithms() []string { return slices.Clone(s.algorithms) }

// Has tells whether tokens can be signed with alg now.
func (s *Set) Has(alg string) bool {
	return slices.Contains(s.algorithms, alg) && s.snapshot.Load().active(alg, s.now()) != nil
}

// JWKS returns the JSON of the published keys (RFC 7517 section 5) and a strong entity tag for it. The bytes are shared: do not change them.
func (s *Set) JWKS() (body []byte, etag string) {
	p := s.snapshot.Load().publication(s.now(), s.algorithms)
	return p.body, p.etag
}

// now is the clock in the precision of storage, so that what is computed equals what is read back.
func (s *Set) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }
