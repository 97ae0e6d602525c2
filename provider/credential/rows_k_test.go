package credential

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Row 136: what is compared for nobody, and for whoever has no password, is a whole hash of today's cost: one that bcrypt refuses to read costs nothing, and that tells.
func TestRow136NobodysHashIsComparedInFull(t *testing.T) {
	p := newPasswords(t, func(o *Options) { o.Cost = 5 })
	for _, typed := range []string{"", "x", "correct horse battery staple"} {
		work, err := p.parse("", typed, p.pepper.Load())
		if err != nil {
			t.Fatal(err)
		}
		if work.possible || work.foreign != nil {
			t.Errorf("%q can be the password of nobody", typed)
		}
		if cost, ok := validBcrypt(string(work.hash)); !ok || cost != 5 {
			t.Errorf("the hash of nobody: cost %d, %t", cost, ok)
		}
		if err := bcrypt.CompareHashAndPassword(work.hash, work.input); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			t.Errorf("%q is not compared in full: %v", typed, err)
		}
	}
}

// Row 142: how many wait for each hash that runs is what the operator says.
func TestRow142TheQueueIsAsLongAsConfigured(t *testing.T) {
	p := newPasswords(t, func(o *Options) { o.Parallel, o.Queue = 3, 2 })
	if running, admitted := cap(p.pool.running), cap(p.pool.admitted); running != 3 || admitted != 3+3*2 {
		t.Errorf("%d run and %d are let in, want 3 and 9", running, admitted)
	}
}

// Row 142: one hash runs for each core and eight wait; the tenth is turned away while they do, and is not kept.
func TestRow142NinePerCoreAndNoMore(t *testing.T) {
	p := newPasswords(t, func(o *Options) { o.Parallel = 1 })
	hold, started := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.pool.do(context.Background(), func() { close(started); <-hold }) })
	<-started
	for range 8 { // as those do who wait
		p.pool.admitted <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for range 4 {
		if _, err := p.Hash(ctx, "x"); !errors.Is(err, ErrBusy) {
			t.Errorf("Hash: %v", err)
		}
		if _, _, err := p.Verify(ctx, "", "x"); !errors.Is(err, ErrBusy) {
			t.Errorf("Verify: %v", err)
		}
	}
	for range 8 {
		<-p.pool.admitted
	}
	close(hold)
	wg.Wait()
	check(t, p, "", "x", false, false)
}
