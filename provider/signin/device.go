package signin

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/audit"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// trustCookie names the browser in which the second factor is not asked for. It is worth nothing without the first factor of its user. It holds a value for each of the last people who trust this
// browser, the newest first.
const (
	trustCookie = "gth_td"
	maxTrusting = 5
)

// trustValues are the parts of the request's cookie.
func trustValues(r *http.Request) (out []string) {
	text, _ := web.Cookie(r, trustCookie)
	for value := range strings.SplitSeq(text, ".") {
		if web.WellFormed(value) && len(out) < maxTrusting {
			out = append(out, value)
		}
	}
	return out
}

// trusted tells whether the browser is a trusted device of the user, and gives it its next cookie. A copied cookie makes the device forgotten (security row 160).
func (s *SignIn) trusted(w http.ResponseWriter, r *http.Request, user *storage.User) (bool, error) {
	if s.Policy.TrustDevice <= 0 {
		return false, nil
	}
	values := trustValues(r)
	for i, value := range values {
		next := web.RandomValue()
		device, err := s.Store.UseDevice(r.Context(), user.Subject, web.Hash(value), web.Hash(next), s.now())
		switch {
		case errors.Is(err, storage.ErrConsumed):
			s.Audit.Record(r.Context(), audit.Event{Name: "device.copied", Actor: user.Subject, Result: "refused", Reason: "an earlier cookie of a trusted device came back"})
			s.keepTrust(w, r, slices.Delete(values, i, i+1), s.Policy.TrustDevice)
			return false, nil
		case errors.Is(err, storage.ErrNotFound): // of another user, or forgotten
			continue
		case err != nil:
			return false, fmt.Errorf("use trusted device: %w", err)
		}
		life := device.Expires.Sub(s.now())
		if len(values) > 1 { // the others may have longer
			life = s.Policy.TrustDevice
		}
		s.keepTrust(w, r, append([]string{next}, slices.Delete(values, i, i+1)...), life)
		return true, nil
	}
	return false, nil
}

// keepTrust sets the cookie to the values that stay.
func (s *SignIn) keepTrust(w http.ResponseWriter, r *http.Request, values []string, life time.Duration) {
	if len(values) == 0 {
		web.ClearCookie(w, r, trustCookie)
		return
	}
	web.SetCookie(w, r, trustCookie, strings.Join(values[:min(len(values), maxTrusting)], "."), life, true)
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
	s.keepTrust(w, r, append([]string{value}, trustValues(r)...), s.Policy.TrustDevice)
	s.Note(r, user, activity.Event{Kind: activity.DeviceTrusted})
	return nil
}

func (s *SignIn) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
