package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"gatehouse/storage"
)

// errLost is what a caller of SwapRate makes of false.
var errLost = errors.New("swap lost")

func raceSwapRate(r racer) {
	key, at := name("rate"), micro(r.clock.Now())
	for old := (time.Time{}); at.Before(micro(r.clock.Now()).Add(2 * time.Second)); at = at.Add(time.Second) {
		winner := r.one(r.rush(func(i int, s storage.Store) error {
			ok, err := s.SwapRate(bg, key, old, at.Add(time.Duration(i)*time.Microsecond))
			if err == nil && !ok {
				return errLost
			}
			return err
		}), errLost)
		got, err := r.Rate(bg, key)
		need(r.t, err)
		if want := at.Add(time.Duration(winner) * time.Microsecond); !got.Equal(want) {
			r.t.Fatalf("rate %v stored, caller %d with %v was told that it won", got, winner, want)
		}
		old = got
	}
}

// raceChangeSigningKeys counts in one key: a caller that did not see what another wrote loses a count.
func raceChangeSigningKeys(r racer) {
	const kid = "counter"
	add := func(n int) func([]*storage.SigningKey) ([]*storage.SigningKey, error) {
		return func(keys []*storage.SigningKey) ([]*storage.SigningKey, error) {
			k := &storage.SigningKey{KID: kid, Alg: "ES256", Public: []byte("0"), Created: r.clock.Now()}
			if i := slices.IndexFunc(keys, func(k *storage.SigningKey) bool { return k.KID == kid }); i >= 0 {
				k = keys[i]
			}
			count, err := strconv.Atoi(string(k.Public))
			k.Public = []byte(strconv.Itoa(count + n))
			return []*storage.SigningKey{k}, err
		}
	}
	count := func() int {
		keys, err := r.SigningKeys(bg)
		need(r.t, err)
		n, err := strconv.Atoi(string(keys[slices.IndexFunc(keys, func(k *storage.SigningKey) bool { return k.KID == kid })].Public))
		need(r.t, err)
		return n
	}
	need(r.t, r.ChangeSigningKeys(bg, add(0)))
	before := count()
	r.every(r.rush(func(_ int, s storage.Store) error { return s.ChangeSigningKeys(bg, add(1)) }))
	if got := count() - before; got != Parallel {
		r.t.Fatalf("%d changes counted, want %d: two callers were inside at once", got, Parallel)
	}
}

// complete fails the round unless got holds what every caller added.
func (r racer) complete(got []string) {
	r.t.Helper()
	for i := range Parallel {
		if !slices.Contains(got, fmt.Sprint(i)) {
			r.t.Fatalf("the change of caller %d was lost: %q", i, got)
		}
	}
}

func raceUpdateClient(r racer) {
	c := r.client(r.t)
	r.every(r.rush(func(i int, s storage.Store) error {
		_, err := s.UpdateClient(bg, c.ID, func(c *storage.Client) error {
			c.Contacts = append(c.Contacts, fmt.Sprint(i))
			return nil
		})
		return err
	}))
	got, err := r.Client(bg, c.ID)
	need(r.t, err)
	r.complete(got.Contacts)
}

func raceUpdateUser(r racer) {
	u := r.user(r.t)
	r.every(r.rush(func(i int, s storage.Store) error {
		_, err := s.UpdateUser(bg, u.Subject, func(u *storage.User) error {
			seen, _ := u.Claims["seen"].([]any)
			u.Claims = map[string]any{"seen": append(seen, fmt.Sprint(i))}
			return nil
		})
		return err
	}))
	u, err := r.User(bg, u.Subject)
	need(r.t, err)
	var got []string
	for _, v := range u.Claims["seen"].([]any) {
		got = append(got, v.(string))
	}
	r.complete(got)
}

func raceUpdateSession(r racer) {
	s := r.session(r.t, r.user(r.t).Subject)
	r.every(r.rush(func(i int, st storage.Store) error {
		_, err := st.UpdateSession(bg, s.ID, func(s *storage.Session) error {
			s.AMR = append(s.AMR, fmt.Sprint(i))
			return nil
		})
		return err
	}))
	got, _, err := r.SessionByCookie(bg, s.CookieHash)
	need(r.t, err)
	r.complete(got.AMR)
}

func raceUpdateInteraction(r racer) {
	in := r.interaction(r.t)
	r.every(r.rush(func(i int, s storage.Store) error {
		_, err := s.UpdateInteraction(bg, in.ID, func(in *storage.Interaction) error {
			in.Params.Add("seen", fmt.Sprint(i))
			return nil
		})
		return err
	}))
	got, err := r.Interaction(bg, in.ID)
	need(r.t, err)
	r.complete(got.Params["seen"])
}

func raceGrantConsent(r racer) {
	u, c := r.user(r.t), r.client(r.t)
	r.every(r.rush(func(i int, s storage.Store) error {
		now := r.clock.Now()
		return s.GrantConsent(bg, &storage.Consent{Subject: u.Subject, ClientID: c.ID, Scopes: []string{"openid", fmt.Sprint(i)},
			Resources: []string{fmt.Sprint(i)}, Created: now, Updated: now})
	}))
	got, err := r.Consent(bg, u.Subject, c.ID)
	need(r.t, err)
	r.complete(got.Scopes)
	r.complete(got.Resources)
}

// racePurge: nodes that purge together neither fail nor leave anything.
func racePurge(r racer) {
	var old []*storage.Token
	for range 2 * Parallel {
		tok := r.token(storage.TokenRefresh)
		tok.Expires = tok.Created.Add(-time.Second)
		need(r.t, r.CreateToken(bg, tok))
		old = append(old, tok)
	}
	r.every(r.rush(func(_ int, s storage.Store) error {
		for {
			if n, err := s.Purge(bg, r.clock.Now(), 3); err != nil || n < 3 {
				return err
			}
		}
	}))
	_, err := r.Purge(bg, r.clock.Now(), 1000) // what a caller that gave up early left to one that was still busy
	need(r.t, err)
	for _, tok := range old {
		gone(r.t, r, "an expired token", tok)
	}
}

// raceRevocationPoller: whoever polls as every node does misses no revocation, because versions become visible in order.
func raceRevocationPoller(r racer, rounds int) {
	seen, stop, polled := map[string]bool{}, make(chan struct{}), make(chan error, 1)
	start, err := r.Changes(bg)
	need(r.t, err)
	last := start[storage.TopicRevocations]
	poll := func() error {
		rows, err := r.Revocations(bg, last)
		for _, row := range rows {
			seen[row.ID], last = true, max(last, row.Version)
		}
		return err
	}
	go func() {
		var err error
		for done := false; !done && err == nil; {
			select {
			case <-stop:
				done = true
			default:
			}
			err = poll()
		}
		polled <- err
	}()
	var ids [Parallel][]string
	errs := r.rush(func(i int, s storage.Store) error {
		for range rounds {
			id := name("jti")
			ids[i] = append(ids[i], id)
			if _, err := s.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeToken, ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
	close(stop)
	need(r.t, <-polled)
	r.every(errs)
	for _, id := range slices.Concat(ids[:]...) {
		if !seen[id] {
			r.t.Fatalf("the poller missed a revocation: a later version was visible before it")
		}
	}
}
