package provider

import (
	"context"
	"sync"
	"time"
)

const (
	pingEvery   = time.Second
	pingTimeout = 2 * time.Second
)

// lastPing remembers for a second what the store said.
type lastPing struct {
	mu   sync.Mutex
	at   time.Time
	said error
}

func (l *lastPing) ask(ctx context.Context, ping func(context.Context) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.at.IsZero() && time.Since(l.at) < pingEvery {
		return l.said
	}
	// Whoever asks next gets this answer too, so it must not be that of a caller who went away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
	defer cancel()
	l.said, l.at = ping(ctx), time.Now()
	return l.said
}
