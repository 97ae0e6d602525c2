package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

// drain finishes whatever others left in the queue.
func (f *fixture) drain(t *testing.T) {
	t.Helper()
	left, err := f.ClaimLogouts(bg, f.clock.Now().Add(3*time.Hour), time.Minute, 10_000)
	need(t, err)
	for _, l := range left {
		need(t, f.FinishLogout(bg, l.ID))
	}
}

// alone drains the queue and returns n deliveries of a new session, each due a second after the one before.
func (f *fixture) alone(t *testing.T, n int) []*storage.LogoutDelivery {
	t.Helper()
	f.drain(t)
	s := f.session(t, f.user(t).Subject)
	for range n {
		f.visit(t, s, f.listener(t))
	}
	need(t, f.EndSession(bg, s.ID))
	rows := f.deliveries(t, s.Subject)
	same(t, "deliveries", len(rows), n)
	for i, l := range rows {
		need(t, f.RetryLogout(bg, l.ID, f.clock.Now().Add(time.Duration(i)*time.Second), true))
	}
	return rows
}

// claim claims for a minute and returns the ids, in order.
func (f *fixture) claim(t *testing.T, at time.Time, limit int) []string {
	t.Helper()
	rows, err := f.ClaimLogouts(bg, at, time.Minute, limit)
	need(t, err)
	ids := []string{}
	for _, l := range rows {
		ids = append(ids, l.ID)
		same(t, "NextAttempt of a claimed delivery", l.NextAttempt, micro(at.Add(time.Minute)))
	}
	return ids
}

func logoutOrder(t *testing.T, f *fixture) {
	rows, now := f.alone(t, 5), f.clock.Now()
	need(t, f.RetryLogout(bg, rows[0].ID, now.Add(10*time.Second), true))
	same(t, "at once", f.claim(t, now, 10), []string{})
	same(t, "just before the first is due", f.claim(t, micro(now).Add(time.Second-time.Microsecond), 10), []string{})
	later := now.Add(20 * time.Second)
	same(t, "the first page", f.claim(t, later, 2), []string{rows[1].ID, rows[2].ID})
	same(t, "the rest", f.claim(t, later, 10), []string{rows[3].ID, rows[4].ID, rows[0].ID})
	same(t, "nothing is left", f.claim(t, later, 10), []string{})
}

func logoutLease(t *testing.T, f *fixture) {
	row, now := f.alone(t, 1)[0], f.clock.Now()
	for n := range 3 {
		got, err := f.ClaimLogouts(bg, now, time.Minute, 10)
		need(t, err)
		if len(got) != 1 || got[0].ID != row.ID || got[0].Attempts != row.Attempts+n+1 || !got[0].Created.Equal(row.Created) || !got[0].Expires.Equal(row.Expires) {
			t.Fatalf("claim %d: %+v, want %+v with attempt %d", n, got, row, row.Attempts+n+1)
		}
		now = micro(now).Add(time.Minute)
		same(t, "while the lease lasts", f.claim(t, now.Add(-time.Microsecond), 10), []string{})
	}
}

func logoutRetry(t *testing.T, f *fixture) {
	rows, now := f.alone(t, 3), f.clock.Now().Add(time.Minute)
	same(t, "claimed", len(f.claim(t, now, 10)), 3)
	need(t, f.RetryLogout(bg, rows[0].ID, now.Add(time.Second), true))
	need(t, f.FinishLogout(bg, rows[1].ID))
	same(t, "retried", f.claim(t, now.Add(time.Second), 10), []string{rows[0].ID})
	same(t, "after the lease", f.claim(t, now.Add(time.Hour), 10), []string{rows[2].ID, rows[0].ID})

	// A claim that led to no attempt does not count.
	before, err := f.ClaimLogouts(bg, now.Add(2*time.Hour), time.Minute, 1)
	need(t, err)
	need(t, f.RetryLogout(bg, before[0].ID, now, false))
	after, err := f.ClaimLogouts(bg, now.Add(2*time.Hour), time.Minute, 1)
	need(t, err)
	same(t, "the delivery", after[0].ID, before[0].ID)
	same(t, "attempts", after[0].Attempts, before[0].Attempts)
}

func logoutMissing(t *testing.T, f *fixture) {
	need(t, f.RetryLogout(bg, name("delivery"), f.clock.Now(), true))
	need(t, f.FinishLogout(bg, name("delivery")))
	f.alone(t, 0)
	same(t, "claimed", f.claim(t, f.clock.Now().Add(time.Hour), 10), []string{})
}

func logoutExpired(t *testing.T, f *fixture) {
	row, end := f.alone(t, 1)[0], micro(f.clock.Now()).Add(storage.LogoutRetention)
	same(t, "at Expires", f.claim(t, end, 10), []string{})
	same(t, "just before it", f.claim(t, end.Add(-time.Microsecond), 10), []string{row.ID})
}

func logoutClientGone(t *testing.T, f *fixture) {
	rows, later := f.alone(t, 2), f.clock.Now().Add(time.Minute)
	need(t, f.DeleteClient(bg, rows[0].ClientID))
	need(t, f.CreateClient(bg, &storage.Client{ID: rows[0].ClientID, BackchannelLogoutURI: "https://rp.example/logout"}))
	same(t, "claimed", f.claim(t, later, 10), []string{rows[1].ID})
}

func logoutClientDisabled(t *testing.T, f *fixture) {
	rows := f.alone(t, 1)
	_, err := f.UpdateClient(bg, rows[0].ClientID, func(c *storage.Client) error { c.Disabled = true; return nil })
	need(t, err)
	same(t, "claimed", f.claim(t, f.clock.Now().Add(time.Minute), 10), []string{rows[0].ID})
}
