package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gatehouse/storage"
)

func TestBackoffDoublesUpToTheLongest(t *testing.T) {
	b := Backoff{Free: 5, Longest: 15 * time.Minute, Forget: time.Hour}
	for count, want := range map[int]time.Duration{0: 0, 1: 0, 4: 0, 5: time.Second, 6: 2 * time.Second, 9: 16 * time.Second, 14: 512 * time.Second, 15: 15 * time.Minute, 40: 15 * time.Minute, 999: 15 * time.Minute} {
		if got := b.Wait(Failed{count, start}, start); got != want {
			t.Errorf("after %d failures: %s, want %s", count, got, want)
		}
	}
	if got := b.Wait(Failed{7, start}, start.Add(3*time.Second)); got != time.Second {
		t.Errorf("three of four seconds later: %s", got)
	}
	if got := b.Wait(Failed{7, start}, start.Add(time.Hour)); got != 0 {
		t.Errorf("much later: %s", got)
	}
	if got := (Backoff{Longest: time.Minute}).Wait(Failed{}, start); got != 0 {
		t.Errorf("nothing is free and nothing failed: %s", got)
	}
}

func TestFailuresAreCountedAndForgotten(t *testing.T) {
	c := &clock{now: start.Add(123456789 * time.Nanosecond)}
	l := New(Options{Store: NewMemory(100), Now: c.Now})
	b := Backoff{Free: 2, Longest: time.Minute, Forget: time.Hour}
	for i := range 1200 {
		if _, err := l.Fail(t.Context(), "a", b); err != nil {
			t.Fatal(err)
		}
		f, err := l.Failed(t.Context(), "a", b)
		must(t, err)
		if want := min(i+1, most); f.Count != want || c.now.Sub(f.Last) < 0 || c.now.Sub(f.Last) > time.Millisecond {
			t.Fatalf("after %d failures at %s: %+v", i+1, c.now, f)
		}
		c.now = c.now.Add(777 * time.Microsecond)
	}
	if f, err := l.Failed(t.Context(), "b", b); err != nil || f.Count != 0 {
		t.Errorf("another key has %+v, %v", f, err)
	}
	c.now = c.now.Add(time.Hour + time.Millisecond)
	if f, err := l.Failed(t.Context(), "a", b); err != nil || f.Count != 0 {
		t.Errorf("an hour later there are still %+v, %v", f, err)
	}
	if _, err := l.Fail(t.Context(), "a", b); err != nil {
		t.Fatal(err)
	}
	must(t, l.Clear(t.Context(), "a"))
	must(t, l.Clear(t.Context(), "never seen"))
	if f, err := l.Failed(t.Context(), "a", b); err != nil || f.Count != 0 {
		t.Errorf("after a success there are still %+v, %v", f, err)
	}
}

func TestParallelFailuresAreAllCountedAndTold(t *testing.T) {
	c := &clock{now: start}
	store := NewMemory(100)
	b := Backoff{Free: 10, Longest: time.Hour, Forget: time.Hour}
	var mu sync.Mutex
	var wg sync.WaitGroup
	told := 0
	for range 4 { // four nodes
		l := New(Options{Store: store, Now: c.Now})
		for range 25 {
			wg.Go(func() {
				wait, err := l.Fail(context.Background(), "k", b)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if wait == 0 {
					told++
				}
			})
		}
	}
	wg.Wait()
	f, err := New(Options{Store: store, Now: c.Now}).Failed(t.Context(), "k", b)
	must(t, err)
	if told != 10 || f.Count != 100 {
		t.Errorf("%d of 100 parallel failures were in time, want 10; %d are counted", told, f.Count)
	}
}

func TestBackoffStoreFailureIsNeverAYes(t *testing.T) {
	l := New(Options{Store: broken{fmt.Errorf("read: %w", storage.ErrUnavailable)}})
	b := Backoff{Free: 1, Longest: time.Minute, Forget: time.Hour}
	_, failed := l.Failed(t.Context(), "k", b)
	_, counted := l.Fail(t.Context(), "k", b)
	for _, err := range []error{failed, counted, l.Clear(t.Context(), "k"), l.Pretend(t.Context())} {
		if !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("a store that is down: %v", err)
		}
	}
	off := New(Options{Store: untouchable{t}})
	if f, err := off.Failed(t.Context(), "k", Backoff{}); err != nil || f.Count != 0 {
		t.Error(f, err)
	}
	if wait, err := off.Fail(t.Context(), "k", Backoff{}); err != nil || wait != 0 {
		t.Error(wait, err)
	}
}
