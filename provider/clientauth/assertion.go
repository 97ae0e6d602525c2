package clientauth

// Client assertions: private_key_jwt and client_secret_jwt of OpenID Connect Core section 9, RFC 7523 section 3.

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json" // names of members are exact, and none may be there twice

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

const (
	maxAssertion = 16 << 10
	// maxAssertionLife is generous on purpose: some clients make assertions that live an hour.
	maxAssertionLife = 65 * time.Minute
	assertionLeeway  = 60 * time.Second
)

// Reason is a reason that may be told to the client.
type Reason string

func (r Reason) Error() string { return string(r) }

// Text is what a client may be told of an error of Verify.
func Text(err error) string {
	var reason Reason
	if errors.As(err, &reason) {
		return string(reason)
	}
	return "it could not be verified."
}

type assertionClaims struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  grant.Audience `json:"aud"`
	ID        string         `json:"jti"`
	Expires   *float64       `json:"exp"`
	IssuedAt  *float64       `json:"iat"`
	NotBefore *float64       `json:"nbf"`
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
func (a *Authenticator) checkAssertion(ctx context.Context, c *storage.Client, sent credentials) error {
	head, err := ReadHead(sent.assertion)
	if err != nil {
		return err
	}
	switch strings.TrimPrefix(strings.ToLower(head.Typ), "application/") {
	case "", "jwt", "client-authentication+jwt":
	default:
		// A request object, say, which anyone saw who saw the browser's address (RFC 9101 section 10.8, RFC 8725 section 3.11).
		return Reason("its typ must be JWT, client-authentication+jwt or absent.")
	}
	var payload []byte
	if c.AuthMethod == "client_secret_jwt" {
		payload, err = a.verifyHMAC(ctx, c, sent.assertion)
	} else {
		payload, err = a.Keys.Verify(ctx, c, sent.assertion, c.AuthSigningAlg)
	}
	if err != nil {
		return err
	}
	var claims assertionClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return fmt.Errorf("decode assertion: %w", err)
	}
	expires, err := a.checkAssertionClaims(c, &claims, sent.pushing)
	if err != nil {
		return err
	}
	if err := a.Store.Remember(ctx, "assertion\n"+c.ID+"\n"+claims.ID, expires.Add(assertionLeeway)); err != nil {
		if errors.Is(err, storage.ErrConsumed) {
			return Reason("its jti was used before.")
		}
		return fmt.Errorf("remember jti: %w", err)
	}
	return nil
}

func (a *Authenticator) checkAssertionClaims(c *storage.Client, claims *assertionClaims, pushing bool) (time.Time, error) {
	now := a.Now()
	// Compared as numbers: a date that no time.Duration can hold must not turn into its opposite.
	ahead := func(seconds *float64) float64 { return *seconds - float64(now.Unix()) }
	inFuture := func(seconds *float64) bool { return seconds != nil && ahead(seconds) > assertionLeeway.Seconds() }
	switch {
	case claims.Issuer != c.ID || claims.Subject != c.ID:
		return now, Reason("iss and sub must both be the client_id.")
	case !a.meansUs(claims.Audience, pushing):
		return now, Reason("aud must be the issuer, " + a.Issuer + ", or the token endpoint, and nothing else.")
	case claims.ID == "" || len(claims.ID) > 512:
		return now, Reason("jti is missing or too long.")
	case claims.Expires == nil:
		return now, Reason("exp is missing.")
	case ahead(claims.Expires) <= -assertionLeeway.Seconds():
		return now, Reason("it has expired.")
	case ahead(claims.Expires) > maxAssertionLife.Seconds():
		return now, Reason("exp is more than 65 minutes ahead.")
	case inFuture(claims.IssuedAt) || inFuture(claims.NotBefore):
		return now, Reason("iat or nbf is in the future. Check the client's clock.")
	}
	return time.Unix(int64(math.Ceil(*claims.Expires)), 0), nil
}

// meansUs tells whether an assertion is for this server alone: the issuer, the token endpoint, or both of them (Auth.js); with a pushed request also the endpoint
// that takes it (RFC 9126 section 2). One more value, and another server could use it here.
func (a *Authenticator) meansUs(audience grant.Audience, pushing bool) bool {
	for _, value := range audience {
		if value != a.Issuer && value != a.Issuer+"/oauth2/token" && !(pushing && value == a.Issuer+pathPAR) {
			return false
		}
	}
	return len(audience) > 0
}
