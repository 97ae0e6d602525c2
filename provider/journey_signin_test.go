package provider_test

import (
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/ratelimit"
	"gatehouse/storage"
)

// What a sign-in says when it says no, and how long it lasts.

func TestJourneysOfASignIn(t *testing.T) {
	travel(t, map[string]journey{
		"too often, and when to try again": {changes: []func(*provider.Options){func(o *provider.Options) {
			o.Limits.LoginIP = ratelimit.Limit{Burst: 3, Every: 10 * time.Minute} // long enough for a slow machine
		}}, walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.refused(401)
			j.refused(429)
			j.fromApp()
			for range 4 {
				j.signIn("ada@example.com", "not the password")
			}
			j.see("#login-error")
			j.b.Says("too many failed sign-ins", "Try again in")
			j.fill("sign-in", "password", password) // even the right one
			j.b.Says("Try again in")
			j.b.ClickOn(`#languages a[hreflang="de"]`)
			j.Clock.Advance(20 * time.Minute)
			j.signIn("ada@example.com", password)
			j.arrives(subject)
		}},
		"a disabled account reads as a wrong password": {walk: func(j *trip) {
			j.user("ada@example.com", func(u *storage.User) { u.Disabled = true })
			j.refused(401)
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#login-error")
			disabled := j.b.TextOf("#login-error")
			j.fill("sign-in", "username", "nobody@example.com", "password", password)
			j.see("#login-error")
			if unknown := j.b.TextOf("#login-error"); unknown != disabled {
				j.Errorf("%q and %q", unknown, disabled)
			}
		}},
		"disabled while signed in": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.arrives(subject)
			_, err := j.Store.UpdateUser(j.Context(), subject, func(u *storage.User) error { u.Disabled = true; return nil })
			j.ok(err)
			j.to("/account", "#login")
			j.fromApp()
			j.see("#login")
		}},
		"stay signed in": {changes: []func(*provider.Options){func(o *provider.Options) { o.Remember = 30 * 24 * time.Hour }}, walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.fromApp()
			j.see("#remember")
			j.b.Click("remember")
			j.signIn("ada@example.com", password)
			j.arrives(subject)
			j.to("/account", "#overview")
			j.b.Quit()
			j.Clock.Advance(20 * 24 * time.Hour)
			j.to("/account", "#overview")
			j.b.Open(j.URL + "/account/sessions")
			j.see("#sessions")
			j.b.Says("Stays signed in")
		}},
		"without it the session ends with the browser, and by itself": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.arrives(subject)
			j.to("/account", "#overview")
			j.b.Quit()
			j.to("/account", "#login")
			j.signIn("ada@example.com", password)
			j.see("#overview")
			j.Clock.Advance(7 * time.Hour)
			j.to("/account", "#login")
		}},
		"terms that changed, not now and then accepted": {changes: []func(*provider.Options){withTerms}, walk: func(j *trip) {
			subject := j.user("ada@example.com", accepted("2025-12"))
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#terms")
			j.b.Says("have changed", "Shop", "ada@example.com")
			j.press(`#languages a[hreflang="de"]`)
			j.see("#terms")
			j.b.Says("haben sich geändert", "Jetzt nicht")
			j.press(`#languages a[hreflang="en"]`)
			j.see("#terms")
			j.press("#to-account")
			j.see("#overview")
			j.to("/account/data", "#delete-account")
			j.fromApp()
			j.see("#terms")
			j.b.Click("decline")
			j.v.arrive(j.b, "refused: access_denied")
			if u := j.account("ada@example.com"); u.TermsVersion != "2025-12" {
				j.Errorf("terms %q", u.TermsVersion)
			}
			j.fromApp()
			j.see("#terms")
			j.press("#accept")
			j.arrives(subject)
			if u := j.account("ada@example.com"); u.TermsVersion != "2026-01" {
				j.Errorf("terms %q", u.TermsVersion)
			}
			j.to("/account/activity", "#history")
			j.b.Says("Terms accepted", "2026-01")
			j.fromApp()
			j.arrives(subject)
		}},
		"two people in one browser": {walk: func(j *trip) {
			ada := j.user("ada@example.com")
			eve := j.user("eve@example.com", func(u *storage.User) { u.Claims = map[string]any{"name": "Eve Example"} })
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.arrives(ada)
			j.choosing()
			j.b.Click("another")
			j.signIn("eve@example.com", password)
			j.arrives(eve)
			j.choosing()
			j.b.Says("Ada Lovelace", "ada@example.com", "Eve Example", "eve@example.com")
			second := j.b.TextOf("#accounts li:nth-child(2) strong")
			j.b.ClickOn("#accounts li:nth-child(2) button")
			j.arrives(map[bool]string{true: ada, false: eve}[second == "Ada Lovelace"])
			j.to("/account", "#overview")
			j.b.Says(second)
		}},
	})
}

// choosing goes to the page of several accounts.
func (j *trip) choosing() {
	j.Helper()
	j.b.Open(j.v.url() + "/?prompt=select_account")
	j.b.Click("link")
	j.see("#accounts")
}
