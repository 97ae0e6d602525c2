package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"gatehouse/provider/interaction"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// overview serves /account: who is signed in, what the person should know, and what is where.
func (a *Account) overview(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	page := templates.Account{AccountFrame: frame(r, c), Session: a.device(r, c.Session)}
	var err error
	if page.Accounts, err = a.accounts(r); err != nil {
		return err
	}
	if page.Notices, err = a.notices(r.Context(), c.Session.Subject); err != nil {
		return err
	}
	factors, err := a.factors(r.Context(), c.Session.Subject)
	if err != nil {
		return err
	}
	if page.Advice, err = a.advice(r.Context(), c.User, factors); err != nil {
		return err
	}
	if page.Overview, err = a.glance(r.Context(), c.User, factors); err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, page)
}

// choose serves the way to the choice among the accounts of this browser, which comes back to the overview of the chosen one.
func (a *Account) choose(w http.ResponseWriter, r *http.Request) error {
	return a.signIn(w, r, interaction.ReturnAccount, url.Values{"prompt": {"select_account"}})
}

// accounts counts those that are signed in in this browser: a sign-out ends them all.
func (a *Account) accounts(r *http.Request) (int, error) {
	beside, err := a.Sessions.Parked(r)
	if err != nil {
		return 0, fmt.Errorf("read parked sessions: %w", err)
	}
	return 1 + len(beside), nil
}

// advice is what would make the account safer, most urgent first.
func (a *Account) advice(ctx context.Context, u *storage.User, factors []*storage.Factor) ([]templates.AccountLink, error) {
	var list []templates.AccountLink
	add := func(what, place string, urgent bool) {
		list = append(list, templates.AccountLink{Title: templates.Say("account.advice_" + what), Value: templates.Say("account.advice_" + what + "_why"), Path: place, Urgent: urgent})
	}
	if u.Email != "" && !u.EmailVerified && a.mails() {
		add("verify", interaction.ReturnProfile, true)
	}
	if a.Factors.offered() && len(factors) == 0 {
		add("factor", interaction.ReturnSecurity, false)
	}
	if a.Factors.Recovery != nil && len(factors) > 0 {
		left, err := a.Factors.Recovery.Left(ctx, u.Subject)
		if err != nil {
			return nil, err
		}
		if left <= templates.FewCodes {
			add("codes", interaction.ReturnCodes, true)
		}
	}
	return list, nil
}

// glance sums up the other pages.
func (a *Account) glance(ctx context.Context, u *storage.User, factors []*storage.Factor) ([]templates.AccountLink, error) {
	sessions, err := a.live(ctx, u)
	if err != nil {
		return nil, err
	}
	apps, err := a.access(ctx, u.Subject)
	if err != nil {
		return nil, err
	}
	var list []templates.AccountLink
	add := func(what string, value templates.Text, place string) {
		list = append(list, templates.AccountLink{Title: templates.Say("account.glance_" + what), Value: value, Path: place})
	}
	count := func(n int, none string) templates.Text {
		if n == 0 {
			return templates.Say("account.glance_" + none)
		}
		return templates.Say("account.glance_count", "Count", n)
	}
	if a.Passwords != nil {
		value := templates.Say("account.password_none")
		if !u.PasswordSet.IsZero() {
			value = templates.Say("account.password_since", "Date", templates.Date(u.PasswordSet))
		}
		add("password", value, interaction.ReturnSecurity)
	}
	if a.Factors.offered() {
		add("factors", count(len(factors), "factors_none"), interaction.ReturnSecurity)
	}
	add("devices", count(len(sessions), "count"), interaction.ReturnSessions)
	add("apps", count(len(apps), "apps_none"), interaction.ReturnApps)
	return list, nil
}

func (a *Account) notices(ctx context.Context, subject string) ([]templates.NoticeView, error) {
	notices, err := a.Store.Notices(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("list notices: %w", err)
	}
	names := a.names(ctx)
	var views []templates.NoticeView
	for _, n := range notices {
		name, err := names(n.ClientID)
		if err != nil {
			return nil, err
		}
		if text := noticeText(n.Kind, name); !text.Empty() {
			views = append(views, templates.NoticeView{ID: n.ID, Text: text})
		}
	}
	return views, nil
}

// noticeText says what happened in words for the user; empty for a kind that this version does not know.
func noticeText(kind, app string) templates.Text {
	if kind != "refresh_reuse" {
		return templates.Text{}
	}
	return templates.Say("account.reuse", "App", app)
}

// names returns a function that tells what people know a client by: its name, or its id if it has none or is gone. It reads each client once.
func (a *Account) names(ctx context.Context) func(id string) (string, error) {
	known := map[string]string{}
	return func(id string) (string, error) {
		if name, ok := known[id]; ok {
			return name, nil
		}
		client, err := a.Clients.Client(ctx, id)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return "", fmt.Errorf("read client: %w", err)
		}
		known[id] = id
		if err == nil && client.Name != "" {
			known[id] = client.Name
		}
		return known[id], nil
	}
}

// dismiss removes a notice of the user's own.
func (a *Account) dismiss(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	id := r.PostFormValue("notice")
	if !identifier(id) {
		return web.BadRequest(templates.Say("account.name_notice"))
	}
	if err := a.Store.DismissNotice(r.Context(), c.Session.Subject, id); err != nil {
		return fmt.Errorf("dismiss notice: %w", err)
	}
	return home(w, r)
}
