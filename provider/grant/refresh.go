package grant

// The refresh token grant: RFC 6749 section 6, with rotation (RFC 9700 section 4.14) and a window in which a client that lost the
// answer, or raced itself, gets the same successor again.

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"gatehouse/storage"
)

func redeemRefresh(ctx context.Context, p *Pipeline, r Request) (*Award, error) {
	token := r.Form.Get("refresh_token")
	if token == "" {
		return nil, Refuse("invalid_request", "The parameter refresh_token is missing.")
	}
	row, err := p.find(ctx, storage.TokenRefresh, token, r.Client)
	if err != nil {
		return nil, err
	}
	payload, err := decodePayload(row)
	if err != nil {
		return nil, err
	}
	scopes, err := refreshScopes(r, payload)
	if err != nil {
		return nil, err
	}
	resources, err := p.wantedResources(r, payload)
	if err != nil {
		return nil, err
	}
	if now := p.Now(); !now.Before(row.Expires) || !now.Before(row.GrantExpires) {
		return nil, errGone("refresh token")
	}
	award := &Award{
		Client: r.Client, GrantID: row.GrantID, Subject: row.Subject, Payload: payload, Scopes: scopes, Resources: resources, SID: boundSession(payload),
		Row: row, GrantExpires: row.GrantExpires,
	}
	if row.ConsumedAt.IsZero() {
		award.Consume, award.Refresh, award.Presented = true, true, token
		return award, nil
	}
	award.Reissued, err = p.reissue(ctx, row, token)
	return award, err
}

// refreshScopes returns the scopes of this answer: what was asked for, within the grant and within what the client may still have. Scopes that
// the client has lost since are dropped, not refused.
func refreshScopes(r Request, granted Payload) ([]string, error) {
	wanted := r.Scopes()
	if len(wanted) == 0 {
		wanted = granted.Scopes
	}
	if !within(wanted, granted.Scopes) {
		return nil, Refuse("invalid_scope", "The requested scope exceeds what was granted. Ask for the same scopes, fewer, or none.")
	}
	return scopesLeft(r.Client, wanted)
}

// scopesLeft are the scopes that a client may still have of those that were granted to it.
func scopesLeft(c *storage.Client, granted []string) ([]string, error) {
	kept := slices.DeleteFunc(slices.Clone(granted), func(s string) bool { return !slices.Contains(c.Scopes, s) })
	if len(kept) == 0 {
		return nil, Refuse("invalid_grant", "This client may no longer have any of the granted scopes.")
	}
	return kept, nil
}

// reissue answers a repeated refresh token: within the window of its first use, while the successor is unused, with that same successor; otherwise the
// token has leaked, and the grant dies.
func (p *Pipeline) reissue(ctx context.Context, row *storage.Token, token string) (string, error) {
	if p.Now().Sub(row.ConsumedAt) > p.Lifetimes.RefreshGrace {
		return "", p.kill(ctx, row, "refresh token")
	}
	successor, err := openSuccessor(token, row.Successor)
	if err != nil {
		return "", p.kill(ctx, row, "refresh token")
	}
	signature, ok := p.Engine.Parse(storage.TokenRefresh, successor)
	if !ok {
		return "", p.kill(ctx, row, "refresh token")
	}
	next, err := p.Store.Token(ctx, storage.TokenRefresh, signature)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return "", errGone("refresh token")
	case err != nil:
		return "", fmt.Errorf("read successor: %w", err)
	case !next.ConsumedAt.IsZero():
		return "", p.kill(ctx, row, "refresh token")
	}
	return successor, nil
}

// sealSuccessor encrypts the next refresh token under the presented one, so that only its holder can learn it again: AES-256-GCM under
// HKDF-SHA256(old token, "refresh successor"), nonce first.
func sealSuccessor(old, next string) ([]byte, error) {
	aead, err := successorCipher(old)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(next)+aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("seal successor: %w", err)
	}
	return aead.Seal(nonce, nonce, []byte(next), nil), nil
}

func openSuccessor(old string, sealed []byte) (string, error) {
	aead, err := successorCipher(old)
	if err != nil {
		return "", err
	}
	if len(sealed) < aead.NonceSize() {
		return "", errors.New("open successor: none stored")
	}
	next, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return "", fmt.Errorf("open successor: %w", err)
	}
	return string(next), nil
}

func successorCipher(old string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(old), nil, "refresh successor", 32)
	if err != nil {
		return nil, fmt.Errorf("derive successor key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive successor key: %w", err)
	}
	return cipher.NewGCM(block)
}
