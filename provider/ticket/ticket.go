package ticket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"time"

	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

const day = 24 * time.Hour

// places are the pages that links lead to, below the issuer's own path.
var places = map[storage.TicketKind]string{
	storage.TicketSignUp:   "/signup/confirm",
	storage.TicketInvite:   "/signup",
	storage.TicketVerify:   "/verify",
	storage.TicketEmail:    "/verify",
	storage.TicketReset:    "/recovery/reset",
	storage.TicketRecovery: "/recovery/reset",
	storage.TicketMagic:    "/login/link",
	storage.TicketRevert:   "/recovery/not-me",
}

// lives are how long links work unless Options say something else.
var lives = map[storage.TicketKind]time.Duration{
	storage.TicketSignUp:   day,
	storage.TicketInvite:   3 * day,
	storage.TicketVerify:   day,
	storage.TicketEmail:    day,
	storage.TicketReset:    20 * time.Minute,
	storage.TicketRecovery: day,
	storage.TicketMagic:    10 * time.Minute,
	storage.TicketRevert:   7 * day,
}

// UserStore finds whom a ticket is about.
type UserStore interface {
	User(ctx context.Context, subject string) (*storage.User, error)
}

// Options are what tickets are made with.
type Options struct {
	Store storage.TicketStore
	Users UserStore
	// Issuer is the configured public URL. Links begin with it, whatever a request says that this server is called (security row 143).
	Issuer string
	// Lives replaces how long links of some kinds work.
	Lives map[storage.TicketKind]time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Tickets makes and reads links that work once. It is safe for concurrent use.
type Tickets struct {
	o     Options
	lives map[storage.TicketKind]time.Duration
}

// New makes Tickets.
func New(o Options) *Tickets {
	if o.Now == nil {
		o.Now = time.Now
	}
	t := &Tickets{o: o, lives: maps.Clone(lives)}
	for kind, life := range o.Lives {
		if life > 0 {
			t.lives[kind] = life
		}
	}
	return t
}

// Life is how long a link of the kind works.
func (t *Tickets) Life(kind storage.TicketKind) time.Duration { return t.lives[kind] }

var errKind = errors.New("no such kind of ticket")

// Issue stores a ticket and returns its link, the only place where the token is. Of the ticket, Kind must be set, and Subject, Email, EmailKey and Data as the kind needs
// them; the rest is filled in. An Expires that is set is kept. storage.ErrNotFound for a Subject that does not exist.
func (t *Tickets) Issue(ctx context.Context, made storage.Ticket) (link string, err error) {
	made.Epoch = 0
	if made.Subject != "" {
		user, err := t.o.Users.User(ctx, made.Subject)
		if err != nil {
			return "", fmt.Errorf("read user of ticket: %w", err)
		}
		made.Epoch = user.Epoch
	}
	return t.IssueAt(ctx, made)
}

// IssueAt is Issue for a Subject who was read a moment ago, at the ticket's Epoch: the ticket is worth nothing if that is over. It costs the store the same as Feign.
func (t *Tickets) IssueAt(ctx context.Context, made storage.Ticket) (link string, err error) {
	made.Created, made.ConsumedAt = t.o.Now(), time.Time{}
	if made.Expires.IsZero() {
		made.Expires = made.Created.Add(t.lives[made.Kind])
	}
	return t.issue(ctx, made)
}

// Feign does the work of IssueAt for a ticket of the Kind and with the Data of like that nobody gets, so that the time it takes does not tell who has an account (security row 136): the ticket is
// past its end from the beginning, and the next purge removes it; so the link leads nowhere. mark is the same for everything that is asked of one name: as with tickets that somebody gets, a new one takes the place of the oldest.
func (t *Tickets) Feign(ctx context.Context, like storage.Ticket, mark string) (link string, err error) {
	now := t.o.Now()
	return t.issue(ctx, storage.Ticket{Kind: like.Kind, Email: mark, EmailKey: mark, Data: like.Data, Created: now, Expires: now.Add(-time.Second)})
}

// issue stores a ticket under a new token and returns its link.
func (t *Tickets) issue(ctx context.Context, made storage.Ticket) (link string, err error) {
	place, ok := places[made.Kind]
	if !ok {
		return "", fmt.Errorf("issue ticket %q: %w", made.Kind, errKind)
	}
	var token string
	token, made.Signature = opaque.Mint(opaque.Link)
	if err := t.o.Store.CreateTicket(ctx, &made); err != nil {
		return "", fmt.Errorf("create ticket: %w", err)
	}
	return t.o.Issuer + place + "?token=" + url.QueryEscape(token), nil
}

// Look returns the ticket of a link without using it up. storage.ErrNotFound for everything that is no live ticket of the kind, storage.ErrConsumed for a used one.
func (t *Tickets) Look(ctx context.Context, kind storage.TicketKind, token string) (*storage.Ticket, error) {
	return read(ctx, "look at ticket", t.o.Store.Ticket, kind, token)
}

// Consume is Look and uses the ticket up: of any number of callers one gets it, the others storage.ErrConsumed.
func (t *Tickets) Consume(ctx context.Context, kind storage.TicketKind, token string) (*storage.Ticket, error) {
	return read(ctx, "consume ticket", t.o.Store.ConsumeTicket, kind, token)
}

// read asks the store, if the token can be one of ours at all.
func read(ctx context.Context, doing string, ask func(context.Context, storage.TicketKind, string) (*storage.Ticket, error), kind storage.TicketKind, token string) (*storage.Ticket, error) {
	signature, ok := opaque.Parse(opaque.Link, token)
	if !ok {
		return nil, fmt.Errorf("%s: %w", doing, storage.ErrNotFound)
	}
	found, err := ask(ctx, kind, signature)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return found, nil
}
