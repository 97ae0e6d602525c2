package upstream_test

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

func TestTheAuthorizationRequestSaysWhatTheAttemptSays(t *testing.T) {
	u, op := openID(t)
	op.Break(upstreamtest.Faults{Document: func(d map[string]any) {
		d["authorization_endpoint"] = op.Issuer + "/authorize?tenant=7&client_id=evil&redirect_uri=https://evil.example"
	}})
	a := newAttempt()
	base := url.Values{
		"response_type": {"code"}, "client_id": {upstreamtest.ClientID}, "redirect_uri": {driverCallback}, "scope": {"openid profile email"}, "state": {a.State}, "nonce": {a.Nonce},
		"code_challenge": {encodeAll(sum256(a.Verifier))}, "code_challenge_method": {"S256"}, "tenant": {"7"},
	}
	age, zero := int64(3600), int64(0)
	for name, c := range map[string]struct {
		change func(*upstream.Attempt)
		want   map[string]string
	}{
		"plain":          {func(*upstream.Attempt) {}, nil},
		"fresh":          {func(a *upstream.Attempt) { a.Fresh = true }, map[string]string{"prompt": "login", "max_age": "0"}},
		"account":        {func(a *upstream.Attempt) { a.SelectAccount = true }, map[string]string{"prompt": "select_account"}},
		"fresh, account": {func(a *upstream.Attempt) { a.Fresh, a.SelectAccount = true, true }, map[string]string{"prompt": "login select_account", "max_age": "0"}},
		"fresh, max_age": {func(a *upstream.Attempt) { a.Fresh, a.MaxAge = true, &age }, map[string]string{"prompt": "login", "max_age": "3600"}},
		"max_age":        {func(a *upstream.Attempt) { a.MaxAge = &age }, map[string]string{"max_age": "3600"}},
		"max_age 0":      {func(a *upstream.Attempt) { a.MaxAge = &zero }, map[string]string{"max_age": "0"}},
		"the rest": {func(a *upstream.Attempt) {
			a.LoginHint, a.ACRValues, a.UILocales = "ada+x@example.com&prompt=none", "a b", "de fr"
		},
			map[string]string{"login_hint": "ada+x@example.com&prompt=none", "acr_values": "a b", "ui_locales": "de fr"}},
	} {
		attempt := *a
		c.change(&attempt)
		want := url.Values{}
		for name, values := range base {
			want[name] = values
		}
		for name, value := range c.want {
			want.Set(name, value)
		}
		to, err := u.AuthURL(t.Context(), &attempt)
		if err != nil || !reflect.DeepEqual(query(t, to), want) {
			t.Errorf("%s: %v\nwant %v, %v", name, query(t, to), want, err)
		}
	}
}

func TestScopesOfTheConfigurationReplaceThoseOfTheType(t *testing.T) {
	for _, c := range []struct {
		kind    string
		scopes  []string
		members int
		want    string
	}{
		{"oidc", []string{"groups"}, 0, "openid groups"}, {"oidc", []string{"email", "openid"}, 0, "email openid"}, {"github", nil, 0, "read:user user:email"},
		{"github", nil, 1, "read:user user:email read:org"}, {"github", []string{"read:user"}, 0, "read:user"},
	} {
		u, _ := openID(t, func(s *driverSet) {
			s.Type, s.Scopes, s.Organizations = c.kind, c.scopes, make([]string, c.members)
		})
		to, err := u.AuthURL(t.Context(), newAttempt())
		if err != nil || query(t, to).Get("scope") != c.want {
			t.Errorf("%s %v: %s, %v", c.kind, c.scopes, to, err)
		}
	}
}

func TestErrorsOfTheAnswerBecomeReasons(t *testing.T) {
	for code, reason := range map[string]upstream.Reason{
		"access_denied": upstream.Cancelled, "consent_required": upstream.Cancelled, "login_required": upstream.Cancelled, "interaction_required": upstream.Cancelled,
		"account_selection_required": upstream.Cancelled, "user_cancelled_authorize": upstream.Cancelled,
		"server_error": upstream.Unavailable, "temporarily_unavailable": upstream.Unavailable,
		"invalid_request": upstream.Broken, "unauthorized_client": upstream.Broken, "redirect_uri_mismatch": upstream.Broken, "ACCESS_DENIED": upstream.Broken, "x": upstream.Broken,
	} {
		u, op := openID(t)
		op.Break(upstreamtest.Faults{Answer: func(q url.Values) { q.Set("error", code) }}) // with a code beside it, which does not count
		_, err := walkTo(t, u, op, newAttempt())
		wantRefusal(t, code, err, reason)
		hub, double := gitHubAt(t)
		double.Break(nil, func(q url.Values) { q.Set("error", code) })
		_, err = walkTo(t, hub, double, newAttempt())
		wantRefusal(t, "GitHub, "+code, err, reason)
		if n := op.Count("/token"); n != 0 || slices.Contains(double.Asked(), "/login/oauth/access_token") {
			t.Errorf("%s: a code was redeemed", code)
		}
	}
}

func TestMixUpByIssuerIsRefusedBeforeTheCodeIsSpent(t *testing.T) {
	for name, c := range map[string]struct {
		told, promised bool
		iss            string
		ok             bool
	}{
		"promised and right":      {true, true, "", true},
		"promised and absent":     {false, true, "", false},
		"promised and wrong":      {true, true, "https://evil.example", false},
		"not promised and absent": {false, false, "", true},
		"not promised, right":     {true, false, "", true},
		"not promised, wrong":     {true, false, "https://evil.example", false},
	} {
		u, op := openID(t)
		op.Break(upstreamtest.Faults{
			Document: func(d map[string]any) { d["authorization_response_iss_parameter_supported"] = c.promised },
			Answer: func(q url.Values) {
				switch {
				case !c.told:
					q.Del("iss")
				case c.iss != "":
					q.Set("iss", c.iss)
				}
			},
		})
		e, err := walkTo(t, u, op, newAttempt())
		if c.ok {
			wantIn(t, name, e, err)
			continue
		}
		wantRefusal(t, name, err, upstream.Broken, "iss")
		if op.Count("/token") != 0 {
			t.Errorf("%s: the code went to the wrong provider", name)
		}
	}
}

func TestTheClientNamesItselfOnceAsDiscoverySays(t *testing.T) {
	for name, c := range map[string]struct {
		methods any
		basic   bool
	}{
		"not said": {nil, true}, "both": {[]string{"client_secret_post", "client_secret_basic"}, true}, "post only": {[]string{"private_key_jwt", "client_secret_post"}, false},
	} {
		u, op := openID(t)
		op.Break(upstreamtest.Faults{Document: func(d map[string]any) {
			if c.methods != nil {
				d["token_endpoint_auth_methods_supported"] = c.methods
			}
		}})
		e, err := walkTo(t, u, op, newAttempt())
		wantIn(t, name, e, err)
		header, form := op.Redeemed()
		if (header != "") != c.basic || form.Has("client_secret") == c.basic {
			t.Errorf("%s: %q, %v", name, header, form)
		}
	}
	// A refusal is not a reason to try the other way: the code would be spent twice.
	u, op := openID(t)
	op.Break(at("/token", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
	}))
	_, err := walkTo(t, u, op, newAttempt())
	wantRefusal(t, "invalid_client", err, upstream.Broken, "invalid_client")
	if n := op.Count("/token"); n != 1 {
		t.Errorf("redeemed %d times", n)
	}
}

func TestAnswersOfTheTokenEndpointThatAreRefused(t *testing.T) {
	u, op := openID(t)
	for name, change := range map[string]func(map[string]any){
		"no access token": func(a map[string]any) { delete(a, "access_token") }, "type mac": func(a map[string]any) { a["token_type"] = "mac" },
		"type DPoP": func(a map[string]any) { a["token_type"] = "DPoP" }, "an error beside tokens": func(a map[string]any) { a["error"] = "x" },
	} {
		op.Break(upstreamtest.Faults{Tokens: change})
		_, err := walkTo(t, u, op, newAttempt())
		wantRefusal(t, name, err, upstream.Broken, "token endpoint")
	}
	op.Break(upstreamtest.Faults{Tokens: func(a map[string]any) { delete(a, "token_type") }})
	e, err := walkTo(t, u, op, newAttempt())
	wantIn(t, "no type", e, err)
}

// sid, acr and amr are stored and compared: what no column, index or log could hold is as good as not told, and no reason to turn somebody away.
func TestOddTextsOfTheIDTokenAreNotTold(t *testing.T) {
	u, op := openID(t)
	long := strings.Repeat("a", 255)
	for name, c := range map[string]struct {
		told any
		want string
	}{
		"plain": {"urn:mace: silver", "urn:mace: silver"}, "255": {long, long}, "256": {long + "a", ""}, "10 KB": {strings.Repeat("a", 10<<10), ""},
		"NUL": {"a\x00b", ""}, "escape": {"a\x1b[31m", ""},
		"not ASCII": {"ä", ""}, "empty": {"", ""}, "a number": {5, ""}, "null": {nil, ""}, "a list": {[]string{"a"}, ""},
	} {
		op.SetUser(map[string]any{"sub": "user-1", "sid": c.told, "acr": c.told, "amr": []any{"pwd", c.told, "otp"}})
		e, err := walkTo(t, u, op, newAttempt())
		wantIn(t, name, e, err)
		if err == nil && (e.SID != c.want || e.ACR != c.want) {
			t.Errorf("%s: sid %.40q, acr %.40q", name, e.SID, e.ACR)
		}
		amr := []string{"pwd", c.want, "otp"}
		if _, text := c.told.(string); !text {
			amr = nil // no list of strings
		} else if c.want == "" {
			amr = []string{"pwd", "otp"}
		}
		if err == nil && !slices.Equal(e.AMR, amr) {
			t.Errorf("%s: amr %.80q", name, e.AMR)
		}
	}
	op.SetUser(map[string]any{"sub": "user-1", "amr": slices.Repeat([]string{"pwd", "otp"}, 1000)})
	if e, err := walkTo(t, u, op, newAttempt()); err != nil || !slices.Equal(e.AMR, slices.Repeat([]string{"pwd", "otp"}, 10)) {
		t.Errorf("a long amr: %+v, %v", e, err)
	}
}

func TestTheLabelIsWhatThePersonKnows(t *testing.T) {
	u, op := openID(t)
	for _, c := range []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"email": "ada@example.com", "preferred_username": "ada", "name": "Ada"}, "ada@example.com"},
		{map[string]any{"email": "no address", "preferred_username": "ada", "name": "Ada"}, "ada"},
		{map[string]any{"preferred_username": " \x1b\n", "name": "Ada\x1b[31m\u202e Lovelace"}, "Ada[31m Lovelace"},
		{map[string]any{"name": 5}, "user-1"},
		{map[string]any{"name": strings.Repeat("ä", 300)}, strings.Repeat("ä", 100)},
	} {
		c.claims["sub"] = "user-1"
		op.SetUser(c.claims)
		if e, err := walkTo(t, u, op, newAttempt()); err != nil || e.Label != c.want {
			t.Errorf("%v: %+v, %v", c.claims, e, err)
		}
	}
}

func TestEndSessionIsAtTheProvider(t *testing.T) {
	u, op := openID(t)
	ender := u.(upstream.Ender)
	to, err := ender.EndSessionURL(t.Context(), "hint", "https://gate.example/out", "s&t")
	want := url.Values{"client_id": {upstreamtest.ClientID}, "id_token_hint": {"hint"}, "post_logout_redirect_uri": {"https://gate.example/out"}, "state": {"s&t"}}
	if err != nil || !strings.HasPrefix(to, op.Issuer+"/logout?") || !reflect.DeepEqual(query(t, to), want) {
		t.Errorf("%s, %v", to, err)
	}
	if to, err := ender.EndSessionURL(t.Context(), "", "", ""); err != nil || len(query(t, to)) != 1 {
		t.Errorf("with nothing: %s, %v", to, err)
	}
	u, op = openID(t)
	op.Break(upstreamtest.Faults{Document: func(d map[string]any) { delete(d, "end_session_endpoint") }})
	if to, err := u.(upstream.Ender).EndSessionURL(t.Context(), "hint", "x", "y"); err != nil || to != "" {
		t.Errorf("%s, %v", to, err)
	}
}
