package activity

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"gatehouse/provider/audit"
	"gatehouse/provider/mail"
	"gatehouse/provider/place"
	"gatehouse/provider/useragent"
	"gatehouse/storage"
	"gatehouse/templates"
)

const (
	// noteTimeout is how long a request waits for the store at most.
	noteTimeout = 5 * time.Second
	// maxDetail and maxAgent bound what is kept of foreign text, in bytes.
	maxDetail, maxAgent = 256, 512
)

// Mailer queues mail.
type Mailer interface {
	On() bool
	Send(ctx context.Context, to, lang string, m templates.Mail) error
}

// Options are where events go.
type Options struct {
	Store  storage.ActivityStore
	Mailer Mailer
	// Tickets makes the links that say "it was not me"; nil: there are none.
	Tickets Issuer
	// Places tell in mails where addresses are; nil knows none.
	Places *place.Book
	// Language is that of people who have chosen none; empty means English.
	Language string
	Audit    *audit.Log
	Log      *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Log notes events. It is safe for concurrent use.
type Log struct{ o Options }

// New makes a Log.
func New(o Options) *Log {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Log{o}
}

// Where says from where something was done.
type Where struct{ IP, UserAgent string }

// Event is something that happened to an account.
type Event struct {
	// Kind is its name in the audit log; see the constants.
	Kind string
	// Result is ok unless it is set. What did not succeed is written to the audit log alone.
	Result, Reason string
	AMR            []string
	ClientID       string
	// SessionHash is the hash of the browser session, for the audit log.
	SessionHash string
	// Target is what was acted on, for the audit log.
	Target string
	// Detail is what the person knows the thing by: the name of the factor, the id of the provider, the new address.
	Detail string
	// Mail is the message, where the kind sends none by itself; what it leaves empty is filled in.
	Mail *templates.Mail
	// Undo is what the link in the message does (see Undo); nil: the message has none.
	Undo *storage.Ticket
	// To is the address that the mail goes to, in canonical form; empty means the user's own, if it was verified. A change of the address must name the old one.
	To string
}

// Note writes an event down. user may be nil if nobody is known, or somebody who was just deleted. It waits for the store, but not for the end of the request, and whatever
// fails here is logged and fails nothing.
func (l *Log) Note(ctx context.Context, from Where, user *storage.User, e Event) {
	e.Result = cmp.Or(e.Result, "ok")
	subject := ""
	if user != nil {
		subject = user.Subject
	}
	l.o.Audit.Record(ctx, audit.Event{Name: e.Kind, Actor: subject, Target: e.Target, Client: e.ClientID, SessionHash: e.SessionHash, Result: e.Result, Reason: e.Reason})
	if user == nil || e.Result != "ok" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	now := l.o.Now()
	if rules[e.Kind].shown {
		if err := l.o.Store.AddActivity(ctx, row(now, from, user, e)); err != nil {
			l.o.Log.ErrorContext(ctx, "an activity is lost", "event", e.Kind, "subject", user.Subject, "cause", err.Error())
		}
	}
	l.send(ctx, now, from, user, e)
}

func row(now time.Time, from Where, user *storage.User, e Event) *storage.Activity {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program if the system has no randomness
	return &storage.Activity{
		ID: base64.RawURLEncoding.EncodeToString(random[:]), Subject: user.Subject, Kind: e.Kind, Time: now, AMR: e.AMR, ClientID: e.ClientID,
		Detail: storable(e.Detail, maxDetail), IP: from.IP, UserAgent: storable(from.UserAgent, maxAgent),
	}
}

// send queues the mail of an event, if there is one.
func (l *Log) send(ctx context.Context, now time.Time, from Where, user *storage.User, e Event) {
	m := templates.Mail{Kind: rules[e.Kind].mail}
	if e.Mail != nil {
		m = *e.Mail
		m.Kind = cmp.Or(m.Kind, rules[e.Kind].mail)
	}
	if m.Kind == "" || !l.o.Mailer.On() {
		return
	}
	to := e.To
	if to == "" && user.EmailVerified && m.Kind != templates.MailEmailChanged {
		to = user.EmailKey
	}
	if to == "" { // nobody has proven to read it
		return
	}
	browser, system := useragent.Read(from.UserAgent)
	m.Device = cmp.Or(m.Device, strings.Trim(browser+", "+system, ", "))
	m.Name, m.Detail = cmp.Or(m.Name, name(user)), cmp.Or(m.Detail, e.Detail)
	if m.Place == "" {
		m.Place, m.Near = from.IP, templates.PlaceView(l.o.Places.Near(from.IP, cmp.Or(user.Locale, l.o.Language)))
	}
	if m.Kind == templates.MailEmailChanged {
		m.Address = cmp.Or(m.Address, e.Detail)
	}
	if m.When.IsZero() {
		m.When = now
	}
	l.link(ctx, user, e, &m)
	if err := l.o.Mailer.Send(ctx, to, user.Locale, m); err != nil && !errors.Is(err, mail.ErrOff) {
		l.o.Log.ErrorContext(ctx, "a mail is lost", "event", e.Kind, "subject", user.Subject, "cause", err.Error())
	}
}

// link gives a message its link that takes back what it tells of. Without it the message goes all the same: what it tells of has happened.
func (l *Log) link(ctx context.Context, user *storage.User, e Event, m *templates.Mail) {
	if e.Undo == nil || e.Undo.EmailKey == "" || l.o.Tickets == nil {
		return
	}
	link, err := l.o.Tickets.Issue(ctx, *e.Undo)
	if err != nil {
		l.o.Log.ErrorContext(ctx, "a mail has no link", "event", e.Kind, "subject", user.Subject, "cause", err.Error())
		return
	}
	m.Link, m.Life = link, l.o.Tickets.Life(e.Undo.Kind)
}

// name is what the person is called.
func name(user *storage.User) string {
	for _, claim := range []string{"name", "given_name"} {
		if text, ok := user.Claims[claim].(string); ok && text != "" {
			return text
		}
	}
	return user.Username
}

// storable makes foreign text what every database takes: otherwise a header with a broken letter in it would keep a sign-in out of the list.
func storable(s string, limit int) string {
	s = strings.ToValidUTF8(s[:min(len(s), limit)], "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}
