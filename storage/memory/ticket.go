package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"gatehouse/storage"
)

// CreateTicket implements storage.TicketStore.
func (s *Store) CreateTicket(ctx context.Context, t *storage.Ticket) error {
	must(t.Signature != "" && t.Kind != "" && !t.Expires.IsZero(), "an incomplete ticket of kind %q until %v", t.Kind, t.Expires)
	end, err := s.begin(ctx, "CreateTicket")
	if err != nil {
		return err
	}
	defer end()
	if t.Subject != "" && s.users[t.Subject] == nil {
		return storage.ErrNotFound
	}
	if s.tickets[t.Signature] != nil {
		return exists("id")
	}
	s.tickets[t.Signature] = clone(t)
	s.crowdOutTickets(t)
	return nil
}

// crowdOutTickets deletes the oldest unused tickets that are too many beside a new one.
func (s *Store) crowdOutTickets(t *storage.Ticket) {
	if t.Subject == "" && t.EmailKey == "" {
		return
	}
	var others []*storage.Ticket
	for _, o := range s.tickets {
		if o.Signature != t.Signature && o.Kind == t.Kind && o.ConsumedAt.IsZero() && o.Subject == t.Subject && (t.Subject != "" && !t.Kind.Outlives() || o.EmailKey == t.EmailKey) {
			others = append(others, o)
		}
	}
	slices.SortFunc(others, func(a, b *storage.Ticket) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.Signature, a.Signature))
	})
	stay := t.Kind.Live() - 1
	if oldest := s.oldestLive(others); t.Subject != "" && t.Kind.Outlives() && oldest >= 0 {
		others, stay = slices.Delete(others, oldest, oldest+1), stay-1
	}
	for _, o := range others[min(len(others), stay):] {
		delete(s.tickets, o.Signature)
	}
}

// oldestLive is the place of the last ticket of a list that is not past its end, -1 if all are.
func (s *Store) oldestLive(newestFirst []*storage.Ticket) int {
	for i, t := range slices.Backward(newestFirst) {
		if s.clock().Before(t.Expires) {
			return i
		}
	}
	return -1
}

// liveTicket returns a ticket that would work now.
func (s *Store) liveTicket(kind storage.TicketKind, signature string) (*storage.Ticket, error) {
	t := s.tickets[signature]
	switch {
	case t == nil, t.Kind != kind, !s.clock().Before(t.Expires):
		return nil, storage.ErrNotFound
	case t.Subject != "" && !kind.Outlives() && s.users[t.Subject].record.Epoch != t.Epoch:
		return nil, storage.ErrNotFound
	case !t.ConsumedAt.IsZero():
		return nil, storage.ErrConsumed
	}
	return t, nil
}

// Ticket implements storage.TicketStore.
func (s *Store) Ticket(ctx context.Context, kind storage.TicketKind, signature string) (*storage.Ticket, error) {
	end, err := s.begin(ctx, "Ticket")
	if err != nil {
		return nil, err
	}
	defer end()
	t, err := s.liveTicket(kind, signature)
	if err != nil {
		return nil, err
	}
	return clone(t), nil
}

// TicketOf implements storage.TicketStore.
func (s *Store) TicketOf(ctx context.Context, subject string, kind storage.TicketKind) (*storage.Ticket, error) {
	must(subject != "", "a ticket of nobody is looked for")
	end, err := s.begin(ctx, "TicketOf")
	if err != nil {
		return nil, err
	}
	defer end()
	var newest *storage.Ticket
	for signature, t := range s.tickets {
		if t.Subject != subject {
			continue
		}
		if _, err := s.liveTicket(kind, signature); err == nil && (newest == nil || cmp.Or(t.Created.Compare(newest.Created), strings.Compare(signature, newest.Signature)) > 0) {
			newest = t
		}
	}
	if newest == nil {
		return nil, storage.ErrNotFound
	}
	return clone(newest), nil
}

// ConsumeTicket implements storage.TicketStore.
func (s *Store) ConsumeTicket(ctx context.Context, kind storage.TicketKind, signature string) (*storage.Ticket, error) {
	end, err := s.begin(ctx, "ConsumeTicket")
	if err != nil {
		return nil, err
	}
	defer end()
	t, err := s.liveTicket(kind, signature)
	if err != nil {
		return nil, err
	}
	t.ConsumedAt = s.clock()
	return clone(t), nil
}

// RevokeTickets implements storage.TicketStore.
func (s *Store) RevokeTickets(ctx context.Context, subject string, kinds ...storage.TicketKind) error {
	must(subject != "", "tickets of nobody are revoked")
	end, err := s.begin(ctx, "RevokeTickets")
	if err != nil {
		return err
	}
	defer end()
	for signature, t := range s.tickets {
		if t.Subject == subject && t.ConsumedAt.IsZero() && (len(kinds) == 0 || slices.Contains(kinds, t.Kind)) {
			delete(s.tickets, signature)
		}
	}
	return nil
}
