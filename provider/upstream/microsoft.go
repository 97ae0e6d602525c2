package upstream

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	microsoftLogin = "https://login.microsoftonline.com"
	// personalTenant is the directory of personal Microsoft accounts.
	personalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
	tenantTemplate = "{tenantid}"
)

var (
	guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	// manyTenants are the words for more than one directory, or for personal accounts.
	manyTenants = []string{"common", "organizations", "consumers"}
)

// microsoft is Entra ID and personal Microsoft accounts. url is for national clouds, such as https://login.microsoftonline.us.
var microsoft = Kind{
	Type: "microsoft", Name: "Microsoft",
	Check: func(c *Config, fault func(field, problem, fix string)) {
		checkSettings(c, fault, []string{"client_id", "client_secret", "tenant"}, []string{"url", "trust_email", "acr", "end_session"})
		checkAddress("url", c.URL, fault)
		if c.TrustEmail && (slices.Contains(manyTenants, c.Tenant) || c.Tenant == personalTenant) {
			fault("trust_email", "would believe any address that somebody wrote into a directory of their own (nOAuth)", "remove it, or write your own directory as tenant")
		}
		if t := c.Tenant; t != "" && !guid.MatchString(t) && !domainText.MatchString(t) && !slices.Contains(manyTenants, t) {
			fault("tenant", said(t)+" is neither a directory's ID nor its domain", "write it in small letters, such as contoso.onmicrosoft.com, or common, organizations or consumers")
		}
	},
	New: func(o Options) (Upstream, error) {
		d := &directory{base: baseURL(o.URL, microsoftLogin), tenant: o.Tenant}
		return newOpenID(o, d.issuer(o.Tenant), special{found: d.found, issued: d.issued, request: microsoftRequest, id: microsoftID, judge: microsoftJudge}), nil
	},
}

// directory is a tenant, or several of them, at one of Microsoft's clouds.
type directory struct{ base, tenant string }

func (d *directory) issuer(tenant string) string { return d.base + "/" + tenant + "/v2.0" }

// tenantOf is the GUID in an issuer, empty if it is none of this cloud.
func (d *directory) tenantOf(issuer string) string {
	tenant := strings.TrimSuffix(strings.TrimPrefix(issuer, d.base+"/"), "/v2.0")
	if !guid.MatchString(tenant) || d.issuer(tenant) != issuer {
		return ""
	}
	return tenant
}

// found accepts what Microsoft's discovery documents name: the GUID of a single tenant, also if it was asked for by its domain, and a template for several.
func (d *directory) found(issuer string) bool {
	switch {
	case guid.MatchString(d.tenant):
		return issuer == d.issuer(d.tenant)
	case d.tenant == "consumers":
		return issuer == d.issuer(personalTenant) || issuer == d.issuer(tenantTemplate)
	case slices.Contains(manyTenants, d.tenant):
		return issuer == d.issuer(tenantTemplate)
	}
	return d.tenantOf(issuer) != ""
}

// issued holds an issuer against the document. In a token of one of several tenants it must be that of the tenant in tid, and the key must be one for that tenant's tokens.
func (d *directory) issued(m *metadata, issuer string, claims claimSet, keyIssuer string) bool {
	tenant := d.tenantOf(issuer)
	if tenant == "" || m.Issuer != d.issuer(tenantTemplate) && m.Issuer != issuer {
		return false
	}
	if d.tenant == "consumers" && tenant != personalTenant || d.tenant == "organizations" && tenant == personalTenant {
		return false
	}
	if claims == nil {
		return true
	}
	return claims.text("tid") == tenant && (keyIssuer == "" || strings.ReplaceAll(keyIssuer, tenantTemplate, tenant) == issuer)
}

// microsoftRequest keeps to one value of prompt, of which Microsoft takes no more. auth_time is an optional claim there, told or not whatever max_age is: it is held against what
// was asked for only if it comes.
func microsoftRequest(a *Attempt, q url.Values) {
	if a.Fresh {
		q.Set("prompt", "login")
	}
}

// microsoftID is the pair that names an account: sub is unique in its tenant only, and what else looks like a name (email, preferred_username, upn) can be changed by an
// administrator of any tenant.
func microsoftID(claims claimSet) string { return claims.text("tid") + "/" + claims.text("sub") }

// microsoftJudge believes an address only if Microsoft says that the owner of its domain was verified (xms_edov, an optional claim, a boolean that also comes as 1). Anyone can
// have a tenant and write any address into it: the attack is known as nOAuth.
func microsoftJudge(e *External, token claimSet, _ url.Values) error {
	owned := token["xms_edov"] == true || token["xms_edov"] == 1.0
	e.EmailVerified = e.Email != "" && token.address() == e.Email && owned
	return nil
}
