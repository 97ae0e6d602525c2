package federation

import (
	"net/url"
	"reflect"
	"slices"
	"strings"

	"gatehouse/provider/claims"
	"gatehouse/provider/upstream"
	"gatehouse/storage"
)

// What a provider says of a person, and what of it becomes a claim here (OpenID Connect Core section 5.1).

const (
	maxText  = 1 << 10 // bytes of a text
	maxItems = 200     // groups of a person
)

// claimGroups and claimRoles are the claims of RFC 9068 section 2.2.3.1 (RFC 7643 section 4.1.2).
const (
	claimGroups = "groups"
	claimRoles  = "roles"
)

// taken are the claims that are taken over, if they are told, without configuration. What says that something is verified is not among them.
var taken = []string{"name", "given_name", "family_name", "middle_name", "nickname", "picture", "locale", "zoneinfo"}

// addresses are the claims that pages and apps use as links or images. Nothing here is ever fetched by this server (security row 177).
var addresses = []string{"picture", "profile", "website"}

// Mapped are the claims that a sign-in gives a user, and those that it takes away because the configuration says that the provider decides about them and it told none.
type Mapped struct {
	Set  map[string]any
	Gone []string
}

// Map applies the configuration of an upstream to what the provider said. It changes nothing.
func (p *provider) Map(e *upstream.External) Mapped {
	m := Mapped{Set: map[string]any{}}
	for _, name := range taken {
		if value, ok := usable(name, e.Claims[name]); ok {
			m.Set[name] = value
		}
	}
	for name, from := range p.Claims {
		m.decide(name, name, find(e.Claims, from))
	}
	var groups []string
	if p.Groups != "" {
		groups = texts(find(e.Claims, p.Groups))
		m.list(claimGroups, groups)
	}
	if len(p.Roles) > 0 {
		var roles []string
		for role, of := range p.Roles {
			if slices.ContainsFunc(of, func(group string) bool { return slices.Contains(groups, group) }) {
				roles = append(roles, role)
			}
		}
		slices.Sort(roles)
		m.list(claimRoles, roles)
	}
	slices.Sort(m.Gone)
	return m
}

// Managed are the claims of groups and roles that an upstream fills in; they go with its accounts.
func Managed(c *upstream.Config) []string {
	var names []string
	if c.Groups != "" {
		names = append(names, claimGroups)
	}
	if len(c.Roles) > 0 {
		names = append(names, claimRoles)
	}
	return names
}

func (m *Mapped) decide(name, as string, value any) {
	if kept, ok := usable(as, value); ok {
		m.Set[name] = kept
		return
	}
	delete(m.Set, name)
	m.Gone = append(m.Gone, name)
}

func (m *Mapped) list(name string, items []string) {
	if len(items) == 0 {
		m.Gone = append(m.Gone, name)
		return
	}
	m.Set[name] = items
}

// apply changes a user's claims and tells whether it did.
func (m Mapped) apply(u *storage.User) bool {
	changed := false
	claims := map[string]any{}
	for name, value := range u.Claims {
		if slices.Contains(m.Gone, name) {
			changed = true
			continue
		}
		claims[name] = value
	}
	for name, value := range m.Set {
		if !same(claims[name], value) {
			claims[name], changed = value, true
		}
	}
	if changed {
		u.Claims = claims
	}
	return changed
}

// same compares a stored value with a new one: lists come back from the store as []any.
func same(a, b any) bool {
	if list, ok := b.([]string); ok {
		return slices.Equal(texts(a), list)
	}
	return reflect.DeepEqual(a, b)
}

// find follows a path such as "resource_access.app.roles" into nested objects. A member whose own name holds dots is found too.
func find(claims map[string]any, path string) any {
	if value, ok := claims[path]; ok {
		return value
	}
	for at := strings.IndexByte(path, '.'); at >= 0; {
		if inner, ok := claims[path[:at]].(map[string]any); ok {
			if value := find(inner, path[at+1:]); value != nil {
				return value
			}
		}
		next := strings.IndexByte(path[at+1:], '.')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return nil
}

// usable returns what of a value can be kept as a claim: texts without control characters, addresses that are http or https, and for address an object of texts.
func usable(name string, value any) (any, bool) {
	switch v := value.(type) {
	case string:
		if !printable(v) {
			return nil, false
		}
		if slices.Contains(addresses, name) && !webAddress(v) {
			return nil, false
		}
		return v, name != "address" && name != "updated_at"
	case map[string]any:
		kept := map[string]any{}
		for _, member := range addressMembers {
			if t, ok := v[member].(string); ok && printable(strings.NewReplacer("\r\n", "", "\n", "").Replace(t)) && len(t) <= maxText {
				kept[member] = t
			}
		}
		return kept, name == "address" && len(kept) > 0
	}
	return nil, false
}

// addressMembers are those of OpenID Connect Core section 5.1.1. Their texts may have lines.
var addressMembers = []string{"formatted", "street_address", "locality", "region", "postal_code", "country"}

// printable accepts a text of 1 to 1,024 bytes that holds nothing but what shows, as everywhere where people get claims.
func printable(text string) bool {
	_, hidden := claims.Hidden(text)
	return text != "" && len(text) <= maxText && !hidden
}

func webAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// texts is a claim that lists texts, or is one. What is no text of 1 to 1,024 printable bytes is left out, and what is more than 200.
func texts(value any) []string {
	var out []string
	add := func(v any) {
		if t, ok := v.(string); ok && printable(t) && len(out) < maxItems && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	switch v := value.(type) {
	case string:
		add(v)
	case []string:
		for _, item := range v {
			add(item)
		}
	case []any:
		for _, item := range v {
			add(item)
		}
	}
	return out
}
