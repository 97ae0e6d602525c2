package sqlstore

import (
	"context"

	"gatehouse/storage"
)

const (
	userColumns = `subject, email, email_key, email_verified, username, username_key, disabled, epoch, claims, created, updated`
	// joinedUser is userColumns of the users u of a JOIN.
	joinedUser = `u.subject, u.email, u.email_key, u.email_verified, u.username, u.username_key, u.disabled, u.epoch, u.claims, u.created, u.updated`
	insertUser = `INSERT INTO users (` + userColumns + `, password) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10, $11)`
	selectUser = `SELECT ` + userColumns + ` FROM users WHERE subject = $1`
	// Two indexes, each of which leaves the empty keys out.
	selectLogin = `SELECT ` + userColumns + `, password FROM users
		WHERE (email_key = $1 AND email_key <> '') OR (username_key = $1 AND username_key <> '') LIMIT 1`
	updateUser = `UPDATE users SET email = $2, email_key = $3, email_verified = $4, username = $5, username_key = $6, disabled = $7, claims = $8,
		updated = $9, epoch = $10 WHERE subject = $1`
	deleteUser = `DELETE FROM users WHERE subject = $1`
	listUsers  = `SELECT ` + userColumns + ` FROM users WHERE subject > $1 ORDER BY subject LIMIT $2`

	setPassword    = `UPDATE users SET password = $2, epoch = epoch + 1 WHERE subject = $1`
	rehashPassword = `UPDATE users SET password = $3 WHERE subject = $1 AND password = $2`

	deleteUserConsents = `DELETE FROM consents WHERE subject = $1`
	deleteUserNotices  = `DELETE FROM notices WHERE subject = $1`
)

// userRow receives the columns of a user.
type userRow struct {
	storage.User
	claims           []byte
	created, updated int64
}

// dest is userColumns, in their order.
func (r *userRow) dest() []any {
	return []any{&r.Subject, &r.Email, &r.EmailKey, &r.EmailVerified, &r.Username, &r.UsernameKey, &r.Disabled, &r.Epoch, &r.claims, &r.created, &r.updated}
}

// user is the record; nil for the empty row of a LEFT JOIN.
func (r *userRow) user() (*storage.User, error) {
	if r.Subject == "" {
		return nil, nil
	}
	r.Created, r.Updated = readTime(r.created), readTime(r.updated)
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

// newUser stamps a user and returns the values of insertUser.
func (s *Store) newUser(u *storage.User, password string) ([]any, error) {
	now := s.now()
	u.Created, u.Updated, u.Epoch = now, now, 0
	claims, err := encode(u.Claims)
	if err != nil {
		return nil, err
	}
	return []any{u.Subject, u.Email, u.EmailKey, u.EmailVerified, u.Username, u.UsernameKey, u.Disabled, claims, micros(now), micros(now), password}, nil
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
		disabled, created, epoch := u.Disabled, u.Created, u.Epoch
		if err := change(u); err != nil {
			return err
		}
		u.Subject, u.Created, u.Updated, u.Epoch = subject, created, s.now(), epoch
		if u.Disabled && !disabled {
			u.Epoch++
		}
		claims, err := encode(u.Claims)
		if err != nil {
			return err
		}
		if _, err := q.Exec(ctx, updateUser, subject, u.Email, u.EmailKey, u.EmailVerified, u.Username, u.UsernameKey, u.Disabled, claims,
			micros(u.Updated), u.Epoch); err != nil {
			return err
		}
		if u.Disabled && !disabled {
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

// DeleteUser implements storage.UserStore. The password is a column of the row; identities go with it.
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

// SetPassword implements storage.PasswordStore.
func (s *Store) SetPassword(ctx context.Context, subject, encoded string) error {
	return s.tx(ctx, func(q Query) error {
		if err := found(q.Exec(ctx, setPassword, subject, encoded)); err != nil {
			return err
		}
		return s.expel(ctx, q, subject)
	})
}

// RehashPassword implements storage.PasswordStore.
func (s *Store) RehashPassword(ctx context.Context, subject, old, encoded string) error {
	return found(s.exec(ctx, rehashPassword, subject, old, encoded))
}
