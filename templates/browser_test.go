package templates

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"gatehouse/provider/web/webtest"
)

var gallery = flag.String("gallery", "", "folder to write a picture of every page to")

// policy is the strictest Content-Security-Policy that any of these pages is served with, plus the nonce.
const policy = "default-src 'none'; script-src 'nonce-bm9uY2Utb2YtdGhlLXBhZ2U'; style-src 'self'; img-src 'self' data:; " +
	"frame-ancestors 'none'; base-uri 'none'; object-src 'none'; require-trusted-types-for 'script'"

// serve answers /LANGUAGE/NAME with the example of that name and /static/ with the assets.
func serve(t *testing.T) *httptest.Server { return serveSet(t, load(t)) }

func serveSet(t *testing.T, set *Set) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/static/", http.StripPrefix("/static/", http.FileServerFS(set.Assets())))
	mux.HandleFunc("/logo.svg", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = w.Write([]byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 60"><path fill="#c25" d="M5 55L45 5l40 50z"/></svg>`))
	})
	for _, e := range examples() {
		switch e.page.(type) {
		case FormPost, LogoutReturn, SigningOut:
			e.layout.Nonce = "" // stays on the page
		}
		for _, tag := range set.Languages() {
			page := "/" + tag + "/" + e.name
			e.layout.Lang, e.layout.Switch = tag, others(set.Languages(), tag, e.name)
			var body bytes.Buffer
			if err := set.Render(&body, e.layout, e.page); err != nil {
				t.Fatal(err)
			}
			mux.HandleFunc(page, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Header().Set("Content-Security-Policy", policy+"; frame-src https://notes.invalid https://cal.invalid")
				_, _ = w.Write(body.Bytes())
			})
		}
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// others are links to an example in the languages that it is not shown in.
func others(tags []string, shown, name string) []Switch {
	var list []Switch
	for _, tag := range tags {
		if tag != shown {
			list = append(list, Switch{Lang: tag, URL: "/" + tag + "/" + name})
		}
	}
	return list
}

// browser starts one Chromium and returns its context; what it complains about is sent to complain.
func browser(t *testing.T, complain func(string)) context.Context {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(webtest.ChromiumPath(t)), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			complain(e.Entry.Text)
		case *runtime.EventExceptionThrown:
			complain(e.ExceptionDetails.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute) // only now: the first call's limit would be the browser's
	t.Cleanup(cancel)
	return ctx
}

// prefer makes the page believe it has the focus and the person wants the light or the dark scheme, and nothing that moves.
func prefer(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	})
}

// measure returns what is wrong with the layout of the page on screen, one fault a line.
const measure = `(() => {
	const faults = [], wide = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > wide) faults.push("page scrolls sideways: " + document.documentElement.scrollWidth);
	for (const e of document.querySelectorAll("body *")) {
		const box = e.getBoundingClientRect();
		if (box.width && box.right > wide + 1 && getComputedStyle(e).position !== "absolute") faults.push("sticks out: " + e.tagName + "." + e.className);
	}
	for (const e of document.querySelectorAll(".button, input:not([type=hidden]):not([hidden])")) {
		const box = e.getBoundingClientRect();
		if (box.height < 44) faults.push("too low: " + e.id + " " + box.height);
	}
	for (const e of document.querySelectorAll("a:not(.button)")) {
		const box = e.getBoundingClientRect();
		if (box.height < 24 && e.closest("ul")) faults.push("link target too small: " + e.textContent + " " + box.height);
	}
	return faults.join("\n");
})()`

func TestRow18PagesFitAndCauseNoPolicyViolation(t *testing.T) {
	var complaints journal
	ctx := browser(t, complaints.add)
	server := serve(t)
	schemes, sizes := []string{"light"}, [][2]int64{{320, 640}, {360, 740}, {1280, 800}}
	if *gallery != "" {
		schemes = append(schemes, "dark")
		sizes = append(sizes, [2]int64{390, 844}, [2]int64{768, 1024})
	}
	for _, size := range sizes {
		for _, scheme := range schemes {
			for _, e := range examples() {
				err := chromedp.Do(ctx, prefer(scheme), chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(server.URL+"/en/"+e.name))
				if err != nil {
					t.Fatal(err)
				}
				faults, err := chromedp.Run(ctx, chromedp.Evaluate[string](measure))
				if err != nil {
					t.Fatal(err)
				}
				if faults != "" {
					t.Errorf("%s at %d px, %s: %s", e.name, size[0], scheme, faults)
				}
				if *gallery != "" {
					picture(t, ctx, fmt.Sprintf("%s-%d-%s.png", e.name, size[0], scheme))
				}
			}
		}
	}
	for _, text := range complaints.all() {
		t.Error(text)
	}
}

// picture writes what is on screen to the gallery.
func picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*gallery, name), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestA11FormPostArrivesInABrowser sends hostile values through a real browser, by script and by button.
func TestA11FormPostArrivesInABrowser(t *testing.T) {
	var complaints journal
	ctx := browser(t, complaints.add)
	set := load(t)
	received := make(chan url.Values, 1)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/cb", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // a bad body shows as missing values
		received <- r.PostForm
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><link rel=icon href=data:,><p id=arrived>ok"))
	})
	want := url.Values{"code": {"gth_ac_1"}, "state": {`"><svg onload=alert(1)>' + %2B &amp;` + " \u00e4"}, "submit": {"1"}}
	page := FormPost{Action: template.URL(server.URL + "/cb?keep=a%26b")}
	for name, values := range want {
		page.Params = append(page.Params, Pair{name, values[0]})
	}
	mux.Handle("/static/", http.StripPrefix("/static/", http.FileServerFS(set.Assets())))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		if err := set.Render(w, plainLayout(), page); err != nil {
			t.Error(err)
		}
	})
	check := func(t *testing.T) {
		t.Helper()
		select {
		case got := <-received:
			if !reflect.DeepEqual(got, want) {
				t.Errorf("received %v, want %v", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing arrived")
		}
	}
	t.Run("script", func(t *testing.T) {
		if err := chromedp.Do(ctx, chromedp.Navigate(server.URL), chromedp.WaitVisible(chromedp.ID("arrived"))); err != nil {
			t.Fatal(err)
		}
		check(t)
	})
	t.Run("button", func(t *testing.T) {
		if err := chromedp.Do(ctx, scripts(false), chromedp.Navigate(server.URL), chromedp.Click(chromedp.ID("continue"))); err != nil {
			t.Fatal(err)
		}
		check(t)
	})
	for _, text := range complaints.all() {
		t.Error(text)
	}
}

// scripts switches the scripts of pages on or off.
func scripts(on bool) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

// journal keeps what the browser complains about.
type journal struct {
	mu    sync.Mutex
	texts []string
}

func (l *journal) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts = append(l.texts, text)
}

func (l *journal) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.texts)
}
