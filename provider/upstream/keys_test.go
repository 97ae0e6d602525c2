package upstream_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

// clocked is openID with its clock.
func clocked(t *testing.T) (upstream.Upstream, *upstreamtest.OIDC, *driverClock) {
	t.Helper()
	clock := newDriverClock()
	u, op := openID(t, func(s *driverSet) { s.clock = clock })
	return u, op, clock
}

func TestARotatedKeyIsFetchedAtOnce(t *testing.T) {
	for _, kid := range []string{"key-2", ""} {
		u, op, _ := clocked(t)
		for range 3 {
			e, err := walkTo(t, u, op, newAttempt())
			wantIn(t, "before", e, err)
		}
		if n := op.Count("/keys"); n != 1 {
			t.Errorf("%d fetches for three sign-ins", n)
		}
		op.UseKey("ES256", kid, upstreamtest.NewKey(t, "ES256"), false)
		e, err := walkTo(t, u, op, newAttempt())
		wantIn(t, "after, kid "+kid, e, err)
		if n := op.Count("/keys"); n != 2 {
			t.Errorf("%d fetches", n)
		}
	}
}

func TestAStormOfUnknownKeysCausesOneFetchAMinute(t *testing.T) {
	u, op, clock := clocked(t)
	e, err := walkTo(t, u, op, newAttempt())
	wantIn(t, "first", e, err)
	before := op.Count("/keys")
	mine := upstreamtest.NewKey(t, "ES256")
	verifier := u.(upstream.LogoutVerifier) // which strangers can reach
	for minute := 1; minute <= 3; minute++ {
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				raw := upstreamtest.Sign(t, mine, "ES256", map[string]any{"kid": fmt.Sprint("kid-", minute, "-", i), "typ": "logout+jwt"}, map[string]any{})
				_, err := verifier.VerifyLogoutToken(t.Context(), raw)
				wantRefusal(t, "unknown kid", err, upstream.Broken, "no key")
			})
		}
		wg.Wait()
		if n := op.Count("/keys") - before; n != minute {
			t.Errorf("minute %d: %d fetches", minute, n)
		}
		e, err := walkTo(t, u, op, newAttempt())
		wantIn(t, "in the storm", e, err)
		clock.Move(time.Minute)
	}
	// A known kid with a wrong signature is no reason to fetch at all.
	n := op.Count("/keys")
	_, err = verifier.VerifyLogoutToken(t.Context(), upstreamtest.Sign(t, mine, "ES256", map[string]any{"kid": "key-1"}, map[string]any{}))
	wantRefusal(t, "known kid", err, upstream.Broken)
	if op.Count("/keys") != n {
		t.Error("a wrong signature caused a fetch")
	}
}

// Anybody can post a logout token, and nobody but the provider gives ID tokens: those that strangers make must not keep a new key from being found.
func TestStrangersCannotHideARotatedKey(t *testing.T) {
	u, op, clock := clocked(t)
	e, err := walkTo(t, u, op, newAttempt())
	wantIn(t, "first", e, err)
	mine := upstreamtest.NewKey(t, "ES256")
	for minute := range 3 {
		before := op.Count("/keys")
		for i := range 20 {
			raw := upstreamtest.Sign(t, mine, "ES256", map[string]any{"kid": fmt.Sprint("mine-", minute, "-", i), "typ": "logout+jwt"}, map[string]any{})
			_, err := u.(upstream.LogoutVerifier).VerifyLogoutToken(t.Context(), raw)
			wantRefusal(t, "unknown kid", err, upstream.Broken, "no key")
		}
		op.UseKey("ES256", fmt.Sprint("new-", minute), upstreamtest.NewKey(t, "ES256"), false)
		e, err := walkTo(t, u, op, newAttempt())
		wantIn(t, "after a rotation in the storm", e, err)
		token, err := u.(upstream.LogoutVerifier).VerifyLogoutToken(t.Context(), op.LogoutToken("user-1", ""))
		if err != nil || token.ExternalID != "user-1" {
			t.Errorf("the provider's own logout token: %+v, %v", token, err)
		}
		if n := op.Count("/keys") - before; n != 2 {
			t.Errorf("minute %d: %d fetches", minute, n)
		}
		clock.Move(time.Minute)
	}
}

// A provider that signs by a key that it does not publish is asked for it once a minute, whoever comes.
func TestIDTokensOfUnknownKeysCauseOneFetchAMinute(t *testing.T) {
	u, op, clock := clocked(t)
	e, err := walkTo(t, u, op, newAttempt())
	wantIn(t, "first", e, err)
	before, mine := op.Count("/keys"), upstreamtest.NewKey(t, "ES256")
	op.Break(upstreamtest.Faults{Signed: func(_ string, header, claims map[string]any) string {
		header["kid"] = "unknown"
		return upstreamtest.Sign(t, mine, "ES256", header, claims)
	}})
	for minute := 1; minute <= 3; minute++ {
		for range 5 {
			_, err := walkTo(t, u, op, newAttempt())
			wantRefusal(t, "unknown kid", err, upstream.Broken, "no key")
		}
		if n := op.Count("/keys") - before; n != minute {
			t.Errorf("minute %d: %d fetches", minute, n)
		}
		clock.Move(time.Minute)
	}
}

func TestKeysAreKeptForAsLongAsTheProviderSays(t *testing.T) {
	for _, c := range []struct {
		header string
		fresh  time.Duration
	}{
		{"", time.Hour}, {"public, max-age=7200", 2 * time.Hour}, {"max-age=1", 5 * time.Minute}, {"no-store", time.Hour}, {"max-age=999999999, x", 24 * time.Hour},
		{"s-max-age=60", time.Hour},
	} {
		u, op, clock := clocked(t)
		op.Break(upstreamtest.Faults{Before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/keys" && c.header != "" {
				w.Header().Set("Cache-Control", c.header)
			}
			return false
		}})
		for _, step := range []struct {
			move time.Duration
			want int
		}{{0, 1}, {c.fresh - time.Second, 1}, {time.Second, 2}} {
			clock.Move(step.move)
			e, err := walkTo(t, u, op, newAttempt())
			wantIn(t, c.header, e, err)
			if n := op.Count("/keys"); n != step.want {
				t.Errorf("%q, %s on: %d fetches", c.header, step.move, n)
			}
		}
	}
}

func TestKnownKeysCountForADayWhenTheKeySetDoesNotAnswer(t *testing.T) {
	u, op, clock := clocked(t)
	e, err := walkTo(t, u, op, newAttempt())
	wantIn(t, "first", e, err)
	op.Break(at("/keys", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	clock.Move(23 * time.Hour)
	for range 5 {
		e, err = walkTo(t, u, op, newAttempt())
		wantIn(t, "23 hours later", e, err)
	}
	if n := op.Count("/keys"); n != 2 {
		t.Errorf("%d fetches: a failure is not remembered", n)
	}
	clock.Move(2 * time.Hour)
	_, err = walkTo(t, u, op, newAttempt())
	wantRefusal(t, "25 hours later", err, upstream.Unavailable)
	op.Break(upstreamtest.Faults{})
	clock.Move(10 * time.Second)
	e, err = walkTo(t, u, op, newAttempt())
	wantIn(t, "when it is back", e, err)
	// What it takes back is gone at once.
	op.Break(upstreamtest.Faults{KeySet: func(set map[string]any) { set["keys"] = []any{} }})
	clock.Move(2 * time.Hour)
	_, err = walkTo(t, u, op, newAttempt())
	wantRefusal(t, "an empty set", err, upstream.Broken)
}

func TestKeysThatCannotBeTrustedArePassedOver(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good := upstreamtest.NewKey(t, "ES256")
	jwk := func(key crypto.Signer, more map[string]any) map[string]any {
		out := upstreamtest.JWK(t, key, "kid")
		for name, value := range more {
			out[name] = value
		}
		return out
	}
	odd := []any{
		map[string]any{"kty": "oct", "k": "AAAA", "kid": "kid"}, map[string]any{"kty": "new", "kid": "kid"}, "no object",
		map[string]any{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
	}
	for name, c := range map[string]struct {
		sign crypto.Signer
		alg  string
		set  []any
		ok   bool
	}{
		"weak RSA":                {weak{small}, "RS256", []any{jwk(small, nil)}, false},
		"for encryption":          {good, "ES256", []any{jwk(good, map[string]any{"use": "enc"})}, false},
		"for another algorithm":   {good, "ES256", []any{jwk(good, map[string]any{"alg": "ES384"})}, false},
		"of another type":         {good, "ES256", []any{jwk(upstreamtest.NewKey(t, "RS256"), nil)}, false},
		"right, among odd ones":   {good, "ES256", append(odd, jwk(good, map[string]any{"use": "sig", "alg": "ES256"})), true},
		"right, second of a kid":  {good, "ES256", []any{jwk(upstreamtest.NewKey(t, "ES256"), nil), jwk(good, nil)}, true},
		"right, without a kid":    {good, "ES256", []any{jwk(upstreamtest.NewKey(t, "ES256"), map[string]any{"kid": ""}), jwk(good, map[string]any{"kid": ""})}, true},
		"right, after a thousand": {good, "ES256", append(make([]any, 1000), jwk(good, nil)), false},
	} {
		u, op, _ := clocked(t)
		op.Break(upstreamtest.Faults{
			KeySet: func(set map[string]any) { set["keys"] = c.set },
			Signed: func(_ string, header, claims map[string]any) string {
				header["kid"] = "kid"
				if w, ok := c.sign.(weak); ok {
					return weakly(t, w.PrivateKey, header, claims)
				}
				return upstreamtest.Sign(t, c.sign, c.alg, header, claims)
			},
		})
		e, err := walkTo(t, u, op, newAttempt())
		if c.ok {
			wantIn(t, name, e, err)
		} else {
			wantRefusal(t, name, err, upstream.Broken)
		}
	}
}

// weak is a key that the library refuses to sign with.
type weak struct{ *rsa.PrivateKey }

func weakly(t *testing.T, key *rsa.PrivateKey, header, claims map[string]any) string {
	header["alg"] = "RS256"
	return compact(t, header, claims, func(input string) []byte {
		h := crypto.SHA256.New()
		h.Write([]byte(input))
		signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, h.Sum(nil))
		if err != nil {
			t.Error(err)
		}
		return signature
	})
}

func TestDiscoveryIsLazyKeptForAnHourAndMended(t *testing.T) {
	const path = "/.well-known/openid-configuration"
	u, op, clock := clocked(t)
	if n := op.Count(path); n != 0 {
		t.Errorf("asked %d times before anybody came", n)
	}
	ask := func(name string, fetches int, reason upstream.Reason) {
		t.Helper()
		_, err := u.AuthURL(t.Context(), newAttempt())
		if reason == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if reason != "" {
			wantRefusal(t, name, err, reason)
		}
		if n := op.Count(path); n != fetches {
			t.Errorf("%s: %d fetches, want %d", name, n, fetches)
		}
	}
	down := at(path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	op.Break(down)
	ask("down", 1, upstream.Unavailable)
	ask("down, remembered", 1, upstream.Unavailable)
	op.Break(upstreamtest.Faults{})
	clock.Move(9 * time.Second)
	ask("still remembered", 1, upstream.Unavailable)
	clock.Move(time.Second)
	ask("up again", 2, "")
	clock.Move(59 * time.Minute)
	ask("kept", 2, "")
	clock.Move(time.Minute)
	ask("an hour old", 3, "")
	op.Break(down)
	clock.Move(time.Hour)
	ask("down, an old copy does", 4, "")
	if err := probe(t, u); err == nil {
		t.Error("the probe does not tell that it is down")
	}
	clock.Move(24 * time.Hour)
	ask("down, the copy is too old", 5, upstream.Unavailable)
	op.Break(upstreamtest.Faults{})
	clock.Move(time.Minute)
	ask("up", 6, "")
	op.Break(upstreamtest.Faults{Document: func(d map[string]any) { d["issuer"] = "https://evil.example" }})
	clock.Move(time.Hour)
	ask("another issuer", 7, upstream.Broken)
}

func TestAProbeReadsAnewAfterAMinute(t *testing.T) {
	const path = "/.well-known/openid-configuration"
	u, op, clock := clocked(t)
	for i, want := range []int{1, 1, 2} {
		if err := probe(t, u); err != nil {
			t.Error(err)
		}
		if n := op.Count(path); n != want {
			t.Errorf("probe %d: %d fetches", i, n)
		}
		clock.Move(30 * time.Second)
	}
	op.Close()
	clock.Move(time.Minute)
	err := probe(t, u)
	wantRefusal(t, "gone", err, upstream.Unavailable)
	if _, err := u.AuthURL(t.Context(), newAttempt()); err != nil {
		t.Errorf("a failed probe took away the copy, which is fresh for an hour: %v", err)
	}
}

func TestAnIssuerWithASlashHasItsDocumentBelowIt(t *testing.T) {
	op := upstreamtest.NewOIDC(t)
	op.Break(upstreamtest.Faults{Document: func(d map[string]any) { d["issuer"] = op.Issuer + "/" }})
	u := driver(t, driverSet{Config: upstream.Config{Type: "oidc", Issuer: op.Issuer + "/"}})
	to, err := u.AuthURL(t.Context(), newAttempt())
	if err != nil || !strings.HasPrefix(to, op.Issuer+"/authorize?") {
		t.Errorf("%s, %v", to, err)
	}
}
