package oauth

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/storage"
)

// MirrorStore is what the copies are made of.
type MirrorStore interface {
	Client(ctx context.Context, id string) (*storage.Client, error)
	ClientUpdated(ctx context.Context, id string) (time.Time, error)
	Changes(ctx context.Context) (map[storage.Topic]int64, error)
	Revocations(ctx context.Context, after int64) ([]storage.Revocation, error)
}

// keyLoader is the part of the key set that is reloaded.
type keyLoader interface {
	Load(ctx context.Context) error
}

const (
	// copyTrusted is how long copies serve while the store cannot be asked for changes; revocationsTrusted is how long introspection and userinfo do.
	copyTrusted        = 60 * time.Second
	revocationsTrusted = 5 * time.Second
	// maxClients bounds the copies of clients.
	maxClients = 10_000
)

// Mirror holds the process's copies of clients, keys and revocations, and learns by Sync, called several times a second, what other processes
// wrote. Everything else is read from the store.
type Mirror struct {
	store       MirrorStore
	keys        keyLoader
	now         func() time.Time
	revocations revocationList

	// Sync is coalesced: ticket counts those who want to see the store as it is now, done is the last ticket that a finished poll covers.
	ticket   atomic.Int64
	poll     sync.Mutex
	done     int64
	versions map[storage.Topic]int64
	synced   atomic.Pointer[time.Time] // when the last successful poll began; its monotonic reading outlives a clock that is set back

	mu         sync.RWMutex
	clients    map[string]*storage.Client
	generation int64
}

// NewMirror returns an empty mirror.
func NewMirror(store MirrorStore, keys keyLoader, now func() time.Time) *Mirror {
	return &Mirror{store: store, keys: keys, now: now, clients: map[string]*storage.Client{}, versions: map[storage.Topic]int64{}}
}

// Sync returns when the copies show everything that was committed before the call.
func (m *Mirror) Sync(ctx context.Context) error {
	ticket := m.ticket.Add(1)
	m.poll.Lock()
	defer m.poll.Unlock()
	if m.done >= ticket {
		return nil
	}
	covers, began := m.ticket.Load(), m.now()
	if err := m.reload(ctx); err != nil {
		return fmt.Errorf("reload changes: %w", err)
	}
	m.done = covers
	m.synced.Store(&began)
	return nil
}

func (m *Mirror) reload(ctx context.Context) error {
	versions, err := m.store.Changes(ctx)
	if err != nil {
		return err
	}
	if versions[storage.TopicClients] != m.versions[storage.TopicClients] {
		m.mu.Lock()
		clear(m.clients)
		m.generation++
		m.mu.Unlock()
	}
	if v, seen := m.versions[storage.TopicKeys]; !seen || versions[storage.TopicKeys] != v {
		if err := m.keys.Load(ctx); err != nil {
			return err
		}
	}
	if last := m.versions[storage.TopicRevocations]; versions[storage.TopicRevocations] != last {
		if versions[storage.TopicRevocations] < last {
			last = 0 // the store was restored from a backup: its versions begin anew
		}
		rows, err := m.store.Revocations(ctx, last)
		if err != nil {
			return err
		}
		m.revocations.add(rows)
	}
	m.revocations.forget(m.now())
	if _, ok := versions[storage.TopicKeys]; !ok {
		versions[storage.TopicKeys] = 0 // seen, though nothing was ever written
	}
	m.versions = versions
	return nil
}

// age is the time since the copies last agreed with the store.
func (m *Mirror) age() time.Duration {
	synced := m.synced.Load()
	if synced == nil {
		return math.MaxInt64
	}
	return m.now().Sub(*synced)
}

// Current tells whether the copies are at most 5 s old: what introspection and userinfo ask before they call a token active.
func (m *Mirror) Current() bool { return m.age() <= revocationsTrusted }

// Client returns an enabled client, from its copy if there is one. Disabled and unknown clients are ErrNotFound alike.
func (m *Mirror) Client(ctx context.Context, id string) (*storage.Client, error) {
	c, err := m.AnyClient(ctx, id)
	if err == nil && c.Disabled {
		return nil, fmt.Errorf("client is disabled: %w", storage.ErrNotFound)
	}
	return c, err
}

// Known tells, without asking the store, whether an id is that of a client that this process has met.
func (m *Mirror) Known(id string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.clients[id] != nil
}

// AnyClient returns a client, disabled ones too. Callers must not change it.
func (m *Mirror) AnyClient(ctx context.Context, id string) (*storage.Client, error) {
	if c := m.Copied(id); c != nil {
		return c, nil
	}
	return m.ReadClient(ctx, id)
}

// Copied returns the copy of a client while it is young enough to be used, nil if there is none.
func (m *Mirror) Copied(id string) *storage.Client {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.age() > copyTrusted {
		return nil
	}
	return m.clients[id]
}

// Outdated tells whether a client in the store is another one than the copy c, nil for no copy. A client that is not there is storage.ErrNotFound.
func (m *Mirror) Outdated(ctx context.Context, id string, c *storage.Client) (bool, error) {
	updated, err := m.store.ClientUpdated(ctx, id)
	if err != nil {
		return false, fmt.Errorf("ask for changes of client: %w", err)
	}
	return c == nil || !c.Updated.Equal(updated), nil
}

// ReadClient reads a client from the store and keeps a copy.
func (m *Mirror) ReadClient(ctx context.Context, id string) (*storage.Client, error) {
	m.mu.RLock()
	generation := m.generation
	m.mu.RUnlock()
	c, err := m.store.Client(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read client: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// A copy read before an invalidation must not outlive it.
	if generation == m.generation {
		if len(m.clients) >= maxClients {
			clear(m.clients)
		}
		m.clients[id] = c
	}
	return c, nil
}
