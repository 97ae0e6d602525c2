package interaction_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider/interaction"
	"gatehouse/storage"
	"gatehouse/storage/memory"
)

// clock is a clock that the test sets.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newFlows(t *testing.T) (*interaction.Flows, *memory.Store, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 7, 1, 12, 0, 0, 123456789, time.UTC)}
	store := memory.New(storage.Options{Now: c.now})
	return interaction.New(interaction.Options{Store: store, Now: c.now}), store, c
}

func start(t *testing.T, f *interaction.Flows) *storage.Interaction {
	t.Helper()
	i, err := f.Start(context.Background(), storage.Interaction{
		Kind: storage.InteractionAuthorize, Params: url.Values{"client_id": {"shop"}}, Source: storage.SourceObject, ReturnTo: interaction.ReturnAuthorize, Binder: "browser",
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestStartedInteractionIsStoredAsItWasReturned(t *testing.T) {
	f, _, _ := newFlows(t)
	i := start(t, f)
	got, err := f.Load(context.Background(), i.ID, "browser")
	if err != nil {
		t.Fatal(err)
	}
	if !got.Created.Equal(i.Created) || got.Params.Get("client_id") != "shop" || got.Source != storage.SourceObject || len(i.ID) != 43 || got.Expires.Sub(got.Created) != 30*time.Minute {
		t.Errorf("loaded %+v, started %+v", got, i)
	}
	if other := start(t, f); other.ID == i.ID {
		t.Error("two interactions have the same id")
	}
}

func TestReturnToIsAClosedList(t *testing.T) {
	f, _, _ := newFlows(t)
	for _, to := range []string{"", "/", "https://evil.example", "//evil.example", "/oauth2/authorize?x", "/account/../x", "/login"} {
		if i, err := f.Start(context.Background(), storage.Interaction{Kind: storage.InteractionAccount, ReturnTo: to, Binder: "browser"}); err == nil {
			t.Errorf("Start accepted %q: %+v", to, i)
		}
	}
	if _, err := f.Start(context.Background(), storage.Interaction{Kind: storage.InteractionAccount, ReturnTo: interaction.ReturnAccount}); err == nil {
		t.Error("Start accepted an interaction that no browser is bound to")
	}
}

func TestRow27InteractionBelongsToOneBrowser(t *testing.T) {
	f, _, _ := newFlows(t)
	i := start(t, f)
	for _, binder := range []string{"", "other", "browsers", "Browser"} {
		if _, err := f.Load(context.Background(), i.ID, binder); !errors.Is(err, interaction.ErrOtherBrowser) {
			t.Errorf("binder %q: %v", binder, err)
		}
	}
}

func TestMalformedIDNeverReachesTheStore(t *testing.T) {
	f, store, _ := newFlows(t)
	store.Fault = func(op string) error {
		t.Errorf("the store was asked: %s", op)
		return nil
	}
	for _, id := range []string{"", "x", strings.Repeat("a", 44), strings.Repeat("\x00", 43), strings.Repeat("é", 43), strings.Repeat("a", 64<<10), strings.Repeat("a", 42) + "="} {
		if _, err := f.Load(context.Background(), id, "browser"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Load(%.50q) = %v", id, err)
		}
	}
}

func TestHandleOfAPostIsNoInteraction(t *testing.T) {
	f, store, c := newFlows(t)
	id := start(t, f).ID
	id = id[1:] + id[:1]
	if id[42] != 'A' {
		id = id[:42] + "A" // a canonical last digit
	}
	if err := store.CreateInteraction(context.Background(), &storage.Interaction{ID: id, Kind: storage.InteractionAuthorize, Created: c.t, Expires: c.t.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(context.Background(), id, ""); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Load = %v", err)
	}
}

func TestInteractionEndsAfterHalfAnHour(t *testing.T) {
	f, _, c := newFlows(t)
	i := start(t, f)
	c.t = c.t.Add(29 * time.Minute)
	if _, err := f.Load(context.Background(), i.ID, "browser"); err != nil {
		t.Errorf("after 29 minutes: %v", err)
	}
	c.t = c.t.Add(2 * time.Minute)
	if _, err := f.Load(context.Background(), i.ID, "browser"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("after 31 minutes: %v", err)
	}
	if err := f.Update(context.Background(), i.ID, func(*storage.Interaction) error { return nil }); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("update after 31 minutes: %v", err)
	}
}

func TestOnlyOneTabFinishes(t *testing.T) {
	f, _, _ := newFlows(t)
	i := start(t, f)
	const tabs = 8
	results := make([]error, tabs)
	var wg sync.WaitGroup
	for n := range tabs {
		wg.Go(func() { results[n] = f.Consume(context.Background(), i.ID) })
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, storage.ErrConsumed) {
			t.Errorf("a loser got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d tabs finished the interaction", won)
	}
	if _, err := f.Load(context.Background(), i.ID, "browser"); !errors.Is(err, storage.ErrConsumed) {
		t.Errorf("Load of a finished interaction = %v", err)
	}
	if err := f.Update(context.Background(), i.ID, func(*storage.Interaction) error { return nil }); !errors.Is(err, storage.ErrConsumed) {
		t.Errorf("Update of a finished interaction = %v", err)
	}
	if _, err := f.Load(context.Background(), i.ID, "other"); !errors.Is(err, interaction.ErrOtherBrowser) {
		t.Errorf("another browser must not learn that it was finished: %v", err)
	}
}

func TestPinningAnotherSubjectDropsItsPredecessorsProofs(t *testing.T) {
	i := &storage.Interaction{}
	interaction.Pin(i, "alice", "s1")
	interaction.Prove(i, interaction.ProofConsent, "alice")
	interaction.Pin(i, "alice", "s2")
	if i.Proofs[interaction.ProofConsent] != "alice" || i.SessionID != "s2" {
		t.Errorf("signing in again as the same user lost the proof: %+v", i)
	}
	interaction.Pin(i, "bob", "s3")
	if len(i.Proofs) != 0 || i.Subject != "bob" {
		t.Errorf("bob inherited alice's proofs: %+v", i)
	}
}

func TestTargetIsReadable(t *testing.T) {
	for uri, want := range map[string]string{
		"https://App.example/cb": "app.example", "http://127.0.0.1:8080/cb": "127.0.0.1:8080", "com.example.app:/cb": "com.example.app", "": "", "/x": "", "%": "",
	} {
		if got := interaction.Target(uri); got != want {
			t.Errorf("Target(%q) = %q, want %q", uri, got, want)
		}
	}
}
