package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

// testRates covers the two stores of short-lived keys: rates and replay keys.
func testRates(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{{"SwapOnlyFromTheStoredTime", rateSwap}, {"ReplayIsConsumed", replayOnce}, {"ExpiredReplayKeyIsFree", replayExpired}})
}

func rateSwap(t *testing.T, f *fixture) {
	key, at := name("login:ip"), f.clock.Now()
	got, err := f.Rate(bg, key)
	need(t, err)
	if !got.IsZero() {
		t.Errorf("rate %v of an unknown key, want zero", got)
	}
	steps := []struct {
		old, next time.Time
		want      bool
	}{
		{at, at.Add(time.Second), false}, // no row
		{time.Time{}, at.Add(time.Second), true},
		{time.Time{}, at.Add(2 * time.Second), false}, // there is a row by now
		{at, at.Add(2 * time.Second), false},
		{micro(at.Add(time.Second)), at.Add(3 * time.Second), true},
		{micro(at.Add(3 * time.Second)), at.Add(-time.Hour), true},
	}
	var stored time.Time
	for i, s := range steps {
		ok, err := f.SwapRate(bg, key, s.old, s.next)
		need(t, err)
		if ok != s.want {
			t.Errorf("step %d: swapped %v, want %v", i, ok, s.want)
		}
		if s.want {
			stored = micro(s.next)
		}
		got, err := f.Rate(bg, key)
		need(t, err)
		same(t, "stored time", got, stored)
	}
	got, err = f.Rate(bg, name("login:ip"))
	need(t, err)
	same(t, "another key", got, time.Time{})
}

func replayOnce(t *testing.T, f *fixture) {
	key, expires := name("jti"), f.clock.Now().Add(time.Minute)
	need(t, f.Remember(bg, key, expires))
	wantErr(t, "second use", f.Remember(bg, key, expires.Add(time.Hour)), storage.ErrConsumed)
	need(t, f.Remember(bg, key+"x", expires))
	f.clock.advance(time.Minute - time.Microsecond)
	wantErr(t, "just before expiry", f.Remember(bg, key, expires), storage.ErrConsumed)
}

func replayExpired(t *testing.T, f *fixture) {
	key := name("jti")
	need(t, f.Remember(bg, key, f.clock.Now().Add(time.Minute)))
	f.clock.advance(time.Minute)
	expires := f.clock.Now().Add(time.Minute)
	need(t, f.Remember(bg, key, expires))
	wantErr(t, "after it was taken again", f.Remember(bg, key, expires), storage.ErrConsumed)
}
