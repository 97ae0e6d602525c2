package sqlstore

import (
	"context"
	"slices"

	"gatehouse/storage"
)

const (
	insertClient = `INSERT INTO clients (id, data, disabled, created, updated) VALUES ($1, $2, $3, $4, $5)`
	selectClient = `SELECT id, data, disabled, created, updated FROM clients WHERE id = $1`
	updateClient = `UPDATE clients SET data = $2, disabled = $3, updated = $4 WHERE id = $1`
	deleteClient = `DELETE FROM clients WHERE id = $1`
	listClients  = `SELECT id, data, disabled, created, updated FROM clients WHERE id > $1 ORDER BY id LIMIT $2`

	deleteClientConsents = `DELETE FROM consents WHERE client_id = $1`
)

// readClient reads a client; the columns win over their copies in data.
func readClient(scan Scan) (*storage.Client, error) {
	var (
		id               string
		data             []byte
		disabled         bool
		created, updated int64
	)
	if err := scan(&id, &data, &disabled, &created, &updated); err != nil {
		return nil, err
	}
	c := new(storage.Client)
	if err := decode(data, c); err != nil {
		return nil, err
	}
	c.ID, c.Disabled, c.Created, c.Updated = id, disabled, readTime(created), readTime(updated)
	return c, nil
}

// encodeClient is a client's data column; it brings the times inside to the store's precision.
func encodeClient(c *storage.Client) (string, error) {
	c.Secrets = slices.Clone(c.Secrets)
	for i, secret := range c.Secrets {
		c.Secrets[i].Created, c.Secrets[i].Expires = trim(secret.Created), trim(secret.Expires)
	}
	return encode(c)
}

// CreateClient implements storage.ClientStore.
func (s *Store) CreateClient(ctx context.Context, c *storage.Client) error {
	now := s.now()
	c.Created, c.Updated = now, now
	data, err := encodeClient(c)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(q Query) error {
		if _, err := q.Exec(ctx, insertClient, c.ID, data, c.Disabled, micros(now), micros(now)); err != nil {
			return err
		}
		return bump(ctx, q, storage.TopicClients)
	})
}

// Client implements storage.ClientStore.
func (s *Store) Client(ctx context.Context, id string) (*storage.Client, error) {
	return one(ctx, s.db, readClient, selectClient, id)
}

// UpdateClient implements storage.ClientStore.
func (s *Store) UpdateClient(ctx context.Context, id string, change func(*storage.Client) error) (*storage.Client, error) {
	var c *storage.Client
	err := s.tx(ctx, func(q Query) (err error) {
		if c, err = one(ctx, q, readClient, selectClient+s.dialect.Lock, id); err != nil {
			return err
		}
		disabled, created := c.Disabled, c.Created
		if err := change(c); err != nil {
			return err
		}
		c.ID, c.Created, c.Updated = id, created, s.now()
		data, err := encodeClient(c)
		if err != nil {
			return err
		}
		if _, err := q.Exec(ctx, updateClient, id, data, c.Disabled, micros(c.Updated)); err != nil {
			return err
		}
		if c.Disabled && !disabled {
			if _, err := s.revoke(ctx, q, storage.Revocation{Kind: storage.RevokeClient, ID: id}); err != nil {
				return err
			}
		}
		return bump(ctx, q, storage.TopicClients)
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// DeleteClient implements storage.ClientStore. The logo goes with the row.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.tx(ctx, func(q Query) error {
		if err := found(q.Exec(ctx, deleteClient, id)); err != nil {
			return err
		}
		if _, err := q.Exec(ctx, deleteClientConsents, id); err != nil {
			return err
		}
		if _, err := s.revoke(ctx, q, storage.Revocation{Kind: storage.RevokeClient, ID: id}); err != nil {
			return err
		}
		return bump(ctx, q, storage.TopicClients)
	})
}

// ListClients implements storage.ClientStore.
func (s *Store) ListClients(ctx context.Context, after string, limit int) ([]*storage.Client, error) {
	return list(ctx, s.db, readClient, listClients, after, limit)
}

const (
	// The foreign key answers for a client that is not there.
	putLogo = `INSERT INTO logos (client_id, content_type, data, fetched) VALUES ($1, $2, $3, $4)
		ON CONFLICT (client_id) DO UPDATE SET content_type = excluded.content_type, data = excluded.data, fetched = excluded.fetched`
	selectLogo = `SELECT content_type, data, fetched FROM logos WHERE client_id = $1`
)

// PutLogo implements storage.LogoStore.
func (s *Store) PutLogo(ctx context.Context, l *storage.Logo) error {
	_, err := s.exec(ctx, putLogo, l.ClientID, l.ContentType, blob(l.Data), micros(l.Fetched))
	return err
}

// Logo implements storage.LogoStore.
func (s *Store) Logo(ctx context.Context, clientID string) (*storage.Logo, error) {
	var (
		l       = &storage.Logo{ClientID: clientID}
		fetched int64
	)
	if err := only(ctx, s.db, selectLogo, []any{clientID}, &l.ContentType, &l.Data, &fetched); err != nil {
		return nil, err
	}
	l.Data, l.Fetched = readBlob(l.Data), readTime(fetched)
	return l, nil
}
