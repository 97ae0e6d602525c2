package memory

import (
	"context"
	"errors"
	"maps"
	"time"

	"gatehouse/storage"
)

// RevertUser implements storage.TicketStore.
func (s *Store) RevertUser(ctx context.Context, signature string, since time.Time) (*storage.User, error) {
	end, err := s.begin(ctx, "RevertUser")
	if err != nil {
		return nil, err
	}
	defer end()
	t, err := s.liveTicket(storage.TicketRevert, signature)
	if err != nil {
		return nil, err
	}
	row := s.users[t.Subject]
	if row == nil { // a ticket of nobody's
		return nil, storage.ErrNotFound
	}
	t.ConsumedAt = s.clock()
	maps.DeleteFunc(s.tickets, func(_ string, o *storage.Ticket) bool {
		return o.Subject == t.Subject && o.Kind == t.Kind && o.ConsumedAt.IsZero() && !o.Created.Before(t.Created)
	})
	s.restoreAddress(row.record, t)
	s.putPassword(row, "")
	s.dropAddedSince(t.Subject, micro(since))
	s.signOut(t.Subject)
	return loaded(row.record), nil
}

// ReturnTickets implements storage.TicketStore.
func (s *Store) ReturnTickets(ctx context.Context, subject, emailKey string) (bool, error) {
	end, err := s.begin(ctx, "ReturnTickets")
	if err != nil {
		return false, err
	}
	defer end()
	live := func(t *storage.Ticket) bool {
		return t.Subject == subject && t.Kind == storage.TicketRevert && t.ConsumedAt.IsZero()
	}
	var first time.Time
	for _, t := range s.tickets {
		if live(t) && t.EmailKey == emailKey && t.Expires.After(s.clock()) && (first.IsZero() || t.Created.Before(first)) {
			first = t.Created
		}
	}
	if first.IsZero() {
		return false, nil
	}
	maps.DeleteFunc(s.tickets, func(_ string, t *storage.Ticket) bool {
		return live(t) && t.EmailKey != emailKey && !t.Created.Before(first)
	})
	return true, nil
}

// restoreAddress gives a user the address of a ticket, or none if somebody else has it: the one that is there may be a thief's.
func (s *Store) restoreAddress(u *storage.User, t *storage.Ticket) {
	if t.EmailKey == "" || u.EmailKey == t.EmailKey {
		return
	}
	u.Email, u.EmailKey, u.EmailVerified, u.Updated = t.Email, t.EmailKey, true, s.clock()
	if errors.Is(s.taken(u), storage.ErrExists) {
		u.Email, u.EmailKey, u.EmailVerified = "", "", false
	}
}

// dropAddedSince removes the ways to sign in that a user has since a time, and all recovery codes, which tell no time.
func (s *Store) dropAddedSince(subject string, since time.Time) {
	maps.DeleteFunc(s.factors, func(_ string, f *storage.Factor) bool {
		return f.Subject == subject && !f.Created.Before(since)
	})
	maps.DeleteFunc(s.identities, func(_ account, i *storage.Identity) bool {
		return i.Subject == subject && !i.Created.Before(since)
	})
	delete(s.recoveryCodes, subject)
}
