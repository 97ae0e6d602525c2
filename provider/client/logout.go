package client

import (
	"net/url"
	"slices"
	"strings"

	"gatehouse/storage"
)

// applyLogout settles where the client hears of the end of sessions: from the server (Back-Channel Logout 1.0 section 2.2) or in the browser (Front-Channel
// Logout 1.0 section 2).
func (r Rules) applyLogout(c *storage.Client, m *Metadata) error {
	if err := r.fetched("backchannel_logout_uri", m.BackchannelLogoutURI); err != nil {
		return err
	}
	if m.FrontchannelLogoutURI != "" {
		const field = "frontchannel_logout_uri"
		if problem := webURI(m.FrontchannelLogoutURI); problem != "" {
			return refuse(field, problem)
		}
		// The page that loads it vouches for it no further than for the client's own addresses.
		if !slices.ContainsFunc(c.RedirectURIs, func(uri string) bool { return origin(uri) == origin(m.FrontchannelLogoutURI) }) {
			return refuse(field, "scheme, host and port must be those of one of redirect_uris")
		}
	}
	c.BackchannelLogoutURI, c.BackchannelLogoutSessionRequired = m.BackchannelLogoutURI, m.BackchannelSessionRequired
	c.FrontchannelLogoutURI, c.FrontchannelLogoutSessionRequired = m.FrontchannelLogoutURI, m.FrontchannelSessionRequired
	return nil
}

// origin is scheme, host and port of a web URI, the port also where it is the scheme's own; empty for other URIs.
func origin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
