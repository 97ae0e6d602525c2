package sqlstore

import (
	"context"
	"errors"
	"time"

	"gatehouse/storage"
)

const (
	// remember takes a key that is new or past its expiry; $3 is now.
	remember   = `INSERT INTO replays (id, expires) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET expires = excluded.expires WHERE replays.expires <= $3`
	selectRate = `SELECT tat FROM rates WHERE id = $1`
	insertRate = `INSERT INTO rates (id, tat) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET tat = excluded.tat WHERE rates.tat = 0`
	swapRate   = `UPDATE rates SET tat = $2 WHERE id = $1 AND tat = $3`
)

// Remember implements storage.ReplayStore.
func (s *Store) Remember(ctx context.Context, id string, expires time.Time) error {
	return won(s.exec(ctx, remember, key(id), micros(expires), micros(s.now())))
}

// Rate implements storage.RateStore.
func (s *Store) Rate(ctx context.Context, id string) (time.Time, error) {
	var tat int64
	err := s.db.One(ctx, selectRate, []any{key(id)}, &tat)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return time.Time{}, err
	}
	return readTime(tat), nil
}

// SwapRate implements storage.RateStore.
func (s *Store) SwapRate(ctx context.Context, id string, old, next time.Time) (bool, error) {
	text, args := insertRate, []any{key(id), micros(next)}
	if !old.IsZero() {
		text, args = swapRate, append(args, micros(old))
	}
	n, err := s.exec(ctx, text, args...)
	return n == 1, err
}
