package provider_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// A real browser between the server and a relying party. The server is at 127.0.0.1, so a party at localhost is on another site for the browser's cookies,
// and one at 127.0.0.1 on the same.

// visited is a relying party that a browser visits. After the callback it redirects twice, over its other name, as parties do that set cookies elsewhere.
type visited struct {
	host   string // host:port
	other  string // the same server by its other name
	config oauth2.Config
	verify *gooidc.IDTokenVerifier
	mode   string // response_mode
	// types is the response_type; empty means code.
	types string

	mu    sync.Mutex
	begun map[string]begun
}

// begun is a sign-in by its state.
type begun struct{ nonce, verifier string }

// visit serves a relying party under the name host and registers it.
func visit(s *server, host, mode string, changes ...func(*storage.Client)) *visited {
	s.Helper()
	v := &visited{mode: mode, begun: map[string]begun{}}
	app := httptest.NewServer(v)
	s.Cleanup(app.Close)
	_, port, err := net.SplitHostPort(app.Listener.Addr().String())
	if err != nil {
		s.Fatal(err)
	}
	v.host, v.other = net.JoinHostPort(host, port), net.JoinHostPort(map[string]string{"localhost": "127.0.0.1", "127.0.0.1": "localhost"}[host], port)
	id := "rp-" + port
	s.client(append(changes, func(c *storage.Client) {
		c.ID, c.Name, c.RedirectURIs = id, "Shop "+port, []string{"http://" + v.host + "/callback?tenant=7"}
	})...)
	p := newGoParty(s, id, clientSecret, "http://"+v.host+"/callback?tenant=7", nil)
	v.config, v.verify = p.config, p.verifier
	return v
}

func (v *visited) url() string { return "http://" + v.host }

func (v *visited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; base-uri 'none'; frame-ancestors 'none'")
	switch r.URL.Path {
	case "/":
		v.welcome(w, r)
	case "/callback":
		if v.mode == "fragment" && r.Method == http.MethodGet && !r.URL.Query().Has("iss") {
			v.script(w)
			return
		}
		v.callback(w, r)
	case "/first":
		http.Redirect(w, r, "http://"+v.host+"/done?"+r.URL.RawQuery, http.StatusFound)
	case "/done":
		show(w, `<h1 id="done">`+html.EscapeString(r.URL.Query().Get("say"))+`</h1><a id="again" href="/">Again</a>`)
	default:
		http.NotFound(w, r)
	}
}

func show(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, `<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">`+body)
}

// welcome offers both ways to the server: a link, and a form that posts (OpenID Connect Core section 3.1.2.1).
func (v *visited) welcome(w http.ResponseWriter, r *http.Request) {
	state, b := rand.Text()+` +%&"><svg onload=alert(1)></script>`, begun{rand.Text(), oauth2.GenerateVerifier()}
	v.mu.Lock()
	v.begun[state] = b
	v.mu.Unlock()
	target, err := url.Parse(v.config.AuthCodeURL(state, gooidc.Nonce(b.nonce), oauth2.S256ChallengeOption(b.verifier), oauth2.SetAuthURLParam("response_mode", v.mode)))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	query := target.Query()
	if v.types != "" {
		query.Set("response_type", v.types)
	}
	if prompt := r.URL.Query().Get("prompt"); prompt != "" {
		query.Set("prompt", prompt)
	}
	var inputs strings.Builder
	for name := range query {
		fmt.Fprintf(&inputs, `<input type="hidden" name="%s" value="%s">`, name, html.EscapeString(query.Get(name)))
	}
	target.RawQuery = query.Encode()
	endpoint, _, _ := strings.Cut(target.String(), "?")
	show(w, `<h1>Shop</h1><a id="link" href="`+html.EscapeString(target.String())+`">Sign in</a><form method="post" action="`+endpoint+`">`+inputs.String()+`<button id="post">Sign in</button></form>`)
}

// script is the page of an app that reads the fragment, and hands it to its server here so that it can be verified.
func (v *visited) script(w http.ResponseWriter) {
	w.Header().Del("Content-Security-Policy")
	show(w, `<script>location.replace(location.pathname + location.search + "&" + location.hash.slice(1))</script>`)
}

func (v *visited) callback(w http.ResponseWriter, r *http.Request) {
	say, err := v.result(r)
	if err != nil {
		say = err.Error()
	}
	http.Redirect(w, r, "http://"+v.other+"/first?"+url.Values{"say": {say}}.Encode(), http.StatusSeeOther)
}

// result is who signed in, verified, or what was refused.
func (v *visited) result(r *http.Request) (string, error) {
	if (v.mode == "form_post") != (r.Method == http.MethodPost) {
		return "", fmt.Errorf("called by %s", r.Method)
	}
	if issuer := originOf(v.config.Endpoint.AuthURL); strings.HasPrefix(r.Referer(), issuer) {
		return "", fmt.Errorf("row 18: the page that led here is told: %s", r.Referer())
	}
	if r.URL.Query().Get("tenant") != "7" {
		return "", fmt.Errorf("the query of the redirect URI is lost: %s", r.URL)
	}
	v.mu.Lock()
	b, ok := v.begun[r.FormValue("state")]
	v.mu.Unlock()
	if !ok {
		return "", fmt.Errorf("unknown state %q", r.FormValue("state"))
	}
	if code := r.FormValue("error"); code != "" {
		return "refused: " + code, nil
	}
	if v.types != "" {
		if err := v.front(r, b); err != nil {
			return "", err
		}
	}
	token, err := v.config.Exchange(context.WithoutCancel(r.Context()), r.FormValue("code"), oauth2.VerifierOption(b.verifier))
	if err != nil {
		return "", err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := v.verify.Verify(context.WithoutCancel(r.Context()), raw)
	if err != nil {
		return "", err
	}
	if id.Nonce != b.nonce {
		return "", fmt.Errorf("nonce %q", id.Nonce)
	}
	return "hello " + id.Subject, nil
}

// front verifies the ID token and the access token of a hybrid answer.
func (v *visited) front(r *http.Request, b begun) error {
	id, err := v.verify.Verify(context.WithoutCancel(r.Context()), r.FormValue("id_token"))
	if err != nil {
		return err
	}
	if id.Nonce != b.nonce {
		return fmt.Errorf("nonce %q", id.Nonce)
	}
	var bound struct {
		CHash string `json:"c_hash"`
		SHash string `json:"s_hash"`
	}
	if err := id.Claims(&bound); err != nil {
		return err
	}
	if bound.CHash != half("RS256", r.FormValue("code")) || bound.SHash != half("RS256", r.FormValue("state")) {
		return fmt.Errorf("c_hash %q, s_hash %q", bound.CHash, bound.SHash)
	}
	return id.VerifyAccessToken(r.FormValue("access_token"))
}

// arrive waits for the end of the redirects.
func (v *visited) arrive(b *webtest.Chromium, say string) {
	b.Until(fmt.Sprintf(`location.host === %q && document.querySelector("#done")?.textContent === %q`, v.host, say))
}

// logIn fills in the login form.
func logIn(b *webtest.Chromium) {
	b.Fill("username", "ada@example.com")
	b.Fill("password", password)
	b.Click("sign-in")
}

const hello = "hello sub-ada-example-com"

// TestRow184RedirectsAfterTheCodeMeetNoPolicy: a browser applies form-action to every hop after a form, so the pages that lead to a client have none.
func TestRow184RedirectsAfterTheCodeMeetNoPolicy(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	s.user("ada@example.com")
	for _, site := range []struct{ name, host string }{{"another site", "localhost"}, {"same site", "127.0.0.1"}} {
		for _, mode := range []string{"query", "form_post"} {
			for _, way := range []string{"link", "post"} {
				t.Run(site.name+" by "+way+" and "+mode, func(t *testing.T) {
					v := visit(s.on(t), site.host, mode)
					b := chromium.Window(t)
					b.Open(v.url())
					b.Click(way)
					b.Await("#login")
					b.Says("Shop", v.host)
					logIn(b)
					b.Await("#consent")
					b.Click("allow")
					v.arrive(b, hello)
					b.Click("again")
					b.Await("#" + way)
					b.Click(way) // now there is a session and a consent: not a single page
					v.arrive(b, hello)
					b.Open(v.url() + "/?prompt=none")
					b.Click(way)
					v.arrive(b, hello)
					b.Silent()
				})
			}
		}
	}
}

// TestA10A11HybridInABrowser: code, access token and ID token by fragment, and by form_post with and without scripts.
func TestA10A11HybridInABrowser(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := start(t, "memory", everything)
	s.user("ada@example.com")
	for _, host := range []string{"localhost", "127.0.0.1"} {
		for name, tc := range map[string]struct {
			mode    string
			scripts bool
		}{"fragment": {"fragment", true}, "form_post": {"form_post", true}, "form_post without scripts": {"form_post", false}} {
			t.Run(host+" "+name, func(t *testing.T) {
				v := visit(s.on(t), host, tc.mode, frontChannel)
				v.types = "token id_token code"
				b := chromium.Window(t)
				b.Scripts(tc.scripts)
				deliver := func() {
					if !tc.scripts {
						b.Await("#form-post")
						b.Says("If nothing happens, use the button.")
						b.Click("continue")
					}
				}
				b.Open(v.url() + "/?prompt=none")
				b.Click("link")
				deliver()
				v.arrive(b, "refused: login_required")
				b.Open(v.url())
				b.Click("post")
				logIn(b)
				b.Click("allow")
				deliver()
				v.arrive(b, hello)
				b.Open(v.url() + "/?prompt=none")
				b.Click("link")
				deliver()
				v.arrive(b, hello)
				b.Silent()
			})
		}
	}
}

func TestBrowserDenies(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	s.user("ada@example.com")
	for _, mode := range []string{"query", "form_post"} {
		t.Run(mode, func(t *testing.T) {
			v := visit(s.on(t), "localhost", mode)
			b := chromium.Window(t)
			b.Open(v.url() + "/?prompt=none")
			b.Click("link")
			v.arrive(b, "refused: login_required")
			b.Open(v.url())
			b.Click("link")
			logIn(b)
			b.Click("deny")
			v.arrive(b, "refused: access_denied")
			b.Open(v.url() + "/?prompt=none")
			b.Click("link")
			v.arrive(b, "refused: consent_required")
			b.Silent()
		})
	}
}

// TestBrowserWithoutScripts: every page works as plain HTML; form_post then waits for its button.
func TestBrowserWithoutScripts(t *testing.T) {
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	s.user("ada@example.com")
	for _, mode := range []string{"query", "form_post"} {
		t.Run(mode, func(t *testing.T) {
			v := visit(s.on(t), "localhost", mode)
			b := chromium.Window(t)
			b.Scripts(false)
			b.Open(v.url())
			b.Click("post")
			logIn(b)
			b.Click("allow")
			if mode == "form_post" {
				b.Await("#form-post")
				b.Says("localhost", "If nothing happens, use the button.")
				b.Click("continue")
			}
			v.arrive(b, hello)
			b.Silent()
		})
	}
}

// TestBackButtonAfterSignOutShowsNothing: pages of a session are not kept by the browser.
func TestBackButtonAfterSignOutShowsNothing(t *testing.T) {
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	s.user("ada@example.com")
	b := chromium.Window(t)
	b.Open(s.URL + "/account")
	logIn(b)
	b.Await("#logout")
	b.Says("Ada Lovelace", "ada@example.com")
	b.Click("sign-out")
	b.Until(`document.body.innerText.includes("You are signed out")`)
	for range 2 {
		b.Do(chromedp.NavigateBack())
		b.Until(`document.readyState === "complete"`)
		b.SaysNot("Ada Lovelace")
		if b.True(`!!document.querySelector("#logout")`) {
			t.Errorf("%s still shows the account", b.Location())
		}
	}
	b.Open(s.URL + "/account")
	b.Await("#login")
	b.SaysNot("Ada Lovelace")
	b.Silent()
}

// TestKeyboardAloneSignsIn types and tabs, and never touches a mouse; the focus is where it is needed, and can be seen.
func TestKeyboardAloneSignsIn(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	s.user("ada@example.com")
	v := visit(s, "localhost", "query")
	b := chromium.Window(t)
	press := func(keys string) { b.Do(chromedp.KeyEvent(keys)) }
	focused := func(id string) {
		t.Helper()
		b.Until(fmt.Sprintf("document.readyState === 'complete' && document.activeElement?.id === %q", id))
		if !b.True("(s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(document.activeElement))") {
			t.Errorf("the focus on %s cannot be seen", id)
		}
	}
	b.Open(v.url())
	press(kb.Tab + kb.Enter) // the link
	focused("username")
	press("ada@example.com" + kb.Tab)
	focused("password")
	press("not the password" + kb.Enter)
	b.Await("#login-error")
	focused("password") // the name is still there
	press(password + kb.Tab)
	focused("sign-in")
	press(kb.Enter)
	b.Await("#consent")
	for range 10 {
		if press(kb.Tab); b.True(`document.activeElement?.id === "allow"`) {
			break
		}
	}
	focused("allow")
	press(kb.Enter)
	v.arrive(b, hello)
}

// TestPhoneWidth signs in on a phone: everything fits, everything can be touched, nothing zooms.
func TestPhoneWidth(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	s.user("ada@example.com")
	for _, width := range []int64{320, 390} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(fmt.Sprint(width, " ", scheme), func(t *testing.T) {
				v := visit(s.on(t), "localhost", "query")
				b := chromium.Window(t)
				b.Look(width, 700, scheme)
				b.Open(v.url())
				b.Click("link")
				b.Await("#login")
				b.Fits()
				logIn(b)
				b.Await("#consent")
				b.Fits()
				b.Click("allow")
				v.arrive(b, hello)
				b.Open(s.URL + "/account")
				b.Await("#logout")
				b.Fits()
				b.Open(s.authorizeURL(url.Values{"client_id": {v.config.ClientID}, "redirect_uri": {"https://" + v.host + "/Callback/"}}))
				b.Says("This sign-in link does not work")
				b.Fits()
			})
		}
	}
}
