// Package sqlitetest makes databases of SQLite for tests.
package sqlitetest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"gatehouse/storage/sqlite"
)

// migrated is a file with the schema as the migrations make it, and no rows.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "gatehouse-sqlite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "gatehouse.db")
	store, err := sqlite.Open(context.Background(), sqlite.Options{Path: path, AutoMigrate: true})
	if err != nil {
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// Migrated returns the path of a new database that has the schema, for tests of what is done with it.
func Migrated(t testing.TB) string {
	t.Helper()
	body, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
