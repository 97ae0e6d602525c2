package clientauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider/client"
	"gatehouse/provider/outbound"
	"gatehouse/storage"
)

const (
	jwksLife = 5 * time.Minute
	// jwksRefetch is the least time between two fetches that strangers can cause for one client, by whatever kids they send, and between two tries of a host that failed.
	jwksRefetch = time.Minute
	// jwksKept is how long keys count whose jwks_uri does not answer any more.
	jwksKept   = time.Hour
	maxFetched = 1000
)

// Keys serves the keys of clients: registered by value, or fetched from jwks_uri and kept for a while.
type Keys struct {
	outbound *outbound.Client
	now      func() time.Time

	mu   sync.Mutex
	sets map[string]*fetchedKeys
}

type fetchedKeys struct {
	mu      sync.Mutex // held while fetching, so that one client causes one fetch
	set     *jose.JSONWebKeySet
	fetched time.Time
	sought  time.Time // when a signature that no key verified last caused a fetch
	failed  time.Time
}

// newKeys returns an empty store of keys.
func newKeys(fetcher *outbound.Client, now func() time.Time) *Keys {
	return &Keys{outbound: fetcher, now: now, sets: map[string]*fetchedKeys{}}
}

// keys returns the client's keys: registered by value, or the kept copy of its jwks_uri while that is young. beyond is nil, or a set that was of no use to a request that
// began at the given time: then, if the keys are at a jwks_uri, a newer set is fetched unless there is one already, the request itself had this one fetched, or it is too
// early to seek again. The answer is beyond itself if there is nothing else. The first fetch, and those that replace an old copy, do not count as seeking: a client that
// replaces its keys soon after is let in all the same.
func (k *Keys) keys(ctx context.Context, c *storage.Client, beyond *jose.JSONWebKeySet, began time.Time) (*jose.JSONWebKeySet, error) {
	if c.JWKSURI == "" && len(c.JWKS) == 0 {
		return nil, Reason("the client has no keys registered. Register jwks or jwks_uri.")
	}
	if c.JWKSURI == "" {
		if beyond != nil {
			return beyond, nil
		}
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
	switch {
	case now.Sub(entry.failed) < jwksRefetch:
		return entry.kept(now)
	case entry.set == nil:
	case entry.set != beyond:
		if now.Sub(entry.fetched) < jwksLife {
			return entry.set, nil
		}
	case !entry.fetched.Before(began) || now.Sub(entry.sought) < jwksRefetch:
		return entry.set, nil
	default:
		entry.sought = now
	}
	set, err := k.fetch(ctx, c.JWKSURI)
	if err != nil {
		entry.failed = now
		if set, kept := entry.kept(now); kept == nil {
			return set, nil
		}
		return nil, err
	}
	entry.set, entry.fetched = set, now
	return set, nil
}

// kept is what there is without another fetch. A host that does not answer cannot keep a key alive for ever that the client has taken back.
func (f *fetchedKeys) kept(now time.Time) (*jose.JSONWebKeySet, error) {
	if f.set == nil || now.Sub(f.fetched) > jwksKept {
		return nil, Reason("its jwks_uri could not be fetched. Try again in a minute.")
	}
	return f.set, nil
}

func (k *Keys) entry(id string) *fetchedKeys {
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

func (k *Keys) fetch(ctx context.Context, uri string) (*jose.JSONWebKeySet, error) {
	// Whoever asked first may be a stranger who hangs up at once; the client must not be left without keys for it.
	response, err := k.outbound.Get(context.WithoutCancel(ctx), uri, "application/json, application/jwk-set+json")
	if err != nil {
		return nil, errors.Join(Reason("its jwks_uri could not be fetched."), err)
	}
	set, err := parseKeys(response.Body)
	if err != nil {
		return nil, errors.Join(Reason("its jwks_uri does not hold a JWK set."), err)
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
		if json.Unmarshal(member, &key) == nil && key.Valid() && len(client.KeyAlgorithms(key.Key)) > 0 && !client.Weak(&key) {
			set.Keys = append(set.Keys, key)
		}
	}
	return set, nil
}
