package signup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/audit"
	"gatehouse/provider/interaction"
	"gatehouse/provider/letter"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// TermsOptions build the page that asks for the terms.
type TermsOptions struct {
	// Version is what people accept; empty asks them for nothing.
	Version string
	// NoDelete tells that people cannot delete their own accounts.
	NoDelete bool
	Users    interface {
		UpdateUser(ctx context.Context, subject string, change func(*storage.User) error) (*storage.User, error)
	}
	Sessions *session.Sessions
	Flows    *interaction.Flows
	Clients  interface {
		Client(ctx context.Context, id string) (*storage.Client, error)
	}
	Activity *activity.Log
	Audit    *audit.Log
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Terms is the page that asks people who have an account to accept the terms: whoever accepted another version, or none because the account was made by somebody else. It is there without sign-up, too.
type Terms struct{ TermsOptions }

// NewTerms returns the feature.
func NewTerms(o TermsOptions) *Terms {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Terms{o}
}

// Mount adds /terms.
func (t *Terms) Mount(m *web.Mux) { m.Page("/terms", t.show, t.decide) }

// question is what the page asks, and whom. It is read anew for GET and POST.
type question struct {
	flow    *storage.Interaction
	current *session.Current
	client  *storage.Client
}

// due tells whether the person has still to be asked.
func (t *Terms) due(q *question) bool {
	return t.Version != "" && q.current.User.TermsVersion != t.Version
}

func (t *Terms) show(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("interaction")
	q, err := t.load(r, id)
	if q == nil || err != nil {
		return t.leave(w, r, id, err)
	}
	if !t.due(q) {
		return t.back(w, r, id)
	}
	t.Audit.Record(r.Context(), audit.Event{Name: "terms.shown", Actor: q.current.Session.Subject, Target: t.Version, Client: q.client.ID, Result: "ok"})
	return web.Render(w, r, http.StatusOK, t.page(r, q))
}

func (t *Terms) decide(w http.ResponseWriter, r *http.Request) error {
	id := r.PostFormValue("interaction")
	q, err := t.load(r, id)
	if q == nil || err != nil {
		return t.leave(w, r, id, err)
	}
	switch r.PostFormValue("decision") {
	case "decline":
		if err := t.decline(r, q); err != nil {
			return err
		}
		return t.back(w, r, id) // an interaction that another tab finished meanwhile says so there
	case "accept":
	default:
		return web.BadRequest(templates.Say("terms.choose"))
	}
	switch {
	case !t.due(q): // accepted in another tab
	case r.PostFormValue("version") != t.Version: // nobody accepts what the page did not show
		page := t.page(r, q)
		page.Newer = true
		return web.Render(w, r, http.StatusConflict, page)
	default:
		if err := t.accept(r, q); err != nil {
			return err
		}
	}
	return t.back(w, r, id)
}

var errAccepted = errors.New("the terms are accepted already")

// accept stores the configured version, whatever the form says. Whoever was locked out while the page was open accepts nothing; what has become of the user the authorization endpoint says.
func (t *Terms) accept(r *http.Request, q *question) error {
	user, err := t.Users.UpdateUser(r.Context(), q.current.Session.Subject, func(u *storage.User) error {
		switch {
		case u.Epoch != q.current.User.Epoch: // disabled, or a new password
			return fmt.Errorf("user %s has changed: %w", u.Subject, storage.ErrNotFound)
		case u.TermsVersion == t.Version:
			return errAccepted
		}
		u.TermsVersion, u.TermsAccepted = t.Version, t.Now().UTC()
		return nil
	})
	if errors.Is(err, errAccepted) || errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store terms: %w", err)
	}
	t.Activity.Note(r.Context(), letter.From(r), user, activity.Event{Kind: activity.TermsAccepted, ClientID: q.client.ID, Target: t.Version, Detail: t.Version})
	web.Annotate(r, "outcome", activity.TermsAccepted)
	return nil
}

// decline is an answer to this request only: nothing is stored of it, and the person is asked again the next time.
func (t *Terms) decline(r *http.Request, q *question) error {
	err := t.Flows.Update(r.Context(), q.flow.ID, func(i *storage.Interaction) error {
		interaction.Pin(i, q.current.Session.Subject, q.current.Session.ID)
		interaction.Prove(i, interaction.ProofDenied, "1")
		return nil
	})
	if err != nil && !dead(err) {
		return fmt.Errorf("store decision: %w", err)
	}
	t.Audit.Record(r.Context(), audit.Event{Name: "terms.declined", Actor: q.current.Session.Subject, Target: t.Version, Client: q.client.ID, Result: "ok"})
	web.Annotate(r, "outcome", "terms.declined")
	return nil
}

// load reads the request that waits. It is nil if the authorization endpoint must look at it first: nobody is signed in, or somebody else than the one who signed in for it, or the client is gone.
func (t *Terms) load(r *http.Request, id string) (*question, error) {
	binder, _ := web.BinderOf(r)
	flow, err := t.Flows.Load(r.Context(), id, binder)
	if err != nil {
		return nil, err
	}
	if flow.Kind != storage.InteractionAuthorize {
		return nil, fmt.Errorf("read interaction: %w", storage.ErrNotFound)
	}
	current, err := t.Sessions.Current(r)
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	if current == nil || flow.Subject != "" && flow.Subject != current.Session.Subject {
		return nil, nil
	}
	client, err := t.Clients.Client(r.Context(), flow.Params.Get("client_id"))
	if errors.Is(err, storage.ErrNotFound) || err == nil && client.Disabled {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read client: %w", err)
	}
	web.Annotate(r, "client", client.ID)
	web.SetClient(r, client)
	web.SetLang(r, flow.Params.Get("ui_locales"))
	web.SetUserLang(r, current.User.Locale)
	return &question{flow, current, client}, nil
}

func (t *Terms) page(r *http.Request, q *question) templates.Terms {
	c, u := q.client, q.current.User
	page := templates.Terms{
		Client: templates.ClientView{ID: c.ID, Name: c.Name}, Account: cmp.Or(u.Email, u.Username, u.Subject), Interaction: q.flow.ID,
		Version: t.Version, Again: u.TermsVersion != "", DeleteOffered: !t.NoDelete,
	}
	if c.LogoURI != "" {
		page.Client.LogoURL = web.LocalURL(r, "/client-logo/"+url.PathEscape(c.ID), nil)
	}
	return page
}

// back returns to the authorization endpoint, which looks at the whole request again.
func (t *Terms) back(w http.ResponseWriter, r *http.Request, id string) error {
	return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnAuthorize, url.Values{"interaction": {id}}))
}

// leave answers an interaction that has nothing to ask here. The authorization endpoint says what has become of one, also to another browser and of one that took too long, which begins anew there.
func (t *Terms) leave(w http.ResponseWriter, r *http.Request, id string, err error) error {
	if err == nil || dead(err) || errors.Is(err, interaction.ErrOtherBrowser) {
		return t.back(w, r, id)
	}
	return err
}
