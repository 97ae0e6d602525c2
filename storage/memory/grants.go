package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"gatehouse/storage"
)

// GrantsOf implements storage.GrantStore.
func (s *Store) GrantsOf(ctx context.Context, subject string) ([]*storage.ClientGrants, error) {
	end, err := s.begin(ctx, "GrantsOf")
	if err != nil {
		return nil, err
	}
	defer end()
	if subject == "" {
		return nil, nil
	}
	of := map[string]*storage.ClientGrants{}
	for _, t := range s.tokens {
		if t.Subject != subject {
			continue
		}
		if of[t.ClientID] == nil {
			of[t.ClientID] = &storage.ClientGrants{ClientID: t.ClientID}
		}
		row := of[t.ClientID]
		if t.Created.After(row.LastUsed) {
			row.LastUsed = t.Created
		}
		if s.access(t) {
			row.Live = append(row.Live, storage.LiveToken{Kind: t.Kind, Payload: slices.Clone(t.Payload)})
		}
	}
	rows := slices.SortedFunc(maps.Values(of), func(a, b *storage.ClientGrants) int { return cmp.Compare(a.ClientID, b.ClientID) })
	return bounded(rows), nil
}

// access tells whether a token gives access.
func (s *Store) access(t *storage.Token) bool {
	b := s.sessions[t.SessionID]
	bound := t.SessionID == "" || b != nil && s.clock().Before(b.Absolute)
	return (t.Kind == storage.TokenRefresh || t.Kind == storage.TokenAccess) && t.ConsumedAt.IsZero() && bound && !s.over(t) && !s.revoked(t)
}

// bounded keeps MaxGrants rows at most: the first of each client before the second of any, clients with access before those without, and the last used before the others.
func bounded(rows []*storage.ClientGrants) []*storage.ClientGrants {
	ranked := slices.SortedStableFunc(slices.Values(rows), func(a, b *storage.ClientGrants) int {
		return cmp.Or(cmp.Compare(min(1, len(b.Live)), min(1, len(a.Live))), b.LastUsed.Compare(a.LastUsed))
	})
	kept := ranked[:min(len(ranked), storage.MaxGrants)]
	left := storage.MaxGrants - len(kept) // for the second ones and on
	for _, row := range kept {
		more := min(max(0, len(row.Live)-1), left)
		row.Live, left = row.Live[:min(len(row.Live), 1+more)], left-more
	}
	return slices.DeleteFunc(rows, func(row *storage.ClientGrants) bool { return !slices.Contains(kept, row) })
}
