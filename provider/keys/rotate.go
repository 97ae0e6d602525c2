package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/storage"
)

// The states of a key.
const (
	StateNext    = "next"    // will sign from ActivateAt; published from PublishAt
	StateActive  = "active"  // signs
	StateRetired = "retired" // signs no more; published until RemoveAt, then kept for hints
	StateRevoked = "revoked" // what it signed is worth nothing
)

// Info is what may be shown of a key.
type Info struct {
	KID        string    `json:"kid"`
	Alg        string    `json:"alg"`
	State      string    `json:"state"`
	Created    time.Time `json:"created"`
	PublishAt  time.Time `json:"publish_at"`
	ActivateAt time.Time `json:"activate_at"`
	RetireAt   time.Time `json:"retire_at,omitzero"`
	RemoveAt   time.Time `json:"remove_at,omitzero"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
}

// List returns all stored keys, oldest activation first.
func (s *Set) List(ctx context.Context) ([]Info, error) {
	rows, err := s.store.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	now := s.now()
	out := make([]Info, 0, len(rows))
	for _, k := range sorted(rows) {
		out = append(out, Info{
			KID: k.KID, Alg: k.Alg, State: stateAt(k, now), Created: k.Created, PublishAt: k.PublishAt,
			ActivateAt: k.ActivateAt, RetireAt: k.RetireAt, RemoveAt: k.RemoveAt, RevokedAt: k.RevokedAt,
		})
	}
	return out, nil
}

func stateAt(k *storage.SigningKey, now time.Time) string {
	switch {
	case !k.RevokedAt.IsZero():
		return StateRevoked
	case now.Before(k.ActivateAt):
		return StateNext
	case signsAt(k, now):
		return StateActive
	}
	return StateRetired
}

// EnsureActive does what a start cannot do without: it makes an active key for every configured algorithm that has none, and loads. Ensure does the
// rest once the server listens.
func (s *Set) EnsureActive(ctx context.Context) error {
	return s.change(ctx, "ensure active signing keys", func(p *plan) error {
		for _, alg := range s.algorithms {
			p.ensureActive(alg)
		}
		return nil
	})
}

// Ensure brings the timetable up to date and loads: an active and a next key for every configured algorithm, algorithms no longer configured
// retired, old private halves erased. Any number of nodes may call it at any time; one of them makes each key. Call it every few minutes.
func (s *Set) Ensure(ctx context.Context) error {
	return s.change(ctx, "ensure signing keys", func(p *plan) error {
		for _, alg := range s.algorithms {
			p.ensureActive(alg)
			p.ensureNext(alg)
		}
		for _, k := range slices.Clone(p.keys) {
			if !slices.Contains(s.algorithms, k.Alg) {
				p.abandon(k.Alg)
			}
		}
		p.erase()
		return nil
	})
}

// Rotate lets the next key of alg sign in 5 seconds, when every node knows it, and returns its kid. The present one retires at that moment and stays
// published until all that it signed has expired; a new next key is published at once.
func (s *Set) Rotate(ctx context.Context, alg string) (kid string, err error) {
	if !slices.Contains(s.algorithms, alg) {
		return "", fmt.Errorf("rotate signing key: algorithm %q is not configured", alg)
	}
	err = s.change(ctx, "rotate signing key", func(p *plan) error {
		p.ensureActive(alg)
		p.rotate(alg)
		for _, k := range p.line(alg) {
			if k.ActivateAt.Equal(p.now.Add(rotateDelay)) {
				kid = k.KID
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	s.audit.Record(ctx, audit.Event{Name: "key.rotated", Target: kid, Result: "ok", Reason: alg})
	return kid, nil
}

// Revoke takes a compromised key out of use at once: it leaves the JWKS, its private half is erased, and what it signed verifies no more. If it was the
// active one, the next signs from now. Revoking it again does nothing. storage.ErrNotFound.
func (s *Set) Revoke(ctx context.Context, kid string) error {
	return s.change(ctx, "revoke signing key", func(p *plan) error {
		i := slices.IndexFunc(p.keys, func(k *storage.SigningKey) bool { return k.KID == kid })
		if i < 0 {
			return fmt.Errorf("key %q: %w", kid, storage.ErrNotFound)
		}
		k := p.keys[i]
		if !k.RevokedAt.IsZero() {
			return nil
		}
		p.revoke(k)
		if slices.Contains(s.algorithms, k.Alg) {
			p.ensureActive(k.Alg)
			p.ensureNext(k.Alg)
		} else {
			p.link(k.Alg)
		}
		return nil
	})
}

// errMissing says that the plan needs keys that have not been generated yet.
var errMissing = errors.New("keys to be generated")

// change applies a plan and loads the result. Keys are generated before the transaction, because a large RSA key takes seconds and everybody waits
// for the transaction; if another node was faster, the generated ones are dropped.
func (s *Set) change(ctx context.Context, what string, build func(*plan) error) error {
	pool := map[string][]*storage.SigningKey{}
	rows, err := s.store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for {
		p := s.newPlan(rows, pool)
		if err := build(p); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err := s.fill(ctx, pool, p.missing); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if len(p.changed) == 0 {
			break
		}
		rows, err = s.commit(ctx, pool, build)
		if err == nil {
			break
		}
		if !errors.Is(err, errMissing) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return s.Load(ctx)
}

// commit applies the plan to the rows as they are inside the transaction, and returns them if the pool turns out too small.
func (s *Set) commit(ctx context.Context, pool map[string][]*storage.SigningKey, build func(*plan) error) ([]*storage.SigningKey, error) {
	var seen []*storage.SigningKey
	var p *plan
	err := s.store.ChangeSigningKeys(ctx, func(rows []*storage.SigningKey) ([]*storage.SigningKey, error) {
		seen = rows
		p = s.newPlan(rows, pool)
		if err := build(p); err != nil {
			return nil, err
		}
		if len(p.missing) > 0 {
			return nil, errMissing
		}
		return p.changes(), nil
	})
	if err == nil {
		s.report(ctx, p)
	}
	return seen, err
}

// report records what a committed plan made and revoked. Activation and retirement happen by the clock and are told by the times.
func (s *Set) report(ctx context.Context, p *plan) {
	for _, k := range p.made {
		s.audit.Record(ctx, audit.Event{Name: "key.created", Target: k.KID, Result: "ok", Reason: k.Alg})
	}
	for _, k := range p.revoked {
		s.audit.Record(ctx, audit.Event{Name: "key.revoked", Target: k.KID, Result: "ok", Reason: k.Alg})
	}
}

// fill generates what is missing.
func (s *Set) fill(ctx context.Context, pool map[string][]*storage.SigningKey, missing map[string]int) error {
	for alg, n := range missing {
		for range n {
			if err := ctx.Err(); err != nil {
				return err
			}
			k, err := s.generate(alg)
			if err != nil {
				return err
			}
			pool[alg] = append(pool[alg], k)
		}
	}
	return nil
}
