package seal

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"gatehouse/storage"
	"gatehouse/storage/memory"
)

func TestSecretIsMadeOnceAndSealed(t *testing.T) {
	store, ring := memory.New(storage.Options{}), newRing(t, GenerateKey())
	secrets := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range secrets {
		wg.Go(func() {
			var err error
			if secrets[i], err = Secret(context.Background(), store, ring, "pairwise", 64); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, secret := range secrets {
		if len(secret) != 64 || !bytes.Equal(secret, secrets[0]) {
			t.Fatalf("nodes disagree: %x, %x", secret, secrets[0])
		}
	}
	kept, err := store.Secret(t.Context(), "pairwise")
	if err != nil || bytes.Contains(kept, secrets[0][:8]) {
		t.Errorf("kept in clear: %x, %v", kept, err)
	}
	other, err := Secret(t.Context(), store, ring, "other", 64)
	if err != nil || bytes.Equal(other, secrets[0]) {
		t.Errorf("two names share a secret: %v", err)
	}
}

// overtaken is a store in which another node makes the secret between our look and our attempt.
type overtaken struct {
	storage.SecretStore
	other *Ring
}

func (o overtaken) CreateSecret(ctx context.Context, name string, sealed []byte) error {
	if _, err := Secret(ctx, o.SecretStore, o.other, name, 64); err != nil {
		return err
	}
	return o.SecretStore.CreateSecret(ctx, name, sealed)
}

func TestSecretOfTheFasterNodeCounts(t *testing.T) {
	store, ring := memory.New(storage.Options{}), newRing(t, GenerateKey())
	ours, err := Secret(t.Context(), overtaken{store, ring}, ring, "pairwise", 64)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err := Secret(t.Context(), store, ring, "pairwise", 64); err != nil || !bytes.Equal(ours, theirs) {
		t.Errorf("two nodes have two secrets: %v", err)
	}
}

func TestSecretOutlivesTheMasterKeyThatMadeIt(t *testing.T) {
	store, first, second := memory.New(storage.Options{}), GenerateKey(), GenerateKey()
	made, err := Secret(t.Context(), store, newRing(t, first), "pairwise", 64)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Secret(t.Context(), store, newRing(t, second, first), "pairwise", 64); err != nil || !bytes.Equal(made, again) {
		t.Errorf("after the master key changed: %x, %v; want %x", again, err, made)
	}
	if _, err := Secret(t.Context(), store, newRing(t, second), "pairwise", 64); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("without the old master key: %v", err)
	}
}

func TestSecretThatIsNotTheWantedOneFailsClosed(t *testing.T) {
	store, ring := memory.New(storage.Options{}), newRing(t, GenerateKey())
	if _, err := Secret(t.Context(), store, ring, "pairwise", 32); err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(t.Context(), store, ring, "pairwise", 64); !errors.Is(err, ErrBroken) {
		t.Errorf("another size: %v", err)
	}
	moved, err := store.Secret(t.Context(), "pairwise")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.CreateSecret(t.Context(), "elsewhere", moved); err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(t.Context(), store, ring, "elsewhere", 32); !errors.Is(err, ErrBroken) {
		t.Errorf("moved from another row: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Secret(ended, store, ring, "pairwise", 32); !errors.Is(err, context.Canceled) {
		t.Errorf("a store that fails: %v", err)
	}
}
