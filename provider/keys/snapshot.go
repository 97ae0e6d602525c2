package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/storage"
)

// snapshot is what a node knows of the keys: immutable but for its caches. Revoked keys are not in it.
type snapshot struct {
	byKID map[string]*key
	// byAlg is in order of activation.
	byAlg     map[string][]*key
	published atomic.Pointer[publication]
}

// key is one unrevoked key, opened.
type key struct {
	row    storage.SigningKey
	public jose.JSONWebKey
	algs   []jose.SignatureAlgorithm // the one that its tokens may name
	// private is nil if the key can sign no more.
	private any
	signers *sync.Map // typ -> jose.Signer
}

// newSnapshot opens the rows. What the snapshot before has opened is taken from it.
func (s *Set) newSnapshot(rows []*storage.SigningKey, before *snapshot) (*snapshot, error) {
	next := &snapshot{byKID: map[string]*key{}, byAlg: map[string][]*key{}}
	now := s.now()
	for _, row := range sorted(rows) {
		if !row.RevokedAt.IsZero() {
			continue
		}
		k := &key{row: *row, signers: &sync.Map{}, algs: []jose.SignatureAlgorithm{jose.SignatureAlgorithm(row.Alg)}}
		if err := json.Unmarshal(row.Public, &k.public); err != nil {
			return nil, fmt.Errorf("read public key %s: %w", row.KID, err)
		}
		if err := s.open(k, before.byKID[row.KID], now); err != nil {
			return nil, fmt.Errorf("open private key %s: %w", row.KID, err)
		}
		next.byKID[row.KID] = k
		next.byAlg[row.Alg] = append(next.byAlg[row.Alg], k)
	}
	return next, nil
}

// open fills in the private half unless it is erased or past use.
func (s *Set) open(k, before *key, now time.Time) error {
	if k.row.Private == nil || !k.row.RetireAt.IsZero() && !now.Before(k.row.RetireAt.Add(eraseAfter)) {
		return nil
	}
	if before != nil && before.private != nil && bytes.Equal(before.row.Private, k.row.Private) {
		k.private, k.signers = before.private, before.signers
		return nil
	}
	private, err := s.openPrivate(&k.row)
	k.private = private
	return err
}

// active returns the key of alg that signs at now, nil if there is none.
func (p *snapshot) active(alg string, now time.Time) *key {
	for _, k := range slices.Backward(p.byAlg[alg]) {
		if k.private != nil && signsAt(&k.row, now) {
			return k
		}
	}
	return nil
}

// publication is the JWKS between two moments at which it changes.
type publication struct {
	body        []byte
	etag        string
	from, until time.Time // until zero: no end known
}

func (p *snapshot) publication(now time.Time, algorithms []string) *publication {
	if old := p.published.Load(); old != nil && !now.Before(old.from) && (old.until.IsZero() || now.Before(old.until)) {
		return old
	}
	fresh := p.publish(now, algorithms)
	p.published.Store(fresh)
	return fresh
}

// publish builds the JWKS. Order: algorithms as configured, in each the active key first, since some clients take the first that fits.
func (p *snapshot) publish(now time.Time, algorithms []string) *publication {
	out := &publication{}
	var all [][]byte
	for _, alg := range withOthers(algorithms, p.byAlg) {
		var first, rest [][]byte
		for _, k := range slices.Backward(p.byAlg[alg]) {
			out.narrow(&k.row, now)
			switch {
			case !publishedAt(&k.row, now):
			case signsAt(&k.row, now):
				first = append(first, k.row.Public)
			default:
				rest = append(rest, k.row.Public)
			}
		}
		all = slices.Concat(all, first, rest)
	}
	out.body = slices.Concat([]byte(`{"keys":[`), bytes.Join(all, []byte(",")), []byte(`]}`))
	sum := sha256.Sum256(out.body)
	out.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	return out
}

// narrow shortens the time for which the publication is right to the moments of row around now.
func (p *publication) narrow(row *storage.SigningKey, now time.Time) {
	for _, at := range []time.Time{row.PublishAt, row.ActivateAt, row.RetireAt, row.RemoveAt} {
		switch {
		case at.IsZero():
		case at.After(now):
			if p.until.IsZero() || at.Before(p.until) {
				p.until = at
			}
		case at.After(p.from):
			p.from = at
		}
	}
}

// withOthers returns the configured algorithms and after them those of which there still are keys.
func withOthers(algorithms []string, byAlg map[string][]*key) []string {
	var others []string
	for alg := range byAlg {
		if !slices.Contains(algorithms, alg) {
			others = append(others, alg)
		}
	}
	slices.Sort(others)
	return slices.Concat(algorithms, others)
}

func publishedAt(k *storage.SigningKey, now time.Time) bool {
	return k.RevokedAt.IsZero() && !now.Before(k.PublishAt) && (k.RemoveAt.IsZero() || now.Before(k.RemoveAt))
}

func signsAt(k *storage.SigningKey, now time.Time) bool {
	return k.RevokedAt.IsZero() && !now.Before(k.ActivateAt) && (k.RetireAt.IsZero() || now.Before(k.RetireAt))
}
