package outbound

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync"
)

const perHost = 8

// gates lets a few callers at a time through for each host, whatever they want from it.
type gates struct {
	mu   sync.Mutex
	open map[string]*gate
}

type gate struct {
	slots chan struct{}
	users int
}

func (g *gates) enter(ctx context.Context, host string) (leave func(), err error) {
	g.mu.Lock()
	at := g.open[host]
	if at == nil {
		at = &gate{slots: make(chan struct{}, perHost)}
		g.open[host] = at
	}
	at.users++
	g.mu.Unlock()
	done := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if at.users--; at.users == 0 {
			delete(g.open, host)
		}
	}
	select {
	case at.slots <- struct{}{}:
		return func() { <-at.slots; done() }, nil
	case <-ctx.Done():
		done()
		return nil, fmt.Errorf("wait for a slot: %w", ctx.Err())
	}
}

// hostOf names the host of a URL for the gates: in one spelling, and without the port, of which an attacker has 65,535.
func hostOf(u *url.URL) string {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().String()
	}
	return host
}
