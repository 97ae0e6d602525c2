package provider_test

import (
	"testing"
	"time"

	"gatehouse/provider"
)

// Passkeys, on a virtual authenticator whose owner agrees to everything. They are the only thing that needs scripts. One that is made on the way to an app, and then offered by autofill, is in
// factors_browser_test.go.

// addsPasskey adds one on the page of security and gives it a name.
func (j *trip) addsPasskey(name string) {
	j.Helper()
	j.to("/account/security", "#add-passkey")
	j.b.Click("add-passkey")
	j.see("#passkey")
	j.fill("add-passkey", "name", name)
}

func TestJourneysWithPasskeys(t *testing.T) {
	travel(t, map[string]journey{
		"added, renamed, used alone, removed": {scripts: true, walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.b.Authenticator()
			j.b.Open(j.URL + "/account/security")
			j.signIn("ada@example.com", password)
			j.see("#add-passkey")
			j.addsPasskey("This laptop")
			j.codes()
			j.b.Click("codes-done")
			j.see("#factors")
			j.b.Says("This laptop", "Passkey")
			j.b.ClickOn("#factors details summary")
			j.b.Until(`document.querySelector("#factors details").open`)
			j.b.Fits()
			j.b.True(`document.querySelector("#factors input[name=name]").value = "Old laptop", true`)
			j.b.ClickOn("#factors details button")
			done(j.b, "The name is changed")
			j.b.Says("Old laptop")
			j.b.SaysNot("This laptop")

			j.b.Presence(false) // the owner does not answer what the page asks by itself
			j.signsOut()
			j.fromApp()
			j.see("#passkey:not([hidden]) #use-passkey")
			j.b.Presence(true)
			j.b.True(`document.querySelector("#use-passkey")?.click(), true`) // if autofill is not quicker
			j.arrives(subject)                                                // no name, no password, no code

			j.Clock.Advance(6 * time.Minute)
			j.to("/account/security", "#factors")
			j.press(`form[action="/account/factor/remove"] button`)
			j.see("#factors") // the passkey itself was the fresh sign-in
			j.b.ClickOn(`form[action="/account/factor/remove"] button`)
			done(j.b, "removed")
			j.b.SaysNot("Old laptop")
		}},
		"offered beside the name, in two steps": {scripts: true, changes: []func(*provider.Options){inSteps}, walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.b.Authenticator()
			j.b.Open(j.URL + "/account/security")
			j.see("#next")
			j.fill("next", "username", "ada@example.com")
			j.see("#username[readonly]")
			j.fill("sign-in", "password", password)
			j.see("#add-passkey")
			j.addsPasskey("This laptop")
			j.codes()
			j.b.Presence(false)
			j.signsOut()
			j.fromApp()
			j.see("#next")
			j.see("#passkey:not([hidden]) #use-passkey")
			j.b.Presence(true)
			j.b.True(`document.querySelector("#use-passkey")?.click(), true`) // if autofill is not quicker
			j.arrives(subject)
			j.b.Presence(false)
			j.Clock.Advance(6 * time.Minute)
			j.to("/account/passkey", "#username[readonly]") // whoever is known is asked at once, and has all ways
			j.b.Says("Sign in again to go on.", "Not you?")
			j.see("#passkey:not([hidden]) #use-passkey")
			j.b.Presence(true)
			j.b.True(`document.querySelector("#use-passkey")?.click(), true`)
			j.see("#passkey[data-passkey=create]")
		}},
		"as a second factor": {scripts: true, walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.b.Authenticator()
			j.b.Open(j.URL + "/account/security")
			j.signIn("ada@example.com", password)
			j.see("#add-passkey")
			j.addsPasskey("This laptop")
			j.codes()
			j.b.Presence(false)
			j.signsOut()
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#use-passkey")
			j.b.Says("Confirm it is you")
			j.b.Presence(true)
			j.b.Click("use-passkey")
			j.arrives(subject)
		}},
		"a passkey, and a browser without scripts": {scripts: true, walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.b.Authenticator()
			j.b.Open(j.URL + "/account/security")
			j.signIn("ada@example.com", password)
			j.see("#add-passkey")
			j.addsPasskey("This laptop")
			codes := j.codes()
			j.b.ForgetCookies()
			j.b.Scripts(false)
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#factor")
			j.b.Says("Recovery code", "need JavaScript")
			j.fill("confirm", "code", codes[0])
			j.arrives(subject)
		}},
		"an authenticator that does not answer": {scripts: true, walk: func(j *trip) {
			subject := j.user("ada@example.com")
			app := j.app(subject)
			j.b.Open(j.URL + "/account/passkey")
			j.signIn("ada@example.com", password)
			j.see("#factor")
			j.fill("confirm", "code", j.nextCode(app))
			j.see("#passkey")
			j.b.True(`navigator.credentials.create = () => Promise.reject(new DOMException("", "NotAllowedError")), true`)
			j.b.Click("add-passkey")
			j.b.Until(`document.body.innerText.includes("Nothing was changed; try again.")`)
			j.b.Fits()
			if n := j.factors(subject); n != 1 {
				j.Errorf("%d factors", n)
			}
		}},
	})
}
