package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// generate makes a new key without a timetable. The kid is the RFC 7638 thumbprint, so two keys never share one.
func (s *Set) generate(alg string) (*storage.SigningKey, error) {
	private, err := s.newPrivate(alg)
	if err != nil {
		return nil, fmt.Errorf("generate %s key: %w", alg, err)
	}
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: alg, Use: "sig"}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("name %s key: %w", alg, err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	row := &storage.SigningKey{KID: public.KeyID, Alg: alg}
	if row.Public, err = json.Marshal(public); err != nil {
		return nil, fmt.Errorf("encode %s key: %w", alg, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode %s key: %w", alg, err)
	}
	row.Private = s.seal.Seal(der, privateAAD(row.KID))
	return row, nil
}

func (s *Set) newPrivate(alg string) (crypto.Signer, error) {
	switch alg {
	case RS256, PS256:
		return s.rsaKey(s.rsaBits)
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("unknown algorithm %q", alg)
}

// openPrivate unseals the private half of a row.
func (s *Set) openPrivate(row *storage.SigningKey) (any, error) {
	der, err := s.seal.Open(row.Private, privateAAD(row.KID))
	if err != nil {
		return nil, err
	}
	return x509.ParsePKCS8PrivateKey(der)
}

func privateAAD(kid string) []byte { return seal.AAD("signing_keys", kid, "private", 1) }
