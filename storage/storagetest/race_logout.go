package storagetest

import (
	"errors"
	"slices"
	"time"

	"gatehouse/storage"
)

// raceClaimLogouts: nodes that empty the queue together never take the same delivery, and leave none.
func raceClaimLogouts(r racer) {
	want := map[string]bool{}
	for _, l := range r.alone(r.t, Parallel+2) {
		want[l.ID] = true
	}
	later := r.clock.Now().Add(time.Minute)
	var mine [Parallel][]string
	r.every(r.rush(func(i int, s storage.Store) error {
		for {
			rows, err := s.ClaimLogouts(bg, later, time.Minute, 2)
			for _, l := range rows {
				mine[i] = append(mine[i], l.ID)
			}
			if err != nil || len(rows) == 0 {
				return err
			}
		}
	}))
	all := append(slices.Concat(mine[:]...), r.claim(r.t, later, 1000)...) // a caller may find all that is left in the hands of others, and give up early
	for _, id := range all {
		if !want[id] {
			r.t.Fatalf("delivery %s was claimed twice", id)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		r.t.Fatalf("%d deliveries were never claimed", len(want))
	}
}

// enders are the operations that end sessions.
var enders = []killer{
	{"EndSession", func(s storage.Store, t *storage.Token) error { return s.EndSession(bg, t.SessionID) }},
	{"SetPassword", func(s storage.Store, t *storage.Token) error { return s.SetPassword(bg, t.Subject, "new") }},
	{"DisableUser", func(s storage.Store, t *storage.Token) error {
		_, err := s.UpdateUser(bg, t.Subject, func(u *storage.User) error { u.Disabled = true; return nil })
		return err
	}},
	{"DeleteUser", func(s storage.Store, t *storage.Token) error { return s.DeleteUser(bg, t.Subject) }},
	{"AdoptUser", adopt}, {"DeleteIdentity", unlink}, {"EndUpstreamSessions", endUpstream},
}

// raceAddClient: a client that was noted in time gets its delivery, one that came too late is told so.
func raceAddClient(r racer, k killer) {
	r.drain(r.t)
	s := r.sessionBy(r.t, r.identity(r.t, r.user(r.t).Subject))
	var clients [Parallel]*storage.Client
	for i := range clients {
		clients[i] = r.listener(r.t)
	}
	errs := r.rush(func(i int, st storage.Store) error {
		if i == Parallel/2 {
			return k.kill(st, &storage.Token{SessionID: s.ID, Subject: s.Subject})
		}
		return st.AddSessionClient(bg, s.ID, clients[i].ID)
	})
	r.every(errs, storage.ErrNotFound)
	need(r.t, errs[Parallel/2])
	var told []*storage.Client
	for i, err := range errs {
		if err == nil && i != Parallel/2 {
			told = append(told, clients[i])
		}
	}
	same(r.t, "deliveries", r.owed(r.t, s.Subject), pairs([]*storage.Session{s}, told...))
}

// raceEndOnce: however many end the same sessions in whatever way, each client hears of each session once.
func raceEndOnce(r racer) {
	r.drain(r.t)
	u := r.user(r.t)
	i := r.identity(r.t, u.Subject)
	sessions := []*storage.Session{r.sessionBy(r.t, i), r.sessionBy(r.t, i)}
	a, b := r.listener(r.t), r.listener(r.t)
	for _, s := range sessions {
		r.visit(r.t, s, a, b, r.client(r.t))
	}
	r.every(r.rush(func(i int, s storage.Store) error {
		return enders[i%len(enders)].kill(s, &storage.Token{SessionID: sessions[i/len(enders)].ID, Subject: u.Subject})
	}), storage.ErrNotFound)
	same(r.t, "deliveries", r.owed(r.t, u.Subject), pairs(sessions, a, b))
}

// raceEndAndDelete: whichever comes first, nothing is left to deliver to a client that is gone.
func raceEndAndDelete(r racer) {
	r.drain(r.t)
	u, kept, deleted := r.user(r.t), r.listener(r.t), r.listener(r.t)
	var sessions []*storage.Session
	for range Parallel - 1 {
		s := r.session(r.t, u.Subject)
		r.visit(r.t, s, kept, deleted)
		sessions = append(sessions, s)
	}
	r.every(r.rush(func(i int, s storage.Store) error {
		if i == len(sessions) {
			return s.DeleteClient(bg, deleted.ID)
		}
		return s.EndSession(bg, sessions[i].ID)
	}))
	same(r.t, "deliveries", r.owed(r.t, u.Subject), pairs(sessions, kept))
}

// raceTouchAndPurge: a client that is used in the moment of its expiry is kept with all that it has, or gone with all of it.
func raceTouchAndPurge(r racer) {
	r.drain(r.t)
	h, now := r.home(r.t), micro(r.clock.Now())
	_, err := r.UpdateClient(bg, h.client.ID, func(c *storage.Client) error { c.Expires = now.Add(-storage.ClientGrace); return nil })
	need(r.t, err)
	want, until := r.has(r.t, h), now.Add(time.Hour)
	r.every(r.rush(func(i int, s storage.Store) error {
		if i%2 == 0 {
			return s.TouchClients(bg, []string{name("other"), h.client.ID}, until)
		}
		_, err := s.Purge(bg, now, 100)
		return err
	}))
	c, err := r.Client(bg, h.client.ID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		for _, part := range []string{"client", "logo", "consent", "delivery", "code", "refresh", "access"} {
			delete(want, part)
		}
	case err != nil || !c.Expires.Equal(until):
		r.t.Fatalf("client %+v (%v), want one that was touched, or none", c, err)
	}
	same(r.t, "what is left", r.has(r.t, h), want)
}

// manyBrowsers is how many complete one pushed request together.
const manyBrowsers = 50

// raceExchangePushed: a pushed request becomes one code, of one user.
func raceExchangePushed(r racer) {
	pushed := r.pushed(r.t)
	var codes [manyBrowsers]*storage.Token
	for i := range codes {
		codes[i] = r.token(storage.TokenCode)
		codes[i].ClientID, codes[i].Subject = pushed.ClientID, name("user")
	}
	winner := r.one(r.rushOf(manyBrowsers, func(i int, s storage.Store) error {
		return s.ExchangeToken(bg, pushed.Kind, pushed.Signature, nil, codes[i])
	}), storage.ErrConsumed)
	for i, code := range codes {
		if i == winner {
			alive(r.t, r, "the winner's code", code)
		} else {
			gone(r.t, r, "a loser's code", code)
		}
	}
}

// raceLogoutNoDeadlock lets everything that touches sessions, clients and deliveries run into each other: some may find nothing, none may fail.
func raceLogoutNoDeadlock(r racer) {
	r.drain(r.t)
	u, a, b := r.user(r.t), r.listener(r.t), r.listener(r.t)
	s1, s2 := r.session(r.t, u.Subject), r.session(r.t, u.Subject)
	for _, s := range []*storage.Session{s1, s2} {
		r.visit(r.t, s, a, b)
		r.household(r.t, u.Subject, a.ID, s.ID)
		r.household(r.t, u.Subject, b.ID, s.ID)
	}
	now := r.clock.Now()
	expire := func(c *storage.Client) error { c.Expires, c.Disabled = now, true; return nil }
	acts := [Parallel]func(s storage.Store) error{
		func(s storage.Store) error { return s.EndSession(bg, s1.ID) },
		func(s storage.Store) error { return s.EndSession(bg, s2.ID) },
		func(s storage.Store) error { return s.SetPassword(bg, u.Subject, "new") },
		func(s storage.Store) error { return s.DeleteClient(bg, a.ID) },
		func(s storage.Store) error { _, err := s.UpdateClient(bg, b.ID, expire); return err },
		func(s storage.Store) error { return s.TouchClients(bg, []string{b.ID, a.ID}, now.Add(time.Hour)) },
		func(s storage.Store) error { _, err := s.Purge(bg, now, 100); return err },
		func(s storage.Store) error { _, err := s.ClaimLogouts(bg, now, time.Minute, 10); return err },
	}
	r.every(r.rush(func(i int, s storage.Store) error { return acts[i](s) }), storage.ErrNotFound)
}
