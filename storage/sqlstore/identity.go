package sqlstore

import (
	"context"
	"time"

	"gatehouse/storage"
)

const (
	identityColumns = `upstream, external_id, subject, label, tokens, created, last_used`
	insertIdentity  = `INSERT INTO identities (` + identityColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	// insertProven takes $8, the epoch, too. With a lock at its end it holds the user until the commit, so that the epoch cannot move in between.
	insertProven   = `INSERT INTO identities (` + identityColumns + `) SELECT $1, $2, subject, $4, $5, $6, $7 FROM users WHERE subject = $3 AND epoch = $8 AND NOT disabled`
	selectIdentity = `SELECT i.upstream, i.external_id, i.subject, i.label, i.created, i.last_used, i.tokens, ` + joinedUser + `
		FROM identities i JOIN users u ON u.subject = i.subject WHERE i.upstream = $1 AND i.external_id = $2`
	listIdentities = `SELECT upstream, external_id, subject, label, created, last_used FROM identities WHERE subject = $1 ORDER BY upstream, external_id`
	touchIdentity  = `UPDATE identities SET label = $3, tokens = $4, last_used = CASE WHEN last_used < $5 THEN $5 ELSE last_used END
		WHERE upstream = $1 AND external_id = $2`

	selectAdoptable = `SELECT ` + userColumns + ` FROM users WHERE email_key = $1 AND email_key <> '' AND email_verified AND NOT disabled`
	deleteOthers    = `DELETE FROM identities WHERE subject = $1 AND NOT (upstream = $2 AND external_id = $3)`

	selectPassword         = `SELECT password <> '' AND (email_key <> '' OR username_key <> '') FROM users WHERE subject = $1`
	deleteIdentity         = `DELETE FROM identities WHERE upstream = $2 AND external_id = $3 AND subject = $1`
	selectIdentitySessions = `SELECT id FROM sessions WHERE upstream = $2 AND upstream <> '' AND external_id = $3 AND subject = $1 ORDER BY id`
)

// identityRow receives the columns of an identity.
type identityRow struct {
	storage.Identity
	created, lastUsed int64
}

// dest is the columns of listIdentities, in their order.
func (r *identityRow) dest() []any {
	return []any{&r.Upstream, &r.ExternalID, &r.Subject, &r.Label, &r.created, &r.lastUsed}
}

func (r *identityRow) identity() *storage.Identity {
	r.Created, r.LastUsed, r.Tokens = readTime(r.created), readTime(r.lastUsed), readBlob(r.Tokens)
	return &r.Identity
}

func readIdentity(scan Scan) (*storage.Identity, error) {
	var r identityRow
	err := scan(r.dest()...)
	return r.identity(), err
}

// newIdentity stamps an identity and returns the values of identityColumns, with the subject that it will have.
func (s *Store) newIdentity(i *storage.Identity, subject string) []any {
	now := s.now()
	i.Created, i.LastUsed = now, now
	return []any{i.Upstream, i.ExternalID, subject, plain(i.Label), blob(i.Tokens), micros(now), micros(now)}
}

// Identity implements storage.IdentityStore.
func (s *Store) Identity(ctx context.Context, upstream, externalID string) (*storage.Identity, *storage.User, error) {
	var (
		ir identityRow
		ur userRow
	)
	dest := append(append(ir.dest(), &ir.Tokens), ur.dest()...)
	if err := only(ctx, s.db, selectIdentity, []any{upstream, externalID}, dest...); err != nil {
		return nil, nil, err
	}
	user, err := ur.user()
	return ir.identity(), user, err
}

// IdentitiesOf implements storage.IdentityStore.
func (s *Store) IdentitiesOf(ctx context.Context, subject string) ([]*storage.Identity, error) {
	return list(ctx, s.db, readIdentity, listIdentities, subject)
}

// CreateIdentity implements storage.IdentityStore.
func (s *Store) CreateIdentity(ctx context.Context, i *storage.Identity, epoch int64) error {
	return found(s.exec(ctx, insertProven+s.dialect.Lock, append(s.newIdentity(i, i.Subject), epoch)...))
}

// CreateUserIdentity implements storage.IdentityStore.
func (s *Store) CreateUserIdentity(ctx context.Context, u *storage.User, i *storage.Identity) error {
	user, err := s.newUser(u, "")
	if err != nil {
		return err
	}
	identity := s.newIdentity(i, u.Subject)
	err = s.tx(ctx, func(q Query) error {
		if _, err := q.Exec(ctx, insertUser, user...); err != nil {
			return err
		}
		_, err := q.Exec(ctx, insertIdentity, identity...)
		return err
	})
	if err == nil {
		i.Subject = u.Subject
	}
	return err
}

// AdoptUser implements storage.IdentityStore. The new identity comes before the others go: who waits for somebody else's account holds no account that
// somebody could wait for.
func (s *Store) AdoptUser(ctx context.Context, emailKey string, i *storage.Identity) (*storage.User, error) {
	var u *storage.User
	err := s.tx(ctx, func(q Query) (err error) {
		if u, err = one(ctx, q, readUser, selectAdoptable+s.dialect.Lock, emailKey); err != nil {
			return err
		}
		if _, err := q.Exec(ctx, insertIdentity, s.newIdentity(i, u.Subject)...); err != nil {
			return err
		}
		if _, err := q.Exec(ctx, setPassword, u.Subject, "", 0); err != nil {
			return err
		}
		u.Epoch, u.PasswordSet, u.Failures, u.LastFailure = u.Epoch+1, time.Time{}, 0, time.Time{}
		if _, err := q.Exec(ctx, deleteOthers, u.Subject, i.Upstream, i.ExternalID); err != nil {
			return err
		}
		for _, text := range []string{deleteFactors, deleteRecoveryCodes, deleteUserConsents} {
			if _, err := q.Exec(ctx, text, u.Subject); err != nil {
				return err
			}
		}
		return s.expel(ctx, q, u.Subject)
	})
	if err != nil {
		return nil, err
	}
	i.Subject = u.Subject
	return u, nil
}

// TouchIdentity implements storage.IdentityStore.
func (s *Store) TouchIdentity(ctx context.Context, upstream, externalID, label string, tokens []byte, at time.Time) error {
	if !storable(upstream) || !storable(externalID) {
		return storage.ErrNotFound
	}
	return found(s.update(ctx, touchIdentity, upstream, externalID, plain(label), blob(tokens), micros(at)))
}

// DeleteIdentity implements storage.IdentityStore. The user's row is locked first: of two callers the second one counts what the first one left.
func (s *Store) DeleteIdentity(ctx context.Context, subject, upstream, externalID string, offered *storage.Offered) error {
	if !storable(upstream) || !storable(externalID) {
		return storage.ErrNotFound
	}
	return s.tx(ctx, func(q Query) error {
		password, err := s.holdUser(ctx, q, subject)
		if err != nil {
			return err
		}
		if err := found(q.Exec(ctx, deleteIdentity, subject, upstream, externalID)); err != nil {
			return err
		}
		if offered != nil && !offered.LetIn(password, false, nil) {
			left, err := readWays(ctx, q, subject)
			if err != nil {
				return err
			}
			if !offered.LetIn(password, left.passkey, left.upstreams) {
				return storage.ErrLastWayIn
			}
		}
		return s.endIdentitySessions(ctx, q, subject, upstream, externalID)
	})
}

// endIdentitySessions ends the sessions that a user began with an identity. It takes all locks of sessions first, then those of tokens.
func (s *Store) endIdentitySessions(ctx context.Context, q Query, subject, upstream, externalID string) error {
	ids, err := list(ctx, q, readText, selectIdentitySessions+s.dialect.Lock, subject, upstream, externalID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.dropSessions(ctx, q, bySession, id); err != nil {
			return err
		}
	}
	return s.revokeSessions(ctx, q, ids)
}
