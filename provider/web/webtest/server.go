package webtest

import (
	"bytes"
	"sync"
	"time"
)

// Clock is a settable clock for a server under test. It runs like the real one, ahead of it by what it was moved,
// until it is held.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
	held   time.Time // when it was held, zero for a clock that runs
}

// Now is the time of the server under test.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held.IsZero() {
		return c.held.Add(c.offset)
	}
	return time.Now().Add(c.offset)
}

// Hold stops the clock: from here on it moves by Advance only.
func (c *Clock) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = time.Now()
}

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// Log keeps what a server logged, for tests that look for leaks and for events.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write takes what the server logs.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Drop forgets everything and returns how many bytes it was.
func (l *Log) Drop() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.buf.Len()
	l.buf = bytes.Buffer{}
	return n
}
