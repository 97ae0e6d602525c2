package login

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/interaction"
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
	// Route is the provider that a request, or the name typed for it, leads to without a question, empty if people choose.
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
	// InProcess counts the names of IdentifierFirst, so that counting costs no write; nil counts none.
	InProcess *ratelimit.Limiter
	Limits    Limits
	// Upstreams are the other ways to sign in; nil is the same as none.
	Upstreams Upstreams
	// NoPassword leaves the password form out, which needs Upstreams.
	NoPassword bool
	// IdentifierFirst asks for the name on a page of its own and for the password on the next one; it needs passwords.
	IdentifierFirst bool
	// Elsewhere says which other pages the form leads to.
	Elsewhere Elsewhere
	Audit     *audit.Log
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
	if l.IdentifierFirst {
		m.Page("/login", l.show, l.paused(l.submitName))
		m.Page(namePath, l.paused(l.showName), nil)
		m.Page(passwordPath, l.paused(l.showPassword), l.paused(l.submitPassword))
	} else {
		m.Page("/login", l.show, l.paused(l.submit))
	}
	m.Page(accountsPath, l.paused(l.showAccounts), l.chooseAccount)
	if l.SignIn.Policy.Enabled() {
		m.Page("/login/step-up", l.stepUp, nil)
		m.Page("/login/passkey", nil, l.paused(l.submitPasskey))
		m.Page(signin.FactorPath, l.showFactor, l.submitFactor)
		m.Page(signin.EnrolPath, l.showEnrol, l.submitEnrol)
	}
}

// show serves GET: the form. It changes nothing, not even for somebody who is signed in.
func (l *Login) show(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Get("interaction") == "" {
		return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnAccount, nil)) // which begins an interaction, or needs none
	}
	return l.paused(l.begin)(w, r)
}

// begin is show for a request that waits.
func (l *Login) begin(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, page *templates.Login) error {
	if sent, err := l.route(w, r, flow); sent || err != nil {
		return err
	}
	if accounts, err := l.choices(r, flow); err != nil {
		return err
	} else if len(accounts) > 0 {
		return web.Redirect(w, r, web.LocalURL(r, accountsPath, url.Values{"interaction": {flow.ID}}))
	}
	var err error
	if l.IdentifierFirst {
		err = l.firstStep(r, flow, page)
	} else if page.LockedName == "" {
		page.Username, err = l.suggested(r, flow)
	}
	if err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, *page)
}

// route sends the browser to the provider that the request leads to. sent: there is one.
func (l *Login) route(w http.ResponseWriter, r *http.Request, flow *storage.Interaction) (sent bool, err error) {
	if l.Upstreams == nil {
		return false, nil
	}
	id, err := l.Upstreams.Route(r.Context(), flow)
	if err != nil {
		return false, fmt.Errorf("find provider: %w", err)
	}
	if id == "" {
		return false, nil
	}
	return true, web.Redirect(w, r, web.LocalURL(r, "/upstream/"+url.PathEscape(id)+"/start", url.Values{"interaction": {flow.ID}}))
}

// submit serves POST: one try.
func (l *Login) submit(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, page *templates.Login) error {
	if l.NoPassword {
		return &web.Error{Status: http.StatusForbidden, Code: "no_password", Text: templates.Say("error.no_password")}
	}
	page.Username = r.PostFormValue("username")
	if page.LockedName != "" {
		page.Username = page.LockedName
	}
	return l.check(w, r, flow, page)
}

// check tries the password for the name on the page.
func (l *Login) check(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, page *templates.Login) error {
	result, err := l.try(r, page.Username, r.PostFormValue("password"))
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

// paused serves a page of an interaction that goes on.
func (l *Login) paused(serve func(http.ResponseWriter, *http.Request, *storage.Interaction, *templates.Login) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id := r.PostFormValue("interaction")
		if r.Method != http.MethodPost {
			id = r.URL.Query().Get("interaction")
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
		return serve(w, r, flow, page)
	}
}

func (l *Login) load(r *http.Request, id string) (*storage.Interaction, error) {
	binder, _ := web.BinderOf(r)
	return l.Flows.Load(r.Context(), id, binder)
}
