package templates

import (
	"html/template"
	"strings"
	"sync"
	"testing"
	"time"
)

// example is a page with ordinary or extreme content, as the tests and the gallery show it.
type example struct {
	name   string
	page   Page
	layout Layout
}

// plainLayout is what web would fill in.
func plainLayout() Layout {
	return Layout{
		Brand: Brand{
			Name:       "Northwind Identity",
			PrivacyURL: "https://northwind.example/privacy",
			TermsURL:   "https://northwind.example/terms",
			SupportURL: "mailto:help@northwind.example",
		},
		CSRF:  "csrf-token-value",
		Nonce: "bm9uY2Utb2YtdGhlLXBhZ2U",
	}
}

func notes() ClientView {
	return ClientView{
		ID: "notes", Name: "Acme Notes",
		PolicyURI: "https://notes.example/privacy", TOSURI: "https://notes.example/terms", ClientURI: "https://notes.example/",
		Host: "notes.example",
	}
}

func longClient() ClientView {
	c := notes()
	c.Name = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft Planning and Reporting Suite"
	c.Host = strings.Repeat("a-rather-long-label.", 6) + "example"
	return c
}

const longEmail = "a.person.with.an.unreasonably.long.address.for.testing@subdivision.of.a.very-long-company-name.example"

var since = time.Date(2025, 11, 23, 5, 44, 0, 0, time.UTC)

func mismatch() RedirectMismatch {
	return RedirectMismatch{
		ClientName: "Acme Notes", ClientID: "notes",
		Sent:    "http://notes.example:8443/oauth/Callback/?next=%2Fhome",
		Nearest: "https://notes.example/oauth/callback",
		Differences: []Difference{
			{Say("redirect.part_scheme"), "http", "https", Say("redirect.https")},
			{Say("redirect.part_port"), "8443", "", Say("redirect.port_none")},
			{Say("redirect.part_case"), "/oauth/Callback", "/oauth/callback", Say("redirect.case_path")},
			{Say("redirect.part_slash"), "/oauth/Callback/", "/oauth/callback", Say("redirect.slash_remove")},
			{Say("redirect.part_query"), "next=%2Fhome", "", Say("redirect.query_none")},
		},
		RequestID: "01937c2e-7a1b-7d5e-9f0a-3b1c2d4e5f60",
	}
}

// providers are one of each style.
func providers() []UpstreamButton {
	return []UpstreamButton{
		{ID: "google", Name: "Google", Style: "google"}, {ID: "github", Name: "GitHub", Style: "github"}, {ID: "microsoft", Name: "Microsoft", Style: "microsoft"},
		{ID: "apple", Name: "Apple", Style: "apple"}, {ID: "gitlab", Name: "GitLab", Style: "gitlab"}, {ID: "my-company", Name: "Northwind Traders"}, {ID: "dead", Name: "Old Directory", Down: true},
	}
}

// examples has every page at least once.
func examples() []example {
	client, long := notes(), longClient()
	scopes := []ScopeView{{Name: "openid"}, {Name: "profile"}, {Name: "email"}, {Name: "notes.write", Title: Plain("Read and change your notes"), Description: Plain("All notebooks, also shared ones.")}}
	dev := mismatch()
	dev.Registered = []string{"https://notes.example/oauth/callback", "https://staging.notes.example/oauth/callback"}
	var list []example
	add := func(name string, p Page) { list = append(list, example{name, p, plainLayout()}) }
	add("login", Login{Password: true, Client: &client, Interaction: "i-1"})
	add("login-error", Login{Password: true, Client: &client, Username: "mira@northwind.example", Error: Say("login.wrong"), Interaction: "i-1"})
	firstStep := Login{Step: StepName, Password: true, Client: &client, Interaction: "i-1", SignUp: true, MailLink: true}
	add("login-name", firstStep)
	firstStep.Upstreams, firstStep.Passkey = providers()[:2], &PasskeyForm{Options: `{"challenge":"AAAA"}`, State: "sealed"}
	add("login-name-ways", firstStep)
	firstStep.Username, firstStep.Error = longEmail+"@", Say("recovery.bad_name")
	add("login-name-error", firstStep)
	secondStep := Login{Step: StepPassword, Password: true, Remember: true, Client: &client, Username: "mira@northwind.example", Interaction: "i-1", Recovery: true, MailLink: true}
	add("login-password", secondStep)
	secondStep.Username, secondStep.Error = longEmail, Say("login.wrong")
	add("login-password-error", secondStep)
	add("login-notice", Login{Password: true, Notice: Say("login.again_to_link"), Interaction: "i-1"})
	logo := notes()
	logo.LogoURL = "/logo.svg"
	add("login-logo", Login{Password: true, Client: &logo, Interaction: "i-1"})
	passkey := &PasskeyForm{Options: `{"challenge":"AAAA"}`, State: "sealed"}
	add("login-passkey", Login{Password: true, Remember: true, Passkey: passkey, Client: &client, Interaction: "i-1"})
	add("factor", Factor{Account: "mira@northwind.example", TOTP: true, Recovery: true, Passkey: passkey, TrustDays: 30, Interaction: "i-1"})
	add("factor-error", Factor{Account: longEmail, TOTP: true, TrustDays: 30, Error: Say("factor.wrong"), Interaction: "i-1"})
	add("factor-passkey", Factor{Account: "mira", Passkey: passkey, Interaction: "i-1"})
	add("enrol", Enrol{Account: "mira@northwind.example", TOTP: &TOTPForm{Secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", Pending: "sealed", QRSize: drawnQR.Size, QRPath: drawnQR.Path}, Passkey: passkey, Interaction: "i-1"})
	add("recoverycodes", RecoveryCodes{Account: "mira@northwind.example", Codes: tenCodes, Continue: "/account"})
	add("accounts", Accounts{Client: &client, Interaction: "i-1", Accounts: []AccountChoice{
		{Session: "s-1", User: UserView{Name: "Mira Álvarez", Email: "mira@northwind.example"}}, {Session: "s-2", User: UserView{Email: longEmail}}, {Session: "s-3", User: UserView{Username: "ops"}},
	}})
	add("accounts-plain", Accounts{Interaction: "i-1", Accounts: []AccountChoice{{Session: "s-1", User: UserView{Username: "mira"}}}})
	branded := plainLayout()
	branded.Brand.Name, branded.Brand.Theme = "Harbour Books", Theme{Accent: "#8a1c5b"}
	list = append(list, example{"login-branded", Login{Password: true, Remember: true, Client: &client, Interaction: "i-1"}, branded})
	add("login-elsewhere", Login{Password: true, Remember: true, Client: &client, Interaction: "i-1", SignUp: true, Recovery: true, MailLink: true})
	add("login-long", Login{Password: true, Client: &long, Username: longEmail, Interaction: "i-1"})
	add("login-providers", Login{Password: true, Client: &client, Upstreams: providers(), Interaction: "i-1"})
	add("login-providers-error", Login{Password: true, Client: &client, Upstreams: providers()[:2], Username: "mira", Error: Say("login.wrong"), Interaction: "i-1"})
	add("login-providers-only", Login{Client: &client, Upstreams: providers()[:1], Interaction: "i-1"})
	add("login-providers-long", Login{Password: true, Upstreams: []UpstreamButton{{ID: "long", Name: long.Name}, {ID: "dead", Name: long.Name, Down: true}}, Interaction: "i-1"})
	add("login-locked", Login{Password: true, Client: &client, LockedName: longEmail, Notice: Say("login.link_account", "Address", longEmail, "Provider", "Google"), Interaction: "i-1"})
	add("upstreamproblem", UpstreamProblem{Heading: Say("upstream.unavailable", "Provider", "Google"), Message: Say("upstream.unavailable_more", "Provider", "Google"), Again: &providers()[0], Interaction: "i-1", Other: "/login?interaction=i-1", RequestID: "01937c2e-7a1b-7d5e-9f0a-3b1c2d4e5f60"})
	add("upstreamproblem-back", UpstreamProblem{Heading: Say("upstream.linked"), Message: Say("upstream.linked_more", "Provider", "GitHub"), Back: true})
	add("linkaccount", LinkAccount{Button: providers()[0], Account: "ada@example.com"})
	add("upstreamproblem-bare", UpstreamProblem{Message: Say("upstream.not_allowed_more", "Provider", "Google"), Other: "/login?interaction=i-1"})
	add("consent", Consent{Client: client, Account: "mira@northwind.example", Scopes: scopes, Offline: true, Interaction: "i-1", RedirectHost: "notes.example", SwitchAccount: "/login?interaction=i-1", Resources: []string{"https://api.notes.example/v1"}})
	add("consent-long", Consent{Client: long, Account: longEmail, Scopes: []ScopeView{{Name: "openid"}, {Name: "urn:example:" + strings.Repeat("averylongscope", 6)}}, Interaction: "i-1", RedirectHost: long.Host, SwitchAccount: "/login?interaction=i-1"})
	add("error", Error{Status: 400, Heading: Say("error.elsewhere"), Message: Say("error.elsewhere_more"), RequestID: "01937c2e-7a1b-7d5e-9f0a-3b1c2d4e5f60"})
	add("error-details", Error{Status: 400, Heading: Say("error.broken_link"), Message: Say("error.app_mistake"), RequestID: "01937c2e-7a1b-7d5e-9f0a-3b1c2d4e5f60", Details: []Pair{{"error", "invalid_request"}, {"error_description", "The parameter response_type is missing."}, {"client_id", "notes"}}, Continue: "https://notes.example/"})
	add("mismatch", mismatch())
	add("mismatch-dev", dev)
	add("mismatch-none", RedirectMismatch{ClientID: "notes", Sent: "https://notes.example/" + strings.Repeat("long/", 30), RequestID: "01937c2e"})
	accountExamples(add)
	add("formpost", FormPost{Action: "https://notes.example/oauth/callback", Params: []Pair{{"code", "gth_ac_x"}, {"state", "s"}, {"iss", "https://id.northwind.example"}}})
	add("signedout", SignedOut{})
	add("signedout-apps", SignedOut{Told: []string{"Acme Notes", "Calendar"}, Silent: []string{"Travel Desk"}, Frames: frames()})
	add("signedout-fault", SignedOut{Told: []string{long.Name}, Silent: []string{longEmail}, Fault: Say("logout_fault.not_registered")})
	add("signedout-next", SignedOut{Next: "https://notes.example/bye?state=s"})
	add("signingout", SigningOut{Frames: frames(), Next: "https://notes.example/bye?state=s"})
	add("signingout-long", SigningOut{Frames: frames(), Next: template.URL("https://" + long.Host + "/bye")})
	add("logoutconfirm", LogoutConfirm{Account: "mira@northwind.example", App: "Acme Notes", Fields: []Pair{{"id_token_hint", "e30.e30.e30"}, {"state", "s"}}})
	add("logoutconfirm-bare", LogoutConfirm{})
	add("logoutconfirm-long", LogoutConfirm{Account: longEmail, Accounts: 5, App: long.Name, Fault: Say("logout_fault.no_hint")})
	add("logoutreturn", LogoutReturn{Fields: []Pair{{"state", "s"}}})
	list = append(list, peopleExamples()...)
	add("done", Done{Heading: Say("error.finished"), Message: Say("error.finished_more")})
	add("interstitial", Interstitial{Host: "notes.example", URL: "https://notes.example/cb?error=invalid_scope", Reason: Say("interstitial.invalid_scope"), ErrorText: "The app asked for a permission that does not exist."})
	return list
}

// frames are those of two clients, at an address that never answers with a page.
func frames() []Frame {
	return []Frame{{"Acme Notes", "https://notes.invalid/out?iss=https%3A%2F%2Fid.example&sid=1"}, {"Calendar", "https://cal.invalid/out?iss=https%3A%2F%2Fid.example&sid=1"}}
}

// load returns the set, parsed once for all tests.
func load(t testing.TB) *Set {
	t.Helper()
	set, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var loaded = sync.OnceValues(Load)

// english is a text in English.
func english(t testing.TB, words Text) string {
	t.Helper()
	said, err := load(t).Say("en", words)
	if err != nil {
		t.Fatal(err)
	}
	return said
}
