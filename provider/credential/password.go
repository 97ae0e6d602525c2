package credential

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"

	"gatehouse/provider/seal"
	"gatehouse/storage"
)

const (
	// maxPassword is the longest password that is hashed, in bytes.
	maxPassword      = 4 << 10
	defaultCost      = 12
	defaultMinLength = 15
	defaultQueue     = 8
	// maxCost bounds what an imported hash may make the server work.
	maxCost = 15

	pepperName = "password-pepper"
	pepperSize = 32

	// The schemes. An encoded password is scheme ":" cost ":" pepper id ":" bcrypt hash, or, imported, scheme ":" foreign hash.
	schemePeppered = "bcrypt-hmac-sha256"
	schemeImported = "bcrypt"
	// bcryptInput is how many bytes bcrypt looks at; what was imported was hashed from no more.
	bcryptInput = 72
)

var (
	// ErrBusy says that the hash pool is full: answer 503 with Retry-After.
	ErrBusy = errors.New("too many passwords are being checked")
	// ErrMalformed says that a stored password is not in an encoding known here.
	ErrMalformed = errors.New("stored password cannot be read")
	errNotLoaded = errors.New("password pepper is not loaded")
)

// Options make Passwords.
type Options struct {
	Store storage.SecretStore
	Seal  *seal.Ring
	// Cost is the bcrypt cost of new hashes, 4 to 15; default 12. Which costs an operator may choose is up to the configuration.
	Cost int
	// MinLength is the least length of a new password in code points; default 15.
	MinLength int
	// Parallel is how many hashes are computed at once, default one per core, and Queue how many may wait for each of these, default 8.
	Parallel, Queue int
}

// Passwords hashes and checks passwords. It is safe for concurrent use.
type Passwords struct {
	store     storage.SecretStore
	seal      *seal.Ring
	cost      int
	minLength int
	pool      *pool
	dummy     []byte
	pepper    atomic.Pointer[pepper]
	hashes    atomic.Int64
	rounds    atomic.Int64
}

// pepper is a key outside the table of passwords: who steals only that cannot even guess.
type pepper struct {
	id  string
	key []byte
}

// New makes Passwords; Load must succeed before the first use.
func New(o Options) (*Passwords, error) {
	p := &Passwords{store: o.Store, seal: o.Seal, cost: o.Cost, minLength: o.MinLength}
	if p.cost == 0 {
		p.cost = defaultCost
	}
	if p.cost < bcrypt.MinCost || p.cost > maxCost {
		return nil, fmt.Errorf("bcrypt cost %d is not between %d and %d", p.cost, bcrypt.MinCost, maxCost)
	}
	if p.minLength == 0 {
		p.minLength = defaultMinLength
	}
	parallel := o.Parallel
	if parallel <= 0 {
		parallel = runtime.GOMAXPROCS(0)
	}
	p.pool = newPool(parallel, cmp.Or(o.Queue, defaultQueue))
	p.dummy = dummyHash(p.cost)
	return p, nil
}

// Load reads the pepper, making it if there is none: of several nodes that start at once, one makes it and the others read.
func (p *Passwords) Load(ctx context.Context) error {
	key, err := seal.Secret(ctx, p.store, p.seal, pepperName, pepperSize)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(key)
	p.pepper.Store(&pepper{id: hex.EncodeToString(sum[:4]), key: key})
	return nil
}

// Hash encodes a new password for storage. It does not judge it: see Check. ErrBusy; *PolicyError if it is longer than 4 KiB.
func (p *Passwords) Hash(ctx context.Context, password string) (encoded string, err error) {
	if len(password) > maxPassword {
		return "", errTooLong
	}
	pep := p.pepper.Load()
	if pep == nil {
		return "", errNotLoaded
	}
	var hash []byte
	if poolErr := p.pool.do(ctx, func() { hash, err = bcrypt.GenerateFromPassword(pep.mix(password), p.cost) }); poolErr != nil {
		return "", poolErr
	}
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	p.worked(1 << p.cost)
	return strings.Join([]string{schemePeppered, strconv.Itoa(p.cost), pep.id, string(hash)}, ":"), nil
}

// Verify tells whether password is the one encoded, and whether it should be encoded again because scheme, cost or pepper is behind. An empty encoded is a user that
// does not exist or has no password: the same work, never ok. A password longer than 4 KiB is never ok and costs no work, whoever's it is.
// ErrBusy, ErrMalformed.
func (p *Passwords) Verify(ctx context.Context, encoded, password string) (ok, rehash bool, err error) {
	pep := p.pepper.Load()
	if pep == nil {
		return false, false, errNotLoaded
	}
	if len(password) > maxPassword {
		return false, false, nil
	}
	work, err := p.parse(encoded, password, pep)
	if err != nil {
		return false, false, err
	}
	var match bool
	err = p.pool.do(ctx, func() { match = work.matches() })
	if err != nil {
		return false, false, err
	}
	p.worked(work.rounds)
	ok = match && work.possible
	return ok, ok && work.behind, nil
}

// Work returns how many hashes have been computed, and the rounds of bcrypt that they took, two to the power of each one's cost: to compare the work of two answers.
func (p *Passwords) Work() (hashes, rounds int64) { return p.hashes.Load(), p.rounds.Load() }

func (p *Passwords) worked(rounds int64) {
	p.hashes.Add(1)
	p.rounds.Add(rounds)
}

// comparison is one bcrypt call, or that of another scheme. If it is not possible it is made all the same, for the time it takes.
type comparison struct {
	hash, input      []byte
	foreign          foreign
	possible, behind bool
	rounds           int64 // of bcrypt
}

func (c *comparison) matches() bool {
	if c.foreign != nil {
		return c.foreign(c.input)
	}
	return bcrypt.CompareHashAndPassword(c.hash, c.input) == nil
}

func (p *Passwords) parse(encoded, password string, pep *pepper) (comparison, error) {
	scheme, rest, _ := strings.Cut(encoded, ":")
	switch scheme {
	case "":
		return comparison{hash: p.dummy, input: pep.mix(password), rounds: 1 << p.cost}, nil
	case schemeImported:
		cost, ok := validBcrypt(rest)
		if !ok {
			return comparison{}, ErrMalformed
		}
		input := []byte(password)
		c := comparison{hash: []byte(rest), input: input[:min(len(input), bcryptInput)], possible: len(input) <= bcryptInput, behind: true, rounds: 1 << cost}
		return c, nil
	case schemePeppered:
		parts := strings.SplitN(rest, ":", 3)
		if len(parts) != 3 {
			return comparison{}, ErrMalformed
		}
		cost, ok := validBcrypt(parts[2])
		if !ok || parts[0] != strconv.Itoa(cost) {
			return comparison{}, ErrMalformed
		}
		if parts[1] != pep.id {
			return comparison{}, fmt.Errorf("%w: pepper %s is needed", ErrMalformed, parts[1])
		}
		return comparison{hash: []byte(parts[2]), input: pep.mix(password), possible: true, behind: cost < p.cost, rounds: 1 << cost}, nil
	case schemeArgon2, schemeScrypt, schemePBKDF2:
		check, err := parseForeign(scheme, rest)
		return comparison{foreign: check, input: []byte(password), possible: true, behind: true}, err
	}
	return comparison{}, ErrMalformed
}

// validBcrypt returns the cost of a hash. It leaves out $2$ and $2x$, which other programs compute differently, and costs that would block a core.
func validBcrypt(hash string) (cost int, ok bool) {
	if len(hash) != 60 || !strings.HasPrefix(hash, "$2") || !strings.ContainsRune("aby", rune(hash[2])) {
		return 0, false
	}
	cost, err := bcrypt.Cost([]byte(hash))
	return cost, err == nil && cost >= bcrypt.MinCost && cost <= maxCost
}

// mix prepares a password for bcrypt: 44 bytes without NUL, whatever its length, so that bcrypt truncates nothing.
func (k *pepper) mix(password string) []byte {
	mac := hmac.New(sha256.New, k.key)
	mac.Write(norm.NFC.Bytes([]byte(password)))
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

// dummyHash is a hash of no password at all: made without the work of one, compared with all of it.
func dummyHash(cost int) []byte {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	tail := make([]byte, 53)
	_, _ = rand.Read(tail)
	for i := range tail {
		tail[i] = alphabet[tail[i]&63]
	}
	return fmt.Appendf(nil, "$2a$%02d$%s", cost, tail)
}
