package storagetest

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
)

func testSessionClients(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"SortedAndOnce", sessionClientsSorted}, {"MissingSession", sessionClientMissing}, {"GoWithTheSession", sessionClientsGo},
	})
}

func testLogouts(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"EndSession", logoutQueued}, {"WaysToEndAUser", logoutUsers}, {"OnlyEnabledClientsWithAddress", logoutOnlyWanted},
		{"ClientChangesCount", logoutClientChanges}, {"WhatEndsNothingQueuesNothing", logoutNothing}, {"AbsoluteLimitQueuesNothing", logoutAbsolute},
		{"DueLongestFirst", logoutOrder}, {"LeaseHidesAndReturns", logoutLease}, {"RetryAndFinish", logoutRetry}, {"Missing", logoutMissing},
		{"PastExpiresIsNotClaimed", logoutExpired}, {"GoWithTheClient", logoutClientGone}, {"StayWhenTheClientIsDisabled", logoutClientDisabled},
	})
}

// listener stores a client that wants to be told of logouts.
func (f *fixture) listener(t *testing.T) *storage.Client {
	t.Helper()
	c := &storage.Client{ID: name("client"), BackchannelLogoutURI: "https://rp.example/logout"}
	need(t, f.CreateClient(bg, c))
	return c
}

// visit notes a session's clients.
func (f *fixture) visit(t *testing.T, s *storage.Session, clients ...*storage.Client) {
	t.Helper()
	for _, c := range clients {
		need(t, f.AddSessionClient(bg, s.ID, c.ID))
	}
}

// deliveries returns what is due now for the sessions of a subject, and leaves it due.
func (f *fixture) deliveries(t *testing.T, subject string) []*storage.LogoutDelivery {
	t.Helper()
	now := f.clock.Now()
	rows, err := f.ClaimLogouts(bg, now, time.Minute, 10_000)
	need(t, err)
	for _, l := range rows {
		need(t, f.RetryLogout(bg, l.ID, now, true))
	}
	return slices.DeleteFunc(rows, func(l *storage.LogoutDelivery) bool { return l.Subject != subject })
}

// owed is "session client" of each of a subject's deliveries, sorted.
func (f *fixture) owed(t *testing.T, subject string) []string {
	t.Helper()
	out := []string{}
	for _, l := range f.deliveries(t, subject) {
		out = append(out, l.SessionID+" "+l.ClientID)
	}
	slices.Sort(out)
	return out
}

// pairs is what owed should be.
func pairs(sessions []*storage.Session, clients ...*storage.Client) []string {
	out := []string{}
	for _, s := range sessions {
		for _, c := range clients {
			out = append(out, s.ID+" "+c.ID)
		}
	}
	slices.Sort(out)
	return out
}

func sessionClientsSorted(t *testing.T, f *fixture) {
	s, other := f.session(t, f.user(t).Subject), f.session(t, f.user(t).Subject)
	for _, id := range []string{"b", "Z", "ä", "a", "b", "a"} {
		need(t, f.AddSessionClient(bg, s.ID, id))
	}
	need(t, f.AddSessionClient(bg, other.ID, "x"))
	got, err := f.SessionClients(bg, s.ID)
	need(t, err)
	same(t, "clients", got, []string{"Z", "a", "b", "ä"})
}

func sessionClientMissing(t *testing.T, f *fixture) {
	sid := name("sid")
	wantErr(t, "AddSessionClient", f.AddSessionClient(bg, sid, f.client(t).ID), storage.ErrNotFound)
	got, err := f.SessionClients(bg, sid)
	need(t, err)
	same(t, "clients of no session", len(got), 0)
}

// sessionClientsGo: a session of the same id, should there ever be one, begins without clients.
func sessionClientsGo(t *testing.T, f *fixture) {
	for what, end := range map[string]func(*storage.Session) error{
		"EndSession":  func(s *storage.Session) error { return f.EndSession(bg, s.ID) },
		"SetPassword": func(s *storage.Session) error { return f.SetPassword(bg, s.Subject, "x") },
		"Purge": func(s *storage.Session) error {
			_, err := f.Purge(bg, s.Absolute, 1000)
			return err
		},
	} {
		s := f.session(t, f.user(t).Subject)
		f.visit(t, s, f.client(t))
		need(t, end(s))
		wantErr(t, what+": AddSessionClient", f.AddSessionClient(bg, s.ID, "x"), storage.ErrNotFound)
		need(t, f.CreateSession(bg, s))
		got, err := f.SessionClients(bg, s.ID)
		need(t, err)
		same(t, what+": clients of the next session", len(got), 0)
	}
}

func logoutQueued(t *testing.T, f *fixture) {
	u := f.user(t)
	s, other := f.session(t, u.Subject), f.session(t, u.Subject)
	a, b := f.listener(t), f.listener(t)
	f.visit(t, s, a, b)
	f.visit(t, other, a)
	now := micro(f.clock.Now())
	need(t, f.EndSession(bg, s.ID))
	same(t, "deliveries", f.owed(t, u.Subject), pairs([]*storage.Session{s}, a, b))
	ids := map[string]bool{}
	for _, l := range f.deliveries(t, u.Subject) {
		if raw, err := hex.DecodeString(l.ID); err != nil || len(raw) != 16 || l.ID != strings.ToLower(l.ID) {
			t.Errorf("id %q, want 128 bits in hex", l.ID)
		}
		ids[l.ID[:8]] = true
		same(t, "times", []time.Time{l.Created, l.NextAttempt, l.Expires}, []time.Time{now, now.Add(time.Minute), now.Add(storage.LogoutRetention)})
	}
	same(t, "ids of which one tells nothing of the other", len(ids), 2)
	need(t, f.EndSession(bg, s.ID))
	same(t, "deliveries after a second end", len(f.deliveries(t, u.Subject)), 2)
}

// enders are the ways to end all sessions of a user.
func (f *fixture) enders() map[string]func(subject string) error {
	return map[string]func(string) error{
		"SetPassword": func(subject string) error { return f.SetPassword(bg, subject, "new") },
		"DisableUser": func(subject string) error {
			_, err := f.UpdateUser(bg, subject, func(u *storage.User) error { u.Disabled = true; return nil })
			return err
		},
		"DeleteUser": func(subject string) error { return f.DeleteUser(bg, subject) },
		"AdoptUser":  func(subject string) error { _, err := f.AdoptUser(bg, subject+"@example.org", account("")); return err },
	}
}

func logoutUsers(t *testing.T, f *fixture) {
	a, b := f.listener(t), f.listener(t)
	for what, end := range f.enders() {
		u, neighbour := f.user(t), f.user(t)
		sessions := []*storage.Session{f.session(t, u.Subject), f.session(t, u.Subject)}
		for _, s := range append(sessions, f.session(t, neighbour.Subject)) {
			f.visit(t, s, a, b)
		}
		need(t, end(u.Subject))
		same(t, what, f.owed(t, u.Subject), pairs(sessions, a, b))
		same(t, what+": the neighbour's", len(f.owed(t, neighbour.Subject)), 0)
	}
}

func logoutOnlyWanted(t *testing.T, f *fixture) {
	u := f.user(t)
	s := f.session(t, u.Subject)
	wants, silent, disabled, deleted := f.listener(t), f.client(t), f.listener(t), f.listener(t)
	f.visit(t, s, wants, silent, disabled, deleted)
	need(t, f.AddSessionClient(bg, s.ID, name("never")))
	_, err := f.UpdateClient(bg, disabled.ID, func(c *storage.Client) error { c.Disabled = true; return nil })
	need(t, err)
	need(t, f.DeleteClient(bg, deleted.ID))
	need(t, f.EndSession(bg, s.ID))
	same(t, "deliveries", f.owed(t, u.Subject), pairs([]*storage.Session{s}, wants))
}

// logoutClientChanges: what counts is the client at the end of the session, not at its beginning.
func logoutClientChanges(t *testing.T, f *fixture) {
	u := f.user(t)
	s := f.session(t, u.Subject)
	gains, loses, returns := f.client(t), f.listener(t), f.listener(t)
	f.visit(t, s, gains, loses, returns)
	change := func(c *storage.Client, to func(*storage.Client)) {
		_, err := f.UpdateClient(bg, c.ID, func(c *storage.Client) error { to(c); return nil })
		need(t, err)
	}
	change(gains, func(c *storage.Client) { c.BackchannelLogoutURI = "https://rp.example/new" })
	change(loses, func(c *storage.Client) { c.BackchannelLogoutURI = "" })
	change(returns, func(c *storage.Client) { c.Disabled = true })
	change(returns, func(c *storage.Client) { c.Disabled = false })
	need(t, f.EndSession(bg, s.ID))
	same(t, "deliveries", f.owed(t, u.Subject), pairs([]*storage.Session{s}, gains, returns))
}

func logoutNothing(t *testing.T, f *fixture) {
	u := f.user(t)
	s := f.session(t, u.Subject)
	f.visit(t, s, f.listener(t))
	_, err := f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Disabled = true; return errChange })
	wantErr(t, "UpdateUser", err, errChange)
	_, err = f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Email = "new@example.org"; return nil })
	need(t, err)
	_, err = f.UpdateSession(bg, s.ID, func(s *storage.Session) error { s.CookieHash = name("cookie"); return nil })
	need(t, err)
	need(t, f.RehashPassword(bg, u.Subject, "hash-of-"+u.Subject, "better"))
	_, err = f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeSession, ID: s.ID})
	need(t, err)
	same(t, "deliveries", len(f.deliveries(t, u.Subject)), 0)
	got, err := f.SessionClients(bg, s.ID)
	need(t, err)
	same(t, "clients of the session", len(got), 1)
}

func logoutAbsolute(t *testing.T, f *fixture) {
	u, client := f.user(t), f.listener(t)
	for _, end := range []func(s *storage.Session) error{
		func(s *storage.Session) error { return f.EndSession(bg, s.ID) },
		func(s *storage.Session) error { return f.SetPassword(bg, s.Subject, "x") },
		func(s *storage.Session) error { _, err := f.Purge(bg, f.clock.Now(), 1000); return err },
	} {
		s := f.session(t, u.Subject)
		f.visit(t, s, client)
		f.clock.advance(time.Hour)
		need(t, end(s))
	}
	same(t, "deliveries", len(f.deliveries(t, u.Subject)), 0)
}
