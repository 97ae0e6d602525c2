package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(1e9, c.Load()) }

// document counts what it serves; while down is set it fails.
type origin struct {
	*httptest.Server
	hits atomic.Int64
	down atomic.Bool
	body string
}

func newOrigin(t *testing.T, body string) *origin {
	t.Helper()
	o := &origin{body: body}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := o.hits.Add(1)
		if o.down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%d %s%s", n, r.URL.Path, o.body)
	}))
	t.Cleanup(o.Close)
	return o
}

// want fetches a document and compares; an empty want is the uniform failure.
func want(t *testing.T, c *Client, url, want string) {
	t.Helper()
	response, err := c.Cached(t.Context(), url, "", "application/oauth-authz-req+jwt", time.Minute)
	switch {
	case want == "":
		if response != nil || !errors.As(err, new(*Error)) || err.Error() != "the URL could not be fetched" {
			t.Errorf("%v, %v; want a failure", response, err)
		}
	case err != nil:
		t.Error(errors.Unwrap(err))
	case string(response.Body) != want:
		t.Errorf("%.40q, want %.40q", response.Body, want)
	}
}

func TestCopyIsServedForItsLifeAndNoLonger(t *testing.T) {
	var at clock
	c, o := newClient(t, local, func(o *Options) { o.Now = at.now }), newOrigin(t, "")
	want(t, c, o.URL+"/a", "1 /a")
	at.Add(int64(time.Minute - 1))
	want(t, c, o.URL+"/a", "1 /a")
	want(t, c, o.URL+"/b", "2 /b")
	at.Add(1)
	want(t, c, o.URL+"/a", "3 /a")
	want(t, c, o.URL+"/b", "2 /b")
	if response, err := c.Cached(t.Context(), o.URL+"/b", "", "application/json", time.Minute); err != nil || string(response.Body) != "4 /b" {
		t.Errorf("another Accept is another document: %v, %v", response, err)
	}
	if response, err := c.Cached(t.Context(), o.URL+"/b", "", "application/json", 0); err != nil || string(response.Body) != "5 /b" {
		t.Errorf("life 0 asks for a new one: %v, %v", response, err)
	}
	if n := len(c.copies.byKey); n != 3 || c.copies.order.Len() != n {
		t.Errorf("%d copies, %d in order; want 3", n, c.copies.order.Len())
	}
}

func TestDeadHostIsNotHammered(t *testing.T) {
	var at clock
	c, o := newClient(t, local, func(o *Options) { o.Now = at.now }), newOrigin(t, "")
	o.down.Store(true)
	for range 5 {
		want(t, c, o.URL, "")
	}
	if n := o.hits.Load(); n != 1 {
		t.Errorf("%d fetches of a dead host", n)
	}
	o.down.Store(false)
	at.Add(int64(failureLife - 1))
	want(t, c, o.URL, "")
	at.Add(1)
	want(t, c, o.URL, "2 /")
	o.down.Store(true)
	at.Add(int64(time.Minute))
	want(t, c, o.URL, "") // what is too old is not served instead
}

func TestRefusedURLsTakeNoPlaceAmongTheCopies(t *testing.T) {
	c := newClient(t)
	for i := range 10 {
		want(t, c, fmt.Sprintf("https://127.0.0.1/%d", i), "")
	}
	if n := len(c.copies.byKey); n != 0 {
		t.Errorf("%d copies of nothing", n)
	}
}

func TestCopiesAreBoundedInNumberAndBytes(t *testing.T) {
	c, o := newClient(t, local), newOrigin(t, strings.Repeat("a", 1000))
	c.copies.maxEntries = 3
	get := func(path string) {
		t.Helper()
		_, err := c.Cached(t.Context(), o.URL+path, "", "*/*", time.Hour)
		must(t, err)
	}
	fetched := func(want int64) {
		t.Helper()
		if n := o.hits.Load(); n != want {
			t.Errorf("%d fetches, want %d", n, want)
		}
	}
	for _, path := range []string{"/a", "/b", "/c", "/a", "/d"} {
		get(path)
	}
	fetched(4)
	get("/a")
	get("/c")
	fetched(4)
	get("/b") // was used longest ago when d came
	fetched(5)
	if n := len(c.copies.byKey); n != 3 {
		t.Errorf("%d copies, want 3", n)
	}
	if c.copies.bytes < 3000 || c.copies.bytes > 4500 {
		t.Errorf("counts %d bytes", c.copies.bytes)
	}
	c.copies.maxBytes = 2500
	get("/e")
	if n := len(c.copies.byKey); n != 1 && n != 2 || c.copies.bytes > 2500 {
		t.Errorf("%d copies of %d bytes, want at most 2500", n, c.copies.bytes)
	}
	c.copies.maxBytes = 500
	get("/f")
	if n := len(c.copies.byKey); n != 0 || c.copies.bytes != 0 || c.copies.order.Len() != 0 {
		t.Errorf("what is larger than all room is kept: %d copies, %d bytes", n, c.copies.bytes)
	}
}

func TestParallelCallersShareOneFetchAndWhoLeavesIsNoFailure(t *testing.T) {
	var hits atomic.Int64
	reached, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if hits.Add(1) == 1 {
			close(reached)
		}
		<-release
		fmt.Fprint(w, "1 /")
	}))
	defer server.Close()
	c := newClient(t, local)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := c.Cached(ctx, server.URL, "", "application/oauth-authz-req+jwt", time.Minute)
		first <- err
	}()
	<-reached
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who left: %v", err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { want(t, c, server.URL, "1 /") })
	}
	close(release)
	wg.Wait()
	want(t, c, server.URL, "1 /")
	if n := hits.Load(); n != 1 {
		t.Errorf("%d fetches for 22 calls", n)
	}
}
