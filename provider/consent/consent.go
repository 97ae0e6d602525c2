package consent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"gatehouse/provider/audit"
	"gatehouse/provider/interaction"
	"gatehouse/provider/request"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Options build the feature.
type Options struct {
	Flows    *interaction.Flows
	Sessions *session.Sessions
	Clients  interface {
		Client(ctx context.Context, id string) (*storage.Client, error)
	}
	Consents interface {
		GrantConsent(ctx context.Context, c *storage.Consent) error
	}
	// Describe says in plain words what a scope allows; nil leaves it to the templates.
	Describe func(scope string) (title, description templates.Text)
	Audit    *audit.Log
}

// Consent is the feature.
type Consent struct{ Options }

// New returns the feature.
func New(o Options) *Consent { return &Consent{o} }

// Mount adds /consent.
func (c *Consent) Mount(m *web.Mux) { m.Page("/consent", c.show, c.decide) }

// pending is what the page asks about. It is read anew from the interaction for GET and POST, so nothing that the form carries can widen it.
type pending struct {
	flow      *storage.Interaction
	current   *session.Current
	client    *storage.Client
	scopes    []string
	resources []string
}

func (c *Consent) show(w http.ResponseWriter, r *http.Request) error {
	req, err := c.load(r, r.URL.Query().Get("interaction"))
	if req == nil || err != nil {
		return c.leave(w, r, r.URL.Query().Get("interaction"), err)
	}
	c.Audit.Record(r.Context(), audit.Event{Name: "consent.shown", Actor: req.current.Session.Subject, Client: req.client.ID, Result: "ok"})
	return web.Render(w, r, http.StatusOK, c.page(r, req))
}

func (c *Consent) decide(w http.ResponseWriter, r *http.Request) error {
	id := r.PostFormValue("interaction")
	req, err := c.load(r, id)
	if req == nil || err != nil {
		return c.leave(w, r, id, err)
	}
	subject := req.current.Session.Subject
	event := audit.Event{Name: "consent.granted", Actor: subject, Client: req.client.ID, Result: "ok"}
	proof, value := interaction.ProofConsent, subject
	switch r.PostFormValue("decision") {
	case "allow":
		// Stored first: a proof without a consent would give tokens that the account page does not list.
		if err := c.Consents.GrantConsent(r.Context(), &storage.Consent{Subject: subject, ClientID: req.client.ID, Scopes: req.scopes, Resources: req.resources}); err != nil {
			return fmt.Errorf("store consent: %w", err)
		}
	case "deny":
		event.Name, proof, value = "consent.denied", interaction.ProofDenied, "1"
	default:
		return web.BadRequest(templates.Say("consent.choose"))
	}
	err = c.Flows.Update(r.Context(), req.flow.ID, func(i *storage.Interaction) error {
		interaction.Pin(i, subject, req.current.Session.ID)
		interaction.Prove(i, proof, value)
		return nil
	})
	if err != nil && !errors.Is(err, storage.ErrConsumed) && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("store decision: %w", err)
	}
	c.Audit.Record(r.Context(), event)
	web.Annotate(r, "outcome", event.Name)
	return c.back(w, r, id) // an interaction that another tab finished meanwhile says so there
}

// load reads the request that waits for a decision. It is nil if the authorization endpoint must look at it first: nobody is signed in, or somebody else than
// the one who signed in for it, or the client is gone.
func (c *Consent) load(r *http.Request, id string) (*pending, error) {
	binder, _ := web.BinderOf(r)
	flow, err := c.Flows.Load(r.Context(), id, binder)
	if err != nil {
		return nil, err
	}
	if flow.Kind != storage.InteractionAuthorize {
		return nil, fmt.Errorf("read interaction: %w", storage.ErrNotFound)
	}
	current, err := c.Sessions.Current(r)
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	if current == nil || flow.Subject != "" && flow.Subject != current.Session.Subject {
		return nil, nil
	}
	client, err := c.Clients.Client(r.Context(), flow.Params.Get("client_id"))
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
	resources := slices.DeleteFunc(slices.Clone(flow.Params["resource"]), func(uri string) bool { return !slices.Contains(client.Audience, uri) })
	slices.Sort(resources)
	return &pending{flow: flow, current: current, client: client, scopes: request.Asked(client, flow.Params), resources: slices.Compact(resources)}, nil
}

func (c *Consent) page(r *http.Request, req *pending) templates.Consent {
	redirect := req.flow.Params.Get("redirect_uri")
	if redirect == "" && len(req.client.RedirectURIs) == 1 {
		redirect = req.client.RedirectURIs[0]
	}
	page := templates.Consent{
		Client: templates.ClientView{
			ID: req.client.ID, Name: req.client.Name, PolicyURI: req.client.PolicyURI, TOSURI: req.client.TOSURI, ClientURI: req.client.ClientURI,
		},
		Account: label(req.current.User), Resources: req.resources, Offline: slices.Contains(req.scopes, "offline_access"),
		Interaction: req.flow.ID, RedirectHost: interaction.Target(redirect),
		SwitchAccount: web.LocalURL(r, "/login", url.Values{"interaction": {req.flow.ID}}),
	}
	if req.client.LogoURI != "" {
		page.Client.LogoURL = web.LocalURL(r, "/client-logo/"+url.PathEscape(req.client.ID), nil)
	}
	for _, scope := range req.scopes {
		view := templates.ScopeView{Name: scope}
		if c.Describe != nil {
			view.Title, view.Description = c.Describe(scope)
		}
		page.Scopes = append(page.Scopes, view)
	}
	return page
}

func label(u *storage.User) string {
	for _, name := range []string{u.Email, u.Username} {
		if name != "" {
			return name
		}
	}
	return u.Subject
}

// back returns to the authorization endpoint, which looks at the whole request again.
func (c *Consent) back(w http.ResponseWriter, r *http.Request, id string) error {
	return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnAuthorize, url.Values{"interaction": {id}}))
}

// leave answers an interaction that has nothing to decide here, without a word on what it was.
func (c *Consent) leave(w http.ResponseWriter, r *http.Request, id string, err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		binder, _ := web.BinderOf(r)
		if _, late := c.Flows.Late(r.Context(), id, binder); late == nil {
			err = nil // it only took too long: it begins anew there
		} else if !errors.Is(late, storage.ErrNotFound) {
			return late
		}
	}
	switch {
	case err == nil:
		return c.back(w, r, id)
	case errors.Is(err, storage.ErrConsumed):
		return web.Render(w, r, http.StatusOK, templates.Done{Heading: templates.Say("error.finished"), Message: templates.Say("consent.finished")})
	case errors.Is(err, interaction.ErrOtherBrowser), errors.Is(err, storage.ErrNotFound):
		return web.Render(w, r, http.StatusForbidden, templates.Error{
			Status: http.StatusForbidden, Heading: templates.Say("error.request_elsewhere"), RequestID: web.RequestID(r.Context()),
			Message: templates.Say("error.elsewhere_more"),
		})
	}
	return err
}
