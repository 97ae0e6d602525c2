package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/provider/audit"
	"gatehouse/provider/interaction"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Options build the feature.
type Options struct {
	// Issuer is told to apps that the user opens from here.
	Issuer   string
	Sessions *session.Sessions
	Flows    *interaction.Flows
	Consents interface {
		ConsentsOf(ctx context.Context, subject string) ([]*storage.Consent, error)
		RevokeConsent(ctx context.Context, subject, clientID string) error
	}
	Clients interface {
		Client(ctx context.Context, id string) (*storage.Client, error)
	}
	Notices interface {
		Notices(ctx context.Context, subject string) ([]*storage.Notice, error)
		DismissNotice(ctx context.Context, subject, id string) error
	}
	// Identities lists a user's accounts at sign-in providers, and the providers of which the user has none; nil if there are no providers.
	Identities func(r *http.Request, u *storage.User) ([]templates.IdentityView, []templates.UpstreamButton, error)
	// Limiter counts, under Starts, the sign-ins that one address begins here; nil or a zero limit is off.
	Limiter *ratelimit.Limiter
	Starts  ratelimit.Limit
	// SignOut ends the session of the request and answers it, as signing out by way of an app does.
	SignOut web.Handler
	Audit   *audit.Log
}

// Account is the feature.
type Account struct{ Options }

// New returns the feature.
func New(o Options) *Account { return &Account{o} }

// Mount adds / and /account.
func (a *Account) Mount(m *web.Mux) {
	m.Page("/", home, nil)
	m.SelfPage("/account", a.show, nil)
	m.SelfPage("/account/sign-out", nil, a.SignOut)
	m.SelfPage("/account/disconnect", nil, a.disconnect)
	m.SelfPage("/account/dismiss", nil, a.dismiss)
}

func home(w http.ResponseWriter, r *http.Request) error {
	return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnAccount, nil))
}

func (a *Account) show(w http.ResponseWriter, r *http.Request) error {
	current, err := a.Sessions.Current(r)
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	if current == nil {
		return a.signIn(w, r)
	}
	page := templates.Account{User: user(current.User), Session: templates.SessionView{Since: current.Session.AuthTime}}
	if page.Connected, err = a.connected(r, current.Session.Subject); err != nil {
		return err
	}
	if page.Notices, err = a.notices(r.Context(), current.Session.Subject); err != nil {
		return err
	}
	if a.Identities != nil {
		if page.Identities, page.Linkable, err = a.Identities(r, current.User); err != nil {
			return err
		}
	}
	return web.Render(w, r, http.StatusOK, page)
}

// signIn begins an interaction that comes back here.
func (a *Account) signIn(w http.ResponseWriter, r *http.Request) error {
	if a.Limiter != nil {
		allowed, retry, err := a.Limiter.Take(r.Context(), "interactions\n"+web.PeerKey(r), a.Starts)
		if err != nil {
			return fmt.Errorf("limit sign-ins: %w", err)
		}
		if !allowed {
			return &web.Error{Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", RetryAfter: retry, Text: templates.Say("error.starts")}
		}
	}
	flow, err := a.Flows.Start(r.Context(), storage.Interaction{Kind: storage.InteractionAccount, ReturnTo: interaction.ReturnAccount, Binder: web.Binder(w, r)})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, web.LocalURL(r, "/login", url.Values{"interaction": {flow.ID}}))
}

// disconnect takes back what the user allowed a client, and with it every token that the client has for the user.
func (a *Account) disconnect(w http.ResponseWriter, r *http.Request) error {
	clientID := r.PostFormValue("client_id")
	if !identifier(clientID) {
		return web.BadRequest(templates.Say("account.name_app"))
	}
	return a.act(w, r, func(ctx context.Context, subject string) error {
		if err := a.Consents.RevokeConsent(ctx, subject, clientID); err != nil {
			return fmt.Errorf("revoke consent: %w", err)
		}
		a.Audit.Record(ctx, audit.Event{Name: "consent.revoked", Actor: subject, Client: clientID, Result: "ok"})
		return nil
	})
}

// dismiss removes a notice of the user's own.
func (a *Account) dismiss(w http.ResponseWriter, r *http.Request) error {
	id := r.PostFormValue("notice")
	if !identifier(id) {
		return web.BadRequest(templates.Say("account.name_notice"))
	}
	return a.act(w, r, func(ctx context.Context, subject string) error {
		if err := a.Notices.DismissNotice(ctx, subject, id); err != nil {
			return fmt.Errorf("dismiss notice: %w", err)
		}
		return nil
	})
}

// identifier tells whether a sent value can be an id of ours: what cannot is kept from the store.
func identifier(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, func(c rune) bool { return c < 0x21 || c > 0x7e })
}

// act does something for whoever is signed in and shows the page again, which asks for a sign-in if nobody is.
func (a *Account) act(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, subject string) error) error {
	current, err := a.Sessions.Current(r)
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	if current != nil {
		if err := do(r.Context(), current.Session.Subject); err != nil {
			return err
		}
	}
	return home(w, r)
}

// connected lists the apps with a remembered consent, also those that are disabled now: their access can still be taken back.
func (a *Account) connected(r *http.Request, subject string) ([]templates.ConnectedApp, error) {
	consents, err := a.Consents.ConsentsOf(r.Context(), subject)
	if err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	apps := make([]templates.ConnectedApp, 0, len(consents))
	for _, c := range consents {
		app := templates.ConnectedApp{ClientID: c.ClientID, Scopes: c.Scopes, Since: c.Created}
		client, err := a.Clients.Client(r.Context(), c.ClientID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, fmt.Errorf("read client: %w", err)
		}
		if err == nil {
			app.Name, app.OpenURL = client.Name, a.openURL(client)
			if client.LogoURI != "" {
				app.LogoURL = web.LocalURL(r, "/client-logo/"+url.PathEscape(client.ID), nil)
			}
		}
		apps = append(apps, app)
	}
	return apps, nil
}

// openURL is where an app begins a sign-in that starts here: its initiate_login_uri, told who sends the user (OpenID Connect Core section 4).
func (a *Account) openURL(c *storage.Client) string {
	uri := c.InitiateLoginURI
	if uri == "" {
		return ""
	}
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
		if strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&") {
			separator = ""
		}
	}
	return uri + separator + url.Values{"iss": {a.Issuer}}.Encode()
}

func (a *Account) notices(ctx context.Context, subject string) ([]templates.NoticeView, error) {
	notices, err := a.Notices.Notices(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("list notices: %w", err)
	}
	var views []templates.NoticeView
	for _, n := range notices {
		name := n.ClientID
		client, err := a.Clients.Client(ctx, n.ClientID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, fmt.Errorf("read client: %w", err)
		}
		if err == nil && client.Name != "" {
			name = client.Name
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

func user(u *storage.User) templates.UserView {
	name, _ := u.Claims["name"].(string)
	return templates.UserView{Name: name, Email: u.Email, Username: u.Username}
}
