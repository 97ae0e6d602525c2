package upstream_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

func TestUserinfoIsMergedAndTheIDTokenHasTheLastWord(t *testing.T) {
	u, op := openID(t)
	op.SetUser(map[string]any{"sub": "user-1", "name": "Ada", "acr": "gold", "amr": []string{"pwd", "otp"}})
	op.Break(upstreamtest.Faults{Claims: func(kind string, claims map[string]any) {
		if kind == "userinfo" {
			for name, value := range map[string]any{
				"name": "Eve", "locale": "de", "iss": "https://evil.example", "aud": "x", "acr": "platinum", "amr": []string{"mfa"}, "sid": "s", "auth_time": 1,
			} {
				claims[name] = value
			}
		}
	}})
	e, err := walkTo(t, u, op, newAttempt())
	if err != nil {
		t.Fatal(err)
	}
	if e.Claims["name"] != "Ada" || e.Claims["locale"] != "de" || e.Claims["iss"] != op.Issuer {
		t.Errorf("claims %v", e.Claims)
	}
	if e.ACR != "gold" || !slices.Equal(e.AMR, []string{"pwd", "otp"}) || e.SID != "sid-user-1" || !e.AuthTime.Equal(newDriverClock().Now()) {
		t.Errorf("%+v", e)
	}
	var tokens map[string]any
	if err := json.Unmarshal(e.Tokens, &tokens); err != nil || tokens["id_token"] != e.IDToken || tokens["access_token"] == "" {
		t.Errorf("tokens %s, %v", e.Tokens, err)
	}
	// Those that the ID token does not have are not taken from userinfo either.
	op.SetUser(map[string]any{"sub": "user-1", "name": "Ada"})
	if e, err = walkTo(t, u, op, newAttempt()); err != nil || e.ACR != "" || e.AMR != nil {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestUserinfoOfAnotherIsRefused(t *testing.T) {
	u, op := openID(t)
	for name, sub := range map[string]any{"another": "user-2", "absent": absent, "a number": 1, "empty": ""} {
		op.Break(upstreamtest.Faults{Claims: func(kind string, claims map[string]any) {
			if claims["sub"] = sub; kind == "id" {
				claims["sub"] = "user-1"
			} else if sub == absent {
				delete(claims, "sub")
			}
		}})
		_, err := walkTo(t, u, op, newAttempt())
		wantRefusal(t, name, err, upstream.Broken, "sub")
	}
}

func TestUserinfoThatFailsCountsOnlyIfItIsNeeded(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"down":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"refused": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"HTML":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<p>")) },
	} {
		u, op := openID(t)
		op.Break(at("/userinfo", answer))
		for _, known := range []string{"email", "name"} {
			op.SetUser(map[string]any{"sub": "user-1", known: "ada@example.com"})
			e, err := walkTo(t, u, op, newAttempt())
			wantIn(t, name+", "+known, e, err)
		}
		op.SetUser(map[string]any{"sub": "user-1"})
		if e, err := walkTo(t, u, op, newAttempt()); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestSignedUserinfoIsVerified(t *testing.T) {
	u, op := openID(t)
	op.SignUserInfo(true)
	op.SetUser(map[string]any{"sub": "user-1", "email": "ada@example.com", "locale": "de"})
	e, err := walkTo(t, u, op, newAttempt())
	if err != nil || e.Claims["locale"] != "de" {
		t.Errorf("%+v, %v", e, err)
	}
	mine := upstreamtest.NewKey(t, "ES256")
	for name, change := range map[string]func(claims map[string]any) string{
		"none": func(c map[string]any) string { return compact(t, map[string]any{"alg": "none"}, c, unsigned) },
		"HS256": func(c map[string]any) string {
			return compact(t, map[string]any{"alg": "HS256"}, c, withMac([]byte(upstreamtest.ClientSecret)))
		},
		"another key": func(c map[string]any) string {
			return upstreamtest.Sign(t, mine, "ES256", map[string]any{"kid": "key-1"}, c)
		},
		"another iss":   func(c map[string]any) string { c["iss"] = "https://evil.example"; return "" },
		"no iss":        func(c map[string]any) string { delete(c, "iss"); return "" },
		"another aud":   func(c map[string]any) string { c["aud"] = "another-client"; return "" },
		"no aud":        func(c map[string]any) string { delete(c, "aud"); return "" },
		"another sub":   func(c map[string]any) string { c["sub"] = "user-2"; return "" },
		"encrypted":     func(map[string]any) string { return "e30.e30.e30.e30.e30" },
		"no JWT at all": func(map[string]any) string { return `{"sub":"user-1"}` },
	} {
		op.Break(upstreamtest.Faults{
			Claims: func(kind string, claims map[string]any) {
				if kind == "userinfo" {
					change(claims)
				}
			},
			Signed: func(kind string, _, claims map[string]any) string {
				if kind == "userinfo" {
					return change(claims)
				}
				return ""
			},
		})
		_, err := walkTo(t, u, op, newAttempt())
		wantRefusal(t, name, err, upstream.Broken, "userinfo")
	}
}
