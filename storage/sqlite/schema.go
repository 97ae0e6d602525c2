package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"gatehouse/storage/migrate"
)

// schema adapts the writing connection to the migration runner.
type schema struct {
	db    *sql.DB // one connection
	owned bool
}

const (
	selectRows = `SELECT version, name, checksum, applied FROM schema_migrations ORDER BY version`
	createRows = `CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
		applied BIGINT NOT NULL)`
	existsRows = `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'`
	insertRow  = `INSERT INTO schema_migrations (version, name, checksum, applied) VALUES ($1, $2, $3, $4)`
	deleteRow  = `DELETE FROM schema_migrations WHERE version = $1`
)

// Peek implements migrate.Database.
func (s *schema) Peek(ctx context.Context) ([]migrate.Row, error) {
	var tables int
	if err := s.db.QueryRowContext(ctx, existsRows).Scan(&tables); err != nil {
		return nil, fmt.Errorf("look for schema_migrations: %w", err)
	}
	if tables == 0 {
		return nil, nil
	}
	return readRows(ctx, s.db)
}

// Locked implements migrate.Database: BEGIN IMMEDIATE keeps every other writer out.
func (s *schema) Locked(ctx context.Context, do func(migrate.Tx) error) (err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("lock schema: %w", err)
	}
	defer func() { _ = conn.Close() }() // gives it back
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("lock schema: %w", err)
	}
	end := "ROLLBACK"
	defer func() {
		_, endErr := conn.ExecContext(context.WithoutCancel(ctx), end)
		if err == nil && endErr != nil {
			err = fmt.Errorf("commit schema: %w", endErr)
		}
	}()
	if err := do(schemaTx{conn}); err != nil {
		return err
	}
	end = "COMMIT"
	return nil
}

// Close implements migrate.Database.
func (s *schema) Close() error {
	if !s.owned {
		return nil
	}
	return s.db.Close()
}

// schemaTx implements migrate.Tx.
type schemaTx struct{ conn *sql.Conn }

func (t schemaTx) Rows(ctx context.Context) ([]migrate.Row, error) {
	if err := t.Script(ctx, createRows); err != nil {
		return nil, err
	}
	return readRows(ctx, t.conn)
}

func (t schemaTx) Script(ctx context.Context, text string) error {
	_, err := t.conn.ExecContext(ctx, text)
	return err
}

func (t schemaTx) Add(ctx context.Context, r migrate.Row) error {
	_, err := t.conn.ExecContext(ctx, insertRow, r.Version, r.Name, r.Checksum, r.Applied)
	return err
}

func (t schemaTx) Remove(ctx context.Context, version int) error {
	_, err := t.conn.ExecContext(ctx, deleteRow, version)
	return err
}

func readRows(ctx context.Context, q interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}) (all []migrate.Row, err error) {
	rows, err := q.QueryContext(ctx, selectRows)
	if err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", err)
	}
	defer func() { _ = rows.Close() }() // read to its end, or failed already
	for rows.Next() {
		var r migrate.Row
		if err := rows.Scan(&r.Version, &r.Name, &r.Checksum, &r.Applied); err != nil {
			return nil, fmt.Errorf("read schema_migrations: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}
