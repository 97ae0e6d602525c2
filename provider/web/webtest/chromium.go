package webtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take on a machine that is busy with other tests.
const patience = 30 * time.Second

// Chromium is a window of a real browser with cookies of its own. It keeps what the browser complains about: errors on the console, exceptions, violations
// of a Content-Security-Policy.
type Chromium struct {
	t       *testing.T
	process context.Context
	ctx     context.Context
	// authenticator is the one that Authenticator has added.
	authenticator webauthn.AuthenticatorID

	mu         sync.Mutex
	complaints []string
}

// ChromiumPath is the program to start: the headless shell, which is the engine without the windows and menus around it and needs a third of the time, or
// else the whole browser. Without both the test is skipped, except in CI.
func ChromiumPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium-headless-shell", "chromium"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("chromium-headless-shell is not installed")
	}
	t.Skip("chromium-headless-shell is not installed; see deploy/dev/deps.sh")
	return ""
}

// StartChromium starts a browser that ends with the test, or skips the test; see ChromiumPath. More flags may be given.
func StartChromium(t *testing.T, more ...chromedp.ExecAllocatorOption) *Chromium {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(ChromiumPath(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true))
	options = append(options, more...)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	process, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(process); err != nil {
		t.Fatal(err)
	}
	return &Chromium{t: t, process: process}
}

// Window opens a window for a test, as a person without history: no cookies, no cache.
func (c *Chromium) Window(t *testing.T) *Chromium {
	t.Helper()
	return c.open(t, c.process, chromedp.WithNewBrowserContext())
}

// Tab opens another tab of the same person's: with the same cookies.
func (c *Chromium) Tab(t *testing.T) *Chromium {
	t.Helper()
	return c.open(t, c.ctx)
}

func (c *Chromium) open(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *Chromium {
	t.Helper()
	w := &Chromium{t: t, process: c.process}
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	w.ctx = ctx
	if err := chromedp.Listen(ctx, w.hear); err != nil {
		t.Fatal(err)
	}
	w.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, audits.Enable, cdp.Empty{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	}))
	return w
}

func (c *Chromium) hear(event any) {
	text := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		text = fmt.Sprint(e.Entry.Level, ": ", e.Entry.Text, " ", e.Entry.URL)
	case *runtime.EventExceptionThrown:
		text = "exception: " + e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		text = fmt.Sprint("console: ", e.Type)
	case *audits.EventIssueAdded:
		if e.Issue.Code != audits.InspectorIssueCodeContentSecurityPolicyIssue {
			return
		}
		text = fmt.Sprintf("policy violated: %+v", *e.Issue.Details.ContentSecurityPolicyIssueDetails)
	default:
		return
	}
	if strings.HasPrefix(text, "info: Autofocus processing was blocked because a document already has a focused element.") {
		return // a person who clicks into a field while the page loads: the driver is that quick now and then
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complaints = append(c.complaints, text)
}

// Silent demands that the browser has had nothing to complain about.
func (c *Chromium) Silent() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.complaints {
		c.t.Error(text)
	}
}

// Complaints are what the browser has had to complain about.
func (c *Chromium) Complaints() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.complaints)
}

// Do runs actions.
func (c *Chromium) Do(actions ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	// The window lives as long as the context of its first use, so the limit is on another one from the second on.
	ctx := c.ctx
	if chromedp.FromContext(ctx).Target != nil {
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		ctx = limited
	}
	if err := chromedp.Do(ctx, actions...); err != nil {
		c.t.Fatalf("%v at %s: %s", err, c.Location(), c.Text())
	}
}

// Open loads an address.
func (c *Chromium) Open(address string) {
	c.t.Helper()
	c.Do(chromedp.Navigate(address))
}

// Go begins to load an address and does not wait for it.
func (c *Chromium) Go(address string) {
	c.t.Helper()
	c.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, page.Navigate, page.NavigateParams{URL: address})
		return err
	}))
}

// Fill types into the input with the id, as a person does.
func (c *Chromium) Fill(id, value string) {
	c.t.Helper()
	c.Await("#" + id)
	// chromedp's own way reads the element's attributes while the page may be changing them, which the race detector minds.
	focused, err := evaluate[bool](c, fmt.Sprintf(`(e => { e.focus(); e.value = ""; return document.activeElement === e })(document.getElementById(%q))`, id))
	if err != nil || !focused {
		c.t.Fatalf("the field %s does not take the focus at %s: %v", id, c.Location(), err)
	}
	c.Do(chromedp.KeyEvent(value))
}

// Click waits for the element with the id and clicks it.
func (c *Chromium) Click(id string) {
	c.t.Helper()
	c.ClickOn("#" + id)
}

// ClickOn clicks the first element of a CSS selector.
func (c *Chromium) ClickOn(selector string) {
	c.t.Helper()
	c.Await(selector)
	c.Do(chromedp.Click(chromedp.CSS(selector)))
}

// Await waits for an element.
func (c *Chromium) Await(selector string) {
	c.t.Helper()
	c.Until(fmt.Sprintf("document.readyState === 'complete' && !!document.querySelector(%q)", selector))
}

// Until waits until the page says so. A page that is just being left counts as not yet.
func (c *Chromium) Until(expression string) {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for !c.True(expression) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s is never true; at %s: %s", expression, c.Location(), c.Text())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// True evaluates an expression.
func (c *Chromium) True(expression string) bool {
	ok, err := evaluate[bool](c, expression)
	return err == nil && ok
}

// Text is what a person reads on the page.
func (c *Chromium) Text() string {
	text, _ := evaluate[string](c, "document.body ? document.body.innerText : ''")
	return text
}

// Attribute waits for the first element of a CSS selector and returns one of its attributes.
func (c *Chromium) Attribute(selector, name string) string {
	c.t.Helper()
	c.Await(selector)
	value, err := evaluate[string](c, fmt.Sprintf("document.querySelector(%q).getAttribute(%q)", selector, name))
	if err != nil {
		c.t.Fatal(err)
	}
	return value
}

// TextOf waits for the first element of a CSS selector and returns its text, which may be folded away.
func (c *Chromium) TextOf(selector string) string {
	c.t.Helper()
	c.Await(selector)
	text, err := evaluate[string](c, fmt.Sprintf("document.querySelector(%q).textContent", selector))
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

// Location is the address in the address bar.
func (c *Chromium) Location() string {
	address, _ := evaluate[string](c, "location.href")
	return address
}

func evaluate[T any](c *Chromium, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// Scripts switches the scripts of pages on or off.
func (c *Chromium) Scripts(on bool) {
	c.t.Helper()
	c.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
}

// misfits returns what is wrong with the layout, one fault a line. Text below 16 px in an input makes phones zoom in.
const misfits = `(() => {
	const faults = [], wide = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > wide) faults.push("the page scrolls sideways: " + document.documentElement.scrollWidth);
	for (const e of document.querySelectorAll("main *")) {
		const box = e.getBoundingClientRect();
		if (box.width && box.right > wide + 1 && !e.closest("pre, .scroll") && getComputedStyle(e).position !== "absolute") faults.push("sticks out: " + e.tagName + "." + e.className);
	}
	for (const e of document.querySelectorAll(".button, input[type=text], input[type=password]")) {
		if (e.closest("[hidden]")) continue;
		if (e.getBoundingClientRect().height < 44) faults.push("too low to be touched: " + e.id);
		if (e.tagName === "INPUT" && parseFloat(getComputedStyle(e).fontSize) < 16) faults.push("zooms: " + e.id);
	}
	return faults.join("\n");
})()`

// Fits demands that the page on screen fits the window and can be touched.
func (c *Chromium) Fits() {
	c.t.Helper()
	// A page that is just being read has no stylesheet yet; one whose frames wait for others is read, but not complete.
	c.Until(`document.readyState !== "loading" && [...document.querySelectorAll("link[rel=stylesheet]")].every(l => l.sheet)`)
	faults, err := evaluate[string](c, misfits)
	if err != nil || faults != "" {
		c.t.Errorf("%s: %s %v", c.Location(), faults, err)
	}
}

// Picture writes the window, or the whole page, to a PNG file.
func (c *Chromium) Picture(file string, whole bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	take := chromedp.CaptureScreenshot()
	if whole {
		take = chromedp.FullScreenshot(100)
	}
	image, err := chromedp.Run(ctx, take)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, image, 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// Says demands that the page on screen reads as given.
func (c *Chromium) Says(words ...string) {
	c.t.Helper()
	text := c.Text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			c.t.Errorf("%s does not say %q: %s", c.Location(), w, text)
		}
	}
}

// SaysNot demands the opposite.
func (c *Chromium) SaysNot(words ...string) {
	c.t.Helper()
	text := c.Text()
	if i := slices.IndexFunc(words, func(w string) bool { return strings.Contains(text, w) }); i >= 0 {
		c.t.Errorf("%s says %q: %s", c.Location(), words[i], text)
	}
}
