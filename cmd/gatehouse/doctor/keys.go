package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// keysFresh is how long the keys may be cached: a rotation on demand must reach clients soon.
const keysFresh = 15 * time.Minute

// privateMembers are those of a JWK that must never leave the server (RFC 7518 section 6).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// keysSettle is how long a server may take until it publishes what another process or its own key job has just written, with time to spare: nodes reload every
// second.
const keysSettle = 4 * time.Second

// published fetches the JWK set (RFC 7517) as a client does that is about to verify a token.
func (d *doctor) published(ctx context.Context) (*reply, []map[string]any, error) {
	a, err := d.send(ctx, d.meta.text("jwks_uri"), nil, nil)
	if err != nil {
		return nil, nil, err
	}
	if a.StatusCode != http.StatusOK || !a.isJSON() {
		return nil, nil, fmt.Errorf("status %d, %s", a.StatusCode, a.Header.Get("Content-Type"))
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(a.body, &set); err != nil {
		return nil, nil, err
	}
	return a, set.Keys, nil
}

// keys looks at what is published, by itself and beside the store.
func (d *doctor) keys(ctx context.Context) {
	a, set, err := d.published(ctx)
	if err != nil {
		d.fail("keys", "let the proxy pass jwks_uri on to the server", "%s: %v", d.meta.text("jwks_uri"), err)
		return
	}
	kids, algs, faults := inspect(set)
	switch {
	case len(faults) > 0:
		d.fail("keys", "find out what answers at jwks_uri; if a private key of this server is there, run: gatehouse keys revoke KID", "%s", strings.Join(faults, ", "))
	case !slices.Contains(algs, "RS256"):
		d.fail("keys", "put RS256 into keys.algorithms; every client library knows it, and many know no other", "no key for RS256 among %s", strings.Join(algs, ", "))
	default:
		d.ok("keys", "%d, for %s", len(kids), strings.Join(algs, ", "))
	}
	if fresh, ok := directive(a.Header, "Cache-Control", "max-age"); ok && fresh > keysFresh {
		d.warn("key caching", "let the proxy or CDN keep the server's Cache-Control", "the keys may be cached for %s; after a rotation clients would refuse good tokens so long", fresh)
	}
	d.sameStore(ctx, kids)
}

// inspect returns the ids and algorithms of keys, and what is wrong with them.
func inspect(keys []map[string]any) (kids, algs, faults []string) {
	for i, k := range keys {
		kid, _ := k["kid"].(string)
		alg, _ := k["alg"].(string)
		name := fmt.Sprintf("key %d (%s)", i+1, kid)
		switch {
		case kid == "":
			faults = append(faults, name+" has no kid")
		case slices.Contains(kids, kid):
			faults = append(faults, name+" is there twice")
		case alg == "" || k["use"] != "sig":
			faults = append(faults, name+" lacks alg or use")
		}
		for _, member := range privateMembers {
			if _, ok := k[member]; ok {
				faults = append(faults, name+" shows its private part "+member)
			}
		}
		kids = append(kids, kid)
		if !slices.Contains(algs, alg) {
			algs = append(algs, alg)
		}
	}
	return kids, algs, faults
}

// sameStore compares the keys with those of the store: a server that answers with others is not the one of this configuration. Keys that come or go while
// the doctor looks, as in the first second of a new server, are no fault: what differs is looked at again until every node must have followed.
func (d *doctor) sameStore(ctx context.Context, seen []string) {
	if d.o.Inside == nil {
		return
	}
	stored, err := d.o.Inside.PublishedKeys(ctx)
	for looks := 1; err == nil && changing(stored, seen) && looks < 10; looks++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(keysSettle / 10):
		}
		if _, set, again := d.published(ctx); again == nil {
			seen, _, _ = inspect(set)
		}
		stored, err = d.o.Inside.PublishedKeys(ctx)
	}
	if err != nil {
		d.fail("store", "check storage.url", "the keys cannot be read: %v", err)
		return
	}
	missing, foreign := lacking(seen, stored), lacking(stored, seen)
	switch {
	case len(missing)+len(foreign) == 0:
		d.ok("store", "the published keys are those of this store")
	case len(missing) == len(stored):
		d.fail("store", "run this command with the configuration of the server that answers there: the same storage.url", "none of the published keys is in this store")
	default:
		d.fail("store", "look whether a cache before the server keeps jwks_uri, or a node runs with another keys.algorithms",
			"published keys and store differ: missing %s, unknown %s", orNone(missing), orNone(foreign))
	}
}

// lacking returns those of want that have lacks.
func lacking(have, want []string) []string {
	var out []string
	for _, kid := range want {
		if !slices.Contains(have, kid) {
			out = append(out, kid)
		}
	}
	return out
}

// changing tells whether a and b differ but share something: two views of one store of which one is older.
func changing(a, b []string) bool {
	missing, foreign := lacking(b, a), lacking(a, b)
	return len(missing)+len(foreign) > 0 && len(missing) < len(a)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}
