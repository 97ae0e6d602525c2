package memory

import (
	"context"
	"slices"
	"strings"

	"gatehouse/storage"
)

// oldestFirst returns copies of all keys.
func (s *Store) oldestFirst() []*storage.SigningKey {
	var out []*storage.SigningKey
	for _, k := range s.keys {
		out = append(out, clone(k))
	}
	slices.SortFunc(out, func(a, b *storage.SigningKey) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.KID, b.KID)
	})
	return out
}

// SigningKeys implements storage.KeyStore.
func (s *Store) SigningKeys(ctx context.Context) ([]*storage.SigningKey, error) {
	end, err := s.begin(ctx, "SigningKeys")
	if err != nil {
		return nil, err
	}
	defer end()
	return s.oldestFirst(), nil
}

// ChangeSigningKeys implements storage.KeyStore.
func (s *Store) ChangeSigningKeys(ctx context.Context, change func([]*storage.SigningKey) ([]*storage.SigningKey, error)) error {
	end, err := s.begin(ctx, "ChangeSigningKeys")
	if err != nil {
		return err
	}
	defer end()
	changed, err := change(s.oldestFirst())
	if err != nil {
		return err
	}
	for _, k := range changed {
		must(k.KID != "" && k.Alg != "" && len(k.Public) > 0, "an incomplete signing key %q of alg %q", k.KID, k.Alg)
		s.keys[k.KID] = clone(k)
	}
	if len(changed) > 0 {
		s.bump(storage.TopicKeys)
	}
	return nil
}

// CreateSecret implements storage.SecretStore.
func (s *Store) CreateSecret(ctx context.Context, name string, sealed []byte) error {
	must(name != "" && len(sealed) > 0, "a secret %q of %d bytes", name, len(sealed))
	end, err := s.begin(ctx, "CreateSecret")
	if err != nil {
		return err
	}
	defer end()
	if s.secrets[name] != nil {
		return exists("id")
	}
	s.secrets[name] = slices.Clone(sealed)
	return nil
}

// Secret implements storage.SecretStore.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	end, err := s.begin(ctx, "Secret")
	if err != nil {
		return nil, err
	}
	defer end()
	if sealed := s.secrets[name]; sealed != nil {
		return slices.Clone(sealed), nil
	}
	return nil, storage.ErrNotFound
}

// HoldsSealed implements storage.SecretStore.
func (s *Store) HoldsSealed(ctx context.Context) (bool, error) {
	end, err := s.begin(ctx, "HoldsSealed")
	if err != nil {
		return false, err
	}
	defer end()
	holds := len(s.secrets) > 0
	for _, k := range s.keys {
		holds = holds || len(k.Private) > 0
	}
	return holds, nil
}
