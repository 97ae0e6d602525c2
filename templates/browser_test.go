package templates

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var gallery = flag.String("gallery", "", "folder to write a picture of every page to")

// policy is the strictest Content-Security-Policy that any of these pages is served with, plus the nonce.
const policy = "default-src 'none'; script-src 'nonce-bm9uY2Utb2YtdGhlLXBhZ2U'; style-src 'self'; img-src 'self' data:; " +
	"frame-ancestors 'none'; base-uri 'none'; object-src 'none'; require-trusted-types-for 'script'"

// serve answers /NAME with the example of that name and /static/ with the assets.
func serve(t *testing.T) *httptest.Server {
	set := load(t)
	mux := http.NewServeMux()
	mux.Handle("/static/", http.StripPrefix("/static/", http.FileServerFS(set.Assets())))
	for _, e := range examples() {
		if _, ok := e.page.(FormPost); ok {
			e.layout.Nonce = "" // stays on the page
		}
		var body bytes.Buffer
		if err := set.Render(&body, e.layout, e.page); err != nil {
			t.Fatal(err)
		}
		mux.HandleFunc("/"+e.name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			_, _ = w.Write(body.Bytes())
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// browser starts one Chromium and returns its context; what it complains about is sent to complain.
func browser(t *testing.T, complain func(string)) context.Context {
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	err = chromedp.Listen(ctx, func(event any) {
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
	return ctx
}

// prefer makes the browser ask for the light or the dark scheme.
func prefer(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
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
	for (const e of document.querySelectorAll(".button, input:not([type=hidden])")) {
		const box = e.getBoundingClientRect();
		if (box.height < 44) faults.push("too low: " + e.id + " " + box.height);
	}
	for (const e of document.querySelectorAll("a:not(.button)")) {
		const box = e.getBoundingClientRect();
		if (box.height < 24 && e.closest("ul")) faults.push("link target too small: " + e.textContent + " " + box.height);
	}
	return faults.join("\n");
})()`

func TestPagesFitAndCauseNoPolicyViolation(t *testing.T) {
	complaints := make(chan string, 1000)
	ctx := browser(t, func(s string) { complaints <- s })
	server := serve(t)
	for _, size := range [][2]int64{{360, 740}, {390, 844}, {768, 1024}, {1280, 800}} {
		for _, scheme := range []string{"light", "dark"} {
			for _, e := range examples() {
				err := chromedp.Do(ctx, prefer(scheme), chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(server.URL+"/"+e.name))
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
				if *gallery == "" || size[0] == 360 && !strings.HasSuffix(e.name, "-long") || size[0] == 768 {
					continue
				}
				picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				name := filepath.Join(*gallery, fmt.Sprintf("%s-%d-%s.png", e.name, size[0], scheme))
				if err := os.WriteFile(name, picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for {
		select {
		case text := <-complaints:
			t.Error(text)
		default:
			return
		}
	}
}
