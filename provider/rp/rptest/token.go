package rptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
)

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if !client(r) {
		w.Header().Set("WWW-Authenticate", "Basic")
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	refused := map[string]any{"error": "invalid_grant", "error_description": "used or unknown"}
	var g grant
	var ok bool
	switch r.PostFormValue("grant_type") {
	case "client_credentials":
		answer(w, http.StatusOK, map[string]any{
			"access_token": p.accessToken(ClientID, r.PostFormValue("scope")), "token_type": "Bearer", "expires_in": 600, "scope": r.PostFormValue("scope"),
		})
		return
	case "authorization_code":
		g, ok = p.codes[r.PostFormValue("code")]
		delete(p.codes, r.PostFormValue("code"))
		ok = ok && g.redirectURI == r.PostFormValue("redirect_uri") && g.challenge == challenge(r.PostFormValue("code_verifier"))
	case "refresh_token":
		g, ok = p.refresh[r.PostFormValue("refresh_token")]
		delete(p.refresh, r.PostFormValue("refresh_token"))
	}
	if !ok {
		answer(w, http.StatusBadRequest, refused)
		return
	}
	access := p.accessToken(Subject, g.scope)
	body := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 600, "scope": g.scope, "id_token": p.idToken(g, access)}
	g.nonce = ""
	next := "refresh." + rand.Text()
	p.refresh[next] = g
	body["refresh_token"] = next
	answer(w, http.StatusOK, body)
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	if !p.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"sub": Subject, "name": "Ada <b>Lovelace</b>", "email": "ada@example.com"})
}

func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) {
	if !client(r) {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	token := r.PostFormValue("token")
	if _, ok := p.refresh[token]; !ok && !p.access[token] {
		answer(w, http.StatusOK, map[string]any{"active": false})
		return
	}
	answer(w, http.StatusOK, map[string]any{"active": true, "client_id": ClientID, "sub": Subject, "scope": "openid"})
}

func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	if !client(r) {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	delete(p.access, r.PostFormValue("token"))
	delete(p.refresh, r.PostFormValue("token"))
	w.WriteHeader(http.StatusOK)
}

type keys struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func newKeys(t testing.TB) *keys {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &keys{r, e}
}

func (k *keys) set() map[string]any {
	point, err := k.ec.PublicKey.Bytes()
	if err != nil {
		panic(err) // a generated key is a point on its curve
	}
	return map[string]any{"keys": []any{
		map[string]any{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "rsa", "n": encode(k.rsa.N.Bytes()), "e": encode(big.NewInt(int64(k.rsa.E)).Bytes()),
		},
		map[string]any{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "ec", "x": encode(point[1:33]), "y": encode(point[33:])},
	}}
}

func (k *keys) sign(header, claims map[string]any) string {
	h, err1 := json.Marshal(header)
	c, err2 := json.Marshal(claims)
	input := encode(h) + "." + encode(c)
	sum := sha256.Sum256([]byte(input))
	var signature []byte
	var err3 error
	if header["alg"] == "ES256" {
		var r, s *big.Int
		r, s, err3 = ecdsa.Sign(rand.Reader, k.ec, sum[:])
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	} else {
		signature, err3 = rsa.SignPKCS1v15(rand.Reader, k.rsa, crypto.SHA256, sum[:])
	}
	if err1 != nil || err2 != nil || err3 != nil {
		panic("rptest: cannot sign what a test asked for")
	}
	return input + "." + encode(signature)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
