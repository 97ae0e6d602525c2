package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

func testPasswords(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"Missing", passwordMissing}, {"SetPassword", userSetPassword}, {"ReplacePassword", userReplacePassword}, {"SetPasswordSaysWhen", passwordSetWhen}, {"TakenAway", passwordTakenAway},
		{"RehashPassword", userRehash}, {"FailuresAreCounted", passwordFailures}, {"FailuresAreCleared", passwordCleared},
	})
}

func passwordMissing(t *testing.T, f *fixture) {
	id := name("nobody")
	wantErr(t, "SetPassword", f.SetPassword(bg, id, "x"), storage.ErrNotFound)
	wantErr(t, "RehashPassword", f.RehashPassword(bg, id, "", "x"), storage.ErrNotFound)
	_, err := f.FailPassword(bg, id, f.clock.Now())
	wantErr(t, "FailPassword", err, storage.ErrNotFound)
	need(t, f.ClearFailures(bg, id, 1))
}

func userSetPassword(t *testing.T, f *fixture) {
	u := f.user(t)
	need(t, f.SetPassword(bg, u.Subject, "second"))
	_, got, err := f.UserByLogin(bg, u.EmailKey)
	need(t, err)
	same(t, "password", got, "second")
	none := &storage.User{Subject: name("user"), UsernameKey: name("plain")}
	need(t, f.CreateUser(bg, none, ""))
	need(t, f.SetPassword(bg, none.Subject, "first"))
	_, got, err = f.UserByLogin(bg, none.UsernameKey)
	need(t, err)
	same(t, "first password", got, "first")
}

// userReplacePassword: what was proven before the password changed, or the user was disabled, sets none.
func userReplacePassword(t *testing.T, f *fixture) {
	u := f.user(t)
	s := f.session(t, u.Subject)
	wantErr(t, "an epoch to come", f.ReplacePassword(bg, u.Subject, "early", u.Epoch+1), storage.ErrNotFound)
	_, _, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	need(t, f.ReplacePassword(bg, u.Subject, "second", u.Epoch))
	wantErr(t, "an epoch that is over", f.ReplacePassword(bg, u.Subject, "late", u.Epoch), storage.ErrNotFound)
	_, _, err = f.SessionByCookie(bg, s.CookieHash)
	wantErr(t, "the session", err, storage.ErrNotFound)
	now, got, err := f.UserByLogin(bg, u.EmailKey)
	need(t, err)
	same(t, "password", got, "second")
	same(t, "epoch", now.Epoch, u.Epoch+1)
	now, err = f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Disabled = true; return nil })
	need(t, err)
	wantErr(t, "of a disabled user", f.ReplacePassword(bg, u.Subject, "third", now.Epoch), storage.ErrNotFound)
	wantErr(t, "of nobody", f.ReplacePassword(bg, name("nobody"), "x", 0), storage.ErrNotFound)
}

// userRehash: a rehash at sign-in must neither sign anybody out nor undo a change of password that came in between.
func userRehash(t *testing.T, f *fixture) {
	u := f.user(t)
	s, before := f.session(t, u.Subject), versions(t, f)
	need(t, f.RehashPassword(bg, u.Subject, "hash-of-"+u.Subject, "better"))
	_, _, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	same(t, "versions", versions(t, f), before)
	wantErr(t, "a value that is no longer stored", f.RehashPassword(bg, u.Subject, "hash-of-"+u.Subject, "late"), storage.ErrNotFound)
	got, password, err := f.UserByLogin(bg, u.EmailKey)
	need(t, err)
	same(t, "password", password, "better")
	same(t, "user", got, u)
}

// wantUser fails unless both ways to read a user give what is wanted.
func (f *fixture) wantUser(t *testing.T, what string, want *storage.User) {
	t.Helper()
	got, err := f.User(bg, want.Subject)
	need(t, err)
	same(t, what, got, want)
	got, _, err = f.UserByLogin(bg, want.EmailKey)
	need(t, err)
	same(t, what+", by login", got, want)
}

func passwordSetWhen(t *testing.T, f *fixture) {
	u := f.user(t)
	same(t, "PasswordSet of a new user", u.PasswordSet, u.Created)
	f.clock.advance(time.Hour)
	need(t, f.SetPassword(bg, u.Subject, "new"))
	u.PasswordSet, u.Epoch = micro(f.clock.Now()), 1
	f.wantUser(t, "after SetPassword", u)
	f.clock.advance(time.Hour)
	need(t, f.RehashPassword(bg, u.Subject, "new", "better"))
	f.wantUser(t, "after RehashPassword", u)
	none := &storage.User{Subject: name("user"), PasswordSet: f.clock.Now()}
	need(t, f.CreateUser(bg, none, ""))
	same(t, "PasswordSet without a password", none.PasswordSet, time.Time{})
}

func passwordTakenAway(t *testing.T, f *fixture) {
	u := f.user(t)
	need(t, f.SetPassword(bg, u.Subject, ""))
	u.PasswordSet, u.Epoch = time.Time{}, 1
	f.wantUser(t, "without a password", u)
	_, password, err := f.UserByLogin(bg, u.EmailKey)
	need(t, err)
	same(t, "password", password, "")
}

func passwordFailures(t *testing.T, f *fixture) {
	u, neighbour := f.user(t), f.user(t)
	s := f.session(t, u.Subject)
	before, now := versions(t, f), micro(f.clock.Now())
	for n, at := range []time.Time{now, now.Add(time.Minute), now.Add(time.Second)} {
		count, err := f.FailPassword(bg, u.Subject, at)
		need(t, err)
		same(t, "answer", count, n+1)
	}
	u.Failures, u.LastFailure = 3, now.Add(time.Minute)
	f.wantUser(t, "user", u)
	f.wantUser(t, "neighbour", neighbour)
	_, got, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	same(t, "user of the session, who stays signed in", got, u)
	same(t, "versions", versions(t, f), before)
}

func passwordCleared(t *testing.T, f *fixture) {
	u := f.user(t)
	fail := func() {
		_, err := f.FailPassword(bg, u.Subject, f.clock.Now())
		need(t, err)
	}
	fail()
	need(t, f.ClearFailures(bg, u.Subject, 0))
	f.wantUser(t, "after ClearFailures", u)
	need(t, f.ClearFailures(bg, u.Subject, 0))
	need(t, f.ClearFailures(bg, u.Subject, 1))
	fail()
	fail()
	for below := range 2 {
		wantErr(t, "not below", f.ClearFailures(bg, u.Subject, below+1), storage.ErrConsumed)
	}
	need(t, f.ClearFailures(bg, u.Subject, 3))
	f.wantUser(t, "after fewer than that", u)
	fail()
	need(t, f.SetPassword(bg, u.Subject, "new"))
	u.Epoch, u.PasswordSet = 1, micro(f.clock.Now())
	f.wantUser(t, "after SetPassword", u)
}
