package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"gatehouse/storage"
	"gatehouse/storage/sqlstore"
)

// driverName is what package modernc.org/sqlite calls itself.
const driverName = "sqlite"

// db implements sqlstore.DB. Statements run with contexts that cannot be cancelled: they are short, bounded by the lock wait, and a context with
// a Done channel costs a goroutine each.
type db struct {
	trace  func(string)
	reader *sql.DB
	reads  sync.Map // text -> *sql.Stmt

	writer *sql.DB // the one connection behind conn
	turn   chan struct{}
	conn   *sql.Conn            // whoever holds turn
	writes map[string]*sql.Stmt // whoever holds turn
}

// newDB takes over writer, a pool of one connection; it closes it if it fails.
func newDB(ctx context.Context, writer *sql.DB, readDSN string, trace func(string)) (*db, error) {
	reader, err := sql.Open(driverName, readDSN)
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	reader.SetMaxOpenConns(readers())
	reader.SetMaxIdleConns(readers())
	conn, err := writer.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, reader.Close(), writer.Close())
	}
	if trace == nil {
		trace = func(string) {}
	}
	return &db{trace: trace, reader: reader, writer: writer, turn: make(chan struct{}, 1), conn: conn, writes: make(map[string]*sql.Stmt)}, nil
}

// acquire waits for the writer's turn.
func (d *db) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault("wait for the writer", err)
	}
	select {
	case d.turn <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(lockWait)
	defer wait.Stop()
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault("wait for the writer", ctx.Err())
	case <-wait.C:
		return fault("wait for the writer", errors.New("too many writers are waiting"))
	}
}

func (d *db) release() { <-d.turn }

// Exec implements sqlstore.Query.
func (d *db) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	if err := d.acquire(ctx); err != nil {
		return 0, err
	}
	defer d.release()
	return (*tx)(d).Exec(ctx, text, args...)
}

// Tx implements sqlstore.DB.
func (d *db) Tx(ctx context.Context, do func(sqlstore.Query) error) error {
	if err := d.acquire(ctx); err != nil {
		return err
	}
	defer d.release()
	if err := d.control("BEGIN IMMEDIATE"); err != nil {
		return fault("begin", err)
	}
	open := true
	defer func() {
		if open {
			_ = d.control("ROLLBACK") // SQLite may have rolled back by itself
		}
	}()
	if err := do((*tx)(d)); err != nil {
		return err
	}
	if err := d.control("COMMIT"); err != nil {
		return fault("commit", err)
	}
	open = false
	return nil
}

// control runs a transaction statement.
func (d *db) control(text string) error {
	stmt, err := d.write(text)
	if err == nil {
		_, err = stmt.Exec()
	}
	return err
}

// write returns the prepared statement of a text for the writer.
func (d *db) write(text string) (*sql.Stmt, error) {
	if stmt := d.writes[text]; stmt != nil {
		return stmt, nil
	}
	stmt, err := d.conn.PrepareContext(context.Background(), text)
	if err == nil {
		d.writes[text] = stmt
	}
	return stmt, err
}

// read returns the prepared statement of a text for the readers.
func (d *db) read(ctx context.Context, text string) (*sql.Stmt, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault("read", err)
	}
	d.trace(text)
	if stmt, ok := d.reads.Load(text); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := d.reader.Prepare(text)
	if err != nil {
		return nil, fault("prepare", err)
	}
	if other, loaded := d.reads.LoadOrStore(text, stmt); loaded {
		_ = stmt.Close() // prepared twice at the same moment
		return other.(*sql.Stmt), nil
	}
	return stmt, nil
}

// One implements sqlstore.Query.
func (d *db) One(ctx context.Context, text string, args []any, dest ...any) error {
	stmt, err := d.read(ctx, text)
	if err != nil {
		return err
	}
	return fault("read", stmt.QueryRow(args...).Scan(dest...))
}

// Each implements sqlstore.Query.
func (d *db) Each(ctx context.Context, text string, args []any, row func(sqlstore.Scan) error) error {
	stmt, err := d.read(ctx, text)
	if err != nil {
		return err
	}
	return each(stmt, args, row)
}

func each(stmt *sql.Stmt, args []any, row func(sqlstore.Scan) error) error {
	rows, err := stmt.Query(args...)
	if err != nil {
		return fault("read", err)
	}
	defer func() { _ = rows.Close() }() // read to its end, or failed already
	for rows.Next() {
		if err := row(func(dest ...any) error { return fault("read", rows.Scan(dest...)) }); err != nil {
			return err
		}
	}
	return fault("read", rows.Err())
}

// Retryable implements sqlstore.DB: the one writer has nobody to collide with, and SQLite waits for other processes by itself.
func (d *db) Retryable(error) bool { return false }

// Close implements sqlstore.DB. The writer closes last: it folds the write-ahead log into the file.
func (d *db) Close() error {
	if err := d.acquire(context.Background()); err != nil {
		return err
	}
	defer d.release()
	if err := errors.Join(d.reader.Close(), d.conn.Close(), d.writer.Close()); err != nil {
		return fault("close", err)
	}
	return nil
}

// tx is the writer in the hands of whoever holds the turn.
type tx db

// Exec implements sqlstore.Query.
func (t *tx) Exec(_ context.Context, text string, args ...any) (int64, error) {
	t.trace(text)
	stmt, err := (*db)(t).write(text)
	if err != nil {
		return 0, fault("prepare", err)
	}
	result, err := stmt.Exec(args...)
	if err != nil {
		return 0, fault("write", err)
	}
	n, err := result.RowsAffected()
	return n, fault("write", err)
}

// One implements sqlstore.Query.
func (t *tx) One(_ context.Context, text string, args []any, dest ...any) error {
	t.trace(text)
	stmt, err := (*db)(t).write(text)
	if err != nil {
		return fault("prepare", err)
	}
	return fault("read", stmt.QueryRow(args...).Scan(dest...))
}

// Each implements sqlstore.Query.
func (t *tx) Each(_ context.Context, text string, args []any, row func(sqlstore.Scan) error) error {
	t.trace(text)
	stmt, err := (*db)(t).write(text)
	if err != nil {
		return fault("prepare", err)
	}
	return each(stmt, args, row)
}

// fault turns the driver's error into the store's.
func fault(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return storage.ErrNotFound
	}
	var e *driver.Error
	if errors.As(err, &e) {
		switch e.Code() {
		case codes.SQLITE_CONSTRAINT_UNIQUE, codes.SQLITE_CONSTRAINT_PRIMARYKEY:
			_, columns, _ := strings.Cut(e.Error(), "UNIQUE constraint failed: ")
			return &sqlstore.Conflict{Constraint: columns, Cause: err}
		case codes.SQLITE_CONSTRAINT_FOREIGNKEY:
			return storage.ErrNotFound
		}
	}
	return fmt.Errorf("%s: %w: %w", what, storage.ErrUnavailable, err)
}

// busy tells whether the file was locked.
func busy(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code()&0xff == codes.SQLITE_BUSY
}
