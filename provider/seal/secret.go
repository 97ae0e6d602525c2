package seal

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
)

// Secret reads a random secret of size bytes that outlives master keys, making it if there is none: of several nodes that start at once, one makes it and the others
// read. Errors of the store, ErrUnknownKey, ErrBroken (also if the stored one has another size).
func Secret(ctx context.Context, store storage.SecretStore, ring *Ring, name string, size int) ([]byte, error) {
	place := AAD("secrets", name, "sealed", 1)
	sealed, err := store.Secret(ctx, name)
	if errors.Is(err, storage.ErrNotFound) {
		secret := make([]byte, size)
		random(secret)
		err = store.CreateSecret(ctx, name, ring.Seal(secret, place))
		if err == nil || errors.Is(err, storage.ErrExists) {
			sealed, err = store.Secret(ctx, name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("load secret %s: %w", name, err)
	}
	secret, err := ring.Open(sealed, place)
	if err != nil {
		return nil, fmt.Errorf("open secret %s: %w", name, err)
	}
	if len(secret) != size {
		return nil, fmt.Errorf("open secret %s: %w: it has %d bytes, want %d", name, ErrBroken, len(secret), size)
	}
	return secret, nil
}
