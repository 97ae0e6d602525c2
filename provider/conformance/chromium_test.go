package conformance

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/provider/web/webtest"
)

// What a real browser makes of the pages: line A26 and trap 6 with scripts switched off, line L9 with them.

// window is a window of Chromium, over TLS, for a test of one cell.
type window struct {
	*webtest.Chromium
	s *suite
}

// inChromium runs a test with one browser for all relying parties of it, on another site than the server and on the same.
func inChromium(t *testing.T, scripts bool, test func(s *suite, w *window)) {
	t.Helper()
	t.Parallel() // beside the other tests with a browser, which only wait and leave the clock alone; all others are done by then
	chromium := startChromium(t)
	for _, site := range []string{"other", "same"} {
		t.Run("sqlite/"+site+"-site", func(t *testing.T) {
			t.Parallel()
			s := newSuite(t, "sqlite", site)
			w := &window{chromium.Window(t), s}
			w.Scripts(scripts)
			test(s, w)
		})
	}
}

// startChromium starts a browser that takes the certificates of these tests and keeps no cookie from a frame of another site, which windows without history else do.
func startChromium(t *testing.T) *webtest.Chromium {
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

// signIn fills in the login page.
func (w *window) signIn() {
	w.s.Helper()
	w.Fill("username", w.s.person.Email)
	w.Fill("password", password)
	w.Click("sign-in")
}

// landed waits until the browser is at a path of the client and returns what the client received there last.
func (w *window) landed(c *client, path string) *received {
	w.s.Helper()
	w.Until(fmt.Sprintf("document.readyState === 'complete' && location.pathname === %q", c.path(path)))
	got := w.s.rp.at(c.path(path))
	return got[len(got)-1]
}

// query demands a response in the query.
func (w *window) query(c *client) url.Values {
	w.s.Helper()
	return w.landed(c, "callback").Query
}

func TestA26ChromiumWithoutScripts(t *testing.T) {
	inChromium(t, false, func(s *suite, w *window) {
		c := s.client(leaving, frontchannel)
		w.Open(c.url(nil))
		w.signIn()
		w.Click("deny")
		if got := w.query(c); got.Get("error") != "access_denied" || got.Get("state") != "af0ifjsldkj" {
			s.Errorf("deny: %v", got)
		}
		w.Open(c.url(nil))
		w.Click("allow")
		hint := c.redeem(w.query(c).Get("code"), nil).wantTokens().Str("id_token")
		w.Open(c.url(values{"response_mode": "form_post"}))
		w.Await("#form-post")
		w.Says("If nothing happens, use the button.")
		w.Click("continue")
		if got := w.landed(c, "callback"); got.Method != "POST" || got.Form.Get("code") == "" {
			s.Errorf("form_post: %s %s", got.Method, got.Body)
		}
		w.Open(c.url(values{"response_mode": "form_post", "prompt": "none", "scope": "openid unregistered"}))
		w.Click("continue")
		if got := w.landed(c, "callback"); got.Form.Get("error") != "invalid_scope" {
			s.Errorf("an error by form_post: %s %s", got.Method, got.Body)
		}
		w.signsOut(c, hint)
		w.Silent() // it complains of the status of pages that say no, so these come last
		w.Open(c.url(values{"prompt": "login"}))
		w.Fill("username", s.person.Email)
		w.Fill("password", "wrong")
		w.Click("sign-in")
		w.Await("#login-error")
		w.signIn()
		w.query(c)
		w.Open(c.url(values{"redirect_uri": "https://evil.example/"}))
		w.Says("redirect_uri", "https://evil.example/")
	})
}

// signsOut goes through the pages of logout: the question and a no, the page with frames, and the page that stays.
func (w *window) signsOut(c *client, hint string) {
	w.s.Helper()
	logout := w.s.URL + "/oauth2/logout"
	w.Open(logout)
	w.Await("#logout")
	w.Click("stay")
	w.Until("location.pathname === '/account'")
	w.Open(logout + "?" + url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {c.bye()}, "state": {"s"}}.Encode())
	if got := w.landed(c, "bye"); got.RawQuery != "state=s" {
		w.s.Errorf("after logout: %s", got.RawQuery)
	}
	if got := w.s.rp.at(c.path("frontchannel")); len(got) != 1 || got[0].Query.Get("iss") != w.s.URL || got[0].Query.Get("sid") == "" {
		w.s.Errorf("frames: %v", got)
	}
	w.Open(c.url(values{"prompt": "none"}))
	if got := w.query(c); got.Get("error") != "login_required" {
		w.s.Errorf("after logout: %v", got)
	}
	// Again, without a hint: the question is answered by yes, and the frames are on the page that stays.
	w.Open(c.url(nil))
	w.signIn()
	w.query(c)
	w.Open(logout)
	w.Click("sign-out")
	w.Until("document.readyState === 'complete' && document.body.innerText.includes('You are signed out')")
	w.s.eventually("the frame is loaded", func() bool { return len(w.s.rp.at(c.path("frontchannel"))) == 2 })
}

func TestA11ChromiumPostsTheFormByItself(t *testing.T) {
	inChromium(t, true, func(s *suite, w *window) {
		c := s.client(compatible)
		w.Open(c.url(values{"response_mode": "form_post"}))
		w.signIn()
		w.Click("allow")
		if got := w.landed(c, "callback"); got.Method != "POST" || got.Form.Get("code") == "" {
			s.Errorf("%s %s", got.Method, got.Body)
		}
		for _, flow := range flows {
			before := len(s.rp.at(c.path("callback")))
			w.Open(c.url(plain.with(values{"response_type": flow.responseType, "response_mode": "form_post", "state": "<\"&'>"})))
			s.rp.await(c.path("callback"), before+1, patience)
			got := w.landed(c, "callback")
			for _, name := range append([]string{"iss", "state"}, flow.members...) {
				if got.Form.Get(name) == "" {
					s.Errorf("%s: no %s in %v", flow.responseType, name, got.Form)
				}
			}
			if got.Method != "POST" || got.Form.Get("state") != "<\"&'>" {
				s.Errorf("%s: %s %v", flow.responseType, got.Method, got.Form)
			}
		}
		w.Silent()
	})
}

// asking is a page of the relying party that holds check_session_iframe and puts its last answer into the title.
const asking = `<!doctype html><html><head><title>waiting</title></head><body><iframe id="op" src="%s"></iframe><script>
var frame = document.getElementById("op"), origin = "%s";
window.addEventListener("message", function (e) { if (e.origin === origin) { document.title = e.data; } });
function ask(message) { document.title = "waiting"; frame.contentWindow.postMessage(message, origin); }
frame.onload = function () { document.title = "ready"; };
</script></body></html>`

func TestL9ChromiumAsksCheckSession(t *testing.T) {
	inChromium(t, true, func(s *suite, w *window) {
		c := s.client(leaving)
		frame := asText(s.metadata()["check_session_iframe"])
		s.rp.serve(c.path("asking"), document{ContentType: "text/html; charset=utf-8", Body: fmt.Sprintf(asking, frame, s.URL)})
		w.Open(c.url(nil))
		w.signIn()
		w.Click("allow")
		got := w.query(c)
		state, hint := got.Get("session_state"), c.redeem(got.Get("code"), nil).wantTokens().Str("id_token")
		page := strings.TrimSuffix(c.Callback, "callback") + "asking"
		w.Open(page)
		w.Until(`document.title === "ready"`)
		for _, ask := range []struct{ message, want string }{
			{c.ID + " " + state, "unchanged"}, {"another " + state, "changed"}, {c.ID + " " + strings.Repeat("A", 43) + ".salt", "changed"}, {"junk", "error"}, {c.ID + " junk", "error"}, {"", "error"},
		} {
			w.answers(ask.message, ask.want)
		}
		w.Open(s.URL + "/oauth2/logout?" + url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {c.bye()}}.Encode())
		w.landed(c, "bye")
		w.Open(page)
		w.Until(`document.title === "ready"`)
		w.answers(c.ID+" "+state, "changed")
		// Nobody is signed in now, and that too is a state that a client can hold.
		w.Open(c.url(values{"prompt": "none"}))
		if got = w.query(c); got.Get("error") != "login_required" || got.Get("session_state") == "" {
			s.Fatalf("%v", got)
		}
		w.Open(page)
		w.Until(`document.title === "ready"`)
		w.answers(c.ID+" "+got.Get("session_state"), "unchanged")
		w.Silent()
	})
}

// answers sends a message into the frame and waits for what comes back.
func (w *window) answers(message, want string) {
	w.s.Helper()
	w.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("ask(%s)", asJSON(message))))
	w.Until(`document.title !== "waiting"`)
	if !w.True(fmt.Sprintf("document.title === %q", want)) {
		w.s.Errorf("%q is not answered by %s", message, want)
	}
}

func asText(v any) string { text, _ := v.(string); return text }
