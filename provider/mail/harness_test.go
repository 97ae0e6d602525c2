package mail

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/seal"
	"gatehouse/storage"
	"gatehouse/templates"
)

const (
	issuer = "https://id.example.com/tenant"
	link   = issuer + "/recovery/reset?token=gth_lk_secret-of-the-link"
	reader = "ada@reader.example"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// stage is a Mailer with what it works on.
type stage struct {
	t       *testing.T
	clock   *clock
	store   *queue
	ring    *seal.Ring
	mailer  *Mailer
	log     *buffer
	reports chan error
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newStage(t *testing.T, carrier Carrier) *stage {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.New([][]byte{key})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, ring: ring, clock: &clock{now: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)}, log: &buffer{}, reports: make(chan error, 1000)}
	s.store = &queue{rows: map[string]*storage.Mail{}}
	s.mailer = s.node(carrier)
	return s
}

// node makes another server on the same queue.
func (s *stage) node(carrier Carrier) *Mailer {
	s.t.Helper()
	return s.over(s.store, carrier)
}

// over makes a server on another queue.
func (s *stage) over(store storage.MailStore, carrier Carrier) *Mailer {
	s.t.Helper()
	words, err := templates.Load()
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := New(Options{
		Words: words, Store: store, Seal: s.ring, Carrier: carrier, Issuer: issuer, From: "no-reply@id.example.com", ReplyTo: "Help <help@example.com>",
		Brand: templates.Brand{Name: "Northwind Identity"}, Audit: audit.New(slog.New(slog.NewJSONHandler(s.log, nil))), Now: s.clock.Now,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// run works off the queue in the background until the test ends or stop is called.
func (s *stage) run(m *Mailer) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Run(ctx, func(err error) { s.reports <- err })
	}()
	stop = func() { cancel(); <-done }
	s.t.Cleanup(stop)
	return stop
}

// report waits for the next thing that Run reports.
func (s *stage) report() error {
	s.t.Helper()
	select {
	case err := <-s.reports:
		return err
	case <-time.After(30 * time.Second):
		s.t.Fatal("nothing is reported")
		return nil
	}
}

func (s *stage) send(to string) {
	s.t.Helper()
	if err := s.mailer.Send(s.t.Context(), to, "en", reset()); err != nil {
		s.t.Fatal(err)
	}
}

func reset() templates.Mail {
	return templates.Mail{Kind: templates.MailReset, Name: "Ada", Link: link, Life: 20 * time.Minute}
}

func wait(t *testing.T, arrived <-chan struct{}) {
	t.Helper()
	select {
	case <-arrived:
	case <-time.After(30 * time.Second):
		t.Fatal("no mail arrives")
	}
}

// queue is a small storage.MailStore that can be looked into; nodes_test.go has the real ones.
type queue struct {
	mu   sync.Mutex
	rows map[string]*storage.Mail
}

func (q *queue) QueueMail(_ context.Context, m *storage.Mail) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	row := *m
	q.rows[m.ID] = &row
	return nil
}

func (q *queue) ClaimMails(_ context.Context, now time.Time, lease time.Duration, limit int) ([]*storage.Mail, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var due []*storage.Mail
	for _, row := range q.rows {
		if !row.NextAttempt.After(now) && row.Expires.After(now) {
			due = append(due, row)
		}
	}
	slices.SortFunc(due, func(a, b *storage.Mail) int {
		if c := a.NextAttempt.Compare(b.NextAttempt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	var out []*storage.Mail
	for _, row := range due[:min(limit, len(due))] {
		row.Attempts++
		row.NextAttempt = now.Add(lease)
		claimed := *row
		out = append(out, &claimed)
	}
	return out, nil
}

func (q *queue) RetryMail(_ context.Context, id string, next time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if row := q.rows[id]; row != nil {
		row.NextAttempt = next
	}
	return nil
}

func (q *queue) FinishMail(_ context.Context, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.rows, id)
	return nil
}

func (q *queue) WaitingMails(_ context.Context, now time.Time) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, row := range q.rows {
		if row.Expires.After(now) {
			n++
		}
	}
	return n, nil
}

// waiting lists the rows.
func (q *queue) waiting() []storage.Mail {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []storage.Mail
	for _, row := range q.rows {
		out = append(out, *row)
	}
	return out
}
