package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/grant"
	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

// ErrInactive says that a token is not, or no longer, worth anything: malformed, foreign, expired, revoked. It says no more on purpose.
var ErrInactive = errors.New("token is not active")

// errStale says that this process has not heard from the store for so long that it cannot tell whether a token was revoked.
var errStale = fmt.Errorf("revocations are older than %s: %w", revocationsTrusted, storage.ErrUnavailable)

// VerifyAccess verifies an access token of either format: signature or row, issuer, times, revocation, and that its client still exists. For opaque tokens the
// user comes with it from the same read; for JWTs it is nil. ErrInactive, or an error of storage.
func (e *Engine) VerifyAccess(ctx context.Context, token string) (*AccessClaims, *storage.User, error) {
	if !e.Current() {
		return nil, nil, errStale
	}
	var claims AccessClaims
	var user *storage.User
	if strings.HasPrefix(token, opaque.Access) {
		row, err := e.findRow(ctx, storage.TokenAccess, token)
		if err != nil {
			return nil, nil, err
		}
		if row.Subject != "" && (row.User == nil || !row.SessionAlive) {
			return nil, nil, ErrInactive
		}
		user = row.User
		if err := json.Unmarshal(row.Payload, &claims); err != nil {
			return nil, nil, fmt.Errorf("decode access token row: %w", err)
		}
	} else {
		var ok bool
		if claims, ok = e.verifyJWT(token); !ok {
			return nil, nil, ErrInactive
		}
	}
	now := e.Now().Unix()
	if claims.Issuer != e.Issuer || now >= claims.Expires || claims.IssuedAt > now+60 || user != nil && user.Disabled {
		return nil, nil, ErrInactive
	}
	client, err := e.Client(ctx, claims.ClientID)
	if err != nil {
		return nil, nil, inactiveIfMissing(err)
	}
	// Revocations name users and sessions as they are known here.
	if !e.resolve(client, &claims) || e.revocations.kills(&claims) {
		return nil, nil, ErrInactive
	}
	return &claims, user, nil
}

// verifyJWT checks the signature of a JWT access token, or remembers having done so.
func (e *Engine) verifyJWT(token string) (AccessClaims, bool) {
	sum := sha256.Sum256([]byte(token))
	if kept, ok := e.verified.get(sum); ok && e.Keys.Trusts(kept.kid) {
		return kept.claims, true
	}
	var claims AccessClaims
	verified, err := e.Keys.Verify(token, "at+jwt")
	if err != nil || json.Unmarshal(verified.Payload, &claims) != nil {
		return claims, false
	}
	e.verified.put(sum, verifiedToken{verified.KID, claims})
	return claims, true
}

// findRow reads the row of an opaque token. ErrInactive if there is none.
func (e *Engine) findRow(ctx context.Context, kind storage.TokenKind, token string) (*storage.Token, error) {
	signature, ok := e.Parse(kind, token)
	if !ok {
		return nil, ErrInactive
	}
	row, err := e.Store.Token(ctx, kind, signature)
	if err != nil {
		return nil, inactiveIfMissing(err)
	}
	return row, nil
}

func inactiveIfMissing(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return ErrInactive
	}
	return err
}

// Introspection is an RFC 7662 response. An inactive one has no other member.
type Introspection struct {
	Active    bool           `json:"active"`
	Issuer    string         `json:"iss,omitempty"`
	Subject   string         `json:"sub,omitempty"`
	Audience  grant.Audience `json:"aud,omitempty"`
	ClientID  string         `json:"client_id,omitempty"`
	Scope     string         `json:"scope,omitempty"`
	TokenType string         `json:"token_type,omitempty"`
	// TokenUse is access_token or refresh_token: a refresh token is active for its own client only, and never as an access token.
	TokenUse  string   `json:"token_use,omitempty"`
	ID        string   `json:"jti,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	Expires   int64    `json:"exp,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
}

// Introspect answers RFC 7662 for an authenticated client. It sees tokens issued to itself, and access tokens for a resource that lists it; all others are
// inactive. Errors come from storage only.
func (e *Engine) Introspect(ctx context.Context, caller *storage.Client, token string) (Introspection, error) {
	if strings.HasPrefix(token, opaque.Refresh) {
		return e.introspectRefresh(ctx, caller, token)
	}
	c, _, err := e.VerifyAccess(ctx, token)
	if errors.Is(err, ErrInactive) {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, err
	}
	if c.ClientID != caller.ID && !e.mayIntrospect(caller.ID, c.Audience) {
		return Introspection{}, nil
	}
	return Introspection{
		Active: true, Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience, ClientID: c.ClientID, Scope: c.Scope, TokenType: "Bearer", TokenUse: "access_token",
		ID: c.ID, IssuedAt: c.IssuedAt, Expires: c.Expires, SessionID: c.SessionID, AuthTime: c.AuthTime, ACR: c.ACR, AMR: c.AMR,
	}, nil
}

func (e *Engine) mayIntrospect(clientID string, audience []string) bool {
	return slices.ContainsFunc(audience, func(uri string) bool {
		r := e.resources.Find(uri)
		return r != nil && slices.Contains(r.IntrospectionClients, clientID)
	})
}

func (e *Engine) introspectRefresh(ctx context.Context, caller *storage.Client, token string) (Introspection, error) {
	if !e.Current() {
		return Introspection{}, errStale
	}
	row, err := e.findRow(ctx, storage.TokenRefresh, token)
	if errors.Is(err, ErrInactive) {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, err
	}
	var payload grant.Payload
	if err := json.Unmarshal(row.Payload, &payload); err != nil {
		return Introspection{}, fmt.Errorf("decode refresh token row: %w", err)
	}
	if row.ClientID != caller.ID || !refreshLives(row, e.Now()) || row.User.Epoch != payload.Epoch {
		return Introspection{}, nil
	}
	return Introspection{
		Active: true, Issuer: e.Issuer, Subject: e.SubjectOf(caller, row.Subject), ClientID: row.ClientID, Scope: strings.Join(payload.Scopes, " "), TokenUse: "refresh_token",
		IssuedAt: row.Created.Unix(), Expires: row.Expires.Unix(), SessionID: e.SIDOf(caller, row.SessionID), AuthTime: payload.AuthTime, ACR: payload.ACR, AMR: payload.AMR,
	}, nil
}

func refreshLives(row *storage.Token, now time.Time) bool {
	return row.ConsumedAt.IsZero() && now.Before(row.Expires) && now.Before(row.GrantExpires) && row.SessionAlive && row.User != nil && !row.User.Disabled
}

// RevokeToken answers RFC 7009 for an authenticated client: an access token dies alone, a refresh token takes its whole grant along. Tokens that
// are unknown, dead or another client's are left alone and are no error. It tells whether something was revoked.
func (e *Engine) RevokeToken(ctx context.Context, caller *storage.Client, token string) (bool, error) {
	if strings.HasPrefix(token, opaque.Refresh) {
		row, err := e.findRow(ctx, storage.TokenRefresh, token)
		if errors.Is(err, ErrInactive) || err == nil && row.ClientID != caller.ID {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return true, e.Revoke(ctx, storage.Revocation{Kind: storage.RevokeGrant, ID: row.GrantID})
	}
	claims, _, err := e.VerifyAccess(ctx, token)
	if errors.Is(err, ErrInactive) || err == nil && claims.ClientID != caller.ID {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, e.Revoke(ctx, storage.Revocation{Kind: storage.RevokeToken, ID: claims.ID})
}
