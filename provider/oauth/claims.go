package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/grant"
	"gatehouse/provider/opaque"
	"gatehouse/provider/request"
	"gatehouse/storage"
)

// AccessClaims are the claims of an access token (RFC 9068 section 2.2). Opaque tokens keep the same as their payload. Subject and SessionID are as the client
// knows them (SubjectOf, SIDOf).
type AccessClaims struct {
	Issuer   string         `json:"iss"`
	Subject  string         `json:"sub"`
	Audience grant.Audience `json:"aud"`
	ClientID string         `json:"client_id"`
	Scope    string         `json:"scope,omitempty"`
	ID       string         `json:"jti"`
	IssuedAt int64          `json:"iat"`
	Expires  int64          `json:"exp"`
	// GrantID is the family, by which the token dies with its grant.
	GrantID   string   `json:"gid"`
	SessionID string   `json:"sid,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	// Claims are the names of the claims that userinfo gives for this token beside those of its scopes (OIDC Core section 5.5): no row of a JWT remembers them.
	Claims []string `json:"claims,omitempty"`

	// Client is set once the token is verified, and so are User and Session: whom Subject and SessionID mean here. User is empty where there is no user.
	Client  *storage.Client `json:"-"`
	User    string          `json:"-"`
	Session string          `json:"-"`
}

// Scopes returns the token's scopes.
func (c *AccessClaims) Scopes() []string { return strings.Fields(c.Scope) }

// idClaims are the claims of an ID token (OIDC Core section 2).
type idClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	IssuedAt  int64    `json:"iat"`
	Expires   int64    `json:"exp"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	Nonce     string   `json:"nonce,omitempty"`
	ATHash    string   `json:"at_hash,omitempty"`
	CHash     string   `json:"c_hash,omitempty"`
	SHash     string   `json:"s_hash,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	SessionID string   `json:"sid,omitempty"`
}

// accessClaims builds the claims of an award's access token.
func (e *Engine) accessClaims(a *grant.Award) (*AccessClaims, time.Duration) {
	lifetime := grant.Shorter(e.resources.Lifetime(e.Tokens.Access, a.Resources), a.Client.Lifetimes.AccessToken)
	audience := grant.Audience(a.Resources)
	if len(audience) == 0 {
		audience = grant.Audience{e.Issuer}
		if e.DefaultAudience != "" {
			audience = append(audience, e.DefaultAudience)
		}
	}
	subject := e.SubjectOf(a.Client, a.Subject)
	if subject == "" {
		subject = a.Client.ID
	}
	var single []string
	if len(a.Resources) == 0 { // else userinfo does not take the token
		single = stillHad(a.Client, a.Payload.UserinfoClaims)
	}
	now := e.Now()
	return &AccessClaims{
		Issuer: e.Issuer, Subject: subject, Audience: audience, ClientID: a.Client.ID, Scope: strings.Join(e.resources.Narrow(a.Scopes, a.Resources), " "),
		IssuedAt: now.Unix(), Expires: now.Add(lifetime).Unix(), GrantID: a.GrantID, SessionID: e.SIDOf(a.Client, a.SID),
		AuthTime: a.Payload.AuthTime, ACR: a.Payload.ACR, AMR: a.Payload.AMR, Claims: single,
	}, lifetime
}

// AccessToken signs a JWT access token, or mints an opaque one for clients that asked for those.
func (e *Engine) AccessToken(_ context.Context, a *grant.Award) (grant.AccessToken, error) {
	claims, lifetime := e.accessClaims(a)
	if a.Client.AccessToken == "opaque" {
		return e.opaqueToken(a, claims, lifetime)
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return grant.AccessToken{}, fmt.Errorf("make jti: %w", err)
	}
	claims.ID = base64.RawURLEncoding.EncodeToString(id[:])
	payload, err := json.Marshal(claims)
	if err != nil {
		return grant.AccessToken{}, fmt.Errorf("encode claims: %w", err)
	}
	token, err := e.sign(a.Client, "access_token_signed_response_alg", orDefault(a.Client.AccessTokenAlg, e.AccessTokenAlg), "at+jwt", payload)
	return grant.AccessToken{Token: token, Lifetime: lifetime}, err
}

func (e *Engine) opaqueToken(a *grant.Award, claims *AccessClaims, lifetime time.Duration) (grant.AccessToken, error) {
	token, signature := e.Mint(storage.TokenAccess)
	claims.ID = signature
	payload, err := json.Marshal(claims)
	if err != nil {
		return grant.AccessToken{}, fmt.Errorf("encode claims: %w", err)
	}
	now := e.Now()
	return grant.AccessToken{Token: token, Lifetime: lifetime, Row: &storage.Token{
		Kind: storage.TokenAccess, Signature: signature, GrantID: a.GrantID, ClientID: a.Client.ID, Subject: a.Subject, SessionID: a.SID, Payload: payload,
		Created: now, Expires: now.Add(lifetime), GrantExpires: now.Add(lifetime),
	}}, nil
}

// IDToken signs the ID token of an award, with the hashes of what it comes with (OIDC Core sections 3.1.3.6 and 3.3.2.11). The user's claims are left to userinfo (section
// 5.4), but for those that were asked for here, and unless there is no access token to call it with.
func (e *Engine) IDToken(_ context.Context, a *grant.Award, h grant.Hashed) (string, error) {
	alg, now := e.idTokenAlg(a.Client), e.Now()
	payload, err := json.Marshal(idClaims{
		Issuer: e.Issuer, Subject: e.SubjectOf(a.Client, a.Subject), Audience: a.Client.ID, IssuedAt: now.Unix(), Expires: now.Add(grant.Shorter(e.Tokens.ID, a.Client.Lifetimes.IDToken)).Unix(),
		AuthTime: a.Payload.AuthTime, Nonce: a.Nonce, ATHash: halfHash(alg, h.AccessToken), CHash: halfHash(alg, h.Code), SHash: halfHash(alg, h.State),
		ACR: a.Payload.ACR, AMR: a.Payload.AMR, SessionID: e.SIDOf(a.Client, a.Payload.SID),
	})
	if err == nil {
		payload, err = withClaims(payload, idTokenClaims(a))
	}
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	return e.signIDToken(a.Client, a.Row == nil, payload) // without a row it comes from the authorization endpoint
}

// idTokenClaims are the user's claims in the ID token of an award; nil for most. What the client is not registered for any more is left out.
func idTokenClaims(a *grant.Award) map[string]any {
	if a.User == nil || !a.Alone && len(a.Payload.IDTokenClaims) == 0 {
		return nil
	}
	var scopes []string
	if a.Alone {
		scopes = a.Scopes
	}
	claims := UserClaims(a.User, scopes, stillHad(a.Client, a.Payload.IDTokenClaims))
	delete(claims, "sub") // the token's own
	return claims
}

// stillHad are those of the claims granted one by one whose scopes the client is still registered for (security row 50).
func stillHad(c *storage.Client, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(c.Scopes, request.ScopeOf(name)) })
}

// withClaims adds members to a JSON object that has some, and none of these.
func withClaims(object []byte, claims map[string]any) ([]byte, error) {
	if len(claims) == 0 {
		return object, nil
	}
	more, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	return append(append(object[:len(object)-1], ','), more[1:]...), nil
}

// halfHash is the left half of the hash that belongs to a signature algorithm, in base64url; empty for nothing, and for none, which has no hash.
func halfHash(alg, value string) string {
	switch {
	case value == "", alg == "none":
		return ""
	case alg == "EdDSA":
		sum := sha512.Sum512([]byte(value))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Parse checks the form of an opaque token.
func (e *Engine) Parse(kind storage.TokenKind, token string) (string, bool) {
	return opaque.Parse(prefixes[kind], token)
}

// Mint makes an opaque token.
func (e *Engine) Mint(kind storage.TokenKind) (token, signature string) {
	return opaque.Mint(prefixes[kind])
}

var prefixes = map[storage.TokenKind]string{
	storage.TokenCode: opaque.Code, storage.TokenRefresh: opaque.Refresh, storage.TokenAccess: opaque.Access,
}

// Replayed makes a killed grant known: to the log, to this process's copies, and to the user at the next visit to the account page. The
// grant is dead already, so nothing here may fail the request.
func (e *Engine) Replayed(ctx context.Context, row *storage.Token) {
	name := "code.replayed"
	if row.Kind == storage.TokenRefresh {
		name = "refresh.reused"
		notice := &storage.Notice{ID: rand.Text(), Subject: row.Subject, Kind: "refresh_reuse", ClientID: row.ClientID, Created: e.Now()}
		if err := e.Store.CreateNotice(ctx, notice); err != nil {
			e.Audit.Record(ctx, audit.Event{Name: "notice.create", Target: row.GrantID, Client: row.ClientID, Result: "failed", Reason: err.Error()})
		}
		if e.Reused != nil {
			e.Reused(ctx, row.Subject, row.ClientID)
		}
	}
	e.Audit.Record(ctx, audit.Event{Name: name, Actor: row.Subject, Target: row.GrantID, Client: row.ClientID, Result: "grant revoked"})
	if err := e.Sync(ctx); err != nil {
		e.Audit.Record(ctx, audit.Event{Name: "changes.reload", Result: "failed", Reason: err.Error()})
	}
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// ownClaims are the claims that come of the sign-in, not of the user's record.
var ownClaims = []string{"sub", "iss", "aud", "iat", "exp", "auth_time", "nonce", "acr", "amr", "sid"}

// StandardClaims lists the claims that any client can get, sorted, for discovery.
func StandardClaims() []string {
	names := slices.Clone(ownClaims)
	for _, claims := range request.ScopeClaims {
		names = append(names, claims...)
	}
	slices.Sort(names)
	return names
}

// UserClaims returns sub and the user's claims for the scopes (OIDC Core section 5.3.2), and the single ones that are named. What the user does not have is left out.
func UserClaims(u *storage.User, scopes, names []string) map[string]any {
	out := map[string]any{"sub": u.Subject}
	add := func(names []string) {
		for _, name := range names {
			if value := userClaim(u, name); !empty(value) {
				out[name] = value
			}
		}
	}
	for _, scope := range scopes {
		add(request.ScopeClaims[scope])
		add(request.GroupClaims[scope])
	}
	add(names)
	return out
}

// single returns the names of the claims that were asked for by themselves and can be granted: of those that were asked for with certain values, the ones whose value is
// among them.
func single(wanted []request.Claim, u *storage.User) []string {
	var names []string
	for _, claim := range wanted {
		if claim.Values == nil || slices.ContainsFunc(claim.Values, func(value json.RawMessage) bool { return sameJSON(value, userClaim(u, claim.Name)) }) {
			names = append(names, claim.Name)
		}
	}
	return names
}

// sameJSON compares a value with its JSON, whatever type of number it has here.
func sameJSON(sent json.RawMessage, value any) bool {
	encoded, err := json.Marshal(value)
	var a, b any
	if err != nil || json.Unmarshal(sent, &a) != nil || json.Unmarshal(encoded, &b) != nil {
		return false
	}
	return reflect.DeepEqual(a, b)
}

// empty tells whether a claim says nothing; such a claim is left out, never sent as null or empty (section 5.3.2).
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func userClaim(u *storage.User, name string) any {
	switch name {
	case "email":
		return u.Email
	case "email_verified":
		if u.Email == "" {
			return nil
		}
		return u.EmailVerified
	case "preferred_username":
		if value, ok := u.Claims[name]; ok {
			return value
		}
		return u.Username
	case "updated_at":
		if value, ok := u.Claims[name]; ok {
			return value
		}
		return u.Updated.Unix()
	}
	return u.Claims[name]
}
