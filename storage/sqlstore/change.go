package sqlstore

import (
	"context"
	"time"

	"gatehouse/storage"
)

const (
	bumpTopic = `INSERT INTO changes (topic, version) VALUES ($1, 1) ON CONFLICT (topic) DO UPDATE SET version = changes.version + 1 RETURNING version`

	selectChanges = `SELECT topic, version FROM changes`
	// selectUpdated gives one row, whether there is such a client or not: reading a row takes time.
	selectUpdated     = `SELECT COALESCE((SELECT updated FROM clients WHERE id = $1), 0)`
	selectRevocations = `SELECT kind, id, born_until, expires, version FROM revocations WHERE version > $1 AND expires > $2 ORDER BY version`
)

// bump raises a topic's version. It comes last in a transaction: the row lock, held until the commit, is what makes versions appear in
// order, and it should be held for a moment only. Where two topics are bumped, revocations come first, so that no two transactions wait in a circle.
func bump(ctx context.Context, q Query, topic storage.Topic) error {
	_, err := q.Exec(ctx, bumpTopic, string(topic))
	return err
}

// ClientUpdated implements storage.ChangeStore.
func (s *Store) ClientUpdated(ctx context.Context, id string) (time.Time, error) {
	var updated int64
	if err := only(ctx, s.db, selectUpdated, []any{id}, &updated); err != nil {
		return time.Time{}, err
	}
	if updated == 0 {
		return time.Time{}, storage.ErrNotFound
	}
	return readTime(updated), nil
}

// Changes implements storage.ChangeStore.
func (s *Store) Changes(ctx context.Context) (map[storage.Topic]int64, error) {
	versions := map[storage.Topic]int64{storage.TopicClients: 0, storage.TopicKeys: 0, storage.TopicRevocations: 0}
	err := s.db.Each(ctx, selectChanges, nil, func(scan Scan) error {
		var (
			topic   string
			version int64
		)
		err := scan(&topic, &version)
		versions[storage.Topic(topic)] = version
		return err
	})
	if err != nil {
		return nil, err
	}
	return versions, nil
}

// Revocations implements storage.ChangeStore.
func (s *Store) Revocations(ctx context.Context, after int64) ([]storage.Revocation, error) {
	return list(ctx, s.db, func(scan Scan) (r storage.Revocation, err error) {
		var (
			kind            string
			before, expires int64
		)
		err = scan(&kind, &r.ID, &before, &expires, &r.Version)
		r.Kind, r.Before, r.Expires = storage.RevocationKind(kind), readTime(before), readTime(expires)
		return r, err
	}, selectRevocations, after, micros(s.now()))
}
