package endpoint

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/provider/ratelimit"
)

var oneAtATime = ratelimit.Limit{Burst: 1, Every: time.Hour}

func newFailures() *failures {
	return &failures{limiter: ratelimit.New(ratelimit.Options{Store: ratelimit.NewMemory(100)}), keys: map[string]*queue{}}
}

func enter(t *testing.T, f *failures, ctx context.Context) (func(bool), time.Duration) {
	t.Helper()
	leave, retry, err := f.enter(ctx, "k", oneAtATime)
	if err != nil {
		t.Error(err)
	}
	return leave, retry
}

func TestGoodTriesWaitForOneAnotherAndAreNeverRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailures()
		var wg sync.WaitGroup
		under := 0
		for range 50 {
			wg.Go(func() {
				leave, retry := enter(t, f, context.Background())
				if retry != 0 {
					t.Errorf("refused for %v", retry)
					return
				}
				if under++; under > 1 {
					t.Error("two tries where one may fail")
				}
				time.Sleep(time.Second)
				under--
				leave(false)
			})
		}
		wg.Wait()
		if len(f.keys) != 0 {
			t.Errorf("%d keys are remembered", len(f.keys))
		}
		leave, _ := enter(t, f, context.Background())
		leave(true)
		if _, retry := enter(t, f, context.Background()); retry <= 59*time.Minute || retry > time.Hour {
			t.Errorf("after a failure: %v", retry)
		}
		time.Sleep(time.Hour)
		leave, retry := enter(t, f, context.Background())
		if retry != 0 {
			t.Errorf("an hour later: %v", retry)
		}
		leave(false)
	})
}

func TestThoseWhoWaitAreRefusedWhenTheLimitIsSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailures()
		first, _ := enter(t, f, context.Background())
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, retry := enter(t, f, context.Background()); retry <= 59*time.Minute {
					t.Errorf("let in or told %v", retry)
				}
			})
		}
		synctest.Wait()
		first(true)
		wg.Wait()
		if len(f.keys) != 0 {
			t.Errorf("%d keys are remembered", len(f.keys))
		}
	})
}

func TestWhoGoesAwayLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailures()
		first, _ := enter(t, f, context.Background())
		gone, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, retry := enter(t, f, gone); retry == 0 {
				t.Error("somebody who left was let in")
			}
		})
		synctest.Wait()
		wg.Go(func() {
			leave, retry := enter(t, f, context.Background())
			if retry != 0 {
				t.Errorf("the next in line is refused for %v", retry)
				return
			}
			leave(false)
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		first(false)
		wg.Wait()
		if len(f.keys) != 0 {
			t.Errorf("%d keys are remembered", len(f.keys))
		}
	})
}

func TestLimitKeysAreShortAndOneForOneClient(t *testing.T) {
	long := strings.Repeat("x", 4000)
	seen := map[string]string{}
	for _, id := range []string{"", "app", "app\n1.2.3.4", long, long + "y", strings.Repeat("x", 64), strings.Repeat("x", 65)} {
		key := limitKey("kind", id, "1.2.3.4")
		if other, ok := seen[key]; ok || len(key) > 120 || key != limitKey("kind", id, "1.2.3.4") {
			t.Errorf("%.20q has the key %q, like %.20q", id, key, other)
		}
		seen[key] = id
	}
}
