package clientauth

// Assertions under the client's secret: client_secret_jwt of OpenID Connect Core section 9.

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider/client"
	"gatehouse/storage"
)

// secretSize is how long the secret must be for an algorithm (RFC 7518 section 3.2).
var secretSize = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// SecretAlgorithms are those that clients may sign with under their secret.
var SecretAlgorithms = []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}

// maxSecrets is how many secrets of a client count at a time (security row 74): the current one, and the one that it replaces.
const maxSecrets = 2

// verifyHMAC checks an assertion under the secrets of a client of client_secret_jwt and returns its payload. If none fits, the client is read once more, as another
// process may just have changed its secret. The error is a Reason if the client can be told.
func (a *Authenticator) verifyHMAC(ctx context.Context, c *storage.Client, assertion string) ([]byte, error) {
	if len(assertion) > maxJWS {
		return nil, Reason("it is too long.")
	}
	h, err := ReadHead(assertion)
	if err != nil {
		return nil, err
	}
	if c.AuthSigningAlg != "" && c.AuthSigningAlg != h.Alg {
		return nil, Reason("its alg is not the registered one, " + c.AuthSigningAlg + ".")
	}
	jws, err := jose.ParseSignedCompact(assertion, SecretAlgorithms)
	if err != nil {
		return nil, fmt.Errorf("parse JWS: %w", err)
	}
	payload, err := a.verifyUnderSecrets(jws, h.Alg, c)
	if err == nil {
		return payload, nil
	}
	stored, readErr := a.Clients.ReadClient(ctx, c.ID)
	if readErr != nil && !errors.Is(readErr, storage.ErrNotFound) {
		return nil, readErr
	}
	if readErr != nil || stored.Disabled || stored.AuthMethod != c.AuthMethod || sameSecrets(stored, c) {
		return nil, err
	}
	return a.verifyUnderSecrets(jws, h.Alg, stored)
}

func (a *Authenticator) verifyUnderSecrets(jws *jose.JSONWebSignature, alg string, c *storage.Client) ([]byte, error) {
	now, tried, short := a.Now(), 0, false
	for _, stored := range c.Secrets {
		if len(stored.Sealed) == 0 || !stored.Expires.IsZero() && !now.Before(stored.Expires) || tried == maxSecrets {
			continue
		}
		tried++
		secret, err := client.OpenSecret(a.Seal, c.ID, stored)
		if err != nil {
			return nil, err
		}
		if len(secret) < secretSize[alg] {
			short = true
			continue
		}
		if payload, err := jws.Verify([]byte(secret)); err == nil {
			return payload, nil
		}
	}
	switch {
	case tried == 0:
		return nil, Reason("the client has no secret that it could be signed with. Give it a new one.")
	case short:
		return nil, Reason("its alg needs a longer secret: 32 characters for HS256, 48 for HS384, 64 for HS512.")
	}
	return nil, Reason("no secret of the client verifies its signature.")
}
