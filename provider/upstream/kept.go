package upstream

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// failureLife is how long a failed fetch is remembered, so that many people at a provider that is down wait for it once.
	failureLife = 10 * time.Second
	// staleLife is how long a copy counts whose source does not answer any more.
	staleLife = 24 * time.Hour
)

// kept is the copy of a document that a provider publishes. Callers that need it at the same time share one fetch, which does not end with the first of them.
type kept[T any] struct {
	now     func() time.Time
	limit   time.Duration
	fetch   func(context.Context) (*T, time.Duration, error) // the document and how long it is fresh
	flights singleflight.Group

	mu      sync.Mutex
	value   *T
	fetched time.Time
	life    time.Duration
	failure error
	failed  time.Time
	turn    int // fetches that have ended
}

// ration is what callers of one sort have of fetches that they cause because the copy would not do. It belongs to one kept, whose lock guards it.
type ration struct{ used time.Time }

// get returns a copy that is fresh, and younger than age if age is not 0. If the source fails it is the error, and beside it, if there is one, the copy from before,
// which is good enough where the source is not asked for its own sake.
func (k *kept[T]) get(ctx context.Context, age time.Duration) (*T, error) {
	k.mu.Lock()
	now := k.now()
	life := k.life
	if age > 0 {
		life = min(life, age)
	}
	if k.value != nil && now.Sub(k.fetched) < life {
		defer k.mu.Unlock()
		return k.value, nil
	}
	if k.failure != nil && now.Sub(k.failed) < failureLife {
		defer k.mu.Unlock()
		return k.stale(now), k.failure
	}
	turn := k.turn
	k.mu.Unlock()
	return k.wait(ctx, turn)
}

// usable is get for those who can do with the copy from before.
func (k *kept[T]) usable(ctx context.Context) (*T, error) {
	value, err := k.get(ctx, 0)
	if value != nil {
		return value, nil
	}
	return nil, err
}

// beyond returns a copy that is not old, for a caller for whom old would not do: the present one if it is another, else what a fetch brings. Whoever sends what needs one can
// cause such fetches, so a ration has one at most in every period of the given length; before that the answer is old.
func (k *kept[T]) beyond(ctx context.Context, old *T, r *ration, every time.Duration) (*T, error) {
	k.mu.Lock()
	now := k.now()
	if k.value != old || now.Sub(r.used) < every {
		defer k.mu.Unlock()
		return k.value, nil
	}
	r.used = now
	turn := k.turn
	k.mu.Unlock()
	return k.wait(ctx, turn)
}

// wait joins the fetch that follows turn, or begins it.
func (k *kept[T]) wait(ctx context.Context, turn int) (*T, error) {
	flight := k.flights.DoChan("", func() (any, error) {
		k.mu.Lock()
		ended := k.turn != turn
		k.mu.Unlock()
		if !ended {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.limit)
			defer cancel()
			k.keep(k.fetch(ctx))
		}
		return nil, nil
	})
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, &Refusal{Reason: Unavailable, Detail: "the provider took longer than a call may", Cause: ctx.Err()}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failure != nil {
		return k.stale(k.now()), k.failure
	}
	return k.value, nil
}

func (k *kept[T]) keep(value *T, life time.Duration, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.turn++
	now := k.now()
	if err == nil {
		k.value, k.life, k.fetched, k.failure = value, life, now, nil
		return
	}
	k.failure, k.failed = err, now
	var refusal *Refusal
	if now.Sub(k.fetched) >= k.life && !(errors.As(err, &refusal) && refusal.Reason == Unavailable) {
		k.value = nil // the source has spoken, and takes back what it said
	}
}

// stale is the copy from before, while it counts.
func (k *kept[T]) stale(now time.Time) *T {
	if now.Sub(k.fetched) > staleLife {
		return nil
	}
	return k.value
}
