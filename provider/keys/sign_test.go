package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/web/webtest"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestEveryAlgorithmSignsAndVerifies(t *testing.T) {
	w := newWorld(t)
	algs := []string{RS256, ES256, PS256, EdDSA}
	s := w.node(func(o *Options) { o.Algorithms = algs })
	must(t, s.EnsureActive(t.Context()))
	if !slices.Equal(s.Algorithms(), algs) {
		t.Errorf("Algorithms() = %v", s.Algorithms())
	}
	set := published(t, s)
	for i, alg := range algs {
		for _, typ := range []string{"", "JWT", "at+jwt"} {
			token, err := s.Sign(alg, typ, []byte(`{"sub":"x"}`))
			must(t, err)
			must(t, verifyAsRelyingParty(set, token))
			got, err := s.Verify(token)
			must(t, err)
			if string(got.Payload) != `{"sub":"x"}` || got.Alg != alg || got.Typ != typ || got.KID != kidOf(t, token) {
				t.Errorf("%s %q: Verify = %+v", alg, typ, got)
			}
			head, err := base64.RawURLEncoding.DecodeString(token[:strings.IndexByte(token, '.')])
			must(t, err)
			if want := typ != ""; strings.Contains(string(head), `"typ"`) != want {
				t.Errorf("header %s", head)
			}
		}
		k := set.Keys[i] // the JWKS is in the order of the configuration
		thumb, err := k.Thumbprint(crypto.SHA256)
		must(t, err)
		if k.Algorithm != alg || k.Use != "sig" || k.KeyID != base64.RawURLEncoding.EncodeToString(thumb) || !k.IsPublic() || !k.Valid() {
			t.Errorf("K1: JWKS entry %+v", k)
		}
	}
	if _, err := s.Sign("HS256", "", nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("HS256: %v", err)
	}
	if _, err := w.node().Sign(ES256, "", nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("before Load: %v", err)
	}
}

func TestVerifyTakesOnlyTheTypesAskedFor(t *testing.T) {
	w := newWorld(t)
	s := w.node()
	must(t, s.Ensure(t.Context()))
	access, err := s.Sign(ES256, "at+jwt", []byte(`{}`))
	must(t, err)
	id, err := s.Sign(ES256, "JWT", []byte(`{}`))
	must(t, err)
	if _, err := s.Verify(id, "at+jwt"); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("Row112: ID token passes for an access token: %v", err)
	}
	if _, err := s.Verify(access, "JWT", "at+jwt"); err != nil {
		t.Error(err)
	}
	if _, err := s.VerifyHint(access); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("Row23: access token passes for a hint: %v", err)
	}
	if _, err := s.VerifyHint(id); err != nil {
		t.Error(err)
	}
}

// forged returns tokens that nobody but an attacker makes, by the row of security.md that names them.
func forged(t *testing.T, w *world, s *Set) map[string]string {
	t.Helper()
	es, rs := sign(t, s, ES256), sign(t, s, RS256)
	parts := strings.Split(es, ".")
	body, kid, rsKid := parts[1], kidOf(t, es), kidOf(t, rs)
	rsPublic := published(t, s).Key(rsKid)[0].Key.(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(rsPublic)
	must(t, err)
	jwk, err := json.Marshal(published(t, s).Key(rsKid)[0])
	must(t, err)
	hs := func(key []byte, header string) string {
		input := b64(header) + "." + body
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	// resign signs any header with the true key, as a bug elsewhere might.
	private := w.openKey(t, s, kid)
	resign := func(header string) string {
		return rawSign(t, private, b64(header)+"."+body)
	}
	hsHeader := `{"alg":"HS256","kid":"` + rsKid + `","typ":"at+jwt"}`
	good := `{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt"}`
	if _, err := s.Verify(resign(good)); err != nil {
		t.Fatalf("the forger's own check fails: %v", err)
	}
	last := parts[2][len(parts[2])-1]
	return map[string]string{
		"Row71 alg none":             b64(`{"alg":"none","kid":"`+kid+`"}`) + "." + body + ".",
		"Row71 alg NoNe":             b64(`{"alg":"NoNe","kid":"`+kid+`"}`) + "." + body + ".AA",
		"Row71 HS256 public PEM":     hs(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), hsHeader),
		"Row71 HS256 public DER":     hs(der, hsHeader),
		"Row112 HS256 public JWK":    hs(jwk, hsHeader),
		"Row71 alg of another key":   resign(`{"alg":"ES256","kid":"` + rsKid + `","typ":"at+jwt"}`),
		"Row71 crit":                 resign(`{"alg":"ES256","crit":["exp"],"exp":1,"kid":"` + kid + `","typ":"at+jwt"}`),
		"Row71 b64 false":            resign(`{"alg":"ES256","b64":false,"crit":["b64"],"kid":"` + kid + `","typ":"at+jwt"}`),
		"Row71 zero signature":       parts[0] + "." + body + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"Row112 empty signature":     parts[0] + "." + body + ".",
		"Row112 no signature":        parts[0] + "." + body,
		"Row112 other payload":       parts[0] + "." + b64(`{"sub":"y"}`) + "." + parts[2],
		"Row72 jwk":                  resign(`{"alg":"ES256","jwk":` + string(jwk) + `,"kid":"` + kid + `","typ":"at+jwt"}`),
		"Row72 jku":                  resign(`{"alg":"ES256","jku":"https://evil.example/","kid":"` + kid + `","typ":"at+jwt"}`),
		"Row72 x5u":                  resign(`{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt","x5u":"https://evil.example/"}`),
		"Row72 kid path":             resign(`{"alg":"ES256","kid":"../../dev/null","typ":"at+jwt"}`),
		"Row72 kid SQL":              resign(`{"alg":"ES256","kid":"' OR 1=1 --","typ":"at+jwt"}`),
		"Row72 kid 10 KB":            resign(`{"alg":"ES256","kid":"` + strings.Repeat("a", 10<<10) + `","typ":"at+jwt"}`),
		"Row72 no kid":               resign(`{"alg":"ES256","typ":"at+jwt"}`),
		"Row119 duplicate typ":       resign(`{"alg":"ES256","kid":"` + kid + `","typ":"JWT","typ":"at+jwt"}`),
		"Row119 duplicate kid":       resign(`{"alg":"ES256","kid":"x","kid":"` + kid + `","typ":"at+jwt"}`),
		"Row119 case of a name":      resign(`{"Alg":"ES256","kid":"` + kid + `","typ":"at+jwt"}`),
		"Row119 spaces":              resign(`{"alg": "ES256","kid":"` + kid + `","typ":"at+jwt"}`),
		"Row119 escaped typ":         resign(`{"alg":"ES256","kid":"` + kid + `","typ":"at\u002bjwt"}`),
		"Row119 injected typ":        resign(`{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt\",\"jku\":\"x"}`),
		"Row119 BOM":                 resign("\ufeff" + good),
		"Row119 trailing JSON":       resign(good + " {}"),
		"Row119 header not JSON":     resign("null"),
		"Row119 padded":              es + "==",
		"Row119 line break":          es[:20] + "\n" + es[20:],
		"Row119 carriage return":     es + "\r\n",
		"Row119 space":               " " + es,
		"Row119 standard alphabet":   parts[0] + "." + body + "." + "+" + parts[2][1:],
		"Row119 unused bits":         es[:len(es)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(alphabet[last]-1)|1]),
		"Row119 JSON form":           `{"payload":"` + body + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"Row118 million dots":        strings.Repeat(".", 1_000_000),
		"Row118 dots within the cap": strings.Repeat(".", maxToken),
		"Row118 1 MB header":         strings.Repeat("e", 1<<20) + "." + body + "." + parts[2],
		"four parts":                 es + ".AA",
		"five parts (JWE)":           es + ".AA.AA",
		"empty":                      "",
	}
}

func (w *world) openKey(t *testing.T, s *Set, kid string) *ecdsa.PrivateKey {
	t.Helper()
	row := w.store.rows[kid]
	private, err := s.openPrivate(&row)
	must(t, err)
	return private.(*ecdsa.PrivateKey)
}

func rawSign(t *testing.T, private *ecdsa.PrivateKey, input string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(input))
	r, v, err := ecdsa.Sign(rand.Reader, private, sum[:])
	must(t, err)
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	v.FillBytes(out[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(out)
}

func TestForgedTokensAreRefused(t *testing.T) {
	w := newWorld(t)
	s := w.node(func(o *Options) { o.Algorithms = []string{RS256, ES256} })
	must(t, s.EnsureActive(t.Context()))
	for name, token := range forged(t, w, s) {
		t.Run(name, func(t *testing.T) {
			webtest.Quick(t, 200*time.Millisecond, func() {
				_, err1 := s.Verify(token)
				_, err2 := s.VerifyHint(token)
				if !errors.Is(err1, ErrInvalidToken) || !errors.Is(err2, ErrInvalidToken) {
					t.Errorf("Verify: %v; VerifyHint: %v", err1, err2)
				}
			})
		})
	}
}

func TestForeignKeyWithOurKidIsRefused(t *testing.T) {
	w, evil := newWorld(t), newWorld(t)
	s, theirs := w.node(), evil.node()
	must(t, s.Ensure(t.Context()))
	must(t, theirs.Ensure(t.Context()))
	kid := kidOf(t, sign(t, s, ES256))
	private := evil.openKey(t, theirs, kidOf(t, sign(t, theirs, ES256)))
	token := rawSign(t, private, b64(`{"alg":"ES256","kid":"`+kid+`","typ":"at+jwt"}`)+"."+b64("{}"))
	if _, err := s.Verify(token); !errors.Is(err, ErrInvalidToken) {
		t.Fatalf("Verify: %v", err)
	}
}

func TestJWKSListsActiveFirstAndTagsEveryChange(t *testing.T) {
	w := newWorld(t)
	s := w.node()
	must(t, s.Ensure(t.Context()))
	body, tag := s.JWKS()
	if again, sameTag := s.JWKS(); !bytes.Equal(body, again) || tag != sameTag {
		t.Error("the JWKS changes by itself")
	}
	var all struct{ Keys []json.RawMessage }
	must(t, json.Unmarshal(body, &all))
	before := published(t, s)
	kid, err := s.Rotate(t.Context(), ES256)
	must(t, err)
	tags := map[string]bool{tag: true}
	check := func(first string, n int) {
		t.Helper()
		set := published(t, s)
		body, tag := s.JWKS()
		if len(set.Keys) != n || set.Keys[0].KeyID != first {
			t.Errorf("%d keys, first %s; want %d, first %s", len(set.Keys), set.Keys[0].KeyID, n, first)
		}
		for _, key := range all.Keys {
			if n > 2 && !bytes.Contains(body, key) {
				t.Error("K2: the members of a key that was published before changed")
			}
		}
		if tags[tag] {
			t.Error("the entity tag did not change")
		}
		tags[tag] = true
		if strings.Contains(string(body), `"d":`) {
			t.Error("a private half is published")
		}
	}
	if len(before.Key(kid)) != 1 {
		t.Error("the rotation takes a key that nobody has seen")
	}
	check(kidOf(t, sign(t, s, ES256)), 3)
	w.clock.add(rotateDelay)
	check(kid, 3)
	w.clock.add(time.Hour + removeSlack)
	check(kid, 2)
}

func BenchmarkSign(b *testing.B) {
	s := benchSet(b)
	payload := []byte(`{"iss":"https://id.example","sub":"` + strings.Repeat("x", 400) + `"}`)
	for _, alg := range []string{ES256, RS256, EdDSA} {
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(alg, "at+jwt", payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	s := benchSet(b)
	for _, alg := range []string{ES256, RS256} {
		b.Run(alg, func(b *testing.B) {
			token, err := s.Sign(alg, "at+jwt", []byte(`{"iss":"https://id.example","sub":"`+strings.Repeat("x", 400)+`"}`))
			must(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Verify(token, "at+jwt"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchSet(b *testing.B) *Set {
	b.Helper()
	s := newWorld(b).node(func(o *Options) { o.Algorithms = []string{RS256, ES256, EdDSA} })
	must(b, s.EnsureActive(b.Context()))
	return s
}

func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	s := w.node()
	must(f, s.EnsureActive(f.Context()))
	token := sign(f, s, ES256)
	f.Add(token)
	f.Add(token[1:])
	f.Add("..")
	f.Fuzz(func(t *testing.T, candidate string) {
		if _, err := s.Verify(candidate); err == nil && candidate != token {
			t.Fatalf("accepted a token that was never signed: %q", candidate)
		}
	})
}
