package client

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"gatehouse/provider/redirect"
	"gatehouse/storage"
)

const (
	maxURI  = 2048
	maxURIs = 50
)

func (r Rules) applyRedirects(c *storage.Client, m *Metadata) error {
	redirects, logouts := unique(m.RedirectURIs), unique(m.PostLogoutURIs)
	if len(redirects) == 0 && len(c.ResponseTypes) > 0 {
		return &MetadataError{Code: InvalidRedirectURI, Field: "redirect_uris", Message: "give at least one: the grant type authorization_code sends users there"}
	}
	for _, list := range []struct {
		field, code string
		uris        []string
	}{
		{"redirect_uris", InvalidRedirectURI, redirects}, {"post_logout_redirect_uris", InvalidClientMetadata, logouts},
	} {
		if len(list.uris) > maxURIs {
			return &MetadataError{Code: list.code, Field: list.field, Message: "give at most 50"}
		}
		for _, uri := range list.uris {
			if problem := redirectURI(uri, c.AuthMethod == "none"); problem != "" {
				return &MetadataError{Code: list.code, Field: list.field, Message: shown(uri) + ": " + problem}
			}
		}
	}
	c.RedirectURIs, c.PostLogoutRedirectURIs = redirects, logouts
	return nil
}

// redirectURI says what is wrong with a redirect URI, or nothing (security rows 4 and 8, RFC 9700 section 4.1.3, RFC 8252 section 7). public tells whether the client
// has auth method none, which makes it one that can own a custom scheme.
func redirectURI(uri string, public bool) string {
	u, problem := absoluteURI(uri)
	if problem != "" {
		return problem
	}
	switch {
	case strings.Contains(uri, "*"):
		return "wildcards are not supported; register each address in full"
	case u.Scheme == "https":
		return httpHost(u)
	case u.Scheme == "http":
		if !redirect.Loopback(u.Hostname()) {
			return "http is allowed on 127.0.0.1, [::1] and localhost only; use https"
		}
		return httpHost(u)
	case !strings.Contains(u.Scheme, "."):
		return "use https, or for a native app a scheme with a dot such as com.example.app"
	case !public:
		return "a custom scheme belongs to a native app, which has token_endpoint_auth_method none; use https"
	case u.Opaque != "":
		return "write a slash after the scheme, such as com.example.app:/callback"
	}
	return ""
}

// webURI says what is wrong with an address that a browser or the server itself is to open, or nothing (security row 125).
func webURI(uri string) string {
	u, problem := absoluteURI(uri)
	switch {
	case problem != "":
		return problem
	case u.Scheme == "https", u.Scheme == "http" && redirect.Loopback(u.Hostname()):
		return httpHost(u)
	}
	return "use https (http only on 127.0.0.1, [::1] and localhost)"
}

// httpsURI is webURI for addresses that OpenID Connect wants to be https whatever the host.
func httpsURI(uri string) string {
	u, problem := absoluteURI(uri)
	switch {
	case problem != "":
		return problem
	case u.Scheme != "https":
		return "use https"
	}
	return httpHost(u)
}

// fetched refuses an address, if there is one, that the server itself is to open and never could: a malformed one, or one that is not public (security row 126).
func (r Rules) fetched(field, uri string) error {
	if uri == "" {
		return nil
	}
	u, problem := absoluteURI(uri)
	switch {
	case problem != "":
	case r.CheckURL == nil:
		problem = webURI(uri)
	case u.Scheme != "https" && u.Scheme != "http":
		problem = "use https"
	default:
		if problem = httpHost(u); problem != "" {
			break
		}
		if err := r.CheckURL(uri); err != nil {
			problem = "it " + err.Error()
		}
	}
	if problem != "" {
		return refuse(field, shown(uri)+": "+problem)
	}
	return nil
}

// plainFragment says what is wrong with a fragment (RFC 3986 section 3.5), or nothing.
func plainFragment(fragment string) string {
	switch {
	case len(fragment) > maxURI:
		return "the fragment is longer than 2048 characters"
	case strings.ContainsFunc(fragment, func(c rune) bool { return c <= 0x20 || c >= 0x7f || strings.ContainsRune("#\"<>\\^`{|}", c) }):
		return "the fragment holds a character that URIs do not have; percent-encode it"
	}
	return ""
}

// absoluteURI refuses what different parsers could read differently: the URI that is compared here must be the one that the browser follows.
func absoluteURI(uri string) (*url.URL, string) {
	switch {
	case uri == "":
		return nil, "it is empty"
	case len(uri) > maxURI:
		return nil, "it is longer than 2048 characters"
	case strings.ContainsFunc(uri, func(c rune) bool { return c <= 0x20 || c >= 0x7f }):
		return nil, "it holds spaces, control or non-ASCII characters; percent-encode them, and write international domains in their xn-- form"
	case strings.ContainsAny(uri, "\\\"<>^`{|}"):
		return nil, "it holds a character that URIs do not have; percent-encode it"
	case strings.Contains(uri, "#"):
		return nil, "a fragment is not allowed; remove the # and what follows it"
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return nil, "it is not a URI (RFC 3986)"
	case u.Scheme == "":
		return nil, "it is not absolute; begin with https://"
	case !strings.HasPrefix(uri, u.Scheme+":"):
		return nil, "write the scheme in lower case"
	case u.User != nil:
		return nil, "a user name in the address is not allowed; remove everything before the @"
	case dotSegments(u.EscapedPath()):
		return nil, "write the path without . and .. segments"
	}
	return u, ""
}

func dotSegments(path string) bool {
	plain := strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/").Replace(path)
	return slices.ContainsFunc(strings.Split(plain, "/"), func(s string) bool { return s == "." || s == ".." })
}

// httpHost checks host and port of an http or https URI.
func httpHost(u *url.URL) string {
	host := u.Hostname()
	switch {
	case u.Opaque != "" || host == "":
		return "it has no host; write it as https://host/path"
	case strings.HasPrefix(u.Host, "["):
		if a, err := netip.ParseAddr(host); err != nil || a.Zone() != "" {
			return "the address in brackets is not an IPv6 address"
		}
	case !hostName(host):
		return "the host name is not valid; write it in lower or upper case letters, digits, dots and hyphens"
	}
	if strings.HasSuffix(u.Host, ":") {
		return "a port must follow the colon after the host"
	}
	if port := u.Port(); port != "" && !redirect.Port(port) {
		return "the port must be 1 to 65535"
	}
	return ""
}

func hostName(host string) bool {
	return !strings.HasPrefix(host, ".") && !strings.Contains(host, "..") && strings.Trim(host, alphanumeric+".-_") == ""
}
