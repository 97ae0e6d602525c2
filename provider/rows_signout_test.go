package provider_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/storage"
)

// Rows 188 and 189: what a logout request can be made to do, and what is left of a session afterwards, also at other nodes.

// forgedHints are ID tokens of ours with what a forger changes about the signature.
func (s *server) forgedHints(real string) map[string]string {
	s.Helper()
	parts := strings.Split(real, ".")
	var set jose.JSONWebKeySet
	s.ok(json.Unmarshal([]byte(s.bare("GET", "/.well-known/jwks.json", "").Body), &set))
	forged := map[string]string{"HS256 with the client's secret": hs256(nil, parts[1], []byte(clientSecret)), "HS256 without a key": hs256(nil, parts[1], nil)}
	for _, key := range set.Keys {
		public, ok := key.Key.(*rsa.PublicKey)
		if !ok {
			continue
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		s.ok(err)
		member, err := key.MarshalJSON()
		s.ok(err)
		forged["HS256 with our public key"], forged["HS256 with our public key as JSON"] = hs256(nil, parts[1], der), hs256(nil, parts[1], member)
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	s.ok(err)
	own := newAssertionKeys(s.T)
	kid := jwtHeader(s.T, real)["kid"]
	embedded, err := jose.JSONWebKey{Key: own.rsa.Public()}.MarshalJSON()
	s.ok(err)
	for name, head := range map[string]string{
		"another key under our kid": fmt.Sprintf(`{"alg":"RS256","kid":%q}`, kid), "a key in the header": `{"alg":"RS256","jwk":` + string(embedded) + `}`,
		"a key elsewhere": fmt.Sprintf(`{"alg":"RS256","kid":%q,"jku":"https://evil.example/jwks.json"}`, kid),
	} {
		forged[name] = own.signRaw(s, head, string(claims))
	}
	for _, alg := range []string{"None", "NONE", ""} {
		forged["alg "+alg] = b64(`{"alg":"`+alg+`"}`) + "." + parts[1] + "."
	}
	return forged
}

func TestRow188ForgedHintsAndHostileParametersDoNothing(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient()
	s.user("ada@example.com")
	b, a := s.signedInAt(nil)
	for name, hint := range s.forgedHints(a.Str("id_token")) {
		values := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "client_id": {"app"}}
		for _, p := range []page{b.get(s.logoutURL(values)), b.post(s.URL+"/oauth2/logout", values), b.get(s.logoutURL(values) + "&returned=1&confirm=1&csrf=x")} {
			if !hasForm(p.Body, "logout") || !s.signedIn(b.cookies("gth_sid")) || strings.Contains(p.Body, "asks you to sign out") {
				t.Fatalf("%s: %d %s", name, p.StatusCode, cut(p.Body))
			}
		}
	}
	// What is sent along comes back as text, on the question and on the way back from another site.
	for _, hostile := range []string{`"><script>alert(1)</script>`, `'><img src=x onerror=alert(1)>`, "\u2028</form><form action=https://evil.example>", "{{.}}`${alert(1)}", "javascript:alert(1)"} {
		values := url.Values{"state": {hostile}, "post_logout_redirect_uri": {hostile}, "client_id": {hostile}, "id_token_hint": {hostile}, "ui_locales": {hostile}}
		for form, p := range map[string]page{"logout": b.get(s.logoutURL(values)), "logout-return": s.bareForm("/oauth2/logout", values, "Origin: https://rp.example")} {
			action, fields := readForm(t, p.Body, form)
			if fields.Get("state") != hostile || fields.Get("post_logout_redirect_uri") != hostile || !strings.HasPrefix(action, "/") && !strings.HasPrefix(action, s.URL+"/") {
				t.Errorf("%s: the form goes to %s with %v", form, action, fields)
			}
			if strings.Contains(p.Body, "<script>alert") || strings.Contains(p.Body, "<img src=x") || strings.Contains(p.Body, "<form action=https://evil") || strings.Contains(p.Body, `href="javascript`) {
				t.Errorf("%s: %q is part of the page: %s", form, hostile, p.Body)
			}
		}
	}
	if !s.signedIn(b.cookies("gth_sid")) {
		t.Error("somebody was signed out")
	}
}

func TestRow189AfterLogoutAtOneNodeNothingLivesAtAnother(t *testing.T) {
	for _, backend := range []string{"sqlite", "postgres"} {
		t.Run(backend, func(t *testing.T) {
			s := start(t, backend, quickKeys, everything)
			other := s.node(quickKeys, everything)
			s.logoutClient(func(c *storage.Client) { c.BackchannelLogoutURI = "http://127.0.0.1:1/nobody-listens" })
			s.client(func(c *storage.Client) { c.ID, c.AccessToken = "opaque", "opaque" })
			s.client(frontChannel, func(c *storage.Client) { c.ID = "front" })
			s.user("ada@example.com")
			b, a := s.signedInAt(url.Values{"scope": {"openid email"}})
			opaque := b.tokensOf("opaque", url.Values{"scope": {"openid"}})
			_, front := s.answered(b.walk(s.authorizeURL(url.Values{"client_id": {"front"}, "response_type": {"id_token token"}, "scope": {"openid"}})))
			late := b.code(url.Values{"scope": {"openid"}})
			access := map[string]string{"JWT": a.Str("access_token"), "opaque": opaque.Str("access_token"), "front channel": front.Get("access_token")}
			for name, token := range access {
				if got := other.userinfo(token).Status; got != http.StatusOK {
					t.Fatalf("%s before: %d", name, got)
				}
			}
			refreshing := s.whileRefreshing(b, other, func() {
				if p := b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {bye}})); p.Header.Get("Location") != bye {
					t.Errorf("%d %s", p.StatusCode, p.Body)
				}
			})
			other.wantError(other.refresh(a.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
			other.wantError(other.refresh(opaque.Str("refresh_token"), as("opaque", clientSecret)), http.StatusBadRequest, "invalid_grant")
			other.wantError(other.redeem(late), http.StatusBadRequest, "invalid_grant")
			s.wantRedirect(b.through(other).get(s.authorizeURL(url.Values{"prompt": {"none"}})), "login_required")
			for i, got := range refreshing {
				if got.Status == http.StatusOK {
					other.wantError(other.refresh(got.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
					access[fmt.Sprint("refreshed meanwhile ", i)] = got.Str("access_token")
				}
			}
			for name, token := range access {
				for _, node := range []*server{s, other} {
					node.eventually(name+" is dead", func() bool { return node.userinfo(token).Status == http.StatusUnauthorized })
				}
			}
		})
	}
}

// whileRefreshing uses refresh tokens of the browser's session at both nodes while something happens, and returns the answers.
func (s *server) whileRefreshing(b *browser, other *server, do func()) []answer {
	s.Helper()
	answers := make([]answer, 8)
	tokens := make([]string, len(answers))
	for i := range tokens {
		tokens[i] = s.wantOK(s.redeem(b.code(url.Values{"scope": {"openid"}}))).Str("refresh_token")
	}
	var wg sync.WaitGroup
	for i, node := range []*server{s, other, s, other, s, other, s, other} {
		wg.Go(func() { answers[i] = node.refresh(tokens[i]) })
	}
	wg.Go(do)
	wg.Wait()
	for i, a := range answers {
		if a.Status != http.StatusOK && a.Status != http.StatusBadRequest {
			s.Errorf("refresh %d while the session ends: %d %s", i, a.Status, a.Raw)
		}
	}
	return answers
}
