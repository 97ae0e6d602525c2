package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/storage"
)

// insertColumns are the columns that a new token sets, and castColumns their types where PostgreSQL cannot see them from the text.
const insertColumns = `kind, signature, grant_id, client_id, subject, session_id, payload, created, expires, grant_expires, purge_at`

var castColumns = []string{"text", "text", "text", "text", "text", "text", "bytea", "bigint", "bigint", "bigint", "bigint"}

// selectToken reads the token with its user and session: one row, one statement.
const selectToken = `SELECT t.grant_id, t.client_id, t.subject, t.session_id, t.payload, t.created, t.expires, t.grant_expires, t.consumed_at, t.successor,
	COALESCE(s.absolute, 0), COALESCE(u.subject, ''), COALESCE(u.email, ''), COALESCE(u.email_key, ''), COALESCE(u.email_verified, FALSE),
	COALESCE(u.username, ''), COALESCE(u.username_key, ''), COALESCE(u.disabled, FALSE), COALESCE(u.epoch, 0), COALESCE(u.claims, ''), COALESCE(u.created, 0),
	COALESCE(u.updated, 0), COALESCE(u.failures, 0), COALESCE(u.last_failure, 0), COALESCE(u.password_set, 0), COALESCE(u.locale, ''),
	COALESCE(u.terms_version, ''), COALESCE(u.terms_accepted, 0)
	FROM tokens t LEFT JOIN users u ON u.subject = t.subject LEFT JOIN sessions s ON s.id = t.session_id
	WHERE t.signature = $2 AND t.kind = $1`

// consumeToken marks a live token as used: $1 kind, $2 signature, $3 now, $4 successor. It changes no indexed column, so PostgreSQL leaves the indexes
// alone.
const consumeToken = `UPDATE tokens AS t SET consumed_at = $3, successor = $4
	WHERE t.signature = $2 AND t.kind = $1 AND t.consumed_at = 0 AND t.expires > $3 AND t.grant_expires > $3 AND ` + notRevoked

// notRevoked stops a token t that was written while its family was being revoked. Its OFFSET keeps PostgreSQL from turning it into a join with all
// revocations.
const notRevoked = `NOT EXISTS (SELECT 1 FROM revocations r
		WHERE r.id IN (t.grant_id, t.session_id, t.subject, t.client_id, t.subject || '` + "\n" + `' || t.client_id)
		AND r.id = CASE r.kind WHEN 'grant' THEN t.grant_id WHEN 'session' THEN t.session_id WHEN 'subject' THEN t.subject WHEN 'client' THEN t.client_id
			WHEN 'subject+client' THEN t.subject || '` + "\n" + `' || t.client_id END
		AND t.grant_id < r.below LIMIT 1 OFFSET 0)`

// insertTokens and exchangeTokens hold the texts for the usual numbers of rows, so that a call builds none.
var (
	insertTokens   = []string{insertText(1), insertText(2)}
	exchangeTokens = []string{exchangeText(1), exchangeText(2)}
)

// insertText is an INSERT of so many tokens.
func insertText(rows int) string {
	return `INSERT INTO tokens (` + insertColumns + `) VALUES ` + repeat(rows, `, `, func(row int) string {
		return `(` + repeat(len(castColumns), `, `, func(i int) string { return fmt.Sprintf("$%d", row*len(castColumns)+i+1) }) + `)`
	})
}

// exchangeText is consumeToken and insertText in one statement, for engines whose WITH may write: one round trip, and its own transaction.
// It inserts nothing unless the token was consumed.
func exchangeText(rows int) string {
	return `WITH spent AS (` + consumeToken + ` RETURNING 1) INSERT INTO tokens (` + insertColumns + `) ` + repeat(rows, ` UNION ALL `, func(row int) string {
		return `SELECT ` + repeat(len(castColumns), `, `, func(i int) string {
			return fmt.Sprintf("$%d::%s", 4+row*len(castColumns)+i+1, castColumns[i])
		}) + ` FROM spent`
	})
}

func repeat(n int, separator string, part func(int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = part(i)
	}
	return strings.Join(parts, separator)
}

// purgeAt is when a token is of no more use. A code's second use must be noticed while the access tokens of its first use live.
func (s *Store) purgeAt(t *storage.Token) time.Time {
	switch {
	case t.Kind == storage.TokenCode:
		return t.Expires.Add(s.ttl)
	case t.Kind == storage.TokenRefresh && t.GrantExpires.Before(t.Expires):
		return t.GrantExpires
	}
	return t.Expires
}

// appendToken appends the values of insertColumns.
func (s *Store) appendToken(args []any, t *storage.Token) []any {
	return append(args, string(t.Kind), t.Signature, t.GrantID, t.ClientID, t.Subject, t.SessionID, blob(t.Payload), micros(t.Created),
		micros(t.Expires), micros(t.GrantExpires), micros(s.purgeAt(t)))
}

// CreateToken implements storage.TokenStore.
func (s *Store) CreateToken(ctx context.Context, t *storage.Token) error {
	_, err := s.exec(ctx, insertTokens[0], s.appendToken(nil, t)...)
	return err
}

// Token implements storage.TokenStore.
func (s *Store) Token(ctx context.Context, kind storage.TokenKind, signature string) (*storage.Token, error) {
	var (
		t                                                  = &storage.Token{Kind: kind, Signature: signature}
		u                                                  userRow
		created, expires, grantExpires, consumed, absolute int64
	)
	dest := append([]any{&t.GrantID, &t.ClientID, &t.Subject, &t.SessionID, &t.Payload, &created, &expires, &grantExpires, &consumed, &t.Successor,
		&absolute}, u.dest()...)
	if err := only(ctx, s.db, selectToken, []any{string(kind), signature}, dest...); err != nil {
		return nil, err
	}
	t.Payload, t.Successor = readBlob(t.Payload), readBlob(t.Successor)
	t.Created, t.Expires, t.GrantExpires, t.ConsumedAt = readTime(created), readTime(expires), readTime(grantExpires), readTime(consumed)
	t.SessionAlive = t.SessionID == "" || absolute > micros(s.now())
	var err error
	t.User, err = u.user()
	return t, err
}

// ExchangeToken implements storage.TokenStore: the conditional update of one row decides the one winner, on any number of nodes.
func (s *Store) ExchangeToken(ctx context.Context, kind storage.TokenKind, signature string, successor []byte, next ...*storage.Token) error {
	now := s.now()
	consume := []any{string(kind), signature, micros(now), blob(successor)}
	if !storable(signature) {
		return storage.ErrConsumed
	}
	if len(next) > 0 && !s.dialect.WritingCTE {
		return s.tx(ctx, func(q Query) error {
			if err := won(q.Exec(ctx, consumeToken, consume...)); err != nil {
				return err
			}
			_, err := q.Exec(ctx, sized(insertTokens, len(next), insertText), s.rows(nil, next)...)
			return err
		})
	}
	text := consumeToken
	if len(next) > 0 {
		text = sized(exchangeTokens, len(next), exchangeText)
	}
	return won(s.exec(ctx, text, s.rows(consume, next)...))
}

func (s *Store) rows(args []any, next []*storage.Token) []any {
	for _, t := range next {
		args = s.appendToken(args, t)
	}
	return args
}

// sized is a prepared text or, for an unusual number of rows, a new one.
func sized(texts []string, n int, build func(int) string) string {
	if n <= len(texts) {
		return texts[n-1]
	}
	return build(n)
}

// won turns an update of no row into ErrConsumed.
func won(n int64, err error) error {
	if err == nil && n == 0 {
		return storage.ErrConsumed
	}
	return err
}
