package registration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

// ErrInitial says that an initial access token is none, or worth nothing any more.
var ErrInitial = errors.New("the initial access token is unknown, expired or used")

// InitialTokens is what initial access tokens need of storage.
type InitialTokens interface {
	CreateToken(ctx context.Context, t *storage.Token) error
	Token(ctx context.Context, kind storage.TokenKind, signature string) (*storage.Token, error)
	ExchangeToken(ctx context.Context, kind storage.TokenKind, signature string, successor []byte, next ...*storage.Token) error
}

// initial is the payload of an initial access token.
type initial struct {
	Reusable bool `json:"reusable,omitempty"`
}

// NewInitialToken makes an initial access token (RFC 7591 section 3): it lets one client register until it expires, or, if it is reusable, any number.
func NewInitialToken(ctx context.Context, store InitialTokens, now time.Time, ttl time.Duration, reusable bool) (string, error) {
	payload, err := json.Marshal(initial{reusable})
	if err != nil {
		return "", fmt.Errorf("encode initial access token: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make initial access token: %w", err)
	}
	token, signature := opaque.Mint(opaque.Initial)
	now = now.UTC().Truncate(time.Microsecond)
	err = store.CreateToken(ctx, &storage.Token{
		Kind: storage.TokenInitial, Signature: signature, GrantID: id.String(), Payload: payload, Created: now, Expires: now.Add(ttl), GrantExpires: now.Add(ttl),
	})
	if err != nil {
		return "", fmt.Errorf("store initial access token: %w", err)
	}
	return token, nil
}

// CheckInitial returns the signature of an initial access token that can be used, and whether UseInitial must use it up. ErrInitial.
func CheckInitial(ctx context.Context, store InitialTokens, token string, now time.Time) (signature string, once bool, err error) {
	signature, ours := opaque.Parse(opaque.Initial, token)
	if !ours {
		return "", false, ErrInitial
	}
	row, err := store.Token(ctx, storage.TokenInitial, signature)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return "", false, ErrInitial
	case err != nil:
		return "", false, fmt.Errorf("read initial access token: %w", err)
	case !row.ConsumedAt.IsZero() || !now.Before(row.Expires):
		return "", false, ErrInitial
	}
	var payload initial
	if err := json.Unmarshal(row.Payload, &payload); err != nil {
		return "", false, fmt.Errorf("decode initial access token: %w", err)
	}
	return signature, !payload.Reusable, nil
}

// UseInitial uses up a token: of any number of callers one gets nil, the others ErrInitial.
func UseInitial(ctx context.Context, store InitialTokens, signature string) error {
	err := store.ExchangeToken(ctx, storage.TokenInitial, signature, nil)
	if errors.Is(err, storage.ErrConsumed) {
		return ErrInitial
	}
	if err != nil {
		return fmt.Errorf("use initial access token: %w", err)
	}
	return nil
}
