package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/storage"
	"gatehouse/storage/memory"
)

func TestProcessesThatStartTogetherAgreeOnOneMasterKey(t *testing.T) {
	dir := t.TempDir()
	c := config.Default()
	c.Storage.URL = "sqlite:" + filepath.Join(dir, "gatehouse.db")
	store := memory.New(storage.Options{})
	ids := make([]string, 16)
	var wait sync.WaitGroup
	for i := range ids {
		wait.Go(func() {
			ring, err := openRing(t.Context(), c, store)
			if err != nil {
				t.Errorf("%d: %v", i, err)
				return
			}
			ids[i] = ring.ID()
		})
	}
	wait.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("two keys: %v", ids)
			break
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != keyFileName {
		t.Errorf("left behind: %v %v", files, err)
	}
	info, err := files[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

func TestRow199NewMasterKeyIsNeverMadeBesideSealedData(t *testing.T) {
	dir := t.TempDir()
	c := config.Default()
	c.Storage.URL = "sqlite:" + filepath.Join(dir, "gatehouse.db")
	store := memory.New(storage.Options{})
	if err := store.CreateSecret(t.Context(), "anything", []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	if _, err := openRing(t.Context(), c, store); err == nil || !strings.Contains(err.Error(), "put it back") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, keyFileName)); !os.IsNotExist(err) {
		t.Errorf("a key was made: %v", err)
	}
}

// Another process makes the key and seals with it between this one's look for the file and its look into the store.
func TestRow199KeyMadeBetweenTwoLooksIsTaken(t *testing.T) {
	c := config.Default()
	c.Storage.URL = "sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db")
	store := memory.New(storage.Options{})
	var other string
	looking := true
	store.Fault = func(op string) error {
		if op != "HoldsSealed" || !looking {
			return nil
		}
		looking = false
		ring, err := openRing(t.Context(), c, store)
		if err == nil {
			other = ring.ID()
		}
		return err
	}
	ring, err := openRing(t.Context(), c, store)
	if err != nil || ring.ID() != other {
		t.Errorf("the key is %v, want %s: %v", ring, other, err)
	}
}
