package oauth

// What fosite asks for and must not do itself.

import (
	"context"
	"errors"
	"time"

	jose3 "github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"

	"gatehouse/provider/grant"
)

// refusingHasher fails closed: fosite's own secret comparison must never be reached.
type refusingHasher struct{}

func (refusingHasher) Compare(context.Context, []byte, []byte) error {
	return errors.New("client secrets are not compared by fosite")
}

func (refusingHasher) Hash(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("client secrets are not hashed by fosite")
}

// refusingFetcher keeps fosite from ever fetching keys by itself.
type refusingFetcher struct{}

func (refusingFetcher) Resolve(context.Context, string, bool) (*jose3.JSONWebKeySet, error) {
	return nil, errors.New("fosite fetches no keys")
}

// fositeStore is the little storage that fosite itself still asks for.
type fositeStore struct{ *Mirror }

// GetClient returns an enabled client.
func (s fositeStore) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	c, err := s.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	return grant.Client{Client: c}, nil
}

// ClientAssertionJWTValid refuses: assertions are verified in assertion.go.
func (fositeStore) ClientAssertionJWTValid(context.Context, string) error { return fosite.ErrJTIKnown }

// SetClientAssertionJWT refuses, as ClientAssertionJWTValid does.
func (fositeStore) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return fosite.ErrJTIKnown
}
