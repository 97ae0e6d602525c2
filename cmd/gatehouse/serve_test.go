package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/storage/postgres/postgrestest"
)

// stream is a buffer that one goroutine fills and another reads.
type stream struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// instance is one program that serves inside the test.
type instance struct {
	url, address string
	env          []string
	out, err     stream
	stop         context.CancelFunc // SIGTERM
	code         chan int
}

// environment is a set-up of its own in a temporary folder.
func environment(t *testing.T, more ...string) []string {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{
		"GATEHOUSE_ISSUER=http://localhost:" + port, "GATEHOUSE_SERVER_LISTEN=127.0.0.1:" + port, "GATEHOUSE_PASSWORDS_COST=10",
		"GORACE=" + os.Getenv("GORACE"), "GATEHOUSE_STORAGE_URL=sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db"),
	}, more...)
}

func start(t *testing.T, env []string, args ...string) *instance {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	i := &instance{env: env, stop: cancel, code: make(chan int, 1)}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "GATEHOUSE_ISSUER":
			i.url = value
		case "GATEHOUSE_SERVER_LISTEN":
			i.address = value
		}
	}
	go func() {
		i.code <- run(ctx, append([]string{"serve"}, args...), env, strings.NewReader(""), &i.out, &i.err)
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-i.code; code != 0 {
			t.Errorf("serve ends with %d: %s", code, i.err.String())
		}
		i.code <- 0
	})
	i.await(t, func() bool {
		answer, err := http.Get("http://" + i.address + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return i
}

// await polls until done says so; half a minute is far more than anything here takes.
func (i *instance) await(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case code := <-i.code:
			i.code <- code
			t.Fatalf("serve ended with %d: %s", code, i.err.String())
		case <-deadline:
			t.Fatalf("not within half a minute: %s", i.err.String())
		}
	}
}

// command runs another command on the same set-up and returns what it prints.
func (i *instance) command(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	var out, errOut strings.Builder
	if code := run(t.Context(), args, i.env, strings.NewReader(stdin), &out, &errOut); code != 0 {
		t.Fatalf("%v ends with %d: %s", args, code, errOut.String())
	}
	return out.String()
}

// browser keeps cookies, follows redirects and submits forms.
type browser struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	page   string
}

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, client: &http.Client{Jar: jar, Timeout: 20 * time.Second}}
}

func (b *browser) take(answer *http.Response, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.page = answer.Request.URL, string(text)
	if answer.StatusCode != http.StatusOK {
		b.t.Fatalf("%s answers %s: %s", b.at, answer.Status, b.page)
	}
}

func (b *browser) open(address string) {
	b.t.Helper()
	b.take(b.client.Get(address))
}

// submit sends the form with the id, its hidden and ticked inputs, and values.
func (b *browser) submit(id string, values url.Values) {
	b.t.Helper()
	root, err := html.ParseWithOptions(strings.NewReader(b.page), html.ParseOptionEnableScripting(false))
	if err != nil {
		b.t.Fatal(err)
	}
	form := find(root, func(n *html.Node) bool { return n.Data == "form" && attribute(n, "id") == id })
	if form == nil {
		b.t.Fatalf("%s has no form %s: %s", b.at, id, b.page)
	}
	sent := url.Values{}
	for n := range form.Descendants() {
		_, checked := lookup(n, "checked")
		if n.Data == "input" && (attribute(n, "type") == "hidden" || checked) {
			sent.Add(attribute(n, "name"), attribute(n, "value"))
		}
	}
	maps.Copy(sent, values)
	action, err := b.at.Parse(attribute(form, "action"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.take(b.client.PostForm(action.String(), sent))
}

func find(root *html.Node, match func(*html.Node) bool) *html.Node {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && match(n) {
			return n
		}
	}
	return nil
}

func lookup(n *html.Node, name string) (string, bool) {
	i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
	if i < 0 {
		return "", false
	}
	return n.Attr[i].Val, true
}

func attribute(n *html.Node, name string) string {
	value, _ := lookup(n, name)
	return value
}

func TestNewcomerSignsInAtThePlaygroundWithWhatDevPrints(t *testing.T) {
	i := start(t, environment(t), "--dev", "--format", "json")
	var w welcome
	i.await(t, func() bool { return json.Unmarshal([]byte(i.out.String()), &w) == nil })
	b := newBrowser(t)
	b.open(w.Playground)
	b.submit("start", url.Values{})
	b.submit("login", url.Values{"username": {w.Username}, "password": {w.Password}})
	if !strings.Contains(b.page, "Gatehouse playground") {
		t.Errorf("the consent page does not name the client: %s", b.page)
	}
	b.submit("consent", url.Values{"decision": {"allow"}})
	if !strings.HasPrefix(b.at.String(), w.Playground) || !strings.Contains(b.page, demoEmail) || !strings.Contains(b.page, "Dana Mercer Moss") {
		t.Errorf("%s shows no verified claims: %s", b.at, b.page)
	}
	for _, secret := range []string{w.Password, w.ClientSecret} {
		if strings.Contains(i.err.String(), secret) {
			t.Error("the log shows a secret")
		}
	}
}

// A running request is answered after SIGTERM, while new ones are turned away and readiness fails.
func TestDrainAnswersWhatIsRunning(t *testing.T) {
	ops, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	i := start(t, environment(t, "GATEHOUSE_OPS_LISTEN=127.0.0.1:"+ops))
	conn, err := net.Dial("tcp", i.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := "grant_type=client_credentials&client_id=x&client_secret=y"
	fmt.Fprintf(conn, "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	r := bufio.NewReader(conn)
	// The server asks for the body: from here the request is running.
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q %v", line, err)
	}
	i.stop()
	i.await(t, func() bool {
		_, err := net.Dial("tcp", i.address)
		return err != nil
	})
	ready, err := http.Get("http://127.0.0.1:" + ops + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	ready.Body.Close()
	if ready.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readyz answers %s while draining", ready.Status)
	}
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadString('\n'); err != nil { // the empty line behind 100 Continue
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the running request got %s", answer.Status)
	}
}

func TestTwoNodesOnPostgreSQLStartTogetherAndFollowTheCommandLine(t *testing.T) {
	shared := []string{"GATEHOUSE_STORAGE_URL=" + postgrestest.Start(t), "GATEHOUSE_SECRETS_KEYS=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
	envs := [][]string{environment(t, shared...), environment(t, shared...)}
	nodes := make([]*instance, len(envs))
	var wait sync.WaitGroup
	for n := range envs {
		wait.Go(func() { nodes[n] = start(t, envs[n]) })
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	made := nodes[0].command(t, "", "client", "create", "--grant-type", "client_credentials", "--format", "json")
	if err := json.Unmarshal([]byte(made), &client); err != nil {
		t.Fatal(err)
	}
	status := func(i *instance) int {
		r, err := http.NewRequest(http.MethodPost, "http://"+i.address+"/oauth2/token", strings.NewReader("grant_type=client_credentials"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(client.ID, client.Secret)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		begin := time.Now()
		for _, node := range nodes {
			node.await(t, func() bool { return status(node) == want })
		}
		if took := time.Since(begin); took > promise {
			t.Errorf("the nodes needed %v to answer %d", took, want)
		}
		if want == http.StatusOK {
			nodes[1].command(t, "", "client", "update", client.ID, "--disabled")
		}
	}
	jwks := map[string]bool{}
	for _, node := range nodes {
		b := newBrowser(t)
		b.open("http://" + node.address + "/.well-known/jwks.json")
		jwks[b.page] = true
	}
	keys := nodes[0].command(t, "", "keys", "list", "--format", "json")
	if active := strings.Count(keys, `"state": "active"`); active != 2 || len(jwks) != 1 {
		t.Errorf("%d active keys, %d different JWKS: %s", active, len(jwks), keys)
	}
}
