package sqlstore

import (
	"context"

	"gatehouse/storage"
)

const (
	keyColumns = `kid, alg, public, private, created, publish_at, activate_at, retire_at, remove_at, revoked_at`
	selectKeys = `SELECT ` + keyColumns + ` FROM signing_keys ORDER BY created, kid`
	putKey     = `INSERT INTO signing_keys (` + keyColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (kid) DO UPDATE SET alg = excluded.alg, public = excluded.public, private = excluded.private, created = excluded.created,
		publish_at = excluded.publish_at, activate_at = excluded.activate_at, retire_at = excluded.retire_at, remove_at = excluded.remove_at,
		revoked_at = excluded.revoked_at`
	// lockKeys makes every change of keys wait for the one before it.
	lockKeys     = `SELECT version FROM changes WHERE topic = 'keys'`
	insertSecret = `INSERT INTO secrets (name, sealed) VALUES ($1, $2)`
	selectSecret = `SELECT sealed FROM secrets WHERE name = $1`
	holdsSealed  = `SELECT EXISTS (SELECT 1 FROM secrets) OR EXISTS (SELECT 1 FROM signing_keys WHERE LENGTH(private) > 0)`
)

func readKey(scan Scan) (*storage.SigningKey, error) {
	var (
		k                                                    storage.SigningKey
		created, publish, activate, retire, removed, revoked int64
	)
	err := scan(&k.KID, &k.Alg, &k.Public, &k.Private, &created, &publish, &activate, &retire, &removed, &revoked)
	k.Public, k.Private = readBlob(k.Public), readBlob(k.Private)
	k.Created, k.PublishAt, k.ActivateAt = readTime(created), readTime(publish), readTime(activate)
	k.RetireAt, k.RemoveAt, k.RevokedAt = readTime(retire), readTime(removed), readTime(revoked)
	return &k, err
}

// SigningKeys implements storage.KeyStore.
func (s *Store) SigningKeys(ctx context.Context) ([]*storage.SigningKey, error) {
	return list(ctx, s.db, readKey, selectKeys)
}

// ChangeSigningKeys implements storage.KeyStore.
func (s *Store) ChangeSigningKeys(ctx context.Context, change func([]*storage.SigningKey) ([]*storage.SigningKey, error)) error {
	return s.tx(ctx, func(q Query) error {
		var version int64
		if err := q.One(ctx, lockKeys+s.dialect.Lock, nil, &version); err != nil {
			return err
		}
		keys, err := list(ctx, q, readKey, selectKeys)
		if err != nil {
			return err
		}
		changed, err := change(keys)
		if err != nil || len(changed) == 0 {
			return err
		}
		for _, k := range changed {
			if _, err := q.Exec(ctx, putKey, k.KID, k.Alg, blob(k.Public), blob(k.Private), micros(k.Created), micros(k.PublishAt),
				micros(k.ActivateAt), micros(k.RetireAt), micros(k.RemoveAt), micros(k.RevokedAt)); err != nil {
				return err
			}
		}
		return bump(ctx, q, storage.TopicKeys)
	})
}

// CreateSecret implements storage.SecretStore.
func (s *Store) CreateSecret(ctx context.Context, name string, sealed []byte) error {
	_, err := s.exec(ctx, insertSecret, name, blob(sealed))
	return err
}

// Secret implements storage.SecretStore.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	var sealed []byte
	err := only(ctx, s.db, selectSecret, []any{name}, &sealed)
	return readBlob(sealed), err
}

// HoldsSealed implements storage.SecretStore.
func (s *Store) HoldsSealed(ctx context.Context) (holds bool, err error) {
	err = only(ctx, s.db, holdsSealed, nil, &holds)
	return holds, err
}
