package oauth

import (
	"encoding/base64"
	"errors"
	"fmt"

	"gatehouse/provider/client"
	"gatehouse/provider/keys"
	"gatehouse/storage"
)

// sign signs a JWT with the algorithm that the client's metadata names in member. A server that has no key for it any more does not choose another: the client
// would refuse what it gets. The error says what the operator has to do.
func (e *Engine) sign(c *storage.Client, member, alg, typ string, payload []byte) (string, error) {
	signed, err := e.Keys.Sign(alg, typ, payload)
	if errors.Is(err, keys.ErrNoKey) {
		err = fmt.Errorf("client %s has %s %s: %w; add %s to keys.algorithms, or give the client another algorithm", c.ID, member, alg, err, alg)
	}
	return signed, err
}

// signIDToken signs the claims of an ID token with the algorithm of its client. frontChannel says that the token travels through the browser, where one without a
// signature would be worth nothing (OpenID Connect Core section 3.2.2.11).
func (e *Engine) signIDToken(c *storage.Client, frontChannel bool, payload []byte) (string, error) {
	alg := e.idTokenAlg(c)
	if alg != "none" {
		return e.sign(c, "id_token_signed_response_alg", alg, "JWT", payload)
	}
	switch {
	case frontChannel:
		return "", fmt.Errorf("client %s has id_token_signed_response_alg none, which is for ID tokens of the token endpoint only: give it another algorithm, or the response type code alone", c.ID)
	case !e.UnsignedIDTokens:
		return "", fmt.Errorf("client %s has id_token_signed_response_alg none: set oauth.allow_unsigned_id_tokens, or give the client another algorithm", c.ID)
	case !client.ProfileOf(c).Unsigned:
		return "", fmt.Errorf("client %s has id_token_signed_response_alg none, which its profile %s does not allow: give it the profile compatible, or another algorithm", c.ID, client.ProfileOf(c).Name)
	}
	return unsignedHeader + "." + base64.RawURLEncoding.EncodeToString(payload) + ".", nil
}

// idTokenAlg is the algorithm of a client's ID tokens, which also chooses the hash of at_hash and the like.
func (e *Engine) idTokenAlg(c *storage.Client) string { return orDefault(c.IDTokenAlg, e.IDTokenAlg) }

// unsignedHeader is the header of an unsecured JWS (RFC 7515 appendix A.5).
var unsignedHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
