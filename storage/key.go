package storage

import (
	"context"
	"time"
)

// SigningKey is one signing key with its timetable. Its state is computed from the times and the clock; no node writes it.
type SigningKey struct {
	KID string
	Alg string // RS256, PS256, ES256 or EdDSA
	// Public is the public JWK as JSON.
	Public []byte
	// Private is the sealed private key; nil once erased.
	Private []byte
	Created time.Time
	// Published from PublishAt, signs from ActivateAt (the active key of an alg is the one with the latest ActivateAt in the past), signs no more from
	// RetireAt (zero: not planned), out of JWKS from RemoveAt (zero: not planned).
	PublishAt  time.Time
	ActivateAt time.Time
	RetireAt   time.Time
	RemoveAt   time.Time
	// RevokedAt is set if the key was compromised: what it signed is worth nothing.
	RevokedAt time.Time
}

// KeyStore keeps signing keys. Every write bumps TopicKeys.
type KeyStore interface {
	// SigningKeys returns all keys, oldest first.
	SigningKeys(ctx context.Context) ([]*SigningKey, error)
	// ChangeSigningKeys gives change all keys and inserts or updates what it returns, in one transaction that excludes every other ChangeSigningKeys on any
	// node: the second caller sees what the first wrote. An empty answer writes nothing and bumps nothing. An error of change is returned
	// as it is.
	ChangeSigningKeys(ctx context.Context, change func([]*SigningKey) ([]*SigningKey, error)) error
}

// SecretStore keeps random secrets that must outlive a master key (password pepper, pairwise key, canary), sealed by package seal.
type SecretStore interface {
	// CreateSecret stores a sealed secret. ExistsError{"id"} if the name is taken: of concurrent callers one wins, the others read.
	CreateSecret(ctx context.Context, name string, sealed []byte) error
	// Secret returns a sealed secret. ErrNotFound.
	Secret(ctx context.Context, name string) ([]byte, error)
	// HoldsSealed tells whether anything sealed is stored: a secret or a private key.
	HoldsSealed(ctx context.Context) (bool, error)
}
