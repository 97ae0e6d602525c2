package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"gatehouse/provider/web"
	"gatehouse/storage"
)

const (
	deviceCookie = "gth_dev"
	deviceLife   = 180 * 24 * time.Hour
)

// The device cookie is a random name of the browser and a MAC that ties it to one user and the user's stored password. It grants nothing. It moves the
// browser's failures to a counter of its own, with the same limit, so guessing elsewhere does not block the owner (security row 138), and a changed password makes it
// worthless.

// device returns the part of the counter's key that belongs to a browser which the user signed in with before, empty for any other.
func (l *Login) device(r *http.Request, user *storage.User, encoded string) string {
	value, ok := web.Cookie(r, deviceCookie)
	if !ok || user == nil {
		return ""
	}
	name, mac, ok := strings.Cut(value, ".")
	got, err := base64.RawURLEncoding.DecodeString(mac)
	if !ok || err != nil || len(name) > 64 {
		return ""
	}
	for _, key := range l.DeviceKeys {
		if hmac.Equal(got, deviceMAC(key, name, user.Subject, encoded)) {
			return "\n" + name
		}
	}
	return ""
}

// remember gives the browser a device cookie for the user who has just signed in.
func (l *Login) remember(w http.ResponseWriter, r *http.Request, user *storage.User, encoded string) {
	if len(l.DeviceKeys) == 0 {
		return
	}
	name := rand.Text()
	mac := base64.RawURLEncoding.EncodeToString(deviceMAC(l.DeviceKeys[0], name, user.Subject, encoded))
	web.SetCookie(w, r, deviceCookie, name+"."+mac, deviceLife, true)
}

func deviceMAC(key []byte, name, subject, encoded string) []byte {
	password := sha256.Sum256([]byte(encoded))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(name + "\n" + subject + "\n"))
	mac.Write(password[:])
	return mac.Sum(nil)
}
