package web

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"gatehouse/provider/telemetry"
	"gatehouse/templates"
)

// Handler answers a request or returns an error, which the kernel renders. A handler that has begun its answer must not return an error that the user
// should see.
type Handler func(http.ResponseWriter, *http.Request) error

// Feature is a part of the server that has routes of its own.
type Feature interface{ Mount(*Mux) }

// Options build a Mux.
type Options struct {
	// Issuer is the public URL: https, or http on a loopback host; no trailing slash, query or fragment. Its path comes before every path.
	Issuer    string
	Templates *templates.Set
	Brand     templates.Brand
	// Language is that of people who ask for none that is here; "" is en.
	Language string
	// CSRFKeys sign the synchroniser tokens: the first signs, all are accepted.
	CSRFKeys [][]byte
	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// SameSite is for the session cookie alone; zero means Lax. None needs an https issuer and is Lax without.
	SameSite http.SameSite
	Log      *slog.Logger
	// Metrics may be nil.
	Metrics *telemetry.Metrics
	// Now is the clock of the log line; nil means time.Now.
	Now func() time.Time
	// MaxBody is in bytes; zero means 64 KiB.
	MaxBody Bodies
}

// Bodies are the largest request bodies, in bytes, by the kind of route.
type Bodies struct{ Page, Protocol int64 }

const defaultBody = 64 << 10

// Mux routes requests and runs the chain around every handler. Mount everything before the first request.
type Mux struct {
	options Options
	origin  string // scheme://host[:port] of the issuer
	base    string // path of the issuer: "" or "/x"
	secure  bool   // the issuer is https
	// cookieSuffix keeps the cookies of issuers apart that share a host.
	cookieSuffix string
	router       *mux.Router
	exact        map[string]*route // routes without variables: one look-up instead of a regular expression for each route
	patterns     map[string]bool
	crossOrigin  *http.CrossOriginProtection
	common       []header
}

// New checks the options and returns an empty Mux.
func New(o Options) (*Mux, error) {
	issuer, err := url.Parse(o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("parse issuer: %w", err)
	}
	switch {
	case issuer.Host == "" || issuer.RawQuery != "" || issuer.Fragment != "" || issuer.User != nil || strings.HasSuffix(o.Issuer, "/"):
		return nil, fmt.Errorf("issuer %q must be scheme://host[/path] without trailing slash", o.Issuer)
	case issuer.Scheme != "https" && (issuer.Scheme != "http" || !loopback(issuer.Hostname())):
		return nil, fmt.Errorf("issuer %q must be https, or http on localhost, 127.0.0.1 or [::1]", o.Issuer)
	case len(o.CSRFKeys) == 0:
		return nil, errors.New("no key for synchroniser tokens")
	case o.Templates == nil:
		return nil, errors.New("no templates")
	}
	o.fill()
	m := &Mux{
		options: o, origin: issuer.Scheme + "://" + issuer.Host, base: issuer.EscapedPath(), secure: issuer.Scheme == "https",
		router: mux.NewRouter().SkipClean(true).UseEncodedPath(), exact: map[string]*route{}, patterns: map[string]bool{},
		crossOrigin: http.NewCrossOriginProtection(),
	}
	if err := m.crossOrigin.AddTrustedOrigin(m.origin); err != nil {
		return nil, fmt.Errorf("trust the issuer's origin: %w", err)
	}
	m.common, m.cookieSuffix = commonHeaders(m.secure), cookieSuffix(m.base)
	return m, nil
}

func (o *Options) fill() {
	if o.Language == "" {
		o.Language = "en"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBody.Page == 0 {
		o.MaxBody.Page = defaultBody
	}
	if o.MaxBody.Protocol == 0 {
		o.MaxBody.Protocol = defaultBody
	}
	if o.SameSite == 0 {
		o.SameSite = http.SameSiteLaxMode
	}
}

// loopback are the hosts that may be an http issuer (ruling 11).
func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// Page mounts a browser route. A nil handler is answered 405. POST takes a form of at most MaxBody.Page bytes, whose parameters come once each, and passes
// both protections against cross-site requests; its form needs the field csrf, which Render puts into the layout. The policy of its pages has no
// form-action, because browsers apply that to every redirect that follows a form.
func (m *Mux) Page(path string, get, post Handler) { m.page(kindPage, path, get, post) }

// SelfPage is Page for routes whose forms never lead away from this server: account and administration. Its pages have form-action 'self' and their own
// browsing context group (COOP).
func (m *Mux) SelfPage(path string, get, post Handler) { m.page(kindSelfPage, path, get, post) }

// PageNoCSRF mounts a browser route that other sites may POST to. Its handler must not act on a cookie in a POST.
func (m *Mux) PageNoCSRF(path string, get, post Handler) { m.page(kindOpenPage, path, get, post) }

func (m *Mux) page(k kind, path string, get, post Handler) {
	m.mount(m.base+path, &route{kind: k, maxBody: m.options.MaxBody.Page, handlers: map[string]Handler{"GET": get, "POST": post}})
	if path == "/" && m.base != "" {
		// The issuer itself has no trailing slash, and people type it.
		m.mount(m.base, &route{kind: k, maxBody: m.options.MaxBody.Page, handlers: map[string]Handler{"GET": get, "POST": post}})
	}
}

// Protocol mounts a route that clients call: JSON answers with no-store, no cookies, preflights answered for every origin but null. POST takes
// application/x-www-form-urlencoded only. Whether a script may read the answer is for the handler to say, by AllowOrigin.
func (m *Mux) Protocol(path string, methods []string, h Handler) {
	r := &route{kind: kindProtocol, maxBody: m.options.MaxBody.Protocol, handlers: map[string]Handler{}}
	for _, method := range methods {
		r.handlers[method] = h
	}
	m.mount(m.base+path, r)
}

// ProtocolJSON is Protocol for a route whose bodies are application/json, which JSON reads, with a handler for each method. Every origin may read its answers.
func (m *Mux) ProtocolJSON(path string, handlers map[string]Handler) {
	m.mount(m.base+path, &route{kind: kindProtocol, json: true, maxBody: m.options.MaxBody.Protocol, handlers: handlers})
}

// Public mounts a document that every site may read (GET, HEAD). It is no-store unless the handler sets Cache-Control.
func (m *Mux) Public(path string, h Handler) { m.mount(m.base+path, readOnly(kindPublic, h)) }

// Embedded mounts a page that every site may show in a frame (GET). It has no say in anything: its handler must not act on a cookie.
func (m *Mux) Embedded(path string, get Handler) {
	m.mount(m.base+path, &route{kind: kindEmbedded, handlers: map[string]Handler{"GET": get}})
}

// Root is Public without the issuer's path before it.
func (m *Mux) Root(path string, h Handler) { m.mount(path, readOnly(kindPublic, h)) }

func readOnly(k kind, h Handler) *route {
	return &route{kind: k, handlers: map[string]Handler{"GET": h, "HEAD": h}}
}

// mount registers a route under its path.
func (m *Mux) mount(pattern string, r *route) {
	m.register(pattern, r)
	m.router.Handle(pattern, r)
	if !strings.Contains(pattern, "{") {
		// A request whose path is this very string never gets as far as the router's regular expressions.
		m.exact[pattern] = r
	}
}

// mountPrefix registers a route for everything below prefix, which ends with a slash.
func (m *Mux) mountPrefix(prefix string, r *route) {
	m.register(prefix+"*", r)
	m.router.PathPrefix(prefix).Handler(r)
}

// register names the route. Two routes of one path are a mistake of the program.
func (m *Mux) register(pattern string, r *route) {
	if m.patterns[pattern] {
		panic("web: route " + pattern + " is mounted twice")
	}
	m.patterns[pattern] = true
	r.pattern = pattern
	maps.DeleteFunc(r.handlers, func(_ string, h Handler) bool { return h == nil })
	r.allow = strings.Join(slices.Sorted(maps.Keys(r.handlers)), ", ")
}
