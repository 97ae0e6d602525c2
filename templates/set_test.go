package templates

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// unknown is a page whose file does not exist.
type unknown struct{}

func (unknown) Template() string { return "../layout" }
func (unknown) Title() Text      { return Text{} }

func TestEveryFileIsAPageWithAnExample(t *testing.T) {
	shown := map[string]bool{}
	for _, e := range examples() {
		shown[e.page.Template()] = true
	}
	for name := range load(t).in("en").pages {
		if !shown[name] && name != (CheckSession{}).Template() { // nobody sees it
			t.Errorf("html/%s.html is not among the examples", name)
		}
	}
}

func TestUnknownPageIsAnError(t *testing.T) {
	if err := load(t).Render(io.Discard, Layout{}, unknown{}); err == nil {
		t.Error("no error")
	}
}

// broken fails on every write.
type broken struct{}

var errBroken = errors.New("connection gone")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestRenderReportsAWriterThatFails(t *testing.T) {
	if err := load(t).Render(broken{}, Layout{}, SignedOut{}); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
}

func TestPathsStandBelowTheIssuersPath(t *testing.T) {
	layout := plainLayout()
	layout.Base = "/tenant/a"
	for _, e := range examples() {
		if strings.HasSuffix(e.name, "-logo") {
			continue // a logo's path comes with the issuer's path from its maker
		}
		page := e.page
		if c, ok := page.(Consent); ok {
			c.SwitchAccount = "" // the same
			page = c
		}
		if p, ok := page.(RecoveryCodes); ok {
			p.Continue = "" // the same
			page = p
		}
		if p, ok := page.(UpstreamProblem); ok {
			p.Other = "" // the same
			page = p
		}
		if p, ok := page.(Told); ok {
			p.Next = "" // the same
			page = p
		}
		_, tree := render(t, layout, page)
		for n := range tree.Descendants() {
			for _, key := range []string{"href", "src", "action"} {
				if v := attr(n, key); strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "/tenant/a/") {
					t.Errorf("%s: %s=%q leaves the issuer's path", e.name, key, v)
				}
			}
		}
	}
}

func TestAssetNamesFollowTheirContent(t *testing.T) {
	set := load(t)
	handler := http.StripPrefix("/static/", http.FileServerFS(set.Assets()))
	for name, want := range map[string]string{"app.css": "text/css; charset=utf-8", "mark.svg": "image/svg+xml"} {
		path := set.path(name)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		sum := sha256.Sum256(answer.Body.Bytes())
		if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != want {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Header().Get("Content-Type"))
		}
		if !strings.Contains(path, "."+hex.EncodeToString(sum[:8])+".") {
			t.Errorf("%s does not carry the hash of its content", path)
		}
	}
	if _, err := fs.Stat(set.Assets(), "app.css"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the plain name is served too: %v", err)
	}
	if err := fstest.TestFS(set.Assets(), strings.TrimPrefix(set.Stylesheet(), "/static/")); err != nil {
		t.Error(err)
	}
}

func TestStylesheetLoadsNothing(t *testing.T) {
	css := stylesheet(t)
	for _, bad := range []string{"url(", "@import", "@font-face", "expression(", "http:", "https:"} {
		if strings.Contains(css, bad) {
			t.Errorf("the stylesheet contains %s", bad)
		}
	}
}

func TestCompareLosesNothing(t *testing.T) {
	long := strings.Repeat("/a?b", 2000)
	for _, c := range [][2]string{{"", ""}, {"a", ""}, {"", "a"}, {"https://a/b", "https://a/b"}, {"https://a/b/", "https://a/b"}, {"http://a:1/B?x=1#f", "https://a/b"}, {long, strings.Repeat("/b?a", 2000)}, {"\xff/\x00", "/"}} {
		var joined strings.Builder
		differs := false
		for _, p := range compare(c[0], c[1]) {
			joined.WriteString(p.Text)
			differs = differs || p.Differs
		}
		if joined.String() != c[0] {
			t.Errorf("compare(%.40q, %.40q) lost text", c[0], c[1])
		}
		if c[0] == c[1] && differs {
			t.Errorf("compare(%.40q) differs from itself", c[0])
		}
	}
}

func BenchmarkRender(b *testing.B) {
	set := load(b)
	layout := plainLayout()
	for _, e := range examples() {
		if strings.Contains(e.name, "-") {
			continue
		}
		b.Run(e.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := set.Render(io.Discard, layout, e.page); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
