package oauth

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/storage"
)

// Bounds of client metadata. They keep one client's row, and the pages that show it, small.
const (
	maxName     = 200
	maxContacts = 10
	maxContact  = 254
	maxScope    = 2048
	maxScopes   = 50
	maxAudience = 50
	maxLifetime = 10 * 365 * 24 * 60 * 60 // seconds
)

func (r ClientRules) applyTexts(c *storage.Client, m *Metadata) error {
	if err := plainText("client_name", m.ClientName, maxName); err != nil {
		return err
	}
	if len(m.Contacts) > maxContacts {
		return refuse("contacts", "give at most 10")
	}
	for _, contact := range m.Contacts {
		if err := plainText("contacts", contact, maxContact); err != nil {
			return err
		}
	}
	for _, u := range []struct{ field, value string }{
		{"client_uri", m.ClientURI}, {"logo_uri", m.LogoURI}, {"policy_uri", m.PolicyURI}, {"tos_uri", m.TOSURI},
	} {
		if problem := webURI(u.value); u.value != "" && problem != "" {
			return refuse(u.field, problem)
		}
	}
	switch m.ApplicationType {
	case "", "web", "native":
	default:
		return refuse("application_type", shown(m.ApplicationType)+" is unknown; use web or native")
	}
	c.Name, c.Contacts, c.ApplicationType = m.ClientName, unique(m.Contacts), m.ApplicationType
	c.ClientURI, c.LogoURI, c.PolicyURI, c.TOSURI = m.ClientURI, m.LogoURI, m.PolicyURI, m.TOSURI
	return nil
}

// plainText refuses what could break a line, hide text or turn its direction where the value is shown (security rows 191, 192).
func plainText(field, value string, limit int) error {
	if !utf8.ValidString(value) {
		return refuse(field, "write it in UTF-8")
	}
	if utf8.RuneCountInString(value) > limit {
		return refuse(field, "it is too long")
	}
	if strings.ContainsFunc(value, func(c rune) bool { return unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) }) {
		return refuse(field, "write it without control and formatting characters")
	}
	return nil
}

func (r ClientRules) applyTokens(c *storage.Client, m *Metadata) error {
	algorithms := orList(r.Algorithms, "RS256", "ES256")
	for _, a := range []struct{ field, value string }{
		{"id_token_signed_response_alg", m.IDTokenAlg}, {"access_token_signed_response_alg", m.AccessTokenAlg},
	} {
		if a.value != "" && !slices.Contains(algorithms, a.value) {
			return refuse(a.field, shown(a.value)+" has no key here; use "+strings.Join(algorithms, ", "))
		}
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
	c.IDTokenAlg, c.AccessTokenAlg, c.AccessToken = m.IDTokenAlg, m.AccessTokenAlg, format
	c.DefaultMaxAge, c.RequireAuthTime = m.DefaultMaxAge, m.RequireAuthTime
	return nil
}

// applyAudience lets an operator list any configured resource. A registration may only use the resources that are open to dynamic clients, and gets
// all of them if it names none: clients such as MCP's do not know the member.
func (r ClientRules) applyAudience(c *storage.Client, m *Metadata) error {
	audience := unique(m.Audience)
	if len(audience) > maxAudience {
		return refuse("audience", "give at most 50")
	}
	var open []string
	for _, resource := range r.Resources {
		if r.Operator || resource.DynamicClients {
			open = append(open, resource.URI)
		}
	}
	for _, uri := range audience {
		if !slices.Contains(open, uri) {
			return refuse("audience", shown(uri)+" is not a resource that this client may use; name a uri from resources in the configuration")
		}
	}
	if len(audience) == 0 && !r.Operator {
		audience = open
	}
	c.Audience = audience
	return nil
}

// applyScopes keeps every well-formed scope for an operator; a registration's unknown scopes are dropped rather than refused, because clients send what
// the protected resource's metadata lists.
func (r ClientRules) applyScopes(c *storage.Client, m *Metadata) error {
	if len(m.Scope) > maxScope {
		return refuse("scope", "it is longer than 2048 characters")
	}
	scopes := unique(strings.FieldsFunc(m.Scope, func(c rune) bool { return c == ' ' }))
	if len(scopes) > maxScopes {
		return refuse("scope", "give at most 50 scopes")
	}
	for _, s := range scopes {
		if !wellFormedScope(s) {
			return refuse("scope", shown(s)+" is not a scope: use printable ASCII without spaces, quotes and backslashes")
		}
	}
	known := slices.Clone(orList(r.KnownScopes, "openid", "profile", "email", "address", "phone", "offline_access"))
	var open []string
	for _, resource := range r.Resources {
		if slices.Contains(c.Audience, resource.URI) {
			open = append(open, resource.Scopes...)
		}
	}
	known = append(known, open...)
	if len(scopes) == 0 && slices.Contains(c.GrantTypes, "authorization_code") {
		scopes = unique(append([]string{"openid", "profile", "email", "offline_access"}, open...))
	}
	if !r.Operator {
		scopes = slices.DeleteFunc(scopes, func(s string) bool { return !slices.Contains(known, s) })
	}
	c.Scopes = scopes
	return nil
}

// wellFormedScope is scope-token of RFC 6749 section 3.3.
func wellFormedScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c < 0x21 || c > 0x7e || c == '"' || c == '\\' })
}

// unique drops repetitions and keeps the order; nil if nothing is left.
func unique(list []string) []string {
	var kept []string
	for _, s := range list {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

func orList(list []string, defaults ...string) []string {
	if list == nil {
		return defaults
	}
	return list
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// shown makes a sent value fit for a message: short, in printable ASCII, without quotes and backslashes.
func shown(s string) string {
	if s == "" {
		return "an empty value"
	}
	const limit = 100
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	s = strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, s)
	if cut {
		s += "..."
	}
	return s
}
