package playground

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/provider/rp"
)

// The paths, below the issuer's own path.
const (
	root         = "/playground"
	callbackPath = root + "/callback"
	staticPath   = root + "/static/"
)

// Options say which client the playground is.
type Options struct {
	// Issuer is the provider to sign in at; the playground is reached below the same URL.
	Issuer string
	// Client returns the client's credentials; it is called when the playground first talks to the provider.
	Client func() (id, secret string)
	// HTTP is the client for all requests to the provider; nil means one with a time-out of ten seconds.
	HTTP *http.Client
	// Mailbox is what would have been sent to people; nil means that nothing is.
	Mailbox Mailbox
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// policy is the Content-Security-Policy of the pages.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"

// Playground is the demo application.
type Playground struct {
	o      Options
	host   string // the issuer's name, without a port
	base   string // the issuer's path, "" or "/x"
	http   *http.Client
	visits *visits
	pages  *pages

	mu        sync.Mutex
	party     *rp.Party
	clientID  string
	discovery []message
}

// RedirectURI is what the playground's client must have registered.
func RedirectURI(issuer string) string { return issuer + callbackPath }

// PostLogoutRedirectURI is where sign-out at the provider returns to.
func PostLogoutRedirectURI(issuer string) string { return issuer + root }

// Scopes are what the playground may ask for; its client must be registered for all of them.
func Scopes() []string {
	return []string{"openid", "profile", "email", "address", "phone", "offline_access"}
}

// MailURL is where the mailbox is.
func MailURL(issuer string) string { return issuer + mailPath }

// New makes a playground. It sends nothing yet: the provider it talks to is the server that it is part of.
func New(o Options) *Playground {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	p := &Playground{o: o, pages: loadPages(), visits: newVisits(o.Now)}
	if u, err := url.Parse(o.Issuer); err == nil {
		p.host, p.base = u.Hostname(), u.Path
	}
	recorded := *o.HTTP
	recorded.Transport = recorder{o.HTTP.Transport}
	p.http = &recorded
	return p
}

// named tells whether a request was sent to the issuer's name, or to one that only this machine has. Under any other one (DNS rebinding) the mailbox would be another site's to read.
func (p *Playground) named(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return slices.ContainsFunc([]string{p.host, "localhost", "127.0.0.1", "::1"}, func(known string) bool { return name != "" && strings.EqualFold(name, known) })
}

// ServeHTTP answers everything below /playground, with or without the issuer's path in front.
func (p *Playground) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would make the Origin of our own forms null
	h.Set("Cache-Control", "no-store")
	if !p.named(r.Host) {
		p.refuse(w, http.StatusMisdirectedRequest, "This is not the address of the playground", "Open it under the address of the issuer.")
		return
	}
	path := strings.TrimPrefix(r.URL.Path, p.base)
	if name, ok := strings.CutPrefix(path, staticPath); ok {
		p.pages.static(w, r, name)
		return
	}
	routes := map[string]struct {
		method string
		answer func(http.ResponseWriter, *http.Request, *visit)
	}{
		root:                  {http.MethodGet, p.home},
		callbackPath:          {http.MethodGet, p.callback},
		mailPath:              {http.MethodGet, p.mail},
		root + "/start":       {http.MethodPost, p.start},
		root + "/refresh":     {http.MethodPost, p.refresh},
		root + "/userinfo":    {http.MethodPost, p.userinfo},
		root + "/introspect":  {http.MethodPost, p.introspect},
		root + "/revoke":      {http.MethodPost, p.revoke},
		root + "/sign-out":    {http.MethodPost, p.signOut},
		root + "/start-again": {http.MethodPost, p.startAgain},
	}
	route, ok := routes[strings.TrimSuffix(path, "/")]
	switch {
	case !ok:
		p.refuse(w, http.StatusNotFound, "There is no such page", "The playground lives at "+p.base+root+".")
	case route.method == http.MethodPost && r.Method == http.MethodPost:
		p.post(w, r, route.answer)
	case route.method == http.MethodGet && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		v := p.visits.of(w, r, p)
		v.mu.Lock()
		defer v.mu.Unlock()
		route.answer(w, r, v)
	default:
		h.Set("Allow", route.method)
		p.refuse(w, http.StatusMethodNotAllowed, "That does not work this way", "This address answers "+route.method+" only.")
	}
}

// post answers a form of a page that this visit was shown, and no other.
func (p *Playground) post(w http.ResponseWriter, r *http.Request, answer func(http.ResponseWriter, *http.Request, *visit)) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	v := p.visits.known(r)
	if err := r.ParseForm(); err != nil || v == nil || !v.owns(r.PostForm.Get("csrf")) {
		p.refuse(w, http.StatusForbidden, "This form is out of date", "Open the playground again and repeat what you did.")
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	answer(w, r, v)
}

// relyingParty runs discovery at the first call that succeeds.
func (p *Playground) relyingParty(ctx context.Context) (*rp.Party, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.party != nil {
		return p.party, nil
	}
	id, secret := p.o.Client()
	ctx, log := record(ctx)
	party, err := rp.New(ctx, rp.Options{
		Issuer: p.o.Issuer, ClientID: id, ClientSecret: secret, RedirectURI: RedirectURI(p.o.Issuer), Scopes: []string{"openid"}, HTTP: p.http, Now: p.o.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("set up relying party: %w", err)
	}
	p.party, p.clientID, p.discovery = party, id, log.messages()
	return party, nil
}

// offered are the scopes that both the playground and the provider know.
func offered(party *rp.Party) []string {
	supported := party.Metadata().Scopes
	return slices.DeleteFunc(Scopes(), func(s string) bool { return len(supported) > 0 && !slices.Contains(supported, s) })
}
