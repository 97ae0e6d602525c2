package signin

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/audit"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// trustCookie names the browser in which the second factor is not asked for. It is worth nothing without the first factor of its user.
const trustCookie = "gth_td"

// trusted tells whether the browser is a trusted device of the user, and gives it its next cookie. A copied cookie makes the device forgotten (security row 160).
func (s *SignIn) trusted(w http.ResponseWriter, r *http.Request, user *storage.User) (bool, error) {
	value, ok := web.Cookie(r, trustCookie)
	if s.Policy.TrustDevice <= 0 || !ok || !web.WellFormed(value) {
		return false, nil
	}
	next := web.RandomValue()
	device, err := s.Store.UseDevice(r.Context(), user.Subject, web.Hash(value), web.Hash(next), s.now())
	switch {
	case errors.Is(err, storage.ErrConsumed):
		s.Audit.Record(r.Context(), audit.Event{Name: "device.copied", Actor: user.Subject, Result: "refused", Reason: "an earlier cookie of a trusted device came back"})
		web.ClearCookie(w, r, trustCookie)
		return false, nil
	case errors.Is(err, storage.ErrNotFound): // of another user, or forgotten
		return false, nil
	case err != nil:
		return false, fmt.Errorf("use trusted device: %w", err)
	}
	web.SetCookie(w, r, trustCookie, next, device.Expires.Sub(s.now()), true)
	return true, nil
}

// trust makes the browser a trusted device.
func (s *SignIn) trust(w http.ResponseWriter, r *http.Request, user *storage.User) error {
	if s.Policy.TrustDevice <= 0 {
		return nil
	}
	var id [16]byte
	rand.Read(id[:]) // never fails
	value, now := web.RandomValue(), s.now()
	d := &storage.Device{
		ID: base64.RawURLEncoding.EncodeToString(id[:]), Subject: user.Subject, CookieHash: web.Hash(value), Epoch: user.Epoch, UserAgent: session.Printable(r.UserAgent()), IP: session.Peer(r),
		Created: now, LastUsed: now, Expires: now.Add(s.Policy.TrustDevice),
	}
	if err := s.Store.CreateDevice(r.Context(), d); err != nil {
		return fmt.Errorf("trust device: %w", err)
	}
	web.SetCookie(w, r, trustCookie, value, s.Policy.TrustDevice, true)
	s.Note(r, user, activity.Event{Kind: activity.DeviceTrusted})
	return nil
}

func (s *SignIn) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
