package session

// OpenID Connect Session Management 1.0: a value in the browser that changes with the sign-in, and a hash of it for each relying party and origin, which
// check_session_iframe compares without asking the server.

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/provider/web"
)

// changeState gives the browser a new state: somebody has signed in or out. The value has no authority, and nothing is stored of it (ruling 49).
func (s *Sessions) changeState(w http.ResponseWriter, r *http.Request) {
	if s.Management {
		web.SetCookie(w, r, web.StateCookie, web.RandomValue(), 0, false)
	}
}

// State returns the session_state of an authorization response to a client at a redirect URI (section 2), "" if session management is off. A browser
// without state gets one.
func (s *Sessions) State(w http.ResponseWriter, r *http.Request, clientID, redirectURI string) string {
	if !s.Management {
		return ""
	}
	state, ok := web.Cookie(r, web.StateCookie)
	if !ok || !web.WellFormed(state) {
		s.changeState(w, r)
		state, _ = web.Cookie(r, web.StateCookie)
	}
	var salt [16]byte
	rand.Read(salt[:]) // never fails
	return sessionState(clientID, origin(redirectURI), state, base64.RawURLEncoding.EncodeToString(salt[:]))
}

// sessionState is what the script of check_session_iframe computes as well.
func sessionState(clientID, origin, state, salt string) string {
	sum := sha256.Sum256([]byte(clientID + " " + origin + " " + state + " " + salt))
	return base64.RawURLEncoding.EncodeToString(sum[:]) + "." + salt
}

// origin writes the origin of a redirect URI as browsers do (RFC 6454 section 6.2). An application's own scheme has none.
func origin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" {
		return "null"
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		return "https://" + strings.TrimSuffix(host, ":443")
	case "http":
		return "http://" + strings.TrimSuffix(host, ":80")
	}
	return "null"
}
