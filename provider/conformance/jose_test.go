package conformance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.PS256, jose.EdDSA}

const (
	asciiDigits  = "0123456789"
	asciiLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// jwt is a verified token.
type jwt struct {
	Header, Claims map[string]any
	Raw            string
}

// Str returns a string claim, empty if there is none.
func (t *jwt) Str(name string) string { v, _ := t.Claims[name].(string); return v }

// Num returns a number claim, 0 if there is none.
func (t *jwt) Num(name string) int64 { v, _ := t.Claims[name].(float64); return int64(v) }

// jwks fetches the server's keys.
func (s *suite) jwks() *jose.JSONWebKeySet {
	s.Helper()
	var set jose.JSONWebKeySet
	if a := s.get("/.well-known/jwks.json"); json.Unmarshal([]byte(a.Raw), &set) != nil || len(set.Keys) == 0 {
		s.Fatalf("JWKS: %d %s", a.Status, a.Raw)
	}
	return &set
}

// verify holds a JWT against the published keys, as a client would: by kid, and only with the algorithm that the key is for.
func (s *suite) verify(raw string) *jwt {
	s.Helper()
	signed, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		s.Fatalf("%v: %s", err, raw)
	}
	t := &jwt{Raw: raw}
	header := signed.Signatures[0].Header
	keys := s.jwks().Key(header.KeyID)
	if len(keys) != 1 {
		s.Fatalf("the JWKS has %d keys %q", len(keys), header.KeyID)
	}
	payload, err := signed.Verify(keys[0])
	if err != nil || keys[0].Algorithm != header.Algorithm {
		s.Fatalf("signature by %s (%s) with %s: %v", header.KeyID, header.Algorithm, keys[0].Algorithm, err)
	}
	if err := json.Unmarshal(payload, &t.Claims); err != nil {
		s.Fatal(err)
	}
	rawHeader, _ := base64.RawURLEncoding.DecodeString(raw[:strings.IndexByte(raw, '.')]) // ParseSigned read it
	if err := json.Unmarshal(rawHeader, &t.Header); err != nil {
		s.Fatal(err)
	}
	return t
}

// idToken verifies an ID token of a client and what every ID token owes (T13).
func (c *client) idToken(raw string) *jwt {
	c.s.Helper()
	if raw == "" {
		c.s.Fatal("no ID token")
	}
	t, now := c.s.verify(raw), c.s.Clock.Now().Unix()
	if t.Str("iss") != c.s.URL || t.Claims["aud"] != c.ID || t.Str("sub") == "" || len(t.Str("sub")) > 255 || strings.Trim(t.Str("sub"), asciiDigits+asciiLetters+"-_.") != "" || t.Num("iat") > now+1 || t.Num("exp") <= t.Num("iat") {
		c.s.Errorf("claims %v of an ID token for %s", t.Claims, c.ID)
	}
	if kid, _ := t.Header["kid"].(string); kid == "" {
		c.s.Errorf("header %v without kid", t.Header)
	}
	return t
}

// half is the left half of a SHA-256, base64url: at_hash, c_hash and s_hash for algorithms of 256 bits (OIDC Core section 3.1.3.6).
func half(value string) string {
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// pair is a client's key.
type pair struct {
	private crypto.Signer
	alg     jose.SignatureAlgorithm
	kid     string
}

// own are the clients' keys, made once: RSA takes long.
var own = struct{ rs256, other, es256, eddsa func() *pair }{
	rs256: sync.OnceValue(func() *pair { return newRSA("rsa-1") }),
	other: sync.OnceValue(func() *pair { return newRSA("rsa-2") }),
	es256: sync.OnceValue(func() *pair {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return &pair{key, jose.ES256, "ec-1"}
	}),
	eddsa: sync.OnceValue(func() *pair {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return &pair{key, jose.EdDSA, "ed-1"}
	}),
}

func newRSA(kid string) *pair {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return &pair{key, jose.RS256, kid}
}

// without is the same key with no kid (trap 3).
func (p *pair) without() *pair { return &pair{p.private, p.alg, ""} }

// named is the same key under another kid; as signs with another algorithm.
func (p *pair) named(kid string) *pair               { return &pair{p.private, p.alg, kid} }
func (p *pair) as(alg jose.SignatureAlgorithm) *pair { return &pair{p.private, alg, p.kid} }
func (p *pair) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: p.private.Public(), KeyID: p.kid, Use: "sig"}
}
func jwkSet(pairs ...*pair) string {
	set := jose.JSONWebKeySet{}
	for _, p := range pairs {
		set.Keys = append(set.Keys, p.public())
	}
	text, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// rawKeys is a JWK Set as a member of a registration.
func rawKeys(pairs ...*pair) json.RawMessage { return json.RawMessage(jwkSet(pairs...)) }

// sign makes a JWT. typ may be empty.
func (p *pair) sign(typ string, claims map[string]any) string {
	options := &jose.SignerOptions{}
	if typ != "" {
		options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: p.alg, Key: jose.JSONWebKey{Key: p.private, KeyID: p.kid}}, options)
	if err != nil {
		panic(err)
	}
	return compact(signer, claims)
}

// mac makes a JWT with HMAC-SHA256 (client_secret_jwt).
func mac(secret string, claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
	if err != nil {
		panic(err)
	}
	return compact(signer, claims)
}

func compact(signer jose.Signer, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}

// unsigned makes a JWT with alg none.
func unsigned(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertion are the claims of a client assertion; nil in more removes a claim.
func (c *client) assertion(more map[string]any) map[string]any {
	now := c.s.Clock.Now()
	claims := map[string]any{
		"iss": c.ID, "sub": c.ID, "aud": c.s.URL + "/oauth2/token", "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	maps.Copy(claims, more)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// asserted are the parameters of a client assertion.
func asserted(assertion string) values {
	return values{"client_assertion_type": assertionType, "client_assertion": assertion}
}

// decode reads a part of a JWT.
func decode(part string) string {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
