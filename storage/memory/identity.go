package memory

import (
	"context"
	"maps"
	"slices"
	"time"

	"gatehouse/storage"
)

// maxExternalID is what a provider's name for an account may measure, in bytes.
const maxExternalID = 255

func checkIdentity(i *storage.Identity) {
	must(i.Upstream != "" && i.ExternalID != "" && len(i.ExternalID) <= maxExternalID, "account %q of upstream %q", i.ExternalID, i.Upstream)
}

func accountOf(i *storage.Identity) account { return account{i.Upstream, i.ExternalID} }

// putIdentity stamps a new identity and stores a copy.
func (s *Store) putIdentity(i *storage.Identity, subject string) {
	i.Subject, i.Created = subject, s.clock()
	i.LastUsed = i.Created
	row := clone(i)
	row.Tokens = filled(row.Tokens)
	s.identities[accountOf(i)] = row
}

// Identity implements storage.IdentityStore.
func (s *Store) Identity(ctx context.Context, upstream, externalID string) (*storage.Identity, *storage.User, error) {
	end, err := s.begin(ctx, "Identity")
	if err != nil {
		return nil, nil, err
	}
	defer end()
	i := s.identities[account{upstream, externalID}]
	if i == nil {
		return nil, nil, storage.ErrNotFound
	}
	return clone(i), loaded(s.users[i.Subject].record), nil
}

// IdentitiesOf implements storage.IdentityStore.
func (s *Store) IdentitiesOf(ctx context.Context, subject string) ([]*storage.Identity, error) {
	end, err := s.begin(ctx, "IdentitiesOf")
	if err != nil {
		return nil, err
	}
	defer end()
	return s.identitiesOf(subject), nil
}

// CreateIdentity implements storage.IdentityStore.
func (s *Store) CreateIdentity(ctx context.Context, i *storage.Identity, epoch int64) error {
	checkIdentity(i)
	end, err := s.begin(ctx, "CreateIdentity")
	if err != nil {
		return err
	}
	defer end()
	if !s.provenUnder(i.Subject, epoch) {
		return storage.ErrNotFound
	}
	if s.identities[accountOf(i)] != nil {
		return exists("identity")
	}
	s.putIdentity(i, i.Subject)
	return nil
}

// CreateUserIdentity implements storage.IdentityStore.
func (s *Store) CreateUserIdentity(ctx context.Context, u *storage.User, i *storage.Identity) error {
	checkUser(u)
	checkIdentity(i)
	end, err := s.begin(ctx, "CreateUserIdentity")
	if err != nil {
		return err
	}
	defer end()
	if err := s.takenNew(u); err != nil {
		return err
	}
	if s.identities[accountOf(i)] != nil {
		return exists("identity")
	}
	s.putUser(u, "")
	s.putIdentity(i, u.Subject)
	return nil
}

// AdoptUser implements storage.IdentityStore.
func (s *Store) AdoptUser(ctx context.Context, emailKey string, i *storage.Identity) (*storage.User, error) {
	checkIdentity(i)
	end, err := s.begin(ctx, "AdoptUser")
	if err != nil {
		return nil, err
	}
	defer end()
	row := s.adoptable(emailKey)
	if row == nil {
		return nil, storage.ErrNotFound
	}
	if s.identities[accountOf(i)] != nil {
		return nil, exists("identity")
	}
	subject := row.record.Subject
	s.putPassword(row, "")
	s.dropFactors(subject)
	maps.DeleteFunc(s.identities, func(_ account, other *storage.Identity) bool { return other.Subject == subject })
	maps.DeleteFunc(s.consents, func(p pair, _ *storage.Consent) bool { return p.subject == subject })
	s.putIdentity(i, subject)
	s.signOut(subject)
	return loaded(row.record), nil
}

// adoptable returns the enabled user of a verified address, or nil.
func (s *Store) adoptable(emailKey string) *user {
	for _, row := range s.users {
		if r := row.record; emailKey != "" && r.EmailKey == emailKey && r.EmailVerified && !r.Disabled {
			return row
		}
	}
	return nil
}

// TouchIdentity implements storage.IdentityStore.
func (s *Store) TouchIdentity(ctx context.Context, upstream, externalID, label string, tokens []byte, at time.Time) error {
	end, err := s.begin(ctx, "TouchIdentity")
	if err != nil {
		return err
	}
	defer end()
	i := s.identities[account{upstream, externalID}]
	if i == nil {
		return storage.ErrNotFound
	}
	i.Label, i.Tokens = label, filled(slices.Clone(tokens))
	if i.LastUsed.Before(micro(at)) {
		i.LastUsed = micro(at)
	}
	return nil
}

// DeleteIdentity implements storage.IdentityStore.
func (s *Store) DeleteIdentity(ctx context.Context, subject, upstream, externalID string, offered *storage.Offered) error {
	end, err := s.begin(ctx, "DeleteIdentity")
	if err != nil {
		return err
	}
	defer end()
	key := account{upstream, externalID}
	if i := s.identities[key]; i == nil || i.Subject != subject {
		return storage.ErrNotFound
	}
	if !s.letIn(offered, subject, "", key) {
		return storage.ErrLastWayIn
	}
	delete(s.identities, key)
	s.endEach(func(b *storage.Session) bool {
		return b.Subject == subject && b.Upstream == upstream && b.ExternalID == externalID
	})
	return nil
}

// letIn tells whether what is offered lets a user in without one factor and one account; nil asks nothing.
func (s *Store) letIn(offered *storage.Offered, subject, factor string, without account) bool {
	if offered == nil {
		return true
	}
	row, passkey, upstreams := s.users[subject], false, []string{}
	for id, f := range s.factors {
		passkey = passkey || f.Subject == subject && f.Kind == storage.FactorPasskey && id != factor
	}
	for key, i := range s.identities {
		if i.Subject == subject && key != without {
			upstreams = append(upstreams, i.Upstream)
		}
	}
	return offered.LetIn(row.password != "" && row.record.EmailKey+row.record.UsernameKey != "", passkey, upstreams)
}
