package redirect

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/storage"
)

// Match tells whether sent is a redirect URI of the client. It must equal a registered one byte for byte (RFC 9700 section 4.1.3). The one
// exception is the port of http://127.0.0.1 and http://[::1] for clients with auth method none (RFC 8252 section 7.3), because a native app cannot choose it. Nothing
// is parsed, decoded or normalised, so there is nothing that two parsers could see differently.
func Match(c *storage.Client, sent string) bool {
	if sent == "" {
		return false
	}
	if slices.Contains(c.RedirectURIs, sent) {
		return true
	}
	if c.AuthMethod != "none" {
		return false
	}
	literal, _, rest, ok := cutLoopback(sent)
	if !ok {
		return false
	}
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		l, _, r, ok := cutLoopback(registered)
		return ok && l == literal && r == rest
	})
}

// cutLoopback splits a URI that begins with exactly http://127.0.0.1 or http://[::1] into that, the port (empty if there is none) and all after it.
func cutLoopback(uri string) (literal, port, rest string, ok bool) {
	for _, literal := range []string{"http://127.0.0.1", "http://[::1]"} {
		rest, found := strings.CutPrefix(uri, literal)
		if !found {
			continue
		}
		if after, colon := strings.CutPrefix(rest, ":"); colon {
			end := strings.IndexAny(after, "/?")
			if end < 0 {
				end = len(after)
			}
			port, rest = after[:end], after[end:]
			if !Port(port) {
				return "", "", "", false
			}
		}
		if rest != "" && rest[0] != '/' && rest[0] != '?' {
			return "", "", "", false // http://127.0.0.1.evil.example and the like
		}
		return literal, port, rest, true
	}
	return "", "", "", false
}

// Port tells whether s is a port in the one form that browsers write: no sign, no leading zero.
func Port(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

// Loopback tells whether a host is the machine itself under one of the three names that are accepted for it.
func Loopback(host string) bool {
	return host == "127.0.0.1" || host == "::1" || host == "localhost"
}
