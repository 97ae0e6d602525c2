package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// statement verifies what all JWTs of the provider share: the signature, iss, aud and azp (OpenID Connect Core section 3.1.3.7). what begins the words of a refusal; plain
// tells whether the type of its header is one that it may have, r is the ration of keys.
func (p *openID) statement(ctx context.Context, m *metadata, what, raw string, plain func(typ string) bool, r *ration) (claimSet, *signed, error) {
	token, fault := parseSigned(raw)
	if fault != "" {
		return nil, nil, broken(what+" "+fault, nil)
	}
	if !plain(token.typ) {
		return nil, nil, broken(what+" has the typ "+said(token.typ)+", so it is a token of another kind", nil)
	}
	payload, err := p.keys.verify(ctx, what, token, r)
	if err != nil {
		return nil, nil, err
	}
	claims, ok := readClaims(payload)
	if !ok {
		return nil, nil, broken(what+" is no JSON object, or has a member twice", nil)
	}
	audience := claims.list("aud")
	azp, told := claims["azp"]
	switch iss := claims.text("iss"); {
	case iss == "" || !p.issued(m, iss, claims, token.keyIssuer):
		return nil, nil, broken(what+" has the iss "+said(iss)+", which is not the provider", nil)
	case !slices.Contains(audience, p.ClientID):
		return nil, nil, broken(what+" has an aud without our client_id", nil)
	case told && azp != p.ClientID, !told && len(audience) > 1:
		return nil, nil, broken(what+" was issued to another client: azp is not our client_id", nil)
	}
	return claims, token, nil
}

// notTyped accepts JWTs that do not say of what kind they are. A typ that ends in +jwt, such as at+jwt, is for tokens that must not be taken for others (RFC 8725 section 3.11).
func notTyped(typ string) bool { return !strings.HasSuffix(typ, "+jwt") }

// idToken verifies the ID token and returns its claims (OpenID Connect Core sections 3.1.3.7 and 3.1.3.8).
func (p *openID) idToken(ctx context.Context, m *metadata, a *Attempt, t *tokens) (claimSet, error) {
	const what = "its ID token"
	claims, token, err := p.statement(ctx, m, what, t.ID, notTyped, &p.keys.given)
	if err != nil {
		return nil, err
	}
	now := p.Now()
	expires, issued := claims.instant("exp"), claims.instant("iat")
	switch {
	case expires.IsZero() || issued.IsZero():
		return nil, broken(what+" lacks exp or iat", nil)
	case !now.Before(expires.Add(leeway)):
		return nil, broken(what+" has expired", nil)
	case issued.After(now.Add(leeway)):
		return nil, broken(what+" was issued in the future; compare the clocks", nil)
	case a.Nonce == "" || subtle.ConstantTimeCompare([]byte(claims.text("nonce")), []byte(a.Nonce)) != 1:
		return nil, broken(what+" has not the nonce that was sent", nil)
	case !identifier(claims.text("sub")):
		return nil, broken(what+" has no sub of 1 to 255 ASCII letters", nil)
	}
	if hash, told := claims["at_hash"]; told && hash != accessTokenHash(token.alg, t.Access) {
		return nil, broken(what+" has an at_hash that is not that of the access token", nil)
	}
	if err := freshEnough(claims, a, now, p.special.tellsTime); err != nil {
		return nil, broken(what+" "+err.Error(), nil)
	}
	return claims, nil
}

// accessTokenHash is at_hash: the left half of the hash that belongs to the algorithm, for EdDSA with Ed25519 SHA-512.
func accessTokenHash(alg, accessToken string) string {
	var sum []byte
	switch {
	case strings.HasSuffix(alg, "256"):
		s := sha256.Sum256([]byte(accessToken))
		sum = s[:]
	case strings.HasSuffix(alg, "384"):
		s := sha512.Sum384([]byte(accessToken))
		sum = s[:]
	default:
		s := sha512.Sum512([]byte(accessToken))
		sum = s[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// rounding is for times in whole seconds, two of them.
const rounding = 2 * time.Second

// freshEnough holds auth_time against what was asked for, and misses it if the provider tells the time (OpenID Connect Core sections 2 and 3.1.3.7). What counts is when the walk
// began: what the person took to answer later questions is not held against them.
func freshEnough(claims claimSet, a *Attempt, now time.Time, tellsTime bool) error {
	_, told := claims["auth_time"]
	at := claims.instant("auth_time")
	if told && at.After(now.Add(leeway)) {
		return errors.New("has an auth_time in the future; compare the clocks")
	}
	asked := a.Fresh || a.MaxAge != nil
	if asked && tellsTime && at.IsZero() {
		return errors.New("lacks auth_time, or has one that is no time: the provider owes it when max_age is asked for (OpenID Connect Core section 2)")
	}
	if !told || !asked {
		return nil
	}
	// The token is issued while we wait for it, so that its iat tells how far the provider's clock is from ours.
	oldest := a.Started
	if oldest.IsZero() {
		oldest = now
	}
	oldest = oldest.Add(claims.instant("iat").Sub(now))
	if !a.Fresh {
		oldest = oldest.Add(-time.Duration(min(*a.MaxAge, int64(100*365*24*time.Hour/time.Second))) * time.Second)
	}
	if at.Before(oldest.Add(-rounding)) {
		return fmt.Errorf("has an auth_time of %s: the provider did not ask the person again, as it was told to", at.Format(time.RFC3339))
	}
	return nil
}
