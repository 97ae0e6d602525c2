package oauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

const (
	fastScheme    = "$sha256$"
	chosenCost    = 12
	maxVerified   = 1000
	minChosen     = 8
	maxChosen     = 72 // what bcrypt reads
	bcryptPrefix  = "$2"
	errChosenText = "a secret has 8 to 72 printable ASCII characters without spaces"
)

// ErrSecretForm is the error of HashSecret for a secret that cannot be used; its text says what a secret must look like.
var ErrSecretForm = errors.New(errChosenText)

// NewSecret makes a client secret of 256 random bits and its stored form, "$sha256$" and the signature: random secrets need no slow hash.
func NewSecret() (secret, hash string) {
	secret, signature := Mint(PrefixSecret)
	return secret, fastScheme + signature
}

// HashSecret returns the stored form of a secret that somebody chose: bcrypt, unless it is one that NewSecret could have made. ErrSecretForm.
func HashSecret(chosen string) (string, error) {
	if signature, ok := ParseToken(PrefixSecret, chosen); ok {
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
// process then remembers that this hash and this secret belong together, for a client sends its secret with every request.
func VerifySecret(hash, secret string) bool {
	if signature, ok := strings.CutPrefix(hash, fastScheme); ok {
		return subtle.ConstantTimeCompare([]byte(Signature(secret)), []byte(signature)) == 1
	}
	if !strings.HasPrefix(hash, bcryptPrefix) || len(secret) > maxChosen {
		return false
	}
	return chosenSecrets.verify(hash, secret)
}

// chosenSecrets is shared by the process: what it holds is true wherever it is asked.
var chosenSecrets = newVerified()

// verified remembers pairs of bcrypt hash and secret that were found to match, as HMACs under a key of this process.
type verified struct {
	key   []byte
	slots chan struct{} // bounds the bcrypts that run at once, so that wrong secrets cannot take every core

	mu    sync.Mutex
	pairs map[[sha256.Size]byte]struct{}
}

func newVerified() *verified {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, see Mint
	return &verified{key: key, slots: make(chan struct{}, max(1, runtime.NumCPU()/2)), pairs: map[[sha256.Size]byte]struct{}{}}
}

func (v *verified) verify(hash, secret string) bool {
	pair := v.pair(hash, secret)
	if v.known(pair) {
		return true
	}
	v.slots <- struct{}{}
	defer func() { <-v.slots }()
	if v.known(pair) { // another request of the same client was first
		return true
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(secret)) != nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.pairs) >= maxVerified {
		clear(v.pairs)
	}
	v.pairs[pair] = struct{}{}
	return true
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
