package main

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"gatehouse/provider/web/webtest"
)

// The challenge and its verifier are those of RFC 7636 appendix B.
const (
	appChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	appVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// apps are applications of people who run them elsewhere: on another site than the server.
type apps struct {
	*newcomer
	at string

	mu   sync.Mutex
	hold chan struct{} // frames wait for it if it is there
}

// serveApps registers three applications by how they learn that somebody has signed out: in a frame, from the server, not at all.
func (p *newcomer) serveApps(t *testing.T) *apps {
	t.Helper()
	a := &apps{newcomer: p}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.at = server.URL
	for id, more := range map[string]string{
		"harbour": `"client_name":"Harbour Bookings","frontchannel_logout_uri":"` + a.at + `/out",`,
		"atlas":   `"client_name":"Atlas of Northern Lighthouses and Their Keepers","backchannel_logout_uri":"` + a.at + `/told",`,
		"ledger":  `"client_name":"Ledger",`,
	} {
		p.run(`{"client_id":"`+id+`",`+more+`"redirect_uris":["`+a.at+`/callback"],"post_logout_redirect_uris":["`+a.at+`/bye"],"scope":"openid",
			"token_endpoint_auth_method":"none","first_party":true}`, "client", "create", "-f", "-")
	}
	return a
}

func (a *apps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	body := `<h1 id="arrived">` + html.EscapeString(r.URL.Path) + `</h1>`
	switch r.URL.Path {
	case "/out":
		a.mu.Lock()
		hold := a.hold
		a.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done(): // the browser is gone, or the test failed
			}
		}
	case "/leave": // a form of the application that signs out by POST
		body = `<form method="post" action="` + a.url + `/oauth2/logout">`
		for name := range r.URL.Query() {
			body += `<input name="` + name + `" value="` + html.EscapeString(r.URL.Query().Get(name)) + `">`
		}
		body += `<button id="leave">Sign out</button></form>`
	}
	fmt.Fprint(w, `<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,">`+body)
}

// stick makes the frames wait until the returned func is called.
func (a *apps) stick() (release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hold = make(chan struct{})
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		close(a.hold)
		a.hold = nil
	}
}

// visit signs in at an application, where that takes a page too, and returns the ID token that it gets.
func (a *apps) visit(t *testing.T, b *webtest.Chromium, id string) (hint string) {
	t.Helper()
	b.Open(a.url + "/oauth2/authorize?" + url.Values{
		"client_id": {id}, "redirect_uri": {a.at + "/callback"}, "response_type": {"code"}, "scope": {"openid"}, "code_challenge": {appChallenge}, "code_challenge_method": {"S256"},
	}.Encode())
	b.Await("#arrived, #login, #consent")
	if b.True(`!!document.querySelector("#login")`) {
		a.signIn(b)
		b.Await("#arrived, #consent")
	}
	if b.True(`!!document.querySelector("#consent")`) {
		b.Click("allow")
		b.Await("#arrived")
	}
	at, err := url.Parse(b.Location())
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.PostForm(a.url+"/oauth2/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {id}, "code": {at.Query().Get("code")}, "redirect_uri": {a.at + "/callback"}, "code_verifier": {appVerifier},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var tokens struct {
		IDToken string `json:"id_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&tokens); err != nil || tokens.IDToken == "" {
		t.Fatalf("%d %v at %s", response.StatusCode, err, at)
	}
	return tokens.IDToken
}

// register registers an application as anybody may.
func (a *apps) register(t *testing.T) (id string) {
	t.Helper()
	response, err := http.Post(a.url+"/oauth2/register", "application/json", strings.NewReader(`{"client_name":"Photo Prints","application_type":"native","redirect_uris":["`+a.at+`/callback"],
		"post_logout_redirect_uris":["`+a.at+`/bye"],"scope":"openid","token_endpoint_auth_method":"none"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var registered struct {
		ID string `json:"client_id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&registered); err != nil || registered.ID == "" {
		t.Fatalf("%d %v", response.StatusCode, err)
	}
	return registered.ID
}

func (a *apps) logout(params url.Values) string { return a.url + "/oauth2/logout?" + params.Encode() }

// press tabs to the last of the ids, past the others and no more, and uses the key; each can be seen to have the focus.
func press(t *testing.T, b *webtest.Chromium, ids ...string) {
	t.Helper()
	for range 10 { // the way to the first one leads past the header
		b.Do(chromedp.KeyEvent(kb.Tab))
		if b.True(fmt.Sprintf(`document.activeElement?.id === %q`, ids[0])) {
			break
		}
	}
	for i, id := range ids {
		if i > 0 {
			b.Do(chromedp.KeyEvent(kb.Tab))
		}
		if !b.True(fmt.Sprintf(`document.activeElement?.id === %q && (s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(document.activeElement))`, id)) {
			t.Fatalf("%s cannot be reached by keyboard at %s", id, b.Location())
		}
	}
	b.Do(chromedp.KeyEvent(kb.Enter))
}

// leave walks through every page of signing out.
func (a *apps) leave(t *testing.T, b *webtest.Chromium, look func(string)) {
	t.Helper()
	old := a.visit(t, b, "harbour")
	a.visit(t, b, "atlas")
	a.visit(t, b, "ledger")
	b.Open(a.logout(nil))
	b.Says("Sign out?", demoEmail, "Stay signed in")
	look("logout-confirm")
	press(t, b, "stay", "sign-out")
	b.Await("#told")
	b.Says("You are signed out", "Harbour Bookings", "Atlas of Northern Lighthouses", "May keep their own sign-in", "Ledger")
	look("signed-out-apps")

	bye := a.at + "/bye"
	hint := a.visit(t, b, "harbour")
	release := a.stick()
	b.Scripts(false)
	b.Go(a.logout(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "state": {"s"}}))
	b.Until(`!!document.querySelector("#redirect-host")`)
	b.Says("You are signed out", strings.TrimPrefix(a.at, "http://"), "Continue")
	look("signing-out")
	press(t, b, "continue") // while a frame still hangs
	b.Until(fmt.Sprintf("location.href === %q", bye+"?state=s"))
	release()

	a.visit(t, b, "harbour")
	b.Open(a.at + "/leave?" + url.Values{"id_token_hint": {old}, "post_logout_redirect_uri": {bye + "/other"}}.Encode())
	b.Click("leave")
	b.Await("#logout-return")
	look("logout-return")
	press(t, b, "continue")
	b.Scripts(true)
	b.Await("#logout")
	b.Says("Harbour Bookings asks you to sign out", "post_logout_redirect_uri is not registered")
	look("logout-confirm-app")
	b.Click("sign-out")
	b.Until(`document.body.innerText.includes("You are signed out")`)
	b.Says("post_logout_redirect_uri is not registered")
	look("signed-out-fault")
	b.Open(a.logout(url.Values{"state": {"a", "b"}}))
	b.Says("The parameter state was sent twice.")
	look("logout-error")

	stranger := a.visit(t, b, a.register(t))
	b.Open(a.logout(nil))
	b.Click("sign-out")
	b.Until(`document.body.innerText.includes("You are signed out")`)
	b.Open(a.logout(url.Values{"id_token_hint": {stranger}, "post_logout_redirect_uri": {bye}}))
	b.Says("Continue to", strings.TrimPrefix(a.at, "http://"), "nobody has checked who runs it")
	look("signed-out-continue")
}
