package provider_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/provider"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/web/webtest"
)

// Journeys of people in a real browser: each on a phone in the light and on a desk in the dark, without scripts unless a passkey is the point, and without a word of complaint on
// the console or about a policy. The files journey_*_test.go hold them by what people want.

// journey is one of them. It begins at the page of an app that sends its people here.
type journey struct {
	scripts bool
	changes []func(*provider.Options)
	walk    func(j *trip)
}

// trip is a journey under way: a server of its own, with mail and second factors, an app, and a browser.
type trip struct {
	*mailed
	b        *webtest.Chromium
	v        *visited
	chromium *webtest.Chromium
	// refusals are the statuses of pages that say no, which a browser puts on its console.
	refusals []int
}

// abreast is how many journeys of a table are under way at once: most of the time they wait for a browser.
const abreast = 4

// travel walks all journeys of a table at both widths.
func travel(t *testing.T, journeys map[string]journey) {
	chromium := webtest.StartChromium(t)
	free := make(chan struct{}, abreast)
	var wg sync.WaitGroup
	for name, journey := range journeys {
		for width, scheme := range map[int64]string{360: "light", 1280: "dark"} {
			free <- struct{}{}
			wg.Go(func() {
				defer func() { <-free }()
				t.Run(fmt.Sprint(name, " ", width), func(t *testing.T) {
					j := &trip{mailed: housed(t, journey.changes...), chromium: chromium, b: chromium.Window(t)}
					j.v = visit(j.server, "127.0.0.1", "query")
					j.b.Scripts(journey.scripts)
					j.b.Look(width, 800, scheme)
					journey.walk(j)
					j.quiet()
				})
			})
		}
	}
	wg.Wait()
}

// quiet demands that the browser has had nothing to complain about but the status of pages that say no.
func (j *trip) quiet() {
	j.Helper()
	for _, text := range j.b.Complaints() {
		if !slices.ContainsFunc(j.refusals, func(status int) bool {
			return strings.Contains(text, fmt.Sprintf("the server responded with a status of %d ", status)) && strings.Contains(text, j.URL)
		}) {
			j.Error(text)
		}
	}
}

// to opens an address of the server, and waits for what its page must hold.
func (j *trip) to(path, selector string) {
	j.Helper()
	j.b.Open(j.URL + path)
	j.see(selector)
}

// see waits for what the page must hold, and looks at the whole.
func (j *trip) see(selector string) {
	j.Helper()
	j.b.Await(selector)
	j.b.Fits()
}

// fill fills in one field after the other, presses the button, and waits for another page.
func (j *trip) fill(button string, fields ...string) {
	j.Helper()
	for i := 0; i < len(fields); i += 2 {
		j.b.Fill(fields[i], fields[i+1])
	}
	j.press("#" + button)
}

// press clicks the first element of a CSS selector and waits for another page.
func (j *trip) press(selector string) {
	j.Helper()
	j.b.True(`document.documentElement.dataset.old = "1", true`)
	j.b.ClickOn(selector)
	j.b.Until(`document.readyState === "complete" && !document.documentElement.dataset.old`)
}

// signIn types a name and a password into the sign-in page.
func (j *trip) signIn(name, password string) {
	j.Helper()
	j.see("#login")
	j.fill("sign-in", "username", name, "password", password)
}

// again types the password for an account that the page names.
func (j *trip) again() {
	j.Helper()
	j.see("#login")
	j.b.Says("Sign in again to go on.")
	j.fill("sign-in", "password", password)
}

// fromApp goes to the sign-in page by way of the app.
func (j *trip) fromApp() {
	j.Helper()
	j.b.Open(j.v.url())
	j.b.Click("link")
}

// arrives demands that the app greets the user with the subject.
func (j *trip) arrives(subject string) {
	j.Helper()
	j.b.Await("#allow, #done")
	if j.b.True(`!!document.querySelector("#allow")`) {
		j.b.Fits()
		j.b.Click("allow")
	}
	j.v.arrive(j.b, "hello "+subject)
}

// told waits for a page that says how something ended, or how it goes on.
func (j *trip) told(words ...string) {
	j.Helper()
	j.see("#told-title")
	j.b.Says(words...)
}

// follow opens the link of the newest mail of a kind.
func (j *trip) follow(to, kind, selector string) {
	j.Helper()
	j.b.Open(j.link(to, kind))
	j.see(selector)
}

// refused notes that pages with a status were seen on purpose.
func (j *trip) refused(status int) { j.refusals = append(j.refusals, status) }

// elsewhere walks in a browser of somebody else, or of the same person somewhere else, for a while.
func (j *trip) elsewhere(walk func()) {
	j.Helper()
	own := j.b
	j.b = j.chromium.Window(j.T)
	j.b.Scripts(false)
	walk()
	j.quiet()
	j.b = own
}

// appOnPage reads the secret from the page of a new authenticator app.
func (j *trip) appOnPage() credentialtest.App {
	j.Helper()
	return credentialtest.App{Secret: j.b.TextOf("#secret")}
}

// codes are the recovery codes on the page.
func (j *trip) codes() []string {
	j.Helper()
	j.see("#codes li:nth-child(10)")
	var codes []string
	for i := range 10 {
		codes = append(codes, j.b.TextOf(fmt.Sprintf("#codes li:nth-child(%d) code", i+1)))
	}
	return codes
}

// saved waits for a download whose name has an ending, and returns what is in it.
func (j *trip) saved(folder, ending string) string {
	j.Helper()
	var data []byte
	j.eventually("the download", func() bool {
		files, err := filepath.Glob(filepath.Join(folder, "*"+ending))
		if err != nil || len(files) == 0 {
			return false
		}
		data, err = os.ReadFile(files[0])
		return err == nil && len(data) > 0
	})
	return string(data)
}
