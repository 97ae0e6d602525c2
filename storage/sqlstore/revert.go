package sqlstore

import (
	"context"
	"errors"
	"time"

	"gatehouse/storage"
)

const (
	deleteYoungerTickets = `DELETE FROM tickets WHERE subject = $1 AND kind = $2 AND created >= $3 AND consumed_at = 0`
	// firstTicket is when the oldest ticket of the user $1 and the kind $2 for the address $3 was made that works at $4, -1 if there is none.
	firstTicket        = `SELECT COALESCE(MIN(created), -1) FROM tickets WHERE subject = $1 AND kind = $2 AND email_key = $3 AND consumed_at = 0 AND expires > $4`
	deleteReturned     = `DELETE FROM tickets WHERE subject = $1 AND kind = $2 AND email_key <> $3 AND created >= $4 AND consumed_at = 0`
	countOthersAt      = `SELECT COUNT(*) FROM users WHERE email_key = $2 AND email_key <> '' AND subject <> $1`
	restoreAddress     = `UPDATE users SET email = $2, email_key = $3, email_verified = $4, updated = $5 WHERE subject = $1`
	deleteFactorsSince = `DELETE FROM factors WHERE subject = $1 AND created >= $2`
	deleteTiedSince    = `DELETE FROM identities WHERE subject = $1 AND created >= $2`
)

// RevertUser implements storage.TicketStore. The user's row is held first, as by every change of the ways in; the conditional update of the ticket decides the one winner.
func (s *Store) RevertUser(ctx context.Context, signature string, since time.Time) (*storage.User, error) {
	found, err := s.Ticket(ctx, storage.TicketRevert, signature)
	if err != nil {
		return nil, err
	}
	var u *storage.User
	err = s.tx(ctx, func(q Query) (err error) {
		if u, err = one(ctx, q, readUser, selectUser+s.dialect.Lock, found.Subject); err != nil {
			return err
		}
		t, err := one(ctx, q, readTicket, consumeTicket, signature, string(storage.TicketRevert), micros(s.now()))
		if err != nil {
			return err
		}
		return s.revert(ctx, q, u, t, since)
	})
	if errors.Is(err, storage.ErrNotFound) { // somebody else was faster
		if _, err := s.Ticket(ctx, storage.TicketRevert, signature); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	return u, nil
}

// revert does what a used ticket says, inside a transaction that holds the user's row, and brings u up to date.
func (s *Store) revert(ctx context.Context, q Query, u *storage.User, t *storage.Ticket, since time.Time) error {
	if _, err := q.Exec(ctx, deleteYoungerTickets, t.Subject, string(t.Kind), micros(t.Created)); err != nil {
		return err
	}
	if err := s.restoreAddress(ctx, q, u, t); err != nil {
		return err
	}
	if _, err := q.Exec(ctx, setPassword, u.Subject, "", 0); err != nil {
		return err
	}
	u.Epoch, u.PasswordSet, u.Failures, u.LastFailure = u.Epoch+1, time.Time{}, 0, time.Time{}
	if _, err := q.Exec(ctx, deleteFactorsSince, u.Subject, micros(since)); err != nil {
		return err
	}
	if _, err := q.Exec(ctx, deleteTiedSince, u.Subject, micros(since)); err != nil {
		return err
	}
	if _, err := q.Exec(ctx, deleteRecoveryCodes, u.Subject); err != nil {
		return err
	}
	return s.expel(ctx, q, u.Subject)
}

// ReturnTickets implements storage.TicketStore. The user's row is held, so that no ticket is made meanwhile.
func (s *Store) ReturnTickets(ctx context.Context, subject, emailKey string) (returned bool, err error) {
	if !storable(subject) || !storable(emailKey) {
		return false, nil
	}
	kind := string(storage.TicketRevert)
	err = s.tx(ctx, func(q Query) error {
		if _, err := s.holdUser(ctx, q, subject); err != nil {
			return err
		}
		var first int64
		if err := q.One(ctx, firstTicket, []any{subject, kind, emailKey, micros(s.now())}, &first); err != nil || first < 0 {
			return err
		}
		returned = true
		_, err := q.Exec(ctx, deleteReturned, subject, kind, emailKey, first)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	return returned && err == nil, err
}

// restoreAddress gives a user the address of a ticket, or none if somebody else has it: the one that is there may be a thief's.
func (s *Store) restoreAddress(ctx context.Context, q Query, u *storage.User, t *storage.Ticket) error {
	if t.EmailKey == "" || u.EmailKey == t.EmailKey {
		return nil
	}
	var others int
	if err := q.One(ctx, countOthersAt, []any{u.Subject, t.EmailKey}, &others); err != nil {
		return err
	}
	u.Email, u.EmailKey, u.EmailVerified, u.Updated = t.Email, t.EmailKey, true, s.now()
	if others > 0 {
		u.Email, u.EmailKey, u.EmailVerified = "", "", false
	}
	_, err := q.Exec(ctx, restoreAddress, u.Subject, u.Email, u.EmailKey, u.EmailVerified, micros(u.Updated))
	return err
}
