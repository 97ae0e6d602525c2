package provider_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/storage"
)

// Second factors: what people do with codes, recovery codes and browsers that they trust.

func TestJourneysWithCodes(t *testing.T) {
	travel(t, map[string]journey{
		"enrolled on the way to the app, then asked for": {changes: []func(*provider.Options){mfaForAll}, walk: func(j *trip) {
			j.Clock.Hold() // "used before" is said while the code would still do
			subject := j.user("ada@example.com")
			folder := j.b.Downloads()
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#enrol")
			j.b.Says("Protect your sign-in", "Ada Lovelace needs a second step")
			app := j.appOnPage()
			j.refused(422)
			j.fill("add", "code", "12")
			j.see("#enrol-error")
			if j.appOnPage() != app {
				j.Error("a wrong code changes the picture, and the app shows codes of the old one")
			}
			j.fill("add", "code", app.Code(j.Clock.Now()))
			codes := j.codes()
			j.b.Click("download-codes")
			if file := j.saved(folder, ".txt"); !strings.Contains(file, codes[9]) {
				j.Errorf("the file does not hold the codes: %d bytes", len(file))
			}
			j.b.Click("continue")
			j.arrives(subject)
			j.b.ForgetCookies()
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#factor")
			j.refused(401)
			j.fill("confirm", "code", app.Code(j.Clock.Now())) // was used
			j.see("#factor-error")
			j.b.Says("used before")
			code := j.nextCode(app)
			j.fill("confirm", "code", " "+code[:3]+" "+code[3:]) // as apps show it
			j.arrives(subject)
		}},
		"recovery codes are shown once, saved, printed and used": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			folder := j.b.Downloads()
			j.b.Open(j.URL + "/account/security")
			j.signIn("ada@example.com", password)
			j.see("#add-authenticator")
			j.b.Click("add-authenticator")
			app := j.appOnPage()
			j.fill("add", "code", app.Code(j.Clock.Now()))
			codes := j.codes()
			j.printable(codes)
			j.b.Click("download-codes")
			if file := j.saved(folder, ".txt"); slices.ContainsFunc(codes, func(code string) bool { return !strings.Contains(file, code) }) || !strings.Contains(file, "ada@example.com") {
				j.Errorf("the file does not hold the codes: %d bytes", len(file))
			}
			j.b.Click("codes-done")
			j.see("#factors")
			j.to("/account/recovery-codes", "#codes-new")
			j.b.SaysNot(codes...)
			j.b.ForgetCookies()
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#factor")
			j.b.Says("Lost your device?")
			j.fill("confirm", "code", codes[3])
			j.arrives(subject)
			j.to("/account/security", "#new-codes")
			j.b.Says("9 codes left")
			if m := j.post.Last(j.T, "ada@example.com", "recovery_used"); strings.Contains(m.Text, codes[3]) {
				j.Error("the mail holds the code")
			}
			j.b.ForgetCookies()
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.refused(401)
			j.fill("confirm", "code", codes[3])
			j.see("#factor-error")
		}},
		"new recovery codes": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			app := j.app(subject)
			j.b.Open(j.URL + "/account/recovery-codes")
			j.signIn("ada@example.com", password)
			j.see("#factor")
			j.fill("confirm", "code", j.nextCode(app))
			j.see("#make-codes")
			j.b.Says("You get ten codes")
			j.b.Click("make-codes")
			j.codes()
			done(j.b, "do not work any more")
			j.b.Click("codes-done")
			j.see("#new-codes")
			j.b.Says("10 codes left")
		}},
		"a browser that is trusted": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			app := j.app(subject)
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#factor")
			j.b.Click("trust")
			j.fill("confirm", "code", j.nextCode(app))
			j.arrives(subject)
			j.signsOut()
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.arrives(subject) // nothing more was asked
			j.to("/account/security", "#devices")
			j.b.Says("Chrome on Linux")
			j.b.ClickOn(`form[action="/account/devices/forget"] button`)
			done(j.b, "trusted no more")
			j.signsOut()
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#factor")
		}},
		"too many wrong codes": {walk: func(j *trip) {
			app := j.app(j.user("ada@example.com"))
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.refused(401)
			j.refused(403)
			j.refused(429)
			for range 6 { // the sixth is one too many
				j.see("#factor")
				j.fill("confirm", "code", "000000")
			}
			j.see("#error-heading")
			j.b.Says("Too many wrong codes", "sign in again from the start")
			j.Clock.Advance(2 * time.Hour)
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#factor")
			j.fill("confirm", "code", j.nextCode(app))
			j.arrives("sub-ada-example-com")
		}},
		"in German": {changes: []func(*provider.Options){mfaForAll}, walk: func(j *trip) {
			subject := j.user("ada@example.com", func(u *storage.User) { u.Locale = "de" })
			j.fromApp()
			j.see("#login")
			j.b.ClickOn(`#languages a[hreflang="de"]`)
			j.see(`html[lang="de"] #login`)
			j.b.Says("Anmelden")
			j.signIn("ada@example.com", password)
			j.see(`html[lang="de"] #enrol`)
			j.fill("add", "code", j.appOnPage().Code(j.Clock.Now()))
			j.codes()
			j.b.Click("continue")
			j.see(`html[lang="de"] #allow`)
			j.arrives(subject)
			if m := j.post.Last(j.T, "ada@example.com", "factor_added"); m.Lang != "de" {
				j.Errorf("the mail is in %q", m.Lang)
			}
			j.to("/account/profile", `html[lang="de"] #profile-form`)
			j.b.ClickOn(`#languages a[hreflang="en"]`)
			j.see(`html[lang="en"] #profile-form`)
			j.b.Says("Your data", "Full name")
		}},
	})
}

// printable demands that paper has the codes and whose they are, and nothing to press.
func (j *trip) printable(codes []string) {
	j.Helper()
	j.b.Print(true)
	j.b.Says(codes...)
	j.b.Says("Ada Lovelace · Gatehouse")
	if j.b.True(`[...document.querySelectorAll(".button, nav, footer")].some(e => e.getClientRects().length)`) {
		j.Error("buttons and links are printed")
	}
	j.b.Print(false)
}

// signsOut signs out by the button of the account page.
func (j *trip) signsOut() {
	j.Helper()
	j.to("/account", "#logout")
	j.b.Click("sign-out")
	j.b.Until(`document.body.innerText.includes("You are signed out")`)
}
