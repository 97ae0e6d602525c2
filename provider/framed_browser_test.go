package provider_test

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// framings show an address, %s, in another page.
var framings = map[string]string{
	"iframe": `<iframe src="%s"></iframe>`, "object": `<object data="%s"><p>instead</p></object>`, "embed": `<embed src="%s">`, "sandbox": `<iframe sandbox="allow-scripts allow-forms allow-same-origin" src="%s"></iframe>`,
	"strict sandbox": `<iframe sandbox="allow-scripts" src="%s"></iframe>`, "nested": `<iframe srcdoc="&lt;iframe src='%s'&gt;&lt;/iframe&gt;"></iframe>`,
	"nested sandbox": `<iframe sandbox="allow-scripts allow-same-origin" srcdoc="&lt;iframe src='%s'&gt;&lt;/iframe&gt;"></iframe>`,
}

// TestRow18Row28NoBrowserShowsAPageInAFrameOrTellsWhereItWas: neither another site nor a neighbour on the same one, whose frames come with the session's cookies, gets a page of somebody who is signed in to show in a frame, an object or a sandbox.
func TestRow18Row28NoBrowserShowsAPageInAFrameOrTellsWhereItWas(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := start(t, "memory", quickKeys)
	s.client()
	s.user("ada@example.com")
	b := chromium.Window(t)
	b.Open(s.URL + "/account")
	logIn(b)
	b.Await("#logout")
	addresses := []string{s.URL + "/account", s.authorizeURL(nil), s.authorizeURL(url.Values{"prompt": {"login"}}), s.URL + "/oauth2/logout", s.authorizeURL(url.Values{"redirect_uri": {"https://evil.example/"}})}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		show(w, `<h1 id="done">x</h1>`)
		for _, address := range addresses {
			fmt.Fprintf(w, framings[r.URL.Query().Get("way")], html.EscapeString(address))
		}
	}))
	t.Cleanup(evil.Close)
	_, port, err := net.SplitHostPort(evil.Listener.Addr().String())
	s.ok(err)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		for way := range framings {
			before := len(b.Complaints())
			b.Open("http://" + net.JoinHostPort(host, port) + "/?way=" + url.QueryEscape(way))
			b.Await("#done")
			if way == "object" { // shows what is inside of it instead
				b.Until(fmt.Sprintf(`[...document.querySelectorAll("object p")].filter(p => p.getClientRects().length > 0).length === %d`, len(addresses)))
				continue
			}
			refused := func() (n int) {
				for _, text := range b.Complaints()[before:] {
					if strings.HasPrefix(text, "error: Framing '"+s.URL) && strings.Contains(text, "frame-ancestors 'none'") {
						n++
					}
				}
				return n
			}
			s.eventually(fmt.Sprintf("row 28: every %s on a page at %s is refused", way, host), func() bool { return refused() == len(addresses) })
		}
	}
	b.Open(s.URL + "/account")
	b.Await("#logout")
	tellsNobody(s, chromium)
}

// tellsNobody: the page that stands between an openly registered client and its errors (row 11) leads there without a Referer, as a link and as a form.
func tellsNobody(s *server, chromium *webtest.Chromium) {
	s.Helper()
	for _, mode := range []string{"query", "form_post"} {
		v := visit(s, "localhost", mode, func(c *storage.Client) { c.RegisteredBy = "open" })
		b := chromium.Window(s.T)
		b.Open(v.url())
		b.Await("#link")
		if !b.True(`(document.querySelector("#link").href += "&scope=again", true)`) {
			s.Fatal("the link is not to be changed")
		}
		b.Click("link")
		b.Await("#continue")
		b.Says(v.host)
		b.Click("continue")
		v.arrive(b, "refused: invalid_request")
		for _, text := range b.Complaints() {
			if !strings.Contains(text, "status of 400") { // the page is one
				s.Error(text)
			}
		}
	}
}
