package provider_test

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/provider"
	"gatehouse/provider/ticket"
	"gatehouse/storage"
	"gatehouse/templates"
)

// How people get an account. That one is made on the way to an app is in mails_browser_test.go.

func withTerms(o *provider.Options) {
	o.SignUp.TermsVersion, o.Brand.TermsURL = "2026-01", "https://id.example/terms"
}

func byInvitation(o *provider.Options) { o.SignUp.Mode = "invite" }

// newcomer is whom the app greets once there is an account.
func (j *trip) newcomer() string {
	j.Helper()
	u := j.account("ada@example.com")
	if u == nil {
		j.Fatal("there is no account")
	}
	return u.Subject
}

// invites makes a link for somebody, as an operator does.
func (j *trip) invites(email string) string {
	j.Helper()
	tickets := ticket.New(ticket.Options{Store: j.Store, Users: j.Store, Issuer: j.URL, Now: j.Clock.Now})
	link, err := tickets.Issue(j.Context(), storage.Ticket{Kind: storage.TicketInvite, Email: email, EmailKey: email})
	j.ok(err)
	return link
}

func TestJourneysToAnAccount(t *testing.T) {
	travel(t, map[string]journey{
		"prompt=create, terms accepted": {changes: []func(*provider.Options){withTerms}, walk: func(j *trip) {
			j.b.Open(j.v.url() + "/?prompt=create")
			j.b.Click("link")
			j.see("#signup")
			j.b.Says("Shop", "I accept the terms", "15 characters")
			j.b.Fill("email", "ada@example.com")
			j.b.Fill("password", password)
			j.b.Click("create")
			j.b.Until(`document.activeElement?.id === "terms" || !document.querySelector("#terms").validity.valid`) // the browser itself asks for the consent
			j.b.Click("terms")
			j.b.Click("create")
			j.told("ada@example.com", "works for a day")
			j.follow("ada@example.com", "signup", "#confirm")
			j.b.Click("create")
			j.see("#allow")
			j.arrives(j.newcomer())
			if u := j.account("ada@example.com"); u.TermsVersion != "2026-01" || u.TermsAccepted.IsZero() {
				j.Errorf("terms %q at %v", u.TermsVersion, u.TermsAccepted)
			}
		}},
		"what is wrong is said and the rest kept": {walk: func(j *trip) {
			j.refused(422)
			j.to("/signup", "#signup")
			j.fill("create", "email", "ada@example.com", "name", "Ada", "password", "too short")
			j.see("#signup-error")
			j.b.Says("15 characters")
			if !j.b.True(`document.querySelector("#email").value === "ada@example.com" && document.querySelector("#password").value === "" && document.querySelector("#password").ariaInvalid === "true"`) {
				j.Error("the fields are not as they should be")
			}
			j.fill("create", "password", password)
			j.told("ada@example.com")
		}},
		"invited, for one address": {changes: []func(*provider.Options){byInvitation}, walk: func(j *trip) {
			j.refused(403)
			j.to("/signup", "#error-heading")
			j.b.Says("needs an invitation")
			link := j.invites("ada@example.com")
			j.b.Open(link)
			j.see("#signup")
			if !j.b.True(`document.querySelector("#email").readOnly && document.querySelector("#email").value === "ada@example.com"`) {
				j.Error("the address of the invitation can be changed")
			}
			j.fill("create", "password", password)
			j.told("ada@example.com")
			j.follow("ada@example.com", "signup", "#confirm")
			j.b.Click("create")
			j.see("#overview")
			j.newcomer()
			j.b.Open(link)
			j.b.Until(`document.body.innerText.includes("This invitation does not work")`)
		}},
		"confirmed in another browser": {walk: func(j *trip) {
			j.to("/signup", "#signup")
			j.fill("create", "email", "ada@example.com", "password", password)
			j.told("ada@example.com")
			j.elsewhere(func() {
				j.refused(401)
				j.follow("ada@example.com", "signup", "#confirm")
				j.b.Says("The account was asked for in another browser.")
				j.fill("create", "password", "not the password")
				j.see("#confirm-error")
				j.fill("create", "password", password)
				j.told("Your account is ready")
				j.to("/account", "#login") // nobody is signed in there
			})
			j.newcomer()
		}},
		"an address that has an account": {walk: func(j *trip) {
			j.user("ada@example.com")
			j.to("/signup", "#signup")
			j.fill("create", "email", "ada@example.com", "password", password)
			j.told("ada@example.com", "works for a day") // as for everybody
			m := j.post.Last(j.T, "ada@example.com", "exists")
			if !strings.Contains(m.Text, j.URL+"/account") {
				j.Errorf("the mail does not lead to the sign-in: %s", m.Text)
			}
		}},
		"only where the server lets people": {changes: []func(*provider.Options){func(o *provider.Options) { o.SignUp.Mode = "off" }}, walk: func(j *trip) {
			j.refused(403)
			j.fromApp()
			j.see("#login")
			if j.b.True(`!!document.querySelector("#to-signup")`) {
				j.Error("the sign-in page offers an account")
			}
			j.to("/signup", "#error-heading")
			j.b.Says("Nobody can create an account here by themselves.")
			j.b.Open(j.authorizeURL(url.Values{"client_id": {j.v.config.ClientID}, "redirect_uri": {j.v.config.RedirectURL}, "prompt": {"create"}}))
			j.b.Await("#done")
		}},
		"in German": {changes: []func(*provider.Options){func(o *provider.Options) { o.Brand = templates.Brand{Name: "Amt"} }}, walk: func(j *trip) {
			j.to("/signup", "#signup")
			j.b.ClickOn(`#languages a[hreflang="de"]`)
			j.see(`html[lang="de"] #signup`)
			j.b.Says("Konto", "Amt")
			j.fill("create", "email", "ada@example.com", "password", password)
			j.told("ada@example.com", "nach einem Tag")
			if m := j.post.Last(j.T, "ada@example.com", "signup"); m.Lang != "de" {
				j.Errorf("the mail is in %q", m.Lang)
			}
			j.follow("ada@example.com", "signup", `html[lang="de"] #confirm`)
			j.b.Click("create")
			j.see(`html[lang="de"] #overview`)
			j.newcomer()
		}},
	})
}
