package outbound

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

const maxURL = 2 << 10

// The reasons for which a URL is refused before anything is sent. They read on from the name of a field and fit into an error_description.
var (
	errLong     = errors.New("is longer than 2048 bytes")
	errNoURL    = errors.New("is not a URL")
	errScheme   = errors.New("is not an https URL")
	errUserInfo = errors.New("has user info in it")
	errFragment = errors.New("has a fragment")
	errHost     = errors.New("has no host, or no valid port")
	// ErrBlocked is the reason, and the cause of an *Error, if a host or the address that its name resolves to may not be reached.
	ErrBlocked = errors.New("names an address that is not public and that outbound.allow does not list")
)

// CheckURL tells, without asking the network, whether a URL can never be fetched or posted to, so that a registration can refuse it. The error's text reads on from the
// name of the field ("jwks_uri is not an https URL") and fits into an error_description. A nil error is no promise: what a name resolves to is judged at each
// connection. A request_uri may be registered with a fragment; check and fetch it without.
func (c *Client) CheckURL(raw string) error {
	_, err := c.check(raw)
	return err
}

// parse is check for those who go on to connect.
func (c *Client) parse(raw string) (*url.URL, error) {
	u, err := c.check(raw)
	if err != nil {
		return nil, &Error{fmt.Errorf("%.100q %w", raw, err)}
	}
	return u, nil
}

// check refuses URLs that no client has a reason to name.
func (c *Client) check(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, errLong
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errNoURL
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	listed := c.allow.host(host, port)
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !listed):
		return nil, errScheme
	case u.User != nil:
		return nil, errUserInfo
	case strings.Contains(raw, "#"):
		return nil, errFragment
	case host == "" || !validPort(port):
		return nil, errHost
	case !listed && !plainHost(host):
		return nil, ErrBlocked
	}
	return u, nil
}

// plainHost refuses hosts that are read differently by different programs: numbers that some take for an IPv4 address (2130706433, 0x7f.1, 0177.0.0.1),
// letters that some map to others, IPv6 zones.
func plainHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return public(a)
	}
	for i := range len(host) {
		if c := host[i]; c >= 0x80 || c <= ' ' || strings.IndexByte("%\\:@", c) >= 0 {
			return false
		}
	}
	last := strings.ToLower(strings.TrimSuffix(host, "."))
	last = last[strings.LastIndexByte(last, '.')+1:]
	return last != "" && last != "localhost" && strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x")
}
