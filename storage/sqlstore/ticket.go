package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
)

const (
	// The subject of somebody who has no account is NULL, as an empty one would refer to nobody.
	insertTicket = `INSERT INTO tickets (signature, kind, subject, email, email_key, epoch, data, created, expires, consumed_at)
		VALUES ($1, $2, NULLIF($3, ''), $4, $5, $6, $7, $8, $9, $10)`
	ticketColumns = `signature, kind, COALESCE(subject, ''), email, email_key, epoch, data, created, expires, consumed_at`
	// liveTicket is what a ticket $1 of the kind $2 must be at the time $3, used or not.
	liveTicket = `signature = $1 AND ` + liveOfKind
	liveOfKind = `kind = $2 AND expires > $3
		AND (subject IS NULL OR kind = '` + string(storage.TicketRevert) + `' OR epoch = (SELECT u.epoch FROM users u WHERE u.subject = tickets.subject))`
	selectTicket     = `SELECT ` + ticketColumns + ` FROM tickets WHERE ` + liveTicket
	selectTicketOf   = `SELECT ` + ticketColumns + ` FROM tickets WHERE subject = $1 AND ` + liveOfKind + ` AND consumed_at = 0 ORDER BY created DESC, signature DESC LIMIT 1`
	consumeTicket    = `UPDATE tickets SET consumed_at = $3 WHERE ` + liveTicket + ` AND consumed_at = 0 RETURNING ` + ticketColumns
	revokeTickets    = `DELETE FROM tickets WHERE subject = $1 AND consumed_at = 0`
	revokeTicketKind = revokeTickets + ` AND kind = $2`
)

// The unused tickets of a kind among which a new one is to find room: a user's, or those of an address without a user.
const (
	ticketsOfUser = `subject = $1 AND kind = $2`
	// ticketsOfMailbox leaves out the oldest one that works at the time $6: it stays.
	ticketsOfMailbox = ticketsOfUser + ` AND email_key = $5 AND signature <> COALESCE((SELECT o.signature FROM tickets o
		WHERE o.subject = $1 AND o.kind = $2 AND o.email_key = $5 AND o.consumed_at = 0 AND o.expires > $6 AND o.signature <> $3 ORDER BY o.created, o.signature LIMIT 1), '')`
	ticketsOfAddress = `subject IS NULL AND email_key = $1 AND email_key <> '' AND kind = $2`
)

// mostRows is more rows than a user can have of anything that is counted here: OFFSET needs a LIMIT.
const mostRows = 1000

// crowdText deletes the oldest tickets of a filter beside a new one: $3 its signature, $4 how many of the others stay.
func (d Dialect) crowdText(filter string) string {
	rows := fmt.Sprintf(`SELECT %s FROM tickets WHERE %s AND consumed_at = 0 AND signature <> $3 ORDER BY created DESC, signature DESC LIMIT %d OFFSET $4`,
		d.Row, filter, mostRows)
	return `DELETE FROM tickets WHERE ` + fmt.Sprintf(d.In, d.Row, rows)
}

func readTicket(scan Scan) (*storage.Ticket, error) {
	var (
		t                          storage.Ticket
		kind                       string
		data                       []byte
		created, expires, consumed int64
	)
	if err := scan(&t.Signature, &kind, &t.Subject, &t.Email, &t.EmailKey, &t.Epoch, &data, &created, &expires, &consumed); err != nil {
		return nil, err
	}
	t.Kind, t.Created, t.Expires, t.ConsumedAt = storage.TicketKind(kind), readTime(created), readTime(expires), readTime(consumed)
	return &t, decode(data, &t.Data)
}

// CreateTicket implements storage.TicketStore. A user's row is held, so that of two new links one knows of the other. A ticket that is about nobody asks for a row all the same: the
// statements do not tell who has an account (security row 136).
func (s *Store) CreateTicket(ctx context.Context, t *storage.Ticket) error {
	data, err := encode(t.Data)
	if err != nil {
		return err
	}
	filter, crowd := ticketsOfAddress, []any{t.EmailKey, string(t.Kind), t.Signature, t.Kind.Live() - 1}
	if t.Subject != "" {
		filter, crowd[0] = ticketsOfUser, t.Subject
	}
	if t.Subject != "" && t.Kind.Outlives() {
		filter, crowd[3] = ticketsOfMailbox, t.Kind.Live()-2
		crowd = append(crowd, t.EmailKey, micros(s.now()))
	}
	return s.tx(ctx, func(q Query) error {
		if _, err := s.holdUser(ctx, q, t.Subject); err != nil && (t.Subject != "" || !errors.Is(err, storage.ErrNotFound)) {
			return err
		}
		if _, err := q.Exec(ctx, insertTicket, t.Signature, string(t.Kind), t.Subject, t.Email, t.EmailKey, t.Epoch, data, micros(t.Created),
			micros(t.Expires), micros(t.ConsumedAt)); err != nil {
			return err
		}
		_, err := q.Exec(ctx, s.dialect.crowdText(filter), crowd...)
		return err
	})
}

// Ticket implements storage.TicketStore.
func (s *Store) Ticket(ctx context.Context, kind storage.TicketKind, signature string) (*storage.Ticket, error) {
	t, err := one(ctx, s.db, readTicket, selectTicket, signature, string(kind), micros(s.now()))
	if err != nil {
		return nil, err
	}
	if !t.ConsumedAt.IsZero() {
		return nil, storage.ErrConsumed
	}
	return t, nil
}

// TicketOf implements storage.TicketStore.
func (s *Store) TicketOf(ctx context.Context, subject string, kind storage.TicketKind) (*storage.Ticket, error) {
	return one(ctx, s.db, readTicket, selectTicketOf, subject, string(kind), micros(s.now()))
}

// ConsumeTicket implements storage.TicketStore: the conditional update decides the one winner.
func (s *Store) ConsumeTicket(ctx context.Context, kind storage.TicketKind, signature string) (*storage.Ticket, error) {
	var t *storage.Ticket
	err := s.tx(ctx, func(q Query) (err error) {
		t, err = one(ctx, q, readTicket, consumeTicket, signature, string(kind), micros(s.now()))
		return err
	})
	if err == nil {
		return t, nil
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	if _, err := s.Ticket(ctx, kind, signature); err != nil {
		return nil, err
	}
	return nil, storage.ErrConsumed
}

// RevokeTickets implements storage.TicketStore.
func (s *Store) RevokeTickets(ctx context.Context, subject string, kinds ...storage.TicketKind) error {
	if len(kinds) == 0 {
		_, err := s.update(ctx, revokeTickets, subject)
		return err
	}
	if !storable(subject) {
		return nil
	}
	return s.tx(ctx, func(q Query) error {
		for _, kind := range kinds {
			if _, err := q.Exec(ctx, revokeTicketKind, subject, string(kind)); err != nil {
				return err
			}
		}
		return nil
	})
}
