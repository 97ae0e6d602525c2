package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

// revokeBatch bounds one DELETE, so that revoking a large client stays within the statement timeout.
const revokeBatch = 5000

// everyGrant is above every grant id.
const everyGrant = "g"

const (
	deleteToken      = `DELETE FROM tokens WHERE signature = $1 AND kind = 'access'`
	insertRevocation = `INSERT INTO revocations (kind, id, born_until, below, expires, version) `
	mergeRevocation  = ` ON CONFLICT (id, kind) DO UPDATE SET
		born_until = CASE WHEN excluded.born_until > revocations.born_until THEN excluded.born_until ELSE revocations.born_until END,
		below = CASE WHEN excluded.below > revocations.below THEN excluded.below ELSE revocations.below END,
		expires = CASE WHEN excluded.expires > revocations.expires THEN excluded.expires ELSE revocations.expires END,
		version = excluded.version`
	recordRevocation = insertRevocation + `SELECT $2, $3, $4, $5, $6, version FROM changes WHERE topic = $1` + mergeRevocation
	// bumpAndRecord does the last two statements of a revocation in one.
	bumpAndRecord = `WITH v AS (` + bumpTopic + `) ` + insertRevocation +
		`SELECT $2::text, $3::text, $4::bigint, $5::text, $6::bigint, v.version FROM v` + mergeRevocation
)

// filters name the rows of each kind. That an empty text names nothing also lets the partial indexes be used.
var filters = map[storage.RevocationKind]string{
	storage.RevokeGrant:         `grant_id = $3`,
	storage.RevokeSession:       `session_id = $3 AND session_id <> ''`,
	storage.RevokeSubject:       `subject = $3 AND subject <> ''`,
	storage.RevokeClient:        `client_id = $3`,
	storage.RevokeSubjectClient: `subject = $3 AND subject <> '' AND client_id = $4`,
}

// deleteText takes the rows of a filter family by family and parents before children, locks included, so that two revocations never wait for each
// other in a circle.
func (d Dialect) deleteText(filter string) string { return d.deleteBy(filter, `grant_id`) }

// deleteBy is deleteText with an expression for the grant's id.
func (d Dialect) deleteBy(filter, grant string) string {
	doomed := fmt.Sprintf(`SELECT signature, kind FROM tokens WHERE %s AND %s < $1 ORDER BY %[2]s, n LIMIT $2%[3]s`, filter, grant, d.Lock)
	return `WITH doomed AS MATERIALIZED (` + doomed + `) DELETE FROM tokens WHERE (signature, kind) IN (SELECT signature, kind FROM doomed)`
}

// RevokeTokens implements storage.TokenStore.
func (s *Store) RevokeTokens(ctx context.Context, r storage.Revocation) (n int, err error) {
	err = s.tx(ctx, func(q Query) error {
		n, err = s.revoke(ctx, q, r)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// revoke deletes what r names and records r. It must be the last work on rows in its transaction, except for other bumps.
//
// An exchange that runs at the same time holds its token's row: the DELETE waits for it, takes the row, but does not see what the exchange
// inserted. The next DELETE, with a newer view, does. None left means that no exchange can be on its way, as each needs a live row. The
// revocation's version is taken last: its row lock, held until the commit, makes versions appear in their order.
func (s *Store) revoke(ctx context.Context, q Query, r storage.Revocation) (int, error) {
	now := s.now()
	before, doomed := r.Before, everyGrant
	if before.IsZero() {
		before = now
	}
	before = before.UTC().Truncate(time.Millisecond)
	below := bornBelow(before.Add(time.Millisecond))
	if r.Kind == storage.RevokeGrant {
		below = everyGrant
	}
	// Whatever is stored by now goes, also what a node whose clock is ahead has stored; a given Before spares what came later.
	if !r.Before.IsZero() || r.Kind == storage.RevokeToken {
		doomed = below
	}
	text, args := deleteToken, []any{r.ID}
	if r.Kind != storage.RevokeToken {
		filter, known := filters[r.Kind]
		if !known {
			return 0, unavailable("revoke tokens", fmt.Errorf("unknown kind %q", r.Kind))
		}
		text, args = s.dialect.deleteText(filter), []any{doomed, revokeBatch, r.ID}
		if r.Kind == storage.RevokeSubjectClient {
			subject, client, _ := strings.Cut(r.ID, "\n")
			args = []any{doomed, revokeBatch, subject, client}
		}
	}
	n, err := drain(ctx, q, text, args, doomed, below)
	if err != nil {
		return 0, err
	}
	return n, s.record(ctx, q, r.Kind, r.ID, micros(before), below, micros(now.Add(s.ttl)))
}

// drain repeats a statement that deletes tokens until it finds none and returns how many it deleted.
func drain(ctx context.Context, q Query, text string, args []any, doomed, below string) (int, error) {
	for total := 0; ; {
		n, err := q.Exec(ctx, text, args...)
		if err != nil {
			return 0, err
		}
		total += int(n)
		switch {
		case n < revokeBatch && doomed != below:
			// New families may come as fast as they go. From here on only those that the revocation names count, and they end.
			doomed, args[0] = below, below
		case n == 0:
			return total, nil
		}
	}
}

// sessionBatch is of how many sessions one statement revokes the tokens.
const sessionBatch = 20

// sessionsText is deleteText for sessionBatch sessions, whose ids are $3 and what follows. The expression keeps PostgreSQL from going through all grants in their
// order until it has seen enough.
func (d Dialect) sessionsText() string {
	ids := repeat(sessionBatch, `, `, func(i int) string { return fmt.Sprintf("$%d", i+3) })
	return d.deleteBy(`session_id IN (`+ids+`) AND session_id <> ''`, `grant_id || ''`)
}

// revokeSessions is revoke by session for several at once. Going through them one after the other would take tokens in an order that waits in a circle with the
// revocation of a client, and the lock of the topic before the last tokens.
func (s *Store) revokeSessions(ctx context.Context, q Query, ids []string) error {
	now := s.now()
	before := now.Truncate(time.Millisecond)
	below := bornBelow(before.Add(time.Millisecond))
	for batch := range slices.Chunk(ids, sessionBatch) {
		args := filled([]any{everyGrant, revokeBatch}, batch, sessionBatch)
		if _, err := drain(ctx, q, s.dialect.sessionsText(), args, everyGrant, below); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if err := s.record(ctx, q, storage.RevokeSession, id, micros(before), below, micros(now.Add(s.ttl))); err != nil {
			return err
		}
	}
	return nil
}

// record bumps the topic and writes the revocation row with the new version.
func (s *Store) record(ctx context.Context, q Query, kind storage.RevocationKind, id string, until int64, below string, expires int64) error {
	args := []any{string(storage.TopicRevocations), string(kind), id, until, below, expires}
	text := bumpAndRecord
	if !s.dialect.WritingCTE {
		text = recordRevocation
		if err := bump(ctx, q, storage.TopicRevocations); err != nil {
			return err
		}
	}
	_, err := q.Exec(ctx, text, args...)
	return err
}

// bornBelow is a text that is above every UUIDv7 born before a millisecond and not above one born in it or later.
func bornBelow(t time.Time) string {
	ms := fmt.Sprintf("%012x", max(t.UnixMilli(), 0))
	return ms[:8] + "-" + ms[8:]
}
