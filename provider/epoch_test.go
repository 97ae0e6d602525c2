package provider_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"gatehouse/provider/grant"
	"gatehouse/provider/oauth"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// What was under way while a password changed must not outlive the change (security row 51): neither the sign-in that had verified the old password, nor the
// code that the old session was just being given.

func TestRow51SignInUnderWayDiesWithThePasswordChange(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		subject := s.user("ada@example.com")
		seen, err := s.Store.User(t.Context(), subject)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Store.SetPassword(t.Context(), subject, "of no account here"); err != nil {
			t.Fatal(err)
		}
		now, cookie := s.Clock.Now(), web.RandomValue()
		late := &storage.Session{
			ID: "late", CookieHash: web.Hash(cookie), Subject: subject, Epoch: seen.Epoch, AuthTime: now, Created: now, LastSeen: now, Absolute: now.Add(time.Hour),
		}
		if err := s.Store.CreateSession(t.Context(), late); err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest("GET", s.URL+"/account", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: web.SessionCookie, Value: cookie})
		if a := s.send(r); a.Status != http.StatusSeeOther {
			t.Errorf("the account page answers %d to a session of the old password", a.Status)
		}
	})
}

func TestRow51CodeUnderWayDiesWithThePasswordChange(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		subject := s.user("ada@example.com")
		code := s.browser("ada@example.com").code(url.Values{"scope": {"openid offline_access"}})
		row, err := s.Store.Token(t.Context(), storage.TokenCode, oauth.Signature(code))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Store.SetPassword(t.Context(), subject, "of no account here"); err != nil {
			t.Fatal(err)
		}
		// The request that was under way stores its code now, in a family born after the revocation.
		s.Clock.Advance(time.Second)
		if row.GrantID, err = grant.NewGrantID(s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.Store.CreateToken(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		s.wantError(s.redeem(code), http.StatusBadRequest, "invalid_grant")
	})
}
