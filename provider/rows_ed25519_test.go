package provider_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/storage"
)

// Ed25519 is the name that RFC 9864 gives to EdDSA with a key of that curve; openid-client uses it by default. Both names are good for what clients sign.

// edwards is a client's key of Ed25519.
type edwards struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey
}

func newEdwards(t *testing.T) edwards {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return edwards{public, private}
}

// jwks is the set of the public key, which may name its alg.
func (k edwards) jwks(alg string) json.RawMessage {
	text, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.public, KeyID: "ed", Use: "sig", Algorithm: alg}}})
	return text
}

// sign signs claims under a name of the algorithm.
func (k edwards) sign(alg string, claims members) string {
	text, _ := json.Marshal(claims)
	input := b64(`{"alg":"`+alg+`","kid":"ed"}`) + "." + b64(string(text))
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(k.private, []byte(input)))
}

// tampered are forgeries of a JWS of this key, each with another fault. payload is that of another JWS.
func (k edwards) tampered(t *testing.T, good, other string) map[string]string {
	t.Helper()
	parts, foreign := strings.Split(good, "."), strings.Split(other, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(signature)
	flipped[40] ^= 1
	signed := func(signature []byte) string {
		return parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	mac := hmac.New(sha256.New, k.public)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	return map[string]string{
		"payload of another": parts[0] + "." + foreign[1] + "." + parts[2], "one bit": signed(flipped), "cut": signed(signature[:63]), "longer": signed(append(slices.Clone(signature), 0)),
		"no signature": signed(nil), "zeros": signed(make([]byte, 64)), "MAC with the public key": signed(mac.Sum(nil)),
		"header of the other name": b64(`{"alg":"EdDSA","kid":"ed"}`) + "." + parts[1] + "." + parts[2], "lower case": b64(`{"alg":"ed25519","kid":"ed"}`) + "." + parts[1] + "." + parts[2],
	}
}

func TestRow71AssertionsByEd25519(t *testing.T) {
	s := start(t, "memory")
	key, stranger, others := newEdwards(t), newEdwards(t), newAssertionKeys(t)
	wrongType := func(kid string) json.RawMessage {
		return others.jwks(func(k *jose.JSONWebKey) {
			if k.KeyID == kid {
				k.KeyID = "ed"
			}
		})
	}
	for _, c := range []struct {
		id, alg    string
		jwks       json.RawMessage
		registered string
		ok         bool
	}{
		{"any", "Ed25519", key.jwks(""), "", true},
		{"any-older-name", "EdDSA", key.jwks(""), "", true},
		{"key-says-Ed25519", "Ed25519", key.jwks("Ed25519"), "", true},
		{"key-says-EdDSA", "Ed25519", key.jwks("EdDSA"), "", true},
		{"key-says-Ed25519-older-name", "EdDSA", key.jwks("Ed25519"), "", true},
		{"registered", "Ed25519", key.jwks(""), "Ed25519", true},
		{"registered-other-name", "EdDSA", key.jwks(""), "Ed25519", false},
		{"registered-older-name", "Ed25519", key.jwks(""), "EdDSA", false},
		{"registered-ES256", "Ed25519", key.jwks(""), "ES256", false},
		{"key-of-another", "Ed25519", stranger.jwks(""), "", false},
		{"key-says-ES256", "Ed25519", key.jwks("ES256"), "", false},
		{"EC-key", "Ed25519", wrongType("ec"), "", false},
		{"RSA-key", "Ed25519", wrongType("rsa"), "", false},
		{"Ed448", "Ed448", key.jwks(""), "", false},
		{"key-for-encryption", "Ed25519", json.RawMessage(strings.Replace(string(key.jwks("")), `"use":"sig"`, `"use":"enc"`, 1)), "", false},
	} {
		t.Run(c.id, func(t *testing.T) {
			s := s.on(t)
			s.daemon(func(client *storage.Client) {
				client.ID, client.AuthMethod, client.JWKS, client.AuthSigningAlg = c.id, "private_key_jwt", c.jwks, c.registered
			})
			a := s.asserted(key.sign(c.alg, claimsFor(s, c.id)))
			if c.ok {
				s.wantOK(a)
				return
			}
			s.wantError(a, http.StatusUnauthorized, "invalid_client")
		})
	}
	for name, forged := range key.tampered(t, key.sign("Ed25519", claimsFor(s, "any")), key.sign("Ed25519", claimsFor(s, "any"))) {
		t.Run("tampered "+name, func(t *testing.T) { s.on(t).wantError(s.asserted(forged), http.StatusUnauthorized, "invalid_client") })
	}
}

func TestA22ObjectsByEd25519(t *testing.T) {
	key, others := newEdwards(t), newAssertionKeys(t)
	for _, registered := range []string{"", "Ed25519"} {
		s, _ := objectServer(t, func(c *storage.Client) { c.JWKS, c.RequestObjectAlg = key.jwks("Ed25519"), registered })
		object := func(state string) string {
			return key.sign("Ed25519", members{
				"iss": "app", "aud": s.URL, "client_id": "app", "redirect_uri": callback, "response_type": "code", "scope": "openid email", "state": state, "nonce": "inner-nonce",
				"code_challenge": challenge, "code_challenge_method": "S256",
			})
		}
		if params := s.sent(s.browser("ada@example.com").walk(s.withObject(object("inner"), nil))); params.Get("code") == "" || params.Get("state") != "inner" {
			t.Errorf("registered %q: %v", registered, params)
		}
		forgeries := key.tampered(t, object("inner"), object("other"))
		forgeries["ES256 key"] = others.object(s)
		for name, forged := range forgeries {
			params := s.sent(s.browser("").get(s.withObject(forged, url.Values{"redirect_uri": {callback}, "state": {"outer"}})))
			if params.Get("error") != "invalid_request_object" || params.Has("code") {
				t.Errorf("registered %q, %s: %v", registered, name, params)
			}
		}
	}
}

// TestD8Ed25519IsOfferedForWhatClientsSign and for nothing that the server signs.
func TestD8Ed25519IsOfferedForWhatClientsSign(t *testing.T) {
	s := start(t, "memory", everyOption)
	document := s.fetch(s.URL + "/.well-known/openid-configuration")
	for name, offered := range map[string]bool{
		"token_endpoint_auth_signing_alg_values_supported": true, "revocation_endpoint_auth_signing_alg_values_supported": true, "introspection_endpoint_auth_signing_alg_values_supported": true,
		"request_object_signing_alg_values_supported": true, "id_token_signing_alg_values_supported": false, "userinfo_signing_alg_values_supported": false,
	} {
		if algs := document.list(name); len(algs) == 0 || slices.Contains(algs, "Ed25519") != offered {
			t.Errorf("%s: %v", name, algs)
		}
	}
}
