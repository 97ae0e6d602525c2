package logout

// The logout request: OpenID Connect RP-Initiated Logout 1.0 section 2.

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"gatehouse/provider/request"
	"gatehouse/storage"
	"gatehouse/templates"
)

// fieldReturned marks a request that came back from our own page.
const fieldReturned = "returned"

// kept are the parameters that a page carries on to the next request. logout_hint changes nothing here.
var kept = []string{"id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"}

// ask is what a logout request asks for, as far as it is proven.
type ask struct {
	params url.Values
	// client, subject and sid are those of a genuine id_token_hint; client is nil without one.
	client       *storage.Client
	subject, sid string
	// target is where the browser goes afterwards, with state; empty if it stays here.
	target string
	// viaUpstream tells that target is a provider that comes back here; ownForm that the request is the form of a page whose policy keeps its forms on this server.
	viaUpstream, ownForm bool
	// fault says, to a developer, why the request is not followed to the letter.
	fault templates.Text
}

// proves tells whether the request comes from a client that takes part in this very session.
func (a *ask) proves(s *storage.Session) bool {
	return a.client != nil && a.sid == s.ID && a.subject == s.Subject
}

// fields are the hidden inputs that carry the request on.
func (a *ask) fields() []templates.Pair {
	var fields []templates.Pair
	for _, name := range kept {
		if value := a.params.Get(name); value != "" {
			fields = append(fields, templates.Pair{Name: name, Value: value})
		}
	}
	return fields
}

// read validates a logout request. What is wrong with it makes it weaker, never an error: the person still wants to sign out. An address to go to counts only with
// a genuine ID token of the client that registered it, also after a confirmation, which proves nothing about the address.
func (l *Logout) read(ctx context.Context, params url.Values) (*ask, error) {
	a := &ask{params: params}
	uri := params.Get("post_logout_redirect_uri")
	if params.Get("id_token_hint") == "" {
		if uri != "" {
			a.fault = templates.Say("logout_fault.no_hint")
		}
		return a, nil
	}
	if err := l.readHint(ctx, a); err != nil || a.client == nil {
		return a, err
	}
	switch {
	case uri == "":
	case slices.Contains(a.client.PostLogoutRedirectURIs, uri):
		a.target = withState(uri, params.Get("state"))
	default:
		a.fault = templates.Say("logout_fault.not_registered")
	}
	return a, nil
}

// readHint fills in what the ID token proves, or the fault.
func (l *Logout) readHint(ctx context.Context, a *ask) error {
	hint, err := request.ReadHint(l.Keys, l.Engine.Issuer, a.params.Get("id_token_hint"))
	if err != nil {
		a.fault = templates.Say("logout_fault.not_ours")
		return nil
	}
	id := a.params.Get("client_id")
	switch {
	case id == "" && len(hint.Audience) == 1:
		id = hint.Audience[0]
	case id == "":
		a.fault = templates.Say("logout_fault.several")
		return nil
	case !slices.Contains(hint.Audience, id):
		a.fault = templates.Say("logout_fault.other_client")
		return nil
	}
	c, err := l.Engine.Client(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		a.fault = templates.Say("logout_fault.client_gone")
		return nil
	}
	if err != nil {
		return fmt.Errorf("read client: %w", err)
	}
	subject, user := l.Engine.Subject(c, hint.Subject)
	sid, session := l.Engine.SID(c, hint.SessionID)
	if !user || !session {
		a.fault = templates.Say("logout_fault.other_subject")
		return nil
	}
	a.client, a.subject, a.sid = c, subject, sid
	return nil
}

// withState adds state to a registered URI and changes nothing else of it (section 3). %20 is a space to everyone, a plus sign is not.
func withState(uri, state string) string {
	if state == "" {
		return uri
	}
	return addQuery(uri, "state="+escape(state))
}

// addQuery adds to the query of a URI, which has no fragment.
func addQuery(uri, pairs string) string {
	switch {
	case !strings.Contains(uri, "?"):
		return uri + "?" + pairs
	case strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		return uri + pairs
	}
	return uri + "&" + pairs
}

func escape(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }

// printable is a parameter's name as a page may show it.
func printable(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return -1
	}, name[:min(len(name), 64)])
}

func accountOf(u *storage.User) string {
	if u.Email != "" {
		return u.Email
	}
	return u.Username
}

func labelOf(c *storage.Client) string { return templates.ClientView{ID: c.ID, Name: c.Name}.Label() }
