package redirect

import (
	"slices"
	"strings"

	"gatehouse/storage"
)

// Comparison explains to a developer why a redirect URI was refused.
type Comparison struct {
	// Nearest is the registered URI that differs least; empty if none is registered.
	Nearest     string
	Differences []Difference
}

// Difference is one part in which the sent URI differs from the nearest registered one. Sent and Registered are empty if the part is absent; Advice says what to
// change, as a sentence.
type Difference struct{ Part, Sent, Registered, Advice string }

// Compare compares a refused redirect URI with the registered ones. sent may be hostile; it is taken apart by text, never followed.
func Compare(c *storage.Client, sent string) Comparison {
	var best Comparison
	lowest := 0
	for i, registered := range c.RedirectURIs {
		differences, weight := compareURIs(c, splitURI(sent), splitURI(registered))
		if i == 0 || weight < lowest {
			best, lowest = Comparison{Nearest: registered, Differences: differences}, weight
		}
	}
	if len(c.RedirectURIs) == 0 {
		best.Differences = []Difference{{Part: "redirect_uri", Sent: sent, Advice: "This client has no redirect URI registered. Register one."}}
	}
	return best
}

// uriParts are the components of RFC 3986 appendix B. user ends with @, query begins with ? and fragment with #, and an empty port is ":", so that a part that is
// present but empty is still seen.
type uriParts struct{ scheme, user, host, port, path, query, fragment string }

func splitURI(uri string) uriParts {
	var p uriParts
	if i := strings.IndexByte(uri, '#'); i >= 0 {
		uri, p.fragment = uri[:i], uri[i:]
	}
	if i := strings.IndexByte(uri, '?'); i >= 0 {
		uri, p.query = uri[:i], uri[i:]
	}
	if i := strings.IndexByte(uri, ':'); i > 0 && !strings.Contains(uri[:i], "/") {
		p.scheme, uri = uri[:i], uri[i+1:]
	}
	authority, found := strings.CutPrefix(uri, "//")
	if !found {
		p.path = uri
		return p
	}
	if i := strings.IndexByte(authority, '/'); i >= 0 {
		authority, p.path = authority[:i], authority[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		p.user, authority = authority[:i+1], authority[i+1:]
	}
	p.host = authority
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.Contains(authority[i:], "]") {
		if p.host, p.port = authority[:i], authority[i+1:]; p.port == "" {
			p.port = ":"
		}
	}
	return p
}

// compareURIs lists the differences and weighs them: a foreign host weighs more than a query that was forgotten.
func compareURIs(c *storage.Client, sent, registered uriParts) (list []Difference, weight int) {
	add := func(heavy int, part, s, r, advice string) {
		if s != r {
			list, weight = append(list, Difference{part, s, r, advice}), weight+heavy
		}
	}
	if strings.EqualFold(sent.scheme, registered.scheme) {
		add(1, "case", sent.scheme, registered.scheme, "Write the scheme in the registered case; redirect URIs are compared character by character.")
	} else {
		add(8, "scheme", sent.scheme, registered.scheme, schemeAdvice(sent, registered))
	}
	add(20, "user info", sent.user, registered.user, "Remove the user name before the @: a redirect URI has none.")
	switch {
	case strings.EqualFold(sent.host, registered.host):
		add(1, "case", sent.host, registered.host, "Write the host in the registered case; redirect URIs are compared character by character.")
	case Loopback(strings.Trim(sent.host, "[]")) && Loopback(strings.Trim(registered.host, "[]")):
		add(3, "host", sent.host, registered.host, "localhost, 127.0.0.1 and [::1] are different hosts here. Send the registered one, or register this one too.")
	default:
		add(16, "host", sent.host, registered.host, "Send the registered host, or register an address on this one if it is yours.")
	}
	add(4, "port", sent.port, registered.port, portAdvice(c, sent, registered))
	part, heavy, advice := comparePaths(sent.path, registered.path)
	add(heavy, part, sent.path, registered.path, advice)
	add(3, "query", sent.query, registered.query, queryAdvice(sent.query, registered.query))
	add(2, "fragment", sent.fragment, registered.fragment, "Remove the # and what follows it: a redirect URI has no fragment.")
	return list, weight
}

func schemeAdvice(sent, registered uriParts) string {
	switch {
	case sent.scheme == "":
		return "Send the whole address, beginning with " + registered.scheme + ":."
	case sent.scheme == "http" && registered.scheme == "https":
		return "Send https. If the app stands behind a proxy, tell it its public address (X-Forwarded-Proto or a base URL setting)."
	case sent.scheme == "https" && registered.scheme == "http":
		return "The registered address is http. Send that, or register the https one."
	}
	return "Send the registered scheme, or register this one."
}

func portAdvice(c *storage.Client, sent, registered uriParts) string {
	_, _, _, literal := cutLoopback(registered.scheme + "://" + registered.host)
	switch {
	case literal && c.AuthMethod != "none":
		return "Any port is accepted for clients with token_endpoint_auth_method none only. Send the registered port, or register this one."
	case literal:
		return "Any port from 1 to 65535 is accepted here, in digits without leading zeros."
	case registered.port == "":
		return "The registered address has no port. Leave the port out, even the usual one, or register the address with it."
	case sent.port == "":
		return "The registered address names a port. Send it too."
	}
	return "Send the registered port, or register this one too."
}

func comparePaths(sent, registered string) (part string, weight int, advice string) {
	switch {
	case strings.TrimSuffix(sent, "/") == strings.TrimSuffix(registered, "/"):
		if strings.HasSuffix(sent, "/") {
			return "trailing slash", 1, "Remove the slash at the end."
		}
		return "trailing slash", 1, "Add the slash at the end."
	case strings.EqualFold(sent, registered):
		return "case", 1, "Write the path in the registered case; redirect URIs are compared character by character."
	case strings.Contains(sent, "%"):
		return "path", 6, "Send the registered path as it is written, without percent-encoding it again."
	}
	// Of several paths on one host the one that begins alike is the likelier target.
	common := 0
	for common < min(len(sent), len(registered)) && sent[common] == registered[common] {
		common++
	}
	if max(len(sent), len(registered)) > 2*common {
		return "path", 7, "Send the registered path, or register this one too."
	}
	return "path", 6, "Send the registered path, or register this one too."
}

func queryAdvice(sent, registered string) string {
	fields := func(q string) []string {
		list := strings.Split(strings.TrimPrefix(q, "?"), "&")
		slices.Sort(list)
		return list
	}
	switch {
	case registered == "":
		return "The registered address has no query. Leave it out; carry values of your own in state."
	case sent == "":
		return "The registered address has a query. Send it too."
	case slices.Equal(fields(sent), fields(registered)):
		return "Send the parameters in the registered order."
	}
	return "Send the registered query exactly; carry values of your own in state."
}
