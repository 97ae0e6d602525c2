package letter

import (
	"context"
	"time"

	"gatehouse/storage"
	"gatehouse/templates"
)

// What a ticket that says "it was not me" remembers of the change that it is about.
const (
	dataSince = "since"
	dataCodes = "codes"
)

// Undo is the ticket of a link that says "it was not me"; before is the user as it was. added is when what the link tells of was added, zero if nothing was: the ticket is a little younger than
// that, and what was added has to go with it.
func Undo(before *storage.User, added time.Time) storage.Ticket {
	t := storage.Ticket{Kind: storage.TicketRevert, Subject: before.Subject, Email: before.Email, EmailKey: before.EmailKey, Data: map[string]string{}}
	if !added.IsZero() {
		t.Data[dataSince] = added.UTC().Format(time.RFC3339Nano)
	}
	return t
}

// UndoCodes is Undo for a link that tells of new recovery codes.
func UndoCodes(before *storage.User) storage.Ticket {
	t := Undo(before, time.Time{})
	t.Data[dataCodes] = "new"
	return t
}

// Since is the moment from which on what was added to the account is not its owner's.
func Since(t *storage.Ticket) time.Time {
	if at, err := time.Parse(time.RFC3339Nano, t.Data[dataSince]); err == nil && at.Before(t.Created) {
		return at
	}
	return t.Created
}

// OfCodes tells whether the ticket is about recovery codes that somebody else has made.
func OfCodes(t *storage.Ticket) bool { return t.Data[dataCodes] != "" }

// Issuer makes links; package ticket does.
type Issuer interface {
	Issue(ctx context.Context, made storage.Ticket) (link string, err error)
	Life(kind storage.TicketKind) time.Duration
}

// Undoable is a mail that tells of a change, with the link that takes it back; without one if it cannot be made: what it tells of has happened.
func Undoable(ctx context.Context, by Issuer, kind templates.MailKind, undo storage.Ticket) *templates.Mail {
	m := &templates.Mail{Kind: kind}
	if link, err := by.Issue(ctx, undo); err == nil {
		m.Link, m.Life = link, by.Life(storage.TicketRevert)
	}
	return m
}
