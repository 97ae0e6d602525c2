package memory

import (
	"context"
	"maps"
	"slices"
	"time"

	"gatehouse/storage"
)

// CreateClient implements storage.ClientStore.
func (s *Store) CreateClient(ctx context.Context, c *storage.Client) error {
	must(c.ID != "", "a client without an id")
	end, err := s.begin(ctx, "CreateClient")
	if err != nil {
		return err
	}
	defer end()
	if s.clients[c.ID] != nil {
		return exists("id")
	}
	c.Created = s.clock()
	c.Updated = c.Created
	s.clients[c.ID] = clone(c)
	s.bump(storage.TopicClients)
	return nil
}

// Client implements storage.ClientStore.
func (s *Store) Client(ctx context.Context, id string) (*storage.Client, error) {
	end, err := s.begin(ctx, "Client")
	if err != nil {
		return nil, err
	}
	defer end()
	if c := s.clients[id]; c != nil {
		return clone(c), nil
	}
	return nil, storage.ErrNotFound
}

// UpdateClient implements storage.ClientStore.
func (s *Store) UpdateClient(ctx context.Context, id string, change func(*storage.Client) error) (*storage.Client, error) {
	end, err := s.begin(ctx, "UpdateClient")
	if err != nil {
		return nil, err
	}
	defer end()
	old := s.clients[id]
	if old == nil {
		return nil, storage.ErrNotFound
	}
	c := clone(old)
	if err := change(c); err != nil {
		return nil, err
	}
	must(old.Sector == "" || c.Sector == old.Sector, "client %q moves from sector %q to %q", id, old.Sector, c.Sector)
	c.ID, c.Created, c.Updated = id, old.Created, s.clock()
	s.clients[id] = clone(c)
	s.bump(storage.TopicClients)
	if c.Disabled && !old.Disabled {
		s.revoke(storage.Revocation{Kind: storage.RevokeClient, ID: id})
	}
	return clone(c), nil
}

// DeleteClient implements storage.ClientStore.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	end, err := s.begin(ctx, "DeleteClient")
	if err != nil {
		return err
	}
	defer end()
	if s.clients[id] == nil {
		return storage.ErrNotFound
	}
	s.dropClient(id)
	return nil
}

// dropClient deletes a client and all that belongs to it; the caller holds the lock.
func (s *Store) dropClient(id string) {
	delete(s.clients, id)
	delete(s.logos, id)
	maps.DeleteFunc(s.consents, func(p pair, _ *storage.Consent) bool { return p.client == id })
	maps.DeleteFunc(s.deliveries, func(_ string, l *storage.LogoutDelivery) bool { return l.ClientID == id })
	s.bump(storage.TopicClients)
	s.revoke(storage.Revocation{Kind: storage.RevokeClient, ID: id})
}

// TouchClients implements storage.ClientStore.
func (s *Store) TouchClients(ctx context.Context, ids []string, until time.Time) error {
	must(!until.IsZero(), "clients are touched until no time")
	end, err := s.begin(ctx, "TouchClients")
	if err != nil {
		return err
	}
	defer end()
	for _, id := range ids {
		if c := s.clients[id]; c != nil && !c.Expires.IsZero() && c.Expires.Before(micro(until)) {
			c.Expires = micro(until)
		}
	}
	return nil
}

// ListClients implements storage.ClientStore.
func (s *Store) ListClients(ctx context.Context, after string, limit int) ([]*storage.Client, error) {
	end, err := s.begin(ctx, "ListClients")
	if err != nil {
		return nil, err
	}
	defer end()
	return page(s.clients, after, limit, func(c *storage.Client) *storage.Client { return c }), nil
}

// page returns copies of up to limit rows with ids after a given one, in order of id.
func page[R, V any](rows map[string]R, after string, limit int, record func(R) V) []V {
	var out []V
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if id > after && len(out) < limit {
			out = append(out, clone(record(rows[id])))
		}
	}
	return out
}

// PutLogo implements storage.LogoStore.
func (s *Store) PutLogo(ctx context.Context, l *storage.Logo) error {
	must(len(l.Data) <= 64<<10, "a logo of %d bytes", len(l.Data))
	end, err := s.begin(ctx, "PutLogo")
	if err != nil {
		return err
	}
	defer end()
	if s.clients[l.ClientID] == nil {
		return storage.ErrNotFound
	}
	s.logos[l.ClientID] = clone(l)
	return nil
}

// Logo implements storage.LogoStore.
func (s *Store) Logo(ctx context.Context, clientID string) (*storage.Logo, error) {
	end, err := s.begin(ctx, "Logo")
	if err != nil {
		return nil, err
	}
	defer end()
	if l := s.logos[clientID]; l != nil {
		return clone(l), nil
	}
	return nil, storage.ErrNotFound
}
