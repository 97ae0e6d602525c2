package storage

import (
	"context"
	"slices"
	"time"
)

// Factor is something that a user can prove beside the password: an authenticator app, a passkey or a security key.
type Factor struct {
	ID      string // 128 random bits, base64url; names the factor in forms and in the audit log
	Subject string
	Kind    FactorKind
	Name    string // what the user calls it
	// CredentialID is the base64url credential id of a passkey or a security key, unique over all users; empty for an authenticator app.
	CredentialID string
	// Data is opaque to storage: the sealed seed of an authenticator app, the public credential record of a passkey or a security key. Package credential reads it.
	Data []byte
	// Counter is the last time step that an authenticator app's code was taken for (RFC 6238), or the signature counter of a passkey or a security key.
	Counter  int64
	Created  time.Time
	LastUsed time.Time // zero: never
}

// FactorKind says what a factor is.
type FactorKind string

// The kinds of factor. A passkey signs in alone and is a way in. A security key that cannot, because it did not verify the person or has to be told which credential is meant, is a second factor only.
const (
	FactorTOTP    FactorKind = "totp"
	FactorPasskey FactorKind = "passkey"
	FactorKey     FactorKind = "key"
)

// HasCredential tells whether factors of the kind answer by Web Authentication: they have a credential id.
func (k FactorKind) HasCredential() bool { return k == FactorPasskey || k == FactorKey }

// Offered are the ways in that a server offers. What it does not offer is no way in, whatever a user has: a password where there is no form for one, a passkey where they are off, an account at a
// provider that is not there any more. Storage looks where it deletes, because of two people who looked before neither would see what the other takes.
type Offered struct {
	Password, Passkeys bool
	Upstreams          []string // ids of providers
}

// LetIn tells whether a user can come in who has a password and a name to type beside it, a passkey, or accounts at upstreams.
func (o *Offered) LetIn(password, passkey bool, upstreams []string) bool {
	return o.Password && password || o.Passkeys && passkey || slices.ContainsFunc(upstreams, func(id string) bool { return slices.Contains(o.Upstreams, id) })
}

// MaxFactors is how many factors a user may have.
const MaxFactors = 20

// FactorStore keeps factors. They go with their user.
type FactorStore interface {
	// CreateFactor stores a new factor. epoch is the user's epoch under which the user was proven. ErrNotFound if there is no such user, the user is disabled, or the epoch has
	// moved on; ExistsError{"id"|"credential"}; ExistsError{"factors"} if the user has MaxFactors already, also under a race.
	CreateFactor(ctx context.Context, f *Factor, epoch int64) error
	// FactorsOf returns a user's factors, oldest first.
	FactorsOf(ctx context.Context, subject string) ([]*Factor, error)
	// FactorByCredential finds a passkey or a security key and its user, disabled ones too, in one read. ErrNotFound, also for an empty id.
	FactorByCredential(ctx context.Context, credentialID string) (*Factor, *User, error)
	// UseFactor notes a use. For FactorTOTP it succeeds only if counter is greater than the stored one, else ErrConsumed: of any number of callers with
	// one code exactly one wins. For the others counter and data (unless nil) replace what is stored, whatever it was: what a counter that went back means is the
	// caller's business. ErrNotFound.
	UseFactor(ctx context.Context, id string, counter int64, data []byte, at time.Time) error
	// RenameFactor changes the name. ErrNotFound, also for a factor of another user.
	RenameFactor(ctx context.Context, subject, id, name string) error
	// DeleteFactor removes a factor; with the last one of a user the recovery codes go, too. ErrNotFound, also for a factor of another user; ErrLastWayIn if it is a passkey
	// and nothing else of what is offered would let the user in; nil asks nothing. ErrLastFactor if keep is true and it is the user's only factor. Also under a race.
	DeleteFactor(ctx context.Context, subject, id string, keep bool, offered *Offered) error
}

// RecoveryCodeStore keeps the hashes of recovery codes. They go with their user, and with the user's last factor.
type RecoveryCodeStore interface {
	// SetRecoveryCodes replaces a user's recovery codes by those with the hashes; none removes them. ErrNotFound as of CreateFactor.
	SetRecoveryCodes(ctx context.Context, subject string, hashes []string, epoch int64) error
	// UseRecoveryCode deletes the code and returns how many are left. ErrNotFound if the user has no such code; of any number of callers with one code exactly one wins.
	UseRecoveryCode(ctx context.Context, subject, hash string) (left int, err error)
	// RecoveryCodes returns how many codes a user has left.
	RecoveryCodes(ctx context.Context, subject string) (left int, err error)
}
