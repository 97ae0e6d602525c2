package upstream

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A caller that looked before a fetch ended, and comes to wait only after, is served by that fetch.
func TestALateWaiterCausesNoSecondFetch(t *testing.T) {
	for _, failure := range []error{nil, errors.New("down")} {
		fetches := 0
		k := &kept[int]{now: time.Now, limit: time.Second, fetch: func(context.Context) (*int, time.Duration, error) {
			fetches++
			return &fetches, time.Hour, failure
		}}
		for range 3 {
			value, err := k.wait(t.Context(), 0)
			if !errors.Is(err, failure) || failure == nil && (value == nil || *value != 1) {
				t.Errorf("%v, %v", value, err)
			}
		}
		if fetches != 1 {
			t.Errorf("%d fetches", fetches)
		}
	}
}
