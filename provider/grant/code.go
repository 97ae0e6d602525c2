package grant

// The authorization code grant: RFC 6749 section 4.1 with PKCE (RFC 7636) and OpenID Connect Core section 3.1.

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/ory/fosite"

	"gatehouse/storage"
)

// newCode makes a code for an authorization, and the row that must be stored for it.
func (p *Pipeline) newCode(auth *Authorization, grantID string) (*storage.Token, string, error) {
	payload, err := auth.Payload.encode()
	if err != nil {
		return nil, "", err
	}
	now := p.Now()
	code, signature := p.Engine.Mint(storage.TokenCode)
	_, absolute := p.Lifetimes.refresh(auth.Client)
	return &storage.Token{
		Kind: storage.TokenCode, Signature: signature, GrantID: grantID, ClientID: auth.Client.ID, Subject: auth.Subject,
		SessionID: boundSession(auth.Payload), Payload: payload, Created: now, Expires: now.Add(p.Lifetimes.Code), GrantExpires: now.Add(absolute),
	}, code, nil
}

func redeemCode(ctx context.Context, p *Pipeline, r Request) (*Award, error) {
	code := r.Form.Get("code")
	if code == "" {
		return nil, Refuse("invalid_request", "The parameter code is missing.")
	}
	row, err := p.find(ctx, storage.TokenCode, code, r.Client)
	if err != nil {
		return nil, err
	}
	payload, err := decodePayload(row)
	if err != nil {
		return nil, err
	}
	if refusal := checkBinding(payload, r); refusal != nil {
		// Whoever holds a code but not its verifier has stolen it: burn it. Nothing is revoked, or a thief could end the owner's grant.
		if row.ConsumedAt.IsZero() {
			if err := p.Store.ExchangeToken(ctx, row.Kind, row.Signature, nil); err != nil && !errors.Is(err, storage.ErrConsumed) {
				return nil, fmt.Errorf("burn code: %w", err)
			}
		}
		return nil, refusal
	}
	if !row.ConsumedAt.IsZero() {
		return nil, p.kill(ctx, row, "code")
	}
	if !p.Now().Before(row.Expires) {
		return nil, errGone("code")
	}
	scopes, err := scopesLeft(r.Client, payload.Scopes)
	if err != nil {
		return nil, err
	}
	resources, err := p.wantedResources(r, payload)
	if err != nil {
		return nil, err
	}
	return &Award{
		Client: r.Client, GrantID: row.GrantID, Subject: row.Subject, Payload: payload, Scopes: scopes, Resources: resources, SID: payload.SID,
		Row: row, Consume: true, Refresh: slices.Contains(r.Client.GrantTypes, "refresh_token"), GrantExpires: row.GrantExpires, Nonce: payload.Nonce,
	}, nil
}

var verifierPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// checkBinding compares what the code was bound to: redirect_uri (RFC 6749 section 4.1.3) and code_verifier (RFC 7636 section 4.6).
func checkBinding(p Payload, r Request) *fosite.RFC6749Error {
	if p.RedirectURI != r.Form.Get("redirect_uri") {
		return Refuse("invalid_grant", "The redirect_uri is not the one of the authorization request. Send the same value, character for character.")
	}
	verifier := r.Form.Get("code_verifier")
	switch {
	case p.Challenge == "" && verifier == "":
		return nil
	case p.Challenge == "":
		return Refuse("invalid_grant", "A code_verifier was sent, but the authorization request had no code_challenge.")
	case verifier == "":
		return Refuse("invalid_grant", "The code_verifier is missing: the authorization request had a code_challenge.")
	case !verifierPattern.MatchString(verifier):
		return Refuse("invalid_grant", "The code_verifier must be 43 to 128 letters, digits and - . _ ~ characters.") // a short one can be guessed
	}
	sum := sha256.Sum256([]byte(verifier))
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(p.Challenge)) != 1 {
		return Refuse("invalid_grant", "The code_verifier does not match the code_challenge.")
	}
	return nil
}

// find reads the row of a presented token. Junk, unknown tokens and those of other clients look alike, and nothing changes.
func (p *Pipeline) find(ctx context.Context, kind storage.TokenKind, token string, c *storage.Client) (*storage.Token, error) {
	what := "code"
	if kind == storage.TokenRefresh {
		what = "refresh token"
	}
	signature, ok := p.Engine.Parse(kind, token)
	if !ok {
		return nil, errGone(what)
	}
	row, err := p.Store.Token(ctx, kind, signature)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, errGone(what)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case row.ClientID != c.ID:
		return nil, errGone(what)
	}
	return row, nil
}

// kill revokes the whole grant of a token that was used twice and returns the answer.
func (p *Pipeline) kill(ctx context.Context, row *storage.Token, what string) error {
	if _, err := p.Store.RevokeTokens(ctx, storage.Revocation{Kind: storage.RevokeGrant, ID: row.GrantID}); err != nil {
		return fmt.Errorf("revoke grant: %w", err)
	}
	p.Engine.Replayed(ctx, row)
	return errGone(what)
}

// wantedResources returns the audience of this access token: a subset of what was granted (RFC 8707 section 2.2), or, if none is named, all of it that
// the client may still have. A grant for resources that are all gone is not one for this server's own endpoints: it is refused.
func (p *Pipeline) wantedResources(r Request, granted Payload) ([]string, error) {
	wanted := r.Resources()
	if len(wanted) == 0 {
		kept := slices.DeleteFunc(slices.Clone(granted.Resources), func(uri string) bool { return p.Resources.CheckWanted(r.Client, []string{uri}) != nil })
		if len(kept) == 0 && len(granted.Resources) > 0 {
			return nil, p.Resources.CheckWanted(r.Client, granted.Resources)
		}
		return kept, nil
	}
	if err := p.Resources.CheckWanted(r.Client, wanted); err != nil {
		return nil, err
	}
	if !within(wanted, granted.Resources) {
		return nil, Refuse("invalid_target", "The requested resource is not part of what was granted.")
	}
	return wanted, nil
}
