package postgrestest

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path"
	"sync"
	"testing"

	"gatehouse/storage/postgres"
)

// shared is the one cluster of a test binary; it ends with the process.
var shared = sync.OnceValues(func() (*Cluster, error) { return New(Options{}) })

// migrated is the name of a database in shared that has the schema, and no rows.
var migrated = sync.OnceValues(func() (string, error) {
	c, err := shared()
	if err != nil {
		return "", err
	}
	address, _, err := c.Database(context.Background())
	if err != nil {
		return "", err
	}
	store, err := postgres.Open(context.Background(), postgres.Options{URL: address, AutoMigrate: true})
	if err != nil {
		return "", err
	}
	if err := store.Close(); err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	return path.Base(u.Path), nil
})

// Start returns the URL of a new, empty database in the test binary's cluster; it is dropped when the test ends. Without PostgreSQL the
// test is skipped, or fails if the environment has CI=true.
func Start(t testing.TB) (url string) {
	t.Helper()
	return database(t, func() (string, error) { return "template1", nil })
}

// StartMigrated is Start with the schema as the migrations make it, for tests of what is done with it.
func StartMigrated(t testing.TB) (url string) {
	t.Helper()
	return database(t, migrated)
}

func database(t testing.TB, from func() (string, error)) string {
	t.Helper()
	c, err := shared()
	if errors.Is(err, ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := from()
	if err != nil {
		t.Fatal(err)
	}
	url, drop, err := c.clone(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	return url
}

// StartMain starts a durable cluster with one empty database, for programs that are no tests.
func StartMain() (url string, stop func(), err error) {
	c, err := New(Options{Durable: true})
	if err != nil {
		return "", nil, err
	}
	url, _, err = c.Database(context.Background())
	if err != nil {
		return "", nil, errors.Join(err, c.Stop())
	}
	return url, func() { _ = c.Stop() }, nil
}
