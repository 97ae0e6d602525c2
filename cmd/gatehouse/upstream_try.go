package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/federation"
	"gatehouse/provider/interaction"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

const (
	// tryLife is how long an operator has to open the link and sign in.
	tryLife = 10 * time.Minute
	tryPoll = 300 * time.Millisecond
)

func (p *program) upstreamTest() *cobra.Command {
	c := &cobra.Command{
		Use: "test ID", Short: "Sign in at a provider in a browser and print what it says and what would become of it", Args: arguments("ID"),
		Long: "Prints a link for the running server. Whoever opens it signs in at the provider; the raw claims and the mapped ones are printed here. Nobody is signed in and no user is created.",
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			if !slices.ContainsFunc(cfg.Upstreams, func(u config.Upstream) bool { return u.ID == args[0] }) {
				return console.Usagef("there is no upstream %s in the configuration; see: gatehouse upstream list", args[0])
			}
			key := rand.Text()
			flow, err := interaction.New(interaction.Options{Store: store, Lifetime: tryLife}).Start(ctx, storage.Interaction{
				Kind: storage.InteractionTest, ReturnTo: interaction.ReturnAccount, Binder: web.Hash(key),
			})
			if err != nil {
				return err
			}
			link := cfg.Issuer + "/upstream/" + args[0] + "/test?" + url.Values{"interaction": {flow.ID}, "key": {key}}.Encode()
			fmt.Fprintf(p.Err, "Open this link in a browser within ten minutes, and sign in:\n\n  %s\n\nWaiting...\n", link)
			outcome, err := awaitOutcome(ctx, store, flow.ID)
			if err != nil {
				return err
			}
			return p.showOutcome(outcome)
		})
	}
	return c
}

// awaitOutcome waits until the running server has stored what the walk found.
func awaitOutcome(ctx context.Context, store storage.InteractionStore, id string) (*federation.Outcome, error) {
	ticker := time.NewTicker(tryPoll)
	defer ticker.Stop()
	for {
		flow, err := store.Interaction(ctx, id)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, errors.New("nobody opened the link in time; run the command again")
		}
		if err != nil {
			return nil, fmt.Errorf("wait for the sign-in: %w", err)
		}
		if text := flow.Proofs[federation.ProofTest]; text != "" {
			o := &federation.Outcome{}
			if err := json.Unmarshal([]byte(text), o); err != nil {
				return nil, fmt.Errorf("read the outcome: %w", err)
			}
			if o.Error != "" {
				return nil, errors.New("the sign-in failed: " + console.Printable(o.Error))
			}
			return o, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

// showOutcome prints an outcome: JSON as it is, else what the provider said beside what would become of it.
func (p *program) showOutcome(o *federation.Outcome) error {
	if p.JSON {
		return p.Show(o)
	}
	verified := "not verified"
	if o.EmailVerified {
		verified = "verified"
	}
	fmt.Fprintf(p.Out, "account    %s (%s)\n", console.Printable(o.ID), console.Printable(o.Label))
	if o.Email != "" {
		fmt.Fprintf(p.Out, "e-mail     %s, %s\n", console.Printable(o.Email), verified)
	}
	fmt.Fprintf(p.Out, "acr, amr   %s, %s\n", console.Printable(o.ACR), console.Printable(strings.Join(o.AMR, " ")))
	for _, part := range []struct {
		title  string
		claims map[string]any
	}{{"raw claims", o.Raw}, {"mapped claims", o.Set}} {
		text, err := json.MarshalIndent(part.claims, "", "  ")
		if err != nil {
			return fmt.Errorf("encode claims: %w", err)
		}
		fmt.Fprintln(p.Out, part.title)
		for line := range strings.Lines(string(text)) {
			fmt.Fprintln(p.Out, "  "+console.Printable(strings.TrimRight(line, "\n")))
		}
	}
	if len(o.Gone) > 0 {
		fmt.Fprintf(p.Out, "removed if the user has them: %s\n", strings.Join(o.Gone, ", "))
	}
	return nil
}
