package provider_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/outbound"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// crowd is a server with many people signed in, and with parties that hear of it when they leave.
type crowd struct {
	*server
	parties  []*hearer
	sessions []member

	mu      sync.Mutex
	left    map[string]time.Time // when a session's sign-out was answered
	answers []time.Duration      // how long that took
}

// member is one session: its id and its cookie.
type member struct{ id, cookie string }

// hearer is a party of a crowd, at an address of its own, as parties have: outbound lets through only so many to one host.
type hearer struct {
	name  string
	every int // takes part in each session, or each second, fourth...
	serve func(w http.ResponseWriter, r *http.Request)

	mu   sync.Mutex
	told map[string]int // posts by sid
	late []time.Duration
	last time.Time
}

// gather signs n people in, straight in the store, and begins to serve.
func gather(t *testing.T, backend string, n int) *crowd {
	t.Helper()
	c := &crowd{left: map[string]time.Time{}}
	c.server = start(t, backend, func(o *provider.Options) {
		out, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.0/8"}})
		if err != nil {
			t.Fatal(err)
		}
		o.Outbound = out
	})
	status := func(code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	c.parties = []*hearer{
		{name: "one", every: 1, serve: status(http.StatusOK)},
		{name: "two", every: 1, serve: status(http.StatusNoContent)},
		{name: "slow", every: 4, serve: func(w http.ResponseWriter, _ *http.Request) { time.Sleep(50 * time.Millisecond) }},
		{name: "refusing", every: 4, serve: status(http.StatusBadRequest)},
		{name: "dead", every: 4, serve: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{name: "closed", every: 4},
	}
	for i, h := range c.parties {
		h.told = map[string]int{}
		c.invite(h, fmt.Sprintf("127.0.1.%d", i+1))
	}
	c.admit(n)
	return c
}

// invite serves a party at an address and registers it. One that does not serve has let its port go.
func (c *crowd) invite(h *hearer, address string) {
	c.Helper()
	listener, err := net.Listen("tcp", address+":0")
	c.ok(err)
	uri := "http://" + listener.Addr().String() + "/out"
	if h.serve == nil {
		c.ok(listener.Close())
	} else {
		app := &httptest.Server{Listener: listener, Config: &http.Server{Handler: c.hear(h)}}
		app.Start()
		c.Cleanup(app.Close)
	}
	c.client(func(s *storage.Client) { s.ID, s.BackchannelLogoutURI = h.name, uri })
}

// hear counts what comes to a party.
func (c *crowd) hear(h *hearer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sid, _ := jwtPayload(c.T, r.FormValue("logout_token"))["sid"].(string)
		now := time.Now()
		c.mu.Lock()
		left, answered := c.left[sid]
		c.mu.Unlock()
		h.mu.Lock()
		h.told[sid]++
		h.last = now
		if answered { // or the token was faster than the answer
			h.late = append(h.late, now.Sub(left))
		} else {
			h.late = append(h.late, 0)
		}
		h.mu.Unlock()
		h.serve(w, r)
	})
}

// admit makes sessions of twenty users, with the parties that each takes part in.
func (c *crowd) admit(n int) {
	c.Helper()
	var users []*storage.User
	for i := range 20 {
		u, err := c.Store.User(c.Context(), c.user(fmt.Sprintf("user%d@example.com", i)))
		c.ok(err)
		users = append(users, u)
	}
	c.sessions = make([]member, n)
	together(n, func(i int) {
		var id [16]byte
		rand.Read(id[:])
		m := member{base64.RawURLEncoding.EncodeToString(id[:]), web.RandomValue()}
		now, u := c.Clock.Now(), users[i%len(users)]
		c.ok(c.Store.CreateSession(c.Context(), &storage.Session{
			ID: m.id, CookieHash: web.Hash(m.cookie), Subject: u.Subject, Epoch: u.Epoch, AuthTime: now, Created: now, LastSeen: now, Absolute: now.Add(12 * time.Hour), AMR: []string{"pwd"}, ACR: "1",
		}))
		for _, h := range c.parties {
			if i%h.every == 0 {
				c.ok(c.Store.AddSessionClient(c.Context(), m.id, h.name))
			}
		}
		c.sessions[i] = m
	})
}

// together does something n times, eight at a time.
func together(n int, do func(i int)) {
	var group sync.WaitGroup
	places := make(chan struct{}, 8)
	for i := range n {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			do(i)
		})
	}
	group.Wait()
}

// leave signs everybody out by the page's own button, and returns how long it took.
func (c *crowd) leave() time.Duration {
	c.Helper()
	began := time.Now()
	together(len(c.sessions), func(i int) {
		m, b := c.sessions[i], c.browser("")
		b.plant("gth_sid", m.cookie)
		asked := b.get(c.URL + "/oauth2/logout")
		if !hasForm(asked.Body, "logout") {
			c.Errorf("no question: %d %s", asked.StatusCode, cut(asked.Body))
			return
		}
		sent := time.Now()
		p := b.submit(asked, "logout", nil)
		took := time.Since(sent)
		if p.StatusCode != http.StatusOK || !strings.Contains(p.Body, "You are signed out") {
			c.Errorf("sign-out: %d %s", p.StatusCode, cut(p.Body))
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.left[m.id] = time.Now()
		c.answers = append(c.answers, took)
	})
	return time.Since(began)
}

// expects is how many sessions a party takes part in.
func (c *crowd) expects(h *hearer) int { return (len(c.sessions) + h.every - 1) / h.every }

func (h *hearer) heard() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.told)
}

// wantTold demands that a party got between least and most tokens for each of its sessions, and none for others.
func (c *crowd) wantTold(h *hearer, least, most int) {
	c.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	wrong := 0
	for i, m := range c.sessions {
		if n := h.told[m.id]; i%h.every == 0 && (n < least || n > most) {
			wrong++
		}
	}
	if wrong > 0 || len(h.told) > c.expects(h) {
		c.Errorf("%s: %d of %d sessions were not told as often as they should; %d heard of", h.name, wrong, c.expects(h), len(h.told))
	}
}

// percentile sorts the list.
func percentile(list []time.Duration, p int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[(len(list)-1)*p/100].Round(time.Millisecond)
}

// due empties the queue, as somebody who takes everything and delivers nothing, and counts it by client.
func (c *crowd) due() map[string]int {
	c.Helper()
	left := map[string]int{}
	for later := c.Clock.Now().Add(8 * time.Hour); ; { // the longest pause is shorter
		rows, err := c.Store.ClaimLogouts(c.Context(), later, time.Minute, 1000)
		c.ok(err)
		if len(rows) == 0 {
			return left
		}
		for _, row := range rows {
			left[row.ClientID]++
		}
	}
}

// metric reads a figure of the operators' listener, 0 if it is not there yet.
func (c *crowd) metric(name string) (value float64) {
	c.Helper()
	w := httptest.NewRecorder()
	c.Provider.Ops().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(text, &value); err != nil {
				c.Fatal(err)
			}
		}
	}
	return value
}

// TestRow133SoakLogouts signs thousands out at once. The parties that live get one token for each session, however many others are slow, refuse, or are dead; no
// browser waits for any of them; and nothing is left in the end.
func TestRow133SoakLogouts(t *testing.T) {
	people, patience := 200, 20*time.Second
	if os.Getenv("GATEHOUSE_SOAK") != "" {
		people, patience = 10_000, 3*time.Minute
	}
	for _, name := range slices.DeleteFunc(slices.Sorted(maps.Keys(backends)), func(name string) bool { return name == "memory" }) {
		t.Run(name, func(t *testing.T) {
			c := gather(t, name, people)
			before := runtime.NumGoroutine()
			took := c.leave()
			ended := time.Now()
			for _, h := range c.parties[:3] {
				c.within(time.Until(ended.Add(patience)), h.name+" is told", func() bool { return h.heard() == c.expects(h) })
			}
			c.report(took, ended)
			c.settle(before)
		})
	}
}

// report logs the figures of the run, and judges those that a person at a browser, or a party, would feel.
func (c *crowd) report(took time.Duration, ended time.Time) {
	c.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	p99 := percentile(c.answers, 99)
	c.Logf("%d logouts in %s: %.0f/s; the answer took %s at the median, %s at p99", len(c.answers), took.Round(time.Millisecond), float64(len(c.answers))/took.Seconds(), percentile(c.answers, 50), p99)
	if p99 > 2*time.Second { // a token's attempt lasts up to 3 s
		c.Errorf("signing out took %s at p99", p99)
	}
	total, last := 0, time.Time{}
	for _, h := range c.parties {
		h.mu.Lock()
		posts := 0
		for _, n := range h.told {
			posts += n
		}
		if h.name == "one" || h.name == "two" || h.name == "slow" {
			total += posts
			if h.last.After(last) {
				last = h.last
			}
		}
		c.Logf("%s: %d posts for %d sessions; after the answer %s at the median, %s at p99", h.name, posts, c.expects(h), percentile(h.late, 50), percentile(h.late, 99))
		h.mu.Unlock()
	}
	c.Logf("%d deliveries to the living in %s: %.0f/s; the last one %s after the last logout", total, last.Sub(ended.Add(-took)).Round(time.Millisecond), float64(total)/last.Sub(ended.Add(-took)).Seconds(), last.Sub(ended).Round(time.Millisecond))
}

// settle lets time go by: refusals are given up early, silence late, and then nothing is left.
func (c *crowd) settle(before int) {
	c.Helper()
	refused := float64(c.expects(c.parties[3]))
	for end := time.Now().Add(3 * time.Minute); c.metric(`gatehouse_events_total{event="logout.given_up"}`) < refused; {
		if time.Now().After(end) {
			c.Error("refusals are never given up")
			break
		}
		c.idle()
		c.advance(20 * time.Second) // less than a lease
	}
	c.idle()
	for _, h := range c.parties[:3] {
		c.wantTold(h, 1, 1)
	}
	c.wantTold(c.parties[3], 1, 3)
	left := c.due()
	c.Logf("left in the queue: %v", left)
	if len(left) > 2 || left["dead"] > c.expects(c.parties[4]) || left["closed"] > c.expects(c.parties[5]) {
		c.Errorf("left in the queue: %v", left)
	}
	c.Clock.Advance(25 * time.Hour)
	for {
		n, err := c.Store.Purge(c.Context(), c.Clock.Now(), 1000)
		c.ok(err)
		if n == 0 {
			break
		}
	}
	c.http.Client().CloseIdleConnections()
	c.within(15*time.Second, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before+40 })
	c.Logf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

// idle waits until nothing is on its way.
func (c *crowd) idle() {
	c.Helper()
	c.within(time.Minute, "nothing is on its way", func() bool { return c.metric("gatehouse_logout_deliveries_held") == 0 })
}
