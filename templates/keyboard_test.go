package templates

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tabStart puts the focus before everything else and returns how many stops the page has for the tab key: what can be used and seen, in the order of the page.
// Of a group of radio buttons one is a stop.
const tabStart = `(() => {
	const groups = new Set();
	window.stops = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter(e => {
		if (e.disabled || e.type === "hidden" || e.getAttribute("tabindex") === "-1" || !e.checkVisibility()) return false;
		if (e.type !== "radio") return true;
		const group = [...document.querySelectorAll("input[type=radio]")].filter(r => r.name === e.name && r.form === e.form);
		return e === (group.find(r => r.checked) ?? group[0]);
	});
	const start = document.createElement("span");
	start.tabIndex = -1;
	document.body.prepend(start);
	start.focus();
	return window.stops.length;
})()`

// tabStop returns the number of the stop that has the focus, -1 if it is none, and what is wrong with how that is shown.
const tabStop = `(() => {
	const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
	const stop = {Index: window.stops.indexOf(e), Name: e.tagName + "#" + e.id + " " + e.textContent.trim().slice(0, 40)};
	if (stop.Index >= 0) {
		if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) stop.Fault = "shows no outline";
		else if (box.bottom < 1 || box.top > innerHeight - 1 || box.right < 1 || box.left > innerWidth - 1) stop.Fault = "is outside of the window";
	}
	return stop;
})()`

type tabbed struct {
	Index       int
	Name, Fault string
}

// walkByTab presses the tab key until the page ends and returns what is wrong, "" if nothing is.
func walkByTab(ctx context.Context) (string, error) {
	stops, err := chromedp.Run(ctx, chromedp.Evaluate[int](tabStart))
	if err != nil {
		return "", err
	}
	var faults []string
	for want := 0; want <= stops; want++ {
		if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab)); err != nil {
			return "", err
		}
		at, err := chromedp.Run(ctx, chromedp.Evaluate[tabbed](tabStop))
		if err != nil {
			return "", err
		}
		switch {
		case want == stops && at.Index > 0 || want == stops && at.Index == 0 && stops == 1:
			faults = append(faults, at.Name+" does not let the focus go")
		case want < stops && at.Index != want:
			faults = append(faults, at.Name+" comes out of turn")
		case at.Fault != "":
			faults = append(faults, at.Name+" "+at.Fault)
		}
	}
	return strings.Join(faults, "\n"), nil
}

// TestEveryControlIsReachedByTab walks every page on a small window.
func TestEveryControlIsReachedByTab(t *testing.T) {
	ctx := browser(t, func(string) {})
	server := serve(t)
	if err := chromedp.Do(ctx, prefer("light"), chromedp.EmulateViewport(360, 640)); err != nil {
		t.Fatal(err)
	}
	for _, e := range examples() {
		if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/en/"+e.name)); err != nil {
			t.Fatal(err)
		}
		faults, err := walkByTab(ctx)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		if faults != "" {
			t.Errorf("%s: %s", e.name, faults)
		}
	}
}

// TestWalkByTabFindsFaults shows that the walk can fail.
func TestWalkByTabFindsFaults(t *testing.T) {
	ctx := browser(t, func(string) {})
	pages := map[string]string{
		"":                        `<a href="/">one</a><input type="radio" name="r"><input type="radio" name="r"><button>two</button>`,
		"shows no outline":        `<a href="/" style="outline: none">one</a><button>two</button>`,
		"is outside of":           `<a href="/" style="position: fixed; left: -100px">one</a><button>two</button>`,
		"out of turn":             `<a href="/">one</a><a href="/" tabindex="1">two</a>`,
		"does not let the focus":  `<a href="/">one</a><button onkeydown="event.preventDefault()">two</button>`,
		"does not let the focus ": `<button onkeydown="event.preventDefault()">one</button>`,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><style>:focus-visible { outline: 2px solid }</style>` + pages[r.URL.Query().Get("page")]))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for want := range pages {
		if err := chromedp.Do(ctx, prefer("light"), chromedp.Navigate(server.URL+"/?page="+strings.ReplaceAll(want, " ", "+"))); err != nil {
			t.Fatal(err)
		}
		got, err := walkByTab(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(got, strings.TrimSpace(want)) || want == "" && got != "" {
			t.Errorf("found %q, want %q", got, want)
		}
	}
}
