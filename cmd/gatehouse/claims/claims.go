// Package claims checks the standard claims (OpenID Connect Core section 5.1) that an operator gives a user. The command line runs it before a user is stored;
// what a relying party then sees of them is decided by package oauth.
package claims

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gatehouse/cmd/gatehouse/console"
	"gatehouse/storage"
)

const maxClaim = 4 << 10 // bytes of one claim

// claimTypes are the standard claims (OpenID Connect Core section 5.1) that a user can have, with the type that JSON gives each.
var claimTypes = map[string]string{
	"name": "string", "given_name": "string", "family_name": "string", "middle_name": "string", "nickname": "string", "preferred_username": "string",
	"profile": "string", "picture": "string", "website": "string", "gender": "string", "birthdate": "string", "zoneinfo": "string", "locale": "string",
	"updated_at": "number", "email": "string", "email_verified": "boolean", "phone_number": "string", "phone_number_verified": "boolean", "address": "object",
}

// addressMembers are the members of address (section 5.1.1); all are strings.
var addressMembers = []string{"formatted", "street_address", "locality", "region", "postal_code", "country"}

// reservedClaims belong to the protocol. A user who had one could pass for another user or widen a token (security row 120).
var reservedClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "acr", "amr", "azp", "nonce", "auth_time", "at_hash", "c_hash", "s_hash", "sid", "cnf", "scope", "client_id", "gid",
	"act", "may_act", "events", "roles", "groups", "entitlements",
}

// Apply takes the user's claims from a JSON object. All faults are told at once, by the claim's name.
func Apply(u *storage.User, text []byte) error {
	claims, err := decodeClaims(text)
	if err != nil {
		return err
	}
	var errs []error
	for name, value := range claims {
		if err := checkClaim(name, value); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return errors.Join(errs...)
	}
	if email, ok := claims["email"].(string); ok {
		if u.Email != "" && u.Email != email {
			return errors.New("email is not the one of --email; leave one of the two out")
		}
		u.Email = email
	}
	u.EmailVerified, _ = claims["email_verified"].(bool) // false unless the file says so
	delete(claims, "email")
	delete(claims, "email_verified")
	u.Claims = claims
	return nil
}

func decodeClaims(text []byte) (map[string]any, error) {
	if name := repeatedMember(text); name != "" {
		return nil, fmt.Errorf("%s is there twice", name)
	}
	var claims map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	err := decoder.Decode(&claims)
	if err == nil && decoder.Decode(&struct{}{}) != io.EOF {
		err = errors.New("something follows the object")
	}
	if err != nil || claims == nil {
		return nil, errors.New("is no JSON object such as {\"name\": \"Ada Lovelace\", \"email_verified\": true}")
	}
	return claims, nil
}

// repeatedMember returns a member of the outermost object that is there twice; the decoder would silently take the last.
func repeatedMember(text []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return ""
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return ""
		}
		if seen[name] {
			return name
		}
		seen[name] = true
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return ""
		}
	}
	return ""
}

func checkClaim(name string, value any) error {
	want, known := claimTypes[name]
	switch {
	case slices.Contains(reservedClaims, strings.ToLower(name)):
		return fmt.Errorf("%s belongs to the protocol and cannot be a user's claim", name)
	case !known:
		return fmt.Errorf("%s is no standard claim of OpenID Connect (Core section 5.1)", console.Printable(name))
	case jsonType(value) != want:
		return fmt.Errorf("%s must be of the JSON type %s, not %s", name, want, jsonType(value))
	case name == "address":
		return checkAddress(value)
	case name == "updated_at":
		if n, ok := value.(float64); !ok || n < 0 || n > 1<<53 {
			return errors.New("updated_at must be a number of seconds since 1970")
		}
	}
	return checkText(name, value)
}

func checkAddress(value any) error {
	for member, text := range value.(map[string]any) {
		if !slices.Contains(addressMembers, member) {
			return fmt.Errorf("address.%s is no member of address; there are %s", console.Printable(member), strings.Join(addressMembers, ", "))
		}
		if jsonType(text) != "string" {
			return fmt.Errorf("address.%s must be of the JSON type string, not %s", member, jsonType(text))
		}
		if err := checkText("address."+member, text); err != nil {
			return err
		}
	}
	return nil
}

func checkText(name string, value any) error {
	if text, ok := value.(string); ok && len(text) > maxClaim {
		return fmt.Errorf("%s is longer than 4 KiB", name)
	}
	return nil
}

func jsonType(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case map[string]any:
		return "object"
	case []any:
		return "array"
	}
	return "null"
}
