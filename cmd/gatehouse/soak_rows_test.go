package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gatehouse/provider/grant"
	"gatehouse/storage"
	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
	"gatehouse/storage/sqlite"
)

// Live tokens as a server leaves them: three to a grant, of ten clients, five thousand users and as many sessions. $1 rows, $2 milliseconds in the first
// grant's id, $3 their expiry in microseconds.
const (
	fillSQLite = `WITH RECURSIVE i (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < $1), g AS (SELECT x, printf('%012x', $2 + x / 3) AS ms FROM i)
		INSERT INTO tokens (kind, signature, grant_id, client_id, subject, session_id, payload, created, expires, grant_expires, purge_at)
		SELECT CASE x % 3 WHEN 0 THEN 'code' WHEN 1 THEN 'refresh' ELSE 'access' END, hex(randomblob(22)),
		substr(ms, 1, 8) || '-' || substr(ms, 9) || '-7000-8000-' || ms, 'client ' || x / 3 % 10, 'user ' || x / 3 % 5000, 'session ' || x / 3 % 5000,
		randomblob(150), $3 - 3600000000, $3, $3, $3 FROM g`
	fillPostgres = `INSERT INTO tokens (kind, signature, grant_id, client_id, subject, session_id, payload, created, expires, grant_expires, purge_at)
		SELECT CASE x % 3 WHEN 0 THEN 'code' WHEN 1 THEN 'refresh' ELSE 'access' END, md5(random()::text) || substr(md5(x::text), 1, 12),
		substr(ms, 1, 8) || '-' || substr(ms, 9) || '-7000-8000-' || ms, 'client ' || x / 3 % 10, 'user ' || x / 3 % 5000, 'session ' || x / 3 % 5000,
		decode(repeat(md5(x::text), 9), 'hex'), $3::bigint - 3600000000, $3::bigint, $3::bigint, $3::bigint
		FROM (SELECT x, lpad(to_hex($2::bigint + x / 3), 12, '0') AS ms FROM generate_series(1, $1::bigint) AS x) AS g`
)

// shelf is a store with many tokens in it.
type shelf struct {
	storage.Store
	t    *testing.T
	db   *sql.DB // past the store
	text string  // that fills it
}

func sqliteShelf(t *testing.T) *shelf {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, AutoMigrate: true, Options: storage.Options{RevocationTTL: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	return newShelf(t, s, "sqlite", path+"?_pragma=busy_timeout(60000)", fillSQLite)
}

func postgresShelf(t *testing.T) *shelf {
	address := postgrestest.Start(t)
	s, err := postgres.Open(t.Context(), postgres.Options{URL: address, AutoMigrate: true, Options: storage.Options{RevocationTTL: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	return newShelf(t, s, "pgx", address, fillPostgres)
}

func newShelf(t *testing.T, store storage.Store, driver, source, text string) *shelf {
	t.Helper()
	t.Cleanup(func() { store.Close() })
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &shelf{Store: store, t: t, db: db, text: text}
}

// fill adds rows that expire at some time; every call makes other grants.
func (s *shelf) fill(rows int, expires time.Time) {
	s.t.Helper()
	if _, err := s.db.ExecContext(s.t.Context(), s.text, rows, expires.UnixMilli(), expires.UnixMicro()); err != nil {
		s.t.Fatal(err)
	}
}

// settle lets the engine finish what a large insert leaves behind.
func (s *shelf) settle() {
	s.t.Helper()
	text := `VACUUM ANALYZE tokens`
	if s.text == fillSQLite {
		text = `PRAGMA wal_checkpoint(TRUNCATE)`
	}
	if _, err := s.db.ExecContext(s.t.Context(), text); err != nil {
		s.t.Fatal(err)
	}
}

// token is a new token of a family.
func (s *shelf) token(kind storage.TokenKind, family string) *storage.Token {
	now := time.Now()
	return &storage.Token{Kind: kind, Signature: rand.Text() + rand.Text(), GrantID: family, ClientID: "client 1", Subject: "user 1", SessionID: "session 1",
		Payload: make([]byte, 150), Created: now, Expires: now.Add(time.Hour), GrantExpires: now.Add(time.Hour)}
}

// operations are what requests do with the store, each with what has to be there before; only the second part is measured.
func (s *shelf) operations(ctx context.Context) map[string]func() (measured func() error) {
	fresh := func(kind storage.TokenKind) *storage.Token {
		s.t.Helper()
		family, err := grant.NewGrantID(time.Now())
		if err != nil {
			s.t.Fatal(err)
		}
		t := s.token(kind, family)
		if err := s.CreateToken(ctx, t); err != nil {
			s.t.Fatal(err)
		}
		return t
	}
	exchange := func(kind storage.TokenKind) func() func() error {
		return func() func() error {
			t := fresh(kind)
			next := []*storage.Token{s.token(storage.TokenRefresh, t.GrantID), s.token(storage.TokenAccess, t.GrantID)}
			return func() error {
				if _, err := s.Token(ctx, kind, t.Signature); err != nil {
					return err
				}
				return s.ExchangeToken(ctx, kind, t.Signature, []byte("successor"), next...)
			}
		}
	}
	return map[string]func() func() error{
		"code exchange": exchange(storage.TokenCode),
		"refresh":       exchange(storage.TokenRefresh),
		"introspection": func() func() error {
			t := fresh(storage.TokenAccess)
			return func() error { _, err := s.Token(ctx, t.Kind, t.Signature); return err }
		},
		"revocation": func() func() error {
			t := fresh(storage.TokenRefresh)
			return func() error {
				_, err := s.RevokeTokens(ctx, storage.Revocation{Kind: storage.RevokeGrant, ID: t.GrantID})
				return err
			}
		},
		"purge of 50": func() func() error {
			s.fill(50, time.Now().Add(-time.Hour))
			return func() error {
				n, err := s.Purge(ctx, time.Now(), 50)
				if err == nil && n != 50 {
					s.t.Errorf("%d rows purged, want 50", n)
				}
				return err
			}
		},
	}
}

// No operation costs more because there are more tokens: a thousand and a million, measured in turn, so that both meet the same machine. What reads a
// table or an index from end to end costs hundreds of times as much; the bound leaves room for rows that do not share pages in a large table, which
// a purge of many rows on SQLite feels (twice the cost).
func TestSoakMillionRows(t *testing.T) {
	few, many, samples, bound := 200, 20_000, 25, 5.0
	if soakCount(0, 1) == 1 {
		few, many, samples, bound = 1000, 1_000_000, 500, 3.0
	}
	for engine, open := range map[string]func(*testing.T) *shelf{"SQLite": sqliteShelf, "PostgreSQL": postgresShelf} {
		t.Run(engine, func(t *testing.T) {
			small, large := open(t), open(t)
			for s, rows := range map[*shelf]int{small: few, large: many} {
				s.fill(rows, time.Now().Add(24*time.Hour))
				s.settle()
			}
			smalls, larges := small.operations(t.Context()), large.operations(t.Context())
			for name := range smalls {
				var a, b []time.Duration
				for range samples {
					a = append(a, timed(t, smalls[name]()))
					b = append(b, timed(t, larges[name]()))
				}
				x, y := middle(a), middle(b)
				ratio := float64(y) / float64(x)
				t.Logf("%s: %v at %d tokens, %v at %d: ratio %.2f", name, x, few, y, many, ratio)
				if ratio > bound {
					t.Errorf("%s costs %.1f times as much at %d tokens as at %d", name, ratio, many, few)
				}
			}
		})
	}
}

func timed(t *testing.T, do func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	return time.Since(begin)
}

func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
