package ratelimit

import (
	"context"
	"fmt"
	"time"
)

// Store is what a Limiter needs: storage.RateStore, or a Memory.
type Store interface {
	// Rate returns the stored time, zero if there is none.
	Rate(ctx context.Context, key string) (time.Time, error)
	// SwapRate stores next if the stored time still equals old (zero: no row) and tells whether it did.
	SwapRate(ctx context.Context, key string, old, next time.Time) (bool, error)
}

// Options make a Limiter.
type Options struct {
	Store Store
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Limiter counts events by key. It is safe for concurrent use, on any number of nodes over one store.
type Limiter struct {
	store Store
	clock func() time.Time
}

// tries bounds how often a change is repeated because others changed the same key. Each lost round is an event that another caller got through, so a
// limit stops the race long before.
const tries = 100

// New makes a Limiter.
func New(o Options) *Limiter {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Limiter{store: o.Store, clock: o.Now}
}

// Take counts one event and tells whether it is allowed; one that is not allowed does not count, and retryAfter says when the next will be. On an error nothing
// was counted: the caller answers 503.
func (l *Limiter) Take(ctx context.Context, key string, limit Limit) (allowed bool, retryAfter time.Duration, err error) {
	if limit.Off() {
		return true, 0, nil
	}
	err = l.change(ctx, key, func(tat, now time.Time) time.Time {
		var next time.Time
		next, allowed, retryAfter = GCRA(tat, now, limit)
		return next
	})
	if err != nil {
		return false, 0, fmt.Errorf("count against limit: %w", err)
	}
	return allowed, retryAfter, nil
}

// Peek tells what Take would, without counting. Of many callers that peek at once all may be told yes: where that matters, Take first and Forgive
// what turns out not to count.
func (l *Limiter) Peek(ctx context.Context, key string, limit Limit) (allowed bool, retryAfter time.Duration, err error) {
	if limit.Off() {
		return true, 0, nil
	}
	tat, err := l.store.Rate(ctx, key)
	if err != nil {
		return false, 0, fmt.Errorf("read limit: %w", err)
	}
	_, allowed, retryAfter = GCRA(tat, l.now(), limit)
	return allowed, retryAfter, nil
}

// Forgive takes back one counted event.
func (l *Limiter) Forgive(ctx context.Context, key string, limit Limit) error {
	if limit.Off() {
		return nil
	}
	err := l.change(ctx, key, func(tat, now time.Time) time.Time {
		if !tat.After(now) {
			return tat
		}
		return tat.Add(-limit.Every)
	})
	if err != nil {
		return fmt.Errorf("take back from limit: %w", err)
	}
	return nil
}

// change replaces the time of key by what next makes of it, and writes nothing if that is the same.
func (l *Limiter) change(ctx context.Context, key string, next func(tat, now time.Time) time.Time) error {
	for range tries {
		tat, err := l.store.Rate(ctx, key)
		if err != nil {
			return err
		}
		want := next(tat, l.now()).Truncate(time.Microsecond)
		if want.Equal(tat) {
			return nil
		}
		done, err := l.store.SwapRate(ctx, key, tat, want)
		if err != nil || done {
			return err
		}
	}
	return fmt.Errorf("limit was changed by others %d times in a row", tries)
}

// now is the clock in the precision of storage.
func (l *Limiter) now() time.Time { return l.clock().UTC().Truncate(time.Microsecond) }
