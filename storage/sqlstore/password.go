package sqlstore

import (
	"context"
	"errors"
	"math"
	"time"

	"gatehouse/storage"
)

const (
	setPassword = `UPDATE users SET password = $2, password_set = $3, epoch = epoch + 1, failures = 0, last_failure = 0 WHERE subject = $1`
	// replacePassword takes $4, the epoch, too.
	replacePassword = setPassword + ` AND epoch = $4 AND NOT disabled`
	rehashPassword  = `UPDATE users SET password = $3 WHERE subject = $1 AND password = $2`
	failPassword    = `UPDATE users SET failures = failures + 1, last_failure = CASE WHEN last_failure < $2 THEN $2 ELSE last_failure END
		WHERE subject = $1 RETURNING failures`
	// clearFailures leaves as many as $2 or more alone and tells of them.
	clearFailures = `UPDATE users SET failures = CASE WHEN failures < $2 THEN 0 ELSE failures END, last_failure = CASE WHEN failures < $2 THEN 0 ELSE last_failure END
		WHERE subject = $1 AND failures <> 0 RETURNING failures`
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
	return s.putPassword(ctx, setPassword, subject, encoded)
}

// ReplacePassword implements storage.PasswordStore: the conditional update decides between it and whoever moves the epoch.
func (s *Store) ReplacePassword(ctx context.Context, subject, encoded string, epoch int64) error {
	return s.putPassword(ctx, replacePassword, subject, encoded, epoch)
}

// putPassword updates the password by a statement that takes more after the time.
func (s *Store) putPassword(ctx context.Context, update, subject, encoded string, more ...any) error {
	return s.tx(ctx, func(q Query) error {
		if err := found(q.Exec(ctx, update, append([]any{subject, encoded, micros(passwordSet(encoded, s.now()))}, more...)...)); err != nil {
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
func (s *Store) ClearFailures(ctx context.Context, subject string, below int) error {
	if below == 0 {
		below = math.MaxInt32
	}
	left := 0
	err := s.tx(ctx, func(q Query) error { return only(ctx, q, clearFailures, []any{subject, below}, &left) })
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil // no such user, or nothing to clear
	case err != nil:
		return err
	case left > 0:
		return storage.ErrConsumed
	}
	return nil
}

// RehashPassword implements storage.PasswordStore.
func (s *Store) RehashPassword(ctx context.Context, subject, old, encoded string) error {
	return found(s.exec(ctx, rehashPassword, subject, old, encoded))
}
