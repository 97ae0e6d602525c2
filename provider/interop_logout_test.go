package provider_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// Sign-out and the response types of the front channel, as go-oidc and zitadel/oidc see them.

// toldOut is what an application on go-oidc made of a logout token.
type toldOut struct {
	token *gooidc.LogoutToken
	raw   string
	err   error
}

// backchannel serves the handler that go-oidc's documentation shows, at an address with a query, as mod_auth_openidc has it. verifier is asked once the first token comes.
func backchannel(t *testing.T, verifier func() *gooidc.IDTokenVerifier) (address string, came chan toldOut) {
	t.Helper()
	came = make(chan toldOut, 4)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw := r.PostFormValue("logout_token")
		if r.Method != http.MethodPost || r.URL.RawQuery != "logout=backchannel" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || raw == "" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		token, err := verifier().VerifyLogout(r.Context(), raw)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
		came <- toldOut{token, raw, err}
	}))
	t.Cleanup(app.Close)
	return app.URL + "/redirect_uri?logout=backchannel", came
}

// TestGoOIDCVerifiesLogoutTokens: each client gets one that is signed as its ID tokens are, by a key that it can find, and whose sid it knows from there.
func TestGoOIDCVerifiesLogoutTokens(t *testing.T) {
	for name, change := range map[string]func(*storage.Client){
		"by default": func(*storage.Client) {}, "ES256": func(c *storage.Client) { c.IDTokenAlg = "ES256" }, "pairwise": pairwise("app", "one.example"),
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, "memory")
			var p *goParty
			address, came := backchannel(t, func() *gooidc.IDTokenVerifier { return p.verifier })
			s.client(change, func(c *storage.Client) { c.BackchannelLogoutURI, c.PostLogoutRedirectURIs = address, []string{bye} })
			s.user("ada@example.com")
			p = newGoParty(s, "app", clientSecret, callback, nil)
			b := s.browser("ada@example.com")
			tokens := p.signIn(b)
			id := p.verify(tokens)
			hint := tokens.Extra("id_token").(string)
			const state = "a+b c%20\"'<é>&="
			location, err := b.get(s.logoutURL(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "state": {state}})).Location()
			if err != nil || !strings.HasPrefix(location.String(), bye+"?") || location.Query().Get("state") != state {
				t.Fatalf("sent to %v, %v", location, err)
			}
			select {
			case told := <-came:
				s.wantToldOut(told, id, hint)
			case <-time.After(15 * time.Second):
				t.Fatal("no logout token came within 15 s")
			}
			if _, err := p.verifier.VerifyLogout(t.Context(), hint); err == nil {
				t.Error("an ID token passes for a logout token")
			}
		})
	}
}

// wantToldOut demands a logout token that belongs to an ID token.
func (s *server) wantToldOut(told toldOut, id *gooidc.IDToken, idToken string) {
	s.Helper()
	sid := sidOf(s.T, id)
	if told.err != nil {
		s.Fatal(told.err)
	}
	token := told.token
	if token.SessionID != sid || token.Subject != id.Subject || token.Issuer != s.URL || token.TokenID == "" || len(token.Audience) != 1 || token.Audience[0] != "app" {
		s.Errorf("%+v, want sid %q and sub %q", token, sid, id.Subject)
	}
	if life := token.Expiry.Sub(token.IssuedAt); life <= 0 || life > 2*time.Minute {
		s.Errorf("good for %s", life)
	}
	header, like := jwtHeader(s.T, told.raw), jwtHeader(s.T, idToken)
	if header["alg"] != like["alg"] || header["kid"] != like["kid"] {
		s.Errorf("header %v, the ID token has %v", header, like)
	}
}

// TestZitadelEndSessionNeverFails: it is a POST without cookies, and anything but 2xx or a redirect is an error to the library. The browser then ends the session itself.
func TestZitadelEndSessionNeverFails(t *testing.T) {
	for name, make := range zitadelParties {
		t.Run(name, func(t *testing.T) {
			s := start(t, "memory")
			subject := s.user("ada@example.com")
			p, _ := make(s)
			_, err := s.Store.UpdateClient(t.Context(), p.OAuthConfig().ClientID, func(c *storage.Client) error { c.PostLogoutRedirectURIs = []string{bye}; return nil })
			s.ok(err)
			b := s.browser("ada@example.com")
			came := p.signIn(b)
			if came.failed != "" {
				t.Fatal(came.failed)
			}
			hint := came.tokens.IDToken
			for call, args := range map[string]struct{ hint, uri, state, user string }{
				"all": {hint, bye, "a+b c%20\"'<é>&=", "ada@example.com"}, "hint": {hint, "", "", ""}, "no hint": {"", bye, "s", ""}, "nothing": {},
				"another address": {hint, "https://rp.example/other", "", ""}, "hint that is none": {"e30.e30.e30", bye, "", ""},
			} {
				if _, err := rp.EndSession(t.Context(), p, args.hint, args.uri, args.state, args.user, oidc.Locales{}); err != nil {
					t.Errorf("%s: %v", call, err)
				}
			}
			if s.sessions(subject) != 1 {
				t.Error("requests without the browser's cookies ended its session")
			}
			s.rotateKeys()
			got := b.get(s.logoutURL(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "state": {"s"}, "client_id": {p.OAuthConfig().ClientID}}))
			if got.Header.Get("Location") != bye+"?state=s" || s.sessions(subject) != 0 {
				t.Errorf("%d %s, %d sessions", got.StatusCode, got.Header.Get("Location"), s.sessions(subject))
			}
			if _, err := rp.EndSession(t.Context(), p, hint, bye, "s", "", nil); err != nil {
				t.Errorf("after the session's end: %v", err)
			}
		})
	}
}

// TestGoOIDCFrontChannel: at_hash binds the access token of the same answer, and the code of a hybrid answer brings the same user and session.
func TestGoOIDCFrontChannel(t *testing.T) {
	s := start(t, "memory", everything)
	s.client(frontChannel)
	s.user("ada@example.com")
	p := newGoParty(s, "app", clientSecret, callback, nil)
	b := s.browser("ada@example.com")
	for _, responseType := range grant.ResponseTypes() {
		t.Run(responseType, func(t *testing.T) {
			p.server = s.on(t)
			b.s = p.server
			nonce, pkce := rand.Text(), oauth2.GenerateVerifier()
			_, params := p.answered(b.walk(p.config.AuthCodeURL("af0ifjsldkj", gooidc.Nonce(nonce), oauth2.S256ChallengeOption(pkce), oauth2.SetAuthURLParam("response_type", responseType))))
			front := p.frontToken(params, nonce)
			if !params.Has("code") {
				return
			}
			token, err := p.config.Exchange(t.Context(), params.Get("code"), oauth2.VerifierOption(pkce))
			if err != nil {
				t.Fatal(err)
			}
			id := p.verify(token)
			if id.Nonce != nonce || front != nil && (front.Subject != id.Subject || sidOf(t, front) != sidOf(t, id)) {
				t.Errorf("front channel %+v, code %+v", front, id)
			}
		})
	}
}

// frontToken verifies what came with an answer: the ID token, if there is one, is returned.
func (p *goParty) frontToken(params url.Values, nonce string) *gooidc.IDToken {
	p.Helper()
	access := params.Get("access_token")
	if access != "" {
		if info, err := p.userInfo(&oauth2.Token{AccessToken: access, TokenType: params.Get("token_type")}); err != nil || info.Email != "ada@example.com" {
			p.Errorf("userinfo %+v, %v", info, err)
		}
	}
	if !params.Has("id_token") {
		return nil
	}
	id, err := p.verifier.Verify(p.Context(), params.Get("id_token"))
	if err != nil {
		p.Fatal(err)
	}
	if id.Nonce != nonce {
		p.Errorf("nonce %q, want %q", id.Nonce, nonce)
	}
	if access == "" {
		return id
	}
	if err := id.VerifyAccessToken(access); err != nil {
		p.Errorf("at_hash: %v", err)
	}
	if id.VerifyAccessToken(access+"x") == nil {
		p.Error("at_hash fits another token")
	}
	return id
}

func sidOf(t *testing.T, id *gooidc.IDToken) string {
	t.Helper()
	var session struct{ SID string }
	if err := id.Claims(&session); err != nil || session.SID == "" {
		t.Errorf("sid %q, %v", session.SID, err)
	}
	return session.SID
}
