package templates

import (
	"cmp"
	"slices"
)

// offlineAccess is the scope of access without the browser session (OpenID Connect Core 1.0, 11).
const offlineAccess = "offline_access"

// knownScopes are the scopes every OpenID Provider knows (OpenID Connect Core 1.0, 5.4 and 11), and those of organisations; the catalogue has words for each.
var knownScopes = []string{"openid", "profile", "email", "phone", "address", "groups", "roles", offlineAccess}

// DescribeScope says in plain words what a scope lets a client do. A scope it does not know is returned
// as its own title, with a description that says so.
func DescribeScope(scope string) (title, description Text) {
	if slices.Contains(knownScopes, scope) {
		return Say("scope." + scope), Say("scope." + scope + "_more")
	}
	return Plain(scope), Say("scope.unknown_more")
}

// words fills in the words of a scope that came without any.
func (s ScopeView) words() ScopeView {
	if s.Title.Empty() {
		s.Title, s.Description = DescribeScope(s.Name)
	}
	return s
}

// scopeOrder is the order in which people read permissions: who they are first, what outlives the visit last.
var scopeOrder = map[string]int{"openid": -5, "profile": -4, "email": -3, "phone": -2, "address": -1, offlineAccess: 1}

// inWords puts scopes in order and fills in their words.
func inWords(scopes []ScopeView) []ScopeView {
	list := make([]ScopeView, 0, len(scopes))
	for _, s := range scopes {
		list = append(list, s.words())
	}
	slices.SortStableFunc(list, func(a, b ScopeView) int { return cmp.Compare(scopeOrder[a.Name], scopeOrder[b.Name]) })
	return list
}
