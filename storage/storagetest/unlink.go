package storagetest

import (
	"slices"
	"testing"
	"time"

	"gatehouse/storage"
)

// revoked is the ids of the revocations since a version, of which all must be of one kind and up to now, sorted.
func (f *fixture) revoked(t *testing.T, after int64, kind storage.RevocationKind) []string {
	t.Helper()
	rows, err := f.Revocations(bg, after)
	need(t, err)
	ids := []string{}
	for _, r := range rows {
		ids = append(ids, r.ID)
		if r.Kind != kind || r.Before.Before(f.clock.Now().Truncate(time.Millisecond)) {
			t.Errorf("revocation %+v, want one of kind %s up to now", r, kind)
		}
	}
	slices.Sort(ids)
	return ids
}

// idsOf is the sorted ids of sessions.
func idsOf(sessions ...*storage.Session) []string {
	ids := []string{}
	for _, s := range sessions {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	return ids
}

// wantSession fails unless a session is alive, or is not.
func (f *fixture) wantSession(t *testing.T, what string, s *storage.Session, want bool) {
	t.Helper()
	_, _, err := f.SessionByCookie(bg, s.CookieHash)
	if want {
		need(t, err)
		return
	}
	wantErr(t, what, err, storage.ErrNotFound)
}

func identityDeleteSessions(t *testing.T, f *fixture) {
	u, client := f.user(t), f.listener(t)
	i, other, neighbour := f.identity(t, u.Subject), f.tie(t, account(u.Subject)), f.identity(t, f.user(t).Subject)
	abroad := account(u.Subject) // the same number at another provider
	abroad.Upstream, abroad.ExternalID = "github", i.ExternalID
	ended := []*storage.Session{f.sessionBy(t, i), f.sessionBy(t, i)}
	foreign := account(neighbour.Subject) // as if the account had been the neighbour's before
	foreign.ExternalID = i.ExternalID
	spared := []*storage.Session{f.session(t, u.Subject), f.sessionBy(t, other), f.sessionBy(t, neighbour), f.sessionBy(t, f.tie(t, abroad)), f.sessionBy(t, foreign)}
	for _, s := range slices.Concat(ended, spared) {
		f.visit(t, s, client)
	}
	dead, live := f.household(t, u.Subject, client.ID, ended[1].ID), f.household(t, u.Subject, client.ID, spared[0].ID)
	before := versions(t, f)[storage.TopicRevocations]
	need(t, f.untie(i, everything))
	for _, s := range ended {
		f.wantSession(t, "a session that began with the identity", s, false)
	}
	for _, s := range spared {
		f.wantSession(t, "another session", s, true)
	}
	same(t, "deliveries", f.owed(t, u.Subject), pairs(ended, client))
	same(t, "the neighbour's deliveries", len(f.owed(t, neighbour.Subject)), 0)
	same(t, "revocations", f.revoked(t, before, storage.RevokeSession), idsOf(ended...))
	gone(t, f, "a token of an ended session", dead[1])
	alive(t, f, "a token of another session", live[1])
	got, err := f.User(bg, u.Subject)
	need(t, err)
	same(t, "epoch", got.Epoch, u.Epoch)
}

// identityDeleteMany: more sessions than one statement takes.
func identityDeleteMany(t *testing.T, f *fixture) {
	u, client := f.user(t), f.client(t)
	i := f.identity(t, u.Subject)
	var sessions []*storage.Session
	var tokens []*storage.Token
	for range 45 {
		s := f.sessionBy(t, i)
		sessions, tokens = append(sessions, s), append(tokens, f.household(t, u.Subject, client.ID, s.ID)...)
	}
	before := versions(t, f)[storage.TopicRevocations]
	need(t, f.untie(i, everything))
	rows, err := f.SessionsOf(bg, u.Subject)
	need(t, err)
	same(t, "sessions left", len(rows), 0)
	for _, tok := range tokens {
		gone(t, f, string(tok.Kind), tok)
	}
	same(t, "revocations", f.revoked(t, before, storage.RevokeSession), idsOf(sessions...))
}

// identityLastWayIn is the other half of security row 175.
func identityLastWayIn(t *testing.T, f *fixture) {
	two := f.keyless(t, 2)
	need(t, f.untie(two[0], everything))
	s, before := f.sessionBy(t, two[1]), versions(t, f)
	wantErr(t, "the last", f.untie(two[1], everything), storage.ErrLastWayIn)
	f.wantIdentity(t, "the last", two[1])
	f.wantSession(t, "its session", s, true)
	same(t, "versions", versions(t, f), before)
	wantErr(t, "of another", f.DeleteIdentity(bg, f.user(t).Subject, two[1].Upstream, two[1].ExternalID, everything), storage.ErrNotFound)
	wantErr(t, "one that is gone", f.untie(two[0], everything), storage.ErrNotFound)
	need(t, f.untie(two[1], nil))
	f.wantUntied(t, "the last, on demand", two[1])
	f.wantSession(t, "its session", s, false)
	need(t, f.untie(f.identity(t, f.user(t).Subject), everything)) // who has a password
}
