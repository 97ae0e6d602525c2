package web

import (
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"gatehouse/templates"
)

// kind is what a route is allowed to do, and how its errors look.
type kind uint8

const (
	kindUnknown  kind = iota // no route
	kindPage                 // browser, acts on cookies
	kindSelfPage             // the same, forms stay on this server
	kindOpenPage             // browser, open to POST from other sites
	kindProtocol             // clients, JSON
	kindPublic               // documents for everyone
	kindEmbedded             // a page that others show in a frame
	kindStatic               // files
	kindForeign              // a handler with its own pages
	kindHealth               // probes
)

// page tells whether people see the answer.
func (k kind) page() bool { return k == kindPage || k == kindSelfPage || k == kindOpenPage }

// protected tells whether unsafe methods need the synchroniser token.
func (k kind) protected() bool { return k == kindPage || k == kindSelfPage }

// route is one line of the table. It is an http.Handler only to be known to the router; the kernel calls it by itself.
type route struct {
	pattern  string
	kind     kind
	maxBody  int64
	json     bool // bodies are JSON, not forms
	handlers map[string]Handler
	allow    string  // the methods, for the Allow header
	any      Handler // takes every method; handlers is empty then
}

var unknown = &route{pattern: "unknown"}

// ServeHTTP is never reached: the kernel looks routes up with Match.
func (rt *route) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, http.StatusText(http.StatusNotFound), http.StatusNotFound)
}

// find returns the route of a request and the variables of its path. A path in any other spelling than the one it was mounted under (encoded, unclean) is
// unknown: two spellings of one path are how checks before and behind a proxy come to differ.
func (m *Mux) find(r *http.Request) (*route, map[string]string) {
	if r.URL.RawPath != "" {
		return unknown, nil
	}
	if found, ok := m.exact[r.URL.Path]; ok {
		return found, nil
	}
	if unclean(r.URL.Path) {
		return unknown, nil
	}
	var match mux.RouteMatch
	if !m.router.Match(r, &match) {
		return unknown, nil
	}
	return match.Handler.(*route), match.Vars
}

func unclean(p string) bool {
	if p == "" || p[0] != '/' || !utf8.ValidString(p) || strings.ContainsFunc(p, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }) {
		return true
	}
	clean := path.Clean(p)
	return clean != p && clean+"/" != p
}

// Var returns a variable of the route's path, decoded; "" if there is none.
func Var(r *http.Request, name string) string {
	value, err := url.PathUnescape(from(r).vars[name])
	if err != nil {
		return ""
	}
	return value
}

// serve answers the request or returns the error to be rendered.
func (m *Mux) serve(x *exchange, r *http.Request) error {
	if err := checkHead(r); err != nil {
		return err
	}
	rt := x.route
	if rt.kind == kindUnknown {
		return NotFound()
	}
	if r.Method == http.MethodOptions && (rt.kind == kindProtocol || rt.kind == kindPublic) {
		return preflight(x, r, rt)
	}
	handler := rt.any
	if handler == nil {
		handler = rt.handlers[r.Method]
	}
	if handler == nil {
		x.Header().Set("Allow", rt.allow)
		return &Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Text: templates.Say("error.method", "Methods", rt.allow)}
	}
	if err := m.admit(x, r, rt); err != nil {
		return err
	}
	if done, err := x.choose(r); done {
		return err
	}
	return handler(x, r)
}

// maxCookies and maxParams bound what a request may carry (security: limits).
const maxCookies, maxParams = 50, 100

// checkHead refuses what no handler should see.
func checkHead(r *http.Request) error {
	cookies := 0
	for _, line := range r.Header["Cookie"] {
		cookies += 1 + strings.Count(line, ";")
	}
	if cookies > maxCookies {
		return &Error{Status: http.StatusRequestHeaderFieldsTooLarge, Code: "too_many_cookies", Text: templates.Say("error.too_many_cookies")}
	}
	if len(r.Header["Authorization"]) > 1 {
		return BadRequest(templates.Say("error.two_authorizations")) // a proxy might have looked at the other
	}
	if strings.Count(r.URL.RawQuery, "&") >= maxParams {
		return errTooManyParams
	}
	return nil
}

// admit applies the rules for bodies and for cross-site requests that the kind of route has.
func (m *Mux) admit(x *exchange, r *http.Request, rt *route) error {
	body := r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
	if body {
		limit := rt.maxBody
		if limit == 0 {
			limit = defaultBody
		}
		if r.ContentLength > limit {
			return tooLarge(limit)
		}
		r.Body = http.MaxBytesReader(x.ResponseWriter, r.Body, limit)
	}
	if rt.json && (r.Method == http.MethodPost || r.Method == http.MethodPut) && !jsonEncoded(r, body) {
		return &Error{Status: http.StatusUnsupportedMediaType, Code: "invalid_request", Text: templates.Say("error.not_json")}
	}
	if r.Method == http.MethodPost && !rt.json && (rt.kind.page() || rt.kind == kindProtocol) && !formEncoded(r, body) {
		return &Error{Status: http.StatusUnsupportedMediaType, Code: "invalid_request", Text: templates.Say("error.not_form")}
	}
	switch {
	case rt.kind == kindForeign:
		return m.checkOrigin(r)
	case !rt.kind.protected():
		return nil
	}
	if r.Method != http.MethodGet {
		if err := m.checkOrigin(r); err != nil {
			return err
		}
	}
	params, repeated, err := Params(r)
	if err != nil {
		return err
	}
	if len(repeated) > 0 {
		return BadRequest(templates.Say("error.twice", "Name", printable(repeated[0])))
	}
	if r.Method != http.MethodGet {
		return m.checkToken(x, r, params.Get(csrfField))
	}
	return nil
}

// formEncoded tells whether the body is what the parser takes. A request without a body needs no type.
func formEncoded(r *http.Request, body bool) bool {
	types := r.Header["Content-Type"]
	if len(types) == 0 {
		return !body
	}
	if len(types) == 1 && types[0] == formType {
		return true
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || len(types) > 1 || media != formType {
		return false
	}
	charset, named := params["charset"]
	return !named || strings.EqualFold(charset, "utf-8")
}

const formType = "application/x-www-form-urlencoded"

// knownMethod keeps the log and the metrics free of made-up methods.
func knownMethod(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return method
	}
	return "other"
}
