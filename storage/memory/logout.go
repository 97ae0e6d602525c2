package memory

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

// AddSessionClient implements storage.SessionClientStore.
func (s *Store) AddSessionClient(ctx context.Context, sessionID, clientID string) error {
	must(sessionID != "" && clientID != "", "client %q of session %q", clientID, sessionID)
	end, err := s.begin(ctx, "AddSessionClient")
	if err != nil {
		return err
	}
	defer end()
	if s.sessions[sessionID] == nil {
		return storage.ErrNotFound
	}
	if s.sessionClients[sessionID] == nil {
		s.sessionClients[sessionID] = map[string]bool{}
	}
	s.sessionClients[sessionID][clientID] = true
	return nil
}

// SessionClients implements storage.SessionClientStore.
func (s *Store) SessionClients(ctx context.Context, sessionID string) ([]string, error) {
	end, err := s.begin(ctx, "SessionClients")
	if err != nil {
		return nil, err
	}
	defer end()
	return slices.Sorted(maps.Keys(s.sessionClients[sessionID])), nil
}

// endSessions deletes sessions and queues the deliveries for their clients; the caller holds the lock.
func (s *Store) endSessions(ended func(*storage.Session) bool) {
	for id, b := range s.sessions {
		if !ended(b) {
			continue
		}
		if s.clock().Before(b.Absolute) {
			s.queueLogouts(b)
		}
		delete(s.sessions, id)
		delete(s.sessionClients, id)
	}
}

func (s *Store) queueLogouts(b *storage.Session) {
	now := s.clock()
	for id := range s.sessionClients[b.ID] {
		if c := s.clients[id]; c == nil || c.Disabled || c.BackchannelLogoutURI == "" {
			continue
		}
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails
		l := &storage.LogoutDelivery{ID: hex.EncodeToString(random[:]), ClientID: id, Subject: b.Subject, SessionID: b.ID, Created: now, NextAttempt: now,
			Expires: now.Add(storage.LogoutRetention)}
		s.deliveries[l.ID] = l
	}
}

// ClaimLogouts implements storage.LogoutStore.
func (s *Store) ClaimLogouts(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*storage.LogoutDelivery, error) {
	must(lease > 0 && limit > 0, "a claim of %d deliveries for %v", limit, lease)
	end, err := s.begin(ctx, "ClaimLogouts")
	if err != nil {
		return nil, err
	}
	defer end()
	now = micro(now)
	var due []*storage.LogoutDelivery
	for _, l := range s.deliveries {
		if !l.NextAttempt.After(now) && now.Before(l.Expires) {
			due = append(due, l)
		}
	}
	slices.SortFunc(due, func(a, b *storage.LogoutDelivery) int {
		return cmp.Or(a.NextAttempt.Compare(b.NextAttempt), strings.Compare(a.ID, b.ID))
	})
	due = due[:min(len(due), limit)]
	for _, l := range due {
		l.NextAttempt = micro(now.Add(lease))
		l.Attempts++
	}
	return clone(due), nil
}

// RetryLogout implements storage.LogoutStore.
func (s *Store) RetryLogout(ctx context.Context, id string, next time.Time, made bool) error {
	must(id != "" && !next.IsZero(), "delivery %q is due at %v", id, next)
	end, err := s.begin(ctx, "RetryLogout")
	if err != nil {
		return err
	}
	defer end()
	if l := s.deliveries[id]; l != nil {
		l.NextAttempt = micro(next)
		if !made {
			l.Attempts--
		}
	}
	return nil
}

// FinishLogout implements storage.LogoutStore.
func (s *Store) FinishLogout(ctx context.Context, id string) error {
	end, err := s.begin(ctx, "FinishLogout")
	if err != nil {
		return err
	}
	defer end()
	delete(s.deliveries, id)
	return nil
}
