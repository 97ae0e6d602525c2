package ratelimit

import "time"

// Limit allows Burst at once, and one more each Every. The zero Limit is off: everything is allowed and nothing is stored.
type Limit struct {
	Burst int
	Every time.Duration
}

// Off tells whether the limit limits nothing.
func (l Limit) Off() bool { return l.Every <= 0 }

// GCRA is the generic cell rate algorithm (ITU-T I.371 annex A). tat is the stored theoretical arrival time, zero for none. If the event is allowed, next
// is what to store; else next is tat, and retry is how long until one will be allowed.
func GCRA(tat, now time.Time, l Limit) (next time.Time, allowed bool, retry time.Duration) {
	if l.Off() {
		return tat, true, 0
	}
	start := tat
	if start.Before(now) {
		start = now
	}
	next = start.Add(l.Every)
	if wait := next.Add(-l.window()).Sub(now); wait > 0 {
		return tat, false, wait
	}
	return next, true, 0
}

// window is how far ahead of the clock the stored time may be.
func (l Limit) window() time.Duration { return time.Duration(max(l.Burst, 1)) * l.Every }
