package claims

// What a claim may hold: OpenID Connect Core sections 5.1 and 5.1.1.

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const maxClaim = 4 << 10 // bytes of one claim

// rule is what a claim must be: the type that JSON gives it, and for strings the form. A nil form takes any text.
type rule struct {
	kind string
	form func(string) error
}

// rules are the standard claims that a user can have.
var rules = map[string]rule{
	"name": {"string", nil}, "given_name": {"string", nil}, "family_name": {"string", nil}, "middle_name": {"string", nil}, "nickname": {"string", nil},
	"preferred_username": {"string", nil}, "profile": {"string", webAddress}, "picture": {"string", webAddress}, "website": {"string", webAddress},
	"gender": {"string", nil}, "birthdate": {"string", birthdate}, "zoneinfo": {"string", zoneinfo}, "locale": {"string", locale}, "updated_at": {"number", nil},
	"email": {"string", nil}, "email_verified": {"boolean", nil}, "phone_number": {"string", phone}, "phone_number_verified": {"boolean", nil}, "address": {"object", nil},
}

// Own are the claims that people may be allowed to change themselves: those that are one line of text, and of which no app relies on somebody having checked them.
var Own = []string{
	"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "phone_number",
}

// Editable are those that people may change unless the configuration says otherwise.
var Editable = []string{"name", "given_name", "family_name", "nickname", "website", "picture", "birthdate", "zoneinfo", "locale", "phone_number"}

// addressMembers are the members of address; all are strings.
var addressMembers = []string{"formatted", "street_address", "locality", "region", "postal_code", "country"}

// manyLines are the texts that may hold line ends.
var manyLines = []string{"address.formatted", "address.street_address"}

// reservedClaims belong to the protocol. A user who had one could pass for another user or widen a token (security row 120).
var reservedClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "acr", "amr", "azp", "nonce", "auth_time", "at_hash", "c_hash", "s_hash", "sid", "cnf", "scope", "client_id", "gid",
	"act", "may_act", "events", "roles", "groups", "entitlements", "sub_id", "sub_jwk", "token_use", "active", "authorization_details",
}

// checkClaim checks one claim by itself. With nulls, null is a claim that is to go.
func checkClaim(name string, value any, nulls bool) error {
	want, known := rules[name]
	switch {
	case slices.Contains(reservedClaims, strings.ToLower(name)):
		return fmt.Errorf("%s belongs to the protocol and cannot be a user's claim", name)
	case !known:
		return fmt.Errorf("%s is no standard claim of OpenID Connect (Core section 5.1)", printable(name))
	case value == nil && nulls:
		return nil
	case value == nil:
		return fmt.Errorf("%s must be of the JSON type %s, not null; leave it out if the user has none", name, want.kind)
	case jsonType(value) != want.kind:
		return fmt.Errorf("%s must be of the JSON type %s, not %s%s", name, want.kind, jsonType(value), unquote(want.kind, value))
	}
	switch value := value.(type) {
	case map[string]any:
		return checkAddress(value)
	case float64:
		return checkTime(name, value)
	case string:
		return checkText(name, value, want.form)
	}
	return nil
}

// printable quotes text that could move the cursor or hide something on a terminal (security row 192).
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// Check tells what is wrong with the text of one claim; nil if a user may have it. Claims that are not text are refused.
func Check(name, text string) error { return checkClaim(name, text, false) }

// unquote is the fix for what was only quoted by mistake.
func unquote(want string, value any) string {
	text, ok := value.(string)
	if ok && want == "boolean" && (text == "true" || text == "false") {
		return "; write " + text + " without quotes"
	}
	if ok && want == "number" && text != "" && strings.Trim(text, "0123456789") == "" {
		return "; write " + text + " without quotes"
	}
	return ""
}

// checkWhole checks what claims say about each other.
func checkWhole(claims map[string]any) error {
	if _, verified := claims["phone_number_verified"]; verified && claims["phone_number"] == nil {
		return errors.New("phone_number_verified is there without phone_number; add the number, or leave both out")
	}
	return nil
}

func checkAddress(address map[string]any) error {
	if len(address) == 0 {
		return errors.New("address is empty; leave it out if the user has none")
	}
	for member, value := range address {
		if !slices.Contains(addressMembers, member) {
			return fmt.Errorf("address.%s is no member of address; there are %s", printable(member), strings.Join(addressMembers, ", "))
		}
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("address.%s must be of the JSON type string, not %s", member, jsonType(value))
		}
		if err := checkText("address."+member, text, nil); err != nil {
			return err
		}
	}
	return nil
}

// latest is the end of the year 9999; later "seconds" are milliseconds.
const latest = 253402300799

func checkTime(name string, seconds float64) error {
	switch {
	case seconds < 0 || seconds != math.Trunc(seconds):
		return fmt.Errorf("%s must be a whole number of seconds since 1970", name)
	case seconds > latest:
		return fmt.Errorf("%s must be a number of seconds since 1970; this one looks like milliseconds, divide it by 1000", name)
	}
	return nil
}

func checkText(name, text string, form func(string) error) error {
	switch {
	case len(text) > maxClaim:
		return fmt.Errorf("%s is longer than 4 KiB", name)
	case strings.TrimSpace(text) == "":
		return fmt.Errorf("%s is empty; leave it out if the user has none", name)
	}
	line := text
	if slices.Contains(manyLines, name) {
		line = strings.NewReplacer("\r", "", "\n", "").Replace(text)
	}
	if r, hidden := Hidden(line); hidden {
		return fmt.Errorf("%s holds a control or formatting character (%U); remove it", name, r)
	}
	if form == nil {
		return nil
	}
	if err := form(text); err != nil {
		return fmt.Errorf("%s %s %w", name, printable(text), err)
	}
	return nil
}

func webAddress(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.ContainsFunc(text, unicode.IsSpace) {
		return errors.New("is no web address; write for example https://example.com/ada")
	}
	return nil
}

var errBirthdate = errors.New("is no date of birth; write 1815-12-10, or 0000-12-10 without the year, or 1815 alone")

// birthdate is YYYY-MM-DD, with the year 0000 for one that is not told, or YYYY.
func birthdate(text string) error {
	if _, err := time.Parse(time.DateOnly, text); err == nil {
		return nil
	}
	if _, err := time.Parse("2006", text); err != nil || text == "0000" {
		return errBirthdate
	}
	return nil
}

// zoneName has the shape of a name in the IANA time zone database. Whether there is such a zone depends on the database of each machine.
var zoneName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}$`)

func zoneinfo(text string) error {
	if !zoneName.MatchString(text) {
		return errors.New("is no time zone; write a name such as Europe/London")
	}
	return nil
}

// languageTag has the shape of RFC 5646 section 2.1.
var languageTag = regexp.MustCompile(`^([A-Za-z]{2,8}|[xX])(-[A-Za-z0-9]{1,8})*$`)

func locale(text string) error {
	if !languageTag.MatchString(text) {
		return errors.New("is no language tag; write for example en-GB, with a hyphen")
	}
	return nil
}

// phone takes E.164, which Core recommends, and what people write instead: old data bases are full of it.
func phone(text string) error {
	if !strings.ContainsAny(text, "0123456789") || strings.Trim(text, "+0123456789 ().-/;=,*#extEXT") != "" {
		return errors.New("is no telephone number; write for example +44 20 7946 0000")
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
