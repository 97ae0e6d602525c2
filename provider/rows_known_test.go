package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/signin"
	"gatehouse/storage"
)

// What a browser that is known spares its owner: mail about itself, and the limits that strangers use up.

// signsInAnew asks for the password, whether or not somebody is signed in.
func (b *browser) signsInAnew() { b.code(url.Values{"prompt": {"login"}}) }

func (m *mailed) mails(to, kind string) (n int) {
	for _, mail := range m.post.Mails(to) {
		if mail.Kind == kind {
			n++
		}
	}
	return n
}

func TestRow138OwnerHearsOfANewBrowserAndOfNoOther(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		first := m.browser("ada@example.com")
		first.signsInAnew()
		if n := m.mails("ada@example.com", "signin_new"); n != 0 {
			t.Fatalf("%d mails about the first hour of an account", n)
		}
		m.Clock.Advance(2 * time.Hour)
		first.signsInAnew()
		if n := m.mails("ada@example.com", "signin_new"); n != 0 {
			t.Fatalf("%d mails about a browser that is known", n)
		}
		thief := m.browser("ada@example.com")
		thief.signsInAnew()
		thief.signsInAnew()
		if n := m.mails("ada@example.com", "signin_new"); n != 1 {
			t.Fatalf("%d mails about one new browser", n)
		}
		m.wants(m.browser("").press(m.link("ada@example.com", "signin_new"), "press", nil), http.StatusOK)
		for _, b := range []*browser{first, thief} {
			if p := b.get(m.URL + "/account"); p.StatusCode != http.StatusSeeOther {
				t.Errorf("still signed in: %d", p.StatusCode)
			}
		}
		if m.signsIn("ada@example.com", password) {
			t.Error("the password works on")
		}
	})
}

func TestRow138KnownBrowserIsForgottenWithThePassword(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		thief := m.browser("ada@example.com")
		thief.signsInAnew()
		m.Clock.Advance(2 * time.Hour)
		u, err := m.Store.User(t.Context(), subject)
		if err != nil {
			t.Fatal(err)
		}
		_, encoded, err := m.Store.UserByLogin(t.Context(), u.EmailKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Store.SetPassword(t.Context(), subject, encoded); err != nil {
			t.Fatal(err)
		}
		thief.signsInAnew()
		if n := m.mails("ada@example.com", "signin_new"); n != 1 {
			t.Errorf("%d mails about a browser that knew the old password", n)
		}
	})
}

func TestRow138MailsAboutNewBrowsersAreBounded(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		m.Clock.Advance(2 * time.Hour)
		for range 8 {
			m.browser("ada@example.com").signsInAnew()
		}
		if n := m.mails("ada@example.com", "signin_new"); n != 5 {
			t.Errorf("%d mails, want 5", n)
		}
	})
}

// Several people share a browser: each of them is known.
func TestRow183BrowserKnowsEachOfItsUsersAndTellsOfNone(t *testing.T) {
	m := correspond(t, "memory")
	m.client()
	people := []string{"ada@example.com", "bob@example.com", "cyd@example.com"}
	for _, email := range people {
		m.user(email, func(u *storage.User) { u.EmailVerified = true })
	}
	m.Clock.Advance(2 * time.Hour)
	b := m.browser("")
	for range 2 {
		for _, email := range people {
			b.User = email
			b.signsInAnew()
		}
	}
	for _, email := range people {
		if n := m.mails(email, "signin_new"); n != 1 {
			t.Errorf("%d mails to %s", n, email)
		}
	}
	if c := b.cookies("gth_dev"); strings.Count(c, ".") != len(people)-1 || strings.Contains(c, m.account("ada@example.com").Subject) {
		t.Errorf("the cookie is %s", c)
	}
}

func TestRow144StrangersDoNotUseUpTheMailsOfAKnownBrowser(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		m.user("eve@example.com", func(u *storage.User) { u.EmailVerified = true })
		own, eves := m.browser("ada@example.com"), m.browser("eve@example.com")
		own.signsInAnew()
		eves.signsInAnew()
		for range 4 {
			m.asksForLink(m.browser(""), "/recovery", "ada@example.com")
			m.asksForLink(eves, "/recovery", "ada@example.com")
		}
		if n := m.mails("ada@example.com", "reset"); n != 2 {
			t.Fatalf("strangers, one of them with an account, cause %d mails, want 2", n)
		}
		for range 4 {
			own.signsInAnew() // which buys no more mails
			m.asksForLink(own, "/recovery", "ada@example.com")
		}
		if n := m.mails("ada@example.com", "reset"); n != 4 {
			t.Errorf("%d mails, want 2 for strangers and 2 for the browser that is known", n)
		}
	}, func(o *provider.Options) { o.Limits.ResetAddress = ratelimit.Limit{Burst: 2, Every: time.Hour} })
}

func TestRow155StrangersDoNotUseUpTheCodesOfAKnownBrowser(t *testing.T) {
	limits := func(o *provider.Options) {
		o.Factors = signin.Policy{TOTP: true}
		o.Limits.FactorUser, o.Limits.FactorChallenge = ratelimit.Limit{Burst: 3, Every: time.Hour}, 100
	}
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com")
		early := m.browser("ada@example.com") // knows the password, and signed in before there was a second factor
		early.signsInAnew()
		app := m.app(subject)
		own := m.browser("ada@example.com")
		proves := func(b *browser) int {
			p := b.half(url.Values{"prompt": {"login"}})
			m.Clock.Advance(time.Minute)
			return b.submit(p, "factor", url.Values{"code": {app.Code(m.Clock.Now())}}).StatusCode
		}
		if got := proves(own); got != http.StatusSeeOther {
			t.Fatalf("the owner's first sign-in: %d", got)
		}
		for _, b := range []*browser{m.browser("ada@example.com"), early} {
			p := b.half(url.Values{"prompt": {"login"}})
			for range 3 {
				p = b.submit(p, "factor", url.Values{"code": {"000000"}})
			}
		}
		for what, b := range map[string]*browser{"a stranger": m.browser("ada@example.com"), "who signed in with the password alone": early} {
			if got := proves(b); got != http.StatusTooManyRequests {
				t.Errorf("%s: %d", what, got)
			}
		}
		if got := proves(own); got != http.StatusSeeOther {
			t.Errorf("the owner's browser: %d", got)
		}
		p := own.half(url.Values{"prompt": {"login"}})
		for range 3 {
			p = m.wants(own.submit(p, "factor", url.Values{"code": {"000000"}}), http.StatusUnauthorized)
		}
		if got := own.submit(p, "factor", url.Values{"code": {"000000"}}).StatusCode; got != http.StatusTooManyRequests {
			t.Errorf("the known browser guesses on: %d", got)
		}
	}, limits)
}

// The right password in a trusted browser asks for no code, and begins no new count of codes either.
func TestRow155SignInsOfAKnownBrowserBuyNoMoreCodes(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com")
		app := m.app(subject)
		b := m.browser("ada@example.com")
		p := b.half(nil)
		m.wants(b.submit(p, "factor", url.Values{"code": {app.Code(m.Clock.Now())}, "trust": {"1"}}), http.StatusSeeOther)
		wrong := 0
		for range 4 {
			b.signsInAnew()
			p := b.walk(m.authorizeURL(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}))
			if !hasForm(p.Body, "factor") {
				t.Fatalf("no code is asked for: %d %s", p.StatusCode, cut(p.Body))
			}
			if b.submit(p, "factor", url.Values{"code": {"000000"}}).StatusCode == http.StatusUnauthorized {
				wrong++
			}
		}
		if wrong != 3 {
			t.Errorf("%d wrong codes are looked at, want 3", wrong)
		}
	}, func(o *provider.Options) {
		o.Factors = signin.Policy{TOTP: true, TrustDevice: 24 * time.Hour}
		o.Limits.FactorUser, o.Limits.FactorChallenge = ratelimit.Limit{Burst: 3, Every: time.Hour}, 100
	})
}
