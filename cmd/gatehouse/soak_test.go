package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx", to look at the database from outside
	"golang.org/x/net/html"

	"gatehouse/storage/postgres/postgrestest"
)

// The soak tests drive servers that are processes of their own, as clients and browsers do. make test runs them in short form, make soak in the
// long one that counts. The program is the test binary itself, so that the short form runs it with the race detector.

// soakCount is how often a soak does what it does. GATEHOUSE_SOAK_ROUNDS makes the long form shorter.
func soakCount(short, long int) int {
	if os.Getenv("GATEHOUSE_SOAK") == "" {
		return short
	}
	if n, err := strconv.Atoi(os.Getenv("GATEHOUSE_SOAK_ROUNDS")); err == nil {
		return min(n, long)
	}
	return long
}

const (
	soakCallback  = "https://rp.example/callback"
	soakPassword  = "correct horse battery staple"
	soakVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	soakChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// process is one server process. It can be killed and spawned again.
type process struct {
	env       []string
	address   string
	cmd       *exec.Cmd
	log       *stream
	transport *http.Transport
}

// spawn starts the process and returns how long it took until it was ready.
func (p *process) spawn(t *testing.T) time.Duration {
	t.Helper()
	p.log = new(stream)
	p.cmd = exec.Command("gatehouse", "serve")
	p.cmd.Env, p.cmd.Dir, p.cmd.Stderr = p.env, t.TempDir(), p.log
	p.transport = &http.Transport{MaxIdleConnsPerHost: 64, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, p.address)
	}}
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		answer, err := (&http.Client{Transport: p.transport, Timeout: 10 * time.Second}).Get("http://" + p.address + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return time.Since(begin)
			}
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("not ready within a minute: %s", p.log)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// kill ends the process as a power cut does, so far as the process is concerned.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // killed
	p.transport.CloseIdleConnections()
	p.noRace(t)
}

// stop ends the process as an operator does; the race detector would make it fail.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.transport.CloseIdleConnections()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("serve: %v: %s", err, p.log)
	}
	p.noRace(t)
}

func (p *process) noRace(t *testing.T) {
	t.Helper()
	if text := p.log.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
		t.Errorf("the server says: %s", text)
	}
}

// site is everything around one database: its server processes, two clients and a user.
type site struct {
	*testing.T
	issuer string
	nodes  []*process
	db     *sql.DB // the database, past the servers
	sqlite bool
	jwt    application
	opaque application
}

// application is a registered client.
type application struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// onEverySite runs a soak on SQLite with one process and on PostgreSQL with two, side by side.
func onEverySite(t *testing.T, soak func(s *site)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "gatehouse.db")
		soak(newSite(t, 1, "sqlite", path, "GATEHOUSE_STORAGE_URL=sqlite:"+path))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		address := postgrestest.Start(t)
		soak(newSite(t, 2, "pgx", address, "GATEHOUSE_STORAGE_URL="+address, "GATEHOUSE_SECRETS_KEYS=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
	})
}

// newSite starts the processes; all have the first one's address as issuer, as behind a load balancer. Codes and access tokens live long, so that none
// expires in a soak, and nothing is limited.
func newSite(t *testing.T, processes int, driver, source string, env ...string) *site {
	t.Helper()
	s := &site{T: t, sqlite: driver == "sqlite"}
	for range processes {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		if s.issuer == "" {
			s.issuer = "http://localhost:" + port
		}
		p := &process{address: "127.0.0.1:" + port, env: append([]string{
			"GATEHOUSE_ISSUER=" + s.issuer, "GATEHOUSE_SERVER_LISTEN=127.0.0.1:" + port, "GATEHOUSE_PASSWORDS_COST=10", "GATEHOUSE_LOG_LEVEL=warn",
			"GATEHOUSE_LIMITS_LOGIN_ACCOUNT=0", "GATEHOUSE_LIMITS_LOGIN_IP=0", "GATEHOUSE_LIMITS_LOGIN_NET=0", "GATEHOUSE_LIMITS_TOKEN_FAILURES=0",
			"GATEHOUSE_LIMITS_INTERACTIONS=0", "GATEHOUSE_TOKENS_CODE=10m", "GATEHOUSE_TOKENS_ACCESS=1h", "GATEHOUSE_TOKENS_ID=1h",
		}, env...)}
		s.nodes = append(s.nodes, p)
		p.spawn(t)
		t.Cleanup(func() { p.stop(t) })
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s.db = db
	s.jwt, s.opaque = s.register("jwt"), s.register("opaque")
	s.command(soakPassword, "user", "create", "--email", "ada@example.com", "--username", "ada", "--password-stdin")
	return s
}

// register makes a client with access tokens of a format.
func (s *site) register(format string) (a application) {
	s.Helper()
	text := s.command("", "client", "create", "--id", format, "--name", "Example", "--redirect-uri", soakCallback, "--grant-type", "authorization_code",
		"--grant-type", "refresh_token", "--scope", "openid email offline_access", "--access-token", format, "--format", "json")
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		s.Fatal(err)
	}
	return a
}

// command runs a command of the program beside the running servers.
func (s *site) command(stdin string, args ...string) string {
	s.Helper()
	out, err := s.try(stdin, args...)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

func (s *site) try(stdin string, args ...string) (string, error) {
	var out, errOut strings.Builder
	if code := run(s.Context(), args, s.nodes[0].env, strings.NewReader(stdin), &out, &errOut); code != 0 {
		return "", fmt.Errorf("%v ends with %d: %s", args, code, errOut.String())
	}
	return out.String(), nil
}

// persist is an operator who tries again when a database under all this load lets the command wait too long for a connection.
func (s *site) persist(args ...string) string {
	s.Helper()
	for tries := 1; ; tries++ {
		out, err := s.try("", args...)
		if err == nil {
			return out
		}
		if tries == 5 || !strings.Contains(err.Error(), "connect: storage unavailable") {
			s.Fatal(err)
		}
		s.Log(err)
	}
}

// count asks the database for one number.
func (s *site) count(query string, args ...any) (n int) {
	s.Helper()
	if err := s.db.QueryRowContext(s.Context(), query, args...).Scan(&n); err != nil {
		s.Fatal(err)
	}
	return n
}

// any is one of the processes, as a load balancer picks it.
func (s *site) any() *process { return s.nodes[rand.IntN(len(s.nodes))] }

// RoundTrip sends a request of a browser to one of the processes.
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	return s.any().transport.RoundTrip(r)
}

// reply is the answer of a protocol endpoint.
type reply struct {
	status  int
	raw     string
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Error   string `json:"error"`
	Active  bool   `json:"active"`
}

func (r reply) ok() bool { return r.status == http.StatusOK }

// post sends a form to a process; an error means that there was no whole answer.
func (s *site) post(p *process, a application, path string, form url.Values) (reply, error) {
	r, err := http.NewRequest(http.MethodPost, s.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return reply{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(a.ID, a.Secret)
	answer, err := (&http.Client{Transport: p.transport, Timeout: time.Minute}).Do(r)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return reply{}, err
	}
	got := reply{status: answer.StatusCode, raw: string(body)}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &got); err != nil {
			return reply{}, fmt.Errorf("%s answers %d %q", path, answer.StatusCode, body)
		}
	}
	return got, nil
}

func (s *site) redeem(p *process, a application, code string) (reply, error) {
	return s.post(p, a, "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {soakCallback}, "code_verifier": {soakVerifier}})
}

func (s *site) refresh(p *process, a application, token string) (reply, error) {
	return s.post(p, a, "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (s *site) introspect(p *process, a application, token string) (reply, error) {
	return s.post(p, a, "/oauth2/introspect", url.Values{"token": {token}})
}

func (s *site) revoke(p *process, a application, token string) (reply, error) {
	return s.post(p, a, "/oauth2/revoke", url.Values{"token": {token}})
}

// visitor is a browser whose every request may meet another process.
type visitor struct {
	site   *site
	client *http.Client
	user   string
}

func (s *site) visitor() *visitor {
	jar, _ := cookiejar.New(nil) // never fails
	return &visitor{site: s, user: "ada", client: &http.Client{Transport: s, Jar: jar, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// code asks for a code, signing in and consenting if a page wants it.
func (v *visitor) code(a application) (string, error) {
	at, err := url.Parse(v.site.issuer + "/oauth2/authorize?" + url.Values{
		"client_id": {a.ID}, "redirect_uri": {soakCallback}, "response_type": {"code"}, "scope": {"openid email offline_access"}, "state": {"af0ifjsldkj"},
		"code_challenge": {soakChallenge}, "code_challenge_method": {"S256"},
	}.Encode())
	if err != nil {
		return "", err
	}
	answer, err := v.client.Get(at.String())
	for range 15 {
		if err != nil {
			return "", err
		}
		body, readErr := io.ReadAll(answer.Body)
		answer.Body.Close()
		if readErr != nil {
			return "", readErr
		}
		at = answer.Request.URL
		if to, err := answer.Location(); err == nil {
			if strings.HasPrefix(to.String(), soakCallback) {
				return codeIn(to)
			}
			answer, err = v.client.Get(to.String())
			if err != nil {
				return "", err
			}
			continue
		}
		if answer.StatusCode != http.StatusOK {
			return "", badAnswer{answer.StatusCode, fmt.Sprintf("%s: %s", at.Path, body)}
		}
		answer, err = v.submit(at, string(body))
	}
	return "", errors.New("the sign-in does not end")
}

// badAnswer is a whole answer that is no success.
type badAnswer struct {
	status int
	text   string
}

func (b badAnswer) Error() string { return fmt.Sprintf("%d %s", b.status, b.text) }

func codeIn(callback *url.URL) (string, error) {
	if code := callback.Query().Get("code"); code != "" {
		return code, nil
	}
	return "", badAnswer{http.StatusSeeOther, callback.RawQuery}
}

// submit fills in the one form that the page is about.
func (v *visitor) submit(at *url.URL, page string) (*http.Response, error) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil, err
	}
	for id, typed := range map[string]url.Values{"login": {"username": {v.user}, "password": {soakPassword}}, "consent": {"decision": {"allow"}}} {
		form := find(root, func(n *html.Node) bool { return n.Data == "form" && attribute(n, "id") == id })
		if form == nil {
			continue
		}
		for n := range form.Descendants() {
			if n.Data == "input" && attribute(n, "type") == "hidden" {
				typed.Add(attribute(n, "name"), attribute(n, "value"))
			}
		}
		to, err := at.Parse(attribute(form, "action"))
		if err != nil {
			return nil, err
		}
		return v.client.PostForm(to.String(), typed)
	}
	return nil, badAnswer{http.StatusOK, fmt.Sprintf("%s has no form to fill in: %s", at.Path, page)}
}
