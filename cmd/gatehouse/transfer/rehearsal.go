package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"gatehouse/storage"
)

// rehearsal checks lines as an import would and writes nothing. It remembers the names of the lines before, which an import finds in the store.
type rehearsal struct {
	*Import
	seen map[string]sighting
}

// sighting is the line that a name was on first, and a hash of what it said.
type sighting struct {
	line int
	said [sha256.Size]byte
}

func (h *rehearsal) check(ctx context.Context, items []*item, c *Counts) error {
	for _, i := range items {
		var result error
		if i.fault == nil {
			var err error
			if result, err = h.meets(ctx, i); err != nil {
				return fmt.Errorf("line %d: %w", i.line, err)
			}
		}
		if i.fault == nil && result == nil {
			before := h.before(i)
			if before != nil && before.said == said(i) {
				c.Lines++
				c.Unchanged++
				continue
			}
			if before != nil {
				i.fault = faultf(before.field, "is on line %d already", before.line)
			}
		}
		if err := h.settle(ctx, i, result, c); err != nil {
			return err
		}
	}
	return nil
}

// meets returns what ImportUsers would say of a user.
func (h *rehearsal) meets(ctx context.Context, i *item) (refused, err error) {
	u := i.user.User
	asks := []func() (string, error){
		func() (string, error) { _, err := h.Store.User(ctx, u.Subject); return "id", err },
		func() (string, error) { _, _, err := h.Store.UserByLogin(ctx, u.EmailKey); return "email", err },
		func() (string, error) { _, _, err := h.Store.UserByLogin(ctx, u.UsernameKey); return "username", err },
	}
	for _, id := range i.user.Identities {
		asks = append(asks, func() (string, error) {
			_, _, err := h.Store.Identity(ctx, id.Upstream, id.ExternalID)
			return "identity", err
		})
	}
	for _, ask := range asks {
		field, err := ask()
		switch {
		case err == nil:
			return &storage.ExistsError{Field: field}, nil
		case !errors.Is(err, storage.ErrNotFound):
			return nil, err
		}
	}
	return nil, nil
}

// earlier is a line before that has a name of this one.
type earlier struct {
	sighting
	field string
}

// said is a hash of all that a line says, whatever the order of its members. A sub that was made is none of it.
func said(i *item) [sha256.Size]byte {
	l := lineOf(i.user, true)
	if !i.given {
		l.Sub = ""
	}
	text, _ := json.Marshal(l) // of text, times and what was JSON before
	return sha256.Sum256(text)
}

// before returns a line before that has a name of this one, and remembers the names of this one if there is none.
func (h *rehearsal) before(i *item) *earlier {
	u := i.user.User
	names := map[string]string{"id\n" + u.Subject: "sub"}
	if u.EmailKey != "" {
		names["login\n"+u.EmailKey] = "email"
	}
	if u.UsernameKey != "" {
		names["login\n"+u.UsernameKey] = "username"
	}
	for _, id := range i.user.Identities {
		names["identity\n"+id.Upstream+"\n"+id.ExternalID] = "identities"
	}
	for name, field := range names {
		if s, there := h.seen[name]; there {
			return &earlier{s, field}
		}
	}
	for name := range names {
		h.seen[name] = sighting{i.line, said(i)}
	}
	return nil
}
