package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const (
	appleIssuer = "https://appleid.apple.com"
	// appleSecretLife is how long a client secret is good; Apple would let it be six months.
	appleSecretLife = 5 * time.Minute
)

// apple is Sign in with Apple. The client is a Services ID, its secret a JWT signed for each exchange. An issuer is not for the configuration file; it lets tests have an Apple of
// their own.
var apple = Kind{
	Type: "apple", Name: "Apple",
	Check: func(c *Config, fault func(field, problem, fix string)) {
		checkSettings(c, fault, []string{"client_id", "team_id", "key_id", "private_key"}, []string{"issuer", "trust_email", "acr", "end_session"})
		checkAddress("issuer", c.Issuer, fault)
		if _, err := appleKey(c.PrivateKey); c.PrivateKey != "" && err != nil {
			fault("private_key", err.Error(), "use the .p8 file as it came from Apple")
		}
	},
	New: func(o Options) (Upstream, error) {
		key, err := appleKey(o.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("read private_key: it %w", err)
		}
		issuer := o.Config.Issuer
		if issuer == "" {
			issuer = appleIssuer
		}
		return newOpenID(o, issuer, special{
			scopes:  []string{"openid", "name", "email"},
			request: appleRequest,
			secret:  func(now time.Time) (string, error) { return appleSecret(&o.Config, key, issuer, now) },
			judge:   appleJudge,
		}), nil
	},
}

// appleKey reads a PKCS #8 key of P-256. Its error reads on from the name of the field.
func appleKey(text string) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("holds no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("is no EC key of P-256 in PKCS #8")
	}
	return key, nil
}

// appleSecret is the client secret: the team says that it is the client.
func appleSecret(c *Config, key *ecdsa.PrivateKey, audience string, now time.Time) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: c.KeyID}}, nil)
	if err != nil {
		return "", fmt.Errorf("make signer: %w", err)
	}
	payload, err := json.Marshal(map[string]any{"iss": c.TeamID, "sub": c.ClientID, "aud": audience, "iat": now.Unix(), "exp": now.Add(appleSecretLife).Unix()})
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign claims: %w", err)
	}
	return jws.CompactSerialize()
}

// appleRequest wants the answer as a form, as Apple demands where a name or an address is asked for. Neither prompt nor max_age is in Apple's documentation; auth_time is held
// against them only if it comes.
func appleRequest(_ *Attempt, q url.Values) {
	scopes := strings.Fields(q.Get("scope"))
	if slices.Contains(scopes, "name") || slices.Contains(scopes, "email") {
		q.Set("response_mode", "form_post")
	}
}

// appleJudge reads what Apple writes in its own way. email_verified comes as true or as "true"; an address that Apple relays (is_private_email) is as good as another. The
// name comes beside the code, in JSON, at the first sign-in only. Nobody signed it, which is enough for a name, but not for the address next to it.
func appleJudge(e *External, token claimSet, answer url.Values) error {
	e.EmailVerified = e.Email != "" && (token["email_verified"] == true || token["email_verified"] == "true")
	var user struct {
		Name struct {
			First string `json:"firstName"`
			Last  string `json:"lastName"`
		} `json:"name"`
	}
	raw := answer.Get("user")
	if raw == "" || len(raw) > 4<<10 || json.Unmarshal([]byte(raw), &user) != nil {
		return nil
	}
	for claim, value := range map[string]string{"given_name": user.Name.First, "family_name": user.Name.Last, "name": strings.TrimSpace(user.Name.First + " " + user.Name.Last)} {
		if _, told := e.Claims[claim]; !told && value != "" {
			e.Claims[claim] = shortened(value, 200)
		}
	}
	return nil
}
