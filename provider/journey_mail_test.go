package provider_test

import (
	"testing"
	"time"

	"gatehouse/provider/ticket"
	"gatehouse/storage"
)

// What people do by links: prove an address, change it, get back in, and lock others out.

func unverified(u *storage.User) { u.EmailVerified = false }

func TestJourneysByMail(t *testing.T) {
	travel(t, map[string]journey{
		"the address is confirmed": {walk: func(j *trip) {
			j.user("ada@example.com", unverified)
			j.b.Open(j.URL + "/account/profile")
			j.signIn("ada@example.com", password)
			j.see("#verify")
			j.b.Says("Not confirmed yet")
			j.b.ClickOn("#verify button")
			done(j.b, "on its way")
			link := j.link("ada@example.com", "verify")
			j.elsewhere(func() { // a mail scanner, or a stranger who was sent the mail
				j.refused(403)
				j.b.Open(link)
				j.told("Sign in first")
			})
			j.follow("ada@example.com", "verify", "#press")
			j.b.Says("Is ada@example.com your address")
			j.b.Click("go")
			j.told("The address is confirmed")
			j.b.Click("next")
			j.see("#overview")
			j.to("/account/profile", "#email-now")
			j.b.SaysNot("Not confirmed yet")
			j.refused(400)
			j.b.Open(link)
			j.told("This link does not work")
		}},
		"the address changes, and its owner takes it back": {walk: func(j *trip) {
			j.user("ada@example.com")
			j.b.Open(j.URL + "/account/profile") // whoever is in here may not be ada
			j.signIn("ada@example.com", password)
			j.see("#email")
			j.fill("change-email", "new-email", "new@example.com")
			done(j.b, "on its way")
			j.Clock.Advance(time.Second)
			j.follow("new@example.com", "email_change", "#press")
			j.b.Says("new@example.com", "Shall")
			j.b.Click("go")
			j.told("The address is confirmed")
			j.to("/account", "#overview")
			j.b.Says("new@example.com")
			j.Clock.Advance(time.Second)
			j.elsewhere(func() { // the old address was told
				j.follow("ada@example.com", "email_changed", "#press")
				j.b.Says("Was it not you?", "ada@example.com")
				j.b.Click("go")
				j.told("The account is safe", "ada@example.com")
				j.follow("ada@example.com", "reset", "#reset")
				j.fill("save", "password", otherPassword)
				j.see("#overview")
				j.b.Says("ada@example.com")
			})
			j.to("/account", "#login") // and is out
			if j.account("new@example.com") != nil {
				j.Error("the other address is still good for something")
			}
		}},
		"a forgotten password, with the second factor still asked": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			app := j.app(subject)
			j.fromApp()
			j.see("#to-recovery")
			j.b.Click("to-recovery")
			j.see("#recovery")
			j.fill("send", "username", "ada@example.com")
			j.told("ada@example.com", "20 minutes")
			link := j.link("ada@example.com", "reset")
			j.b.Open(link)
			j.refused(422)
			j.fill("save", "password", "short")
			j.see("#reset-error")
			j.fill("save", "password", otherPassword)
			j.see("#factor")
			j.b.Fill("code", j.nextCode(app))
			j.b.Click("confirm")
			j.arrives(subject)
			j.refused(400)
			j.b.Open(link)
			j.told("This link does not work")
		}},
		"it was not me, after a new password": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			app := j.app(subject)
			j.elsewhere(func() { // a thief in the account
				j.b.Open(j.URL + "/account/password")
				j.signIn("ada@example.com", password)
				j.see("#factor")
				j.fill("confirm", "code", j.nextCode(app))
				j.see("#password-form")
				j.fill("save", "password", otherPassword, "repeat", otherPassword)
				done(j.b, "Your password is changed")
				thief := j.b
				own := j.chromium.Window(j.T)
				j.b = own
				j.b.Scripts(false)
				j.Clock.Advance(time.Second)
				j.follow("ada@example.com", "password_changed", "#press")
				j.b.Says("Was it not you?")
				j.b.Click("go")
				j.told("The account is safe")
				thief.Open(j.URL + "/account")
				thief.Await("#login")
			})
			j.follow("ada@example.com", "reset", "#reset")
			j.fill("save", "password", "seven wet umbrellas on a roof")
			j.told("Your password is changed")
			j.fromApp()
			j.signIn("ada@example.com", "seven wet umbrellas on a roof")
			j.see("#factor") // the owner's own factor is older than the change, and stays
			j.fill("confirm", "code", j.nextCode(app))
			j.arrives(subject)
		}},
		"a link that an operator hands out": {walk: func(j *trip) {
			subject := j.user("ada@example.com", func(u *storage.User) {
				u.Email, u.EmailKey, u.Username, u.UsernameKey, u.EmailVerified = "", "", "ada", "ada", false
			})
			tickets := ticket.New(ticket.Options{Store: j.Store, Users: j.Store, Issuer: j.URL, Now: j.Clock.Now})
			link, err := tickets.Issue(j.Context(), storage.Ticket{Kind: storage.TicketRecovery, Subject: subject})
			j.ok(err)
			j.b.Open(link)
			j.see("#reset")
			j.fill("save", "password", otherPassword)
			j.told("Your password is changed")
			j.fromApp()
			j.signIn("ada", otherPassword)
			j.arrives(subject)
			j.refused(400)
			j.b.Open(link)
			j.told("This link does not work")
		}},
		"the link of a sign-in, in another browser": {walk: func(j *trip) {
			j.user("ada@example.com")
			j.fromApp()
			j.see("#to-mail-link")
			j.b.Click("to-mail-link")
			j.see("#mail-link")
			j.fill("send", "username", "ada@example.com")
			j.told("ada@example.com", "10 minutes")
			j.elsewhere(func() {
				j.refused(403)
				j.b.Open(j.link("ada@example.com", "magic"))
				j.told("Open the link where you asked for it")
				j.to("/account", "#login")
			})
			j.follow("ada@example.com", "magic", "#press")
			j.b.Click("go")
			j.arrives("sub-ada-example-com")
		}},
	})
}
