package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse/storage"
)

// batch is how many users are stored in one transaction: enough to be quick, few enough for a server beside it to get its turn.
const batchSize = 500

// Store is what an import needs of storage.
type Store interface {
	ImportUsers(ctx context.Context, users []storage.ImportedUser) ([]error, error)
	User(ctx context.Context, subject string) (*storage.User, error)
	UserByLogin(ctx context.Context, key string) (*storage.User, string, error)
	Identity(ctx context.Context, upstream, externalID string) (*storage.Identity, *storage.User, error)
	IdentitiesOf(ctx context.Context, subject string) ([]*storage.Identity, error)
}

// Import takes users from lines. It can be run again with the same lines: a user who is there with what the line says is counted as unchanged.
type Import struct {
	Store  Store
	Hashes Hashes
	// NewSubject makes the sub of a user who comes without one.
	NewSubject func() string
	// Dry checks the lines, also against the store, and writes nothing.
	Dry bool
	// Refuse is told every line that is refused, in order.
	Refuse func(Refusal) error
	// Progress is told after every batch how much was read.
	Progress func(c Counts, bytes int64)
	Now      func() time.Time
}

// Counts is what came of the lines.
type Counts struct {
	Lines     int `json:"lines"`
	Imported  int `json:"imported"`
	Unchanged int `json:"unchanged"`
	Refused   int `json:"refused"`
	// Upstreams counts the identities that were imported or would be, by the id of the upstream.
	Upstreams map[string]int `json:"-"`
}

// item is one line on its way.
type item struct {
	line    int
	user    storage.ImportedUser
	given   bool      // the line has a sub
	created time.Time // as the line has it: the store puts its own time into a user without one
	fault   *Fault
}

// batch is a few lines, and how many bytes were read when it was full.
type batch struct {
	items []*item
	read  int64
	err   error
}

// Run reads to the end. The counts are right even with an error: what is imported stays.
func (m *Import) Run(ctx context.Context, r io.Reader) (Counts, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan batch, 1) // one is read while the other is stored
	go m.read(ctx, r, batches)
	counts := Counts{Upstreams: map[string]int{}}
	take := m.write
	if m.Dry {
		take = (&rehearsal{Import: m, seen: map[string]sighting{}}).check
	}
	for {
		select {
		case b, more := <-batches:
			if !more {
				return counts, ctx.Err()
			}
			if err := errors.Join(take(ctx, b.items, &counts), b.err); err != nil {
				return counts, err
			}
			m.Progress(counts, b.read)
		case <-ctx.Done():
			return counts, ctx.Err()
		}
	}
}

func (m *Import) read(ctx context.Context, r io.Reader, to chan<- batch) {
	defer close(to)
	in := newLines(r)
	for more := true; more; {
		var b batch
		b, more = m.batch(in)
		select {
		case to <- b:
		case <-ctx.Done():
			return
		}
	}
}

// batch reads lines until there are enough; more is false at the end.
func (m *Import) batch(in *lines) (b batch, more bool) {
	for len(b.items) < batchSize {
		text, fault, err := in.next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				b.err = err
			}
			b.read = in.read
			return b, false
		}
		b.items = append(b.items, m.parse(in.n, text, fault))
	}
	b.read = in.read
	return b, true
}

func (m *Import) parse(line int, text []byte, fault *Fault) *item {
	i := &item{line: line, fault: fault}
	if fault != nil {
		return i
	}
	if i.user, i.fault = Parse(text, m.Hashes, m.Now()); i.fault != nil {
		return i
	}
	i.created = i.user.User.Created
	if i.given = i.user.User.Subject != ""; !i.given {
		i.user.User.Subject = m.NewSubject()
	}
	for _, id := range i.user.Identities {
		id.Subject = i.user.User.Subject
	}
	return i
}

// write stores a batch.
func (m *Import) write(ctx context.Context, items []*item, c *Counts) error {
	var users []storage.ImportedUser
	for _, i := range items {
		if i.fault == nil {
			users = append(users, i.user)
		}
	}
	var results []error
	if len(users) > 0 {
		var err error
		if results, err = m.Store.ImportUsers(ctx, users); err != nil {
			return fmt.Errorf("store lines %d to %d: %w", items[0].line, items[len(items)-1].line, err)
		}
	}
	for _, i := range items {
		var result error
		if i.fault == nil {
			result, results = results[0], results[1:]
		}
		if err := m.settle(ctx, i, result, c); err != nil {
			return err
		}
	}
	return nil
}

// settle counts what came of a line.
func (m *Import) settle(ctx context.Context, i *item, result error, c *Counts) error {
	c.Lines++
	same := false
	if i.fault == nil && result != nil {
		var err error
		if same, i.fault, err = m.compare(ctx, i, result); err != nil {
			return fmt.Errorf("line %d: %w", i.line, err)
		}
	}
	switch {
	case i.fault != nil:
		c.Refused++
		return m.Refuse(Refusal{i.line, i.fault})
	case same:
		c.Unchanged++
	default:
		c.Imported++
		for _, id := range i.user.Identities {
			c.Upstreams[id.Upstream]++
		}
	}
	return nil
}
