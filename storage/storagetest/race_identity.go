package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
)

// The ways to kill what a user began with the account of fixture.identity.
func adopt(s storage.Store, t *storage.Token) error {
	_, err := s.AdoptUser(bg, t.Subject+"@example.org", account(""))
	return err
}

func unlink(s storage.Store, t *storage.Token) error {
	return s.DeleteIdentity(bg, t.Subject, "google", accountOf(t.Subject), nil)
}

func endUpstream(s storage.Store, t *storage.Token) error {
	_, err := s.EndUpstreamSessions(bg, "google", accountOf(t.Subject), "")
	return err
}

func identityRaces() []race {
	return []race{
		{"CreateIdentity", true, raceCreateIdentity},
		{"CreateUserIdentity", true, raceCreateUserIdentity},
		{"AdoptUserAgainstCreateIdentity", true, raceAdoptAndCreate},
		{"AdoptUserAgainstOldProofs", false, raceAdoptAndProofs},
		{"AdoptUserAgainstChangeOfAddress", false, raceAdoptAndChange},
		{"CreateIdentityAgainstSetPassword", false, func(r racer) {
			raceOldProofs(r, func(s storage.Store, subject string) error { return s.SetPassword(bg, subject, "new") })
		}},
		{"CreateIdentityAgainstDisableUser", false, func(r racer) { raceOldProofs(r, disable) }},
		{"CreateIdentityAgainstDeleteUser", false, func(r racer) {
			raceOldProofs(r, func(s storage.Store, subject string) error { return s.DeleteUser(bg, subject) })
		}},
		{"DeleteLastTwoIdentities", true, raceLastWayIn},
		{"DeleteIdentity", true, raceDeleteIdentity},
		{"TouchIdentity", false, raceTouchIdentity},
		{"SignInAgainstUnlink", false, raceSignInAgainstUnlink},
		{"SwapAccounts", false, raceSwapAccounts},
		{"NoDeadlockAtFederation", false, raceFederationNoDeadlock},
	}
}

func disable(s storage.Store, subject string) error {
	_, err := s.UpdateUser(bg, subject, func(u *storage.User) error { u.Disabled = true; return nil })
	return err
}

// raceCreateIdentity: an account that two people claim at the same time is one's.
func raceCreateIdentity(r racer) {
	var mine [Parallel]*storage.Identity
	id := name("account")
	for i := range mine {
		mine[i] = account(r.user(r.t).Subject)
		mine[i].ExternalID = id
	}
	winner := r.one(r.rush(func(i int, s storage.Store) error {
		err := s.CreateIdentity(bg, mine[i], 0)
		if err != nil {
			wantExists(r.t, "loser", err, "identity")
		}
		return err
	}), storage.ErrExists)
	r.wantIdentity(r.t, "the winner's", mine[winner])
	for i, m := range mine {
		if rows, err := r.IdentitiesOf(bg, m.Subject); err != nil || (len(rows) == 1) != (i == winner) {
			r.t.Fatalf("%d identities of caller %d (%v), the winner is %d", len(rows), i, err, winner)
		}
	}
}

// raceCreateUserIdentity: of eight first sign-ins by one account one makes a user, and no user stays whom nobody can be.
func raceCreateUserIdentity(r racer) {
	var users [Parallel]*storage.User
	var mine [Parallel]*storage.Identity
	id := name("account")
	for i := range users {
		users[i], mine[i] = &storage.User{Subject: name("user"), EmailKey: name("e") + "@example.org"}, account("")
		mine[i].ExternalID = id
	}
	winner := r.one(r.rush(func(i int, s storage.Store) error {
		err := s.CreateUserIdentity(bg, users[i], mine[i])
		if err != nil {
			wantExists(r.t, "loser", err, "identity")
		}
		return err
	}), storage.ErrExists)
	mine[winner].Subject = users[winner].Subject
	r.wantIdentity(r.t, "the winner's", mine[winner])
	for i, u := range users {
		if _, err := r.User(bg, u.Subject); (err == nil) != (i == winner) {
			r.t.Fatalf("user of caller %d (winner %d): %v", i, winner, err)
		}
		if _, _, err := r.UserByLogin(bg, u.EmailKey); (err == nil) != (i == winner) {
			r.t.Fatalf("address of caller %d (winner %d): %v", i, winner, err)
		}
	}
}

// raceAdoptAndCreate: half of the callers adopt users for an account, half tie it to others. Who loses has changed nothing.
func raceAdoptAndCreate(r racer) {
	id := name("account")
	var users [Parallel]*storage.User
	var olds, mine [Parallel]*storage.Identity
	for i := range users {
		users[i] = r.user(r.t)
		olds[i], mine[i] = r.identity(r.t, users[i].Subject), account(users[i].Subject)
		mine[i].ExternalID = id
	}
	winner := r.one(r.rush(func(i int, s storage.Store) error {
		if i%2 == 0 {
			_, err := s.AdoptUser(bg, users[i].EmailKey, mine[i])
			return err
		}
		return s.CreateIdentity(bg, mine[i], 0)
	}), storage.ErrExists)
	r.wantIdentity(r.t, "the winner's", mine[winner])
	for i, u := range users {
		got, password, err := r.UserByLogin(bg, u.EmailKey)
		need(r.t, err)
		adopted := i == winner && i%2 == 0
		_, _, oldErr := r.Identity(bg, "google", olds[i].ExternalID)
		if (got.Epoch > u.Epoch) != adopted || (password == "") != adopted || errors.Is(oldErr, storage.ErrNotFound) != adopted {
			r.t.Fatalf("user of caller %d (winner %d): epoch %d, password %q, old identity: %v", i, winner, got.Epoch, password, oldErr)
		}
	}
}

// raceAdoptAndProofs: whatever a squatter ties at the moment of the adoption goes with it or is refused.
func raceAdoptAndProofs(r racer) {
	u, adopted := r.user(r.t), account("")
	errs := r.rush(func(i int, s storage.Store) error {
		if i == Parallel/2 {
			_, err := s.AdoptUser(bg, u.EmailKey, adopted)
			return err
		}
		return s.CreateIdentity(bg, account(u.Subject), u.Epoch)
	})
	r.every(errs, storage.ErrNotFound)
	need(r.t, errs[Parallel/2])
	rows, err := r.IdentitiesOf(bg, u.Subject)
	need(r.t, err)
	if len(rows) != 1 || rows[0].ExternalID != adopted.ExternalID {
		r.t.Fatalf("%d identities after the adoption, want the new one alone", len(rows))
	}
}

// raceAdoptAndChange: who is adopted by an address has it, verified, and may sign in. Whoever takes that away sees the last of the adoptions.
func raceAdoptAndChange(r racer) {
	u := r.user(r.t)
	var before []*storage.Identity
	errs := r.rush(func(i int, s storage.Store) (err error) {
		if i != Parallel/2 {
			_, err := s.AdoptUser(bg, u.EmailKey, account(""))
			return err
		}
		if _, err := s.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.EmailVerified = false; return nil }); err != nil {
			return err
		}
		before, err = s.IdentitiesOf(bg, u.Subject)
		return err
	})
	r.every(errs, storage.ErrNotFound)
	need(r.t, errs[Parallel/2])
	after, err := r.IdentitiesOf(bg, u.Subject)
	need(r.t, err)
	same(r.t, "identities after the change", after, before)
}

// raceOldProofs: a proof of the old epoch counts if it came before the epoch moved, and so before whoever moved it looks.
func raceOldProofs(r racer, move func(s storage.Store, subject string) error) {
	u := r.user(r.t)
	var before []*storage.Identity
	errs := r.rush(func(i int, s storage.Store) (err error) {
		if i != Parallel/2 {
			return s.CreateIdentity(bg, account(u.Subject), u.Epoch)
		}
		if err := move(s, u.Subject); err != nil {
			return err
		}
		before, err = s.IdentitiesOf(bg, u.Subject)
		return err
	})
	r.every(errs, storage.ErrNotFound)
	need(r.t, errs[Parallel/2])
	after, err := r.IdentitiesOf(bg, u.Subject)
	need(r.t, err)
	if len(after) != len(before) {
		r.t.Fatalf("%d identities, %d when the epoch had moved: a proof of the old epoch came through", len(after), len(before))
	}
}

// raceLastWayIn: who removes the last two ways in at once keeps one.
func raceLastWayIn(r racer) {
	two := r.keyless(r.t, 2)
	winner := r.one(r.rushOf(2, func(i int, s storage.Store) error {
		return s.DeleteIdentity(bg, two[i].Subject, two[i].Upstream, two[i].ExternalID, everything)
	}), storage.ErrLastWayIn)
	r.wantUntied(r.t, "the winner's", two[winner])
	r.wantIdentity(r.t, "the loser's", two[1-winner])
}

func raceDeleteIdentity(r racer) {
	i := r.identity(r.t, r.user(r.t).Subject)
	r.one(r.rush(func(_ int, s storage.Store) error {
		return s.DeleteIdentity(bg, i.Subject, i.Upstream, i.ExternalID, everything)
	}), storage.ErrNotFound)
}

// raceTouchIdentity: of sign-ins at the same time the latest is remembered, and what is stored is what one of them was told.
func raceTouchIdentity(r racer) {
	i := r.identity(r.t, r.user(r.t).Subject)
	at := func(n int) time.Time { return micro(r.clock.Now()).Add(time.Duration(n) * time.Second) }
	r.every(r.rush(func(n int, s storage.Store) error {
		return s.TouchIdentity(bg, i.Upstream, i.ExternalID, fmt.Sprint(n), fmt.Append(nil, n), at(n))
	}))
	got, _, err := r.Identity(bg, i.Upstream, i.ExternalID)
	need(r.t, err)
	if !got.LastUsed.Equal(at(Parallel-1)) || got.Label != string(got.Tokens) {
		r.t.Fatalf("last used %v, label %q, tokens %q, want %v and one sign-in's", got.LastUsed, got.Label, got.Tokens, at(Parallel-1))
	}
}

// raceSignInAgainstUnlink: of sign-ins by an identity that is being unlinked each is either ended with it or learns by TouchIdentity that it came too late.
func raceSignInAgainstUnlink(r racer) {
	i := r.identity(r.t, r.user(r.t).Subject)
	var sessions [Parallel]*storage.Session
	for n := range sessions {
		sessions[n] = r.unsavedBy(r.t, i)
	}
	errs := r.rush(func(n int, s storage.Store) error {
		if n == 0 {
			return s.DeleteIdentity(bg, i.Subject, i.Upstream, i.ExternalID, nil)
		}
		if err := s.CreateSession(bg, sessions[n]); err != nil {
			return err
		}
		return s.TouchIdentity(bg, i.Upstream, i.ExternalID, "x", nil, r.clock.Now())
	})
	r.every(errs, storage.ErrNotFound)
	for n, session := range sessions {
		if n == 0 || errs[n] != nil {
			continue
		}
		if _, _, err := r.SessionByCookie(bg, session.CookieHash); !errors.Is(err, storage.ErrNotFound) {
			r.t.Fatalf("sign-in %d was told that its identity is there, and its session outlived it: %v", n, err)
		}
	}
}

// raceSwapAccounts: two adoptions that each want the account which the other one takes away wait for each other, but not in a circle.
func raceSwapAccounts(r racer) {
	var users [Parallel]*storage.User
	var held [Parallel]*storage.Identity
	for i := range users {
		users[i] = r.user(r.t)
		held[i] = r.identity(r.t, users[i].Subject)
	}
	r.every(r.rush(func(i int, s storage.Store) error {
		want := account("")
		want.ExternalID = held[i^1].ExternalID
		_, err := s.AdoptUser(bg, users[i].EmailKey, want)
		return err
	}), storage.ErrExists)
	for i, u := range users {
		rows, err := r.IdentitiesOf(bg, u.Subject)
		need(r.t, err)
		if len(rows) > 1 {
			r.t.Fatalf("user %d has %d identities, want one at most", i, len(rows))
		}
	}
}

// raceFederationNoDeadlock lets everything that touches identities, their sessions and the tokens of these run into each other: some may find nothing, none
// may fail.
func raceFederationNoDeadlock(r racer) {
	r.drain(r.t)
	u, client := r.user(r.t), r.listener(r.t)
	i := r.identity(r.t, u.Subject)
	other := r.tie(r.t, account(u.Subject))
	var sessions []*storage.Session
	for n := range 6 {
		s := r.sessionBy(r.t, []*storage.Identity{i, other}[n%2])
		r.visit(r.t, s, client)
		sessions = append(sessions, s)
	}
	for _, n := range []int{4, 0, 3, 2, 5, 1, 0, 4} { // so that the order of the tokens is not that of the sessions
		r.household(r.t, u.Subject, client.ID, sessions[n].ID)
	}
	tok := &storage.Token{Subject: u.Subject, ClientID: client.ID, SessionID: sessions[0].ID}
	acts := [Parallel]func(s storage.Store) error{
		func(s storage.Store) error { return unlink(s, tok) },
		func(s storage.Store) error { return adopt(s, tok) },
		func(s storage.Store) error { return endUpstream(s, tok) },
		func(s storage.Store) error {
			return s.DeleteIdentity(bg, u.Subject, other.Upstream, other.ExternalID, nil)
		},
		func(s storage.Store) error { return s.EndSession(bg, sessions[2].ID) },
		func(s storage.Store) error { return revoke(storage.RevokeClient, clientOf)(s, tok) },
		func(s storage.Store) error { return s.RevokeConsent(bg, u.Subject, client.ID) },
		func(s storage.Store) error {
			return s.TouchIdentity(bg, i.Upstream, i.ExternalID, "x", nil, r.clock.Now())
		},
	}
	r.every(r.rush(func(n int, s storage.Store) error { return acts[n](s) }), storage.ErrNotFound)
	rows, err := r.IdentitiesOf(bg, u.Subject)
	need(r.t, err)
	if slices.ContainsFunc(rows, func(row *storage.Identity) bool {
		return row.ExternalID == i.ExternalID || row.ExternalID == other.ExternalID
	}) {
		r.t.Fatalf("an identity is left that two callers removed: %d", len(rows))
	}
}
