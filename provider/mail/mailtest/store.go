package mailtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"gatehouse/provider/mail"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// Store is a storage.Store that opens every mail when it is queued and keeps it. A mail is there when Send has returned, delivered or not; a feigned one never is.
type Store struct {
	storage.Store
	ring *seal.Ring

	mu    sync.Mutex
	mails []*mail.Message
}

// Watch reads the queue of a store under the ring of the server under test.
func Watch(store storage.Store, ring *seal.Ring) *Store { return &Store{Store: store, ring: ring} }

// QueueMail implements storage.MailStore.
func (s *Store) QueueMail(ctx context.Context, row *storage.Mail) error {
	if err := s.Store.QueueMail(ctx, row); err != nil {
		return err
	}
	if row.Expires.Before(row.Created) {
		return nil
	}
	message, err := mail.Open(s.ring, row)
	if err != nil {
		return fmt.Errorf("open queued mail: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, message)
	return nil
}

// Mails returns what was sent to an address, oldest first; to everybody if it is empty.
func (s *Store) Mails(to string) []*mail.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*mail.Message
	for _, m := range s.mails {
		if to == "" || m.To == to {
			out = append(out, m)
		}
	}
	return out
}

// Last returns the newest mail to an address, which must be of the kind.
func (s *Store) Last(t testing.TB, to, kind string) *mail.Message {
	t.Helper()
	mails := s.Mails(to)
	if len(mails) == 0 {
		t.Fatalf("%s got no mail", to)
	}
	m := mails[len(mails)-1]
	if m.Kind != kind {
		t.Fatalf("the newest mail to %s is %s, want %s", to, m.Kind, kind)
	}
	return m
}

// Link returns the only link of a mail that stands on a line of its own.
func Link(t testing.TB, m *mail.Message) string {
	t.Helper()
	var links []string
	for line := range strings.Lines(m.Text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "https://") || strings.HasPrefix(line, "http://") {
			links = append(links, line)
		}
	}
	if len(links) != 1 {
		t.Fatalf("%d links in the mail:\n%s", len(links), m.Text)
	}
	return links[0]
}
