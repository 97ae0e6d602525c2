package templates

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeFile is axe-core as deploy/dev/deps.sh installs it.
const axeFile = "../deploy/dev/interop/node_modules/axe-core/axe.min.js"

// axeRun looks at the page on screen by all rules, those of WCAG 2.2 for the size of targets too. It returns what is serious or critical, one fault a line,
// and how many texts had their contrast measured.
const axeRun = `axe.run(document, {iframes: false, resultTypes: ["violations", "passes"], rules: {"target-size": {enabled: true}}}).then(found => ({
	Faults: found.violations.filter(v => v.impact === "serious" || v.impact === "critical").map(v =>
		v.id + " (" + v.impact + "): " + v.nodes.map(n => n.html + " " + n.any.concat(n.all, n.none).map(c => c.message).join(" ")).join("; ")),
	Measured: found.passes.concat(found.violations).filter(r => r.id === "color-contrast").reduce((sum, r) => sum + r.nodes.length, 0),
}))`

// findings are what axe says of a page.
type findings struct {
	Faults   []string
	Measured int
}

// axe returns the source of axe-core.
func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(axeFile)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("axe-core is not installed; run deploy/dev/deps.sh")
		}
		t.Skip("axe-core is not installed; run deploy/dev/deps.sh")
	}
	return string(source)
}

// examine runs axe on the page on screen. The source is evaluated by the DevTools, which the policy of the page does not bind.
func examine(ctx context.Context) (findings, error) {
	return chromedp.Run(ctx, chromedp.Evaluate[findings](axeRun, chromedp.EvalAwaitPromise))
}

// looks are four ways to see a page. Among them are all pairs of a scheme, a language and a width.
var looks = []struct {
	tag, scheme string
	width       int64
}{{"en", "light", 1280}, {"en", "dark", 360}, {"de", "light", 360}, {"de", "dark", 1280}}

// TestAxeFindsNothingSerious looks at every page in light and dark, in English and German, on a phone and on a desk.
func TestAxeFindsNothingSerious(t *testing.T) {
	source := axe(t)
	ctx := browser(t, func(string) {}) // axe itself breaks the policy
	server := serve(t)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	const tabs = 2
	for n := range tabs {
		t.Run(fmt.Sprint("tab ", n), func(t *testing.T) {
			t.Parallel()
			tab, cancel := chromedp.NewContext(ctx)
			defer cancel()
			for i, e := range examples() {
				if i%tabs == n {
					examineLooks(t, tab, source, server.URL, e.name)
				}
			}
		})
	}
}

// examineLooks runs axe on a page in all looks.
func examineLooks(t *testing.T, ctx context.Context, source, server, name string) {
	t.Helper()
	for i, look := range looks {
		if err := chromedp.Do(ctx, prefer(look.scheme), chromedp.EmulateViewport(look.width, 800)); err != nil {
			t.Fatal(err)
		}
		if i == 0 || look.tag != looks[i-1].tag {
			if err := chromedp.Do(ctx, chromedp.Navigate(server+"/"+look.tag+"/"+name), chromedp.Evaluate[chromedp.Void](source)); err != nil {
				t.Fatal(err)
			}
		}
		found, err := examine(ctx)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(found.Faults) > 0 {
			t.Errorf("%s in %s, %s, %d px:\n%s", name, look.tag, look.scheme, look.width, strings.Join(found.Faults, "\n"))
		}
		if found.Measured < 2 {
			t.Errorf("%s: axe measured the contrast of %d texts", name, found.Measured)
		}
	}
}

// TestAxeFindsAFault shows that a page can fail, and by which rules.
func TestAxeFindsAFault(t *testing.T) {
	source := axe(t)
	ctx := browser(t, func(string) {})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>Faults</title><meta name="color-scheme" content="light dark">
			<body style="background: light-dark(#fff, #000)"><main><h1>Faults</h1><p style="color: light-dark(#999, #eee)">Hardly to be read in light.</p><input type="text">
			<div><button style="padding: 0; height: 12px; width: 12px">a</button></div><div><button style="padding: 0; height: 12px; width: 12px">b</button></div></main>`))
	}))
	t.Cleanup(server.Close)
	for scheme, rules := range map[string][]string{"light": {"color-contrast", "label", "target-size"}, "dark": {"label", "target-size"}} {
		if err := chromedp.Do(ctx, prefer(scheme), chromedp.Navigate(server.URL), chromedp.Evaluate[chromedp.Void](source)); err != nil {
			t.Fatal(err)
		}
		found, err := examine(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, fault := range found.Faults {
			rule, _, _ := strings.Cut(fault, " ")
			got = append(got, rule)
		}
		slices.Sort(got)
		if !slices.Equal(got, rules) {
			t.Errorf("in %s axe found %v, want %v: %v", scheme, got, rules, found.Faults)
		}
	}
}
