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

// Difference is one part in which the sent URI differs from the nearest registered one. Sent and Registered are empty if the part is absent; Part names it and Advice
// says what to change: both are keys of the catalogue, and the advice may use Sent and Registered.
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
		best.Differences = []Difference{{Part: "redirect.part_uri", Sent: sent, Advice: "redirect.none"}}
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
		add(1, "redirect.part_case", sent.scheme, registered.scheme, "redirect.case_scheme")
	} else {
		add(8, "redirect.part_scheme", sent.scheme, registered.scheme, schemeAdvice(sent, registered))
	}
	add(20, "redirect.part_user", sent.user, registered.user, "redirect.user_info")
	switch {
	case strings.EqualFold(sent.host, registered.host):
		add(1, "redirect.part_case", sent.host, registered.host, "redirect.case_host")
	case Loopback(strings.Trim(sent.host, "[]")) && Loopback(strings.Trim(registered.host, "[]")):
		add(3, "redirect.part_host", sent.host, registered.host, "redirect.loopback")
	default:
		add(16, "redirect.part_host", sent.host, registered.host, "redirect.host")
	}
	add(4, "redirect.part_port", sent.port, registered.port, portAdvice(c, sent, registered))
	part, heavy, advice := comparePaths(sent.path, registered.path)
	add(heavy, part, sent.path, registered.path, advice)
	add(3, "redirect.part_query", sent.query, registered.query, queryAdvice(sent.query, registered.query))
	add(2, "redirect.part_fragment", sent.fragment, registered.fragment, "redirect.fragment")
	return list, weight
}

func schemeAdvice(sent, registered uriParts) string {
	switch {
	case sent.scheme == "":
		return "redirect.whole"
	case sent.scheme == "http" && registered.scheme == "https":
		return "redirect.https"
	case sent.scheme == "https" && registered.scheme == "http":
		return "redirect.http"
	}
	return "redirect.scheme"
}

func portAdvice(c *storage.Client, sent, registered uriParts) string {
	_, _, _, literal := cutLoopback(registered.scheme + "://" + registered.host)
	switch {
	case literal && c.AuthMethod != "none":
		return "redirect.port_public"
	case literal:
		return "redirect.port_digits"
	case registered.port == "":
		return "redirect.port_none"
	case sent.port == "":
		return "redirect.port_missing"
	}
	return "redirect.port"
}

func comparePaths(sent, registered string) (part string, weight int, advice string) {
	switch {
	case strings.TrimSuffix(sent, "/") == strings.TrimSuffix(registered, "/"):
		if strings.HasSuffix(sent, "/") {
			return "redirect.part_slash", 1, "redirect.slash_remove"
		}
		return "redirect.part_slash", 1, "redirect.slash_add"
	case strings.EqualFold(sent, registered):
		return "redirect.part_case", 1, "redirect.case_path"
	case strings.Contains(sent, "%"):
		return "redirect.part_path", 6, "redirect.path_encoded"
	}
	// Of several paths on one host the one that begins alike is the likelier target.
	common := 0
	for common < min(len(sent), len(registered)) && sent[common] == registered[common] {
		common++
	}
	if max(len(sent), len(registered)) > 2*common {
		return "redirect.part_path", 7, "redirect.path"
	}
	return "redirect.part_path", 6, "redirect.path"
}

func queryAdvice(sent, registered string) string {
	fields := func(q string) []string {
		list := strings.Split(strings.TrimPrefix(q, "?"), "&")
		slices.Sort(list)
		return list
	}
	switch {
	case registered == "":
		return "redirect.query_none"
	case sent == "":
		return "redirect.query_missing"
	case slices.Equal(fields(sent), fields(registered)):
		return "redirect.query_order"
	}
	return "redirect.query"
}
