package client

import (
	"slices"
	"strings"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// applyGrants settles grant types and response types together, for each implies some of the other (OpenID Connect Dynamic Client Registration section 2, the table at
// response_types). What is left out follows from what is sent.
func (r Rules) applyGrants(c *storage.Client, m *Metadata) error {
	responses, err := r.readResponseTypes(m.ResponseTypes)
	if err != nil {
		return err
	}
	served := grant.Served(r.responseTypes())
	grants := unique(m.GrantTypes)
	if len(grants) == 0 {
		grants = defaultGrants(responses, m.Scope)
	}
	for _, g := range grants {
		if !slices.Contains(served, g) {
			return refuse("grant_types", shown(g)+" is not served here; use "+strings.Join(served, ", "))
		}
	}
	code := slices.Contains(grants, "authorization_code")
	if len(responses) == 0 && code {
		responses = []string{"code"}
	}
	if slices.Contains(grants, "refresh_token") && !code {
		return refuse("grant_types", "refresh_token needs a grant that users take part in; add authorization_code")
	}
	if err := consistent(grants, responses); err != nil {
		return err
	}
	c.GrantTypes, c.ResponseTypes = grants, responses
	return nil
}

func (r Rules) responseTypes() []string { return orList(r.ResponseTypes, "code") }

// readResponseTypes returns response types that are enabled, each in the order of words that the specifications write.
func (r Rules) readResponseTypes(sent []string) ([]string, error) {
	offered := r.responseTypes()
	var responses []string
	for _, t := range sent {
		known := canonicalResponseType(t)
		if !slices.Contains(offered, known) {
			return nil, refuse("response_types", shown(t)+" is not offered; use "+strings.Join(unique(offered), ", "))
		}
		responses = append(responses, known)
	}
	return unique(responses), nil
}

// canonicalResponseType returns the response type of the grant table that consists of the same words (their order means nothing, RFC 6749 section 3.1.1), or what
// was sent.
func canonicalResponseType(sent string) string {
	words := sorted(strings.Split(sent, " "))
	for _, t := range grant.ResponseTypes() {
		if slices.Equal(sorted(strings.Split(t, " ")), words) {
			return t
		}
	}
	return sent
}

func sorted(words []string) []string {
	slices.Sort(words)
	return words
}

func defaultGrants(responses []string, scope string) []string {
	var grants []string
	for _, t := range responses {
		grants = append(grants, grant.Needed(t)...)
	}
	if len(grants) == 0 {
		grants = []string{"authorization_code"}
	}
	if slices.Contains(grants, "authorization_code") && slices.Contains(strings.Fields(scope), "offline_access") {
		grants = append(grants, "refresh_token")
	}
	return unique(grants)
}

// consistent refuses a response type without its grant types, and a grant type of the authorization endpoint without a response type that leads to it.
func consistent(grants, responses []string) error {
	var needed []string
	for _, t := range responses {
		for _, g := range grant.Needed(t) {
			if !slices.Contains(grants, g) {
				return refuse("response_types", t+" belongs to the grant type "+g+": name both or neither")
			}
			needed = append(needed, g)
		}
	}
	for _, g := range []string{"authorization_code", "implicit"} {
		if slices.Contains(grants, g) && !slices.Contains(needed, g) {
			return refuse("response_types", "the grant type "+g+" needs a response type that leads to it; name one, or leave the grant type out")
		}
	}
	return nil
}
