package provider_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/provider/grant"
	"gatehouse/provider/opaque"
	"gatehouse/provider/web"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// A consent that was read before the user disconnected the client must not become a grant after it: the grant counts from before the read.
func TestRow50CodeUnderWayDiesWithTheDisconnect(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		subject := s.user("ada@example.com")
		b := s.browser("ada@example.com")
		b.code(nil)
		disconnecting := &disconnectingStore{Store: s.Store, clock: s.Clock, subject: subject}
		node := *s
		node.Store = disconnecting
		node.boot()
		b.s = &node
		jar := b.client.Jar.Cookies(mustURL(t, s.URL))
		b.client.Jar.SetCookies(mustURL(t, node.URL), jar)
		disconnecting.armed.Store(true)
		params := b.callback(url.Values{"scope": {"openid offline_access"}, "prompt": {"none"}})
		if disconnecting.armed.Load() {
			t.Fatal("the disconnect did not happen between reading the consent and storing the code")
		}
		if params.Get("code") == "" {
			t.Fatalf("no code: %v", params)
		}
		node.wantError(node.redeem(params.Get("code")), http.StatusBadRequest, "invalid_grant")
	})
}

// disconnectingStore revokes the consent as soon as it was read.
type disconnectingStore struct {
	storage.Store
	clock   *webtest.Clock
	subject string
	armed   atomic.Bool
}

func (s *disconnectingStore) Consent(ctx context.Context, subject, clientID string) (*storage.Consent, error) {
	consent, err := s.Store.Consent(ctx, subject, clientID)
	if s.armed.CompareAndSwap(true, false) {
		s.clock.Advance(time.Second) // grants and revocations are compared by the millisecond
		err = errors.Join(err, s.Store.RevokeConsent(ctx, s.subject, clientID))
		s.clock.Advance(time.Second)
	}
	return consent, err
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

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
		row, err := s.Store.Token(t.Context(), storage.TokenCode, opaque.Signature(code))
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
