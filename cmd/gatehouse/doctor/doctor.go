package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Status is the outcome of one check.
type Status string

// The outcomes. Skip says that a check could not run or that the server does not offer what it is about.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
	Skip Status = "skip"
)

// Result is what one check found, and for Warn and Fail what to do about it.
type Result struct {
	Check   string `json:"check"`
	Status  Status `json:"status"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

// Options say what to look at and what should be seen.
type Options struct {
	// Issuer is the public URL to look at.
	Issuer string
	// Roots are trusted beside the system's certificate authorities; nil: none.
	Roots *x509.CertPool
	// TrustedProxies are those of the configuration. Proxied says that something before the server must end TLS: the issuer is https and the server has no
	// certificate of its own.
	TrustedProxies []netip.Prefix
	Proxied        bool
	// SameSite is that of the session cookie; zero means Lax.
	SameSite http.SameSite
	// Inside reaches the server's store. nil: only what everyone can see is checked, and WhyOutside tells the operator why. OutsideFails says that this is not
	// what the operator wanted.
	Inside       Inside
	WhyOutside   string
	OutsideFails bool
	// Report is told about each result as it comes; nil: nobody is.
	Report func(Result)
	// Now is this machine's clock; nil means time.Now.
	Now func() time.Time
}

// Inside is what only an operator can do: to look into the store and to let somebody in for the visit.
type Inside interface {
	// PublishedKeys returns the ids of the keys that the server of this store publishes at this time.
	PublishedKeys(ctx context.Context) ([]string, error)
	// Admit makes a client for the two URIs, with a generated secret and client_secret_basic, and a user. Both are temporary: the caller takes them away.
	Admit(ctx context.Context, redirectURI, postLogoutRedirectURI string) (Visitor, error)
	// SeenFrom returns the address from which the visitor signed in, as the server saw it; empty if the visitor has no session.
	SeenFrom(ctx context.Context, v Visitor) (string, error)
}

// Visitor is a client and a user that exist only for the visit.
type Visitor struct {
	ClientID, ClientSecret      string
	Subject, Username, Password string
}

// doctor is one visit.
type doctor struct {
	o       Options
	wire    *wire
	results []Result
	meta    metadata
	// over tells whether the visit was interrupted: what fails from then on says nothing about the server.
	over func() bool
}

// Run makes all checks and returns their results in order. A check that cannot go on says so in its result; one whose ground is missing is left out.
func Run(ctx context.Context, o Options) []Result {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(Result) {}
	}
	if o.SameSite == 0 {
		o.SameSite = http.SameSiteLaxMode
	}
	o.Issuer = strings.TrimSuffix(o.Issuer, "/") // people paste it so
	d := &doctor{o: o, wire: newWire(o), over: func() bool { return ctx.Err() != nil }}
	defer d.wire.close()
	d.examine(ctx)
	return d.results
}

func (d *doctor) examine(ctx context.Context) {
	answer, ok := d.reach(ctx)
	if !ok {
		d.skip("everything else", "the address cannot be reached as clients must reach it")
		return
	}
	d.certificate(answer)
	d.clock(answer)
	if !d.discovery(answer) {
		d.skip("everything else", "clients find the rest by discovery")
		return
	}
	d.endpoints()
	d.offers()
	d.oauthMetadata(ctx)
	d.browserApps(ctx)
	d.keys(ctx)
	d.transportSecurity(ctx, answer)
	d.tokenErrors(ctx)
	d.loginPage(ctx)
	switch {
	case d.o.Inside != nil:
		d.visit(ctx)
	case d.o.OutsideFails:
		d.fail("sign-in", "run this command where the server runs and with its configuration", "%s", d.o.WhyOutside)
	default:
		d.skip("sign-in", "%s", d.o.WhyOutside)
	}
}

func (d *doctor) https() bool { return strings.HasPrefix(d.o.Issuer, "https://") }

func (d *doctor) add(r Result) {
	if d.over() {
		return
	}
	d.results = append(d.results, r)
	d.o.Report(r)
}

func (d *doctor) ok(check, format string, args ...any) {
	d.add(Result{Check: check, Status: OK, Message: fmt.Sprintf(format, args...)})
}

func (d *doctor) skip(check, format string, args ...any) {
	d.add(Result{Check: check, Status: Skip, Message: fmt.Sprintf(format, args...)})
}

func (d *doctor) warn(check, fix, format string, args ...any) {
	d.add(Result{check, Warn, fmt.Sprintf(format, args...), fix})
}

func (d *doctor) fail(check, fix, format string, args ...any) {
	d.add(Result{check, Fail, fmt.Sprintf(format, args...), fix})
}
