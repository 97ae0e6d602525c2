package conformance

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// browser is a browser without scripts: pages, forms, cookies, and the headers that browsers add by themselves.
type browser struct {
	s      *suite
	jar    *jar
	page   *page
	person *person // who signs in

	// Old browsers send neither Sec-Fetch headers nor Origin with a form to the own site (trap 6).
	Old bool
	// Deny answers consent with no.
	Deny bool
	// Steps are the pages of the server that were filled in: login, consent, form_post.
	Steps []string
	// History are all pages that were shown.
	History []*page
}

// page is what a navigation ended with.
type page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
	// Hops are the Location headers on the way here.
	Hops []string
	TLS  *tls.ConnectionState
	doc  *html.Node
}

func (s *suite) browser() *browser {
	return &browser{s: s, jar: &jar{now: s.Clock.Now}, person: s.person}
}

// journey is one navigation.
type journey struct {
	method, target string
	form           url.Values
	from           *page // the page with the link or form
	frame          bool  // in an iframe of from
}

// visit types a URL into the address bar.
func (b *browser) visit(target string) *page {
	b.s.Helper()
	return b.show(b.travel(journey{method: "GET", target: target}))
}

// follow clicks a link on a page.
func (b *browser) follow(from *page, target string) *page {
	b.s.Helper()
	return b.show(b.travel(journey{method: "GET", target: target, from: from}))
}

// send submits a form of a page to a target of the test's choice.
func (b *browser) send(from *page, target string, form url.Values) *page {
	b.s.Helper()
	return b.show(b.travel(journey{method: "POST", target: target, form: form, from: from}))
}

// frame loads a URL into an iframe of a page.
func (b *browser) frame(from *page, target string) *page {
	b.s.Helper()
	return b.travel(journey{method: "GET", target: target, from: from, frame: true})
}

func (b *browser) show(p *page) *page {
	b.page = p
	b.History = append(b.History, p)
	return p
}

// travel sends the request and follows redirects, as the address bar would.
func (b *browser) travel(j journey) *page {
	b.s.Helper()
	target, err := url.Parse(j.target)
	if err != nil {
		b.s.Fatal(err)
	}
	sameSite, sameOrigin, hops := true, true, []string(nil)
	for range 20 {
		if j.from != nil {
			sameSite, sameOrigin = sameSite && site(j.from.URL) == site(target), sameOrigin && origin(j.from.URL) == origin(target)
		}
		t := trip{sameSite: sameSite, topLevel: !j.frame}
		if j.frame && j.from != nil {
			t.sameSite = site(j.from.URL) == site(target)
		}
		p := b.request(j, target, t, sameOrigin)
		b.jar.take(target, p.Header, t)
		location := p.Header.Get("Location")
		if p.Status < 300 || p.Status > 399 || location == "" {
			p.Hops = hops
			return p
		}
		hops = append(hops, location)
		next, err := target.Parse(location)
		if err != nil {
			b.s.Fatalf("broken Location %q: %v", location, err)
		}
		if next.Fragment == "" {
			next.Fragment, next.RawFragment = target.Fragment, target.RawFragment
		}
		if p.Status != http.StatusTemporaryRedirect && p.Status != http.StatusPermanentRedirect {
			j.method, j.form = "GET", nil
		}
		target = next
	}
	b.s.Fatal("more than 20 redirects")
	return nil
}

func (b *browser) request(j journey, target *url.URL, t trip, sameOrigin bool) *page {
	b.s.Helper()
	var body io.Reader
	if j.method == "POST" {
		body = strings.NewReader(j.form.Encode())
	}
	withoutFragment := *target
	withoutFragment.Fragment, withoutFragment.RawFragment = "", ""
	r, err := http.NewRequest(j.method, withoutFragment.String(), body)
	if err != nil {
		b.s.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	if cookies := b.jar.send(target, j.method, t); cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	if j.method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	b.fetchHeaders(r, j, t, sameOrigin)
	response, err := wire().RoundTrip(r)
	if err != nil {
		b.s.Fatalf("%s %s: %v", j.method, target, err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		b.s.Fatal(err)
	}
	at := *target
	return &page{URL: &at, Status: response.StatusCode, Header: response.Header, Body: string(raw), TLS: response.TLS}
}

// fetchHeaders adds Origin (Fetch section 3.2, where the referrer policy has a say) and the Sec-Fetch headers.
func (b *browser) fetchHeaders(r *http.Request, j journey, t trip, sameOrigin bool) {
	if j.method == "POST" && j.from != nil && !(b.Old && sameOrigin) {
		value := origin(j.from.URL)
		if policy := j.from.Header.Get("Referrer-Policy"); policy == "no-referrer" || policy == "same-origin" && !sameOrigin {
			value = "null"
		}
		r.Header.Set("Origin", value)
	}
	if b.Old {
		return
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", map[bool]string{true: "iframe", false: "document"}[j.frame])
	switch {
	case j.from == nil:
		r.Header.Set("Sec-Fetch-Site", "none")
	case sameOrigin:
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	case t.sameSite:
		r.Header.Set("Sec-Fetch-Site", "same-site")
	default:
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	if !j.frame {
		r.Header.Set("Sec-Fetch-User", "?1")
	}
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// site is scheme and registrable domain; the hosts of these tests have no labels to take off.
func site(u *url.URL) string { return u.Scheme + "://" + u.Hostname() }

// ours tells whether a page is the server's.
func (s *suite) ours(p *page) bool { return origin(p.URL) == s.URL }

// walk fills in the pages of the server until one comes that it does not know, or until it is somewhere else.
func (b *browser) walk(p *page) *page {
	b.s.Helper()
	for range 12 {
		if !b.s.ours(p) || p.Status >= 400 {
			return p
		}
		switch {
		case p.form("login") != nil:
			b.Steps = append(b.Steps, "login")
			b.s.Clock.Advance(tick)
			p = b.submit(p, "login", "sign-in", values{"username": b.person.Email, "password": password})
		case p.form("accounts") != nil:
			b.Steps = append(b.Steps, "accounts")
			p = b.submit(p, "accounts", "another", nil)
		case p.form("consent") != nil:
			b.Steps = append(b.Steps, "consent")
			p = b.submit(p, "consent", map[bool]string{false: "allow", true: "deny"}[b.Deny], nil)
		case p.form("form-post") != nil:
			b.Steps = append(b.Steps, "form_post")
			p = b.submit(p, "form-post", "continue", nil)
		default:
			return p
		}
	}
	b.s.Fatalf("the walk does not end: %v", b.Steps)
	return nil
}

// submit clicks a button of a form: fields keep their values unless fill says otherwise.
func (b *browser) submit(p *page, id, button string, fill values) *page {
	b.s.Helper()
	form := p.form(id)
	if form == nil {
		b.s.Fatalf("no form %s on %s: %s", id, p.URL, p.Body)
	}
	fields, clicked := url.Values{}, false
	for n := range form.Descendants() {
		name := attr(n, "name")
		switch {
		case n.Data == "input" && name != "":
			fields.Set(name, attr(n, "value"))
		case n.Data == "button" && attr(n, "id") == button:
			clicked = true
			if name != "" {
				fields.Set(name, attr(n, "value"))
			}
		}
	}
	if !clicked {
		b.s.Fatalf("form %s has no button %s", id, button)
	}
	for name, value := range fill {
		if !fields.Has(name) {
			b.s.Fatalf("form %s has no field %s", id, name)
		}
		fields.Set(name, value)
	}
	if attr(form, "method") != "post" {
		b.s.Fatalf("form %s does not POST", id)
	}
	target, err := p.URL.Parse(attr(form, "action"))
	if err != nil {
		b.s.Fatal(err)
	}
	b.checkFormAction(p, target)
	return b.send(p, target.String(), fields)
}

// checkFormAction stops a form that the page's own policy forbids.
func (b *browser) checkFormAction(p *page, target *url.URL) {
	b.s.Helper()
	for directive := range strings.SplitSeq(p.Header.Get("Content-Security-Policy"), ";") {
		if sources, ok := strings.CutPrefix(strings.TrimSpace(directive), "form-action "); ok && !(sources == "'self'" && origin(p.URL) == origin(target)) {
			b.s.Fatalf("the policy of %s forbids a form to %s", p.URL, target)
		}
	}
}

// document parses the page.
func (p *page) document() *html.Node {
	if p.doc == nil {
		p.doc, _ = html.ParseWithOptions(strings.NewReader(p.Body), html.ParseOptionEnableScripting(false)) // a parser that takes any text
	}
	return p.doc
}

// element returns the first element for which is holds, or nil.
func (p *page) element(is func(*html.Node) bool) *html.Node {
	for n := range p.document().Descendants() {
		if n.Type == html.ElementNode && is(n) {
			return n
		}
	}
	return nil
}

func (p *page) id(id string) *html.Node {
	return p.element(func(n *html.Node) bool { return attr(n, "id") == id })
}

func (p *page) form(id string) *html.Node {
	return p.element(func(n *html.Node) bool { return n.Data == "form" && attr(n, "id") == id })
}

// all returns the elements of a kind.
func (p *page) all(tag string) (found []*html.Node) {
	for n := range p.document().Descendants() {
		if n.Type == html.ElementNode && n.Data == tag {
			found = append(found, n)
		}
	}
	return found
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(b.String())
}
