package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"gatehouse/storage"
	"gatehouse/storage/migrate"
	"gatehouse/storage/sqlstore"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Options say which database to open and how.
type Options struct {
	storage.Options
	// URL is a connection URL or keyword string, as libpq takes it; pool_max_conns and the other keywords of pgxpool are taken too.
	URL string
	// AutoMigrate applies pending migrations. Without it a store that is behind is refused.
	AutoMigrate bool
	// Trace is called with the text of every statement except BEGIN, COMMIT and ROLLBACK; it may be nil.
	Trace func(query string)
	// MaxConns bounds the pool; 0 means pool_max_conns of the URL, or else four for each processor, eight at least.
	MaxConns int32
}

// dialect is what sqlstore must know about PostgreSQL. A random UUID has 122 random bits, two have enough. The number of the
// queue is the first bytes of SHA-256("gatehouse imports").
var dialect = sqlstore.Dialect{Lock: " FOR UPDATE", SkipLocked: " FOR UPDATE SKIP LOCKED", Queue: "SELECT pg_advisory_xact_lock(7898921746507791729)", Row: "ctid", In: "%s = ANY (ARRAY(%s))",
	RandomID: "left(encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex'), 32)", WritingCTE: true}

// dialTimeout bounds the making of a connection.
const dialTimeout = 3 * time.Second

// settings of every connection of the pool. Every statement has an index for its rows, so one plan, made once, serves any values. The planner
// settings make it count the rows that a plan reads and nothing else: otherwise it would, while a table is small, choose and keep a plan that
// reads all of it.
var settings = map[string]string{
	"application_name":                    "gatehouse",
	"default_transaction_isolation":       "read committed",
	"statement_timeout":                   "3000",
	"lock_timeout":                        "1000",
	"idle_in_transaction_session_timeout": "10000",
	"plan_cache_mode":                     "force_generic_plan",
	"enable_seqscan":                      "off",
	"enable_hashjoin":                     "off",
	"enable_mergejoin":                    "off",
	"cpu_tuple_cost":                      "1",
	"cpu_index_tuple_cost":                "1",
	"jit":                                 "off",
}

// Open opens the store. An error says what is wrong with the connection or what to do about the schema, never the password.
func Open(ctx context.Context, o Options) (*sqlstore.Store, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := ready(ctx, o); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	switch {
	case o.MaxConns > 0:
		config.MaxConns = o.MaxConns
	case !strings.Contains(o.URL, "pool_max_conns"):
		config.MaxConns = int32(max(8, 4*runtime.GOMAXPROCS(0)))
	}
	config.ConnConfig.ConnectTimeout = dialTimeout
	config.PingTimeout = time.Second
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	for name, value := range settings {
		config.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return sqlstore.New(sqlstore.Options{Options: o.Options, DB: newDB(pool, o.Trace), Dialect: dialect}), nil
}

// ready checks or makes the schema.
func ready(ctx context.Context, o Options) (err error) {
	runner, err := Migrations(ctx, o.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runner.Close()) }()
	return runner.Ready(ctx, o.AutoMigrate)
}

// Migrations returns the runner of "gatehouse migrate" for a database. The caller closes it.
func Migrations(ctx context.Context, url string) (*migrate.Runner, error) {
	pool, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	config := pool.ConnConfig
	config.ConnectTimeout = dialTimeout
	config.RuntimeParams["application_name"] = "gatehouse migrate"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return migrate.New(migrate.Options{Database: &schema{conn: conn}, Files: files})
}
