package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

// ImportUsers implements storage.ImportStore.
func (s *Store) ImportUsers(ctx context.Context, users []storage.ImportedUser) ([]error, error) {
	for _, in := range users {
		checkUser(in.User)
		for _, i := range in.Identities {
			checkIdentity(i)
		}
	}
	end, err := s.begin(ctx, "ImportUsers")
	if err != nil {
		return nil, err
	}
	defer end()
	emails, names := map[string]bool{"": false}, map[string]bool{"": false}
	note := func(u *storage.User) {
		emails[u.EmailKey], names[u.UsernameKey] = u.EmailKey != "", u.UsernameKey != ""
	}
	for _, row := range s.users {
		note(row.record)
	}
	refused := make([]error, len(users))
	for n, in := range users {
		switch u := in.User; {
		case s.users[u.Subject] != nil:
			refused[n] = exists("id")
		case emails[u.EmailKey]:
			refused[n] = exists("email")
		case names[u.UsernameKey]:
			refused[n] = exists("username")
		case s.anyTied(in.Identities):
			refused[n] = exists("identity")
		default:
			s.importUser(in)
			note(u)
		}
	}
	return refused, nil
}

// anyTied tells whether one of a new user's accounts is tied already, or named twice.
func (s *Store) anyTied(identities []*storage.Identity) bool {
	seen := map[account]bool{}
	for _, i := range identities {
		if s.identities[accountOf(i)] != nil || seen[accountOf(i)] {
			return true
		}
		seen[accountOf(i)] = true
	}
	return false
}

// importUser stores a user and keeps the times that came along.
func (s *Store) importUser(in storage.ImportedUser) {
	created, set := in.User.Created, in.User.PasswordSet
	s.putUser(in.User, in.Password)
	in.User.Created = kept(created, in.User.Created)
	if in.Password != "" {
		in.User.PasswordSet = kept(set, in.User.PasswordSet)
	}
	s.users[in.User.Subject].record = stored(in.User)
	for _, i := range in.Identities {
		created, used := i.Created, i.LastUsed
		s.putIdentity(i, in.User.Subject)
		i.Created = kept(created, i.Created)
		i.LastUsed = kept(used, i.Created)
		row := s.identities[accountOf(i)]
		row.Created, row.LastUsed = i.Created, i.LastUsed
	}
}

// kept is the time that came along, or else the one of now.
func kept(given, now time.Time) time.Time {
	if given.IsZero() {
		return now
	}
	return micro(given)
}

// ExportUsers implements storage.ImportStore.
func (s *Store) ExportUsers(ctx context.Context, after string, limit int) ([]storage.ImportedUser, error) {
	end, err := s.begin(ctx, "ExportUsers")
	if err != nil {
		return nil, err
	}
	defer end()
	var out []storage.ImportedUser
	for _, u := range page(s.users, after, limit, func(row *user) *storage.User { return loaded(row.record) }) {
		out = append(out, storage.ImportedUser{User: u, Password: s.users[u.Subject].password, Identities: s.identitiesOf(u.Subject)})
	}
	return out, nil
}

// identitiesOf returns copies of a user's identities, in their order, without tokens.
func (s *Store) identitiesOf(subject string) []*storage.Identity {
	var out []*storage.Identity
	for _, i := range s.identities {
		if i.Subject == subject {
			bare := clone(i)
			bare.Tokens = nil
			out = append(out, bare)
		}
	}
	slices.SortFunc(out, func(a, b *storage.Identity) int {
		return cmp.Or(strings.Compare(a.Upstream, b.Upstream), strings.Compare(a.ExternalID, b.ExternalID))
	})
	return out
}
