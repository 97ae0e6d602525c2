package storagetest

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/storage"
)

func testMails(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", mailRoundTrip}, {"TakenID", mailTaken}, {"DueLongestFirst", mailOrder}, {"LeaseKeepsOthersAway", mailLease}, {"RetryAndFinish", mailRetry},
		{"MissingIsNoError", mailMissing}, {"ExpiredAreNotClaimed", mailExpired}, {"WaitingLeavesExpiredOut", mailWaiting},
	})
}

// unsavedMail returns a message that is due after a delay and expires an hour after now.
func (f *fixture) unsavedMail(delay time.Duration) *storage.Mail {
	now := micro(f.clock.Now())
	return &storage.Mail{ID: name("mail"), Kind: "reset", Body: []byte("\x00\xffsealed"), Created: now, NextAttempt: now.Add(delay), Expires: now.Add(time.Hour)}
}

func (f *fixture) mail(t *testing.T, delay time.Duration) *storage.Mail {
	t.Helper()
	m := f.unsavedMail(delay)
	need(t, f.QueueMail(bg, m))
	return m
}

// drainMails finishes whatever others left in the queue and is not over.
func (f *fixture) drainMails(t *testing.T) {
	t.Helper()
	left, err := f.ClaimMails(bg, f.clock.Now().Add(30*time.Minute), time.Minute, 10_000)
	need(t, err)
	for _, m := range left {
		need(t, f.FinishMail(bg, m.ID))
	}
}

// claimMails claims for a minute and returns the ids, in order.
func (f *fixture) claimMails(t *testing.T, at time.Time, limit int) []string {
	t.Helper()
	rows, err := f.ClaimMails(bg, at, time.Minute, limit)
	need(t, err)
	ids := []string{}
	for _, m := range rows {
		ids = append(ids, m.ID)
		same(t, "NextAttempt of a claimed mail", m.NextAttempt, micro(at.Add(time.Minute)))
	}
	return ids
}

func mailRoundTrip(t *testing.T, f *fixture) {
	f.drainMails(t)
	want := f.unsavedMail(0)
	want.Attempts = 2
	need(t, f.QueueMail(bg, want))
	got, err := f.ClaimMails(bg, f.clock.Now(), time.Minute, 10)
	need(t, err)
	want.NextAttempt, want.Attempts = micro(f.clock.Now()).Add(time.Minute), 3
	same(t, "claimed", got, []*storage.Mail{want})
}

func mailTaken(t *testing.T, f *fixture) {
	f.drainMails(t)
	first, second := f.mail(t, 0), f.unsavedMail(0)
	second.ID, second.Body = first.ID, []byte("other")
	wantExists(t, "QueueMail", f.QueueMail(bg, second), "id")
	got, err := f.ClaimMails(bg, f.clock.Now(), time.Minute, 10)
	need(t, err)
	same(t, "body", string(got[0].Body), string(first.Body))
}

func mailOrder(t *testing.T, f *fixture) {
	f.drainMails(t)
	now := f.clock.Now()
	var rows []*storage.Mail
	for _, delay := range []time.Duration{10, 1, 2, 3, 4} {
		rows = append(rows, f.mail(t, delay*time.Second))
	}
	same(t, "just before the first is due", f.claimMails(t, micro(now).Add(time.Second-time.Microsecond), 10), []string{})
	later := now.Add(20 * time.Second)
	same(t, "the first page", f.claimMails(t, later, 2), []string{rows[1].ID, rows[2].ID})
	same(t, "the rest", f.claimMails(t, later, 10), []string{rows[3].ID, rows[4].ID, rows[0].ID})
	same(t, "nothing is left", f.claimMails(t, later, 10), []string{})
}

func mailLease(t *testing.T, f *fixture) {
	f.drainMails(t)
	row, now := f.mail(t, 0), f.clock.Now()
	for n := range 3 {
		got, err := f.ClaimMails(bg, now, time.Minute, 10)
		need(t, err)
		if len(got) != 1 || got[0].ID != row.ID || got[0].Attempts != n+1 {
			t.Fatalf("claim %d: %+v, want %s with attempt %d", n, got, row.ID, n+1)
		}
		now = micro(now).Add(time.Minute)
		same(t, "while the lease lasts", f.claimMails(t, now.Add(-time.Microsecond), 10), []string{})
	}
}

func mailRetry(t *testing.T, f *fixture) {
	f.drainMails(t)
	rows, now := []*storage.Mail{f.mail(t, 0), f.mail(t, 0), f.mail(t, time.Second)}, f.clock.Now().Add(time.Second)
	same(t, "claimed", len(f.claimMails(t, now, 10)), 3)
	need(t, f.RetryMail(bg, rows[0].ID, now.Add(time.Second)))
	need(t, f.FinishMail(bg, rows[1].ID))
	same(t, "retried", f.claimMails(t, now.Add(time.Second), 10), []string{rows[0].ID})
	same(t, "after the lease", f.claimMails(t, now.Add(10*time.Minute), 10), []string{rows[2].ID, rows[0].ID})
}

func mailMissing(t *testing.T, f *fixture) {
	f.drainMails(t)
	need(t, f.RetryMail(bg, name("mail"), f.clock.Now()))
	need(t, f.FinishMail(bg, name("mail")))
	same(t, "claimed", f.claimMails(t, f.clock.Now().Add(10*time.Minute), 10), []string{})
}

func mailExpired(t *testing.T, f *fixture) {
	f.drainMails(t)
	row := f.mail(t, 0)
	same(t, "at Expires", f.claimMails(t, row.Expires, 10), []string{})
	same(t, "just before it", f.claimMails(t, row.Expires.Add(-time.Microsecond), 10), []string{row.ID})
}

func mailWaiting(t *testing.T, f *fixture) {
	f.drainMails(t)
	f.clock.advance(3 * time.Hour) // what the other rules left is over
	for i := range 4 {
		m := f.unsavedMail(time.Second)
		m.Expires = m.Created.Add(time.Duration(i) * time.Minute)
		need(t, f.QueueMail(bg, m))
		if i == 3 {
			f.claimMails(t, m.NextAttempt, 1) // one that is being sent waits, too
		}
	}
	for i, want := range []int{3, 2, 1, 0} {
		n, err := f.WaitingMails(bg, f.clock.Now().Add(time.Duration(i)*time.Minute))
		need(t, err)
		same(t, fmt.Sprintf("waiting after %d minutes", i), n, want)
	}
}
