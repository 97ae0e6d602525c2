package upstreamtest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func (o *OIDC) document(w http.ResponseWriter) {
	document := map[string]any{
		"issuer": o.Issuer, "authorization_endpoint": o.Issuer + "/authorize", "token_endpoint": o.Issuer + "/token", "jwks_uri": o.Issuer + "/keys",
		"userinfo_endpoint": o.Issuer + "/userinfo", "end_session_endpoint": o.Issuer + "/logout", "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"},
		"authorization_response_iss_parameter_supported": true, "backchannel_logout_supported": true,
	}
	o.bend(func(f *Faults) func(map[string]any) { return f.Document }, document)
	writeJSON(w, http.StatusOK, document)
}

func (o *OIDC) keySet(w http.ResponseWriter) {
	set := map[string]any{}
	o.set(func() { set["keys"] = o.public })
	o.bend(func(f *Faults) func(map[string]any) { return f.KeySet }, set)
	writeJSON(w, http.StatusOK, set)
}

func (o *OIDC) bend(of func(*Faults) func(map[string]any), members map[string]any) {
	var change func(map[string]any)
	o.set(func() { change = of(&o.faults) })
	if change != nil {
		change(members)
	}
}

// formPost is OAuth 2.0 Form Post Response Mode.
var formPost = template.Must(template.New("").Parse(`<!doctype html><title>Back</title><link rel="icon" href="data:,"><body onload="document.forms[0].submit()">
<form method="post" action="{{.To}}">{{range $name, $values := .Answer}}{{range $values}}
<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}<button>Continue</button></form>`))

func (o *OIDC) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	answer, to := o.answer(q), q.Get("redirect_uri")
	if q.Get("response_mode") == "form_post" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = formPost.Execute(w, map[string]any{"To": to, "Answer": map[string][]string(answer)})
		return
	}
	http.Redirect(w, r, to+"?"+answer.Encode(), http.StatusFound)
}

func (o *OIDC) answer(q url.Values) url.Values {
	answer := url.Values{"code": {rand.Text()}, "state": {q.Get("state")}, "iss": {o.Issuer}}
	var change func(url.Values)
	o.set(func() {
		user := o.user
		if named, ok := o.users[q.Get("login_hint")]; ok {
			user = named
		}
		o.codes[answer.Get("code")] = code{user: user, q: q}
		change = o.faults.Answer
	})
	if change != nil {
		change(answer)
	}
	return answer
}

func (o *OIDC) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	var c code
	var found bool
	o.set(func() {
		o.auth, o.form = r.Header.Get("Authorization"), r.PostForm
		c, found = o.codes[r.PostForm.Get("code")]
		delete(o.codes, r.PostForm.Get("code"))
	})
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	switch {
	case !o.client(r):
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
	case !found || r.PostForm.Get("grant_type") != "authorization_code" || r.PostForm.Get("redirect_uri") != c.q.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != c.q.Get("code_challenge") || c.q.Get("code_challenge_method") != "S256":
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "no such code"})
	default:
		answer := o.issue(c)
		o.bend(func(f *Faults) func(map[string]any) { return f.Tokens }, answer)
		writeJSON(w, http.StatusOK, answer)
	}
}

// client tells whether the client named itself, in the header or in the form. A client secret that is a JWT is for the test to look at.
func (o *OIDC) client(r *http.Request) bool {
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
		return id == ClientID && (secret == ClientSecret || strings.Count(secret, ".") == 2)
	}
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	return err1 == nil && err2 == nil && id == ClientID && secret == ClientSecret && r.PostForm.Get("client_secret") == ""
}

func (o *OIDC) issue(c code) map[string]any {
	now, access := o.clock(), rand.Text()
	o.set(func() { o.access[access] = c.user })
	sum := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": o.Issuer, "sub": c.user["sub"], "aud": ClientID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "nonce": c.q.Get("nonce"),
		"auth_time": now.Unix(), "sid": "sid-" + fmt.Sprint(c.user["sub"]),
	}
	if o.hashed256() {
		claims["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	for name, value := range c.user {
		claims[name] = value
	}
	return map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": o.sign("id", map[string]any{"typ": "JWT"}, claims)}
}

func (o *OIDC) hashed256() (yes bool) {
	o.set(func() { yes = strings.HasSuffix(o.alg, "256") })
	return yes
}

func (o *OIDC) userInfo(w http.ResponseWriter, r *http.Request) {
	var user map[string]any
	var signed bool
	o.set(func() {
		user, signed = maps.Clone(o.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]), o.signed
	})
	if user == nil {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	if signed {
		user["iss"], user["aud"] = o.Issuer, ClientID
		w.Header().Set("Content-Type", "application/jwt")
		_, _ = w.Write([]byte(o.sign("userinfo", map[string]any{}, user)))
		return
	}
	var change func(string, map[string]any)
	o.set(func() { change = o.faults.Claims })
	if change != nil {
		change("userinfo", user)
	}
	writeJSON(w, http.StatusOK, user)
}

func (o *OIDC) sign(kind string, header, claims map[string]any) string {
	var f Faults
	var alg string
	var key crypto.Signer
	o.set(func() {
		f, alg, key = o.faults, o.alg, o.key
		if o.kid != "" {
			header["kid"] = o.kid
		}
	})
	if f.Header != nil {
		f.Header(kind, header)
	}
	if f.Claims != nil {
		f.Claims(kind, claims)
	}
	if f.Signed != nil {
		if raw := f.Signed(kind, header, claims); raw != "" {
			return raw
		}
	}
	return Sign(o.t, key, alg, header, claims)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
