package mail

import (
	"context"
	"sync"
)

// Carrier takes messages to where people read them.
type Carrier interface {
	// Open begins a run of deliveries. An error says that nothing can be delivered now. It may not hold what a log must not.
	Open(ctx context.Context) (Run, error)
}

// Run delivers one message after the other. It is used by one goroutine.
type Run interface {
	// Deliver hands one message over. Refused: it will never be taken. Any other error: perhaps later, and this run is over. Neither may hold the address or what the
	// message says.
	Deliver(ctx context.Context, m *Message) error
	// Close ends the run.
	Close()
}

// Refused says that the other side will not take a message, now or later.
type Refused struct{ Reason string }

func (r *Refused) Error() string { return "refused: " + r.Reason }

// Box is a Carrier that keeps the newest messages in memory, for people to look at: the mailbox of --dev, and of tests.
type Box struct {
	size int

	mu       sync.Mutex
	messages []*Message
}

// NewBox makes a Box for so many messages.
func NewBox(size int) *Box { return &Box{size: size} }

// Open implements Carrier.
func (b *Box) Open(context.Context) (Run, error) { return b, nil }

// Deliver implements Run.
func (b *Box) Deliver(_ context.Context, m *Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, m)
	if len(b.messages) > b.size {
		b.messages = append([]*Message(nil), b.messages[len(b.messages)-b.size:]...)
	}
	return nil
}

// Close implements Run.
func (b *Box) Close() {}

// Messages returns what is in the box, newest first.
func (b *Box) Messages() []*Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*Message, 0, len(b.messages))
	for i := len(b.messages) - 1; i >= 0; i-- {
		out = append(out, b.messages[i])
	}
	return out
}
