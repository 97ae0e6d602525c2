package recovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"gatehouse/provider/activity"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/letter"
	"gatehouse/provider/session"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Store is what recovery needs of storage.
type Store interface {
	User(ctx context.Context, subject string) (*storage.User, error)
	UserByLogin(ctx context.Context, key string) (*storage.User, string, error)
	UpdateUser(ctx context.Context, subject string, change func(*storage.User) error) (*storage.User, error)
	ReplacePassword(ctx context.Context, subject, encoded string, epoch int64) error
	RevertUser(ctx context.Context, signature string, since time.Time) (*storage.User, error)
	ReturnTickets(ctx context.Context, subject, emailKey string) (bool, error)
}

// Passwords judges and encodes passwords; package credential does.
type Passwords interface {
	Check(password string, words ...string) error
	Hash(ctx context.Context, password string) (encoded string, err error)
	MinLength() int
}

// Tickets makes and reads links; package ticket does.
type Tickets interface {
	Look(ctx context.Context, kind storage.TicketKind, token string) (*storage.Ticket, error)
	Consume(ctx context.Context, kind storage.TicketKind, token string) (*storage.Ticket, error)
	Life(kind storage.TicketKind) time.Duration
}

// Options build the feature.
type Options struct {
	Store     Store
	Passwords Passwords
	Tickets   Tickets
	Post      *letter.Post
	Sessions  *session.Sessions
	Flows     *interaction.Flows
	// SignIn makes of a first factor whatever it is worth.
	SignIn *signin.SignIn
	// NoPassword says that nobody signs in with a password here, so that there is none to choose.
	NoPassword bool
	// NoMail says that no mail can be sent: only links that operators hand out work.
	NoMail bool
	// MagicLink lets people sign in by a link.
	MagicLink bool
	Activity  *activity.Log
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Recovery is the feature.
type Recovery struct{ Options }

// New returns the feature.
func New(o Options) *Recovery {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Recovery{o}
}

// Mount adds the pages that links lead to, and those on which links are asked for.
func (f *Recovery) Mount(m *web.Mux) {
	if !f.NoPassword {
		m.Page("/recovery/reset", f.showReset, f.reset)
	}
	m.Page("/recovery/not-me", f.askNotMe, f.notMe)
	m.Page("/verify", f.askVerify, f.verify)
	if f.NoMail {
		return
	}
	m.SelfPage("/verify/start", nil, f.startVerify)
	if !f.NoPassword {
		m.Page("/recovery", f.form(false), f.submit(f.resetLetter, false))
	}
	if f.MagicLink {
		m.Page("/login/mail", f.form(true), f.submit(f.magicLetter, true))
		m.Page("/login/link", f.askMagic, f.magic)
	}
}

// form serves GET of the pages on which people ask for a link.
func (f *Recovery) form(signIn bool) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		flow, err := f.load(r, r.URL.Query().Get("interaction"))
		if err != nil {
			return overFor(w, r, err)
		}
		page := templates.AskLink{SignIn: signIn}
		if flow != nil {
			page.Interaction = flow.ID
			page.Name = f.Flows.Typed(flow)
			if hint := flow.Params.Get("login_hint"); page.Name == "" && len(hint) <= maxHint && utf8.ValidString(hint) {
				page.Name = hint
			}
		}
		return web.Render(w, r, http.StatusOK, page)
	}
}

// maxHint is the longest login_hint that is put into a form: the longest e-mail address.
const maxHint = 254

// load returns the interaction that waits in this browser, nil for an empty id.
func (f *Recovery) load(r *http.Request, id string) (*storage.Interaction, error) {
	if id == "" {
		return nil, nil
	}
	binder, _ := web.BinderOf(r)
	flow, err := f.Flows.Load(r.Context(), id, binder)
	if err != nil {
		return nil, err
	}
	return flow, f.SignIn.Dress(r, flow)
}

// overFor leads whoever comes with an interaction that cannot go on to the sign-in page, which says what has become of it.
func overFor(w http.ResponseWriter, r *http.Request, err error) error {
	if dead(err) || errors.Is(err, interaction.ErrOtherBrowser) {
		return web.Redirect(w, r, web.LocalURL(r, "/login", url.Values{"interaction": {r.FormValue("interaction")}}))
	}
	return err
}

// dead tells whether a link or an interaction works no more, or never did.
func dead(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrConsumed)
}

// submit serves POST of the pages on which people ask for a link: the answer and the work are the same, whoever it is about (security row 136).
func (f *Recovery) submit(write func(data map[string]string) letter.Letter, signIn bool) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		flow, err := f.load(r, r.PostFormValue("interaction"))
		if err != nil {
			return overFor(w, r, err)
		}
		typed := r.PostFormValue("username")
		key, err := credential.LoginKey(typed)
		if err != nil { // nobody can have such a name (security row 147)
			page := templates.AskLink{SignIn: signIn, Name: typed, Error: templates.Say("recovery.bad_name")}
			if flow != nil {
				page.Interaction = flow.ID
			}
			return web.Render(w, r, http.StatusBadRequest, page)
		}
		l := write(letter.Begun(w, r, nil, flow))
		if err := f.send(r, key, l); err != nil {
			return err
		}
		query := url.Values{}
		if flow != nil {
			query.Set("interaction", flow.ID)
		}
		return web.Render(w, r, http.StatusOK, templates.Told{
			Mail: true, Heading: templates.Say("recovery.sent_title"), Message: templates.Say("recovery.sent_text", "Name", typed, "Life", f.Tickets.Life(l.Ticket.Kind)),
			Next: web.LocalURL(r, "/login", query), Button: templates.Say("recovery.back"),
		})
	}
}

func (f *Recovery) resetLetter(data map[string]string) letter.Letter {
	return letter.Letter{Ticket: storage.Ticket{Kind: storage.TicketReset, Data: data}, Mail: templates.Mail{Kind: templates.MailReset}}
}

// send mails a letter to the stored address of whoever has the key.
func (f *Recovery) send(r *http.Request, key string, l letter.Letter) error {
	user, _, err := f.Store.UserByLogin(r.Context(), key)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("find user: %w", err)
	}
	l.Counted, l.Lang = key, web.Lang(r)
	l.Mail.Name, l.Mail.Address = key, key // of a mail that nobody gets: it is written like one with a name
	if err == nil && user.EmailKey != "" {
		l.Counted, l.Lane = user.EmailKey, f.SignIn.Known(r, user).Name
		if !user.Disabled {
			address(&l, user)
		}
	}
	return f.Post.Send(r, l)
}

// address fills in whom a letter goes to.
func address(l *letter.Letter, user *storage.User) {
	l.To, l.Counted = user.EmailKey, user.EmailKey
	if user.Locale != "" {
		l.Lang = user.Locale
	}
	l.Ticket.Subject, l.Ticket.Epoch, l.Ticket.Email, l.Ticket.EmailKey = user.Subject, user.Epoch, user.Email, user.EmailKey
	l.Mail.Name, l.Mail.Address = nameOf(user), user.Email
}

// nameOf is what a person is called.
func nameOf(u *storage.User) string {
	if name, ok := u.Claims["name"].(string); ok && name != "" {
		return name
	}
	return u.Username
}

// labelOf is what a person knows the account by.
func labelOf(u *storage.User) string {
	for _, label := range []string{u.Email, u.Username, nameOf(u)} {
		if label != "" {
			return label
		}
	}
	return u.Subject
}

// owner returns the user of a ticket, and dresses the pages as those were on which it was asked for. A user who is disabled, or whose address is not the one any more that the link was sent to, makes the link worthless (security row 144).
func (f *Recovery) owner(r *http.Request, t *storage.Ticket) (*storage.User, error) {
	if err := f.SignIn.DressFor(r, letter.ClientOf(t)); err != nil {
		return nil, err
	}
	user, err := f.Store.User(r.Context(), t.Subject)
	if err != nil {
		return nil, fmt.Errorf("read user of link: %w", err)
	}
	if user.Disabled || user.Epoch != t.Epoch || t.EmailKey != "" && user.EmailKey != t.EmailKey {
		return nil, fmt.Errorf("link of %s: %w", user.Subject, storage.ErrNotFound)
	}
	web.SetUserLang(r, user.Locale)
	return user, nil
}

// deadLink answers a link that works no more, or never did; again is where to ask for a new one.
func deadLink(w http.ResponseWriter, r *http.Request, err error, again string) error {
	if !dead(err) {
		return err
	}
	page := templates.Told{Bad: true, Heading: templates.Say("recovery.dead_title"), Message: templates.Say("recovery.dead")}
	if again != "" {
		page.Next, page.Button = web.LocalURL(r, again, nil), templates.Say("recovery.again")
	}
	return web.Render(w, r, http.StatusBadRequest, page)
}
