package provider_test

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/provider"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// Answers of the authorization endpoint, demanded in full. The rows_* files use them for every attack.

// opened asks for an authorization request in a browser of nobody.
func (s *server) opened(values url.Values) page {
	s.Helper()
	return s.browser("ada@example.com").get(s.authorizeURL(values))
}

// raw builds an authorization request from the usual parameters and a query that is appended as it is.
func (s *server) raw(values url.Values, query string) string {
	return s.authorizeURL(values) + "&" + query
}

// wantPage demands an HTML answer that sends the browser nowhere and carries nothing of the protocol.
func (s *server) wantPage(p page, status int, contains ...string) {
	s.Helper()
	if p.StatusCode != status {
		s.Errorf("status %d, want %d: %s", p.StatusCode, status, cut(p.Body))
	}
	if got := p.Header.Get("Location"); got != "" {
		s.Errorf("the page has a Location: %s", got)
	}
	if got := p.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		s.Errorf("Content-Type %q", got)
	}
	if p.Header.Get("Refresh") != "" || strings.Contains(strings.ToLower(p.Body), "http-equiv") {
		s.Error("the page sends the browser on by itself")
	}
	if strings.Contains(p.Body, "gth_ac_") {
		s.Error("the page holds a code")
	}
	read := visible(s.T, p.Body)
	for _, words := range contains {
		if !strings.Contains(read, words) {
			s.Errorf("the page does not say %q: %s", words, read)
		}
	}
	s.wantPageHeaders(p)
}

// wantPageHeaders demands what every HTML answer carries (rows 18 and 28).
func (s *server) wantPageHeaders(p page) {
	s.Helper()
	for name, want := range map[string]string{"X-Frame-Options": "DENY", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := p.Header.Get(name); got != want {
			s.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := p.Header.Get("Referrer-Policy"); got != "no-referrer" && got != "same-origin" {
		s.Errorf("Referrer-Policy is %q: an address could leave this origin", got)
	}
	policy := p.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			s.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		s.Errorf("the policy %q is unsafe", policy)
	}
}

// wantHead demands of every answer of this server what rows 16, 18 and 28 do, whichever test asked for it.
func (s *server) wantHead(r *http.Response) {
	s.Helper()
	if _, port, _ := net.SplitHostPort(s.http.Listener.Addr().String()); r.Request.URL.Port() != port {
		return // somebody else's
	}
	for _, fault := range webtest.HeadFaults(r) {
		s.Error(fault)
	}
}

// sentTo demands a 303 to the redirect URI and returns the parameters that were added to it.
func (s *server) sentTo(p page, redirectURI string) url.Values {
	s.Helper()
	if p.StatusCode != http.StatusSeeOther {
		s.Fatalf("status %d, want 303: %s", p.StatusCode, cut(p.Body))
	}
	if p.Body != "" {
		s.Errorf("the redirect has a body: %s", cut(p.Body))
	}
	location := p.Header.Get("Location")
	separator := "?"
	if strings.Contains(redirectURI, "?") {
		separator = "&"
	}
	query, ok := strings.CutPrefix(location, redirectURI+separator)
	if !ok {
		s.Fatalf("sent to %q, want %q", location, redirectURI)
	}
	if strings.Contains(location, "#") {
		s.Errorf("the answer %q has a fragment", location)
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		s.Fatalf("the answer %q does not parse: %v", location, err)
	}
	if got := p.Header.Get("Referrer-Policy"); got != "no-referrer" && got != "same-origin" {
		s.Errorf("Referrer-Policy of the redirect is %q", got)
	}
	if got := p.Header.Get("Cache-Control"); got != "no-store" {
		s.Errorf("Cache-Control of the redirect is %q", got)
	}
	return params
}

// members are the names of the parameters of an authorization response, without the session_state that belongs there if Session Management is on (line A8).
func (s *server) members(params url.Values) []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range params {
			if !(s.Managed && name == "session_state") && !yield(name) {
				return
			}
		}
	})
}

// wantRedirect demands an authorization error response to the callback of client "app", with the usual state.
func (s *server) wantRedirect(p page, code string) url.Values {
	s.Helper()
	params := s.sentTo(p, callback)
	s.wantErrorParams(params, code, "af0ifjsldkj")
	return params
}

// wantErrorParams demands the members of an error response: the code, a clean description, state as sent, iss, and nothing else (lines A7, A8, A9).
func (s *server) wantErrorParams(params url.Values, code, state string) {
	s.Helper()
	if params.Get("error") != code {
		s.Errorf("error %q (%s), want %q", params.Get("error"), params.Get("error_description"), code)
	}
	want := []string{"error", "error_description", "iss"}
	if state != "" {
		want = append(want, "state")
	}
	if got := s.members(params); !slices.Equal(got, want) {
		s.Errorf("members %v, want %v", got, want)
	}
	for name, values := range params {
		if len(values) != 1 {
			s.Errorf("%s comes %d times", name, len(values))
		}
	}
	if params.Get("iss") != s.URL {
		s.Errorf("iss %q, want %q", params.Get("iss"), s.URL)
	}
	if params.Get("state") != state {
		s.Errorf("state %q, want %q", params.Get("state"), state)
	}
	description := params.Get("error_description")
	if description == "" || strings.ContainsFunc(description, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		s.Errorf("error_description %q", description)
	}
}

// wantCode demands a successful authorization response and returns the code.
func (s *server) wantCode(params url.Values, state string) string {
	s.Helper()
	want := []string{"code", "iss"}
	if state != "" {
		want = append(want, "state")
	}
	if got := s.members(params); !slices.Equal(got, want) {
		s.Errorf("members %v, want %v (%s)", got, want, params.Get("error_description"))
	}
	if params.Get("iss") != s.URL || params.Get("state") != state {
		s.Errorf("iss %q, state %q, want %q and %q", params.Get("iss"), params.Get("state"), s.URL, state)
	}
	return params.Get("code")
}

// posted reads the form of a form_post answer.
func (s *server) posted(p page) (action string, params url.Values) {
	s.Helper()
	if p.StatusCode != http.StatusOK || p.Header.Get("Location") != "" {
		s.Fatalf("no form_post page: %d %s %s", p.StatusCode, p.Header.Get("Location"), cut(p.Body))
	}
	s.wantPageHeaders(p)
	return readForm(s.T, p.Body, "form-post")
}

// noSecrets demands that nothing of the list is in the log.
func (s *server) noSecrets(secrets ...string) {
	s.Helper()
	text := s.Log.String()
	for _, secret := range append(secrets, password, verifier, clientSecret) {
		if secret != "" && strings.Contains(text, secret) {
			s.Errorf("the log holds the secret %q", secret)
		}
	}
}

// quickKeys spares tests that boot many servers the making of RSA keys.
func quickKeys(o *provider.Options) { o.Keys.Algorithms, o.Keys.IDToken = []string{"ES256"}, "ES256" }

// eventually waits for what another process, or this one's next poll, must notice: the promise is a second, the rest is for slow machines.
func (s *server) eventually(what string, done func() bool) {
	s.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("%s: not within 5 s", what)
		}
	}
}

// on lets the helpers report to a subtest.
func (s *server) on(t *testing.T) *server {
	c := *s
	c.T = t
	return &c
}

// publicClient registers a client with auth method none.
func (s *server) publicClient(id string, redirectURIs ...string) {
	s.Helper()
	s.client(func(c *storage.Client) { c.ID, c.AuthMethod, c.RedirectURIs = id, "none", redirectURIs })
}

// visible returns what a person can read of a page or a fragment.
func visible(t *testing.T, body string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return text(root)
}

// text returns the text of an element.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "script" && d.Parent.Data != "style" {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// cut keeps a failure readable.
func cut(body string) string {
	if _, main, ok := strings.Cut(body, "<main"); ok {
		body = main
	}
	if len(body) > 600 {
		return body[:600] + "..."
	}
	return body
}

// attributes returns an attribute of all elements that have it, in order.
func attributes(t *testing.T, body, element, name string) []string {
	t.Helper()
	root, err := html.ParseWithOptions(strings.NewReader(body), html.ParseOptionEnableScripting(false)) // as a browser without scripts: noscript is part of the page
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == element && attr(n, name) != "" {
			values = append(values, attr(n, name))
		}
	}
	return values
}
