package provider_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/storage"
)

// Row 138 from the strangers' side: any number of addresses, names and nodes is one count.

// behind makes a browser come from an address, by way of a proxy that is trusted.
func (b *browser) behind(address string) *browser {
	b.client.Transport = forwarded{b.client.Transport, address}
	return b
}

type forwarded struct {
	http.RoundTripper
	address string
}

func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", f.address)
	return f.RoundTripper.RoundTrip(r)
}

func behindProxy(o *provider.Options) {
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

func TestRow138ManyAddressesAndNodesGetNoMoreThanOne(t *testing.T) {
	s := start(t, "sqlite", quickKeys, behindProxy)
	s.Clock.Hold()
	other := s.node(quickKeys, behindProxy)
	s.client()
	subject := s.user("ada@example.com", func(u *storage.User) { u.Username, u.UsernameKey = "Ada", "ada" })
	own := s.browser("ada@example.com").behind("192.0.2.1")
	own.code(nil)
	own.submit(own.get(s.URL+"/account"), "logout", nil)
	sent := 0
	stranger := func(password string) page { // each from another network, at the other node, under another name
		sent++
		b, name := s.browser(""), []string{"ada@example.com", "ADA", "Ada@EXAMPLE.com."}[sent%3]
		if sent%2 == 0 {
			b.through(other)
		}
		b.behind(fmt.Sprintf("198.%d.%d.7", 18+sent%2, sent%250))
		return b.submit(s.signIn(b), "login", url.Values{"username": {name}, "password": {password}})
	}
	wait := func(p page) (seconds int) {
		fmt.Sscan(p.Header.Get("Retry-After"), &seconds)
		return seconds
	}
	last := 0
	for tried := 0; tried < 100; {
		p := stranger("wrong horse battery staple")
		switch p.StatusCode {
		case http.StatusUnauthorized:
			tried++
		case http.StatusTooManyRequests:
			if now := wait(p); now < min(2*last, 900) || now < 1 {
				t.Fatalf("after %d guesses Retry-After is %d, before it was %d", tried, now, last)
			}
			last = wait(p)
			s.Clock.Advance(time.Duration(last) * time.Second)
		default:
			t.Fatalf("a guess is answered by %d", p.StatusCode)
		}
	}
	if last != 900 {
		t.Errorf("the last Retry-After is %d", last)
	}
	for range 3 { // the count does not fade
		s.Clock.Advance(25 * time.Hour)
		s.nobodyGetsIn(other)
		if n := s.sessions(subject); n != 0 {
			t.Fatalf("strangers have %d sessions", n)
		}
	}
	own.through(other).behind("192.0.2.200") // the known device, elsewhere
	if own.code(nil); s.sessions(subject) != 1 {
		t.Error("the owner cannot sign in from a known device")
	}
}

// nobodyGetsIn: strangers who have the right password, all at once and at both nodes, are answered as if it were wrong or told to wait.
func (s *server) nobodyGetsIn(other *server) {
	s.Helper()
	browsers, forms := make([]*browser, 6), make([]page, 6)
	for i := range browsers {
		browsers[i] = s.browser("")
		if i%2 == 0 {
			browsers[i].through(other)
		}
		forms[i] = s.signIn(browsers[i].behind(fmt.Sprintf("203.0.113.%d", i)))
	}
	var wg sync.WaitGroup
	for i, b := range browsers {
		wg.Go(func() {
			p := b.submit(forms[i], "login", url.Values{"username": {"ada"}, "password": {password}})
			if p.StatusCode != http.StatusUnauthorized && p.StatusCode != http.StatusTooManyRequests {
				s.Errorf("the right password, after a hundred failures: %d", p.StatusCode)
			}
		})
	}
	wg.Wait()
}

// crowded is a store on which others guess, at another node, while one try is under way.
type crowded struct {
	storage.Store
	meanwhile func()
}

func (c *crowded) UserByLogin(ctx context.Context, key string) (*storage.User, string, error) {
	u, encoded, err := c.Store.UserByLogin(ctx, key)
	if err == nil && c.meanwhile != nil {
		c.meanwhile()
	}
	return u, encoded, err
}

// Row 138: a hundred failures are a hundred, also for a guess that began before the last of them. Who guesses slowly has no wait between them, so that several go on at once.
func TestRow138TheLastGuessesAtOnceAreNoMore(t *testing.T) {
	for name, tc := range map[string]struct {
		before, meanwhile int
		known, in         bool
	}{
		"the last one is taken meanwhile": {before: 99, meanwhile: 1}, "more than that": {before: 97, meanwhile: 6}, "one is left": {before: 97, meanwhile: 2, in: true}, "the known device": {before: 99, meanwhile: 1, known: true, in: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := &crowded{}
			s := startAs(t, "memory", func(s *server) { c.Store = s.Store; s.Store = c }, quickKeys)
			s.client()
			subject := s.user("ada@example.com")
			b := s.browser("ada@example.com")
			if tc.known {
				b.code(nil)
				b.submit(b.get(s.URL+"/account"), "logout", nil)
			}
			fail := func(n int) {
				for range n {
					_, err := c.FailPassword(t.Context(), subject, s.Clock.Now())
					s.ok(err)
				}
			}
			fail(tc.before)
			form := s.signIn(b)
			c.meanwhile = func() { c.meanwhile = nil; fail(tc.meanwhile) }
			p := b.submit(form, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})
			if in := p.StatusCode == http.StatusSeeOther; in != tc.in || !in && p.StatusCode != http.StatusUnauthorized {
				t.Errorf("the right password: %d", p.StatusCode)
			}
		})
	}
}
