package sqlite_test

import (
	"path/filepath"
	"testing"

	"gatehouse/storage"
	"gatehouse/storage/sqlite"
	"gatehouse/storage/storagetest"
)

// TestSoakRaces runs the races of TestContractShared for hours.
func TestSoakRaces(t *testing.T) {
	storagetest.Soak(t, func(t *testing.T, o storage.Options) (a, b storage.Store) {
		path := filepath.Join(t.TempDir(), "gatehouse.db")
		return open(t, sqlite.Options{Options: o, Path: path, AutoMigrate: true}), open(t, sqlite.Options{Options: o, Path: path})
	})
}
