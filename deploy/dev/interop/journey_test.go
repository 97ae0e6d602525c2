package interop

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/net/html"

	"gatehouse/provider/rp"
)

const (
	appCallback = "https://rp.example/callback"
	appBye      = "https://rp.example/bye"
)

// app is a relying party that verifies what it gets: tokens by browsers, logout tokens at an address of its own.
type app struct {
	*testing.T
	*rp.Party
	// told are the logout tokens that came, verified.
	told chan *oidc.LogoutToken
}

// newApp registers a relying party by the command line of a server.
func (s *server) newApp(t *testing.T) *app {
	t.Helper()
	a := &app{T: t, told: make(chan *oidc.LogoutToken, 100)}
	verifier := make(chan *oidc.IDTokenVerifier, 1)
	backchannel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := <-verifier
		verifier <- v
		token, err := v.VerifyLogout(r.Context(), r.PostFormValue("logout_token"))
		if err != nil {
			t.Errorf("logout token: %v", err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		a.told <- token
	}))
	t.Cleanup(backchannel.Close)
	var registered struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	text := s.command("", "client", "create", "--name", "App", "--redirect-uri", appCallback, "--post-logout-redirect-uri", appBye, "--backchannel-logout-uri", backchannel.URL,
		"--scope", "openid profile email groups roles", "--first-party", "--format", "json")
	if err := json.Unmarshal([]byte(text), &registered); err != nil {
		t.Fatal(err)
	}
	discovered, err := oidc.NewProvider(t.Context(), s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	verifier <- discovered.Verifier(&oidc.Config{ClientID: registered.ID})
	a.Party, err = rp.New(t.Context(), rp.Options{
		Issuer: s.issuer, ClientID: registered.ID, ClientSecret: registered.Secret, RedirectURI: appCallback, Scopes: []string{"openid", "profile", "email", "groups", "roles"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// arrive redeems what a browser brought and returns the tokens, verified, and userinfo.
func (a *app) arrive(attempt rp.Attempt, p rp.Answer) (*rp.Tokens, map[string]any) {
	a.Helper()
	response, ok := p.Arrived(appCallback)
	if !ok {
		a.Fatalf("not back at the app: %s at %s: %s", p, p.URL, p.Body)
	}
	tokens, err := a.Exchange(a.Context(), attempt, response)
	if err != nil {
		a.Fatal(err)
	}
	info, err := a.UserInfo(a.Context(), tokens.AccessToken, tokens.ID.Subject)
	if err != nil {
		a.Fatal(err)
	}
	return tokens, info
}

// wantTold waits for the logout token of the session of an ID token. Those of other sessions, which tests before have ended, may still come.
func (a *app) wantTold(id *rp.IDToken) {
	a.Helper()
	for late := time.After(20 * time.Second); ; {
		select {
		case token := <-a.told:
			if token.SessionID != id.Claims["sid"] {
				continue
			}
			if token.Subject != id.Subject {
				a.Errorf("told of %q, the session is that of %q", token.Subject, id.Subject)
			}
			return
		case <-late:
			a.Fatal("the app was not told within 20 s")
		}
	}
}

// signedIn asks without a page whether the browser is still signed in.
func (a *app) signedIn(w *walker) bool {
	a.Helper()
	response, ok := w.get(a.Begin(url.Values{"prompt": {"none"}}).URL).Arrived(appCallback)
	if !ok || !response.Has("code") && response.Get("error") != "login_required" {
		a.Fatalf("prompt=none: %v", response)
	}
	return response.Has("code")
}

// walker is a browser with a cookie jar that goes from server to server. It follows redirects up to a page, or to the app, whose address nobody serves.
type walker struct {
	*testing.T
	*rp.Browser
}

func newWalker(t *testing.T) *walker { return &walker{t, rp.NewBrowser(rp.BrowserOptions{})} }

func (w *walker) get(target string) rp.Answer {
	w.Helper()
	return w.follow(target, nil)
}

func (w *walker) follow(target string, form url.Values) rp.Answer {
	w.Helper()
	for range 20 {
		p, err := w.Open(w.Context(), target, form)
		if err != nil {
			w.Fatal(err)
		}
		location := p.Header.Get("Location")
		if location == "" || strings.HasPrefix(location, "https://rp.example/") {
			return p
		}
		target, form = w.resolve(p, location), nil
	}
	w.Fatal("the redirects do not end")
	return rp.Answer{}
}

func (w *walker) resolve(p rp.Answer, reference string) string {
	w.Helper()
	base, err := url.Parse(p.URL)
	if err == nil {
		base, err = base.Parse(reference)
	}
	if err != nil {
		w.Fatal(err)
	}
	return base.String()
}

// submit sends the form of a page that an attribute finds, with its hidden fields and others.
func (w *walker) submit(p rp.Answer, attribute, value string, fields url.Values) rp.Answer {
	w.Helper()
	action, hidden, ok := findForm(p, attribute, value)
	if !ok {
		w.Fatalf("no form with %s=%q at %s: %s %s", attribute, value, p.URL, p, p.Body)
	}
	maps.Copy(hidden, fields)
	return w.follow(w.resolve(p, action), hidden)
}

func findForm(p rp.Answer, attribute, value string) (action string, hidden url.Values, ok bool) {
	root, err := html.ParseWithOptions(strings.NewReader(string(p.Body)), html.ParseOptionEnableScripting(false))
	if err != nil {
		return "", nil, false
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" || attributes(n)[attribute] != value {
			continue
		}
		hidden = url.Values{}
		for in := range n.Descendants() {
			if all := attributes(in); in.Type == html.ElementNode && in.Data == "input" && all["type"] == "hidden" {
				hidden.Add(all["name"], all["value"])
			}
		}
		return attributes(n)["action"], hidden, true
	}
	return "", nil, false
}

func attributes(n *html.Node) map[string]string {
	all := map[string]string{}
	for _, a := range n.Attr {
		all[a.Key] = a.Val
	}
	return all
}
