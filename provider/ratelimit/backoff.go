package ratelimit

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// Backoff slows down who fails again and again under one key: after Free failures the next try has to wait for a second since the last one, then for two, four and
// so on, at most Longest. Forget after the last failure all of them are forgotten. The zero Backoff is off.
type Backoff struct {
	Free            int
	Longest, Forget time.Duration
}

// Off tells whether nobody is slowed down.
func (b Backoff) Off() bool { return b.Longest <= 0 }

// Failed is what is known of the failures under a key.
type Failed struct {
	Count int
	Last  time.Time
}

// Wait is how long after now the next try may be made.
func (b Backoff) Wait(f Failed, now time.Time) time.Duration {
	if b.Off() || f.Count == 0 || f.Count < b.Free {
		return 0
	}
	delay := b.Longest
	if doubled := f.Count - b.Free; doubled < 30 {
		delay = min(delay, time.Second<<doubled)
	}
	return max(f.Last.Add(delay).Sub(now), 0)
}

// most is the highest count that a stored time can hold.
const most = 999

// A Backoff needs two things of a key and the store keeps one time for it: Forget after the last failure, when the row is of no more use, in milliseconds. The
// microseconds beside them are the count.

func (b Backoff) write(f Failed) time.Time {
	return f.Last.Truncate(time.Millisecond).Add(b.Forget + time.Duration(min(f.Count, most))*time.Microsecond)
}

func (b Backoff) read(stored, now time.Time) Failed {
	if stored.IsZero() || !stored.After(now) {
		return Failed{}
	}
	whole := stored.Truncate(time.Millisecond)
	return Failed{Count: int(stored.Sub(whole) / time.Microsecond), Last: whole.Add(-b.Forget)}
}

// Failed returns the failures under key. It is one read of the store, none if b is off.
func (l *Limiter) Failed(ctx context.Context, key string, b Backoff) (Failed, error) {
	if b.Off() {
		return Failed{}, nil
	}
	stored, err := l.store.Rate(ctx, key)
	if err != nil {
		return Failed{}, fmt.Errorf("read failures: %w", err)
	}
	return b.read(stored, l.now()), nil
}

// Fail counts one failure and returns how long the key had to wait before it was counted: positive if failures of others, who tried at the same time, came first.
func (l *Limiter) Fail(ctx context.Context, key string, b Backoff) (wait time.Duration, err error) {
	if b.Off() {
		return 0, nil
	}
	err = l.change(ctx, key, func(stored, now time.Time) time.Time {
		f := b.read(stored, now)
		wait = b.Wait(f, now)
		return b.write(Failed{f.Count + 1, now})
	})
	if err != nil {
		return 0, fmt.Errorf("count failure: %w", err)
	}
	return wait, nil
}

// Wait is how long the key still has to wait.
func (l *Limiter) Wait(f Failed, b Backoff) time.Duration { return b.Wait(f, l.now()) }

// Clear forgets the failures under key.
func (l *Limiter) Clear(ctx context.Context, key string) error {
	err := l.change(ctx, key, func(stored, now time.Time) time.Time {
		if stored.After(now) {
			return now
		}
		return stored
	})
	if err != nil {
		return fmt.Errorf("forget failures: %w", err)
	}
	return nil
}

// Pretend writes one row that means nothing, where an answer must cost as much as another one that writes something.
func (l *Limiter) Pretend(ctx context.Context) error {
	if _, err := l.store.SwapRate(ctx, "pretend\n"+rand.Text(), time.Time{}, l.now().Add(time.Second)); err != nil {
		return fmt.Errorf("pretend to count: %w", err)
	}
	return nil
}
