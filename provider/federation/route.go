package federation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/storage"
)

// Route is the provider that a paused request leads to without a question, empty if people choose: the one that the request names (idp_hint), that its client names, that owns
// the domain of the name that was typed or else of login_hint, or the only one where there is no password. Who comes back without a sign-in sees the page, and is sent on from it only
// by a name of another provider's domain: nobody is sent to one provider twice.
func (f *Federation) Route(ctx context.Context, flow *storage.Interaction) (string, error) {
	if len(f.providers) == 0 || interaction.Pending(flow) != nil {
		return "", nil
	}
	if sent := interaction.Sent(flow); len(sent) > 0 {
		if p := f.find(f.byDomain(f.Flows.Typed(flow))); p != nil && !p.isDown() && !slices.Contains(sent, p.ID) {
			return p.ID, nil
		}
		return "", nil
	}
	clientID := flow.Params.Get("client_id")
	var named string
	if clientID != "" {
		c, err := f.Clients.Client(ctx, clientID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return "", fmt.Errorf("read client: %w", err)
		}
		if err == nil {
			named = c.Upstream
		}
	}
	for _, id := range []string{flow.Params.Get("idp_hint"), named, f.byDomain(f.hint(flow))} {
		if p := f.find(id); p != nil && !p.isDown() {
			return id, nil
		}
	}
	if len(f.providers) == 1 && !f.Password && !f.providers[0].isDown() {
		return f.providers[0].ID, nil
	}
	return "", nil
}

// hint is whom the sign-in is probably about: what was typed on our own page, or what the client says.
func (f *Federation) hint(flow *storage.Interaction) string {
	return cmp.Or(f.Flows.Typed(flow), flow.Params.Get("login_hint"))
}

// loginHint is whom to suggest to a provider. What was typed on our own page may be a password in the wrong field, and this stands in an address: only the provider that has the domain
// of it is told.
func (f *Federation) loginHint(p *provider, flow *storage.Interaction) string {
	if typed := f.Flows.Typed(flow); f.byDomain(typed) == p.ID {
		return typed
	}
	return flow.Params.Get("login_hint")
}

// byDomain finds the provider of an e-mail address.
func (f *Federation) byDomain(hint string) string {
	key, err := credential.EmailKey(hint)
	if err != nil {
		return ""
	}
	_, domain, _ := strings.Cut(key, "@")
	for _, p := range f.providers {
		if slices.ContainsFunc(p.Domains, func(d string) bool { return strings.EqualFold(d, domain) }) {
			return p.ID
		}
	}
	return ""
}
