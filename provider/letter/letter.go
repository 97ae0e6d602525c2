package letter

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"gatehouse/provider/mail"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Tickets makes links; package ticket does.
type Tickets interface {
	Issue(ctx context.Context, made storage.Ticket) (link string, err error)
	// Feign does the work of Issue for a ticket that nobody gets.
	Feign(ctx context.Context, kind storage.TicketKind) error
	Life(kind storage.TicketKind) time.Duration
}

// Mailer sends mail; package mail does.
type Mailer interface {
	Send(ctx context.Context, to, lang string, m templates.Mail) error
	// Feign does the work of Send for a mail that nobody gets, which may lack its link.
	Feign(ctx context.Context, lang string, m templates.Mail) error
}

// Options build a Post.
type Options struct {
	Tickets Tickets
	Mailer  Mailer
	Limiter *ratelimit.Limiter
	// PerAddress and PerIP bound the letters to one address and those that one peer asks for. Over them nothing is sent, and nobody is told.
	PerAddress, PerIP ratelimit.Limit
}

// Post sends letters. It is safe for concurrent use.
type Post struct{ Options }

// New returns a Post.
func New(o Options) *Post { return &Post{o} }

// Letter is a link on its way to somebody.
type Letter struct {
	// To is the address that is stored of the person; empty for nobody.
	To string
	// Counted names the address in the limit: its key, or what was typed if nobody has it.
	Counted string
	// Lang is the language that the person reads.
	Lang string
	// Ticket is what the link of the mail does. If Link is set the mail has that instead, and no ticket is made.
	Ticket storage.Ticket
	Link   string
	Mail   templates.Mail
	// Promised letters are sent whatever the limits say: somebody has used a link up, which cannot be done often, and has nothing else to wait for.
	Promised bool
}

// Send sends a letter, or does the same work in the same order and sends nothing: to nobody, and over a limit (security row 136).
func (p *Post) Send(r *http.Request, l Letter) error {
	allowed := l.Promised
	if !allowed {
		var err error
		if allowed, err = p.allowed(r, l.Counted); err != nil {
			return err
		}
	}
	if mail.CheckAddress(l.To) != nil || !allowed { // to nobody, or to what an operator stored and no mail can go to: an error would tell that there is somebody
		return p.feign(r.Context(), l)
	}
	link, err := l.Link, error(nil)
	if link != "" {
		err = p.Tickets.Feign(r.Context(), l.Ticket.Kind)
	} else {
		link, err = p.Tickets.Issue(r.Context(), l.Ticket)
		l.Mail.Life = p.Tickets.Life(l.Ticket.Kind)
	}
	if err != nil {
		return fmt.Errorf("make link: %w", err)
	}
	l.Mail.Link = link
	if err := p.Mailer.Send(r.Context(), l.To, l.Lang, l.Mail); err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	return nil
}

// allowed counts a letter against both limits.
func (p *Post) allowed(r *http.Request, counted string) (bool, error) {
	peer, _, err := p.Limiter.Take(r.Context(), "mail\nip\n"+web.PeerKey(r), p.PerIP)
	if err != nil {
		return false, fmt.Errorf("limit mail of peer: %w", err)
	}
	sum := sha256.Sum256([]byte(counted)) // people type passwords into the wrong field
	address, _, err := p.Limiter.Take(r.Context(), "mail\naddress\n"+base64.RawURLEncoding.EncodeToString(sum[:]), p.PerAddress)
	if err != nil {
		return false, fmt.Errorf("limit mail to address: %w", err)
	}
	if !peer || !address {
		web.Annotate(r, "outcome", "no mail: over a limit")
	}
	return peer && address, nil
}

func (p *Post) feign(ctx context.Context, l Letter) error {
	if err := p.Tickets.Feign(ctx, l.Ticket.Kind); err != nil {
		return fmt.Errorf("feign link: %w", err)
	}
	l.Mail.Life = p.Tickets.Life(l.Ticket.Kind)
	if err := p.Mailer.Feign(ctx, l.Lang, l.Mail); err != nil {
		return fmt.Errorf("feign mail: %w", err)
	}
	return nil
}
