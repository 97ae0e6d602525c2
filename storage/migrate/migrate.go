package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// What can be wrong with a store's schema; the error texts say what to do.
var (
	// ErrBehind says that migrations are pending.
	ErrBehind = errors.New("the store's schema is older than this program: run gatehouse migrate up")
	// ErrAhead says that the store was migrated by a newer program.
	ErrAhead = errors.New("the store's schema is newer than this program: run the newer version of gatehouse, or restore a backup from before the upgrade")
	// ErrEdited says that a migration's file is not what was applied.
	ErrEdited = errors.New("a migration was changed after it was applied: put its file back as it was, and make the change in a new migration")
)

// Row is a remembered migration.
type Row struct {
	Version  int
	Name     string
	Checksum string
	Applied  int64 // microseconds since 1970
}

// Tx is the runner's transaction.
type Tx interface {
	// Rows creates the table schema_migrations if it is missing and returns its rows in order of version.
	Rows(ctx context.Context) ([]Row, error)
	// Script runs SQL of several statements.
	Script(ctx context.Context, sql string) error
	// Add and Remove write one row of schema_migrations.
	Add(ctx context.Context, r Row) error
	Remove(ctx context.Context, version int) error
}

// Database is a connection to a store, as its engine adapts it.
type Database interface {
	// Peek returns the rows of schema_migrations without a lock, none if the table is missing.
	Peek(ctx context.Context) ([]Row, error)
	// Locked runs do in one transaction that excludes every other Locked on the store, in any process, and commits if do returns nil.
	Locked(ctx context.Context, do func(Tx) error) error
	Close() error
}

// Options are what a Runner is made of.
type Options struct {
	Database Database
	Files    fs.FS
	// Now stamps what is applied; nil means time.Now.
	Now func() time.Time
}

// Runner migrates one store.
type Runner struct {
	db  Database
	all []migration
	now func() time.Time
}

// State is a migration and whether it has been applied.
type State struct {
	Version int
	Name    string
	Applied time.Time // zero: pending
}

// New reads the migrations and returns a runner, which owns the database from then on, also if it fails.
func New(o Options) (*Runner, error) {
	all, err := read(o.Files)
	if err != nil {
		return nil, errors.Join(err, o.Database.Close())
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Runner{db: o.Database, all: all, now: o.Now}, nil
}

// Up applies what is pending, all of it or nothing, and returns the names of what it applied. Of runners that start together one does the
// work and the others find it done.
func (r *Runner) Up(ctx context.Context) (applied []string, err error) {
	err = r.db.Locked(ctx, func(tx Tx) error {
		applied = nil
		rows, err := tx.Rows(ctx)
		if err != nil {
			return err
		}
		if err := r.compare(rows); err != nil {
			return err
		}
		for _, m := range r.all[len(rows):] {
			if err := tx.Script(ctx, m.up); err != nil {
				return fmt.Errorf("apply migration %s: %w", m.label(), err)
			}
			if err := tx.Add(ctx, Row{m.version, m.name, m.checksum, r.now().UnixMicro()}); err != nil {
				return fmt.Errorf("record migration %s: %w", m.label(), err)
			}
			applied = append(applied, m.label())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return applied, nil
}

// Down takes migrations back, newest first, until version is the newest one left; 0 takes all back, with all data. It returns the names.
func (r *Runner) Down(ctx context.Context, version int) (reverted []string, err error) {
	err = r.db.Locked(ctx, func(tx Tx) error {
		reverted = nil
		rows, err := tx.Rows(ctx)
		if err != nil {
			return err
		}
		if err := r.compare(rows); err != nil {
			return err
		}
		for n := len(rows); n > max(version, 0); n-- {
			m := r.all[n-1]
			if err := tx.Script(ctx, m.down); err != nil {
				return fmt.Errorf("take back migration %s: %w", m.label(), err)
			}
			if err := tx.Remove(ctx, m.version); err != nil {
				return fmt.Errorf("forget migration %s: %w", m.label(), err)
			}
			reverted = append(reverted, m.label())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reverted, nil
}

// Status lists every migration that the program or the store knows.
func (r *Runner) Status(ctx context.Context) ([]State, error) {
	rows, err := r.db.Peek(ctx)
	if err != nil {
		return nil, err
	}
	states := make([]State, 0, max(len(rows), len(r.all)))
	for _, row := range rows {
		states = append(states, State{row.Version, row.Name, time.UnixMicro(row.Applied).UTC()})
	}
	for _, m := range r.all[min(len(rows), len(r.all)):] {
		states = append(states, State{Version: m.version, Name: m.name})
	}
	return states, nil
}

// Check returns nil if the store's schema is the program's, and ErrBehind, ErrAhead or ErrEdited with the names if it is not.
func (r *Runner) Check(ctx context.Context) error {
	rows, err := r.db.Peek(ctx)
	if err != nil {
		return err
	}
	if err := r.compare(rows); err != nil {
		return err
	}
	if len(rows) < len(r.all) {
		return fmt.Errorf("pending from %s on: %w", r.all[len(rows)].label(), ErrBehind)
	}
	return nil
}

// Ready makes the schema the program's if auto is set, and only checks it otherwise. A schema that is right already costs one read.
func (r *Runner) Ready(ctx context.Context, auto bool) error {
	err := r.Check(ctx)
	if auto && errors.Is(err, ErrBehind) {
		_, err = r.Up(ctx)
	}
	return err
}

// compare checks that what was applied is a beginning of what the program knows.
func (r *Runner) compare(rows []Row) error {
	for i, row := range rows {
		if i >= len(r.all) {
			return fmt.Errorf("migration %s is not known here: %w", label(row.Version, row.Name), ErrAhead)
		}
		m := r.all[i]
		if row.Version != m.version || row.Name != m.name || row.Checksum != m.checksum {
			return fmt.Errorf("migration %s was applied with checksum %.12s, its file has %.12s: %w", label(row.Version, row.Name), row.Checksum,
				m.checksum, ErrEdited)
		}
	}
	return nil
}

// Close releases the connection.
func (r *Runner) Close() error { return r.db.Close() }
