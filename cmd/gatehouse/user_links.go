package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/audit"
	"gatehouse/provider/credential"
	"gatehouse/provider/mail"
	"gatehouse/provider/ticket"
	"gatehouse/storage"
	"gatehouse/templates"
)

// linkView is a link that works once. This is the only time it is shown.
type linkView struct {
	Subject string    `json:"sub,omitempty"`
	Email   string    `json:"email,omitempty"`
	Link    string    `json:"link,omitempty"`
	Mailed  bool      `json:"mailed,omitempty"`
	Expires time.Time `json:"expires"`
}

func openTickets(c *config.Config, store storage.Store) *ticket.Tickets {
	return ticket.New(ticket.Options{Store: store, Users: store, Issuer: c.Issuer})
}

func (p *program) userRecoveryLink() *cobra.Command {
	c := &cobra.Command{
		Use: "recovery-link USER", Short: "Make a link that lets a user set a new password, once", Args: arguments("USER"),
		Long: "Make a link with which a user sets a new password, for somebody whom mail does not reach. It works once within a day, makes older ones worthless, and does not stand in for a second factor. Give it to nobody but the user: whoever has it can take the account.",
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			if !cfg.Login.Password {
				return console.Usagef("login.password is false: nobody signs in with a password here")
			}
			u, err := findUser(ctx, store, args[0])
			if err != nil {
				return err
			}
			if u.Disabled {
				return fmt.Errorf("user %s is disabled; first: gatehouse user enable %s", console.Printable(u.Subject), console.Printable(u.Subject))
			}
			if u.EmailKey == "" && u.UsernameKey == "" {
				return fmt.Errorf("user %s has no name to sign in with beside a password; first: gatehouse user update %s --email ADDRESS", console.Printable(u.Subject), console.Printable(u.Subject))
			}
			tickets := openTickets(cfg, store)
			expires := time.Now().Add(tickets.Life(storage.TicketRecovery)).UTC().Truncate(time.Second)
			link, err := tickets.Issue(ctx, storage.Ticket{Kind: storage.TicketRecovery, Subject: u.Subject, Expires: expires})
			if err != nil {
				return fmt.Errorf("make link: %w", err)
			}
			audit.New(newLogger(p.Err, cfg.Log)).Record(ctx, audit.Event{Name: "recovery.link_made", Actor: operator, Target: u.Subject, Result: "ok"})
			return p.Show(linkView{Subject: u.Subject, Email: u.Email, Link: link, Expires: expires})
		})
	}
	return c
}

func (p *program) userInvite() *cobra.Command {
	var send bool
	var lang string
	c := &cobra.Command{
		Use: "invite [ADDRESS]", Short: "Make a link with which somebody signs up, once", Args: cobra.MaximumNArgs(1),
		Long:    "Make a link with which somebody signs up, once within three days. With an address, the account will have that one. With --mail the link goes to the address and is not shown: who comes with it has proven the address.",
		Example: "  gatehouse user invite\n  gatehouse user invite ada@example.com --mail --lang de",
	}
	c.Flags().BoolVar(&send, "mail", false, "send the link to the address; a running server delivers it")
	c.Flags().StringVar(&lang, "lang", "", "language of the mail, such as `de`")
	c.RunE = func(c *cobra.Command, args []string) error {
		invited := storage.Ticket{Kind: storage.TicketInvite}
		if len(args) > 0 {
			key, err := credential.EmailKey(args[0])
			if err != nil {
				return console.Usagef("%s: %w", console.Printable(args[0]), err)
			}
			invited.Email, invited.EmailKey = args[0], key
		}
		if send && invited.EmailKey == "" {
			return console.Usagef("--mail needs the address; write: gatehouse user invite ADDRESS --mail")
		}
		return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
			if invited.EmailKey != "" {
				u, _, err := store.UserByLogin(ctx, invited.EmailKey)
				switch {
				case err == nil:
					return fmt.Errorf("%s has an account; see: gatehouse user get %s", console.Printable(invited.Email), console.Printable(u.Subject))
				case !errors.Is(err, storage.ErrNotFound):
					return fmt.Errorf("find user: %w", err)
				}
			}
			if send {
				return p.mailInvitation(ctx, cfg, store, invited, lang)
			}
			link, err := p.invite(ctx, cfg, store, &invited)
			if err != nil {
				return err
			}
			return p.Show(linkView{Email: invited.Email, Link: link, Expires: invited.Expires})
		})
	}
	return c
}

// invite makes the link and fills in when it ends.
func (p *program) invite(ctx context.Context, cfg *config.Config, store storage.Store, invited *storage.Ticket) (string, error) {
	tickets := openTickets(cfg, store)
	invited.Expires = time.Now().Add(tickets.Life(storage.TicketInvite)).UTC().Truncate(time.Second)
	link, err := tickets.Issue(ctx, *invited)
	if err != nil {
		return "", fmt.Errorf("make link: %w", err)
	}
	audit.New(newLogger(p.Err, cfg.Log)).Record(ctx, audit.Event{Name: "signup.invited", Actor: operator, Result: "ok"})
	return link, nil
}

// mailInvitation puts the mail into the queue that the servers deliver. Data "mailed" tells the sign-up that the link proves the address.
func (p *program) mailInvitation(ctx context.Context, cfg *config.Config, store storage.Store, invited storage.Ticket, lang string) error {
	mailer, err := openMailer(ctx, cfg, store)
	if err != nil {
		return err
	}
	if !mailer.On() {
		return console.Usagef("mail.url is empty; set it, or leave --mail out and hand the link over yourself")
	}
	invited.Data = map[string]string{"mailed": "1"}
	link, err := p.invite(ctx, cfg, store, &invited)
	if err != nil {
		return err
	}
	letter := templates.Mail{Kind: templates.MailInvite, Link: link, Address: invited.Email, Life: time.Until(invited.Expires).Round(time.Minute)}
	if err := mailer.Send(ctx, invited.EmailKey, lang, letter); err != nil {
		return fmt.Errorf("send invitation: %w", err)
	}
	view := linkView{Email: invited.Email, Mailed: true, Expires: invited.Expires}
	return p.Say(view, "the invitation of %s is queued; a running server sends it", console.Printable(invited.Email))
}

// openMailer opens what queues mail as the server would.
func openMailer(ctx context.Context, cfg *config.Config, store storage.Store) (*mail.Mailer, error) {
	ring, err := openRing(ctx, cfg, store)
	if err != nil {
		return nil, err
	}
	way, err := openMail(cfg)
	if err != nil {
		return nil, err
	}
	words, err := cfg.Branding.Load()
	if err != nil {
		return nil, fmt.Errorf("load templates: %w", err)
	}
	mailer, err := mail.New(mail.Options{Store: store, Seal: ring, Words: words, Carrier: way.Carrier, Issuer: cfg.Issuer, From: way.From, ReplyTo: way.ReplyTo, Brand: brand(cfg), Language: cfg.Branding.DefaultLanguage})
	if err != nil {
		return nil, fmt.Errorf("set up mail: %w", err)
	}
	return mailer, nil
}
