package provider_test

import (
	"crypto/sha256"
	"net/url"
	"strings"
	"testing"

	"gatehouse/provider"
	"gatehouse/provider/outbound"
	"gatehouse/provider/seal"
	"gatehouse/provider/signin"
	"gatehouse/storage"
	"gatehouse/storage/memory"
)

// Where there is no kind of second factor, a client that needs one gets nobody: the request does not go on with the password alone (security row 156).
func TestRow156SecondFactorThatIsNowhereIsNotLeftOut(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.RequireMFA = true })
	s.client(func(c *storage.Client) { c.ID = "other" })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	for _, prompt := range []string{"", "none", "login"} { // the second and the third come with the session of the first
		if got := b.callback(url.Values{"prompt": {prompt}}); got.Get("code") != "" || got.Get("error") != "unmet_authentication_requirements" {
			t.Errorf("prompt %q: %v", prompt, got)
		}
	}
	if got := b.callback(url.Values{"client_id": {"other"}}); got.Get("code") == "" {
		t.Errorf("a client that needs none: %v", got)
	}
}

// A server on which everybody needs a second factor, and whose only kind needs a domain that it has not, does not start.
func TestServerWithoutTheFactorThatEverybodyNeedsDoesNotStart(t *testing.T) {
	master := sha256.Sum256([]byte("master key of the tests"))
	ring, err := seal.New([][]byte{master[:]})
	if err != nil {
		t.Fatal(err)
	}
	out, err := outbound.New(outbound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for issuer, starts := range map[string]bool{"http://127.0.0.1:8080": false, "http://localhost:8080": true} {
		_, err := provider.New(t.Context(), provider.Options{
			Issuer: issuer, Store: memory.New(storage.Options{}), Seal: ring, Outbound: out, Tokens: testTokens, PasswordCost: 4, PasswordMinLength: 15,
			Keys:    provider.KeyPolicy{Algorithms: []string{"RS256", "ES256"}, IDToken: "RS256", AccessToken: "ES256", RSABits: 2048},
			Factors: signin.Policy{Passkeys: true, Required: signin.Everyone},
		})
		if starts != (err == nil) || !starts && !strings.Contains(err.Error(), "second factor") {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}
