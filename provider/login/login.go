package login

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/interaction"
	"gatehouse/provider/letter"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/session"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Store is what the login page needs of storage.
type Store interface {
	UserByLogin(ctx context.Context, key string) (*storage.User, string, error)
	RehashPassword(ctx context.Context, subject, old, encoded string) error
	FailureStore
	UpstreamToken(ctx context.Context, sessionID string) ([]byte, error)
}

// Passwords verifies and encodes passwords; package credential says how.
type Passwords interface {
	Verify(ctx context.Context, encoded, password string) (ok, rehash bool, err error)
	Hash(ctx context.Context, password string) (encoded string, err error)
}

// Upstreams are the providers at which people can sign in instead. Package upstream has them.
type Upstreams interface {
	Buttons() []templates.UpstreamButton
	// Route is the provider that a request leads to without a question, empty if people choose.
	Route(ctx context.Context, flow *storage.Interaction) (string, error)
}

// Elsewhere is what people can do who have no account, or whose password is lost.
type Elsewhere struct {
	// SignUp tells whether people may make an account on the way to a client, nil for those who come without one; nil: nowhere.
	SignUp func(c *storage.Client) bool
	// Recovery mails links to a new password, MailLink such that sign in.
	Recovery, MailLink bool
}

// Options build the feature.
type Options struct {
	Store     Store
	Passwords Passwords
	Sessions  *session.Sessions
	Flows     *interaction.Flows
	Clients   interface {
		Client(ctx context.Context, id string) (*storage.Client, error)
	}
	// SignIn starts the sessions; nil is one without second factors.
	SignIn *signin.SignIn
	// Factors check the second factors that SignIn asks for.
	Factors Factors
	// Remember offers to keep the session when the browser closes.
	Remember bool
	Limiter  *ratelimit.Limiter
	Limits   Limits
	// Upstreams are the other ways to sign in; nil is the same as none.
	Upstreams Upstreams
	// NoPassword leaves the password form out, which needs Upstreams.
	NoPassword bool
	// Elsewhere says which other pages the form leads to.
	Elsewhere Elsewhere
	// DeviceKeys sign the cookie by which a browser that signed in before gets a failure counter of its own, so that strangers who guess cannot lock the
	// account's owner out; the first key signs, all verify. Without keys every browser shares the account's counter.
	DeviceKeys [][]byte
	// Tickets make the link in the mail about a new factor that says "it was not me"; nil if no mail can be sent.
	Tickets letter.Issuer
	Audit   *audit.Log
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Login is the feature.
type Login struct {
	Options
	gate gate
}

// New returns the feature.
func New(o Options) *Login {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SignIn == nil {
		o.SignIn = signin.New(signin.Options{Sessions: o.Sessions, Flows: o.Flows, Clients: o.Clients, Audit: o.Audit, Now: o.Now})
	}
	return &Login{Options: o}
}

// Mount adds /login, the choice of accounts and the second factors.
func (l *Login) Mount(m *web.Mux) {
	m.Page("/login", l.show, l.submit)
	m.Page(accountsPath, l.showAccounts, l.chooseAccount)
	if l.SignIn.Policy.Enabled() {
		m.Page("/login/step-up", l.stepUp, nil)
		m.Page("/login/passkey", nil, l.submitPasskey)
		m.Page(signin.FactorPath, l.showFactor, l.submitFactor)
		m.Page(signin.EnrolPath, l.showEnrol, l.submitEnrol)
	}
}

// show serves GET: the form. It changes nothing, not even for somebody who is signed in.
func (l *Login) show(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("interaction")
	if id == "" {
		return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnAccount, nil)) // which begins an interaction, or needs none
	}
	flow, err := l.load(r, id)
	if err != nil {
		return l.refuse(w, r, err)
	}
	page, err := l.page(r, flow)
	if err != nil {
		return err
	}
	if page == nil {
		return l.back(w, r, flow)
	}
	if l.Upstreams != nil {
		id, err := l.Upstreams.Route(r.Context(), flow)
		if err != nil {
			return fmt.Errorf("find provider: %w", err)
		}
		if id != "" {
			return web.Redirect(w, r, web.LocalURL(r, "/upstream/"+url.PathEscape(id)+"/start", url.Values{"interaction": {flow.ID}}))
		}
	}
	if accounts, err := l.choices(r, flow); err != nil {
		return err
	} else if len(accounts) > 0 {
		return web.Redirect(w, r, web.LocalURL(r, accountsPath, url.Values{"interaction": {flow.ID}}))
	}
	if page.LockedName == "" {
		if page.Username, err = l.suggested(r, flow); err != nil {
			return err
		}
	}
	return web.Render(w, r, http.StatusOK, *page)
}

// submit serves POST: one try.
func (l *Login) submit(w http.ResponseWriter, r *http.Request) error {
	flow, err := l.load(r, r.PostFormValue("interaction"))
	if err != nil {
		return l.refuse(w, r, err)
	}
	page, err := l.page(r, flow)
	if err != nil {
		return err
	}
	if page == nil {
		return l.back(w, r, flow)
	}
	if l.NoPassword {
		return &web.Error{Status: http.StatusForbidden, Code: "no_password", Text: templates.Say("error.no_password")}
	}
	page.Username = r.PostFormValue("username")
	if page.LockedName != "" {
		page.Username = page.LockedName
	}
	result, err := l.try(w, r, page.Username, r.PostFormValue("password"))
	if err != nil {
		return err
	}
	client := flow.Params.Get("client_id")
	switch {
	case result.wait > 0:
		l.Audit.Record(r.Context(), audit.Event{Name: "login.throttled", Target: result.subject(), Client: client, Result: "denied"})
		return tooMany(w, r, page, result.wait)
	case !result.ok:
		l.Audit.Record(r.Context(), audit.Event{Name: "login.failed", Target: result.subject(), Client: client, Result: "failed", Reason: result.reason})
		page.Error = templates.Say("login.wrong")
		return web.Render(w, r, http.StatusUnauthorized, *page)
	}
	proof := signin.Proof{User: result.user, AMR: []string{"pwd"}, ACR: "1", Remember: r.PostFormValue("remember") == "1"}
	return l.answer(w, r, l.SignIn.Proven(w, r, flow, proof))
}

// back sends the browser on once a sign-in is done.
func (l *Login) back(w http.ResponseWriter, r *http.Request, flow *storage.Interaction) error {
	path, query := interaction.Next(flow)
	return web.Redirect(w, r, web.LocalURL(r, path, query))
}

func (l *Login) load(r *http.Request, id string) (*storage.Interaction, error) {
	binder, _ := web.BinderOf(r)
	return l.Flows.Load(r.Context(), id, binder)
}
