package grant

import (
	"slices"
	"time"

	"gatehouse/storage"
)

// Lifetimes are the configured lifetimes of tokens. A client may shorten them (storage.Lifetimes), never lengthen.
type Lifetimes struct {
	Code, Access, ID                         time.Duration
	Pushed                                   time.Duration // authorization requests (RFC 9126 section 2.2)
	RefreshIdle, RefreshAbsolute             time.Duration
	PublicRefreshIdle, PublicRefreshAbsolute time.Duration
	// RefreshGrace is the window in which a repeated refresh token gets the same successor.
	RefreshGrace time.Duration
}

// refresh returns the idle and absolute lifetimes of a client's refresh tokens.
func (l Lifetimes) refresh(c *storage.Client) (idle, absolute time.Duration) {
	idle, absolute = l.RefreshIdle, l.RefreshAbsolute
	if c.AuthMethod == "none" {
		idle, absolute = l.PublicRefreshIdle, l.PublicRefreshAbsolute
	}
	return Shorter(idle, c.Lifetimes.RefreshIdle), Shorter(absolute, c.Lifetimes.RefreshAbsolute)
}

// Shorter returns the wished lifetime if it is set and shorter than the configured one.
func Shorter(configured, wished time.Duration) time.Duration {
	if wished > 0 && wished < configured {
		return wished
	}
	return configured
}

// Resource is a protected API (RFC 8707) that tokens can be made for.
type Resource struct {
	// URI is what clients send as resource, and the token's aud. Compared character for character.
	URI string
	// Scopes are the scopes that mean something at this API; empty means every scope that was granted.
	Scopes []string
	// AccessTokenLifetime replaces the configured lifetime; zero means that one.
	AccessTokenLifetime time.Duration
	// DynamicClients opens the resource to dynamically registered clients.
	DynamicClients bool
	// IntrospectionClients are the client ids that may introspect tokens made for this resource (RFC 7662).
	IntrospectionClients []string
}

// Resources is the configured list.
type Resources []Resource

// Find returns the resource with the URI, nil if there is none.
func (rs Resources) Find(uri string) *Resource {
	for i := range rs {
		if rs[i].URI == uri {
			return &rs[i]
		}
	}
	return nil
}

// CheckWanted refuses resources that are not configured or that the client is not registered for (RFC 8707 section 2).
func (rs Resources) CheckWanted(c *storage.Client, wanted []string) error {
	for _, uri := range wanted {
		if rs.Find(uri) == nil || !slices.Contains(c.Audience, uri) {
			return Refuse("invalid_target", "The requested resource is not one that this client is registered for. Add it to the client's audience.")
		}
	}
	return nil
}

// Narrow returns the scopes of an access token for the resources: those that mean something there (ruling: without resources, all of them).
func (rs Resources) Narrow(scopes, resources []string) []string {
	if len(resources) == 0 {
		return scopes
	}
	var kept []string
	for _, scope := range scopes {
		if slices.ContainsFunc(resources, func(uri string) bool {
			r := rs.Find(uri)
			return r != nil && (len(r.Scopes) == 0 || slices.Contains(r.Scopes, scope))
		}) {
			kept = append(kept, scope)
		}
	}
	return kept
}

// Lifetime returns the lifetime of an access token for the resources: the shortest of theirs.
func (rs Resources) Lifetime(configured time.Duration, resources []string) time.Duration {
	shortest := time.Duration(0)
	for _, uri := range resources {
		if r := rs.Find(uri); r != nil && r.AccessTokenLifetime > 0 && (shortest == 0 || r.AccessTokenLifetime < shortest) {
			shortest = r.AccessTokenLifetime
		}
	}
	if shortest == 0 {
		return configured
	}
	return shortest
}

// Longest returns the longest lifetime that any access token can have.
func (rs Resources) Longest(configured time.Duration) time.Duration {
	longest := configured
	for _, r := range rs {
		longest = max(longest, r.AccessTokenLifetime)
	}
	return longest
}
