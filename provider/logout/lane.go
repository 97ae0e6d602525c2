package logout

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// perClient is half of what outbound lets through to one host, so that a dead client does not block another at the same host.
	perClient = 4
	// maxInLane is how many deliveries of one client are held, those that wait for a slot included, maxTroubled how many of one that is slow or does not answer. The rest
	// go back to the queue at once, or a client with many of them would fill the process.
	maxInLane, maxTroubled = 64, 12
	// An answer that takes longer makes a client slow until one comes quicker.
	slowAnswer = time.Second
	// Deliveries that found no place come back spread over time, at returnRate in a second and after at most returnMax, so that a long queue of one client costs little.
	returnRate = 64
	returnMax  = 5 * time.Minute
	// A client that did not answer is left alone for restFirst, then twice as long each time up to restMax; one delivery then tries, the others wait for how it fares.
	restFirst, restMax = 5 * time.Second, time.Minute
	// probeLimit is longer than an attempt can take.
	probeLimit = 10 * time.Second
	// maxLanes bounds the memory of clients that do not answer.
	maxLanes = 10_000
)

// lanes keeps the deliveries of one client from those of the others: a few at a time for each, and hardly any for one that is dead.
type lanes struct {
	mu   sync.Mutex
	open map[string]*lane
}

// lane is one client's. It is forgotten when nobody is in it and the client is well.
type lane struct {
	slots chan struct{}
	users int

	mu       sync.Mutex
	failures int
	rests    time.Time // until then
	slow     bool
	turned   int // how many found no place
}

// enter opens the client's lane for one more delivery; full says that it has no place, though. Each enter needs its leave.
func (ls *lanes) enter(client string) (at *lane, full bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	at = ls.open[client]
	if at == nil {
		if len(ls.open) >= maxLanes {
			ls.forget()
		}
		at = &lane{slots: make(chan struct{}, perClient)}
		ls.open[client] = at
	}
	at.users++
	if at.well() {
		return at, at.users > maxInLane
	}
	return at, at.users > maxTroubled
}

func (ls *lanes) leave(client string, at *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if at.users--; at.users == 0 && at.well() {
		delete(ls.open, client)
	}
}

// forget drops what is known of clients that nobody is delivering to.
func (ls *lanes) forget() {
	for client, at := range ls.open {
		if at.users == 0 {
			delete(ls.open, client)
		}
	}
}

func (a *lane) well() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failures == 0 && !a.slow
}

// turnAway is how long a delivery waits that found no place.
func (a *lane) turnAway(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turned++
	wait := min(time.Second+time.Duration(a.turned)*time.Second/returnRate, returnMax)
	if rest := a.rests.Sub(now); rest > 0 {
		wait += rest
	}
	return wait + rand.N(time.Second)
}

// admit tells whether an attempt makes sense now. A probe is the one that finds out whether a client is back.
func (a *lane) admit(now time.Time) (admitted, probe, slow bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failures == 0 {
		return true, false, a.slow
	}
	if now.Before(a.rests) {
		return false, false, a.slow
	}
	a.rests = now.Add(probeLimit)
	return true, true, a.slow
}

// learn remembers how an attempt went. Of several that were on their way together the first failure counts.
func (a *lane) learn(now time.Time, probe bool, took time.Duration, answered bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slow = took > slowAnswer
	switch {
	case answered:
		if a.failures > 0 {
			a.turned = 0
		}
		a.failures, a.rests, a.turned = 0, time.Time{}, max(a.turned-1, 0)
	case probe || !now.Before(a.rests):
		a.rests = now.Add(min(restFirst<<min(a.failures, 10), restMax))
		a.failures++
	}
}
