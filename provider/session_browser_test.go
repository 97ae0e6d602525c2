package provider_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/provider"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// Session Management 1.0 in a real browser: line L9, ruling 49. A relying party's page frames check_session_iframe and asks it, as section 3.1 says.

// askingPage posts what a test says to the frame, and keeps the answer. %[1]s is the frame's address, %[2]s its attributes, %[3]s the origin to post to.
const askingPage = `<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><iframe id="op" src="%[1]s" %[2]s></iframe><script>
let answer = "";
addEventListener("message", e => { if (e.source === document.getElementById("op").contentWindow) answer = e.data; });
function ask(message) { answer = ""; document.getElementById("op").contentWindow.postMessage(message, "%[3]s"); }
</script><h1 id="ready">Ready</h1>`

// watcher is a relying party that watches the session.
type watcher struct{ id, origin string }

// watch serves one under the name host and registers it.
func (s *server) watch(host string) *watcher {
	s.Helper()
	app := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		attributes, to := "", s.URL
		if r.URL.Path == "/sandboxed" {
			attributes, to = `sandbox="allow-scripts"`, "*"
		}
		fmt.Fprintf(w, askingPage, s.URL+"/oauth2/check_session", attributes, to)
	}))
	s.Cleanup(app.Close)
	_, port, err := net.SplitHostPort(app.Listener.Addr().String())
	s.ok(err)
	v := &watcher{id: "watcher " + host, origin: "https://" + net.JoinHostPort(host, port)}
	s.client(func(c *storage.Client) {
		c.ID, c.Name, c.FirstParty, c.RedirectURIs = v.id, "Shop", true, []string{v.origin + "/callback"}
	})
	return v
}

// signIn signs ada in where that is needed, stays on the party's page, and returns the session_state that came with the answer.
func (v *watcher) signIn(s *server, b *webtest.Chromium) string {
	s.Helper()
	b.Open(s.authorizeURL(url.Values{"client_id": {v.id}, "redirect_uri": {v.origin + "/callback"}}))
	b.Await("#login, #ready")
	if b.True(`!!document.querySelector("#login")`) {
		logIn(b)
		b.Await("#ready")
	}
	at, err := url.Parse(b.Location())
	s.ok(err)
	state := at.Query().Get("session_state")
	if state == "" {
		s.Fatalf("no session_state in %s", at)
	}
	return state
}

// answers demands what the frame says to a message, a JavaScript expression.
func (v *watcher) answers(s *server, b *webtest.Chromium, message, want string) {
	s.Helper()
	b.True(fmt.Sprintf("ask(%s), true", message))
	b.Until(`answer !== ""`)
	if !b.True(fmt.Sprintf("answer === %q", want)) {
		s.Errorf("the answer to %s is not %s", message, want)
	}
}

func (v *watcher) says(state string) string { return fmt.Sprintf("%q", v.id+" "+state) }

func signOut(s *server, b *webtest.Chromium) {
	b.Open(s.logoutURL(nil))
	b.Click("sign-out")
	b.Until(`document.body.innerText.includes("You are signed out")`)
}

func managed(o *provider.Options) { o.SessionManagement = true }

// foreignCookies starts a Chromium that gives frames of other sites their cookies, as the whole browser does in ordinary windows only. It accepts the certificates of tests.
func foreignCookies(t *testing.T) *webtest.Chromium {
	t.Helper()
	profile := t.TempDir()
	if err := os.Mkdir(filepath.Join(profile, "Default"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(profile, "Default", "Preferences"), []byte(`{"profile":{"cookie_controls_mode":0}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return webtest.StartChromium(t, chromedp.Flag("ignore-certificate-errors", true), chromedp.UserDataDir(profile))
}

func TestL9TheFrameAnswersARelyingParty(t *testing.T) {
	chromium := foreignCookies(t)
	s := startAs(t, "memory", func(s *server) { s.TLS = true }, managed)
	s.user("ada@example.com")
	for _, host := range []string{"localhost", "127.0.0.1"} { // another site, the same site
		t.Run(host, func(t *testing.T) {
			s := s.on(t)
			v, b := s.watch(host), chromium.Window(t)
			first := v.signIn(s, b)
			v.answers(s, b, v.says(first), "unchanged")
			v.answers(s, b, v.says(first), "unchanged")
			hash, salt, _ := strings.Cut(first, ".")
			for message, want := range map[string]string{
				fmt.Sprintf("%q", "another "+first): "changed", v.says(hash + ".x" + salt): "changed", v.says(strings.Repeat("A", len(hash)) + "." + salt): "changed",
				`""`: "error", `"x"`: "error", v.says(""): "error", v.says("x"): "error", v.says(hash): "error", v.says(first + ".x"): "error", v.says(hash + "."): "error",
				fmt.Sprintf("%q", first): "error", "null": "error", "42": "error", "{}": "error", "[" + v.says(first) + "]": "error", v.says("<script>." + salt): "error",
			} {
				v.answers(s, b, message, want)
			}
			if again := v.signIn(s, b); again == first {
				t.Error("two answers have the same session_state, so parties can be told apart by it")
			} else {
				v.answers(s, b, v.says(again), "unchanged")
			}
			v.answers(s, b, v.says(first), "unchanged") // nothing has happened

			// Somebody signs out in another tab, while the party's page stays open.
			tab := b.Tab(t)
			signOut(s, tab)
			v.answers(s, b, v.says(first), "changed")
			second := v.signIn(s, tab)
			v.answers(s, b, v.says(first), "changed")
			v.answers(s, b, v.says(second), "unchanged")
			b.Silent()
		})
	}
}

// TestL9WithoutCookiesTheFrameSaysChanged: browsers that give frames of other sites no cookies cannot know, and the honest answer makes the party look. One on the
// same site is not concerned.
func TestL9WithoutCookiesTheFrameSaysChanged(t *testing.T) {
	chromium := foreignCookies(t)
	s := startAs(t, "memory", func(s *server) { s.TLS = true }, managed)
	s.user("ada@example.com")
	for host, want := range map[string]string{"localhost": "changed", "127.0.0.1": "unchanged"} {
		t.Run(host, func(t *testing.T) {
			s := s.on(t)
			v, b := s.watch(host), chromium.Window(t)
			b.NoForeignCookies()
			state := v.signIn(s, b)
			v.answers(s, b, v.says(state), want)
			v.answers(s, b, `"x"`, "error")
			b.Open(v.origin + "/sandboxed") // even document.cookie is refused there
			b.Await("#ready")
			v.answers(s, b, v.says(state), "error")
			for _, text := range b.Complaints() {
				if !strings.Contains(text, "cookie") && !strings.Contains(text, "Cookie") {
					t.Error(text)
				}
			}
		})
	}
}

// TestRow179Row180TheStateCookieChangesAndIsReadExactly: at every sign-in and sign-out there is another one; it opens nothing, and one that a neighbour tossed counts
// for nothing.
func TestRow179Row180TheStateCookieChangesAndIsReadExactly(t *testing.T) {
	s := startAs(t, "memory", func(s *server) { s.TLS = true }, managed)
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	seen := map[string]bool{}
	changes := func(what string) string {
		t.Helper()
		state := b.cookies("gth_bs")
		if !strings.HasPrefix(state, "__Host-gth_bs=") || seen[state] {
			t.Errorf("%s: %q is not new", what, state)
		}
		seen[state] = true
		return state
	}
	b.code(nil)
	changes("sign-in")
	b.code(url.Values{"prompt": {"login"}})
	state := changes("another sign-in")
	if s.signedIn(state) {
		t.Error("the state opens the account")
	}
	tossed := "__Host-gth_bs=" + strings.Repeat("A", 43)
	for cookie, kept := range map[string]bool{
		state: true, state + "; " + tossed: false, tossed + "; " + state: false, strings.TrimPrefix(state, "__Host-"): false, strings.ToLower(state[:8]) + state[8:]: false, state + "A": false, "": false,
	} {
		p := s.bare("GET", strings.TrimPrefix(s.authorizeURL(url.Values{"prompt": {"none"}}), s.URL), "", "Cookie: "+b.cookies("gth_sid")+"; "+cookie)
		if set := strings.Contains(fmt.Sprint(p.Header["Set-Cookie"]), "__Host-gth_bs="); set == kept {
			t.Errorf("Cookie %q: a new state is set: %v", cookie, set)
		}
	}
	b.submit(b.get(s.logoutURL(nil)), "logout", nil)
	changes("sign-out")
}
