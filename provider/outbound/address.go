package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// refused4 lists the special-purpose IPv4 ranges (IANA registry, RFC 6890 and later) that are not the public Internet.
var refused4 = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")

// In IPv6 only global unicast is public at all, less what is documentation, a protocol's own, or carries an IPv4 address (Teredo in
// 2001::/23, 6to4). NAT64 (64:ff9b::/96), mapped and compatible addresses, unique local and link-local ones lie outside 2000::/3.
var (
	global6  = netip.MustParsePrefix("2000::/3")
	refused6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// public tells whether an address is one of the public Internet.
func public(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
		return false
	}
	if a.Is4() {
		return !within(a, refused4)
	}
	return global6.Contains(a) && !within(a, refused6)
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// allowList names what may be reached although it is not public.
type allowList struct {
	hosts    map[string]bool // "host" or "host:port", in small letters
	networks []netip.Prefix
}

// parseAllow reads entries of the forms host, host:port, address, [v6]:port and CIDR.
func parseAllow(entries []string) (allowList, error) {
	list := allowList{hosts: map[string]bool{}}
	for _, entry := range entries {
		s := strings.ToLower(strings.TrimSpace(entry))
		if p, err := netip.ParsePrefix(s); err == nil {
			list.networks = append(list.networks, p.Masked())
			continue
		}
		if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
			list.hosts[a.String()] = true
			continue
		}
		host, port, err := net.SplitHostPort(s)
		switch {
		case err == nil && validHost(host) && validPort(port):
			list.hosts[net.JoinHostPort(host, port)] = true
		case err != nil && validHost(s):
			list.hosts[s] = true
		default:
			return allowList{}, fmt.Errorf("outbound allow-list: %q is not a host, host:port, address or CIDR", entry)
		}
	}
	return list, nil
}

func validHost(s string) bool {
	return s != "" && !strings.ContainsAny(s, "/:@ *?#[]") || isAddr(s)
}

func validPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// host tells whether a URL's host and port are listed, by name or as an address in a listed network.
func (l allowList) host(host, port string) bool {
	host = strings.ToLower(host)
	if l.hosts[host] || l.hosts[net.JoinHostPort(host, port)] {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && within(a.Unmap(), l.networks)
}

// address tells whether an address may be connected to when its name is not listed.
func (l allowList) address(a netip.Addr) bool {
	return public(a) || within(a.Unmap().WithZone(""), l.networks)
}
