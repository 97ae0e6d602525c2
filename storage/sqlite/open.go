package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/migrate"
	"gatehouse/storage/sqlstore"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Options say which file to open and how.
type Options struct {
	storage.Options
	// Path of the database file. It is created, readable by its owner only, if it is missing.
	Path string
	// AutoMigrate applies pending migrations. Without it a store that is behind is refused.
	AutoMigrate bool
	// Trace is called with the text of every statement except BEGIN, COMMIT and ROLLBACK; it may be nil.
	Trace func(query string)
}

// lockWait is how long a writer waits for the one before it, in this process or another.
const lockWait = 5 * time.Second

// dialect is what sqlstore must know about SQLite.
var dialect = sqlstore.Dialect{Row: "rowid", In: "%s IN (%s)", RandomID: "lower(hex(randomblob(16)))"}

// Open opens the store. An error says what is wrong with the file or what to do about its schema.
func Open(ctx context.Context, o Options) (*sqlstore.Store, error) {
	writer, err := connect(ctx, o.Path)
	if err != nil {
		return nil, err
	}
	runner, err := newRunner(&schema{db: writer})
	if err == nil {
		err = runner.Ready(ctx, o.AutoMigrate)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", o.Path, err), writer.Close())
	}
	db, err := newDB(ctx, writer, dsn(o.Path, "query_only(1)"), o.Trace)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Path, err)
	}
	return sqlstore.New(sqlstore.Options{Options: o.Options, DB: db, Dialect: dialect}), nil
}

// Migrations returns the runner of "gatehouse migrate" for a file; it is created if it is missing. The caller closes the runner.
func Migrations(ctx context.Context, path string) (*migrate.Runner, error) {
	db, err := connect(ctx, path)
	if err != nil {
		return nil, err
	}
	return newRunner(&schema{db: db, owned: true})
}

func newRunner(s *schema) (*migrate.Runner, error) {
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return migrate.New(migrate.Options{Database: s, Files: files})
}

// connect opens the writing connection, creating the file.
func connect(ctx context.Context, path string) (*sql.DB, error) {
	if path == "" || strings.HasPrefix(path, ":") {
		return nil, fmt.Errorf("open store: %q is not a file path (a store in memory is not supported)", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db, err := sql.Open(driverName, dsn(path, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "journal_size_limit(67108864)"))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	// Two processes that both turn a new file to WAL may find it locked without waiting: wait here.
	for start := time.Now(); ; {
		err = db.PingContext(ctx)
		if err == nil || !busy(err) || time.Since(start) > lockWait {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), db.Close())
	}
	return db, nil
}

// dsn is the driver's name for a file. The lock wait comes first, as the other pragmas may need it.
func dsn(path string, pragmas ...string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	q := url.Values{"_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", lockWait.Milliseconds())}, pragmas...)}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}

// readers is the size of the reading pool.
func readers() int { return max(4, runtime.GOMAXPROCS(0)) }
