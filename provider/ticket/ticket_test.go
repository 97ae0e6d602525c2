package ticket

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/memory"
)

const issuer = "https://id.example.com/tenant"

type stage struct {
	*Tickets
	store *memory.Store
	now   *atomic.Int64
}

func newStage(t *testing.T, lives map[storage.TicketKind]time.Duration) *stage {
	t.Helper()
	s := &stage{now: &atomic.Int64{}}
	s.now.Store(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).Unix())
	now := func() time.Time { return time.Unix(s.now.Load(), 0).UTC() }
	s.store = memory.New(storage.Options{Now: now})
	user := &storage.User{Subject: "ada", Email: "ada@reader.example", EmailKey: "ada@reader.example", EmailVerified: true}
	if err := s.store.CreateUser(t.Context(), user, ""); err != nil {
		t.Fatal(err)
	}
	s.Tickets = New(Options{Store: s.store, Users: s.store, Issuer: issuer, Lives: lives, Now: now})
	return s
}

func (s *stage) issue(t *testing.T, made storage.Ticket) (link, token string) {
	t.Helper()
	link, err := s.Issue(t.Context(), made)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return link, u.Query().Get("token")
}

func TestRow143LinkBeginsWithTheIssuerAndLeadsToThePageOfItsKind(t *testing.T) {
	s := newStage(t, nil)
	for kind, place := range map[storage.TicketKind]string{
		storage.TicketSignUp: "/signup/confirm", storage.TicketInvite: "/signup", storage.TicketVerify: "/verify", storage.TicketEmail: "/verify", storage.TicketReset: "/recovery/reset",
		storage.TicketRecovery: "/recovery/reset", storage.TicketMagic: "/login/link", storage.TicketRevert: "/recovery/not-me",
	} {
		link, token := s.issue(t, storage.Ticket{Kind: kind, Subject: "ada"})
		if link != issuer+place+"?token="+token || !strings.HasPrefix(token, "gth_lk_") {
			t.Errorf("%s: %s", kind, link)
		}
		found, err := s.Look(t.Context(), kind, token)
		if err != nil || found.Kind != kind || found.Subject != "ada" || strings.Contains(found.Signature, token) {
			t.Errorf("%s: %+v, %v", kind, found, err)
		}
	}
	if _, err := s.Issue(t.Context(), storage.Ticket{Kind: "other"}); err == nil {
		t.Error("a ticket of no kind is made")
	}
	if _, err := s.Issue(t.Context(), storage.Ticket{Kind: storage.TicketReset, Subject: "nobody"}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("ticket of nobody: %v", err)
	}
}

func TestRow45TicketOfOneKindIsNoneOfAnother(t *testing.T) {
	s := newStage(t, nil)
	_, token := s.issue(t, storage.Ticket{Kind: storage.TicketVerify, Subject: "ada"})
	for kind := range places {
		if kind == storage.TicketVerify {
			continue
		}
		if _, err := s.Look(t.Context(), kind, token); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("looked at as %s: %v", kind, err)
		}
		if _, err := s.Consume(t.Context(), kind, token); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("consumed as %s: %v", kind, err)
		}
	}
	for _, wrong := range []string{"", "gth_lk_", token[:len(token)-1], token + "a", strings.Replace(token, "gth_lk_", "gth_rt_", 1), strings.ToUpper(token)} {
		if _, err := s.Look(t.Context(), storage.TicketVerify, wrong); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestRow144LookingUsesNothingUpAndOneOfManyConsumes(t *testing.T) {
	s := newStage(t, nil)
	_, token := s.issue(t, storage.Ticket{Kind: storage.TicketReset, Subject: "ada"})
	for range 3 {
		if _, err := s.Look(t.Context(), storage.TicketReset, token); err != nil {
			t.Fatal(err)
		}
	}
	var won, used atomic.Int32
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			switch _, err := s.Consume(t.Context(), storage.TicketReset, token); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, storage.ErrConsumed):
				used.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if won.Load() != 1 || used.Load() != 19 {
		t.Errorf("%d consumed it, %d found it used", won.Load(), used.Load())
	}
	if _, err := s.Look(t.Context(), storage.TicketReset, token); !errors.Is(err, storage.ErrConsumed) {
		t.Errorf("a used ticket: %v", err)
	}
}

func TestRow144LinksDieAtTheirTime(t *testing.T) {
	s := newStage(t, map[storage.TicketKind]time.Duration{storage.TicketMagic: time.Minute, storage.TicketReset: 0})
	for kind, life := range map[storage.TicketKind]time.Duration{
		storage.TicketMagic: time.Minute, storage.TicketReset: 20 * time.Minute, storage.TicketVerify: 24 * time.Hour, storage.TicketInvite: 72 * time.Hour, storage.TicketRevert: 7 * 24 * time.Hour,
	} {
		if s.Life(kind) != life {
			t.Errorf("%s lives %s", kind, s.Life(kind))
		}
		_, token := s.issue(t, storage.Ticket{Kind: kind, Subject: "ada"})
		s.now.Add(int64(life/time.Second) - 1)
		if _, err := s.Look(t.Context(), kind, token); err != nil {
			t.Errorf("%s a second before its end: %v", kind, err)
		}
		s.now.Add(1)
		if _, err := s.Consume(t.Context(), kind, token); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s at its end: %v", kind, err)
		}
	}
}

func TestRow144NewLinkKillsTheOlderOne(t *testing.T) {
	s := newStage(t, nil)
	_, old := s.issue(t, storage.Ticket{Kind: storage.TicketReset, Subject: "ada"})
	s.now.Add(1)
	_, next := s.issue(t, storage.Ticket{Kind: storage.TicketReset, Subject: "ada"})
	if _, err := s.Look(t.Context(), storage.TicketReset, old); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the older link: %v", err)
	}
	if _, err := s.Consume(t.Context(), storage.TicketReset, next); err != nil {
		t.Error(err)
	}
}

func TestRow136FeignedTicketKillsNoneAndIsPurged(t *testing.T) {
	s := newStage(t, nil)
	_, token := s.issue(t, storage.Ticket{Kind: storage.TicketReset, Subject: "ada"})
	if err := s.Feign(t.Context(), storage.TicketReset); err != nil {
		t.Fatal(err)
	}
	if n, err := s.store.Purge(t.Context(), s.o.Now(), 10); err != nil || n != 1 {
		t.Errorf("%d rows purged, %v", n, err)
	}
	if _, err := s.Consume(t.Context(), storage.TicketReset, token); err != nil {
		t.Error(err)
	}
	if err := s.Feign(t.Context(), "other"); err == nil {
		t.Error("a ticket of no kind is feigned")
	}
}
