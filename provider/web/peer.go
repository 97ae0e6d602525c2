package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds the walk through X-Forwarded-For.
const maxHops = 32

// peer is the address that the request really came from: that of the connection, unless this is a trusted proxy. Then it is the first address in
// X-Forwarded-For, from the right, that is no trusted proxy itself; what stands left of it is hearsay. No other header is believed.
func (m *Mux) peer(r *http.Request) netip.Addr {
	address := parseAddr(r.RemoteAddr)
	if len(m.options.TrustedProxies) == 0 || !m.trusted(address) {
		return address
	}
	lines := r.Header["X-Forwarded-For"]
	for i, hops := len(lines)-1, 0; i >= 0; i-- {
		for rest, more := lines[i], true; more && hops < maxHops; hops++ {
			var entry string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, entry = rest[:comma], rest[comma+1:]
			} else {
				entry, more = rest, false
			}
			next := parseAddr(strings.Trim(entry, " \t"))
			if !next.IsValid() {
				return address // the chain ends at the last one who made sense
			}
			address = next
			if !m.trusted(address) {
				return address
			}
		}
	}
	return address
}

func (m *Mux) trusted(address netip.Addr) bool { return contains(m.options.TrustedProxies, address) }

func contains(prefixes []netip.Prefix, address netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// parseAddr reads an address with or without port; the zero Addr stands for anything else.
func parseAddr(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone("")
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}

// Peer returns the address of the client; the zero Addr if the connection has none.
func Peer(r *http.Request) netip.Addr { return from(r).peer }

// PeerKey names the peer in rate limits: the address, or the /64 of an IPv6 address, since one household has all of it.
func PeerKey(r *http.Request) string { return peerKey(from(r).peer, 32, 64) }

// NetKey names the network of the peer in rate limits: /24 or, for IPv6, /64.
func NetKey(r *http.Request) string { return peerKey(from(r).peer, 24, 64) }

func peerKey(address netip.Addr, bits4, bits6 int) string {
	bits := bits4
	if address.Is6() {
		bits = bits6
	}
	if address.BitLen() == bits || !address.IsValid() {
		return addrText(address)
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return addrText(address)
	}
	return prefix.String()
}

func (x *exchange) peerText() string { return addrText(x.peer) }

func addrText(address netip.Addr) string {
	if !address.IsValid() {
		return "unknown"
	}
	return address.String()
}
