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
	mailColumns  = `id, kind, body, created, next_attempt, expires, attempts`
	insertMail   = `INSERT INTO mails (` + mailColumns + `, due) VALUES ($1, $2, $3, $4, $5, $6, $7, $5)`
	retryMail    = `UPDATE mails SET next_attempt = $2 WHERE id = $1`
	finishMail   = `DELETE FROM mails WHERE id = $1`
	waitingMails = `SELECT COUNT(*) FROM mails WHERE expires > $1`
)

// claimMailsText takes what is due and nobody else is taking: $1 now, $2 the end of the lease.
func (d Dialect) claimMailsText() string {
	due := `SELECT id FROM mails WHERE next_attempt <= $1 AND expires > $1 ORDER BY next_attempt, id LIMIT $3` + d.SkipLocked
	return `UPDATE mails SET due = next_attempt, next_attempt = $2, attempts = attempts + 1 WHERE ` + fmt.Sprintf(d.In, "id", due) +
		` RETURNING ` + mailColumns + `, due`
}

// claimedMail is a message with the time at which it was due.
type claimedMail struct {
	storage.Mail
	due int64
}

func readClaimedMail(scan Scan) (*claimedMail, error) {
	var (
		m                      claimedMail
		created, next, expires int64
	)
	err := scan(&m.ID, &m.Kind, &m.Body, &created, &next, &expires, &m.Attempts, &m.due)
	m.Body, m.Created, m.NextAttempt, m.Expires = readBlob(m.Body), readTime(created), readTime(next), readTime(expires)
	return &m, err
}

// QueueMail implements storage.MailStore.
func (s *Store) QueueMail(ctx context.Context, m *storage.Mail) error {
	_, err := s.exec(ctx, insertMail, m.ID, m.Kind, blob(m.Body), micros(m.Created), micros(m.NextAttempt), micros(m.Expires), m.Attempts)
	return err
}

// ClaimMails implements storage.MailStore.
func (s *Store) ClaimMails(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*storage.Mail, error) {
	var rows []*claimedMail
	err := s.tx(ctx, func(q Query) (err error) {
		rows, err = list(ctx, q, readClaimedMail, s.dialect.claimMailsText(), micros(now), micros(now.Add(lease)), limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b *claimedMail) int { return cmp.Or(cmp.Compare(a.due, b.due), strings.Compare(a.ID, b.ID)) })
	out := make([]*storage.Mail, len(rows))
	for i, row := range rows {
		out[i] = &row.Mail
	}
	return out, nil
}

// RetryMail implements storage.MailStore.
func (s *Store) RetryMail(ctx context.Context, id string, next time.Time) error {
	_, err := s.update(ctx, retryMail, id, micros(next))
	return err
}

// FinishMail implements storage.MailStore.
func (s *Store) FinishMail(ctx context.Context, id string) error {
	_, err := s.update(ctx, finishMail, id)
	return err
}

// WaitingMails implements storage.MailStore.
func (s *Store) WaitingMails(ctx context.Context, now time.Time) (n int, err error) {
	err = s.db.One(ctx, waitingMails, []any{micros(now)}, &n)
	return n, err
}
