package registration

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/outbound"
	"gatehouse/storage"
	"gatehouse/storage/memory"
)

// touched records what TouchClients is asked for.
type touched struct {
	ids   []string
	until time.Time
	calls int
	err   error
}

func (s *touched) TouchClients(_ context.Context, ids []string, until time.Time) error {
	s.calls++
	if s.err != nil {
		return s.err
	}
	s.ids, s.until = slices.Sorted(slices.Values(ids)), until
	return nil
}

func TestUsesAreWrittenOnceAndKeptWhileTheyCannotBe(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	store := &touched{err: storage.ErrUnavailable}
	uses := NewUses(store, func() time.Time { return now }, 90*24*time.Hour)
	if err := uses.Flush(t.Context()); err != nil || store.calls != 0 {
		t.Errorf("nothing used: %v after %d calls", err, store.calls)
	}
	for _, id := range []string{"a", "b", "a"} {
		uses.Mark(id)
	}
	if err := uses.Flush(t.Context()); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("Flush = %v", err)
	}
	uses.Mark("c")
	store.err = nil
	if err := uses.Flush(t.Context()); err != nil || !slices.Equal(store.ids, []string{"a", "b", "c"}) || !store.until.Equal(now.Add(90*24*time.Hour)) {
		t.Errorf("Flush = %v of %v until %v", err, store.ids, store.until)
	}
	before := store.calls
	if err := uses.Flush(t.Context()); err != nil || store.calls != before {
		t.Errorf("a second time: %v, %d calls", err, store.calls-before)
	}
}

// blocking is a host that answers when it is told to.
type blocking struct{ answer chan []byte }

func (b blocking) Get(ctx context.Context, _, _ string) (*outbound.Response, error) {
	select {
	case body := <-b.answer:
		return &outbound.Response{Body: body}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestRow125WaitingLogosAreBounded(t *testing.T) {
	var log bytes.Buffer
	logos := NewLogos(blocking{}, memory.New(storage.Options{}), slog.New(slog.NewTextHandler(&log, nil)), time.Now)
	for range maxLogos + 7 {
		logos.Want(&storage.Client{ID: "a", LogoURI: "https://a.example/l.png"}) // nobody fetches: it must not wait
	}
	if got := len(logos.queue); got != maxLogos {
		t.Errorf("%d wait, want %d", got, maxLogos)
	}
	if got := strings.Count(log.String(), "too many wait"); got != 7 {
		t.Errorf("%d refusals are logged, want 7", got)
	}
	logos.Want(&storage.Client{ID: "b"})
	if len(logos.queue) != maxLogos {
		t.Error("a client without a logo waits")
	}
}

func TestLogoOfAnEarlierRegistrationIsDropped(t *testing.T) {
	store := memory.New(storage.Options{})
	if err := store.CreateClient(t.Context(), &storage.Client{ID: "a", AuthMethod: "none", LogoURI: "https://a.example/new.png"}); err != nil {
		t.Fatal(err)
	}
	host := blocking{make(chan []byte, 2)}
	host.answer <- []byte("\x89PNG\r\n\x1a\nold")
	host.answer <- []byte("\x89PNG\r\n\x1a\nnew")
	logos := NewLogos(host, store, slog.New(slog.DiscardHandler), time.Now)
	if err := logos.fetch(t.Context(), wanted{"a", "https://a.example/old.png"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Logo(t.Context(), "a"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the logo that the client names no more is kept: %v", err)
	}
	if err := logos.fetch(t.Context(), wanted{"a", "https://a.example/new.png"}); err != nil {
		t.Fatal(err)
	}
	if logo, err := store.Logo(t.Context(), "a"); err != nil || !strings.HasSuffix(string(logo.Data), "new") {
		t.Errorf("logo %v, %v", logo, err)
	}
}

func TestInitialTokenIsKeptAsSignatureOnly(t *testing.T) {
	store := memory.New(storage.Options{})
	now := time.Now()
	token, err := NewInitialToken(t.Context(), store, now, time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	signature, once, err := CheckInitial(t.Context(), store, token, now)
	if err != nil || !once || strings.Contains(token, signature) {
		t.Fatalf("CheckInitial = %q, %v, %v", signature, once, err)
	}
	if _, _, err := CheckInitial(t.Context(), store, token, now.Add(time.Hour)); !errors.Is(err, ErrInitial) {
		t.Errorf("at its end: %v", err)
	}
	if err := UseInitial(t.Context(), store, signature); err != nil {
		t.Fatal(err)
	}
	if err := UseInitial(t.Context(), store, signature); !errors.Is(err, ErrInitial) {
		t.Errorf("used twice: %v", err)
	}
	if _, _, err := CheckInitial(t.Context(), store, token, now); !errors.Is(err, ErrInitial) {
		t.Errorf("after its use: %v", err)
	}
}
