package memory

import (
	"context"
	"maps"
	"slices"

	"gatehouse/storage"
)

// CreateInteraction implements storage.InteractionStore.
func (s *Store) CreateInteraction(ctx context.Context, in *storage.Interaction) error {
	must(in.ID != "" && in.Kind != "" && !in.Expires.IsZero(), "an incomplete interaction: %q of kind %q until %v", in.ID, in.Kind, in.Expires)
	end, err := s.begin(ctx, "CreateInteraction")
	if err != nil {
		return err
	}
	defer end()
	if s.interactions[in.ID] != nil {
		return exists("id")
	}
	s.interactions[in.ID] = clone(in)
	return nil
}

// current returns an interaction that is not past its expiry, or nil.
func (s *Store) current(id string) *storage.Interaction {
	if in := s.interactions[id]; in != nil && s.clock().Before(in.Expires) {
		return in
	}
	return nil
}

// Interaction implements storage.InteractionStore.
func (s *Store) Interaction(ctx context.Context, id string) (*storage.Interaction, error) {
	end, err := s.begin(ctx, "Interaction")
	if err != nil {
		return nil, err
	}
	defer end()
	if in := s.current(id); in != nil {
		return clone(in), nil
	}
	return nil, storage.ErrNotFound
}

// LateInteraction implements storage.InteractionStore.
func (s *Store) LateInteraction(ctx context.Context, id string) (*storage.Interaction, error) {
	end, err := s.begin(ctx, "LateInteraction")
	if err != nil {
		return nil, err
	}
	defer end()
	if in, now := s.interactions[id], s.clock(); in != nil && !now.Before(in.Expires) && now.Before(in.Expires.Add(storage.InteractionGrace)) && in.Repeatable() {
		return clone(in), nil
	}
	return nil, storage.ErrNotFound
}

// UpdateInteraction implements storage.InteractionStore.
func (s *Store) UpdateInteraction(ctx context.Context, id string, change func(*storage.Interaction) error) (*storage.Interaction, error) {
	end, err := s.begin(ctx, "UpdateInteraction")
	if err != nil {
		return nil, err
	}
	defer end()
	old := s.current(id)
	if old == nil {
		return nil, storage.ErrNotFound
	}
	if !old.ConsumedAt.IsZero() {
		return nil, storage.ErrConsumed
	}
	in := clone(old)
	if err := change(in); err != nil {
		return nil, err
	}
	in.ID, in.Created, in.ConsumedAt = id, old.Created, old.ConsumedAt
	s.interactions[id] = clone(in)
	return clone(in), nil
}

// ConsumeInteraction implements storage.InteractionStore.
func (s *Store) ConsumeInteraction(ctx context.Context, id string) error {
	end, err := s.begin(ctx, "ConsumeInteraction")
	if err != nil {
		return err
	}
	defer end()
	in := s.current(id)
	if in == nil {
		return storage.ErrNotFound
	}
	if !in.ConsumedAt.IsZero() {
		return storage.ErrConsumed
	}
	in.ConsumedAt = s.clock()
	return nil
}

// Consent implements storage.ConsentStore.
func (s *Store) Consent(ctx context.Context, subject, clientID string) (*storage.Consent, error) {
	end, err := s.begin(ctx, "Consent")
	if err != nil {
		return nil, err
	}
	defer end()
	if c := s.consents[pair{subject, clientID}]; c != nil {
		return clone(c), nil
	}
	return nil, storage.ErrNotFound
}

// union returns the sorted union of two lists.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// GrantConsent implements storage.ConsentStore.
func (s *Store) GrantConsent(ctx context.Context, c *storage.Consent) error {
	must(c.Subject != "" && c.ClientID != "", "a consent of %q for %q", c.Subject, c.ClientID)
	end, err := s.begin(ctx, "GrantConsent")
	if err != nil {
		return err
	}
	defer end()
	row := clone(c)
	row.Created = s.clock()
	row.Updated = row.Created
	old := s.consents[pair{c.Subject, c.ClientID}]
	if old == nil {
		old = &storage.Consent{Created: row.Created}
	}
	row.Scopes, row.Resources, row.Created = union(old.Scopes, row.Scopes), union(old.Resources, row.Resources), old.Created
	s.consents[pair{c.Subject, c.ClientID}] = row
	return nil
}

// ConsentsOf implements storage.ConsentStore.
func (s *Store) ConsentsOf(ctx context.Context, subject string) ([]*storage.Consent, error) {
	end, err := s.begin(ctx, "ConsentsOf")
	if err != nil {
		return nil, err
	}
	defer end()
	mine := map[string]*storage.Consent{}
	for p, c := range s.consents {
		if p.subject == subject {
			mine[p.client] = c
		}
	}
	var out []*storage.Consent
	for _, id := range slices.Sorted(maps.Keys(mine)) {
		out = append(out, clone(mine[id]))
	}
	return out, nil
}

// RevokeConsent implements storage.ConsentStore.
func (s *Store) RevokeConsent(ctx context.Context, subject, clientID string) error {
	end, err := s.begin(ctx, "RevokeConsent")
	if err != nil {
		return err
	}
	defer end()
	delete(s.consents, pair{subject, clientID})
	s.revoke(storage.Revocation{Kind: storage.RevokeSubjectClient, ID: storage.SubjectClient(subject, clientID)})
	return nil
}
