package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// AccessClaims are the claims of an access token (RFC 9068 section 2.2). Opaque tokens keep the same as their payload.
type AccessClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience Audience `json:"aud"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope,omitempty"`
	ID       string   `json:"jti"`
	IssuedAt int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	// GrantID is the family, by which the token dies with its grant.
	GrantID   string   `json:"gid"`
	SessionID string   `json:"sid,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
}

// Scopes returns the token's scopes.
func (c *AccessClaims) Scopes() []string { return strings.Fields(c.Scope) }

// Audience is an aud claim: one value is written as a string, several as an array (RFC 7519 section 4.1.3).
type Audience []string

// MarshalJSON writes the short form where it can.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON reads both forms.
func (a *Audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = make(Audience, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

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
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	SessionID string   `json:"sid,omitempty"`
}

// accessClaims builds the claims of an award's access token.
func (e *Engine) accessClaims(a *grant.Award) (*AccessClaims, time.Duration) {
	lifetime := grant.Shorter(e.resources.Lifetime(e.Tokens.Access, a.Resources), a.Client.Lifetimes.AccessToken)
	audience := Audience(a.Resources)
	if len(audience) == 0 {
		audience = Audience{e.Issuer}
		if e.DefaultAudience != "" {
			audience = append(audience, e.DefaultAudience)
		}
	}
	subject := a.Subject
	if subject == "" {
		subject = a.Client.ID
	}
	now := e.Now()
	return &AccessClaims{
		Issuer: e.Issuer, Subject: subject, Audience: audience, ClientID: a.Client.ID, Scope: strings.Join(e.resources.Narrow(a.Scopes, a.Resources), " "),
		IssuedAt: now.Unix(), Expires: now.Add(lifetime).Unix(), GrantID: a.GrantID, SessionID: a.SID,
		AuthTime: a.Payload.AuthTime, ACR: a.Payload.ACR, AMR: a.Payload.AMR,
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
	token, err := e.Keys.Sign(orDefault(a.Client.AccessTokenAlg, e.AccessTokenAlg), "at+jwt", payload)
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

// IDToken signs the ID token of an award, with at_hash (OIDC Core section 3.1.3.6). Profile claims are left to userinfo (section 5.4).
func (e *Engine) IDToken(_ context.Context, a *grant.Award, accessToken string) (string, error) {
	alg := orDefault(a.Client.IDTokenAlg, e.IDTokenAlg)
	now := e.Now()
	payload, err := json.Marshal(idClaims{
		Issuer: e.Issuer, Subject: a.Subject, Audience: a.Client.ID, IssuedAt: now.Unix(), Expires: now.Add(grant.Shorter(e.Tokens.ID, a.Client.Lifetimes.IDToken)).Unix(),
		AuthTime: a.Payload.AuthTime, Nonce: a.Nonce, ATHash: halfHash(alg, accessToken), ACR: a.Payload.ACR, AMR: a.Payload.AMR, SessionID: a.Payload.SID,
	})
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	return e.Keys.Sign(alg, "JWT", payload)
}

// halfHash is the left half of the hash that belongs to a signature algorithm, in base64url.
func halfHash(alg, value string) string {
	if alg == "EdDSA" {
		sum := sha512.Sum512([]byte(value))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Parse checks the form of an opaque token.
func (e *Engine) Parse(kind storage.TokenKind, token string) (string, bool) {
	return ParseToken(prefixes[kind], token)
}

// Mint makes an opaque token.
func (e *Engine) Mint(kind storage.TokenKind) (token, signature string) { return Mint(prefixes[kind]) }

var prefixes = map[storage.TokenKind]string{
	storage.TokenCode: PrefixCode, storage.TokenRefresh: PrefixRefresh, storage.TokenAccess: PrefixAccess,
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

// scopeClaims are the claims that each scope asks for (OIDC Core section 5.4).
var scopeClaims = map[string][]string{
	"profile": {"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"},
	"email":   {"email", "email_verified"},
	"address": {"address"},
	"phone":   {"phone_number", "phone_number_verified"},
}

// StandardClaims lists the claims that can be served, sorted, for discovery.
func StandardClaims() []string {
	names := []string{"sub"}
	for _, claims := range scopeClaims {
		names = append(names, claims...)
	}
	slices.Sort(names)
	return names
}

// UserClaims returns sub and the user's claims for the scopes (OIDC Core section 5.3.2). What the user does not have is left out.
func UserClaims(u *storage.User, scopes []string) map[string]any {
	out := map[string]any{"sub": u.Subject}
	for _, scope := range scopes {
		for _, name := range scopeClaims[scope] {
			if value := userClaim(u, name); !empty(value) {
				out[name] = value
			}
		}
	}
	return out
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
