package provider_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

// What people do on the account page beyond account_browser_test.go: devices, apps, their data, and how much of it needs a fresh sign-in.

func TestJourneysOfTheAccountPage(t *testing.T) {
	travel(t, map[string]journey{
		"sign out there": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.b.Open(j.URL + "/account/sessions")
			j.signIn("ada@example.com", password)
			j.see("#sessions")
			other := j.browser("ada@example.com")
			other.walk(j.URL + "/account")
			j.to("/account/sessions", "#sessions li:nth-child(2)")
			j.b.Says("This browser", "Sign out there")
			j.b.ClickOn(`#sessions li:not(:has(.tag)) button`)
			done(j.b, "That device is signed out")
			if p := other.get(j.URL + "/account"); p.StatusCode != http.StatusSeeOther {
				j.Errorf("the other device: %d", p.StatusCode)
			}
			j.to("/account", "#overview") // this one goes on
			if n := j.sessions(subject); n != 1 {
				j.Errorf("%d sessions", n)
			}
		}},
		"sign out everywhere": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.arrives(subject)
			other := j.browser("ada@example.com")
			other.walk(j.URL + "/account")
			j.to("/account/sessions", "#all")
			j.b.Click("end-all")
			j.b.Until(`document.body.innerText.includes("You are signed out")`)
			j.b.Fits()
			j.to("/account", "#login")
			if p := other.get(j.URL + "/account"); p.StatusCode != http.StatusSeeOther {
				j.Errorf("the other device: %d", p.StatusCode)
			}
			if n := j.sessions(subject); n != 0 {
				j.Errorf("%d sessions", n)
			}
		}},
		"an app is disconnected and asks again": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#allow")
			j.arrives(subject)
			j.to("/account/apps", "#apps")
			j.b.Says(j.v.config.ClientID[len("rp-"):], "See your e-mail address") // the name ends with the port
			j.b.ClickOn(`form[action="/account/disconnect"] button`)
			done(j.b, "no access any more")
			j.b.Says("No app has access to your account.")
			j.fromApp()
			j.see("#allow")
			j.arrives(subject)
		}},
		"my data, after a fresh sign-in": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			folder := j.b.Downloads()
			j.b.Open(j.URL + "/account/data")
			j.signIn("ada@example.com", password)
			j.see("#download")
			j.Clock.Advance(6 * time.Minute)
			j.b.Click("download-data")
			j.again()
			j.see("#download")
			j.b.Click("download-data")
			var data map[string]any
			if text := j.saved(folder, ".json"); json.Unmarshal([]byte(text), &data) != nil {
				j.Errorf("the file is no JSON: %.80s", text)
			}
			if account, _ := json.Marshal(data); !json.Valid(account) || len(data) < 3 || !containsText(data, subject) || !containsText(data, "ada@example.com") {
				j.Errorf("the file lacks the account: %v", data)
			}
		}},
		"what changes the ways in needs a fresh sign-in": {walk: func(j *trip) {
			j.user("ada@example.com")
			j.b.Open(j.URL + "/account/security")
			j.signIn("ada@example.com", password)
			j.see("#change-password")
			j.Clock.Advance(6 * time.Minute)
			j.b.Click("change-password")
			j.again()
			j.see("#password-form") // goes on where it was asked
			j.refused(422)
			j.fill("save", "password", otherPassword, "repeat", otherPassword+"x")
			j.see("#error")
			j.b.Says("not the same")
			j.fill("save", "password", otherPassword, "repeat", otherPassword)
			done(j.b, "Your password is changed")
			j.Clock.Advance(6 * time.Minute)
			j.b.Click("add-authenticator")
			j.see("#login")
			j.fill("sign-in", "password", otherPassword)
			j.see("#qr")
			j.Clock.Advance(6 * time.Minute)
			j.to("/account/profile", "#email")
			j.fill("change-email", "new-email", "new@example.com")
			j.see("#login")
			j.fill("sign-in", "password", otherPassword)
			j.see("#email")
			if j.account("new@example.com") != nil {
				j.Error("the address has changed without a link")
			}
		}},
		"the account is deleted, with its name typed": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.b.Open(j.URL + "/account/data")
			j.signIn("ada@example.com", password)
			j.see("#delete")
			j.refused(422)
			j.fill("delete-account", "confirm", "eve@example.com")
			j.see("#error")
			j.b.Says("Nothing was deleted")
			j.fill("delete-account", "confirm", "ada@example.com")
			j.b.Until(`document.body.innerText.includes("Your account is deleted")`)
			j.b.Fits()
			if _, err := j.Store.User(j.Context(), subject); err == nil {
				j.Error("the user is there still")
			}
			if m := j.post.Last(j.T, "ada@example.com", "deleted"); m == nil {
				j.Error("nobody is told")
			}
			j.refused(401)
			j.fromApp()
			j.signIn("ada@example.com", password)
			j.see("#login-error")
		}},
		"the language of pages and mail": {walk: func(j *trip) {
			subject := j.user("ada@example.com")
			j.b.Open(j.URL + "/account/profile")
			j.signIn("ada@example.com", password)
			j.see("#profile-form")
			j.b.True(`document.querySelector("#language").value = "de", true`)
			j.b.Click("save")
			j.see(`html[lang="de"] #done`)
			j.b.Says("Profil", "Sicherheit")
			if u, err := j.Store.User(j.Context(), subject); err != nil || u.Locale != "de" {
				j.Errorf("%+v, %v", u, err)
			}
			j.fill("change-email", "new-email", "new@example.com")
			j.see("#done")
			if m := j.post.Last(j.T, "new@example.com", "email_change"); m.Lang != "de" {
				j.Errorf("the mail is in %q", m.Lang)
			}
		}},
	})
}

// containsText tells whether a JSON value holds a text anywhere.
func containsText(value any, text string) bool {
	switch v := value.(type) {
	case string:
		return v == text
	case map[string]any:
		for _, member := range v {
			if containsText(member, text) {
				return true
			}
		}
	case []any:
		for _, member := range v {
			if containsText(member, text) {
				return true
			}
		}
	}
	return false
}
