package endpoint

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"gatehouse/provider/audit"
	"gatehouse/provider/interaction"
	"gatehouse/provider/oauth"
	"gatehouse/provider/web"
	"gatehouse/templates"
)

// refuse answers a refused authorization request. Until client and redirect_uri are proven to belong together the answer is a page, and the
// browser is sent nowhere (RFC 6749 section 4.1.2.1).
func (e *Endpoints) refuse(w http.ResponseWriter, r *http.Request, req *oauth.AuthorizeRequest, err error) error {
	var mismatch *oauth.RedirectMismatch
	if errors.As(err, &mismatch) {
		return e.mismatchPage(w, r, mismatch)
	}
	wire := oauth.ToWire(err)
	if !req.Proven {
		var refusal *fosite.RFC6749Error
		if !errors.As(err, &refusal) {
			return err
		}
		return e.refusalPage(w, r, wire)
	}
	web.Annotate(r, "error", wire.Code)
	web.Annotate(r, "cause", cause(err))
	e.Audit.Record(r.Context(), audit.Event{Name: "authorize.refused", Client: req.Client.ID, Result: "refused", Reason: wire.Code})
	if req.Client.RegisteredBy == "open" && req.Client.Profile == "strict" && !slices.Contains(req.Prompt, "none") {
		// Anyone can register such a client, so its errors must not make this server an open redirector.
		return web.Render(w, r, http.StatusBadRequest, templates.Interstitial{
			Host: interaction.Target(req.RedirectURI), URL: template.URL(appendQuery(req.RedirectURI, e.Engine.ErrorParams(req, wire))), ErrorText: wire.Description,
		})
	}
	return e.respond(w, r, req, e.Engine.ErrorParams(req, wire))
}

// respond delivers an authorization response in the request's response mode.
func (e *Endpoints) respond(w http.ResponseWriter, r *http.Request, req *oauth.AuthorizeRequest, params url.Values) error {
	if req.ResponseMode != "form_post" {
		return web.Redirect(w, r, appendQuery(req.RedirectURI, params))
	}
	page := templates.FormPost{Action: template.URL(req.RedirectURI)}
	for _, name := range []string{"code", "error", "error_description", "state", "iss"} {
		if params.Has(name) {
			page.Params = append(page.Params, templates.Pair{Name: name, Value: params.Get(name)})
		}
	}
	return web.RenderFormPost(w, r, page)
}

// appendQuery adds parameters to a redirect URI and changes nothing else of it (RFC 6749 section 3.1.2).
func appendQuery(uri string, params url.Values) string {
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
		if strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&") {
			separator = ""
		}
	}
	return uri + separator + params.Encode()
}

func (e *Endpoints) refusalPage(w http.ResponseWriter, r *http.Request, wire oauth.Wire) error {
	web.Annotate(r, "error", wire.Code)
	web.Annotate(r, "cause", wire.Description)
	e.Audit.Record(r.Context(), audit.Event{Name: "authorize.refused", Result: "refused", Reason: wire.Code})
	return web.Render(w, r, http.StatusBadRequest, templates.Error{
		Status: http.StatusBadRequest, Heading: "This sign-in link does not work", RequestID: web.RequestID(r.Context()),
		Message: "The app that sent you here made a mistake in its request. " + wire.Description, Details: []templates.Pair{{Name: "error", Value: wire.Code}},
	})
}

// mismatchPage shows a developer how the redirect_uri differs from the nearest registered one. The registered list goes to the log; strangers see
// only the nearest.
func (e *Endpoints) mismatchPage(w http.ResponseWriter, r *http.Request, m *oauth.RedirectMismatch) error {
	web.Annotate(r, "error", "invalid_redirect_uri")
	web.Annotate(r, "cause", m.Error())
	web.Annotate(r, "registered", m.Client.RedirectURIs)
	e.Audit.Record(r.Context(), audit.Event{Name: "authorize.refused", Client: m.Client.ID, Result: "refused", Reason: "redirect_uri"})
	found := oauth.Mismatch(m.Client, m.Sent)
	page := templates.RedirectMismatch{
		ClientName: m.Client.Name, ClientID: m.Client.ID, Sent: m.Sent, Nearest: found.Nearest, RequestID: web.RequestID(r.Context()),
	}
	for _, d := range found.Differences {
		page.Differences = append(page.Differences, templates.Difference{Part: d.Part, Sent: d.Sent, Registered: d.Registered, Advice: d.Advice})
	}
	if e.ShowRegistered {
		page.Registered = m.Client.RedirectURIs
	}
	return web.Render(w, r, http.StatusBadRequest, page)
}
