package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/oauth"
	"gatehouse/storage"
)

const pageSize = 500

func (p *program) clientCommand() *cobra.Command {
	return group("client", "Register applications",
		p.clientCreate(), p.clientList(), p.clientGet(), p.clientUpdate(), p.clientDelete(), p.clientRotateSecret())
}

// clientRules are the operator's: everything that the configuration knows may be registered.
func clientRules(c *config.Config) oauth.ClientRules {
	return oauth.ClientRules{Operator: true, Resources: resources(c), Algorithms: c.Keys.Algorithms}
}

func (p *program) clientCreate() *cobra.Command {
	var f clientFlags
	c := &cobra.Command{
		Use: "create", Short: "Register an application; its secret is shown once", Args: arguments(),
		Example: "  gatehouse client create --name \"My app\" --redirect-uri http://127.0.0.1:3000/callback --scope \"openid profile email offline_access\"\n" +
			"  gatehouse client create --id batch --grant-type client_credentials --format json\n" +
			"  gatehouse client create -f client.json        # RFC 7591 names",
	}
	f.register(c, true)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			return p.createClient(ctx, cfg, store, c, &f)
		})
	}
	return c
}

func (p *program) createClient(ctx context.Context, cfg *config.Config, store storage.Store, c *cobra.Command, f *clientFlags) error {
	var m oauth.Metadata
	if err := f.read(p, c, &m); err != nil {
		return err
	}
	chosen := m.ClientSecret
	client := &storage.Client{RegisteredBy: "operator"}
	if err := clientRules(cfg).Apply(client, m); err != nil {
		return metadataError(err)
	}
	secret, err := f.giveSecret(p, client, chosen)
	if err != nil {
		return err
	}
	err = store.CreateClient(ctx, client)
	if errors.Is(err, storage.ErrExists) {
		return fmt.Errorf("a client %s exists already; change it with: gatehouse client update %s", client.ID, client.ID)
	}
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	p.keepLogo(ctx, cfg, store, client)
	return p.Show(oauth.View(client, secret))
}

func (p *program) clientUpdate() *cobra.Command {
	var f clientFlags
	c := &cobra.Command{
		Use: "update ID", Short: "Change what is given and leave the rest as it is", Args: arguments("ID"),
		Example: "  gatehouse client update shop --redirect-uri https://shop.example/callback\n  echo '{\"logo_uri\":\"https://shop.example/logo.png\"}' | gatehouse client update shop -f -",
	}
	f.register(c, false)
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			return p.updateClient(ctx, cfg, store, c, &f, args[0])
		})
	}
	return c
}

func (p *program) updateClient(ctx context.Context, cfg *config.Config, store storage.Store, c *cobra.Command, f *clientFlags, id string) error {
	if err := f.readFile(p); err != nil { // once: the change below may run again
		return err
	}
	secret, logo := "", ""
	client, err := store.UpdateClient(ctx, id, func(client *storage.Client) error {
		logo = client.LogoURI
		m := oauth.View(client, "")
		if err := f.apply(c, &m); err != nil {
			return err
		}
		if m.ClientSecret != "" {
			return console.Usagef("client_secret cannot be changed here; use: gatehouse client rotate-secret %s --secret-stdin", id)
		}
		if err := clientRules(cfg).Apply(client, m); err != nil {
			return metadataError(err)
		}
		secret = ""
		if oauth.NeedsSecret(client) && len(client.Secrets) == 0 {
			secret = addSecret(client, 0)
		}
		return nil
	})
	if err != nil {
		return clientError(id, "update", err)
	}
	if client.LogoURI != logo {
		p.keepLogo(ctx, cfg, store, client)
	}
	return p.Show(oauth.View(client, secret))
}

func (p *program) clientList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List all applications", Args: arguments(), RunE: func(c *cobra.Command, _ []string) error {
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			out := p.List("CLIENT_ID", "NAME", "AUTHENTICATION", "GRANTS", "STATE")
			after := ""
			for {
				page, err := store.ListClients(ctx, after, pageSize)
				if err != nil {
					return fmt.Errorf("list clients: %w", err)
				}
				for _, client := range page {
					if err := out.Add(oauth.View(client, ""), client.ID, client.Name, client.AuthMethod, strings.Join(client.GrantTypes, " "), state(client.Disabled)); err != nil {
						return err
					}
					after = client.ID
				}
				if len(page) < pageSize {
					return out.End()
				}
			}
		})
	}}
}

func state(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "enabled"
}

func (p *program) clientGet() *cobra.Command {
	return &cobra.Command{Use: "get ID", Short: "Show one application, without its secret", Args: arguments("ID"), RunE: func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			client, err := store.Client(ctx, args[0])
			if err != nil {
				return clientError(args[0], "get", err)
			}
			return p.Show(oauth.View(client, ""))
		})
	}}
}

func (p *program) clientDelete() *cobra.Command {
	return &cobra.Command{Use: "delete ID", Short: "Remove an application, its consents and its tokens", Args: arguments("ID"), RunE: func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			if err := store.DeleteClient(ctx, args[0]); err != nil {
				return clientError(args[0], "delete", err)
			}
			return p.Say(map[string]any{"client_id": args[0], "deleted": true}, "client %s is deleted; its tokens and consents are revoked", args[0])
		})
	}}
}

func (p *program) clientRotateSecret() *cobra.Command {
	var keep string
	var stdin bool
	c := &cobra.Command{Use: "rotate-secret ID", Short: "Give an application a new secret, which is shown once", Args: arguments("ID")}
	c.Flags().StringVar(&keep, "keep-old", "0s", "let the secret so far work for this `TIME`, such as 24h")
	c.Flags().BoolVar(&stdin, "secret-stdin", false, "read the new secret from standard input instead of making one")
	c.RunE = func(c *cobra.Command, args []string) error {
		overlap, err := config.ParseDuration(keep)
		if err != nil || overlap > 90*24*time.Hour {
			return console.Usagef("--keep-old %q is no time of at most 90d; write for example 24h", keep)
		}
		chosen := ""
		if stdin {
			if chosen, err = p.ReadSecret(); err != nil {
				return err
			}
		}
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			return p.rotateSecret(ctx, store, args[0], chosen, overlap)
		})
	}
	return c
}

func (p *program) rotateSecret(ctx context.Context, store storage.Store, id, chosen string, overlap time.Duration) error {
	hash := ""
	if chosen != "" {
		var err error
		if hash, err = oauth.HashSecret(chosen); err != nil {
			return console.Usagef("the secret cannot be used: %w", err)
		}
	}
	secret := ""
	client, err := store.UpdateClient(ctx, id, func(client *storage.Client) error {
		switch {
		case !oauth.NeedsSecret(client):
			return fmt.Errorf("client %s authenticates with %s and has no secret", id, client.AuthMethod)
		case hash != "":
			putSecret(client, hash, overlap)
		default:
			secret = addSecret(client, overlap)
		}
		return nil
	})
	if err != nil {
		return clientError(id, "rotate the secret of", err)
	}
	return p.Show(oauth.View(client, secret))
}

// addSecret gives the client a generated secret and returns it.
func addSecret(c *storage.Client, overlap time.Duration) string {
	secret, hash := oauth.NewSecret()
	putSecret(c, hash, overlap)
	return secret
}

// putSecret makes hash the current secret. Of the others only the newest stays, for the overlap: never more than two work (security row 74).
func putSecret(c *storage.Client, hash string, overlap time.Duration) {
	now := time.Now().UTC()
	secrets := []storage.ClientSecret{{Hash: hash, Created: now}}
	current := slices.IndexFunc(c.Secrets, func(s storage.ClientSecret) bool { return s.Expires.IsZero() })
	if current >= 0 && overlap > 0 {
		old := c.Secrets[current]
		old.Expires = now.Add(overlap)
		secrets = append(secrets, old)
	}
	c.Secrets = secrets
}

func clientError(id, verb string, err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("there is no client %s; see: gatehouse client list", console.Printable(id))
	}
	var usage console.UsageError
	if errors.As(err, &usage) {
		return err
	}
	return fmt.Errorf("%s client %s: %w", verb, console.Printable(id), err)
}

// metadataError says which flag or member is at fault.
func metadataError(err error) error {
	var bad *oauth.MetadataError
	if errors.As(err, &bad) {
		return console.Usagef("%s: %s", bad.Field, bad.Message)
	}
	return err
}
