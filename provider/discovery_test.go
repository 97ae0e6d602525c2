package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/keys"
	"gatehouse/provider/oauth"
	"gatehouse/provider/seal"
)

// The lines D1 to D15 and K1 to K3 of the conformance list, as far as they are built, and section I of the attack list.

// fetch GETs a document.
func (s *server) fetch(target string, changes ...func(*http.Request)) answer {
	s.Helper()
	r, err := http.NewRequest("GET", target, nil)
	if err != nil {
		s.Fatal(err)
	}
	for _, change := range changes {
		change(r)
	}
	return s.send(r)
}

func (a answer) list(name string) []string {
	var out []string
	values, _ := a.JSON[name].([]any)
	for _, v := range values {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

func TestD1D2BothDocumentsAreTheSame(t *testing.T) {
	for _, path := range []string{"", "/tenant", "/deep/er"} {
		t.Run("issuer with path "+path, func(t *testing.T) {
			s := start(t, "memory", func(o *provider.Options) { o.Issuer += path })
			host := s.URL
			s.URL += path
			targets := []string{s.URL + "/.well-known/openid-configuration", s.URL + "/.well-known/oauth-authorization-server"}
			if path != "" { // RFC 8414 section 3.1
				targets = append(targets, host+"/.well-known/oauth-authorization-server"+path, host+"/.well-known/openid-configuration"+path)
			}
			want := s.wantOK(s.fetch(targets[0]))
			if want.Str("issuer") != s.URL {
				t.Errorf("D1: issuer %q, want %q", want.Str("issuer"), s.URL)
			}
			for _, target := range targets {
				a := s.fetch(target)
				if a.Status != http.StatusOK || a.Raw != want.Raw || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("ETag") != want.Header.Get("ETag") {
					t.Errorf("D2: %s: %d %v", target, a.Status, a.Header)
				}
				if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "" || a.Header.Get("Cache-Control") != "public, max-age=300" {
					t.Errorf("%s: headers %v", target, a.Header)
				}
			}
			if path != "" {
				if a := s.fetch(host + "/.well-known/openid-configuration"); a.Status != http.StatusNotFound {
					t.Errorf("a document outside the issuer: %d", a.Status)
				}
			}
			// The server works under its path.
			s.client()
			s.user("ada@example.com")
			if claims := jwtPayload(t, s.tokens(nil).Str("id_token")); claims["iss"] != s.URL {
				t.Errorf("iss %v", claims["iss"])
			}
		})
	}
}

// D3 to D15: what the document says is so.
func TestD3ToD15TheDocumentIsTruthful(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) {
		o.Resources = []oauth.Resource{{URI: filesAPI, Scopes: []string{"files:read"}}}
	})
	s.client()
	s.user("ada@example.com", fullUser)
	d := s.wantOK(s.fetch(s.URL + "/.well-known/openid-configuration"))
	for name, value := range d.JSON {
		if text, ok := value.(string); ok && name != "issuer" {
			if !strings.HasPrefix(text, s.URL+"/") || strings.ContainsAny(text, "?#") {
				t.Errorf("D3: %s is %s", name, text)
			}
			if a := s.fetch(text); a.Status == http.StatusNotFound || a.Status >= 500 {
				t.Errorf("D3: %s does not exist: %d", name, a.Status)
			}
		}
		if value == nil || fmt.Sprint(value) == "[]" || value == "" {
			t.Errorf("%s is empty", name)
		}
		if list := d.list(name); !slices.Equal(list, slices.Compact(slices.Clone(list))) {
			t.Errorf("%s repeats itself", name)
		}
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "revocation_endpoint", "introspection_endpoint", "pushed_authorization_request_endpoint"} {
		if d.Str(name) == "" {
			t.Errorf("D3: %s is missing", name)
		}
	}
	for name, want := range map[string][]string{
		"response_types_supported": {"code"}, "grant_types_supported": {"authorization_code", "refresh_token", "client_credentials"}, "subject_types_supported": {"public", "pairwise"},
		"code_challenge_methods_supported": {"S256"}, "acr_values_supported": {"1"}, "response_modes_supported": {"query", "form_post"}, "ui_locales_supported": {"en"},
		"id_token_signing_alg_values_supported":         {"RS256", "ES256"},
		"userinfo_signing_alg_values_supported":         {"RS256", "ES256"},
		"token_endpoint_auth_methods_supported":         {"none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"},
		"introspection_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"},
		"scopes_supported":                              {"openid", "profile", "email", "address", "phone", "offline_access", "files:read"},
	} {
		if got := d.list(name); !slices.Equal(got, want) {
			t.Errorf("D4-D15: %s is %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]bool{"request_parameter_supported": true, "request_uri_parameter_supported": true, "require_request_uri_registration": true, "claims_parameter_supported": true, "authorization_response_iss_parameter_supported": true} {
		if got, ok := d.JSON[name].(bool); !ok || got != want {
			t.Errorf("D9, D12: %s is %v", name, d.JSON[name])
		}
	}
	for _, name := range []string{"registration_endpoint", "device_authorization_endpoint", "check_session_iframe", "dpop_signing_alg_values_supported"} {
		if _, found := d.JSON[name]; found {
			t.Errorf("%s is promised and not built", name)
		}
	}
	a := s.tokens(url.Values{"scope": {"openid profile email address phone"}})
	claims, got := d.list("claims_supported"), slices.Sorted(maps.Keys(s.wantOK(s.userinfo(a.Str("access_token"))).JSON))
	for _, name := range got {
		if !slices.Contains(claims, name) {
			t.Errorf("D6: the claim %s is served and not listed", name)
		}
	}
	id := jwtPayload(t, a.Str("id_token"))
	for _, name := range claims {
		if _, inToken := id[name]; !inToken && !slices.Contains(got, name) {
			t.Errorf("D6: the claim %s is listed; a user who has all of them does not get it", name)
		}
	}
	if acr := jwtPayload(t, a.Str("id_token"))["acr"]; !slices.Contains(d.list("acr_values_supported"), fmt.Sprint(acr)) {
		t.Errorf("D15: acr %v is not listed", acr)
	}
	// D9: what is said to work is read.
	b := s.browser("ada@example.com")
	for param, code := range map[string]string{"request": "invalid_request_object", "request_uri": "invalid_request_uri"} {
		if got := b.callback(url.Values{param: {"https://rp.example/x"}}).Get("error"); got != code {
			t.Errorf("D9: %s gives %q", param, got)
		}
	}
}

func TestK3EntityTags(t *testing.T) {
	s := startAs(t, "memory", func(s *server) { s.Idle = true }) // or the job that makes the next key changes the document between two requests
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json"} {
		first := s.wantOK(s.fetch(s.URL + path))
		tag := first.Header.Get("ETag")
		if tag == "" || first.Header.Get("Cache-Control") != "public, max-age=300" || first.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: headers %v", path, first.Header)
		}
		for sent, status := range map[string]int{
			tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, `"a",W/` + tag + `,"b"`: 304, "*": 304, `"other"`: 200, strings.Trim(tag, `"`): 200, `"x` + tag[1:]: 200, "": 200,
		} {
			a := s.fetch(s.URL+path, header("If-None-Match", sent))
			if a.Status != status || (a.Raw == "") != (status == 304) || a.Header.Get("ETag") != tag {
				t.Errorf("%s with If-None-Match %s: %d, %d bytes", path, sent, a.Status, len(a.Raw))
			}
		}
	}
}

// publishedKeys returns the keys of the JWK set by kid, each as JSON.
func (s *server) publishedKeys() map[string]string {
	s.Helper()
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal([]byte(s.wantOK(s.fetch(s.URL+"/.well-known/jwks.json")).Raw), &set); err != nil {
		s.Fatal(err)
	}
	out := map[string]string{}
	for _, raw := range set.Keys {
		var key map[string]any
		if err := json.Unmarshal(raw, &key); err != nil {
			s.Fatal(err)
		}
		kid, _ := key["kid"].(string)
		if kid == "" || out[kid] != "" {
			s.Errorf("K1: kid %q is empty or not the only one", kid)
		}
		out[kid] = string(raw)
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if _, found := key[private]; found {
				s.Fatalf("K1: the published key has the member %s", private)
			}
		}
		if key["use"] != "sig" || key["alg"] == nil || key["kty"] != "RSA" && key["kty"] != "EC" {
			s.Errorf("K1: %s", raw)
		}
	}
	return out
}

// keySet is the key set of another process, such as the command line.
func (s *server) keySet() *keys.Set {
	s.Helper()
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		s.Fatal(err)
	}
	set := keys.New(keys.Options{Store: s.Store, Seal: ring, Now: s.Clock.Now, LongestToken: 10 * time.Minute})
	if err := set.Load(s.Context()); err != nil {
		s.Fatal(err)
	}
	return set
}

func TestK1K2Row114KeysRotateUnderRunningFlows(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256"} {
		t.Run("K2 "+alg, func(t *testing.T) {
			t.Parallel()
			s := start(t, "memory")
			s.client()
			s.user("ada@example.com")
			before := s.publishedKeys()
			old := s.tokens(nil)
			code := s.browser("ada@example.com").code(nil)
			kid, err := s.keySet().Rotate(t.Context(), alg)
			if err != nil {
				t.Fatal(err)
			}
			s.within(time.Second, "the new key is published", func() bool { return s.publishedKeys()[kid] != "" })
			s.advance(6 * time.Second)
			which := map[string]string{"RS256": "id_token", "ES256": "access_token"}[alg]
			fresh := s.wantOK(s.redeem(code)) // row 114: rotated between authorize and token
			if got := jwtHeader(t, fresh.Str(which))["kid"]; got != kid {
				t.Errorf("signed with %v, want the new key %s", got, kid)
			}
			now := s.publishedKeys()
			for id, key := range before {
				if now[id] != key {
					t.Errorf("K2: the key %s changed or is gone", id)
				}
			}
			if !s.active(old.Str("access_token")) || !s.active(fresh.Str("access_token")) {
				t.Error("row 114: a rotation killed tokens")
			}
			b := s.browser("ada@example.com")
			b.code(nil)
			if got := b.callback(url.Values{"prompt": {"none"}, "id_token_hint": {old.Str("id_token")}}); got.Get("code") == "" {
				t.Errorf("row 114: a hint that a retired key signed: %v", got)
			}
		})
	}
}

func TestRow115EmergencyRevocationOfAKey(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	other := s.node()
	old := s.tokens(nil)
	kid := jwtHeader(t, old.Str("access_token"))["kid"].(string)
	if err := s.keySet().Revoke(t.Context(), kid); err != nil {
		t.Fatal(err)
	}
	for _, node := range []*server{s, other} {
		node.within(time.Second, "the key is out of use", func() bool {
			return !node.active(old.Str("access_token")) && node.userinfo(old.Str("access_token")).Status == http.StatusUnauthorized && node.publishedKeys()[kid] == ""
		})
	}
	fresh := s.wantOK(s.refresh(old.Str("refresh_token"))) // the grant is not the key's
	if jwtHeader(t, fresh.Str("access_token"))["kid"] == kid || !other.active(fresh.Str("access_token")) {
		t.Error("tokens after the revocation")
	}
}

// Rows 112, 118 and 119: access tokens that are not what we signed, in other clothes or with another's signature.
func TestRows112To119ForgedAccessTokens(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	good := s.tokens(nil).Str("access_token")
	parts := strings.Split(good, ".")
	kid := jwtHeader(t, good)["kid"].(string)
	key := newAssertionKeys(t)
	claims, err := json.Marshal(jwtPayload(t, good))
	if err != nil {
		t.Fatal(err)
	}
	jwk := s.publishedKeys()[kid]
	forged := map[string]string{
		"row 112 none": b64(`{"alg":"none","kid":"`+kid+`","typ":"at+jwt"}`) + "." + parts[1] + ".", "row 112 none with a signature": b64(`{"alg":"none","kid":"`+kid+`","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"row 112 HS256 with the published JWK": hs256(key, parts[1], []byte(jwk)), "row 112 HS256 with PEM": hs256(key, parts[1], pemKey(t, key)), "row 112 empty signature": parts[0] + "." + parts[1] + ".",
		"row 112 key of a stranger": key.signRaw(s, `{"alg":"ES256","kid":"`+kid+`","typ":"at+jwt"}`, string(claims)), "row 112 key of a stranger by kid": key.signRaw(s, `{"alg":"ES256","kid":"x","typ":"at+jwt"}`, string(claims)),
		"row 112 embedded key": key.signRaw(s, `{"alg":"ES256","jwk":`+string(key.jwks())+`,"typ":"at+jwt"}`, string(claims)), "row 112 other alg": b64(`{"alg":"RS256","kid":"`+kid+`","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"row 119 padded payload": parts[0] + "." + parts[1] + "=." + parts[2], "row 119 line break": parts[0] + "." + parts[1] + "." + parts[2][:40] + "%0A" + parts[2][40:], "row 119 space": parts[0] + " ." + parts[1] + "." + parts[2],
		"row 119 JSON form": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "row 119 other header, same meaning": b64(`{"typ":"at+jwt","alg":"ES256","kid":"`+kid+`"}`) + "." + parts[1] + "." + parts[2],
		"row 119 last bits": parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + nextLetter(parts[2][len(parts[2])-1]), "row 117 five parts": good + "." + parts[0] + "." + parts[1], "row 118 dots": strings.Repeat(".", 15000),
		"row 118 long header": b64(`{"alg":"ES256","x":"`+strings.Repeat("x", 11000)+`"}`) + "." + parts[1] + "." + parts[2], "row 119 BOM": "\ufeff" + good, "cut": good[:len(good)-1], "typ of an ID token": b64(`{"alg":"ES256","kid":"`+kid+`","typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
	}
	for name, token := range forged {
		t.Run(name, func(t *testing.T) {
			if got := s.introspect(token); got.Raw != inactive {
				t.Errorf("introspection: %d %s", got.Status, got.Raw)
			}
			got := s.userinfoBy("POST", func(r *http.Request) {
				setBody(r, "application/x-www-form-urlencoded", url.Values{"access_token": {token}}.Encode())
			})
			s.wantBearer(got, http.StatusUnauthorized, "invalid_token")
			if revoked := s.post("/oauth2/revoke", url.Values{"token": {token}}); revoked.Status != http.StatusOK {
				t.Errorf("revocation: %d %s", revoked.Status, revoked.Raw)
			}
		})
	}
	if !s.active(good) {
		t.Error("revoking forgeries revoked the real token")
	}
	// Row 119: of a revoked token no spelling lives on.
	s.wantOK(s.post("/oauth2/revoke", url.Values{"token": {good}}))
	for name, token := range forged {
		if s.active(token) {
			t.Errorf("the revoked token lives on as %s", name)
		}
	}
}

// nextLetter changes the last character of a base64url text in the bits that do not count.
func nextLetter(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[(strings.IndexByte(alphabet, c)+1)%64])
}
