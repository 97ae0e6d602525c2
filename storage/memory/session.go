package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

func checkSession(b *storage.Session) {
	must(b.ID != "" && b.CookieHash != "" && b.Subject != "" && !b.Absolute.IsZero(), "an incomplete session: %q of %q until %v", b.ID, b.Subject, b.Absolute)
}

// holder returns the session that has a cookie.
func (s *Store) holder(cookieHash string) *storage.Session {
	for _, b := range s.sessions {
		if b.CookieHash == cookieHash {
			return b
		}
	}
	return nil
}

// CreateSession implements storage.SessionStore.
func (s *Store) CreateSession(ctx context.Context, b *storage.Session) error {
	checkSession(b)
	end, err := s.begin(ctx, "CreateSession")
	if err != nil {
		return err
	}
	defer end()
	if s.sessions[b.ID] != nil || s.holder(b.CookieHash) != nil {
		return exists("id")
	}
	s.sessions[b.ID] = clone(b)
	return nil
}

// SessionByCookie implements storage.SessionStore.
func (s *Store) SessionByCookie(ctx context.Context, cookieHash string) (*storage.Session, *storage.User, error) {
	end, err := s.begin(ctx, "SessionByCookie")
	if err != nil {
		return nil, nil, err
	}
	defer end()
	b := s.holder(cookieHash)
	if b == nil || !s.clock().Before(b.Absolute) || s.users[b.Subject] == nil || s.users[b.Subject].record.Epoch != b.Epoch {
		return nil, nil, storage.ErrNotFound
	}
	return clone(b), loaded(s.users[b.Subject].record), nil
}

// UpdateSession implements storage.SessionStore.
func (s *Store) UpdateSession(ctx context.Context, id string, change func(*storage.Session) error) (*storage.Session, error) {
	end, err := s.begin(ctx, "UpdateSession")
	if err != nil {
		return nil, err
	}
	defer end()
	old := s.sessions[id]
	if old == nil {
		return nil, storage.ErrNotFound
	}
	b := clone(old)
	if err := change(b); err != nil {
		return nil, err
	}
	b.ID, b.Subject, b.Created = id, old.Subject, old.Created
	checkSession(b)
	if other := s.holder(b.CookieHash); other != nil && other.ID != id {
		return nil, exists("id")
	}
	s.sessions[id] = clone(b)
	return clone(b), nil
}

// TouchSession implements storage.SessionStore.
func (s *Store) TouchSession(ctx context.Context, id string, at time.Time) error {
	end, err := s.begin(ctx, "TouchSession")
	if err != nil {
		return err
	}
	defer end()
	if b := s.sessions[id]; b != nil && b.LastSeen.Before(micro(at)) {
		b.LastSeen = micro(at)
	}
	return nil
}

// EndSession implements storage.SessionStore.
func (s *Store) EndSession(ctx context.Context, id string) error {
	end, err := s.begin(ctx, "EndSession")
	if err != nil {
		return err
	}
	defer end()
	delete(s.sessions, id)
	s.revoke(storage.Revocation{Kind: storage.RevokeSession, ID: id})
	return nil
}

// SessionsOf implements storage.SessionStore.
func (s *Store) SessionsOf(ctx context.Context, subject string) ([]*storage.Session, error) {
	end, err := s.begin(ctx, "SessionsOf")
	if err != nil {
		return nil, err
	}
	defer end()
	var out []*storage.Session
	for _, b := range s.sessions {
		if b.Subject == subject && s.clock().Before(b.Absolute) {
			out = append(out, clone(b))
		}
	}
	slices.SortFunc(out, func(a, b *storage.Session) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}
