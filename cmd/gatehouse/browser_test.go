package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
)

var gallery = flag.String("gallery", "", "folder to write a picture of every page to")

// chromium starts one browser; what it complains about, such as a violated policy, is sent to complain.
func chromium(t *testing.T, complain func(string)) context.Context {
	t.Helper()
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
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	err = chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok {
			complain(e.Entry.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// TestNewcomerSignsInAtThePlaygroundInARealBrowser is the first minute with Gatehouse: one command in an empty folder, a browser, the printed user.
func TestNewcomerSignsInAtThePlaygroundInARealBrowser(t *testing.T) {
	complaints := make(chan string, 1000)
	ctx := chromium(t, func(text string) { complaints <- text })
	i := start(t, environment(t), "--dev", "--format", "json")
	i.await(t, func() bool { return json.Valid([]byte(i.out.String())) })
	var w welcome
	if err := json.Unmarshal([]byte(i.out.String()), &w); err != nil {
		t.Fatal(err)
	}
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			var at string
			if at, _ = chromedp.Run(ctx, chromedp.Evaluate[string]("location.pathname + '\\n' + document.body.innerText")); len(at) > 2000 {
				at = at[:2000]
			}
			t.Fatalf("%v at %s\n%s", err, at, i.err.String())
		}
	}
	shows := func(selector string, texts ...string) {
		t.Helper()
		page, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.querySelector("+quote(selector)+").innerText"))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if !strings.Contains(page, text) {
				t.Errorf("%s does not show %q: %s", selector, text, page)
			}
		}
	}
	look := func(name string) {
		t.Helper()
		if *gallery == "" {
			return
		}
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*gallery, name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	do(chromedp.EmulateViewport(1100, 800), chromedp.Navigate(w.Playground), chromedp.WaitVisible("#start"), chromedp.Click("#start [value=go]"), chromedp.WaitVisible("#login"))
	shows("#client-name", "playground")
	look("login")
	do(chromedp.SendKeys("#username", w.Username), chromedp.SendKeys("#password", w.Password), chromedp.Click("#sign-in"), chromedp.WaitVisible("#consent"))
	look("consent")
	do(chromedp.Click("#allow"), chromedp.WaitVisible("#claims"))
	look("playground")
	shows("#signed-in", "Dana Mercer Moss", "verified")
	shows("#claims", demoEmail, "family_name", "Moss")
	shows("#id-token", "verified", "nonce", w.Issuer)
	shows("#access-token", "verified", "at+jwt", playgroundClient)

	do(chromedp.Click("#refresh"), chromedp.WaitVisible("#history .outcome"))
	shows("#history", "rotated", "200 OK")
	do(chromedp.Click("#introspect"), chromedp.WaitVisible("#history details:nth-of-type(2)"))
	shows("#history", "The token is active.")
	do(chromedp.Click("#userinfo"), chromedp.WaitVisible("#history details:nth-of-type(3)"))
	shows("#history", "The access token is accepted.")
	do(chromedp.Click("#revoke-refresh"), chromedp.WaitVisible("#history details:nth-of-type(4)"))
	shows("#history", "Revoked, with everything")
	do(chromedp.Click("#introspect"), chromedp.WaitVisible("#history details:nth-of-type(5)"))
	shows("#history", "The token is not active")
	do(chromedp.Click("#refresh"), chromedp.WaitVisible("#history .problem"))
	shows("#history", "invalid_grant")
	look("playground-used")

	// The provider's session is another one: the next sign-in asks nothing. Then both end.
	do(chromedp.Click("#start-again"), chromedp.WaitVisible("#start"), chromedp.Click("#start [value=go]"), chromedp.WaitVisible("#claims"))
	do(chromedp.Click("#sign-out"), chromedp.WaitVisible("#provider-account"), chromedp.Click("#provider-account"), chromedp.WaitVisible("#logout"))
	look("account")
	do(chromedp.Click("#logout #sign-out"), chromedp.WaitNotPresent("#logout"), chromedp.Navigate(w.Playground), chromedp.WaitVisible("#start"),
		chromedp.Click("#start [value=go]"), chromedp.WaitVisible("#login"))
	for len(complaints) > 0 {
		t.Errorf("Chromium complains: %s", <-complaints)
	}
}

func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can be written as JSON
	}
	return string(b)
}
