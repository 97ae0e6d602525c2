package provider_test

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"gatehouse/storage"
)

// What people are told of by mail that they cannot see for themselves.

var recoveryCode = regexp.MustCompile(`[a-z2-7]{4}(-[a-z2-7]{4}){3}`)

func TestRow46OwnerIsToldOfARefreshTokenThatWasUsedTwice(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		b := m.browser("ada@example.com")
		first := m.wantOK(m.redeem(b.code(nil)))
		m.wantOK(m.refresh(first.Str("refresh_token")))
		m.Clock.Advance(2 * time.Minute)
		m.wantError(m.refresh(first.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
		if n := m.mails("ada@example.com", "refresh_reuse"); n != 1 {
			t.Fatalf("%d mails", n)
		}
		m.wants(m.browser("").press(m.link("ada@example.com", "refresh_reuse"), "press", nil), http.StatusOK)
		if p := b.get(m.URL + "/account"); p.StatusCode != http.StatusSeeOther {
			t.Errorf("still signed in: %d", p.StatusCode)
		}
	})
}

func TestRow158OwnerIsToldOfARecoveryCodeThatWasUsed(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		b := m.browser("ada@example.com")
		b.enrolHere(b.walk(m.authorizeURL(nil)))
		m.Clock.Advance(time.Second)
		code := recoveryCode.FindString(m.wants(b.ask("/account/recovery-codes", "codes-new", nil), http.StatusOK).Body)
		thief := m.browser("ada@example.com")
		m.Clock.Advance(time.Second)
		m.wants(thief.submit(thief.half(nil), "factor", map[string][]string{"code": {code}}), http.StatusSeeOther)
		m.Clock.Advance(time.Second)
		m.app(subject) // the thief's
		m.wants(m.browser("").press(m.link("ada@example.com", "recovery_used"), "press", nil), http.StatusOK)
		left, err := m.Store.RecoveryCodes(t.Context(), subject)
		if n := m.factors(subject); n != 1 || left != 0 || err != nil {
			t.Errorf("%d factors, %d codes, %v", n, left, err)
		}
	}, withApps, mfaForAll)
}
