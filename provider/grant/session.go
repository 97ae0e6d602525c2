package grant

import (
	"time"

	"github.com/ory/fosite"
)

// TokenSession is what fosite carries through one request: the authorization on its way to a code, or the award on its way to tokens. It is
// never stored; Payload is.
type TokenSession struct {
	Authorization *Authorization
	Award         *Award

	request Request
	row     Row
	expires map[fosite.TokenType]time.Time
}

var _ fosite.Session = (*TokenSession)(nil)

// SetExpiresAt notes when a token of this request expires.
func (s *TokenSession) SetExpiresAt(kind fosite.TokenType, at time.Time) {
	if s.expires == nil {
		s.expires = map[fosite.TokenType]time.Time{}
	}
	s.expires[kind] = at
}

// GetExpiresAt returns what SetExpiresAt noted.
func (s *TokenSession) GetExpiresAt(kind fosite.TokenType) time.Time { return s.expires[kind] }

// GetUsername returns nothing: usernames do not travel with tokens.
func (s *TokenSession) GetUsername() string { return "" }

// GetSubject returns the subject of the authorization or award.
func (s *TokenSession) GetSubject() string {
	switch {
	case s.Award != nil:
		return s.Award.Subject
	case s.Authorization != nil:
		return s.Authorization.Subject
	}
	return ""
}

// Clone returns a shallow copy: nothing in a session changes after it was built.
func (s *TokenSession) Clone() fosite.Session {
	clone := *s
	return &clone
}
