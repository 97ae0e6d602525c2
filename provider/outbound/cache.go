package outbound

import (
	"container/list"
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	maxCopies    = 1000
	maxCopyBytes = 16 << 20
	maxCopy      = 64 << 10 // bytes of one document
	// failureLife is how long a host that failed is let be.
	failureLife = 30 * time.Second
)

// Cached is Get for request objects (RFC 9101 section 5.2), of at most 64 KiB: a copy is served for at most life after it was fetched, which 0 makes never, a failure
// for 30 s. version tells copies of one URL apart: the fragment that OpenID Connect Core section 6.2 lets a request_uri have. What was used longest ago makes
// room for the new.
func (c *Client) Cached(ctx context.Context, url, version, accept string, life time.Duration) (*Response, error) {
	target, err := c.parse(url)
	if err != nil {
		return nil, err
	}
	key := accept + " " + target.String() + "#" + version
	if kept := c.copies.get(key, life); kept != nil {
		return kept.response, kept.err
	}
	// The copy is for all; that the first caller leaves is neither a failure of the host nor a reason to fetch again.
	shared := context.WithoutCancel(ctx)
	return join(ctx, c.copies.flights.DoChan(key, func() (any, error) {
		if kept := c.copies.get(key, life); kept != nil { // an earlier flight landed after we looked
			return kept.response, kept.err
		}
		response, err := c.get(shared, target, accept, min(c.maxBytes, maxCopy))
		c.copies.put(&document{key: key, response: response, err: err})
		return response, err
	}))
}

// copies keeps answers, bounded by their number and by their bytes.
type copies struct {
	now     func() time.Time
	flights singleflight.Group

	mu         sync.Mutex
	byKey      map[string]*list.Element
	order      *list.List // of *document, the last used one first
	bytes      int
	maxEntries int
	maxBytes   int
}

// document is an answer or a failure.
type document struct {
	key      string
	response *Response
	err      error
	fetched  time.Time
}

func newCopies(now func() time.Time) *copies {
	if now == nil {
		now = time.Now
	}
	return &copies{now: now, byKey: map[string]*list.Element{}, order: list.New(), maxEntries: maxCopies, maxBytes: maxCopyBytes}
}

// get returns what is kept under key, nil if it is not or is too old.
func (c *copies) get(key string, life time.Duration) *document {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.byKey[key]
	if at == nil {
		return nil
	}
	kept := at.Value.(*document)
	if kept.err != nil {
		life = failureLife
	}
	if c.now().Sub(kept.fetched) >= life {
		return nil
	}
	c.order.MoveToFront(at)
	return kept
}

// put keeps a document in place of an older one.
func (c *copies) put(d *document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d.fetched = c.now()
	if old := c.byKey[d.key]; old != nil {
		c.drop(old)
	}
	c.byKey[d.key] = c.order.PushFront(d)
	c.bytes += d.size()
	for len(c.byKey) > c.maxEntries || c.bytes > c.maxBytes {
		c.drop(c.order.Back())
	}
}

func (c *copies) drop(at *list.Element) {
	d := c.order.Remove(at).(*document)
	delete(c.byKey, d.key)
	c.bytes -= d.size()
}

// size is what a document takes in memory, near enough.
func (d *document) size() int {
	n := len(d.key)
	if d.response == nil {
		return n
	}
	n += len(d.response.Body)
	for name, values := range d.response.Header {
		for _, value := range values {
			n += len(name) + len(value)
		}
	}
	return n
}
