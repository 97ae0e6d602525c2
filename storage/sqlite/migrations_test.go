package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/migrate"
	"gatehouse/storage/sqlite"
)

func migrations(t *testing.T, path string) *migrate.Runner {
	t.Helper()
	r, err := sqlite.Migrations(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestMigrateUpDownUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	r := migrations(t, path)
	up, err := r.Up(t.Context())
	if err != nil || len(up) == 0 || up[0] != "0001_init" {
		t.Fatalf("up: %v %v", up, err)
	}
	down, err := r.Down(t.Context(), 0)
	if err != nil || len(down) != len(up) {
		t.Fatalf("down: %v %v", down, err)
	}
	if left := tables(t, path); left != "schema_migrations" {
		t.Errorf("tables left after down: %s", left)
	}
	if again, err := r.Up(t.Context()); err != nil || len(again) != len(up) {
		t.Fatalf("up again: %v %v", again, err)
	}
	if err := open(t, sqlite.Options{Path: path}).CreateSecret(t.Context(), "a", []byte{1}); err != nil {
		t.Error(err)
	}
}

func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func tables(t *testing.T, path string) string {
	t.Helper()
	var names string
	if err := raw(t, path).QueryRow(`SELECT group_concat(name) FROM sqlite_master WHERE type = 'table'`).Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestEditedMigrationIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if _, err := migrations(t, path).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := raw(t, path).Exec(`UPDATE schema_migrations SET checksum = 'other'`); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, AutoMigrate: true}); !errors.Is(err, migrate.ErrEdited) {
		t.Errorf("error %v, want ErrEdited", err)
	}
}

func TestStoreThatIsBehindIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	_, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if !errors.Is(err, migrate.ErrBehind) || !strings.Contains(err.Error(), "gatehouse migrate up") {
		t.Errorf("error %v, want ErrBehind with advice", err)
	}
}

// Two processes that start together on a new file do the work once.
func TestConcurrentRunnersMigrateOnce(t *testing.T) {
	for range 5 {
		path := filepath.Join(t.TempDir(), "x.db")
		type result struct {
			applied []string
			err     error
		}
		results := make(chan result)
		for range 2 {
			go func() {
				r, err := sqlite.Migrations(context.Background(), path)
				if err != nil {
					results <- result{err: err}
					return
				}
				applied, err := r.Up(context.Background())
				results <- result{applied, errors.Join(err, r.Close())}
			}()
		}
		a, b := <-results, <-results
		if a.err != nil || b.err != nil || (len(a.applied) == 0) == (len(b.applied) == 0) {
			t.Fatalf("%v, %v: want one of them to apply everything", a, b)
		}
	}
}

func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name?#%41.db")
	s := open(t, sqlite.Options{Path: path, AutoMigrate: true})
	if err := s.CreateSecret(t.Context(), "a", []byte{1}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 {
		t.Errorf("files %v, want the database, its log and its index", entries)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 || !strings.HasPrefix(e.Name(), filepath.Base(path)) {
			t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestUnusablePathsAreRefused(t *testing.T) {
	for _, path := range []string{"", ":memory:", filepath.Join(t.TempDir(), "missing", "x.db"), t.TempDir()} {
		if s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, AutoMigrate: true}); err == nil {
			t.Errorf("%q was opened", path)
			_ = s.Close()
		}
	}
}

// Opening an existing file is part of the time to the first request: 60 ms. The best of a few tries counts, as the machine may be busy.
func TestOpenIsFast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if _, err := migrations(t, path).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for range 10 {
		start := time.Now()
		s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, AutoMigrate: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Token(t.Context(), storage.TokenCode, "x"); !errors.Is(err, storage.ErrNotFound) {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("open and first read: %v", best)
	if best > 60*time.Millisecond {
		t.Errorf("opening took %v at best", best)
	}
}

// A locked file makes a writer wait and then say so; nothing is saved.
func TestWriterWaitsForAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s := open(t, sqlite.Options{Path: path, AutoMigrate: true})
	conn, err := raw(t, path).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Ping(ctx); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("ping of a locked store: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- s.CreateSecret(context.Background(), "a", []byte{1}) }()
	if _, err := s.Secret(t.Context(), "a"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a reader does not wait: %v", err)
	}
	if _, err := conn.ExecContext(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the writer that waited: %v", err)
	}
}

// Migrations 2 to 4 keep what is there: old clients never expire and want no logout tokens, old interactions came in the open, old sessions by a local sign-in.
func TestMigrationKeepsRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, now := open(t, sqlite.Options{Path: path, AutoMigrate: true}), time.Now()
	in := &storage.Interaction{ID: "in", Kind: storage.InteractionAccount, Created: now, Expires: now.Add(time.Hour)}
	user := &storage.User{Subject: "ada", EmailKey: "ada@example.org"}
	session := &storage.Session{ID: "sid", CookieHash: "cookie", Subject: "ada", AMR: []string{"pwd"}, Upstream: "google", ExternalID: "1", UpstreamSID: "sid", Remembered: true,
		UpstreamToken: []byte("sealed"), AuthTime: now, Created: now, LastSeen: now, Absolute: now.Add(time.Hour)}
	if err := errors.Join(s.CreateClient(t.Context(), &storage.Client{ID: "app", Expires: now}), s.CreateInteraction(t.Context(), in),
		s.CreateUserIdentity(t.Context(), user, &storage.Identity{Upstream: "google", ExternalID: "1"}), s.CreateSession(t.Context(), session),
		s.CreateUser(t.Context(), &storage.User{Subject: "bob", Locale: "de"}, "hash")); err != nil {
		t.Fatal(err)
	}
	r := migrations(t, path)
	if _, err := r.Down(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = open(t, sqlite.Options{Path: path})
	c, err := s.Client(t.Context(), "app")
	got, inErr := s.Interaction(t.Context(), "in")
	if err != nil || inErr != nil || !c.Expires.IsZero() || got.Source != "" {
		t.Errorf("client %+v (%v), interaction %+v (%v)", c, err, got, inErr)
	}
	kept, owner, err := s.SessionByCookie(t.Context(), "cookie")
	if err != nil || owner.EmailKey != user.EmailKey || len(kept.AMR) != 1 || kept.Upstream != "" || kept.ExternalID != "" || kept.UpstreamSID != "" || kept.Remembered || !owner.PasswordSet.IsZero() {
		t.Errorf("session %+v of %+v (%v)", kept, owner, err)
	}
	if token, err := s.UpstreamToken(t.Context(), "sid"); err != nil || token != nil {
		t.Errorf("token %q (%v) of an old session", token, err)
	}
	if all, err := s.IdentitiesOf(t.Context(), "ada"); err != nil || len(all) != 0 {
		t.Errorf("identities %v (%v) of an old user", all, err)
	}
	if bob, err := s.User(t.Context(), "bob"); err != nil || !bob.PasswordSet.Equal(bob.Created) || bob.Locale != "" || bob.Failures != 0 {
		t.Errorf("user %+v (%v), want one whose password is as old as the account", bob, err)
	}
}
