package login

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/provider/interaction"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// The choice of an account (prompt=select_account, OpenID Connect Core section 3.1.2.1).

const accountsPath = "/login/accounts"

// choices returns who can be chosen: the browser's session first, then those that are parked. None if no choice is due, or nobody is signed in. One is due if the request wants it, and if nobody is the
// browser's any more while others wait who are to stay signed in: nothing else would lead to them.
func (l *Login) choices(r *http.Request, flow *storage.Interaction) ([]*session.Current, error) {
	prompt := strings.Fields(flow.Params.Get("prompt"))
	asked := interaction.ChoiceDue(flow, prompt)
	offered := interaction.ChoiceDue(flow, []string{"select_account"}) && !slices.Contains(prompt, "login") && flow.Kind != storage.InteractionLink
	if !asked && !offered || interaction.Another(flow) || interaction.Pending(flow) != nil {
		return nil, nil
	}
	current, err := l.Sessions.Current(r)
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	if current != nil && !asked {
		return nil, nil
	}
	parked, err := l.Sessions.Parked(r)
	if err != nil {
		return nil, fmt.Errorf("read parked sessions: %w", err)
	}
	if current != nil {
		parked = append([]*session.Current{current}, parked...)
	}
	return parked, nil
}

// showAccounts serves GET: the list. Without anybody to choose the sign-in page is the place.
func (l *Login) showAccounts(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, form *templates.Login) error {
	accounts, err := l.choices(r, flow)
	if err != nil {
		return err
	}
	if len(accounts) == 0 {
		return l.toForm(w, r, flow)
	}
	page := templates.Accounts{Client: form.Client, Interaction: flow.ID}
	for _, a := range accounts {
		page.Accounts = append(page.Accounts, templates.AccountChoice{Session: a.Session.ID, User: userView(a.User)})
	}
	return web.Render(w, r, http.StatusOK, page)
}

// chooseAccount serves POST: one of the list, or another account beside them.
func (l *Login) chooseAccount(w http.ResponseWriter, r *http.Request) error {
	flow, err := l.load(r, r.PostFormValue("interaction"))
	if err != nil {
		return l.refuse(w, r, err)
	}
	note := func(change func(*storage.Interaction)) error {
		err := l.Flows.Update(r.Context(), flow.ID, func(i *storage.Interaction) error {
			change(i)
			*flow = *i
			return nil
		})
		if err != nil {
			return fmt.Errorf("note choice: %w", err)
		}
		return nil
	}
	if r.PostFormValue("account") == "" {
		if err := note(func(i *storage.Interaction) { interaction.Prove(i, interaction.ProofAnother, "1") }); err != nil {
			return l.refuse(w, r, err)
		}
		return l.toForm(w, r, flow)
	}
	chosen, err := l.Sessions.Switch(w, r, r.PostFormValue("account"))
	if errors.Is(err, storage.ErrNotFound) {
		return l.toForm(w, r, flow) // it ended meanwhile: the list without it, or the form
	}
	if err != nil {
		return fmt.Errorf("switch account: %w", err)
	}
	if err := note(func(i *storage.Interaction) { interaction.Choose(i, chosen.Session.Subject, chosen.Session.ID) }); err != nil {
		return l.refuse(w, r, err)
	}
	web.Annotate(r, "outcome", "account")
	return l.back(w, r, flow)
}

func (l *Login) toForm(w http.ResponseWriter, r *http.Request, flow *storage.Interaction) error {
	return web.Redirect(w, r, web.LocalURL(r, "/login", url.Values{"interaction": {flow.ID}}))
}
