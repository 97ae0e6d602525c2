package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider/client"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// Section E of the attack list, client_secret_jwt (ruling 51), and the keys of private_key_jwt clients that change.

// testRing is the keyring of servers under test.
func testRing(t *testing.T) *seal.Ring {
	t.Helper()
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// newSealed makes a secret as registration and the command line do.
func newSealed(t *testing.T, ring *seal.Ring, id string) (string, storage.ClientSecret) {
	t.Helper()
	secret, stored, err := client.MakeSecret(ring, &storage.Client{ID: id, AuthMethod: "client_secret_jwt"}, "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return secret, stored
}

// sealed is the stored form of a secret that nobody checked.
func sealed(ring *seal.Ring, id, secret string) storage.ClientSecret {
	return storage.ClientSecret{Sealed: ring.Seal([]byte(secret), seal.AAD("clients", id, "secret", 1))}
}

// secretClient registers a daemon for client_secret_jwt and returns its secret.
func (s *server) secretClient(id string, changes ...func(*storage.Client)) string {
	s.Helper()
	secret, stored := newSealed(s.T, testRing(s.T), id)
	s.daemon(append([]func(*storage.Client){func(c *storage.Client) {
		c.ID, c.AuthMethod, c.Secrets = id, "client_secret_jwt", []storage.ClientSecret{stored}
	}}, changes...)...)
	return secret
}

// macSign makes a good assertion under a secret; changes alter header and claims first.
func macSign(s *server, alg, secret, id string, changes ...func(head, claims members)) string {
	s.Helper()
	head, claims := members{"alg": alg, "typ": "JWT"}, claimsFor(s, id)
	for _, change := range changes {
		change(head, claims)
	}
	for _, m := range []members{head, claims} {
		for name, value := range m {
			if value == nil {
				delete(m, name)
			}
		}
	}
	h, err := json.Marshal(head)
	s.ok(err)
	c, err := json.Marshal(claims)
	s.ok(err)
	input := b64(string(h)) + "." + b64(string(c))
	mac := hmac.New(map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg], []byte(secret))
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestT1T3ClientSecretJWT(t *testing.T) {
	s := start(t, "memory")
	secret := s.secretClient("robot")
	now := s.Clock.Now().Unix()
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		for name, changes := range map[string][]func(head, claims members){
			"issuer": {}, "token endpoint": {withClaim("aud", s.URL+"/oauth2/token")}, "kid": {withHead("kid", "whatever")}, "without typ": {withHead("typ", nil)},
			"without iat": {withClaim("iat", nil)}, "exp an hour ahead": {withClaim("exp", now+3600)}, "exp 10 s ago": {withClaim("exp", now-10)},
		} {
			t.Run("T1 "+alg+" "+name, func(t *testing.T) { s.wantOK(s.asserted(macSign(s, alg, secret, "robot", changes...))) })
		}
	}
	for _, path := range []string{"/oauth2/revoke", "/oauth2/introspect"} {
		s.wantOK(s.post(path, url.Values{"token": {"x"}, "client_assertion_type": {assertionType}, "client_assertion": {macSign(s, "HS256", secret, "robot")}}, noBasic))
	}
	for name, change := range badClaims(s) {
		t.Run(name, func(t *testing.T) {
			s.wantError(s.asserted(macSign(s, "HS256", secret, "robot", change)), http.StatusUnauthorized, "invalid_client")
		})
	}
	used := macSign(s, "HS256", secret, "robot")
	s.wantOK(s.asserted(used))
	s.wantError(s.asserted(used), http.StatusUnauthorized, "invalid_client") // row 69
	s.wantNoSecrets(secret, used)
}

// Row 71: whoever may sign with one kind of key cannot sign with the other. Ruling 19: the method is exact, so the secret itself opens nothing.
func TestRow71SecretsAndKeysAreNotMixedUp(t *testing.T) {
	s := start(t, "memory")
	key := newAssertionKeys(t)
	secret := s.secretClient("robot", func(c *storage.Client) { c.JWKS = key.jwks() })
	exact := s.secretClient("exact", func(c *storage.Client) { c.AuthSigningAlg = "HS512" })
	other := s.secretClient("other")
	s.daemon(key.register("keyed"), func(c *storage.Client) { c.AuthSigningAlg = "" })
	s.daemon(func(c *storage.Client) { c.ID = "basic" })
	parts := strings.Split(macSign(s, "HS256", secret, "robot"), ".")
	for name, assertion := range map[string]string{
		"row 71 other client's secret": macSign(s, "HS256", other, "robot"), "row 71 empty secret": macSign(s, "HS256", "", "robot"), "row 71 RS256 with registered keys": key.sign(s, "robot", withHead("alg", "RS256"), withHead("kid", "rsa")),
		"row 71 ES256 with registered keys": key.sign(s, "robot"), "row 71 HS256 with the public key in PEM": macSign(s, "HS256", string(pemKey(t, key)), "robot"), "row 71 HS256 with the JWK set": macSign(s, "HS256", string(key.jwks()), "robot"),
		"row 71 alg not the registered one": macSign(s, "HS256", exact, "exact"), "row 71 none": b64(`{"alg":"none"}`) + "." + parts[1] + ".", "row 71 NoNe": b64(`{"alg":"NoNe"}`) + "." + parts[1] + "." + parts[2],
		"row 71 another alg in the header": b64(`{"alg":"HS384","typ":"JWT"}`) + "." + parts[1] + "." + parts[2], "row 71 no signature": parts[0] + "." + parts[1] + ".", "row 71 zeros": parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 32)),
		"row 71 crit": macSign(s, "HS256", secret, "robot", withHead("crit", []string{"exp"})), "row 71 b64": macSign(s, "HS256", secret, "robot", withHead("b64", false)), "row 72 jwk": macSign(s, "HS256", secret, "robot", withHead("jwk", members{"kty": "oct", "k": "AA"})),
		"row 71 HS256 of a client with keys": macSign(s, "HS256", string(pemKey(t, key)), "keyed"), "row 71 HS256 with the sealed secret of another": macSign(s, "HS256", secret, "keyed"), "row 71 assertion of a client with Basic": macSign(s, "HS256", clientSecret, "basic"),
		"row 119 padded": parts[0] + "=." + parts[1] + "." + parts[2], "row 119 line break": parts[0] + "." + parts[1] + "." + parts[2][:10] + "\n" + parts[2][10:], "row 118 dots": strings.Repeat(".", 15000), "row 117 five parts": strings.Join(parts, ".") + "." + parts[1] + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) { s.wantError(s.asserted(assertion), http.StatusUnauthorized, "invalid_client") })
	}
	for name, auth := range map[string]func(*http.Request){"ruling 19 Basic": as("robot", secret), "ruling 19 body": inBody("robot", secret), "ruling 19 nothing": byID("robot")} {
		t.Run(name, func(t *testing.T) { s.wantError(s.credentials(auth), http.StatusUnauthorized, "invalid_client") })
	}
	both := macSign(s, "HS256", secret, "robot")
	t.Run("row 64 assertion and secret", func(t *testing.T) {
		s.wantError(s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {both}}, as("robot", secret)), http.StatusBadRequest, "invalid_request")
	})
	s.wantOK(s.asserted(both))
	s.wantOK(s.asserted(macSign(s, "HS512", exact, "exact")))
	s.wantNoSecrets(secret, exact, other)
}

// RFC 7518 section 3.2: a secret that is shorter than the hash is no key, and the client is told.
func TestShortSecretsSignNothing(t *testing.T) {
	s := start(t, "memory")
	for length, works := range map[int][]string{31: nil, 32: {"HS256"}, 56: {"HS256", "HS384"}, 64: {"HS256", "HS384", "HS512"}} {
		chosen, id := strings.Repeat("s", length), "length-"+string(rune('a'+length%26))
		s.secretClient(id, func(c *storage.Client) {
			c.Secrets = []storage.ClientSecret{sealed(testRing(t), id, chosen)}
		})
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			a := s.asserted(macSign(s, alg, chosen, id))
			if want := strings.Contains(strings.Join(works, " "), alg); (a.Status == http.StatusOK) != want || !want && !strings.Contains(a.Raw, "longer secret") {
				t.Errorf("%s with %d bytes: %d %s", alg, length, a.Status, a.Raw)
			}
		}
	}
}

// Row 74: two sealed secrets at most work, the old one until its overlap ends; a new one works at once, whichever process gave it.
func TestRow74SealedSecretRotation(t *testing.T) {
	t.Parallel()
	s := start(t, "sqlite")
	ring := testRing(t)
	first := s.secretClient("robot")
	works := func(secret string) bool {
		return s.asserted(macSign(s, "HS256", secret, "robot")).Status == http.StatusOK
	}
	second, third, fourth := "", "", ""
	give := func(change func(c *storage.Client, fresh storage.ClientSecret)) string {
		secret, stored := newSealed(s.T, ring, "robot")
		if _, err := s.Store.UpdateClient(t.Context(), "robot", func(c *storage.Client) error { change(c, stored); return nil }); err != nil {
			t.Fatal(err)
		}
		return secret
	}
	if !works(first) {
		t.Fatal("the first secret does not work")
	}
	second = give(func(c *storage.Client, fresh storage.ClientSecret) {
		c.Secrets[0].Expires = s.Clock.Now().Add(time.Hour)
		c.Secrets = append([]storage.ClientSecret{fresh}, c.Secrets...)
	})
	if !works(second) || !works(first) {
		t.Error("row 74: the new secret, or the old one within its overlap, does not work")
	}
	third = give(func(c *storage.Client, fresh storage.ClientSecret) {
		c.Secrets = append([]storage.ClientSecret{fresh}, c.Secrets...)
	})
	if !works(third) || !works(second) || works(first) {
		t.Error("row 74: of three secrets not just two work")
	}
	s.Clock.Advance(time.Hour)
	fourth = give(func(c *storage.Client, fresh storage.ClientSecret) {
		c.Secrets[0].Expires = s.Clock.Now().Add(-time.Second)
		c.Secrets = []storage.ClientSecret{c.Secrets[0], fresh}
	})
	if !works(fourth) || works(third) || works(second) || works(first) {
		t.Error("row 74: an expired or deleted secret works, or hides the one that counts")
	}
	if _, err := s.Store.UpdateClient(t.Context(), "robot", func(c *storage.Client) error { c.Secrets = nil; return nil }); err != nil {
		t.Fatal(err)
	}
	s.within(time.Second, "no secret, no token", func() bool { return !works(fourth) })
	s.wantNoSecrets(first, second, third, fourth)
}

// A master key that is missing is the operator's fault, and the log says which one.
func TestSealedSecretWithoutItsMasterKeyIsOurFault(t *testing.T) {
	s := start(t, "memory")
	other := sha256.Sum256([]byte("another master key"))
	ring, err := seal.New([][]byte{other[:]})
	s.ok(err)
	secret, stored := newSealed(s.T, ring, "robot")
	s.secretClient("robot", func(c *storage.Client) { c.Secrets = []storage.ClientSecret{stored} })
	s.wantError(s.asserted(macSign(s, "HS256", secret, "robot")), http.StatusInternalServerError, "server_error")
	if !strings.Contains(s.Log.String(), ring.ID()) {
		t.Error("the log does not name the key that is needed")
	}
}

// Trap 3 and T2: keys are chosen by type, curve, alg and use; a kid only narrows the choice, and several keys may share one.
func TestTrap3T2KeysAreMatchedByTypeAlgAndUse(t *testing.T) {
	s := start(t, "memory")
	key := newAssertionKeys(t)
	decoyKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.ok(err)
	large, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	s.ok(err)
	register := func(id string, keys ...jose.JSONWebKey) {
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
		s.ok(err)
		s.daemon(key.register(id), func(c *storage.Client) { c.JWKS = text })
	}
	ec, foreign, rsaKey := jose.JSONWebKey{Key: key.ec.Public()}, jose.JSONWebKey{Key: decoyKey.Public()}, jose.JSONWebKey{Key: key.rsa.Public()}
	with := func(k jose.JSONWebKey, kid, use, alg string) jose.JSONWebKey {
		k.KeyID, k.Use, k.Algorithm = kid, use, alg
		return k
	}
	for _, test := range []struct {
		id       string
		keys     []jose.JSONWebKey
		es, none bool // ES256 with kid ec; without kid
	}{
		{"no-kid", []jose.JSONWebKey{ec}, true, true},
		{"several-no-kid", []jose.JSONWebKey{foreign, rsaKey, {Key: large.Public()}, ec}, true, true},
		{"same-kid", []jose.JSONWebKey{with(foreign, "ec", "sig", "ES256"), with(rsaKey, "ec", "", ""), with(ec, "ec", "sig", "ES256")}, true, true},
		{"same-kid-enc-first", []jose.JSONWebKey{with(ec, "ec", "enc", ""), with(ec, "ec", "sig", "")}, true, true},
		{"only-enc", []jose.JSONWebKey{with(ec, "", "enc", "")}, false, false},
		{"only-enc-with-kid", []jose.JSONWebKey{with(ec, "ec", "enc", "")}, false, false},
		{"other-alg", []jose.JSONWebKey{with(ec, "", "", "ES384")}, false, false},
		{"other-kid", []jose.JSONWebKey{with(ec, "x", "", "")}, false, true},
		{"other-curve", []jose.JSONWebKey{{Key: large.Public()}}, false, false},
	} {
		t.Run("T2 "+test.id, func(t *testing.T) {
			register(test.id, test.keys...)
			if a := s.asserted(key.sign(s, test.id)); (a.Status == http.StatusOK) != test.es {
				t.Errorf("with kid: %d %s", a.Status, a.Raw)
			}
			if a := s.asserted(key.sign(s, test.id, withHead("kid", nil))); (a.Status == http.StatusOK) != test.none {
				t.Errorf("without kid: %d %s", a.Status, a.Raw)
			}
		})
	}
}

// T2 and row 73: a client that replaces keys at its jwks_uri, with or without kids, is served at once, also right after they were fetched for the first time; whoever
// cannot sign causes no more than one fetch a minute, and so does a client that replaces its keys again.
func TestT2Row73KeysRotateAtTheJWKSURI(t *testing.T) {
	for name, kid := range map[string]func(string) func(head, claims members){
		"kids": func(kid string) func(head, claims members) { return withHead("kid", kid) }, "no kids": func(string) func(head, claims members) { return withHead("kid", nil) },
		"one kid for all": func(string) func(head, claims members) { return withHead("kid", "same") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "memory")
			old, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			s.ok(err)
			fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			s.ok(err)
			set := func(id string, key *ecdsa.PrivateKey) json.RawMessage {
				named := members{}
				kid(id)(named, nil)
				text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: named.str("kid")}}})
				s.ok(err)
				return text
			}
			before, after := &assertionKeys{ec: old}, &assertionKeys{ec: fresh}
			from := newKeyServer(t, serving(set("old", old)))
			s.daemon(before.at("robot", from))
			s.wantOK(s.asserted(before.sign(s, "robot", kid("old"))))
			from.answer(serving(set("new", fresh)))
			var wait sync.WaitGroup
			for range 20 {
				wait.Go(func() { s.wantOK(s.asserted(after.sign(s, "robot", kid("new")))) })
			}
			wait.Wait()
			for range 50 {
				s.wantError(s.asserted(before.sign(s, "robot", kid("old"))), http.StatusUnauthorized, "invalid_client")
			}
			if n := from.fetches.Load(); n != 2 {
				t.Errorf("row 73: %d fetches, want 2", n)
			}
			from.answer(serving(set("old", old)))
			s.wantError(s.asserted(before.sign(s, "robot", kid("old"))), http.StatusUnauthorized, "invalid_client")
			s.wantOK(s.asserted(after.sign(s, "robot", kid("new")))) // the copy still counts
			s.Clock.Advance(61 * time.Second)
			s.wantOK(s.asserted(before.sign(s, "robot", kid("old"))))
			if n := from.fetches.Load(); n != 3 {
				t.Errorf("row 73: %d fetches, want 3", n)
			}
		})
	}
}

// str returns a text member, empty if there is none.
func (m members) str(name string) string { text, _ := m[name].(string); return text }
