package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/storage"
)

func (p *program) sessionCommand() *cobra.Command {
	return group("session", "See who is signed in, and sign people out", p.sessionList(), p.sessionEnd())
}

// sessionView is a browser session as the command line shows one. It has nothing that could be used in place of the cookie.
type sessionView struct {
	ID       string    `json:"sid"`
	Subject  string    `json:"sub"`
	AuthTime time.Time `json:"auth_time"`
	AMR      []string  `json:"amr,omitempty"`
	ACR      string    `json:"acr,omitempty"`
	LastSeen time.Time `json:"last_seen"`
	// Idle says that the browser has to sign in again, although tokens that are bound to the session still work.
	Idle      bool      `json:"idle"`
	Expires   time.Time `json:"expires"`
	IP        string    `json:"ip,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
}

func viewSession(s *storage.Session, idle time.Duration) sessionView {
	return sessionView{s.ID, s.Subject, s.AuthTime, s.AMR, s.ACR, s.LastSeen, time.Since(s.LastSeen) >= idle, s.Absolute, s.IP, s.UserAgent}
}

func (p *program) sessionList() *cobra.Command {
	var user string
	c := &cobra.Command{Use: "list", Short: "List browser sessions", Args: arguments()}
	c.Flags().StringVar(&user, "user", "", "only those of this `USER`: sub, e-mail or username")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			out := p.List("SID", "SUB", "SIGNED IN", "LAST SEEN", "STATE", "ENDS", "ADDRESS", "BROWSER")
			add := func(s *storage.Session) error {
				v := viewSession(s, cfg.Sessions.Idle)
				state := "live"
				if v.Idle {
					state = "idle"
				}
				return out.Add(v, v.ID, v.Subject, console.When(v.AuthTime), console.When(v.LastSeen), state, console.When(v.Expires), v.IP, v.UserAgent)
			}
			if err := eachSession(ctx, store, user, add); err != nil {
				return err
			}
			return out.End()
		})
	}
	return c
}

// eachSession visits the live sessions of a user, or of everybody.
func eachSession(ctx context.Context, store storage.Store, user string, visit func(*storage.Session) error) error {
	if user != "" {
		u, err := findUser(ctx, store, user)
		if err != nil {
			return err
		}
		sessions, err := store.SessionsOf(ctx, u.Subject)
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		for _, s := range sessions {
			if err := visit(s); err != nil {
				return err
			}
		}
		return nil
	}
	for after := ""; ; {
		page, err := store.ListSessions(ctx, after, pageSize)
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		for _, s := range page {
			if err := visit(s); err != nil {
				return err
			}
			after = s.ID
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

func (p *program) sessionEnd() *cobra.Command {
	var user string
	c := &cobra.Command{
		Use: "end [SID]", Short: "Sign a browser out, or all browsers of a user: sessions and what is bound to them end at once",
		Example: "  gatehouse session end 6Y3P5W2QJ7D4ZK1M9V8T0XEBNA\n  gatehouse session end --user ada@example.com",
	}
	c.Args = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 1 && user == "", len(args) == 0 && user != "":
			return nil
		case len(args) <= 1:
			return console.Usagef("name one session or one user: gatehouse session end SID, or gatehouse session end --user USER")
		}
		return console.Usagef("%q is one argument too many; write: %s", args[1], c.UseLine())
	}
	c.Flags().StringVar(&user, "user", "", "all sessions of this `USER`: sub, e-mail or username")
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, _ *config.Config, store storage.Store) error {
			if user != "" {
				return p.endSessionsOf(ctx, store, user)
			}
			return p.endSession(ctx, store, args[0])
		})
	}
	return c
}

// errSeen stops a look that changes nothing.
var errSeen = errors.New("seen")

func (p *program) endSession(ctx context.Context, store storage.Store, id string) error {
	subject := ""
	_, err := store.UpdateSession(ctx, id, func(s *storage.Session) error {
		subject = s.Subject
		return errSeen
	})
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("there is no session %s; see: gatehouse session list", console.Printable(id))
	}
	if !errors.Is(err, errSeen) {
		return fmt.Errorf("find session: %w", err)
	}
	if err := store.EndSession(ctx, id); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return p.Say(map[string]any{"sub": subject, "ended": []string{id}}, "session %s of user %s is ended; running servers follow within a second", id, subject)
}

func (p *program) endSessionsOf(ctx context.Context, store storage.Store, user string) error {
	u, err := findUser(ctx, store, user)
	if err != nil {
		return err
	}
	sessions, err := store.SessionsOf(ctx, u.Subject)
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	ended := []string{}
	for _, s := range sessions {
		if err := store.EndSession(ctx, s.ID); err != nil {
			return fmt.Errorf("end session %s (%d of %d are ended): %w", s.ID, len(ended), len(sessions), err)
		}
		ended = append(ended, s.ID)
	}
	return p.Say(map[string]any{"sub": u.Subject, "ended": ended}, "%d sessions of user %s are ended; running servers follow within a second", len(ended), u.Subject)
}
