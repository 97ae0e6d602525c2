package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"gatehouse/storage"
)

// The cookies that the kernel knows by name. Everything else about them is the features' business.
const (
	SessionCookie = "gth_sid"  // package session
	FlowCookie    = "gth_flow" // one random value per browser, which interactions and synchroniser tokens are bound to
	StateCookie   = "gth_bs"   // what check_session_iframe looks at (OpenID Connect Session Management 1.0); no authority
)

// flowLife is how long a browser keeps the flow cookie after its last page: as long as what waits in it can be begun anew.
const flowLife = 30*time.Minute + storage.InteractionGrace

// cookie is one that this answer sets; an empty value deletes it.
type cookie struct{ name, value string }

// wireName is the name that the browser sees. The prefix binds the cookie to this very host: no sub-domain and no plain-http page can set it (RFC 6265bis
// section 4.1.3.2). It also demands Path=/, so that the cookies of an issuer with a path are told from those of its neighbours on the host by their names alone.
func (m *Mux) wireName(name string) string {
	if m.secure {
		return "__Host-" + name + m.cookieSuffix
	}
	return name + m.cookieSuffix
}

// cookieSuffix is what the cookies of an issuer with a path have at the end of their names.
func cookieSuffix(base string) string {
	if base == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(base))
	return "_" + hex.EncodeToString(sum[:4])
}

// WireName is the name under which this server's browsers keep a cookie, for scripts that read it.
func WireName(r *http.Request, name string) string { return from(r).mux.wireName(name) }

// SetCookie sets a cookie for the whole host, instead of what was set under the name in this answer before. maxAge 0 keeps it until the browser closes.
// httpOnly is false only for what scripts must read and what gives no authority.
func SetCookie(w http.ResponseWriter, r *http.Request, name, value string, maxAge time.Duration, httpOnly bool) {
	from(r).setCookie(w, name, value, int(maxAge/time.Second), httpOnly)
}

// ClearCookie deletes a cookie of SetCookie.
func ClearCookie(w http.ResponseWriter, r *http.Request, name string) {
	from(r).setCookie(w, name, "", -1, true)
}

func (x *exchange) setCookie(w http.ResponseWriter, name, value string, maxAge int, httpOnly bool) {
	wire := http.Cookie{
		Name: x.mux.wireName(name), Value: value, Path: "/", MaxAge: maxAge, Secure: x.mux.secure, HttpOnly: httpOnly, SameSite: http.SameSiteLaxMode,
	}
	switch {
	case name == SessionCookie && x.mux.secure:
		wire.SameSite = x.mux.options.SameSite
	case name == StateCookie && x.mux.secure:
		wire.SameSite = http.SameSiteNoneMode // read in a frame on the pages of others
	}
	lines := w.Header()["Set-Cookie"]
	kept := make([]string, 0, len(lines)+1)
	for _, line := range lines {
		if !strings.HasPrefix(line, wire.Name+"=") {
			kept = append(kept, line)
		}
	}
	w.Header()["Set-Cookie"] = append(kept, wire.String())
	for i := range x.cookies {
		if x.cookies[i].name == name {
			x.cookies[i].value = value
			return
		}
	}
	x.cookies = append(x.cookies, cookie{name, value})
}

// Cookie returns the value of a cookie, as this answer has set it or as the browser sent it. Only the exact name counts: no other case, no spaces, no
// quoting. Sent twice it counts as not sent, since one of the two is not ours.
func Cookie(r *http.Request, name string) (string, bool) {
	x := from(r)
	for _, set := range x.cookies {
		if set.name == name {
			return set.value, set.value != ""
		}
	}
	wire, value, found := x.mux.wireName(name), "", 0
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			if got, text, ok := strings.Cut(strings.TrimLeft(pair, " \t"), "="); ok && got == wire {
				value = strings.TrimRight(text, " \t")
				found++
			}
		}
	}
	if found != 1 || value == "" {
		return "", false
	}
	return value, true
}

// RandomValue returns 256 random bits in base64url, the form of every cookie of this server.
func RandomValue() string {
	var raw [32]byte
	rand.Read(raw[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// Hash returns the base64url SHA-256 of a cookie's value: what may be stored of it.
func Hash(value string) string {
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// WellFormed tells whether a value can be one of RandomValue.
func WellFormed(value string) bool {
	if len(value) != 43 {
		return false
	}
	_, err := base64.RawURLEncoding.DecodeString(value)
	return err == nil
}

// Binder returns what an interaction of this browser is bound to: the hash of its flow cookie. The cookie is set if it is missing, and lives on for
// another half hour.
func Binder(w http.ResponseWriter, r *http.Request) string { return Hash(flow(w, r)) }

// BinderOf is Binder for a browser that must have the cookie already.
func BinderOf(r *http.Request) (string, bool) {
	value, ok := Cookie(r, FlowCookie)
	if !ok || !WellFormed(value) {
		return "", false
	}
	return Hash(value), true
}

func flow(w http.ResponseWriter, r *http.Request) string {
	value, ok := Cookie(r, FlowCookie)
	if !ok || !WellFormed(value) {
		value = RandomValue()
	}
	SetCookie(w, r, FlowCookie, value, flowLife, true)
	return value
}
