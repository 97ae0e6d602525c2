package client

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/provider/opaque"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// maxSealed is the longest secret that is kept sealed.
const maxSealed = 512

// keySizes are the shortest secrets, in bytes, that may be the key of an algorithm (RFC 7518 section 3.2).
var keySizes = map[string]int{"": 32, "HS256": 32, "HS384": 48, "HS512": 64}

// MakeSecret returns what is stored of a client's secret (PutSecret stores it): of chosen, or, if that is empty, of a random one, which is returned in clear. ring may be nil
// unless SealsSecret(c). A chosen secret that cannot be used is ErrSecretForm.
func MakeSecret(ring *seal.Ring, c *storage.Client, chosen string, now time.Time) (secret string, stored storage.ClientSecret, err error) {
	stored.Created = now
	switch {
	case SealsSecret(c):
		if ring == nil {
			return "", stored, errors.New("the secret of client_secret_jwt needs the master key")
		}
		if chosen == "" {
			// One alone is too short for HS512. Scanners for leaked secrets see both.
			first, _ := opaque.Mint(opaque.Secret)
			second, _ := opaque.Mint(opaque.Secret)
			secret = first + "." + second
		} else if len(chosen) < keySizes[c.AuthSigningAlg] || len(chosen) > maxSealed || strings.ContainsFunc(chosen, func(c rune) bool { return c < 0x21 || c > 0x7e }) {
			return "", stored, fmt.Errorf("%w; for client_secret_jwt it has at least 32 characters (HS384: 48, HS512: 64) and at most 512", ErrSecretForm)
		}
		stored.Sealed = ring.Seal([]byte(secret+chosen), secretAAD(c.ID))
	case chosen == "":
		secret, stored.Hash = NewSecret()
	default:
		stored.Hash, err = HashSecret(chosen)
	}
	return secret, stored, err
}

// OpenSecret returns a secret that is kept sealed. The error says that the master key is missing or the row is broken.
func OpenSecret(ring *seal.Ring, clientID string, s storage.ClientSecret) ([]byte, error) {
	secret, err := ring.Open(s.Sealed, secretAAD(clientID))
	if err != nil {
		return nil, fmt.Errorf("open client secret: %w", err)
	}
	return secret, nil
}

func secretAAD(clientID string) []byte { return seal.AAD("clients", clientID, "secret", 1) }

// PutSecret makes stored the current secret. Of the others only the newest stays, for the overlap: never more than two work (security row 74).
func PutSecret(c *storage.Client, stored storage.ClientSecret, overlap time.Duration) {
	secrets := []storage.ClientSecret{stored}
	for _, s := range c.Secrets {
		if s.Expires.IsZero() && overlap > 0 {
			s.Expires = stored.Created.Add(overlap)
			secrets = append(secrets, s)
			break
		}
	}
	c.Secrets = secrets
}
