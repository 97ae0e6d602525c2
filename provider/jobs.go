package provider

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	pollEvery      = 400 * time.Millisecond
	purgeEvery     = 30 * time.Second
	purgeBatch     = 500
	keysEvery      = 10 * time.Minute
	upstreamsEvery = 30 * time.Second
	placesEvery    = time.Minute
	// algorithmsEvery repeats a warning that may have been overlooked.
	algorithmsEvery = 24 * time.Hour
	// flushTimeout ends what is written down when the server stops.
	flushTimeout = 5 * time.Second
	// jobTimeout ends one run of a job, so that a store that hangs does not stop the next.
	jobTimeout = time.Minute
)

// Run does the background work until ctx ends: it watches for changes of other processes, purges expired rows, rotates signing keys, notes which clients are used, fetches
// logos, delivers logout tokens, sends mail and reads the file of places again when it was replaced.
func (p *Provider) Run(ctx context.Context) error {
	done := make(chan struct{})
	jobs := []struct {
		name  string
		every time.Duration
		run   func(context.Context) error
	}{
		{"watch changes", pollEvery, p.engine.Sync},
		{"purge", purgeEvery, p.purge},
		{"rotate keys", keysEvery, p.keys.Ensure},
		{"check the algorithms of clients", algorithmsEvery, p.warnAlgorithms},
		{"look at upstreams", upstreamsEvery, p.upstreams.Probe},
		{"read places", placesEvery, p.options.Places.Refresh},
	}
	for _, job := range jobs {
		go func() {
			defer func() { done <- struct{}{} }()
			repeat(ctx, p.options.Log, job.name, job.every, job.run)
		}()
	}
	go func() {
		defer func() { done <- struct{}{} }()
		p.logos.Run(ctx)
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		health := &jobHealth{log: p.options.Log, name: "deliver logout tokens"}
		p.logout.Deliver(ctx, health.report)
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		health := &jobHealth{log: p.options.Log, name: "send mail"}
		p.mail.Run(ctx, health.report)
	}()
	for range len(jobs) + 3 {
		<-done
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := p.uses.Flush(last); err != nil {
		p.options.Log.Warn("the last uses of clients are lost", "cause", err.Error())
	}
	return ctx.Err()
}

// jobHealth logs when a job begins to fail and when it works again, not every failure.
type jobHealth struct {
	log  *slog.Logger
	name string

	mu      sync.Mutex
	failing bool
}

func (h *jobHealth) report(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err != nil && !h.failing:
		h.log.Error("background job fails", "job", h.name, "cause", err.Error())
	case err == nil && h.failing:
		h.log.Info("background job works again", "job", h.name)
	}
	h.failing = err != nil
}

// repeat runs a job at once and then at intervals.
func repeat(ctx context.Context, log *slog.Logger, name string, every time.Duration, run func(context.Context) error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	health := &jobHealth{log: log, name: name}
	for {
		attempt, cancel := context.WithTimeout(ctx, jobTimeout)
		err := run(attempt)
		cancel()
		if ctx.Err() != nil {
			return
		}
		health.report(err)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// purge deletes expired rows in small batches until none are left. Before it does, it writes down which clients were used since the last time, so that they are not
// among them.
func (p *Provider) purge(ctx context.Context) error {
	if err := p.uses.Flush(ctx); err != nil {
		return err
	}
	for {
		n, err := p.store.Purge(ctx, p.options.Now(), purgeBatch)
		if err != nil || n < purgeBatch {
			return err
		}
	}
}
