package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/cmd/gatehouse/transfer"
	"gatehouse/provider/credential"
	"gatehouse/storage"
)

const importHelp = `Take users from a file with one JSON object a line, - for standard input.

Members: sub (made if absent), email, email_verified, username, password_hash, claims (standard claims of OpenID Connect), disabled, locale, created, terms_version with
terms_accepted, identities (list of {upstream, external_id, label}). Hashes: bcrypt, $argon2id$, $scrypt$, $pbkdf2-sha256$, and what gatehouse user export writes for
the same database; each is replaced at the first sign-in. Passwords in clear are refused.

A line that is refused does not end the import. Run it again with the same or the mended file: users who are there as their line says are counted as unchanged. It can run
beside a server.`

// importFlags are what an import is told.
type importFlags struct {
	report string
	dry    bool
}

func (p *program) userImport() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use: "import FILE.jsonl", Short: "Take users from another system, one JSON object a line", Long: importHelp, Args: arguments("FILE.jsonl"),
		Example: "  gatehouse user import people.jsonl --dry-run --report refused.txt\n" +
			`  echo '{"email":"ada@example.com","email_verified":true,"password_hash":"$2b$12$..."}' | gatehouse user import -`,
	}
	c.Flags().StringVar(&f.report, "report", "", "write the refused lines to `FILE` instead of standard error")
	c.Flags().BoolVar(&f.dry, "dry-run", false, "check every line and change nothing")
	c.RunE = func(c *cobra.Command, args []string) error {
		in, size, err := p.open(args[0])
		if err != nil {
			return fmt.Errorf("open users: %w", err)
		}
		defer in.Close()
		return p.withPasswords(c, func(ctx context.Context, cfg *config.Config, store storage.Store, passwords *credential.Passwords) error {
			return p.importUsers(ctx, cfg, store, passwords, in, size, f)
		})
	}
	return c
}

// open opens a file and tells its size, 0 if that is not known.
func (p *program) open(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(p.In), 0, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return file, 0, err
	}
	return file, info.Size(), nil
}

func (p *program) importUsers(ctx context.Context, cfg *config.Config, store storage.Store, passwords *credential.Passwords, in io.Reader, size int64, f importFlags) (err error) {
	report := p.Err
	if f.report != "" {
		file, err := os.OpenFile(f.report, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("open report: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		report = file
	}
	progress := p.Progress("users")
	run := transfer.Import{
		Store: store, Hashes: passwords, NewSubject: newSubject, Dry: f.dry, Now: time.Now,
		Refuse: func(r transfer.Refusal) error {
			progress.Clear()
			return p.refused(report, r)
		},
		Progress: func(c transfer.Counts, read int64) { progress.Show(c.Lines, read, size) },
	}
	counts, err := run.Run(ctx, in)
	progress.Clear()
	p.warnUpstreams(cfg, counts)
	if shown := p.Show(viewImport(counts, f.dry, progress.Took())); err == nil {
		err = shown
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("stopped; what is imported stays, and the same command goes on from here")
	case err != nil:
		return fmt.Errorf("import users: %w", err)
	case counts.Refused > 0:
		return fmt.Errorf("%d of %d lines are refused; mend them and run the import again, the others will be unchanged", counts.Refused, counts.Lines)
	}
	return nil
}

// refused reports one line.
func (p *program) refused(to io.Writer, r transfer.Refusal) error {
	if !p.JSON {
		_, err := fmt.Fprintf(to, "line %d: %v\n", r.Line, r.Fault)
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	_, err = fmt.Fprintf(to, "%s\n", text)
	return err
}

// warnUpstreams names the upstreams of identities that the configuration does not have: nobody signs in with those yet.
func (p *program) warnUpstreams(cfg *config.Config, c transfer.Counts) {
	for _, id := range slices.Sorted(maps.Keys(c.Upstreams)) {
		if !slices.ContainsFunc(cfg.Upstreams, func(u config.Upstream) bool { return u.ID == id }) {
			fmt.Fprintf(p.Err, "gatehouse: %d identities are of the upstream %s, which is not in the configuration\n", c.Upstreams[id], console.Printable(id))
		}
	}
}

// importView is what came of an import.
type importView struct {
	transfer.Counts
	DryRun    bool    `json:"dry_run"`
	Seconds   float64 `json:"seconds"`
	PerSecond int     `json:"per_second"`
}

func viewImport(c transfer.Counts, dry bool, took time.Duration) importView {
	seconds := max(took.Seconds(), 0.001)
	return importView{c, dry, math.Round(seconds*1000) / 1000, int(float64(c.Lines) / seconds)}
}

func (p *program) userExport() *cobra.Command {
	var output string
	var hashes bool
	c := &cobra.Command{
		Use: "export", Short: "Write all users, one JSON object a line", Args: arguments(),
		Long: strings.TrimSpace(`
Write all users as gatehouse user import takes them, in order of sub. Second factors, sessions and consents are not part of it. Our own password hashes work only for a
database with the same pepper; those that came from another system and whose users have not signed in since are written as they came.`),
		Example: "  gatehouse user export --output people.jsonl\n  gatehouse user export --with-hashes | age -r \"$RECIPIENT\" > people.jsonl.age",
	}
	c.Flags().StringVar(&output, "output", "", "write to a new `FILE` that only you can read, instead of standard output")
	c.Flags().BoolVar(&hashes, "with-hashes", false, "also write the hashes of the passwords; keep them as you would keep the database")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			return p.exportUsers(ctx, store, output, hashes)
		})
	}
	return c
}

func (p *program) exportUsers(ctx context.Context, store storage.Store, output string, hashes bool) (err error) {
	to := p.Out
	if output != "" {
		file, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("open output: %w", err)
		}
		defer func() {
			if err = errors.Join(err, file.Close()); err != nil { // half a list must not pass for a whole one
				err = errors.Join(err, os.Remove(output))
			}
		}()
		to = file
	}
	progress := p.Progress("users")
	count, err := transfer.Export(ctx, store, to, hashes, func(users int) { progress.Show(users, 0, 0) })
	progress.Clear()
	if err != nil {
		return fmt.Errorf("export users: %w", err)
	}
	if output == "" {
		return nil
	}
	return p.Say(map[string]any{"users": count, "file": output, "hashes": hashes}, "%d users are written to %s", count, console.Printable(output))
}
