package storage

import (
	"context"
	"time"
)

// Store is everything a backend offers. Features do not take a Store: each states the few methods it consumes.
type Store interface {
	ClientStore
	UserStore
	PasswordStore
	ImportStore
	IdentityStore
	SessionStore
	UpstreamSessionStore
	SessionClientStore
	LogoutStore
	InteractionStore
	ConsentStore
	TokenStore
	GrantStore
	KeyStore
	SecretStore
	ChangeStore
	ReplayStore
	RateStore
	LogoStore
	NoticeStore
	FactorStore
	RecoveryCodeStore
	TicketStore
	MailStore
	ActivityStore
	DeviceStore
	MaintenanceStore
}

// Options are what every backend needs to know.
type Options struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// RevocationTTL is how long a revocation row must be remembered: the longest access-token lifetime of the configuration plus 60 s.
	RevocationTTL time.Duration
}

// MaintenanceStore keeps the store small and tells whether it is alive.
type MaintenanceStore interface {
	// Purge deletes at most limit rows that are of no more use at now and returns how many it deleted; call it again until the answer is
	// below limit. What goes: opaque access tokens past Expires, codes past Expires + RevocationTTL (a second use must be noticed while the tokens of the
	// first live), refresh tokens past Expires or GrantExpires, sessions past Absolute, interactions past Expires, revocations past Expires, replay keys past their expiry, rates whose
	// time has passed, dismissed notices, logout deliveries and mails past Expires, tickets and devices past Expires, signing keys a year past RemoveAt, and clients past their Expires + ClientGrace: these as DeleteClient does, one
	// transaction each, bumping TopicClients, and each counts as one row whatever goes with it. A session that Purge takes queues no LogoutDelivery. Rows in use by another
	// transaction are left for the next call.
	Purge(ctx context.Context, now time.Time, limit int) (int, error)
	// Ping answers nil if the store can be read and written, within the context's deadline.
	Ping(ctx context.Context) error
	// Close releases connections. No method may be called afterwards.
	Close() error
}
