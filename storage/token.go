package storage

import (
	"context"
	"strconv"
	"time"
)

// TokenKind keeps the kinds of token apart: a signature of one kind is never found as another.
type TokenKind string

// The kinds of stored token. JWT access tokens have no row.
const (
	TokenCode    TokenKind = "code"
	TokenRefresh TokenKind = "refresh"
	TokenAccess  TokenKind = "access" // opaque access token
	// TokenPushed is a pushed authorization request (RFC 9126): Payload is its parameters, Subject is empty. Exchanged for a code, it begins the code's
	// family, which may be another than its own.
	TokenPushed TokenKind = "pushed"
	// TokenInitial is an initial access token of client registration (RFC 7591); it belongs to no client and no user.
	TokenInitial TokenKind = "initial"
)

// Token is a stored code, refresh token, opaque access token, pushed request or initial access token.
type Token struct {
	Kind TokenKind
	// Signature is base64url(SHA-256(token)); unique within its kind.
	Signature string
	// GrantID is the family: a UUIDv7 born at one authorization, killed as one.
	GrantID string
	// ClientID is empty for TokenInitial only.
	ClientID string
	// Subject is empty for client_credentials.
	Subject string
	// SessionID binds the token to a browser session; empty for tokens that outlive it (offline_access).
	SessionID string
	Payload   []byte
	Created   time.Time
	Expires   time.Time
	// GrantExpires is the absolute end of the family, copied down it and never extended.
	GrantExpires time.Time
	// ConsumedAt is zero until ExchangeToken.
	ConsumedAt time.Time
	// Successor is what ExchangeToken remembered.
	Successor []byte

	// User and SessionAlive are filled by Token only, from the same read: User is nil if Subject is empty or the user is gone;
	// SessionAlive is true if SessionID is empty or its session exists and is not past Absolute.
	User         *User
	SessionAlive bool
}

// RevocationKind says what a revocation names.
type RevocationKind string

// The kinds of revocation and what ID holds for each.
const (
	RevokeToken         RevocationKind = "token"          // a jti, or the signature of an opaque access token
	RevokeGrant         RevocationKind = "grant"          // a GrantID
	RevokeSession       RevocationKind = "session"        // a session id
	RevokeSubject       RevocationKind = "subject"        // a Subject
	RevokeClient        RevocationKind = "client"         // a client id
	RevokeSubjectClient RevocationKind = "subject+client" // SubjectClient(subject, client)
)

// SubjectClient joins the two parts of a RevokeSubjectClient id. Neither may hold a newline.
func SubjectClient(subject, clientID string) string { return subject + "\n" + clientID }

// Revocation is a short-lived row that outlives what it kills: an access token is dead if one names it and Before is not before the birth of the token's grant.
type Revocation struct {
	Kind RevocationKind
	ID   string
	// Before is a time in milliseconds: grants born up to and including it are dead. The backend sets it to its clock if zero.
	Before time.Time
	// Expires is set by the backend: now + RevocationTTL.
	Expires time.Time
	// Version is set by the backend: the version of TopicRevocations that this row made.
	Version int64
}

// TokenStore keeps everything that is a Token.
type TokenStore interface {
	// CreateToken stores a new token. ExistsError{"id"} for a taken signature.
	CreateToken(ctx context.Context, t *Token) error
	// Token returns the row, consumed and expired ones too, with User and SessionAlive, in one read. ErrNotFound.
	Token(ctx context.Context, kind TokenKind, signature string) (*Token, error)
	// ExchangeToken consumes the row, stores successor in it and inserts next, in one transaction. Of any number of concurrent callers, on any
	// number of nodes, exactly one gets nil. The others, and callers for a row that is expired, past GrantExpires, revoked or missing, get ErrConsumed, and nothing of theirs
	// is written. No successor and no next just burns the row (a wrong code_verifier). A RevokeTokens that names the grant leaves nothing of next alive, whichever of the two commits first.
	ExchangeToken(ctx context.Context, kind TokenKind, signature string, successor []byte, next ...*Token) error
	// RevokeTokens deletes every row that r names (of every kind; consumed ones too) and writes r, in one transaction, bumping
	// TopicRevocations. It returns how many rows it deleted; none is no error. RevokeToken deletes the access token with that signature, RevokeGrant the whole
	// family; the other kinds delete everything stored, or, with a Before, the families whose GrantID (a UUIDv7) was born up to it.
	RevokeTokens(ctx context.Context, r Revocation) (int, error)
}

// ReplayStore remembers one-time identifiers such as the jti of a client assertion (RFC 7523 section 3).
type ReplayStore interface {
	// Remember stores key until expires. ErrConsumed if key is already there and not expired: of concurrent callers exactly one gets nil.
	Remember(ctx context.Context, key string, expires time.Time) error
}

// RateStore keeps the theoretical arrival time (GCRA) of a limit's key.
type RateStore interface {
	// Rate returns the stored time, zero if there is none.
	Rate(ctx context.Context, key string) (time.Time, error)
	// SwapRate stores next if the stored time still equals old (zero: no row) and tells whether it did.
	SwapRate(ctx context.Context, key string, old, next time.Time) (bool, error)
}

// Topic names a set of rows that processes hold copies of.
type Topic string

// The topics. Nothing else is cached in process.
const (
	TopicClients     Topic = "clients"
	TopicKeys        Topic = "keys"
	TopicRevocations Topic = "revocations"
)

// ChangeStore lets every process notice within a second what another one wrote.
type ChangeStore interface {
	// Changes returns the version of every topic. A version grows by at least one in the transaction of each write to its topic, and a larger version is
	// never visible before a smaller one.
	Changes(ctx context.Context) (map[Topic]int64, error)
	// Revocations returns the unexpired revocations whose Version is greater than after, in order of Version.
	Revocations(ctx context.Context, after int64) ([]Revocation, error)
	// ClientUpdated returns the client's Updated, to find out for next to nothing whether a copy of it is the newest. ErrNotFound, which takes no less time.
	ClientUpdated(ctx context.Context, id string) (time.Time, error)
}

// GrantBorn returns the millisecond at which a grant was born: the time inside a UUIDv7 (RFC 9562 section 5.7). It is false for anything else.
func GrantBorn(grantID string) (time.Time, bool) {
	if len(grantID) != 36 || grantID[8] != '-' || grantID[14] != '7' {
		return time.Time{}, false
	}
	ms, err := strconv.ParseInt(grantID[:8]+grantID[9:13], 16, 64)
	if err != nil {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}
