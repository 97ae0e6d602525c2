package conformance

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/audit"
	"gatehouse/provider/keys"
	"gatehouse/provider/seal"
)

// Lines K1 to K4 and trap 10: signing keys, and what the server fetches.

// published returns the members of every key of the JWKS, by kid.
func (s *suite) published() map[string]map[string]any {
	s.Helper()
	a := s.get("/.well-known/jwks.json")
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(a.Raw), &set); err != nil || a.Status != http.StatusOK {
		s.Fatalf("%d %s", a.Status, a.Raw)
	}
	byKID := map[string]map[string]any{}
	for _, key := range set.Keys {
		kid, _ := key["kid"].(string)
		if kid == "" || byKID[kid] != nil {
			s.Errorf("kid %q is missing or there twice", kid)
		}
		byKID[kid] = key
	}
	return byKID
}

func TestK1PublicKeysOnly(t *testing.T) {
	everywhere(t, func(s *suite) {
		allowed := map[string][]string{"RSA": {"kty", "kid", "use", "alg", "n", "e"}, "EC": {"kty", "kid", "use", "alg", "crv", "x", "y"}}
		set := s.published()
		for kid, key := range set {
			kty, _ := key["kty"].(string)
			if allowed[kty] == nil || key["use"] != "sig" || key["alg"] == nil {
				s.Errorf("%s: kty %v, use %v, alg %v", kid, key["kty"], key["use"], key["alg"])
			}
			for name := range key {
				if !slices.Contains(allowed[kty], name) {
					s.Errorf("%s has the member %s", kid, name)
				}
			}
		}
		if len(set) < 3 {
			s.Errorf("%d keys", len(set))
		}
	})
}

// operator is the key set as the command line opens it, beside the running server.
func (s *suite) operator() *keys.Set {
	s.Helper()
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		s.Fatal(err)
	}
	set := keys.New(keys.Options{
		Store: s.Store, Seal: ring, Now: s.Clock.Now, Algorithms: []string{"RS256", "ES256", "PS256"}, RSABits: 2048, RotateEvery: 90 * 24 * time.Hour,
		LongestToken: provider.LongestToken(lifetimes, nil), Audit: audit.New(s.logger()),
	})
	if err := set.Load(s.Context()); err != nil {
		s.Fatal(err)
	}
	return set
}

func TestK2RotationOnDemand(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		old := c.redeem(b.authorize(c, nil).code(), nil).Str("id_token")
		before := s.published()
		if _, err := s.operator().Rotate(s.Context(), "RS256"); err != nil {
			s.Fatal(err)
		}
		s.pass(6 * time.Second) // all nodes have it (ruling 24)
		after := s.published()
		fresh := 0
		for kid, key := range after {
			if before[kid] != nil {
				continue
			}
			fresh++
			if key["kty"] != "RSA" && key["kty"] != "EC" {
				s.Errorf("the new key is %v (trap 10)", key["kty"])
			}
		}
		for kid, key := range before {
			if !reflect.DeepEqual(after[kid], key) {
				s.Errorf("old key %s was %v and is %v", kid, key, after[kid])
			}
		}
		token := c.idToken(c.redeem(b.authorize(c, nil).code(), nil).Str("id_token"))
		if oldToken := c.idToken(old); fresh == 0 || token.Header["kid"] == oldToken.Header["kid"] {
			s.Errorf("%d new keys, signed by %v before and %v after", fresh, oldToken.Header["kid"], token.Header["kid"])
		}
		b.authorize(c, values{"prompt": "none", "id_token_hint": old}).code()
	})
}

func TestK3JWKSIsNotCachedLong(t *testing.T) {
	everywhere(t, func(s *suite) {
		a := s.get("/.well-known/jwks.json")
		if cache := a.Header.Get("Cache-Control"); cache != "public, max-age=300" {
			s.Errorf("Cache-Control %q", cache)
		}
		if contentType := a.Header.Get("Content-Type"); !strings.HasPrefix(contentType, "application/json") && !strings.HasPrefix(contentType, "application/jwk-set+json") {
			s.Errorf("Content-Type %q", contentType)
		}
	})
}

// fetchesOf tries to authenticate a client whose keys are at a URL and tells whether that worked.
func (s *suite) accepts(jwksURI string, key *pair) bool {
	s.Helper()
	c := s.client(`{"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"` + jwksURI + `","grant_types":["authorization_code","client_credentials"],"scopes":["openid","api"]}`)
	form := asserted(key.sign("", c.assertion(nil))).with(values{"grant_type": "client_credentials", "scope": "api"})
	return c.post("/oauth2/token", form).Status == http.StatusOK
}

func TestK4OutboundFetchesAreGuarded(t *testing.T) {
	everywhere(t, func(s *suite) {
		folder := "/" + s.person.Subject
		set := jwkSet(own.es256())
		s.rp.serve(folder+"/good", document{ContentType: "application/json", Body: set})
		s.rp.serve(folder+"/redirect", document{Status: http.StatusFound, Header: http.Header{"Location": {s.rp.URL + folder + "/target"}}})
		s.rp.serve(folder+"/target", document{ContentType: "application/json", Body: set})
		s.rp.serve(folder+"/big", document{ContentType: "application/json", Body: set + strings.Repeat(" ", 1<<20)})
		s.rp.serve(folder+"/missing", document{Status: http.StatusNotFound, ContentType: "application/json", Body: set})
		if !s.accepts(s.rp.URL+folder+"/good", own.es256()) {
			s.Error("a host of the allow-list with a certificate of the extra CA is refused")
		}
		for _, path := range []string{"/redirect", "/big", "/missing"} {
			if s.accepts(s.rp.URL+folder+path, own.es256()) {
				s.Errorf("%s is accepted", path)
			}
		}
		if len(s.rp.at(folder+"/target")) > 0 {
			s.Error("a redirect was followed")
		}
	})
}

func TestK4PrivateHostsAreNotEvenConnectedTo(t *testing.T) {
	everywhere(t, func(s *suite) {
		knocks, address := s.listener("127.0.0.2")
		if s.accepts("https://"+address+"/jwks", own.es256()) || knocks.Load() > 0 {
			s.Errorf("%d connections to a private host", knocks.Load())
		}
	})
}
