package provider_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// The journeys of the account page in a real browser, on a phone and on a desk. Nothing but a passkey needs scripts.

// accountPages are its pages, and what each must hold.
var accountPages = map[string]string{
	"": "#overview", "/profile": "#profile-form", "/security": "#change-password", "/sessions": "#sessions", "/activity": "#history", "/apps": "#apps", "/data": "#download",
}

// housed is a server with mail and second factors, at an address that passkeys work at.
func housed(t *testing.T, changes ...func(*provider.Options)) *mailed {
	t.Helper()
	m := correspond(t, "memory", append([]func(*provider.Options){secondFactors}, changes...)...)
	m.URL = strings.Replace(m.URL, "127.0.0.1", "localhost", 1)
	return m
}

// at opens a page of the account and looks at it.
func at(s *server, b *webtest.Chromium, page string) {
	b.Open(s.URL + "/account" + page)
	b.Await(accountPages[page])
	b.Fits()
}

// done waits until a page says that something was done.
func done(b *webtest.Chromium, what string) {
	b.Until(fmt.Sprintf(`(document.querySelector("#done")?.innerText || "").includes(%q)`, what))
	b.Fits()
}

// Times are those of the person's own clock where scripts run, and say that they are UTC where not.
func TestBrowserTimesAreThoseOfThePersonsClock(t *testing.T) {
	t.Parallel()
	m := housed(t)
	m.user("ada@example.com")
	b := webtest.StartChromium(t).Window(t)
	b.Zone("Asia/Tokyo")
	b.Open(m.URL + "/account/sessions")
	logIn(b)
	b.Await("#sessions time")
	moment, err := time.Parse(time.RFC3339, b.Attribute("#sessions time", "datetime"))
	if err != nil {
		t.Fatal(err)
	}
	spaces := strings.NewReplacer("\u202f", " ", "\u00a0", " ")
	want := moment.In(time.FixedZone("Tokyo", 9*60*60)).Format("January 2, 2006 at 3:04 PM")
	if got := spaces.Replace(b.TextOf("#sessions time")); got != want {
		t.Errorf("in Tokyo the page says %q, want %q", got, want)
	}
	inUTC := moment.UTC().Format("2 January 2006, 15:04") + " UTC"
	if got := b.Attribute("#sessions time", "title"); got != inUTC {
		t.Errorf("the title says %q, want %q", got, inUTC)
	}
	b.Scripts(false)
	b.Open(m.URL + "/account/sessions")
	if got := b.TextOf("#sessions time"); got != inUTC {
		t.Errorf("without scripts the page says %q, want %q", got, inUTC)
	}
	b.Silent()
}

func TestBrowserAccountPages(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	for width, scheme := range map[int64]string{360: "light", 1280: "dark"} {
		t.Run(fmt.Sprint(width, " ", scheme), func(t *testing.T) {
			m := housed(t)
			subject := m.user("ada@example.com")
			m.client()
			if err := m.Store.GrantConsent(t.Context(), &storage.Consent{Subject: subject, ClientID: "app", Scopes: []string{"openid", "email"}}); err != nil {
				t.Fatal(err)
			}
			b := chromium.Window(t)
			b.Scripts(false)
			b.Look(width, 800, scheme)
			b.Open(m.URL + "/account")
			logIn(b)
			b.Await("#overview")
			for page := range accountPages {
				at(m.server, b, page)
			}
			at(m.server, b, "/apps")
			b.Says("Example App", "See your e-mail address")
			b.ClickOn(`form[action="/account/disconnect"] button`)
			done(b, "no access any more")
			at(m.server, b, "/profile")
			b.Fill("nickname", "Countess")
			b.Click("save")
			done(b, "saved")
			b.Fill("new-email", "countess@example.com")
			b.Click("change-email")
			done(b, "on its way")
			b.Open(m.link("countess@example.com", "email_change"))
			b.Await("#press")
			b.Fits()
			b.Click("go")
			b.Await("#told-title")
			at(m.server, b, "")
			b.Says("countess@example.com")
			at(m.server, b, "/activity")
			b.Says("E-mail address changed", "Example App disconnected")
			b.Silent()
		})
	}
}

func TestBrowserAccountSecondFactor(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	for _, width := range []int64{360, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			m := housed(t)
			m.user("ada@example.com")
			b := chromium.Window(t)
			b.Scripts(false)
			b.Look(width, 800, "light")
			b.Open(m.URL + "/account")
			logIn(b)
			b.Await("#overview")
			at(m.server, b, "/security")
			b.Click("add-authenticator")
			b.Await("#qr")
			b.Fits()
			b.ClickOn("details summary")
			b.Until(`document.querySelector("details").open`)
			app := credentialtest.App{Secret: secretOnPage.FindString(b.Text())}
			b.Fill("code", app.Code(m.Clock.Now()))
			b.Fill("name", "My phone")
			b.Click("add")
			b.Await("#codes")
			b.Fits()
			b.Click("codes-done")
			b.Await("#factors")
			b.Says("My phone", "10 codes left")

			m.Clock.Advance(6 * time.Minute) // to remove it, the person must show it
			b.ClickOn(`form[action="/account/factor/remove"] button`)
			b.Await("#login")
			b.Says("Sign in again to go on.")
			b.Fill("password", password)
			b.Click("sign-in")
			b.Await("#code")
			b.Fill("code", m.nextCode(app))
			b.ClickOn("main form button[type=submit]")
			b.Await("#factors") // back where the person was
			b.ClickOn(`form[action="/account/factor/remove"] button`)
			done(b, "removed")
			b.SaysNot("My phone")
			b.Silent()
		})
	}
}

// secretOnPage is the key of an authenticator app in groups of four.
var secretOnPage = regexp.MustCompile(`([A-Z2-7]{4} ){7}[A-Z2-7]{4}`)

func TestBrowserAccountPasskey(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	for _, width := range []int64{360, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			m := housed(t)
			m.user("ada@example.com")
			b := chromium.Window(t)
			b.Look(width, 800, "dark")
			b.Authenticator()
			b.Open(m.URL + "/account/security")
			logIn(b)
			b.Click("add-passkey")
			b.Await("#passkey")
			b.Fits()
			b.Fill("name", "This laptop")
			b.Click("add-passkey")
			b.Await("#codes")
			b.Click("codes-done")
			b.Await("#factors")
			b.Says("This laptop", "Passkey")
			b.Fits()
			b.Silent()
		})
	}
}

func TestBrowserAccountPasswordDevicesAndDeletion(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	for _, width := range []int64{360, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			m := housed(t)
			subject := m.user("ada@example.com")
			other := m.browser("ada@example.com")
			other.walk(m.URL + "/account")
			b := chromium.Window(t)
			b.Scripts(false)
			b.Look(width, 800, "light")
			b.Open(m.URL + "/account/sessions")
			logIn(b)
			b.Await("#end-others")
			b.Says("This browser", "Chrome on Linux")
			b.Fits()
			b.Click("end-others")
			done(b, "signed out")
			if p := other.get(m.URL + "/account"); p.StatusCode != http.StatusSeeOther {
				t.Errorf("the other device is signed in: %d", p.StatusCode)
			}
			b.Open(m.URL + "/account/password")
			b.Fits()
			b.Fill("password", otherPassword)
			b.Fill("repeat", otherPassword)
			b.Click("save")
			done(b, "Your password is changed")
			at(m.server, b, "/data")
			b.Fill("confirm", "ada@example.com")
			b.Click("delete-account")
			b.Until(`document.body.innerText.includes("Your account is deleted")`)
			b.Fits()
			if _, err := m.Store.User(t.Context(), subject); err == nil {
				t.Error("the user is there still")
			}
			b.Silent()
		})
	}
}

// TestRow51NewPasswordEndsWhatAppsHave: a password that was changed on the account page leaves nobody in, on every store.
func TestRow51NewPasswordEndsWhatAppsHave(t *testing.T) {
	for backend := range backends {
		t.Run(backend, func(t *testing.T) {
			s := start(t, backend, quickKeys)
			s.client()
			s.user("ada@example.com")
			tokens := s.tokens(url.Values{"scope": {"openid offline_access"}, "prompt": {"consent"}})
			other, own := s.browser("ada@example.com"), s.browser("ada@example.com")
			other.walk(s.URL + "/account")
			own.walk(s.URL + "/account")
			p := own.submit(own.get(s.URL+"/account/password"), "password-form", url.Values{"password": {otherPassword}, "repeat": {otherPassword}})
			if p.StatusCode != http.StatusSeeOther || !strings.Contains(p.Header.Get("Location"), "done=password") {
				t.Fatalf("%d to %q", p.StatusCode, p.Header.Get("Location"))
			}
			if p := own.get(s.URL + "/account"); p.StatusCode != http.StatusOK {
				t.Errorf("this browser: %d", p.StatusCode)
			}
			if p := other.get(s.URL + "/account"); p.StatusCode != http.StatusSeeOther {
				t.Errorf("the other device: %d", p.StatusCode)
			}
			s.wantKilled(tokens)
		})
	}
}
