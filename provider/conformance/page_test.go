package conformance

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gatehouse/storage"
)

// Lines A11, A25 and A26 and trap 6: pages for the plainest browsers.

func TestA11FormPostPageSubmitsItselfAndHasAButton(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		b.authorize(c, nil).code()
		p := b.follow(c.home(), c.url(values{"response_mode": "form_post", "state": "<\"&'>"}))
		form := p.form("form-post")
		if p.Status != http.StatusOK || !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") || form == nil {
			s.Fatalf("%d %s", p.Status, p.Body)
		}
		if attr(form, "action") != c.Callback || attr(form, "method") != "post" {
			s.Errorf("the form goes by %s to %s", attr(form, "method"), attr(form, "action"))
		}
		if button := p.id("continue"); button == nil || button.Data != "button" || attr(button, "type") != "submit" || text(button) == "" || attr(button, "hidden") != "" {
			s.Error("no visible button")
		}
		scripts := p.all("script")
		nonce := regexp.MustCompile(`'nonce-([^']+)'`).FindStringSubmatch(p.Header.Get("Content-Security-Policy"))
		if len(scripts) != 1 || nonce == nil || attr(scripts[0], "nonce") != nonce[1] || attr(scripts[0], "type") != "" || strings.ContainsAny(text(scripts[0]), "`") ||
			!strings.Contains(text(scripts[0]), "submit") || strings.Contains(text(scripts[0]), "=>") {
			s.Errorf("the script is not plain or not allowed by the policy %q: %s", p.Header.Get("Content-Security-Policy"), p.Body)
		}
		if strings.Contains(p.Header.Get("Content-Security-Policy"), "form-action") {
			s.Error("form-action would stop the form in some browsers")
		}
		if p.Header.Get("Cache-Control") != "no-store" {
			s.Errorf("a page with a code has Cache-Control %q", p.Header.Get("Cache-Control"))
		}
		r := b.arrive(c, b.submit(p, "form-post", "continue", nil))
		if r.Mode != "form_post" || r.Params.Get("state") != "<\"&'>" || len(r.Params) != 4 || r.Params.Get("code") == "" || r.Params.Get("iss") != s.URL || r.Params.Get("session_state") == "" {
			s.Errorf("%s %v, want code, state, session_state and iss", r.Mode, r.Params)
		}
		c.redeem(r.code(), nil).wantTokens()
	})
}

var onePixel = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\nIDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-\xb4\x00\x00\x00\x00IEND\xaeB`\x82"

func TestA25LoginPageShowsTheClient(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(`{"client_name":"Ada's <Engine>","logo_uri":"{rp}/logo.png","policy_uri":"{rp}/policy","tos_uri":"{rp}/tos","client_uri":"{rp}/"}`), s.browser()
		if err := s.Store.PutLogo(s.Context(), &storage.Logo{ClientID: c.ID, ContentType: "image/png", Data: []byte(onePixel), Fetched: s.Clock.Now()}); err != nil {
			s.Fatal(err)
		}
		s.showsClient(b, c, b.follow(c.home(), c.url(nil)), "Ada's <Engine>")
	})
}

// showsClient demands name, logo and links of a client on the login page.
func (s *suite) showsClient(b *browser, c *client, p *page, name string) {
	s.Helper()
	if p.form("login") == nil || p.id("client-name") == nil || text(p.id("client-name")) != name {
		s.Fatalf("no login page that names the client: %s", p.Body)
	}
	for _, path := range []string{"policy", "tos"} {
		if !slices.ContainsFunc(p.all("a"), isLink(s.rp.URL+c.path(path))) {
			s.Errorf("no link to %s", path)
		}
	}
	for _, image := range p.all("img") {
		target, err := p.URL.Parse(attr(image, "src"))
		if err != nil || !strings.Contains(target.Path, c.ID) {
			continue
		}
		logo := b.travel(journey{method: "GET", target: target.String(), from: p})
		if logo.Status != http.StatusOK || logo.Header.Get("Content-Type") != "image/png" || logo.Body != onePixel {
			s.Errorf("the logo is %d %s", logo.Status, logo.Header.Get("Content-Type"))
		}
		return
	}
	s.Errorf("no logo on the page: %s", p.Body)
}

func TestA26PagesWorkInTheOldestBrowsers(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(`{"post_logout_redirect_uris":["{rp}/bye"]}`), s.browser()
		b.Old = true
		c.redeem(b.authorize(c, nil).code(), nil).wantTokens()
		if !slices.Equal(b.Steps, []string{"login", "consent"}) {
			s.Errorf("steps %v", b.Steps)
		}
		b.authorize(c, values{"response_mode": "form_post"}).code()
		b.authorize(c, values{"redirect_uri": "https://evil.example/"})
		b.leave(c, nil) // the question, and the page after it
		if !slices.Contains(b.Steps, "confirm") {
			s.Errorf("steps %v", b.Steps)
		}
		b.wantSignedOut(c)
		for _, p := range b.History {
			if s.ours(p) {
				s.plainPage(p)
			}
		}
	})
}

// plainPage demands HTML that needs no script: no modules, no libraries, forms with ids.
func (s *suite) plainPage(p *page) {
	s.Helper()
	if !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html; charset=utf-8") {
		s.Errorf("%s is %s", p.URL, p.Header.Get("Content-Type"))
	}
	for _, script := range p.all("script") {
		if attr(script, "type") == "module" || attr(script, "src") != "" && p.form("form-post") != nil {
			s.Errorf("%s needs a module: %s", p.URL, text(script))
		}
	}
	for _, form := range p.all("form") {
		if attr(form, "id") == "" || attr(form, "method") != "post" || attr(form, "action") == "" {
			s.Errorf("%s: a form without id, method or action", p.URL)
		}
		if strings.Contains(attr(form, "onsubmit"), "(") {
			s.Errorf("%s: a form that needs a script", p.URL)
		}
	}
}

func TestA26IdsAreStable(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		p := b.follow(c.home(), c.url(nil))
		for _, id := range []string{"login", "username", "password", "sign-in", "client-name"} {
			if p.id(id) == nil {
				s.Errorf("login page without %s", id)
			}
		}
		p = b.submit(p, "login", "sign-in", values{"username": s.person.Email, "password": "wrong"})
		if p.id("login-error") == nil || text(p.id("login-error")) == "" || p.form("login") == nil {
			s.Errorf("a wrong password is not answered in words: %s", p.Body)
		}
		p = b.submit(p, "login", "sign-in", values{"username": s.person.Email, "password": password})
		for _, id := range []string{"consent", "allow", "deny", "client-name", "account"} {
			if p.id(id) == nil {
				s.Errorf("consent page without %s", id)
			}
		}
	})
}

func TestA26ErrorPagesSayWhyInPlainWords(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client()
		for reason, v := range map[string]values{"redirect_uri": {"redirect_uri": "https://evil.example/"}, "client_id": {"client_id": "nobody"}} {
			r := s.browser().authorize(c, v)
			r.wantPage(http.StatusBadRequest)
			if !strings.Contains(r.Page.Body, reason) || len(r.Page.all("h1")) != 1 {
				s.Errorf("the page does not say %s: %s", reason, r.Page.Body)
			}
			s.plainPage(r.Page)
		}
	})
}

func isLink(target string) func(*html.Node) bool {
	return func(n *html.Node) bool { return attr(n, "href") == target }
}
