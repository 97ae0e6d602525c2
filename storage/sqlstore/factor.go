package sqlstore

import (
	"context"
	"errors"
	"time"

	"gatehouse/storage"
)

const (
	factorColumns = `id, subject, kind, name, credential_id, data, counter, created, last_used`
	joinedFactor  = `f.id, f.subject, f.kind, f.name, f.credential_id, f.data, f.counter, f.created, f.last_used`
	insertFactor  = `INSERT INTO factors (` + factorColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	listFactors   = `SELECT ` + factorColumns + ` FROM factors WHERE subject = $1 ORDER BY created, id`
	selectPasskey = `SELECT ` + joinedFactor + `, ` + joinedUser + `
		FROM factors f JOIN users u ON u.subject = f.subject WHERE f.credential_id = $1 AND f.credential_id <> ''`
	useFactor = `UPDATE factors SET counter = $2, last_used = CASE WHEN last_used < $3 THEN $3 ELSE last_used END
		WHERE id = $1 AND (kind <> 'totp' OR counter < $2)`
	usePasskey = `UPDATE factors SET counter = $2, last_used = CASE WHEN last_used < $3 THEN $3 ELSE last_used END,
		data = CASE WHEN kind <> 'totp' THEN $4 ELSE data END WHERE id = $1 AND (kind <> 'totp' OR counter < $2)`
	selectFactor  = `SELECT ` + factorColumns + ` FROM factors WHERE id = $1`
	renameFactor  = `UPDATE factors SET name = $3 WHERE subject = $1 AND id = $2`
	deleteFactor  = `DELETE FROM factors WHERE subject = $1 AND id = $2 RETURNING kind`
	deleteFactors = `DELETE FROM factors WHERE subject = $1`

	insertRecoveryCode  = `INSERT INTO recovery_codes (subject, hash) VALUES ($1, $2) ON CONFLICT (subject, hash) DO NOTHING`
	deleteRecoveryCode  = `DELETE FROM recovery_codes WHERE subject = $1 AND hash = $2`
	deleteRecoveryCodes = `DELETE FROM recovery_codes WHERE subject = $1`
	countRecoveryCodes  = `SELECT COUNT(*) FROM recovery_codes WHERE subject = $1`

	selectProven = `SELECT epoch FROM users WHERE subject = $1 AND epoch = $2 AND NOT disabled`
	selectWays   = `SELECT kind, '' FROM factors WHERE subject = $1 UNION ALL SELECT '', upstream FROM identities WHERE subject = $1`
)

// ways is what a user can prove beside the password.
type ways struct {
	factors   int
	passkey   bool
	upstreams []string
}

// readWays reads inside a transaction that holds the user's row, which every change of the last way in takes first.
func readWays(ctx context.Context, q Query, subject string) (w ways, err error) {
	rows, err := list(ctx, q, func(scan Scan) (way [2]string, err error) {
		err = scan(&way[0], &way[1])
		return way, err
	}, selectWays, subject)
	for _, row := range rows {
		if kind, upstream := row[0], row[1]; kind == "" {
			w.upstreams = append(w.upstreams, upstream)
		} else {
			w.factors, w.passkey = w.factors+1, w.passkey || kind == string(storage.FactorPasskey)
		}
	}
	return w, err
}

// holdUser locks a user's row and tells whether there is a password, and a name to type beside it. ErrNotFound.
func (s *Store) holdUser(ctx context.Context, q Query, subject string) (password bool, err error) {
	err = only(ctx, q, selectPassword+s.dialect.Lock, []any{subject}, &password)
	return password, err
}

// holdProven locks the row of a user who was proven under an epoch. ErrNotFound if there is none, or the epoch has moved on.
func (s *Store) holdProven(ctx context.Context, q Query, subject string, epoch int64) error {
	return only(ctx, q, selectProven+s.dialect.Lock, []any{subject, epoch}, new(int64))
}

// factorRow receives the columns of a factor.
type factorRow struct {
	storage.Factor
	kind              string
	created, lastUsed int64
}

// dest is factorColumns, in their order.
func (r *factorRow) dest() []any {
	return []any{&r.ID, &r.Subject, &r.kind, &r.Name, &r.CredentialID, &r.Data, &r.Counter, &r.created, &r.lastUsed}
}

func (r *factorRow) factor() *storage.Factor {
	r.Kind, r.Data, r.Created, r.LastUsed = storage.FactorKind(r.kind), readBlob(r.Data), readTime(r.created), readTime(r.lastUsed)
	return &r.Factor
}

func readFactor(scan Scan) (*storage.Factor, error) {
	var r factorRow
	err := scan(r.dest()...)
	return r.factor(), err
}

// CreateFactor implements storage.FactorStore. The user's row is held while the factors are counted.
func (s *Store) CreateFactor(ctx context.Context, f *storage.Factor, epoch int64) error {
	return s.tx(ctx, func(q Query) error {
		if err := s.holdProven(ctx, q, f.Subject, epoch); err != nil {
			return err
		}
		if _, err := q.Exec(ctx, insertFactor, f.ID, f.Subject, string(f.Kind), f.Name, f.CredentialID, blob(f.Data), f.Counter, micros(f.Created),
			micros(f.LastUsed)); err != nil {
			return err
		}
		have, err := readWays(ctx, q, f.Subject)
		if err == nil && have.factors > storage.MaxFactors {
			err = &storage.ExistsError{Field: "factors"}
		}
		return err
	})
}

// FactorsOf implements storage.FactorStore.
func (s *Store) FactorsOf(ctx context.Context, subject string) ([]*storage.Factor, error) {
	return list(ctx, s.db, readFactor, listFactors, subject)
}

// FactorByCredential implements storage.FactorStore.
func (s *Store) FactorByCredential(ctx context.Context, credentialID string) (*storage.Factor, *storage.User, error) {
	var (
		fr factorRow
		ur userRow
	)
	if err := only(ctx, s.db, selectPasskey, []any{credentialID}, append(fr.dest(), ur.dest()...)...); err != nil {
		return nil, nil, err
	}
	user, err := ur.user()
	return fr.factor(), user, err
}

// UseFactor implements storage.FactorStore: the conditional update decides the one winner of a code.
func (s *Store) UseFactor(ctx context.Context, id string, counter int64, data []byte, at time.Time) error {
	text, args := useFactor, []any{id, counter, micros(at)}
	if data != nil {
		text, args = usePasskey, append(args, data)
	}
	n, err := s.update(ctx, text, args...)
	if err != nil || n == 1 {
		return err
	}
	if _, err := one(ctx, s.db, readFactor, selectFactor, id); err != nil {
		return err
	}
	return storage.ErrConsumed
}

// RenameFactor implements storage.FactorStore.
func (s *Store) RenameFactor(ctx context.Context, subject, id, name string) error {
	if !storable(subject) || !storable(id) {
		return storage.ErrNotFound
	}
	return found(s.exec(ctx, renameFactor, subject, id, name))
}

// DeleteFactor implements storage.FactorStore. The user's row is locked first: of two callers the second one counts what the first one left.
func (s *Store) DeleteFactor(ctx context.Context, subject, id string, keep bool, offered *storage.Offered) error {
	return s.tx(ctx, func(q Query) error {
		password, err := s.holdUser(ctx, q, subject)
		if err != nil {
			return err
		}
		var kind string
		if err := only(ctx, q, deleteFactor, []any{subject, id}, &kind); err != nil {
			return err
		}
		left, err := readWays(ctx, q, subject)
		switch {
		case err != nil:
			return err
		case kind == string(storage.FactorPasskey) && offered != nil && !offered.LetIn(password, left.passkey, left.upstreams):
			return storage.ErrLastWayIn
		case left.factors > 0:
			return nil
		case keep:
			return storage.ErrLastFactor
		}
		_, err = q.Exec(ctx, deleteRecoveryCodes, subject)
		return err
	})
}

// SetRecoveryCodes implements storage.RecoveryCodeStore.
func (s *Store) SetRecoveryCodes(ctx context.Context, subject string, hashes []string, epoch int64) error {
	return s.tx(ctx, func(q Query) error {
		if err := s.holdProven(ctx, q, subject, epoch); err != nil {
			return err
		}
		if _, err := q.Exec(ctx, deleteRecoveryCodes, subject); err != nil {
			return err
		}
		for _, hash := range hashes {
			if _, err := q.Exec(ctx, insertRecoveryCode, subject, hash); err != nil {
				return err
			}
		}
		return nil
	})
}

// UseRecoveryCode implements storage.RecoveryCodeStore. The user's row is held, so that two callers with two codes count one after the other.
func (s *Store) UseRecoveryCode(ctx context.Context, subject, hash string) (left int, err error) {
	err = s.tx(ctx, func(q Query) error {
		if _, err := s.holdUser(ctx, q, subject); err != nil {
			return err
		}
		if err := found(q.Exec(ctx, deleteRecoveryCode, subject, hash)); err != nil {
			return err
		}
		return q.One(ctx, countRecoveryCodes, []any{subject}, &left)
	})
	if errors.Is(err, ErrUnstorable) {
		return 0, storage.ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	return left, nil
}

// RecoveryCodes implements storage.RecoveryCodeStore.
func (s *Store) RecoveryCodes(ctx context.Context, subject string) (left int, err error) {
	if !storable(subject) {
		return 0, nil
	}
	err = s.db.One(ctx, countRecoveryCodes, []any{subject}, &left)
	return left, err
}
