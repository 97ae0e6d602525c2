package login

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Sign-in in two steps: the name, then the password. The first step looks nobody up, so it tells nothing of accounts (security row 136). It keeps the name in the interaction and leads on: to the
// provider that has the domain of the address, which depends on the configuration alone, or to the password.

const (
	namePath     = "/login/name"
	passwordPath = "/login/password"
)

// firstStep makes the page what a sign-in begins with: the password of whoever must sign in again, with all other ways to prove that, or the name.
func (l *Login) firstStep(r *http.Request, flow *storage.Interaction, page *templates.Login) error {
	if known, err := l.again(r, flow, page); known || err != nil {
		return err
	}
	return l.suggestName(r, flow, page)
}

// suggestName makes the page the step of the name with what is probably right filled in.
func (l *Login) suggestName(r *http.Request, flow *storage.Interaction, page *templates.Login) error {
	name, err := l.suggested(r, flow)
	askName(page, name)
	return err
}

// askName makes the page the step of the name. What goes with a password comes with that.
func askName(page *templates.Login, name string) {
	page.Step, page.Username = templates.StepName, name
	page.Remember, page.Recovery = false, false
}

// askPassword makes the page the step of the password.
func askPassword(page *templates.Login, name string) {
	page.Step, page.Username = templates.StepPassword, name
	page.SignUp = false
}

// again asks somebody who is known already for the password at once. It is false if anybody may sign in.
func (l *Login) again(r *http.Request, flow *storage.Interaction, page *templates.Login) (bool, error) {
	name := page.LockedName
	if name == "" {
		user, err := l.returning(r, flow)
		if user == nil || err != nil {
			return false, err
		}
		if name = loginOf(user); name == "" {
			return false, nil
		}
	}
	askPassword(page, name)
	return true, nil
}

// typed asks for the password of the name that was typed, and for nothing else: whoever is meant, the page has the same parts. It is false if no name was typed.
func (l *Login) typed(flow *storage.Interaction, page *templates.Login) bool {
	name := l.Flows.Typed(flow)
	if name == "" || page.LockedName != "" {
		return false
	}
	askPassword(page, name)
	page.Upstreams, page.Passkey = nil, nil
	return true
}

// returning is the user who is signed in and must sign in again, nil if the request, or the person, may mean somebody else.
func (l *Login) returning(r *http.Request, flow *storage.Interaction) (*storage.User, error) {
	if l.Flows.Typed(flow) != "" || interaction.Another(flow) {
		return nil, nil
	}
	current, err := l.Sessions.Current(r)
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	if current == nil {
		return nil, nil
	}
	if hint := flow.Params.Get("login_hint"); hint != "" {
		key, err := credential.LoginKey(hint)
		if err != nil || key != current.User.EmailKey && key != current.User.UsernameKey {
			return nil, nil
		}
	}
	var limit *int64
	client, err := l.Clients.Client(r.Context(), flow.Params.Get("client_id"))
	if err == nil {
		limit = client.DefaultMaxAge
	} else if !errors.Is(err, storage.ErrNotFound) { // which is the account page
		return nil, fmt.Errorf("read client: %w", err)
	}
	if !interaction.Again(flow, current.Session, limit, l.Now()) {
		return nil, nil
	}
	return current.User, nil
}

// showName serves GET /login/name: the step of the name for whoever comes back from that of the password, or is somebody else.
func (l *Login) showName(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, page *templates.Login) error {
	if page.LockedName != "" {
		return l.toForm(w, r, flow)
	}
	if err := l.suggestName(r, flow, page); err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, *page)
}

// submitName serves POST /login: the name. The answer, and the work, are the same for every account and for none.
func (l *Login) submitName(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, page *templates.Login) error {
	if err := l.limitNames(r); err != nil {
		return err
	}
	name := r.PostFormValue("username")
	if _, err := credential.LoginKey(name); err != nil { // nobody can have such a name
		askName(page, name)
		page.Error = templates.Say("recovery.bad_name")
		return web.Render(w, r, http.StatusBadRequest, *page)
	}
	if l.Flows.Typed(flow) != name {
		var err error
		if flow, err = l.Flows.Type(r.Context(), flow.ID, name); err != nil {
			return l.refuse(w, r, err)
		}
	}
	web.Annotate(r, "outcome", "name")
	if sent, err := l.route(w, r, flow); sent || err != nil {
		return err
	}
	return web.Redirect(w, r, web.LocalURL(r, passwordPath, url.Values{"interaction": {flow.ID}}))
}

// limitNames counts a name, whoever it is of. Each may be a write, and the interaction that it goes into was counted only once (security row 168).
func (l *Login) limitNames(r *http.Request) error {
	if l.InProcess == nil {
		return nil
	}
	allowed, retry, err := l.InProcess.Take(r.Context(), "names\n"+web.PeerKey(r), l.Limits.Names)
	if err != nil {
		return fmt.Errorf("limit names: %w", err)
	}
	if !allowed {
		return web.TooMany("error.starts", retry)
	}
	return nil
}

// showPassword serves GET /login/password: the step of the password, once a name was typed.
func (l *Login) showPassword(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, page *templates.Login) error {
	if !l.typed(flow, page) {
		return l.toForm(w, r, flow)
	}
	return web.Render(w, r, http.StatusOK, *page)
}

// submitPassword serves POST /login/password: one try, for the name that the interaction holds. Without one nothing is tried (security row 145).
func (l *Login) submitPassword(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, page *templates.Login) error {
	if !l.typed(flow, page) {
		if known, err := l.again(r, flow, page); err != nil {
			return err
		} else if !known {
			return l.toForm(w, r, flow)
		}
	}
	return l.check(w, r, flow, page)
}
