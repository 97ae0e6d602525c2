package sqlite_test

import (
	"testing"

	"gatehouse/storage"
	"gatehouse/storage/sqlite"
	"gatehouse/storage/sqlite/sqlitetest"
	"gatehouse/storage/sqlstore"
	"gatehouse/storage/storagetest"
)

func open(t testing.TB, o sqlite.Options) *sqlstore.Store {
	t.Helper()
	if o.Path == "" {
		o.Path, o.AutoMigrate = sqlitetest.Migrated(t), true
	}
	s, err := sqlite.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	storagetest.Run(t, func(t *testing.T, o storage.Options) storage.Store {
		return open(t, sqlite.Options{Options: o})
	})
}

// Two handles on one file are what a server and the command line beside it have.
func TestContractShared(t *testing.T) {
	storagetest.RunShared(t, func(t *testing.T, o storage.Options) (a, b storage.Store) {
		path := sqlitetest.Migrated(t)
		return open(t, sqlite.Options{Options: o, Path: path, AutoMigrate: true}), open(t, sqlite.Options{Options: o, Path: path})
	})
}
