package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/registration"
	"gatehouse/storage"
)

// maxInitial is the longest that an initial access token may live.
const maxInitial = 366 * 24 * time.Hour

func (p *program) clientRegistrationToken() *cobra.Command {
	var ttl string
	var reusable bool
	c := &cobra.Command{
		Use: "registration-token", Short: "Make an initial access token, with which an application registers itself; it is shown once", Args: arguments(),
		Example: "  gatehouse client registration-token --ttl 24h\n  curl -H \"Authorization: Bearer gth_iat_...\" -H 'Content-Type: application/json' -d '{\"redirect_uris\":[\"https://app.example/cb\"]}' https://id.example/oauth2/register",
	}
	c.Flags().StringVar(&ttl, "ttl", "1h", "it works for this `TIME`, such as 24h")
	c.Flags().BoolVar(&reusable, "reusable", false, "any number of applications may register with it until it expires, instead of one")
	c.RunE = func(c *cobra.Command, _ []string) error {
		life, err := config.ParseDuration(ttl)
		if err != nil || life < time.Second || life > maxInitial {
			return console.Usagef("--ttl %q is no time between 1s and 366d; write for example 24h", ttl)
		}
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			now := time.Now()
			token, err := registration.NewInitialToken(ctx, store, now, life, reusable)
			if err != nil {
				return err
			}
			if cfg.Registration.Mode == "off" {
				fmt.Fprintln(p.Err, "gatehouse: registration.mode is off, so nobody can use this token; set it to token")
			}
			return p.Show(initialToken{token, console.When(now.Add(life)), reusable})
		})
	}
	return c
}

type initialToken struct {
	Token    string `json:"initial_access_token"`
	Expires  string `json:"expires"`
	Reusable bool   `json:"reusable"`
}
