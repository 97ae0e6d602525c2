package storage

import (
	"context"
	"time"
)

// MaxGrants bounds the answer of GrantsOf: so many live tokens, and clients that have none, over all.
const MaxGrants = 200

// ClientGrants is what a client has of one user.
type ClientGrants struct {
	ClientID string
	// LastUsed is when the client's newest token of any kind was created: at a sign-in, an exchange or a refresh. Rows of dead tokens tell it too, as
	// long as they are kept.
	LastUsed time.Time
	// Live are the tokens that give access now; none if there are only rows of dead ones.
	Live []LiveToken
}

// LiveToken is a refresh token or an opaque access token that gives access. What it allows is in Payload, in the words of whoever stored it.
type LiveToken struct {
	Kind    TokenKind
	Payload []byte
}

// GrantStore tells who can act for a user.
type GrantStore interface {
	// GrantsOf returns what clients have of a user, in order of client id: every client with a row, from one read. Live is a token that is neither
	// consumed nor expired, whose grant has not ended and that no revocation names, even one that came before its row, and whose session, if it has one,
	// is not past Absolute. Of a family no refresh token is live but the newest, as an exchange makes one of one. Codes are no access, and JWTs have no row. A missing user has none, nor has the empty subject. Of more than MaxGrants
	// rows those go first that are not the only one of their client, then clients without a live one, of these and of the others those used longest ago.
	//
	// What was written before the call is seen. An exchange or a revocation at the same time is seen whole or not at all: a family that rotates is never
	// without its live token.
	GrantsOf(ctx context.Context, subject string) ([]*ClientGrants, error)
}
