package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

const (
	exitFailed = 1
	exitUsage  = 2
)

// program is one run of the command line.
type program struct {
	console.Console
	env        []string
	configFile string
	format     string
}

// run executes one command and returns the exit code. Cancelling ctx is SIGTERM.
func run(ctx context.Context, args, env []string, in io.Reader, out, errOut io.Writer) int {
	p := &program{env: env, Console: console.Console{In: in, Out: out, Err: errOut}}
	root := p.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var usage console.UsageError
	var faults config.Faults
	switch {
	case err == nil:
		return 0
	case errors.As(err, &faults), errors.As(err, &usage):
		fmt.Fprintf(errOut, "gatehouse: %v\n", err)
		return exitUsage
	default:
		fmt.Fprintf(errOut, "gatehouse: %v\n", err)
		return exitFailed
	}
}

func (p *program) root() *cobra.Command {
	root := group("gatehouse", "An OAuth 2.0 and OpenID Connect server",
		p.serveCommand(),
		p.clientCommand(),
		p.userCommand(),
		p.sessionCommand(),
		p.upstreamCommand(),
		p.keysCommand(),
		p.calibrateCommand(),
		p.migrateCommand(),
		p.configCommand(),
		p.healthcheckCommand(),
		p.doctorCommand(),
		p.benchCommand(),
		p.versionCommand(),
	)
	root.Long = "Gatehouse signs users in for your applications. Begin with: gatehouse serve --dev"
	root.SilenceUsage, root.SilenceErrors = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&p.configFile, "config", "", "configuration `FILE` (default: config.yaml in this folder, if there is one)")
	root.PersistentFlags().StringVar(&p.format, "format", "table", "output: `table|json`")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return console.Usagef("%w; see: %s --help", err, c.CommandPath())
	})
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if p.format != "table" && p.format != "json" {
			return console.Usagef("--format is table or json, not %q", p.format)
		}
		p.JSON = p.format == "json"
		return nil
	}
	return root
}

// group is a noun: it does nothing without one of its verbs.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	c.AddCommand(verbs...)
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, verb := range verbs {
			names = append(names, verb.Name())
		}
		return console.Usagef("%s has no command %q; there are: %s", c.CommandPath(), args[0], strings.Join(names, ", "))
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

// arguments demands one argument for each name, which is how the usage line calls it.
func arguments(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return console.Usagef("%s is missing; write: %s", names[len(args)], c.UseLine())
		case len(args) > len(names):
			return console.Usagef("%q is one argument too many; write: %s", args[len(names)], c.UseLine())
		}
		return nil
	}
}

// load reads the configuration for a command that is not a server.
func (p *program) load() (*config.Config, error) {
	return config.Load(config.Source{File: p.configFile, Env: p.env})
}
