package oauth

import (
	"encoding/json"
	"fmt"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// protocolClaims are what tokens say of themselves. No attribute of a user takes the place of one of them (security row 120).
var protocolClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "auth_time", "acr", "amr", "sid", "at_hash", "c_hash", "s_hash", "cnf", "act", "may_act", "events", "sub_jwk",
	"client_id", "scope", "gid",
}

// Userinfo returns the body of a userinfo response (OpenID Connect Core section 5.3.2) and its media type: JSON, or a JWT signed with the algorithm that the client
// registered for it. token is a verified one; its sub is that of the ID token. Such a JWT has no exp, iat or nonce: it is no ID token and must not pass for one.
func (e *Engine) Userinfo(token *AccessClaims, u *storage.User) (body []byte, mediaType string, err error) {
	c := token.Client
	claims := UserClaims(u, token.Scopes(), token.Claims)
	for _, name := range protocolClaims {
		delete(claims, name)
	}
	claims["sub"] = token.Subject
	if c.UserinfoAlg != "" {
		claims["iss"], claims["aud"] = e.Issuer, grant.Audience{c.ID}
	}
	if body, err = json.Marshal(claims); err != nil {
		return nil, "", fmt.Errorf("encode claims: %w", err)
	}
	if c.UserinfoAlg == "" {
		return body, "application/json", nil
	}
	signed, err := e.sign(c, "userinfo_signed_response_alg", c.UserinfoAlg, "JWT", body)
	return []byte(signed), "application/jwt", err
}
