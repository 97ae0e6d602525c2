package storagetest

import (
	"slices"
	"testing"
	"time"

	"gatehouse/storage"
)

func testActivities(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"NewestFirst", activityOrder}, {"MissingUserIsNoError", activityMissing}, {"NewOnePushesTheOldestOut", activityLimit}, {"AnyAgentIsTaken", activityAnyAgent},
	})
}

func (f *fixture) unsavedActivity(subject string) *storage.Activity {
	return &storage.Activity{ID: name("activity"), Subject: subject, Kind: "login.ok", Time: micro(f.clock.Now()), AMR: []string{"pwd", "otp"}, ClientID: "app",
		Detail: "Schlüssel", IP: "2001:db8::1", UserAgent: "Mozilla/5.0"}
}

func (f *fixture) activity(t *testing.T, subject string) *storage.Activity {
	t.Helper()
	a := f.unsavedActivity(subject)
	need(t, f.AddActivity(bg, a))
	return a
}

func (f *fixture) activities(t *testing.T, subject string, limit int) []*storage.Activity {
	t.Helper()
	got, err := f.Activities(bg, subject, limit)
	need(t, err)
	return got
}

func activityOrder(t *testing.T, f *fixture) {
	u := f.user(t)
	f.activity(t, f.user(t).Subject)
	var want []*storage.Activity
	for range 3 {
		want = append(want, f.activity(t, u.Subject))
		f.clock.advance(time.Second)
	}
	bare := &storage.Activity{ID: name("activity"), Subject: u.Subject, Kind: "factor.enrolled", Time: micro(f.clock.Now())}
	need(t, f.AddActivity(bg, bare))
	want = append(want, bare)
	slices.Reverse(want)
	same(t, "all", f.activities(t, u.Subject, 10), want)
	same(t, "two", f.activities(t, u.Subject, 2), want[:2])
}

func activityMissing(t *testing.T, f *fixture) {
	f.activity(t, name("nobody"))
	same(t, "of nobody", len(f.activities(t, name("nobody"), 10)), 0)
}

func activityLimit(t *testing.T, f *fixture) {
	u, neighbour := f.user(t), f.user(t)
	spared := f.activity(t, neighbour.Subject)
	var all []*storage.Activity
	for range storage.MaxActivities + 3 {
		f.clock.advance(time.Second)
		all = append(all, f.activity(t, u.Subject))
	}
	slices.Reverse(all)
	same(t, "what is kept", f.activities(t, u.Subject, 1000), all[:storage.MaxActivities])
	same(t, "a neighbour's", f.activities(t, neighbour.Subject, 10), []*storage.Activity{spared})
}

// activityAnyAgent: what a browser says of itself never hinders anybody, whatever bytes it is made of.
func activityAnyAgent(t *testing.T, f *fixture) {
	u := f.user(t)
	a := f.unsavedActivity(u.Subject)
	a.UserAgent, a.IP, a.Detail = "Mozilla\x00/5\xff", "\x00", "\xff"
	need(t, f.AddActivity(bg, a))
	same(t, "lines", len(f.activities(t, u.Subject, 10)), 1)
}
