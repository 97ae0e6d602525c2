package rp_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/rp"
	"gatehouse/provider/rp/rptest"
)

const redirectURI = "http://127.0.0.1:1/callback"

func open(t *testing.T, p *rptest.Provider, change ...func(*rp.Options)) *rp.Party {
	t.Helper()
	o := rp.Options{
		Issuer: p.Issuer, ClientID: rptest.ClientID, ClientSecret: rptest.ClientSecret, RedirectURI: redirectURI,
		Scopes: []string{"openid", "profile"}, HTTP: p.Client,
	}
	for _, c := range change {
		c(&o)
	}
	party, err := rp.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return party
}

// browse walks through login and consent and returns the parameters of the callback.
func browse(t *testing.T, p *rptest.Provider, target string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Transport: p.Client.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	for range 10 {
		resp, err := client.Get(target)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		next := resp.Header.Get("Location")
		if next == "" {
			at := resp.Request.URL
			resp, err = client.PostForm(p.Issuer+at.Path, url.Values{
				"csrf": {"token"}, "interaction": at.Query()["interaction"], "username": {rptest.Username}, "password": {rptest.Password}, "decision": {"allow"},
			})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			next = resp.Header.Get("Location")
		}
		if strings.HasPrefix(next, redirectURI) {
			u, err := url.Parse(next)
			if err != nil {
				t.Fatal(err)
			}
			return u.Query()
		}
		if strings.HasPrefix(next, "/") {
			next = p.Issuer + next
		}
		target = next
	}
	t.Fatal("the provider sends the browser round in circles")
	return nil
}

func signIn(t *testing.T, p *rptest.Provider, party *rp.Party) *rp.Tokens {
	t.Helper()
	a := party.Begin(nil)
	tokens, err := party.Exchange(t.Context(), a, browse(t, p, a.URL))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestCodeFlowGivesVerifiedTokensThatWorkEverywhere(t *testing.T) {
	p := rptest.New(t)
	party := open(t, p)
	tokens := signIn(t, p, party)
	if tokens.ID.Subject != rptest.Subject || tokens.Scope != "openid profile" || tokens.Expiry.IsZero() {
		t.Fatalf("tokens say %+v", tokens)
	}
	access, err := party.VerifyAccessToken(t.Context(), tokens.AccessToken, p.Issuer)
	if err != nil || access.ClientID != rptest.ClientID || access.Scope != "openid profile" {
		t.Fatalf("access token: %+v, %v", access, err)
	}
	info, err := party.UserInfo(t.Context(), tokens.AccessToken, tokens.ID.Subject)
	if err != nil || info["email"] != "ada@example.com" {
		t.Fatalf("userinfo: %v, %v", info, err)
	}
	next, err := party.Refresh(t.Context(), tokens.RefreshToken)
	if err != nil || next.ID.Subject != rptest.Subject || next.RefreshToken == tokens.RefreshToken {
		t.Fatalf("refresh: %v, %v", next, err)
	}
	if err := party.Revoke(t.Context(), next.AccessToken, "access_token"); err != nil {
		t.Fatal(err)
	}
	answer, err := party.Introspect(t.Context(), next.AccessToken, "")
	if err != nil || answer["active"] != false {
		t.Fatalf("introspection of a revoked token: %v, %v", answer, err)
	}
	if answer, err = party.Introspect(t.Context(), next.RefreshToken, "refresh_token"); err != nil || answer["active"] != true {
		t.Fatalf("introspection of a live token: %v, %v", answer, err)
	}
	if _, err := party.ClientCredentials(t.Context(), "api"); err != nil {
		t.Fatal(err)
	}
}

func TestAuthorizationRequestCarriesStateNonceAndS256(t *testing.T) {
	p := rptest.New(t)
	party := open(t, p)
	first, second := party.Begin(url.Values{"prompt": {"login"}}), party.Begin(nil)
	u, err := url.Parse(first.URL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	want := map[string]string{
		"response_type": "code", "client_id": rptest.ClientID, "redirect_uri": redirectURI, "scope": "openid profile", "state": first.State,
		"nonce": first.Nonce, "code_challenge_method": "S256", "prompt": "login",
	}
	for name, value := range want {
		if q.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, q.Get(name), value)
		}
	}
	if len(q.Get("code_challenge")) != 43 || q.Get("code_challenge") == first.Verifier {
		t.Errorf("code_challenge is %q", q.Get("code_challenge"))
	}
	if first.State == second.State || first.Nonce == second.Nonce || first.Verifier == second.Verifier || len(first.State) < 22 {
		t.Error("state, nonce and verifier must be fresh and long")
	}
}

func TestCallbackIsRefusedUnlessStateAndIssuerAreRight(t *testing.T) {
	p := rptest.New(t)
	party := open(t, p)
	a := party.Begin(nil)
	good := url.Values{"state": {a.State}, "iss": {p.Issuer}, "code": {"c"}}
	if code, err := party.Callback(a, good); err != nil || code != "c" {
		t.Fatalf("a good answer: %q, %v", code, err)
	}
	for name, change := range map[string]func(url.Values){
		"another state":   func(v url.Values) { v.Set("state", "x") },
		"no state":        func(v url.Values) { v.Del("state") },
		"another issuer":  func(v url.Values) { v.Set("iss", p.Issuer+"/") },
		"no issuer":       func(v url.Values) { v.Del("iss") },
		"no code":         func(v url.Values) { v.Del("code") },
		"code twice":      func(v url.Values) { v.Add("code", "d") },
		"an error":        func(v url.Values) { v.Set("error", "access_denied") },
		"error and state": func(v url.Values) { v.Set("error", "access_denied"); v.Set("state", "x") },
	} {
		response := url.Values{}
		for k, v := range good {
			response[k] = append([]string(nil), v...)
		}
		change(response)
		if code, err := party.Callback(a, response); err == nil {
			t.Errorf("%s: accepted with code %q", name, code)
		}
	}
	_, err := party.Callback(a, url.Values{"state": {a.State}, "iss": {p.Issuer}, "error": {"access_denied"}, "error_description": {"no"}})
	var oauthError *rp.Error
	if !errors.As(err, &oauthError) || oauthError.Code != "access_denied" || oauthError.Description != "no" {
		t.Errorf("the provider's error: %v", err)
	}
	if _, err := party.Callback(rp.Attempt{}, url.Values{"iss": {p.Issuer}, "code": {"c"}}); !errors.Is(err, rp.ErrState) {
		t.Errorf("an empty attempt matches an empty state: %v", err)
	}
}

func TestIDTokenOfADishonestProviderIsRefused(t *testing.T) {
	claims := func(change func(map[string]any)) rptest.Faults {
		return rptest.Faults{Claims: func(kind string, c map[string]any) {
			if kind == "id" {
				change(c)
			}
		}}
	}
	for name, f := range map[string]rptest.Faults{
		"another nonce":    claims(func(c map[string]any) { c["nonce"] = "x" }),
		"no nonce":         claims(func(c map[string]any) { delete(c, "nonce") }),
		"another issuer":   claims(func(c map[string]any) { c["iss"] = "https://evil.example" }),
		"another audience": claims(func(c map[string]any) { c["aud"] = "other" }),
		"expired":          claims(func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }),
		"another at_hash":  claims(func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }),
		"another azp":      claims(func(c map[string]any) { c["azp"] = "other" }),
		"two aud, no azp":  claims(func(c map[string]any) { c["aud"] = []string{rptest.ClientID, "other"} }),
		"no sub":           claims(func(c map[string]any) { c["sub"] = "" }),
		"unknown kid": {Header: func(kind string, h map[string]any) {
			if kind == "id" {
				h["kid"] = "unknown"
			}
		}},
		"alg none": {Header: func(kind string, h map[string]any) {
			if kind == "id" {
				h["alg"] = "none"
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := rptest.New(t)
			party := open(t, p)
			p.Break(f)
			a := party.Begin(nil)
			if _, err := party.Exchange(t.Context(), a, browse(t, p, a.URL)); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestTokenResponseWithoutIDTokenIsRefusedIfOpenIDWasAsked(t *testing.T) {
	p := rptest.New(t)
	party := open(t, p)
	a := party.Begin(nil)
	response := browse(t, p, a.URL)
	p.Break(rptest.Faults{Before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/oauth2/token" {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		_, err := w.Write([]byte(`{"access_token":"x","token_type":"Bearer"}`))
		return err == nil
	}})
	if _, err := party.Exchange(t.Context(), a, response); err == nil {
		t.Error("accepted")
	}
}

func TestAccessTokenIsCheckedAsRFC9068Asks(t *testing.T) {
	header := func(name, value string) rptest.Faults {
		return rptest.Faults{Header: func(_ string, h map[string]any) { h[name] = value }}
	}
	claim := func(name string, value any) rptest.Faults {
		return rptest.Faults{Claims: func(_ string, c map[string]any) { c[name] = value }}
	}
	for name, f := range map[string]rptest.Faults{
		"typ JWT":          header("typ", "JWT"),
		"no kid":           header("kid", ""),
		"unknown kid":      header("kid", "unknown"),
		"another issuer":   claim("iss", "https://evil.example"),
		"another audience": claim("aud", "https://api.example"),
		"expired":          claim("exp", time.Now().Add(-time.Hour).Unix()),
		"no client_id":     claim("client_id", ""),
		"no jti":           claim("jti", ""),
	} {
		t.Run(name, func(t *testing.T) {
			p := rptest.New(t)
			party := open(t, p)
			p.Break(f)
			tokens, err := party.ClientCredentials(t.Context(), "api")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := party.VerifyAccessToken(t.Context(), tokens.AccessToken, p.Issuer); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := open(t, rptest.New(t)).VerifyAccessToken(t.Context(), "gth_at_opaque", ""); err == nil {
		t.Error("an opaque token passes for a JWT")
	}
}

func TestUserInfoAboutSomeoneElseIsRefused(t *testing.T) {
	p := rptest.New(t)
	party := open(t, p)
	tokens := signIn(t, p, party)
	if _, err := party.UserInfo(t.Context(), tokens.AccessToken, "someone-else"); err == nil {
		t.Error("accepted")
	}
}

func TestDiscoveryIsRefusedForAnotherIssuerOrWithoutPKCE(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"issuer with a slash": func(d map[string]any) { d["issuer"] = d["issuer"].(string) + "/" },
		"no S256":             func(d map[string]any) { d["code_challenge_methods_supported"] = []string{"plain"} },
	} {
		p := rptest.New(t)
		p.Break(rptest.Faults{Document: change})
		if _, err := rp.New(context.Background(), rp.Options{Issuer: p.Issuer, ClientID: "x", HTTP: p.Client}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestErrorsNameTheCodeAndNeverATokenOrSecret(t *testing.T) {
	p := rptest.New(t)
	party := open(t, p)
	wrong := open(t, p, func(o *rp.Options) { o.ClientSecret = "the-wrong-secret" })
	_, reuse := party.Refresh(t.Context(), "the-refresh-token")
	_, client := wrong.Introspect(t.Context(), "the-access-token", "")
	revoke := wrong.Revoke(t.Context(), "the-access-token", "")
	for want, err := range map[string]error{"token endpoint answered 400 invalid_grant": reuse,
		"introspection endpoint answered 401 invalid_client": client, "revocation endpoint answered 401 invalid_client": revoke} {
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "the-") {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

func TestEndSessionURLOnlyIfDiscoveryNamesOne(t *testing.T) {
	p := rptest.New(t)
	if u, ok := open(t, p).EndSessionURL("hint", "", ""); ok {
		t.Errorf("made up %q", u)
	}
	p.Break(rptest.Faults{Document: func(d map[string]any) { d["end_session_endpoint"] = p.Issuer + "/oauth2/logout?x=1" }})
	got, ok := open(t, p).EndSessionURL("hint", "https://rp.example/", "s")
	want := p.Issuer + "/oauth2/logout?x=1&client_id=demo&id_token_hint=hint&post_logout_redirect_uri=https%3A%2F%2Frp.example%2F&state=s"
	if !ok || got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
