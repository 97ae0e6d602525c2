package webtest

import (
	"testing"
	"time"
)

// Quick fails the test if none of five calls of do returns within the limit. One call alone would measure what else the machine does; work that is too much is too much five times.
func Quick(t *testing.T, limit time.Duration, do func()) {
	t.Helper()
	best := time.Duration(1<<63 - 1)
	for range 5 {
		began := time.Now()
		do()
		if best = min(best, time.Since(began)); best <= limit {
			return
		}
	}
	t.Errorf("took %v at best, want at most %v", best, limit)
}
