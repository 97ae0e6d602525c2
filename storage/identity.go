package storage

import (
	"context"
	"time"
)

// Identity ties a user to an account at an upstream provider. Upstream and ExternalID are its key; e-mail addresses and names, which change hands, are never
// one (security row 173).
type Identity struct {
	// Upstream is the id of the provider in the configuration.
	Upstream string
	// ExternalID is how the provider names the account for good: the sub of its ID tokens, or a number. At most 255 bytes.
	ExternalID string
	Subject    string
	// Label is what people know the account by: an address or a login, as the provider told it last. It is shown, never compared.
	Label string
	// Tokens are the provider's tokens, sealed; nil unless the configuration keeps them.
	Tokens   []byte
	Created  time.Time
	LastUsed time.Time
}

// IdentityStore keeps identities. They go with their user.
type IdentityStore interface {
	// Identity returns an identity and its user, who may be disabled, in one read. ErrNotFound.
	Identity(ctx context.Context, upstream, externalID string) (*Identity, *User, error)
	// IdentitiesOf returns a user's identities in order of Upstream and ExternalID, without Tokens.
	IdentitiesOf(ctx context.Context, subject string) ([]*Identity, error)
	// CreateIdentity ties an account to a user, stamping Created and LastUsed. epoch is the user's epoch under which that was proven. ExistsError{"identity"} if the
	// account is tied already, also to this user; of racing callers one wins. ErrNotFound if there is no such user, the user is disabled, or the epoch has moved on.
	CreateIdentity(ctx context.Context, i *Identity, epoch int64) error
	// CreateUserIdentity stores a new user, who has no password, with a first identity, in one transaction. ExistsError as CreateUser and CreateIdentity.
	CreateUserIdentity(ctx context.Context, u *User, i *Identity) error
	// AdoptUser ties an account to the user whose EmailKey is emailKey and takes from the account whatever somebody else may have put there before (security row 172): in one
	// transaction the password, all other identities, the factors, the recovery codes and the consents go, the epoch grows and takes tickets and trusted devices with it, the sessions end, as
	// EndSession does, and everything of the user is revoked. It returns the user. i.Subject is set. ErrNotFound unless there is such a user with EmailVerified who is not disabled; ExistsError{"identity"}, and then nothing has changed.
	AdoptUser(ctx context.Context, emailKey string, i *Identity) (*User, error)
	// TouchIdentity moves LastUsed forward to at and stores what the provider told last; tokens nil removes those that are kept. ErrNotFound. Called after
	// a session was made by an identity, it tells for good whether an unlinking at the same time has missed that session: with ErrNotFound the caller must end it.
	TouchIdentity(ctx context.Context, upstream, externalID, label string, tokens []byte, at time.Time) error
	// DeleteIdentity unties an account of the subject's and ends the sessions that began with it, as EndSession does, in one transaction. ErrNotFound; ErrLastWayIn if nothing of
	// what is offered would let the user in then; nil asks nothing. Of callers who remove the last two ways in at the same time one gets ErrLastWayIn.
	DeleteIdentity(ctx context.Context, subject, upstream, externalID string, offered *Offered) error
}
