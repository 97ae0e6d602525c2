package upstream_test

import (
	"testing"
	"time"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

func TestAFreshSignInIsFresh(t *testing.T) {
	u, op, clock := clocked(t)
	started := clock.Now()
	clock.Move(8 * time.Minute) // the person took a while
	age, zero := int64(600), int64(0)
	for name, c := range map[string]struct {
		fresh  bool
		maxAge *int64
		told   any // seconds after the walk began, by the provider's clock
		ok     bool
		apart  int64 // how many seconds the provider's clock goes ahead
	}{
		"nothing asked":                  {false, nil, -999999, true, 0},
		"fresh, just now":                {true, nil, 470, true, 0},
		"fresh, right at the start":      {true, nil, 0, true, 0},
		"fresh, rounded":                 {true, nil, -2, true, 0},
		"fresh, before":                  {true, nil, -4, false, 0},
		"fresh, clock behind":            {true, nil, 1, true, -50},
		"fresh, before, clock behind":    {true, nil, -4, false, -50},
		"fresh, before, clock ahead":     {true, nil, -4, false, 50},
		"fresh, before, within max_age":  {true, &age, -300, false, 0},
		"fresh, not told":                {true, nil, absent, false, 0},
		"max_age, within":                {false, &age, -600, true, 0},
		"max_age, beyond":                {false, &age, -604, false, 0},
		"max_age, within, clock behind":  {false, &age, -600, true, -50},
		"max_age, beyond, clock ahead":   {false, &age, -604, false, 50},
		"max_age 0, before":              {false, &zero, -4, false, 0},
		"max_age 0, after":               {false, &zero, 5, true, 0},
		"max_age, not told":              {false, &age, absent, false, 0},
		"nothing asked, not told":        {false, nil, absent, true, 0},
		"fresh, told in no number":       {true, nil, "soon", false, 0},
		"nothing asked, in no number":    {false, nil, "soon", true, 0},
		"fresh, null":                    {true, nil, nil, false, 0},
		"max_age of longer than history": {false, new(int64(1 << 62)), -999999, true, 0},
	} {
		op.Break(onlyID(func(claims map[string]any) {
			switch told := c.told.(type) {
			case int:
				claims["auth_time"] = started.Unix() + int64(told) + c.apart
				claims["iat"] = clock.Now().Unix() + c.apart
			case *int:
				delete(claims, "auth_time")
			default:
				claims["auth_time"] = told
			}
		}))
		a := newAttempt()
		a.Fresh, a.MaxAge, a.Started, a.Now = c.fresh, c.maxAge, started, clock.Now()
		e, err := walkTo(t, u, op, a)
		if c.ok {
			wantIn(t, name, e, err)
		} else {
			words := "did not ask the person again"
			if _, number := c.told.(int); !number {
				words = "owes it when max_age is asked for"
			}
			wantRefusal(t, name, err, upstream.Broken, words)
		}
	}
}

// The person's browser carries the request, so they can take prompt=login and max_age out of it. A provider that tells auth_time only when it is asked for max_age then tells none.
func TestARequestThatLostItsDemandsOnTheWayIsFoundOut(t *testing.T) {
	age := int64(10)
	for _, kind := range []string{"oidc", "gitlab"} {
		u, op := openID(t, func(s *driverSet) {
			if s.Type = kind; kind == "gitlab" {
				s.URL = s.Issuer
			}
		})
		for name, change := range map[string]func(*upstream.Attempt){
			"fresh": func(a *upstream.Attempt) { a.Fresh = true }, "max_age": func(a *upstream.Attempt) { a.MaxAge = &age },
		} {
			a := newAttempt()
			change(a)
			to, err := u.AuthURL(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			q := query(t, to)
			op.Break(upstreamtest.Faults{})
			e, err := u.Exchange(t.Context(), a, op.SignIn(to))
			wantIn(t, kind+", as it was sent, "+name, e, err)
			q.Del("prompt")
			q.Del("max_age")
			op.Break(drop("auth_time"))
			_, err = u.Exchange(t.Context(), a, op.SignIn(op.Issuer+"/authorize?"+q.Encode()))
			wantRefusal(t, kind+", "+name, err, upstream.Broken, "lacks auth_time")
		}
	}
}

// Google, Apple and Microsoft tell no auth_time for the asking.
func TestProvidersThatTellNoTimeOfSignInAreNotHeldToIt(t *testing.T) {
	age := int64(10)
	google, atGoogle := googleAt(t)
	apple, atApple, _ := appleAt(t)
	atMicrosoft, microsoft := microsoftAt(t, tenantA)
	for name, c := range map[string]struct {
		u  upstream.Upstream
		op *upstreamtest.OIDC
		f  upstreamtest.Faults
	}{
		"google": {google, atGoogle, upstreamtest.Faults{}}, "apple": {apple, atApple, upstreamtest.Faults{Document: appleDocument}},
		"microsoft": {microsoft, atMicrosoft, microsoftFaults(atMicrosoft, tenantA)},
	} {
		change := c.f.Claims
		c.f.Claims = func(kind string, claims map[string]any) {
			if delete(claims, "auth_time"); change != nil {
				change(kind, claims)
			}
		}
		c.op.Break(c.f)
		a := newAttempt()
		a.Fresh = true
		to, err := c.u.AuthURL(t.Context(), a)
		if err != nil || query(t, to).Has("max_age") {
			t.Errorf("%s: %s, %v", name, to, err)
		}
		if e, err := walkTo(t, c.u, c.op, a); err != nil || !e.AuthTime.IsZero() {
			t.Errorf("%s, fresh: %+v, %v", name, e, err)
		}
		a.Fresh, a.MaxAge = false, &age
		if e, err := walkTo(t, c.u, c.op, a); err != nil || !e.AuthTime.IsZero() {
			t.Errorf("%s, max_age: %+v, %v", name, e, err)
		}
	}
}

// Who does not know when the walk began is held to now.
func TestAFreshSignInIsFreshWithoutABeginning(t *testing.T) {
	u, op, clock := clocked(t)
	a := newAttempt()
	a.Fresh = true
	for ago, ok := range map[time.Duration]bool{0: true, 2 * time.Second: true, 4 * time.Second: false} {
		op.Break(set("auth_time", clock.Now().Add(-ago).Unix()))
		e, err := walkTo(t, u, op, a)
		if ok {
			wantIn(t, ago.String(), e, err)
		} else {
			wantRefusal(t, ago.String(), err, upstream.Broken, "did not ask")
		}
	}
}
