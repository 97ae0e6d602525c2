package postgres_test

import (
	"testing"

	"gatehouse/storage"
	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
	"gatehouse/storage/sqlstore"
	"gatehouse/storage/storagetest"
)

func open(t testing.TB, o postgres.Options) *sqlstore.Store {
	t.Helper()
	if o.URL == "" {
		o.URL, o.AutoMigrate = postgrestest.Start(t), true
	}
	s, err := postgres.Open(t.Context(), o)
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
		return open(t, postgres.Options{Options: o})
	})
}

// Two handles on one database are what two nodes have.
func TestContractShared(t *testing.T) {
	storagetest.RunShared(t, func(t *testing.T, o storage.Options) (a, b storage.Store) {
		url := postgrestest.Start(t)
		return open(t, postgres.Options{Options: o, URL: url, AutoMigrate: true}), open(t, postgres.Options{Options: o, URL: url})
	})
}
