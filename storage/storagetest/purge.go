package storagetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"gatehouse/storage"
)

// perishable is a kind of row that Purge deletes: put stores one that is of use for as long as life, and present asks whether it is there.
type perishable struct {
	name string
	put  func(t *testing.T, f *fixture, life time.Duration) (present func() error)
}

func perishables() []perishable {
	return []perishable{
		{"Code", func(t *testing.T, f *fixture, life time.Duration) func() error {
			return f.perishableToken(t, storage.TokenCode, life-RevocationTTL, time.Hour, false)
		}},
		{"AccessToken", func(t *testing.T, f *fixture, life time.Duration) func() error {
			return f.perishableToken(t, storage.TokenAccess, life, time.Hour, false)
		}},
		{"RefreshToken", func(t *testing.T, f *fixture, life time.Duration) func() error {
			return f.perishableToken(t, storage.TokenRefresh, life, 24*time.Hour, false)
		}},
		{"ConsumedRefreshToken", func(t *testing.T, f *fixture, life time.Duration) func() error {
			return f.perishableToken(t, storage.TokenRefresh, life, 24*time.Hour, true)
		}},
		{"RefreshTokenOfEndedGrant", func(t *testing.T, f *fixture, life time.Duration) func() error {
			return f.perishableToken(t, storage.TokenRefresh, 24*time.Hour, life, false)
		}},
		{"Session", purgedSession},
		{"Interaction", purgedInteraction},
		{"ReplayKey", purgedReplayKey},
		{"Rate", purgedRate},
		{"SigningKey", purgedKey},
		{"Client", purgedClient},
		{"LogoutDelivery", purgedDelivery},
		{"Mail", purgedMail},
		{"Ticket", purgedTicket},
		{"Device", purgedDevice},
		{"PushedRequest", func(t *testing.T, f *fixture, life time.Duration) func() error {
			return f.perishableToken(t, storage.TokenPushed, life, 24*time.Hour, true)
		}},
		{"InitialAccessToken", func(t *testing.T, f *fixture, life time.Duration) func() error {
			return f.perishableToken(t, storage.TokenInitial, life, 24*time.Hour, false)
		}},
	}
}

func testPurge(t *testing.T, open Opener) {
	for _, p := range perishables() {
		t.Run(p.name, func(t *testing.T) { purgeInBatches(t, newFixture(t, open), p) })
	}
	for _, r := range []rule{
		{"ConsumedCodeStaysForRevocationTTL", purgeConsumedCode}, {"Revocation", purgeRevocations}, {"WhatHasNoEndStays", purgeSparesTheRest},
		{"LimitCountsAllKindsTogether", purgeMixed},
	} {
		t.Run(r.name, func(t *testing.T) { r.check(t, newFixture(t, open)) })
	}
}

// purgeAll purges in batches and returns how many rows went.
func (f *fixture) purgeAll(t *testing.T, limit int) int {
	t.Helper()
	for sum := 0; ; {
		n, err := f.Purge(bg, f.clock.Now(), limit)
		need(t, err)
		if n < 0 || n > limit {
			t.Fatalf("Purge says %d, limit %d", n, limit)
		}
		if sum += n; n < limit {
			return sum
		}
	}
}

// purgeInBatches: seven rows that are over go in batches, a row that is still of use stays.
func purgeInBatches(t *testing.T, f *fixture, p perishable) {
	useful := p.put(t, f, 30*time.Minute)
	var over []func() error
	for range 7 {
		over = append(over, p.put(t, f, time.Minute))
	}
	f.clock.advance(time.Minute - time.Microsecond)
	same(t, "rows purged while all are of use", f.purgeAll(t, 3), 0)
	f.clock.advance(time.Microsecond)
	same(t, "rows purged", f.purgeAll(t, 3), len(over))
	need(t, useful())
	for _, present := range over {
		wantErr(t, "a row that is over", present(), storage.ErrNotFound)
	}
	same(t, "rows purged again", f.purgeAll(t, 3), 0)
}

func (f *fixture) perishableToken(t *testing.T, kind storage.TokenKind, life, grantLife time.Duration, consumed bool) func() error {
	t.Helper()
	tok := f.token(kind)
	tok.Expires, tok.GrantExpires = tok.Created.Add(life), tok.Created.Add(grantLife)
	need(t, f.CreateToken(bg, tok))
	if consumed {
		need(t, f.ExchangeToken(bg, tok.Kind, tok.Signature, []byte("s")))
	}
	return func() error { _, err := f.Token(bg, tok.Kind, tok.Signature); return err }
}

func purgedSession(t *testing.T, f *fixture, life time.Duration) func() error {
	now := f.clock.Now()
	s := &storage.Session{ID: name("sid"), CookieHash: name("cookie"), Subject: f.user(t).Subject, AuthTime: now, Created: now, LastSeen: now, Absolute: now.Add(life)}
	need(t, f.CreateSession(bg, s))
	return func() error { _, _, err := f.SessionByCookie(bg, s.CookieHash); return err }
}

func purgedInteraction(t *testing.T, f *fixture, life time.Duration) func() error {
	now := f.clock.Now()
	in := &storage.Interaction{ID: name("in"), Kind: storage.InteractionAccount, ReturnTo: "/account", Created: now, Expires: now.Add(life)}
	need(t, f.CreateInteraction(bg, in))
	need(t, f.ConsumeInteraction(bg, in.ID)) // a consumed one is needed until Expires, to refuse the second use
	return func() error { _, err := f.Interaction(bg, in.ID); return err }
}

func purgedReplayKey(t *testing.T, f *fixture, life time.Duration) func() error {
	key := name("jti")
	need(t, f.Remember(bg, key, f.clock.Now().Add(life)))
	return func() error {
		err := f.Remember(bg, key, f.clock.Now().Add(time.Hour))
		if errors.Is(err, storage.ErrConsumed) {
			return nil
		}
		return errors.Join(err, storage.ErrNotFound)
	}
}

func purgedRate(t *testing.T, f *fixture, life time.Duration) func() error {
	key := name("rate")
	ok, err := f.SwapRate(bg, key, time.Time{}, f.clock.Now().Add(life))
	need(t, err)
	same(t, "swapped", ok, true)
	return func() error {
		at, err := f.Rate(bg, key)
		if err == nil && at.IsZero() {
			err = storage.ErrNotFound
		}
		return err
	}
}

func purgedKey(t *testing.T, f *fixture, life time.Duration) func() error {
	k, unplanned := f.key(), f.key() // a key whose removal is not planned stays
	k.RemoveAt = f.clock.Now().Add(life - 365*24*time.Hour)
	f.putKeys(t, k, unplanned)
	return func() error {
		keys, err := f.SigningKeys(bg)
		need(t, err)
		kept := map[string]bool{}
		for _, have := range keys {
			kept[have.KID] = true
		}
		if !kept[unplanned.KID] {
			t.Error("a key without RemoveAt was purged")
		}
		if !kept[k.KID] {
			return storage.ErrNotFound
		}
		return nil
	}
}

func purgedClient(t *testing.T, f *fixture, life time.Duration) func() error {
	c := f.mortal(t, f.clock.Now().Add(life-storage.ClientGrace))
	return func() error { _, err := f.Client(bg, c.ID); return err }
}

// purgedDelivery queues one so long ago that it is of use for life.
func purgedDelivery(t *testing.T, f *fixture, life time.Duration) func() error {
	f.clock.advance(life - storage.LogoutRetention)
	s, at := f.session(t, f.user(t).Subject), f.clock.Now()
	f.visit(t, s, f.listener(t))
	need(t, f.EndSession(bg, s.ID))
	rows := f.deliveries(t, s.Subject)
	same(t, "deliveries", len(rows), 1)
	f.clock.advance(storage.LogoutRetention - life)
	f.purgeAll(t, 100) // the revocation of the session, which is over
	return func() error {
		need(t, f.RetryLogout(bg, rows[0].ID, at, true))
		left, err := f.ClaimLogouts(bg, at, time.Minute, 100)
		need(t, err)
		if !slices.ContainsFunc(left, func(l *storage.LogoutDelivery) bool { return l.ID == rows[0].ID }) {
			return storage.ErrNotFound
		}
		return nil
	}
}

func purgedMail(t *testing.T, f *fixture, life time.Duration) func() error {
	m := f.unsavedMail(0)
	m.Expires = m.Created.Add(life)
	need(t, f.QueueMail(bg, m))
	return func() error {
		need(t, f.RetryMail(bg, m.ID, m.Created))
		left, err := f.ClaimMails(bg, m.Created, time.Minute, 100)
		need(t, err)
		if !slices.ContainsFunc(left, func(have *storage.Mail) bool { return have.ID == m.ID }) {
			return storage.ErrNotFound
		}
		return nil
	}
}

// purgedTicket is a used one: it is needed until it expires, to refuse the second use.
func purgedTicket(t *testing.T, f *fixture, life time.Duration) func() error {
	n := f.unsavedTicket(storage.TicketSignUp, nil)
	n.Expires = n.Created.Add(life)
	need(t, f.CreateTicket(bg, n))
	_, err := f.ConsumeTicket(bg, n.Kind, n.Signature)
	need(t, err)
	return func() error {
		_, err := f.Ticket(bg, n.Kind, n.Signature)
		if errors.Is(err, storage.ErrConsumed) {
			return nil
		}
		return errors.Join(err, storage.ErrNotFound)
	}
}

func purgedDevice(t *testing.T, f *fixture, life time.Duration) func() error {
	d := f.unsavedDevice(f.user(t).Subject)
	d.Expires = d.Created.Add(life)
	need(t, f.CreateDevice(bg, d))
	return func() error {
		left, err := f.DevicesOf(bg, d.Subject)
		if err == nil && len(left) == 0 {
			err = storage.ErrNotFound
		}
		return err
	}
}

// purgeConsumedCode: a code's second use must be noticed for as long as the access tokens of its first use live.
func purgeConsumedCode(t *testing.T, f *fixture) {
	present := f.perishableToken(t, storage.TokenCode, time.Minute, time.Hour, true)
	f.clock.advance(time.Minute + RevocationTTL - time.Microsecond)
	same(t, "rows purged within RevocationTTL", f.purgeAll(t, 10), 0)
	need(t, present())
	f.clock.advance(time.Microsecond)
	same(t, "rows purged after it", f.purgeAll(t, 10), 1)
	wantErr(t, "the code", present(), storage.ErrNotFound)
}

func purgeRevocations(t *testing.T, f *fixture) {
	revoke := func() {
		_, err := f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeToken, ID: name("jti")})
		need(t, err)
	}
	for range 7 {
		revoke()
	}
	f.clock.advance(RevocationTTL / 2)
	revoke()
	same(t, "rows purged within RevocationTTL", f.purgeAll(t, 3), 0)
	f.clock.advance(RevocationTTL/2 + time.Second)
	same(t, "rows purged after it", f.purgeAll(t, 3), 7)
	rows, err := f.Revocations(bg, 0)
	need(t, err)
	same(t, "revocations left", len(rows), 1)
}

func purgeSparesTheRest(t *testing.T, f *fixture) {
	h := f.home(t)
	need(t, f.CreateSecret(bg, "pepper", []byte{1}))
	f.clock.advance(20 * 365 * 24 * time.Hour)
	f.purgeAll(t, 2)
	same(t, "what is left", f.has(t, h), map[string]bool{"user": true, "login": true, "client": true, "logo": true, "consent": true, "notice": true, "identity": true,
		"factor": true, "codes": true, "activity": true})
	_, err := f.Secret(bg, "pepper")
	need(t, err)
}

func purgeMixed(t *testing.T, f *fixture) {
	for _, p := range perishables() {
		p.put(t, f, time.Minute)
		p.put(t, f, time.Minute)
	}
	f.clock.advance(2 * time.Minute)
	same(t, "rows purged", f.purgeAll(t, 5), 2*len(perishables()))
}
