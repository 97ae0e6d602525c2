package credential

import (
	"context"
	"fmt"
)

// pool bounds the cores and the memory that hashing may take (security.md row 142): parallel hashes at once, a queue of so many waiting for each of them,
// and the rest is turned away at once.
type pool struct {
	admitted chan struct{}
	running  chan struct{}
}

func newPool(parallel, queue int) *pool {
	return &pool{admitted: make(chan struct{}, parallel*(1+queue)), running: make(chan struct{}, parallel)}
}

// do runs work in the caller's goroutine when there is room. ErrBusy, or the context's error if it ended while waiting.
func (p *pool) do(ctx context.Context, work func()) error {
	select {
	case p.admitted <- struct{}{}:
	default:
		return ErrBusy
	}
	defer func() { <-p.admitted }()
	select {
	case p.running <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for the hash pool: %w", ctx.Err())
	}
	defer func() { <-p.running }()
	work()
	return nil
}
