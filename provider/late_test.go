package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
)

// A sign-in page that was open for longer than its request waits does not lose the person: the request begins anew, with nothing proven.

const tooLong = "That took too long. Please sign in again."

// follow goes where a page leads inside the server.
func (b *browser) follow(p page) page {
	b.s.Helper()
	for n := 0; p.StatusCode == http.StatusSeeOther && n < 5; n++ {
		p = b.get(b.s.at(p))
	}
	return p
}

func (b *browser) signInForm(target string) page {
	b.s.Helper()
	p := b.follow(b.get(target))
	for _, c := range p.Cookies() {
		if c.Name == "gth_flow" && c.MaxAge < 2*3600 {
			b.s.Errorf("after %d s the browser sends the form without the cookie that it is checked by", c.MaxAge)
		}
	}
	return p
}

var adasPassword = url.Values{"username": {"ada@example.com"}, "password": {password}}

func TestStaleSignInFormOfAnAppBeginsAnew(t *testing.T) {
	for _, backend := range []string{"memory", "sqlite"} {
		t.Run(backend, func(t *testing.T) {
			s := start(t, backend, quickKeys)
			s.client()
			ada := s.user("ada@example.com")
			b := s.browser("ada@example.com")
			form := b.signInForm(s.authorizeURL(url.Values{"state": {"before-lunch"}}))
			s.advance(45 * time.Minute)
			sent := b.follow(b.submit(form, "login", adasPassword))
			reloaded := b.follow(b.get(form.Request.URL.String()))
			for name, p := range map[string]page{"sent": sent, "reloaded": reloaded} {
				if text := visible(t, p.Body); p.StatusCode != http.StatusOK || !strings.Contains(text, tooLong) || !strings.Contains(text, "Example App") {
					t.Errorf("%s: %d %s", name, p.StatusCode, text)
				}
				if p.Request.URL.String() == form.Request.URL.String() {
					t.Errorf("%s: the request did not begin anew", name)
				}
			}
			if rows, err := s.Store.SessionsOf(t.Context(), ada); err != nil || len(rows) != 0 {
				t.Errorf("the stale form signed in: %d sessions, %v", len(rows), err)
			}
			p := b.follow(b.submit(sent, "login", adasPassword))
			p = b.submit(p, "consent", url.Values{"decision": {"allow"}})
			s.wantCode(s.sentTo(b.get(s.at(p)), callback), "before-lunch")
			if p := b.get(sent.Request.URL.String()); p.StatusCode != http.StatusOK || !strings.Contains(p.Body, "Already finished") {
				t.Errorf("a request that was finished goes on: %d", p.StatusCode)
			}
		})
	}
}

func TestStaleSignInFormOfTheAccountBeginsAnew(t *testing.T) {
	s := start(t, "memory", quickKeys)
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	form := b.signInForm(s.URL + "/account/apps")
	s.advance(45 * time.Minute)
	again := b.follow(b.submit(form, "login", adasPassword))
	if text := visible(t, again.Body); !strings.Contains(text, tooLong) {
		t.Fatalf("%d %s", again.StatusCode, text)
	}
	if p := b.submit(again, "login", adasPassword); p.Header.Get("Location") != "/account/apps" {
		t.Errorf("%d to %q", p.StatusCode, p.Header.Get("Location"))
	}
}

// Rows 22 and 27: nothing that was proven in the first try counts in the second.
func TestRow27NothingProvenOutlivesARequest(t *testing.T) {
	s := start(t, "memory", quickKeys, longSessions)
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	login := url.Values{"prompt": {"login"}}
	question := b.follow(b.submit(b.signInForm(s.authorizeURL(login)), "login", adasPassword))
	if !hasForm(question.Body, "consent") {
		t.Fatalf("no consent page: %s", visible(t, question.Body))
	}
	s.advance(45 * time.Minute)
	p := b.follow(b.submit(question, "consent", url.Values{"decision": {"allow"}}))
	if !hasForm(p.Body, "login") || !strings.Contains(visible(t, p.Body), tooLong) {
		t.Errorf("the sign-in or the consent of the first try counts: %d %s", p.StatusCode, visible(t, p.Body))
	}
	p = b.follow(b.submit(p, "login", adasPassword))
	if !hasForm(p.Body, "consent") {
		t.Errorf("nobody is asked for consent: %d to %q", p.StatusCode, p.Header.Get("Location"))
	}
}

// Row 27 for requests whose time is over: other browsers, forged forms and ids that are none get what they always got.
func TestRow27OnlyTheBrowserThatBeganARequestBeginsItAnew(t *testing.T) {
	s := start(t, "memory", quickKeys)
	s.client()
	s.user("ada@example.com")
	b, thief := s.browser("ada@example.com"), s.browser("")
	form := b.signInForm(s.authorizeURL(nil))
	own := thief.signInForm(s.authorizeURL(nil))
	s.advance(45 * time.Minute)
	id := form.Request.URL.Query().Get("interaction")
	for _, path := range []string{"/login", "/consent", "/terms", "/oauth2/authorize"} {
		if p := thief.follow(thief.get(s.URL + path + "?interaction=" + id)); p.StatusCode != http.StatusForbidden {
			t.Errorf("GET %s of another browser: %d", path, p.StatusCode)
		}
	}
	_, fields := readForm(t, own.Body, "login")
	fields.Set("interaction", id)
	if p := thief.post(s.URL+"/login", with(fields, "username", "ada@example.com")); p.StatusCode != http.StatusForbidden {
		t.Errorf("POST of another browser: %d to %q", p.StatusCode, p.Header.Get("Location"))
	}
	if p := b.post(s.URL+"/login", url.Values{"interaction": {id}, "username": {"ada@example.com"}}); p.StatusCode != http.StatusForbidden {
		t.Errorf("POST without the form's token: %d to %q", p.StatusCode, p.Header.Get("Location"))
	}
	s.advance(storage.InteractionGrace)
	if p := b.follow(b.get(form.Request.URL.String())); p.StatusCode != http.StatusForbidden {
		t.Errorf("after the grace: %d", p.StatusCode)
	}
}

// Row 10: the request is validated anew: what its client may not any more, it may not here.
func TestRow10ARequestThatBeginsAnewIsValidatedAnew(t *testing.T) {
	for name, change := range map[string]func(*storage.Client) error{
		"disabled":     func(c *storage.Client) error { c.Disabled = true; return nil },
		"redirect_uri": func(c *storage.Client) error { c.RedirectURIs = []string{"https://rp.example/other"}; return nil },
	} {
		s := start(t, "memory", quickKeys)
		s.client()
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		form := b.signInForm(s.authorizeURL(nil))
		if _, err := s.Store.UpdateClient(t.Context(), "app", change); err != nil {
			t.Fatal(err)
		}
		s.advance(45 * time.Minute)
		p := b.follow(b.submit(form, "login", adasPassword))
		if p.StatusCode != http.StatusBadRequest || p.Header.Get("Location") != "" || hasForm(p.Body, "login") {
			t.Errorf("%s: %d to %q %s", name, p.StatusCode, p.Header.Get("Location"), visible(t, p.Body))
		}
	}
}
