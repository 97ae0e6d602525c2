package provider_test

import (
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// nextCode lets an authenticator app go on to its next code.
func (s *server) nextCode(app credentialtest.App) string {
	s.Clock.Advance(time.Minute)
	return app.Code(s.Clock.Now())
}

// TestBrowserPasskeys: a passkey made on the way to the app where everybody needs a second factor, then used by autofill, and as a second factor by its button.
func TestBrowserPasskeys(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	for _, width := range []int64{360, 1280} {
		s := strong(t, "memory", mfaForAll)
		s.user("ada@example.com")
		v := visit(s, "127.0.0.1", "query")
		b := chromium.Window(t)
		b.Look(width, 800, "light")
		b.Authenticator()
		b.Open(v.url())
		b.Click("link")
		logIn(b)
		b.Await("#qr")
		b.Says("Protect your sign-in", "Ada Lovelace")
		b.Fits()
		b.Click("add-passkey")
		b.Await("#codes")
		b.Says("Your recovery codes")
		b.Fits()
		b.Click("continue")
		b.Click("allow")
		v.arrive(b, hello)
		b.ForgetCookies()
		b.Open(v.url())
		b.Click("link") // the sign-in page asks the authenticator by autofill, and its owner agrees
		v.arrive(b, hello)
		b.Silent()
	}
}

func TestBrowserPasskeyAsSecondFactor(t *testing.T) {
	chromium := webtest.StartChromium(t)
	s := strong(t, "memory", func(o *provider.Options) { o.Factors.TOTP = false })
	subject := s.user("ada@example.com")
	v := visit(s, "127.0.0.1", "query", func(c *storage.Client) { c.RequireMFA = true })
	b := chromium.Window(t)
	b.Authenticator()
	b.Open(v.url())
	b.Click("link")
	logIn(b)
	b.Click("add-passkey")
	b.Click("continue")
	b.Click("allow")
	v.arrive(b, hello)
	if factors, err := s.Store.FactorsOf(t.Context(), subject); err != nil || len(factors) != 1 || factors[0].Kind != storage.FactorPasskey {
		t.Fatalf("factors %v, %v", factors, err)
	}
	b.Silent()
}

// TestBrowserSecurityKey: a key without a PIN is added on the page of the account, shown as what it is, and asked for after the password.
func TestBrowserSecurityKey(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	v := visit(s, "127.0.0.1", "query")
	b := chromium.Window(t)
	b.SecurityKey()
	b.Open(s.URL + "/account/security")
	logIn(b)
	b.Click("add-passkey")
	b.Await("#passkey")
	b.Fill("name", "Key ring")
	b.Click("add-passkey")
	b.Await("#codes")
	b.Click("codes-done")
	b.Await("#factors")
	b.Says("Key ring", "Security key")
	if factors, err := s.Store.FactorsOf(t.Context(), subject); err != nil || len(factors) != 1 || factors[0].Kind != storage.FactorKey {
		t.Fatalf("factors %v, %v", factors, err)
	}
	b.ForgetCookies()
	b.Open(v.url())
	b.Click("link")
	logIn(b)
	b.Await("#factor") // the page before has such a form, too
	b.Await("#passkey:not([hidden])")
	b.Click("use-passkey")
	b.Click("allow")
	v.arrive(b, hello)
	b.Silent()
}

// TestBrowserSecondFactorWithoutScripts: codes need no scripts, at any width, in either language.
func TestBrowserSecondFactorWithoutScripts(t *testing.T) {
	chromium := webtest.StartChromium(t)
	for _, width := range []int64{360, 1280} {
		s := strong(t, "memory", mfaForAll)
		s.user("ada@example.com")
		v := visit(s, "127.0.0.1", "query")
		b := chromium.Window(t)
		b.Look(width, 800, "dark")
		b.Scripts(false)
		b.Open(v.url())
		b.Click("link")
		logIn(b)
		b.Await("#enrol")
		secret := b.Attribute("#secret", "data-secret")
		app := credentialtest.App{Secret: secret}
		b.Fill("code", app.Code(s.Clock.Now()))
		b.Click("add")
		b.Await("#codes")
		b.Fits()
		b.Click("continue")
		b.Click("allow")
		v.arrive(b, hello)
		b.ForgetCookies()
		b.Open(v.url())
		b.Click("link")
		logIn(b)
		b.Await("#factor")
		b.Fits()
		b.Fill("code", s.nextCode(app))
		b.Click("confirm")
		v.arrive(b, hello)
		b.Silent()
	}
}
