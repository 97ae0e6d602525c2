package memory

import (
	"context"
	"maps"
	"strings"
	"time"

	"gatehouse/storage"
)

// user is a row: the record and the password, which never leaves with it.
type user struct {
	record   *storage.User
	password string
}

func checkUser(u *storage.User) {
	must(u.Subject != "" && !strings.Contains(u.Subject, "\n"), "subject %q", u.Subject)
	must(!strings.Contains(u.UsernameKey, "@"), "an @ in username key %q", u.UsernameKey)
}

// taken names the unique key of u that another user holds.
func (s *Store) taken(u *storage.User) error {
	for _, row := range s.users {
		switch r := row.record; {
		case r.Subject == u.Subject:
		case u.EmailKey != "" && r.EmailKey == u.EmailKey:
			return exists("email")
		case u.UsernameKey != "" && r.UsernameKey == u.UsernameKey:
			return exists("username")
		}
	}
	return nil
}

// takenNew is taken for a user who is not stored yet.
func (s *Store) takenNew(u *storage.User) error {
	if s.users[u.Subject] != nil {
		return exists("id")
	}
	return s.taken(u)
}

// stored returns the copy of u that goes into the table.
func stored(u *storage.User) *storage.User {
	u = clone(u)
	u.Claims = claims(u.Claims)
	return u
}

// loaded returns the copy of a row's record that a caller gets.
func loaded(u *storage.User) *storage.User { return clone(u) }

// CreateUser implements storage.UserStore.
func (s *Store) CreateUser(ctx context.Context, u *storage.User, password string) error {
	checkUser(u)
	end, err := s.begin(ctx, "CreateUser")
	if err != nil {
		return err
	}
	defer end()
	if err := s.takenNew(u); err != nil {
		return err
	}
	s.putUser(u, password)
	return nil
}

// putUser stamps and stores a new user.
func (s *Store) putUser(u *storage.User, password string) {
	u.Created = s.clock()
	u.Updated, u.PasswordSet = u.Created, passwordSet(password, u.Created)
	u.Epoch, u.Failures, u.LastFailure = 0, 0, time.Time{}
	s.users[u.Subject] = &user{stored(u), password}
}

// User implements storage.UserStore.
func (s *Store) User(ctx context.Context, subject string) (*storage.User, error) {
	end, err := s.begin(ctx, "User")
	if err != nil {
		return nil, err
	}
	defer end()
	if row := s.users[subject]; row != nil {
		return loaded(row.record), nil
	}
	return nil, storage.ErrNotFound
}

// UserByLogin implements storage.UserStore.
func (s *Store) UserByLogin(ctx context.Context, key string) (*storage.User, string, error) {
	end, err := s.begin(ctx, "UserByLogin")
	if err != nil {
		return nil, "", err
	}
	defer end()
	if key == "" {
		return nil, "", storage.ErrNotFound
	}
	for _, row := range s.users {
		if row.record.EmailKey == key || row.record.UsernameKey == key {
			return loaded(row.record), row.password, nil
		}
	}
	return nil, "", storage.ErrNotFound
}

// UpdateUser implements storage.UserStore.
func (s *Store) UpdateUser(ctx context.Context, subject string, change func(*storage.User) error) (*storage.User, error) {
	end, err := s.begin(ctx, "UpdateUser")
	if err != nil {
		return nil, err
	}
	defer end()
	row := s.users[subject]
	if row == nil {
		return nil, storage.ErrNotFound
	}
	u := loaded(row.record)
	if err := change(u); err != nil {
		return nil, err
	}
	u.Subject, u.Created, u.Updated, u.Epoch = subject, row.record.Created, s.clock(), row.record.Epoch
	u.Failures, u.LastFailure, u.PasswordSet = row.record.Failures, row.record.LastFailure, row.record.PasswordSet
	checkUser(u)
	if err := s.taken(u); err != nil {
		return nil, err
	}
	if u.Disabled && !row.record.Disabled {
		u.Epoch++
		s.signOut(subject)
	}
	row.record = stored(u)
	return loaded(row.record), nil
}

// signOut ends a user's sessions and revokes by subject.
func (s *Store) signOut(subject string) {
	s.endSessions(func(b *storage.Session) bool { return b.Subject == subject })
	s.revoke(storage.Revocation{Kind: storage.RevokeSubject, ID: subject})
}

// DeleteUser implements storage.UserStore.
func (s *Store) DeleteUser(ctx context.Context, subject string) error {
	end, err := s.begin(ctx, "DeleteUser")
	if err != nil {
		return err
	}
	defer end()
	if s.users[subject] == nil {
		return storage.ErrNotFound
	}
	delete(s.users, subject)
	maps.DeleteFunc(s.identities, func(_ account, i *storage.Identity) bool { return i.Subject == subject })
	maps.DeleteFunc(s.consents, func(p pair, _ *storage.Consent) bool { return p.subject == subject })
	maps.DeleteFunc(s.notices, func(_ string, n *storage.Notice) bool { return n.Subject == subject })
	s.dropFactors(subject)
	maps.DeleteFunc(s.tickets, func(_ string, t *storage.Ticket) bool { return t.Subject == subject })
	maps.DeleteFunc(s.activities, func(_ string, a *storage.Activity) bool { return a.Subject == subject })
	maps.DeleteFunc(s.devices, func(_ string, d *storage.Device) bool { return d.Subject == subject })
	s.signOut(subject)
	return nil
}

// ListUsers implements storage.UserStore.
func (s *Store) ListUsers(ctx context.Context, after string, limit int) ([]*storage.User, error) {
	end, err := s.begin(ctx, "ListUsers")
	if err != nil {
		return nil, err
	}
	defer end()
	return page(s.users, after, limit, func(row *user) *storage.User { return loaded(row.record) }), nil
}
