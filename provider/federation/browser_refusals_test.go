package federation_test

import (
	"net"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/provider/web/webtest"
)

func TestJourneyOfSomebodyWithoutAnAccount(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	o := upstreamtest.NewOIDC(t)
	o.SetUser(map[string]any{"sub": "stranger", "email": "stranger@example.com", "email_verified": true})
	g := home(t, corp(o, func(c *upstream.Config) { c.CreateUsers = false }))
	g.user(adaEmail)
	s := g.shop()
	b := chromium.Window(t)
	s.enter(b)
	pick(b, "corp")
	b.Await("#error-heading")
	b.Says("There is no account for you here", "Corp", "Continue with Corp", "Other ways to sign in", "Request id")
	b.SaysNot("stranger")
	b.Fits()
	picture(b, "unknown")
	if n := g.countUsers(); n != 1 {
		t.Errorf("%d users", n)
	}
	b.Click("other-ways")
	logIn(b, adaEmail)
	if subject := s.arrived(b, adaEmail); subject != adaSubject {
		t.Errorf("came in as %s", subject)
	}
	quiet(t, b, 403)
}

func TestJourneyOfAnotherHostedDomain(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	o := upstreamtest.NewOIDC(t)
	o.SetUser(map[string]any{"sub": "1081", "email": "ada@gmail.com", "email_verified": true})
	g := home(t, corp(o, func(c *upstream.Config) {
		c.ID, c.Type, c.Name, c.HostedDomains = "google", "google", "", []string{"example.com"}
	}))
	s := g.shop()
	b := chromium.Window(t)
	s.enter(b)
	pick(b, "google")
	b.Await("#error-heading")
	b.Says("Your account is not allowed here", "You signed in at Google", "Use another account", "Other ways to sign in")
	b.Fits()
	picture(b, "not-allowed")
	if n := g.countUsers(); n != 0 {
		t.Errorf("%d users", n)
	}
	o.SetUser(map[string]any{"sub": "1082", "email": adaEmail, "email_verified": true, "hd": "example.com"})
	pick(b, "google") // with another account
	s.arrived(b, adaEmail)
	quiet(t, b, 403)
}

func TestJourneyWhileTheProviderIsDown(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	o := upstreamtest.NewOIDC(t)
	o.Close()
	g := home(t, corp(o))
	g.user(adaEmail)
	s := g.shop()
	b := chromium.Window(t)
	s.enter(b)
	b.Await("#login")
	b.Says("Corp is not available right now.")
	if b.True(`!!document.querySelector("#upstream-corp")`) || !b.True(`document.querySelector("button.provider").disabled`) {
		t.Error("the provider can be chosen")
	}
	b.Fits()
	picture(b, "down")
	logIn(b, adaEmail)
	if subject := s.arrived(b, adaEmail); subject != adaSubject {
		t.Errorf("came in as %s", subject)
	}
	b.Open(g.URL + "/account/security")
	b.Await("#linkable button:disabled")
	b.Says("Corp is not available right now.")
	b.Fits()
	b.Silent()
}

// door is a listener that can be shut and opened again without giving up its port.
type door struct {
	net.Listener
	server *httptest.Server
	isShut atomic.Bool
}

// behindDoor moves a provider to another address, whose door is open at first.
func behindDoor(t *testing.T, o *upstreamtest.OIDC) *door {
	t.Helper()
	server := httptest.NewUnstartedServer(o)
	d := &door{Listener: server.Listener, server: server}
	server.Listener = d
	server.Start()
	t.Cleanup(server.Close)
	o.Issuer = server.URL
	return d
}

func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil || !d.isShut.Load() {
			return c, err
		}
		_ = c.Close()
	}
}

func (d *door) shut() {
	d.isShut.Store(true)
	d.server.CloseClientConnections()
}

func (d *door) open() { d.isShut.Store(false) }

func TestJourneyWhenTheProviderGoesDownOnTheWay(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	o := upstreamtest.NewOIDC(t)
	d := behindDoor(t, o)
	asking(o)
	g := home(t, corp(o))
	s := g.shop()
	b := chromium.Window(t)
	s.enter(b)
	pick(b, "corp")
	b.Await("#allow")
	d.shut()
	b.Click("allow")
	b.Await("#error-heading")
	b.Says("Corp does not answer", "Try again in a moment", "Other ways to sign in")
	b.Fits()
	picture(b, "unavailable")
	d.open()
	pick(b, "corp")
	b.Click("allow")
	s.arrived(b, adaEmail)
	quiet(t, b, 502)
}

func TestJourneyCancelledAtTheProvider(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	o := upstreamtest.NewOIDC(t)
	asking(o)
	g := home(t, corp(o))
	g.user(adaEmail)
	s := g.shop()
	b := chromium.Window(t)
	s.enter(b)
	pick(b, "corp")
	b.Click("cancel")
	b.Await("#error-heading")
	b.Says("You did not sign in", "The sign-in with Corp was cancelled. Nothing has changed.")
	b.SaysNot("Not today")
	b.Fits()
	picture(b, "cancelled")
	b.Click("other-ways")
	logIn(b, adaEmail)
	if subject := s.arrived(b, adaEmail); subject != adaSubject {
		t.Errorf("came in as %s", subject)
	}
	b.Silent()
}

func TestJourneyOfTheCallbackInASecondBrowser(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	o := upstreamtest.NewOIDC(t)
	asking(o)
	g := home(t, corp(o))
	s := g.shop()
	b := chromium.Window(t)
	s.enter(b)
	pick(b, "corp")
	b.Await("#allow")
	callback := b.Attribute("#allow", "href")

	stranger := chromium.Window(t)
	nothing := func(b *webtest.Chromium) {
		t.Helper()
		b.Open(callback)
		b.Await("#error-heading")
		b.Says("This sign-in cannot go on here", "It was started in another browser")
		b.SaysNot("Corp", adaEmail)
	}
	nothing(stranger)
	stranger.Fits()
	stranger.Click("continue")
	stranger.Await("#login") // nobody is signed in
	nothing(stranger)        // nor is it because it has cookies now
	if n := g.countUsers(); n != 0 {
		t.Errorf("%d users", n)
	}
	quiet(t, stranger, 403)

	b.Click("allow") // the walk goes on where it began
	subject := s.arrived(b, adaEmail)
	nothing(b) // once
	nothing(stranger)
	if list := g.sessions(subject); len(list) != 1 {
		t.Errorf("%d sessions", len(list))
	}
	quiet(t, b, 403)
}
