package upstream_test

import (
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

// absent stands for a claim that is not there.
var absent = new(int)

func claims(members map[string]any) map[string]any {
	all := map[string]any{"sub": "user-1", "email": "ada@example.com", "email_verified": absent}
	for name, value := range members {
		all[name] = value
	}
	for name, value := range all {
		if value == absent {
			delete(all, name)
		}
	}
	return all
}

func TestRow171OnlyTrueIsVerified(t *testing.T) {
	for _, trust := range []bool{false, true} {
		u, op := openID(t, func(s *driverSet) { s.TrustEmail = trust })
		for name, value := range map[string]any{
			"absent": absent, "false": false, "the word false": "false", "the word true": "true", "1": 1, "an empty list": []any{}, "a list of true": []any{true},
			"an object": map[string]any{"ada@example.com": true},
			"null":      nil, "the empty word": "", "True": "True",
		} {
			op.SetUser(claims(map[string]any{"email_verified": value}))
			e, err := walkTo(t, u, op, newAttempt())
			if err != nil || e.EmailVerified != trust || e.Email != "ada@example.com" {
				t.Errorf("%s, trusted %t: %+v, %v", name, trust, e, err)
			}
		}
		op.SetUser(claims(map[string]any{"email_verified": true}))
		if e, err := walkTo(t, u, op, newAttempt()); err != nil || !e.EmailVerified {
			t.Errorf("true: %+v, %v", e, err)
		}
		for name, value := range map[string]any{
			"absent": absent, "empty": "", "a list": []any{"ada@example.com"}, "null": nil, "no address": "ada", "at the end": "ada@", "at the beginning": "@example.com",
			"a space":   "ada @example.com",
			"two lines": "ada@example.com\nBcc: eve@evil.example", "control": "ada\x1b[2J@example.com", "broken": "ad\xff@example.com", "hidden": "ada\u200b@example.com",
		} {
			op.SetUser(claims(map[string]any{"email": value, "email_verified": true}))
			if e, err := walkTo(t, u, op, newAttempt()); err != nil || e.EmailVerified || e.Email != "" {
				t.Errorf("address %s, trusted %t: %+v, %v", name, trust, e, err)
			}
		}
	}
}

// Whether an address is verified is said of one address, by whoever tells that address.
func TestRow171VerifiedIsNotCarriedToAnotherAddress(t *testing.T) {
	u, op := openID(t)
	says := func(email string, verified bool) map[string]any {
		return map[string]any{"email": email, "email_verified": verified}
	}
	for name, c := range map[string]struct {
		id, info map[string]any
		email    string
		verified bool
	}{
		"other address in userinfo":   {map[string]any{"email": "boss@example.com"}, says("eve@evil.example", true), "boss@example.com", false},
		"no address in userinfo":      {map[string]any{"email": "boss@example.com"}, map[string]any{"email_verified": true}, "boss@example.com", false},
		"no address in the ID token":  {map[string]any{"email_verified": true}, map[string]any{"email": "boss@example.com"}, "boss@example.com", false},
		"no string in the ID token":   {map[string]any{"email": 5, "email_verified": true}, map[string]any{"email": "boss@example.com"}, "boss@example.com", false},
		"the ID token says no":        {says("a@example.com", false), says("a@example.com", true), "a@example.com", false},
		"userinfo says no":            {says("a@example.com", true), says("a@example.com", false), "a@example.com", true},
		"the same address in both":    {map[string]any{"email": "a@example.com"}, says("a@example.com", true), "a@example.com", true},
		"all in userinfo":             {map[string]any{}, says("a@example.com", true), "a@example.com", true},
		"another one in the ID token": {says("a@example.com", true), says("b@example.com", false), "a@example.com", true},
	} {
		op.SetUser(map[string]any{"sub": "user-1"})
		op.Break(upstreamtest.Faults{Claims: func(kind string, claims map[string]any) {
			more := c.info
			if kind == "id" {
				more = c.id
			}
			for name, value := range more {
				claims[name] = value
			}
		}})
		e, err := walkTo(t, u, op, newAttempt())
		if err != nil || e.Email != c.email || e.EmailVerified != c.verified {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

func TestRow171MicrosoftsAddressIsVerifiedByXMSEDOVOnly(t *testing.T) {
	op, u := microsoftAt(t, tenantA)
	for name, c := range map[string]struct {
		claims map[string]any
		want   bool
	}{
		"nothing":                {map[string]any{}, false},
		"email_verified":         {map[string]any{"email_verified": true}, false},
		"xms_edov true":          {map[string]any{"xms_edov": true}, true},
		"xms_edov 1":             {map[string]any{"xms_edov": 1}, true},
		"xms_edov false":         {map[string]any{"xms_edov": false, "email_verified": true}, false},
		"xms_edov 0":             {map[string]any{"xms_edov": 0}, false},
		"xms_edov the word true": {map[string]any{"xms_edov": "true"}, false},
		"xms_edov a list":        {map[string]any{"xms_edov": []any{true}}, false},
	} {
		op.SetUser(claims(c.claims))
		if e, err := walkTo(t, u, op, newAttempt()); err != nil || e.EmailVerified != c.want {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	// In userinfo, which is not signed, neither counts.
	op.SetUser(map[string]any{"sub": "user-1"})
	f := microsoftFaults(op, tenantA)
	honest := f.Claims
	f.Claims = func(kind string, members map[string]any) {
		if honest(kind, members); kind == "userinfo" {
			members["email"], members["xms_edov"], members["email_verified"] = "boss@example.com", true, true
		}
	}
	op.Break(f)
	if e, err := walkTo(t, u, op, newAttempt()); err != nil || e.EmailVerified || e.Email != "boss@example.com" {
		t.Errorf("userinfo: %+v, %v", e, err)
	}
	// Nor does the signed claim vouch for an address that only userinfo has.
	op.SetUser(map[string]any{"sub": "user-1", "xms_edov": true})
	if e, err := walkTo(t, u, op, newAttempt()); err != nil || e.EmailVerified || e.Email != "boss@example.com" {
		t.Errorf("address in userinfo: %+v, %v", e, err)
	}
}

func TestRow171ApplesWordTrueIsVerifiedAtAppleOnly(t *testing.T) {
	u, op, _ := appleAt(t)
	for name, c := range map[string]struct {
		value any
		want  bool
	}{"true": {true, true}, "the word true": {"true", true}, "the word false": {"false", false}, "absent": {absent, false}, "1": {1, false}, "the word TRUE": {"TRUE", false}} {
		op.SetUser(claims(map[string]any{"email_verified": c.value, "is_private_email": "true"}))
		e, err := walkTo(t, u, op, newAttempt())
		if err != nil || e.EmailVerified != c.want || e.Claims["is_private_email"] != "true" {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

func TestRow171GitHubTellsVerifiedAddressesOnly(t *testing.T) {
	u, hub := gitHubAt(t)
	type list []upstreamtest.GitHubEmail
	for name, c := range map[string]struct {
		emails list
		want   string
	}{
		"primary, verified":     {list{{Email: "b@example.com", Verified: true}, {Email: "a@example.com", Primary: true, Verified: true}}, "a@example.com"},
		"primary, not verified": {list{{Email: "b@example.com", Verified: true}, {Email: "a@example.com", Primary: true}}, ""},
		"no primary":            {list{{Email: "b@example.com", Verified: true}}, ""},
		"none":                  {nil, ""},
	} {
		hub.SetUser(upstreamtest.GitHubUser{ID: 1, Login: "ada", PublicEmail: "boss@example.com", Emails: c.emails})
		e, err := walkTo(t, u, hub, newAttempt())
		if err != nil || e.Email != c.want || e.EmailVerified != (c.want != "") {
			t.Errorf("%s: %+v, %v", name, e, err)
			continue
		}
		if told, _ := e.Claims["email"].(string); told != c.want || e.Claims["email_verified"] != (c.want != "") {
			t.Errorf("%s: claims %v", name, e.Claims)
		}
	}
}

// TrustEmail makes what any type tells verified, and nothing out of nothing.
func TestRow171TrustEmailIsTheOperatorsWord(t *testing.T) {
	op := upstreamtest.NewOIDC(t)
	clock := newDriverClock()
	op.SetNow(clock.Now)
	u := driver(t, driverSet{Config: upstream.Config{Type: "google", Issuer: op.Issuer, TrustEmail: true}, clock: clock})
	op.SetUser(claims(nil))
	if e, err := walkTo(t, u, op, newAttempt()); err != nil || !e.EmailVerified {
		t.Errorf("google: %+v, %v", e, err)
	}
	op.SetUser(claims(map[string]any{"email": absent}))
	if e, err := walkTo(t, u, op, newAttempt()); err != nil || e.EmailVerified {
		t.Errorf("without an address: %+v, %v", e, err)
	}
}
