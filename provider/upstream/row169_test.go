package upstream_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

// compact writes a JWS whose signature is anything.
func compact(t *testing.T, header, claims map[string]any, sign func(input string) []byte) string {
	t.Helper()
	encode := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	input := encode(header) + "." + encode(claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

func withMac(key []byte) func(string) []byte {
	return func(input string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		return mac.Sum(nil)
	}
}

func unsigned(string) []byte { return nil }

// onlyID is a fault of ID tokens alone.
func onlyID(change func(claims map[string]any)) upstreamtest.Faults {
	return upstreamtest.Faults{Claims: func(kind string, claims map[string]any) {
		if kind == "id" {
			change(claims)
		}
	}}
}

func set(name string, value any) upstreamtest.Faults {
	return onlyID(func(claims map[string]any) { claims[name] = value })
}

func drop(name string) upstreamtest.Faults {
	return onlyID(func(claims map[string]any) { delete(claims, name) })
}

func TestRow169ClaimsOfTheIDTokenThatAreRefused(t *testing.T) {
	u, op := openID(t)
	now := time.Date(2026, 9, 20, 10, 0, 0, 0, time.UTC).Unix()
	for name, fault := range map[string]upstreamtest.Faults{
		"nonce absent": drop("nonce"), "nonce wrong": set("nonce", "other"), "nonce empty": set("nonce", ""), "nonce a list": set("nonce", []string{"x"}),
		"iss absent": drop("iss"), "iss wrong": set("iss", "https://evil.example"), "iss with a slash": set("iss", op.Issuer+"/"), "iss a list": set("iss", []string{op.Issuer}),
		"aud absent": drop("aud"), "aud wrong": set("aud", "another-client"), "aud empty": set("aud", []string{}), "aud longer": set("aud", upstreamtest.ClientID+"2"),
		"aud of odd types": set("aud", []any{upstreamtest.ClientID, 5}), "aud an object": set("aud", map[string]any{upstreamtest.ClientID: true}),
		"two aud without azp": set("aud", []string{upstreamtest.ClientID, "another-client"}), "azp of another": set("azp", "another-client"), "azp null": set("azp", nil),
		"two aud, azp of another": onlyID(func(c map[string]any) {
			c["aud"], c["azp"] = []string{upstreamtest.ClientID, "another-client"}, "another-client"
		}),
		"exp absent": drop("exp"), "exp passed": set("exp", now-61), "exp a string": set("exp", "9999999999"), "exp negative": set("exp", -1),
		"exp of the year 30000000": set("exp", 1e15),
		"iat absent":               drop("iat"), "iat ahead": set("iat", now+62), "iat a string": set("iat", "1"),
		"sub absent": drop("sub"), "sub empty": set("sub", ""), "sub a number": set("sub", 5), "sub long": set("sub", strings.Repeat("a", 256)),
		"sub of broken UTF-8": set("sub", "\xff"), "sub with NUL": set("sub", "a\x00"),
		"at_hash wrong": set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), "at_hash a number": set("at_hash", 5), "at_hash empty": set("at_hash", ""),
		"auth_time ahead": set("auth_time", now+62),
	} {
		op.Break(fault)
		e, err := walkTo(t, u, op, newAttempt())
		if e != nil {
			t.Errorf("%s: let in %s", name, e.ID)
		}
		wantRefusal(t, name, err, upstream.Broken, "its ID token")
	}
	for name, fault := range map[string]upstreamtest.Faults{
		"honest": {}, "aud a list": set("aud", []string{upstreamtest.ClientID}), "azp is us": set("azp", upstreamtest.ClientID),
		"two aud with azp": onlyID(func(c map[string]any) {
			c["aud"], c["azp"] = []string{"another-client", upstreamtest.ClientID}, upstreamtest.ClientID
		}),
		"clocks apart": onlyID(func(c map[string]any) { c["iat"], c["exp"] = now+59, now-59 }), "no at_hash": drop("at_hash"), "no auth_time": drop("auth_time"),
		"fractions": onlyID(func(c map[string]any) { c["iat"], c["exp"] = float64(now)+0.5, float64(now)+300.25 }),
	} {
		op.Break(fault)
		e, err := walkTo(t, u, op, newAttempt())
		wantIn(t, name, e, err)
	}
}

func TestRow169ReplayedIDTokenIsRefused(t *testing.T) {
	u, op := openID(t)
	first, err := walkTo(t, u, op, newAttempt())
	if err != nil {
		t.Fatal(err)
	}
	op.Break(upstreamtest.Faults{Tokens: func(answer map[string]any) { answer["id_token"] = first.IDToken }})
	_, err = walkTo(t, u, op, newAttempt())
	wantRefusal(t, "token of an earlier walk", err, upstream.Broken, "nonce")
	op.Break(upstreamtest.Faults{})
	a := newAttempt()
	a.Nonce = ""
	op.Break(set("nonce", ""))
	_, err = walkTo(t, u, op, a)
	wantRefusal(t, "no nonce at either side", err, upstream.Broken, "nonce")
}

func TestRow169AlgorithmsThatAnybodyCouldSignWithAreRefused(t *testing.T) {
	u, op := openID(t)
	key := upstreamtest.NewKey(t, "ES256")
	op.UseKey("ES256", "key-1", key, false)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	mine := upstreamtest.NewKey(t, "ES256")
	header := func(alg string) map[string]any { return map[string]any{"alg": alg, "kid": "key-1", "typ": "JWT"} }
	for name, make := range map[string]func(claims map[string]any) string{
		"none":            func(c map[string]any) string { return compact(t, header("none"), c, unsigned) },
		"None":            func(c map[string]any) string { return compact(t, header("None"), c, unsigned) },
		"no alg":          func(c map[string]any) string { return compact(t, map[string]any{"kid": "key-1"}, c, unsigned) },
		"none, two parts": func(c map[string]any) string { return strings.TrimSuffix(compact(t, header("none"), c, unsigned), ".") },
		"HS256 by our secret": func(c map[string]any) string {
			return compact(t, header("HS256"), c, withMac([]byte(upstreamtest.ClientSecret)))
		},
		"HS256 by their key":    func(c map[string]any) string { return compact(t, header("HS256"), c, withMac(asPEM)) },
		"HS256 by their DER":    func(c map[string]any) string { return compact(t, header("HS256"), c, withMac(public)) },
		"ES256 without a value": func(c map[string]any) string { return compact(t, header("ES256"), c, unsigned) },
		"ES256 of zeros": func(c map[string]any) string {
			return compact(t, header("ES256"), c, func(string) []byte { return make64() })
		},
		"another key, same kid": func(c map[string]any) string {
			return upstreamtest.Sign(t, mine, "ES256", map[string]any{"kid": "key-1"}, c)
		},
		"another key in the jwk": func(c map[string]any) string {
			return upstreamtest.Sign(t, mine, "ES256", map[string]any{"kid": "mine", "jwk": upstreamtest.JWK(t, mine, "mine")}, c)
		},
		"crit": func(c map[string]any) string {
			return compact(t, map[string]any{"alg": "ES256", "kid": "key-1", "crit": []string{"b64"}, "b64": false}, c, unsigned)
		},
		"changed after": func(c map[string]any) string {
			return graft(t, upstreamtest.Sign(t, key, "ES256", header("ES256"), c), c)
		},
		"line breaks":    func(c map[string]any) string { return upstreamtest.Sign(t, key, "ES256", header("ES256"), c) + "\n" },
		"five parts":     func(map[string]any) string { return "e30.e30.e30.e30.e30" },
		"JSON":           func(map[string]any) string { return `{"payload":"e30","protected":"e30","signature":""}` },
		"no JWT":         func(map[string]any) string { return "<html>" },
		"longer than 64": func(map[string]any) string { return strings.Repeat("a", 70<<10) },
	} {
		op.Break(upstreamtest.Faults{Signed: func(_ string, _, claims map[string]any) string { return make(claims) }})
		e, err := walkTo(t, u, op, newAttempt())
		if e != nil {
			t.Errorf("%s: let in %s", name, e.ID)
		}
		wantRefusal(t, name, err, upstream.Broken, "its ID token")
	}
	op.Break(upstreamtest.Faults{Signed: func(_ string, h, c map[string]any) string { return upstreamtest.Sign(t, key, "ES256", h, c) }})
	e, err := walkTo(t, u, op, newAttempt())
	wantIn(t, "the right key", e, err)
}

func make64() []byte { return make([]byte, 64) }

// graft puts another sub under a good signature.
func graft(t *testing.T, jws string, claims map[string]any) string {
	t.Helper()
	parts := strings.Split(jws, ".")
	claims = maps.Clone(claims)
	claims["sub"] = "admin"
	other := strings.Split(compact(t, map[string]any{}, claims, unsigned), ".")
	return parts[0] + "." + other[1] + "." + parts[2]
}

func TestRow169TokensOfOtherKindsAreNoIDTokens(t *testing.T) {
	u, op := openID(t)
	for _, typ := range []string{"at+jwt", "application/at+jwt", "AT+JWT", "logout+jwt", "secevent+jwt", "dpop+jwt"} {
		op.Break(upstreamtest.Faults{Header: func(_ string, header map[string]any) { header["typ"] = typ }})
		_, err := walkTo(t, u, op, newAttempt())
		wantRefusal(t, typ, err, upstream.Broken, "another kind")
	}
	// An access token in its place, and a logout token, which has no nonce.
	op.Break(upstreamtest.Faults{Tokens: func(answer map[string]any) { answer["id_token"] = answer["access_token"] }})
	_, err := walkTo(t, u, op, newAttempt())
	wantRefusal(t, "opaque access token", err, upstream.Broken)
	op.Break(upstreamtest.Faults{Header: func(_ string, header map[string]any) { header["typ"] = "JWT" }})
	logout := op.LogoutToken("user-1", "")
	op.Break(upstreamtest.Faults{Tokens: func(answer map[string]any) { answer["id_token"] = logout }})
	_, err = walkTo(t, u, op, newAttempt())
	wantRefusal(t, "logout token", err, upstream.Broken, "nonce")
	op.Break(upstreamtest.Faults{Tokens: func(answer map[string]any) { delete(answer, "id_token") }})
	_, err = walkTo(t, u, op, newAttempt())
	wantRefusal(t, "no ID token", err, upstream.Broken, "openid")
}

func encodeAll(parts ...[]byte) string {
	var out []string
	for _, part := range parts {
		out = append(out, base64.RawURLEncoding.EncodeToString(part))
	}
	return strings.Join(out, ".")
}

// A header that must be understood is refused even if the signature is good: b64 changes what was signed.
func TestRow169HeadersThatMustBeUnderstoodAreRefused(t *testing.T) {
	u, op := openID(t)
	key := upstreamtest.NewKey(t, "EdDSA")
	op.UseKey("EdDSA", "ed", key, false)
	for header, ok := range map[string]bool{
		`{"alg":"EdDSA","kid":"ed"}`: true, `{"alg":"EdDSA","kid":"ed","crit":["b64"],"b64":true}`: false, `{"alg":"EdDSA","kid":"ed","b64":true}`: false,
		`{"alg":"EdDSA","kid":"ed","crit":[]}`: false,
	} {
		op.Break(upstreamtest.Faults{Signed: func(_ string, _, claims map[string]any) string {
			delete(claims, "at_hash")
			raw, err := json.Marshal(claims)
			if err != nil {
				t.Error(err)
			}
			return edSigned(t, key, header, string(raw))
		}})
		e, err := walkTo(t, u, op, newAttempt())
		if ok {
			wantIn(t, header, e, err)
		} else {
			wantRefusal(t, header, err, upstream.Broken, "its ID token")
		}
	}
}

// edSigned signs a header and a payload as they are.
func edSigned(t *testing.T, key crypto.Signer, header, payload string) string {
	t.Helper()
	input := encodeAll([]byte(header), []byte(payload))
	signature, err := key.Sign(nil, []byte(input), crypto.Hash(0))
	if err != nil {
		t.Error(err)
	}
	return input + "." + encodeAll(signature)
}

func TestRow169MembersThatAreThereTwiceAreRefused(t *testing.T) {
	u, op := openID(t)
	key := upstreamtest.NewKey(t, "EdDSA")
	op.UseKey("EdDSA", "ed", key, false)
	op.Break(upstreamtest.Faults{Signed: func(_ string, _, claims map[string]any) string {
		raw, err := json.Marshal(claims)
		if err != nil {
			t.Error(err)
		}
		return edSigned(t, key, `{"alg":"EdDSA","kid":"ed"}`, strings.Replace(string(raw), "{", `{"sub":"admin",`, 1))
	}})
	_, err := walkTo(t, u, op, newAttempt())
	wantRefusal(t, "two sub", err, upstream.Broken, "twice")
}

func TestRow169EveryAsymmetricAlgorithmIsVerifiedWithItsOwnHash(t *testing.T) {
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		u, op := openID(t)
		op.UseKey(alg, "kid", upstreamtest.NewKey(t, alg), false)
		var access string
		hash := func(claims map[string]any) { claims["at_hash"] = leftHalf(alg, access) }
		// The access token is told after the ID token was made, so it is given beforehand.
		op.Break(upstreamtest.Faults{
			Claims: func(kind string, claims map[string]any) {
				if access = "access-of-" + alg; kind == "id" {
					hash(claims)
				}
			},
			Tokens: func(answer map[string]any) { answer["access_token"] = access },
		})
		e, err := walkTo(t, u, op, newAttempt())
		wantIn(t, alg, e, err)
		hash = func(claims map[string]any) { claims["at_hash"] = leftHalf(alg, access+"x") }
		_, err = walkTo(t, u, op, newAttempt())
		wantRefusal(t, alg, err, upstream.Broken, "at_hash")
	}
}

// leftHalf is at_hash (OpenID Connect Core section 3.1.3.6).
func leftHalf(alg, text string) string {
	h := sha512.New()
	switch alg[2:] {
	case "256":
		h = sha256.New()
	case "384":
		h = sha512.New384()
	}
	h.Write([]byte(text))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
