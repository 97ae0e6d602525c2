package session

import (
	"context"
	"fmt"
	"sync"

	"gatehouse/storage"
)

// Join notes that a client takes part in a session, before the client gets anything that names it: when the session ends, the client is told. It costs a
// statement the first time only. An error that is storage.ErrNotFound says that the session has ended since it was read: the client must get nothing.
//
// A pair that is remembered is not looked up again, also when its session has just ended. That loses nothing: the pair was stored when the session ended, so the
// client is told, and what it gets meanwhile is bound to a session that is revoked. Ids of sessions are never used twice.
func (s *Sessions) Join(ctx context.Context, session *storage.Session, clientID string) error {
	p := pair{session.ID, clientID}
	if s.joined.has(p) {
		return nil
	}
	if err := s.Store.AddSessionClient(ctx, session.ID, clientID); err != nil {
		return fmt.Errorf("note client of session: %w", err)
	}
	s.joined.add(p)
	return nil
}

// maxPairs bounds the memory of pairs: about 10 MB in all. Who is forgotten costs one statement more.
const maxPairs = 50_000

type pair struct{ session, client string }

// pairs remembers the last ones, in two halves: when the young half is full, the old one goes.
type pairs struct {
	mu         sync.Mutex
	young, old map[pair]struct{}
}

func (m *pairs) has(p pair) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.young[p]; ok {
		return true
	}
	_, ok := m.old[p]
	if ok {
		m.put(p) // in use: stays
	}
	return ok
}

func (m *pairs) add(p pair) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(p)
}

func (m *pairs) put(p pair) {
	if m.young == nil || len(m.young) >= maxPairs/2 {
		m.young, m.old = map[pair]struct{}{}, m.young
	}
	m.young[p] = struct{}{}
}
