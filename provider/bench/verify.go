package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/provider/rp"
)

// Of each key's tokens the first is verified in full, and then one of this many; of the others the claims are read. That keeps the bench from
// competing with the server for the processor.
const verifyEvery = 64

// verifier checks answers.
type verifier struct {
	party  *rp.Party
	issuer string
	counts sync.Map // kid -> *atomic.Int64

	mu   sync.RWMutex
	good map[string][]byte // the last document of each kind that was found good
}

func newVerifier(party *rp.Party, issuer string) *verifier {
	return &verifier{party: party, issuer: issuer, good: map[string][]byte{}}
}

// claims are those that every token is asked for.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Expires  float64  `json:"exp"`
	Nonce    string   `json:"nonce"`
	ClientID string   `json:"client_id"`
}

// audience is a string or a list of strings (RFC 7519 section 4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*a = audience{""}
		return json.Unmarshal(text, &(*a)[0])
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// idToken checks an ID token and returns its subject.
func (v *verifier) idToken(ctx context.Context, raw, nonce, access string) (string, error) {
	c, _, due, err := v.open(raw)
	if err != nil {
		return "", fmt.Errorf("ID token: %w", err)
	}
	if due {
		_, err := v.party.VerifyIDToken(ctx, raw, nonce, access)
		return c.Subject, err
	}
	if c.Subject == "" || nonce != "" && c.Nonce != nonce {
		return "", errors.New("ID token: sub or nonce is missing or wrong")
	}
	return c.Subject, nil
}

// accessToken checks a JWT access token. Any other is opaque to a client.
func (v *verifier) accessToken(ctx context.Context, raw string) error {
	if strings.Count(raw, ".") != 2 {
		return nil
	}
	c, typ, due, err := v.open(raw)
	if err != nil {
		return fmt.Errorf("access token: %w", err)
	}
	if typ != "at+jwt" {
		return nil
	}
	if c.Subject == "" || c.ClientID == "" || len(c.Audience) == 0 {
		return errors.New("access token: sub, client_id or aud is missing")
	}
	if due {
		_, err = v.party.VerifyAccessToken(ctx, raw, c.Audience[0])
	}
	return err
}

// open reads a token and tells whether it is due for full verification.
func (v *verifier) open(raw string) (c claims, typ string, due bool, err error) {
	d, ok := rp.Decode(raw)
	if !ok {
		return c, "", false, errors.New("not a JWT")
	}
	var header struct {
		KID  string `json:"kid"`
		Type string `json:"typ"`
	}
	if err := errors.Join(json.Unmarshal(d.Header, &header), json.Unmarshal(d.Payload, &c)); err != nil {
		return c, "", false, fmt.Errorf("read token: %w", err)
	}
	if c.Issuer != v.issuer || c.Expires <= float64(time.Now().Unix()) {
		return c, "", false, errors.New("iss is another one, or exp is over")
	}
	counter, _ := v.counts.LoadOrStore(header.KID, new(atomic.Int64))
	n := counter.(*atomic.Int64).Add(1)
	return c, header.Type, n%verifyEvery == 1, nil
}

func (v *verifier) discovery(body []byte) error {
	return v.document("discovery", body, func() error {
		var document struct {
			Issuer string `json:"issuer"`
			Token  string `json:"token_endpoint"`
			JWKS   string `json:"jwks_uri"`
		}
		if err := json.Unmarshal(body, &document); err != nil {
			return fmt.Errorf("read discovery document: %w", err)
		}
		if document.Issuer != v.issuer || document.Token == "" || document.JWKS == "" {
			return errors.New("discovery document: issuer, token_endpoint or jwks_uri is missing or wrong")
		}
		return nil
	})
}

func (v *verifier) keys(body []byte) error {
	return v.document("jwks", body, func() error {
		var set struct {
			Keys []struct {
				KID  string `json:"kid"`
				Type string `json:"kty"`
			} `json:"keys"`
		}
		if err := json.Unmarshal(body, &set); err != nil {
			return fmt.Errorf("read JWKS: %w", err)
		}
		for _, k := range set.Keys {
			if k.KID == "" || k.Type == "" {
				return errors.New("JWKS: a key lacks kid or kty")
			}
		}
		if len(set.Keys) == 0 {
			return errors.New("JWKS: no keys")
		}
		return nil
	})
}

// document compares with the last good one, and only looks inside if it differs.
func (v *verifier) document(kind string, body []byte, check func() error) error {
	v.mu.RLock()
	same := bytes.Equal(v.good[kind], body)
	v.mu.RUnlock()
	if same {
		return nil
	}
	if err := check(); err != nil {
		return err
	}
	v.mu.Lock()
	v.good[kind] = slices.Clone(body)
	v.mu.Unlock()
	return nil
}
