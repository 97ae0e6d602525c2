package oauth

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
)

// logoutTokenLife is how long a logout token is good for (OpenID Connect Back-Channel Logout 1.0 section 2.4 wants it short).
const logoutTokenLife = 2 * time.Minute

// logoutClaims are the claims of a logout token (section 2.4). There is no nonce, so that it never passes for an ID token.
type logoutClaims struct {
	Issuer    string       `json:"iss"`
	Audience  string       `json:"aud"`
	IssuedAt  int64        `json:"iat"`
	Expires   int64        `json:"exp"`
	ID        string       `json:"jti"`
	Events    logoutEvents `json:"events"`
	Subject   string       `json:"sub"`
	SessionID string       `json:"sid"`
}

type logoutEvents struct {
	Logout struct{} `json:"http://schemas.openid.net/event/backchannel-logout"`
}

// LogoutToken signs the token that tells a client that a user's session has ended, in the names by which it knows both, and as its ID tokens are signed. A client
// whose ID tokens are not signed gets RS256, the default of the specification, if the server has it.
func (e *Engine) LogoutToken(c *storage.Client, subject, sid, jti string) (string, error) {
	now := e.Now()
	payload, err := json.Marshal(logoutClaims{
		Issuer: e.Issuer, Audience: c.ID, IssuedAt: now.Unix(), Expires: now.Add(logoutTokenLife).Unix(), ID: jti,
		Subject: e.SubjectOf(c, subject), SessionID: e.SIDOf(c, sid),
	})
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	alg := e.idTokenAlg(c)
	if alg == "none" {
		alg = "RS256"
		if !slices.Contains(e.Keys.Algorithms(), alg) {
			alg = e.IDTokenAlg
		}
	}
	return e.sign(c, "id_token_signed_response_alg", alg, "logout+jwt", payload)
}
