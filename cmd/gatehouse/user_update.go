package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/claims"
	"gatehouse/storage"
)

// userChange is what `gatehouse user update` is told.
type userChange struct {
	claims.Change
	file     string
	username *string // nil leaves it, empty removes it
}

func (p *program) userUpdate() *cobra.Command {
	var change userChange
	var username string
	c := &cobra.Command{
		Use: "update USER", Short: "Change what is given of a user and leave the rest as it is", Args: arguments("USER"),
		Example: "  gatehouse user update ada@example.com --claims ada.json\n" +
			"  echo '{\"nickname\":null,\"phone_number\":\"+44 20 7946 0000\"}' | gatehouse user update ada --claims -      # null removes",
	}
	c.Flags().StringVar(&change.file, "claims", "", "JSON `FILE` with standard claims, - for standard input; what it names replaces, null removes")
	c.Flags().BoolVar(&change.Replace, "replace-claims", false, "drop every claim that the file does not name")
	c.Flags().StringVar(&change.Email, "email", "", "new e-mail `ADDRESS`, unverified unless the file has email_verified")
	c.Flags().StringVar(&username, "username", "", "new `NAME` to sign in with; \"\" removes it")
	c.RunE = func(c *cobra.Command, args []string) error {
		if c.Flags().Changed("username") {
			change.username = &username
		}
		if err := p.readChange(c, &change); err != nil {
			return err
		}
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			return p.updateUser(ctx, store, args[0], &change)
		})
	}
	return c
}

// readChange checks the flags and reads the file once: the change itself may run again.
func (p *program) readChange(c *cobra.Command, change *userChange) error {
	switch {
	case c.Flags().Changed("email") && change.Email == "":
		return console.Usagef("--email is empty; a user needs an address to sign in with")
	case change.Replace && change.file == "":
		return console.Usagef("--replace-claims needs the claims to replace them with; add --claims FILE")
	case change.file == "" && change.Email == "" && change.username == nil:
		return console.Usagef("nothing to change; give --claims, --email or --username")
	case change.file == "":
		return nil
	}
	text, err := p.ReadAll(change.file)
	if err != nil {
		return fmt.Errorf("read claims: %w", err)
	}
	change.Claims = text
	return nil
}

func (p *program) updateUser(ctx context.Context, store storage.Store, name string, change *userChange) error {
	u, err := findUser(ctx, store, name)
	if err != nil {
		return err
	}
	var wanted storage.User
	u, err = store.UpdateUser(ctx, u.Subject, func(u *storage.User) error {
		if err := change.apply(u); err != nil {
			return err
		}
		wanted = *u
		return nil
	})
	var usage console.UsageError
	switch {
	case errors.As(err, &usage):
		return err
	case errors.Is(err, storage.ErrExists):
		return taken(err, &wanted)
	case err != nil:
		return fmt.Errorf("update user: %w", err)
	}
	return p.Show(viewUser(u))
}

func (c *userChange) apply(u *storage.User) error {
	if err := c.Change.Apply(u); err != nil {
		if c.file != "" {
			return console.Usagef("%s: %w", c.file, err)
		}
		return console.Usagef("%w", err)
	}
	if c.username != nil {
		u.Username, u.UsernameKey = *c.username, ""
	}
	return applyNames(u)
}

// taken says which name another user has, and how to find that user.
func taken(err error, u *storage.User) error {
	var exists *storage.ExistsError
	if errors.As(err, &exists) && exists.Field == "username" {
		return fmt.Errorf("a user with this username exists already; choose another --username, or see: gatehouse user get %s", console.Printable(u.Username))
	}
	return fmt.Errorf("a user with this email exists already; choose another address, or see: gatehouse user get %s", console.Printable(u.Email))
}
