package provider_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/storage"
)

// subOf tells who the code of a walk is about.
func (b *browser) subOf(values url.Values) string {
	b.s.Helper()
	a := b.s.redeem(b.code(values))
	return jwtPayload(b.s.T, a.Str("id_token"))["sub"].(string)
}

// chosen is the session id of the button that shows a text.
func chosen(t *testing.T, p page, text string) string {
	t.Helper()
	for _, button := range strings.Split(p.Body, "<button")[1:] {
		if strings.Contains(button, text) {
			_, rest, _ := strings.Cut(button, `name="account" value="`)
			id, _, _ := strings.Cut(rest, `"`)
			return id
		}
	}
	t.Fatalf("no button for %s in %s", text, p.Body)
	return ""
}

func TestA13SelectAccountOffersWhoIsSignedIn(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		ada, bob := s.user("ada@example.com"), s.user("bob@example.com")
		b := s.browser("ada@example.com")
		if got := b.subOf(nil); got != ada {
			t.Fatalf("signed in as %s", got)
		}
		again := url.Values{"prompt": {"select_account"}}
		b.User = "bob@example.com"
		if got := b.subOf(again); got != bob {
			t.Errorf("another account gave %s, want bob", got)
		}
		b.Pages = nil
		if got := b.subOf(nil); got != bob || len(b.Pages) > 0 {
			t.Errorf("the next request is %s's after pages %v, want bob's without any", got, b.Pages)
		}
		list := b.get(s.at(b.get(s.at(b.get(s.authorizeURL(again))))))
		b.Choose, b.Pages = chosen(t, list, "ada@example.com"), nil
		if got := b.subOf(again); got != ada || strings.Join(b.Pages, " ") != "accounts" {
			t.Errorf("chosen ada: %s after pages %v", got, b.Pages)
		}
		if got := b.subOf(nil); got != ada {
			t.Errorf("after the choice the browser is %s's", got)
		}
	}, quickKeys)
}

// A choice proves no sign-in: what asks for one still gets one (security row 22).
func TestRow22ChoosingAnAccountIsNoSignIn(t *testing.T) {
	s := start(t, "memory", quickKeys, longSessions)
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	for _, values := range []url.Values{{"prompt": {"select_account login"}}, {"prompt": {"select_account"}, "max_age": {"60"}}} {
		s.advance(2 * 60 * 1e9)
		asked := s.Clock.Now().Unix()
		list := b.get(s.at(b.get(s.at(b.get(s.authorizeURL(values))))))
		b.Choose, b.Pages = chosen(t, list, "ada@example.com"), nil
		p := b.walk(s.authorizeURL(values))
		if at := s.authTime(s.wantCode(s.sentTo(p, callback), "af0ifjsldkj")); at < asked || strings.Join(b.Pages, " ") != "accounts login" {
			t.Errorf("%v: auth_time %d, asked at %d, pages %v", values, at, asked, b.Pages)
		}
	}
}

func TestRow166AccountsOfOtherBrowsersCannotBeChosen(t *testing.T) {
	s := start(t, "memory", quickKeys)
	s.client()
	s.user("ada@example.com")
	eve := s.user("eve@example.com")
	victim, thief := s.browser("ada@example.com"), s.browser("eve@example.com")
	victim.code(nil)
	thief.code(nil)
	again := url.Values{"prompt": {"select_account"}}
	list := victim.get(s.at(victim.get(s.at(victim.get(s.authorizeURL(again))))))
	thief.Choose = chosen(t, list, "ada@example.com")
	at := s.at(thief.get(s.at(thief.get(s.authorizeURL(again)))))
	p := thief.submit(thief.get(at), "accounts", url.Values{"account": {thief.Choose}})
	if p.StatusCode != http.StatusSeeOther || !strings.Contains(p.Header.Get("Location"), "/login?") {
		t.Errorf("a session of another browser: %d to %s", p.StatusCode, p.Header.Get("Location"))
	}
	thief.Choose = ""
	if got := thief.subOf(nil); got != eve {
		t.Errorf("the thief is %s", got)
	}
}

// remembered is a server on which people may stay signed in, with ada and bob in one browser; only ada asked to be remembered, and bob is the browser's.
func remembered(t *testing.T) (s *server, b *browser, ada, bob string) {
	s = start(t, "memory", quickKeys, longSessions, func(o *provider.Options) { o.Remember = 30 * 24 * time.Hour })
	s.client()
	ada, bob = s.user("ada@example.com"), s.user("bob@example.com")
	b = s.browser("bob@example.com")
	form := b.get(s.at(b.get(s.URL + "/account")))
	b.submit(form, "login", url.Values{"username": {"ada@example.com"}, "password": {password}, "remember": {"1"}})
	b.code(url.Values{"prompt": {"select_account"}})
	b.Pages = nil
	return s, b, ada, bob
}

// restart leaves the browser the cookies that outlive it, which the caller names: a jar does not tell.
func (b *browser) restart(lasting ...string) {
	b.s.Helper()
	here, jar := mustURL(b.s.T, b.s.URL), newJar(b.s.T)
	for _, c := range b.client.Jar.Cookies(here) {
		if slices.Contains(lasting, c.Name) {
			jar.SetCookies(here, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/"}})
		}
	}
	b.client.Jar = jar
}

func newJar(t *testing.T) *cookiejar.Jar {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return jar
}

// Who stays signed in is found after a restart, also if somebody else was the last in this browser, who does not.
func TestWhoStaysSignedInIsOfferedAfterARestart(t *testing.T) {
	s, b, ada, _ := remembered(t)
	b.restart("gth_kept")
	s.advance(10 * 24 * time.Hour)
	form := b.get(s.at(b.get(s.URL + "/account")))
	list := b.get(s.at(form))
	if strings.Contains(list.Body, "bob@example.com") {
		t.Errorf("a session that is not remembered outlived the browser")
	}
	chosen := b.submit(list, "accounts", url.Values{"account": {chosen(t, list, "ada@example.com")}})
	if to := chosen.Header.Get("Location"); to != "/account" {
		t.Errorf("choosing leads to %s", to)
	}
	for _, c := range chosen.Cookies() {
		if left := 20 * 24 * 3600; c.Name == "gth_sid" && (c.MaxAge > left || c.MaxAge < left-60) {
			t.Errorf("the session outlives the browser by %d s, not by what is left of its 30 days", c.MaxAge)
		}
	}
	b.restart("gth_sid")
	if got := b.subOf(nil); got != ada || strings.Join(b.Pages, " ") != "consent" {
		t.Errorf("signed in as %s after pages %v", got, b.Pages)
	}
}

// What asks for a new sign-in is not met by a choice that was not asked for.
func TestRow22AccountsThatWaitAreNotOfferedForANewSignIn(t *testing.T) {
	s, b, _, _ := remembered(t)
	b.restart("gth_kept")
	p := b.get(s.at(b.get(s.authorizeURL(url.Values{"prompt": {"login"}}))))
	if !hasForm(p.Body, "login") {
		t.Errorf("%d to %s", p.StatusCode, p.Header.Get("Location"))
	}
}

func TestAccountPageLeadsToTheOtherAccounts(t *testing.T) {
	s, b, _, _ := remembered(t)
	const all = "This signs out all 2 accounts in this browser."
	for _, path := range []string{"/account", "/account/sessions"} {
		if p := b.get(s.URL + path); !strings.Contains(visible(t, p.Body), all) {
			t.Errorf("%s does not say that sign-out is for both", path)
		}
	}
	if p := b.get(s.URL + "/account?lang=de"); !strings.Contains(b.get(s.at(p)).Body, "Das meldet alle 2 Konten in diesem Browser ab.") {
		t.Error("the German page does not say that sign-out is for both")
	}
	b.get(s.URL + "/account?lang=en")
	if p := b.get(s.URL + "/oauth2/logout"); !strings.Contains(visible(t, p.Body), all) || !strings.Contains(p.Body, "bob@example.com") {
		t.Errorf("the question does not say whom the sign-out is for: %s", visible(t, p.Body))
	}
	p := b.get(s.URL + "/account")
	if !strings.Contains(p.Body, `href="/account/choose"`) {
		t.Fatalf("no link to the other accounts: %s", visible(t, p.Body))
	}
	list := b.get(s.at(b.get(s.at(b.get(s.URL + "/account/choose")))))
	p = b.submit(list, "accounts", url.Values{"account": {chosen(t, list, "ada@example.com")}})
	if p = b.get(s.at(p)); !strings.Contains(p.Body, "ada@example.com") || strings.Contains(p.Body, "bob@example.com") {
		t.Errorf("the page is not ada's: %s", visible(t, p.Body))
	}
	s.user("carol@example.com")
	list = b.get(s.at(b.get(s.at(b.get(s.URL + "/account/choose")))))
	form := b.get(s.at(b.submit(list, "accounts", url.Values{"account": {""}})))
	p = b.get(s.at(b.submit(form, "login", url.Values{"username": {"carol@example.com"}, "password": {password}})))
	if text := visible(t, p.Body); !strings.Contains(text, "carol@example.com") || !strings.Contains(text, "all 3 accounts") {
		t.Errorf("carol beside the others: %s", text)
	}
	p = b.submit(p, "logout", nil)
	if p = b.get(s.URL + "/account/choose"); !hasForm(b.get(s.at(p)).Body, "login") {
		t.Error("somebody is still signed in")
	}
}

func TestAccountPageOfOneIsAboutOne(t *testing.T) {
	s := start(t, "memory", quickKeys)
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	for _, path := range []string{"/account", "/account/sessions", "/oauth2/logout"} {
		if p := b.get(s.URL + path); strings.Contains(p.Body, "accounts in this browser") || strings.Contains(p.Body, "/account/choose") {
			t.Errorf("%s speaks of other accounts", path)
		}
	}
}

// Row 183: signing out where nobody is the browser's, but others wait, is asked and ends them.
func TestRow183SignOutFindsWhoWaits(t *testing.T) {
	s, b, ada, _ := remembered(t)
	b.restart("gth_kept")
	p := b.get(s.URL + "/oauth2/logout")
	if !strings.Contains(p.Body, "ada@example.com") {
		t.Fatalf("not asked about ada: %s", visible(t, p.Body))
	}
	b.submit(p, "logout", nil)
	if rows, err := s.Store.SessionsOf(t.Context(), ada); err != nil || len(rows) != 0 {
		t.Errorf("ada has %d sessions, %v", len(rows), err)
	}
}

// Row 183: a sign-out ends all accounts of the browser. So the apps of each are told, and the end of each is in the audit log, also where nobody was the browser's.
func TestRow183SignOutTellsTheAppsOfEveryAccount(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		s, b, ada, bob := remembered(t)
		for _, id := range []string{"adas", "bobs"} {
			s.client(func(c *storage.Client) { c.ID, c.FrontchannelLogoutURI = id, "https://"+id+".example/out" })
		}
		use := func(address, id string) (frame string) {
			list := b.get(s.at(b.get(s.at(b.get(s.authorizeURL(url.Values{"prompt": {"select_account"}}))))))
			b.submit(list, "accounts", url.Values{"account": {chosen(t, list, address)}})
			return "https://" + id + ".example/out?iss=" + url.QueryEscape(s.URL) + "&sid=" + fmt.Sprint(jwtPayload(t, b.tokensOf(id, nil).Str("id_token"))["sid"])
		}
		wanted := map[string]string{ada: use("ada@example.com", "adas"), bob: use("bob@example.com", "bobs")}
		if restarted {
			b.restart("gth_kept")
			delete(wanted, bob)
		}
		mark := len(s.Log.String())
		p := b.submit(b.get(s.URL+"/oauth2/logout"), "logout", nil)
		if got, want := attributes(t, p.Body, "iframe", "src"), slices.Sorted(maps.Values(wanted)); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("restarted %t: frames %q, want %q", restarted, got, want)
		}
		for subject := range wanted {
			lines := 0
			for line := range strings.Lines(s.Log.String()[mark:]) {
				if strings.Contains(line, `"event":"logout"`) && strings.Contains(line, `"actor":"`+subject+`"`) {
					lines++
				}
			}
			if lines != 1 {
				t.Errorf("restarted %t: %d lines for the end of %s", restarted, lines, subject)
			}
		}
	}
}
