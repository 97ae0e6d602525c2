package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
)

// keepKeys is how long a public key is kept after it left the JWKS, to check id_token_hints (ruling on key rotation).
const keepKeys = 365 * 24 * time.Hour

// purges are the tables that fill by themselves, and the indexed column that says when a row is of no more use.
var purges = []struct{ table, column string }{
	{"tokens", "purge_at"},
	{"replays", "expires"},
	{"rates", "tat"},
	{"sessions", "absolute"},
	{"revocations", "expires"},
	{"logout_deliveries", "expires"},
	{"mails", "expires"},
	{"tickets", "expires"},
	{"devices", "expires"},
}

const (
	oldKeys    = `SELECT COUNT(*) FROM signing_keys WHERE remove_at <> 0 AND remove_at <= $1`
	deleteKeys = `DELETE FROM signing_keys WHERE kid IN (SELECT kid FROM signing_keys WHERE remove_at <> 0 AND remove_at <= $1 LIMIT $2)`
	// beat changes nothing that matters; a database that takes it takes writes.
	beat = `UPDATE heartbeat SET at = $1 WHERE id = 1`
)

// purgeText deletes the oldest useless rows of a table and leaves alone what another transaction is working on.
func (d Dialect) purgeText(table, column string) string {
	rows := fmt.Sprintf(`SELECT %s FROM %s WHERE %s <= $1 ORDER BY %[3]s LIMIT $2%[4]s`, d.Row, table, column, d.SkipLocked)
	return `DELETE FROM ` + table + ` WHERE ` + fmt.Sprintf(d.In, d.Row, rows)
}

// Purge implements storage.MaintenanceStore. Each table is a transaction of its own: nothing waits long for a purge.
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	total := 0
	for _, p := range purges {
		if total >= limit {
			return total, nil
		}
		n, err := s.exec(ctx, s.dialect.purgeText(p.table, p.column), micros(now), limit-total)
		if err != nil {
			return total, err
		}
		total += int(n)
	}
	n, err := s.purgeInteractions(ctx, now, limit-total)
	if total += n; err != nil || total >= limit {
		return total, err
	}
	n, err = s.purgeClients(ctx, now, limit-total)
	if total += n; err != nil || total >= limit {
		return total, err
	}
	n, err = s.purgeKeys(ctx, now, limit-total)
	return total + n, err
}

// purgeClients deletes clients that are past their expiry and the grace after it, one in a transaction: two that go together could lock tokens in an order that waits in a
// circle with the end of a session.
func (s *Store) purgeClients(ctx context.Context, now time.Time, limit int) (n int, err error) {
	over := micros(now.Add(-storage.ClientGrace))
	ids, err := list(ctx, s.db, readText, selectExpiredClients, over, limit)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		switch err := s.dropClient(ctx, id, deleteExpiredClient, id, over); {
		case err == nil:
			n++
		case !errors.Is(err, storage.ErrNotFound): // not touched, and not purged by another node
			return n, err
		}
	}
	return n, nil
}

// purgeKeys deletes forgotten signing keys, as a change of keys.
func (s *Store) purgeKeys(ctx context.Context, now time.Time, limit int) (int, error) {
	before, old := micros(now.Add(-keepKeys)), 0
	if err := s.db.One(ctx, oldKeys, []any{before}, &old); err != nil || old == 0 {
		return 0, err
	}
	var n int64
	err := s.tx(ctx, func(q Query) (err error) {
		if n, err = q.Exec(ctx, deleteKeys, before, limit); err != nil || n == 0 {
			return err
		}
		return bump(ctx, q, storage.TopicKeys)
	})
	return int(n), err
}

// errUndo rolls a transaction back that has done what it was for.
var errUndo = errors.New("undo")

// Ping implements storage.MaintenanceStore: it writes a row and rolls back. It answers by the context's deadline even if the database does not.
func (s *Store) Ping(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		done <- s.db.Tx(ctx, func(q Query) error {
			if _, err := q.Exec(ctx, beat, micros(s.now())); err != nil {
				return err
			}
			return errUndo
		})
	}()
	select {
	case err := <-done:
		if errors.Is(err, errUndo) {
			return nil
		}
		return err
	case <-ctx.Done():
		return unavailable("ping", ctx.Err())
	}
}

// Close implements storage.MaintenanceStore.
func (s *Store) Close() error { return s.db.Close() }
