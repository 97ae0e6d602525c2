package client

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/storage"
)

const (
	maxJWKS = 16 << 10
	maxKeys = 20
)

// use is something that a client signs: the member that names its algorithm, and that algorithm, empty for any of AssertionAlgorithms.
type use struct{ field, alg string }

// usesOf lists what the client's keys must be able to verify.
func usesOf(c *storage.Client) (uses []use) {
	if c.AuthMethod == "private_key_jwt" {
		uses = append(uses, use{"token_endpoint_auth_signing_alg", c.AuthSigningAlg})
	}
	if c.RequestObjectAlg != "none" && (c.RequestObjectAlg != "" || c.RequireSignedRequestObject) {
		uses = append(uses, use{"request_object_signing_alg", c.RequestObjectAlg})
	}
	return uses
}

func (r Rules) applyKeys(c *storage.Client, m *Metadata) error {
	jwks := bytes.TrimSpace(m.JWKS)
	if len(jwks) == 0 || bytes.Equal(jwks, []byte("null")) {
		jwks = nil
	}
	uses := usesOf(c)
	switch {
	case jwks != nil && m.JWKSURI != "":
		return refuse("jwks", "give jwks or jwks_uri, not both")
	case jwks != nil || m.JWKSURI != "" || len(uses) == 0:
	case c.AuthMethod == "private_key_jwt":
		return refuse("jwks", "private_key_jwt needs the public key: give jwks or jwks_uri")
	default:
		return refuse("jwks", "signed request objects need the public key: give jwks or jwks_uri")
	}
	if err := r.fetched("jwks_uri", m.JWKSURI); err != nil {
		return err
	}
	if jwks != nil {
		if problem := publicKeys(jwks, uses); problem != "" {
			return refuse("jwks", problem)
		}
	}
	c.JWKS, c.JWKSURI = jwks, m.JWKSURI
	return nil
}

// publicKeys says what is wrong with a JWK Set by value, or nothing. Keys of a type that we do not know are let be (RFC 7517 section 5), but for each
// use at least one must be fit.
func publicKeys(jwks []byte, uses []use) string {
	if len(jwks) > maxJWKS {
		return "it is larger than 16 KiB"
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil || set.Keys == nil {
		return "it is not a JWK Set: write an object with the member keys, an array of public keys (RFC 7517 section 5)"
	}
	if len(set.Keys) > maxKeys {
		return "give at most 20 keys"
	}
	var usable []*jose.JSONWebKey
	for _, raw := range set.Keys {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil || members == nil {
			return "every member of keys must be an object (RFC 7517 section 4)"
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
			if _, found := members[private]; found {
				return "it holds a private or symmetric key; give public keys only, and replace this key, for it has been sent around"
			}
		}
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err == nil && key.Valid() {
			if Weak(&key) {
				return "an RSA key must have 2048 to 8192 bits"
			}
			usable = append(usable, &key)
		}
	}
	for _, u := range uses {
		if !slices.ContainsFunc(usable, func(key *jose.JSONWebKey) bool { return canSign(key, u.alg) }) {
			return "none of the keys can verify what the client signs: give an RSA, EC or Ed25519 public key that fits " + u.field + " and has no use but sig"
		}
	}
	return ""
}

func Weak(key *jose.JSONWebKey) bool {
	public, ok := key.Key.(*rsa.PublicKey)
	return ok && (public.N.BitLen() < 2048 || public.N.BitLen() > 8192)
}

// canSign tells whether signatures of alg (empty: any of AssertionAlgorithms) can be verified with the key.
func canSign(key *jose.JSONWebKey, alg string) bool {
	if key.Use != "" && key.Use != "sig" {
		return false
	}
	fits := KeyAlgorithms(key.Key)
	if key.Algorithm != "" {
		fits = slices.DeleteFunc(fits, func(a string) bool { return !SameAlgorithm(a, key.Algorithm) })
	}
	return len(fits) > 0 && (alg == "" || slices.Contains(fits, alg))
}

// KeyAlgorithms lists the assertion algorithms of a public key's type and curve.
func KeyAlgorithms(key any) []string {
	switch public := key.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		switch public.Curve.Params().BitSize {
		case 256:
			return []string{"ES256"}
		case 384:
			return []string{"ES384"}
		case 521:
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA", "Ed25519"}
	}
	return nil
}

// SameAlgorithm tells whether two names mean the same for a key: EdDSA and Ed25519 do for a key of Ed25519 (RFC 9864 section 2.2).
func SameAlgorithm(a, b string) bool {
	edwards := []string{"EdDSA", "Ed25519"}
	return a == b || slices.Contains(edwards, a) && slices.Contains(edwards, b)
}
