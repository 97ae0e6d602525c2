package ticket

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider/opaque"
	"gatehouse/storage"
	"gatehouse/storage/memory"
)

const issuer = "https://id.example.com/tenant"

type stage struct {
	t       *testing.T
	now     time.Time
	store   *memory.Store
	asked   int
	tickets *Tickets
}

// counted counts what reaches the store.
type counted struct {
	storage.TicketStore
	n *int
}

func (c counted) Ticket(ctx context.Context, kind storage.TicketKind, signature string) (*storage.Ticket, error) {
	*c.n++
	return c.TicketStore.Ticket(ctx, kind, signature)
}

func (c counted) ConsumeTicket(ctx context.Context, kind storage.TicketKind, signature string) (*storage.Ticket, error) {
	*c.n++
	return c.TicketStore.ConsumeTicket(ctx, kind, signature)
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, now: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)}
	now := func() time.Time { return s.now }
	s.store = memory.New(storage.Options{Now: now})
	s.tickets = New(Options{Store: counted{s.store, &s.asked}, Users: s.store, Issuer: issuer, Now: now})
	if err := s.store.CreateUser(t.Context(), &storage.User{Subject: "ada", Email: "ada@example.com", EmailKey: "ada@example.com"}, "x"); err != nil {
		t.Fatal(err)
	}
	return s
}

// issue makes a link and returns its page and its token.
func (s *stage) issue(made storage.Ticket) (place, token string) {
	s.t.Helper()
	link, err := s.tickets.Issue(s.t.Context(), made)
	if err != nil {
		s.t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil {
		s.t.Fatal(err)
	}
	token = u.Query().Get("token")
	place, _, _ = strings.Cut(link, "?")
	return place, token
}

func TestRow143LinkIsBelowTheConfiguredIssuer(t *testing.T) {
	s := newStage(t)
	for kind, want := range map[storage.TicketKind]string{
		storage.TicketSignUp: "/signup/confirm", storage.TicketInvite: "/signup", storage.TicketVerify: "/verify", storage.TicketEmail: "/verify", storage.TicketReset: "/recovery/reset",
		storage.TicketRecovery: "/recovery/reset", storage.TicketMagic: "/login/link", storage.TicketRevert: "/recovery/not-me",
	} {
		place, token := s.issue(storage.Ticket{Kind: kind, Subject: "ada"})
		if place != issuer+want || !strings.HasPrefix(token, "gth_lk_") {
			t.Errorf("%s leads to %s with %s", kind, place, token)
		}
	}
}

func TestEveryKindHasItsLife(t *testing.T) {
	want := map[storage.TicketKind]time.Duration{
		storage.TicketReset: 20 * time.Minute, storage.TicketVerify: 24 * time.Hour, storage.TicketEmail: 24 * time.Hour, storage.TicketSignUp: 24 * time.Hour, storage.TicketInvite: 72 * time.Hour,
		storage.TicketMagic: 10 * time.Minute, storage.TicketRevert: 7 * 24 * time.Hour, storage.TicketRecovery: 24 * time.Hour,
	}
	if !maps.Equal(lives, want) {
		t.Errorf("lives %v", lives)
	}
	for kind, life := range want {
		s := newStage(t)
		_, token := s.issue(storage.Ticket{Kind: kind, Subject: "ada"})
		s.now = s.now.Add(life - time.Microsecond)
		if _, err := s.tickets.Look(t.Context(), kind, token); err != nil {
			t.Errorf("%s just before its end: %v", kind, err)
		}
		s.now = s.now.Add(2 * time.Microsecond)
		if _, err := s.tickets.Consume(t.Context(), kind, token); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s past its end: %v", kind, err)
		}
	}
}

func TestRow45TicketOfOneKindIsNoneOfAnother(t *testing.T) {
	s := newStage(t)
	for made := range places {
		_, token := s.issue(storage.Ticket{Kind: made, Subject: "ada"})
		for asked := range places {
			if asked == made {
				continue
			}
			if _, err := s.tickets.Look(t.Context(), asked, token); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s is looked at as %s: %v", made, asked, err)
			}
			if _, err := s.tickets.Consume(t.Context(), asked, token); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s is consumed as %s: %v", made, asked, err)
			}
		}
		if _, err := s.tickets.Consume(t.Context(), made, token); err != nil {
			t.Errorf("%s after all that: %v", made, err)
		}
	}
}

func TestRow45WhatIsNoLinkNeverReachesTheStore(t *testing.T) {
	s := newStage(t)
	_, token := s.issue(storage.Ticket{Kind: storage.TicketReset, Subject: "ada"})
	code, _ := opaque.Mint(opaque.Code)
	for _, wrong := range []string{"", "x", "gth_lk_", code, opaque.Link + strings.TrimPrefix(code, opaque.Code), token[:len(token)-1], token + "0", token + "=", " " + token, strings.ToUpper(token), opaque.Signature(token), token[:20] + "'" + token[21:]} {
		if _, err := s.tickets.Look(t.Context(), storage.TicketReset, wrong); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Look(%q): %v", wrong, err)
		}
		if _, err := s.tickets.Consume(t.Context(), storage.TicketReset, wrong); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Consume(%q): %v", wrong, err)
		}
	}
	if s.asked != 0 {
		t.Errorf("the store was asked %d times", s.asked)
	}
}

func TestRow151LookingUsesNothingUp(t *testing.T) {
	s := newStage(t)
	_, token := s.issue(storage.Ticket{Kind: storage.TicketMagic, Subject: "ada", Data: map[string]string{"flow": "f1"}})
	for range 5 {
		if found, err := s.tickets.Look(t.Context(), storage.TicketMagic, token); err != nil || found.Data["flow"] != "f1" {
			t.Fatalf("%+v, %v", found, err)
		}
	}
	if _, err := s.tickets.Consume(t.Context(), storage.TicketMagic, token); err != nil {
		t.Fatal(err)
	}
	if _, err := s.tickets.Look(t.Context(), storage.TicketMagic, token); !errors.Is(err, storage.ErrConsumed) {
		t.Errorf("a used ticket: %v", err)
	}
}

func TestRow144OfTwentyWhoUseALinkOneGetsIt(t *testing.T) {
	s := newStage(t)
	_, token := s.issue(storage.Ticket{Kind: storage.TicketReset, Subject: "ada"})
	tickets := New(Options{Store: s.store, Users: s.store, Issuer: issuer})
	var all sync.WaitGroup
	results := make(chan error, 20)
	for range 20 {
		all.Go(func() {
			_, err := tickets.Consume(context.Background(), storage.TicketReset, token)
			results <- err
		})
	}
	all.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, storage.ErrConsumed) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d got it", won)
	}
}

func TestRow144NewerLinkAndNewPasswordKillALink(t *testing.T) {
	s := newStage(t)
	_, old := s.issue(storage.Ticket{Kind: storage.TicketReset, Subject: "ada"})
	s.now = s.now.Add(time.Second)
	_, token := s.issue(storage.Ticket{Kind: storage.TicketReset, Subject: "ada"})
	if _, err := s.tickets.Look(t.Context(), storage.TicketReset, old); err == nil {
		t.Error("the older link works")
	}
	if _, err := s.tickets.Look(t.Context(), storage.TicketReset, token); err != nil {
		t.Errorf("the newer link: %v", err)
	}
	if err := s.store.SetPassword(t.Context(), "ada", "y"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.tickets.Consume(t.Context(), storage.TicketReset, token); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("after a new password: %v", err)
	}
	_, next := s.issue(storage.Ticket{Kind: storage.TicketReset, Subject: "ada"})
	if _, err := s.tickets.Consume(t.Context(), storage.TicketReset, next); err != nil {
		t.Errorf("a link that was made after it: %v", err)
	}
}

func TestStoreNeverSeesTheToken(t *testing.T) {
	s := newStage(t)
	_, token := s.issue(storage.Ticket{Kind: storage.TicketSignUp, Email: "Eve@example.com", EmailKey: "eve@example.com", Data: map[string]string{"name": "Eve"}, Signature: "planted", Epoch: 7})
	found, err := s.tickets.Look(t.Context(), storage.TicketSignUp, token)
	if err != nil || found.Signature != opaque.Signature(token) || found.Email != "Eve@example.com" || found.Data["name"] != "Eve" || found.Epoch != 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestTicketForNobodyAndOfNoKindIsNotMade(t *testing.T) {
	s := newStage(t)
	if _, err := s.tickets.Issue(t.Context(), storage.Ticket{Kind: storage.TicketReset, Subject: "eve"}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("unknown subject: %v", err)
	}
	if _, err := s.tickets.Issue(t.Context(), storage.Ticket{Kind: "admin", Subject: "ada"}); err == nil {
		t.Error("a ticket of an unknown kind is made")
	}
}

func TestLivesCanBeChosen(t *testing.T) {
	s := newStage(t)
	chosen := New(Options{Store: s.store, Users: s.store, Issuer: issuer, Lives: map[storage.TicketKind]time.Duration{storage.TicketReset: time.Hour, storage.TicketMagic: 0}})
	if chosen.Life(storage.TicketReset) != time.Hour || chosen.Life(storage.TicketMagic) != 10*time.Minute || s.tickets.Life(storage.TicketReset) != 20*time.Minute {
		t.Errorf("%s, %s, %s", chosen.Life(storage.TicketReset), chosen.Life(storage.TicketMagic), s.tickets.Life(storage.TicketReset))
	}
}
