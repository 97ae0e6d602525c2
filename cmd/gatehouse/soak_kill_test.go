package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What a client may rely on after the server was killed. unsure: a request that changes it was sent and there was no answer.
const (
	held = iota
	unsure
	gone
)

// note is one token and what the client knows of it.
type note struct {
	token string
	state int
	since time.Time // when it was gone
}

// lineage is what the client knows of one grant. A code or refresh token that is gone was used up; an access token that is gone was revoked.
type lineage struct {
	app     application
	code    note
	refresh note
	access  []note
	ended   note // held: the grant lives; gone: revoking its refresh token was answered
}

// errBroken is a connection that broke in the middle of a request.
var errBroken = errors.New("no answer")

// killer is the workers and what they know.
type killer struct {
	*site
	workers []*worker
	steps   atomic.Int64
	starts  []time.Duration
	victim  *process // killed last, and running again since
	since   time.Time
	checked map[string]int
}

// worker is a user with a browser and clients, one request after another.
type worker struct {
	k       *killer
	visitor *visitor
	known   []*lineage
	faults  []string
}

// The server is killed at random points of sign-ins, exchanges, refreshes and revocations, and started again. Everything that was handed out is known
// then, and nothing that was revoked lives. Of two processes on one database one is killed, and the other one goes on.
func TestSoakKill(t *testing.T) {
	onEverySite(t, func(s *site) {
		k := &killer{site: s, checked: map[string]int{}}
		for range 4 {
			k.workers = append(k.workers, &worker{k: k, visitor: s.visitor()})
		}
		kills, begin := soakCount(10, 200), time.Now()
		for n := range kills {
			k.round(n)
		}
		slices.Sort(k.starts)
		s.Logf("%d kills in %v; start-up %v in the middle, %v at most; after the kills were right: %v", kills, time.Since(begin),
			k.starts[len(k.starts)/2], k.starts[len(k.starts)-1], k.checked)
		if slow := k.starts[len(k.starts)-1]; slow > 2*promise {
			s.Errorf("starting after a kill takes %v", slow)
		}
		for _, what := range []string{"code", "refresh token", "opaque token", "JWT", "revoked opaque token", "revoked JWT", "revoked grant"} {
			if k.checked[what] == 0 {
				s.Errorf("no %s was checked after a kill", what)
			}
		}
	})
}

// round lets the workers run, kills a process somewhere in between, starts it again and checks.
func (k *killer) round(n int) {
	k.Helper()
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for _, w := range k.workers {
		wait.Go(func() { w.run(stop) })
	}
	k.someSteps()
	k.victim = k.any()
	k.victim.kill(k.T)
	close(stop)
	wait.Wait()
	k.since = time.Now()
	k.starts = append(k.starts, k.victim.spawn(k.T))
	for _, w := range k.workers {
		w.check()
		if len(w.faults) > 0 {
			k.Fatalf("kill %d: %v", n, w.faults)
		}
	}
	if k.sqlite {
		var verdict string
		if err := k.db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
			k.Fatalf("kill %d: the database is damaged: %s %v", n, verdict, err)
		}
	}
	if twins := k.count(`SELECT COUNT(*) FROM (SELECT grant_id FROM tokens WHERE kind = 'refresh' AND consumed_at = 0 GROUP BY grant_id HAVING COUNT(*) > 1) AS twins`); twins > 0 {
		k.Fatalf("kill %d: %d families have two lineages", n, twins)
	}
}

// someSteps waits for a random point of the flows: somewhere in a request, after up to a hundred others.
func (k *killer) someSteps() {
	enough, deadline := k.steps.Load()+10+rand.Int64N(90), time.Now().Add(time.Minute)
	for k.steps.Load() < enough && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(rand.N(5 * time.Millisecond))
}

// run does what clients do until a request breaks off or the round ends.
func (w *worker) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if err := w.step(); err != nil {
			if !errors.Is(err, errBroken) {
				w.faults = append(w.faults, err.Error())
			}
			return
		}
		w.k.steps.Add(1)
	}
}

// step is one request, or one sign-in.
func (w *worker) step() error {
	if len(w.known) < 4 || rand.IntN(3) == 0 {
		return w.begin()
	}
	l := w.known[rand.IntN(len(w.known))]
	switch {
	case l.ended.state != held || l.code.state == unsure || l.refresh.state == unsure:
		return w.begin()
	case l.code.state == held:
		return w.redeem(l)
	}
	switch rand.IntN(8) {
	case 0:
		return w.end(l)
	case 1, 2:
		return w.revoke(l)
	default:
		return w.refreshIt(l)
	}
}

// begin asks for a code, and now and then with a new browser, so that there is a sign-in.
func (w *worker) begin() error {
	if rand.IntN(20) == 0 {
		w.visitor = w.k.visitor()
	}
	a := w.k.jwt
	if rand.IntN(2) == 0 {
		a = w.k.opaque
	}
	code, err := w.visitor.code(a)
	if err != nil {
		return broken(err)
	}
	w.known = append(w.known, &lineage{app: a, code: note{token: code}, refresh: note{state: gone}})
	return nil
}

// broken tells no answer from a wrong one.
func broken(err error) error {
	var bad badAnswer
	if errors.As(err, &bad) {
		return err
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}

// take takes the tokens of an answer that has to be a success.
func (l *lineage) take(what string, r reply, err error) error {
	switch {
	case err != nil:
		return broken(err)
	case !r.ok() || r.Refresh == "" || r.Access == "":
		return fmt.Errorf("%s was answered %d %s", what, r.status, r.raw)
	}
	l.refresh = note{token: r.Refresh}
	l.access = append(l.access, note{token: r.Access})
	return nil
}

func (w *worker) redeem(l *lineage) error {
	l.code.state = unsure
	r, err := w.k.redeem(w.k.any(), l.app, l.code.token)
	if err := l.take("a code", r, err); err != nil {
		return err
	}
	l.code.state = gone
	return nil
}

func (w *worker) refreshIt(l *lineage) error {
	l.refresh.state = unsure
	r, err := w.k.refresh(w.k.any(), l.app, l.refresh.token)
	return l.take("a refresh token", r, err)
}

// revoke revokes an access token.
func (w *worker) revoke(l *lineage) error {
	i := slices.IndexFunc(l.access, func(n note) bool { return n.state == held })
	if i < 0 {
		return nil
	}
	l.access[i].state = unsure
	return w.revoked(l.app, &l.access[i], l.access[i].token)
}

// end revokes a refresh token and the grant with it.
func (w *worker) end(l *lineage) error {
	l.ended.state = unsure
	return w.revoked(l.app, &l.ended, l.refresh.token)
}

func (w *worker) revoked(a application, n *note, token string) error {
	r, err := w.k.revoke(w.k.any(), a, token)
	switch {
	case err != nil:
		return broken(err)
	case !r.ok():
		return fmt.Errorf("a revocation was answered %d %s", r.status, r.raw)
	}
	n.state, n.since = gone, time.Now()
	return nil
}

// check compares what the worker knows with what the servers know, and keeps the newest grants for the next rounds.
func (w *worker) check() {
	for _, l := range w.known {
		if err := w.checkGrant(l); err != nil {
			w.faults = append(w.faults, err.Error())
		}
	}
	w.known = slices.DeleteFunc(w.known, func(l *lineage) bool { return l.ended.state == gone && time.Since(l.ended.since) > time.Minute })
	if n := len(w.known); n > 20 {
		w.known = w.known[n-20:]
	}
}

func (w *worker) checkGrant(l *lineage) error {
	if l.ended.state == unsure { // either is right; say it again
		if err := w.end(l); err != nil {
			return err
		}
	}
	if l.ended.state == gone {
		return w.checkEnded(l)
	}
	if err := w.checkCode(l); err != nil || l.ended.state == gone {
		return err
	}
	switch l.refresh.state {
	case unsure: // used or not: whoever has not heard the answer may ask again
		if err := w.refreshIt(l); err != nil {
			return fmt.Errorf("asked again: %w", err)
		}
		w.k.checked["repeated refresh"]++
	case held:
		if err := w.alive(l.app, l.refresh.token, "refresh token"); err != nil {
			return err
		}
	}
	for i := range l.access {
		if err := w.checkAccess(l, &l.access[i]); err != nil {
			return err
		}
	}
	l.access = l.access[max(0, len(l.access)-5):]
	return nil
}

// checkCode: a code that was handed out can be redeemed; one whose redemption was not answered may have been, and coming back it ends the grant then.
func (w *worker) checkCode(l *lineage) error {
	switch l.code.state {
	case held:
		if err := w.redeem(l); err != nil {
			return err
		}
		w.k.checked["code"]++
	case unsure:
		r, err := w.k.redeem(w.k.any(), l.app, l.code.token)
		if err == nil && r.status == 400 && r.Error == "invalid_grant" {
			l.code.state, l.ended = gone, note{state: gone, since: time.Now()}
			w.k.checked["repeated code"]++
			return nil
		}
		if err := l.take("a code that came back", r, err); err != nil {
			return err
		}
		l.code.state = gone
	}
	return nil
}

func (w *worker) checkAccess(l *lineage, n *note) error {
	kind := "JWT"
	if l.app == w.k.opaque {
		kind = "opaque token"
	}
	if n.state == unsure {
		if err := w.revoked(l.app, n, n.token); err != nil {
			return err
		}
	}
	if n.state == gone {
		return w.dead(l.app, n.token, n.since, "revoked "+kind)
	}
	return w.alive(l.app, n.token, kind)
}

// checkEnded: nothing of a grant that was revoked lives.
func (w *worker) checkEnded(l *lineage) error {
	tokens := []string{}
	for _, n := range l.access {
		tokens = append(tokens, n.token)
	}
	if l.refresh.token != "" {
		tokens = append(tokens, l.refresh.token)
		r, err := w.k.refresh(w.k.any(), l.app, l.refresh.token)
		if err != nil || r.status != 400 || r.Error != "invalid_grant" {
			return fmt.Errorf("the refresh token of a revoked grant is answered %d %s %v", r.status, r.raw, err)
		}
	}
	for _, token := range tokens {
		if err := w.dead(l.app, token, l.ended.since, "revoked grant"); err != nil {
			return err
		}
	}
	return nil
}

// alive demands that every process knows a token.
func (w *worker) alive(a application, token, what string) error {
	for i, p := range w.k.nodes {
		if r, err := w.k.introspect(p, a, token); err != nil || !r.Active {
			return fmt.Errorf("process %d answers for a %s that was handed out: %d %s %v", i, what, r.status, r.raw, err)
		}
	}
	w.k.checked[what]++
	return nil
}

// dead demands that no process takes a token any more: one that was started after the revocation at once, others within a second.
func (w *worker) dead(a application, token string, since time.Time, what string) error {
	for i, p := range w.k.nodes {
		for {
			late := p == w.k.victim && since.Before(w.k.since) || time.Since(since) > promise
			r, err := w.k.introspect(p, a, token)
			if err == nil && r.ok() && !r.Active {
				break
			}
			if err != nil || !r.ok() || late {
				return fmt.Errorf("process %d answers for a %s: %d %s %v", i, what, r.status, r.raw, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	w.k.checked[what]++
	return nil
}
