package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/keys"
	"gatehouse/storage"
)

func (p *program) keysCommand() *cobra.Command {
	return group("keys", "Look after the signing keys", p.keysList(), p.keysRotate(), p.keysRevoke())
}

func (p *program) keysList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the signing keys", Args: arguments(), RunE: func(c *cobra.Command, _ []string) error {
		return p.withKeys(c, func(ctx context.Context, _ *config.Config, set *keys.Set) error {
			infos, err := set.List(ctx)
			if err != nil {
				return err
			}
			out := p.List("KID", "ALG", "STATE", "SIGNS FROM", "UNTIL", "PUBLISHED UNTIL")
			for _, k := range infos {
				if err := out.Add(k, k.KID, k.Alg, k.State, console.When(k.ActivateAt), console.When(k.RetireAt), console.When(k.RemoveAt)); err != nil {
					return err
				}
			}
			return out.End()
		})
	}}
}

func (p *program) keysRotate() *cobra.Command {
	var alg string
	c := &cobra.Command{Use: "rotate", Short: "Let the next keys sign, in five seconds from now; the present ones stay published", Args: arguments()}
	c.Flags().StringVar(&alg, "alg", "", "only the key of this `ALGORITHM`, such as RS256")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return p.withKeys(c, func(ctx context.Context, cfg *config.Config, set *keys.Set) error {
			algs := cfg.Keys.Algorithms
			if alg != "" {
				if !slices.Contains(algs, alg) {
					return console.Usagef("--alg %s is not in keys.algorithms; there are: %s", console.Printable(alg), strings.Join(algs, ", "))
				}
				algs = []string{alg}
			}
			out := p.List("ALG", "SIGNS NEXT")
			for _, alg := range algs {
				kid, err := set.Rotate(ctx, alg)
				if err != nil {
					return err
				}
				if err := out.Add(map[string]string{"alg": alg, "kid": kid}, alg, kid); err != nil {
					return err
				}
			}
			return out.End()
		})
	}
	return c
}

func (p *program) keysRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke KID", Short: "Take a leaked key out of use at once: everything that it signed is worth nothing", Args: arguments("KID"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withKeys(c, func(ctx context.Context, _ *config.Config, set *keys.Set) error {
				err := set.Revoke(ctx, args[0])
				if errors.Is(err, storage.ErrNotFound) {
					return fmt.Errorf("there is no key %s; see: gatehouse keys list", console.Printable(args[0]))
				}
				if err != nil {
					return err
				}
				return p.Say(map[string]any{"kid": args[0], "revoked": true}, "key %s is revoked; running servers follow within a second", args[0])
			})
		},
	}
}
