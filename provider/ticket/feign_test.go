package ticket

import (
	"testing"

	"gatehouse/storage"
)

func TestRow136FeignedTicketKillsNoneAndIsPurged(t *testing.T) {
	s := newStage(t)
	for kind := range places {
		_, token := s.issue(storage.Ticket{Kind: kind, Subject: "ada"})
		if err := s.tickets.Feign(t.Context(), kind); err != nil {
			t.Fatal(err)
		}
		if n, err := s.store.Purge(t.Context(), s.now, 10); err != nil || n != 1 {
			t.Errorf("%s: %d rows purged, %v", kind, n, err)
		}
		if _, err := s.tickets.Consume(t.Context(), kind, token); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := s.tickets.Feign(t.Context(), "other"); err == nil {
		t.Error("a ticket of no kind is feigned")
	}
}
