package provider_test

import (
	"strings"
	"testing"

	"gatehouse/provider"
	"gatehouse/provider/mail"
	"gatehouse/storage"
)

// A change to an account is told to its owner in the owner's language: written with the request, delivered by the job, on every store.
func TestOwnerIsToldOfANewFactor(t *testing.T) {
	for name := range backends {
		t.Run(name, func(t *testing.T) {
			box := mail.NewBox(10)
			s := strong(t, name, mfaForAll, func(o *provider.Options) { o.Mail.Carrier = box })
			s.user("ada@example.com", func(u *storage.User) { u.Locale = "de" })
			b := s.browser("ada@example.com")
			b.enrolHere(b.walk(s.authorizeURL(nil)))
			written := s.Mail.Last(t, "ada@example.com", "factor_added")
			if written.Lang != "de" || !strings.Contains(written.Text, "Guten Tag Ada Lovelace,") {
				t.Errorf("%s: %s", written.Lang, written.Text)
			}
			s.eventually("the delivery", func() bool { return len(box.Messages()) > 0 })
			s.eventually("the empty queue", func() bool {
				waiting, err := s.Store.WaitingMails(t.Context(), s.Clock.Now())
				return err == nil && waiting == 0
			})
			got := box.Messages()
			if len(got) != 1 || got[0].ID != written.ID || got[0].From.Address != "no-reply@id.example.com" {
				t.Errorf("%d messages, the newest %+v", len(got), got[0])
			}
			if log := s.Log.String(); !strings.Contains(log, `"event":"mail.sent"`) || strings.Contains(log, "ada@example.com") {
				t.Errorf("log %s", log)
			}
		})
	}
}
