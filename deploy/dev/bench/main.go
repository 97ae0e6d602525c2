// Command bench is `make bench`: it starts the built program on SQLite and on a PostgreSQL cluster of its own, measures how soon it is ready and
// how much memory it takes, runs `gatehouse bench` against it, and shows that no operation gets dearer when the tables are full. It prints tables, leaves
// JSON and charts in a folder, and fails if a promise is broken.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"

	"gatehouse/provider/bench"
	"gatehouse/storage/postgres/postgrestest"
)

// The promises that `gatehouse bench` does not know.
const (
	readyEmpty    = time.Second
	readyExisting = 300 * time.Millisecond
	idleMemory    = 45 << 20
	// An operation may get this much dearer from a thousand to a million rows before it counts as growing: two runs of the same differ by half of it.
	growth = 1.25
)

type settings struct {
	bin, store, out string
	duration        time.Duration
	workers, rows   int
}

func main() {
	var s settings
	flag.StringVar(&s.bin, "bin", "bin/gatehouse", "the built program")
	flag.StringVar(&s.store, "store", "all", "sqlite, postgres or all")
	flag.StringVar(&s.out, "out", "tmp/bench", "folder for JSON and charts")
	flag.DurationVar(&s.duration, "duration", 5*time.Second, "time for each operation")
	flag.IntVar(&s.workers, "workers", 4, "requests at a time")
	flag.IntVar(&s.rows, "rows", 1_000_000, "stored tokens for the comparison with 1,000; 0 leaves it out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (s settings) run(ctx context.Context) (err error) {
	if s.bin, err = filepath.Abs(s.bin); err != nil {
		return err
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	var broken []error
	if s.store != "postgres" {
		broken = append(broken, s.sqlite(ctx))
	}
	if s.store != "sqlite" {
		broken = append(broken, s.postgres(ctx))
	}
	return errors.Join(broken...)
}

func (s settings) sqlite(ctx context.Context) error {
	fmt.Println("== SQLite")
	return s.measure(ctx, server{bin: s.bin, storage: "sqlite:gatehouse.db"}, "sqlite", nil)
}

func (s settings) postgres(ctx context.Context) (err error) {
	fmt.Println("\n== PostgreSQL (fsync on)")
	cluster, err := postgrestest.New(postgrestest.Options{Durable: true})
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	url, _, err := cluster.Database(ctx)
	if err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	v := server{bin: s.bin, storage: url, database: cluster.PID()}
	full := func(srv *server) error { return s.fullTables(ctx, srv, url) }
	if s.rows == 0 {
		full = nil
	}
	return s.measure(ctx, v, "postgres", full)
}

// measure is everything about one store. Costs are promised for PostgreSQL; on SQLite, whose fsync runs in the server's own process, they are told.
func (s settings) measure(ctx context.Context, v server, name string, more func(*server) error) (err error) {
	if v.dir, err = os.MkdirTemp("", "gatehouse-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(v.dir)) }()
	if err := v.configure(); err != nil {
		return err
	}
	first, err := v.start(ctx)
	if err != nil {
		return err
	}
	if err := v.stop(); err != nil {
		return err
	}
	second, err := v.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.stop()) }()
	fmt.Printf("ready after %d ms on an empty store, %d ms on an existing one\n", first.Milliseconds(), second.Milliseconds())
	var broken []error
	if first > readyEmpty || second > readyExisting {
		broken = append(broken, fmt.Errorf("%s: ready after %v and %v, promised are %v and %v", name, first, second, readyEmpty, readyExisting))
	}
	report, err := s.bench(ctx, &v, name)
	if err != nil {
		return err
	}
	if report.IdleRSS > idleMemory {
		broken = append(broken, fmt.Errorf("%s: %d bytes resident when idle, promised are %d", name, report.IdleRSS, idleMemory))
	}
	broken = append(broken, judge(report, name, v.database != 0))
	if more != nil {
		broken = append(broken, more(&v))
	}
	return errors.Join(broken...)
}

// judge turns what failed into an error; whether costs count is the caller's to say.
func judge(report *bench.Report, name string, costs bool) error {
	var broken []error
	for _, r := range report.Results {
		if r.Errors > 0 {
			broken = append(broken, fmt.Errorf("%s: %s: %s", name, r.Operation, r.FirstError))
		}
	}
	if failed := report.Failed(); costs && len(broken) == 0 && len(failed) > 0 {
		broken = append(broken, fmt.Errorf("%s: %q", name, failed))
	}
	return errors.Join(broken...)
}

// bench runs `gatehouse bench` as an operator would and reads its report.
func (s settings) bench(ctx context.Context, v *server, name string, operations ...string) (*bench.Report, error) {
	base := filepath.Join(s.out, name)
	report, err := filepath.Abs(base + ".json")
	if err != nil {
		return nil, err
	}
	chart, err := filepath.Abs(base + ".svg")
	if err != nil {
		return nil, err
	}
	args := []string{
		"bench", "--setup", "--pid", strconv.Itoa(v.process.Process.Pid), "--workers", strconv.Itoa(s.workers), "--duration", s.duration.String(),
		"--json", report, "--svg", chart,
	}
	if v.database != 0 {
		args = append(args, "--db-pid", strconv.Itoa(v.database))
	}
	for _, op := range operations {
		args = append(args, "--op", op)
	}
	if err := os.Remove(report); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	c := exec.CommandContext(ctx, v.bin, args...)
	c.Dir, c.Env, c.Stdout = v.dir, v.env(), os.Stdout
	failed := c.Run() // also if a promise is broken, which the report tells better
	text, err := os.ReadFile(report)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("run gatehouse bench: %w", failed), err)
	}
	var r bench.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	return &r, nil
}
