package clientauth

// What clients sign: assertions (RFC 7523) and request objects (RFC 9101).

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // names of members are exact, and none may be there twice

	"gatehouse/provider/client"
	"gatehouse/storage"
)

// maxJWS is the longest JWS that is looked at, in bytes.
const maxJWS = 16 << 10

// ed25519Name is the name that RFC 9864 gives to EdDSA with a key of Ed25519. The JOSE library reads it, but verifies by the older name only.
const ed25519Name jose.SignatureAlgorithm = "Ed25519"

// Algorithms are those that clients may sign with.
var Algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, ed25519Name}

// Verify checks a compact JWS of a client with the keys that the client registered and returns its payload. alg is the algorithm that the client registered for
// it, empty for any of Algorithms. The error is a Reason if the client can be told.
func (k *Keys) Verify(ctx context.Context, c *storage.Client, compact, alg string) ([]byte, error) {
	if len(compact) > maxJWS {
		return nil, Reason("it is too long.")
	}
	h, err := ReadHead(compact)
	if err != nil {
		return nil, err
	}
	if alg != "" && alg != h.Alg {
		return nil, Reason("its alg is not the registered one, " + alg + ".")
	}
	jws, err := jose.ParseSignedCompact(compact, Algorithms)
	if err != nil {
		return nil, errors.Join(Reason("it is no compact JWS signed by RS256, PS256, ES256, their 384 and 512 forms, EdDSA or Ed25519."), err)
	}
	began := k.now()
	set, err := k.keys(ctx, c, nil, began)
	if err != nil {
		return nil, err
	}
	if payload, err := verifyWith(jws, compact, set, h); err == nil {
		return payload, nil
	}
	// The client may have changed its keys, whether they have kids or not.
	newer, err := k.keys(ctx, c, set, began)
	if err != nil {
		return nil, err
	}
	if newer == set {
		return nil, errSignature
	}
	return verifyWith(jws, compact, newer, h)
}

const errSignature = Reason("no registered key verifies its signature.")

// Head is the header of a JWS, as far as it counts (RFC 7515 section 4.1).
type Head struct {
	Alg string `json:"alg"`
	KID string `json:"kid"`
	Typ string `json:"typ"`
}

// ReadHead reads the header of a compact JWS and verifies nothing. It refuses every header that could bring a key or a meaning of its own (jwk, jku, x5u, x5c, crit, b64).
func ReadHead(compact string) (Head, error) {
	var h Head
	// The decoders skip line breaks, and a JWS has one spelling only.
	if strings.ContainsAny(compact, "\r\n") {
		return h, Reason("it holds line breaks.")
	}
	encoded, _, _ := strings.Cut(compact, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return h, Reason("its header is not base64url.")
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || json.Unmarshal(raw, &h) != nil {
		return h, Reason("its header is not JSON.")
	}
	for name := range members {
		if !slices.Contains([]string{"alg", "kid", "typ", "x5t", "x5t#S256"}, name) {
			return h, Reason("its header has a member that is not allowed; use alg, kid and typ only.")
		}
	}
	if len(h.KID) > 256 {
		return h, Reason("its kid is too long.")
	}
	return h, nil
}

// verifyWith tries every key that fits, also several of the same kid: same kid where both name one, signature use, right type and curve for the alg.
func verifyWith(jws *jose.JSONWebSignature, compact string, set *jose.JSONWebKeySet, h Head) ([]byte, error) {
	for _, key := range set.Keys {
		if h.KID != "" && key.KeyID != "" && key.KeyID != h.KID || key.Use == "enc" || key.Algorithm != "" && !client.SameAlgorithm(key.Algorithm, h.Alg) ||
			!slices.Contains(client.KeyAlgorithms(key.Key), h.Alg) {
			continue
		}
		if h.Alg == string(ed25519Name) {
			if verifyEd25519(jws, compact, key.Key) {
				return jws.UnsafePayloadWithoutVerification(), nil
			}
			continue
		}
		if payload, err := jws.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, errSignature
}

// verifyEd25519 checks the signature over the first two parts as they were sent (RFC 7515 section 5.2, RFC 8037 section 3.1).
func verifyEd25519(jws *jose.JSONWebSignature, compact string, key any) bool {
	public, ok := key.(ed25519.PublicKey)
	return ok && ed25519.Verify(public, []byte(compact[:strings.LastIndexByte(compact, '.')]), jws.Signatures[0].Signature)
}
