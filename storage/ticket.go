package storage

import (
	"context"
	"time"
)

// Ticket is a link that works once: it came by mail, or an operator handed it out. Only its signature is kept.
type Ticket struct {
	Signature string // base64url SHA-256 of what the link holds
	Kind      TicketKind
	// Subject is whom the ticket is about; empty for people who have no account yet.
	Subject string
	// Email and EmailKey are the address that the ticket proves, as typed and canonical; EmailKey is empty if it proves none.
	Email, EmailKey string
	// Epoch is the user's epoch when the ticket was made. Once the user's is another, the ticket is dead, unless its kind outlives that.
	Epoch int64
	// Data is what the ticket is to do: a pending sign-up, an invitation. Its meaning is the feature's.
	Data    map[string]string
	Created time.Time
	Expires time.Time
	// ConsumedAt is zero until ConsumeTicket.
	ConsumedAt time.Time
}

// TicketKind says what a ticket is for. A ticket of one kind is never found as another (security row 45).
type TicketKind string

// The kinds of ticket.
const (
	TicketSignUp   TicketKind = "signup"   // finishes a sign-up with the address that it proves
	TicketInvite   TicketKind = "invite"   // lets somebody sign up
	TicketVerify   TicketKind = "verify"   // proves the address of a user
	TicketEmail    TicketKind = "email"    // changes the address of a user to the one that it proves
	TicketReset    TicketKind = "reset"    // sets a new password
	TicketMagic    TicketKind = "magic"    // signs in
	TicketRevert   TicketKind = "revert"   // "it was not me": ends sessions, and undoes the change that it tells of
	TicketRecovery TicketKind = "recovery" // an operator's one-time link
)

// Outlives tells whether tickets of the kind work on under another epoch. "It was not me" must: whoever has taken an account over changes its password next.
func (k TicketKind) Outlives() bool { return k == TicketRevert }

// Live is how many tickets of the kind a user, or an address without a user, may have at once; a new one pushes the oldest out. A new link to a new password makes the older ones
// worthless (security row 144). A link that signs in works only in the browser that asked for it, and a stranger who asks for one must not end the owner's.
func (k TicketKind) Live() int {
	switch k {
	case TicketSignUp, TicketInvite:
		return 5
	case TicketRevert:
		return 10
	case TicketMagic:
		return 3
	}
	return 1
}

// TicketStore keeps tickets. Those of a user go with the user.
type TicketStore interface {
	// CreateTicket stores a ticket. Of the same Kind and Subject, or of the same Kind and EmailKey where Subject is empty, all but the newest Kind.Live() of
	// the unused ones die; without both there is no limit. Kinds that outlive an epoch are counted for each EmailKey of a user, and the oldest one that
	// is not past Expires stays: whoever has changed the address cannot push out what the old one got, nor the first link, which takes back the most, by causing many more. ExistsError{"id"}; ErrNotFound for a Subject that does not exist.
	CreateTicket(ctx context.Context, t *Ticket) error
	// Ticket returns a ticket that would work now. ErrNotFound if there is none of that kind, it is past Expires, or its Epoch is not its user's any more, unless the kind outlives that; ErrConsumed if it was used.
	Ticket(ctx context.Context, kind TicketKind, signature string) (*Ticket, error)
	// TicketOf returns the newest ticket of a kind that a user has, would work now and was not used. ErrNotFound if there is none.
	TicketOf(ctx context.Context, subject string, kind TicketKind) (*Ticket, error)
	// ConsumeTicket is Ticket and marks it as used, in one transaction: of any number of callers exactly one gets it, the others ErrConsumed. A used ticket is kept until it expires.
	ConsumeTicket(ctx context.Context, kind TicketKind, signature string) (*Ticket, error)
	// RevertUser uses a ticket of TicketRevert and gives the account back to the address that the ticket was sent to, in one transaction: the user gets that address as a verified one, or
	// none if another user has it by now; the password goes, the epoch grows, the sessions end, as EndSession does, and everything of the user is revoked. Whatever was added at or after since goes: factors and
	// identities, whether or not they are the last way in; what is older stays. All recovery codes go: they tell no time, and whoever was in may have made them. All other live tickets of the kind that were created at
	// or after this one die, never older ones: whoever took the account over may have got some as well. It returns the user. Errors as ConsumeTicket, and then nothing has changed; ExistsError{"email"} if another user took the
	// address at the same moment.
	RevertUser(ctx context.Context, signature string, since time.Time) (*User, error)
	// ReturnTickets is for an account that goes back to an address by another way than a ticket of TicketRevert. If the user has a live unused one for that address, those for other addresses that were
	// created at or after the oldest of them die, as if it had been used, and the answer is true: whoever had the account in between must not take it back.
	ReturnTickets(ctx context.Context, subject, emailKey string) (bool, error)
	// RevokeTickets kills all live tickets of a user of the given kinds, all kinds if none is given.
	RevokeTickets(ctx context.Context, subject string, kinds ...TicketKind) error
}
