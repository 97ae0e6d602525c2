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
	"gatehouse/cmd/gatehouse/transfer"
	"gatehouse/provider/audit"
	"gatehouse/provider/federation"
	"gatehouse/storage"
)

// identityView is an identity as the command line shows one.
type identityView struct {
	Subject    string    `json:"sub"`
	Upstream   string    `json:"upstream"`
	ExternalID string    `json:"external_id"`
	Label      string    `json:"label,omitempty"`
	Created    time.Time `json:"created"`
	LastUsed   time.Time `json:"last_used"`
}

func viewIdentity(i *storage.Identity) identityView {
	return identityView{i.Subject, i.Upstream, i.ExternalID, i.Label, i.Created, i.LastUsed}
}

func (p *program) userIdentities() *cobra.Command {
	c := &cobra.Command{
		Use: "identities USER", Short: "List the accounts at upstreams that a user signs in with", Args: arguments("USER"),
		Example: "  gatehouse user identities ada@example.com\n" +
			"  gatehouse user identities link ada@example.com --upstream github --external-id 583231 --label adal\n" +
			"  gatehouse user identities unlink ada@example.com --upstream github --external-id 583231",
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			u, err := findUser(ctx, store, args[0])
			if err != nil {
				return err
			}
			list, err := store.IdentitiesOf(ctx, u.Subject)
			if err != nil {
				return fmt.Errorf("list identities: %w", err)
			}
			out := p.List("UPSTREAM", "EXTERNAL ID", "LABEL", "CREATED", "LAST USED")
			for _, i := range list {
				if err := out.Add(viewIdentity(i), i.Upstream, i.ExternalID, i.Label, console.When(i.Created), console.When(i.LastUsed)); err != nil {
					return err
				}
			}
			return out.End()
		})
	}
	c.AddCommand(p.identityLink(), p.identityUnlink())
	return c
}

func identityFlags(c *cobra.Command, i *storage.Identity) {
	c.Flags().StringVar(&i.Upstream, "upstream", "", "`ID` of the upstream in the configuration")
	c.Flags().StringVar(&i.ExternalID, "external-id", "", "the provider's `ID` of the account for good: sub of its ID tokens, TENANT/SUB at Microsoft, the number of a GitHub user")
}

// checkIdentity checks the flags.
func checkIdentity(i *storage.Identity) error {
	if fault := transfer.CheckIdentity(i); fault != nil {
		return console.Usagef("--%s %s; see: gatehouse user identities --help", strings.ReplaceAll(fault.Field, "_", "-"), fault.Reason)
	}
	return nil
}

func (p *program) identityLink() *cobra.Command {
	var i storage.Identity
	c := &cobra.Command{Use: "link USER", Short: "Let a user sign in with an account at an upstream", Args: arguments("USER")}
	identityFlags(c, &i)
	c.Flags().StringVar(&i.Label, "label", "", "what people know the account by: an address or a login `NAME`")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkIdentity(&i); err != nil {
			return err
		}
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			if err := knownUpstream(cfg, i.Upstream); err != nil {
				return err
			}
			u, err := findUser(ctx, store, args[0])
			if err != nil {
				return err
			}
			i.Subject = u.Subject
			if err := linkIdentity(ctx, store, u, &i); err != nil {
				return err
			}
			p.recordIdentity(ctx, cfg, "identity.linked", &i)
			return p.Say(viewIdentity(&i), "user %s can sign in with account %s at %s", u.Subject, console.Printable(i.ExternalID), i.Upstream)
		})
	}
	return c
}

func knownUpstream(c *config.Config, id string) error {
	var ids []string
	for _, u := range c.Upstreams {
		ids = append(ids, u.ID)
	}
	switch {
	case slices.Contains(ids, id):
		return nil
	case len(ids) == 0:
		return console.Usagef("--upstream %s: the configuration has no upstreams; add one first", console.Printable(id))
	}
	return console.Usagef("--upstream %s is not in the configuration; there are: %s", console.Printable(id), strings.Join(ids, ", "))
}

func linkIdentity(ctx context.Context, store storage.Store, u *storage.User, i *storage.Identity) error {
	err := store.CreateIdentity(ctx, i, u.Epoch)
	switch {
	case errors.Is(err, storage.ErrExists):
		return takenIdentity(ctx, store, i)
	case errors.Is(err, storage.ErrNotFound) && u.Disabled:
		return fmt.Errorf("user %s is disabled; first: gatehouse user enable %s", u.Subject, u.Subject)
	case errors.Is(err, storage.ErrNotFound):
		return fmt.Errorf("user %s changed at the same time; look at the user, and try again", u.Subject)
	case err != nil:
		return fmt.Errorf("link identity: %w", err)
	}
	return nil
}

// takenIdentity says who has the account.
func takenIdentity(ctx context.Context, store storage.Store, i *storage.Identity) error {
	_, owner, err := store.Identity(ctx, i.Upstream, i.ExternalID)
	switch {
	case err != nil:
		return fmt.Errorf("find identity: %w", err)
	case owner.Subject == i.Subject:
		return fmt.Errorf("user %s has this account already; see: gatehouse user identities %s", i.Subject, i.Subject)
	}
	return fmt.Errorf("this account belongs to user %s; first: gatehouse user identities unlink %s --upstream %s --external-id %s",
		owner.Subject, owner.Subject, i.Upstream, console.Printable(i.ExternalID))
}

// forgetGroups takes back the groups and roles that an unlinked account had brought: nobody would refresh them any more.
func forgetGroups(ctx context.Context, cfg *config.Config, store storage.Store, i *storage.Identity) error {
	for _, u := range upstreams(cfg) {
		names := federation.Managed(&u)
		if u.ID != i.Upstream || len(names) == 0 {
			continue
		}
		_, err := store.UpdateUser(ctx, i.Subject, func(user *storage.User) error {
			for _, name := range names {
				delete(user.Claims, name)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("remove groups: %w", err)
		}
	}
	return nil
}

func (p *program) identityUnlink() *cobra.Command {
	var i storage.Identity
	var last bool
	c := &cobra.Command{Use: "unlink USER", Short: "Take an account at an upstream from a user, and end the sessions that began with it", Args: arguments("USER")}
	identityFlags(c, &i)
	c.Flags().BoolVar(&last, "last", false, "also if the user cannot sign in any more then")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkIdentity(&i); err != nil {
			return err
		}
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			u, err := findUser(ctx, store, args[0])
			if err != nil {
				return err
			}
			i.Subject = u.Subject
			err = store.DeleteIdentity(ctx, u.Subject, i.Upstream, i.ExternalID, remaining(cfg, last))
			switch {
			case errors.Is(err, storage.ErrNotFound):
				return fmt.Errorf("user %s has no such account; see: gatehouse user identities %s", u.Subject, u.Subject)
			case errors.Is(err, storage.ErrLastWayIn):
				return fmt.Errorf("this is the only way in of user %s: there is no password, no passkey and no other account that could be used here; first: gatehouse user set-password %s, or pass --last to take it all the same",
					u.Subject, u.Subject)
			case err != nil:
				return fmt.Errorf("unlink identity: %w", err)
			}
			if err := forgetGroups(ctx, cfg, store, &i); err != nil {
				return err
			}
			p.recordIdentity(ctx, cfg, "identity.unlinked", &i)
			done := map[string]any{"sub": u.Subject, "upstream": i.Upstream, "external_id": i.ExternalID, "unlinked": true}
			return p.Say(done, "account %s at %s is taken from user %s; its sessions are ended", console.Printable(i.ExternalID), console.Printable(i.Upstream), u.Subject)
		})
	}
	return c
}

// remaining is what must let the user in after something is taken away: nothing, if the operator says so.
func remaining(cfg *config.Config, last bool) *storage.Offered {
	if last {
		return nil
	}
	o := &storage.Offered{Password: cfg.Login.Password, Passkeys: cfg.Factors.Passkeys}
	for _, u := range upstreams(cfg) {
		o.Upstreams = append(o.Upstreams, u.ID)
	}
	return o
}

// operator is the actor of what is done on the command line.
const operator = "operator"

// recordIdentity writes an audit event to standard error, where a server's log goes.
func (p *program) recordIdentity(ctx context.Context, c *config.Config, event string, i *storage.Identity) {
	audit.New(newLogger(p.Err, c.Log)).Record(ctx, audit.Event{Name: event, Actor: operator, Target: i.Subject, Result: "ok", Reason: "upstream " + i.Upstream})
}
