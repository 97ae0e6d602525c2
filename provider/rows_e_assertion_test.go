package provider_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/storage"
)

// Section E of the attack list, second half: private_key_jwt. Assertions are put together by hand, so that none is too broken to be sent.

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionKeys are a client's keys: one for RS256 and one for ES256.
type assertionKeys struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

var makeAssertionKeys = sync.OnceValues(func() (*assertionKeys, error) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &assertionKeys{rsaKey, ecKey}, err
})

func newAssertionKeys(t *testing.T) *assertionKeys {
	t.Helper()
	keys, err := makeAssertionKeys()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// jwks returns the public keys as a JWK set; change may alter the members of each.
func (k *assertionKeys) jwks(changes ...func(key *jose.JSONWebKey)) json.RawMessage {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: k.rsa.Public(), KeyID: "rsa", Use: "sig"}, {Key: k.ec.Public(), KeyID: "ec", Use: "sig"},
	}}
	for i := range set.Keys {
		for _, change := range changes {
			change(&set.Keys[i])
		}
	}
	text, _ := json.Marshal(set)
	return text
}

// register makes a client authenticate with these keys.
func (k *assertionKeys) register(id string) func(*storage.Client) {
	return func(c *storage.Client) { c.ID, c.AuthMethod, c.JWKS = id, "private_key_jwt", k.jwks() }
}

// members of a header or of claims; nil removes.
type members map[string]any

// claims are those of a good assertion.
func claimsFor(s *server, id string) members {
	now := s.Clock.Now().Unix()
	return members{"iss": id, "sub": id, "aud": s.URL, "jti": rand.Text(), "exp": now + 60, "iat": now}
}

// sign makes a good assertion; changes alter header and claims first.
func (k *assertionKeys) sign(s *server, id string, changes ...func(head, claims members)) string {
	s.Helper()
	head, claims := members{"alg": "ES256", "kid": "ec", "typ": "JWT"}, claimsFor(s, id)
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
	if err != nil {
		s.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		s.Fatal(err)
	}
	return k.signRaw(s, string(h), string(c))
}

// signRaw signs any two texts by the alg that the header names, ES256 if it names another.
func (k *assertionKeys) signRaw(s *server, head, claims string) string {
	s.Helper()
	input := b64(head) + "." + b64(claims)
	sum := sha256.Sum256([]byte(input))
	if strings.Contains(head, `"RS256"`) {
		signature, err := rsa.SignPKCS1v15(rand.Reader, k.rsa, crypto.SHA256, sum[:])
		if err != nil {
			s.Fatal(err)
		}
		return input + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	r, v, err := ecdsa.Sign(rand.Reader, k.ec, sum[:])
	if err != nil {
		s.Fatal(err)
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(signature[:])
}

// asserted asks for a token with an assertion.
func (s *server) asserted(assertion string, changes ...func(*http.Request)) answer {
	s.Helper()
	return s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion}}, append([]func(*http.Request){noBasic}, changes...)...)
}

// withClaim returns a change of one claim.
func withClaim(name string, value any) func(head, claims members) {
	return func(_, claims members) { claims[name] = value }
}

// withHead returns a change of one header member.
func withHead(name string, value any) func(head, claims members) {
	return func(head, _ members) { head[name] = value }
}

func TestT2T3GoodAssertions(t *testing.T) {
	s := start(t, "memory")
	key := newAssertionKeys(t)
	s.daemon(key.register("robot"))
	now := s.Clock.Now().Unix()
	for name, changes := range map[string][]func(head, claims members){
		"issuer": {}, "token endpoint": {withClaim("aud", s.URL+"/oauth2/token")}, "array of the issuer": {withClaim("aud", []string{s.URL})},
		"array of the token endpoint": {withClaim("aud", []string{s.URL + "/oauth2/token"})}, "array of both": {withClaim("aud", []string{s.URL, s.URL + "/oauth2/token"})},
		"without iat": {withClaim("iat", nil)}, "iat 10 s ahead": {withClaim("iat", now+10)}, "nbf 10 s ahead": {withClaim("nbf", now+10)}, "iat an hour ago": {withClaim("iat", now-3600)},
		"exp an hour ahead": {withClaim("exp", now+3600)}, "exp 10 s ago": {withClaim("exp", now-10)}, "fractions": {withClaim("exp", float64(now)+60.5), withClaim("iat", float64(now)-0.5)},
		"RS256": {withHead("alg", "RS256"), withHead("kid", "rsa")}, "without typ": {withHead("typ", nil)}, "typ of RFC 7523bis": {withHead("typ", "client-authentication+jwt")},
		"without kid": {withHead("kid", nil)}, "RS256 without kid": {withHead("alg", "RS256"), withHead("kid", nil)}, "further claims": {withClaim("scope", "x"), withClaim("nested", map[string]any{"aud": "x"})},
	} {
		t.Run("T3 "+name, func(t *testing.T) { s.wantOK(s.asserted(key.sign(s, "robot", changes...))) })
	}
	t.Run("T3 at revocation and introspection", func(t *testing.T) {
		for _, path := range []string{"/oauth2/revoke", "/oauth2/introspect"} {
			for _, aud := range []string{s.URL, s.URL + "/oauth2/token"} {
				a := s.post(path, url.Values{"token": {"x"}, "client_assertion_type": {assertionType}, "client_assertion": {key.sign(s, "robot", withClaim("aud", aud))}}, noBasic)
				s.wantOK(a)
			}
		}
	})
	t.Run("T2 key without kid", func(t *testing.T) {
		s.daemon(key.register("kidless"), func(c *storage.Client) { c.JWKS = key.jwks(func(k *jose.JSONWebKey) { k.KeyID, k.Use = "", "" }) })
		s.wantOK(s.asserted(key.sign(s, "kidless", withHead("kid", nil))))
		s.wantOK(s.asserted(key.sign(s, "kidless", withHead("kid", "made-up"))))
		s.wantOK(s.asserted(key.sign(s, "kidless", withHead("kid", nil), withHead("alg", "RS256"))))
	})
	t.Run("T2 unknown key types beside", func(t *testing.T) {
		s.daemon(key.register("modern"), func(c *storage.Client) {
			c.JWKS = json.RawMessage(strings.Replace(string(key.jwks()), `"keys":[`, `"keys":[{"kty":"AKP","alg":"ML-DSA-44","pub":"AA","kid":"pq"},{"kty":"EC","crv":"P-999","x":"AA","y":"AA"},`, 1))
		})
		s.wantOK(s.asserted(key.sign(s, "modern")))
	})
}

// badClaims lists assertions that are signed well and say something wrong.
func badClaims(s *server) map[string]func(head, claims members) {
	now := s.Clock.Now().Unix()
	return map[string]func(head, claims members){
		"row 67 issuer with slash": withClaim("aud", s.URL+"/"), "row 67 other server": withClaim("aud", "https://other.example"), "row 67 array with another": withClaim("aud", []string{s.URL, "https://evil.example"}),
		"row 67 another first": withClaim("aud", []string{"https://evil.example", s.URL}), "row 67 empty array": withClaim("aud", []string{}), "row 67 no aud": withClaim("aud", nil), "row 67 number": withClaim("aud", 7),
		"row 67 object": withClaim("aud", members{"aud": s.URL}), "row 67 userinfo endpoint": withClaim("aud", s.URL+"/oauth2/userinfo"), "row 67 token endpoint with a query": withClaim("aud", s.URL+"/oauth2/token?x"),
		"row 67 upper case": withClaim("aud", strings.ToUpper(s.URL)), "row 67 array with null": withClaim("aud", []any{s.URL, nil}), "row 67 nested array": withClaim("aud", []any{[]string{s.URL}}), "row 67 client id": withClaim("aud", "robot"),
		"row 70 no exp": withClaim("exp", nil), "row 70 10 years": withClaim("exp", now+10*365*86400), "row 70 66 minutes": withClaim("exp", now+66*60), "row 70 expired": withClaim("exp", now-61), "row 70 exp 0": withClaim("exp", 0),
		"row 70 no jti": withClaim("jti", nil), "row 70 empty jti": withClaim("jti", ""), "row 70 long jti": withClaim("jti", strings.Repeat("x", 513)), "row 70 jti a number": withClaim("jti", 7),
		"row 70 no iss": withClaim("iss", nil), "row 70 no sub": func(_, c members) { c["sub"] = nil }, "row 70 other iss": withClaim("iss", "other"), "row 70 iss our own": withClaim("iss", s.URL),
		"row 70 iat 2 minutes ahead": withClaim("iat", now+120), "row 70 nbf 2 minutes ahead": withClaim("nbf", now+120), "row 70 iat far ahead": withClaim("iat", 1e300), "row 70 nbf far ahead": withClaim("nbf", 1e300),
		"row 119 exp a string": withClaim("exp", fmt.Sprint(now+60)), "row 119 negative exp": withClaim("exp", -1), "row 119 exp too large": withClaim("exp", 1e300), "row 119 iat a string": withClaim("iat", "now"),
		"row 119 exp an array": withClaim("exp", []int64{now + 60}), "row 119 exp true": withClaim("exp", true),
		"row 119 Aud": func(_, c members) { c["Aud"], c["aud"] = c["aud"], nil }, "row 119 JTI": func(_, c members) { c["JTI"], c["jti"] = c["jti"], nil }, "row 119 eXp": func(_, c members) { c["eXp"], c["exp"] = c["exp"], nil },
	}
}

// badHeads lists assertions whose header asks for something of its own.
func badHeads(key *assertionKeys) map[string]func(head, claims members) {
	jwk := jose.JSONWebKey{Key: key.ec.Public(), KeyID: "ec"}
	return map[string]func(head, claims members){
		"row 72 jwk": withHead("jwk", jwk), "row 72 jku": withHead("jku", "https://evil.example/jwks"), "row 72 x5u": withHead("x5u", "https://evil.example/x"), "row 72 x5c": withHead("x5c", []string{"AA"}),
		"row 71 crit unknown": withHead("crit", []string{"exp"}), "row 71 crit b64": func(h, _ members) { h["crit"], h["b64"] = []string{"b64"}, false }, "row 71 b64": withHead("b64", false), "row 71 empty crit": withHead("crit", []string{}),
		"row 71 zip": withHead("zip", "DEF"), "row 71 enc": withHead("enc", "A256GCM"), "row 71 url": withHead("url", "https://evil.example"), "row 71 nonce": withHead("nonce", "x"), "row 71 Alg beside": withHead("Alg", "none"),
		"row 72 kid a path": withHead("kid", "../../dev/null"), "row 72 kid SQL": withHead("kid", "x' OR 1=1 --"), "row 72 kid of 10 KB": withHead("kid", strings.Repeat("k", 10<<10)), "row 72 kid of another key": withHead("kid", "rsa"),
		"row 72 kid of another client": withHead("kid", "other-key"), "row 72 kid a number": withHead("kid", 7), "row 72 kid with NUL": withHead("kid", "ec\x00"), "row 72 kid of other case": withHead("kid", "EC"),
		"row 71 none": withHead("alg", "none"), "row 71 NoNe": withHead("alg", "NoNe"), "row 71 no alg": withHead("alg", nil), "row 71 es256": withHead("alg", "es256"), "row 71 ES384": withHead("alg", "ES384"), "row 71 alg a list": withHead("alg", []string{"ES256"}),
	}
}

func TestRows67To72BadAssertions(t *testing.T) {
	s, f := startFaulty(t)
	key := newAssertionKeys(t)
	s.daemon(key.register("robot"))
	s.daemon(func(c *storage.Client) {
		c.ID, c.AuthMethod, c.JWKS = "other", "private_key_jwt", key.jwks(func(k *jose.JSONWebKey) { k.KeyID = "other-key" })
	})
	refused := func(name, assertion string) {
		t.Run(name, func(t *testing.T) {
			var a answer
			ops := f.During(func() {
				a = s.asserted(assertion, func(r *http.Request) { addForm(r, url.Values{"client_id": {"robot"}}) })
			})
			s.wantError(a, http.StatusUnauthorized, "invalid_client")
			for _, op := range ops {
				if op == "Remember" {
					t.Error("a jti was used up by an assertion that was refused")
				}
			}
			if a.Header.Get("WWW-Authenticate") != "" || strings.Contains(a.Raw, "go-jose") {
				t.Errorf("%v %s", a.Header, a.Raw)
			}
		})
	}
	for name, change := range badClaims(s) {
		refused(name, key.sign(s, "robot", change))
	}
	for name, change := range badHeads(key) {
		refused(name, key.sign(s, "robot", change))
	}
	good := key.sign(s, "robot")
	parts := strings.Split(good, ".")
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	es := `{"alg":"ES256","kid":"ec"}`
	for name, assertion := range map[string]string{
		"row 71 none without signature": b64(`{"alg":"none"}`) + "." + parts[1] + ".", "row 71 none with signature": b64(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2],
		"row 71 all-zero signature": parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), "row 71 empty signature": parts[0] + "." + parts[1] + ".",
		"row 71 signature of another": parts[0] + "." + parts[1] + "." + strings.Split(key.sign(s, "robot"), ".")[2], "row 71 HS256 with the public key in PEM": hs256(key, parts[1], pemKey(t, key)),
		"row 71 HS256 with the public key in DER": hs256(key, parts[1], derKey(t, key)), "row 71 HS256 with the JWK": hs256(key, parts[1], key.jwks()), "row 71 HS256 with an empty key": hs256(key, parts[1], nil),
		"row 71 HS256 with a client secret": hs256(key, parts[1], []byte(clientSecret)), "row 71 DER signature": parts[0] + "." + parts[1] + "." + derSignature(t, key, parts[0]+"."+parts[1]),
		"row 119 aud twice": key.signRaw(s, es, `{"aud":"https://evil.example",`+string(claims[1:])), "row 119 exp 1e400": key.signRaw(s, es, strings.Replace(string(claims), `"exp":`, `"exp":1e400,"x":`, 1)),
		"row 119 NaN": key.signRaw(s, es, strings.Replace(string(claims), `"exp":`, `"exp":NaN,"x":`, 1)), "row 119 BOM": key.signRaw(s, es, "\xef\xbb\xbf"+string(claims)), "row 119 something follows": key.signRaw(s, es, string(claims)+"{}"),
		"row 119 alg twice": key.signRaw(s, `{"alg":"none","alg":"ES256","kid":"ec"}`, string(claims)), "row 119 padded": parts[0] + "=." + parts[1] + "." + parts[2], "row 119 no object": key.signRaw(s, es, `"robot"`),
		"row 119 JSON form": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "row 119 line break": parts[0] + "." + parts[1] + "." + parts[2][:10] + "\n" + parts[2][10:],
		"row 119 null claims": key.signRaw(s, es, "null"), "row 119 header with BOM": b64("\xef\xbb\xbf"+es) + "." + parts[1] + "." + parts[2], "row 118 dots": strings.Repeat(".", 16000), "row 118 four parts": good + ".x",
		"row 117 five parts": parts[0] + "." + parts[1] + "." + parts[2] + "." + parts[1] + "." + parts[2], "empty header": "." + parts[1] + "." + parts[2], "junk": "junk",
	} {
		refused(name, assertion)
	}
	t.Run("row 118 too long", func(t *testing.T) {
		s.wantError(s.asserted(key.sign(s, "robot", withClaim("pad", strings.Repeat("x", 17<<10)))), http.StatusBadRequest, "invalid_request")
	})
	s.wantOK(s.asserted(good))
	s.wantNoSecrets(good)
}

func hs256(_ *assertionKeys, claims string, secret []byte) string {
	input := b64(`{"alg":"HS256","typ":"JWT"}`) + "." + claims
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func derKey(t *testing.T, key *assertionKeys) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pemKey(t *testing.T, key *assertionKeys) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: derKey(t, key)})
}

func derSignature(t *testing.T, key *assertionKeys, input string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(input))
	signature, err := ecdsa.SignASN1(rand.Reader, key.ec, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(signature)
}

// Rows 71 and 72: the registered algorithm, and what the registered keys are for.
func TestRow71RegisteredAlgorithmAndKeyUse(t *testing.T) {
	s := start(t, "memory")
	key := newAssertionKeys(t)
	rs := []func(head, claims members){withHead("alg", "RS256"), withHead("kid", nil)}
	for _, test := range []struct {
		name   string
		change func(*storage.Client)
		es     bool
		rs     bool
	}{
		{"row 71 registered ES256", func(c *storage.Client) { c.AuthSigningAlg = "ES256" }, true, false},
		{"row 71 registered RS256", func(c *storage.Client) { c.AuthSigningAlg = "RS256" }, false, true},
		{"row 71 registered PS256", func(c *storage.Client) { c.AuthSigningAlg = "PS256" }, false, false},
		{"row 72 keys for encryption", func(c *storage.Client) { c.JWKS = key.jwks(func(k *jose.JSONWebKey) { k.Use = "enc" }) }, false, false},
		{"row 72 RSA key for encryption", func(c *storage.Client) {
			c.JWKS = key.jwks(func(k *jose.JSONWebKey) {
				if k.KeyID == "rsa" {
					k.Use = "enc"
				}
			})
		}, true, false},
		{"row 72 key of another alg", func(c *storage.Client) {
			c.JWKS = key.jwks(func(k *jose.JSONWebKey) {
				if k.KeyID == "rsa" {
					k.Algorithm = "PS256"
				}
			})
		}, true, false},
		{"no keys", func(c *storage.Client) { c.JWKS = json.RawMessage(`{"keys":[]}`) }, false, false},
		{"a symmetric key", func(c *storage.Client) { c.JWKS = json.RawMessage(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`) }, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := strings.ReplaceAll(test.name, " ", "-")
			s.daemon(key.register(id), test.change)
			for want, assertion := range map[*bool]string{&test.es: key.sign(s, id, withHead("kid", nil)), &test.rs: key.sign(s, id, rs...)} {
				if a := s.asserted(assertion); (a.Status == http.StatusOK) != *want {
					t.Errorf("%d %s, want success %v", a.Status, a.Raw, *want)
				}
			}
			s.wantError(s.asserted(hs256(key, strings.Split(key.sign(s, id), ".")[1], []byte("secret"))), http.StatusUnauthorized, "invalid_client")
		})
	}
}

// Row 69: an assertion works once, everywhere; nobody can use up the jti of another.
func TestRow69AssertionReplay(t *testing.T) {
	t.Parallel()
	s := start(t, "sqlite")
	key := newAssertionKeys(t)
	s.daemon(key.register("robot"))
	s.daemon(key.register("mallory"))
	other := s.node()
	jti := withClaim("jti", "the-same-jti")
	t.Run("row 69 other client first", func(t *testing.T) {
		s.wantOK(s.asserted(key.sign(s, "mallory", jti)))
	})
	t.Run("row 69 broken ones first", func(t *testing.T) {
		good := key.sign(s, "robot", jti)
		s.wantError(s.asserted(good[:len(good)-8]+"AAAAAAAA"), http.StatusUnauthorized, "invalid_client")
		s.wantError(s.asserted(key.sign(s, "robot", jti, withClaim("aud", "https://evil.example"))), http.StatusUnauthorized, "invalid_client")
		s.wantError(s.asserted(key.sign(s, "robot", jti, withClaim("exp", 1))), http.StatusUnauthorized, "invalid_client")
	})
	used := key.sign(s, "robot", jti)
	s.wantOK(s.asserted(used))
	for name, again := range map[string]answer{
		"same node": s.asserted(used), "other node": other.asserted(used), "other assertion, same jti": s.asserted(key.sign(s, "robot", jti)), "after a restart": s.node().asserted(used),
		"at another endpoint": s.post("/oauth2/introspect", url.Values{"token": {"x"}, "client_assertion_type": {assertionType}, "client_assertion": {used}}, noBasic),
	} {
		t.Run("row 69 replay "+name, func(t *testing.T) {
			s.wantError(again, http.StatusUnauthorized, "invalid_client")
			if !strings.Contains(again.Str("error_description"), "jti") {
				t.Errorf("the reason is not told: %s", again.Raw)
			}
		})
	}
	t.Run("row 69 at the end of its life", func(t *testing.T) {
		late := key.sign(s, "robot", withClaim("exp", float64(s.Clock.Now().Unix())+30.9))
		s.wantOK(s.asserted(late))
		for range 62 { // until it has expired with all tolerance
			s.Clock.Advance(1500 * time.Millisecond)
			s.wantError(s.asserted(late), http.StatusUnauthorized, "invalid_client")
		}
	})
	t.Run("row 69 fifty at once on two nodes", func(t *testing.T) {
		assertion := key.sign(s, "robot")
		var ok, refused atomic.Int32
		var wait sync.WaitGroup
		for i := range 50 {
			wait.Go(func() {
				node := []*server{s, other}[i%2]
				switch a := node.asserted(assertion); a.Status {
				case http.StatusOK:
					ok.Add(1)
				case http.StatusUnauthorized:
					refused.Add(1)
				default:
					t.Errorf("%d %s", a.Status, a.Raw)
				}
			})
		}
		wait.Wait()
		if ok.Load() != 1 || refused.Load() != 49 {
			t.Errorf("%d successes, %d refusals", ok.Load(), refused.Load())
		}
	})
}

func TestAssertionWithTheStoreDown(t *testing.T) {
	t.Parallel()
	s, f := startFaulty(t)
	key := newAssertionKeys(t)
	s.daemon(key.register("robot"))
	s.wantOK(s.asserted(key.sign(s, "robot")))
	assertion := key.sign(s, "robot")
	f.Down("Remember")
	s.wantUnavailable(s.asserted(assertion))
	f.Up()
	s.wantOK(s.asserted(assertion))
}

// keyServer serves a JWK set and counts the fetches.
type keyServer struct {
	*httptest.Server
	fetches atomic.Int32
	mu      sync.Mutex
	serve   http.HandlerFunc
}

func newKeyServer(t *testing.T, serve http.HandlerFunc) *keyServer {
	k := &keyServer{serve: serve}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.fetches.Add(1)
		k.mu.Lock()
		serve := k.serve
		k.mu.Unlock()
		serve(w, r)
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) answer(serve http.HandlerFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.serve = serve
}

func serving(jwks json.RawMessage) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(jwks) }
}

// at registers a client whose keys are at the server.
func (k *assertionKeys) at(id string, from *keyServer) func(*storage.Client) {
	return func(c *storage.Client) { c.ID, c.AuthMethod, c.JWKSURI = id, "private_key_jwt", from.URL }
}

func TestRow73JWKSURIIsFetchedAtMostOnceAMinute(t *testing.T) {
	s := start(t, "memory")
	key := newAssertionKeys(t)
	from := newKeyServer(t, serving(key.jwks()))
	s.daemon(key.at("robot", from))
	var wait sync.WaitGroup
	for range 50 { // the first ones come at the same time
		wait.Go(func() { s.wantOK(s.asserted(key.sign(s, "robot"))) })
	}
	wait.Wait()
	if n := from.fetches.Load(); n != 1 {
		t.Errorf("row 73: %d fetches for 50 first assertions", n)
	}
	guess := func(fetches int32, when string) {
		t.Helper()
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				for range 10 {
					s.wantError(s.asserted(key.sign(s, "robot", withHead("kid", rand.Text()))), http.StatusUnauthorized, "invalid_client")
				}
			})
		}
		wait.Wait()
		if n := from.fetches.Load(); n != fetches {
			t.Errorf("row 73: %d fetches, want %d: %s", n, fetches, when)
		}
	}
	guess(2, "the first one, and the one that 200 made-up kids cause")
	s.Clock.Advance(20 * time.Second)
	guess(2, "within the minute")
	s.Clock.Advance(41 * time.Second)
	guess(3, "a minute later")
	s.wantOK(s.asserted(key.sign(s, "robot")))
	// T2: a key that the client made since is found by its kid, a minute later at the latest.
	from.answer(serving(key.jwks(func(k *jose.JSONWebKey) { k.KeyID = "new-" + k.KeyID })))
	s.Clock.Advance(61 * time.Second)
	s.wantOK(s.asserted(key.sign(s, "robot", withHead("kid", "new-ec"))))
	s.wantError(s.asserted(key.sign(s, "robot", withHead("kid", "ec"))), http.StatusUnauthorized, "invalid_client")
	if n := from.fetches.Load(); n != 4 {
		t.Errorf("T2: %d fetches", n)
	}
	// Without a reason the copy serves for five minutes.
	s.Clock.Advance(4 * time.Minute)
	s.wantOK(s.asserted(key.sign(s, "robot", withHead("kid", "new-ec"))))
	s.Clock.Advance(2 * time.Minute)
	s.wantOK(s.asserted(key.sign(s, "robot", withHead("kid", "new-ec"))))
	if n := from.fetches.Load(); n != 5 {
		t.Errorf("%d fetches, want a new one after five minutes", n)
	}
	// A stranger who comes first, with the keys never fetched, causes the one fetch that had to be made, and no second one in the same request.
	s.daemon(key.at("fresh", from))
	before := from.fetches.Load()
	s.wantError(s.asserted(key.sign(s, "fresh", withHead("kid", "made up"))), http.StatusUnauthorized, "invalid_client")
	if n := from.fetches.Load() - before; n != 1 {
		t.Errorf("row 73: %d fetches for one first assertion", n)
	}
	// A host that fails is let be for a minute, whatever comes.
	from.answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	s.daemon(key.at("never", from))
	for _, id := range []string{"fresh", "never"} { // with a copy, and without
		before = from.fetches.Load()
		for range 5 {
			s.wantError(s.asserted(key.sign(s, id, withHead("kid", rand.Text()))), http.StatusUnauthorized, "invalid_client")
			s.Clock.Advance(5 * time.Second)
		}
		if n := from.fetches.Load() - before; n != 1 {
			t.Errorf("row 73: %d fetches for %s from a host that fails", n, id)
		}
	}
}

// Row 72: the header of an assertion sends us nowhere.
func TestRow72HeadersCauseNoRequest(t *testing.T) {
	s := start(t, "memory")
	key := newAssertionKeys(t)
	trap := newKeyServer(t, serving(key.jwks()))
	s.daemon(key.register("robot"))
	for _, name := range []string{"jku", "x5u", "kid", "iss"} {
		s.wantError(s.asserted(key.sign(s, "robot", withHead(name, trap.URL))), http.StatusUnauthorized, "invalid_client")
	}
	s.wantError(s.asserted(key.sign(s, trap.URL)), http.StatusUnauthorized, "invalid_client")
	if n := trap.fetches.Load(); n != 0 {
		t.Errorf("%d requests to an address of the sender's choice", n)
	}
}

// Rows 81 and 130, for jwks_uri: whatever is there, the answer is a refusal without details; the last good copy goes on serving.
func TestJWKSURIThatDoesNotServe(t *testing.T) {
	t.Parallel()
	key := newAssertionKeys(t)
	for name, serve := range map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "inner secret", http.StatusInternalServerError)
		},
		"HTML":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>inner secret") },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"keys":[],"pad":"%s"}`, strings.Repeat("x", 300<<10))
		},
		"empty set": serving(json.RawMessage(`{"keys":[]}`)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "memory")
			from := newKeyServer(t, serve)
			s.daemon(key.at("robot", from))
			a := s.asserted(key.sign(s, "robot"))
			s.wantError(a, http.StatusUnauthorized, "invalid_client")
			if strings.Contains(a.Raw, "inner") || strings.Contains(a.Raw, from.Listener.Addr().String()) || strings.Contains(a.Raw, "500") {
				t.Errorf("the answer tells what is behind the address: %s", a.Raw)
			}
			if n := from.fetches.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
			from.answer(serving(key.jwks()))
			s.Clock.Advance(61 * time.Second)
			s.wantOK(s.asserted(key.sign(s, "robot")))
			from.answer(serve)
			s.Clock.Advance(6 * time.Minute)
			if name != "empty set" {
				s.wantOK(s.asserted(key.sign(s, "robot")))
			}
		})
	}
}

// A stranger who names a client and hangs up must not leave the client without its keys for a minute.
func TestJWKSURIFetchOutlivesTheOneWhoAskedFirst(t *testing.T) {
	s := start(t, "memory")
	key := newAssertionKeys(t)
	asked, release := make(chan struct{}), make(chan struct{})
	from := newKeyServer(t, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		_, _ = w.Write(key.jwks())
	})
	s.daemon(key.at("robot", from))
	ctx, hangUp := context.WithCancel(t.Context())
	stranger := make(chan struct{})
	go func() {
		defer close(stranger)
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"robot"}, "client_assertion_type": {assertionType},
			"client_assertion": {b64(`{"alg":"ES256"}`) + "." + b64(`{}`) + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))}}
		r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/oauth2/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if answer, err := http.DefaultTransport.RoundTrip(r); err == nil {
			answer.Body.Close()
			t.Error("the stranger got an answer before the keys were there")
		}
	}()
	<-asked
	hangUp()
	<-stranger
	close(release)
	s.wantOK(s.asserted(key.sign(s, "robot")))
	if n := from.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}
