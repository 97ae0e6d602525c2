package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bench "gatehouse/provider/bench/process"
)

// Row 142: many people sign in at once, and clients do not notice.

// crowdPeople makes people of ada's password: one hash is enough for all of them.
const crowdPeople = `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d)
	INSERT INTO users (subject, email, email_key, email_verified, username, username_key, disabled, epoch, claims, password, created, updated)
	SELECT 'crowd-' || n, '', '', email_verified, 'crowd-' || n, 'crowd-' || n, disabled, epoch, claims, password, created, updated FROM users, numbers WHERE username_key = 'ada'`

// pulse is a client that asks for a token every few milliseconds, and looks at the memory of the server meanwhile.
type pulse struct {
	took []time.Duration
	most int64 // bytes
}

// beat asks once.
func (p *pulse) beat(s *site, a application) error {
	begin := time.Now()
	r, err := s.post(s.nodes[0], a, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
	if err != nil || !r.ok() {
		return fmt.Errorf("token: %d %s %w", r.status, r.raw, err)
	}
	p.took = append(p.took, time.Since(begin))
	memory, err := bench.Memory([]int{s.nodes[0].cmd.Process.Pid})
	p.most = max(p.most, memory)
	return err
}

// run asks until ctx ends.
func (p *pulse) run(ctx context.Context, s *site, a application) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := p.beat(s, a); err != nil {
			s.Error(err)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// at returns the percentile of the answers.
func (p *pulse) at(percent int) time.Duration {
	slices.Sort(p.took)
	return p.took[(len(p.took)-1)*percent/100]
}

// arrive signs one person in, who waits as long as the server says whenever it has no time, and returns how often that was. begin is closed when everybody is at the sign-in page.
func (v *visitor) arrive(ready *sync.WaitGroup, begin <-chan struct{}) (waits int, err error) {
	answer, err := v.client.Get(v.site.issuer + "/account")
	for err == nil && answer.StatusCode == http.StatusSeeOther {
		var to *url.URL
		if to, err = answer.Location(); err == nil {
			answer.Body.Close()
			answer, err = v.client.Get(to.String())
		}
	}
	var page []byte
	if err == nil {
		defer answer.Body.Close()
		page, err = io.ReadAll(answer.Body)
	}
	ready.Done()
	if err != nil {
		return 0, err
	}
	<-begin
	for {
		sent, err := v.submit(answer.Request.URL, string(page))
		if err != nil {
			return waits, err
		}
		sent.Body.Close()
		if sent.StatusCode == http.StatusSeeOther {
			return waits, nil
		}
		seconds, err := strconv.Atoi(sent.Header.Get("Retry-After"))
		if sent.StatusCode != http.StatusServiceUnavailable || err != nil || seconds < 1 {
			return waits, badAnswer{sent.StatusCode, fmt.Sprintf("with Retry-After %q", sent.Header.Get("Retry-After"))}
		}
		waits++
		time.Sleep(time.Duration(seconds) * time.Second)
	}
}

// TestSoakRow142ParallelSignIns signs 200 people in at once at the default cost. All of them get in, tokens go on being issued, and the memory of the server is bounded. The short form is
// ten people, and measures nothing.
func TestSoakRow142ParallelSignIns(t *testing.T) {
	people, cost, long := 10, "10", os.Getenv("GATEHOUSE_SOAK") != ""
	if long {
		people, cost = 200, "12"
	}
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	s := newSite(t, 1, "sqlite", path, "GATEHOUSE_STORAGE_URL=sqlite:"+path, "GATEHOUSE_PASSWORDS_COST="+cost)
	if _, err := s.db.ExecContext(t.Context(), fmt.Sprintf(crowdPeople, people)); err != nil {
		t.Fatal(err)
	}
	var machine application
	if err := json.Unmarshal([]byte(s.command("", "client", "create", "--id", "machine", "--grant-type", "client_credentials", "--format", "json")), &machine); err != nil {
		t.Fatal(err)
	}
	quiet, busy := &pulse{}, &pulse{}
	for range 10 * people {
		if err := quiet.beat(s, machine); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var beating sync.WaitGroup
	beating.Go(func() { busy.run(ctx, s, machine) })
	waits, took := s.crowd(people)
	stop()
	beating.Wait()
	if n := s.count(`SELECT COUNT(DISTINCT subject) FROM sessions WHERE subject LIKE 'crowd-%'`); n != people {
		t.Errorf("%d of %d people are signed in", n, people)
	}
	t.Logf("%d sign-ins at once at cost %s in %v, told %d times to come back", people, cost, took.Round(time.Millisecond), waits)
	for name, p := range map[string]*pulse{"before": quiet, "meanwhile": busy} {
		t.Logf("%s: %d tokens, %v at the median, %v at p99, %v at most; memory at most %d MiB", name, len(p.took), p.at(50), p.at(99), p.at(100), p.most>>20)
	}
	if !long {
		return
	}
	if p99 := busy.at(99); p99 >= 250*time.Millisecond {
		t.Errorf("a token took %v at p99", p99)
	}
	if busy.most > quiet.most+64<<20 {
		t.Errorf("the server grew from %d to %d MiB", quiet.most>>20, busy.most>>20)
	}
}

// elsewhere is a visitor with an address of the loopback network for each n from 1 to 254, as one address may not have so many connections.
func (s *site) elsewhere(n int) *visitor {
	v, from := s.visitor(), &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(n))}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: from}).DialContext(ctx, network, s.nodes[0].address)
	}}
	s.Cleanup(transport.CloseIdleConnections)
	v.client.Transport = transport
	return v
}

// crowd signs people in at once and returns how often one was told to wait, and how long it took until all were in.
func (s *site) crowd(people int) (waits int64, took time.Duration) {
	s.Helper()
	var ready, all sync.WaitGroup
	var waited atomic.Int64
	begin := make(chan struct{})
	ready.Add(people)
	for n := range people {
		v := s.elsewhere(n + 1)
		v.user = fmt.Sprintf("crowd-%d", n+1)
		all.Go(func() {
			n, err := v.arrive(&ready, begin)
			waited.Add(int64(n))
			if err != nil {
				s.Errorf("%s: %v", v.user, err)
			}
		})
	}
	ready.Wait()
	from := time.Now()
	close(begin)
	all.Wait()
	return waited.Load(), time.Since(from)
}
