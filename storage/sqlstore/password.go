package sqlstore

import (
	"context"
	"time"
)

const (
	setPassword    = `UPDATE users SET password = $2, password_set = $3, epoch = epoch + 1, failures = 0, last_failure = 0 WHERE subject = $1`
	rehashPassword = `UPDATE users SET password = $3 WHERE subject = $1 AND password = $2`
	failPassword   = `UPDATE users SET failures = failures + 1, last_failure = CASE WHEN last_failure < $2 THEN $2 ELSE last_failure END
		WHERE subject = $1 RETURNING failures`
	clearFailures = `UPDATE users SET failures = 0, last_failure = 0 WHERE subject = $1 AND failures <> 0`
)

// passwordSet is when a password was set that is set now; nobody has set an empty one.
func passwordSet(password string, now time.Time) time.Time {
	if password == "" {
		return time.Time{}
	}
	return now
}

// SetPassword implements storage.PasswordStore. Tickets and devices hold the epoch that they were made under: they end with it.
func (s *Store) SetPassword(ctx context.Context, subject, encoded string) error {
	return s.tx(ctx, func(q Query) error {
		if err := found(q.Exec(ctx, setPassword, subject, encoded, micros(passwordSet(encoded, s.now())))); err != nil {
			return err
		}
		return s.expel(ctx, q, subject)
	})
}

// FailPassword implements storage.PasswordStore: the counting is the database's, so that none is lost.
func (s *Store) FailPassword(ctx context.Context, subject string, at time.Time) (failures int, err error) {
	err = s.tx(ctx, func(q Query) error { return only(ctx, q, failPassword, []any{subject, micros(at)}, &failures) })
	if err != nil {
		return 0, err
	}
	return failures, nil
}

// ClearFailures implements storage.PasswordStore.
func (s *Store) ClearFailures(ctx context.Context, subject string) error {
	_, err := s.update(ctx, clearFailures, subject)
	return err
}

// RehashPassword implements storage.PasswordStore.
func (s *Store) RehashPassword(ctx context.Context, subject, old, encoded string) error {
	return found(s.exec(ctx, rehashPassword, subject, old, encoded))
}
