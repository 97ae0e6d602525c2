package upstream

import (
	"context"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"gatehouse/provider/client"
)

const (
	// Keys are fresh for as long as the provider says (Cache-Control: max-age) within these bounds, so that a key that was taken back is not trusted for long.
	keysLeast, keysUsual, keysMost = 5 * time.Minute, time.Hour, 24 * time.Hour
	// keysRefetch is the least time between two fetches that unknown kids of one sort of token cause, whoever sends them.
	keysRefetch = time.Minute
	maxKeys     = 100
	// maxToken is the longest JWT that is looked at, in bytes.
	maxToken = 64 << 10
)

// algorithms are those that a provider may sign with: with a key that nobody but the provider has.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

// keySet is the provider's JWK Set (RFC 7517 section 5), fetched when needed.
type keySet struct {
	kept[[]providerKey]
	// given is for tokens that came from the provider itself, posted for those that anybody can post: strangers must not use up what finds a new key for those who sign in.
	given, posted ration
}

// providerKey is a key and, at Microsoft, the issuer whose tokens it may sign.
type providerKey struct {
	jose.JSONWebKey
	issuer string
}

func newKeySet(r *remote, now func() time.Time, uri func(context.Context) (string, error)) *keySet {
	s := &keySet{}
	s.now, s.limit = now, r.limit
	s.fetch = func(ctx context.Context) (*[]providerKey, time.Duration, error) {
		address, err := uri(ctx)
		if err != nil {
			return nil, 0, err
		}
		answer, err := r.get(ctx, "its key set", address, http.Header{"Accept": {"application/json, application/jwk-set+json"}})
		if err != nil {
			return nil, 0, err
		}
		keys, err := readKeys(answer)
		return &keys, freshness(answer.header), err
	}
	return s
}

// readKeys takes what can verify a signature. Keys of other types, weak ones and those that are not public are passed over (RFC 7517 section 5).
func readKeys(answer *reply) (keys []providerKey, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := answer.decode(&set); err != nil {
		return nil, err
	}
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		var more struct {
			Issuer string `json:"issuer"`
		}
		if key.UnmarshalJSON(raw) == nil && json.Unmarshal(raw, &more) == nil && key.Valid() && key.IsPublic() && !client.Weak(&key) && key.Use != "enc" {
			keys = append(keys, providerKey{key, more.Issuer})
		}
	}
	if len(keys) == 0 {
		return nil, broken("its key set holds no key that could verify a signature", nil)
	}
	return keys, nil
}

var maxAge = regexp.MustCompile(`(?i)(?:^|[ ,])max-age="?([0-9]{1,9})`)

// freshness reads Cache-Control (RFC 9111 section 5.2.2.1).
func freshness(header http.Header) time.Duration {
	found := maxAge.FindStringSubmatch(strings.Join(header.Values("Cache-Control"), ","))
	if found == nil {
		return keysUsual
	}
	seconds, _ := strconv.Atoi(found[1]) // nine digits
	return min(max(time.Duration(seconds)*time.Second, keysLeast), keysMost)
}

// signed is a JWT whose signature is yet to be verified.
type signed struct {
	alg, kid, typ string
	jws           *jose.JSONWebSignature
	keyIssuer     string // of the key that verified it; see providerKey
}

// parseSigned reads a compact JWS. Whatever its header brings beside these three members is not looked at, least of all a key; members that must be understood (crit) are refused.
func parseSigned(raw string) (*signed, string) {
	if len(raw) > maxToken || strings.ContainsAny(raw, "\r\n") {
		return nil, "is too long or holds line breaks"
	}
	encoded, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return nil, "is no JWT"
	}
	var header struct {
		Alg  string          `json:"alg"`
		KID  string          `json:"kid"`
		Typ  string          `json:"typ"`
		Crit json.RawMessage `json:"crit"`
		B64  json.RawMessage `json:"b64"`
	}
	if json.Unmarshal(text, &header) != nil {
		return nil, "is no JWT"
	}
	if header.Crit != nil || header.B64 != nil {
		return nil, "has a header with crit or b64"
	}
	if !slices.Contains(algorithms, jose.SignatureAlgorithm(header.Alg)) {
		return nil, "is signed by " + said(header.Alg) + ", which is no algorithm that is accepted"
	}
	jws, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return nil, "is no JWT"
	}
	typ := strings.TrimPrefix(strings.ToLower(header.Typ), "application/")
	return &signed{alg: header.Alg, kid: header.KID, typ: typ, jws: jws}, ""
}

// verify checks the signature and returns the payload. what begins the words of a refusal; r is the ration of keys for tokens of this sort.
func (s *keySet) verify(ctx context.Context, what string, token *signed, r *ration) ([]byte, error) {
	keys, err := s.usable(ctx)
	if err != nil {
		return nil, err
	}
	payload, known := tryKeys(*keys, token)
	if payload == nil && !known {
		// The provider may have changed its keys, whether they have kids or not.
		newer, failure := s.beyond(ctx, keys, r, keysRefetch)
		if newer != nil && newer != keys {
			payload, _ = tryKeys(*newer, token)
		}
		err = failure
	}
	if payload == nil {
		return nil, broken(what+" has a signature that no key of the provider verifies", err)
	}
	return payload, nil
}

// tryKeys tries every key that fits. known tells that a key of this very kid is there, so that no newer set could help.
func tryKeys(keys []providerKey, token *signed) (payload []byte, known bool) {
	for _, key := range keys {
		if token.kid != "" && key.KeyID != "" && token.kid != key.KeyID || key.Algorithm != "" && !client.SameAlgorithm(key.Algorithm, token.alg) ||
			!slices.Contains(client.KeyAlgorithms(key.Key), token.alg) {
			continue
		}
		if payload, err := token.jws.Verify(key.JSONWebKey); err == nil {
			token.keyIssuer = key.issuer
			return payload, true
		}
		known = known || token.kid != "" && token.kid == key.KeyID
	}
	return nil, known
}
