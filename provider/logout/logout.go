package logout

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/oauth"
	"gatehouse/provider/request"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Options build the feature.
type Options struct {
	Engine   *oauth.Engine
	Keys     request.HintKeys
	Sessions *session.Sessions
	Queue    Queue
	Outbound Poster
	Audit    *audit.Log
	Now      func() time.Time
	// SessionManagement serves check_session_iframe.
	SessionManagement bool
	// Upstreams also ends the session at the provider that a sign-in came by; nil is the same as none.
	Upstreams Upstreams
}

// Upstreams are the providers of sign-ins. Package upstream has them.
type Upstreams interface {
	// UpstreamToken returns what AlsoEnd needs of a session, nil if that is nothing.
	UpstreamToken(ctx context.Context, sessionID string) ([]byte, error)
	// AlsoEnd returns where the browser ends its session at the provider and comes back to go on to next (empty for our own page); empty if there is nothing to end.
	AlsoEnd(w http.ResponseWriter, r *http.Request, ended *storage.Session, token []byte, next string) (string, error)
}

// Queue is the part of the store that holds what is to be delivered.
type Queue interface {
	ClaimLogouts(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*storage.LogoutDelivery, error)
	RetryLogout(ctx context.Context, id string, next time.Time, made bool) error
	FinishLogout(ctx context.Context, id string) error
}

// Poster sends a form to a URL; see outbound.Client.
type Poster interface {
	Post(ctx context.Context, to string, form url.Values) (status int, err error)
}

// Logout is the feature.
type Logout struct {
	Options
	deliveries deliveries
}

// New returns the feature. Now defaults to time.Now.
func New(o Options) *Logout {
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Logout{Options: o}
	l.deliveries.init()
	return l
}

// The paths of this feature.
const (
	pathEndSession = "/oauth2/logout"
	pathConfirm    = "/oauth2/logout/confirm"
	pathCheck      = "/oauth2/check_session"
)

// Mount adds the end_session endpoint, its confirmation and, if it is on, the frame of Session Management.
func (l *Logout) Mount(m *web.Mux) {
	m.PageNoCSRF(pathEndSession, l.endSession, l.endSession)
	m.Page(pathConfirm, nil, l.confirm)
	if l.SessionManagement {
		m.Embedded(pathCheck, l.checkSession)
	}
}

// endSession is the end_session endpoint, GET and POST. It may be called from any site, so it acts at once only on the proof of an ID token of the very session
// that the browser is in (ruling 48); everything else is asked first.
//
// A POST from another site comes without our cookies, and so does one that a relying party sends by itself. Neither ends anything: the answer is a page, by which
// a browser comes back with its cookies, and which a server ignores.
func (l *Logout) endSession(w http.ResponseWriter, r *http.Request) error {
	params, repeated, err := web.Params(r)
	if err != nil {
		return err
	}
	if len(repeated) > 0 {
		return web.BadRequest(templates.Say("error.param_twice", "Name", printable(repeated[0])))
	}
	ask, err := l.read(r.Context(), params)
	if err != nil {
		return err
	}
	l.annotate(r, ask)
	held, live, err := l.Sessions.Held(r)
	if err != nil {
		return err
	}
	waiting, err := l.Sessions.Parked(r)
	if err != nil {
		return fmt.Errorf("read parked sessions: %w", err)
	}
	foreign := r.Method == http.MethodPost && params.Get(fieldReturned) == ""
	_, ours := web.BinderOf(r)
	switch {
	case held == nil && foreign:
		return comeBack(w, r, ask)
	case held == nil && len(waiting) == 0:
		return l.nothingToEnd(w, r, ask)
	case held != nil && ask.proves(held.Session):
		return l.end(w, r, ask)
	case foreign && !ours:
		return comeBack(w, r, ask)
	}
	if live {
		waiting = append([]*session.Current{held}, waiting...)
	}
	return l.ask(w, r, ask, waiting)
}

// confirm takes the answer to the question. It is protected against other sites, so it needs no proof; what the request asked for beyond the end of the session is
// looked at anew.
func (l *Logout) confirm(w http.ResponseWriter, r *http.Request) error {
	params, _, err := web.Params(r)
	if err != nil {
		return err
	}
	ask, err := l.read(r.Context(), params)
	if err != nil {
		return err
	}
	l.annotate(r, ask)
	held, _, err := l.Sessions.Held(r)
	if err != nil {
		return err
	}
	if held != nil && ask.client != nil && ask.subject != held.Session.Subject {
		ask.target = "" // security row 188: the client means somebody else
	}
	return l.end(w, r, ask)
}

// SignOut ends the session of a request that the caller has protected: the account page's.
func (l *Logout) SignOut(w http.ResponseWriter, r *http.Request) error {
	return l.end(w, r, &ask{ownForm: true})
}

// annotate notes who asks, for the log line and for the looks and the language of the pages.
func (l *Logout) annotate(r *http.Request, a *ask) {
	web.SetLang(r, a.params.Get("ui_locales"))
	if a.client != nil {
		web.SetClient(r, a.client)
		web.Annotate(r, "client", a.client.ID)
	}
	if !a.fault.Empty() {
		web.Annotate(r, "cause", web.English(r, &web.Error{Text: a.fault}))
	}
}

// comeBack answers a POST that came without cookies.
func comeBack(w http.ResponseWriter, r *http.Request, a *ask) error {
	web.Annotate(r, "outcome", "come back")
	return web.Render(w, r, http.StatusOK, templates.LogoutReturn{Fields: append(a.fields(), templates.Pair{Name: fieldReturned, Value: "1"})})
}

// ask lets the person decide about all who are signed in in this browser: a sign-out leaves nobody (security row 183).
func (l *Logout) ask(w http.ResponseWriter, r *http.Request, a *ask, signedIn []*session.Current) error {
	web.Annotate(r, "outcome", "confirm")
	page := templates.LogoutConfirm{Fields: a.fields(), Fault: a.fault, Accounts: len(signedIn)}
	if len(signedIn) > 0 {
		page.Account = accountOf(signedIn[0].User)
	}
	if a.client != nil {
		page.App = labelOf(a.client)
	}
	return web.RenderForm(w, r, http.StatusOK, page)
}

// end ends the sessions of the browser, if there are any, and shows or sends it what follows.
func (l *Logout) end(w http.ResponseWriter, r *http.Request, a *ask) error {
	token, err := l.upstreamToken(r)
	if err != nil {
		return err
	}
	ended, err := l.Sessions.End(w, r)
	if err != nil {
		return err
	}
	if len(ended) == 0 {
		return l.nothingToEnd(w, r, a)
	}
	for _, one := range ended {
		event := audit.Event{Name: "logout", Actor: one.Session.Subject, SessionHash: web.Hash(one.Session.ID), Result: "ok"}
		if a.client != nil {
			event.Client = a.client.ID
		}
		l.Audit.Record(r.Context(), event)
	}
	web.Annotate(r, "outcome", "ended")
	told, err := l.toTell(r.Context(), ended)
	if err != nil {
		// The session is over, whatever else fails: say so.
		web.Annotate(r, "cause", fmt.Errorf("list the apps of the sessions: %w", err))
		told = &parties{}
	}
	l.alsoUpstream(w, r, a, ended[0], token)
	return l.leave(w, r, a, told)
}

// upstreamToken is what ends the session at the provider that the sign-in came by, if it did; it goes with the session.
func (l *Logout) upstreamToken(r *http.Request) ([]byte, error) {
	held, _, err := l.Sessions.Held(r)
	if err != nil || held == nil || l.Upstreams == nil || held.Session.Upstream == "" {
		return nil, err
	}
	token, err := l.Upstreams.UpstreamToken(r.Context(), held.Session.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read token of provider: %w", err)
	}
	return token, nil
}

// alsoUpstream sends the browser by way of the provider that its own session came by, of which token is. Our session is over by now, whatever the provider says.
func (l *Logout) alsoUpstream(w http.ResponseWriter, r *http.Request, a *ask, ended *session.Ended, token []byte) {
	if len(token) == 0 {
		return
	}
	via, err := l.Upstreams.AlsoEnd(w, r, ended.Session, token, a.target)
	if err != nil {
		web.Annotate(r, "cause", fmt.Errorf("end the session at %s: %w", ended.Session.Upstream, err))
		return
	}
	if via != "" {
		a.target, a.viaUpstream = via, true
	}
}

// nothingToEnd answers a request of a browser that is not signed in. There is nothing to ask, so the browser goes on; but not at a glance to an address that
// anybody may have registered, or a link to us would lead anywhere (ruling 17).
func (l *Logout) nothingToEnd(w http.ResponseWriter, r *http.Request, a *ask) error {
	web.Annotate(r, "outcome", "nothing to end")
	if a.target != "" && a.client.RegisteredBy == "open" && a.client.Profile == "strict" {
		return web.Render(w, r, http.StatusOK, templates.SignedOut{Next: template.URL(a.target)})
	}
	return l.leave(w, r, a, &parties{})
}
