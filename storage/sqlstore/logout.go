package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

const (
	// The foreign key answers for a session that is not there, and waits for one that is being ended.
	addSessionClient     = `INSERT INTO session_clients (session_id, client_id) VALUES ($1, $2) ON CONFLICT (session_id, client_id) DO NOTHING`
	selectSessionClients = `SELECT client_id FROM session_clients WHERE session_id = $1 ORDER BY client_id`

	deliveryColumns        = `id, client_id, subject, session_id, created, next_attempt, expires, attempts`
	retryLogout            = `UPDATE logout_deliveries SET next_attempt = $2, attempts = attempts - $3 WHERE id = $1`
	finishLogout           = `DELETE FROM logout_deliveries WHERE id = $1`
	deleteClientDeliveries = `DELETE FROM logout_deliveries WHERE client_id = $1`
)

// The sessions that are ended together: one, or all of a user.
const (
	bySession = `id = $1`
	byUser    = `subject = $1`
)

// lockText takes the sessions of a filter in one order, so that two transactions that end some of the same sessions do not wait in a circle.
func (d Dialect) lockText(filter string) string {
	return `SELECT id FROM sessions WHERE ` + filter + ` ORDER BY id` + d.Lock
}

// queueText is one INSERT for all clients of the sessions of a filter: $2 now, $3 the deliveries' expiry. The subtraction keeps the planner from looking
// for all sessions that are not over.
func (d Dialect) queueText(filter string) string {
	return fmt.Sprintf(`INSERT INTO logout_deliveries (%s, due)
		SELECT %s, m.client_id, s.subject, s.id, CAST($2 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), 0, CAST($2 AS BIGINT)
		FROM sessions s JOIN session_clients m ON m.session_id = s.id JOIN clients c ON c.id = m.client_id
		WHERE s.%s AND s.absolute - CAST($2 AS BIGINT) > 0 AND c.backchannel AND NOT c.disabled`, deliveryColumns, d.RandomID, filter)
}

// claimText takes what is due and nobody else is taking: $1 now, $2 the end of the lease. The OFFSET keeps PostgreSQL from turning the EXISTS into a
// join with all clients.
func (d Dialect) claimText() string {
	due := `SELECT id FROM logout_deliveries l WHERE next_attempt <= $1 AND expires > $1
		AND EXISTS (SELECT 1 FROM clients c WHERE c.id = l.client_id LIMIT 1 OFFSET 0) ORDER BY next_attempt, id LIMIT $3` + d.SkipLocked
	return `UPDATE logout_deliveries SET due = next_attempt, next_attempt = $2, attempts = attempts + 1 WHERE ` + fmt.Sprintf(d.In, "id", due) +
		` RETURNING ` + deliveryColumns + `, due`
}

// endSessions deletes the sessions of a filter and queues their deliveries. The locks come first: whoever adds a client holds the session until the
// commit, and a statement that waited for it would not see what it added, but the next one does. No client's row is locked.
func (s *Store) endSessions(ctx context.Context, q Query, filter, id string) error {
	if s.dialect.Lock != "" {
		if err := q.Each(ctx, s.dialect.lockText(filter), []any{id}, func(Scan) error { return nil }); err != nil {
			return err
		}
	}
	return s.dropSessions(ctx, q, filter, id)
}

// dropSessions is the rest of endSessions once the sessions are locked.
func (s *Store) dropSessions(ctx context.Context, q Query, filter, id string) error {
	now := s.now()
	if _, err := q.Exec(ctx, s.dialect.queueText(filter), id, micros(now), micros(now.Add(storage.LogoutRetention))); err != nil {
		return err
	}
	_, err := q.Exec(ctx, `DELETE FROM sessions WHERE `+filter, id)
	return err
}

// AddSessionClient implements storage.SessionClientStore.
func (s *Store) AddSessionClient(ctx context.Context, sessionID, clientID string) error {
	if !storable(sessionID) {
		return storage.ErrNotFound
	}
	_, err := s.exec(ctx, addSessionClient, sessionID, clientID)
	return err
}

// SessionClients implements storage.SessionClientStore.
func (s *Store) SessionClients(ctx context.Context, sessionID string) ([]string, error) {
	return list(ctx, s.db, readText, selectSessionClients, sessionID)
}

// readText reads a row of one text.
func readText(scan Scan) (text string, err error) {
	err = scan(&text)
	return text, err
}

// claimed is a delivery with the time at which it was due.
type claimed struct {
	storage.LogoutDelivery
	due int64
}

func readClaimed(scan Scan) (*claimed, error) {
	var (
		c                      claimed
		created, next, expires int64
	)
	err := scan(&c.ID, &c.ClientID, &c.Subject, &c.SessionID, &created, &next, &expires, &c.Attempts, &c.due)
	c.Created, c.NextAttempt, c.Expires = readTime(created), readTime(next), readTime(expires)
	return &c, err
}

// ClaimLogouts implements storage.LogoutStore.
func (s *Store) ClaimLogouts(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*storage.LogoutDelivery, error) {
	var rows []*claimed
	err := s.tx(ctx, func(q Query) (err error) {
		rows, err = list(ctx, q, readClaimed, s.dialect.claimText(), micros(now), micros(now.Add(lease)), limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b *claimed) int { return cmp.Or(cmp.Compare(a.due, b.due), strings.Compare(a.ID, b.ID)) })
	out := make([]*storage.LogoutDelivery, len(rows))
	for i, row := range rows {
		out[i] = &row.LogoutDelivery
	}
	return out, nil
}

// RetryLogout implements storage.LogoutStore.
func (s *Store) RetryLogout(ctx context.Context, id string, next time.Time, made bool) error {
	uncounted := 1
	if made {
		uncounted = 0
	}
	_, err := s.update(ctx, retryLogout, id, micros(next), uncounted)
	return err
}

// FinishLogout implements storage.LogoutStore.
func (s *Store) FinishLogout(ctx context.Context, id string) error {
	_, err := s.update(ctx, finishLogout, id)
	return err
}
