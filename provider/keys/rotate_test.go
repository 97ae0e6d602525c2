package keys

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

func TestFirstStartHasAnActiveKeyForEveryAlgorithm(t *testing.T) {
	w := newWorld(t)
	s := w.node(func(o *Options) { o.Algorithms = nil })
	must(t, s.EnsureActive(t.Context()))
	if got, want := states(t, s), map[string]int{"RS256 active": 1, "ES256 active": 1}; !maps.Equal(got, want) {
		t.Fatalf("after EnsureActive: %v, want %v", got, want)
	}
	for _, alg := range []string{RS256, ES256} {
		if !s.Has(alg) {
			t.Errorf("Has(%s) = false", alg)
		}
		must(t, verifyAsRelyingParty(published(t, s), sign(t, s, alg)))
	}
	if s.Has(EdDSA) {
		t.Error("Has(EdDSA) although it is not configured")
	}
	must(t, s.Ensure(t.Context()))
	if got, want := states(t, s), map[string]int{"RS256 active": 1, "ES256 active": 1, "RS256 next": 1, "ES256 next": 1}; !maps.Equal(got, want) {
		t.Fatalf("after Ensure: %v, want %v", got, want)
	}
	// A rotation on demand must take a key that clients have seen: some look again a minute after their last look at the soonest.
	if n := len(published(t, s).Keys); n != 4 {
		t.Errorf("%d keys published on the first day, want 4: the next ones are there from the beginning", n)
	}
	writes := w.store.writes
	must(t, s.Ensure(t.Context()))
	if w.store.writes != writes {
		t.Error("a second Ensure writes although nothing is due")
	}
}

func TestManyNodesAtOnceMakeOneSetOfKeys(t *testing.T) {
	for round := range 20 {
		w := newWorld(t)
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				s := w.node(func(o *Options) { o.Algorithms = []string{ES256, EdDSA} })
				if errs[i] = s.EnsureActive(t.Context()); errs[i] == nil {
					errs[i] = s.Ensure(t.Context())
				}
			})
		}
		wg.Wait()
		must(t, errors.Join(errs...))
		want := map[string]int{"ES256 active": 1, "EdDSA active": 1, "ES256 next": 1, "EdDSA next": 1}
		if got := states(t, w.node()); !maps.Equal(got, want) {
			t.Fatalf("round %d: %v, want %v", round, got, want)
		}
	}
}

// watch is a cluster of nodes whose snapshots are up to a second old, seen by a relying party.
type watch struct {
	t      *testing.T
	w      *world
	nodes  []*Set
	loaded []time.Time
	// seen is since when every node publishes a kid; signed is when it first signed; tokens are kept until they expire.
	seen, signed map[string]time.Time
	tokens       []bornToken
}

type bornToken struct {
	token string
	at    time.Time
}

// step checks the promise at one moment: what any node signs, and everything signed within the longest lifetime, verifies by every node.
func (c *watch) step() {
	c.t.Helper()
	now := c.w.clock.Now()
	for i, n := range c.nodes {
		if now.Sub(c.loaded[i]) >= time.Second {
			must(c.t, n.Load(c.t.Context()))
			c.loaded[i] = now
		}
	}
	for _, n := range c.nodes {
		token := sign(c.t, n, ES256)
		kid := kidOf(c.t, token)
		if _, ok := c.signed[kid]; !ok {
			c.signed[kid] = now
			if since, ok := c.seen[kid]; len(c.signed) > 1 && (!ok || !since.Before(now)) {
				c.t.Fatalf("%s: key %s signs before it is published everywhere", now, kid)
			}
		}
		if len(c.tokens) == 0 || kidOf(c.t, c.tokens[len(c.tokens)-1].token) != kid || now.Sub(c.tokens[len(c.tokens)-1].at) > 10*time.Minute {
			c.tokens = append(c.tokens, bornToken{token, now})
		}
	}
	for len(c.tokens) > 0 && now.Sub(c.tokens[0].at) > time.Hour {
		c.tokens = c.tokens[1:]
	}
	everywhere := map[string]int{}
	for i, n := range c.nodes {
		set := published(c.t, n)
		for _, k := range set.Keys {
			everywhere[k.KeyID]++
		}
		for _, b := range c.tokens {
			if err := verifyAsRelyingParty(set, b.token); err != nil {
				c.t.Fatalf("%s: node %d, token of %s: %v", now, i, b.at, err)
			}
			if _, err := n.Verify(b.token, "at+jwt"); err != nil {
				c.t.Fatalf("%s: node %d: Verify, token of %s: %v", now, i, b.at, err)
			}
		}
	}
	for kid, n := range everywhere {
		if _, ok := c.seen[kid]; !ok && n == len(c.nodes) {
			c.seen[kid] = now
		}
	}
}

func newWatch(t *testing.T, w *world) *watch {
	c := &watch{t: t, w: w, seen: map[string]time.Time{}, signed: map[string]time.Time{}}
	start := w.clock.Now()
	for i := range 3 {
		n := w.node()
		must(t, n.Ensure(t.Context()))
		c.nodes = append(c.nodes, n)
		c.loaded = append(c.loaded, start.Add(-time.Duration(i)*300*time.Millisecond)) // reloads out of step
	}
	return c
}

func TestRow114EveryTokenVerifiesAtEveryMomentOfARotationOnDemand(t *testing.T) {
	w := newWorld(t)
	c := newWatch(t, w)
	operator := w.node()
	for round := range 3 {
		for step := range 120 { // 12 s in steps of 100 ms; the second round comes while the first is still on its way
			if step == 7 || round == 1 && step == 20 {
				kid, err := operator.Rotate(t.Context(), ES256)
				must(t, err)
				if _, ok := w.store.rows[kid]; !ok {
					t.Fatalf("Rotate names a key that does not exist: %q", kid)
				}
			}
			c.step()
			w.clock.add(100 * time.Millisecond)
		}
	}
	if len(c.signed) != 5 {
		t.Fatalf("%d keys signed, want the first and one for each of 4 rotations", len(c.signed))
	}
	end := w.clock.Now().Add(26 * time.Hour)
	for w.clock.Now().Before(end) {
		c.step()
		w.clock.add(5 * time.Minute)
	}
	if n := len(published(t, c.nodes[0]).Keys); n != 2 {
		t.Errorf("%d keys published after everything expired, want active and next", n)
	}
}

func TestRow114EveryTokenVerifiesAtEveryMomentOfTheScheduledRotation(t *testing.T) {
	w := newWorld(t)
	c := newWatch(t, w)
	born := w.clock.Now()
	period := 30 * 24 * time.Hour
	for now := born; now.Before(born.Add(2*period + 48*time.Hour)); {
		must(t, c.nodes[int(now.Sub(born)/time.Hour)%3].Ensure(t.Context()))
		c.step()
		step := 6 * time.Hour
		for _, edge := range []time.Duration{period - publishAhead, period, 2*period - publishAhead, 2 * period} {
			if d := born.Add(edge).Sub(now); d > -3*time.Second && d <= 3*time.Second {
				step = 200 * time.Millisecond
			} else if d > 3*time.Second && d-3*time.Second < step {
				step = d - 3*time.Second
			}
		}
		now = now.Add(step)
		w.clock.set(now)
	}
	if len(c.signed) != 3 {
		t.Fatalf("%d keys signed in two periods, want 3", len(c.signed))
	}
	for kid, first := range c.signed {
		if ahead := first.Sub(c.seen[kid]); first != born && ahead < publishAhead-2*time.Second {
			t.Errorf("key %s was published only %s before it signed", kid, ahead)
		}
	}
}

func TestASnapshotSwitchesByTheClockAlone(t *testing.T) {
	w := newWorld(t)
	s := w.node()
	must(t, s.Ensure(t.Context()))
	before := kidOf(t, sign(t, s, ES256))
	kid, err := s.Rotate(t.Context(), ES256)
	must(t, err)
	w.store.fail = errors.New("down")
	w.clock.add(rotateDelay - time.Microsecond)
	if got := kidOf(t, sign(t, s, ES256)); got != before {
		t.Fatal("the next key signs too early")
	}
	w.clock.add(time.Microsecond)
	if got := kidOf(t, sign(t, s, ES256)); got != kid {
		t.Fatalf("after ActivateAt %s signs, want %s", got, kid)
	}
}

func TestRotatedKeysAreErasedThenUnpublishedThenForgotten(t *testing.T) {
	w := newWorld(t)
	s := w.node()
	must(t, s.Ensure(t.Context()))
	token, err := s.Sign(ES256, "JWT", []byte(`{}`))
	must(t, err)
	old := kidOf(t, token)
	_, err = s.Rotate(t.Context(), ES256)
	must(t, err)
	retired := w.clock.Now().Add(rotateDelay)

	w.clock.set(retired.Add(eraseAfter - time.Second))
	must(t, s.Ensure(t.Context()))
	if w.store.rows[old].Private == nil {
		t.Fatal("private half erased early")
	}
	w.clock.set(retired.Add(eraseAfter))
	must(t, s.Ensure(t.Context()))
	if w.store.rows[old].Private != nil {
		t.Fatal("private half still there an hour after retirement")
	}
	removed := retired.Add(time.Hour + removeSlack)
	w.clock.set(removed.Add(-time.Microsecond))
	must(t, verifyAsRelyingParty(published(t, s), token))
	w.clock.set(removed)
	if err := verifyAsRelyingParty(published(t, s), token); err == nil {
		t.Fatal("still published after RemoveAt")
	}
	if _, err := s.Verify(token); !errors.Is(err, ErrInvalidToken) {
		t.Fatalf("still verifies after RemoveAt: %v", err)
	}
	w.clock.set(removed.Add(hintFor))
	if _, err := s.VerifyHint(token); err != nil {
		t.Fatalf("a hint within the year is refused: %v", err)
	}
	w.clock.add(time.Microsecond)
	if _, err := s.VerifyHint(token); !errors.Is(err, ErrInvalidToken) {
		t.Fatalf("a hint after the year is accepted: %v", err)
	}
}

func TestRow115RevokedKeyIsWorthNothing(t *testing.T) {
	for _, which := range []string{StateActive, StateNext, StateRetired} {
		t.Run(which, func(t *testing.T) {
			w := newWorld(t)
			s, other := w.node(), w.node()
			must(t, s.Ensure(t.Context()))
			token, err := s.Sign(ES256, "JWT", []byte(`{}`))
			must(t, err)
			if which == StateRetired {
				_, err := s.Rotate(t.Context(), ES256)
				must(t, err)
				w.clock.add(rotateDelay)
			}
			var kid string
			list, err := s.List(t.Context())
			must(t, err)
			for _, k := range list {
				if k.State == which {
					kid = k.KID
				}
			}
			must(t, s.Revoke(t.Context(), kid))
			must(t, other.Load(t.Context()))
			for _, n := range []*Set{s, other} {
				if len(published(t, n).Key(kid)) != 0 {
					t.Error("still in the JWKS")
				}
				if kidOf(t, sign(t, n, ES256)) == kid {
					t.Error("still signs")
				}
				must(t, verifyAsRelyingParty(published(t, n), sign(t, n, ES256)))
				_, err1 := n.Verify(token)
				_, err2 := n.VerifyHint(token)
				if dead := which != StateNext; (err1 != nil) != dead || (err2 != nil) != dead {
					t.Errorf("Verify: %v, VerifyHint: %v", err1, err2)
				}
			}
			if w.store.rows[kid].Private != nil {
				t.Error("private half still stored")
			}
			if got := states(t, s); got["ES256 active"] != 1 || got["ES256 next"] != 1 || got["ES256 revoked"] != 1 {
				t.Errorf("states %v, want one active and one next left", got)
			}
			must(t, s.Revoke(t.Context(), kid))
		})
	}
	w := newWorld(t)
	if err := w.node().Revoke(t.Context(), "no-such-kid"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("unknown kid: %v", err)
	}
}

func TestRevokingTheNextKeyGivesTheActiveOneItsTimeBack(t *testing.T) {
	w := newWorld(t)
	s := w.node()
	must(t, s.Ensure(t.Context()))
	kid, err := s.Rotate(t.Context(), ES256)
	must(t, err)
	active := kidOf(t, sign(t, s, ES256))
	must(t, s.Revoke(t.Context(), kid))
	w.clock.add(time.Minute)
	if got := kidOf(t, sign(t, s, ES256)); got != active {
		t.Fatalf("%s signs, want the old active key %s until the new next one is due", got, active)
	}
}

func TestUnusedAlgorithmRetiresAndUnknownOnesAreRefused(t *testing.T) {
	w := newWorld(t)
	both := w.node(func(o *Options) { o.Algorithms = []string{ES256, EdDSA} })
	must(t, both.Ensure(t.Context()))
	token := sign(t, both, EdDSA)
	s := w.node()
	must(t, s.Ensure(t.Context()))
	if s.Has(EdDSA) {
		t.Error("an algorithm that is not configured still signs")
	}
	if _, err := s.Verify(token); err != nil {
		t.Errorf("its tokens stopped verifying at once: %v", err)
	}
	w.clock.add(26 * time.Hour)
	if _, err := s.Verify(token); err == nil {
		t.Error("its tokens verify for ever")
	}
	if _, err := s.Rotate(t.Context(), EdDSA); err == nil {
		t.Error("Rotate of an algorithm that is not configured succeeds")
	}
	if err := w.node(func(o *Options) { o.Algorithms = []string{"HS256"} }).Ensure(t.Context()); err == nil {
		t.Error("HS256 keys are made")
	}
}

func TestChangedPeriodMovesTheUnpublishedNextKey(t *testing.T) {
	w := newWorld(t)
	must(t, w.node().Ensure(t.Context()))
	s := w.node(func(o *Options) { o.RotateEvery = 7 * 24 * time.Hour })
	must(t, s.Ensure(t.Context()))
	list, err := s.List(t.Context())
	must(t, err)
	if len(list) != 2 || list[1].ActivateAt != w.clock.Now().Add(7*24*time.Hour) || list[0].RetireAt != list[1].ActivateAt {
		t.Fatalf("timetable %+v", list)
	}
}

func TestAnIdleServerGivesItsOverdueKeyADayOfNotice(t *testing.T) {
	w := newWorld(t)
	s := w.node()
	must(t, s.EnsureActive(t.Context()))
	first := kidOf(t, sign(t, s, ES256))
	w.clock.add(400 * 24 * time.Hour)
	must(t, s.EnsureActive(t.Context()))
	if kidOf(t, sign(t, s, ES256)) != first {
		t.Fatal("the only key stopped signing although it has no successor")
	}
	must(t, s.Ensure(t.Context()))
	if n := len(published(t, s).Keys); n != 2 {
		t.Fatalf("%d keys published, want the overdue next one at once", n)
	}
	w.clock.add(publishAhead)
	if kidOf(t, sign(t, s, ES256)) == first {
		t.Fatal("the successor does not sign after a day")
	}
}

func TestStoreFailureIsAnErrorAndKeepsTheSnapshot(t *testing.T) {
	w := newWorld(t)
	s := w.node()
	must(t, s.Ensure(t.Context()))
	w.store.fail = fmt.Errorf("read: %w", storage.ErrUnavailable)
	_, rotateErr := s.Rotate(t.Context(), ES256)
	_, listErr := s.List(t.Context())
	for name, err := range map[string]error{
		"Load": s.Load(t.Context()), "Ensure": s.Ensure(t.Context()), "Rotate": rotateErr, "List": listErr, "Revoke": s.Revoke(t.Context(), "x"),
	} {
		if !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Verify(sign(t, s, ES256)); err != nil {
		t.Errorf("the copy is gone: %v", err)
	}
}

func TestWrongMasterKeyIsNamedAndNothingLoads(t *testing.T) {
	w := newWorld(t)
	must(t, w.node().Ensure(t.Context()))
	needed := w.ring.ID()
	s := newWorld(t).node(func(o *Options) { o.Store = w.store })
	err := s.Load(t.Context())
	if !errors.Is(err, seal.ErrUnknownKey) {
		t.Fatalf("Load: %v", err)
	}
	if want := "key " + needed + " is needed"; !contains(err, want) {
		t.Errorf("%v does not say %q", err, want)
	}
	if s.Has(ES256) {
		t.Error("has a key all the same")
	}
}

func TestSealedKeyCannotMoveToAnotherRow(t *testing.T) {
	w := newWorld(t)
	s := w.node()
	must(t, s.Ensure(t.Context()))
	var kids []string
	for kid := range w.store.rows {
		kids = append(kids, kid)
	}
	a, b := w.store.rows[kids[0]], w.store.rows[kids[1]]
	a.Private, b.Private = b.Private, a.Private
	w.store.rows[a.KID], w.store.rows[b.KID] = a, b
	if err := w.node().Load(t.Context()); !errors.Is(err, seal.ErrBroken) {
		t.Fatalf("swapped private halves load: %v", err)
	}
}

func TestKeysThatAreMadeRotatedAndRevokedAreAudited(t *testing.T) {
	w := newWorld(t)
	var events []string
	s := w.node(func(o *Options) {
		o.Audit = audit.New(slog.New(slog.DiscardHandler)).CountWith(func(name string) { events = append(events, name) })
	})
	must(t, s.Ensure(t.Context()))
	kid, err := s.Rotate(t.Context(), ES256)
	must(t, err)
	must(t, s.Ensure(t.Context()))
	w.clock.add(time.Minute)
	must(t, s.Revoke(t.Context(), kid))
	slices.Sort(events)
	if got, want := strings.Join(events, " "), "key.created key.created key.created key.created key.revoked key.rotated"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

func TestAPlanOvertakenByAnotherNodeIsMadeAnew(t *testing.T) {
	w := newWorld(t)
	s, other := w.node(), w.node()
	must(t, s.Ensure(t.Context()))
	var next string
	for kid, row := range w.store.rows {
		if row.ActivateAt.After(w.clock.Now()) {
			next = kid
		}
	}
	// s means to activate the next key and has generated one to follow it; by then that key is gone and two are needed.
	w.store.before = func() {
		row := w.store.rows[next]
		other.newPlan(nil, nil).revoke(&row)
		w.store.rows[next] = row
	}
	kid, err := s.Rotate(t.Context(), ES256)
	must(t, err)
	if kid == "" || kid == next || w.store.rows[kid].Private == nil {
		t.Fatalf("rotated to %q", kid)
	}
	if got := states(t, s); got["ES256 active"] != 1 || got["ES256 next"] != 2 || len(w.store.rows) != 4 {
		t.Errorf("states %v, %d rows", got, len(w.store.rows))
	}
	w.clock.add(rotateDelay)
	if got := kidOf(t, sign(t, s, ES256)); got != kid {
		t.Errorf("%s signs, want %s", got, kid)
	}
}
