package oauth

// Client assertions: private_key_jwt of OpenID Connect Core section 9 and RFC 7523 section 3.

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // names of members are exact, and none may be there twice

	"gatehouse/storage"
)

const (
	maxAssertion = 16 << 10
	// maxAssertionLife is generous on purpose: some clients make assertions that live an hour.
	maxAssertionLife = 65 * time.Minute
	assertionLeeway  = 60 * time.Second
)

// AssertionAlgs are the algorithms that client assertions may be signed with.
var AssertionAlgs = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

// assertionError is a reason that may be told to the client.
type assertionError string

func (e assertionError) Error() string { return string(e) }

func assertionText(err error) string {
	var reason assertionError
	if errors.As(err, &reason) {
		return string(reason)
	}
	return "it could not be verified."
}

type assertionClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  Audience `json:"aud"`
	ID        string   `json:"jti"`
	Expires   *float64 `json:"exp"`
	IssuedAt  *float64 `json:"iat"`
	NotBefore *float64 `json:"nbf"`
}

// assertionSubject reads sub without verifying anything, to find the client whose keys verify it.
func assertionSubject(assertion string) string {
	parts := strings.Split(assertion, ".")
	if len(assertion) > maxAssertion || len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims assertionClaims
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Subject
}

// checkAssertion verifies an assertion for a known client and, last of all, uses up its jti.
func (e *Engine) checkAssertion(ctx context.Context, c *storage.Client, assertion string) error {
	if len(assertion) > maxAssertion {
		return assertionError("it is too long.")
	}
	header, err := assertionHeader(assertion)
	if err != nil {
		return err
	}
	if c.AuthSigningAlg != "" && c.AuthSigningAlg != header.Alg {
		return assertionError("its alg is not the registered one, " + c.AuthSigningAlg + ".")
	}
	jws, err := jose.ParseSignedCompact(assertion, AssertionAlgs)
	if err != nil {
		return fmt.Errorf("parse assertion: %w", err)
	}
	set, err := e.jwks.keys(ctx, c, header.KID)
	if err != nil {
		return err
	}
	payload, err := verifyWith(jws, set, header)
	if err != nil {
		return err
	}
	var claims assertionClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return fmt.Errorf("decode assertion: %w", err)
	}
	expires, err := e.checkAssertionClaims(c, &claims)
	if err != nil {
		return err
	}
	if err := e.Store.Remember(ctx, "assertion\n"+c.ID+"\n"+claims.ID, expires.Add(assertionLeeway)); err != nil {
		if errors.Is(err, storage.ErrConsumed) {
			return assertionError("its jti was used before.")
		}
		return fmt.Errorf("remember jti: %w", err)
	}
	return nil
}

type assertionHead struct {
	Alg string `json:"alg"`
	KID string `json:"kid"`
}

// assertionHeader refuses every header that could bring a key or a meaning of its own (jwk, jku, x5u, x5c, crit, b64).
func assertionHeader(assertion string) (assertionHead, error) {
	var head assertionHead
	// The decoders skip line breaks, and an assertion has one spelling only.
	if strings.ContainsAny(assertion, "\r\n") {
		return head, assertionError("it holds line breaks.")
	}
	encoded, _, _ := strings.Cut(assertion, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return head, assertionError("its header is not base64url.")
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || json.Unmarshal(raw, &head) != nil {
		return head, assertionError("its header is not JSON.")
	}
	for name := range members {
		if !slices.Contains([]string{"alg", "kid", "typ", "x5t", "x5t#S256"}, name) {
			return head, assertionError("its header has a member that is not allowed; use alg, kid and typ only.")
		}
	}
	if len(head.KID) > 256 {
		return head, assertionError("its kid is too long.")
	}
	return head, nil
}

// verifyWith tries every key that fits: same kid where both name one, signature use, right type for the alg.
func verifyWith(jws *jose.JSONWebSignature, set *jose.JSONWebKeySet, header assertionHead) ([]byte, error) {
	for _, key := range set.Keys {
		if header.KID != "" && key.KeyID != "" && key.KeyID != header.KID || key.Use == "enc" || key.Algorithm != "" && key.Algorithm != header.Alg {
			continue
		}
		if payload, err := jws.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, assertionError("no registered key verifies its signature.")
}

func (e *Engine) checkAssertionClaims(c *storage.Client, claims *assertionClaims) (time.Time, error) {
	now := e.Now()
	// Compared as numbers: a date that no time.Duration can hold must not turn into its opposite.
	ahead := func(seconds *float64) float64 { return *seconds - float64(now.Unix()) }
	inFuture := func(seconds *float64) bool { return seconds != nil && ahead(seconds) > assertionLeeway.Seconds() }
	switch {
	case claims.Issuer != c.ID || claims.Subject != c.ID:
		return now, assertionError("iss and sub must both be the client_id.")
	case !e.meansUs(claims.Audience):
		return now, assertionError("aud must be the issuer, " + e.Issuer + ", or the token endpoint, and nothing else.")
	case claims.ID == "" || len(claims.ID) > 512:
		return now, assertionError("jti is missing or too long.")
	case claims.Expires == nil:
		return now, assertionError("exp is missing.")
	case ahead(claims.Expires) <= -assertionLeeway.Seconds():
		return now, assertionError("it has expired.")
	case ahead(claims.Expires) > maxAssertionLife.Seconds():
		return now, assertionError("exp is more than 65 minutes ahead.")
	case inFuture(claims.IssuedAt) || inFuture(claims.NotBefore):
		return now, assertionError("iat or nbf is in the future. Check the client's clock.")
	}
	return time.Unix(int64(math.Ceil(*claims.Expires)), 0), nil
}

// meansUs tells whether an assertion is for this server alone: the issuer, the token endpoint, or both of them (Auth.js). One more value, and another server
// could use it here.
func (e *Engine) meansUs(audience Audience) bool {
	for _, value := range audience {
		if value != e.Issuer && value != e.URL("/oauth2/token") {
			return false
		}
	}
	return len(audience) > 0
}
