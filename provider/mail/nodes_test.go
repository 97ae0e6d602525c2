package mail

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/storage/sqlite"
)

func TestTwoNodesOnOneQueueSendEveryMailOnce(t *testing.T) {
	const mails = 60
	for name, open := range map[string]func(t *testing.T) (a, b storage.MailStore){
		"memory": func(*testing.T) (a, b storage.MailStore) {
			s := memory.New(storage.Options{})
			return s, s
		},
		"sqlite": func(t *testing.T) (a, b storage.MailStore) {
			path := filepath.Join(t.TempDir(), "mail.db")
			open := func() storage.MailStore {
				s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, AutoMigrate: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			}
			return open(), open()
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, nil)
			s := newStage(t, server.carrier(credentials))
			first, second := open(t)
			nodes := []*Mailer{s.over(first, server.carrier(credentials)), s.over(second, server.carrier(credentials))}
			var sending sync.WaitGroup
			stops := []func(){}
			for n, node := range nodes {
				stops = append(stops, s.run(node))
				sending.Go(func() {
					for i := range mails / 2 {
						if err := node.Send(context.Background(), fmt.Sprintf("n%d-%d@reader.example", n, i), "en", reset()); err != nil {
							t.Error(err)
						}
					}
				})
			}
			sending.Wait()
			for range mails {
				wait(t, server.arrived)
			}
			for _, stop := range stops {
				stop() // what is under way is finished first
			}
			if waiting, err := first.WaitingMails(t.Context(), s.clock.Now()); err != nil || waiting != 0 {
				t.Errorf("%d mails wait, %v", waiting, err)
			}
			seen := map[string]int{}
			for _, m := range server.all() {
				seen[m.to]++
			}
			for to, n := range seen {
				if n != 1 {
					t.Errorf("%s got %d mails", to, n)
				}
			}
			if len(seen) != mails {
				t.Errorf("%d people got mail", len(seen))
			}
		})
	}
}

// stuck is a carrier whose deliveries end with their context only.
type stuck struct{ began chan struct{} }

func (s stuck) Open(context.Context) (Run, error) { return s, nil }
func (s stuck) Close()                            {}
func (s stuck) Deliver(ctx context.Context, _ *Message) error {
	s.began <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func TestServerThatStopsGivesItsMailBackAtOnce(t *testing.T) {
	carrier := stuck{make(chan struct{}, 1)}
	s := newStage(t, carrier)
	s.mailer.stopGrace = time.Millisecond
	for range 3 {
		s.send(reader)
	}
	stop := s.run(s.mailer)
	wait(t, carrier.began)
	stop()
	for _, row := range s.store.waiting() {
		if row.NextAttempt.After(s.clock.Now()) {
			t.Errorf("a mail waits until %s", row.NextAttempt)
		}
	}
	if n := len(s.store.waiting()); n != 3 {
		t.Errorf("%d mails wait", n)
	}
}

func TestMailIsGivenUpWhenItsLinkIsDead(t *testing.T) {
	server := newServer(t, nil)
	server.stop()
	s := newStage(t, server.carrier(credentials))
	s.send(reader)
	if row := s.store.waiting()[0]; row.Expires.Sub(row.Created) != 20*time.Minute {
		t.Fatalf("the mail lives %s, its link 20 minutes", row.Expires.Sub(row.Created))
	}
	s.clock.add(19*time.Minute + 58*time.Second)
	s.run(s.mailer)
	if err := s.report(); err == nil {
		t.Fatal("no failure is reported")
	}
	if n := len(s.store.waiting()); n != 0 {
		t.Errorf("%d mails wait", n)
	}
	if log := s.log.String(); !contains(log, `"event":"mail.given_up"`) || contains(log, "@") || contains(log, "Ada") || contains(log, "gth_lk_") {
		t.Errorf("log %s", log)
	}
}
