package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/provider/rp"
)

// A chain of two processes of the program: the app trusts one, which lets people sign in with the other. Everything is set up as an operator does it: a
// configuration file for each, and the command line.

// configured is a server that a configuration file in a folder of its own describes. Its host is that of the issuer; two servers in one browser need two, for
// cookies know no ports. tail is what the file says beside the addresses.
func configured(t *testing.T, host, tail string) *server {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	s := &server{
		T: t, bin: bin, dir: t.TempDir(), log: &strings.Builder{}, tls: &authority{}, issuer: "http://" + net.JoinHostPort(host, port), flags: []string{"--config", "own.yaml"},
	}
	s.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
	s.file("own.yaml", fmt.Sprintf(`issuer: %s
server:
  listen: %s
storage:
  url: sqlite:own.db
passwords:
  cost: 10
outbound:
  allow: [localhost, 127.0.0.1]
%s`, s.issuer, address, tail))
	return s
}

// file writes a file that nobody else may read.
func (s *server) file(name, text string) {
	s.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

// upstreamFar configures the far server as an upstream.
func upstreamFar(issuer string) string {
	return `upstreams:
- id: far
  type: oidc
  name: Far
  issuer: ` + issuer + `
  client_id: near
  client_secret_file: far.secret
  create_users: true
  end_session: true
  groups: groups
  roles: {admin: [ops]}
  claims: {nickname: preferred_username}
`
}

// chain starts both servers. The near one has no users, the far one has Ada.
func chain(t *testing.T) (near, far *server) {
	t.Helper()
	far = configured(t, "localhost", "")
	near = configured(t, "127.0.0.1", upstreamFar(far.issuer))
	near.file("far.secret", "not known yet")
	var listed []struct {
		ID          string `json:"id"`
		RedirectURI string `json:"redirect_uri"`
	}
	text := near.command("", "upstream", "list", "--format", "json")
	if err := json.Unmarshal([]byte(text), &listed); err != nil || len(listed) != 1 || listed[0].ID != "far" || listed[0].RedirectURI != near.issuer+"/upstream/far/callback" {
		t.Fatalf("upstream list: %v %s", err, text)
	}
	far.serve()
	var client struct {
		Secret string `json:"client_secret"`
	}
	text = far.command("", "client", "create", "--id", "near", "--name", "Near", "--redirect-uri", listed[0].RedirectURI, "--scope", "openid profile email groups",
		"--backchannel-logout-uri", near.issuer+"/upstream/far/logout", "--post-logout-redirect-uri", near.issuer+"/upstream/far/signed-out", "--first-party", "--format", "json")
	if err := json.Unmarshal([]byte(text), &client); err != nil || client.Secret == "" {
		t.Fatalf("client create: %v", err)
	}
	near.file("far.secret", client.Secret)
	far.file("ada.json", person)
	far.command(password+"\n", "user", "create", "--email", email, "--claims", "ada.json", "--password-stdin")
	near.serve()
	return near, far
}

// atFar signs in at the far server, by the near one.
func (w *walker) atFar(a *app, extra url.Values) (*rp.Tokens, map[string]any) {
	w.Helper()
	attempt, p := w.choose(a, "far", extra)
	return a.arrive(attempt, w.submit(p, "id", "login", url.Values{"username": {email}, "password": {password}}))
}

// rows runs a command that prints a JSON array.
func (s *server) rows(args ...string) []map[string]any {
	s.Helper()
	var list []map[string]any
	text := s.command("", append(args, "--format", "json")...)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		s.Fatalf("%v: %v: %s", args, err, text)
	}
	return list
}

func TestChainOfTwoProcesses(t *testing.T) {
	t.Parallel()
	near, far := chain(t)
	a := near.newApp(t)
	for _, test := range []struct {
		name string
		run  func(t *testing.T, a *app, near, far *server)
	}{{"dry run", dryRunOfChain}, {"sign-in", signInByChain}, {"sign-out there", signOutAtFar}, {"sign-out here", signOutByChain}} {
		t.Run(test.name, func(t *testing.T) {
			own, here, there := *a, *near, *far
			own.T, here.T, there.T = t, t, t
			test.run(t, &own, &here, &there)
		})
	}
}

var testLink = regexp.MustCompile(`https?://\S+/upstream/far/test\?\S+`)

// dryRun is gatehouse upstream test, beside the running server.
type dryRun struct {
	*exec.Cmd
	// link is what it asks to open.
	link string
	told io.Reader
	out  bytes.Buffer
}

func (s *server) beginDryRun(t *testing.T, format string) *dryRun {
	t.Helper()
	d := &dryRun{Cmd: exec.CommandContext(t.Context(), s.bin, append([]string{"upstream", "test", "far", "--format", format}, s.flags...)...)}
	d.Dir, d.Env, d.Stdout = s.dir, s.env, &d.out
	told, err := d.StderrPipe()
	if err == nil {
		err = d.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(told)
	for d.told = told; d.link == "" && lines.Scan(); {
		d.link = testLink.FindString(lines.Text())
	}
	return d
}

// end waits for the command and returns what it printed to standard output and, after the link, to standard error.
func (d *dryRun) end() (out, told string, err error) {
	rest, err := io.ReadAll(d.told)
	if err == nil {
		err = d.Wait()
	}
	return d.out.String(), string(rest), err
}

// dryRunOfChain: a link, a walk in a browser, and the claims; nobody is signed in, and no user is created.
func dryRunOfChain(t *testing.T, a *app, near, far *server) {
	for format, want := range map[string][]string{
		"table": {"raw claims", "mapped claims", `"preferred_username": "ada"`, `"nickname": "ada"`, email + ", verified", `"iss": "` + far.issuer + `"`},
		"json":  {`"raw": {`, `"set": {`, `"preferred_username": "ada"`, `"nickname": "ada"`, `"email_verified": true`, `"iss": "` + far.issuer + `"`},
	} {
		t.Run(format, func(t *testing.T) {
			d := near.beginDryRun(t, format)
			w := newWalker(t)
			p := w.submit(w.get(d.link), "id", "login", url.Values{"username": {email}, "password": {password}})
			if p.Status != http.StatusOK || !strings.Contains(string(p.Body), "The sign-in works") {
				t.Fatalf("%s %s", p, p.Body)
			}
			out, told, err := d.end()
			if err != nil {
				t.Fatalf("upstream test: %v: %s", err, told)
			}
			for _, text := range want {
				if !strings.Contains(out, text) {
					t.Errorf("it does not print %q: %s", text, out)
				}
			}
			if format == "json" && !json.Valid([]byte(out)) {
				t.Errorf("no JSON: %s", out)
			}
			if a.signedIn(w) {
				t.Error("the dry run signed somebody in")
			}
		})
	}
	if users := near.rows("user", "list"); len(users) != 0 {
		t.Errorf("the dry run created %v", users)
	}
}

// signInByChain: a user appears at the near server, and is found again by the next browser.
func signInByChain(t *testing.T, a *app, near, _ *server) {
	tokens, info := newWalker(t).atFar(a, nil)
	if info["email"] != email || info["email_verified"] != true || info["name"] != "Ada Lovelace" || info["nickname"] != "ada" {
		t.Errorf("userinfo %v", info)
	}
	if amr, _ := tokens.ID.Claims["amr"].([]any); !slices.Equal(amr, []any{"pwd"}) {
		t.Errorf("amr %v: the far server asked for a password", amr)
	}
	w := newWalker(t)
	attempt, p := w.choose(a, "far", url.Values{"login_hint": {email}, "prompt": {"login"}})
	if !strings.Contains(string(p.Body), `value="`+email+`"`) {
		t.Errorf("login_hint was not passed on: %s", p.Body)
	}
	again, _ := a.arrive(attempt, w.submit(p, "id", "login", url.Values{"username": {email}, "password": {password}}))
	if again.ID.Subject != tokens.ID.Subject {
		t.Errorf("the same account is %q and %q", tokens.ID.Subject, again.ID.Subject)
	}
	users := near.rows("user", "list")
	if len(users) != 1 || users[0]["sub"] != tokens.ID.Subject {
		t.Errorf("users %v", users)
	}
	if list := near.rows("user", "identities", email); len(list) != 1 || list[0]["upstream"] != "far" {
		t.Errorf("identities %v", list)
	}
}

// signOutAtFar: an operator of the far server ends its sessions, of which the near one is told, and the app in turn.
func signOutAtFar(t *testing.T, a *app, _, far *server) {
	w := newWalker(t)
	tokens, _ := w.atFar(a, nil)
	far.command("", "session", "end", "--user", email)
	a.wantTold(tokens.ID)
	if a.signedIn(w) {
		t.Error("the browser is signed in although its session at the far server has ended")
	}
}

// signOutByChain: the app's sign-out ends both sessions and comes back to the app.
func signOutByChain(t *testing.T, a *app, _, far *server) {
	w := newWalker(t)
	tokens, _ := w.atFar(a, nil)
	target, _ := a.EndSessionURL(tokens.RawIDToken, appBye, "s1")
	p := w.get(target)
	if location := p.Header.Get("Location"); location != appBye+"?state=s1" {
		t.Errorf("sign-out ends at %q: %s %s", location, p, p.Body)
	}
	a.wantTold(tokens.ID)
	if a.signedIn(w) {
		t.Error("signed in after signing out")
	}
	if left := far.rows("session", "list", "--user", email); len(left) != 0 {
		t.Errorf("at the far server %v lives on", left)
	}
}

// TestServerStartsWhileItsUpstreamIsDown: the button says so, people with a password sign in, and gatehouse upstream test tells why.
func TestServerStartsWhileItsUpstreamIsDown(t *testing.T) {
	t.Parallel()
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(ill.Close)
	s := configured(t, "127.0.0.1", upstreamFar(ill.URL))
	s.file("far.secret", "of no use yet")
	s.serve()
	s.command(password+"\n", "user", "create", "--email", email, "--password-stdin")
	a := s.newApp(t)
	w := newWalker(t)
	attempt := a.Begin(nil)
	p := w.get(attempt.URL)
	if _, _, ok := findForm(p, "action", "/upstream/far/start"); ok || !strings.Contains(string(p.Body), "Far is not available right now.") {
		t.Errorf("the sign-in page does not tell: %s", p.Body)
	}
	a.arrive(attempt, w.submit(p, "id", "login", url.Values{"username": {email}, "password": {password}}))

	d := s.beginDryRun(t, "table")
	if p := w.get(d.link); p.Status != http.StatusBadGateway || !strings.Contains(string(p.Body), "Far does not answer") {
		t.Errorf("%s %s", p, p.Body)
	}
	if out, told, err := d.end(); err == nil || out != "" || !strings.Contains(told, "the sign-in failed: unavailable") {
		t.Errorf("upstream test: %v, %q %q", err, out, told)
	}
}
