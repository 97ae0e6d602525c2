package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/claims"
	"gatehouse/provider/credential"
	"gatehouse/storage"
)

func (p *program) userCommand() *cobra.Command {
	return group("user", "Look after the people who sign in",
		p.userCreate(), p.userList(), p.userGet(), p.userUpdate(), p.userSetPassword(), p.userSwitch("disable", true), p.userSwitch("enable", false), p.userDelete(),
		p.userIdentities(), p.userImport(), p.userExport(), p.userRecoveryLink(), p.userInvite(), p.userRemoveFactors())
}

// userView is a user as the command line shows one.
type userView struct {
	Subject       string         `json:"sub"`
	Email         string         `json:"email,omitempty"`
	EmailVerified bool           `json:"email_verified"`
	Username      string         `json:"username,omitempty"`
	Disabled      bool           `json:"disabled"`
	Claims        map[string]any `json:"claims,omitempty"`
	Created       time.Time      `json:"created"`
	Updated       time.Time      `json:"updated"`
}

func viewUser(u *storage.User) userView {
	return userView{u.Subject, u.Email, u.EmailVerified, u.Username, u.Disabled, u.Claims, u.Created, u.Updated}
}

func (p *program) userCreate() *cobra.Command {
	var email, username, claimsFile string
	var stdin bool
	c := &cobra.Command{
		Use: "create", Short: "Create a user", Args: arguments(),
		Example: "  printf %s \"$PASSWORD\" | gatehouse user create --email ada@example.com --claims ada.json --password-stdin",
	}
	c.Flags().StringVar(&email, "email", "", "e-mail `ADDRESS`, also a name to sign in with")
	c.Flags().StringVar(&username, "username", "", "further `NAME` to sign in with; it holds no @")
	c.Flags().StringVar(&claimsFile, "claims", "", "JSON `FILE` with standard claims (name, given_name, address, phone_number, email_verified...), - for standard input")
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	c.RunE = func(c *cobra.Command, _ []string) error {
		user := &storage.User{Subject: newSubject(), Email: email, Username: username}
		if claimsFile == "-" && stdin {
			return console.Usagef("--claims - and --password-stdin both read standard input; put the claims into a file")
		}
		if claimsFile != "" {
			text, err := p.ReadAll(claimsFile)
			if err != nil {
				return fmt.Errorf("read claims: %w", err)
			}
			if err := claims.Apply(user, text); err != nil {
				return console.Usagef("%s: %w", claimsFile, err)
			}
		}
		if user.Email == "" {
			return console.Usagef("--email is missing")
		}
		if err := applyNames(user); err != nil {
			return err
		}
		password, err := p.ReadPassword(stdin)
		if err != nil {
			return err
		}
		return p.withPasswords(c, func(ctx context.Context, _ *config.Config, store storage.Store, passwords *credential.Passwords) error {
			if err := createUser(ctx, store, passwords, user, password); err != nil {
				return err
			}
			return p.Show(viewUser(user))
		})
	}
	return c
}

// newSubject makes the identifier that relying parties will know the user by: random, and never used for anybody else.
func newSubject() string { return strings.ToLower(rand.Text()) }

// applyNames computes the keys by which the user is found.
func applyNames(u *storage.User) (err error) {
	if u.EmailKey, err = credential.EmailKey(u.Email); err != nil {
		return console.Usagef("e-mail %s: %w", console.Printable(u.Email), err)
	}
	if u.Username == "" {
		return nil
	}
	if u.UsernameKey, err = credential.UsernameKey(u.Username); err != nil {
		return console.Usagef("username %s: %w", console.Printable(u.Username), err)
	}
	return nil
}

func createUser(ctx context.Context, store storage.Store, passwords *credential.Passwords, u *storage.User, password string) error {
	if err := passwords.Check(password, passwordWords(u)...); err != nil {
		return err
	}
	encoded, err := passwords.Hash(ctx, password)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	err = store.CreateUser(ctx, u, encoded)
	if errors.Is(err, storage.ErrExists) {
		return taken(err, u)
	}
	if err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	return nil
}

// passwordWords are what a password may not be made of: the user's own names.
func passwordWords(u *storage.User) []string {
	words := []string{u.Email, u.Username}
	for _, name := range []string{"name", "given_name", "family_name", "nickname", "preferred_username"} {
		if text, ok := u.Claims[name].(string); ok {
			words = append(words, text)
		}
	}
	return words
}

func (p *program) userList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List all users", Args: arguments(), RunE: func(c *cobra.Command, _ []string) error {
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			out := p.List("SUB", "EMAIL", "USERNAME", "STATE", "CREATED")
			after := ""
			for {
				page, err := store.ListUsers(ctx, after, pageSize)
				if err != nil {
					return fmt.Errorf("list users: %w", err)
				}
				for _, u := range page {
					if err := out.Add(viewUser(u), u.Subject, u.Email, u.Username, state(u.Disabled), console.When(u.Created)); err != nil {
						return err
					}
					after = u.Subject
				}
				if len(page) < pageSize {
					return out.End()
				}
			}
		})
	}}
}

func (p *program) userGet() *cobra.Command {
	return &cobra.Command{Use: "get USER", Short: "Show a user, by sub, e-mail or username", Args: arguments("USER"), RunE: func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			u, err := findUser(ctx, store, args[0])
			if err != nil {
				return err
			}
			return p.Show(viewUser(u))
		})
	}}
}

// findUser takes a sub, an e-mail address or a username.
func findUser(ctx context.Context, store storage.UserStore, name string) (*storage.User, error) {
	u, err := store.User(ctx, name)
	if errors.Is(err, storage.ErrNotFound) {
		key, bad := credential.LoginKey(name)
		if bad == nil {
			u, _, err = store.UserByLogin(ctx, key)
		}
	}
	if errors.Is(err, storage.ErrNotFound) {
		return nil, fmt.Errorf("there is no user %s; see: gatehouse user list", console.Printable(name))
	}
	if err != nil {
		return nil, fmt.Errorf("find user: %w", err)
	}
	return u, nil
}

func (p *program) userSetPassword() *cobra.Command {
	var stdin bool
	c := &cobra.Command{Use: "set-password USER", Short: "Give a user a new password and end all sessions and tokens", Args: arguments("USER")}
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	c.RunE = func(c *cobra.Command, args []string) error {
		password, err := p.ReadPassword(stdin)
		if err != nil {
			return err
		}
		return p.withPasswords(c, func(ctx context.Context, _ *config.Config, store storage.Store, passwords *credential.Passwords) error {
			u, err := findUser(ctx, store, args[0])
			if err != nil {
				return err
			}
			if err := passwords.Check(password, passwordWords(u)...); err != nil {
				return err
			}
			encoded, err := passwords.Hash(ctx, password)
			if err != nil {
				return fmt.Errorf("hash password: %w", err)
			}
			if err := store.SetPassword(ctx, u.Subject, encoded); err != nil {
				return fmt.Errorf("set password: %w", err)
			}
			return p.Say(viewUser(u), "the password of %s is changed; all sessions and tokens are ended", console.Printable(u.Email))
		})
	}
	return c
}

func (p *program) userSwitch(verb string, disabled bool) *cobra.Command {
	short := "Let a user sign in again"
	if disabled {
		short = "Keep a user from signing in and end all sessions and tokens"
	}
	return &cobra.Command{Use: verb + " USER", Short: short, Args: arguments("USER"), RunE: func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			u, err := findUser(ctx, store, args[0])
			if err != nil {
				return err
			}
			u, err = store.UpdateUser(ctx, u.Subject, func(u *storage.User) error {
				u.Disabled = disabled
				return nil
			})
			if err != nil {
				return fmt.Errorf("%s user: %w", verb, err)
			}
			return p.Say(viewUser(u), "user %s is %s", console.Printable(u.Email), state(disabled))
		})
	}}
}

func (p *program) userDelete() *cobra.Command {
	return &cobra.Command{Use: "delete USER", Short: "Remove a user with all sessions, consents and tokens", Args: arguments("USER"), RunE: func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			u, err := findUser(ctx, store, args[0])
			if err != nil {
				return err
			}
			if err := store.DeleteUser(ctx, u.Subject); err != nil {
				return fmt.Errorf("delete user: %w", err)
			}
			return p.Say(map[string]any{"sub": u.Subject, "deleted": true}, "user %s is deleted", console.Printable(u.Email))
		})
	}}
}
