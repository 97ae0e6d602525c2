package provider

import (
	"context"
	"log/slog"
	"time"
)

const (
	pollEvery  = 400 * time.Millisecond
	purgeEvery = 30 * time.Second
	purgeBatch = 500
	keysEvery  = 10 * time.Minute
	// jobTimeout ends one run of a job, so that a store that hangs does not stop the next.
	jobTimeout = time.Minute
)

// Run does the background work until ctx ends: it watches for changes of other processes, purges expired rows and rotates signing keys.
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
	}
	for _, job := range jobs {
		go func() {
			defer func() { done <- struct{}{} }()
			repeat(ctx, p.options.Log, job.name, job.every, job.run)
		}()
	}
	for range jobs {
		<-done
	}
	return ctx.Err()
}

// repeat runs a job at once and then at intervals. A failure is logged when it begins and when it ends, not at every turn.
func repeat(ctx context.Context, log *slog.Logger, name string, every time.Duration, run func(context.Context) error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	failing := false
	for {
		attempt, cancel := context.WithTimeout(ctx, jobTimeout)
		err := run(attempt)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			log.Error("background job fails", "job", name, "cause", err.Error())
		case err == nil && failing:
			log.Info("background job works again", "job", name)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// purge deletes expired rows in small batches until none are left.
func (p *Provider) purge(ctx context.Context) error {
	for {
		n, err := p.store.Purge(ctx, p.options.Now(), purgeBatch)
		if err != nil || n < purgeBatch {
			return err
		}
	}
}
