package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gatehouse/storage"
)

// Scan copies the columns of the current row into dest.
type Scan func(dest ...any) error

// ErrUnstorable says that a text holds bytes that the engine cannot store. Such a value is in no row.
var ErrUnstorable = errors.New("text cannot be stored")

// Query runs statements. Outside of a transaction One and Each only read; a statement that writes goes through Exec or a transaction.
//
// An adapter returns storage.ErrNotFound where One has no row and where a foreign key has no target, *Conflict for a taken unique key, and everything
// else wrapped in storage.ErrUnavailable; in ErrUnstorable too if a parameter holds bytes that the engine's text cannot hold.
type Query interface {
	// Exec runs a statement and returns how many rows it wrote.
	Exec(ctx context.Context, text string, args ...any) (int64, error)
	// One scans the first row of the answer into dest.
	One(ctx context.Context, text string, args []any, dest ...any) error
	// Each calls row for every row of the answer. An error of row ends it and is returned as it is.
	Each(ctx context.Context, text string, args []any, row func(Scan) error) error
}

// DB is a database behind an engine's adapter. A cancelled context stops a call before its first statement only: once a write is on its way
// its outcome is waited for, so that a caller never has to guess.
type DB interface {
	Query
	// Tx runs do in a transaction that can write, and commits if it returns nil. An error of do is returned as it is.
	Tx(ctx context.Context, do func(Query) error) error
	// Retryable tells whether err says that the database undid the work for reasons of concurrency, so that doing it again may succeed.
	Retryable(err error) bool
	Close() error
}

// Dialect is what the engines do not share.
type Dialect struct {
	// Lock ends a SELECT whose rows the transaction will change; SkipLocked one that leaves rows in use alone. Empty where writers exclude one
	// another anyway.
	Lock, SkipLocked string
	// Queue is a statement after which a transaction is the only one of those that ran it, until it ends. Empty where writers exclude one another anyway.
	Queue string
	// Row names a row's place in its table, and In is the text of "%s is one of the rows of %s", written so that the planner looks rows up one by one,
	// whatever it believes about the size of the table.
	Row, In string
	// RandomID is an expression for 128 random bits in hex, another one in each row.
	RandomID string
	// WritingCTE says that WITH may hold an UPDATE ... RETURNING.
	WritingCTE bool
}

// Conflict is a violated unique constraint.
type Conflict struct {
	Constraint string // the constraint's name, or table.column
	Cause      error
}

func (e *Conflict) Error() string { return "unique key taken: " + e.Constraint }

func (e *Conflict) Unwrap() error { return e.Cause }

// Options are what a Store is made of.
type Options struct {
	storage.Options
	DB      DB
	Dialect Dialect
}

// Store implements storage.Store on a DB.
type Store struct {
	db      DB
	dialect Dialect
	clock   func() time.Time
	ttl     time.Duration
}

var _ storage.Store = (*Store)(nil)

// New returns a store on an open and migrated database.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{db: o.DB, dialect: o.Dialect, clock: o.Now, ttl: o.RevocationTTL}
}

// now is the clock at the precision of the store.
func (s *Store) now() time.Time { return trim(s.clock()) }

// attempts and patience bound how often and for how long work is done again that the database undid.
const (
	attempts = 6
	patience = 2 * time.Second
)

// again repeats work that the database undid, after a short random wait that grows.
func (s *Store) again(ctx context.Context, work func() error) error {
	for n, start := 1, time.Now(); ; n++ {
		err := work()
		if err == nil || n == attempts || time.Since(start) > patience || !s.db.Retryable(err) {
			return err
		}
		wait := time.NewTimer(rand.N(time.Duration(n) * 10 * time.Millisecond))
		select {
		case <-ctx.Done():
			wait.Stop()
			return err
		case <-wait.C:
		}
	}
}

// exec runs one writing statement.
func (s *Store) exec(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = s.again(ctx, func() error {
		n, err = s.db.Exec(ctx, text, args...)
		return taken(err)
	})
	return n, err
}

// tx runs do in a transaction. do may be called more than once and must start afresh each time.
func (s *Store) tx(ctx context.Context, do func(Query) error) error {
	return s.again(ctx, func() error { return taken(s.db.Tx(ctx, do)) })
}

// unavailable wraps what is no other sentinel.
func unavailable(what string, err error) error {
	return fmt.Errorf("%s: %w: %w", what, storage.ErrUnavailable, err)
}

// list collects the rows of a SELECT.
func list[T any](ctx context.Context, q Query, read func(Scan) (T, error), text string, args ...any) ([]T, error) {
	var all []T
	err := q.Each(ctx, text, args, func(scan Scan) error {
		row, err := read(scan)
		all = append(all, row)
		return err
	})
	if err != nil && !errors.Is(err, ErrUnstorable) {
		return nil, err
	}
	return all, nil
}

// one reads one row.
func one[T any](ctx context.Context, q Query, read func(Scan) (T, error), text string, args ...any) (T, error) {
	return read(func(dest ...any) error { return only(ctx, q, text, args, dest...) })
}

// only scans one row; what cannot be stored is not found.
func only(ctx context.Context, q Query, text string, args []any, dest ...any) error {
	err := q.One(ctx, text, args, dest...)
	if errors.Is(err, ErrUnstorable) {
		return storage.ErrNotFound
	}
	return err
}

// found turns a change of no row into ErrNotFound.
func found(n int64, err error) error {
	if err == nil && n == 0 {
		return storage.ErrNotFound
	}
	return err
}

// update runs one statement that changes rows that exist; what cannot be stored changes none.
func (s *Store) update(ctx context.Context, text string, args ...any) (int64, error) {
	n, err := s.exec(ctx, text, args...)
	if errors.Is(err, ErrUnstorable) {
		return 0, nil
	}
	return n, err
}
