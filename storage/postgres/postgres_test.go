package postgres_test

import (
	"context"
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
		o.URL, o.AutoMigrate = postgrestest.StartMigrated(t), true
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

// Two handles on one database are what two nodes have. A deadlock would be repaired by trying again, after a second; it must not come to that.
func TestContractShared(t *testing.T) {
	storagetest.RunShared(t, func(t *testing.T, o storage.Options) (a, b storage.Store) {
		url := postgrestest.StartMigrated(t)
		watchDeadlocks(t, url)
		return open(t, postgres.Options{Options: o, URL: url, AutoMigrate: true}), open(t, postgres.Options{Options: o, URL: url})
	})
}

// watchDeadlocks makes the server look for deadlocks before the lock timeout hides them, and fails the test if it finds any. Call it before the database is opened.
func watchDeadlocks(t *testing.T, url string) {
	t.Helper()
	conn := raw(t, url)
	var database string
	if err := conn.QueryRow(t.Context(), `SELECT current_database()`).Scan(&database); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `ALTER DATABASE `+database+` SET deadlock_timeout = '100ms'`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var deadlocks int
		err := conn.QueryRow(context.Background(), `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks)
		if err != nil || deadlocks != 0 {
			t.Errorf("%d deadlocks (%v), want none", deadlocks, err)
		}
	})
}
