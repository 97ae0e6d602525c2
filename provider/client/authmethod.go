package client

import (
	"slices"
	"strings"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// AssertionAlgorithms are the algorithms that a client may sign its assertions with (RFC 7523). Symmetric ones and none are not among them. Ed25519 is the newer name
// of EdDSA with such a key (RFC 9864), which is the only kind of key that either has here.
var AssertionAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}

// SecretAlgorithms are those of client_secret_jwt, whose key is the client's secret (OpenID Connect Core section 9).
var SecretAlgorithms = []string{"HS256", "HS384", "HS512"}

// AuthMethods are the ways in which a client may authenticate at the token endpoint.
var AuthMethods = []string{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"}

func (r Rules) applyAuthentication(c *storage.Client, m *Metadata) error {
	method := m.AuthMethod
	if method == "" {
		method = "client_secret_basic"
	}
	if !slices.Contains(AuthMethods, method) {
		return refuse("token_endpoint_auth_method", shown(method)+" is not offered; use "+strings.Join(AuthMethods, ", "))
	}
	if method == "none" {
		for _, row := range grant.Table {
			if row.NeedsSecret && slices.Contains(c.GrantTypes, row.Type) {
				return refuse("token_endpoint_auth_method", row.Type+" needs a client with a secret or a key; use client_secret_basic or private_key_jwt")
			}
		}
	}
	algorithms := AssertionAlgorithms
	if method == "client_secret_jwt" {
		algorithms = SecretAlgorithms
	}
	if m.AuthSigningAlg != "" && !slices.Contains(algorithms, m.AuthSigningAlg) {
		return refuse("token_endpoint_auth_signing_alg", shown(m.AuthSigningAlg)+" is not offered for "+method+"; use "+strings.Join(algorithms, ", "))
	}
	c.AuthMethod, c.AuthSigningAlg = method, ""
	if method == "private_key_jwt" || method == "client_secret_jwt" {
		c.AuthSigningAlg = m.AuthSigningAlg
	}
	keepSecrets(c)
	return nil
}

// keepSecrets drops the secrets that are of no use to the client's authentication method: all if it has none, and those that are kept in the other form.
func keepSecrets(c *storage.Client) {
	var kept []storage.ClientSecret
	for _, s := range c.Secrets {
		if NeedsSecret(c) && SealsSecret(c) == (len(s.Sealed) > 0) {
			kept = append(kept, s)
		}
	}
	c.Secrets = kept
}

// NeedsSecret tells whether the client authenticates with a secret and so must be given one.
func NeedsSecret(c *storage.Client) bool {
	return c.AuthMethod == "client_secret_basic" || c.AuthMethod == "client_secret_post" || SealsSecret(c)
}

// SealsSecret tells whether the client's secret is kept sealed, because it is the key of assertions, rather than hashed (ruling 51).
func SealsSecret(c *storage.Client) bool { return c.AuthMethod == "client_secret_jwt" }
