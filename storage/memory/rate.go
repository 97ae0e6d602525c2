package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

// Remember implements storage.ReplayStore.
func (s *Store) Remember(ctx context.Context, key string, expires time.Time) error {
	end, err := s.begin(ctx, "Remember")
	if err != nil {
		return err
	}
	defer end()
	if until, ok := s.replays[key]; ok && s.clock().Before(until) {
		return storage.ErrConsumed
	}
	s.replays[key] = micro(expires)
	return nil
}

// Rate implements storage.RateStore.
func (s *Store) Rate(ctx context.Context, key string) (time.Time, error) {
	end, err := s.begin(ctx, "Rate")
	if err != nil {
		return time.Time{}, err
	}
	defer end()
	return s.rates[key], nil
}

// SwapRate implements storage.RateStore.
func (s *Store) SwapRate(ctx context.Context, key string, old, next time.Time) (bool, error) {
	must(!next.IsZero(), "a rate of zero, which means no row")
	end, err := s.begin(ctx, "SwapRate")
	if err != nil {
		return false, err
	}
	defer end()
	if !s.rates[key].Equal(micro(old)) {
		return false, nil
	}
	s.rates[key] = micro(next)
	return true, nil
}

// CreateNotice implements storage.NoticeStore.
func (s *Store) CreateNotice(ctx context.Context, n *storage.Notice) error {
	must(n.ID != "" && n.Subject != "" && n.Kind != "", "an incomplete notice %q of kind %q for %q", n.ID, n.Kind, n.Subject)
	end, err := s.begin(ctx, "CreateNotice")
	if err != nil {
		return err
	}
	defer end()
	for _, have := range s.notices {
		if have.Subject == n.Subject && have.Kind == n.Kind && have.ClientID == n.ClientID {
			return nil
		}
	}
	s.notices[n.ID] = clone(n)
	return nil
}

// Notices implements storage.NoticeStore.
func (s *Store) Notices(ctx context.Context, subject string) ([]*storage.Notice, error) {
	end, err := s.begin(ctx, "Notices")
	if err != nil {
		return nil, err
	}
	defer end()
	var out []*storage.Notice
	for _, n := range s.notices {
		if n.Subject == subject {
			out = append(out, clone(n))
		}
	}
	slices.SortFunc(out, func(a, b *storage.Notice) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out[:min(len(out), 20)], nil
}

// DismissNotice implements storage.NoticeStore.
func (s *Store) DismissNotice(ctx context.Context, subject, id string) error {
	end, err := s.begin(ctx, "DismissNotice")
	if err != nil {
		return err
	}
	defer end()
	if n := s.notices[id]; n != nil && n.Subject == subject {
		delete(s.notices, id)
	}
	return nil
}
