package grant

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"gatehouse/storage"
)

// Request is one token request of an authenticated client.
type Request struct {
	Client *storage.Client
	Form   url.Values
	Now    time.Time
}

// Scopes returns the requested scopes, nil if none were named.
func (r Request) Scopes() []string { return strings.Fields(r.Form.Get("scope")) }

// Resources returns the requested resources (RFC 8707), nil if none were named.
func (r Request) Resources() []string { return r.Form["resource"] }

// Payload is what a stored code or refresh token remembers of the authorization, as JSON in storage.Token.Payload.
type Payload struct {
	Scopes    []string `json:"scope,omitempty"`
	Resources []string `json:"resource,omitempty"`
	// RedirectURI is the redirect_uri of the authorization request, empty if none was sent. Codes only.
	RedirectURI string `json:"redirect_uri,omitempty"`
	// Challenge is the S256 code challenge (RFC 7636). Codes only.
	Challenge string `json:"code_challenge,omitempty"`
	// Nonce goes into the first ID token and no other. Codes only.
	Nonce    string   `json:"nonce,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	// SID is the browser session's id, also for tokens that outlive it.
	SID string `json:"sid,omitempty"`
	// Epoch is the user's epoch when the user allowed this: a password change that was under way at that moment ends it all the same.
	Epoch int64 `json:"epoch,omitempty"`
	// Offline is true if offline_access was granted: the tokens outlive the browser session.
	Offline bool `json:"offline,omitempty"`
	// UserinfoClaims and IDTokenClaims are the names of claims that were granted one by one (OIDC Core section 5.5), beside those of Scopes.
	UserinfoClaims []string `json:"userinfo_claims,omitempty"`
	IDTokenClaims  []string `json:"id_token_claims,omitempty"`
}

// Authorization is what the authorization endpoint decided: who allowed which client what.
type Authorization struct {
	Client  *storage.Client
	Subject string
	// User is the subject's record as it was read with the session.
	User    *storage.User
	Payload Payload
	// State is the request's state, empty if none was sent.
	State string
	// Began is a time before anything was read that the decision rests on. The grant is born then, so that whatever is revoked while the request is
	// under way names it.
	Began time.Time
	// Pushed is the signature of the pushed request (RFC 9126) that is answered, empty for others. It is consumed with the answer.
	Pushed string
}

// Award says which tokens one token request earns.
type Award struct {
	Client  *storage.Client
	GrantID string
	// Subject is the user; empty for client_credentials. User is the record, from the read of Row or of the session.
	Subject string
	User    *storage.User
	Payload Payload
	// Scopes and Resources are those of this answer, within Payload's.
	Scopes    []string
	Resources []string
	// SID goes into the access token, so that it dies with the session; empty for refreshed offline tokens.
	SID string
	// Row is the code or refresh token that was redeemed; nil for client_credentials.
	Row *storage.Token
	// Consume is true if Row must be consumed for the award to be valid.
	Consume bool
	// Presented is the refresh token that was sent; its successor is sealed under it.
	Presented string
	// Refresh asks for a new refresh token; Reissued is the one that an earlier answer already carried.
	Refresh  bool
	Reissued string
	// GrantExpires is the absolute end of the family.
	GrantExpires time.Time
	// Nonce goes into the ID token.
	Nonce string
	// Alone is true if no access token can be had beside the ID token, which then carries the claims of the scopes (OIDC Core section 5.4).
	Alone bool
	// ExpiresIn is the lifetime of the access token in seconds, set when it was made.
	ExpiresIn int64
}

// Hashed is what an ID token binds itself to, by at_hash, c_hash and s_hash (OIDC Core section 3.3.2.11, FAPI 1.0 Part 2 section 5.1.1): what travels with it, empty
// where nothing does.
type Hashed struct{ AccessToken, Code, State string }

// decodePayload reads a row's payload.
func decodePayload(row *storage.Token) (Payload, error) {
	var p Payload
	if err := json.Unmarshal(row.Payload, &p); err != nil {
		return p, fmt.Errorf("decode payload: %w", err)
	}
	return p, nil
}

// encode returns the payload as stored.
func (p Payload) encode() ([]byte, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode payload: %w", err)
	}
	return b, nil
}
