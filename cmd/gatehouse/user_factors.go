package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/activity"
	"gatehouse/provider/audit"
	"gatehouse/storage"
)

// userRemoveFactors is the way back for somebody who has lost the phone and the recovery codes: nothing that goes to the mailbox stands in for a second factor.
func (p *program) userRemoveFactors() *cobra.Command {
	c := &cobra.Command{
		Use: "remove-factors USER", Short: "Take all second factors from a user who has lost them", Args: arguments("USER"),
		Long: "Take all authenticator apps, passkeys, security keys, recovery codes and trusted browsers from a user who has lost them. The user is told by mail, and signs in with the password alone until a new factor is there; where policy asks for one, at the next sign-in. Make sure who is asking: this is all that keeps somebody out who has the password.",
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			u, err := findUser(ctx, store, args[0])
			if err != nil {
				return err
			}
			mailer, err := openMailer(ctx, cfg, store)
			if err != nil {
				return err
			}
			log := newLogger(p.Err, cfg.Log)
			told := activity.New(activity.Options{Store: store, Mailer: mailer, Language: cfg.Branding.DefaultLanguage, Audit: audit.New(log), Log: log})
			removed, err := removeFactors(ctx, store, told, u, remaining(cfg, false))
			if err != nil {
				return err
			}
			return p.Say(map[string]any{"sub": u.Subject, "removed": removed}, "user %s has no second factor any more; %d removed", u.Subject, removed)
		})
	}
	return c
}

// removeFactors returns how many factors are gone. The only way in of a user stays, and is told.
func removeFactors(ctx context.Context, store storage.Store, told *activity.Log, u *storage.User, offered *storage.Offered) (removed int, err error) {
	factors, err := store.FactorsOf(ctx, u.Subject)
	if err != nil {
		return 0, fmt.Errorf("list factors: %w", err)
	}
	// Passkeys first: a refusal because of the last one then comes before the other factors are gone.
	slices.SortStableFunc(factors, func(a, b *storage.Factor) int { return rank(a) - rank(b) })
	for _, f := range factors {
		err := store.DeleteFactor(ctx, u.Subject, f.ID, false, offered)
		switch {
		case errors.Is(err, storage.ErrNotFound): // by the user, at the same time
			continue
		case errors.Is(err, storage.ErrLastWayIn):
			return removed, fmt.Errorf("passkey %s is the only way in of user %s, who has no password; first: gatehouse user set-password %s", console.Printable(f.Name), u.Subject, u.Subject)
		case err != nil:
			return removed, fmt.Errorf("remove factor: %w", err)
		}
		removed++
		told.Note(ctx, activity.Where{}, u, activity.Event{Kind: activity.FactorRemoved, Target: f.ID, Reason: string(f.Kind) + ", by an " + operator, Detail: f.Name})
	}
	devices, err := store.DevicesOf(ctx, u.Subject)
	if err != nil {
		return removed, fmt.Errorf("list trusted browsers: %w", err)
	}
	for _, d := range devices {
		if err := store.DeleteDevice(ctx, u.Subject, d.ID); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return removed, fmt.Errorf("forget trusted browser: %w", err)
		}
	}
	return removed, nil
}

func rank(f *storage.Factor) int {
	if f.Kind == storage.FactorPasskey {
		return 0
	}
	return 1
}
