package ticket

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/storage"
)

func TestRow136FeignedTicketKillsNoneAndIsPurged(t *testing.T) {
	s := newStage(t)
	for kind := range places {
		_, token := s.issue(storage.Ticket{Kind: kind, Subject: "ada"})
		feigned, err := s.tickets.Feign(t.Context(), storage.Ticket{Kind: kind, Subject: "ada"}, "mark")
		if err != nil {
			t.Fatal(err)
		}
		_, dead, _ := strings.Cut(feigned, "?token=")
		if _, err := s.tickets.Look(t.Context(), kind, dead); len(dead) != len(token) || !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: the link %s: %v", kind, feigned, err)
		}
		if n, err := s.store.Purge(t.Context(), s.now, 10); err != nil || n != 1 {
			t.Errorf("%s: %d rows purged, %v", kind, n, err)
		}
		if _, err := s.tickets.Consume(t.Context(), kind, token); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := s.tickets.Feign(t.Context(), storage.Ticket{Kind: "other"}, "mark"); err == nil {
		t.Error("a ticket of no kind is feigned")
	}
}
