package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// keyFileName lies beside the database of a SQLite set-up that has no secrets.keys.
const keyFileName = "gatehouse.key"

// canary names a sealed value that tells a wrong master key at start, before anything else is opened with it. Older stores hold this very text in it, so it stays as long.
const canary = "canary"

// openRing finds the master keys and proves that they are those of this store.
func openRing(ctx context.Context, c *config.Config, store storage.SecretStore) (*seal.Ring, error) {
	texts := c.Secrets.Keys
	from := "secrets.keys"
	if len(texts) == 0 {
		path, sqlite := c.Storage.SQLitePath()
		if !sqlite {
			return nil, errors.New("secrets.keys " + config.NoMasterKey + "; make one with: openssl rand -base64 32, and set GATEHOUSE_SECRETS_KEYS to it")
		}
		from = filepath.Join(filepath.Dir(path), keyFileName)
		text, err := keyFile(ctx, from, store)
		if err != nil {
			return nil, err
		}
		texts = []string{text}
	}
	var keys [][]byte
	for _, text := range texts {
		key, err := seal.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		keys = append(keys, key)
	}
	ring, err := seal.New(keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return ring, checkCanary(ctx, ring, from, store)
}

// keyFile reads the key file. It makes one only for a store that holds nothing sealed: a new key beside old secrets would hide that the right one is lost.
func keyFile(ctx context.Context, path string, store storage.SecretStore) (string, error) {
	text, err := config.ReadSecretFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return "", fmt.Errorf("the master key %s %w", path, err)
		}
		return string(text), nil
	}
	sealed, err := store.HoldsSealed(ctx)
	if err != nil {
		return "", fmt.Errorf("look for sealed secrets: %w", err)
	}
	if sealed {
		// Another process may have made key and secrets since the first look: whoever seals has put the file in place before.
		if text, err = config.ReadSecretFile(path); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("the store holds secrets, but %s, which opens them, is gone; put it back from where you keep it, or name its key in secrets.keys", path)
		}
		if err != nil {
			return "", fmt.Errorf("the master key %s %w", path, err)
		}
		return string(text), nil
	}
	if err := createKeyFile(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("create the master key: %w", err)
	}
	// Another process may have been faster: what is in the file counts.
	text, err = config.ReadSecretFile(path)
	if err != nil {
		return "", fmt.Errorf("the master key %s %w", path, err)
	}
	return string(text), nil
}

// createKeyFile writes a new key beside its place and links it there, so that nobody ever sees half of one and none is overwritten.
func createKeyFile(path string) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+keyFileName+"-*") // mode 0600, O_EXCL
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(seal.GenerateKey() + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func checkCanary(ctx context.Context, ring *seal.Ring, from string, store storage.SecretStore) error {
	_, err := seal.Secret(ctx, store, ring, canary, len(canary))
	if errors.Is(err, seal.ErrUnknownKey) || errors.Is(err, seal.ErrBroken) {
		return fmt.Errorf("%s holds the wrong master key for this store: %w; put the right one first, or behind the new one", from, err)
	}
	return err
}
