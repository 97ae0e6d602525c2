package oauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

const (
	maxJWKS = 16 << 10
	maxKeys = 20
)

// AssertionAlgorithms are the algorithms that a client may sign its assertions with (RFC 7523). Symmetric ones and none are not among them.
var AssertionAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// AuthMethods are the ways in which a client may authenticate at the token endpoint.
var AuthMethods = []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}

func (r ClientRules) applyAuthentication(c *storage.Client, m *Metadata) error {
	method := m.AuthMethod
	if method == "" {
		method = "client_secret_basic"
	}
	if !slices.Contains(AuthMethods, method) {
		return refuse("token_endpoint_auth_method", shown(method)+" is not offered; use client_secret_basic, client_secret_post, private_key_jwt or none")
	}
	if method == "none" {
		for _, row := range grant.Table {
			if row.NeedsSecret && slices.Contains(c.GrantTypes, row.Type) {
				return refuse("token_endpoint_auth_method", row.Type+" needs a client with a secret or a key; use client_secret_basic or private_key_jwt")
			}
		}
	}
	if m.AuthSigningAlg != "" && !slices.Contains(AssertionAlgorithms, m.AuthSigningAlg) {
		return refuse("token_endpoint_auth_signing_alg", shown(m.AuthSigningAlg)+" is not offered; use RS256, PS256, ES256 (or their 384 and 512 forms) or EdDSA")
	}
	c.AuthMethod, c.AuthSigningAlg = method, ""
	if method == "private_key_jwt" {
		c.AuthSigningAlg = m.AuthSigningAlg
	}
	if !NeedsSecret(c) {
		c.Secrets = nil
	}
	return nil
}

func (r ClientRules) applyKeys(c *storage.Client, m *Metadata) error {
	jwks := bytes.TrimSpace(m.JWKS)
	if bytes.Equal(jwks, []byte("null")) {
		jwks = nil
	}
	switch {
	case len(jwks) > 0 && m.JWKSURI != "":
		return refuse("jwks", "give jwks or jwks_uri, not both")
	case c.AuthMethod == "private_key_jwt" && len(jwks) == 0 && m.JWKSURI == "":
		return refuse("jwks", "private_key_jwt needs the public key: give jwks or jwks_uri")
	}
	if problem := webURI(m.JWKSURI); m.JWKSURI != "" && problem != "" {
		return refuse("jwks_uri", problem)
	}
	if len(jwks) > 0 {
		if problem := publicKeys(jwks, c.AuthMethod == "private_key_jwt", c.AuthSigningAlg); problem != "" {
			return refuse("jwks", problem)
		}
	}
	c.JWKS, c.JWKSURI = jwks, m.JWKSURI
	if len(jwks) == 0 {
		c.JWKS = nil
	}
	return nil
}

// publicKeys says what is wrong with a JWK Set by value, or nothing. Keys of a type that we do not know are let be (RFC 7517 section 5), but if the
// client is to sign with one (signs, with alg or any), at least one must be usable for that.
func publicKeys(jwks []byte, signs bool, alg string) string {
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
	usable := false
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
			if weak(&key) {
				return "an RSA key must have 2048 to 8192 bits"
			}
			usable = usable || canSign(&key, alg)
		}
	}
	if signs && !usable {
		return "none of the keys can verify an assertion: give an RSA, EC or Ed25519 public key that fits token_endpoint_auth_signing_alg and has no use but sig"
	}
	return ""
}

func weak(key *jose.JSONWebKey) bool {
	public, ok := key.Key.(*rsa.PublicKey)
	return ok && (public.N.BitLen() < 2048 || public.N.BitLen() > 8192)
}

// canSign tells whether signatures of alg (empty: any of AssertionAlgorithms) can be verified with the key.
func canSign(key *jose.JSONWebKey, alg string) bool {
	if key.Use != "" && key.Use != "sig" {
		return false
	}
	fits := keyAlgorithms(key.Key)
	if key.Algorithm != "" {
		fits = slices.DeleteFunc(fits, func(a string) bool { return a != key.Algorithm })
	}
	return len(fits) > 0 && (alg == "" || slices.Contains(fits, alg))
}

// keyAlgorithms lists the assertion algorithms of a public key's type and curve.
func keyAlgorithms(key any) []string {
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
		return []string{"EdDSA"}
	}
	return nil
}
