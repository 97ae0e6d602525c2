package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/client"
	"gatehouse/provider/registration"
	"gatehouse/storage"
)

const pageSize = 500

func (p *program) clientCommand() *cobra.Command {
	return group("client", "Register applications",
		p.clientCreate(), p.clientList(), p.clientGet(), p.clientUpdate(), p.clientDelete(), p.clientRotateSecret(), p.clientRegistrationToken())
}

// clientRules are the operator's: everything that the configuration knows may be registered.
func clientRules(c *config.Config) client.Rules {
	host := ""
	if issuer, err := url.Parse(c.Issuer); err == nil && issuer.Scheme == "https" {
		host = issuer.Host
	}
	return client.Rules{
		Operator: true, ImageHost: host, Resources: resources(c), Algorithms: c.Keys.Algorithms, ResponseTypes: c.OAuth.ResponseTypes,
		UnsignedRequestObjects: c.OAuth.AllowUnsignedRequestObjects, UnsignedIDTokens: c.OAuth.AllowUnsignedIDTokens,
	}
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
	saver, err := p.clientSaver(cfg, store)
	if err != nil {
		return err
	}
	var m client.Metadata
	if err := f.read(p, c, &m); err != nil {
		return err
	}
	registered, err := saver.apply(ctx, storage.Client{RegisteredBy: "operator"}, m)
	if err != nil {
		return err
	}
	secret, err := f.giveSecret(ctx, saver, registered, m.ClientSecret)
	if err != nil {
		return err
	}
	err = store.CreateClient(ctx, registered)
	if errors.Is(err, storage.ErrExists) {
		return fmt.Errorf("a client %s exists already; change it with: gatehouse client update %s", registered.ID, registered.ID)
	}
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	saver.keepLogo(ctx, registered)
	saver.warnSignUp(registered)
	return p.Show(client.View(registered, secret))
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
	saver, err := p.clientSaver(cfg, store)
	if err != nil {
		return err
	}
	if err := f.readFile(p); err != nil { // once: the change below may run again
		return err
	}
	before, err := store.Client(ctx, id)
	if err != nil {
		return clientError(id, "update", err)
	}
	change := func(registered *storage.Client) (m client.Metadata, err error) {
		m = client.View(registered, "")
		if err = f.apply(c, &m); err == nil && m.ClientSecret != "" {
			err = console.Usagef("client_secret cannot be changed here; use: gatehouse client rotate-secret %s --secret-stdin", id)
		}
		return m, err
	}
	// What asks others, and the master key, comes before the change, which must be short.
	m, err := change(before)
	if err != nil {
		return clientError(id, "update", err)
	}
	next, err := saver.apply(ctx, *before, m)
	if err != nil {
		return clientError(id, "update", err)
	}
	secret, stored, err := saver.missingSecret(ctx, next)
	if err != nil {
		return err
	}
	registered, err := store.UpdateClient(ctx, id, func(registered *storage.Client) error {
		m, err := change(registered)
		if err != nil {
			return err
		}
		if err := saver.rules.Apply(registered, m); err != nil {
			return metadataError(err)
		}
		if !registration.SectorChecked(next, registered) || lacksSecret(registered) != lacksSecret(next) || registered.AuthMethod != next.AuthMethod {
			return errors.New("somebody else changed it at the same time; try again")
		}
		if lacksSecret(registered) {
			client.PutSecret(registered, stored, 0)
		}
		return nil
	})
	if err != nil {
		return clientError(id, "update", err)
	}
	if registered.LogoURI != before.LogoURI {
		saver.keepLogo(ctx, registered)
	}
	if c.Flags().Changed("sign-up") || registered.SignUp != before.SignUp {
		saver.warnSignUp(registered)
	}
	return p.Show(client.View(registered, secret))
}

// lacksSecret tells whether a client's authentication method needs a secret that it has not got.
func lacksSecret(c *storage.Client) bool { return client.NeedsSecret(c) && len(c.Secrets) == 0 }

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
				for _, registered := range page {
					if err := out.Add(client.View(registered, ""), registered.ID, registered.Name, registered.AuthMethod, strings.Join(registered.GrantTypes, " "), state(registered.Disabled)); err != nil {
						return err
					}
					after = registered.ID
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
			registered, err := store.Client(ctx, args[0])
			if err != nil {
				return clientError(args[0], "get", err)
			}
			shown := shownClient{Metadata: client.View(registered, ""), ProfileAllows: client.ProfileOf(registered), RegisteredBy: registered.RegisteredBy}
			if !registered.Expires.IsZero() {
				shown.Expires = console.When(registered.Expires)
			}
			return p.Show(shown)
		})
	}}
}

// shownClient is a client with what it follows from that is no metadata: what its profile allows, who registered it, and when it ends unless it is used.
type shownClient struct {
	client.Metadata
	ProfileAllows *client.Profile `json:"profile_allows"`
	RegisteredBy  string          `json:"registered_by,omitempty"`
	Expires       string          `json:"expires,omitempty"`
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
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			return p.rotateSecret(ctx, cfg, store, args[0], chosen, overlap)
		})
	}
	return c
}

func (p *program) rotateSecret(ctx context.Context, cfg *config.Config, store storage.Store, id, chosen string, overlap time.Duration) error {
	saver, err := p.clientSaver(cfg, store)
	if err != nil {
		return err
	}
	before, err := store.Client(ctx, id)
	if err != nil {
		return clientError(id, "rotate the secret of", err)
	}
	if !client.NeedsSecret(before) {
		return fmt.Errorf("rotate the secret of client %s: it authenticates with %s and has no secret", id, before.AuthMethod)
	}
	secret, stored, err := saver.makeSecret(ctx, before, chosen)
	if err != nil {
		return err
	}
	registered, err := store.UpdateClient(ctx, id, func(registered *storage.Client) error {
		if !client.NeedsSecret(registered) || client.SealsSecret(registered) != client.SealsSecret(before) {
			return errors.New("somebody else changed it at the same time; try again")
		}
		client.PutSecret(registered, stored, overlap)
		return nil
	})
	if err != nil {
		return clientError(id, "rotate the secret of", err)
	}
	return p.Show(client.View(registered, secret))
}

// addSecret gives a client whose secrets are kept hashed a generated one and returns it.
func addSecret(c *storage.Client, overlap time.Duration) string {
	secret, hash := client.NewSecret()
	client.PutSecret(c, storage.ClientSecret{Hash: hash, Created: time.Now().UTC()}, overlap)
	return secret
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
	var bad *client.MetadataError
	if errors.As(err, &bad) {
		return console.Usagef("%s: %s", bad.Field, bad.Message)
	}
	return err
}
