package upstream_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"

	"github.com/go-jose/go-jose/v4"
)

// appleAt is an Apple of one's own, and the key of its client.
func appleAt(t *testing.T) (upstream.Upstream, *upstreamtest.OIDC, *ecdsa.PrivateKey) {
	t.Helper()
	key := upstreamtest.NewKey(t, "ES256").(*ecdsa.PrivateKey)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	u, op := openID(t, func(s *driverSet) {
		s.Type, s.TeamID, s.KeyID = "apple", "TEAM123456", "KEY1234567"
		s.PrivateKey = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	})
	op.Break(upstreamtest.Faults{Document: appleDocument})
	return u, op, key
}

func appleDocument(d map[string]any) {
	d["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
	delete(d, "userinfo_endpoint")
}

func TestAppleGetsAClientSecretSignedForEachExchange(t *testing.T) {
	u, op, key := appleAt(t)
	a := newAttempt()
	to, err := u.AuthURL(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if q := query(t, to); q.Get("response_mode") != "form_post" || q.Get("scope") != "openid name email" {
		t.Errorf("asked for %v", q)
	}
	if _, err := u.Exchange(t.Context(), a, op.SignIn(to)); err != nil {
		t.Fatal(err)
	}
	header, form := op.Redeemed()
	jws, err := jose.ParseSignedCompact(form.Get("client_secret"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || header != "" {
		t.Fatalf("client secret: %v, Authorization %q", err, header)
	}
	payload, err := jws.Verify(key.Public())
	if err != nil || jws.Signatures[0].Header.KeyID != "KEY1234567" {
		t.Fatalf("client secret: %v, %+v", err, jws.Signatures[0].Header)
	}
	var got map[string]any
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	if got["iss"] != "TEAM123456" || got["sub"] != upstreamtest.ClientID || got["aud"] != op.Issuer || got["exp"].(float64)-got["iat"].(float64) != 300 {
		t.Errorf("client secret says %v", got)
	}
}

func TestApplesNameComesBesideTheCodeAndItsAddressIsNotBelieved(t *testing.T) {
	u, op, _ := appleAt(t)
	op.SetUser(map[string]any{"sub": "user-1", "email": "ada@privaterelay.appleid.com", "email_verified": "true", "is_private_email": true})
	for user, want := range map[string]any{
		`{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"boss@example.com"}`: "Ada Lovelace",
		`{"name":{"firstName":"Ada"},"email_verified":true}`:                            "Ada",
		"":                           nil,
		`{"name":"Ada"}`:             nil,
		`<script>`:                   nil,
		`{"name":{"firstName":5}}`:   nil,
		strings.Repeat("{", 5000):    nil,
		`{"name":{"firstName":" "}}`: nil,
	} {
		op.Break(upstreamtest.Faults{Document: appleDocument, Answer: func(q url.Values) { q.Set("user", user) }})
		e, err := walkTo(t, u, op, newAttempt())
		if err != nil || e.Claims["name"] != want || e.Email != "ada@privaterelay.appleid.com" || e.Label != e.Email || !e.EmailVerified {
			t.Errorf("%.80s: %+v, %v", user, e, err)
		}
	}
}

func TestAppleWithoutNameAndAddressAnswersByQuery(t *testing.T) {
	u, _ := openID(t, func(s *driverSet) {
		s.Type, s.TeamID, s.KeyID, s.Scopes = "apple", "TEAM123456", "KEY1234567", []string{"openid"}
		raw, err := x509.MarshalPKCS8PrivateKey(upstreamtest.NewKey(t, "ES256"))
		if err != nil {
			t.Fatal(err)
		}
		s.PrivateKey = "-----BEGIN PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString(raw) + "\n-----END PRIVATE KEY-----\n"
	})
	to, err := u.AuthURL(t.Context(), newAttempt())
	if err != nil || query(t, to).Has("response_mode") {
		t.Errorf("%s, %v", to, err)
	}
}
