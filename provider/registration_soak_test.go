package provider_test

import (
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/storage"
)

// allClients counts the stored clients, however many.
func (s *server) allClients() (count int) {
	s.Helper()
	for after := ""; ; {
		list, err := s.Store.ListClients(s.Context(), after, 500)
		if err != nil {
			s.Fatal(err)
		}
		count += len(list)
		if len(list) < 500 {
			return count
		}
		after = list[len(list)-1].ID
	}
}

// TestSoakRegistrations registers a thousand clients a minute that nobody uses, by the server's clock for as long as the rounds go, until those of the first minutes have
// long been purged. None may be refused, and what is stored must stay within what ExpireUnused and ClientGrace allow. The short form takes few and long steps.
func TestSoakRegistrations(t *testing.T) {
	const unused = 2 * time.Minute
	rounds, each, step := 4, 60, (unused+storage.ClientGrace)/2
	if os.Getenv("GATEHOUSE_SOAK") != "" {
		rounds, each, step = 40, 1000, time.Minute
	}
	kept := int((unused + storage.ClientGrace) / step) // rounds
	for _, name := range slices.DeleteFunc(slices.Sorted(maps.Keys(backends)), func(name string) bool { return name == "memory" }) {
		t.Run(name, func(t *testing.T) {
			s := startAs(t, name, func(s *server) { s.Idle = true }, registers("open"), expireUnused(unused))
			var slowest time.Duration
			for range rounds {
				began := time.Now()
				s.registerMany(each)
				slowest = max(slowest, time.Since(began))
				if stored := s.allClients(); stored > (kept+1)*each {
					t.Fatalf("%d clients are stored, at most %d may be", stored, (kept+1)*each)
				}
				s.Clock.Advance(step)
				s.work("what is past its end is purged", func() bool { return s.allClients() <= kept*each })
			}
			s.Clock.Advance(unused + storage.ClientGrace)
			s.work("everything ends", func() bool { return s.allClients() == 0 })
			t.Logf("%d registrations in %d rounds; the slowest round of %d took %s", rounds*each, rounds, each, slowest.Round(time.Millisecond))
			if slowest > time.Minute {
				t.Errorf("%d registrations took %s", each, slowest)
			}
		})
	}
}

// registerMany registers n clients, sixteen at a time.
func (s *server) registerMany(n int) {
	s.Helper()
	var group sync.WaitGroup
	places := make(chan struct{}, 16)
	for range n {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			if a := s.call("POST", "/oauth2/register", "", webApp(nil)); a.Status != http.StatusCreated {
				s.Errorf("registration: %d %s", a.Status, a.Raw)
			}
		})
	}
	group.Wait()
}
