package upstream_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

func TestLogoutTokensAreVerified(t *testing.T) {
	u, op, clock := clocked(t)
	verifier := u.(upstream.LogoutVerifier)
	now := clock.Now().Unix()
	const event = "http://schemas.openid.net/event/backchannel-logout"
	change := func(claim string, value any) upstreamtest.Faults {
		return upstreamtest.Faults{Claims: func(_ string, claims map[string]any) {
			if claims[claim] = value; value == absent {
				delete(claims, claim)
			}
		}}
	}
	typ := func(value any) upstreamtest.Faults {
		return upstreamtest.Faults{Header: func(_ string, header map[string]any) { header["typ"] = value }}
	}
	mine := upstreamtest.NewKey(t, "ES256")
	for name, fault := range map[string]upstreamtest.Faults{
		"iss absent": change("iss", absent), "iss wrong": change("iss", "https://evil.example"), "aud absent": change("aud", absent), "aud wrong": change("aud", "another-client"),
		"iat absent": change("iat", absent), "iat old": change("iat", now-300), "iat ahead": change("iat", now+62), "exp passed": change("exp", now-60),
		"exp no number": change("exp", "x"),
		"jti absent":    change("jti", absent), "jti empty": change("jti", ""), "jti a number": change("jti", 5), "jti long": change("jti", strings.Repeat("a", 256)),
		"no events": change("events", absent), "events a list": change("events", []string{event}), "events of another kind": change("events", map[string]any{"x": map[string]any{}}),
		"event no object": change("events", map[string]any{event: true}), "event null": change("events", map[string]any{event: nil}),
		"nonce": change("nonce", "x"), "nonce empty": change("nonce", ""), "nonce null": change("nonce", nil),
		"nobody":       {Claims: func(_ string, c map[string]any) { delete(c, "sub"); delete(c, "sid") }},
		"sub a number": {Claims: func(_ string, c map[string]any) { c["sub"] = 5; delete(c, "sid") }},
		"sub long":     change("sub", strings.Repeat("a", 256)), "sid long": change("sid", strings.Repeat("a", 256)),
		"typ at+jwt": typ("at+jwt"), "typ secevent+jwt": typ("secevent+jwt"), "typ other": typ("x"),
		"none": {Signed: func(_ string, _, c map[string]any) string {
			return compact(t, map[string]any{"alg": "none"}, c, unsigned)
		}},
		"HS256": {Signed: func(_ string, _, c map[string]any) string {
			return compact(t, map[string]any{"alg": "HS256"}, c, withMac([]byte(upstreamtest.ClientSecret)))
		}},
		"another key": {Signed: func(_ string, h, c map[string]any) string { return upstreamtest.Sign(t, mine, "ES256", h, c) }},
	} {
		op.Break(fault)
		token, err := verifier.VerifyLogoutToken(t.Context(), op.LogoutToken("user-1", "sid-1"))
		if token != nil {
			t.Errorf("%s: %+v", name, token)
		}
		wantRefusal(t, name, err, upstream.Broken, "logout token")
	}
	end := time.Unix(now+300, 0)
	for name, c := range map[string]struct {
		fault upstreamtest.Faults
		ends  time.Time
	}{
		"honest": {upstreamtest.Faults{}, time.Unix(now+180, 0)}, "no exp": {change("exp", absent), end}, "exp far": {change("exp", now+99999), end},
		"typ absent": {upstreamtest.Faults{Header: func(_ string, h map[string]any) { delete(h, "typ") }}, time.Unix(now+180, 0)},
		"typ JWT":    {typ("JWT"), time.Unix(now+180, 0)}, "typ in full": {typ("application/logout+jwt"), time.Unix(now+180, 0)}, "old": {change("iat", now-299), time.Unix(now+1, 0)},
		"without sub": {change("sub", absent), time.Unix(now+180, 0)}, "without sid": {change("sid", absent), time.Unix(now+180, 0)},
	} {
		op.Break(c.fault)
		token, err := verifier.VerifyLogoutToken(t.Context(), op.LogoutToken("user-1", "sid-1"))
		if err != nil || token.ID == "" || !token.Expires.Equal(c.ends) {
			t.Errorf("%s: %+v, %v", name, token, err)
		} else if (token.ExternalID != "user-1") != (name == "without sub") || (token.SID != "sid-1") != (name == "without sid") {
			t.Errorf("%s: %+v", name, token)
		}
	}
}

func TestAnIDTokenIsNoLogoutToken(t *testing.T) {
	u, op, _ := clocked(t)
	e, err := walkTo(t, u, op, newAttempt())
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.(upstream.LogoutVerifier).VerifyLogoutToken(t.Context(), e.IDToken)
	wantRefusal(t, "ID token", err, upstream.Broken, "logout token")
}

func TestTheDoublePostsALogoutTokenThatIsAccepted(t *testing.T) {
	u, op, _ := clocked(t)
	var got *upstream.LogoutToken
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := u.(upstream.LogoutVerifier).VerifyLogoutToken(r.Context(), r.PostFormValue("logout_token"))
		if got = token; err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer server.Close()
	if answer := op.PostLogout(server.Client(), server.URL, "", "sid-1"); answer.StatusCode != http.StatusOK || got == nil || got.SID != "sid-1" {
		t.Errorf("%d, %+v", answer.StatusCode, got)
	}
}
