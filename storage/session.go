package storage

import (
	"context"
	"net/url"
	"time"
)

// Session is a browser session at the authorization server. ID is stable and becomes the sid claim; the cookie changes at every login.
type Session struct {
	ID string
	// CookieHash is the base64url SHA-256 of the cookie value. Unique.
	CookieHash string
	Subject    string
	// Epoch is the user's epoch under which the sign-in was proven.
	Epoch    int64
	AuthTime time.Time
	AMR      []string // RFC 8176
	ACR      string
	// Upstream and ExternalID name the identity that the sign-in came by, UpstreamSID is the provider's own session (sid); all empty for a local sign-in.
	Upstream, ExternalID, UpstreamSID string
	// UpstreamToken is the provider's ID token, sealed, which ends its session there; nil unless the configuration says so. SessionByCookie and lists leave it out.
	UpstreamToken []byte
	UserAgent     string
	IP            string
	// Remembered sessions outlive the browser ("remember me").
	Remembered bool
	Created    time.Time
	LastSeen   time.Time
	Absolute   time.Time // the session is over at this time, whatever happens
}

// SessionStore keeps browser sessions. Whether a session is idle is the caller's business; rows stay until Absolute, because refresh tokens that
// are bound to the session live until then.
type SessionStore interface {
	// CreateSession stores a new session. ExistsError{"id"} for a taken id or cookie.
	CreateSession(ctx context.Context, s *Session) error
	// SessionByCookie returns the session and its user in one read. ErrNotFound if there is none, it is past Absolute, or its Epoch is not the
	// user's any more. The user may be disabled.
	SessionByCookie(ctx context.Context, cookieHash string) (*Session, *User, error)
	// UpdateSession reads, changes and writes in one transaction. ID and Subject cannot change. After it the old cookie hash finds nothing. ErrNotFound.
	UpdateSession(ctx context.Context, id string, change func(*Session) error) (*Session, error)
	// TouchSession moves LastSeen forward to at; a missing session or an earlier time is no error.
	TouchSession(ctx context.Context, id string, at time.Time) error
	// EndSession deletes the session, queues a LogoutDelivery for each of its clients that wants one (see LogoutStore) and revokes by session, in one
	// transaction. A missing session is no error, but still revokes.
	EndSession(ctx context.Context, id string) error
	// SessionsOf returns a user's sessions, newest first.
	SessionsOf(ctx context.Context, subject string) ([]*Session, error)
	// ListSessions returns up to limit live sessions with ids greater than after, in order of id. Live is what SessionByCookie would find.
	ListSessions(ctx context.Context, after string, limit int) ([]*Session, error)
}

// UpstreamSessionStore reaches sessions by how they came from an upstream.
type UpstreamSessionStore interface {
	// EndUpstreamSessions ends, as EndSession does, the sessions that came by an upstream and match externalID and sid, of which one may be empty and then matches all; with both, a session whose UpstreamSID is not known matches by externalID alone. One transaction
	// each. It returns how many there were. Both empty: none.
	EndUpstreamSessions(ctx context.Context, upstream, externalID, sid string) (int, error)
	// UpstreamToken returns a session's UpstreamToken, nil if there is none. ErrNotFound.
	UpstreamToken(ctx context.Context, id string) ([]byte, error)
}

// SessionClientStore keeps which clients took part in a session: those to tell when it ends. The rows go with the session.
type SessionClientStore interface {
	// AddSessionClient notes a client; noting it again is no error. ErrNotFound if the session does not exist. Against an EndSession at the same time
	// it either comes before, and the client gets its delivery, or gets ErrNotFound.
	AddSessionClient(ctx context.Context, sessionID, clientID string) error
	// SessionClients returns the ids of a session's clients, sorted, deleted and disabled ones too; none for a missing session.
	SessionClients(ctx context.Context, sessionID string) ([]string, error)
}

// Interaction is a paused request: what was asked for and what has been proven so far.
type Interaction struct {
	ID     string // 256 random bits, base64url
	Kind   InteractionKind
	Params url.Values
	// Source is how Params came: "" in the open, SourceObject in a verified request object (RFC 9101), else the signature of the pushed request (RFC 9126).
	Source string
	// ReturnTo is one of a closed list of local paths.
	ReturnTo string
	// Binder is the base64url SHA-256 of the browser's flow cookie; empty for the one-minute handle of a POST to authorize.
	Binder    string
	Subject   string // pinned once a login proved it
	SessionID string
	Proofs    map[string]string
	Created   time.Time
	Expires   time.Time
	// ConsumedAt is zero until ConsumeInteraction.
	ConsumedAt time.Time
}

// SourceObject is the Source of parameters that a signed request object proved.
const SourceObject = "object"

// InteractionKind says what is paused.
type InteractionKind string

// The kinds of interaction.
const (
	InteractionAuthorize InteractionKind = "authorize"
	InteractionAccount   InteractionKind = "account"
	// InteractionLink links an account of an upstream to the user who is signed in, InteractionTest shows an operator what an upstream says.
	InteractionLink InteractionKind = "link"
	InteractionTest InteractionKind = "test"
)

// InteractionGrace is how long after its end a request that was not finished can be begun anew, MaxLateParams bounds what is kept for that, in bytes of their URL form.
const (
	InteractionGrace = 2 * time.Hour
	MaxLateParams    = 2048
)

// Repeatable tells whether the request can be begun anew after its end. What was proven by a signature or was pushed cannot: it had an end of its own.
func (i *Interaction) Repeatable() bool {
	return (i.Kind == InteractionAuthorize || i.Kind == InteractionAccount) && i.ConsumedAt.IsZero() && i.Binder != "" && i.Source == "" && len(i.Params.Encode()) <= MaxLateParams
}

// InteractionStore keeps paused requests for half an hour, and what was asked for by those that were not finished for InteractionGrace more.
type InteractionStore interface {
	// CreateInteraction stores a new one. ExistsError{"id"}.
	CreateInteraction(ctx context.Context, i *Interaction) error
	// Interaction returns it, consumed ones too. ErrNotFound if there is none or it is past Expires.
	Interaction(ctx context.Context, id string) (*Interaction, error)
	// LateInteraction returns one that is past Expires by less than InteractionGrace and Repeatable, as it was or without what was proven: that counts for nothing any more. ErrNotFound for all others.
	LateInteraction(ctx context.Context, id string) (*Interaction, error)
	// UpdateInteraction reads, changes and writes in one transaction. ErrNotFound; ErrConsumed if it was consumed.
	UpdateInteraction(ctx context.Context, id string, change func(*Interaction) error) (*Interaction, error)
	// ConsumeInteraction marks it as used. Of any number of concurrent callers exactly one gets nil, the others ErrConsumed. ErrNotFound if there is
	// none or it is past Expires.
	ConsumeInteraction(ctx context.Context, id string) error
}

// Consent is what a user has allowed a client: the union of all grants so far.
type Consent struct {
	Subject   string
	ClientID  string
	Scopes    []string // sorted
	Resources []string // sorted
	Created   time.Time
	Updated   time.Time
}

// ConsentStore keeps one consent for each subject and client.
type ConsentStore interface {
	// Consent returns what has been allowed. ErrNotFound.
	Consent(ctx context.Context, subject, clientID string) (*Consent, error)
	// GrantConsent adds scopes and resources to what is stored; concurrent grants lose nothing.
	GrantConsent(ctx context.Context, c *Consent) error
	// ConsentsOf returns a user's consents, in order of client id.
	ConsentsOf(ctx context.Context, subject string) ([]*Consent, error)
	// RevokeConsent deletes the row and revokes by subject and client, in one transaction. A missing row still revokes and is no error.
	RevokeConsent(ctx context.Context, subject, clientID string) error
}
