package doctor

import (
	"context"
	"net/netip"
	"slices"
)

// madeUp is what the visitor's browser writes into X-Forwarded-For, an address that nobody has (RFC 5737). Whoever is believed that can choose the
// address under which failures are counted.
var madeUp = netip.MustParseAddr("192.0.2.77")

// seenFrom compares the address that the server noted at the sign-in with the one that this machine really had.
func (v *visit) seenFrom(ctx context.Context) {
	const check = "client address"
	text, err := v.o.Inside.SeenFrom(ctx, v.Visitor)
	seen, bad := netip.ParseAddr(text)
	if err != nil || bad != nil {
		v.warn(check, serverLog, "the server noted no address at the sign-in (%q)", text)
		return
	}
	trusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(v.o.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	ours := v.wire.address()
	switch {
	case seen == madeUp && trusted(ours):
		v.skip(check, "cannot be told from here: server.trusted_proxies holds this machine (%s); run doctor from another one", ours)
	case seen == madeUp:
		v.fail(check, "keep server.trusted_proxies to the proxies' own addresses, and let the outermost proxy append to X-Forwarded-For or replace it",
			"the server believed a made-up X-Forwarded-For: anyone can choose the address that rate limits count")
	case trusted(seen) && !trusted(ours):
		v.fail(check, "let the proxy set X-Forwarded-For to the address of its peer", "the server sees the proxy's address %s in place of %s: all users share its rate limits", seen, ours)
	case v.o.Proxied && len(v.o.TrustedProxies) == 0:
		v.warn(check, "put the address of the proxy into server.trusted_proxies", "a proxy ends TLS and is not in server.trusted_proxies, so %s stands for all users and they share its rate limits", seen)
	case seen != ours && (seen.IsPrivate() || seen.IsLoopback()):
		v.warn(check, "if it is your proxy's, put it into server.trusted_proxies", "the server sees %s, and this machine is %s; users may be sharing rate limits", seen, ours)
	case seen != ours:
		v.ok(check, "the server sees %s; this machine is %s, which is right if an address translation is between them", seen, ours)
	default:
		v.ok(check, "the server sees this machine as %s and does not believe a made-up X-Forwarded-For", seen)
	}
}
