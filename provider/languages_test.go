package provider_test

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/storage"
)

// Who has chosen a language reads it wherever the server knows who it is: on the pages of a sign-in that stand behind the password, and on those that links in mails lead to. The browser asks for another
// one, and one page stands before the password.
func TestPagesSpeakTheLanguageOfWhomeverTheyAreFor(t *testing.T) {
	m := correspond(t, "memory", secondApps)
	m.client()
	app := m.app(m.user("ada@example.com", func(u *storage.User) { u.Locale, u.EmailVerified = "de", false }))
	b := m.browser("ada@example.com")
	b.speaks("en")
	in := func(name, language string, p page, form string) page {
		t.Helper()
		if !hasForm(p.Body, form) || !strings.Contains(p.Body, `<html lang="`+language+`"`) {
			t.Errorf("%s: not in %s, or no form %s: %d %s", name, language, form, p.StatusCode, cut(p.Body))
		}
		return p
	}
	follow := func(p page) page {
		for p.Header.Get("Location") != "" {
			p = b.get(m.at(p))
		}
		return p
	}
	p := in("sign-in", "en", follow(b.get(m.authorizeURL(nil))), "login")
	p = in("second factor", "de", follow(b.submit(p, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})), "factor")
	p = in("a wrong code", "de", b.submit(p, "factor", url.Values{"code": {"000000"}}), "factor")
	p = in("consent", "de", follow(b.submit(p, "factor", url.Values{"code": {app.Code(m.Clock.Now())}})), "consent")
	b.submit(p, "consent", url.Values{"decision": {"allow"}})

	page := b.get(m.URL + "/account/profile")
	_, fields := readForm(t, page.Body, "profile-form")
	told := b.post(m.URL+"/verify/start", url.Values{"csrf": fields["csrf"]})
	if !strings.Contains(told.Body, `<html lang="de"`) {
		t.Errorf("what is said of a mail to confirm the address: %d %s", told.StatusCode, cut(told.Body))
	}
	for _, link := range []struct{ kind, path, form string }{{"verify", "", ""}, {"reset", "/recovery", "recovery"}, {"magic", "/login/mail", "mail-link"}} {
		if link.path != "" {
			b.ask(link.path, link.form, url.Values{"username": {"ada@example.com"}})
		}
		if p := b.get(m.link("ada@example.com", link.kind)); p.StatusCode != 200 || !strings.Contains(p.Body, `<html lang="de"`) {
			t.Errorf("the page of the link %s: %d %s", link.kind, p.StatusCode, cut(p.Body))
		}
	}
}

// A link to another language on a page with a QR code would make another seed: the code of the app that has scanned the first one would never fit.
func TestPagesWithAQRCodeLeadToNoOtherSeed(t *testing.T) {
	m := correspond(t, "memory", secondApps, mfaForAll)
	m.client()
	m.user("ada@example.com")
	b := m.browser("ada@example.com")
	p := b.walk(m.authorizeURL(nil))
	if !hasForm(p.Body, "enrol") || strings.Contains(p.Body, `id="languages"`) {
		t.Errorf("on the way to an app: %s", cut(p.Body))
	}
	b.enrolHere(p)
	if p := b.get(m.URL + "/account/profile"); !strings.Contains(p.Body, `id="languages"`) {
		t.Errorf("no other languages at all: %s", cut(p.Body))
	}
	if p := b.get(m.URL + "/account/authenticator"); !hasForm(p.Body, "authenticator") || strings.Contains(p.Body, `id="languages"`) {
		t.Errorf("on the account page: %d %s", p.StatusCode, cut(p.Body))
	}
}
