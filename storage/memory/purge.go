package memory

import (
	"context"
	"maps"
	"time"

	"gatehouse/storage"
)

// keepKeys is how long a key's public half is kept after RemoveAt, to check id_token_hints.
const keepKeys = 365 * 24 * time.Hour

// Purge implements storage.MaintenanceStore.
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	end, err := s.begin(ctx, "Purge")
	if err != nil {
		return 0, err
	}
	defer end()
	now = micro(now)
	past := func(t time.Time) bool { return !now.Before(t) }
	n := 0
	n += purge(s.tokens, limit-n, func(t *storage.Token) bool { return s.useless(t, past) })
	n += purge(s.sessions, limit-n, func(b *storage.Session) bool { return past(b.Absolute) })
	maps.DeleteFunc(s.sessionClients, func(id string, _ map[string]bool) bool { return s.sessions[id] == nil })
	n += purge(s.interactions, limit-n, func(in *storage.Interaction) bool {
		return past(in.Expires) && !in.Repeatable() || past(in.Expires.Add(storage.InteractionGrace))
	})
	for _, in := range s.interactions {
		if past(in.Expires) {
			in.Subject, in.SessionID, in.Proofs = "", "", nil
		}
	}
	n += purge(s.revocations, limit-n, func(r *storage.Revocation) bool { return past(r.Expires) })
	n += purge(s.replays, limit-n, past)
	n += purge(s.rates, limit-n, past)
	n += purge(s.deliveries, limit-n, func(l *storage.LogoutDelivery) bool { return past(l.Expires) })
	n += purge(s.mails, limit-n, func(m *storage.Mail) bool { return past(m.Expires) })
	n += purge(s.tickets, limit-n, func(t *storage.Ticket) bool { return past(t.Expires) })
	n += purge(s.devices, limit-n, func(d *storage.Device) bool { return past(d.Expires) })
	for id, c := range s.clients {
		if n < limit && !c.Expires.IsZero() && past(c.Expires.Add(storage.ClientGrace)) {
			s.dropClient(id)
			n++
		}
	}
	keys := purge(s.keys, limit-n, func(k *storage.SigningKey) bool { return !k.RemoveAt.IsZero() && past(k.RemoveAt.Add(keepKeys)) })
	if keys > 0 {
		s.bump(storage.TopicKeys)
	}
	return n + keys, nil
}

// useless tells whether a token's row is of no more use.
func (s *Store) useless(t *storage.Token, past func(time.Time) bool) bool {
	switch {
	case t.Kind == storage.TokenCode:
		return past(t.Expires.Add(s.ttl))
	case t.Kind == storage.TokenRefresh:
		return past(t.Expires) || past(t.GrantExpires)
	default:
		return past(t.Expires)
	}
}

// purge deletes up to limit rows that are over.
func purge[K comparable, R any](rows map[K]R, limit int, over func(R) bool) int {
	n := 0
	for key, row := range rows {
		if n < limit && over(row) {
			delete(rows, key)
			n++
		}
	}
	return n
}
