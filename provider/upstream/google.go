package upstream

import (
	"net/url"
	"slices"
	"strings"
)

// googleIssuer is https, but tokens of old integrations have it without the scheme, says Google's reference.
const googleIssuer = "https://accounts.google.com"

// google is Google with consumer and Workspace accounts. An issuer is not for the configuration file; it lets tests have a Google of their own.
var google = Kind{
	Type: "google", Name: "Google",
	Check: func(c *Config, fault func(field, problem, fix string)) {
		checkSettings(c, fault, []string{"client_id", "client_secret"}, []string{"issuer", "hosted_domains", "trust_email", "acr"})
		checkAddress("issuer", c.Issuer, fault)
		if c.TrustEmail && len(c.HostedDomains) == 0 {
			fault("trust_email", "would believe any address that was confirmed once, when its account was made", "remove it, or list hosted_domains whose addresses you give out")
		}
		for _, domain := range c.HostedDomains {
			if !domainText.MatchString(domain) {
				fault("hosted_domains", "hold "+said(domain)+", which is no domain in small letters", "write for example example.com")
			}
		}
	},
	New: func(o Options) (Upstream, error) {
		issuer := o.Config.Issuer
		if issuer == "" {
			issuer = googleIssuer
		}
		return newOpenID(o, issuer, special{
			issued: func(m *metadata, iss string, _ claimSet, _ string) bool {
				return iss == m.Issuer || m.Issuer == googleIssuer && "https://"+iss == googleIssuer
			},
			request: func(a *Attempt, q url.Values) { googleRequest(o.HostedDomains, a, q) },
			judge: func(e *External, token claimSet, _ url.Values) error {
				return googleJudge(o.HostedDomains, e, token)
			},
		}), nil
	},
}

// googleRequest asks as Google documents it. Of prompt it knows none, consent and select_account: the nearest to a new sign-in is to be asked which account. It does not tell
// auth_time for max_age, so that nobody can see how old a sign-in is. hd only shapes the page; googleJudge decides.
func googleRequest(domains []string, a *Attempt, q url.Values) {
	if a.Fresh {
		q.Set("prompt", "select_account")
	}
	switch len(domains) {
	case 0:
	case 1:
		q.Set("hd", domains[0])
	default:
		q.Set("hd", "*")
	}
}

// googleJudge lets only the hosted domains in, by the claim of the signed token. Google answers for an address only if it gave it out (gmail.com) or hosts its domain (hd);
// any other was verified once, when the account was made, and may have changed hands.
func googleJudge(domains []string, e *External, token claimSet) error {
	hd := token.text("hd")
	if len(domains) > 0 && !slices.Contains(domains, hd) {
		return &Refusal{Reason: NotAllowed, Detail: "the account's hosted domain is " + said(hd) + ", none of hosted_domains"}
	}
	if hd == "" && !strings.HasSuffix(strings.ToLower(e.Email), "@gmail.com") {
		e.EmailVerified = false
	}
	return nil
}
