package upstream_test

import (
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

func TestTheTableHasEveryTypeOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range upstream.Kinds {
		if seen[k.Type] || k.Name == "" || k.Check == nil || k.New == nil || upstream.FindKind(k.Type).Name != k.Name {
			t.Errorf("row %+v", k)
		}
		seen[k.Type] = true
	}
	if want := []string{"apple", "github", "gitlab", "google", "microsoft", "oidc"}; !slices.Equal(slices.Sorted(maps.Keys(seen)), want) {
		t.Errorf("types %v", seen)
	}
	if upstream.FindKind("saml") != nil || upstream.FindKind("") != nil {
		t.Error("found what is not there")
	}
}

// p8 is a key as Apple gives it out.
func p8(t *testing.T, alg string) string {
	t.Helper()
	raw, err := x509.MarshalPKCS8PrivateKey(upstreamtest.NewKey(t, alg))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

func TestCheckNamesEveryFault(t *testing.T) {
	type config = upstream.Config
	full := config{
		Issuer: "https://id.example", Tenant: "contoso.example", URL: "https://git.example", ClientID: "x", ClientSecret: "y", HostedDomains: []string{"example.com"},
		Organizations: []string{"acme"}, Teams: []string{"acme/ops"}, TeamID: "T", KeyID: "K", PrivateKey: p8(t, "ES256"),
		TrustEmail: true, ACR: map[string]string{"theirs": "ours"}, EndSession: true,
	}
	needs := map[string][]string{
		"google": {"client_id", "client_secret"}, "github": {"client_id", "client_secret"}, "gitlab": {"client_id", "client_secret"}, "oidc": {"issuer", "client_id", "client_secret"},
		"microsoft": {"tenant", "client_id", "client_secret"}, "apple": {"client_id", "team_id", "key_id", "private_key"},
	}
	unknown := map[string][]string{
		"google":    {"tenant", "url", "organizations", "teams", "team_id", "key_id", "private_key", "end_session"},
		"github":    {"issuer", "tenant", "hosted_domains", "team_id", "key_id", "private_key", "trust_email", "acr", "end_session"},
		"gitlab":    {"issuer", "tenant", "hosted_domains", "organizations", "teams", "team_id", "key_id", "private_key"},
		"oidc":      {"tenant", "url", "hosted_domains", "organizations", "teams", "team_id", "key_id", "private_key"},
		"microsoft": {"issuer", "hosted_domains", "organizations", "teams", "team_id", "key_id", "private_key"},
		"apple":     {"tenant", "url", "client_secret", "hosted_domains", "organizations", "teams"},
	}
	for _, k := range upstream.Kinds {
		for name, c := range map[string]config{"empty": {}, "full": full} {
			c.Type = k.Type
			want := needs[k.Type]
			if name == "full" {
				want = unknown[k.Type]
			}
			if got := faultsOf(t, c); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("%s, %s: faults %v, want %v", k.Type, name, got, want)
			}
		}
	}
	base := map[string]config{}
	for _, k := range upstream.Kinds {
		c := config{Type: k.Type, ClientID: "x", ClientSecret: "y"}
		switch k.Type {
		case "oidc":
			c.Issuer = "https://id.example"
		case "microsoft":
			c.Tenant = "common"
		case "apple":
			c.ClientSecret, c.TeamID, c.KeyID, c.PrivateKey = "", "T", "K", p8(t, "ES256")
		}
		if got := faultsOf(t, c); len(got) > 0 {
			t.Errorf("%s: %v", k.Type, got)
		}
		base[k.Type] = c
	}
	for _, c := range []struct {
		kind, field string
		change      func(*config)
	}{
		{"oidc", "issuer", func(c *config) { c.Issuer = "id.example" }},
		{"oidc", "issuer", func(c *config) { c.Issuer = "ftp://id.example" }},
		{"oidc", "issuer", func(c *config) { c.Issuer = "https://id.example?x" }},
		{"oidc", "issuer", func(c *config) { c.Issuer = "https://id.example#" }},
		{"oidc", "issuer", func(c *config) { c.Issuer = "https://u:p@id.example" }},
		{"oidc", "issuer", func(c *config) { c.Issuer = "https://id.example/.well-known/openid-configuration" }},
		{"gitlab", "url", func(c *config) { c.URL = "git.example" }},
		{"github", "url", func(c *config) { c.URL = "https://" }},
		{"github", "organizations", func(c *config) { c.Organizations = []string{"a/b"} }},
		{"github", "teams", func(c *config) { c.Teams = []string{"ops"} }},
		{"github", "teams", func(c *config) { c.Teams = []string{"acme/../x"} }},
		{"github", "scopes", func(c *config) { c.Teams, c.Scopes = []string{"acme/ops"}, []string{"read:user"} }},
		{"google", "hosted_domains", func(c *config) { c.HostedDomains = []string{"Example.com"} }},
		{"google", "hosted_domains", func(c *config) { c.HostedDomains = []string{"*"} }},
		{"microsoft", "tenant", func(c *config) { c.Tenant = "Contoso" }},
		{"microsoft", "tenant", func(c *config) { c.Tenant = "x/../y" }},
		{"apple", "private_key", func(c *config) { c.PrivateKey = "AuthKey_X.p8" }},
		{"apple", "private_key", func(c *config) { c.PrivateKey = p8(t, "ES384") }},
		{"apple", "private_key", func(c *config) { c.PrivateKey = p8(t, "RS256") }},
	} {
		bad := base[c.kind]
		c.change(&bad)
		if got := faultsOf(t, bad); !slices.Equal(got, []string{c.field}) {
			t.Errorf("%s %+v: faults %v, want %s", c.kind, bad, got, c.field)
		}
	}
}

// faultsOf are the fields at fault, each with a problem and a fix, and without a secret in the words.
func faultsOf(t *testing.T, c upstream.Config) []string {
	t.Helper()
	var fields []string
	upstream.FindKind(c.Type).Check(&c, func(field, problem, fix string) {
		if problem == "" || fix == "" || c.PrivateKey != "" && strings.Contains(problem+fix, c.PrivateKey) {
			t.Errorf("%s of %s: %q, %q", field, c.Type, problem, fix)
		}
		fields = append(fields, field)
	})
	slices.Sort(fields)
	return fields
}

// In a directory of one's own anybody can write any address (nOAuth), and Google tells addresses that it confirmed once, years ago. Who believes them all gives accounts away.
func TestRow173TrustInAddressesThatAnybodyCanWriteIsAFault(t *testing.T) {
	for _, c := range []struct {
		kind, tenant string
		domains      []string
		bad          bool
	}{
		{"microsoft", "common", nil, true}, {"microsoft", "organizations", nil, true}, {"microsoft", "consumers", nil, true}, {"microsoft", personal, nil, true},
		{"microsoft", tenantA, nil, false}, {"microsoft", "contoso.example", nil, false}, {"google", "", nil, true}, {"google", "", []string{"example.com"}, false},
	} {
		for _, trust := range []bool{true, false} {
			got := faultsOf(t, upstream.Config{Type: c.kind, ClientID: "x", ClientSecret: "y", Tenant: c.tenant, HostedDomains: c.domains, TrustEmail: trust})
			if c.bad && trust && !slices.Equal(got, []string{"trust_email"}) || !(c.bad && trust) && len(got) != 0 {
				t.Errorf("%+v, %v: faults %v", c, trust, got)
			}
		}
	}
}

func TestAppleWithABadKeyIsNotMade(t *testing.T) {
	if u, err := upstream.FindKind("apple").New(upstream.Options{Config: upstream.Config{PrivateKey: "x"}}); err == nil {
		t.Errorf("made %v", u)
	}
}

func TestGitLabIsAnOpenIDProviderAtItsAddress(t *testing.T) {
	op := upstreamtest.NewOIDC(t)
	u := driver(t, driverSet{Config: upstream.Config{Type: "gitlab", URL: op.Issuer + "/"}})
	e, err := walkTo(t, u, op, newAttempt())
	wantIn(t, "gitlab", e, err)
	if err == nil && (!e.EmailVerified || e.Label != "ada@example.com") {
		t.Errorf("%+v", e)
	}
}
