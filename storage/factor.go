package storage

import (
	"context"
	"time"
)

// Factor is something that a user can prove beside the password: an authenticator app or a passkey.
type Factor struct {
	ID      string // 128 random bits, base64url; names the factor in forms and in the audit log
	Subject string
	Kind    FactorKind
	Name    string // what the user calls it
	// CredentialID is the base64url credential id of a passkey, unique over all users; empty for an authenticator app.
	CredentialID string
	// Data is opaque to storage: the sealed seed of an authenticator app, the public credential record of a passkey. Package credential reads it.
	Data []byte
	// Counter is the last time step that an authenticator app's code was taken for (RFC 6238), or the signature counter of a passkey.
	Counter  int64
	Created  time.Time
	LastUsed time.Time // zero: never
}

// FactorKind says what a factor is.
type FactorKind string

// The kinds of factor.
const (
	FactorTOTP    FactorKind = "totp"
	FactorPasskey FactorKind = "passkey"
)

// MaxFactors is how many factors a user may have.
const MaxFactors = 20

// FactorStore keeps factors and recovery codes. They go with their user.
type FactorStore interface {
	// CreateFactor stores a new factor. ErrNotFound if there is no such user; ExistsError{"id"|"credential"}; ExistsError{"factors"} if the user has
	// MaxFactors already, also under a race.
	CreateFactor(ctx context.Context, f *Factor) error
	// FactorsOf returns a user's factors, oldest first.
	FactorsOf(ctx context.Context, subject string) ([]*Factor, error)
	// FactorByCredential finds a passkey and its user, disabled ones too, in one read. ErrNotFound, also for an empty id.
	FactorByCredential(ctx context.Context, credentialID string) (*Factor, *User, error)
	// UseFactor notes a use. For FactorTOTP it succeeds only if counter is greater than the stored one, else ErrConsumed: of any number of callers with
	// one code exactly one wins. For FactorPasskey counter and data (unless nil) replace what is stored, whatever it was: what a counter that went back means is the
	// caller's business. ErrNotFound.
	UseFactor(ctx context.Context, id string, counter int64, data []byte, at time.Time) error
	// RenameFactor changes the name. ErrNotFound, also for a factor of another user.
	RenameFactor(ctx context.Context, subject, id, name string) error
	// DeleteFactor removes a factor; with the last one of a user the recovery codes go, too. ErrNotFound, also for a factor of another user; ErrLastWayIn if it is a passkey
	// and the user has no other passkey, no password and no identity; ErrLastFactor if keep is true and it is the user's only factor. Also under a race.
	DeleteFactor(ctx context.Context, subject, id string, keep bool) error
	// SetRecoveryCodes replaces a user's recovery codes by those with the hashes; none removes them. ErrNotFound if there is no such user.
	SetRecoveryCodes(ctx context.Context, subject string, hashes []string) error
	// UseRecoveryCode deletes the code and returns how many are left. ErrNotFound if the user has no such code; of any number of callers with one code exactly one wins.
	UseRecoveryCode(ctx context.Context, subject, hash string) (left int, err error)
	// RecoveryCodes returns how many codes a user has left.
	RecoveryCodes(ctx context.Context, subject string) (left int, err error)
}
