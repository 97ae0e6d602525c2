package playground

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"gatehouse/provider/rp/rptest"
	"gatehouse/provider/web/webtest"
)

var gallery = flag.String("gallery", "", "folder to write a picture of every page to")

// chromium starts one browser; what it complains about is sent to complain.
func chromium(t *testing.T, complain func(string)) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(webtest.ChromiumPath(t)), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	if err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok {
			complain(e.Entry.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func prefer(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

const faults = `(() => {
	const found = [], wide = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > wide) found.push("page scrolls sideways: " + document.documentElement.scrollWidth);
	for (const e of document.querySelectorAll("main *")) {
		const box = e.getBoundingClientRect();
		if (box.width && box.right > wide + 1) found.push("sticks out: " + e.tagName + "." + e.className);
	}
	for (const e of document.querySelectorAll(".button, select")) if (e.getBoundingClientRect().height < 44) found.push("too low: " + e.id);
	return found.join("\n");
})()`

func TestRealBrowserRunsTheFlowAndEveryPageFits(t *testing.T) {
	for _, view := range []struct {
		scheme        string
		width, height int64
	}{{"light", 1280, 900}, {"dark", 375, 740}} {
		t.Run(fmt.Sprint(view.width, view.scheme), func(t *testing.T) {
			complaints := make(chan string, 1000)
			ctx := chromium(t, func(s string) { complaints <- s })
			s := newStage(t)
			s.provider.Break(rptest.Faults{
				Before:   func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Path == "/favicon.ico" },
				Document: rptest.OfferLogout,
			})
			do := func(actions ...chromedp.Action[chromedp.Void]) {
				t.Helper()
				if err := chromedp.Do(ctx, actions...); err != nil {
					t.Fatal(err)
				}
			}
			look := func(name string) {
				t.Helper()
				found, err := chromedp.Run(ctx, chromedp.Evaluate[string](faults))
				if err != nil || found != "" {
					t.Errorf("%s: %s %v", name, found, err)
				}
				picture(t, ctx, fmt.Sprintf("playground-%s-%d-%s.png", name, view.width, view.scheme))
			}
			do(prefer(view.scheme), chromedp.EmulateViewport(view.width, view.height), chromedp.Navigate(s.provider.Issuer+"/playground"), chromedp.WaitVisible("#sign-in"))
			look("welcome")
			do(chromedp.Click("#show"), chromedp.WaitVisible("#continue"))
			look("request")
			do(chromedp.Click("#continue"), chromedp.WaitVisible("[name=username]"), chromedp.SendKeys("[name=username]", rptest.Username),
				chromedp.SendKeys("[name=password]", rptest.Password), chromedp.Click("#sign-in"), chromedp.WaitVisible("#allow"), chromedp.Click("#allow"), chromedp.WaitVisible("#claims"))
			look("result")
			do(chromedp.Click("#revoke-refresh"), chromedp.WaitVisible("#history .outcome"), chromedp.Click("#refresh"), chromedp.WaitVisible("#history .problem"))
			look("revoked")
			do(chromedp.Click("#sign-out"), chromedp.WaitVisible("#signed-out"))
			look("signed-out")
			do(chromedp.Click("#sign-in-again"), chromedp.WaitVisible("#sign-in"))
			if _, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("#prompt").value = "none"`)); err != nil {
				t.Fatal(err)
			}
			do(chromedp.Click("#sign-in"), chromedp.WaitVisible("#failed"))
			look("failed")
			do(chromedp.Click("#sign-out"), chromedp.WaitVisible("#provider-account"))
			look("forgotten") // no ID token, so the provider is not asked
			for len(complaints) > 0 {
				t.Error(<-complaints)
			}
		})
	}
}

func picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	if *gallery == "" {
		return
	}
	image, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*gallery, name), image, 0o644); err != nil {
		t.Fatal(err)
	}
}
