package login

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"gatehouse/provider/interaction"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// maxHint is the longest login_hint that is put into the form: the longest e-mail address.
const maxHint = 254

// page builds the form for an interaction. It is nil if the client of the request is gone: the authorization endpoint says so better.
func (l *Login) page(r *http.Request, flow *storage.Interaction) (*templates.Login, error) {
	page := &templates.Login{Interaction: flow.ID, Password: !l.NoPassword, Remember: l.Remember}
	var err error
	if page.Passkey, err = l.passkeyForm(flow); err != nil {
		return nil, err
	}
	if l.Upstreams != nil {
		page.Upstreams = l.Upstreams.Buttons()
	}
	web.SetLang(r, flow.Params.Get("ui_locales"))
	explain(page, flow)
	if flow.Kind != storage.InteractionAuthorize {
		l.leadElsewhere(page, flow, nil)
		return page, nil
	}
	client, err := l.Clients.Client(r.Context(), flow.Params.Get("client_id"))
	if errors.Is(err, storage.ErrNotFound) || err == nil && client.Disabled {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read client: %w", err)
	}
	web.Annotate(r, "client", client.ID)
	web.SetClient(r, client)
	page.Client = clientView(r, flow, client)
	l.leadElsewhere(page, flow, client)
	return page, nil
}

// leadElsewhere says which other pages there are links to. Who proves an account that is known already makes no new one.
func (l *Login) leadElsewhere(page *templates.Login, flow *storage.Interaction, client *storage.Client) {
	page.Recovery, page.MailLink = l.Elsewhere.Recovery, l.Elsewhere.MailLink
	page.SignUp = l.Elsewhere.SignUp != nil && page.LockedName == "" && flow.Kind != storage.InteractionLink && !signin.Sensitive(flow) && l.Elsewhere.SignUp(client)
}

// clientView is what the pages show of the client of a request.
func clientView(r *http.Request, flow *storage.Interaction, client *storage.Client) *templates.ClientView {
	view := &templates.ClientView{
		ID: client.ID, Name: client.Name, PolicyURI: client.PolicyURI, TOSURI: client.TOSURI, ClientURI: client.ClientURI, Host: interaction.Target(flow.Params.Get("redirect_uri")),
	}
	if client.LogoURI != "" {
		view.LogoURL = web.LocalURL(r, "/client-logo/"+url.PathEscape(client.ID), nil)
	}
	return view
}

// explain says why the person is asked, where that is not plain: an account elsewhere waits for proof, or the account page wants a fresh sign-in.
func explain(page *templates.Login, flow *storage.Interaction) {
	pending := interaction.Pending(flow)
	switch {
	case pending != nil:
		page.LockedName = pending.Email
		page.Notice = linking(page.Upstreams, pending)
		// Its own provider could only lead back here.
		page.Upstreams = slices.DeleteFunc(page.Upstreams, func(b templates.UpstreamButton) bool { return b.ID == pending.Upstream })
	case interaction.BegunAnew(flow):
		page.Notice = templates.Say("login.late")
	case flow.Params.Get(interaction.ParamLink) != "":
		page.Notice = templates.Say("login.again_to_link")
	case flow.Kind == storage.InteractionAccount && flow.Params.Get("prompt") == "login":
		page.Notice = templates.Say("login.again_to_change")
	}
}

// linking says which account waits to be linked. It is named by its provider: its label is often the very address that the user here has.
func linking(buttons []templates.UpstreamButton, pending *interaction.PendingLink) templates.Text {
	if i := slices.IndexFunc(buttons, func(b templates.UpstreamButton) bool { return b.ID == pending.Upstream }); i >= 0 {
		return templates.Say("login.link_account", "Address", pending.Email, "Provider", buttons[i].Name)
	}
	return templates.Say("login.link_named", "Address", pending.Email, "Label", pending.Label)
}

// suggested is the name to fill in: what was typed before, else what the client hints at, else who is signed in and must sign in again.
func (l *Login) suggested(r *http.Request, flow *storage.Interaction) (string, error) {
	if typed := l.Flows.Typed(flow); typed != "" {
		return typed, nil
	}
	if hint := flow.Params.Get("login_hint"); hint != "" && len(hint) <= maxHint && utf8.ValidString(hint) {
		return hint, nil
	}
	current, err := l.Sessions.Current(r)
	if err != nil {
		return "", fmt.Errorf("read session: %w", err)
	}
	if current == nil {
		return "", nil
	}
	return loginOf(current.User), nil
}

// loginOf is what a user types to sign in.
func loginOf(u *storage.User) string {
	if u.Username != "" {
		return u.Username
	}
	return u.Email
}

// retryAfter says in the header when to come back, and returns the same time for the page.
func retryAfter(w http.ResponseWriter, wait time.Duration) time.Duration {
	seconds := int(math.Ceil(wait.Seconds()))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return time.Duration(seconds) * time.Second
}

// userView is what pages show of a user.
func userView(u *storage.User) templates.UserView {
	name, _ := u.Claims["name"].(string)
	return templates.UserView{Name: name, Email: u.Email, Username: u.Username}
}

// tooMany answers a try that is told nothing.
func tooMany(w http.ResponseWriter, r *http.Request, page *templates.Login, wait time.Duration) error {
	page.Error = templates.Say("login.wait", "Time", retryAfter(w, wait))
	return web.Render(w, r, http.StatusTooManyRequests, *page)
}

// begunAnew sends the browser to where its request begins anew, if it only took too long. sent: there is such a request.
func (l *Login) begunAnew(w http.ResponseWriter, r *http.Request) (sent bool, err error) {
	id := r.PostFormValue("interaction")
	if r.Method != http.MethodPost {
		id = r.URL.Query().Get("interaction")
	}
	binder, _ := web.BinderOf(r)
	late, err := l.Flows.Late(r.Context(), id, binder)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, web.Redirect(w, r, web.LocalURL(r, interaction.ReturnAuthorize, url.Values{"interaction": {late.ID}}))
}

// refuse answers an interaction that cannot go on here, without a word on what it was.
func (l *Login) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		if sent, failed := l.begunAnew(w, r); sent || failed != nil {
			return failed
		}
	}
	switch {
	case errors.Is(err, storage.ErrConsumed):
		return web.Render(w, r, http.StatusOK, templates.Done{Heading: templates.Say("error.finished"), Message: templates.Say("error.finished_more")})
	case errors.Is(err, interaction.ErrOtherBrowser), errors.Is(err, storage.ErrNotFound):
		return web.Render(w, r, http.StatusForbidden, templates.Error{
			Status: http.StatusForbidden, Heading: templates.Say("error.elsewhere"), RequestID: web.RequestID(r.Context()), Continue: web.LocalURL(r, interaction.ReturnAccount, nil),
			Message: templates.Say("error.elsewhere_account"),
		})
	}
	return err
}
