package provider

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/memory"
)

// watched is a synced store over a store in memory, which counts what follows a write.
type watched struct {
	syncedStore
	backend      *memory.Store
	syncs, wakes int
}

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{backend: memory.New(storage.Options{})}
	w.syncedStore = syncedStore{w.backend, func(context.Context) error { w.syncs++; return nil }, func() { w.wakes++ }, slog.New(slog.DiscardHandler)}
	now := time.Now()
	session := &storage.Session{ID: "sid", CookieHash: "cookie", Subject: "ada", Upstream: "google", ExternalID: "1", Created: now, Absolute: now.Add(time.Hour)}
	if err := errors.Join(w.CreateUser(t.Context(), &storage.User{Subject: "ada", EmailKey: "ada@example.org", EmailVerified: true}, "hash"),
		w.CreateIdentity(t.Context(), &storage.Identity{Upstream: "google", ExternalID: "1", Subject: "ada"}, 0), w.CreateSession(t.Context(), session)); err != nil {
		t.Fatal(err)
	}
	return w
}

// What may end sessions wakes the logout queue, and its revocations count before its caller goes on; what failed or ended nothing does neither.
func TestEndsOfSessionsAreFollowed(t *testing.T) {
	adopt := func(ctx context.Context, w *watched, id string) error {
		u, err := w.AdoptUser(ctx, "ada@example.org", &storage.Identity{Upstream: "google", ExternalID: id})
		if err == nil && u.Subject != "ada" {
			err = errors.New("adopted " + u.Subject)
		}
		return err
	}
	end := func(ctx context.Context, w *watched, id string, want int) error {
		n, err := w.EndUpstreamSessions(ctx, "google", id, "")
		if n != want {
			err = errors.Join(err, errors.New("a wrong number of sessions"))
		}
		return err
	}
	revert := func(ctx context.Context, w *watched, signature string) error {
		now := time.Now()
		if err := w.CreateTicket(ctx, &storage.Ticket{Signature: "link", Kind: storage.TicketRevert, Subject: "ada", Created: now, Expires: now.Add(time.Hour)}); err != nil {
			return err
		}
		_, err := w.RevertUser(ctx, signature, now)
		return err
	}
	for what, test := range map[string]struct {
		do   func(ctx context.Context, w *watched) error
		want error
		runs int
	}{
		"SetPassword":               {func(ctx context.Context, w *watched) error { return w.SetPassword(ctx, "ada", "new") }, nil, 1},
		"ReplacePassword":           {func(ctx context.Context, w *watched) error { return w.ReplacePassword(ctx, "ada", "new", 0) }, nil, 1},
		"ReplacePassword, late":     {func(ctx context.Context, w *watched) error { return w.ReplacePassword(ctx, "ada", "new", 1) }, storage.ErrNotFound, 0},
		"EndSession":                {func(ctx context.Context, w *watched) error { return w.EndSession(ctx, "sid") }, nil, 1},
		"AdoptUser":                 {func(ctx context.Context, w *watched) error { return adopt(ctx, w, "2") }, nil, 1},
		"AdoptUser, tied":           {func(ctx context.Context, w *watched) error { return adopt(ctx, w, "1") }, storage.ErrExists, 0},
		"RevertUser":                {func(ctx context.Context, w *watched) error { return revert(ctx, w, "link") }, nil, 1},
		"RevertUser, missing":       {func(ctx context.Context, w *watched) error { return revert(ctx, w, "other") }, storage.ErrNotFound, 0},
		"DeleteIdentity":            {func(ctx context.Context, w *watched) error { return w.DeleteIdentity(ctx, "ada", "google", "1", nil) }, nil, 1},
		"DeleteIdentity, missing":   {func(ctx context.Context, w *watched) error { return w.DeleteIdentity(ctx, "ada", "google", "2", nil) }, storage.ErrNotFound, 0},
		"EndUpstreamSessions":       {func(ctx context.Context, w *watched) error { return end(ctx, w, "1", 1) }, nil, 1},
		"EndUpstreamSessions, none": {func(ctx context.Context, w *watched) error { return end(ctx, w, "2", 0) }, nil, 0},
	} {
		t.Run(what, func(t *testing.T) {
			w := watch(t)
			if err := test.do(t.Context(), w); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if w.syncs != test.runs || w.wakes != test.runs {
				t.Errorf("%d syncs and %d wakes, want %d of each", w.syncs, w.wakes, test.runs)
			}
		})
	}
}

// halfway is a store that fails after the first of several sessions.
type halfway struct{ storage.Store }

func (h halfway) EndUpstreamSessions(context.Context, string, string, string) (int, error) {
	return 1, storage.ErrUnavailable
}

// The sessions that ended before a failure have ended.
func TestHalfAnEndIsFollowed(t *testing.T) {
	w := watch(t)
	w.Store = halfway{w.backend}
	if n, err := w.EndUpstreamSessions(t.Context(), "google", "1", ""); n != 1 || !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("%d sessions (%v), want 1 and the failure", n, err)
	}
	if w.syncs != 1 || w.wakes != 1 {
		t.Errorf("%d syncs and %d wakes, want one of each", w.syncs, w.wakes)
	}
}
