package templates

import (
	"cmp"
	"slices"
)

// offlineAccess is the scope of access without the browser session (OpenID Connect Core 1.0, 11).
const offlineAccess = "offline_access"

// scopeTexts are plain words for the scopes every OpenID Provider knows (OpenID Connect Core 1.0, 5.4 and 11).
var scopeTexts = map[string][2]string{
	"openid":      {"Know who you are", "It gets an id that stands for you."},
	"profile":     {"See your profile", "Your name, picture and other details, such as birth date and language."},
	"email":       {"See your e-mail address", "The address, and whether it has been confirmed."},
	"phone":       {"See your phone number", "The number, and whether it has been confirmed."},
	"address":     {"See your postal address", "The address in your profile."},
	"groups":      {"See your groups", "The groups that your organisation put you in."},
	"roles":       {"See your roles", "What you may do in your organisation's apps."},
	offlineAccess: {"Keep access when you are away", "Until you disconnect it on your account page."},
}

// DescribeScope says in plain words what a scope lets a client do. A scope it does not know is returned
// as its own title, with a description that says so.
func DescribeScope(scope string) (title, description string) {
	if text, ok := scopeTexts[scope]; ok {
		return text[0], text[1]
	}
	return scope, "A permission that this app's services define."
}

// words fills in the words of a scope that came without any.
func (s ScopeView) words() ScopeView {
	if s.Title == "" {
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
