package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	// A certificate that ends within expirySoon, or within the last quarter of a short life, should have been renewed.
	expirySoon = 21 * 24 * time.Hour
	// Clients allow a minute at most; a few seconds are what time synchronisation keeps.
	driftNoted, driftFatal = 5 * time.Second, 30 * time.Second
)

const wellKnown = "/.well-known/openid-configuration"

// reach asks for the discovery document, which everything begins with.
func (d *doctor) reach(ctx context.Context) (*reply, bool) {
	u, err := url.Parse(d.o.Issuer)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		d.fail("address", "write https://host or https://host/path", "%s is no issuer", d.o.Issuer)
		return nil, false
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		d.fail("address", "end TLS in the server (server.tls.cert, server.tls.key) or in a proxy, and write the issuer with https", "%s is not https: passwords and tokens would pass in the clear", d.o.Issuer)
		return nil, false
	}
	answer, err := d.send(ctx, d.o.Issuer+wellKnown, nil, nil)
	if err != nil {
		check, message, fix := diagnose(u, err)
		d.fail(check, fix, "%s: %s", d.o.Issuer, message)
		return nil, false
	}
	if answer.StatusCode == http.StatusBadRequest && strings.Contains(string(answer.body), "HTTP request to an HTTPS server") {
		d.fail("address", "write the issuer with https", "%s speaks https, and the issuer says http", d.o.Issuer)
		return nil, false
	}
	d.ok("address", "%s answers", d.o.Issuer)
	return answer, true
}

// diagnose says what a failed connection means and what to do.
func diagnose(u *url.URL, err error) (check, message, fix string) {
	var noName *net.DNSError
	var wrongHost x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	message = err.Error()
	switch {
	case errors.As(err, &noName):
		return "address", "the name " + u.Hostname() + " cannot be resolved", "create its DNS record, or correct issuer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "address", "nothing listens there", "start the server (gatehouse serve), let the proxy pass this address on, or correct issuer"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return "tls", "it speaks http, and the issuer says https", "end TLS in the proxy, or set server.tls.cert and server.tls.key"
	case errors.As(err, &wrongHost):
		return "tls", message, "get a certificate for " + u.Hostname() + " and install it in the proxy or as server.tls.cert"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "tls", message, "renew the certificate, or correct the clock of this machine"
	case errors.As(err, &unknown):
		return "tls", message, "send the whole chain (in server.tls.cert: the certificate, then the intermediate ones); if the authority is your own, give it to every client, and to this command with --ca-file"
	case errors.As(err, &invalid):
		return "tls", message, "replace the certificate by one that is good for a server"
	}
	return "address", message, "check that the address reaches the server from here: DNS, firewall, proxy"
}

func loopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// certificate looks at the chain that the answer came with.
func (d *doctor) certificate(a *reply) {
	if a.TLS == nil {
		d.ok("tls", "not in use; http is allowed on this machine only")
		return
	}
	chain := a.TLS.VerifiedChains[0]
	first := chain[0]
	for _, c := range chain[:max(1, len(chain)-1)] { // the root belongs to the client
		if c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	until := first.NotAfter.UTC().Format(time.DateOnly)
	if left := first.NotAfter.Sub(d.o.Now()); left < min(expirySoon, first.NotAfter.Sub(first.NotBefore)/4) {
		d.warn("tls", "renew it, and find out why that does not happen by itself", "the certificate of %s ends on %s, in %d days", first.Subject, until, int(left.Hours())/24)
		return
	}
	note := ""
	if d.o.Roots != nil && !publiclyTrusted(a.TLS) {
		note = "; its authority is your own, so every client has to know it"
	}
	d.ok("tls", "%s, certificate until %s%s", tls.VersionName(a.TLS.Version), until, note)
}

// publiclyTrusted tells whether the system's authorities alone would do.
func publiclyTrusted(s *tls.ConnectionState) bool {
	intermediates := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Intermediates: intermediates})
	return err == nil
}

// clock compares the Date of an answer with this machine's clock.
func (d *doctor) clock(a *reply) {
	date, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		d.warn("clock", "let the proxy pass the header Date on", "the answer has no date to compare with")
		return
	}
	// Date has whole seconds: the time was between it and a second later, some time while the request was under way.
	switch {
	case date.Add(time.Second).Before(a.sent):
		d.drift("clock", a.sent.Sub(date.Add(time.Second)), "behind")
	case date.After(a.received):
		d.drift("clock", date.Sub(a.received), "ahead of")
	default:
		d.drift("clock", 0, "")
	}
}

func (d *doctor) drift(check string, by time.Duration, side string) {
	const fix = "let both machines follow a time server (NTP)"
	switch seconds := by.Round(time.Second); {
	case by > driftFatal:
		d.fail(check, fix, "the server is %s %s this machine; clients refuse such tokens", seconds, side)
	case by > driftNoted:
		d.warn(check, fix, "the server is %s %s this machine", seconds, side)
	default:
		d.ok(check, "the server and this machine agree")
	}
}
