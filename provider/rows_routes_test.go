package provider_test

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/provider"
	"gatehouse/provider/playground"
	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/storage"
)

// Rows 16, 18 and 28 for every route there is: what the tests of a row list by hand is short of the page that somebody adds next year. What is demanded is in wantHead, which looks at every
// answer.

// furnished is a server with all that brings routes: mail, second factors, a provider, registration, Session Management and the playground.
func furnished(t *testing.T, changes ...func(*provider.Options)) *mailed {
	t.Helper()
	corp := upstreamtest.NewOIDC(t)
	m := housed(t, append([]func(*provider.Options){everything, func(o *provider.Options) {
		o.Upstreams = []upstream.Config{{ID: "corp", Type: "oidc", Name: "Corp", Issuer: corp.Issuer, ClientID: upstreamtest.ClientID, ClientSecret: upstreamtest.ClientSecret, CreateUsers: true}}
		o.Registration = provider.Registration{Mode: "open", Profile: "strict"}
		o.Playground = playground.New(playground.Options{Issuer: o.Issuer, Client: func() (string, string) { return "play", clientSecret }})
	}}, changes...)...)
	m.client(func(c *storage.Client) { c.LogoURI = "https://rp.example/logo.png" })
	m.client(func(c *storage.Client) {
		c.ID, c.RedirectURIs, c.PostLogoutRedirectURIs = "play", []string{playground.RedirectURI(m.URL)}, []string{playground.PostLogoutRedirectURI(m.URL)}
	})
	return m
}

// filled is a route's path with something for its variables.
func filled(path string) string {
	return strings.NewReplacer("{id}", "corp", "{client_id}", "app", "*", "x").Replace(path)
}

// crooked are requests that a route answers by anything from its page to the shortest error.
var crooked = []struct{ method, query, body, header string }{
	{method: "GET"}, {method: "HEAD"}, {method: "PUT"}, {method: "DELETE"}, {method: "TRACE"}, {method: "MADE-UP"}, {method: "OPTIONS", header: "Origin: https://evil.example"},
	{method: "GET", query: "?interaction=x"}, {method: "GET", query: "?token=x"}, {method: "GET", query: "?lang=de"}, {method: "GET", query: "?a=1&a=2"}, {method: "GET", query: "?a=%00"},
	{method: "GET", query: "?client_id=app"}, {method: "GET", query: "?" + strings.Repeat("a&", 200)}, {method: "GET", header: "Cookie: " + strings.Repeat("a=b; ", 60)}, {method: "GET", header: "Accept: application/json"},
	{method: "POST"}, {method: "POST", body: "csrf=x"}, {method: "POST", body: "csrf=x", header: "Origin: https://evil.example"}, {method: "POST", body: "csrf=" + strings.Repeat("x", 100<<10)},
	{method: "POST", body: "{}", header: "Content-Type: application/json"}, {method: "POST", body: "csrf=x&csrf=y&client_id=app&client_id=app"},
}

func TestRow16Row18Row28EveryRouteHoweverItIsAsked(t *testing.T) {
	seen := map[string]bool{}
	for _, login := range []func(*provider.Options){func(*provider.Options) {}, inSteps} {
		m := furnished(t, login)
		m.user("ada@example.com")
		ada := m.browser("ada@example.com")
		ada.code(url.Values{"scope": {"openid"}})
		pages := 0
		for path, route := range m.Provider.Routes() {
			if seen[path] && !strings.HasPrefix(path, "/login") {
				continue // the same as before
			}
			seen[path] = true
			for _, cookies := range []string{"", ada.cookies()} {
				for _, r := range crooked {
					headers := []string{"Accept: text/html", "Cookie: " + cookies}
					if r.header != "" {
						headers = append(headers, r.header)
					}
					if r.body != "" && !strings.HasPrefix(r.header, "Content-Type") {
						headers = append(headers, "Content-Type: application/x-www-form-urlencoded")
					}
					p := m.bare(r.method, filled(path)+r.query, r.body, headers...)
					html := strings.HasPrefix(p.Header.Get("Content-Type"), "text/html")
					if html {
						pages++
					}
					if r.method != "HEAD" && route.Page && !html && p.StatusCode != http.StatusSeeOther {
						t.Errorf("%s %s%.20s is a route of people and answers %d %s", r.method, path, r.query, p.StatusCode, p.Header.Get("Content-Type"))
					}
				}
			}
		}
		if pages < 100 {
			t.Errorf("only %d pages were looked at", pages)
		}
	}
	for _, path := range []string{"/", "/login", "/login/password", "/account/link", "/upstream/{id}/start", "/playground/*", "/oauth2/check_session", "/oauth2/register/{client_id}", "/static/*", "/healthz"} {
		if !seen[path] {
			t.Errorf("%s is no route", path)
		}
	}
	m := furnished(t)
	for _, path := range []string{"/nowhere", "/login/", "/%6cogin", "/login%00", "//login", "/login/../account", "/account;x", "/Login", "/playground/../login", "/playground/static/", "/playground/static/..%2f", "/static/", "/.well-known/"} {
		for _, accept := range []string{"text/html", "*/*"} {
			if p := m.bare("GET", path, "", "Accept: "+accept); p.StatusCode < 400 {
				t.Errorf("%s: %d", path, p.StatusCode)
			}
		}
	}
}

// forms are what the routes take that act for whoever is signed in, where acts holds what they refuse.
var forms = map[string]url.Values{
	"/account/profile": {"name": {"Ada King"}}, "/account/sessions/end": {"scope": {"others"}}, "/account/email": {"email": {"another@example.com"}},
}

// Row 16: every form that is taken, as its own page sends it. What goes on from there is a 303 (wantHead); the ones that are known to go on are named here, so that none is taken for one that was never sent.
func TestRow16EveryFormThatGoesOn(t *testing.T) {
	m := furnished(t)
	var goesOn []string
	n := 0
	for path, route := range m.Provider.Routes() {
		if !route.Page || !slices.Contains(route.Methods, "POST") {
			continue
		}
		n++
		email := fmt.Sprintf("person%d@example.com", n)
		m.user(email, unverified)
		b := m.browser(email)
		b.code(url.Values{"scope": {"openid"}})
		_, own := readForm(t, b.get(m.URL+"/account").Body, "logout")
		values := maps.Clone(acts[path])
		if good, ok := forms[path]; ok {
			values = maps.Clone(good)
		}
		if values == nil {
			values = url.Values{}
		}
		values["csrf"] = own["csrf"]
		if path == "/oauth2/authorize" {
			values = m.pushable(nil)
		}
		if b.post(m.URL+path, values).StatusCode == http.StatusSeeOther {
			goesOn = append(goesOn, path)
		}
	}
	slices.Sort(goesOn)
	want := []string{"/account/disconnect", "/account/dismiss", "/account/email", "/account/email/cancel", "/account/password", "/account/profile", "/account/recovery-codes", "/account/sessions/end", "/oauth2/authorize", "/terms"}
	if !slices.Equal(goesOn, want) {
		t.Errorf("forms that go on: %q, want %q", goesOn, want)
	}
	m.playsThrough()
	m.signsInAtCorp()
}

// playsThrough presses every button of the playground.
func (m *mailed) playsThrough() {
	m.Helper()
	m.user("dana@example.com")
	b := m.browser("dana@example.com")
	start := b.get(m.URL + "/playground")
	p := b.submit(start, "start", url.Values{"scope": {"openid"}})
	p = b.walk(m.at(p))
	_, fields := readForm(m.T, p.Body, "sign-out-form")
	for _, button := range []string{"userinfo", "introspect", "refresh", "revoke", "sign-out"} {
		m.wants(b.post(m.URL+"/playground/"+button, fields), http.StatusSeeOther)
	}
	_, fields = readForm(m.T, b.get(m.URL+"/playground").Body, "start")
	m.wants(b.post(m.URL+"/playground/start-again", fields), http.StatusSeeOther)
	for _, path := range []string{"/playground/mail", "/playground/mail?id=x", "/playground/callback", "/playground/callback?state=x&code=y", "/playground/static/x", "/playground/nowhere"} {
		m.bare("GET", path, "", "Cookie: "+b.cookies())
	}
	if p := b.post(m.URL+"/playground/start", url.Values{"csrf": {"x"}}); p.StatusCode != http.StatusForbidden {
		m.Errorf("a form of another visit: %d", p.StatusCode)
	}
}

// signsInAtCorp goes to the provider and back.
func (m *mailed) signsInAtCorp() {
	m.Helper()
	b := m.browser("")
	page := m.server.signIn(b)
	_, fields := readForm(m.T, page.Body, "login")
	p := b.post(m.URL+"/upstream/corp/start", fields)
	for n := 0; n < 8 && p.Header.Get("Location") != "" && !strings.HasPrefix(p.Header.Get("Location"), callback); n++ {
		next, err := p.Location()
		m.ok(err)
		p = b.get(next.String())
	}
	if !hasForm(p.Body, "consent") {
		m.Errorf("corp's user gets to no consent page: %d %s", p.StatusCode, cut(p.Body))
	}
	for _, query := range []string{"", "?state=x&code=y", "?error=access_denied&state=x"} {
		b.get(m.URL + "/upstream/corp/callback" + query)
		b.get(m.URL + "/upstream/nowhere/callback" + query)
	}
	b.post(m.URL+"/upstream/corp/callback", url.Values{"state": {"x"}, "code": {"y"}})
	b.post(m.URL+"/upstream/nowhere/start", fields)
}

var redirects = regexp.MustCompile(`http\.Redirect|RedirectHandler|StatusMovedPermanently|StatusFound\b|StatusTemporaryRedirect|StatusPermanentRedirect|Set\("(Location|Refresh)"|\["(Location|Refresh)"\] =|WriteHeader\(3`)

// Row 16: there is one way to redirect, beside that of the playground, which is a client. So no route can be missing from the tests above.
func TestRow16ThereIsOneWayToRedirect(t *testing.T) {
	found := map[string]int{}
	for _, root := range []string{".", "../cmd", "../templates"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			dir := filepath.Base(filepath.Dir(path))
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(dir, "test") {
				return err
			}
			source, err := os.ReadFile(path)
			for line := range strings.Lines(string(source)) {
				if redirects.MatchString(line) && !(dir == "playground" && strings.Contains(line, "http.StatusSeeOther)")) {
					found[path]++
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !maps.Equal(found, map[string]int{"web/page.go": 1}) {
		t.Errorf("redirects are written in %v", found)
	}
}
