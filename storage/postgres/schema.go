package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/storage/migrate"
)

// schema adapts a connection to the migration runner.
type schema struct{ conn *pgx.Conn }

const (
	// lockSchema is held until the transaction ends. The number is the first bytes of SHA-256("gatehouse migrations").
	lockSchema = `SELECT pg_advisory_xact_lock(8708953229601950140)`
	selectRows = `SELECT version, name, checksum, applied FROM schema_migrations ORDER BY version`
	// existsRows asks the catalogue's table: to_regclass may answer from a cache that is older than the lock, when another node has just made the table.
	existsRows = `SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE tablename = 'schema_migrations' AND schemaname = ANY (current_schemas(false)))`
	createRows = `CREATE TABLE schema_migrations (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied BIGINT NOT NULL)`
	insertRow  = `INSERT INTO schema_migrations (version, name, checksum, applied) VALUES ($1, $2, $3, $4)`
	deleteRow  = `DELETE FROM schema_migrations WHERE version = $1`
)

// rowQuery is what a connection and a transaction share.
type rowQuery interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Peek implements migrate.Database.
func (s *schema) Peek(ctx context.Context) ([]migrate.Row, error) {
	rows, _, err := readRows(ctx, s.conn)
	return rows, err
}

func readRows(ctx context.Context, q rowQuery) (rows []migrate.Row, exists bool, err error) {
	if err := q.QueryRow(ctx, existsRows).Scan(&exists); err != nil || !exists {
		return nil, false, wrap("look for schema_migrations", err)
	}
	answer, err := q.Query(ctx, selectRows)
	if err == nil {
		rows, err = pgx.CollectRows(answer, pgx.RowToStructByPos[migrate.Row])
	}
	return rows, true, wrap("read schema_migrations", err)
}

// Locked implements migrate.Database. The transaction has no statement timeout: a migration may take long.
func (s *schema) Locked(ctx context.Context, do func(migrate.Tx) error) error {
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return wrap("begin", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after a commit it does nothing
	if _, err := tx.Exec(ctx, lockSchema); err != nil {
		return wrap("lock schema", err)
	}
	if err := do(schemaTx{tx}); err != nil {
		return err
	}
	return wrap("commit schema", tx.Commit(ctx))
}

// Close implements migrate.Database.
func (s *schema) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return s.conn.Close(ctx)
}

// schemaTx implements migrate.Tx.
type schemaTx struct{ tx pgx.Tx }

func (t schemaTx) Rows(ctx context.Context) ([]migrate.Row, error) {
	rows, exists, err := readRows(ctx, t.tx)
	if err == nil && !exists {
		err = t.Script(ctx, createRows)
	}
	return rows, err
}

// Script goes below the prepared statements, which take one statement each.
func (t schemaTx) Script(ctx context.Context, text string) error {
	return t.tx.Conn().PgConn().Exec(ctx, text).Close()
}

func (t schemaTx) Add(ctx context.Context, r migrate.Row) error {
	_, err := t.tx.Exec(ctx, insertRow, r.Version, r.Name, r.Checksum, r.Applied)
	return err
}

func (t schemaTx) Remove(ctx context.Context, version int) error {
	_, err := t.tx.Exec(ctx, deleteRow, version)
	return err
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
