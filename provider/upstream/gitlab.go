package upstream

import "strings"

// gitlab is gitlab.com or a GitLab server of one's own, an OpenID Provider like any other but for its address.
var gitlab = Kind{
	Type: "gitlab", Name: "GitLab",
	Check: func(c *Config, fault func(field, problem, fix string)) {
		checkSettings(c, fault, []string{"client_id", "client_secret"}, []string{"url", "trust_email", "acr", "end_session"})
		checkAddress("url", c.URL, fault)
	},
	New: func(o Options) (Upstream, error) {
		return newOpenID(o, baseURL(o.URL, "https://gitlab.com"), special{tellsTime: true}), nil
	},
}

// baseURL is a configured address without the slash that people write at its end.
func baseURL(configured, usual string) string {
	if configured == "" {
		return usual
	}
	return strings.TrimRight(configured, "/")
}
