package client

import (
	"slices"
	"strings"

	"gatehouse/storage"
)

const (
	maxScope    = 2048
	maxScopes   = 50
	maxAudience = 50
)

// applyAudience lets an operator list any configured resource. A registration may only use the resources that are open to dynamic clients, and gets
// all of them if it names none: clients such as MCP's do not know the member.
func (r Rules) applyAudience(c *storage.Client, m *Metadata) error {
	audience := unique(m.Audience)
	if len(audience) > maxAudience {
		return refuse("audience", "give at most 50")
	}
	var open []string
	for _, resource := range r.Resources {
		if r.Operator || resource.DynamicClients {
			open = append(open, resource.URI)
		}
	}
	may := open
	if !r.Operator {
		may = append(slices.Clone(c.Audience), open...) // an operator may have granted it more
	}
	for _, uri := range audience {
		if !slices.Contains(may, uri) {
			return refuse("audience", shown(uri)+" is not a resource that this client may use; name a uri from resources in the configuration")
		}
	}
	if len(audience) == 0 && !r.Operator {
		audience = open
	}
	c.Audience = audience
	return nil
}

// applyScopes keeps every well-formed scope for an operator; a registration's unknown scopes are dropped rather than refused, because clients send what
// the protected resource's metadata lists.
func (r Rules) applyScopes(c *storage.Client, m *Metadata) error {
	if len(m.Scope) > maxScope {
		return refuse("scope", "it is longer than 2048 characters")
	}
	scopes := unique(strings.FieldsFunc(m.Scope, func(c rune) bool { return c == ' ' }))
	if len(scopes) > maxScopes {
		return refuse("scope", "give at most 50 scopes")
	}
	for _, s := range scopes {
		if !wellFormedScope(s) {
			return refuse("scope", shown(s)+" is not a scope: use printable ASCII without spaces, quotes and backslashes")
		}
	}
	known := slices.Clone(orList(r.KnownScopes, "openid", "profile", "email", "address", "phone", "offline_access"))
	var open []string
	for _, resource := range r.Resources {
		if slices.Contains(c.Audience, resource.URI) {
			open = append(open, resource.Scopes...)
		}
	}
	known = append(append(known, open...), c.Scopes...) // and what an operator granted
	if len(scopes) == 0 && len(c.ResponseTypes) > 0 {
		// Clients of OpenID Connect do not know the member: to ask, and to get an answer from the user, each scope of OpenID Connect must be theirs.
		scopes = unique(append([]string{"openid", "profile", "email", "address", "phone", "offline_access"}, open...))
	}
	if !r.Operator {
		scopes = slices.DeleteFunc(scopes, func(s string) bool { return !slices.Contains(known, s) })
	}
	c.Scopes = scopes
	return nil
}

// wellFormedScope is scope-token of RFC 6749 section 3.3.
func wellFormedScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c < 0x21 || c > 0x7e || c == '"' || c == '\\' })
}
