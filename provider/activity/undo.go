package activity

import (
	"context"
	"time"

	"gatehouse/storage"
)

// dataSince is what a ticket that says "it was not me" remembers of the change that it is about.
const dataSince = "since"

// Undo is the ticket of a link that says "it was not me", for Event.Undo; before is the user as it was. added is when what the mail tells of was added, zero if nothing was: the ticket is a little
// younger than that, and what was added has to go with it.
func Undo(before *storage.User, added time.Time) *storage.Ticket {
	t := &storage.Ticket{Kind: storage.TicketRevert, Subject: before.Subject, Email: before.Email, EmailKey: before.EmailKey, Data: map[string]string{}}
	if !added.IsZero() {
		t.Data[dataSince] = added.UTC().Format(time.RFC3339Nano)
	}
	return t
}

// Since is the moment from which on what was added to the account is not its owner's.
func Since(t *storage.Ticket) time.Time {
	if at, err := time.Parse(time.RFC3339Nano, t.Data[dataSince]); err == nil && at.Before(t.Created) {
		return at
	}
	return t.Created
}

// Issuer makes links; package ticket does.
type Issuer interface {
	Issue(ctx context.Context, made storage.Ticket) (link string, err error)
	Life(kind storage.TicketKind) time.Duration
}
