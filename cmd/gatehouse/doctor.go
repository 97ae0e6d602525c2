package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/cmd/gatehouse/doctor"
	"gatehouse/storage"
)

const (
	// doctorLimit bounds a whole visit. What is left of a visit that is older was killed.
	doctorLimit = 2 * time.Minute
	// leaveLimit is for taking client and user away, also after the visit was interrupted.
	leaveLimit = 15 * time.Second
)

func (p *program) doctorCommand() *cobra.Command {
	var issuer, caFile string
	c := &cobra.Command{
		Use: "doctor", Short: "Look at the running server as its clients do, and say what is wrong and how to mend it", Args: arguments(),
		Long: "Look at the running server at its public address as clients do, compare what they see with this configuration, and sign in with a client and a user\n" +
			"that are made for the visit and taken away after it. The exit code is 1 if a check fails.",
		Example: "  gatehouse doctor --config /etc/gatehouse/config.yaml\n  gatehouse doctor --issuer https://staging.example.com      # only what everyone can see",
	}
	c.Flags().StringVar(&issuer, "issuer", "", "`URL` to look at (default: the issuer of the configuration, which alone can be signed in at)")
	c.Flags().StringVar(&caFile, "ca-file", "", "PEM `FILE` of certificate authorities to trust beside the system's (default: outbound.ca_file)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := p.load()
		if err != nil {
			return err
		}
		o := doctor.Options{Issuer: strings.TrimSuffix(cmp.Or(issuer, cfg.Issuer), "/")}
		if o.Roots, err = extraRoots(cmp.Or(caFile, cfg.Outbound.CAFile)); err != nil {
			return err
		}
		return p.doctor(c.Context(), cfg, o, issuer != "")
	}
	return c
}

// doctor runs the visit. The store is opened only if it can be that of the server looked at.
func (p *program) doctor(ctx context.Context, cfg *config.Config, o doctor.Options, chosen bool) error {
	if o.Issuer != cfg.Issuer {
		o.WhyOutside = "only with the configuration of that server; this one has the issuer " + cfg.Issuer
		return p.examine(ctx, o)
	}
	if u, err := url.Parse(cfg.Issuer); err == nil {
		o.Proxied = u.Scheme == "https" && cfg.Server.TLS.Cert == ""
	}
	o.TrustedProxies, o.SameSite = cfg.Server.Prefixes(), sameSite(cfg.Sessions.CookieSameSite)
	visitors, err := openVisitors(ctx, cfg)
	if err != nil {
		if o.WhyOutside = "the store cannot be opened: " + err.Error(); !chosen {
			o.OutsideFails = true
		}
		return p.examine(ctx, o)
	}
	return errors.Join(p.visit(ctx, o, visitors), visitors.store.Close())
}

// visit examines and then takes away what was made for it, whatever has happened.
func (p *program) visit(ctx context.Context, o doctor.Options, v *visitors) (err error) {
	o.Inside = v
	defer func() {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
		defer cancel()
		err = errors.Join(err, v.leave(leaving))
	}()
	return p.examine(ctx, o)
}

// examine prints each result as it comes. A failed check is an error, after everything was printed.
func (p *program) examine(ctx context.Context, o doctor.Options) error {
	limited, cancel := context.WithTimeout(ctx, doctorLimit)
	defer cancel()
	var printed error
	report, end := p.findings()
	o.Report = func(r doctor.Result) { printed = errors.Join(printed, report(r)) }
	failed := 0
	for _, r := range doctor.Run(limited, o) {
		if r.Status == doctor.Fail {
			failed++
		}
	}
	switch printed = errors.Join(printed, end()); {
	case printed != nil:
		return printed
	case ctx.Err() != nil:
		return errors.New("doctor: interrupted")
	case limited.Err() != nil:
		return fmt.Errorf("doctor: not finished within %s; the server answers too slowly", doctorLimit)
	case failed > 0:
		return fmt.Errorf("doctor: %d failed; each line says how to mend it", failed)
	}
	return nil
}

// findings prints results: as lines with a sum below them, or as one JSON array.
func (p *program) findings() (report func(doctor.Result) error, end func() error) {
	if p.JSON {
		list := p.List()
		return func(r doctor.Result) error { return list.Add(r) }, list.End
	}
	count := map[doctor.Status]int{}
	report = func(r doctor.Result) error {
		count[r.Status]++
		text := console.Printable(r.Message)
		if r.Fix != "" {
			text += "; fix: " + console.Printable(r.Fix)
		}
		_, err := fmt.Fprintf(p.Out, "%-5s %-15s %s\n", r.Status, r.Check, text)
		return err
	}
	return report, func() error {
		_, err := fmt.Fprintf(p.Out, "\n%d ok, %d warn, %d fail, %d skip\n", count[doctor.OK], count[doctor.Warn], count[doctor.Fail], count[doctor.Skip])
		return err
	}
}

// extraRoots are the system's certificate authorities and those of the file; nil without a file.
func extraRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificate authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, console.Usagef("%s holds no PEM certificate", console.Printable(file))
	}
	return pool, nil
}

// openVisitors opens the store of a server that runs already: nothing is created and the schema stays as it is.
func openVisitors(ctx context.Context, cfg *config.Config) (*visitors, error) {
	if path, ok := cfg.Storage.SQLitePath(); ok {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no database %s here", path)
		}
	}
	as := *cfg
	as.Storage.AutoMigrate = false
	store, err := openStore(ctx, &as)
	if err != nil {
		return nil, err
	}
	v, err := newVisitors(ctx, &as, store)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return v, nil
}

func newVisitors(ctx context.Context, cfg *config.Config, store storage.Store) (*visitors, error) {
	ring, err := openRing(ctx, cfg, store)
	if err != nil {
		return nil, err
	}
	passwords, err := openPasswords(ctx, cfg, store, ring)
	if err != nil {
		return nil, err
	}
	v := &visitors{config: cfg, store: store, passwords: passwords, now: time.Now}
	return v, v.sweep(ctx)
}
