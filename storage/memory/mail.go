package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

// QueueMail implements storage.MailStore.
func (s *Store) QueueMail(ctx context.Context, m *storage.Mail) error {
	must(m.ID != "" && !m.NextAttempt.IsZero() && !m.Expires.IsZero(), "a mail %q that is due at %v until %v", m.ID, m.NextAttempt, m.Expires)
	end, err := s.begin(ctx, "QueueMail")
	if err != nil {
		return err
	}
	defer end()
	if s.mails[m.ID] != nil {
		return exists("id")
	}
	row := clone(m)
	row.Body = filled(row.Body)
	s.mails[m.ID] = row
	return nil
}

// ClaimMails implements storage.MailStore.
func (s *Store) ClaimMails(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*storage.Mail, error) {
	must(lease > 0 && limit > 0, "a claim of %d mails for %v", limit, lease)
	end, err := s.begin(ctx, "ClaimMails")
	if err != nil {
		return nil, err
	}
	defer end()
	now = micro(now)
	var due []*storage.Mail
	for _, m := range s.mails {
		if !m.NextAttempt.After(now) && now.Before(m.Expires) {
			due = append(due, m)
		}
	}
	slices.SortFunc(due, func(a, b *storage.Mail) int {
		return cmp.Or(a.NextAttempt.Compare(b.NextAttempt), strings.Compare(a.ID, b.ID))
	})
	due = due[:min(len(due), limit)]
	for _, m := range due {
		m.NextAttempt = micro(now.Add(lease))
		m.Attempts++
	}
	return clone(due), nil
}

// RetryMail implements storage.MailStore.
func (s *Store) RetryMail(ctx context.Context, id string, next time.Time) error {
	must(id != "" && !next.IsZero(), "mail %q is due at %v", id, next)
	end, err := s.begin(ctx, "RetryMail")
	if err != nil {
		return err
	}
	defer end()
	if m := s.mails[id]; m != nil {
		m.NextAttempt = micro(next)
	}
	return nil
}

// FinishMail implements storage.MailStore.
func (s *Store) FinishMail(ctx context.Context, id string) error {
	end, err := s.begin(ctx, "FinishMail")
	if err != nil {
		return err
	}
	defer end()
	delete(s.mails, id)
	return nil
}

// WaitingMails implements storage.MailStore.
func (s *Store) WaitingMails(ctx context.Context, now time.Time) (int, error) {
	end, err := s.begin(ctx, "WaitingMails")
	if err != nil {
		return 0, err
	}
	defer end()
	n := 0
	for _, m := range s.mails {
		if micro(now).Before(m.Expires) {
			n++
		}
	}
	return n, nil
}
