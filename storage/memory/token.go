package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

func keyOf(t *storage.Token) tokenKey { return tokenKey{string(t.Kind), t.Signature} }

var kinds = []storage.TokenKind{storage.TokenCode, storage.TokenRefresh, storage.TokenAccess, storage.TokenPushed, storage.TokenInitial}

func checkToken(t *storage.Token) {
	must(slices.Contains(kinds, t.Kind), "token kind %q", t.Kind)
	must(t.Signature != "" && !t.Expires.IsZero(), "an incomplete %s until %v", t.Kind, t.Expires)
	must((t.ClientID == "") == (t.Kind == storage.TokenInitial), "a %s of client %q", t.Kind, t.ClientID)
	must(t.Subject == "" || t.Kind != storage.TokenPushed && t.Kind != storage.TokenInitial, "a %s of user %q", t.Kind, t.Subject)
	must(t.ConsumedAt.IsZero() && len(t.Successor) == 0, "a %s that is born consumed", t.Kind)
	_, ok := storage.GrantBorn(t.GrantID)
	must(ok, "a %s whose GrantID %q is no UUIDv7", t.Kind, t.GrantID)
}

// CreateToken implements storage.TokenStore.
func (s *Store) CreateToken(ctx context.Context, t *storage.Token) error {
	checkToken(t)
	end, err := s.begin(ctx, "CreateToken")
	if err != nil {
		return err
	}
	defer end()
	if s.tokens[keyOf(t)] != nil {
		return exists("id")
	}
	s.putToken(t)
	return nil
}

// putToken stores a copy without what only Token fills in.
func (s *Store) putToken(t *storage.Token) {
	row := *t
	row.User, row.SessionAlive = nil, false
	s.tokens[keyOf(t)] = clone(&row)
}

// Token implements storage.TokenStore.
func (s *Store) Token(ctx context.Context, kind storage.TokenKind, signature string) (*storage.Token, error) {
	end, err := s.begin(ctx, "Token")
	if err != nil {
		return nil, err
	}
	defer end()
	row := s.tokens[tokenKey{string(kind), signature}]
	if row == nil {
		return nil, storage.ErrNotFound
	}
	t := clone(row)
	if u := s.users[t.Subject]; u != nil {
		t.User = loaded(u.record)
	}
	b := s.sessions[t.SessionID]
	t.SessionAlive = t.SessionID == "" || b != nil && s.clock().Before(b.Absolute)
	return t, nil
}

// ExchangeToken implements storage.TokenStore.
func (s *Store) ExchangeToken(ctx context.Context, kind storage.TokenKind, signature string, successor []byte, next ...*storage.Token) error {
	end, err := s.begin(ctx, "ExchangeToken")
	if err != nil {
		return err
	}
	defer end()
	row := s.tokens[tokenKey{string(kind), signature}]
	if row == nil || !row.ConsumedAt.IsZero() || s.over(row) || s.revoked(row) {
		return storage.ErrConsumed
	}
	seen := map[tokenKey]bool{}
	for _, n := range next {
		checkToken(n)
		checkSuccessor(row, n)
		if s.tokens[keyOf(n)] != nil || seen[keyOf(n)] {
			return exists("id")
		}
		seen[keyOf(n)] = true
	}
	row.ConsumedAt, row.Successor = s.clock(), slices.Clone(successor)
	for _, n := range next {
		s.putToken(n)
	}
	return nil
}

// checkSuccessor: what an exchange makes belongs to the family of what it consumed. A pushed request has no family yet: what it becomes begins one.
func checkSuccessor(row, n *storage.Token) {
	must(row.Kind != storage.TokenInitial, "a %s in exchange for an initial access token", n.Kind)
	must(n.ClientID == row.ClientID, "a %s of another client", n.Kind)
	if row.Kind == storage.TokenPushed {
		must(n.Kind == storage.TokenCode || n.Kind == storage.TokenAccess, "a %s in exchange for a pushed request", n.Kind)
		return
	}
	must(n.GrantID == row.GrantID && n.Subject == row.Subject, "a %s of another family", n.Kind)
	must(!micro(n.GrantExpires).After(row.GrantExpires), "a %s that lengthens its family to %v", n.Kind, n.GrantExpires)
}

// over tells whether a token or its family is past its expiry.
func (s *Store) over(t *storage.Token) bool {
	now := s.clock()
	return !now.Before(t.Expires) || !now.Before(t.GrantExpires)
}

// revoked tells whether a revocation names a token's grant. Its row may have been stored after the revocation, by a request that was under way.
func (s *Store) revoked(t *storage.Token) bool {
	for key, id := range map[storage.RevocationKind]string{
		storage.RevokeGrant: t.GrantID, storage.RevokeSession: t.SessionID, storage.RevokeSubject: t.Subject, storage.RevokeClient: t.ClientID,
		storage.RevokeSubjectClient: storage.SubjectClient(t.Subject, t.ClientID),
	} {
		if r := s.revocations[revocationKey{string(key), id}]; r != nil && s.clock().Before(r.Expires) && names(*r, t) {
			return true
		}
	}
	return false
}

// names tells whether a revocation kills a row.
func names(r storage.Revocation, t *storage.Token) bool {
	var hit bool
	switch r.Kind {
	case storage.RevokeToken:
		return t.Kind == storage.TokenAccess && t.Signature == r.ID
	case storage.RevokeGrant:
		return t.GrantID == r.ID
	case storage.RevokeSession:
		hit = t.SessionID == r.ID
	case storage.RevokeSubject:
		hit = t.Subject == r.ID
	case storage.RevokeClient:
		hit = t.ClientID == r.ID
	case storage.RevokeSubjectClient:
		hit = storage.SubjectClient(t.Subject, t.ClientID) == r.ID
	}
	born, _ := storage.GrantBorn(t.GrantID)
	return hit && !born.After(r.Before)
}

// RevokeTokens implements storage.TokenStore.
func (s *Store) RevokeTokens(ctx context.Context, r storage.Revocation) (int, error) {
	end, err := s.begin(ctx, "RevokeTokens")
	if err != nil {
		return 0, err
	}
	defer end()
	return s.revoke(r), nil
}

// revoke deletes the rows that r names and writes r; the caller holds the lock.
func (s *Store) revoke(r storage.Revocation) int {
	kinds := []storage.RevocationKind{storage.RevokeToken, storage.RevokeGrant, storage.RevokeSession, storage.RevokeSubject, storage.RevokeClient,
		storage.RevokeSubjectClient}
	// An empty id would name every token that belongs to no user or no session.
	must(r.ID != "" && slices.Contains(kinds, r.Kind), "a revocation of kind %q and id %q", r.Kind, r.ID)
	must(r.Kind != storage.RevokeSubjectClient || strings.Count(r.ID, "\n") == 1, "subject+client id %q", r.ID)
	now := s.clock()
	doomed := r
	if r.Before.IsZero() {
		// Whatever is stored by now goes, also what a node whose clock is ahead has stored.
		r.Before, doomed.Before = now, time.Unix(1<<40, 0)
	}
	r.Before, r.Expires, r.Version = r.Before.UTC().Truncate(time.Millisecond), now.Add(s.ttl), s.bump(storage.TopicRevocations)
	n := 0
	for key, t := range s.tokens {
		if names(doomed, t) {
			delete(s.tokens, key)
			n++
		}
	}
	key := revocationKey{string(r.Kind), r.ID}
	if old := s.revocations[key]; old != nil && old.Before.After(r.Before) {
		r.Before = old.Before
	}
	s.revocations[key] = &r
	return n
}

// ClientUpdated implements storage.ChangeStore.
func (s *Store) ClientUpdated(ctx context.Context, id string) (time.Time, error) {
	end, err := s.begin(ctx, "ClientUpdated")
	if err != nil {
		return time.Time{}, err
	}
	defer end()
	if c := s.clients[id]; c != nil {
		return c.Updated, nil
	}
	return time.Time{}, storage.ErrNotFound
}

// Changes implements storage.ChangeStore.
func (s *Store) Changes(ctx context.Context) (map[storage.Topic]int64, error) {
	end, err := s.begin(ctx, "Changes")
	if err != nil {
		return nil, err
	}
	defer end()
	return clone(s.versions), nil
}

// Revocations implements storage.ChangeStore.
func (s *Store) Revocations(ctx context.Context, after int64) ([]storage.Revocation, error) {
	end, err := s.begin(ctx, "Revocations")
	if err != nil {
		return nil, err
	}
	defer end()
	var out []storage.Revocation
	for _, r := range s.revocations {
		if r.Version > after && s.clock().Before(r.Expires) {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b storage.Revocation) int { return cmp.Compare(a.Version, b.Version) })
	return out, nil
}
