package upstream_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

const (
	tenantA  = "11111111-2222-3333-4444-555555555555"
	tenantB  = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	personal = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

// googleAt is a Google of one's own.
func googleAt(t *testing.T, domains ...string) (upstream.Upstream, *upstreamtest.OIDC) {
	return openID(t, func(s *driverSet) {
		s.Type, s.HostedDomains = "google", domains
	})
}

func TestRow173GooglesHostedDomainIsCheckedInTheToken(t *testing.T) {
	u, op := googleAt(t, "example.com", "example.org")
	for name, hd := range map[string]any{
		"absent": absent, "another": "evil.example", "longer": "example.com.evil.example", "shorter": "com", "a list": []any{"example.com"}, "empty": "",
		"capitals": "EXAMPLE.COM", "*": "*",
	} {
		op.SetUser(claims(map[string]any{"hd": hd, "email_verified": true}))
		_, err := walkTo(t, u, op, newAttempt())
		wantRefusal(t, name, err, upstream.NotAllowed, "hosted domain")
	}
	for _, hd := range []string{"example.com", "example.org"} {
		op.SetUser(claims(map[string]any{"hd": hd}))
		e, err := walkTo(t, u, op, newAttempt())
		wantIn(t, hd, e, err)
	}
	// The request asks for it, but what counts is what comes back; in userinfo, which is not signed, it does not count.
	op.SetUser(claims(nil))
	op.Break(upstreamtest.Faults{Claims: func(kind string, claims map[string]any) {
		if kind == "userinfo" {
			claims["hd"] = "example.com"
		}
	}})
	_, err := walkTo(t, u, op, newAttempt())
	wantRefusal(t, "hd in userinfo", err, upstream.NotAllowed)
}

func TestRow173GoogleIsBelievedForAddressesThatItGivesOutOrHosts(t *testing.T) {
	u, op := googleAt(t)
	for name, c := range map[string]struct {
		claims map[string]any
		want   bool
	}{
		"gmail":                  {map[string]any{"email": "ada@gmail.com", "email_verified": true}, true},
		"gmail, capitals":        {map[string]any{"email": "Ada@GMail.com", "email_verified": true}, true},
		"gmail, not verified":    {map[string]any{"email": "ada@gmail.com", "email_verified": false}, false},
		"hosted":                 {map[string]any{"hd": "example.com", "email_verified": true}, true},
		"hosted, not verified":   {map[string]any{"hd": "example.com", "email_verified": false}, false},
		"any address":            {map[string]any{"email_verified": true}, false},
		"ends like gmail":        {map[string]any{"email": "ada@evilgmail.com", "email_verified": true}, false},
		"hd empty":               {map[string]any{"hd": "", "email_verified": true}, false},
		"the word true at gmail": {map[string]any{"email": "ada@gmail.com", "email_verified": "true"}, false},
	} {
		op.SetUser(claims(c.claims))
		if e, err := walkTo(t, u, op, newAttempt()); err != nil || e.EmailVerified != c.want {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

func TestRow173GoogleIsAskedAsItDocuments(t *testing.T) {
	for _, c := range []struct {
		domains []string
		hd      string
	}{{nil, ""}, {[]string{"example.com"}, "example.com"}, {[]string{"example.com", "example.org"}, "*"}} {
		u, _ := googleAt(t, c.domains...)
		a := newAttempt()
		a.Fresh = true
		to, err := u.AuthURL(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if q := query(t, to); q.Get("hd") != c.hd || q.Get("prompt") != "select_account" || q.Get("scope") != "openid profile email" {
			t.Errorf("%v: %v", c.domains, q)
		}
	}
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// microsoftFaults makes a double a Microsoft whose people are in one tenant, and whose document names the template of several.
func microsoftFaults(op *upstreamtest.OIDC, tenant string) upstreamtest.Faults {
	return upstreamtest.Faults{
		Document: func(d map[string]any) {
			d["issuer"] = op.Issuer + "/{tenantid}/v2.0"
			delete(d, "authorization_response_iss_parameter_supported")
		},
		Answer: func(q url.Values) { q.Del("iss") },
		Claims: func(kind string, claims map[string]any) {
			if kind != "userinfo" {
				claims["iss"], claims["tid"] = op.Issuer+"/"+tenant+"/v2.0", tenant
			}
		},
		Before: stripTenant(op),
	}
}

// stripTenant serves the discovery documents of all tenants from one place.
func stripTenant(op *upstreamtest.OIDC) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if _, after, found := strings.Cut(r.URL.Path, "/v2.0/"); found {
			r.URL.Path = "/" + after
			op.ServeHTTP(w, r)
			return true
		}
		return false
	}
}

// microsoftAt is a Microsoft with people of one tenant, asked as common.
func microsoftAt(t *testing.T, tenant string) (*upstreamtest.OIDC, upstream.Upstream) {
	t.Helper()
	op := upstreamtest.NewOIDC(t)
	clock := newDriverClock()
	op.SetNow(clock.Now)
	op.Break(microsoftFaults(op, tenant))
	return op, driver(t, driverSet{Config: upstream.Config{Type: "microsoft", URL: op.Issuer + "/", Tenant: "common"}, clock: clock})
}

func TestRow173MicrosoftsKeyIsTenantAndSubject(t *testing.T) {
	op, u := microsoftAt(t, tenantA)
	// Two tenants with the same address and, as an attacker would like, the same sub.
	first, err := walkTo(t, u, op, newAttempt())
	if err != nil {
		t.Fatal(err)
	}
	op.Break(microsoftFaults(op, tenantB))
	second, err := walkTo(t, u, op, newAttempt())
	if err != nil {
		t.Fatal(err)
	}
	if first.ID != tenantA+"/user-1" || second.ID != tenantB+"/user-1" || first.Email != second.Email {
		t.Errorf("%s and %s", first.ID, second.ID)
	}
	token, err := u.(upstream.LogoutVerifier).VerifyLogoutToken(t.Context(), op.LogoutToken("user-1", ""))
	if err != nil || token.ExternalID != second.ID {
		t.Errorf("logout token: %+v, %v", token, err)
	}
}

func TestRow173MicrosoftsIssuerIsThatOfTheTenant(t *testing.T) {
	type answer struct{ document, iss, tid any }
	of := func(tenant string) string { return "/" + tenant + "/v2.0" }
	const template = "/{tenantid}/v2.0"
	for name, c := range map[string]struct {
		tenant string
		answer answer
		ok     bool
	}{
		"common, a tenant":             {"common", answer{template, of(tenantA), tenantA}, true},
		"common, personal":             {"common", answer{template, of(personal), personal}, true},
		"organizations, a tenant":      {"organizations", answer{template, of(tenantA), tenantA}, true},
		"organizations, personal":      {"organizations", answer{template, of(personal), personal}, false},
		"consumers, personal":          {"consumers", answer{of(personal), of(personal), personal}, true},
		"consumers, template":          {"consumers", answer{template, of(personal), personal}, true},
		"consumers, a tenant":          {"consumers", answer{template, of(tenantA), tenantA}, false},
		"its own tenant":               {tenantA, answer{of(tenantA), of(tenantA), tenantA}, true},
		"another tenant":               {tenantA, answer{of(tenantA), of(tenantB), tenantB}, false},
		"another tenant's document":    {tenantA, answer{of(tenantB), of(tenantB), tenantB}, false},
		"a template for one tenant":    {tenantA, answer{template, of(tenantB), tenantB}, false},
		"a domain":                     {"contoso.example", answer{of(tenantA), of(tenantA), tenantA}, true},
		"a domain, another tenant":     {"contoso.example", answer{of(tenantA), of(tenantB), tenantB}, false},
		"a domain, a template":         {"contoso.example", answer{template, of(tenantB), tenantB}, false},
		"tid of another":               {"common", answer{template, of(tenantA), tenantB}, false},
		"tid absent":                   {"common", answer{template, of(tenantA), absent}, false},
		"tid no GUID":                  {"common", answer{template, of("evil"), "evil"}, false},
		"tid with a path":              {"common", answer{template, of("x/../" + tenantA), "x/../" + tenantA}, false},
		"iss is the template":          {"common", answer{template, template, "{tenantid}"}, false},
		"iss of another server":        {"common", answer{template, "https://evil.example" + of(tenantA), tenantA}, false},
		"iss with more at the end":     {"common", answer{template, of(tenantA) + "/v2.0", tenantA}, false},
		"document of another template": {"common", answer{"/{tenantid}/v2.0/x", of(tenantA), tenantA}, false},
	} {
		op := upstreamtest.NewOIDC(t)
		clock := newDriverClock()
		op.SetNow(clock.Now)
		at := func(v any) string {
			if s := v.(string); !strings.HasPrefix(s, "https://") {
				return op.Issuer + s
			}
			return v.(string)
		}
		f := microsoftFaults(op, tenantA)
		f.Document = func(d map[string]any) {
			d["issuer"] = at(c.answer.document)
			delete(d, "authorization_response_iss_parameter_supported")
		}
		f.Claims = func(kind string, claims map[string]any) {
			if claims["iss"] = at(c.answer.iss); c.answer.tid != absent {
				claims["tid"] = c.answer.tid
			}
		}
		op.Break(f)
		u := driver(t, driverSet{Config: upstream.Config{Type: "microsoft", URL: op.Issuer, Tenant: c.tenant}, clock: clock})
		e, err := walkTo(t, u, op, newAttempt())
		if c.ok && (err != nil || e.ID != fmt.Sprint(c.answer.tid, "/user-1")) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
		if !c.ok {
			wantRefusal(t, name, err, upstream.Broken)
		}
	}
}

// A key of Microsoft's that is for one tenant's tokens must not sign those of another (what Storm-0558 did in 2023).
func TestRow173MicrosoftsKeysAreForTheirIssuerOnly(t *testing.T) {
	for issuer, ok := range map[string]bool{"/{tenantid}/v2.0": true, "/" + tenantA + "/v2.0": true, "/" + personal + "/v2.0": false} {
		op, u := microsoftAt(t, tenantA)
		f := microsoftFaults(op, tenantA)
		f.KeySet = func(set map[string]any) {
			for _, key := range set["keys"].([]map[string]any) {
				key["issuer"] = op.Issuer + issuer
			}
		}
		op.Break(f)
		e, err := walkTo(t, u, op, newAttempt())
		if ok != (err == nil) {
			t.Errorf("key of %s: %+v, %v", issuer, e, err)
		}
	}
}

func TestRow173MicrosoftTakesOneValueOfPrompt(t *testing.T) {
	_, u := microsoftAt(t, tenantA)
	a := newAttempt()
	a.Fresh, a.SelectAccount = true, true
	to, err := u.AuthURL(t.Context(), a)
	if err != nil || query(t, to).Get("prompt") != "login" {
		t.Errorf("%s, %v", to, err)
	}
}

// gitHubAt is a GitHub server of one's own.
func gitHubAt(t *testing.T, change ...func(*driverSet)) (upstream.Upstream, *upstreamtest.GitHub) {
	t.Helper()
	hub := upstreamtest.NewGitHub(t)
	s := driverSet{Config: upstream.Config{Type: "github", URL: hub.URL}}
	for _, f := range change {
		f(&s)
	}
	return driver(t, s), hub
}

func TestRow173GitHubsKeyIsTheNumberWhateverTheLogin(t *testing.T) {
	u, hub := gitHubAt(t)
	before, err := walkTo(t, u, hub, newAttempt())
	if err != nil {
		t.Fatal(err)
	}
	hub.SetUser(upstreamtest.GitHubUser{ID: 583231, Login: "renamed"})
	renamed, err := walkTo(t, u, hub, newAttempt())
	if err != nil {
		t.Fatal(err)
	}
	hub.SetUser(upstreamtest.GitHubUser{ID: 9007199254740993, Login: "octocat"})
	taken, err := walkTo(t, u, hub, newAttempt())
	if err != nil {
		t.Fatal(err)
	}
	if before.ID != "583231" || renamed.ID != before.ID || taken.ID != "9007199254740993" {
		t.Errorf("%s, renamed %s, the next of that name %s", before.ID, renamed.ID, taken.ID)
	}
	if before.Label != "octocat@example.com" || renamed.Label != "renamed" || before.IDToken != "" || !before.AuthTime.IsZero() {
		t.Errorf("%+v, %+v", before, renamed)
	}
	for name, user := range map[string]upstreamtest.GitHubUser{
		"no id": {Login: "a"}, "negative": {ID: -1, Login: "a"}, "no login": {ID: 5}, "login with a path": {ID: 5, Login: "a/../b"},
	} {
		hub.SetUser(user)
		_, err := walkTo(t, u, hub, newAttempt())
		wantRefusal(t, name, err, upstream.Broken)
	}
}

func TestRow173GitHubMembershipsAreActive(t *testing.T) {
	u, hub := gitHubAt(t, func(s *driverSet) { s.Organizations, s.Teams = []string{"Acme"}, []string{"other/ops"} })
	many := map[string]string{}
	for i := range 150 {
		many[fmt.Sprintf("aaa-%03d", i)] = "active"
	}
	many["acme"] = "active" // on the second page
	for name, c := range map[string]struct {
		orgs, teams map[string]string
		groups      []any
	}{
		"nowhere":                {nil, nil, nil},
		"invited":                {map[string]string{"acme": "pending"}, nil, nil},
		"another organization":   {map[string]string{"acme-2": "active", "acm": "active"}, nil, nil},
		"invited to the team":    {nil, map[string]string{"other/ops": "pending"}, nil},
		"another team":           {map[string]string{"other": "active"}, map[string]string{"other/dev": "active", "evil/ops": "active"}, nil},
		"in the organization":    {map[string]string{"ACME": "active"}, nil, []any{"Acme"}},
		"in the team":            {nil, map[string]string{"other/ops": "active"}, []any{"other/ops"}},
		"in both":                {map[string]string{"acme": "active"}, map[string]string{"other/ops": "active"}, []any{"Acme", "other/ops"}},
		"in many organizations":  {many, nil, []any{"Acme"}},
		"active without accept.": {map[string]string{"acme": ""}, nil, nil},
	} {
		hub.SetUser(upstreamtest.GitHubUser{ID: 7, Login: "ada", Orgs: c.orgs, Teams: c.teams})
		e, err := walkTo(t, u, hub, newAttempt())
		if c.groups == nil {
			wantRefusal(t, name, err, upstream.NotAllowed, `"ada"`)
		} else if err != nil || !slices.Equal(e.Claims["groups"].([]any), c.groups) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}
