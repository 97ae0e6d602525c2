package interop

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/rp"
)

// Signing in with node-oidc-provider, which nobody here has written.

// nodeUpstream is a process of upstream.mjs.
type nodeUpstream struct {
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
	Secret   string `json:"client_secret"`
}

// startUpstream runs upstream.mjs until the test ends.
func startUpstream(t *testing.T, redirectURI string) *nodeUpstream {
	t.Helper()
	c := exec.Command("node", "upstream.mjs", redirectURI)
	var complaint strings.Builder
	c.Stderr = &complaint
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // fails if it has ended, which Wait tells
		_ = c.Wait()
		if t.Failed() {
			t.Logf("node-oidc-provider: %s", complaint.String())
		}
	})
	o := &nodeUpstream{}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, o)
	}
	if err != nil {
		t.Fatalf("node-oidc-provider does not start: %v", err)
	}
	return o
}

// withNode starts a server, on localhost, whose upstream "npm" is a node-oidc-provider on 127.0.0.1: cookies know no ports.
func withNode(t *testing.T) (*server, *nodeUpstream) {
	t.Helper()
	requireNode(t)
	if _, err := os.Stat("node_modules/oidc-provider"); err != nil {
		missing(t, "node-oidc-provider is not installed; run deploy/dev/deps.sh")
	}
	if exec.Command("node", "-e", "process.exit(URL.parse ? 0 : 1)").Run() != nil {
		missing(t, "node lacks URL.parse, which node-oidc-provider needs; use version 22, or the last of version 20")
	}
	var o *nodeUpstream
	s := start(t, "http", newAuthority(t), func(issuer string) []string {
		o = startUpstream(t, issuer+"/upstream/npm/callback")
		return []string{"GATEHOUSE_OUTBOUND_ALLOW=127.0.0.1", "GATEHOUSE_UPSTREAMS=" + upstreams(t, map[string]any{
			"id": "npm", "type": "oidc", "name": "Node", "issuer": o.Issuer, "client_id": o.ClientID, "client_secret": o.Secret, "create_users": true, "end_session": true,
			"claims": map[string]string{"nickname": "preferred_username"}, "groups": "groups", "roles": map[string][]string{"admin": {"ops"}},
		})}
	})
	return s, o
}

func upstreams(t *testing.T, list ...map[string]any) string {
	t.Helper()
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// choose begins a sign-in for an app and picks the upstream on the sign-in page.
func (w *walker) choose(a *app, id string, extra url.Values) (rp.Attempt, rp.Answer) {
	w.Helper()
	attempt := a.Begin(extra)
	return attempt, w.submit(w.get(attempt.URL), "action", "/upstream/"+id+"/start", nil)
}

// atNode signs in at the upstream.
func (w *walker) atNode(a *app, who string, extra url.Values) (*rp.Tokens, map[string]any) {
	w.Helper()
	attempt, p := w.choose(a, "npm", extra)
	return a.arrive(attempt, w.submit(p, "id", "login", url.Values{"username": {who}}))
}

func TestSignInAtNodeOIDCProvider(t *testing.T) {
	t.Parallel()
	s, o := withNode(t)
	a := s.newApp(t)
	for name, test := range map[string]func(*testing.T, *app, *nodeUpstream){
		"claims": claimsOfNode, "prompt and max_age": freshnessAtNode, "cancelled": cancelAtNode, "sign-out there": signOutAtNode, "sign-out here": signOutHere,
	} {
		t.Run(name, func(t *testing.T) {
			own := *a
			own.T = t
			test(t, &own, o)
		})
	}
}

// claimsOfNode: this provider tells most claims by userinfo only, and knows the browser when it comes again.
func claimsOfNode(t *testing.T, a *app, _ *nodeUpstream) {
	w := newWalker(t)
	tokens, info := w.atNode(a, "ada", nil)
	want := map[string]any{"email": "ada@upstream.example", "email_verified": true, "name": "Ada Lovelace", "nickname": "ada"}
	for name, value := range want {
		if info[name] != value {
			t.Errorf("%s is %v, want %v", name, info[name], value)
		}
	}
	if got, _ := json.Marshal([]any{info["groups"], info["roles"]}); string(got) != `[["staff","ops"],["admin"]]` {
		t.Errorf("groups and roles are %s", got)
	}
	again := newWalker(t)
	if other, _ := again.atNode(a, "ada", nil); other.ID.Subject != tokens.ID.Subject {
		t.Errorf("the same account is %q and %q", tokens.ID.Subject, other.ID.Subject)
	}
	if other, info := newWalker(t).atNode(a, "grace", nil); other.ID.Subject == tokens.ID.Subject || info["email"] != nil || info["name"] != "Grace Hopper" {
		t.Errorf("grace, whose address is not verified, is %q, %v", other.ID.Subject, info)
	}
}

func authTime(t *testing.T, tokens *rp.Tokens) time.Time {
	t.Helper()
	seconds, ok := tokens.ID.Claims["auth_time"].(float64)
	if !ok {
		t.Fatalf("no auth_time in %v", tokens.ID.Claims)
	}
	return time.Unix(int64(seconds), 0)
}

// wantReasons demands that the upstream asks for a sign-in, for certain reasons of its own.
func wantReasons(t *testing.T, p rp.Answer, reasons string) {
	t.Helper()
	_, hidden, _ := findForm(p, "id", "login")
	if got := hidden.Get("reasons"); got != reasons {
		t.Errorf("the upstream asks for the reasons %q, want %q: %s %s", got, reasons, p, p.Body)
	}
}

func freshnessAtNode(t *testing.T, a *app, o *nodeUpstream) {
	w := newWalker(t)
	attempt, p := w.choose(a, "npm", nil)
	wantReasons(t, p, "no_session")
	first, _ := a.arrive(attempt, w.submit(p, "id", "login", url.Values{"username": {"ada"}}))

	// Somebody who is signed in there is not asked again unless the app wants it.
	attempt, p = w.choose(a, "npm", url.Values{"prompt": {"login"}})
	wantReasons(t, p, "login_prompt")
	before := time.Now().Truncate(time.Second)
	second, _ := a.arrive(attempt, w.submit(p, "id", "login", url.Values{"username": {"ada"}}))
	if at := authTime(t, second); at.Before(before) || second.ID.Claims["sid"] != first.ID.Claims["sid"] {
		t.Errorf("auth_time %s, asked at %s; sid %v after %v", at, before, second.ID.Claims["sid"], first.ID.Claims["sid"])
	}

	// Both servers count in whole seconds, so it takes up to two until the upstream asks.
	for asked := false; !asked; asked = strings.HasPrefix(p.URL, o.Issuer) {
		if time.Since(before) > 20*time.Second {
			t.Fatal("max_age=1 is satisfied for 20 s")
		}
		attempt = a.Begin(url.Values{"max_age": {"1"}})
		if p = w.get(attempt.URL); p.Status == 200 {
			p = w.submit(p, "action", "/upstream/npm/start", nil)
		}
	}
	wantReasons(t, p, "max_age")
	third, _ := a.arrive(attempt, w.submit(p, "id", "login", url.Values{"username": {"ada"}}))
	if !authTime(t, third).After(authTime(t, second)) {
		t.Errorf("auth_time %s after %s", authTime(t, third), authTime(t, second))
	}
}

// cancelAtNode: the upstream answers access_denied.
func cancelAtNode(t *testing.T, a *app, _ *nodeUpstream) {
	w := newWalker(t)
	_, p := w.choose(a, "npm", nil)
	p = w.submit(p, "id", "login", url.Values{"username": {"nobody"}})
	if p.Status != 200 || !strings.Contains(string(p.Body), "You did not sign in") || strings.Contains(string(p.Body), "no such person") {
		t.Errorf("%s %s", p, p.Body)
	}
	if a.signedIn(w) {
		t.Error("somebody is signed in all the same")
	}
}

// signOutAtNode: the upstream's logout token ends the session here, of which the app is told in turn. Another session of the same person goes on.
func signOutAtNode(t *testing.T, a *app, o *nodeUpstream) {
	w, other := newWalker(t), newWalker(t)
	tokens, _ := w.atNode(a, "ada", nil)
	other.atNode(a, "ada", nil)
	if p := w.submit(w.get(o.Issuer+"/session/end"), "id", "op.logoutForm", url.Values{"logout": {"yes"}}); p.Status != 200 || !strings.Contains(string(p.Body), "Signed out") {
		t.Fatalf("sign-out there: %s %s", p, p.Body)
	}
	a.wantTold(tokens.ID)
	if a.signedIn(w) {
		t.Error("the browser is signed in although its session at the upstream has ended")
	}
	if !a.signedIn(other) {
		t.Error("the other browser's session has ended, too")
	}
}

// signOutHere: the app's sign-out goes by the upstream, ends its session, and comes back to the app.
func signOutHere(t *testing.T, a *app, o *nodeUpstream) {
	w := newWalker(t)
	tokens, _ := w.atNode(a, "ada", nil)
	target, _ := a.EndSessionURL(tokens.RawIDToken, appBye, "s1")
	p := w.get(target)
	if !strings.HasPrefix(p.URL, o.Issuer+"/session/end") {
		t.Fatalf("sign-out did not go by the upstream: %s", p)
	}
	a.wantTold(tokens.ID)
	p = w.submit(p, "id", "op.logoutForm", url.Values{"logout": {"yes"}})
	if location := p.Header.Get("Location"); location != appBye+"?state=s1" {
		t.Errorf("sign-out ends at %q: %s %s", location, p, p.Body)
	}
	if _, p = w.choose(a, "npm", nil); a.signedIn(w) {
		t.Error("signed in after signing out")
	}
	wantReasons(t, p, "no_session")
}
