package account

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/interaction"
	"gatehouse/provider/oauth"
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
	switch has, err := a.hasAccess(r.Context(), c.Session.Subject, clientID); {
	case err != nil:
		return err
	case !has:
		return web.NotFound() // nobody's, or somebody else's (security row 166)
	}
	if err := a.Store.RevokeConsent(r.Context(), c.Session.Subject, clientID); err != nil {
		return fmt.Errorf("revoke consent: %w", err)
	}
	a.note(r, c.User, activity.Event{Kind: activity.ConsentRevoked, ClientID: clientID})
	return back(w, r, interaction.ReturnApps, "disconnected")
}

// hasAccess tells whether a client is one of those that access lists.
func (a *Account) hasAccess(ctx context.Context, subject, clientID string) (bool, error) {
	_, err := a.Store.Consent(ctx, subject, clientID)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return false, fmt.Errorf("read consent: %w", err)
	}
	grants, err := a.Store.GrantsOf(ctx, subject)
	if err != nil {
		return false, fmt.Errorf("list grants: %w", err)
	}
	return slices.ContainsFunc(grants, func(g *storage.ClientGrants) bool { return g.ClientID == clientID && len(g.Live) > 0 }), nil
}

// access is what one client may do for a user: by a remembered consent, by tokens that it holds, or both. Whoever needs no consent has tokens alone, and who was allowed
// something may hold none just now.
type access struct {
	clientID string
	consent  *storage.Consent // nil: nobody was asked
	// scopes and resources are those of the consent and of the tokens.
	scopes, resources []string
	lastUsed          time.Time
}

// access lists the clients that may act for a user, in order of their ids, also those that are disabled now: their access can still be taken back.
func (a *Account) access(ctx context.Context, subject string) ([]*access, error) {
	consents, err := a.Store.ConsentsOf(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	grants, err := a.Store.GrantsOf(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	of := map[string]*access{}
	for _, c := range consents {
		of[c.ClientID] = &access{clientID: c.ClientID, consent: c, scopes: c.Scopes, resources: c.Resources, lastUsed: c.Updated}
	}
	for _, g := range grants {
		if of[g.ClientID] == nil && len(g.Live) == 0 {
			continue
		}
		if of[g.ClientID] == nil {
			of[g.ClientID] = &access{clientID: g.ClientID}
		}
		if err := of[g.ClientID].add(g); err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(of), func(x, y *access) int { return strings.Compare(x.clientID, y.clientID) }), nil
}

// add adds what a client's tokens allow, and when it used the newest.
func (x *access) add(g *storage.ClientGrants) error {
	x.lastUsed = later(x.lastUsed, g.LastUsed)
	for _, token := range g.Live {
		scopes, resources, err := oauth.Allowed(token)
		if err != nil {
			return err
		}
		x.scopes, x.resources = union(x.scopes, scopes), union(x.resources, resources)
	}
	return nil
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// lately is access with the sign-ins in the history among the uses.
func (a *Account) lately(ctx context.Context, subject string) ([]*access, error) {
	apps, err := a.access(ctx, subject)
	if err != nil {
		return nil, err
	}
	used, err := a.lastUses(ctx, subject)
	if err != nil {
		return nil, err
	}
	for _, x := range apps {
		x.lastUsed = later(x.lastUsed, used[x.clientID])
	}
	return apps, nil
}

// connected shows the apps with access.
func (a *Account) connected(r *http.Request, subject string) ([]templates.ConnectedApp, error) {
	apps, err := a.lately(r.Context(), subject)
	if err != nil {
		return nil, err
	}
	views := make([]templates.ConnectedApp, 0, len(apps))
	for _, x := range apps {
		view := templates.ConnectedApp{ClientID: x.clientID, Scopes: x.scopes, LastUsed: x.lastUsed}
		if x.consent != nil {
			view.Since = x.consent.Created
		}
		client, err := a.Clients.Client(r.Context(), x.clientID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, fmt.Errorf("read client: %w", err)
		}
		if err == nil {
			view.Name, view.OpenURL = client.Name, a.openURL(client)
			if client.LogoURI != "" {
				view.LogoURL = web.LocalURL(r, "/client-logo/"+url.PathEscape(client.ID), nil)
			}
		}
		views = append(views, view)
	}
	return views, nil
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
