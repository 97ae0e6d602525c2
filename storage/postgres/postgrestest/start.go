package postgrestest

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
)

// shared is the one cluster of a test binary; it ends with the process.
var shared = sync.OnceValues(func() (*Cluster, error) { return New(Options{}) })

// Start returns the URL of a new, empty database in the test binary's cluster; it is dropped when the test ends. Without PostgreSQL the
// test is skipped, or fails if the environment has CI=true.
func Start(t testing.TB) (url string) {
	t.Helper()
	c, err := shared()
	if errors.Is(err, ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	url, drop, err := c.Database(context.Background())
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
