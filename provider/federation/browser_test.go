package federation_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"gatehouse/provider/federation"
	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

const adaEmail, adaSubject = "ada@example.com", "sub-ada-example-com"

// chained boots two servers, of which the near one, at localhost, trusts the far one, where a person must allow that once.
func chained(t *testing.T, c upstream.Config) (far, near *gatehouse) {
	t.Helper()
	far, near = reserve(t, "memory", "127.0.0.1"), reserve(t, "memory", "localhost")
	if err := far.boot(nil); err != nil {
		t.Fatal(err)
	}
	far.app(func(client *storage.Client) {
		client.ID, client.Name, client.FirstParty = "near", "Near", false
		client.RedirectURIs, client.PostLogoutRedirectURIs = []string{federation.RedirectURI(near.URL, "far")}, []string{near.URL + "/upstream/far/signed-out"}
		client.BackchannelLogoutURI = near.URL + "/upstream/far/logout"
	})
	c.ID, c.Type, c.Name, c.Issuer, c.ClientID, c.ClientSecret = "far", "oidc", "Far", far.URL, "near", appSecret
	if err := near.boot([]upstream.Config{c}); err != nil {
		t.Fatal(err)
	}
	return far, near
}

// logIn waits for the sign-in page of this server, the other may have one, too, and types.
func (g *gatehouse) logIn(b *webtest.Chromium, name string) {
	g.Helper()
	b.Until(fmt.Sprintf(`location.origin === %q && document.readyState === "complete" && !!document.querySelector("#login")`, g.URL))
	logIn(b, name)
}

func TestJourneyFirstSignInAndReturnThroughAnotherGatehouse(t *testing.T) {
	t.Parallel()
	withAndWithoutScripts(t, func(t *testing.T, window func() *webtest.Chromium) {
		far, near := chained(t, upstream.Config{CreateUsers: true})
		far.user(adaEmail)
		s := near.shop()
		b := window()
		s.enter(b)
		b.Await("#login")
		b.Says("Shop", "Continue with Far")
		pick(b, "far")
		far.logIn(b, adaEmail)
		b.Await("#consent")
		b.Says("Near wants to use your account")
		b.Click("allow")
		first := s.arrived(b, adaEmail)

		s.enter(b) // the session here is enough
		if again := s.arrived(b, adaEmail); again != first {
			t.Errorf("came back as %s, not %s", again, first)
		}
		b.Open(near.URL + "/account/security")
		b.Says("This is the only way into your account")
		b.Open(near.URL + "/account")
		b.Says("Ada Lovelace", adaEmail)
		b.Click("sign-out")
		b.Until(`document.body.innerText.includes("You are signed out")`)
		s.enter(b)
		pick(b, "far") // the session there is enough: nothing is typed
		if again := s.arrived(b, adaEmail); again != first {
			t.Errorf("came back as %s, not %s", again, first)
		}
		b.Silent()

		other := window()
		s.enter(other)
		pick(other, "far")
		far.logIn(other, adaEmail)
		if again := s.arrived(other, adaEmail); again != first {
			t.Errorf("from another browser it is %s, not %s", again, first)
		}
		other.Silent()
		if n := near.countUsers(); n != 1 {
			t.Errorf("%d users", n)
		}
	})
}

func TestJourneyLinkAndUnlinkAtTheAccountPage(t *testing.T) {
	t.Parallel()
	withAndWithoutScripts(t, func(t *testing.T, window func() *webtest.Chromium) {
		o := upstreamtest.NewOIDC(t)
		g := home(t, corp(o))
		o.SetNow(g.Clock.Now)
		o.SetUser(map[string]any{"sub": "user-7", "email": "ada@corp.example", "email_verified": true})
		g.user(adaEmail)
		s := g.shop()
		b := window()
		b.Open(g.URL + "/account/security")
		logIn(b, adaEmail)
		b.Await("#linkable")
		g.advance(6 * time.Minute)
		b.ClickOn("#link-corp button")
		b.Await("#login")
		b.Says("Sign in again before you link another account.")
		typePassword(b) // the name is there
		b.Await("#go")
		b.Says("Link Corp", "signed in as "+adaEmail)
		b.Fits()
		picture(b, "link")
		b.Click("go")
		b.Await("#identities")
		b.Says("Sign-in providers", "Corp", "ada@corp.example")
		picture(b, "linked")
		b.Open(g.URL + "/account")
		b.Click("sign-out")
		b.Await("#sign-in-again")

		s.enter(b)
		pick(b, "corp")
		if subject := s.arrived(b, adaEmail); subject != adaSubject {
			t.Errorf("came in as %s", subject)
		}
		unlink(g, b)
		s.enter(b) // the session came by the account that is gone
		b.Await("#login")
		logIn(b, adaEmail)
		if subject := s.arrived(b, adaEmail); subject != adaSubject {
			t.Errorf("came in as %s", subject)
		}
		if list := g.identities(adaSubject); len(list) != 0 {
			t.Errorf("identities %+v", list)
		}
		b.Silent()
	})
}

// unlink removes the one account at Corp, which must be asked for a second time after a sign-in that is fresh.
func unlink(g *gatehouse, b *webtest.Chromium) {
	g.Helper()
	g.advance(6 * time.Minute)
	b.Open(g.URL + "/account/security")
	b.ClickOn(`form[action="/account/unlink"] button`)
	b.Await("#login")
	b.Says("Sign in again to go on.")
	pick(b, "corp")
	b.Await("#identities")
	b.ClickOn(`form[action="/account/unlink"] button`)
	b.Await("#login")
}

func TestJourneyLastWayInStays(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	o := upstreamtest.NewOIDC(t)
	g := home(t, corp(o))
	s := g.shop()
	b := chromium.Window(t)
	s.enter(b)
	pick(b, "corp")
	subject := s.arrived(b, adaEmail)
	b.Open(g.URL + "/account/security")
	b.Await("#identities")
	b.Says("This is the only way into your account, so it cannot be removed.")
	if b.True(`!!document.querySelector('form[action="/account/unlink"]')`) {
		t.Error("the page offers to remove the last way in")
	}
	b.Silent()
	if list := g.identities(subject); len(list) != 1 {
		t.Errorf("identities %+v", list)
	}
}

func TestJourneyTwoProvidersWithTheSameAddress(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	one, two := upstreamtest.NewOIDC(t), upstreamtest.NewOIDC(t)
	two.SetUser(map[string]any{"sub": "other-9", "email": "Ada@Example.com", "email_verified": true})
	g := home(t, corp(one, func(c *upstream.Config) { c.ID, c.Name = "one", "First" }), corp(two, func(c *upstream.Config) { c.ID, c.Name = "two", "Second" }))
	s := g.shop()
	come := func(id string) *webtest.Chromium {
		b := chromium.Window(t)
		s.enter(b)
		pick(b, id)
		return b
	}
	b := come("one")
	subject := s.arrived(b, adaEmail)
	b.Silent()

	b = come("two")
	b.Await("#username[readonly]")
	b.Says("There is an account with the address Ada@Example.com here. Sign in to it once, and your Second account will be linked to it.", "Continue with First")
	b.Fits()
	picture(b, "proof")
	if n := len(g.identities(subject)); n != 1 {
		t.Errorf("%d identities before the proof", n)
	}
	pick(b, "one")
	if proven := s.arrived(b, adaEmail); proven != subject {
		t.Errorf("the proof led to %s, not %s", proven, subject)
	}
	b.Silent()
	for _, id := range []string{"one", "two"} {
		b := come(id)
		if again := s.arrived(b, adaEmail); again != subject {
			t.Errorf("%s leads to %s, not %s", id, again, subject)
		}
		b.Silent()
	}
	if n := g.countUsers(); n != 1 {
		t.Errorf("%d users", n)
	}
}

func TestJourneySignOutOfAChainOfTwo(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	far, near := chained(t, upstream.Config{CreateUsers: true, EndSession: true})
	far.user(adaEmail)
	s := near.shop()
	b := chromium.Window(t)
	s.enter(b)
	pick(b, "far")
	far.logIn(b, adaEmail)
	b.Click("allow")
	subject := s.arrived(b, adaEmail)
	b.Click("sign-out")
	b.Until(`location.origin === "` + s.url + `" && document.querySelector("#bye")?.textContent === "bye s1"`)
	if here, there := len(near.sessions(subject)), len(far.sessions(adaSubject)); here+there != 0 {
		t.Errorf("%d sessions live on here and %d there", here, there)
	}
	s.enter(b)
	pick(b, "far")
	far.logIn(b, adaEmail) // there, too, it asks again
	s.arrived(b, adaEmail)
	b.Silent()
}

func TestJourneyNameFirstThenThePasswordOrTheProvider(t *testing.T) {
	t.Parallel()
	withAndWithoutScripts(t, func(t *testing.T, window func() *webtest.Chromium) {
		o := upstreamtest.NewOIDC(t)
		o.AddUser("grace@corp.example", map[string]any{"sub": "corp-7", "email": "grace@corp.example", "email_verified": true})
		g := reserve(t, "memory", "localhost")
		if err := g.boot([]upstream.Config{corp(o, func(c *upstream.Config) { c.Domains = []string{"corp.example"} })}, inSteps); err != nil {
			t.Fatal(err)
		}
		g.user(adaEmail)
		s := g.shop()
		b := window()
		s.enter(b)
		b.Await("#next")
		b.Says("Shop", "Continue with Corp")
		b.SaysNot("Password")
		b.Fits()
		b.Fill("username", "eve@example.com")
		b.Click("next")
		b.Await("#sign-in")
		b.Says("Enter your password", "Not you?")
		b.SaysNot("Continue with Corp")
		b.Fits()
		b.Click("other")
		b.Await("#next")
		b.Fill("username", adaEmail)
		b.Click("next")
		b.Await("#username[readonly]")
		b.Fill("password", "not the password")
		b.Click("sign-in")
		b.Await("#login-error")
		b.Fits()
		if !b.True(`document.activeElement.id === "password" && document.querySelector("#username").value === "` + adaEmail + `"`) {
			t.Error("after a wrong password the page does not ask for another one")
		}
		typePassword(b)
		if subject := s.arrived(b, adaEmail); subject != adaSubject {
			t.Errorf("%s arrived", subject)
		}
		other := window()
		s.enter(other)
		other.Await("#next")
		other.Fill("username", "grace@corp.example")
		other.Click("next") // the provider knows the name and signs in
		s.arrived(other, "grace@corp.example")
		quiet(t, b, http.StatusUnauthorized)
		other.Silent()
	})
}

func TestJourneyFirstSignInOfALocalUserAsksForThePassword(t *testing.T) {
	t.Parallel()
	withAndWithoutScripts(t, func(t *testing.T, window func() *webtest.Chromium) {
		o := upstreamtest.NewOIDC(t)
		g := home(t, corp(o))
		g.user(adaEmail)
		s := g.shop()
		b := window()
		b.Open(s.url + "/?" + url.Values{"login_hint": {"somebody@else.example"}}.Encode())
		b.Click("sign-in")
		pick(b, "corp")
		b.Await("#username[readonly]")
		b.Says("There is an account with the address "+adaEmail+" here. Sign in to it once", "Shop")
		if !b.True(`document.querySelector("#username").value === "` + adaEmail + `"`) {
			t.Error("the name is not that of the user")
		}
		if n := len(g.identities(adaSubject)); n != 0 {
			t.Errorf("%d identities before the proof", n)
		}
		typePassword(b)
		if subject := s.arrived(b, adaEmail); subject != adaSubject {
			t.Errorf("the proof led to %s", subject)
		}
		b.Open(g.URL + "/account/security")
		b.Await("#identities")
		b.Says("Corp", adaEmail)
		b.Silent()
		other := window()
		s.enter(other)
		pick(other, "corp")
		if subject := s.arrived(other, adaEmail); subject != adaSubject {
			t.Errorf("the provider leads to %s", subject)
		}
		other.Silent()
	})
}
