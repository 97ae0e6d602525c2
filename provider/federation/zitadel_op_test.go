package federation_test

import (
	"crypto/rsa"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"gatehouse/provider/upstream/upstreamtest"
)

// What the OP package wants to know of a request, a client and a key, answered as Google is known to behave.

// googleRequest is an authorization request and who signed in for it.
type googleRequest struct {
	*oidc.AuthRequest
	id, sub string
}

func (q *googleRequest) GetID() string          { return q.id }
func (q *googleRequest) GetACR() string         { return "" }
func (q *googleRequest) GetAMR() []string       { return nil }
func (q *googleRequest) GetAudience() []string  { return []string{q.ClientID} }
func (q *googleRequest) GetAuthTime() time.Time { return time.Time{} }
func (q *googleRequest) GetClientID() string    { return q.ClientID }
func (q *googleRequest) GetNonce() string       { return q.Nonce }
func (q *googleRequest) GetScopes() []string    { return q.Scopes }
func (q *googleRequest) GetSubject() string     { return q.sub }
func (q *googleRequest) Done() bool             { return q.sub != "" }
func (q *googleRequest) GetCodeChallenge() *oidc.CodeChallenge {
	if q.CodeChallenge == "" {
		return nil
	}
	return &oidc.CodeChallenge{Challenge: q.CodeChallenge, Method: q.CodeChallengeMethod}
}

// googleClient is the one client, a web application with a secret.
type googleClient struct{ redirectURI string }

func (c googleClient) GetID() string                       { return upstreamtest.ClientID }
func (c googleClient) RedirectURIs() []string              { return []string{c.redirectURI} }
func (c googleClient) PostLogoutRedirectURIs() []string    { return nil }
func (c googleClient) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (c googleClient) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodBasic }
func (c googleClient) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c googleClient) GrantTypes() []oidc.GrantType         { return []oidc.GrantType{oidc.GrantTypeCode} }
func (c googleClient) LoginURL(id string) string            { return "/accountchooser?id=" + id }
func (c googleClient) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeBearer }
func (c googleClient) IDTokenLifetime() time.Duration       { return time.Hour }
func (c googleClient) DevMode() bool                        { return false }
func (c googleClient) IsScopeAllowed(string) bool           { return false }
func (c googleClient) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c googleClient) ClockSkew() time.Duration             { return 0 }
func (c googleClient) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return slices.Clone[[]string]
}
func (c googleClient) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return slices.Clone[[]string]
}

// googleKey is a key of the set, by its public half.
type googleKey struct {
	private   *rsa.PrivateKey
	kid       string
	published bool
}

func (k googleKey) ID() string                         { return k.kid }
func (k googleKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k googleKey) Use() string                        { return "sig" }
func (k googleKey) Key() any                           { return k.private.Public() }

// googleSigner is a key by its private half.
type googleSigner struct{ googleKey }

func (k googleSigner) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k googleSigner) Key() any                                    { return k.private }
