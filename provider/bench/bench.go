package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/bench/process"
	"gatehouse/provider/rp"
)

// Options say what to drive and how hard.
type Options struct {
	Issuer string
	// Client is a confidential client with client_secret_basic, registered for authorization_code, refresh_token, client_credentials and RedirectURI.
	// Nothing listens at RedirectURI: the bench reads the code off the redirect.
	Client Credentials
	// User signs in on the provider's login page.
	User        Credentials
	RedirectURI string
	// Scopes default to openid, profile, email and offline_access.
	Scopes []string
	// Operations are names of Operations(); nil means all.
	Operations []string
	Workers    int           // 0 means 4
	Duration   time.Duration // of each operation; 0 means 5 s. A fifth of it, at most 1 s, goes before as warm-up
	// Server and Database are process ids whose CPU time is counted, with all their descendants. Without Server nothing is compared.
	Server, Database []int
	// Bare is a command that starts the bare handler, prints its URL and ends with its standard input; empty: no comparison with it.
	Bare []string
	// Progress is told about each result as it comes; nil: nobody is.
	Progress func(Result)
}

// Credentials are a name (client id, user name) and its secret.
type Credentials struct{ ID, Secret string }

// Operations lists the names of all operations in the order in which they run.
func Operations() []string {
	var names []string
	for _, o := range operations {
		names = append(names, o.name)
	}
	return names
}

// engine is one run.
type engine struct {
	o        Options
	party    *rp.Party
	verifier *verifier
}

// Run measures all operations, one after the other. Operations that failed are in the report with what went wrong; Run itself fails only if it cannot
// begin.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.Duration <= 0 {
		o.Duration = 5 * time.Second
	}
	if len(o.Scopes) == 0 {
		o.Scopes = []string{"openid", "profile", "email", rp.OfflineAccess}
	}
	chosen, err := choose(o.Operations)
	if err != nil {
		return nil, err
	}
	party, err := rp.New(ctx, rp.Options{
		Issuer: o.Issuer, ClientID: o.Client.ID, ClientSecret: o.Client.Secret, RedirectURI: o.RedirectURI, Scopes: o.Scopes,
	})
	if err != nil {
		return nil, fmt.Errorf("set up client: %w", err)
	}
	e := &engine{o: o, party: party, verifier: newVerifier(party, o.Issuer)}
	report := &Report{
		Issuer: o.Issuer, Started: time.Now().UTC(), CPUs: runtime.NumCPU(), Workers: o.Workers, Seconds: o.Duration.Seconds(), Go: runtime.Version(),
	}
	if len(o.Server) > 0 {
		if report.IdleRSS, err = process.Memory(o.Server); err != nil {
			return nil, err
		}
	}
	base, err := startBaseline(ctx, o)
	if err != nil {
		return nil, err
	}
	defer base.stop()
	return report, e.measureAll(ctx, base, chosen, report)
}

// measureAll takes the yardsticks before and after, since a machine's speed drifts while a run lasts.
func (e *engine) measureAll(ctx context.Context, base *baseline, chosen []operation, report *Report) error {
	if err := base.measure(ctx, e.o); err != nil {
		return err
	}
	workers, err := e.hire(ctx)
	if err != nil {
		return err
	}
	for _, op := range chosen {
		r, err := e.operate(ctx, op, workers)
		if err != nil {
			return err
		}
		report.Results = append(report.Results, r)
		if e.o.Progress != nil {
			e.o.Progress(r)
		}
	}
	if err := base.measure(ctx, e.o); err != nil {
		return err
	}
	report.Bare, report.RSASign = base.bare(), base.rsa()
	report.compare()
	return ctx.Err()
}

func choose(names []string) ([]operation, error) {
	if len(names) == 0 {
		return operations, nil
	}
	var chosen []operation
	for _, o := range operations {
		if slices.Contains(names, o.name) {
			chosen = append(chosen, o)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(operations, func(o operation) bool { return o.name == name }) {
			return nil, fmt.Errorf("there is no operation %q; there are: %s", name, strings.Join(Operations(), ", "))
		}
	}
	return chosen, nil
}

// hire makes the workers.
func (e *engine) hire(ctx context.Context) ([]*worker, error) {
	var workers []*worker
	for range e.o.Workers {
		workers = append(workers, newWorker(e))
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return workers, nil
}

// operate prepares, warms up and measures one operation.
func (e *engine) operate(ctx context.Context, op operation, workers []*worker) (Result, error) {
	r := Result{Operation: op.name, Comparison: Comparison{Against: op.against, Limit: op.limit}}
	if op.endpoint != nil && op.endpoint(e.party.Metadata()) == "" {
		r.Skipped = "the provider has no such endpoint"
		return r, nil
	}
	fail := func(err error) (Result, error) {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		r.Errors, r.FirstError = r.Errors+1, err.Error()
		return r, nil
	}
	if op.prepare != nil {
		if err := each(ctx, workers, op.prepare); err != nil {
			return fail(fmt.Errorf("prepare: %w", err))
		}
	}
	if _, err := drive(ctx, workers, op.run, min(time.Second, e.o.Duration/5)); err != nil {
		return fail(fmt.Errorf("warm up: %w", err))
	}
	before, err := e.usage()
	if err != nil {
		return r, err
	}
	took, runErr := drive(ctx, workers, op.run, e.o.Duration)
	after, err := e.usage()
	if err != nil {
		return r, err
	}
	r.fill(took, before, after)
	if len(e.o.Server) > 0 {
		if r.RSS, err = process.Memory(e.o.Server); err != nil {
			return r, err
		}
	}
	if op.check != nil && runErr == nil {
		runErr = each(ctx, workers, op.check)
	}
	if runErr != nil {
		return fail(runErr)
	}
	return r, nil
}

// used is CPU time so far.
type used struct{ server, database time.Duration }

func (e *engine) usage() (used, error) {
	server, err1 := process.CPUTime(e.o.Server)
	database, err2 := process.CPUTime(e.o.Database)
	return used{server, database}, errors.Join(err1, err2)
}
