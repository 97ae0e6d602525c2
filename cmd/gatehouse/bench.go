package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/bench"
	"gatehouse/provider/client"
	"gatehouse/provider/credential"
	"gatehouse/storage"
)

// benchRedirect is registered for the bench's client. Nothing listens there: the code is read off the redirect.
const benchRedirect = "http://127.0.0.1:9/callback"

// benchFlags are what `gatehouse bench` is told beside bench.Options.
type benchFlags struct {
	bench.Options
	setup     bool
	json, svg string
}

func (p *program) benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "Drive an OpenID Provider on this machine, verify every answer and measure what each operation costs", Args: arguments(),
		Example: "  gatehouse bench --setup --pid $(pidof gatehouse)                # this configuration's server, with a client and a user made for the run\n" +
			"  gatehouse bench --issuer http://127.0.0.1:5556/dex --client-id app --client-secret s --username ada --password p --op authorize_token",
	}
	flags := c.Flags()
	flags.StringVar(&f.Issuer, "issuer", "", "`URL` of the provider, on a loopback host (default: the issuer of the configuration)")
	flags.BoolVar(&f.setup, "setup", false, "make a client and a user in this configuration's store, and remove them afterwards")
	flags.StringVar(&f.Client.ID, "client-id", "", "`ID` of a client for authorization_code, refresh_token and client_credentials with client_secret_basic")
	flags.StringVar(&f.Client.Secret, "client-secret", "", "its `SECRET`; other users of the machine can see it while the bench runs")
	flags.StringVar(&f.User.ID, "username", "", "`NAME` that signs in")
	flags.StringVar(&f.User.Secret, "password", "", "the user's `PASSWORD`; the same warning")
	flags.StringVar(&f.RedirectURI, "redirect-uri", benchRedirect, "a redirect `URI` of the client; nothing needs to listen there")
	flags.StringSliceVar(&f.Scopes, "scope", nil, "`SCOPE` to ask for, repeatable (default openid, profile, email, offline_access)")
	flags.StringSliceVar(&f.Operations, "op", nil, "`OPERATION` to run, repeatable (default all): "+strings.Join(bench.Operations(), ", "))
	flags.IntVar(&f.Workers, "workers", 4, "`N` requests at a time")
	flags.DurationVar(&f.Duration, "duration", 5*time.Second, "`TIME` for each operation")
	flags.IntSliceVar(&f.Server, "pid", nil, "process id of the server, repeatable, to measure CPU time and memory")
	flags.IntSliceVar(&f.Database, "db-pid", nil, "process id of the database (for PostgreSQL: of its first process), repeatable")
	flags.StringVar(&f.json, "json", "", "also write the report as JSON to `FILE`")
	flags.StringVar(&f.svg, "svg", "", "also write the report as a chart to `FILE`")
	c.RunE = func(c *cobra.Command, _ []string) error { return p.bench(c, &f) }
	c.AddCommand(p.benchBareCommand())
	return c
}

// benchBareCommand is the yardstick, which bench starts as a process of its own.
func (p *program) benchBareCommand() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use: "bare", Short: "Serve a bare net/http handler until standard input ends", Hidden: true, Args: arguments(),
		RunE: func(c *cobra.Command, _ []string) error { return bench.ServeBare(c.Context(), listen, p.In, p.Out) },
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "`ADDRESS` to listen on")
	return c
}

func (p *program) bench(c *cobra.Command, f *benchFlags) error {
	if f.Issuer == "" {
		cfg, err := p.load()
		if err != nil {
			return err
		}
		f.Issuer = cfg.Issuer
	}
	if u, err := url.Parse(f.Issuer); err != nil || !loopback(u.Hostname()) {
		return console.Usagef("--issuer %s is not on this machine; bench drives loopback addresses only", console.Printable(f.Issuer))
	}
	if own, err := os.Executable(); err == nil {
		f.Bare = []string{own, "bench", "bare"}
	}
	if !p.JSON {
		f.Progress = func(r bench.Result) {
			fmt.Fprintf(p.Err, "%s: %d in %g s\n", r.Operation, r.Count, f.Duration.Seconds())
		}
	}
	if !f.setup {
		return p.benchReport(c.Context(), f)
	}
	return p.withBenchData(c, f, func(ctx context.Context) error { return p.benchReport(ctx, f) })
}

// benchReport runs and writes. A broken promise is an error, after everything was written.
func (p *program) benchReport(ctx context.Context, f *benchFlags) error {
	report, err := bench.Run(ctx, f.Options)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	write := report.WriteTable
	if p.JSON {
		write = report.WriteJSON
	}
	if err := write(p.Out); err != nil {
		return err
	}
	if err := errors.Join(writeFile(f.json, report.WriteJSON), writeFile(f.svg, report.WriteSVG)); err != nil {
		return err
	}
	if failed := report.Failed(); len(failed) > 0 {
		return fmt.Errorf("bench: %d of %d operations failed or cost too much", len(failed), len(report.Results))
	}
	return nil
}

func writeFile(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return errors.Join(write(file), file.Close())
}

// withBenchData makes a client and a user for one run.
func (p *program) withBenchData(c *cobra.Command, f *benchFlags, do func(context.Context) error) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	name := "bench-" + strings.ToLower(rand.Text())
	f.Client.ID, f.User = name, bench.Credentials{ID: name, Secret: rand.Text()}
	registered := &storage.Client{RegisteredBy: "operator"}
	err = clientRules(cfg).Apply(registered, client.Metadata{
		ClientID: name, ClientName: "Bench", RedirectURIs: []string{f.RedirectURI}, Scope: "openid profile email offline_access",
		GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"},
	})
	if err != nil {
		return metadataError(err)
	}
	f.Client.Secret = addSecret(registered, 0)
	user := &storage.User{Subject: newSubject(), Email: name + "@example.com", Username: name}
	if err := applyNames(user); err != nil {
		return err
	}
	return p.withPasswords(c, func(ctx context.Context, _ *config.Config, store storage.Store, passwords *credential.Passwords) error {
		if err := createUser(ctx, store, passwords, user, f.User.Secret); err != nil {
			return err
		}
		clean := context.WithoutCancel(ctx)
		if err := store.CreateClient(ctx, registered); err != nil {
			return errors.Join(fmt.Errorf("create client: %w", err), store.DeleteUser(clean, user.Subject))
		}
		return errors.Join(do(ctx), store.DeleteClient(clean, name), store.DeleteUser(clean, user.Subject))
	})
}
