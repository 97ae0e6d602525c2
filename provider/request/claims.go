package request

// The claims parameter: OpenID Connect Core section 5.5.

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// Claim is one claim that is asked for by itself.
type Claim struct {
	Name string
	// Values are those of which the claim must have one to be of use to the client (members value and values), as JSON; nil means any.
	Values []json.RawMessage
}

// ScopeClaims are the claims that each scope asks for (OIDC Core section 5.4).
var ScopeClaims = map[string][]string{
	"profile": {"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"},
	"email":   {"email", "email_verified"},
	"address": {"address"},
	"phone":   {"phone_number", "phone_number_verified"},
}

// GroupClaims are the claims of further scopes (RFC 9068 section 2.2.3.1). Only federation fills them in, and only an operator gives a client these scopes, so discovery does not
// list them.
var GroupClaims = map[string][]string{"groups": {"groups"}, "roles": {"roles"}}

// ScopeOf returns the scope that a claim belongs to; empty if nobody here knows the claim.
func ScopeOf(claim string) string {
	for _, scopes := range []map[string][]string{ScopeClaims, GroupClaims} {
		for scope, names := range scopes {
			if slices.Contains(names, claim) {
				return scope
			}
		}
	}
	return ""
}

var (
	errClaims       = grant.Refuse("invalid_request", "The parameter claims must be a JSON object with the members userinfo and id_token, each an object or null.")
	errClaimsMember = grant.Refuse("invalid_request", "In the parameter claims each claim must be null or an object with essential (true or false), value and values (a list).")
	errClaimsText   = grant.Refuse("invalid_request", "In the parameter claims the value and values of acr and sub must be strings.")
)

// checkClaims reads what is asked for by itself. Claims that nobody here knows, and those of scopes that the client is not registered for, are ignored, essential
// or not (section 5.5.1). Two claims can fail the request: an essential acr (section 5.5.1.1), and sub, which names the user as id_token_hint does.
func checkClaims(req *Authorize) error {
	raw := req.Params.Get("claims")
	if raw == "" {
		return nil
	}
	// Maps, not structs: a struct's members would match in any case.
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &members) != nil || members == nil {
		return errClaims
	}
	var err error
	if req.UserinfoClaims, err = req.readClaims(members["userinfo"], false); err != nil {
		return err
	}
	req.IDTokenClaims, err = req.readClaims(members["id_token"], true)
	return err
}

// readClaims reads one of the two members, in order of name, so that equal requests give equal tokens.
func (r *Authorize) readClaims(member json.RawMessage, idToken bool) ([]Claim, error) {
	if member == nil {
		return nil, nil
	}
	var wanted map[string]json.RawMessage
	if json.Unmarshal(member, &wanted) != nil {
		return nil, errClaims
	}
	var claims []Claim
	for name, raw := range wanted {
		essential, values, err := readClaim(raw)
		if err == nil && (name == "sub" || name == "acr" && idToken) {
			err = r.demand(name, essential, values)
		}
		if err != nil {
			return nil, err
		}
		// Without openid there is neither an ID token nor userinfo.
		if scope := ScopeOf(name); scope != "" && slices.Contains(r.Client.Scopes, scope) && r.Has("openid") {
			claims = append(claims, Claim{name, values})
		}
	}
	slices.SortFunc(claims, func(a, b Claim) int { return strings.Compare(a.Name, b.Name) })
	return claims, nil
}

func readClaim(raw json.RawMessage) (essential bool, values []json.RawMessage, err error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return false, nil, errClaimsMember
	}
	if member, ok := members["essential"]; ok && json.Unmarshal(member, &essential) != nil {
		return false, nil, errClaimsMember
	}
	if member, ok := members["values"]; ok && json.Unmarshal(member, &values) != nil {
		return false, nil, errClaimsMember
	}
	if member, ok := members["value"]; ok && string(member) != "null" {
		values = append(values, member)
	}
	return essential, values, nil
}

// demand notes the values of sub and acr.
func (r *Authorize) demand(name string, essential bool, values []json.RawMessage) error {
	texts := make([]string, len(values))
	for i, value := range values {
		if json.Unmarshal(value, &texts[i]) != nil {
			return errClaimsText
		}
	}
	switch {
	case name == "sub" && len(texts) > 0:
		r.subs = append(r.subs, texts)
	case name == "acr" && essential:
		r.EssentialACR = texts
	}
	return nil
}

// Asked returns what the user must allow: the scopes of the request, and for each claim that is asked for by itself the scope that it belongs to. That is coarser than
// need be, on purpose. The consent page has words for scopes that people understand, the consent is remembered and shown on the account page in the same words, and
// so nobody ever gave less than what they saw; the tokens carry the single claims all the same. A consent of its own for each claim would ask again for what
// the scope was allowed for, and the other way round.
func (r *Authorize) Asked() []string {
	if len(r.UserinfoClaims) == 0 && len(r.IDTokenClaims) == 0 {
		return r.Scopes
	}
	asked := slices.Clone(r.Scopes)
	for _, claims := range [][]Claim{r.UserinfoClaims, r.IDTokenClaims} {
		for _, claim := range claims {
			if scope := ScopeOf(claim.Name); !slices.Contains(asked, scope) {
				asked = append(asked, scope)
			}
		}
	}
	return asked
}

// Asked is Authorize.Asked for the parameters of a request that was validated before, perhaps a while ago: what the client is not registered for any more is
// left out. The result is sorted.
func Asked(c *storage.Client, params url.Values) []string {
	req := &Authorize{Client: c, Params: params, ResponseType: canonical(params.Get("response_type"))}
	for scope := range strings.SplitSeq(params.Get("scope"), " ") {
		if slices.Contains(c.Scopes, scope) && (req.Returns("code") || !isOffline(scope)) {
			req.Scopes = append(req.Scopes, scope)
		}
	}
	_ = checkClaims(req) // a request whose claims are malformed never gets as far as to be asked about
	asked := slices.Sorted(slices.Values(req.Asked()))
	return slices.Compact(asked)
}
