package provider

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"gatehouse/provider/client"
	"gatehouse/storage"
)

const (
	clientPage = 500
	// maxWarnings is how many clients are named; more lines would hide the others.
	maxWarnings = 20
)

// warnAlgorithms tells the operator of clients that registered a signing algorithm that the configuration has no key for any more: their users cannot sign in.
func (p *Provider) warnAlgorithms(ctx context.Context) error {
	found := 0
	for after := ""; ; {
		page, err := p.store.ListClients(ctx, after, clientPage)
		if err != nil {
			return fmt.Errorf("list clients: %w", err)
		}
		for _, c := range page {
			after = c.ID
			problem := p.algorithmProblem(c)
			if problem == "" {
				continue
			}
			if found++; found <= maxWarnings {
				p.options.Log.Warn("client cannot be given tokens", "client", c.ID, "cause", problem)
			}
		}
		if len(page) < clientPage {
			break
		}
	}
	if found > maxWarnings {
		p.options.Log.Warn("more clients cannot be given tokens", slog.Int("clients", found-maxWarnings))
	}
	return nil
}

// algorithmProblem says what is wrong with a client's algorithms and how to mend it, or nothing.
func (p *Provider) algorithmProblem(c *storage.Client) string {
	if c.Disabled {
		return ""
	}
	for _, registered := range []struct{ member, alg string }{
		{"id_token_signed_response_alg", c.IDTokenAlg}, {"userinfo_signed_response_alg", c.UserinfoAlg}, {"access_token_signed_response_alg", c.AccessTokenAlg},
	} {
		switch {
		case registered.alg == "" || slices.Contains(p.keys.Algorithms(), registered.alg):
		case registered.alg != "none" || registered.member != "id_token_signed_response_alg":
			return registered.member + " is " + registered.alg + ": add that to keys.algorithms, or give the client another algorithm"
		case !p.options.UnsignedIDTokens:
			return registered.member + " is none: set oauth.allow_unsigned_id_tokens, or give the client another algorithm"
		case !client.ProfileOf(c).Unsigned:
			return registered.member + " is none: give the client the profile compatible, or another algorithm"
		}
	}
	return ""
}
