package client

import (
	"slices"
	"strings"

	"gatehouse/storage"
)

// Profile is one row of the table of security profiles: what a client of the profile may do. The JSON is what the command line shows.
type Profile struct {
	Name string `json:"name"`
	// OptionalPKCE lets clients that have credentials of their own leave PKCE out. A code_challenge that was sent is verified all the same.
	OptionalPKCE bool `json:"optional_pkce"`
	// FrontChannel allows the response types that hand out tokens at the authorization endpoint, and with them the response mode fragment.
	FrontChannel bool `json:"front_channel_tokens"`
	// Unsigned allows alg none for request objects and ID tokens, where the configuration allows it too.
	Unsigned bool `json:"unsigned_objects"`
	// AuthMethods are the methods of client authentication, ResponseModes the response modes.
	AuthMethods   []string `json:"token_endpoint_auth_methods"`
	ResponseModes []string `json:"response_modes"`
	// Missing says why a client cannot have the profile yet; empty means it can.
	Missing string `json:"-"`
}

// Profiles is the table: strict is OAuth 2.1, compatible is OpenID Connect Core for clients that were built before PKCE or for tokens in the front channel, fapi2 is the
// FAPI 2.0 Security Profile.
var Profiles = []Profile{
	{Name: "strict", AuthMethods: AuthMethods, ResponseModes: []string{"query", "form_post"}},
	{Name: "compatible", OptionalPKCE: true, FrontChannel: true, Unsigned: true, AuthMethods: AuthMethods, ResponseModes: []string{"query", "form_post", "fragment"}},
	{Name: "fapi2", AuthMethods: []string{"private_key_jwt"}, ResponseModes: []string{"query"}, Missing: "fapi2 is not built yet; use strict or compatible"},
}

// ProfileOf returns the row of a client. A client with a profile that does not exist is held to strict.
func ProfileOf(c *storage.Client) *Profile {
	if p := findProfile(c.Profile); p != nil && p.Missing == "" {
		return p
	}
	return &Profiles[0]
}

func findProfile(name string) *Profile {
	if i := slices.IndexFunc(Profiles, func(p Profile) bool { return p.Name == name }); i >= 0 {
		return &Profiles[i]
	}
	return nil
}

// profileNames lists the profiles that a client can have, for messages.
func profileNames() string {
	var names []string
	for _, p := range Profiles {
		if p.Missing == "" {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, " or ")
}

func (r Rules) applyProfile(c *storage.Client, m *Metadata) error {
	name := r.Profile
	if r.Operator && m.Profile != "" {
		name = m.Profile
	}
	if name == "" {
		name = "strict"
	}
	p := findProfile(name)
	switch {
	case p == nil:
		return refuse("profile", shown(name)+" is unknown; use "+profileNames())
	case p.Missing != "":
		return refuse("profile", p.Missing)
	case !p.FrontChannel && slices.ContainsFunc(c.ResponseTypes, func(t string) bool { return t != "code" }):
		return refuse("response_types", "a client of the profile "+name+" uses code only; choose the profile compatible for other response types")
	}
	if !slices.Contains(p.AuthMethods, c.AuthMethod) {
		return refuse("token_endpoint_auth_method", "a client of the profile "+name+" authenticates with "+strings.Join(p.AuthMethods, " or "))
	}
	c.Profile = name
	return nil
}

// PKCERequired tells whether an authorization request of the client must carry a code_challenge: always for public clients, and for others unless their profile
// makes it optional.
func PKCERequired(c *storage.Client) bool {
	return c.AuthMethod == "none" || !ProfileOf(c).OptionalPKCE
}
