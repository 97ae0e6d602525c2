package client

import (
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

const maxLifetime = 10 * 365 * 24 * 60 * 60 // seconds

func (r Rules) applyTokens(c *storage.Client, m *Metadata) error {
	if err := r.signingAlgorithms(c, m); err != nil {
		return err
	}
	format := m.AccessTokenFormat
	switch format {
	case "":
		format = "jwt"
	case "jwt", "opaque":
	default:
		return refuse("access_token_format", shown(format)+" is unknown; use jwt or opaque")
	}
	if m.DefaultMaxAge != nil && (*m.DefaultMaxAge < 0 || *m.DefaultMaxAge > maxLifetime) {
		return refuse("default_max_age", "give a number of seconds, 0 or more")
	}
	for _, l := range []struct {
		field string
		value int64
		to    *time.Duration
	}{
		{"access_token_lifetime", m.AccessTokenLifetime, &c.Lifetimes.AccessToken}, {"id_token_lifetime", m.IDTokenLifetime, &c.Lifetimes.IDToken},
		{"refresh_token_idle_lifetime", m.RefreshIdleLifetime, &c.Lifetimes.RefreshIdle}, {"refresh_token_absolute_lifetime", m.RefreshAbsoluteLifetime, &c.Lifetimes.RefreshAbsolute},
	} {
		if l.value < 0 || l.value > maxLifetime {
			return refuse(l.field, "give a number of seconds, 0 for the configured lifetime")
		}
		*l.to = time.Duration(l.value) * time.Second
	}
	if len(m.DefaultACR) > maxACR || slices.ContainsFunc(m.DefaultACR, func(acr string) bool { return !wellFormedScope(acr) || len(acr) > maxName }) {
		return refuse("default_acr_values", "give at most 10 values of printable ASCII without spaces, quotes and backslashes")
	}
	c.AccessToken, c.DefaultMaxAge, c.RequireAuthTime, c.DefaultACR = format, m.DefaultMaxAge, m.RequireAuthTime, unique(m.DefaultACR)
	return nil
}

// signingAlgorithms settles what the server signs for the client with. ID tokens without a signature are for those that come over TLS from the token endpoint only
// (OpenID Connect Core section 2).
func (r Rules) signingAlgorithms(c *storage.Client, m *Metadata) error {
	algorithms := orList(r.Algorithms, "RS256", "ES256")
	for _, a := range []struct{ field, value string }{
		{"id_token_signed_response_alg", m.IDTokenAlg}, {"userinfo_signed_response_alg", m.UserinfoAlg}, {"access_token_signed_response_alg", m.AccessTokenAlg},
	} {
		switch {
		case a.value == "", slices.Contains(algorithms, a.value):
		case a.value == "none" && a.field == "id_token_signed_response_alg":
			if err := r.unsigned(c, a.field, r.UnsignedIDTokens, "oauth.allow_unsigned_id_tokens"); err != nil {
				return err
			}
			if slices.ContainsFunc(c.ResponseTypes, func(t string) bool { return strings.Contains(t, "id_token") }) {
				return refuse(a.field, "none is for clients whose ID tokens come from the token endpoint only; leave the response types with id_token out")
			}
		default:
			return refuse(a.field, shown(a.value)+" has no key here; use "+strings.Join(algorithms, ", "))
		}
	}
	c.IDTokenAlg, c.UserinfoAlg, c.AccessTokenAlg = m.IDTokenAlg, m.UserinfoAlg, m.AccessTokenAlg
	return nil
}

// unsigned refuses alg none where configuration or profile do not allow it.
func (r Rules) unsigned(c *storage.Client, field string, allowed bool, setting string) error {
	switch {
	case !allowed:
		return refuse(field, "none is switched off here ("+setting+"); name a signing algorithm")
	case !ProfileOf(c).Unsigned:
		return refuse(field, "this client's profile "+c.Profile+" requires a signature; name a signing algorithm, or set the profile to compatible")
	}
	return nil
}
