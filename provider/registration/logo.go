package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"gatehouse/storage"
)

const (
	maxLogo = 64 << 10
	// maxLogos may wait while logoWorkers fetch; those that come on top are not fetched.
	maxLogos    = 100
	logoWorkers = 4
)

// FetchLogo fetches a logo, so that users' browsers never ask another host for it. ClientID is left empty.
func FetchLogo(ctx context.Context, f Fetcher, url string, now time.Time) (*storage.Logo, error) {
	answer, err := f.Get(ctx, url, "image/png, image/jpeg, image/webp")
	if err != nil {
		return nil, err
	}
	if len(answer.Body) > maxLogo {
		return nil, errors.New("it is larger than 64 KiB")
	}
	// What the bytes are counts, not what the other side calls them.
	kind := http.DetectContentType(answer.Body)
	switch kind {
	case "image/png", "image/jpeg", "image/webp":
		return &storage.Logo{ContentType: kind, Data: answer.Body, Fetched: now.UTC()}, nil
	}
	return nil, errors.New("it is no PNG, JPEG or WebP image")
}

// ClientLogos is what Logos needs of storage.
type ClientLogos interface {
	Client(ctx context.Context, id string) (*storage.Client, error)
	PutLogo(ctx context.Context, l *storage.Logo) error
}

// Logos fetches logos of clients that registered themselves, in the background: a logo neither fails nor delays a registration, and how many wait is bounded. A client
// without a logo works as well.
type Logos struct {
	Fetcher Fetcher
	Store   ClientLogos
	Log     *slog.Logger
	Now     func() time.Time

	queue chan wanted
}

type wanted struct{ clientID, uri string }

// NewLogos returns an empty queue; Run empties it.
func NewLogos(f Fetcher, store ClientLogos, log *slog.Logger, now func() time.Time) *Logos {
	return &Logos{Fetcher: f, Store: store, Log: log, Now: now, queue: make(chan wanted, maxLogos)}
}

// Want puts the client's logo, if it names one, into the queue. If that is full the client stays without.
func (l *Logos) Want(c *storage.Client) {
	if c.LogoURI == "" {
		return
	}
	select {
	case l.queue <- wanted{c.ID, c.LogoURI}:
	default:
		l.Log.Warn("a logo is not fetched: too many wait", "client", c.ID)
	}
}

// Run fetches until ctx ends.
func (l *Logos) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range logoWorkers {
		workers.Go(func() { l.work(ctx) })
	}
	workers.Wait()
}

func (l *Logos) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-l.queue:
			if err := l.fetch(ctx, w); err != nil && ctx.Err() == nil {
				l.Log.Info("a logo is not shown", "client", w.clientID, "cause", err.Error())
			}
		}
	}
}

func (l *Logos) fetch(ctx context.Context, w wanted) error {
	logo, err := FetchLogo(ctx, l.Fetcher, w.uri, l.Now())
	if err != nil {
		return err
	}
	// The client may have named another one since, which another worker may have put already.
	c, err := l.Store.Client(ctx, w.clientID)
	if err != nil {
		return fmt.Errorf("read client: %w", err)
	}
	if c.LogoURI != w.uri {
		return nil
	}
	logo.ClientID = w.clientID
	if err := l.Store.PutLogo(ctx, logo); err != nil {
		return fmt.Errorf("put logo: %w", err)
	}
	return nil
}
