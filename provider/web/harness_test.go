package web

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gatehouse/templates"
)

// kernel is a Mux with its log.
type kernel struct {
	*Mux
	log *journal
}

// journal is a log that a server may still be writing to.
type journal struct {
	mu sync.Mutex
	bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Buffer.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Buffer.String()
}

const issuer = "https://op.test"

func newKernel(t testing.TB, change func(*Options)) *kernel {
	t.Helper()
	pages, err := templates.Load()
	if err != nil {
		t.Fatal(err)
	}
	k := &kernel{log: &journal{}}
	o := Options{
		Issuer: issuer, Templates: pages, CSRFKeys: [][]byte{[]byte("key one")},
		Log: slog.New(slog.NewJSONHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	if k.Mux, err = New(o); err != nil {
		t.Fatal(err)
	}
	return k
}

// standard mounts one route of every kind.
func (k *kernel) standard() *kernel {
	ok := func(w http.ResponseWriter, r *http.Request) error { return plain(w, "ok") }
	k.Page("/login", showForm, ok)
	k.SelfPage("/account", showForm, ok)
	k.PageNoCSRF("/oauth2/authorize", ok, ok)
	k.Protocol("/oauth2/token", []string{"POST"}, ok)
	k.Protocol("/oauth2/userinfo", []string{"GET", "POST"}, ok)
	k.Public("/.well-known/jwks.json", ok)
	k.Public("/client-logo/{id}", ok)
	k.Static(k.options.Templates.Assets())
	return k
}

func showForm(w http.ResponseWriter, r *http.Request) error {
	return Render(w, r, http.StatusOK, templates.Account{})
}

// send runs a request through the chain; parts are header lines "Name: value" and, without a colon-space, the form body.
func (k *kernel) send(method, target string, parts ...string) *http.Response {
	var body io.Reader
	headers := http.Header{}
	for _, part := range parts {
		if name, value, ok := strings.Cut(part, ": "); ok {
			headers.Add(name, value)
			continue
		}
		body = strings.NewReader(part)
	}
	if body != nil && headers["Content-Type"] == nil {
		headers.Set("Content-Type", formType)
	}
	r := httptest.NewRequest(method, target, body)
	r.RemoteAddr = "192.0.2.7:1234"
	for name, values := range headers {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w.Result()
}

func (k *kernel) lines(t *testing.T) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(k.log.String()) {
		entry := map[string]any{}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		lines = append(lines, entry)
	}
	return lines
}

func (k *kernel) lastLine(t *testing.T) map[string]any {
	t.Helper()
	lines := k.lines(t)
	if len(lines) == 0 {
		t.Fatal("nothing was logged")
	}
	return lines[len(lines)-1]
}

func text(t testing.TB, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

var csrfInput = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// tokenOf returns the synchroniser token of a page.
func tokenOf(t testing.TB, resp *http.Response) string {
	t.Helper()
	match := csrfInput.FindStringSubmatch(text(t, resp))
	if match == nil {
		t.Fatal("the page has no csrf field")
	}
	return match[1]
}

func cookieOf(resp *http.Response, name string) *http.Cookie {
	for _, c := range resp.Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func wantStatus(t testing.TB, resp *http.Response, want int) {
	t.Helper()
	if resp.StatusCode != want {
		t.Errorf("status %d, want %d", resp.StatusCode, want)
	}
}

func form(pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}
