package federation_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/provider/rp"
	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// What the journeys of browser_*_test.go share: the server at localhost; relying parties and providers at 127.0.0.1, which is another site for the browser's cookies.

var gallery = flag.String("gallery", "", "folder to write pictures of the journeys to")

// picture writes what is on screen to the gallery, if one was asked for.
func picture(b *webtest.Chromium, name string) {
	if *gallery != "" {
		b.Picture(filepath.Join(*gallery, name+".png"), true)
	}
}

// home is a server for journeys.
func home(t *testing.T, upstreams ...upstream.Config) *gatehouse {
	t.Helper()
	g := reserve(t, "memory", "localhost")
	if err := g.boot(upstreams); err != nil {
		t.Fatal(err)
	}
	return g
}

// withAndWithoutScripts walks a journey in both kinds of browser; window opens one of a person without history.
func withAndWithoutScripts(t *testing.T, journey func(t *testing.T, window func() *webtest.Chromium)) {
	chromium := webtest.StartChromium(t)
	for name, scripts := range map[string]bool{"on a desk, with scripts": true, "on a phone, without scripts": false} {
		t.Run(name, func(t *testing.T) {
			journey(t, func() *webtest.Chromium {
				b := chromium.Window(t)
				b.Scripts(scripts)
				b.Look(map[bool]int64{true: 1280, false: 360}[scripts], 800, "light")
				return b
			})
		})
	}
}

// shop is a relying party that a browser visits and that believes nothing unverified.
type shop struct {
	*gatehouse
	url   string
	party *rp.Party

	mu    sync.Mutex
	begun map[string]rp.Attempt
	last  string // the ID token of the last sign-in
}

// shop serves a relying party and registers it.
func (g *gatehouse) shop() *shop {
	g.Helper()
	s := &shop{gatehouse: g, begun: map[string]rp.Attempt{}}
	server := httptest.NewServer(s)
	g.Cleanup(server.Close)
	s.url = server.URL
	g.app(func(c *storage.Client) {
		c.ID, c.Name, c.RedirectURIs, c.PostLogoutRedirectURIs = "shop", "Shop", []string{s.url + "/callback"}, []string{s.url + "/bye"}
	})
	party, err := rp.New(g.Context(), rp.Options{
		Issuer: g.URL, ClientID: "shop", ClientSecret: appSecret, RedirectURI: s.url + "/callback", Scopes: []string{"openid", "profile", "email"}, Now: g.Clock.Now,
	})
	if err != nil {
		g.Fatal(err)
	}
	s.party = party
	return s
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; base-uri 'none'; frame-ancestors 'none'")
	switch r.URL.Path {
	case "/":
		a := s.party.Begin(r.URL.Query())
		s.set(func() { s.begun[a.State] = a })
		show(w, "Shop", `<h1>Shop</h1><a id="sign-in" href="`+html.EscapeString(a.URL)+`">Sign in</a>`)
	case "/callback":
		say, err := s.greet(r)
		if err != nil {
			say = "no: " + err.Error()
		}
		http.Redirect(w, r, s.url+"/done?"+url.Values{"say": {say}}.Encode(), http.StatusSeeOther)
	case "/done":
		show(w, "Shop", `<h1 id="done">`+html.EscapeString(r.URL.Query().Get("say"))+`</h1><a id="sign-out" href="/out">Sign out</a>`)
	case "/out":
		var hint string
		s.set(func() { hint = s.last })
		target, _ := s.party.EndSessionURL(hint, s.url+"/bye", "s1")
		http.Redirect(w, r, target, http.StatusSeeOther)
	case "/bye":
		show(w, "Shop", `<h1 id="bye">bye `+html.EscapeString(r.URL.Query().Get("state"))+`</h1>`)
	default:
		http.NotFound(w, r)
	}
}

func show(w http.ResponseWriter, title, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, `<!doctype html><html lang="en"><title>`+title+`</title><link rel="icon" href="data:,">`+body)
}

// greet says who signed in. The ID token, the access token and userinfo must be the server's and about the same user.
func (s *shop) greet(r *http.Request) (string, error) {
	ctx := context.WithoutCancel(r.Context())
	var a rp.Attempt
	s.set(func() { a = s.begun[r.URL.Query().Get("state")]; delete(s.begun, a.State) })
	tokens, err := s.party.Exchange(ctx, a, r.URL.Query())
	if err != nil {
		return "", err
	}
	access, err := s.party.VerifyAccessToken(ctx, tokens.AccessToken, s.URL)
	if err != nil {
		return "", err
	}
	info, err := s.party.UserInfo(ctx, tokens.AccessToken, tokens.ID.Subject)
	if err != nil {
		return "", err
	}
	if access.Subject != tokens.ID.Subject {
		return "", errors.New("the access token is another user's")
	}
	s.set(func() { s.last = tokens.RawIDToken })
	return fmt.Sprintf("hello %s, %v", tokens.ID.Subject, info["email"]), nil
}

func (s *shop) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// enter opens the shop and sets out to sign in.
func (s *shop) enter(b *webtest.Chromium) {
	s.Helper()
	b.Open(s.url)
	b.Click("sign-in")
}

// arrived waits until the shop has greeted somebody, who must have the address, and returns the subject.
func (s *shop) arrived(b *webtest.Chromium, email string) string {
	s.Helper()
	b.Until(fmt.Sprintf(`location.origin === %q && !!document.querySelector("#done")`, s.url))
	line, _, _ := strings.Cut(b.Text(), "\n")
	subject, ok := strings.CutPrefix(strings.TrimSuffix(line, ", "+email), "hello ")
	if !ok || strings.ContainsAny(subject, " ,") {
		s.Fatalf("the shop says %q, want a greeting of %s", line, email)
	}
	return subject
}

// pick clicks the button of a provider.
func pick(b *webtest.Chromium, id string) { b.ClickOn("#upstream-" + id + " button:enabled") }

// logIn types a name and the password into the sign-in page.
func logIn(b *webtest.Chromium, name string) {
	b.Fill("username", name)
	typePassword(b)
}

func typePassword(b *webtest.Chromium) {
	b.Fill("password", password)
	b.Click("sign-in")
}

// quiet demands that the browser has had nothing to complain about but the status of the pages that say no.
func quiet(t *testing.T, b *webtest.Chromium, statuses ...int) {
	t.Helper()
	for _, text := range b.Complaints() {
		if !slices.ContainsFunc(statuses, func(status int) bool {
			return strings.Contains(text, fmt.Sprintf("the server responded with a status of %d ", status)) && strings.Contains(text, " http://localhost:")
		}) {
			t.Error(text)
		}
	}
}

// asking makes a provider show a page of its own, with the links "allow" and "cancel", where it would sign people in at once.
func asking(o *upstreamtest.OIDC) {
	o.Break(upstreamtest.Faults{Before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/authorize" {
			return false
		}
		q := r.URL.Query()
		no := url.Values{"error": {"access_denied"}, "error_description": {"<b>Not today</b>"}, "state": {q.Get("state")}, "iss": {o.Issuer}}
		link := func(id string, answer url.Values) string {
			return `<a id="` + id + `" href="` + html.EscapeString(q.Get("redirect_uri")+"?"+answer.Encode()) + `">` + id + `</a> `
		}
		show(w, "Corp", `<h1>Corp</h1>`+link("allow", o.SignIn(o.Issuer+r.URL.RequestURI()))+link("cancel", no))
		return true
	}})
}
