package logout

// Back-Channel Logout 1.0: logout tokens are delivered from the store's queue, in the background.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

const (
	// pollEvery finds what other processes queued and what is due again; what this one queues wakes it.
	pollEvery = 2 * time.Second
	// maxHeld bounds the deliveries that this process has claimed, maxPosts those that are on their way. maxSuspects of these may go to clients that did not answer
	// before or were slow, so that these, however many, never take the place of the others.
	maxHeld, maxPosts, maxSuspects = 256, 32, 8
	claimBatch                     = 64
	// patience is how long a claimed delivery waits for its turn; lease outlasts it and the attempt. After a crash others take over when the lease ends.
	patience = 20 * time.Second
	lease    = 40 * time.Second
	// settleTimeout is for the statement after an attempt.
	settleTimeout = 10 * time.Second
	// maxRefusals is how often a client may refuse a token before it gets no more.
	maxRefusals = 3
)

// backOff is how long the next attempt waits after the first, the second and so on, give or take a fifth. The last one repeats until the delivery expires.
var backOff = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}

// deliveries is the state of this process's part of the queue.
type deliveries struct {
	wake                  chan struct{}
	held, posts, suspects chan struct{}
	starved               atomic.Bool // more is due than may be held
	lanes                 lanes
}

func (d *deliveries) init() {
	d.wake = make(chan struct{}, 1)
	d.held, d.posts, d.suspects = make(chan struct{}, maxHeld), make(chan struct{}, maxPosts), make(chan struct{}, maxSuspects)
	d.lanes.open = map[string]*lane{}
}

// Wake makes Deliver look at the queue at once: something may have been put in. It never blocks.
func (l *Logout) Wake() {
	select {
	case l.deliveries.wake <- struct{}{}:
	default:
	}
}

// Held is how many deliveries this process is at work on.
func (l *Logout) Held() int { return len(l.deliveries.held) }

// Deliver works off the queue until ctx ends; then it gives back what it holds, so that another node, or the next start, goes on at once. report hears of every
// statement that failed, and of every one that did not, as nil.
func (l *Logout) Deliver(ctx context.Context, report func(error)) {
	var running sync.WaitGroup
	defer running.Wait()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		more, err := l.claim(ctx, &running, report)
		if ctx.Err() != nil {
			return
		}
		report(err)
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-l.deliveries.wake:
		case <-poll.C:
		}
	}
}

// claim takes what is due and begins with it. more says that there may be more that could be taken at once.
func (l *Logout) claim(ctx context.Context, running *sync.WaitGroup, report func(error)) (more bool, err error) {
	d := &l.deliveries
	d.starved.Store(true)
	if cap(d.held)-len(d.held) < claimBatch {
		return false, nil // whoever makes room wakes us
	}
	d.starved.Store(false)
	limited, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	rows, err := l.Queue.ClaimLogouts(limited, l.Now(), lease, claimBatch)
	if err != nil {
		return false, fmt.Errorf("claim logout deliveries: %w", err)
	}
	for _, row := range rows {
		d.held <- struct{}{} // there is room: nobody else fills it
		running.Go(func() {
			defer l.release()
			if err := l.deliver(ctx, row); err != nil {
				report(err)
			}
		})
	}
	return len(rows) == claimBatch, nil
}

func (l *Logout) release() {
	d := &l.deliveries
	<-d.held
	if cap(d.held)-len(d.held) >= claimBatch && d.starved.CompareAndSwap(true, false) {
		l.Wake()
	}
}

// deliver brings one delivery a step further: it arrives, waits for its next attempt, or goes. The error is the store's; the delivery then comes back when its
// lease ends.
func (l *Logout) deliver(ctx context.Context, row *storage.LogoutDelivery) error {
	c, err := l.Engine.AnyClient(ctx, row.ClientID)
	switch {
	case errors.Is(err, storage.ErrNotFound), err == nil && (c.Disabled || c.BackchannelLogoutURI == ""):
		return l.finish(ctx, row, "logout.dropped", "the client is gone, disabled or wants no logout tokens any more")
	case err != nil:
		return l.retry(ctx, row, pause(1), false)
	}
	o := l.attempt(ctx, c, row)
	if !o.made {
		return l.retry(ctx, row, o.wait, false)
	}
	return l.settle(ctx, row, o.status, o.err)
}

// outcome is what came of a delivery's turn: an answer, or none, or how long to wait because nothing was sent.
type outcome struct {
	made   bool
	wait   time.Duration
	status int
	err    error
}

// attempt waits for the delivery's turn and sends the token, if there is any sense in it. The places that it takes are free again before the store hears of it: a
// busy store must not make a client look slow.
func (l *Logout) attempt(ctx context.Context, c *storage.Client, row *storage.LogoutDelivery) outcome {
	d := &l.deliveries
	at, full := d.lanes.enter(c.ID)
	defer d.lanes.leave(c.ID, at)
	if full {
		return outcome{wait: at.turnAway(l.Now())}
	}
	turn, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if !take(turn, at.slots) {
		return outcome{wait: at.turnAway(l.Now())}
	}
	defer give(at.slots)
	admitted, probe, slow := at.admit(l.Now())
	if !admitted {
		return outcome{wait: at.turnAway(l.Now())}
	}
	if probe || slow {
		select {
		case d.suspects <- struct{}{}:
			defer give(d.suspects)
		default:
			return outcome{wait: at.turnAway(l.Now())}
		}
	}
	if !take(turn, d.posts) {
		return outcome{wait: time.Second + rand.N(2*time.Second)}
	}
	defer give(d.posts)
	began := time.Now()
	status, err := l.post(ctx, c, row)
	if ctx.Err() != nil {
		return outcome{} // we are stopping; nothing is known of the client
	}
	at.learn(l.Now(), probe, time.Since(began), err == nil || status > 0 && status < 500 && status != http.StatusTooManyRequests)
	return outcome{made: true, status: status, err: err}
}

// post signs the token anew, because it is good for two minutes only, and sends it. Its jti is that of the delivery and the attempt.
func (l *Logout) post(ctx context.Context, c *storage.Client, row *storage.LogoutDelivery) (status int, err error) {
	token, err := l.Engine.LogoutToken(c, row.Subject, row.SessionID, row.ID+"."+strconv.Itoa(row.Attempts))
	if err != nil {
		return 0, fmt.Errorf("sign logout token: %w", err)
	}
	return l.Outbound.Post(ctx, c.BackchannelLogoutURI, url.Values{"logout_token": {token}})
}

// settle decides what follows from an answer. Silence and faults of the server behind the URI are waited out; a refusal is not: the client has read the token, or
// there is nobody at the URI who would.
func (l *Logout) settle(ctx context.Context, row *storage.LogoutDelivery, status int, err error) error {
	if err == nil {
		return l.finish(ctx, row, "logout.delivered", "")
	}
	reason := err.Error()
	if cause := errors.Unwrap(err); cause != nil {
		reason = cause.Error()
	}
	wait := pause(row.Attempts)
	if refused(status) && row.Attempts >= maxRefusals || l.Now().Add(wait).After(row.Expires) {
		return l.finish(ctx, row, "logout.given_up", reason)
	}
	l.record(ctx, row, "logout.failed", reason)
	return l.retry(ctx, row, wait, true)
}

// refused tells answers that a repetition will hardly change from those that ask for one.
func refused(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 300 && status < 500
}

func pause(attempts int) time.Duration {
	base := backOff[min(max(attempts, 1), len(backOff))-1]
	return base*4/5 + rand.N(base*2/5)
}

func (l *Logout) finish(ctx context.Context, row *storage.LogoutDelivery, event, reason string) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	l.record(ctx, row, event, reason)
	if err := l.Queue.FinishLogout(limited, row.ID); err != nil {
		return fmt.Errorf("finish logout delivery: %w", err)
	}
	return nil
}

// retry puts a delivery back. Unless made, nothing was sent, and the attempt does not count.
func (l *Logout) retry(ctx context.Context, row *storage.LogoutDelivery, wait time.Duration, made bool) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if ctx.Err() != nil {
		wait = 0
	}
	if err := l.Queue.RetryLogout(limited, row.ID, l.Now().Add(wait), made); err != nil {
		return fmt.Errorf("put logout delivery back: %w", err)
	}
	return nil
}

func (l *Logout) record(ctx context.Context, row *storage.LogoutDelivery, event, reason string) {
	result := "ok"
	if reason != "" {
		result = "failed"
	}
	l.Audit.Record(ctx, audit.Event{Name: event, Actor: row.Subject, Target: row.ID, Client: row.ClientID, SessionHash: web.Hash(row.SessionID), Result: result, Reason: reason})
}

func take(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func give(slots chan struct{}) { <-slots }
