package storagetest

import (
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
)

func testSessions(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", sessionRoundTrip}, {"Missing", sessionMissing}, {"Duplicate", sessionDuplicate}, {"NotFoundPastAbsolute", sessionAbsolute},
		{"UpdateChangesCookie", sessionUpdate}, {"CookieCannotBeTaken", sessionTakenCookie}, {"RefusedChangeSavesNothing", sessionRefusedChange},
		{"IDAndSubjectCannotChange", sessionKeepsID}, {"TouchMovesForwardOnly", sessionTouch}, {"DiesWithTheUsersEpoch", sessionEpoch}, {"EndIsFinal", sessionEnd},
		{"OfUserNewestFirst", sessionsOf}, {"DisabledUserIsReturned", sessionDisabledUser},
		{"AnyUserAgentIsTaken", sessionAnyAgent},
	})
	t.Run("ListInOrderOfID", func(t *testing.T) { sessionList(t, newFixture(t, open)) })
}

func sessionRoundTrip(t *testing.T, f *fixture) {
	u, now := f.user(t), f.clock.Now().In(time.FixedZone("east", 3600))
	s := &storage.Session{ID: name("sid"), CookieHash: name("cookie"), Subject: u.Subject, AuthTime: now, AMR: []string{"pwd", "otp"}, ACR: "2",
		UserAgent: "Mozilla/5.0 (\"x\"; ü)", IP: "2001:db8::1", Remembered: true, Created: now.Add(1), LastSeen: now.Add(2), Absolute: now.Add(time.Hour + 3)}
	need(t, f.CreateSession(bg, s))
	got, user, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	want := *s
	want.AuthTime, want.Created, want.LastSeen, want.Absolute = micro(s.AuthTime), micro(s.Created), micro(s.LastSeen), micro(s.Absolute)
	same(t, "session", got, want)
	same(t, "user", user, u)
}

func sessionMissing(t *testing.T, f *fixture) {
	_, _, err := f.SessionByCookie(bg, name("cookie"))
	wantErr(t, "SessionByCookie", err, storage.ErrNotFound)
	_, err = f.UpdateSession(bg, name("sid"), func(*storage.Session) error { t.Error("change was called for a missing session"); return nil })
	wantErr(t, "UpdateSession", err, storage.ErrNotFound)
	need(t, f.TouchSession(bg, name("sid"), f.clock.Now()))
	need(t, f.EndSession(bg, name("sid")))
	got, err := f.SessionsOf(bg, name("nobody"))
	need(t, err)
	same(t, "sessions of nobody", len(got), 0)
}

func sessionDuplicate(t *testing.T, f *fixture) {
	s := f.session(t, f.user(t).Subject)
	thief := *s
	thief.CookieHash = name("cookie")
	wantExists(t, "same id", f.CreateSession(bg, &thief), "id")
	_, _, err := f.SessionByCookie(bg, thief.CookieHash)
	wantErr(t, "the refused cookie", err, storage.ErrNotFound)
	thief = *s
	thief.ID = name("sid")
	wantExists(t, "same cookie", f.CreateSession(bg, &thief), "id")
}

func sessionAbsolute(t *testing.T, f *fixture) {
	s := f.session(t, f.user(t).Subject)
	f.clock.advance(time.Hour - time.Microsecond)
	_, _, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	f.clock.advance(time.Microsecond)
	_, _, err = f.SessionByCookie(bg, s.CookieHash)
	wantErr(t, "at Absolute", err, storage.ErrNotFound)
	rows, err := f.SessionsOf(bg, s.Subject)
	need(t, err)
	same(t, "sessions of the user", len(rows), 0)
}

func sessionUpdate(t *testing.T, f *fixture) {
	s, cookie, at := f.session(t, f.user(t).Subject), name("cookie"), f.clock.Now().Add(time.Minute)
	got, err := f.UpdateSession(bg, s.ID, func(s *storage.Session) error {
		s.CookieHash, s.AuthTime, s.AMR, s.ACR, s.LastSeen, s.Remembered = cookie, at, []string{"pwd"}, "1", at, true
		return nil
	})
	need(t, err)
	_, _, err = f.SessionByCookie(bg, s.CookieHash)
	wantErr(t, "the old cookie", err, storage.ErrNotFound)
	row, _, err := f.SessionByCookie(bg, cookie)
	need(t, err)
	same(t, "answer and row", got, row)
	same(t, "AuthTime, AMR and Remembered", []any{row.AuthTime, row.AMR, row.Remembered, row.ID}, []any{micro(at), []string{"pwd"}, true, s.ID})
}

func sessionTakenCookie(t *testing.T, f *fixture) {
	u := f.user(t)
	s, other := f.session(t, u.Subject), f.session(t, u.Subject)
	_, err := f.UpdateSession(bg, s.ID, func(s *storage.Session) error { s.CookieHash = other.CookieHash; return nil })
	wantExists(t, "another's cookie", err, "id")
	got, _, err := f.SessionByCookie(bg, other.CookieHash)
	need(t, err)
	same(t, "holder of the cookie", got.ID, other.ID)
}

func sessionRefusedChange(t *testing.T, f *fixture) {
	s := f.session(t, f.user(t).Subject)
	want, _, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	_, err = f.UpdateSession(bg, s.ID, func(s *storage.Session) error { s.CookieHash, s.ACR = name("cookie"), "9"; return errChange })
	if err != errChange {
		t.Errorf("error %v, want the change's own, unwrapped", err)
	}
	got, _, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	same(t, "row", got, want)
}

func sessionKeepsID(t *testing.T, f *fixture) {
	s, other := f.session(t, f.user(t).Subject), f.user(t)
	_, _ = f.UpdateSession(bg, s.ID, func(s *storage.Session) error { s.ID, s.Subject = name("sid"), other.Subject; return nil })
	got, user, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	same(t, "id and subject", []string{got.ID, got.Subject, user.Subject}, []string{s.ID, s.Subject, s.Subject})
}

func sessionTouch(t *testing.T, f *fixture) {
	s := f.session(t, f.user(t).Subject)
	later := s.LastSeen.Add(time.Minute)
	for _, at := range []time.Time{later, s.LastSeen.Add(time.Second)} {
		need(t, f.TouchSession(bg, s.ID, at))
		got, _, err := f.SessionByCookie(bg, s.CookieHash)
		need(t, err)
		same(t, "LastSeen", got.LastSeen, micro(later))
	}
}

func sessionEnd(t *testing.T, f *fixture) {
	u := f.user(t)
	s, other := f.session(t, u.Subject), f.session(t, u.Subject)
	need(t, f.EndSession(bg, s.ID))
	_, _, err := f.SessionByCookie(bg, s.CookieHash)
	wantErr(t, "the ended session", err, storage.ErrNotFound)
	_, _, err = f.SessionByCookie(bg, other.CookieHash)
	need(t, err)
}

func sessionsOf(t *testing.T, f *fixture) {
	u := f.user(t)
	f.session(t, f.user(t).Subject)
	var want []string
	for range 3 {
		want = append([]string{f.session(t, u.Subject).ID}, want...)
		f.clock.advance(time.Second)
	}
	rows, err := f.SessionsOf(bg, u.Subject)
	need(t, err)
	var got []string
	for _, s := range rows {
		got = append(got, s.ID)
	}
	same(t, "ids", got, want)
}

func sessionDisabledUser(t *testing.T, f *fixture) {
	u := &storage.User{Subject: name("user"), Disabled: true}
	need(t, f.CreateUser(bg, u, ""))
	s := f.session(t, u.Subject)
	_, got, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	same(t, "user", got, u)
}

// sessionAnyAgent: a browser with an odd name can sign in; what a database cannot hold of the name may be replaced.
func sessionAnyAgent(t *testing.T, f *fixture) {
	now := f.clock.Now()
	s := &storage.Session{ID: name("sid"), CookieHash: name("cookie"), Subject: f.user(t).Subject, UserAgent: "a\x00b\xffc", AuthTime: now, Created: now,
		LastSeen: now, Absolute: now.Add(time.Hour)}
	need(t, f.CreateSession(bg, s))
	got, err := f.UpdateSession(bg, s.ID, func(s *storage.Session) error { s.UserAgent = "\xff\x00z"; return nil })
	need(t, err)
	if !strings.HasSuffix(got.UserAgent, "z") {
		t.Errorf("user agent %q", got.UserAgent)
	}
}

// sessionEpoch: a sign-in that was under way while the password changed, or the user was disabled, stores a session that is dead from the start.
func sessionEpoch(t *testing.T, f *fixture) {
	u := f.user(t)
	for what, end := range map[string]func() error{
		"SetPassword": func() error { return f.SetPassword(bg, u.Subject, "new") },
		"Disabled": func() error {
			for _, disabled := range []bool{true, false} {
				if _, err := f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Disabled = disabled; return nil }); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		before, err := f.User(bg, u.Subject)
		need(t, err)
		need(t, end())
		after, err := f.User(bg, u.Subject)
		need(t, err)
		if after.Epoch <= before.Epoch {
			t.Errorf("%s: epoch %d, before %d", what, after.Epoch, before.Epoch)
		}
		late, fresh := f.unsaved(u.Subject), f.unsaved(u.Subject)
		late.Epoch, fresh.Epoch = before.Epoch, after.Epoch
		need(t, f.CreateSession(bg, late))
		need(t, f.CreateSession(bg, fresh))
		_, _, err = f.SessionByCookie(bg, late.CookieHash)
		wantErr(t, what+": the session of the old epoch", err, storage.ErrNotFound)
		got, _, err := f.SessionByCookie(bg, fresh.CookieHash)
		need(t, err)
		same(t, what+": epoch of the new session", got.Epoch, after.Epoch)
	}
}

// sessionList: of all users, in pages, and only what a cookie would find.
func sessionList(t *testing.T, f *fixture) {
	over, dead := f.unsaved(f.user(t).Subject), f.unsaved(f.user(t).Subject)
	over.Absolute, dead.Epoch = f.clock.Now(), 7
	orphan := f.unsaved(name("nobody"))
	for _, s := range []*storage.Session{over, dead, orphan} {
		need(t, f.CreateSession(bg, s))
	}
	var first *storage.Session
	for _, id := range []string{"B", "a", "Z-1", "_x", "b", "ä", "a b"} {
		s := f.unsaved(f.user(t).Subject)
		s.ID = id
		need(t, f.CreateSession(bg, s))
		if id == "B" {
			first = s
		}
	}
	var got []string
	for after := ""; ; {
		page, err := f.ListSessions(bg, after, 3)
		need(t, err)
		if len(page) > 3 {
			t.Fatalf("page of %d, limit 3", len(page))
		}
		for _, s := range page {
			got, after = append(got, s.ID), s.ID
		}
		if len(page) < 3 {
			break
		}
	}
	same(t, "all pages", got, []string{"B", "Z-1", "_x", "a", "a b", "b", "ä"})
	want, _, err := f.SessionByCookie(bg, first.CookieHash)
	need(t, err)
	page, err := f.ListSessions(bg, "", 1)
	need(t, err)
	same(t, "the first", page[0], want)
}
