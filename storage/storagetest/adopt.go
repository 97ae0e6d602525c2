package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

// testAdoption is security row 172. What goes with the old owner is in testCascades and testLogouts too.
func testAdoption(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"TakesAllFromWhoeverWasThere", adoptTakesAll}, {"NeedsAVerifiedAddress", adoptNeedsVerified}, {"TiedAccountChangesNothing", adoptTied},
		{"IsForThatAddressOnly", adoptOnlyAddress},
	})
}

func adoptTakesAll(t *testing.T, f *fixture) {
	h, i := f.home(t), account("")
	second := account(h.user.Subject)
	second.Upstream = "github"
	f.tie(t, second)
	before := versions(t, f)[storage.TopicRevocations]
	got, err := f.AdoptUser(bg, h.user.EmailKey, i)
	need(t, err)
	want := *h.user
	want.Epoch++
	want.PasswordSet = time.Time{}
	same(t, "answer", got, &want)
	same(t, "the caller's identity", i.Subject, h.user.Subject)
	if now := micro(f.clock.Now()); !i.Created.Equal(now) || !i.LastUsed.Equal(now) {
		t.Errorf("stamped %v and %v, want the clock's %v", i.Created, i.LastUsed, now)
	}
	row, password, err := f.UserByLogin(bg, h.user.EmailKey)
	need(t, err)
	same(t, "row", row, &want)
	same(t, "password", password, "")
	rows, err := f.IdentitiesOf(bg, h.user.Subject)
	need(t, err)
	same(t, "identities", len(rows), 1)
	f.wantIdentity(t, "the new identity", i)
	f.wantUntied(t, "the squatter's identity", h.identity)
	f.wantUntied(t, "the squatter's second identity", second)
	f.wantSession(t, "the squatter's session", h.session, false)
	same(t, "revocations", f.revoked(t, before, storage.RevokeSubject), []string{h.user.Subject})
	late := f.unsaved(h.user.Subject)
	need(t, f.CreateSession(bg, late))
	f.wantSession(t, "a session of the old epoch", late, false)
	wantErr(t, "a proof of the old epoch", f.CreateIdentity(bg, account(h.user.Subject), h.user.Epoch), storage.ErrNotFound)
}

func adoptNeedsVerified(t *testing.T, f *fixture) {
	unverified, disabled := f.user(t), f.user(t)
	for subject, change := range map[string]func(*storage.User) error{
		unverified.Subject: func(u *storage.User) error { u.EmailVerified = false; return nil },
		disabled.Subject:   func(u *storage.User) error { u.Disabled = true; return nil },
	} {
		_, err := f.UpdateUser(bg, subject, change)
		need(t, err)
	}
	nameless := &storage.User{Subject: name("user"), EmailVerified: true}
	need(t, f.CreateUser(bg, nameless, "hash"))
	byName := f.user(t)
	before := versions(t, f)
	for what, key := range map[string]string{"an address that is not verified": unverified.EmailKey, "a disabled user": disabled.EmailKey, "nobody": name("nobody"),
		"no address": "", "a username": byName.UsernameKey, "an address as typed": byName.Email} {
		i := account("")
		_, err := f.AdoptUser(bg, key, i)
		wantErr(t, what, err, storage.ErrNotFound)
		f.wantUntied(t, what, i)
	}
	same(t, "versions", versions(t, f), before)
	_, password, err := f.UserByLogin(bg, unverified.EmailKey)
	need(t, err)
	same(t, "password", password, "hash-of-"+unverified.Subject)
}

func adoptTied(t *testing.T, f *fixture) {
	h, other := f.home(t), f.identity(t, f.user(t).Subject)
	whole, before := f.has(t, h), versions(t, f)
	for what, i := range map[string]*storage.Identity{"another's": other, "the user's own": h.identity} {
		again := account("")
		again.ExternalID, again.Label = i.ExternalID, "new"
		_, err := f.AdoptUser(bg, h.user.EmailKey, again)
		wantExists(t, what, err, "identity")
		f.wantIdentity(t, what, i)
	}
	same(t, "what is left", f.has(t, h), whole)
	same(t, "versions", versions(t, f), before)
	u, password, err := f.UserByLogin(bg, h.user.EmailKey)
	need(t, err)
	same(t, "user and password", []any{u, password}, []any{h.user, "hash-of-" + h.user.Subject})
}

func adoptOnlyAddress(t *testing.T, f *fixture) {
	h, neighbour := f.home(t), f.home(t)
	whole := f.has(t, neighbour)
	_, err := f.AdoptUser(bg, h.user.EmailKey, account(neighbour.user.Subject)) // the address decides, whatever the record says
	need(t, err)
	same(t, "what the neighbour has", f.has(t, neighbour), whole)
	rows, err := f.IdentitiesOf(bg, neighbour.user.Subject)
	need(t, err)
	same(t, "the neighbour's identities", len(rows), 1)
}
