package rp

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// IDToken is a verified ID token (OIDC Core section 2).
type IDToken struct {
	Subject string
	Issued  time.Time
	Expires time.Time
	Claims  map[string]any
}

// AccessToken is a verified JWT access token (RFC 9068 section 2.2).
type AccessToken struct {
	Subject  string
	ClientID string
	Scope    string
	ID       string // jti
	Issued   time.Time
	Expires  time.Time
	Claims   map[string]any
}

// Decoded is a compact JWS taken apart. Nothing in it has been verified.
type Decoded struct {
	Header, Payload json.RawMessage
	// Parts are the three encoded parts.
	Parts [3]string
}

// Access tokens may be signed by any asymmetric algorithm; discovery lists those of ID tokens only.
var accessTokenAlgs = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// VerifyIDToken checks an ID token by the provider's keys: signature, issuer, audience, expiry, azp (OIDC Core 3.1.3.7), at_hash if it is there, and
// nonce if one is given.
func (p *Party) VerifyIDToken(ctx context.Context, raw, nonce, accessToken string) (*IDToken, error) {
	t, err := p.provider.Verifier(&oidc.Config{ClientID: p.o.ClientID, Now: p.o.Now}).Verify(p.context(ctx), raw)
	if err != nil {
		return nil, fmt.Errorf("verify ID token: %w", err)
	}
	if nonce != "" && subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(nonce)) != 1 {
		return nil, errors.New("verify ID token: nonce is not the one that was sent")
	}
	if t.AccessTokenHash != "" && accessToken != "" {
		if err := t.VerifyAccessToken(accessToken); err != nil {
			return nil, fmt.Errorf("verify ID token: %w", err)
		}
	}
	id := &IDToken{Subject: t.Subject, Issued: t.IssuedAt, Expires: t.Expiry}
	if err := t.Claims(&id.Claims); err != nil {
		return nil, fmt.Errorf("read ID token: %w", err)
	}
	azp, present := id.Claims["azp"]
	if id.Subject == "" || present && azp != p.o.ClientID || len(t.Audience) > 1 && !present {
		return nil, errors.New("verify ID token: sub is missing or azp is not this client")
	}
	return id, nil
}

// VerifyAccessToken checks a JWT access token by the provider's keys as a resource server does (RFC 9068 section 4): type, signature, issuer, audience,
// expiry and the claims that must be there.
func (p *Party) VerifyAccessToken(ctx context.Context, raw, audience string) (*AccessToken, error) {
	d, ok := Decode(raw)
	if !ok {
		return nil, errors.New("verify access token: not a JWT")
	}
	var header struct {
		Type string `json:"typ"`
		KID  string `json:"kid"`
	}
	if err := json.Unmarshal(d.Header, &header); err != nil {
		return nil, fmt.Errorf("read access token: %w", err)
	}
	if kind := strings.TrimPrefix(strings.ToLower(header.Type), "application/"); kind != "at+jwt" || header.KID == "" {
		return nil, errors.New("verify access token: typ is not at+jwt or kid is missing")
	}
	t, err := p.provider.Verifier(&oidc.Config{ClientID: audience, SupportedSigningAlgs: accessTokenAlgs, Now: p.o.Now}).Verify(p.context(ctx), raw)
	if err != nil {
		return nil, fmt.Errorf("verify access token: %w", err)
	}
	var required struct {
		ClientID string `json:"client_id"`
		ID       string `json:"jti"`
		Scope    string `json:"scope"`
	}
	access := &AccessToken{Subject: t.Subject, Issued: t.IssuedAt, Expires: t.Expiry}
	if err := errors.Join(t.Claims(&required), t.Claims(&access.Claims)); err != nil {
		return nil, fmt.Errorf("read access token: %w", err)
	}
	access.ClientID, access.ID, access.Scope = required.ClientID, required.ID, required.Scope
	if access.Subject == "" || access.ClientID == "" || access.ID == "" || access.Issued.IsZero() {
		return nil, errors.New("verify access token: sub, client_id, jti or iat is missing")
	}
	return access, nil
}

// Decode takes a compact JWS apart without verifying it. It is false for anything else, such as an opaque token.
func Decode(raw string) (Decoded, bool) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return Decoded{}, false
	}
	d := Decoded{Parts: [3]string(parts)}
	header, err1 := base64.RawURLEncoding.DecodeString(parts[0])
	payload, err2 := base64.RawURLEncoding.DecodeString(parts[1])
	if err1 != nil || err2 != nil || !json.Valid(header) || !json.Valid(payload) {
		return Decoded{}, false
	}
	d.Header, d.Payload = header, payload
	return d, true
}
