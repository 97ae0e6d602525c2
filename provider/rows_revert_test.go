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

// steal gives an account to whoever has another mailbox.
func (m *mailed) steal(subject, mailbox string) {
	m.Helper()
	_, err := m.Store.UpdateUser(m.Context(), subject, func(u *storage.User) error {
		u.Email, u.EmailKey, u.EmailVerified = mailbox, mailbox, true
		return nil
	})
	if err != nil {
		m.Fatal(err)
	}
}

// withApps lets people have authenticator apps.
func withApps(o *provider.Options) { o.Factors = signin.Policy{TOTP: true} }

// tokenOf is what a link holds.
func tokenOf(link string) string { return link[strings.Index(link, "token=")+len("token="):] }

func (m *mailed) factors(subject string) int {
	m.Helper()
	rows, err := m.Store.FactorsOf(m.Context(), subject)
	if err != nil {
		m.Fatal(err)
	}
	return len(rows)
}

func TestRow172ThiefsOwnLinkDiesWithTheOwners(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		owner, thief := m.browser("ada@example.com"), m.browser("eve@evil.example")
		owner.resets(m.resetLink(owner, "ada@example.com"), otherPassword) // stands for the thief's first change
		first := m.link("ada@example.com", "password_changed")
		m.steal(subject, "eve@evil.example")
		m.Clock.Advance(time.Minute)
		thief.resets(m.resetLink(thief, "eve@evil.example"), otherPassword)
		second := m.link("eve@evil.example", "password_changed")
		m.wants(owner.press(first, "press", nil), http.StatusOK)
		if m.account("ada@example.com") == nil {
			t.Fatal("the address is not back")
		}
		m.Clock.Advance(time.Minute)
		m.wants(thief.get(second), http.StatusBadRequest)
		if m.account("eve@evil.example") != nil || m.account("ada@example.com") == nil {
			t.Error("the thief has the account again")
		}
	})
}

func TestRow172OwnersOlderLinkOutlivesTheThiefs(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		owner, thief := m.browser("ada@example.com"), m.browser("eve@evil.example")
		owner.resets(m.resetLink(owner, "ada@example.com"), otherPassword)
		first := m.link("ada@example.com", "password_changed")
		m.steal(subject, "eve@evil.example")
		m.Clock.Advance(time.Minute)
		thief.resets(m.resetLink(thief, "eve@evil.example"), otherPassword)
		m.wants(thief.press(m.link("eve@evil.example", "password_changed"), "press", nil), http.StatusOK)
		m.Clock.Advance(time.Minute)
		m.wants(owner.press(first, "press", nil), http.StatusOK)
		if m.account("ada@example.com") == nil {
			t.Error("the owner cannot take the account back")
		}
	})
}

func TestRow172NotMeRemovesWhatWasAddedSince(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		m.app(subject) // the owner's
		m.Clock.Advance(time.Minute)
		owner := m.browser("ada@example.com")
		owner.resets(m.resetLink(owner, "ada@example.com"), otherPassword)
		link := m.link("ada@example.com", "password_changed")
		m.Clock.Advance(time.Minute)
		m.app(subject) // the thief's
		user, err := m.Store.User(m.Context(), subject)
		m.ok(err)
		m.ok(m.Store.SetRecoveryCodes(m.Context(), subject, []string{"a"}, user.Epoch))
		m.wants(owner.press(link, "press", nil), http.StatusOK)
		left, err := m.Store.RecoveryCodes(t.Context(), subject)
		if n := m.factors(subject); n != 1 || left != 0 || err != nil {
			t.Errorf("%d factors, %d codes, %v", n, left, err)
		}
	}, withApps)
}

// The mail about a factor comes after the factor, and its link takes that factor away.
func TestRow172MailAboutAFactorTakesThatFactorAway(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		b := m.browser("ada@example.com")
		b.enrolHere(b.walk(m.authorizeURL(nil)))
		if m.factors(subject) != 1 {
			t.Fatal("no factor")
		}
		m.Clock.Advance(time.Hour)
		m.wants(m.browser("").press(m.link("ada@example.com", "factor_added"), "press", nil), http.StatusOK)
		left, err := m.Store.RecoveryCodes(t.Context(), subject)
		if n := m.factors(subject); n != 0 || left != 0 || err != nil {
			t.Errorf("%d factors, %d codes, %v", n, left, err)
		}
	}, withApps, mfaForAll)
}

func TestRow172MailAboutRecoveryCodesTakesThemAway(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		b := m.browser("ada@example.com")
		b.enrolHere(b.walk(m.authorizeURL(nil)))
		m.Clock.Advance(time.Second)
		m.wants(b.ask("/account/recovery-codes", "codes-new", nil), http.StatusOK)
		link := m.link("ada@example.com", "recovery_codes")
		m.Clock.Advance(time.Second)
		m.wants(m.browser("").press(link, "press", nil), http.StatusOK)
		left, err := m.Store.RecoveryCodes(t.Context(), subject)
		if n := m.factors(subject); n != 1 || left != 0 || err != nil {
			t.Errorf("%d factors, %d codes, %v", n, left, err)
		}
	}, withApps, mfaForAll)
}

// A failure costs nobody the only link.
func TestRow172NotMeThatFailsCanBePressedAgain(t *testing.T) {
	m := correspond(t, "memory")
	m.client()
	m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
	owner := m.browser("ada@example.com")
	owner.resets(m.resetLink(owner, "ada@example.com"), otherPassword)
	link := m.link("ada@example.com", "password_changed")
	p := owner.get(link)
	if !m.broken.during("RevertUser", func() { m.wants(owner.submit(p, "press", nil), http.StatusServiceUnavailable) }) {
		t.Fatal("nothing failed")
	}
	m.wants(owner.press(link, "press", nil), http.StatusOK)
	if m.signsIn("ada@example.com", otherPassword) {
		t.Error("the password works on")
	}
}

func TestRow136PromisedMailIsSentOverTheLimit(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		owner := m.browser("ada@example.com")
		owner.resets(m.resetLink(owner, "ada@example.com"), otherPassword)
		link := m.link("ada@example.com", "password_changed")
		for range 3 {
			m.Clock.Advance(time.Second)
			m.asksForLink(m.browser(""), "/recovery", "ada@example.com")
		}
		before := m.link("ada@example.com", "reset")
		m.Clock.Advance(time.Second)
		m.wants(owner.press(link, "press", nil), http.StatusOK)
		after := m.link("ada@example.com", "reset")
		if after == before {
			t.Fatal("there is no new mail")
		}
		owner.resets(after, password)
		if !m.signsIn("ada@example.com", password) {
			t.Error("the mailed link sets no password")
		}
	}, func(o *provider.Options) {
		o.Limits.ResetAddress = ratelimit.Limit{Burst: 2, Every: time.Hour}
	})
}

func TestRow172ClickOfAStrangerProvesNoAddressForSomebodyElse(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("eve@evil.example", func(u *storage.User) { u.EmailVerified = true })
		m.user("bob@example.com", func(u *storage.User) { u.EmailVerified = true })
		eve, victim, bob := m.browser("eve@evil.example"), m.browser(""), m.browser("bob@example.com")
		eve.code(nil)
		bob.code(nil)
		m.wants(eve.ask("/account/profile", "email", url.Values{"email": {"victim@example.com"}}), http.StatusSeeOther)
		link := m.link("victim@example.com", "email_change")
		for _, b := range []*browser{victim, bob} {
			m.wants(b.get(link), http.StatusForbidden)
			_, fields := readForm(t, b.get(m.URL+"/recovery").Body, "recovery")
			m.wants(b.post(m.URL+"/verify", url.Values{"csrf": fields["csrf"], "token": {tokenOf(link)}}), http.StatusForbidden)
		}
		if m.account("victim@example.com") != nil {
			t.Fatal("eve's account has the victim's address")
		}
		// Nothing was used up: whoever is signed in goes on.
		m.wants(eve.press(link, "press", nil), http.StatusOK)
		if m.account("victim@example.com") == nil {
			t.Error("the browser that asked cannot confirm")
		}
	})
}

func TestRow151AddressIsConfirmedInAnyBrowserOfItsUser(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		laptop, phone := m.browser("ada@example.com"), m.browser("ada@example.com")
		laptop.code(nil)
		m.wants(laptop.ask("/account/profile", "email", url.Values{"email": {"new@example.com"}}), http.StatusSeeOther)
		link := m.link("new@example.com", "email_change")
		m.wants(phone.get(link), http.StatusForbidden)
		phone.code(nil)
		m.wants(phone.press(link, "press", nil), http.StatusOK)
		if m.account("new@example.com") == nil {
			t.Error("the address is not confirmed")
		}
	})
}

// A failure while the account is made costs nobody the link of a sign-up.
func TestRow149SignUpThatFailsCanBeConfirmedAgain(t *testing.T) {
	m := correspond(t, "memory")
	m.client()
	b := m.browser("")
	m.wants(m.asksForAccount(b, "/signup", "ada@example.com", password), http.StatusOK)
	link := m.link("ada@example.com", "signup")
	p := b.get(link)
	if !m.broken.during("CreateUser", func() { m.wants(b.submit(p, "confirm", nil), http.StatusServiceUnavailable) }) {
		t.Fatal("nothing failed")
	}
	m.wants(b.press(link, "confirm", nil), http.StatusSeeOther)
	if m.account("ada@example.com") == nil {
		t.Error("there is no account")
	}
	m.wants(b.get(link), http.StatusBadRequest)
}
