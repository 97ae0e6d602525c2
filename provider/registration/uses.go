package registration

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Toucher is what Uses needs of storage.
type Toucher interface {
	TouchClients(ctx context.Context, ids []string, until time.Time) error
}

// Uses remembers which clients that end unless they are used were used, and writes that down when it is told to, so that a request costs no statement for it. What a process
// forgets when it is killed is a minute of uses; the times in question are days.
type Uses struct {
	store Toucher
	now   func() time.Time
	idle  time.Duration

	mu   sync.Mutex
	used map[string]bool
}

// NewUses returns a Uses that moves the end of used clients to idle after they were used.
func NewUses(store Toucher, now func() time.Time, idle time.Duration) *Uses {
	return &Uses{store: store, now: now, idle: idle, used: map[string]bool{}}
}

// Mark notes that a client got a token or an authorization response.
func (u *Uses) Mark(clientID string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.used[clientID] = true
}

// Flush writes down what was marked. What cannot be written is kept for the next time.
func (u *Uses) Flush(ctx context.Context) error {
	u.mu.Lock()
	ids := make([]string, 0, len(u.used))
	for id := range u.used {
		ids = append(ids, id)
	}
	u.used = map[string]bool{}
	u.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	if err := u.store.TouchClients(ctx, ids, u.now().Add(u.idle)); err != nil {
		u.keep(ids)
		return fmt.Errorf("note used clients: %w", err)
	}
	return nil
}

func (u *Uses) keep(ids []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		u.used[id] = true
	}
}
