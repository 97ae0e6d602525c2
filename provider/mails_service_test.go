package provider_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/provider"
	"gatehouse/storage"
)

// What waits for the mail server is a number that operators can watch; a store that does not answer is none.
func TestMailsThatWaitAreAMetric(t *testing.T) {
	m := correspond(t, "memory")
	m.broken.op.Store("ClaimMails")
	b := m.browser("")
	m.wants(m.asksForAccount(b, "/signup", "ada@example.com", password), http.StatusOK)
	sent := func(want string) bool {
		w := httptest.NewRecorder()
		m.Provider.Ops().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return strings.Contains(w.Body.String(), "gatehouse_mails_waiting "+want+"\n")
	}
	if !sent("1") {
		t.Error("a mail that is not claimed does not wait")
	}
	m.broken.op.Store("")
	m.eventually("no mail waits any more", func() bool { return sent("0") })
	m.broken.op.Store("WaitingMails")
	if !sent("NaN") {
		t.Error("a store that is down has a number of mails")
	}
}

// Who has chosen no language gets mails in that of the pages.
func TestMailsSpeakTheLanguageOfTheService(t *testing.T) {
	m := correspond(t, "memory", func(o *provider.Options) { o.Language = "de" })
	m.client()
	m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
	b := m.browser("ada@example.com")
	b.resets(m.resetLink(b, "ada@example.com"), otherPassword)
	if mail := m.post.Last(t, "ada@example.com", "password_changed"); mail.Lang != "de" {
		t.Errorf("%s %s", mail.Lang, mail.Subject)
	}
}
