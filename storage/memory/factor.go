package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

func checkFactor(f *storage.Factor) {
	must(f.ID != "" && f.Subject != "" && f.Kind != "", "an incomplete factor %q of kind %q for %q", f.ID, f.Kind, f.Subject)
	must(f.Kind.HasCredential() == (f.CredentialID != ""), "credential %q of a factor of kind %q", f.CredentialID, f.Kind)
}

// factorCount returns how many factors a user has.
func (s *Store) factorCount(subject string) int {
	n := 0
	for _, f := range s.factors {
		if f.Subject == subject {
			n++
		}
	}
	return n
}

// dropFactors removes all factors and recovery codes of a user.
func (s *Store) dropFactors(subject string) {
	maps.DeleteFunc(s.factors, func(_ string, f *storage.Factor) bool { return f.Subject == subject })
	delete(s.recoveryCodes, subject)
}

// byCredential returns the factor with a credential id, or nil.
func (s *Store) byCredential(id string) *storage.Factor {
	for _, f := range s.factors {
		if id != "" && f.CredentialID == id {
			return f
		}
	}
	return nil
}

// provenUnder tells whether what a user proved under an epoch holds.
func (s *Store) provenUnder(subject string, epoch int64) bool {
	row := s.users[subject]
	return row != nil && !row.record.Disabled && row.record.Epoch == epoch
}

// CreateFactor implements storage.FactorStore.
func (s *Store) CreateFactor(ctx context.Context, f *storage.Factor, epoch int64) error {
	checkFactor(f)
	end, err := s.begin(ctx, "CreateFactor")
	if err != nil {
		return err
	}
	defer end()
	switch {
	case !s.provenUnder(f.Subject, epoch):
		return storage.ErrNotFound
	case s.factors[f.ID] != nil:
		return exists("id")
	case s.byCredential(f.CredentialID) != nil:
		return exists("credential")
	case s.factorCount(f.Subject) >= storage.MaxFactors:
		return exists("factors")
	}
	row := clone(f)
	row.Data = filled(row.Data)
	s.factors[f.ID] = row
	return nil
}

// FactorsOf implements storage.FactorStore.
func (s *Store) FactorsOf(ctx context.Context, subject string) ([]*storage.Factor, error) {
	end, err := s.begin(ctx, "FactorsOf")
	if err != nil {
		return nil, err
	}
	defer end()
	var out []*storage.Factor
	for _, f := range s.factors {
		if f.Subject == subject {
			out = append(out, clone(f))
		}
	}
	slices.SortFunc(out, func(a, b *storage.Factor) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	return out, nil
}

// FactorByCredential implements storage.FactorStore.
func (s *Store) FactorByCredential(ctx context.Context, credentialID string) (*storage.Factor, *storage.User, error) {
	end, err := s.begin(ctx, "FactorByCredential")
	if err != nil {
		return nil, nil, err
	}
	defer end()
	f := s.byCredential(credentialID)
	if f == nil {
		return nil, nil, storage.ErrNotFound
	}
	return clone(f), loaded(s.users[f.Subject].record), nil
}

// UseFactor implements storage.FactorStore.
func (s *Store) UseFactor(ctx context.Context, id string, counter int64, data []byte, at time.Time) error {
	end, err := s.begin(ctx, "UseFactor")
	if err != nil {
		return err
	}
	defer end()
	f := s.factors[id]
	switch {
	case f == nil:
		return storage.ErrNotFound
	case f.Kind == storage.FactorTOTP && counter <= f.Counter:
		return storage.ErrConsumed
	case f.Kind.HasCredential() && data != nil:
		f.Data = filled(slices.Clone(data))
	}
	f.Counter, f.LastUsed = counter, later(f.LastUsed, micro(at))
	return nil
}

// ownFactor returns a factor of the subject's, or nil.
func (s *Store) ownFactor(subject, id string) *storage.Factor {
	if f := s.factors[id]; f != nil && f.Subject == subject {
		return f
	}
	return nil
}

// RenameFactor implements storage.FactorStore.
func (s *Store) RenameFactor(ctx context.Context, subject, id, name string) error {
	end, err := s.begin(ctx, "RenameFactor")
	if err != nil {
		return err
	}
	defer end()
	f := s.ownFactor(subject, id)
	if f == nil {
		return storage.ErrNotFound
	}
	f.Name = name
	return nil
}

// DeleteFactor implements storage.FactorStore.
func (s *Store) DeleteFactor(ctx context.Context, subject, id string, keep bool, offered *storage.Offered) error {
	end, err := s.begin(ctx, "DeleteFactor")
	if err != nil {
		return err
	}
	defer end()
	f := s.ownFactor(subject, id)
	if f == nil {
		return storage.ErrNotFound
	}
	if f.Kind == storage.FactorPasskey && !s.letIn(offered, subject, id, account{}) {
		return storage.ErrLastWayIn
	}
	only := s.factorCount(subject) == 1
	if only && keep {
		return storage.ErrLastFactor
	}
	delete(s.factors, id)
	if only {
		delete(s.recoveryCodes, subject)
	}
	return nil
}

// SetRecoveryCodes implements storage.RecoveryCodeStore.
func (s *Store) SetRecoveryCodes(ctx context.Context, subject string, hashes []string, epoch int64) error {
	must(!slices.Contains(hashes, ""), "a recovery code without a hash for %q", subject)
	end, err := s.begin(ctx, "SetRecoveryCodes")
	if err != nil {
		return err
	}
	defer end()
	if !s.provenUnder(subject, epoch) {
		return storage.ErrNotFound
	}
	codes := map[string]bool{}
	for _, hash := range hashes {
		codes[hash] = true
	}
	s.recoveryCodes[subject] = codes
	return nil
}

// UseRecoveryCode implements storage.RecoveryCodeStore.
func (s *Store) UseRecoveryCode(ctx context.Context, subject, hash string) (int, error) {
	end, err := s.begin(ctx, "UseRecoveryCode")
	if err != nil {
		return 0, err
	}
	defer end()
	codes := s.recoveryCodes[subject]
	if !codes[hash] {
		return 0, storage.ErrNotFound
	}
	delete(codes, hash)
	return len(codes), nil
}

// RecoveryCodes implements storage.RecoveryCodeStore.
func (s *Store) RecoveryCodes(ctx context.Context, subject string) (int, error) {
	end, err := s.begin(ctx, "RecoveryCodes")
	if err != nil {
		return 0, err
	}
	defer end()
	return len(s.recoveryCodes[subject]), nil
}
