package templates

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// control is an element that scripts and tests of others rely on.
type control struct{ id, tag, form, name, value, kind string }

func TestFormsKeepTheirContract(t *testing.T) {
	client := notes()
	cases := []struct {
		page         Page
		form, action string
		fields       map[string]string
		controls     []control
	}{
		{
			page: Login{Password: true, Client: &client, Username: "mira", Interaction: "i-1"},
			form: "login", action: "/x/login",
			fields:   map[string]string{"csrf": "csrf-token-value", "interaction": "i-1", "username": "mira", "password": ""},
			controls: []control{{"username", "input", "login", "username", "mira", "text"}, {"password", "input", "login", "password", "", "password"}, {"sign-in", "button", "login", "", "", "submit"}},
		},
		{
			page: Login{Step: StepName, Password: true, Client: &client, Username: "mira", Interaction: "i-1"},
			form: "login", action: "/x/login",
			fields:   map[string]string{"csrf": "csrf-token-value", "interaction": "i-1", "username": "mira"},
			controls: []control{{"username", "input", "login", "username", "mira", "text"}, {"next", "button", "login", "", "", "submit"}},
		},
		{
			page: Login{Step: StepPassword, Password: true, Client: &client, Username: "mira", Interaction: "i-1"},
			form: "login", action: "/x/login/password",
			fields:   map[string]string{"csrf": "csrf-token-value", "interaction": "i-1", "username": "mira", "password": ""},
			controls: []control{{"username", "input", "login", "username", "mira", "text"}, {"password", "input", "login", "password", "", "password"}, {"sign-in", "button", "login", "", "", "submit"}},
		},
		{
			page: Consent{Client: client, Interaction: "i-1"},
			form: "consent", action: "/x/consent",
			fields:   map[string]string{"csrf": "csrf-token-value", "interaction": "i-1"},
			controls: []control{{"allow", "button", "consent", "decision", "allow", "submit"}, {"deny", "button", "consent", "decision", "deny", "submit"}},
		},
		{
			page: Terms{Client: client, Interaction: "i-1", Version: "2026-07"},
			form: "terms", action: "/x/terms",
			fields:   map[string]string{"csrf": "csrf-token-value", "interaction": "i-1", "version": "2026-07"},
			controls: []control{{"accept", "button", "terms", "decision", "accept", "submit"}, {"decline", "button", "terms", "decision", "decline", "submit"}},
		},
		{
			page: account(),
			form: "logout", action: "/x/account/sign-out",
			fields:   map[string]string{"csrf": "csrf-token-value"},
			controls: []control{{"sign-out", "button", "logout", "", "", "submit"}},
		},
		{
			page: LogoutConfirm{Fields: []Pair{{"id_token_hint", "e30"}, {"state", "s"}}},
			form: "logout", action: "/x/oauth2/logout/confirm",
			fields:   map[string]string{"csrf": "csrf-token-value", "id_token_hint": "e30", "state": "s"},
			controls: []control{{"sign-out", "button", "logout", "", "", "submit"}},
		},
		{
			page: LogoutReturn{Fields: []Pair{{"state", "s"}}},
			form: "logout-return", action: "/x/oauth2/logout",
			fields:   map[string]string{"state": "s"},
			controls: []control{{"continue", "button", "logout-return", "", "", "submit"}},
		},
	}
	for _, c := range cases {
		t.Run(c.page.Template()+" "+c.form, func(t *testing.T) {
			layout := plainLayout()
			layout.Base = "/x"
			_, tree := render(t, layout, c.page)
			form := byID(tree, c.form)
			if form == nil || form.Data != "form" || attr(form, "method") != "post" || attr(form, "action") != c.action {
				t.Fatalf("form %s is not as promised: %+v", c.form, form)
			}
			if got := fields(form); !sameMap(got, c.fields) {
				t.Errorf("fields %v, want %v", got, c.fields)
			}
			for _, want := range c.controls {
				n := byID(form, want.id)
				if n == nil {
					t.Errorf("#%s is not in form %s", want.id, c.form)
					continue
				}
				got := control{want.id, n.Data, c.form, attr(n, "name"), attr(n, "value"), attr(n, "type")}
				if got != want {
					t.Errorf("control %+v, want %+v", got, want)
				}
			}
		})
	}
}

// TestStepsOfASignInSuitPasswordManagers: the name is offered by autofill with the passkeys, and stands beside the password, so that both are kept together.
func TestStepsOfASignInSuitPasswordManagers(t *testing.T) {
	_, first := render(t, plainLayout(), Login{Step: StepName, Password: true, Passkey: &PasskeyForm{Options: "{}"}, Interaction: "i-1"})
	name := byID(first, "username")
	if _, focused := lookup(name, "autofocus"); attr(name, "autocomplete") != "username webauthn" || !focused || byID(first, "passkey") == nil {
		t.Error("the first step does not offer names and passkeys")
	}
	_, second := render(t, plainLayout(), Login{Step: StepPassword, Password: true, Username: "mira", Interaction: "i-1"})
	name = byID(second, "username")
	password := byID(second, "password")
	_, fixed := lookup(name, "readonly")
	if _, focused := lookup(password, "autofocus"); attr(name, "autocomplete") != "username" || !fixed || attr(password, "autocomplete") != "current-password" || !focused {
		t.Error("the second step does not hold the name and the password together")
	}
	if attr(byID(second, "other"), "href") != "/login/name?interaction=i-1" {
		t.Error("the second step does not lead back")
	}
	if _, locked := render(t, plainLayout(), Login{Step: StepPassword, Password: true, LockedName: "mira", Interaction: "i-1"}); byID(locked, "other") != nil {
		t.Error("an account that must be proven can be left for another")
	}
}

func sameMap(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for key, value := range a {
		if other, ok := b[key]; !ok || other != value {
			return false
		}
	}
	return true
}

func TestAccountFormsCarryWhatTheyActOn(t *testing.T) {
	got := map[string]map[string]string{}
	for _, page := range []Page{account(), accountApps(), accountSecurity(), accountSessions(), AccountCodes{Codes: []string{"aaaa", "bbbb"}}, AccountCodes{}, AccountData{DeleteOffered: true}} {
		_, tree := render(t, plainLayout(), page)
		for _, form := range named(tree, "form") {
			key := attr(form, "action")
			for _, name := range []string{"client_id", "scope", "session"} {
				if id := fields(form)[name]; id != "" {
					key += " " + id
				}
			}
			got[key] = fields(form)
		}
	}
	const token = "csrf-token-value"
	want := map[string]map[string]string{
		"/account/sign-out":                {"csrf": token},
		"/account/dismiss":                 {"csrf": token, "notice": "n1"},
		"/account/disconnect notes":        {"csrf": token, "client_id": "notes"},
		"/account/disconnect cal":          {"csrf": token, "client_id": "cal"},
		"/account/disconnect shop":         {"csrf": token, "client_id": "shop"},
		"/account/factor/rename":           {"csrf": token, "factor": "f2", "name": "Blue key"},
		"/account/factor/remove":           {"csrf": token, "factor": "f2"},
		"/account/devices/forget":          {"csrf": token, "device": "d1"},
		"/account/sessions/end s1":         {"csrf": token, "session": "s1"},
		"/account/sessions/end s2":         {"csrf": token, "session": "s2"},
		"/account/sessions/end s3":         {"csrf": token, "session": "s3"},
		"/account/sessions/end others":     {"csrf": token, "scope": "others"},
		"/account/sessions/end all":        {"csrf": token, "scope": "all"},
		"/account/recovery-codes":          {"csrf": token},
		"/account/recovery-codes/download": {"csrf": token, "codes": "aaaa bbbb"},
		"/account/data/download":           {"csrf": token},
		"/account/delete":                  {"csrf": token, "confirm": ""},
	}
	for action, values := range want {
		if !sameMap(got[action], values) {
			t.Errorf("%s sends %v, want %v", action, got[action], values)
		}
	}
	if len(got) != len(want) {
		t.Errorf("forms %v", got)
	}
}

func TestA25LoginShowsClient(t *testing.T) {
	client := notes()
	client.LogoURL = "/client-logo/notes"
	_, tree := render(t, plainLayout(), Login{Password: true, Client: &client})
	if got := text(byID(tree, "client-name")); got != "Acme Notes" {
		t.Errorf("name %q", got)
	}
	if got := text(byID(tree, "client-host")); got != "notes.example" {
		t.Errorf("host %q", got)
	}
	for id, want := range map[string]string{"client-policy": client.PolicyURI, "client-terms": client.TOSURI, "client-website": client.ClientURI} {
		if got := attr(byID(tree, id), "href"); got != want {
			t.Errorf("%s leads to %q, want %q", id, got, want)
		}
	}
	logos := elements(tree, func(n *html.Node) bool { return n.Data == "img" && attr(n, "src") == client.LogoURL })
	if len(logos) != 1 {
		t.Error("the logo is missing")
	}
}

func TestConsentSaysWhoWhatAndWhere(t *testing.T) {
	page := Consent{
		Client: notes(), Account: "mira@northwind.example", Offline: true,
		Scopes:       []ScopeView{{Name: "email"}, {Name: "x", Title: Plain("Read your notes"), Description: Plain("All of them.")}, {Name: "made.up"}},
		Resources:    []string{"https://api.notes.example/v1/"},
		RedirectHost: "notes.example", SwitchAccount: "/login?interaction=i-1",
	}
	_, tree := render(t, plainLayout(), page)
	for id, want := range map[string]string{"account": page.Account, "redirect-host": page.RedirectHost, "client-name": "Acme Notes"} {
		if got := text(byID(tree, id)); got != want {
			t.Errorf("#%s says %q, want %q", id, got, want)
		}
	}
	if got := attr(byID(tree, "switch-account"), "href"); got != page.SwitchAccount {
		t.Errorf("switch account leads to %q", got)
	}
	seen := text(tree)
	for _, want := range []string{"See your e-mail address", "Read your notes", "All of them.", "made.up", "Keep access when you are away", "api.notes.example/v1"} {
		if strings.Count(seen, want) != 1 {
			t.Errorf("%q is shown %d times", want, strings.Count(seen, want))
		}
	}
	page.Scopes = append(page.Scopes, ScopeView{Name: "offline_access"})
	_, tree = render(t, plainLayout(), page)
	if n := strings.Count(text(tree), "Keep access when you are away"); n != 1 {
		t.Errorf("offline access is shown %d times when it is asked for by scope", n)
	}
}

func TestMismatchShowsSentAndNearest(t *testing.T) {
	page := mismatch()
	_, tree := render(t, plainLayout(), page)
	if got := text(byID(tree, "redirect-sent")); got != page.Sent {
		t.Errorf("sent %q", got)
	}
	if got := text(byID(tree, "redirect-nearest")); got != page.Nearest {
		t.Errorf("nearest %q", got)
	}
	if rows := named(byID(tree, "differences"), "tr"); len(rows) != len(page.Differences)+1 {
		t.Errorf("%d rows", len(rows))
	}
	if byID(tree, "registered") != nil {
		t.Error("the registered list is shown outside development")
	}
	if got := text(byID(tree, "request-id")); got != page.RequestID {
		t.Errorf("request id %q", got)
	}
	marks := named(byID(tree, "redirect-sent"), "mark")
	var marked []string
	for _, m := range marks {
		marked = append(marked, text(m))
	}
	if got := strings.Join(marked, " "); got != "http :8443 Callback/?next=%2Fhome" {
		t.Errorf("marked as different: %s", got)
	}
}

func TestA26ErrorPageSpeaksPlainly(t *testing.T) {
	_, tree := render(t, plainLayout(), Error{Status: 503, Heading: Plain("Try again soon"), Message: Plain("We cannot reach our storage."), RequestID: "r-1", Continue: "https://notes.example/"})
	for id, want := range map[string]string{"error-heading": "Try again soon", "error-message": "We cannot reach our storage.", "request-id": "r-1"} {
		if got := text(byID(tree, id)); got != want {
			t.Errorf("#%s says %q, want %q", id, got, want)
		}
	}
	if got := attr(byID(tree, "continue"), "href"); got != "https://notes.example/" {
		t.Errorf("continue leads to %q", got)
	}
	if len(named(tree, "script")) != 0 {
		t.Error("an error page has a script")
	}
	_, tree = render(t, plainLayout(), Error{})
	if got := text(byID(tree, "error-heading")); got != "Something went wrong" {
		t.Errorf("heading of an error without one: %q", got)
	}
}

// TestPagesAreAccessible checks what a machine can check of WCAG 2.2 without a browser.
func TestPagesAreAccessible(t *testing.T) {
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) {
			_, tree := render(t, e.layout, e.page)
			ids := map[string]bool{}
			for _, n := range elements(tree, func(n *html.Node) bool { return attr(n, "id") != "" }) {
				if ids[attr(n, "id")] {
					t.Errorf("id %s is used twice", attr(n, "id"))
				}
				ids[attr(n, "id")] = true
			}
			for _, key := range []string{"aria-describedby", "aria-labelledby", "for"} {
				for _, n := range elements(tree, func(n *html.Node) bool { return attr(n, key) != "" }) {
					for _, id := range strings.Fields(attr(n, key)) {
						if !ids[id] {
							t.Errorf("%s of %s names no element: %s", key, n.Data, id)
						}
					}
				}
			}
			for _, n := range named(tree, "input") {
				labels := elements(tree, func(l *html.Node) bool { return l.Data == "label" && attr(l, "for") == attr(n, "id") })
				hidden := attr(n, "type") == "hidden" || slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "hidden" }) // the latter for password managers
				if !hidden && len(labels) != 1 {
					t.Errorf("input %s has %d labels", attr(n, "name"), len(labels))
				}
			}
			for _, n := range elements(tree, func(n *html.Node) bool { return n.Data == "a" || n.Data == "button" }) {
				if text(n) == "" {
					t.Errorf("%s without text", n.Data)
				}
			}
			for _, n := range named(tree, "img") {
				if _, ok := lookup(n, "alt"); !ok {
					t.Errorf("image %s without alt", attr(n, "src"))
				}
			}
			if h, m := len(named(tree, "h1")), len(named(tree, "main")); h != 1 || m != 1 {
				t.Errorf("%d h1, %d main", h, m)
			}
			if attr(named(tree, "html")[0], "lang") != "en" || !strings.HasPrefix(text(named(tree, "title")[0]), english(t, e.page.Title())+" · ") {
				t.Error("language or title is missing")
			}
		})
	}
}

func TestLoginErrorIsAnnounced(t *testing.T) {
	_, tree := render(t, plainLayout(), Login{Password: true, Username: "mira", Error: Plain("Wrong.")})
	alert := byID(tree, "login-error")
	if attr(alert, "role") != "alert" || text(alert) != "Wrong." {
		t.Errorf("alert: %+v", alert)
	}
	for id, complete := range map[string]string{"username": "username", "password": "current-password"} {
		n := byID(tree, id)
		if attr(n, "aria-describedby") != "login-error" || attr(n, "aria-invalid") != "true" || attr(n, "autocomplete") != complete {
			t.Errorf("input %s: %v", id, n.Attr)
		}
	}
	if attr(byID(tree, "password"), "value") != "" {
		t.Error("the page carries a password")
	}
}

func TestPermissionsAreReadFromWhoYouAreToWhatOutlivesTheVisit(t *testing.T) {
	asked := []string{"b.write", "address", "email", "offline_access", "openid", "phone", "profile", "a.read"}
	want := []string{"openid", "profile", "email", "phone", "address", "b.write", "a.read", "offline_access"}
	var page Consent
	for _, name := range asked {
		page.Scopes = append(page.Scopes, ScopeView{Name: name})
	}
	for place, list := range map[string][]ScopeView{"consent": page.Permissions(), "account": ConnectedApp{Scopes: asked}.Permissions()} {
		var got []string
		for _, s := range list {
			got = append(got, s.Name)
			if s.Title.Empty() {
				t.Errorf("%s: %s has no words", place, s.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", place, got, want)
		}
	}
}

func TestNoPageShowsTheInsideOfAValue(t *testing.T) {
	for _, e := range examples() {
		raw, _ := render(t, e.layout, e.page)
		for _, inside := range []string{"map[", "&lt;nil&gt;", "%!", "0x", "0001-01-01"} {
			if strings.Contains(raw, inside) {
				t.Errorf("%s shows %q", e.name, inside)
			}
		}
	}
}
