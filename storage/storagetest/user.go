package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

func testUsers(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", userRoundTrip}, {"Missing", userMissing}, {"Duplicate", userDuplicate}, {"EmptyKeysAreNoKeys", userEmptyKeys},
		{"ByLogin", userByLogin}, {"Update", userUpdate}, {"UpdateFreesAndTakesKeys", userUpdateKeys}, {"RefusedChangeSavesNothing", userRefusedChange},
		{"SubjectCannotChange", userKeepsSubject}, {"CopiesAreApart", userCopies},
	})
	t.Run("ListInOrderOfSubject", func(t *testing.T) { userList(t, newFixture(t, open)) })
}

func userRoundTrip(t *testing.T, f *fixture) {
	u := &storage.User{Subject: name("user"), Email: "Bücher@Example.org", EmailVerified: true, Username: "Alice", Disabled: true, Locale: "de-AT", TermsVersion: "3", TermsAccepted: f.clock.Now(),
		Claims: map[string]any{"name": "Al \"ice\" 日本", "n": 1.5, "ok": true, "none": nil, "address": map[string]any{"country": "DE"}, "list": []any{"a", 2.0}}}
	u.EmailKey, u.UsernameKey = u.Subject+"@x", u.Subject
	need(t, f.CreateUser(bg, u, "hash"))
	got, err := f.User(bg, u.Subject)
	need(t, err)
	u.TermsAccepted = micro(u.TermsAccepted)
	if want := micro(f.clock.Now()); !got.Created.Equal(want) || !got.Updated.Equal(want) {
		t.Errorf("stamped %v and %v, want the clock's %v", got.Created, got.Updated, want)
	}
	same(t, "the caller's record, stamped", u, got)
}

func userMissing(t *testing.T, f *fixture) {
	id := name("nobody")
	_, err := f.User(bg, id)
	wantErr(t, "User", err, storage.ErrNotFound)
	for _, key := range []string{id, ""} {
		_, _, err = f.UserByLogin(bg, key)
		wantErr(t, "UserByLogin", err, storage.ErrNotFound)
	}
	_, err = f.UpdateUser(bg, id, func(*storage.User) error { t.Error("change was called for a missing user"); return nil })
	wantErr(t, "UpdateUser", err, storage.ErrNotFound)
	wantErr(t, "DeleteUser", f.DeleteUser(bg, id), storage.ErrNotFound)
}

func userDuplicate(t *testing.T, f *fixture) {
	u := f.user(t)
	for field, thief := range map[string]*storage.User{
		"id": {Subject: u.Subject}, "email": {Subject: name("user"), EmailKey: u.EmailKey}, "username": {Subject: name("user"), UsernameKey: u.UsernameKey},
	} {
		wantExists(t, "CreateUser", f.CreateUser(bg, thief, "stolen"), field)
		if field != "id" {
			_, err := f.User(bg, thief.Subject)
			wantErr(t, "the refused user", err, storage.ErrNotFound)
		}
	}
	got, password, err := f.UserByLogin(bg, u.EmailKey)
	need(t, err)
	same(t, "the first user", got, u)
	same(t, "its password", password, "hash-of-"+u.Subject)
}

func userEmptyKeys(t *testing.T, f *fixture) {
	for range 3 {
		u := &storage.User{Subject: name("user")}
		need(t, f.CreateUser(bg, u, ""))
		_, err := f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Claims = map[string]any{"a": "b"}; return nil })
		need(t, err)
	}
	_, _, err := f.UserByLogin(bg, "")
	wantErr(t, "UserByLogin", err, storage.ErrNotFound)
}

func userByLogin(t *testing.T, f *fixture) {
	u := f.user(t)
	for _, key := range []string{u.EmailKey, u.UsernameKey} {
		got, password, err := f.UserByLogin(bg, key)
		need(t, err)
		same(t, "user", got, u)
		same(t, "password", password, "hash-of-"+u.Subject)
	}
	_, _, err := f.UserByLogin(bg, u.Email) // as typed, not canonical
	wantErr(t, "by display form", err, storage.ErrNotFound)
	none := &storage.User{Subject: name("user"), UsernameKey: name("plain")}
	need(t, f.CreateUser(bg, none, ""))
	_, password, err := f.UserByLogin(bg, none.UsernameKey)
	need(t, err)
	same(t, "password of a user without one", password, "")
	_, err = f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Disabled = true; return nil })
	need(t, err)
	got, _, err := f.UserByLogin(bg, u.EmailKey)
	need(t, err)
	same(t, "disabled", got.Disabled, true)
}

func userUpdate(t *testing.T, f *fixture) {
	u := f.user(t)
	f.clock.advance(time.Second)
	got, err := f.UpdateUser(bg, u.Subject, func(u *storage.User) error {
		u.EmailVerified, u.Claims, u.Created = false, map[string]any{"name": "A"}, u.Created.Add(time.Hour)
		u.Locale, u.TermsVersion, u.TermsAccepted = "fr", "4", f.clock.Now()
		u.Failures, u.LastFailure, u.PasswordSet = 9, f.clock.Now(), f.clock.Now()
		return nil
	})
	need(t, err)
	want := *u
	want.EmailVerified, want.Claims, want.Updated = false, map[string]any{"name": "A"}, micro(f.clock.Now())
	want.Locale, want.TermsVersion, want.TermsAccepted = "fr", "4", micro(f.clock.Now())
	same(t, "answer", got, want)
	got, err = f.User(bg, u.Subject)
	need(t, err)
	same(t, "row", got, want)
}

func userUpdateKeys(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	_, err := f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.EmailKey = other.EmailKey; return nil })
	wantExists(t, "another's e-mail", err, "email")
	_, err = f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.UsernameKey = other.UsernameKey; return nil })
	wantExists(t, "another's username", err, "username")
	got, err := f.User(bg, u.Subject)
	need(t, err)
	same(t, "row", got, u)
	free := name("free") + "@example.org"
	_, err = f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.EmailKey = free; return nil })
	need(t, err)
	_, _, err = f.UserByLogin(bg, u.EmailKey)
	wantErr(t, "the old key", err, storage.ErrNotFound)
	got, _, err = f.UserByLogin(bg, free)
	need(t, err)
	same(t, "the new key", got.Subject, u.Subject)
	need(t, f.CreateUser(bg, &storage.User{Subject: name("user"), EmailKey: u.EmailKey}, ""))
}

func userRefusedChange(t *testing.T, f *fixture) {
	u := f.user(t)
	s, before := f.session(t, u.Subject), versions(t, f)
	_, err := f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Username, u.Disabled = "No", true; return errChange })
	if err != errChange {
		t.Errorf("error %v, want the change's own, unwrapped", err)
	}
	_, got, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	same(t, "row", got, u)
	same(t, "versions", versions(t, f), before)
}

func userKeepsSubject(t *testing.T, f *fixture) {
	u, other := f.user(t), name("other")
	_, _ = f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Subject = other; return nil })
	got, err := f.User(bg, u.Subject)
	need(t, err)
	same(t, "subject", got.Subject, u.Subject)
	_, err = f.User(bg, other)
	wantErr(t, "the new subject", err, storage.ErrNotFound)
}

func userCopies(t *testing.T, f *fixture) {
	u := &storage.User{Subject: name("user"), Claims: map[string]any{"address": map[string]any{"country": "DE"}}}
	need(t, f.CreateUser(bg, u, ""))
	spoil := func(u *storage.User) { u.Claims["address"].(map[string]any)["country"] = "XX" }
	spoil(u)
	out, err := f.User(bg, u.Subject)
	need(t, err)
	spoil(out)
	_, err = f.UpdateUser(bg, u.Subject, func(u *storage.User) error { spoil(u); return errChange })
	wantErr(t, "UpdateUser", err, errChange)
	got, err := f.User(bg, u.Subject)
	need(t, err)
	same(t, "claims", got.Claims, map[string]any{"address": map[string]any{"country": "DE"}})
}

func userList(t *testing.T, f *fixture) {
	for _, id := range []string{"B", "a", "_", "b", "ä"} {
		need(t, f.CreateUser(bg, &storage.User{Subject: id}, ""))
	}
	var got []string
	for after := ""; ; {
		page, err := f.ListUsers(bg, after, 2)
		need(t, err)
		for _, u := range page {
			got, after = append(got, u.Subject), u.Subject
		}
		if len(page) < 2 {
			break
		}
	}
	same(t, "all pages", got, []string{"B", "_", "a", "b", "ä"})
}
