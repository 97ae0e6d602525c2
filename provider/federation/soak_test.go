package federation_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/storage"
	"gatehouse/storage/sqlite"
)

// TestSoakRow168AbandonedWalks begins a million sign-ins at a provider, each from a browser of its own, and finishes none. By the server's clock those of half an hour and of the grace after it are in store at a
// time: neither the database nor the memory grows from round to round.
func TestSoakRow168AbandonedWalks(t *testing.T) {
	rounds, each := 5, 200
	if os.Getenv("GATEHOUSE_SOAK") != "" {
		rounds, each = 100, 10_000
	}
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	o := upstreamtest.NewOIDC(t)
	g := reserve(t, "memory", "127.0.0.1")
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: file, Options: storage.Options{Now: g.Clock.Now, RevocationTTL: provider.RevocationTTL(lifetimes, nil)}, AutoMigrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	g.Store = store
	if err := g.boot([]upstream.Config{corp(o)}, func(o *provider.Options) { o.Limits.Interactions = ratelimit.Limit{} }); err != nil {
		t.Fatal(err)
	}
	g.app()
	var firstBytes, firstHeap int64
	for round := range rounds {
		g.abandon(each)
		bytes, heap := sizeOf(t, file), heapBytes()
		if round == 0 {
			firstBytes, firstHeap = bytes, heap
		}
		if bytes > 2*firstBytes || heap > 2*firstHeap+8<<20 {
			t.Fatalf("round %d: the database has %d bytes and the heap %d, after the first they had %d and %d", round, bytes, heap, firstBytes, firstHeap)
		}
		g.Log.Drop()
		g.advance(31*time.Minute + storage.InteractionGrace)
		g.purgeAll()
	}
	t.Logf("%d walks: database %d bytes after the first %d, %d at the end", rounds*each, firstBytes, each, sizeOf(t, file))
	if asked := o.Count("/token") + o.Count("/authorize"); asked != 0 {
		t.Errorf("the provider was asked %d times for people who never came", asked)
	}
}

// abandon begins n walks, sixteen at a time.
func (g *gatehouse) abandon(n int) {
	g.Helper()
	var group sync.WaitGroup
	places := make(chan struct{}, 16)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	for range n {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			first, err := client.Get(g.authorize(nil))
			if err != nil {
				g.Error(err)
				return
			}
			first.Body.Close()
			if first.StatusCode != http.StatusSeeOther {
				g.Errorf("authorize: %d", first.StatusCode)
				return
			}
			login, err := url.Parse(first.Header.Get("Location"))
			if err != nil {
				g.Error(err)
				return
			}
			r, _ := http.NewRequest("GET", g.URL+"/upstream/corp/start?"+login.RawQuery, nil)
			for _, c := range first.Cookies() {
				r.AddCookie(c)
			}
			second, err := client.Do(r)
			if err != nil {
				g.Error(err)
				return
			}
			second.Body.Close()
			if second.StatusCode != http.StatusSeeOther || second.Header.Get("Location") == "" {
				g.Errorf("start: %d", second.StatusCode)
			}
		})
	}
	group.Wait()
}

// purgeAll deletes what the purge job would delete by now.
func (g *gatehouse) purgeAll() {
	g.Helper()
	for {
		n, err := g.Store.Purge(g.Context(), g.Clock.Now(), 500)
		if err != nil {
			g.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

func sizeOf(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
