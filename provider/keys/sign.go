package keys

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 16 << 10

// ErrInvalidToken says that a token is not one that this issuer signed, or not one that counts here. The text tells why, never what was in it.
var ErrInvalidToken = errors.New("invalid token")

// Verified is a token whose signature is ours.
type Verified struct {
	Payload []byte
	KID     string
	Alg     string
	Typ     string // "" if the header has none
}

// Sign returns payload as a compact JWS (RFC 7515 section 7.1) under the key of alg that is active now, with alg, kid and, unless empty, typ in its
// header. ErrNoKey.
func (s *Set) Sign(alg, typ string, payload []byte) (string, error) {
	k := s.snapshot.Load().active(alg, s.now())
	if k == nil {
		return "", fmt.Errorf("sign with %s: %w", alg, ErrNoKey)
	}
	signer, err := k.signer(typ)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", alg, err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", alg, err)
	}
	return jws.CompactSerialize()
}

// signer returns the cached signer for a header type. Types come from code, not from requests, so the cache is small.
func (k *key) signer(typ string) (jose.Signer, error) {
	if cached, ok := k.signers.Load(typ); ok {
		return cached.(jose.Signer), nil
	}
	options := &jose.SignerOptions{}
	if typ != "" {
		options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: k.algs[0],
		Key:       jose.JSONWebKey{Key: k.private, KeyID: k.row.KID},
	}, options)
	if err != nil {
		return nil, err
	}
	cached, _ := k.signers.LoadOrStore(typ, signer)
	return cached.(jose.Signer), nil
}

// Verify checks a compact JWS against the key that its kid names: known, not revoked, not removed. The header must be exactly one that Sign writes
// (alg of the key, kid, typ: so no jwk, jku, x5c, crit or b64), and its typ one of those listed, if any is. ErrInvalidToken.
func (s *Set) Verify(token string, typ ...string) (Verified, error) {
	k, tokenTyp, err := s.snapshot.Load().keyOf(token)
	if err != nil {
		return Verified{}, err
	}
	if s.removed(k) {
		return Verified{}, invalid("its key is retired")
	}
	if len(typ) > 0 && !slices.Contains(typ, tokenTyp) {
		return Verified{}, invalid("wrong typ")
	}
	payload, err := k.verify(token)
	if err != nil {
		return Verified{}, err
	}
	return Verified{Payload: payload, KID: k.row.KID, Alg: k.row.Alg, Typ: tokenTyp}, nil
}

// Trusts tells whether Verify would still take signatures of the key: known, not revoked, not removed. It is for callers that keep what Verify said.
func (s *Set) Trusts(kid string) bool {
	k := s.snapshot.Load().byKID[kid]
	return k != nil && !s.removed(k)
}

func (s *Set) removed(k *key) bool {
	return !k.row.RemoveAt.IsZero() && !s.now().Before(k.row.RemoveAt)
}

// VerifyHint checks an id_token_hint (OIDC Core 3.1.2.1), which may be long expired: keys that left the JWKS count for another year, revoked ones do
// not. Only ID tokens are hints: typ is absent or JWT. ErrInvalidToken.
func (s *Set) VerifyHint(token string) (payload []byte, err error) {
	k, typ, err := s.snapshot.Load().keyOf(token)
	if err != nil {
		return nil, err
	}
	if typ != "" && typ != "JWT" {
		return nil, invalid("wrong typ")
	}
	if !k.row.RemoveAt.IsZero() && s.now().After(k.row.RemoveAt.Add(hintFor)) {
		return nil, invalid("its key is forgotten")
	}
	return k.verify(token)
}

func (k *key) verify(token string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, k.algs)
	if err != nil {
		return nil, invalid("malformed")
	}
	payload, err := jws.Verify(k.public.Key)
	if err != nil {
		return nil, invalid("wrong signature")
	}
	return payload, nil
}

// keyOf reads the header and finds the key. A token has exactly one spelling: canonical base64url, three parts, and the header as Sign
// writes it, byte for byte, so that a refused token cannot come back in other clothes.
func (p *snapshot) keyOf(token string) (k *key, typ string, err error) {
	if len(token) > maxToken {
		return nil, "", invalid("too long")
	}
	head, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	if !canonical(head) || !canonical(payload) || !canonical(signature) {
		return nil, "", invalid("malformed")
	}
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return nil, "", invalid("malformed")
	}
	var header struct {
		KID string `json:"kid"`
		Typ string `json:"typ"`
	}
	if err := json.Unmarshal(raw, &header); err != nil {
		return nil, "", invalid("malformed")
	}
	k = p.byKID[header.KID]
	if k == nil {
		return nil, "", invalid("unknown key")
	}
	want := `{"alg":"` + k.row.Alg + `","kid":"` + k.row.KID + `"`
	if header.Typ != "" {
		want += `,"typ":"` + header.Typ + `"`
	}
	if string(raw) != want+"}" {
		return nil, "", invalid("unexpected header")
	}
	return k, header.Typ, nil
}

func invalid(reason string) error { return fmt.Errorf("%w: %s", ErrInvalidToken, reason) }

// alphabet maps a base64url character to its value plus one; zero is any other byte.
var alphabet = func() (table [256]byte) {
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		table[c] = byte(i) + 1
	}
	return table
}()

// canonical tells whether s is what an encoder writes: not empty, no padding, no line breaks, unused bits zero (RFC 7515 section 2, RFC 4648 3.5).
func canonical(s string) bool {
	for i := range len(s) {
		if alphabet[s[i]] == 0 {
			return false
		}
	}
	switch len(s) % 4 {
	case 0:
		return len(s) > 0
	case 2:
		return (alphabet[s[len(s)-1]]-1)&15 == 0
	case 3:
		return (alphabet[s[len(s)-1]]-1)&3 == 0
	}
	return false
}
