package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/interaction"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// apps serves the page of connected apps.
func (a *Account) apps(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	page := templates.AccountApps{AccountFrame: frame(r, c)}
	var err error
	if page.Connected, err = a.connected(r, c.Session.Subject); err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, page)
}

// disconnect takes back what the user allowed a client, and with it every token that the client has for the user.
func (a *Account) disconnect(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	clientID := r.PostFormValue("client_id")
	if !identifier(clientID) {
		return web.BadRequest(templates.Say("account.name_app"))
	}
	if _, err := a.Store.Consent(r.Context(), c.Session.Subject, clientID); errors.Is(err, storage.ErrNotFound) {
		return web.NotFound() // nobody's, or somebody else's (security row 166)
	} else if err != nil {
		return fmt.Errorf("read consent: %w", err)
	}
	if err := a.Store.RevokeConsent(r.Context(), c.Session.Subject, clientID); err != nil {
		return fmt.Errorf("revoke consent: %w", err)
	}
	a.note(r, c.User, activity.Event{Kind: activity.ConsentRevoked, ClientID: clientID})
	return back(w, r, interaction.ReturnApps, "disconnected")
}

// connected lists the apps with a remembered consent, also those that are disabled now: their access can still be taken back.
func (a *Account) connected(r *http.Request, subject string) ([]templates.ConnectedApp, error) {
	consents, err := a.Store.ConsentsOf(r.Context(), subject)
	if err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	used, err := a.lastUses(r.Context(), subject)
	if err != nil {
		return nil, err
	}
	apps := make([]templates.ConnectedApp, 0, len(consents))
	for _, c := range consents {
		app := templates.ConnectedApp{ClientID: c.ClientID, Scopes: c.Scopes, Since: c.Created, LastUsed: later(c.Updated, used[c.ClientID])}
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

// lastUses tells when the person signed in to which app last, as far as the history goes back.
func (a *Account) lastUses(ctx context.Context, subject string) (map[string]time.Time, error) {
	lines, err := a.Store.Activities(ctx, subject, storage.MaxActivities)
	if err != nil {
		return nil, fmt.Errorf("list activities: %w", err)
	}
	used := map[string]time.Time{}
	for _, line := range lines {
		if line.Kind == activity.LoginOK && line.ClientID != "" {
			used[line.ClientID] = later(used[line.ClientID], line.Time)
		}
	}
	return used, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
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
