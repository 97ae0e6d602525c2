package sqlstore

import (
	"context"
	"time"

	"gatehouse/storage"
)

const (
	userColumns = `subject, email, email_key, email_verified, username, username_key, disabled, epoch, claims, created, updated,
		failures, last_failure, password_set, locale, terms_version, terms_accepted`
	// joinedUser is userColumns of the users u of a JOIN.
	joinedUser = `u.subject, u.email, u.email_key, u.email_verified, u.username, u.username_key, u.disabled, u.epoch, u.claims, u.created, u.updated,
		u.failures, u.last_failure, u.password_set, u.locale, u.terms_version, u.terms_accepted`
	// newUserColumns are the columns of a new user: all but the counters, which begin at zero.
	newUserColumns = `subject, email, email_key, email_verified, username, username_key, disabled, claims, created, updated, password_set, locale, terms_version,
		terms_accepted, password, epoch`
	insertUser = `INSERT INTO users (` + newUserColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0)`
	selectUser = `SELECT ` + userColumns + ` FROM users WHERE subject = $1`
	// Two indexes, each of which leaves the empty keys out.
	selectLogin = `SELECT ` + userColumns + `, password FROM users
		WHERE (email_key = $1 AND email_key <> '') OR (username_key = $1 AND username_key <> '') LIMIT 1`
	updateUser = `UPDATE users SET email = $2, email_key = $3, email_verified = $4, username = $5, username_key = $6, disabled = $7, claims = $8,
		updated = $9, epoch = $10, locale = $11, terms_version = $12, terms_accepted = $13 WHERE subject = $1`
	deleteUser = `DELETE FROM users WHERE subject = $1`
	listUsers  = `SELECT ` + userColumns + ` FROM users WHERE subject > $1 ORDER BY subject LIMIT $2`

	deleteUserConsents = `DELETE FROM consents WHERE subject = $1`
	deleteUserNotices  = `DELETE FROM notices WHERE subject = $1`
)

// userRow receives the columns of a user.
type userRow struct {
	storage.User
	claims                                                    []byte
	created, updated, lastFailure, passwordSet, termsAccepted int64
}

// dest is userColumns, in their order.
func (r *userRow) dest() []any {
	return []any{&r.Subject, &r.Email, &r.EmailKey, &r.EmailVerified, &r.Username, &r.UsernameKey, &r.Disabled, &r.Epoch, &r.claims, &r.created, &r.updated,
		&r.Failures, &r.lastFailure, &r.passwordSet, &r.Locale, &r.TermsVersion, &r.termsAccepted}
}

// user is the record; nil for the empty row of a LEFT JOIN.
func (r *userRow) user() (*storage.User, error) {
	if r.Subject == "" {
		return nil, nil
	}
	r.Created, r.Updated = readTime(r.created), readTime(r.updated)
	r.LastFailure, r.PasswordSet, r.TermsAccepted = readTime(r.lastFailure), readTime(r.passwordSet), readTime(r.termsAccepted)
	if err := decode(r.claims, &r.Claims); err != nil {
		return nil, err
	}
	return &r.User, nil
}

func readUser(scan Scan) (*storage.User, error) {
	var r userRow
	if err := scan(r.dest()...); err != nil {
		return nil, err
	}
	return r.user()
}

// CreateUser implements storage.UserStore.
func (s *Store) CreateUser(ctx context.Context, u *storage.User, password string) error {
	args, err := s.newUser(u, password)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, insertUser, args...)
	return err
}

// newUser stamps a user and returns the values of newUserColumns.
func (s *Store) newUser(u *storage.User, password string) ([]any, error) {
	now := s.now()
	u.Created, u.Updated, u.PasswordSet = now, now, passwordSet(password, now)
	return userValues(u, password)
}

// userValues are the values of newUserColumns without the epoch, which is 0.
func userValues(u *storage.User, password string) ([]any, error) {
	u.Epoch, u.Failures, u.LastFailure, u.TermsAccepted = 0, 0, time.Time{}, trim(u.TermsAccepted)
	claims, err := encode(u.Claims)
	if err != nil {
		return nil, err
	}
	return []any{u.Subject, u.Email, u.EmailKey, u.EmailVerified, u.Username, u.UsernameKey, u.Disabled, claims, micros(u.Created), micros(u.Updated),
		micros(u.PasswordSet), u.Locale, u.TermsVersion, micros(u.TermsAccepted), password}, nil
}

// User implements storage.UserStore.
func (s *Store) User(ctx context.Context, subject string) (*storage.User, error) {
	return one(ctx, s.db, readUser, selectUser, subject)
}

// UserByLogin implements storage.UserStore.
func (s *Store) UserByLogin(ctx context.Context, login string) (*storage.User, string, error) {
	var (
		r        userRow
		password string
	)
	if err := only(ctx, s.db, selectLogin, []any{login}, append(r.dest(), &password)...); err != nil {
		return nil, "", err
	}
	u, err := r.user()
	return u, password, err
}

// UpdateUser implements storage.UserStore.
func (s *Store) UpdateUser(ctx context.Context, subject string, change func(*storage.User) error) (*storage.User, error) {
	var u *storage.User
	err := s.tx(ctx, func(q Query) (err error) {
		if u, err = one(ctx, q, readUser, selectUser+s.dialect.Lock, subject); err != nil {
			return err
		}
		old := *u
		if err := change(u); err != nil {
			return err
		}
		u.Subject, u.Created, u.Updated, u.Epoch = subject, old.Created, s.now(), old.Epoch
		u.Failures, u.LastFailure, u.PasswordSet, u.TermsAccepted = old.Failures, old.LastFailure, old.PasswordSet, trim(u.TermsAccepted)
		shut := u.Disabled && !old.Disabled
		if shut {
			u.Epoch++
		}
		claims, err := encode(u.Claims)
		if err != nil {
			return err
		}
		if _, err := q.Exec(ctx, updateUser, subject, u.Email, u.EmailKey, u.EmailVerified, u.Username, u.UsernameKey, u.Disabled, claims,
			micros(u.Updated), u.Epoch, u.Locale, u.TermsVersion, micros(u.TermsAccepted)); err != nil {
			return err
		}
		if shut {
			return s.expel(ctx, q, subject)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// expel ends a user's sessions and revokes by subject.
func (s *Store) expel(ctx context.Context, q Query, subject string) error {
	if err := s.endSessions(ctx, q, byUser, subject); err != nil {
		return err
	}
	_, err := s.revoke(ctx, q, storage.Revocation{Kind: storage.RevokeSubject, ID: subject})
	return err
}

// DeleteUser implements storage.UserStore. The password is a column of the row; whatever refers to the row goes with it.
func (s *Store) DeleteUser(ctx context.Context, subject string) error {
	return s.tx(ctx, func(q Query) error {
		if err := found(q.Exec(ctx, deleteUser, subject)); err != nil {
			return err
		}
		for _, text := range []string{deleteUserConsents, deleteUserNotices} {
			if _, err := q.Exec(ctx, text, subject); err != nil {
				return err
			}
		}
		return s.expel(ctx, q, subject)
	})
}

// ListUsers implements storage.UserStore.
func (s *Store) ListUsers(ctx context.Context, after string, limit int) ([]*storage.User, error) {
	return list(ctx, s.db, readUser, listUsers, after, limit)
}
