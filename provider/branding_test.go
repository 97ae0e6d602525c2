package provider_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/storage"
)

var brandSheet = regexp.MustCompile(`href="(/static/brand\.[^"]+)"`)

// TestLooksOfAClientAreItsOwn walks through the pages of a branded client and of one that is not.
func TestLooksOfAClientAreItsOwn(t *testing.T) {
	s := start(t, "memory")
	s.user("ada@example.com")
	s.client(func(c *storage.Client) {
		c.ID = "books"
		c.Branding = &storage.Branding{Name: "Harbour Books", LogoURL: "/brand/books.svg", Accent: "#8a1c5b", PrivacyURL: "https://books.example/privacy"}
	})
	s.client(func(c *storage.Client) { c.ID = "plain" })
	for id, branded := range map[string]bool{"books": true, "plain": false} {
		b := s.browser("ada@example.com")
		login := b.arrive(b.get(s.authorizeURL(url.Values{"client_id": {id}, "ui_locales": {"de"}})))
		consent := b.arrive(b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}}))
		refused := b.get(s.authorizeURL(url.Values{"client_id": {id}, "redirect_uri": {"https://elsewhere.example/"}, "ui_locales": {"de"}}))
		for name, p := range map[string]page{"page-login": login, "page-consent": consent, "page-mismatch": refused} {
			if !strings.Contains(p.Body, name) {
				t.Fatalf("no %s for %s but %d %s", name, id, p.StatusCode, p.Body)
			}
			if got := strings.Contains(p.Body, "Harbour Books") && strings.Contains(p.Body, "/brand/books.svg") && strings.Contains(p.Body, "https://books.example/privacy"); got != branded {
				t.Errorf("%s of %s is branded: %v", name, id, got)
			}
			sheet := brandSheet.FindStringSubmatch(p.Body)
			if (sheet != nil) != branded {
				t.Errorf("%s of %s has the sheet %v", name, id, sheet)
			}
			if !strings.Contains(p.Body, `<html lang="de"`) {
				t.Errorf("%s of %s does not speak the language of the request", name, id)
			}
			if sheet == nil {
				continue
			}
			if css := s.browser("ada@example.com").get(s.URL + sheet[1]); css.StatusCode != 200 || !strings.Contains(css.Body, "--accent: #8a1c5b") || !strings.Contains(css.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %d %s", sheet[1], css.StatusCode, css.Body)
			}
		}
	}
}

// arrive follows redirects to a page.
func (b *browser) arrive(p page) page {
	b.s.Helper()
	for range 5 {
		next, err := p.Location()
		if err != nil {
			return p
		}
		p = b.get(next.String())
	}
	return p
}

// TestPagesOfAPersonSpeakTheLanguageOfTheAccount has a browser that asks for none.
func TestPagesOfAPersonSpeakTheLanguageOfTheAccount(t *testing.T) {
	s := start(t, "memory")
	s.user("ada@example.com", func(u *storage.User) { u.Locale = "de" })
	b := s.browser("ada@example.com")
	b.arrive(b.submit(b.arrive(b.get(s.URL+"/account")), "login", url.Values{"username": {"ada@example.com"}, "password": {password}}))
	if p := b.get(s.URL + "/account"); !strings.Contains(p.Body, `<html lang="de"`) {
		t.Errorf("the account page: %s", p.Body)
	}
	if p := b.get(s.URL + "/oauth2/logout?ui_locales=de"); !strings.Contains(p.Body, `<html lang="de"`) || !strings.Contains(p.Body, `name="ui_locales" value="de"`) {
		t.Errorf("the page that asks about signing out: %s", p.Body)
	}
}

// TestLooksOfAClientGoWithPeople: on the way to a branded client the pages of sign-up and recovery, their mails and the pages that links lead to look like it, in any browser; mails about the account, and
// people on the way to nobody, see the service.
func TestLooksOfAClientGoWithPeople(t *testing.T) {
	m := correspond(t, "memory")
	m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
	m.client(func(c *storage.Client) {
		c.Branding = &storage.Branding{Name: "Harbour Books", PrivacyURL: "https://books.example/privacy"}
	})
	b, other := m.browser("ada@example.com"), m.browser("ada@example.com")
	login := b.arrive(b.get(m.authorizeURL(nil)))
	query := "?interaction=" + login.Request.URL.Query().Get("interaction")
	check := func(what string, branded bool, text string) {
		t.Helper()
		if strings.Contains(text, "Harbour Books") != branded {
			t.Errorf("%s: branded %t, want %t: %s", what, !branded, branded, cut(text))
		}
	}
	check("recovery", true, b.get(m.URL+"/recovery"+query).Body)
	check("recovery on the way to nobody", false, b.get(m.URL+"/recovery").Body)
	check("recovery, sent", true, m.wants(b.ask("/recovery"+query, "recovery", url.Values{"username": {"ada@example.com"}}), 200).Body)
	check("mail to reset", true, m.post.Last(t, "ada@example.com", "reset").HTML)
	reset := m.link("ada@example.com", "reset")
	check("reset", true, b.get(reset).Body)
	check("reset in another browser", true, other.get(reset).Body)
	m.wants(b.ask("/login/mail"+query, "mail-link", url.Values{"username": {"ada@example.com"}}), 200)
	check("mail to sign in", true, m.post.Last(t, "ada@example.com", "magic").Text)
	check("link to sign in", true, b.get(m.link("ada@example.com", "magic")).Body)
	check("sign-up", true, b.get(m.URL+"/signup"+query).Body)
	m.wants(m.asksForAccount(b, "/signup"+query, "eve@example.com", password), 200)
	check("mail to sign up", true, m.post.Last(t, "eve@example.com", "signup").Subject)
	check("link to sign up, in another browser", true, other.get(m.link("eve@example.com", "signup")).Body)
	b.resets(reset, otherPassword)
	check("mail about a new password", false, m.post.Last(t, "ada@example.com", "password_changed").HTML)
}
