package upstream_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider/outbound"
	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

const driverCallback = "https://gate.example/upstream/x/callback"

// driverClock can be moved.
type driverClock struct {
	mu sync.Mutex
	at time.Time
}

func newDriverClock() *driverClock {
	return &driverClock{at: time.Date(2026, 9, 20, 10, 0, 0, 0, time.UTC)}
}

func (c *driverClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *driverClock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// driverSet is what a test gives a driver beside the usual.
type driverSet struct {
	upstream.Config
	timeout time.Duration
	deny    bool // loopback is not allowed
	clock   *driverClock
}

// driver builds an upstream that reaches loopback by the guarded client.
func driver(t *testing.T, s driverSet) upstream.Upstream {
	t.Helper()
	o := outbound.Options{Allow: []string{"127.0.0.1"}, Timeout: s.timeout}
	if s.deny {
		o.Allow = nil
	}
	client, err := outbound.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if s.ClientID == "" {
		s.ClientID = upstreamtest.ClientID
	}
	if s.ClientSecret == "" && s.Type != "apple" {
		s.ClientSecret = upstreamtest.ClientSecret
	}
	options := upstream.Options{Config: s.Config, Issuer: "https://gate.example", HTTP: client.HTTP()}
	if s.clock != nil {
		options.Now = s.clock.Now
	}
	u, err := upstream.FindKind(s.Type).New(options)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// openID is a driver of type oidc for a double, and the double.
func openID(t *testing.T, change ...func(*driverSet)) (upstream.Upstream, *upstreamtest.OIDC) {
	t.Helper()
	op := upstreamtest.NewOIDC(t)
	s := driverSet{Config: upstream.Config{Type: "oidc", Issuer: op.Issuer}, clock: newDriverClock()}
	for _, f := range change {
		f(&s)
	}
	op.SetNow(s.clock.Now)
	return driver(t, s), op
}

func newAttempt() *upstream.Attempt {
	return &upstream.Attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text(), RedirectURI: driverCallback}
}

// signer is a double with a browser in it.
type signer interface {
	SignIn(authURL string) url.Values
}

// walkTo goes to the provider and back.
func walkTo(t *testing.T, u upstream.Upstream, at signer, a *upstream.Attempt) (*upstream.External, error) {
	t.Helper()
	to, err := u.AuthURL(t.Context(), a)
	if err != nil {
		return nil, err
	}
	return u.Exchange(t.Context(), a, at.SignIn(to))
}

// wantRefusal wants a refusal, whose words hold no markup but in quotes.
func wantRefusal(t *testing.T, name string, err error, reason upstream.Reason, words ...string) {
	t.Helper()
	var refusal *upstream.Refusal
	if !errors.As(err, &refusal) || refusal.Reason != reason {
		t.Errorf("%s: %v, want %s", name, err, reason)
		return
	}
	for _, word := range words {
		if !strings.Contains(refusal.Error(), word) {
			t.Errorf("%s: %q does not say %q", name, refusal.Error(), word)
		}
	}
}

// wantIn wants a sign-in as user-1.
func wantIn(t *testing.T, name string, e *upstream.External, err error) {
	t.Helper()
	if err != nil || e.ID != "user-1" {
		t.Errorf("%s: %+v, %v", name, e, err)
	}
}

func probe(t *testing.T, u upstream.Upstream) error {
	t.Helper()
	p, ok := u.(upstream.Prober)
	if !ok {
		t.Fatalf("%T cannot be probed", u)
	}
	return p.Probe(context.WithoutCancel(t.Context()))
}

func sum256(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}
