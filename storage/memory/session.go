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
	local := b.ExternalID == "" && b.UpstreamSID == "" && len(b.UpstreamToken) == 0
	must((b.Upstream == "") == (b.ExternalID == "") && (b.Upstream != "" || local), "a session by account %q of upstream %q", b.ExternalID, b.Upstream)
}

// storedSession returns the copy of a session that goes into the table.
func storedSession(b *storage.Session) *storage.Session {
	b = clone(b)
	b.UpstreamToken = filled(b.UpstreamToken)
	return b
}

// shown returns the copy of a session that a caller gets, without what only UpstreamToken and UpdateSession return.
func shown(b *storage.Session) *storage.Session {
	b = clone(b)
	b.UpstreamToken = nil
	return b
}

// filled makes bytes that are there nil if there are none, as a database does.
func filled(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
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
	s.sessions[b.ID] = storedSession(b)
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
	if b == nil || !s.live(b) {
		return nil, nil, storage.ErrNotFound
	}
	return shown(b), loaded(s.users[b.Subject].record), nil
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
	s.sessions[id] = storedSession(b)
	return storedSession(b), nil
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
	s.endSessions(func(b *storage.Session) bool { return b.ID == id })
	s.revoke(storage.Revocation{Kind: storage.RevokeSession, ID: id})
	return nil
}

// EndUpstreamSessions implements storage.UpstreamSessionStore.
func (s *Store) EndUpstreamSessions(ctx context.Context, upstream, externalID, sid string) (int, error) {
	end, err := s.begin(ctx, "EndUpstreamSessions")
	if err != nil {
		return 0, err
	}
	defer end()
	if upstream == "" || externalID == "" && sid == "" {
		return 0, nil
	}
	return s.endEach(func(b *storage.Session) bool {
		return b.Upstream == upstream && (externalID == "" || b.ExternalID == externalID) && (sid == "" || b.UpstreamSID == sid || b.UpstreamSID == "" && externalID != "")
	}), nil
}

// endEach ends sessions, revokes by each of them and returns how many there were; the caller holds the lock.
func (s *Store) endEach(ended func(*storage.Session) bool) int {
	n := 0
	for id, b := range s.sessions {
		if ended(b) {
			s.endSessions(func(b *storage.Session) bool { return b.ID == id })
			s.revoke(storage.Revocation{Kind: storage.RevokeSession, ID: id})
			n++
		}
	}
	return n
}

// UpstreamToken implements storage.UpstreamSessionStore.
func (s *Store) UpstreamToken(ctx context.Context, id string) ([]byte, error) {
	end, err := s.begin(ctx, "UpstreamToken")
	if err != nil {
		return nil, err
	}
	defer end()
	b := s.sessions[id]
	if b == nil || !s.clock().Before(b.Absolute) {
		return nil, storage.ErrNotFound
	}
	return slices.Clone(b.UpstreamToken), nil
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
			out = append(out, shown(b))
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

// ListSessions implements storage.SessionStore.
func (s *Store) ListSessions(ctx context.Context, after string, limit int) ([]*storage.Session, error) {
	end, err := s.begin(ctx, "ListSessions")
	if err != nil {
		return nil, err
	}
	defer end()
	live := map[string]*storage.Session{}
	for id, b := range s.sessions {
		if s.live(b) {
			live[id] = b
		}
	}
	return page(live, after, limit, shown), nil
}

// live tells whether a session is not over and was proven under the user's epoch.
func (s *Store) live(b *storage.Session) bool {
	u := s.users[b.Subject]
	return s.clock().Before(b.Absolute) && u != nil && u.record.Epoch == b.Epoch
}
