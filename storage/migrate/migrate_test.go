package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/storage/migrate"
)

// database is a store that remembers scripts. A failed Locked changes nothing.
type database struct {
	rows    []migrate.Row
	scripts []string
	closed  bool
}

type transaction struct{ *database }

func (d *database) Peek(context.Context) ([]migrate.Row, error) { return d.rows, nil }

func (d *database) Locked(_ context.Context, do func(migrate.Tx) error) error {
	work := &database{rows: slices.Clone(d.rows), scripts: slices.Clone(d.scripts)}
	if err := do(transaction{work}); err != nil {
		return err
	}
	d.rows, d.scripts = work.rows, work.scripts
	return nil
}

func (d *database) Close() error { d.closed = true; return nil }

func (t transaction) Rows(context.Context) ([]migrate.Row, error) { return slices.Clone(t.rows), nil }

func (t transaction) Script(_ context.Context, sql string) error {
	if strings.Contains(sql, "broken") {
		return errors.New("syntax error")
	}
	t.scripts = append(t.scripts, sql)
	return nil
}

func (t transaction) Add(_ context.Context, r migrate.Row) error {
	t.rows = append(t.rows, r)
	return nil
}

func (t transaction) Remove(_ context.Context, version int) error {
	t.rows = slices.DeleteFunc(t.rows, func(r migrate.Row) bool { return r.Version == version })
	return nil
}

// files makes migrations of "name" or "name=text".
func files(names ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	for i, name := range names {
		name, text, ok := strings.Cut(name, "=")
		if !ok {
			text = "up " + name
		}
		fs[fmt.Sprintf("%04d_%s.up.sql", i+1, name)] = &fstest.MapFile{Data: []byte(text)}
		fs[fmt.Sprintf("%04d_%s.down.sql", i+1, name)] = &fstest.MapFile{Data: []byte("down " + name)}
	}
	return fs
}

func runner(t *testing.T, db *database, files fstest.MapFS) *migrate.Runner {
	t.Helper()
	r, err := migrate.New(migrate.Options{Database: db, Files: files, Now: func() time.Time { return time.Unix(1, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestUpAppliesWhatIsPendingOnce(t *testing.T) {
	db := new(database)
	applied, err := runner(t, db, files("a")).Up(t.Context())
	equal(t, "first", fmt.Sprint(applied, err), "[0001_a] <nil>")
	r := runner(t, db, files("a", "b", "c"))
	states, err := r.Status(t.Context())
	equal(t, "status", fmt.Sprint(states, err), "[{1 a 1970-01-01 00:00:01 +0000 UTC} {2 b 0001-01-01 00:00:00 +0000 UTC} {3 c 0001-01-01 00:00:00 +0000 UTC}] <nil>")
	applied, err = r.Up(t.Context())
	equal(t, "later", fmt.Sprint(applied, err), "[0002_b 0003_c] <nil>")
	applied, err = r.Up(t.Context())
	equal(t, "again", fmt.Sprint(applied, err), "[] <nil>")
	equal(t, "scripts", db.scripts, "[up a up b up c]")
}

func TestUpIsAllOrNothing(t *testing.T) {
	db := new(database)
	_, err := runner(t, db, files("a", "b=broken", "c")).Up(t.Context())
	if err == nil || !strings.Contains(err.Error(), "0002_b") {
		t.Errorf("error %v does not name the migration", err)
	}
	equal(t, "scripts", len(db.scripts)+len(db.rows), 0)
}

func TestDownTakesBackNewestFirst(t *testing.T) {
	db := new(database)
	r := runner(t, db, files("a", "b", "c"))
	if _, err := r.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	reverted, err := r.Down(t.Context(), 1)
	equal(t, "reverted", fmt.Sprint(reverted, err), "[0003_c 0002_b] <nil>")
	equal(t, "scripts", db.scripts[3:], "[down c down b]")
	equal(t, "rows left", len(db.rows), 1)
	applied, err := r.Up(t.Context())
	equal(t, "up again", fmt.Sprint(applied, err), "[0002_b 0003_c] <nil>")
}

func TestSchemaFaultsSayWhatToDo(t *testing.T) {
	tests := []struct {
		name        string
		store, have fstest.MapFS
		want        error
		advice      []string
	}{
		{"Behind", files("a"), files("a", "b"), migrate.ErrBehind, []string{"0002_b", "gatehouse migrate up"}},
		{"Empty", files(), files("a"), migrate.ErrBehind, []string{"0001_a", "gatehouse migrate up"}},
		{"Ahead", files("a", "b"), files("a"), migrate.ErrAhead, []string{"0002_b", "newer version", "backup"}},
		{"Edited", files("a=one", "b"), files("a=two", "b"), migrate.ErrEdited, []string{"0001_a", "put its file back"}},
		{"Renamed", files("a", "b"), files("a", "c=up b"), migrate.ErrEdited, []string{"0002_b"}},
		{"Same", files("a", "b"), files("a", "b"), nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			db := new(database)
			if _, err := runner(t, db, test.store).Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			r, before := runner(t, db, test.have), len(db.scripts)
			err := r.Ready(t.Context(), false)
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			for _, words := range test.advice {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("error %q does not say %q", err, words)
				}
			}
			err = r.Ready(t.Context(), true)
			if curable := test.want == nil || test.want == migrate.ErrBehind; curable != (err == nil) {
				t.Errorf("with auto: error %v", err)
			}
			if err != nil && len(db.scripts) != before {
				t.Error("a refused store was changed")
			}
		})
	}
}

func TestFilesMustBeWhole(t *testing.T) {
	gap := files("a", "b", "c")
	delete(gap, "0002_b.up.sql")
	oneWay := files("a")
	delete(oneWay, "0001_a.down.sql")
	for name, fs := range map[string]fstest.MapFS{"Gap": gap, "OneWay": oneWay, "Name": {"1_a.up.sql": &fstest.MapFile{}}} {
		t.Run(name, func(t *testing.T) {
			db := new(database)
			if _, err := migrate.New(migrate.Options{Database: db, Files: fs}); err == nil {
				t.Error("accepted")
			}
			if !db.closed {
				t.Error("the database stays open")
			}
		})
	}
}
