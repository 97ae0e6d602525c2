package login

import (
	"context"
	"sync"
)

// atOnce is how many tries one account may have under way in a process. Failures are counted only after the hash, so without a bound a burst of parallel
// tries would all find the counter open; a person needs one.
const atOnce = 2

// gate bounds what goes on at once under one key. Its memory is what goes on now.
type gate struct {
	mu    sync.Mutex
	slots map[string]*slot
}

type slot struct {
	waiting int
	tokens  chan struct{}
}

// enter waits for a place under key. leave must be called once; with an error there is no place to leave.
func (g *gate) enter(ctx context.Context, key string) (leave func(), err error) {
	g.mu.Lock()
	if g.slots == nil {
		g.slots = map[string]*slot{}
	}
	s := g.slots[key]
	if s == nil {
		s = &slot{tokens: make(chan struct{}, atOnce)}
		g.slots[key] = s
	}
	s.waiting++
	g.mu.Unlock()
	done := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if s.waiting--; s.waiting == 0 {
			delete(g.slots, key)
		}
	}
	select {
	case s.tokens <- struct{}{}:
		return func() { <-s.tokens; done() }, nil
	case <-ctx.Done():
		done()
		return nil, ctx.Err()
	}
}
