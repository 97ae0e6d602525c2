// Package webtest is a browser for tests of pages: it keeps cookies, finds forms by id and submits them to an http.Handler as a person would. It follows
// no redirects by itself, so that a test sees every hop. Beside it are a real browser, and the clock and the log of a server under test.
package webtest

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Browser is one browser. Change Peer and Header freely; use it from one goroutine.
type Browser struct {
	Handler http.Handler
	// Origin is scheme://host of the server, without path.
	Origin string
	// Peer is the remote address, host:port.
	Peer string
	// Header is sent with every request, over what the browser sends by itself.
	Header http.Header
	// Cookies are the cookies it keeps, by name.
	Cookies map[string]string
}

// New returns a browser without cookies.
func New(h http.Handler, origin string) *Browser {
	return &Browser{Handler: h, Origin: origin, Peer: "192.0.2.7:40000", Header: http.Header{}, Cookies: map[string]string{}}
}

// Clone returns a second browser with the same cookies.
func (b *Browser) Clone() *Browser {
	c := *b
	c.Header, c.Cookies = b.Header.Clone(), maps.Clone(b.Cookies)
	return &c
}

// Page is an answer.
type Page struct {
	Status int
	Header http.Header
	Body   string
	// Sent are the cookies of this answer.
	Sent []*http.Cookie
	doc  *html.Node
}

// Get asks for a path, or for an absolute URL on Origin.
func (b *Browser) Get(path string) *Page { return b.do(http.MethodGet, path, nil) }

// Post sends a form.
func (b *Browser) Post(path string, form url.Values) *Page { return b.do(http.MethodPost, path, form) }

// Submit fills the form with the id of a page and sends it to where the form says. Hidden fields keep their values.
func (b *Browser) Submit(p *Page, id string, fields url.Values) *Page {
	form := p.Form(id)
	if form == nil {
		return &Page{Body: "webtest: the page has no form " + id + ":\n" + p.Body}
	}
	return b.SubmitForm(form, fields)
}

// SubmitForm is Submit for a form without id.
func (b *Browser) SubmitForm(form *Form, fields url.Values) *Page {
	values := maps.Clone(form.Fields)
	maps.Copy(values, fields)
	return b.Post(form.Action, values)
}

func (b *Browser) do(method, path string, form url.Values) *Page {
	target := path
	if strings.HasPrefix(path, "/") {
		target = b.Origin + path
	}
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.RemoteAddr = b.Peer
	r.Header.Set("User-Agent", "webtest")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.Origin)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Cookies)) {
		r.AddCookie(&http.Cookie{Name: name, Value: b.Cookies[name]})
	}
	for name, values := range b.Header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	b.Handler.ServeHTTP(w, r)
	p := &Page{Status: w.Code, Header: w.Header(), Body: w.Body.String(), Sent: w.Result().Cookies()}
	for _, c := range p.Sent {
		if c.MaxAge < 0 || c.Value == "" {
			delete(b.Cookies, c.Name)
			continue
		}
		b.Cookies[c.Name] = c.Value
	}
	return p
}

// Location is where a redirect leads; empty if the answer is none.
func (p *Page) Location() string { return p.Header.Get("Location") }

// Form is a form of a page.
type Form struct {
	Action string
	// Fields are the inputs with their values; submit buttons are left out.
	Fields url.Values
}

// Form finds a form by id, nil if there is none.
func (p *Page) Form(id string) *Form {
	for _, n := range p.forms() {
		if attribute(n, "id") == id {
			return form(n)
		}
	}
	return nil
}

// Forms finds all forms that post to a path.
func (p *Page) Forms(action string) []*Form {
	var found []*Form
	for _, n := range p.forms() {
		if attribute(n, "action") == action {
			found = append(found, form(n))
		}
	}
	return found
}

// Text is the visible text of the element with the id, with single spaces; empty if there is none.
func (p *Page) Text(id string) string {
	for n := range p.root().Descendants() {
		if n.Type == html.ElementNode && attribute(n, "id") == id {
			return text(n)
		}
	}
	return ""
}

// Attribute is an attribute of the element with the id; empty if there is none.
func (p *Page) Attribute(id, name string) string {
	for n := range p.root().Descendants() {
		if n.Type == html.ElementNode && attribute(n, "id") == id {
			return attribute(n, name)
		}
	}
	return ""
}

func (p *Page) forms() []*html.Node {
	var list []*html.Node
	for n := range p.root().Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" {
			list = append(list, n)
		}
	}
	return list
}

func (p *Page) root() *html.Node {
	if p.doc == nil {
		doc, err := html.ParseWithOptions(strings.NewReader(p.Body), html.ParseOptionEnableScripting(false))
		if err != nil { // a strings.Reader does not fail, and the parser accepts anything
			doc = &html.Node{Type: html.DocumentNode}
		}
		p.doc = doc
	}
	return p.doc
}

func form(n *html.Node) *Form {
	f := &Form{Action: attribute(n, "action"), Fields: url.Values{}}
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && c.Data == "input" && attribute(c, "name") != "" {
			f.Fields.Add(attribute(c, "name"), attribute(c, "value"))
		}
	}
	return f
}

func attribute(n *html.Node, name string) string {
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
			b.WriteString(c.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
