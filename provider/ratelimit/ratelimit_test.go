package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/storage"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestGCRAAllowsABurstThenOneAtATime(t *testing.T) {
	l := Limit{Burst: 3, Every: 10 * time.Second}
	var tat time.Time
	for i, step := range []struct {
		at      time.Duration
		allowed bool
		retry   time.Duration
	}{
		{0, true, 0}, {0, true, 0}, {0, true, 0}, {0, false, 10 * time.Second}, {4 * time.Second, false, 6 * time.Second},
		{10*time.Second - 1, false, 1}, {10 * time.Second, true, 0}, {10 * time.Second, false, 10 * time.Second},
		{time.Hour, true, 0}, {time.Hour, true, 0}, {time.Hour, true, 0}, {time.Hour, false, 10 * time.Second},
	} {
		next, allowed, retry := GCRA(tat, start.Add(step.at), l)
		if allowed != step.allowed || retry != step.retry {
			t.Fatalf("event %d at %s: %t, retry %s; want %t, %s", i, step.at, allowed, retry, step.allowed, step.retry)
		}
		if !allowed && !next.Equal(tat) {
			t.Fatalf("event %d: a refused event counts", i)
		}
		tat = next
	}
}

func TestGCRAEdges(t *testing.T) {
	if next, allowed, _ := GCRA(start, start, Limit{}); !allowed || !next.Equal(start) {
		t.Error("the zero limit is not off")
	}
	next, allowed, _ := GCRA(time.Time{}, start, Limit{Every: time.Second})
	if !allowed {
		t.Error("burst 0 with an interval allows nothing at all")
	}
	if _, allowed, retry := GCRA(next, start, Limit{Every: time.Second}); allowed || retry != time.Second {
		t.Errorf("burst 0: second event %t, %s", allowed, retry)
	}
	// A clock that went back must not lock anybody out for longer than it went back.
	if _, allowed, retry := GCRA(start.Add(time.Second), start.Add(-time.Minute), Limit{Burst: 1, Every: time.Second}); allowed || retry != 61*time.Second {
		t.Errorf("after a step back: %t, %s", allowed, retry)
	}
}

// For any history the number of allowed events within a window is at most the burst plus what the window earns.
func TestGCRANeverAllowsMoreThanItsRate(t *testing.T) {
	l := Limit{Burst: 5, Every: 7 * time.Second}
	var tat time.Time
	var allowedAt []time.Duration
	for i := range 5000 {
		at := time.Duration(i*i%977) * time.Millisecond * 3
		at += time.Duration(i) * 400 * time.Millisecond
		if len(allowedAt) > 0 && at < allowedAt[len(allowedAt)-1] {
			at = allowedAt[len(allowedAt)-1]
		}
		next, allowed, _ := GCRA(tat, start.Add(at), l)
		tat = next
		if allowed {
			allowedAt = append(allowedAt, at)
		}
	}
	for i := range allowedAt {
		for j := i; j < len(allowedAt) && j < i+50; j++ {
			if earned := l.Burst + int((allowedAt[j]-allowedAt[i])/l.Every); j-i+1 > earned {
				t.Fatalf("%d events in %s, at most %d are due", j-i+1, allowedAt[j]-allowedAt[i], earned)
			}
		}
	}
	if len(allowedAt) < 250 {
		t.Fatalf("only %d of about 285 events allowed", len(allowedAt))
	}
}

func TestTakeCountsByKeyAndPeekDoesNot(t *testing.T) {
	c := &clock{now: start.Add(123456789 * time.Nanosecond)}
	l := New(Options{Store: NewMemory(100), Now: c.Now})
	limit := Limit{Burst: 2, Every: time.Minute}
	expect := func(name, key string, f func(context.Context, string, Limit) (bool, time.Duration, error), want bool, wantRetry time.Duration) {
		t.Helper()
		allowed, retry, err := f(t.Context(), key, limit)
		must(t, err)
		if allowed != want || retry != wantRetry {
			t.Errorf("%s: %t, %s; want %t, %s", name, allowed, retry, want, wantRetry)
		}
	}
	for range 5 {
		expect("peek", "a", l.Peek, true, 0)
	}
	expect("first", "a", l.Take, true, 0)
	expect("second", "a", l.Take, true, 0)
	expect("third", "a", l.Take, false, time.Minute)
	expect("peek when full", "a", l.Peek, false, time.Minute)
	expect("other key", "b", l.Take, true, 0)
	must(t, l.Forgive(t.Context(), "a", limit))
	expect("after forgiving one", "a", l.Take, true, 0)
	expect("and no more", "a", l.Take, false, time.Minute)
	c.now = c.now.Add(2 * time.Minute)
	must(t, l.Forgive(t.Context(), "a", limit))
	must(t, l.Forgive(t.Context(), "never seen", limit))
	expect("forgiving nothing", "a", l.Take, true, 0)
	expect("gives no credit", "a", l.Take, true, 0)
	expect("beyond the burst", "a", l.Take, false, time.Minute)
}

func TestParallelTakesShareOneBurst(t *testing.T) {
	c := &clock{now: start}
	store := NewMemory(100)
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 4 { // four nodes
		l := New(Options{Store: store, Now: c.Now})
		for range 25 {
			wg.Go(func() {
				ok, _, err := l.Take(context.Background(), "k", Limit{Burst: 10, Every: time.Hour})
				if err != nil {
					t.Error(err)
				}
				if ok {
					allowed.Add(1)
				}
			})
		}
	}
	wg.Wait()
	if n := allowed.Load(); n != 10 {
		t.Fatalf("%d of 100 parallel events allowed, want 10", n)
	}
}

// broken fails, or lets every swap be lost to another.
type broken struct{ err error }

func (b broken) Rate(context.Context, string) (time.Time, error) { return time.Time{}, b.err }

func (b broken) SwapRate(context.Context, string, time.Time, time.Time) (bool, error) {
	return false, b.err
}

// untouchable fails the test when it is used.
type untouchable struct{ t *testing.T }

func (u untouchable) Rate(context.Context, string) (time.Time, error) {
	u.t.Error("a limit that is off reads the store")
	return time.Time{}, nil
}

func (u untouchable) SwapRate(context.Context, string, time.Time, time.Time) (bool, error) {
	u.t.Error("a limit that is off writes the store")
	return true, nil
}

func TestStoreFailureIsNeverAYes(t *testing.T) {
	for name, store := range map[string]broken{"down": {fmt.Errorf("read: %w", storage.ErrUnavailable)}, "always lost": {}} {
		l := New(Options{Store: store})
		limit := Limit{Burst: 1, Every: time.Minute}
		allowed, _, err := l.Take(t.Context(), "k", limit)
		if allowed || err == nil {
			t.Errorf("%s: Take = %t, %v", name, allowed, err)
		}
		if store.err == nil {
			continue
		}
		allowed, _, peekErr := l.Peek(t.Context(), "k", limit)
		if allowed || !errors.Is(peekErr, storage.ErrUnavailable) || !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("%s: Peek = %t, %v; Take %v", name, allowed, peekErr, err)
		}
	}
}

// Ruling 14.
func TestLimitThatIsOffNeverTouchesTheStore(t *testing.T) {
	l := New(Options{Store: untouchable{t}})
	for range 100 {
		taken, _, err := l.Take(t.Context(), "k", Limit{})
		must(t, err)
		peeked, _, err := l.Peek(t.Context(), "k", Limit{})
		must(t, err)
		must(t, l.Forgive(t.Context(), "k", Limit{}))
		if !taken || !peeked {
			t.Fatal("a limit that is off refuses")
		}
	}
}

func TestMemoryIsBoundedAndKeepsTheWorst(t *testing.T) {
	m := NewMemory(80)
	c := &clock{now: start}
	l := New(Options{Store: m, Now: c.Now})
	strict := Limit{Burst: 1, Every: time.Hour}
	_, _, err := l.Take(t.Context(), "victim", strict)
	must(t, err)
	for i := range 10_000 {
		_, _, err := l.Take(t.Context(), fmt.Sprint("flood ", i), Limit{Burst: 1, Every: time.Second})
		must(t, err)
		if len(m.tats) > 80 {
			t.Fatalf("%d keys", len(m.tats))
		}
	}
	if allowed, _, err := l.Take(t.Context(), "victim", strict); err != nil || allowed {
		t.Errorf("a flood of other keys reset the limit: %v", err)
	}
}

func TestMemorySwapsOnlyWhatItShowed(t *testing.T) {
	m := NewMemory(8)
	a, b := start, start.Add(time.Second)
	for i, step := range []struct {
		old, next time.Time
		want      bool
	}{{a, b, false}, {time.Time{}, a, true}, {time.Time{}, b, false}, {b, a, false}, {a, b, true}} {
		got, err := m.SwapRate(t.Context(), "k", step.old, step.next)
		if err != nil || got != step.want {
			t.Errorf("swap %d: %t, %v", i, got, err)
		}
	}
	if tat, _ := m.Rate(t.Context(), "k"); !tat.Equal(b) {
		t.Errorf("Rate = %s", tat)
	}
}
