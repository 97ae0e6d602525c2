package upstream

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// setting is a field of Config that not every type knows.
type setting struct {
	name string
	set  bool
	fix  string // what to do if it is missing
}

func settings(c *Config) []setting {
	return []setting{
		{"issuer", c.Issuer != "", "write the provider's issuer, such as https://id.example.com; its discovery document names it"},
		{"tenant", c.Tenant != "", "write the directory's ID or domain, or common, organizations or consumers"},
		{"url", c.URL != "", "write the address of the server, such as https://git.example.com"},
		{"client_id", c.ClientID != "", "register Gatehouse with the provider and copy the client ID"},
		{"client_secret", c.ClientSecret != "", "register Gatehouse with the provider and copy the client secret, best into a file named by client_secret_file"},
		{"hosted_domains", len(c.HostedDomains) > 0, ""},
		{"organizations", len(c.Organizations) > 0, ""},
		{"teams", len(c.Teams) > 0, ""},
		{"team_id", c.TeamID != "", "copy the ten characters of your team from Apple's membership page"},
		{"key_id", c.KeyID != "", "copy the ten characters of the key for Sign in with Apple"},
		{"private_key", c.PrivateKey != "", "name the .p8 file that came with the key by private_key_file"},
		{"trust_email", c.TrustEmail, ""},
		{"acr", len(c.ACR) > 0, ""},
		{"end_session", c.EndSession, ""},
	}
}

// checkSettings faults what is missing, and what the type would silently ignore.
func checkSettings(c *Config, fault func(field, problem, fix string), needed, known []string) {
	for _, s := range settings(c) {
		switch {
		case !s.set && slices.Contains(needed, s.name):
			fault(s.name, "is missing", s.fix)
		case s.set && !slices.Contains(needed, s.name) && !slices.Contains(known, s.name):
			fault(s.name, "is nothing that type "+c.Type+" knows", "remove it, or choose another type")
		}
	}
}

// checkAddress faults what cannot be an issuer or the address of a server. Plain http is for the outbound client to judge, which knows what is allowed.
func checkAddress(field, address string, fault func(field, problem, fix string)) {
	if address == "" {
		return
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		fault(field, "is no URL", "write it with https:// and a host")
	case u.User != nil || strings.ContainsAny(address, "?#"):
		fault(field, "may not hold a user, query or fragment", "write it with https:// and a host, and a path if it has one")
	case strings.Contains(address, "/.well-known/"):
		fault(field, "is the address of a document", "leave out everything from /.well-known on")
	}
}

// domainText is a domain as providers write it: in small letters, with a dot.
var domainText = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
