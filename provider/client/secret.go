package client

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

const (
	fastScheme    = "$sha256$"
	chosenCost    = 12
	maxVerified   = 1000
	queuedSecrets = 8 // wrong chosen secrets that may wait, for each bcrypt that runs
	minChosen     = 8
	maxChosen     = 72 // what bcrypt reads
	bcryptPrefix  = "$2"
	errChosenText = "a secret has 8 to 72 printable ASCII characters without spaces"
)

// ErrSecretForm is the error of HashSecret and MakeSecret for a secret that cannot be used; its text says what a secret must look like.
var ErrSecretForm = errors.New(errChosenText)

// NewSecret makes a client secret of 256 random bits and its stored form, "$sha256$" and the signature: random secrets need no slow hash.
func NewSecret() (secret, hash string) {
	secret, signature := opaque.Mint(opaque.Secret)
	return secret, fastScheme + signature
}

// HashSecret returns the stored form of a secret that somebody chose: bcrypt, unless it is one that NewSecret could have made. ErrSecretForm.
func HashSecret(chosen string) (string, error) {
	if signature, ok := opaque.Parse(opaque.Secret, chosen); ok {
		return fastScheme + signature, nil
	}
	if len(chosen) < minChosen || len(chosen) > maxChosen || strings.ContainsFunc(chosen, func(c rune) bool { return c < 0x21 || c > 0x7e }) {
		return "", ErrSecretForm
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(chosen), chosenCost)
	if err != nil {
		return "", fmt.Errorf("hash client secret: %w", err)
	}
	return string(hash), nil
}

// VerifySecret tells whether secret is the one behind the stored hash. Generated secrets cost one SHA-256. A chosen one costs a bcrypt the first time; the
// process then remembers that this hash and this secret belong together, for a client sends its secret with every request. The error says that too many
// wrong secrets wait for their bcrypt already: storage.ErrUnavailable, so that the caller comes back.
func VerifySecret(ctx context.Context, hash, secret string) (bool, error) {
	if matches, known := verifyFast(hash, secret); known {
		return matches, nil
	}
	return chosenSecrets.verify(ctx, hash, secret)
}

// CheckSecret compares a secret with the client's unexpired ones: first those that cost next to nothing, so that a client whose old chosen secret still
// counts does not pay a bcrypt for it at every request.
func CheckSecret(ctx context.Context, c *storage.Client, secret string, now time.Time) (bool, error) {
	if secret == "" {
		return false, nil
	}
	var slow []string
	for _, s := range c.Secrets {
		switch matches, known := verifyFast(s.Hash, secret); {
		case !s.Expires.IsZero() && !now.Before(s.Expires):
		case matches:
			return true, nil
		case !known:
			slow = append(slow, s.Hash)
		}
	}
	for _, hash := range slow {
		if matches, err := VerifySecret(ctx, hash, secret); matches || err != nil {
			return matches, err
		}
	}
	return false, nil
}

// verifyFast is VerifySecret as far as it goes without a bcrypt: known is false if that is needed.
func verifyFast(hash, secret string) (matches, known bool) {
	if signature, ok := strings.CutPrefix(hash, fastScheme); ok {
		return subtle.ConstantTimeCompare([]byte(opaque.Signature(secret)), []byte(signature)) == 1, true
	}
	if !strings.HasPrefix(hash, bcryptPrefix) || len(secret) > maxChosen {
		return false, true
	}
	matches = chosenSecrets.known(chosenSecrets.pair(hash, secret))
	return matches, matches
}

// chosenSecrets is shared by the process: what it holds is true wherever it is asked.
var chosenSecrets = newVerified()

// verified remembers pairs of bcrypt hash and secret that were found to match, as HMACs under a key of this process.
type verified struct {
	key []byte
	// running bounds the bcrypts that run at once, so that wrong secrets cannot take every core; admitted bounds those that wait as well.
	running, admitted chan struct{}

	mu    sync.Mutex
	pairs map[[sha256.Size]byte]struct{}
}

func newVerified() *verified {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, see Mint
	parallel := max(1, runtime.NumCPU()/2)
	return &verified{
		key: key, running: make(chan struct{}, parallel), admitted: make(chan struct{}, parallel*(1+queuedSecrets)), pairs: map[[sha256.Size]byte]struct{}{},
	}
}

var ErrSecretsBusy = fmt.Errorf("too many chosen client secrets are being compared: %w", storage.ErrUnavailable)

func (v *verified) verify(ctx context.Context, hash, secret string) (bool, error) {
	pair := v.pair(hash, secret)
	if v.known(pair) {
		return true, nil
	}
	select {
	case v.admitted <- struct{}{}:
	default:
		return false, ErrSecretsBusy
	}
	defer func() { <-v.admitted }()
	select {
	case v.running <- struct{}{}:
	case <-ctx.Done():
		return false, ErrSecretsBusy
	}
	defer func() { <-v.running }()
	if v.known(pair) { // another request of the same client was first
		return true, nil
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(secret)) != nil {
		return false, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.pairs) >= maxVerified {
		clear(v.pairs)
	}
	v.pairs[pair] = struct{}{}
	return true, nil
}

func (v *verified) pair(hash, secret string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, v.key)
	mac.Write([]byte(hash))
	mac.Write([]byte{0})
	mac.Write([]byte(secret))
	return [sha256.Size]byte(mac.Sum(nil))
}

func (v *verified) known(pair [sha256.Size]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, found := v.pairs[pair]
	return found
}
