package letter

import (
	"cmp"
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
	// IssueAt makes a link for a user who was just read.
	IssueAt(ctx context.Context, made storage.Ticket) (link string, err error)
	// Feign does the work of IssueAt for a ticket that nobody gets, with the kind and the data of another.
	Feign(ctx context.Context, like storage.Ticket, mark string) (link string, err error)
	Life(kind storage.TicketKind) time.Duration
}

// Mailer sends mail; package mail does.
type Mailer interface {
	Send(ctx context.Context, to, lang string, m templates.Mail) error
	// Feign does the work of Send for a mail that nobody gets.
	Feign(ctx context.Context, lang string, m templates.Mail) error
}

// Options build a Post.
type Options struct {
	Tickets Tickets
	Mailer  Mailer
	Limiter *ratelimit.Limiter
	// PerAddress and PerIP bound the letters of one kind to one address, and those of all kinds that one peer asks for. Over them nothing is sent, and nobody is told.
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
	// Counted names the address in the limit: its key, or what was typed if nobody has it. Letters of different kinds of ticket are counted apart, so that what strangers ask for uses up
	// nothing that only somebody who is signed in can.
	Counted string
	// Lane is what the browser is known by to the person (signin.Known), which gives it a limit of its own; empty: that of all strangers.
	Lane string
	// Lang is the language that the person reads.
	Lang string
	// Ticket is what the link of the mail does; with a Subject it has the user's Epoch. If Link is set the mail has that instead, and no ticket is made.
	Ticket storage.Ticket
	Link   string
	Mail   templates.Mail
	// Promised letters are sent whatever the limits say: somebody has used a link up, which cannot be done often, and has nothing else to wait for.
	Promised bool
}

// mark stands for Counted where it is stored: people type passwords into the wrong field.
func (l *Letter) mark() string {
	sum := sha256.Sum256([]byte(l.Counted))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Send sends a letter, which looks like the pages of the request, or does the same work in the same order and sends nothing: to nobody, and over the limit of an address (security row 136). For a peer over its own limit it does
// nothing at all, whoever the letter is for: that tells nothing, and neither rows nor the address's letters are the peer's to use up.
func (p *Post) Send(r *http.Request, l Letter) error {
	l.Mail.Brand = web.Brand(r)
	allowed := l.Promised
	if !allowed {
		peer, err := p.take(r, "mail\nip\n"+web.PeerKey(r), p.PerIP)
		if err != nil || !peer {
			return err
		}
		if allowed, err = p.take(r, "mail\naddress\n"+string(l.Ticket.Kind)+"\n"+l.mark()+l.Lane, p.PerAddress); err != nil {
			return err
		}
	}
	if mail.CheckAddress(l.To) != nil || !allowed { // to nobody, or to what an operator stored and no mail can go to: an error would tell that there is somebody
		return p.feign(r.Context(), l)
	}
	link, err := l.Link, error(nil)
	if link != "" {
		_, err = p.Tickets.Feign(r.Context(), l.Ticket, l.mark())
	} else {
		link, err = p.Tickets.IssueAt(r.Context(), l.Ticket)
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

// take counts a letter against a limit.
func (p *Post) take(r *http.Request, key string, limit ratelimit.Limit) (bool, error) {
	allowed, _, err := p.Limiter.Take(r.Context(), key, limit)
	if err != nil {
		return false, fmt.Errorf("limit mail: %w", err)
	}
	if !allowed {
		web.Annotate(r, "outcome", "no mail: over a limit")
	}
	return allowed, nil
}

func (p *Post) feign(ctx context.Context, l Letter) error {
	link, err := p.Tickets.Feign(ctx, l.Ticket, l.mark())
	if err != nil {
		return fmt.Errorf("feign link: %w", err)
	}
	l.Mail.Link, l.Mail.Life = cmp.Or(l.Link, link), p.Tickets.Life(l.Ticket.Kind)
	if err := p.Mailer.Feign(ctx, l.Lang, l.Mail); err != nil {
		return fmt.Errorf("feign mail: %w", err)
	}
	return nil
}
