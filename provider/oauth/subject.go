package oauth

// Pairwise subjects: OpenID Connect Core section 8.1. Clients of one sector see a user under one name, those of another under another, and only this server can
// tell that the two are the same. The names are computed, not stored: AES-SIV under a key that lives as long as the database, so that they can be opened again
// when a client sends them back. Session ids of pairwise clients are made the same way, or two clients could meet in those.

import (
	"encoding/base64"
	"strings"

	"gatehouse/storage"
)

// What is sealed is part of what it is sealed for: a sub never opens as a sid.
var (
	sealedSubject = []byte("sub")
	sealedSession = []byte("sid")
)

// SubjectOf returns the name by which a client knows a user: the sub of everything that goes to it.
func (e *Engine) SubjectOf(c *storage.Client, subject string) string {
	return e.pairwise(c, sealedSubject, subject)
}

// SIDOf returns the name by which a client knows a browser session: the sid of everything that goes to it.
func (e *Engine) SIDOf(c *storage.Client, sid string) string {
	return e.pairwise(c, sealedSession, sid)
}

// Subject is the inverse of SubjectOf; false for a name that this client was never given.
func (e *Engine) Subject(c *storage.Client, sub string) (string, bool) {
	return e.invert(c, sealedSubject, sub)
}

// SID is the inverse of SIDOf; false for a name that this client was never given.
func (e *Engine) SID(c *storage.Client, sid string) (string, bool) {
	return e.invert(c, sealedSession, sid)
}

func (e *Engine) pairwise(c *storage.Client, kind []byte, name string) string {
	if c.SubjectType != "pairwise" || name == "" {
		return name
	}
	return base64.RawURLEncoding.EncodeToString(e.Pairwise.Seal([]byte(name), kind, sectorOf(c)))
}

// invert opens the names of clients that are pairwise, and of those that once were: what they were given then must still die with its user.
func (e *Engine) invert(c *storage.Client, kind []byte, name string) (string, bool) {
	if name == "" {
		return "", true
	}
	if c.SubjectType == "pairwise" || c.Sector != "" {
		sealed, err := base64.RawURLEncoding.Strict().DecodeString(name)
		if err == nil && !strings.ContainsAny(name, "\r\n") { // which the decoder skips: a name has one spelling
			if plain, err := e.Pairwise.Open(sealed, kind, sectorOf(c)); err == nil {
				return string(plain), true
			}
		}
	}
	return name, c.SubjectType != "pairwise"
}

// sectorOf returns what pairwise names of the client are made for. A client whose registration names no sector shares its names with no other.
func sectorOf(c *storage.Client) []byte {
	if c.Sector == "" {
		return []byte("client\n" + c.ID)
	}
	return []byte(c.Sector)
}

// resolve finds whom the claims of a verified access token of the client mean here. false if they mean nobody.
func (e *Engine) resolve(c *storage.Client, claims *AccessClaims) bool {
	claims.Client = c
	if claims.Subject == claims.ClientID && c.SubjectType == "pairwise" {
		return true // client_credentials: no user, no session
	}
	var user, session bool
	claims.User, user = e.Subject(c, claims.Subject)
	claims.Session, session = e.SID(c, claims.SessionID)
	return user && session
}
