package storage

import (
	"context"
	"time"
)

// LogoutRetention is how long a delivery is tried.
const LogoutRetention = 24 * time.Hour

// LogoutDelivery is a logout token that is owed to a client (OIDC Back-Channel Logout 1.0). The token itself is made when it is sent.
type LogoutDelivery struct {
	ID        string // 128 random bits, hex; the same at each attempt, and nothing that two clients could compare
	ClientID  string
	Subject   string
	SessionID string
	Created   time.Time
	// NextAttempt is when the delivery is due; while somebody is at work on it, the end of the lease.
	NextAttempt time.Time
	Expires     time.Time
	// Attempts counts the claims.
	Attempts int
}

// LogoutStore is the queue of logout tokens. Whatever ends a session (EndSession, SetPassword, UpdateUser that disables, DeleteUser) puts in, in its own transaction, one
// delivery for each client of the session that is enabled and has a BackchannelLogoutURI, due at once. A session that is past Absolute puts in nothing.
type LogoutStore interface {
	// ClaimLogouts takes up to limit deliveries that are due at now and not past Expires, those due longest first, counts an attempt and sets NextAttempt to now + lease, which
	// must be positive. While the lease lasts no other caller, on any node, gets them; afterwards, unless they were finished, somebody does. A deleted client's
	// are never returned; a disabled client's are. None is no error.
	ClaimLogouts(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*LogoutDelivery, error)
	// RetryLogout makes a claimed delivery due at next. Unless made, the attempt that ClaimLogouts counted was not made and does not count. A missing one is no error.
	RetryLogout(ctx context.Context, id string, next time.Time, made bool) error
	// FinishLogout removes a delivery that arrived or was given up. A missing one is no error.
	FinishLogout(ctx context.Context, id string) error
}
