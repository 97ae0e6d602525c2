package oauth

import (
	"crypto/sha256"
	"sync"
)

// maxVerifiedTokens bounds the access tokens whose signature need not be checked again: about 5 MB.
const maxVerifiedTokens = 10_000

// verifiedTokens remembers JWT access tokens whose signature was verified, by their SHA-256. Whether their key is still trusted, and whether they are expired,
// revoked or of a deleted client, is checked at every use all the same.
type verifiedTokens struct {
	mu   sync.RWMutex
	kept map[[sha256.Size]byte]verifiedToken
}

type verifiedToken struct {
	kid    string
	claims AccessClaims
}

func (v *verifiedTokens) get(sum [sha256.Size]byte) (verifiedToken, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	token, ok := v.kept[sum]
	return token, ok
}

func (v *verifiedTokens) put(sum [sha256.Size]byte, token verifiedToken) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.kept == nil || len(v.kept) >= maxVerifiedTokens {
		v.kept = make(map[[sha256.Size]byte]verifiedToken)
	}
	v.kept[sum] = token
}
