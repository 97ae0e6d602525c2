package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
	"gatehouse/storage/sqlite"
	"gatehouse/storage/sqlite/sqlitetest"
	"gatehouse/storage/sqlstore"
)

// engine is a store under test with a record of the statements it ran and a way to ask the database how it runs them.
type engine struct {
	*sqlstore.Store
	// explain returns the plan of a statement, one step a line.
	explain func(t testing.TB, text string) string

	// analyze brings the planner's statistics up to date.
	analyze func(t testing.TB)

	mu    sync.Mutex
	texts []string
}

func (e *engine) trace(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.texts = append(e.texts, text)
}

// during returns the statements that do runs.
func (e *engine) during(do func()) []string {
	e.mu.Lock()
	e.texts = nil
	e.mu.Unlock()
	do()
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.texts)
}

// engines are the ways to open a fresh store.
var engines = map[string]func(testing.TB) *engine{"SQLite": openSQLite, "PostgreSQL": openPostgres}

// onEngines runs a test on each engine.
func onEngines(t *testing.T, test func(*testing.T, *engine)) {
	for name, open := range engines {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func openSQLite(t testing.TB) *engine {
	t.Helper()
	e, path := new(engine), sqlitetest.Migrated(t)
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, AutoMigrate: true, Trace: e.trace})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	e.Store = s
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	e.explain = func(t testing.TB, text string) string { return explainSQLite(t, db, text) }
	e.analyze = func(testing.TB) {} // SQLite keeps no statistics unless told to
	return e
}

func explainSQLite(t testing.TB, db *sql.DB, text string) string {
	t.Helper()
	rows, err := db.Query("EXPLAIN QUERY PLAN "+text, make([]any, parameters(text))...)
	if err != nil {
		t.Fatalf("explain %s: %v", text, err)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var (
			id, parent, unused int
			step               string
		)
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(step + "\n")
	}
	return plan.String()
}

func openPostgres(t testing.TB) *engine {
	t.Helper()
	e, url := new(engine), postgrestest.StartMigrated(t)
	s, err := postgres.Open(t.Context(), postgres.Options{URL: url, AutoMigrate: true, Trace: e.trace})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	e.Store = s
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	// As package postgres sets them.
	if _, err := conn.Exec(t.Context(), `SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
		SET enable_mergejoin = off; SET cpu_tuple_cost = 1; SET cpu_index_tuple_cost = 1`); err != nil {
		t.Fatal(err)
	}
	e.explain = func(t testing.TB, text string) string { return explainPostgres(t, conn, text) }
	e.analyze = func(t testing.TB) {
		if _, err := conn.Exec(t.Context(), "VACUUM ANALYZE"); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func explainPostgres(t testing.TB, conn *pgx.Conn, text string) string {
	t.Helper()
	if _, err := conn.Exec(t.Context(), "DEALLOCATE ALL; PREPARE it AS "+text); err != nil {
		t.Fatalf("prepare %s: %v", text, err)
	}
	execute := "EXPLAIN EXECUTE it"
	if n := parameters(text); n > 0 {
		execute += "(NULL" + strings.Repeat(", NULL", n-1) + ")"
	}
	rows, err := conn.Query(t.Context(), execute, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("explain %s: %v", text, err)
	}
	return strings.Join(plan, "\n")
}

// parameters counts $1, $2... of a statement.
func parameters(text string) int {
	n := 0
	for strings.Contains(text, fmt.Sprintf("$%d", n+1)) {
		n++
	}
	return n
}
