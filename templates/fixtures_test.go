package templates

import (
	"strings"
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
			{"scheme", "http", "https", "Send https. Plain http is accepted on loopback addresses only."},
			{"port", "8443", "", "Leave the port out, or register the URI with it."},
			{"case", "/oauth/Callback", "/oauth/callback", "Write the path in the same case. Paths are compared byte by byte."},
			{"slash", "/oauth/Callback/", "/oauth/callback", "Leave out the slash at the end."},
			{"query", "next=%2Fhome", "", "Put application state into the state parameter instead."},
		},
		RequestID: "01937c2e-7a1b-7d5e-9f0a-3b1c2d4e5f60",
	}
}

func account() Account {
	return Account{
		User:    UserView{Name: "Mira Lindqvist", Email: "mira@northwind.example", Username: "mira"},
		Session: SessionView{Since: since},
		Connected: []ConnectedApp{
			{ClientID: "notes", Name: "Acme Notes", Scopes: []string{"openid", "email", "offline_access"}, Since: since},
			{ClientID: "cal", Name: "Calendar", Scopes: []string{"openid", "calendar.read"}, Since: since},
		},
		Notices: []NoticeView{{ID: "n1", Text: "Calendar was disconnected because one of its keys was used twice. If you did not expect this, change your password."}},
	}
}

// examples has every page at least once.
func examples() []example {
	client, long := notes(), longClient()
	scopes := []ScopeView{{Name: "openid"}, {Name: "profile"}, {Name: "email"}, {Name: "notes.write", Title: "Read and change your notes", Description: "All notebooks, also shared ones."}}
	dev := mismatch()
	dev.Registered = []string{"https://notes.example/oauth/callback", "https://staging.notes.example/oauth/callback"}
	var list []example
	add := func(name string, p Page) { list = append(list, example{name, p, plainLayout()}) }
	add("login", Login{Client: &client, Interaction: "i-1"})
	add("login-error", Login{Client: &client, Username: "mira@northwind.example", Error: "The user name or the password is wrong. Check both and try again.", Interaction: "i-1"})
	add("login-notice", Login{Notice: "Sign in again to go on. It has been a while.", Interaction: "i-1"})
	logo := notes()
	logo.LogoURL = "/logo.svg"
	add("login-logo", Login{Client: &logo, Interaction: "i-1"})
	add("login-long", Login{Client: &long, Username: longEmail, Interaction: "i-1"})
	add("consent", Consent{Client: client, Account: "mira@northwind.example", Scopes: scopes, Offline: true, Interaction: "i-1", RedirectHost: "notes.example", SwitchAccount: "/login?interaction=i-1", Resources: []string{"https://api.notes.example/v1"}})
	add("consent-long", Consent{Client: long, Account: longEmail, Scopes: []ScopeView{{Name: "openid"}, {Name: "urn:example:" + strings.Repeat("averylongscope", 6)}}, Interaction: "i-1", RedirectHost: long.Host, SwitchAccount: "/login?interaction=i-1"})
	add("error", Error{Status: 400, Heading: "This link has expired", Message: "You took longer than 30 minutes, or you opened it in another browser. Go back to the app and start again.", RequestID: "01937c2e-7a1b-7d5e-9f0a-3b1c2d4e5f60"})
	add("error-details", Error{Status: 400, Heading: "The app sent a request that is not valid", Message: "You did nothing wrong. The people who make the app have to correct it.", RequestID: "01937c2e-7a1b-7d5e-9f0a-3b1c2d4e5f60", Details: []Pair{{"error", "invalid_request"}, {"error_description", "The parameter response_type is missing."}, {"client_id", "notes"}}, Continue: "https://notes.example/"})
	add("mismatch", mismatch())
	add("mismatch-dev", dev)
	add("mismatch-none", RedirectMismatch{ClientID: "notes", Sent: "https://notes.example/" + strings.Repeat("long/", 30), RequestID: "01937c2e"})
	add("account", account())
	add("account-empty", Account{User: UserView{Email: longEmail}, Session: SessionView{Since: since}})
	add("formpost", FormPost{Action: "https://notes.example/oauth/callback", Params: []Pair{{"code", "gth_ac_x"}, {"state", "s"}, {"iss", "https://id.northwind.example"}}})
	add("signedout", SignedOut{})
	add("done", Done{Heading: "This sign-in is already finished", Message: "You can close this window, or go back to the app."})
	add("interstitial", Interstitial{Host: "notes.example", URL: "https://notes.example/cb?error=invalid_scope", ErrorText: "The app asked for a permission that does not exist."})
	return list
}

// load parses the set once more for a test.
func load(t testing.TB) *Set {
	t.Helper()
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return set
}
