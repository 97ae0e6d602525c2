// Package claims checks the standard claims (OpenID Connect Core section 5.1) that an operator or the user gives, and puts them into the user. The command line and
// the account page run it before a user is stored; what a relying party then sees of them is decided by package oauth.
package claims

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gatehouse/storage"
)

// Apply gives a new user the claims of a JSON object. All faults are told at once, by the claim's name, and leave the user as it was.
func Apply(u *storage.User, text []byte) error {
	claims, err := parse(text, false)
	if err != nil {
		return err
	}
	if email, ok := claims["email"].(string); ok {
		if u.Email != "" && u.Email != email {
			return errors.New("email is not the one of --email; leave one of the two out")
		}
	}
	if err := checkWhole(claims); err != nil {
		return err
	}
	if email, ok := claims["email"].(string); ok {
		u.Email = email
	}
	u.EmailVerified, _ = claims["email_verified"].(bool) // false unless the file says so
	delete(claims, "email")
	delete(claims, "email_verified")
	u.Claims = claims
	return nil
}

// Change is what an operator changes of a user.
type Change struct {
	// Claims is a JSON object: what it names replaces, null removes. nil changes none.
	Claims []byte
	// Replace drops every claim that Claims does not name. The e-mail address stays: it is what the user signs in with.
	Replace bool
	// Email is a new e-mail address; empty leaves it.
	Email string
}

// Apply makes the change. A new e-mail address or phone number is unverified unless Claims says otherwise, and a fixed updated_at gives way to the time of the
// change. All faults are told at once, by the claim's name, and leave the user as it was.
func (c Change) Apply(u *storage.User) error {
	named := map[string]any{}
	if c.Claims != nil {
		var err error
		if named, err = parse(c.Claims, true); err != nil {
			return err
		}
	}
	email, err := c.email(u, named)
	if err != nil {
		return err
	}
	verified := u.EmailVerified && email == u.Email
	if value, ok := named["email_verified"]; ok {
		verified, _ = value.(bool)
	}
	merged := c.merge(u.Claims, named)
	if err := checkWhole(merged); err != nil {
		return err
	}
	u.Email, u.EmailVerified, u.Claims = email, verified, merged
	return nil
}

// email is the address after the change.
func (c Change) email(u *storage.User, named map[string]any) (string, error) {
	value, ok := named["email"]
	email, _ := value.(string)
	switch {
	case ok && value == nil:
		return "", errors.New("email cannot be removed, since the user signs in with it; give another address, or delete the user")
	case ok && c.Email != "" && email != c.Email:
		return "", errors.New("email is not the one of --email; leave one of the two out")
	case ok:
		return email, nil
	case c.Email != "":
		return c.Email, nil
	}
	return u.Email, nil
}

// merge returns the claims after the change, without those that are fields of the user.
func (c Change) merge(before, named map[string]any) map[string]any {
	merged := map[string]any{}
	if !c.Replace {
		maps.Copy(merged, before)
	}
	delete(merged, "updated_at") // the change is the update, unless it says another time
	if phone, ok := named["phone_number"]; ok && phone != before["phone_number"] {
		delete(merged, "phone_number_verified")
		if phone != nil {
			merged["phone_number_verified"] = false
		}
	}
	maps.Copy(merged, named)
	delete(merged, "email")
	delete(merged, "email_verified")
	maps.DeleteFunc(merged, func(_ string, value any) bool { return value == nil })
	return merged
}

// parse reads and checks claims. With nulls, null stands for a claim that is to go.
func parse(text []byte, nulls bool) (map[string]any, error) {
	claims, err := decode(text)
	if err != nil {
		return nil, err
	}
	var errs []error
	for name, value := range claims {
		if err := checkClaim(name, value, nulls); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return nil, errors.Join(errs...)
	}
	return claims, nil
}

func decode(text []byte) (map[string]any, error) {
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
