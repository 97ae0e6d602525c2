package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/storage"
	"gatehouse/storage/migrate"
	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
	"gatehouse/storage/sqlstore"
)

func migrations(t *testing.T, url string) *migrate.Runner {
	t.Helper()
	r, err := postgres.Migrations(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func raw(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestMigrateUpDownUp(t *testing.T) {
	url := postgrestest.Start(t)
	r := migrations(t, url)
	if states, err := r.Status(t.Context()); err != nil || len(states) == 0 || !states[0].Applied.IsZero() {
		t.Fatalf("status of an empty database: %v %v", states, err)
	}
	up, err := r.Up(t.Context())
	if err != nil || len(up) == 0 || up[0] != "0001_init" {
		t.Fatalf("up: %v %v", up, err)
	}
	down, err := r.Down(t.Context(), 0)
	if err != nil || len(down) != len(up) {
		t.Fatalf("down: %v %v", down, err)
	}
	var left string
	if err := raw(t, url).QueryRow(t.Context(), `SELECT string_agg(relname, ',') FROM pg_class WHERE relkind IN ('r', 'S') AND relnamespace =
		'public'::regnamespace`).Scan(&left); err != nil || left != "schema_migrations" {
		t.Errorf("tables left after down: %s %v", left, err)
	}
	if again, err := r.Up(t.Context()); err != nil || len(again) != len(up) {
		t.Fatalf("up again: %v %v", again, err)
	}
	if err := open(t, postgres.Options{URL: url}).CreateSecret(t.Context(), "a", []byte{1}); err != nil {
		t.Error(err)
	}
}

func TestEditedMigrationIsRefused(t *testing.T) {
	url := postgrestest.Start(t)
	if _, err := migrations(t, url).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := raw(t, url).Exec(t.Context(), `UPDATE schema_migrations SET checksum = 'other'`); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: url, AutoMigrate: true}); !errors.Is(err, migrate.ErrEdited) {
		t.Errorf("error %v, want ErrEdited", err)
	}
}

func TestStoreThatIsBehindIsRefused(t *testing.T) {
	_, err := postgres.Open(t.Context(), postgres.Options{URL: postgrestest.Start(t)})
	if !errors.Is(err, migrate.ErrBehind) || !strings.Contains(err.Error(), "gatehouse migrate up") {
		t.Errorf("error %v, want ErrBehind with advice", err)
	}
}

// Nodes that start together do the work once.
func TestConcurrentRunnersMigrateOnce(t *testing.T) {
	url := postgrestest.Start(t)
	const nodes = 4
	applied, errs := make(chan int, nodes), make(chan error, nodes)
	for range nodes {
		go func() {
			r, err := postgres.Migrations(context.Background(), url)
			if err != nil {
				applied <- 0
				errs <- err
				return
			}
			names, err := r.Up(context.Background())
			applied <- len(names)
			errs <- errors.Join(err, r.Close())
		}()
	}
	workers := 0
	for range nodes {
		if <-applied > 0 {
			workers++
		}
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if workers != 1 {
		t.Errorf("%d runners applied migrations, want 1", workers)
	}
}

func TestErrorsKeepThePasswordSecret(t *testing.T) {
	for _, url := range []string{"postgres://u:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@127.0.0.1:1/x?sslmode=odd", "postgres://u:hunter2@[::/x"} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v", err)
		}
	}
}

// Every error while connections break is ErrUnavailable, and the store is back within five seconds.
func TestRecoversFromBrokenConnections(t *testing.T) {
	url := postgrestest.Start(t)
	s := open(t, postgres.Options{URL: url, AutoMigrate: true})
	if err := s.CreateSecret(t.Context(), "a", []byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := raw(t, url).Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
		AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); ; {
		_, err := s.Secret(t.Context(), "a")
		if err == nil {
			break
		}
		if !errors.Is(err, storage.ErrUnavailable) {
			t.Fatalf("error %v, want ErrUnavailable", err)
		}
		if time.Since(start) > 5*time.Second {
			t.Fatal("not back after five seconds")
		}
	}
}

// A row that somebody holds does not hold a request for longer than the lock timeout and its retries.
func TestLockWaitIsBounded(t *testing.T) {
	url := postgrestest.Start(t)
	s := open(t, postgres.Options{URL: url, AutoMigrate: true})
	if err := s.CreateUser(t.Context(), &storage.User{Subject: "alice"}, ""); err != nil {
		t.Fatal(err)
	}
	tx, err := raw(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT 1 FROM users FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err = s.SetPassword(t.Context(), "alice", "new")
	if took := time.Since(start); !errors.Is(err, storage.ErrUnavailable) || took > 4*time.Second {
		t.Errorf("error %v after %v, want ErrUnavailable within 4 s", err, took)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPassword(t.Context(), "alice", "new"); err != nil {
		t.Error(err)
	}
}

// Purge leaves alone what another transaction works on, instead of waiting for it.
func TestPurgeSkipsRowsInUse(t *testing.T) {
	url := postgrestest.Start(t)
	s := open(t, postgres.Options{URL: url, AutoMigrate: true})
	now := time.Now()
	for _, key := range []string{"a", "b", "c"} {
		if err := s.Remember(t.Context(), key, now.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := raw(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT 1 FROM replays WHERE id = 'b' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(t.Context(), now, 10); n != 2 || err != nil {
		t.Errorf("purged %d, %v, want 2 of 3", n, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(t.Context(), now, 10); n != 1 || err != nil {
		t.Errorf("purged %d, %v, want the one that was in use", n, err)
	}
}

// A client that is used between the moment in which Purge finds it expired and the one in which it would be deleted stays.
func TestPurgeSparesClientTouchedMeanwhile(t *testing.T) {
	var s *sqlstore.Store
	now, touched := time.Now(), false
	s = open(t, postgres.Options{Trace: func(text string) {
		if strings.HasPrefix(text, "DELETE FROM clients") && !touched {
			touched = true
			if err := s.TouchClients(context.Background(), []string{"app"}, now.Add(time.Hour)); err != nil {
				t.Error(err)
			}
		}
	}})
	if err := s.CreateClient(t.Context(), &storage.Client{ID: "app", Expires: now.Add(-storage.ClientGrace)}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(t.Context(), now, 10); n != 0 || err != nil || !touched {
		t.Errorf("purged %d (%v), want nothing; touched %v", n, err, touched)
	}
	if _, err := s.Client(t.Context(), "app"); err != nil {
		t.Error(err)
	}
	if n, err := s.Purge(t.Context(), now.Add(2*time.Hour), 10); n == 0 || err != nil {
		t.Errorf("purged %d (%v), want the client", n, err)
	}
}

// Migrations 2 to 4 keep what is there: old clients never expire and want no logout tokens, old interactions came in the open, old sessions by a local sign-in.
func TestMigrationKeepsRows(t *testing.T) {
	url := postgrestest.Start(t)
	s, now := open(t, postgres.Options{URL: url, AutoMigrate: true}), time.Now()
	in := &storage.Interaction{ID: "in", Kind: storage.InteractionAccount, Created: now, Expires: now.Add(time.Hour)}
	user := &storage.User{Subject: "ada", EmailKey: "ada@example.org"}
	session := &storage.Session{ID: "sid", CookieHash: "cookie", Subject: "ada", AMR: []string{"pwd"}, Upstream: "google", ExternalID: "1", UpstreamSID: "sid", Remembered: true,
		UpstreamToken: []byte("sealed"), AuthTime: now, Created: now, LastSeen: now, Absolute: now.Add(time.Hour)}
	if err := errors.Join(s.CreateClient(t.Context(), &storage.Client{ID: "app", Expires: now.Add(-storage.ClientGrace)}), s.CreateInteraction(t.Context(), in),
		s.CreateUserIdentity(t.Context(), user, &storage.Identity{Upstream: "google", ExternalID: "1"}), s.CreateSession(t.Context(), session),
		s.CreateUser(t.Context(), &storage.User{Subject: "bob", Locale: "de"}, "hash")); err != nil {
		t.Fatal(err)
	}
	r := migrations(t, url)
	if _, err := r.Down(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = open(t, postgres.Options{URL: url})
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
