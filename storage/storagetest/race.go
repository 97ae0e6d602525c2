package storagetest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"gatehouse/storage"
)

// Rounds is how often RunShared runs every race, each time with Parallel callers; Run, where the callers have one handle and the same statements, takes a
// fifth. -short makes it ten at most.
var Rounds = 50

// SoakRounds is how often Soak runs the races for one-time objects; the other races take a tenth.
var SoakRounds = 10_000

// Parallel is the number of callers in a round.
const Parallel = 8

// racer is one round of one race.
type racer struct {
	*fixture
	t *testing.T
}

// rush calls act from Parallel goroutines that start together, spread over the handles, and returns what each of them got.
func (r racer) rush(act func(i int, s storage.Store) error) []error { return r.rushOf(Parallel, act) }

// rushOf is rush with another number of callers.
func (r racer) rushOf(callers int, act func(i int, s storage.Store) error) []error {
	var ready, done sync.WaitGroup
	start, errs := make(chan struct{}), make([]error, callers)
	for i := range callers {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			errs[i] = act(i, r.all[i%len(r.all)])
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return errs
}

// one fails the round unless exactly one caller got nil and all others the loser's error; it returns the winner.
func (r racer) one(errs []error, loser error) int {
	r.t.Helper()
	winner, wins := -1, 0
	for i, err := range errs {
		switch {
		case err == nil:
			winner, wins = i, wins+1
		case !errors.Is(err, loser):
			r.t.Fatalf("caller %d: error %v, want nil or %v", i, err, loser)
		}
	}
	if wins != 1 {
		r.t.Fatalf("%d callers won, want 1: %v", wins, errs)
	}
	return winner
}

// every fails the round unless every caller got nil or one of the allowed errors.
func (r racer) every(errs []error, allowed ...error) {
	r.t.Helper()
	for i, err := range errs {
		ok := err == nil
		for _, a := range allowed {
			ok = ok || errors.Is(err, a)
		}
		if !ok {
			r.t.Fatalf("caller %d: error %v, want nil or one of %v", i, err, allowed)
		}
	}
}

func raceAlone(t *testing.T, open Opener) { runRaces(t, newFixture(t, open), Rounds/5) }

func runRaces(t *testing.T, f *fixture, rounds int) {
	if testing.Short() {
		rounds = min(rounds, 10)
	}
	for _, race := range races() {
		t.Run(race.name, func(t *testing.T) { race.run(t, f, rounds) })
	}
	t.Run("RevocationsAreSeenInOrder", func(t *testing.T) { raceRevocationPoller(racer{f, t}, rounds) })
}

// Soak runs the races for hours, each on a database of its own. It skips unless GATEHOUSE_SOAK is set, as make soak does; GATEHOUSE_SOAK_ROUNDS lowers
// SoakRounds.
func Soak(t *testing.T, open SharedOpener) {
	t.Helper()
	if os.Getenv("GATEHOUSE_SOAK") == "" {
		t.Skip("GATEHOUSE_SOAK is not set: the long races are run by make soak")
	}
	limit := SoakRounds
	if n, err := strconv.Atoi(os.Getenv("GATEHOUSE_SOAK_ROUNDS")); err == nil {
		limit = min(n, limit)
	}
	for _, race := range races() {
		t.Run(race.name, func(t *testing.T) {
			clock, rounds := newClock(), limit
			if !race.once {
				rounds = max(rounds/10, 1)
			}
			a, b := open(t, clock.options())
			race.run(t, &fixture{Store: a, all: []storage.Store{a, b}, clock: clock}, rounds)
			t.Logf("%d rounds of %d callers on two handles", rounds, Parallel)
		})
	}
}

// race is one race; once marks those for one-time objects, which have exactly one winner.
type race struct {
	name  string
	once  bool
	round func(racer)
}

func (r race) run(t *testing.T, f *fixture, rounds int) {
	for range rounds {
		r.round(racer{f, t})
	}
}

func races() []race {
	all := []race{
		{"ExchangeCode", true, func(r racer) { raceExchange(r, storage.TokenCode) }},
		{"ExchangeRefreshToken", true, func(r racer) { raceExchange(r, storage.TokenRefresh) }},
		{"ConsumeInteraction", true, raceConsumeInteraction},
		{"Remember", true, raceRemember},
		{"SwapRate", true, raceSwapRate},
		{"CreateUserSameEmail", true, func(r racer) { raceCreateUser(r, "email") }},
		{"CreateUserSameUsername", true, func(r racer) { raceCreateUser(r, "username") }},
		{"CreateClient", true, raceCreateClient},
		{"CreateSecret", true, raceCreateSecret},
		{"CreateToken", true, raceCreateToken},
		{"CreateSession", true, raceCreateSession},
		{"CreateNotice", false, raceCreateNotice},
		{"RehashPassword", false, raceRehashPassword},
		{"ChangeSigningKeys", false, raceChangeSigningKeys},
		{"UpdateClient", false, raceUpdateClient},
		{"UpdateUser", false, raceUpdateUser},
		{"UpdateSession", false, raceUpdateSession},
		{"UpdateInteraction", false, raceUpdateInteraction},
		{"UpdateAndConsume", false, raceUpdateAndConsume},
		{"GrantConsent", false, raceGrantConsent},
		{"Purge", false, racePurge},
		{"NoDeadlock", false, raceNoDeadlock},
		{"ExchangePushedRequest", true, raceExchangePushed},
		{"ClaimLogouts", false, raceClaimLogouts},
		{"EndOnce", false, raceEndOnce},
		{"EndAgainstDeleteClient", false, raceEndAndDelete},
		{"TouchAgainstPurge", false, raceTouchAndPurge},
		{"NoDeadlockAtLogout", false, raceLogoutNoDeadlock},
	}
	all = append(all, identityRaces()...)
	all = append(all, peopleRaces()...)
	for _, k := range enders {
		all = append(all, race{"AddSessionClientAgainst" + k.name, false, func(r racer) { raceAddClient(r, k) }})
	}
	for _, k := range killers {
		all = append(all, race{"ExchangeAgainst" + k.name, false, func(r racer) { raceKill(r, k) }})
	}
	return all
}

// raceExchange: one caller consumes the token; only the winner's successor and next tokens exist afterwards.
func raceExchange(r racer, kind storage.TokenKind) {
	tok := r.token(kind)
	need(r.t, r.CreateToken(bg, tok))
	var refresh, access [Parallel]*storage.Token
	for i := range Parallel {
		refresh[i], access[i] = next(tok, storage.TokenRefresh), next(tok, storage.TokenAccess)
	}
	winner := r.one(r.rush(func(i int, s storage.Store) error {
		return s.ExchangeToken(bg, kind, tok.Signature, fmt.Appendf(nil, "successor %d", i), refresh[i], access[i])
	}), storage.ErrConsumed)
	got := alive(r.t, r, "the consumed token", tok)
	if want := fmt.Sprintf("successor %d", winner); string(got.Successor) != want || got.ConsumedAt.IsZero() {
		r.t.Fatalf("consumed row: successor %q at %v, want %q", got.Successor, got.ConsumedAt, want)
	}
	for i := range Parallel {
		if i == winner {
			alive(r.t, r, "the winner's refresh token", refresh[i])
			alive(r.t, r, "the winner's access token", access[i])
			continue
		}
		gone(r.t, r, "a loser's refresh token", refresh[i])
		gone(r.t, r, "a loser's access token", access[i])
	}
}

func raceCreateToken(r racer) {
	tok := r.token(storage.TokenCode)
	winner := r.one(r.rush(func(i int, s storage.Store) error {
		mine := *tok
		mine.Payload = fmt.Appendf(nil, "%d", i)
		return s.CreateToken(bg, &mine)
	}), storage.ErrExists)
	if got := alive(r.t, r, "token", tok); string(got.Payload) != fmt.Sprint(winner) {
		r.t.Fatalf("payload of caller %s stored, caller %d was told that it won", got.Payload, winner)
	}
}

func raceCreateSession(r racer) {
	u, cookie := r.user(r.t), name("cookie")
	r.one(r.rush(func(i int, s storage.Store) error {
		now := r.clock.Now()
		return s.CreateSession(bg, &storage.Session{ID: name("sid"), CookieHash: cookie, Subject: u.Subject, AuthTime: now, Created: now,
			LastSeen: now, Absolute: now.Add(1e12)})
	}), storage.ErrExists)
}

func raceConsumeInteraction(r racer) {
	in := r.interaction(r.t)
	r.one(r.rush(func(_ int, s storage.Store) error { return s.ConsumeInteraction(bg, in.ID) }), storage.ErrConsumed)
}

// raceUpdateAndConsume: an update that read the row before it was consumed must not bring it back to life.
func raceUpdateAndConsume(r racer) {
	in := r.interaction(r.t)
	errs := r.rush(func(i int, s storage.Store) error {
		if i == Parallel/2 {
			return s.ConsumeInteraction(bg, in.ID)
		}
		_, err := s.UpdateInteraction(bg, in.ID, func(in *storage.Interaction) error {
			in.Subject = name("late")
			return nil
		})
		return err
	})
	r.every(errs, storage.ErrConsumed)
	need(r.t, errs[Parallel/2])
	if err := r.ConsumeInteraction(bg, in.ID); !errors.Is(err, storage.ErrConsumed) {
		r.t.Fatalf("consumed twice: %v", err)
	}
}

func raceRemember(r racer) {
	key, expires := name("jti"), r.clock.Now().Add(1e12)
	r.one(r.rush(func(_ int, s storage.Store) error { return s.Remember(bg, key, expires) }), storage.ErrConsumed)
}

func raceCreateUser(r racer, field string) {
	key := name("alice")
	var subjects [Parallel]string
	winner := r.one(r.rush(func(i int, s storage.Store) error {
		u := &storage.User{Subject: name("user")}
		subjects[i] = u.Subject
		if field == "email" {
			u.EmailKey = key
		} else {
			u.UsernameKey = key
		}
		err := s.CreateUser(bg, u, "hash")
		if err != nil {
			wantExists(r.t, "loser", err, field)
		}
		return err
	}), storage.ErrExists)
	got, _, err := r.UserByLogin(bg, key)
	need(r.t, err)
	if got.Subject != subjects[winner] {
		r.t.Fatalf("user %s stored, %s was told that it won", got.Subject, subjects[winner])
	}
	for i, subject := range subjects {
		if _, err := r.User(bg, subject); (err == nil) != (i == winner) {
			r.t.Fatalf("user of caller %d (winner %d): %v", i, winner, err)
		}
	}
}

func raceCreateClient(r racer) {
	id := name("client")
	winner := r.one(r.rush(func(i int, s storage.Store) error {
		return s.CreateClient(bg, &storage.Client{ID: id, Name: fmt.Sprint(i)})
	}), storage.ErrExists)
	got, err := r.Client(bg, id)
	need(r.t, err)
	if got.Name != fmt.Sprint(winner) {
		r.t.Fatalf("client of caller %s stored, caller %d was told that it won", got.Name, winner)
	}
}

func raceCreateSecret(r racer) {
	id := name("secret")
	winner := r.one(r.rush(func(i int, s storage.Store) error { return s.CreateSecret(bg, id, []byte{byte(i)}) }), storage.ErrExists)
	got, err := r.Secret(bg, id)
	need(r.t, err)
	if len(got) != 1 || int(got[0]) != winner {
		r.t.Fatalf("secret %v stored, caller %d was told that it won", got, winner)
	}
}

func raceCreateNotice(r racer) {
	u := r.user(r.t)
	r.every(r.rush(func(_ int, s storage.Store) error {
		return s.CreateNotice(bg, &storage.Notice{ID: name("notice"), Subject: u.Subject, Kind: "refresh_reuse", ClientID: "c", Created: r.clock.Now()})
	}))
	got, err := r.Notices(bg, u.Subject)
	need(r.t, err)
	if len(got) != 1 {
		r.t.Fatalf("%d notices of one kind and client, want 1", len(got))
	}
}

func raceRehashPassword(r racer) {
	u := r.user(r.t)
	winner := r.one(r.rush(func(i int, s storage.Store) error {
		return s.RehashPassword(bg, u.Subject, "hash-of-"+u.Subject, fmt.Sprint(i))
	}), storage.ErrNotFound)
	if _, got, err := r.UserByLogin(bg, u.UsernameKey); err != nil || got != fmt.Sprint(winner) {
		r.t.Fatalf("password of caller %s stored (%v), caller %d was told that it won", got, err, winner)
	}
}
