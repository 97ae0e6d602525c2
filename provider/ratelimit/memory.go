package ratelimit

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Memory keeps times in the memory of one process, at most a fixed number of them. It is safe for concurrent use.
type Memory struct {
	mu   sync.Mutex
	max  int
	tats map[string]time.Time
}

// NewMemory makes a Memory for at most max keys. When it is full, the eighth whose times pass first is dropped: those are over, or nearest to it.
func NewMemory(max int) *Memory {
	if max < 8 {
		max = 8
	}
	return &Memory{max: max, tats: map[string]time.Time{}}
}

// Rate implements Store.
func (m *Memory) Rate(_ context.Context, key string) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tats[key], nil
}

// SwapRate implements Store.
func (m *Memory) SwapRate(_ context.Context, key string, old, next time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, known := m.tats[key]
	if !stored.Equal(old) {
		return false, nil
	}
	if !known && len(m.tats) >= m.max {
		m.drop()
	}
	m.tats[key] = next
	return true, nil
}

func (m *Memory) drop() {
	type entry struct {
		key string
		tat time.Time
	}
	all := make([]entry, 0, len(m.tats))
	for key, tat := range m.tats {
		all = append(all, entry{key, tat})
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(a.tat.Compare(b.tat), cmp.Compare(a.key, b.key)) })
	for _, e := range all[:m.max/8] {
		delete(m.tats, e.key)
	}
}
