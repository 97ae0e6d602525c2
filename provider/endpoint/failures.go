package endpoint

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"sync"
	"time"

	"gatehouse/provider/ratelimit"
)

// failures bounds failed tries under a key, also those that run at the same time. Every try takes one failure from the limit before it is made and
// gives it back if it was none. While others that may give theirs back are still running, a try without a place waits instead of being refused: a
// client that does nothing wrong is never turned away (ruling 14), however many requests it sends at once. It works on a limiter of this process.
type failures struct {
	limiter *ratelimit.Limiter
	mu      sync.Mutex
	keys    map[string]*queue
}

// queue is what goes on under one key. Its memory lasts as long as that.
type queue struct {
	running int
	waiting []chan time.Duration // is sent 0 for a place, or how long to stay away
}

// enter returns once the try may be made, or how long to stay away. leave must be called once for each try that was let in, with whether it failed.
func (f *failures) enter(ctx context.Context, key string, limit ratelimit.Limit) (leave func(failed bool), retry time.Duration, err error) {
	if limit.Off() {
		return func(bool) {}, 0, nil
	}
	leave = func(failed bool) { f.leave(key, limit, failed) }
	place, retry, err := f.ask(ctx, key, limit)
	if place == nil || err != nil {
		return leave, retry, err
	}
	select {
	case retry := <-place:
		return leave, retry, nil
	case <-ctx.Done():
	}
	if !f.forget(key, place) && <-place == 0 { // it came at the same moment
		leave(false)
	}
	return nil, time.Second, nil // nobody is there to read it
}

// ask takes a place, or refuses with a time, or returns where to wait for one of the two.
func (f *failures) ask(ctx context.Context, key string, limit ratelimit.Limit) (place chan time.Duration, retry time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.keys[key]
	if q == nil || len(q.waiting) == 0 {
		allowed, wait, err := f.limiter.Take(ctx, key, limit)
		switch {
		case err != nil:
			return nil, 0, err
		case allowed && q == nil:
			f.keys[key] = &queue{running: 1}
			return nil, 0, nil
		case allowed:
			q.running++
			return nil, 0, nil
		case q == nil:
			return nil, max(wait, time.Second), nil
		}
	}
	place = make(chan time.Duration, 1)
	q.waiting = append(q.waiting, place)
	return place, 0, nil
}

// leave gives the place of a try that did not fail to the next in line, or back to the limit. Those who wait for nothing any more are refused.
func (f *failures) leave(key string, limit ratelimit.Limit, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.keys[key]
	q.running--
	allowed, retry := !failed, time.Duration(0)
	if failed && len(q.waiting) > 0 {
		allowed, retry, _ = f.limiter.Take(context.Background(), key, limit) // time may have earned one; an error is a no
	}
	switch {
	case allowed && len(q.waiting) > 0:
		q.waiting[0] <- 0
		q.waiting = q.waiting[1:]
		q.running++
	case allowed:
		_ = f.limiter.Forgive(context.Background(), key, limit) // the limit of this process has no store that could fail
	case q.running == 0:
		for _, place := range q.waiting {
			place <- max(retry, time.Second)
		}
		q.waiting = nil
	}
	if q.running == 0 {
		delete(f.keys, key)
	}
}

// forget takes a caller who went away out of the line. It is false if the answer was given before.
func (f *failures) forget(key string, place chan time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.keys[key]
	if q == nil {
		return false
	}
	at := slices.Index(q.waiting, place)
	if at < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, at, at+1)
	return true
}

// limitKey is the key of a limit that belongs to whoever claims to be a client at an address. Claims may be long; what is kept of them is not.
func limitKey(kind, clientID, peer string) string {
	const longest = 64
	if len(clientID) > longest {
		sum := sha256.Sum256([]byte(clientID))
		clientID = "\n" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return kind + "\n" + clientID + "\n" + peer
}
