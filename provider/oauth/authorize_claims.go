package oauth

// The part of the claims parameter that must not be ignored: OpenID Connect Core section 5.5.1.1. A client that calls an acr essential relies on the
// request failing if it cannot be had; all other claims are served by scope, and discovery says that the parameter is not supported for them.

import (
	"encoding/json"

	"gatehouse/provider/grant"
)

var errClaims = grant.Refuse("invalid_request", "The claims parameter is not a JSON object as OpenID Connect Core section 5.5 has it.")

// checkClaims reads the essential acr values of the ID token.
func checkClaims(req *AuthorizeRequest) error {
	raw := req.Params.Get("claims")
	if raw == "" {
		return nil
	}
	// Maps, not structs: a struct's members would match in any case.
	var wanted map[string]map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &wanted) != nil || wanted == nil {
		return errClaims
	}
	var acr map[string]json.RawMessage
	if member, ok := wanted["id_token"]["acr"]; ok && json.Unmarshal(member, &acr) != nil {
		return errClaims
	}
	var essential bool
	if member, ok := acr["essential"]; ok && json.Unmarshal(member, &essential) != nil {
		return errClaims
	}
	var value *string
	if member, ok := acr["value"]; ok && json.Unmarshal(member, &value) != nil {
		return errClaims
	}
	var values []string
	if member, ok := acr["values"]; ok && json.Unmarshal(member, &values) != nil {
		return errClaims
	}
	if value != nil {
		values = append(values, *value)
	}
	if essential {
		req.EssentialACR = values
	}
	return nil
}
