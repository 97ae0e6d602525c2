package upstreamtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// rsaKey is shared: making one takes long, and which one it is matters to no test.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// NewKey makes a key for an algorithm, RS256 to EdDSA.
func NewKey(t testing.TB, alg string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch {
	case alg == "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case strings.HasPrefix(alg, "ES"):
		curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg]
		key, err = ecdsa.GenerateKey(curve, rand.Reader)
	default:
		key, err = rsaKey()
	}
	if err != nil {
		t.Fatalf("make key for %s: %v", alg, err)
	}
	return key
}

// Sign makes a compact JWS. The header needs no alg.
func Sign(t testing.TB, key crypto.Signer, alg string, header, claims map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, value := range header {
		options.ExtraHeaders[jose.HeaderKey(name)] = value
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, options)
	if err != nil {
		t.Errorf("make signer: %v", err)
		return ""
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Errorf("encode claims: %v", err)
		return ""
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Errorf("sign: %v", err)
		return ""
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Errorf("serialize: %v", err)
	}
	return compact
}

// JWK is the public half of a key as a member of a key set.
func JWK(t testing.TB, key crypto.Signer, kid string) map[string]any {
	t.Helper()
	raw, err := (jose.JSONWebKey{Key: key.Public(), KeyID: kid}).MarshalJSON()
	if err != nil {
		t.Fatalf("encode key: %v", err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("decode key: %v", err)
	}
	return out
}
