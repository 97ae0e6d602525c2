package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// soakParallel is the number of redemptions that start together.
const soakParallel = 8

// rush sends so many requests at once, spread over the processes, and returns the answers; there must be one to each, and none may be a 5xx.
func (s *site) rush(send func(i int, p *process) (reply, error)) []reply {
	s.Helper()
	var ready, done sync.WaitGroup
	start, replies, errs := make(chan struct{}), make([]reply, soakParallel), make([]error, soakParallel)
	for i := range soakParallel {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			replies[i], errs[i] = send(i, s.nodes[i%len(s.nodes)])
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	for i, r := range replies {
		if errs[i] != nil {
			s.Fatalf("caller %d: %v", i, errs[i])
		}
		if !r.ok() && (r.status != http.StatusBadRequest || r.Error != "invalid_grant") {
			s.Fatalf("caller %d got %d %s, want 200, or 400 invalid_grant", i, r.status, r.raw)
		}
	}
	return replies
}

// must is an answer that there has to be, with status 200.
func (s *site) must(r reply, err error) reply {
	s.Helper()
	if err != nil || !r.ok() {
		s.Fatalf("%d %s %v", r.status, r.raw, err)
	}
	return r
}

// newCode is a code that there has to be.
func (s *site) newCode(v *visitor, a application) string {
	s.Helper()
	code, err := v.code(a)
	if err != nil {
		s.Fatal(err)
	}
	return code
}

// family is the grant id of a JWT access token.
func (s *site) family(token string) string {
	s.Helper()
	var claims struct {
		GrantID string `json:"gid"`
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		s.Fatalf("no JWT: %s", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil || claims.GrantID == "" {
		s.Fatalf("no grant in %s: %v", text, err)
	}
	return claims.GrantID
}

// A code that comes eight times at once gives tokens to one caller, and as seven others had it too, the grant dies: no refresh token of it lives.
func TestSoakCodeRace(t *testing.T) {
	onEverySite(t, func(s *site) {
		v, rounds, begin := s.visitor(), soakCount(200, 10_000), time.Now()
		for n := range rounds {
			code := s.newCode(v, s.jwt)
			winner, wins := reply{}, 0
			for _, r := range s.rush(func(_ int, p *process) (reply, error) { return s.redeem(p, s.jwt, code) }) {
				if r.ok() {
					winner, wins = r, wins+1
				}
			}
			if wins != 1 {
				s.Fatalf("round %d: %d callers got tokens, want 1", n, wins)
			}
			for i, p := range s.nodes {
				if s.must(s.introspect(p, s.jwt, winner.Refresh)).Active {
					s.Fatalf("round %d: after a replay of the code its refresh token lives on process %d", n, i)
				}
			}
			if r := s.answered(s.refresh(s.any(), s.jwt, winner.Refresh)); r.ok() {
				s.Fatalf("round %d: after a replay of the code its refresh token is taken", n)
			}
		}
		if n := s.count(`SELECT COUNT(*) FROM tokens`); n != 0 {
			s.Errorf("%d rows are left of grants that all died", n)
		}
		s.Logf("%d rounds of %d redemptions of one code on %d processes in %v: one winner each, no grant survived", rounds, soakParallel, len(s.nodes), time.Since(begin))
	})
}

// answered is an answer that there has to be, whatever its status.
func (s *site) answered(r reply, err error) reply {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	return r
}

// A refresh token that comes eight times at once gives all callers the same successor, and afterwards that one lives and no other. In every tenth
// round half of the callers come with its predecessor: then either everybody got the one successor, or the family is dead.
func TestSoakRefreshRace(t *testing.T) {
	onEverySite(t, func(s *site) {
		r := &refreshRace{site: s, visitor: s.visitor()}
		rounds, begin := soakCount(200, 10_000), time.Now()
		for n := range rounds {
			if r.previous == "" {
				r.newFamily()
			}
			if n%10 == 9 {
				r.late(n)
				continue
			}
			r.same(n)
		}
		if n := s.count(`SELECT COUNT(*) FROM (SELECT grant_id FROM tokens WHERE kind = 'refresh' AND consumed_at = 0 GROUP BY grant_id HAVING COUNT(*) > 1) AS twins`); n != 0 {
			s.Errorf("%d families have two lineages", n)
		}
		s.Logf("%d rounds of %d redemptions of one refresh token on %d processes in %v: one lineage each; in %d rounds with a late predecessor %d families died",
			rounds, soakParallel, len(s.nodes), time.Since(begin), rounds/10, r.died)
	})
}

// refreshRace is a family whose newest refresh token is raced for.
type refreshRace struct {
	*site
	visitor           *visitor
	previous, current string
	grant             string
	died              int
}

func (r *refreshRace) newFamily() {
	r.Helper()
	first := r.must(r.redeem(r.any(), r.jwt, r.newCode(r.visitor, r.jwt)))
	r.grant, r.previous = r.family(first.Access), first.Refresh
	r.current = r.must(r.refresh(r.any(), r.jwt, r.previous)).Refresh
}

// same: everybody has the newest token.
func (r *refreshRace) same(n int) {
	r.Helper()
	next := ""
	for i, got := range r.rush(func(_ int, p *process) (reply, error) { return r.refresh(p, r.jwt, r.current) }) {
		if !got.ok() || got.Refresh == "" || next != "" && got.Refresh != next {
			r.Fatalf("round %d: caller %d got %d %s; others got another successor, or this one none", n, i, got.status, got.raw)
		}
		next = got.Refresh
	}
	r.previous, r.current = r.current, next
	r.one(n)
}

// one: the newest token lives, and no other.
func (r *refreshRace) one(n int) {
	r.Helper()
	for i, p := range r.nodes {
		if r.must(r.introspect(p, r.jwt, r.previous)).Active || !r.must(r.introspect(p, r.jwt, r.current)).Active {
			r.Fatalf("round %d: process %d does not say that the successor lives and the token that was used does not", n, i)
		}
	}
	if live := r.count(`SELECT COUNT(*) FROM tokens WHERE grant_id = $1 AND kind = 'refresh' AND consumed_at = 0`, r.grant); live != 1 {
		r.Fatalf("round %d: %d refresh tokens of the family live, want 1", n, live)
	}
}

// late: every second caller has the token before the newest one.
func (r *refreshRace) late(n int) {
	r.Helper()
	next, refused := "", 0
	for i, got := range r.rush(func(i int, p *process) (reply, error) {
		return r.refresh(p, r.jwt, []string{r.current, r.previous}[i/2%2])
	}) {
		switch {
		case !got.ok():
			refused++
		case i/2%2 == 1 && got.Refresh != r.current:
			r.Fatalf("round %d: caller %d came with the predecessor and got %s, not its one successor", n, i, got.raw)
		case i/2%2 == 0 && next != "" && got.Refresh != next:
			r.Fatalf("round %d: two successors of one refresh token", n)
		case i/2%2 == 0:
			next = got.Refresh
		}
	}
	if refused == 0 {
		r.previous, r.current = r.current, next
		r.one(n)
		return
	}
	r.died++
	if left := r.count(`SELECT COUNT(*) FROM tokens WHERE grant_id = $1`, r.grant); left != 0 {
		r.Fatalf("round %d: %d callers were refused, and %d rows of the family are left", n, refused, left)
	}
	r.previous, r.current = "", ""
}
