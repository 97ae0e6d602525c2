package provider_test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// What a real browser makes of signing out: line L8, rulings 10 and 48.

// framed is a relying party that signs its people out in a frame.
type framed struct {
	host string // host:port
	hang chan struct{}

	mu     sync.Mutex
	called []url.Values
	// behave is how the frame answers: "", "hang", "refuse" or "fail".
	behave string
}

// frameParty serves a party under the name host.
func (s *server) frameParty(host string) *framed {
	s.Helper()
	f := &framed{hang: make(chan struct{})}
	app := httptest.NewServer(f)
	s.Cleanup(app.Close)
	s.Cleanup(func() { close(f.hang) })
	_, port, err := net.SplitHostPort(app.Listener.Addr().String())
	s.ok(err)
	f.host = net.JoinHostPort(host, port)
	return f
}

func (f *framed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/hop" { // two more redirects, the second one to another site
		other, next := strings.NewReplacer("localhost", "127.0.0.1", "127.0.0.1", "localhost").Replace(f.host), "/bye"
		if r.Host == f.host {
			next = "/hop"
		}
		http.Redirect(w, r, "http://"+other+next, http.StatusFound)
		return
	}
	if r.URL.Path != "/out" {
		show(w, `<h1 id="done">`+r.URL.Path+`</h1>`)
		return
	}
	f.mu.Lock()
	f.called = append(f.called, r.URL.Query())
	behave := f.behave
	f.mu.Unlock()
	switch behave {
	case "hang":
		<-f.hang
	case "refuse":
		w.Header().Set("X-Frame-Options", "DENY")
	case "fail":
		w.WriteHeader(http.StatusInternalServerError)
	}
	show(w, "out")
}

// id is a client id for the party, which Basic credentials can carry as it is.
func (f *framed) id(prefix string) string {
	return prefix + "-" + strings.ReplaceAll(f.host, ":", "-")
}

func (f *framed) calls() []url.Values {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.called)
}

func TestL8FramesAreToldAndThenTheBrowserGoesOn(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	s.user("ada@example.com")
	for _, host := range []string{"localhost", "127.0.0.1"} { // another site, the same site
		for name, c := range map[string]struct {
			behave  string
			scripts bool
			click   bool // a refresh waits until every frame is there (HTML, shared declarative refresh steps), so the person goes on by hand
			within  time.Duration
		}{
			"all answer":            {scripts: true, within: 3 * time.Second},
			"one hangs":             {behave: "hang", scripts: true, within: 20 * time.Second},
			"one refuses":           {behave: "refuse", scripts: true, within: 3 * time.Second},
			"one fails":             {behave: "fail", scripts: true, within: 3 * time.Second},
			"no scripts":            {within: 20 * time.Second},
			"no scripts, one hangs": {behave: "hang", click: true, within: 20 * time.Second},
		} {
			t.Run(host+" "+name, func(t *testing.T) {
				s := s.on(t)
				b := chromium.Window(t)
				b.Scripts(c.scripts)
				good, other := s.frameParty(host), s.frameParty("localhost")
				other.behave = c.behave
				hint := map[string]string{}
				ids := map[string]*framed{good.id("good"): good, other.id("other"): other}
				for _, id := range slices.Sorted(maps.Keys(ids)) {
					hint[id] = s.visitFrameParty(b, id, ids[id])
				}
				id := good.id("good")
				began := time.Now()
				b.Go(s.logoutURL(url.Values{"id_token_hint": {hint[id]}, "post_logout_redirect_uri": {"http://" + good.host + "/bye"}, "state": {"a b+c"}}))
				if c.click {
					s.within(10*time.Second, "the frames are asked for", func() bool { return len(good.calls()) == 1 && len(other.calls()) == 1 })
					b.Do(chromedp.Click(chromedp.CSS("#continue")))
				}
				b.Until(fmt.Sprintf("location.href === %q", "http://"+good.host+"/bye?state=a%20b%2Bc"))
				if took := time.Since(began); took > c.within {
					t.Errorf("the browser was held up for %v", took)
				}
				for id, f := range ids {
					calls := f.calls()
					want := url.Values{"iss": {s.URL}, "sid": {fmt.Sprint(jwtPayload(t, hint[id])["sid"])}}
					if len(calls) != 1 || calls[0].Encode() != want.Encode() {
						t.Errorf("%s was called with %v, want %v", id, calls, want)
					}
				}
				if c.behave == "" {
					b.Silent()
				}
				b.Open(s.URL + "/account")
				b.Await("#login")
			})
		}
	}
}

// visitFrameParty signs ada in at a first-party client whose party is f, and returns the ID token.
func (s *server) visitFrameParty(b *webtest.Chromium, id string, f *framed, changes ...func(*storage.Client)) string {
	s.Helper()
	redirect := "http://" + f.host + "/callback"
	s.client(func(c *storage.Client) {
		c.ID, c.Name, c.FirstParty = id, "Shop "+f.host, true
		c.RedirectURIs, c.PostLogoutRedirectURIs, c.FrontchannelLogoutURI = []string{redirect}, []string{"http://" + f.host + "/bye"}, "http://"+f.host+"/out"
		for _, change := range changes {
			change(c)
		}
	})
	b.Open(s.authorizeURL(url.Values{"client_id": {id}, "redirect_uri": {redirect}}))
	b.Await("#login, #done")
	if b.True(`!!document.querySelector("#login")`) {
		logIn(b)
		b.Await("#done")
	}
	at, err := url.Parse(b.Location())
	s.ok(err)
	a := s.post("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {at.Query().Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier}}, as(id, clientSecret))
	return s.wantOK(a).Str("id_token")
}

// TestL3OwnPageTellsTheFrames: without an address to go to the browser stays, and the account page's button does the same.
func TestL3OwnPageTellsTheFrames(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	s.user("ada@example.com")
	for _, scripts := range []bool{true, false} {
		for _, way := range []string{"end_session", "account"} {
			t.Run(fmt.Sprint(way, " scripts ", scripts), func(t *testing.T) {
				s := s.on(t)
				b := chromium.Window(t)
				b.Scripts(scripts)
				f := s.frameParty("localhost")
				s.visitFrameParty(b, f.id("party"), f)
				if way == "account" {
					b.Open(s.URL + "/account")
				} else {
					b.Open(s.logoutURL(nil))
				}
				b.Click("sign-out")
				b.Await("#told")
				b.Says("You are signed out", "Told to sign you out", "Shop "+f.host)
				s.within(10*time.Second, "the frame is loaded", func() bool { return len(f.calls()) == 1 })
				b.Silent()
			})
		}
	}
}

// TestRuling48ABrowserPostsFromAnotherSite: its POST comes without the session cookie, so it is led back, with scripts and without.
func TestRuling48ABrowserPostsFromAnotherSite(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	subject := s.user("ada@example.com")
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprint("scripts ", scripts), func(t *testing.T) {
			s := s.on(t)
			b := chromium.Window(t)
			f := s.frameParty("localhost")
			hint := s.visitFrameParty(b, f.id("party"), f)
			b.Scripts(scripts)
			if scripts {
				b.True(fmt.Sprintf(`(() => { const f = document.createElement("form"); f.method = "post"; f.action = %q;
					for (const [n, v] of [["id_token_hint", %q], ["post_logout_redirect_uri", %q], ["state", "s"]]) { const i = document.createElement("input"); i.name = n; i.value = v; f.append(i); }
					document.body.append(f); f.submit(); return true; })()`, s.URL+"/oauth2/logout", hint, "http://"+f.host+"/bye"))
			} else {
				page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					show(w, fmt.Sprintf(`<form method="post" action="%s"><input name="id_token_hint" value="%s"><input name="post_logout_redirect_uri" value="%s"><input name="state" value="s"><button id="leave">Out</button></form>`,
						s.URL+"/oauth2/logout", hint, "http://"+f.host+"/bye"))
				}))
				t.Cleanup(page.Close)
				_, port, _ := net.SplitHostPort(page.Listener.Addr().String())
				b.Open("http://localhost:" + port)
				b.Click("leave")
				b.Await("#logout-return")
				if s.sessions(subject) == 0 {
					t.Error("the POST from another site ended the session")
				}
				b.Click("continue")
			}
			b.Until(fmt.Sprintf("location.href === %q", "http://"+f.host+"/bye?state=s"))
			if s.sessions(subject) != 0 {
				t.Error("the session goes on")
			}
		})
	}
}

// TestRow184RedirectsAfterLogoutMeetNoPolicy: a browser applies form-action to every hop after the confirmation's form, so that page has none; with frames the
// browser leaves by itself.
func TestRow184RedirectsAfterLogoutMeetNoPolicy(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	s.user("ada@example.com")
	for _, host := range []string{"localhost", "127.0.0.1"} {
		for _, frames := range []bool{true, false} {
			for _, scripts := range []bool{true, false} {
				t.Run(fmt.Sprint(host, " frames ", frames, " scripts ", scripts), func(t *testing.T) {
					s := s.on(t)
					b, f := chromium.Window(t), s.frameParty(host)
					b.Scripts(scripts)
					target := "http://" + f.host + "/hop"
					id := f.id("party")
					hint := s.visitFrameParty(b, id, f, func(c *storage.Client) {
						c.PostLogoutRedirectURIs = []string{target}
						if !frames {
							c.FrontchannelLogoutURI = ""
						}
					})
					b.Open(s.logoutURL(nil))
					b.Click("sign-out")
					b.Until(`document.body.innerText.includes("You are signed out")`)
					b.Open(s.authorizeURL(url.Values{"client_id": {id}, "redirect_uri": {"http://" + f.host + "/callback"}}))
					logIn(b)
					b.Await("#done")
					b.Open(s.logoutURL(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {target}})) // of a session that is over: asks
					b.Click("sign-out")
					b.Until(`location.pathname === "/bye"`)
					b.Silent()
				})
			}
		}
	}
}

// TestRow188AnImageSignsNobodyOut: also not with the cookies of the same site.
func TestRow188AnImageSignsNobodyOut(t *testing.T) {
	chromium := webtest.StartChromium(t)
	s := start(t, "memory")
	subject := s.user("ada@example.com")
	b := chromium.Window(t)
	f := s.frameParty("127.0.0.1")
	s.visitFrameParty(b, "party", f)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><img src="%[1]s/oauth2/logout"><img src="%[1]s/account/sign-out"><iframe src="%[1]s/oauth2/logout"></iframe><h1 id="done">x</h1>`, s.URL)
		}))
		t.Cleanup(evil.Close)
		_, port, _ := net.SplitHostPort(evil.Listener.Addr().String())
		b.Open("http://" + net.JoinHostPort(host, port))
		b.Await("#done")
		if s.sessions(subject) != 1 {
			t.Fatalf("a page at %s signed somebody out", host)
		}
	}
	b.Open(s.URL + "/account")
	b.Await("#logout")
}
