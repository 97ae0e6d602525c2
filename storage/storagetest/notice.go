package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

func testNotices(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{{"KeptOnceUntilDismissed", noticeOnce}, {"NewestTwentyFirst", noticeNewest}, {"OnlyTheSubjectDismisses", noticeDismiss}})
}

func (f *fixture) notice(t *testing.T, subject, kind, clientID string) *storage.Notice {
	t.Helper()
	n := &storage.Notice{ID: name("notice"), Subject: subject, Kind: kind, ClientID: clientID, Created: f.clock.Now()}
	need(t, f.CreateNotice(bg, n))
	n.Created = micro(n.Created)
	return n
}

func (f *fixture) notices(t *testing.T, subject string) []*storage.Notice {
	t.Helper()
	got, err := f.Notices(bg, subject)
	need(t, err)
	return got
}

func noticeOnce(t *testing.T, f *fixture) {
	u := f.user(t)
	first := f.notice(t, u.Subject, "refresh_reuse", "a")
	f.clock.advance(time.Second)
	f.notice(t, u.Subject, "refresh_reuse", "a")
	same(t, "after a repetition", f.notices(t, u.Subject), []*storage.Notice{first})
	f.clock.advance(time.Second)
	other := f.notice(t, u.Subject, "refresh_reuse", "b")
	f.clock.advance(time.Second)
	kind := f.notice(t, u.Subject, "another", "a")
	same(t, "other client, other kind", f.notices(t, u.Subject), []*storage.Notice{kind, other, first})
	need(t, f.DismissNotice(bg, u.Subject, first.ID))
	f.clock.advance(time.Second)
	again := f.notice(t, u.Subject, "refresh_reuse", "a")
	same(t, "after dismissal", f.notices(t, u.Subject)[:1], []*storage.Notice{again})
}

func noticeNewest(t *testing.T, f *fixture) {
	u := f.user(t)
	var last *storage.Notice
	for range 25 {
		last = f.notice(t, u.Subject, "refresh_reuse", name("client"))
		f.clock.advance(time.Second)
	}
	got := f.notices(t, u.Subject)
	same(t, "number", len(got), 20)
	same(t, "first", got[0], last)
	for i := range got[1:] {
		if !got[i].Created.After(got[i+1].Created) {
			t.Fatalf("notice %d is not newer than the next", i)
		}
	}
}

func noticeDismiss(t *testing.T, f *fixture) {
	u, mallory := f.user(t), f.user(t)
	n := f.notice(t, u.Subject, "refresh_reuse", "a")
	need(t, f.DismissNotice(bg, mallory.Subject, n.ID))
	same(t, "after another user's attempt", f.notices(t, u.Subject), []*storage.Notice{n})
	need(t, f.DismissNotice(bg, u.Subject, n.ID))
	same(t, "after dismissal", len(f.notices(t, u.Subject)), 0)
	need(t, f.DismissNotice(bg, u.Subject, n.ID))
	same(t, "notices of nobody", len(f.notices(t, name("nobody"))), 0)
}
