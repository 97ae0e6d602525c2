package provider_test

import (
	"fmt"
	"testing"

	"gatehouse/provider/web/webtest"
)

// The journeys of links in mails, in a real browser without scripts, on a phone and on a desk.

// everyWidth runs a journey that begins at an app.
func everyWidth(t *testing.T, journey func(m *mailed, v *visited, b *webtest.Chromium)) {
	chromium := webtest.StartChromium(t)
	for _, width := range []int64{360, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			m := correspond(t, "memory")
			v := visit(m.server, "localhost", "query")
			b := chromium.Window(t)
			b.Scripts(false)
			b.Look(width, 800, "light")
			b.Open(v.url())
			b.Click("link")
			b.Await("#login")
			b.Fits()
			journey(m, v, b)
			b.Fits()
			b.Click("allow")
			b.Await("#done")
			b.Says("hello ")
			b.Silent()
		})
	}
}

func TestBrowserSignsUpOnTheWayToAnApp(t *testing.T) {
	everyWidth(t, func(m *mailed, _ *visited, b *webtest.Chromium) {
		b.Click("to-signup")
		b.Await("#signup")
		b.Fits()
		b.Fill("email", "ada@example.com")
		b.Fill("name", "Ada Lovelace")
		b.Fill("password", password)
		b.Click("create")
		b.Await("#told-title")
		b.Says("ada@example.com")
		b.Fits()
		b.Open(m.link("ada@example.com", "signup"))
		b.Await("#confirm")
		b.Fits()
		b.Click("create")
		b.Await("#allow")
	})
}

func TestBrowserGetsOverAForgottenPassword(t *testing.T) {
	everyWidth(t, func(m *mailed, _ *visited, b *webtest.Chromium) {
		m.user("ada@example.com")
		b.Click("to-recovery")
		b.Await("#recovery")
		b.Fits()
		b.Fill("username", "ada@example.com")
		b.Click("send")
		b.Await("#told-title")
		b.Fits()
		b.Open(m.link("ada@example.com", "reset"))
		b.Await("#reset")
		b.Fits()
		b.Fill("password", otherPassword)
		b.Click("save")
		b.Await("#allow")
	})
}

func TestBrowserSignsInByALink(t *testing.T) {
	everyWidth(t, func(m *mailed, _ *visited, b *webtest.Chromium) {
		m.user("ada@example.com")
		b.Click("to-mail-link")
		b.Await("#mail-link")
		b.Fits()
		b.Fill("username", "ada@example.com")
		b.Click("send")
		b.Await("#told-title")
		b.Fits()
		b.Open(m.link("ada@example.com", "magic"))
		b.Await("#press")
		b.Fits()
		b.Click("go")
		b.Await("#allow")
	})
}
