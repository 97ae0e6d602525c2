package memory

import (
	"context"
	"time"

	"gatehouse/storage"
)

// passwordSet is when a password was set that is set now; nobody has set an empty one.
func passwordSet(password string, now time.Time) time.Time {
	if password == "" {
		return time.Time{}
	}
	return now
}

// putPassword replaces the password; what was proven or granted under the old one ends with the epoch.
func (s *Store) putPassword(row *user, encoded string) {
	row.password = encoded
	row.record.PasswordSet = passwordSet(encoded, s.clock())
	row.record.Failures, row.record.LastFailure = 0, time.Time{}
	row.record.Epoch++
}

// SetPassword implements storage.PasswordStore.
func (s *Store) SetPassword(ctx context.Context, subject, encoded string) error {
	end, err := s.begin(ctx, "SetPassword")
	if err != nil {
		return err
	}
	defer end()
	row := s.users[subject]
	if row == nil {
		return storage.ErrNotFound
	}
	s.putPassword(row, encoded)
	s.signOut(subject)
	return nil
}

// ReplacePassword implements storage.PasswordStore.
func (s *Store) ReplacePassword(ctx context.Context, subject, encoded string, epoch int64) error {
	end, err := s.begin(ctx, "ReplacePassword")
	if err != nil {
		return err
	}
	defer end()
	row := s.users[subject]
	if row == nil || row.record.Disabled || row.record.Epoch != epoch {
		return storage.ErrNotFound
	}
	s.putPassword(row, encoded)
	s.signOut(subject)
	return nil
}

// FailPassword implements storage.PasswordStore.
func (s *Store) FailPassword(ctx context.Context, subject string, at time.Time) (int, error) {
	end, err := s.begin(ctx, "FailPassword")
	if err != nil {
		return 0, err
	}
	defer end()
	row := s.users[subject]
	if row == nil {
		return 0, storage.ErrNotFound
	}
	row.record.Failures++
	row.record.LastFailure = later(row.record.LastFailure, micro(at))
	return row.record.Failures, nil
}

// ClearFailures implements storage.PasswordStore.
func (s *Store) ClearFailures(ctx context.Context, subject string, below int) error {
	end, err := s.begin(ctx, "ClearFailures")
	if err != nil {
		return err
	}
	defer end()
	row := s.users[subject]
	switch {
	case row == nil:
		return nil
	case below > 0 && row.record.Failures >= below:
		return storage.ErrConsumed
	}
	row.record.Failures, row.record.LastFailure = 0, time.Time{}
	return nil
}

// RehashPassword implements storage.PasswordStore.
func (s *Store) RehashPassword(ctx context.Context, subject, old, encoded string) error {
	end, err := s.begin(ctx, "RehashPassword")
	if err != nil {
		return err
	}
	defer end()
	row := s.users[subject]
	if row == nil || row.password != old {
		return storage.ErrNotFound
	}
	row.password = encoded
	return nil
}

// later returns the later one of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
