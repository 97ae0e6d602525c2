package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"gatehouse/storage"
	"gatehouse/storage/sqlstore"
)

// SQLSTATE codes that mean something to the store.
const (
	uniqueViolation      = "23505"
	foreignKeyViolation  = "23503"
	unstorableText       = "22021" // a NUL or bytes that are not UTF-8
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03" // the lock timeout, which may end a deadlock before it is detected
)

// patience bounds a call whose context has no deadline: the statement timeout of the server ends a statement earlier, this a lost connection.
const patience = 5 * time.Second

// db implements sqlstore.DB.
type db struct {
	pool  *pgxpool.Pool
	trace func(string)
}

func newDB(pool *pgxpool.Pool, trace func(string)) *db {
	if trace == nil {
		trace = func(string) {}
	}
	return &db{pool, trace}
}

// acquire takes a connection, as long as the caller waits for it.
func (d *db) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault("connect", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, fault("connect", err)
	}
	return conn, nil
}

// detach drops the caller's cancellation: a cancelled statement would cost the connection, and leave open whether a write was done.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}

// Exec implements sqlstore.Query.
func (d *db) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	return query{conn, d.trace}.Exec(ctx, text, args...)
}

// One implements sqlstore.Query.
func (d *db) One(ctx context.Context, text string, args []any, dest ...any) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return query{conn, d.trace}.One(ctx, text, args, dest...)
}

// Each implements sqlstore.Query.
func (d *db) Each(ctx context.Context, text string, args []any, row func(sqlstore.Scan) error) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return query{conn, d.trace}.Each(ctx, text, args, row)
}

// Tx implements sqlstore.DB.
func (d *db) Tx(ctx context.Context, do func(sqlstore.Query) error) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // closes a connection that is still in a transaction
	if err := control(ctx, conn, "BEGIN"); err != nil {
		return fault("begin", err)
	}
	open := true
	defer func() {
		if open {
			_ = control(ctx, conn, "ROLLBACK") // a broken connection has rolled back by itself
		}
	}()
	if err := do(query{conn, d.trace}); err != nil {
		return err
	}
	open = false
	return fault("commit", control(ctx, conn, "COMMIT"))
}

// control runs a transaction statement. PostgreSQL answers a COMMIT of a failed transaction with ROLLBACK.
func control(ctx context.Context, conn *pgxpool.Conn, text string) error {
	ctx, cancel := detach(ctx)
	defer cancel()
	tag, err := conn.Exec(ctx, text)
	if err == nil && tag.String() != text {
		err = errors.New(text + " was answered with " + tag.String())
	}
	return err
}

// Retryable implements sqlstore.DB.
func (d *db) Retryable(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code == serializationFailure || e.Code == deadlockDetected || e.Code == lockNotAvailable
	}
	return pgconn.SafeToRetry(err)
}

// Close implements sqlstore.DB. It waits for statements that are running.
func (d *db) Close() error {
	d.pool.Close()
	return nil
}

// query implements sqlstore.Query on one connection.
type query struct {
	conn  *pgxpool.Conn
	trace func(string)
}

// Exec implements sqlstore.Query.
func (q query) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	q.trace(text)
	ctx, cancel := detach(ctx)
	defer cancel()
	tag, err := q.conn.Exec(ctx, text, args...)
	return tag.RowsAffected(), fault("write", err)
}

// One implements sqlstore.Query.
func (q query) One(ctx context.Context, text string, args []any, dest ...any) error {
	q.trace(text)
	ctx, cancel := detach(ctx)
	defer cancel()
	return fault("read", q.conn.QueryRow(ctx, text, args...).Scan(dest...))
}

// Each implements sqlstore.Query.
func (q query) Each(ctx context.Context, text string, args []any, row func(sqlstore.Scan) error) error {
	q.trace(text)
	ctx, cancel := detach(ctx)
	defer cancel()
	rows, err := q.conn.Query(ctx, text, args...)
	if err != nil {
		return fault("read", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(func(dest ...any) error { return fault("read", rows.Scan(dest...)) }); err != nil {
			return err
		}
	}
	return fault("read", rows.Err())
}

// fault turns the driver's error into the store's.
func fault(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return storage.ErrNotFound
	}
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code {
		case uniqueViolation:
			return &sqlstore.Conflict{Constraint: e.ConstraintName, Cause: err}
		case foreignKeyViolation:
			return storage.ErrNotFound
		case unstorableText:
			return fmt.Errorf("%s: %w: %w: %w", what, storage.ErrUnavailable, sqlstore.ErrUnstorable, err)
		}
	}
	return fmt.Errorf("%s: %w: %w", what, storage.ErrUnavailable, err)
}
