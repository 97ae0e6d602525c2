package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
)

const (
	clientColumns = `id, data, disabled, created, updated, expires`
	insertClient  = `INSERT INTO clients (` + clientColumns + `, backchannel) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	selectClient  = `SELECT ` + clientColumns + ` FROM clients WHERE id = $1`
	updateClient  = `UPDATE clients SET data = $2, disabled = $3, updated = $4, expires = $5, backchannel = $6 WHERE id = $1`
	deleteClient  = `DELETE FROM clients WHERE id = $1`
	listClients   = `SELECT ` + clientColumns + ` FROM clients WHERE id > $1 ORDER BY id LIMIT $2`

	// The condition is asked again once the row is locked: a client that was touched meanwhile stays.
	selectExpiredClients = `SELECT id FROM clients WHERE expires <> 0 AND expires <= $1 ORDER BY expires LIMIT $2`
	deleteExpiredClient  = `DELETE FROM clients WHERE id = $1 AND expires <> 0 AND expires <= $2`

	deleteClientConsents = `DELETE FROM consents WHERE client_id = $1`
)

// readClient reads a client; the columns win over their copies in data.
func readClient(scan Scan) (*storage.Client, error) {
	var (
		id                        string
		data                      []byte
		disabled                  bool
		created, updated, expires int64
	)
	if err := scan(&id, &data, &disabled, &created, &updated, &expires); err != nil {
		return nil, err
	}
	c := new(storage.Client)
	if err := decode(data, c); err != nil {
		return nil, err
	}
	c.ID, c.Disabled, c.Created, c.Updated, c.Expires = id, disabled, readTime(created), readTime(updated), readTime(expires)
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
		if _, err := q.Exec(ctx, insertClient, c.ID, data, c.Disabled, micros(now), micros(now), micros(c.Expires),
			c.BackchannelLogoutURI != ""); err != nil {
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
		c.ID, c.Created, c.Updated, c.Expires = id, created, s.now(), trim(c.Expires)
		data, err := encodeClient(c)
		if err != nil {
			return err
		}
		if _, err := q.Exec(ctx, updateClient, id, data, c.Disabled, micros(c.Updated), micros(c.Expires), c.BackchannelLogoutURI != ""); err != nil {
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

// DeleteClient implements storage.ClientStore.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.dropClient(ctx, id, deleteClient, id)
}

// dropClient deletes a client by a statement and all that belongs to it; ErrNotFound if the statement deletes nothing. The logo goes with the row.
func (s *Store) dropClient(ctx context.Context, id, text string, args ...any) error {
	return s.tx(ctx, func(q Query) error {
		if err := found(q.Exec(ctx, text, args...)); err != nil {
			return err
		}
		for _, text := range []string{deleteClientDeliveries, deleteClientConsents} {
			if _, err := q.Exec(ctx, text, id); err != nil {
				return err
			}
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

// touchBatch is how many clients one statement touches.
const touchBatch = 50

// touchText moves the expiry of touchBatch clients: $1 until, then the ids. It locks them in one order, so that two nodes do not wait in a circle.
func (d Dialect) touchText() string {
	ids := repeat(touchBatch, `, `, func(i int) string { return fmt.Sprintf("$%d", i+2) })
	return `WITH touched AS MATERIALIZED (SELECT id FROM clients WHERE id IN (` + ids + `) AND expires <> 0 AND expires < $1 ORDER BY id` + d.Lock + `)
		UPDATE clients SET expires = $1 WHERE id IN (SELECT id FROM touched)`
}

// TouchClients implements storage.ClientStore.
func (s *Store) TouchClients(ctx context.Context, ids []string, until time.Time) error {
	known := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !storable(id) })
	for batch := range slices.Chunk(known, touchBatch) {
		if _, err := s.exec(ctx, s.dialect.touchText(), filled([]any{micros(until)}, batch, touchBatch)...); err != nil {
			return err
		}
	}
	return nil
}

// filled appends a batch of ids to args, and the last one again until there are size of them.
func filled(args []any, batch []string, size int) []any {
	for i := range size {
		args = append(args, batch[min(i, len(batch)-1)])
	}
	return args
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
