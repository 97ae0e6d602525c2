package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// soakAlgorithms are those of ID tokens and of access tokens.
var soakAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}

// rotation is flows that run while keys rotate, and all that they were given.
type rotation struct {
	*site
	mu     sync.Mutex
	tokens []string
	signed map[string]map[string]bool // alg -> kids of the tokens seen
	faults []string
	flows  int
	checks int
}

// Keys rotate one rotation after another in the middle of running flows. No flow fails, and every token verifies by the JWKS of every process: when
// it was just issued, and at any time after.
func TestSoakRotate(t *testing.T) {
	onEverySite(t, func(s *site) {
		r := &rotation{site: s, signed: map[string]map[string]bool{"RS256": {}, "ES256": {}}}
		stop := make(chan struct{})
		var wait sync.WaitGroup
		for range 3 {
			v := s.visitor()
			wait.Go(func() { r.until(stop, func() error { return r.flow(v) }) })
		}
		wait.Go(func() { r.until(stop, r.recheck) })
		rotations, begin := soakCount(5, 200), time.Now()
		last := map[string]string{}
		for range rotations {
			for alg := range r.signed {
				last[alg] = r.rotate(alg)
			}
		}
		r.awaitSigned(last)
		close(stop)
		wait.Wait()
		if len(r.faults) > 0 {
			s.Fatalf("%d faults, the first: %s", len(r.faults), r.faults[0])
		}
		for _, token := range r.tokens {
			if err := r.verify(s.any(), token); err != nil {
				s.Error(err)
			}
		}
		s.Logf("%d rotations of both algorithms in %v: %d flows, %d tokens, verified %d times on %d processes; %d RS256 and %d ES256 keys were seen to sign",
			rotations, time.Since(begin), r.flows, len(r.tokens), r.checks, len(s.nodes), len(r.signed["RS256"]), len(r.signed["ES256"]))
	})
}

// rotate rotates one algorithm by the command line and returns the kid that signs next.
func (r *rotation) rotate(alg string) string {
	r.Helper()
	text := r.persist("keys", "rotate", "--alg", alg, "--format", "json")
	var list []struct {
		Kid string `json:"kid"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 1 || list[0].Kid == "" {
		r.Fatalf("keys rotate prints %s", text)
	}
	return list[0].Kid
}

// awaitSigned waits until the flows were given tokens of the keys that were rotated to last, which begin to sign after five seconds.
func (r *rotation) awaitSigned(last map[string]string) {
	r.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		missing := 0
		r.mu.Lock()
		for alg, kid := range last {
			if !r.signed[alg][kid] {
				missing++
			}
		}
		failed := len(r.faults) > 0
		r.mu.Unlock()
		if missing == 0 || failed {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("the last keys %v have signed nothing: %v", last, r.signed)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// until repeats what workers do; the first fault ends it.
func (r *rotation) until(stop <-chan struct{}, do func() error) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if err := do(); err != nil {
			r.mu.Lock()
			r.faults = append(r.faults, err.Error())
			r.mu.Unlock()
			return
		}
	}
}

// flow is an authorization, with a sign-in the first time, and everything that follows; every token is verified by every process's JWKS as soon as it is there.
func (r *rotation) flow(v *visitor) error {
	code, err := v.code(r.jwt)
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	got, err := r.redeem(r.any(), r.jwt, code)
	for n := 0; ; n++ {
		if err != nil || !got.ok() {
			return fmt.Errorf("token request %d: %d %s %w", n, got.status, got.raw, err)
		}
		for _, token := range []string{got.Access, got.ID} {
			if err := r.keep(token); err != nil {
				return err
			}
		}
		if active, err := r.introspect(r.any(), r.jwt, got.Access); err != nil || !active.Active {
			return fmt.Errorf("introspection: %d %s %w", active.status, active.raw, err)
		}
		if n == 10 {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.flows++
			return nil
		}
		got, err = r.refresh(r.any(), r.jwt, got.Refresh)
	}
}

// keep verifies a new token on all processes and remembers it.
func (r *rotation) keep(token string) error {
	for _, p := range r.nodes {
		if err := r.verify(p, token); err != nil {
			return fmt.Errorf("just issued: %w", err)
		}
	}
	parsed, err := jose.ParseSignedCompact(token, soakAlgorithms)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	header := parsed.Signatures[0].Header
	r.signed[header.Algorithm][header.KeyID] = true
	r.tokens = append(r.tokens, token)
	return nil
}

// recheck verifies some token that was issued before.
func (r *rotation) recheck() error {
	r.mu.Lock()
	token := ""
	if len(r.tokens) > 0 {
		token = r.tokens[rand.IntN(len(r.tokens))]
	}
	r.mu.Unlock()
	if token == "" {
		return nil
	}
	return r.verify(r.any(), token)
}

// verify fetches a process's JWKS and verifies a token by it, as a client does that has nothing else.
func (r *rotation) verify(p *process, token string) error {
	answer, err := (&http.Client{Transport: p.transport, Timeout: time.Minute}).Get(r.issuer + "/.well-known/jwks.json")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		return fmt.Errorf("JWKS: %w", err)
	}
	parsed, err := jose.ParseSignedCompact(token, soakAlgorithms)
	if err != nil {
		return err
	}
	kid := parsed.Signatures[0].Header.KeyID
	found := set.Key(kid)
	if len(found) != 1 {
		return fmt.Errorf("%d keys of %d have kid %s", len(found), len(set.Keys), kid)
	}
	if _, err := parsed.Verify(found[0]); err != nil {
		return fmt.Errorf("kid %s: %w", kid, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks++
	return nil
}
