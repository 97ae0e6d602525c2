package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	jose3 "github.com/go-jose/go-jose/v3"
	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider/outbound"
	"gatehouse/storage"
)

const (
	jwksLife    = 5 * time.Minute
	jwksRefetch = time.Minute // between fetches for one client, whatever kids it sends
	maxFetched  = 1000
)

// clientKeys serves the keys of clients: registered by value, or fetched from jwks_uri and kept for a while.
type clientKeys struct {
	outbound *outbound.Client
	now      func() time.Time

	mu   sync.Mutex
	sets map[string]*fetchedKeys
}

type fetchedKeys struct {
	mu      sync.Mutex // held while fetching, so that one client causes one fetch
	set     *jose.JSONWebKeySet
	fetched time.Time
	tried   time.Time
}

func newClientKeys(client *outbound.Client, now func() time.Time) *clientKeys {
	return &clientKeys{outbound: client, now: now, sets: map[string]*fetchedKeys{}}
}

// keys returns the client's keys. A kid that the kept copy does not have causes one new fetch, at most once a minute.
func (k *clientKeys) keys(ctx context.Context, c *storage.Client, kid string) (*jose.JSONWebKeySet, error) {
	if c.JWKSURI == "" {
		set, err := parseKeys(c.JWKS)
		if err != nil {
			return nil, fmt.Errorf("decode registered jwks: %w", err)
		}
		return set, nil
	}
	entry := k.entry(c.ID + "\n" + c.JWKSURI)
	entry.mu.Lock()
	defer entry.mu.Unlock()
	now := k.now()
	fresh := entry.set != nil && now.Sub(entry.fetched) < jwksLife
	if fresh && (kid == "" || hasKey(entry.set, kid)) {
		return entry.set, nil
	}
	if !entry.tried.IsZero() && now.Sub(entry.tried) < jwksRefetch {
		if entry.set == nil {
			return nil, assertionError("its jwks_uri could not be fetched. Try again in a minute.")
		}
		return entry.set, nil
	}
	entry.tried = now
	set, err := k.fetch(ctx, c.JWKSURI)
	if err != nil {
		if entry.set != nil {
			return entry.set, nil
		}
		return nil, err
	}
	entry.set, entry.fetched = set, now
	return set, nil
}

func (k *clientKeys) entry(id string) *fetchedKeys {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sets[id] == nil {
		if len(k.sets) >= maxFetched {
			clear(k.sets)
		}
		k.sets[id] = &fetchedKeys{}
	}
	return k.sets[id]
}

func (k *clientKeys) fetch(ctx context.Context, uri string) (*jose.JSONWebKeySet, error) {
	// Whoever asked first may be a stranger who hangs up at once; the client must not be left without keys for it.
	response, err := k.outbound.Get(context.WithoutCancel(ctx), uri, "application/json, application/jwk-set+json")
	if err != nil {
		return nil, errors.Join(assertionError("its jwks_uri could not be fetched."), err)
	}
	set, err := parseKeys(response.Body)
	if err != nil {
		return nil, errors.Join(assertionError("its jwks_uri does not hold a JWK set."), err)
	}
	return set, nil
}

// parseKeys reads the public keys of a JWK set. Keys that nothing can be verified with here, of an unknown type for example, are let be (RFC 7517
// section 5), and so are those that are too weak, private or symmetric.
func parseKeys(text []byte) (*jose.JSONWebKeySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	set := &jose.JSONWebKeySet{}
	for _, member := range raw.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(member, &key) == nil && key.Valid() && len(keyAlgorithms(key.Key)) > 0 && !weak(&key) {
			set.Keys = append(set.Keys, key)
		}
	}
	return set, nil
}

func hasKey(set *jose.JSONWebKeySet, kid string) bool {
	return slices.ContainsFunc(set.Keys, func(key jose.JSONWebKey) bool { return key.KeyID == kid || key.KeyID == "" })
}

// refusingFetcher keeps fosite from ever fetching keys by itself.
type refusingFetcher struct{}

func (refusingFetcher) Resolve(context.Context, string, bool) (*jose3.JSONWebKeySet, error) {
	return nil, errors.New("fosite fetches no keys")
}
