package main

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"gatehouse/provider/seal"
	"gatehouse/storage/postgres/postgrestest"
)

const sessionPassword = "a long and quiet passphrase"

// signedIn is a browser that has signed in at the account page.
func signedIn(t *testing.T, i *instance, username string) *browser {
	t.Helper()
	b := newBrowser(t)
	b.open(i.url + "/account")
	b.submit("login", url.Values{"username": {username}, "password": {sessionPassword}})
	if b.at.Path != "/account" {
		t.Fatalf("signing in leads to %s: %s", b.at, b.page)
	}
	return b
}

// in tells whether the browser's session is alive.
func (b *browser) in(i *instance) bool {
	b.t.Helper()
	b.open(i.url + "/account")
	return b.at.Path == "/account"
}

func sessions(t *testing.T, i *instance, args ...string) []map[string]any {
	t.Helper()
	var list []map[string]any
	text := i.command(t, "", append([]string{"session", "list", "--format", "json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return list
}

func TestOperatorListsAndEndsSessions(t *testing.T) {
	i := start(t, environment(t))
	for _, name := range []string{"ada", "bob"} {
		i.command(t, sessionPassword, "user", "create", "--email", name+"@example.com", "--username", name, "--password-stdin")
	}
	phone, laptop, other := signedIn(t, i, "ada"), signedIn(t, i, "ada"), signedIn(t, i, "bob")
	if n := len(sessions(t, i)); n != 3 {
		t.Fatalf("%d sessions are listed, want 3", n)
	}
	own := sessions(t, i, "--user", "ada")
	if len(own) != 2 || own[0]["sub"] != own[1]["sub"] || own[0]["ip"] != "127.0.0.1" || own[0]["idle"] != false || own[0]["auth_time"] == nil || own[0]["expires"] == nil {
		t.Fatalf("the sessions of ada are %v", own)
	}
	// Nothing in it may be worth a sign-in.
	if text := i.command(t, "", "session", "list", "--format", "json"); strings.Contains(strings.ToLower(text), "cookie") {
		t.Errorf("the list shows what the cookie is compared with: %s", text)
	}

	// Newest first: the laptop's.
	said := i.command(t, "", "session", "end", own[0]["sid"].(string))
	if !strings.Contains(said, "is ended") || laptop.in(i) || !phone.in(i) || !other.in(i) {
		t.Errorf("%q; afterwards laptop %v, phone %v, other %v", said, laptop.in(i), phone.in(i), other.in(i))
	}
	signedIn(t, i, "ada")
	if said := i.command(t, "", "session", "end", "--user", "ada@example.com"); !strings.HasPrefix(said, "2 sessions of user ") || phone.in(i) || !other.in(i) {
		t.Errorf("%q; afterwards phone %v, other %v", said, phone.in(i), other.in(i))
	}
	if left := sessions(t, i); len(left) != 1 || len(sessions(t, i, "--user", "ada")) != 0 {
		t.Errorf("left are %v", left)
	}
}

func TestOperatorsCommandsWorkOnPostgreSQL(t *testing.T) {
	i := start(t, environment(t, "GATEHOUSE_STORAGE_URL="+postgrestest.Start(t), "GATEHOUSE_SECRETS_KEYS="+seal.GenerateKey()))
	if text := i.command(t, "", "doctor"); strings.Contains(text, "fail ") || strings.Contains(text, "warn ") || finding(text, "revocation") == "" {
		t.Errorf("doctor: %s", text)
	}
	if text := i.command(t, "", "user", "list", "--format", "json") + i.command(t, "", "client", "list", "--format", "json"); text != "[]\n[]\n" {
		t.Errorf("the doctor left behind: %s", text)
	}
	i.command(t, sessionPassword, "user", "create", "--email", "ada@example.com", "--username", "ada", "--password-stdin")
	b := signedIn(t, i, "ada")
	if n := len(sessions(t, i)); n != 1 {
		t.Errorf("%d sessions", n)
	}
	i.command(t, "", "session", "end", "--user", "ada")
	if b.in(i) {
		t.Error("the session is alive")
	}
}

func TestSessionEndNeedsOneThingToEnd(t *testing.T) {
	i := start(t, environment(t))
	i.command(t, sessionPassword, "user", "create", "--email", "ada@example.com", "--password-stdin")
	for want, args := range map[string][]string{
		"name one session or one user":                                  {"end"},
		"name one session or one user: gatehouse":                       {"end", "x", "--user", "ada@example.com"},
		`"y" is one argument too many`:                                  {"end", "x", "y"},
		"there is no session x; see: gatehouse session list":            {"end", "x"},
		"there is no user nobody; see: gatehouse user list":             {"end", "--user", "nobody"},
		"there is no user nobody@example.com; see: gatehouse user list": {"list", "--user", "nobody@example.com"},
		"session has no command \"kill\"; there are: list, end":         {"kill"},
	} {
		var out, errOut strings.Builder
		code := run(t.Context(), append([]string{"session"}, args...), i.env, strings.NewReader(""), &out, &errOut)
		if code == 0 || !strings.Contains(errOut.String(), want) {
			t.Errorf("%v ends with %d: %s", args, code, errOut.String())
		}
	}
}
