package signup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/client"
	"gatehouse/provider/interaction"
	"gatehouse/provider/letter"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Store is what sign-up needs of storage.
type Store interface {
	UserByLogin(ctx context.Context, key string) (*storage.User, string, error)
	CreateUser(ctx context.Context, u *storage.User, password string) error
	Ticket(ctx context.Context, kind storage.TicketKind, signature string) (*storage.Ticket, error)
	ConsumeTicket(ctx context.Context, kind storage.TicketKind, signature string) (*storage.Ticket, error)
}

// Passwords judges and encodes passwords; package credential does.
type Passwords interface {
	Check(password string, words ...string) error
	Hash(ctx context.Context, password string) (encoded string, err error)
	Verify(ctx context.Context, encoded, password string) (ok, rehash bool, err error)
	MinLength() int
}

// Tickets reads links; package ticket does.
type Tickets interface {
	Look(ctx context.Context, kind storage.TicketKind, token string) (*storage.Ticket, error)
	Life(kind storage.TicketKind) time.Duration
}

// Options build the feature.
type Options struct {
	// Issuer is the configured public URL, for links in mails.
	Issuer string
	// Mode is one of package client, for people who come without a client and for clients that say nothing.
	Mode string
	// Name is off, optional or required; empty: optional.
	Name string
	// TermsVersion is what people accept; empty asks them for nothing.
	TermsVersion string
	Store        Store
	Passwords    Passwords
	Tickets      Tickets
	Post         *letter.Post
	Flows        *interaction.Flows
	Clients      interface {
		Client(ctx context.Context, id string) (*storage.Client, error)
	}
	// SignIn makes of a first factor whatever it is worth.
	SignIn *signin.SignIn
	// Limiter counts, under PerIP, the accounts that one peer asks for.
	Limiter  *ratelimit.Limiter
	PerIP    ratelimit.Limit
	Activity *activity.Log
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// SignUp is the feature.
type SignUp struct{ Options }

// New returns the feature.
func New(o Options) *SignUp {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &SignUp{o}
}

// Mount adds /signup.
func (s *SignUp) Mount(m *web.Mux) {
	m.Page("/signup", s.show, s.submit)
	m.Page("/signup/confirm", s.ask, s.confirm)
}

// visit is what a request to the form is about.
type visit struct {
	flow   *storage.Interaction // nil: nothing waits
	client *storage.Client      // nil: nothing waits, or not for a client
	invite *storage.Ticket      // nil: nobody invited
	token  string               // of invite
}

// fixed is the address that a visitor has proven by the invitation that was mailed there.
func (v *visit) fixed() bool {
	return v.invite != nil && v.invite.EmailKey != "" && v.invite.Data["mailed"] != ""
}

// errDeadInvite says that an invitation works no more, or never did.
var errDeadInvite = errors.New("the invitation does not work")

// visit finds out whether the visitor may make an account (security row 149).
func (s *SignUp) visit(r *http.Request, id, token string) (*visit, error) {
	v := &visit{token: token}
	if id != "" {
		binder, _ := web.BinderOf(r)
		flow, err := s.Flows.Load(r.Context(), id, binder)
		if err != nil {
			return nil, err
		}
		v.flow = flow
	}
	err := s.SignIn.Dress(r, v.flow)
	if err != nil {
		return nil, err
	}
	if v.client, err = s.clientOf(r.Context(), v.flow); err != nil {
		return nil, err
	}
	mode := client.SignUp(v.client, s.Mode)
	if err := allow(mode, token != ""); err != nil {
		return nil, err
	}
	if token != "" {
		v.invite, err = s.Tickets.Look(r.Context(), storage.TicketInvite, token)
		switch {
		case dead(err):
			return nil, errDeadInvite
		case err != nil:
			return nil, err
		}
	}
	return v, nil
}

// clientOf returns the client that an interaction waits for, nil if there is none or it may do nothing now.
func (s *SignUp) clientOf(ctx context.Context, flow *storage.Interaction) (*storage.Client, error) {
	if flow == nil || flow.Kind != storage.InteractionAuthorize {
		return nil, nil
	}
	return s.find(ctx, flow.Params.Get("client_id"))
}

func (s *SignUp) find(ctx context.Context, id string) (*storage.Client, error) {
	if id == "" {
		return nil, nil
	}
	c, err := s.Clients.Client(ctx, id)
	if errors.Is(err, storage.ErrNotFound) || err == nil && c.Disabled {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read client: %w", err)
	}
	return c, nil
}

// allow refuses whoever may not make an account.
func allow(mode string, invited bool) error {
	switch {
	case mode == client.SignUpOff:
		return &web.Error{Status: http.StatusForbidden, Code: "signup_refused", Text: templates.Say("signup.off")}
	case mode == client.SignUpInvite && !invited:
		return &web.Error{Status: http.StatusForbidden, Code: "signup_refused", Text: templates.Say("signup.invited_only")}
	}
	return nil
}

// dead tells whether a link works no more, or never did.
func dead(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrConsumed)
}

// answer is what a visitor sees who cannot go on.
func (s *SignUp) answer(w http.ResponseWriter, r *http.Request, err error) error {
	switch {
	case errors.Is(err, errDeadInvite):
		return web.Render(w, r, http.StatusForbidden, templates.Told{Bad: true, Heading: templates.Say("signup.dead_invite_title"), Message: templates.Say("signup.dead_invite")})
	case errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrConsumed), errors.Is(err, interaction.ErrOtherBrowser):
		// The sign-in page says what has become of an interaction.
		return web.Redirect(w, r, web.LocalURL(r, "/login", url.Values{"interaction": {r.FormValue("interaction")}}))
	}
	return err
}

// show serves GET: the form.
func (s *SignUp) show(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	v, err := s.visit(r, query.Get("interaction"), query.Get("token"))
	if err != nil {
		return s.answer(w, r, err)
	}
	page := s.page(r, v)
	if hint, key, err := hinted(v); err == nil && key != "" {
		page.Email = hint
	}
	return web.Render(w, r, http.StatusOK, page)
}
