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
	"gatehouse/provider/client"
	"gatehouse/provider/interaction"
	"gatehouse/provider/oauth"
	"gatehouse/provider/redirect"
	"gatehouse/provider/request"
	"gatehouse/provider/web"
	"gatehouse/templates"
)

// refuse answers a refused authorization request. Until client and redirect_uri are proven to belong together the answer is a page, and the
// browser is sent nowhere (RFC 6749 section 4.1.2.1).
func (e *Endpoints) refuse(w http.ResponseWriter, r *http.Request, req *request.Authorize, err error) error {
	var mismatch *request.RedirectMismatch
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
	if req.Client.RegisteredBy == "open" && client.ProfileOf(req.Client).Name == "strict" && !answersNone(req, wire) {
		// Anyone can register such a client, so its errors must not make this server an open redirector.
		return web.Render(w, r, http.StatusBadRequest, interstitial(req, e.Engine.ErrorParams(req, wire), wire.Description))
	}
	return e.respond(w, r, req, e.Engine.ErrorParams(req, wire))
}

// answersNone tells whether an error is what prompt=none asks to be told (OpenID Connect Core 1.0 section 3.1.2.6), not a fault of the request. A client that anyone can
// register could otherwise send prompt=none with any broken request.
func answersNone(req *request.Authorize, wire oauth.Wire) bool {
	return slices.Contains(req.Prompt, "none") && slices.Contains([]string{"login_required", "consent_required", "interaction_required", "account_selection_required"}, wire.Code)
}

// interstitial lets the person deliver an error response, in the request's response mode.
func interstitial(req *request.Authorize, params url.Values, text string) templates.Interstitial {
	page := templates.Interstitial{Host: interaction.Target(req.RedirectURI), ErrorText: text}
	if req.ResponseMode == "form_post" {
		page.URL, page.Params = template.URL(req.RedirectURI), pairs(params)
	} else {
		page.URL = template.URL(location(req, params))
	}
	return page
}

// responseParams are all parameters of an authorization response, in the order of a form that posts them.
var responseParams = []string{
	"code", "access_token", "token_type", "expires_in", "scope", "id_token", "error", "error_description", "state", "session_state", "iss",
}

// respond delivers an authorization response in the request's response mode.
func (e *Endpoints) respond(w http.ResponseWriter, r *http.Request, req *request.Authorize, params url.Values) error {
	e.addSessionState(w, r, req, params)
	if req.ResponseMode != "form_post" {
		return web.Redirect(w, r, location(req, params))
	}
	return web.RenderFormPost(w, r, templates.FormPost{Action: template.URL(req.RedirectURI), Params: pairs(params)})
}

func pairs(params url.Values) []templates.Pair {
	var list []templates.Pair
	for _, name := range responseParams {
		if params.Has(name) {
			list = append(list, templates.Pair{Name: name, Value: params.Get(name)})
		}
	}
	return list
}

// location is the redirect URI with the response in its query or fragment. A registered URI has no fragment of its own. Scripts often read fragments by
// decodeURIComponent, which knows no plus sign for a space; %20 means the same to those that do.
func location(req *request.Authorize, params url.Values) string {
	if req.ResponseMode == "fragment" {
		return req.RedirectURI + "#" + strings.ReplaceAll(params.Encode(), "+", "%20")
	}
	return appendQuery(req.RedirectURI, params)
}

// addSessionState tells an OpenID client the state of the sign-in, also that nobody is signed in (OpenID Connect Session Management 1.0 section 2).
func (e *Endpoints) addSessionState(w http.ResponseWriter, r *http.Request, req *request.Authorize, params url.Values) {
	if !req.Has("openid") {
		return
	}
	if state := e.Sessions.State(w, r, req.Client.ID, req.RedirectURI); state != "" {
		params.Set("session_state", state)
	}
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
		Status: http.StatusBadRequest, Heading: templates.Say("error.broken_link"), RequestID: web.RequestID(r.Context()), Message: templates.Say("error.app_mistake"),
		Details: []templates.Pair{{Name: "error", Value: wire.Code}, {Name: "error_description", Value: wire.Description}},
	})
}

// mismatchPage shows a developer how the redirect_uri differs from the nearest registered one. The registered list goes to the log; strangers see
// only the nearest.
func (e *Endpoints) mismatchPage(w http.ResponseWriter, r *http.Request, m *request.RedirectMismatch) error {
	web.Annotate(r, "error", "invalid_redirect_uri")
	web.Annotate(r, "cause", m.Error())
	web.Annotate(r, "registered", m.Client.RedirectURIs)
	e.Audit.Record(r.Context(), audit.Event{Name: "authorize.refused", Client: m.Client.ID, Result: "refused", Reason: "redirect_uri"})
	found := redirect.Compare(m.Client, m.Sent)
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
