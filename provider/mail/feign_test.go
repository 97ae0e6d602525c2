package mail

import (
	"errors"
	"testing"
	"time"

	"gatehouse/storage"
	"gatehouse/templates"
)

func TestRow136FeignedMailIsWrittenAsARealOneAndReachesNobody(t *testing.T) {
	box := NewBox(10)
	s := newStage(t, box)
	s.send(reader)
	if err := s.mailer.Feign(t.Context(), "en", reset()); err != nil {
		t.Fatal(err)
	}
	s.store.mu.Lock()
	var sizes []int
	var dead *storage.Mail
	for _, row := range s.store.rows {
		sizes = append(sizes, len(row.Body))
		if row.Expires.Before(row.Created) {
			dead = row
		}
	}
	s.store.mu.Unlock()
	if len(sizes) != 2 || dead == nil {
		t.Fatalf("%d rows, the dead one is %v", len(sizes), dead)
	}
	if d := sizes[0] - sizes[1]; d < -200 || d > 200 {
		t.Errorf("the bodies have %d bytes", sizes)
	}
	s.run(s.mailer)
	if err := s.report(); err != nil {
		t.Fatal(err)
	}
	s.clock.add(time.Minute)
	s.mailer.Wake()
	if got := box.Messages(); len(got) != 1 || got[0].To != reader {
		t.Errorf("%d messages were delivered", len(got))
	}
	if err := newStage(t, nil).mailer.Feign(t.Context(), "en", templates.Mail{Kind: templates.MailReset}); !errors.Is(err, ErrOff) {
		t.Errorf("without a mail server: %v", err)
	}
}
