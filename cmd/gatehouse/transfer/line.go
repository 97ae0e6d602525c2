package transfer

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"gatehouse/provider/claims"
	"gatehouse/provider/credential"
	"gatehouse/storage"
)

// Line is a user as a line of JSON.
type Line struct {
	Sub           string         `json:"sub,omitempty"` // empty: one is made
	Email         string         `json:"email,omitempty"`
	EmailVerified bool           `json:"email_verified,omitempty"`
	Username      string         `json:"username,omitempty"`
	PasswordHash  string         `json:"password_hash,omitempty"` // see credential.Imported
	Claims        map[string]any `json:"claims,omitempty"`        // see package claims
	Disabled      bool           `json:"disabled,omitempty"`
	Locale        string         `json:"locale,omitempty"`
	TermsVersion  string         `json:"terms_version,omitempty"`
	TermsAccepted *time.Time     `json:"terms_accepted,omitempty"`
	Created       *time.Time     `json:"created,omitempty"`
	Identities    []Identity     `json:"identities,omitempty"`
}

// Identity is an account at an upstream.
type Identity struct {
	Upstream   string `json:"upstream"`
	ExternalID string `json:"external_id"`
	Label      string `json:"label,omitempty"`
}

// Hashes reads password hashes; *credential.Passwords does.
type Hashes interface {
	Restore(hash string) (encoded string, err error)
}

// names are the members that a line can have, each with where it goes.
func (l *Line) names() map[string]any {
	return map[string]any{
		"sub": &l.Sub, "email": &l.Email, "email_verified": &l.EmailVerified, "username": &l.Username, "password_hash": &l.PasswordHash, "disabled": &l.Disabled, "locale": &l.Locale,
		"terms_version": &l.TermsVersion, "terms_accepted": &l.TermsAccepted, "created": &l.Created, "identities": &l.Identities,
	}
}

// Parse reads a line. The user's Subject is empty if the line has no sub.
func Parse(text []byte, hashes Hashes, now time.Time) (storage.ImportedUser, *Fault) {
	var none storage.ImportedUser
	all, fault := members(text)
	if fault != nil {
		return none, fault
	}
	var l Line
	into := l.names()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		target, known := into[name]
		switch {
		case name == "password":
			return none, faultf(name, "holds a password in clear, which is not taken; hash it (bcrypt) and call it password_hash")
		case name == "claims":
			continue
		case !known:
			return none, faultf(name, "is no member known here")
		case bytes.Equal(all[name], []byte("null")):
			return none, faultf(name, "is null; leave it out if the user has none")
		}
		if err := strict(all[name], target); err != nil {
			if unknown, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
				return none, faultf(name, "holds %s, which is no member known here", unknown)
			}
			return none, faultf(name, "%s", wants(target))
		}
	}
	return l.user(all["claims"], hashes, now)
}

// strict decodes one member; objects in it must have known members only.
func strict(value []byte, target any) error {
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	return d.Decode(target)
}

func wants(target any) string {
	switch target.(type) {
	case *string:
		return "must be of the JSON type string"
	case *bool:
		return "must be true or false, without quotes"
	case **time.Time:
		return "must be a time such as 2020-01-31T12:00:00Z"
	}
	return `must be a list such as [{"upstream": "google", "external_id": "1234", "label": "ada@example.com"}]`
}

// user checks a line and makes a user of it, as `gatehouse user create` does.
func (l *Line) user(claimed []byte, hashes Hashes, now time.Time) (storage.ImportedUser, *Fault) {
	u := &storage.User{
		Subject: l.Sub, Email: strings.TrimSpace(l.Email), Username: strings.TrimSpace(l.Username), Disabled: l.Disabled, Locale: l.Locale, TermsVersion: l.TermsVersion,
	}
	out := storage.ImportedUser{User: u}
	if claimed != nil {
		if fault := applyClaims(u, claimed); fault != nil {
			return out, fault
		}
	}
	u.EmailVerified = l.EmailVerified
	for _, check := range []func(*storage.User, time.Time) *Fault{l.checkNames, l.checkSmall, l.checkTimes} {
		if fault := check(u, now); fault != nil {
			return out, fault
		}
	}
	if l.PasswordHash != "" {
		encoded, err := hashes.Restore(l.PasswordHash)
		if err != nil {
			return out, faultf("password_hash", "%v", err)
		}
		out.Password = encoded
	}
	for i := range l.Identities {
		id := &storage.Identity{Upstream: l.Identities[i].Upstream, ExternalID: l.Identities[i].ExternalID, Label: l.Identities[i].Label}
		if fault := CheckIdentity(id); fault != nil {
			return out, faultf("identities."+fault.Field, "%s", fault.Reason)
		}
		out.Identities = append(out.Identities, id)
	}
	return out, nil
}

// applyClaims takes the standard claims but those that are members of the line.
func applyClaims(u *storage.User, claimed []byte) *Fault {
	var named map[string]json.RawMessage
	if err := json.Unmarshal(claimed, &named); err != nil || named == nil {
		return faultf("claims", `must be an object such as {"given_name": "Ada"}`)
	}
	for _, name := range []string{"email", "email_verified"} {
		if _, there := named[name]; there {
			return faultf("claims."+name, "belongs outside of claims")
		}
	}
	if err := claims.Apply(u, claimed); err != nil {
		return faultf("claims", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

func (l *Line) checkNames(u *storage.User, _ time.Time) *Fault {
	var err error
	if u.Email != "" {
		if u.EmailKey, err = credential.EmailKey(u.Email); err != nil {
			return faultf("email", "%v", err)
		}
	}
	if u.Username != "" {
		if u.UsernameKey, err = credential.UsernameKey(u.Username); err != nil {
			return faultf("username", "%v", err)
		}
	}
	switch {
	case u.Email == "" && l.EmailVerified:
		return faultf("email_verified", "is true without an email")
	case u.Email == "" && u.Username == "" && len(l.Identities) == 0:
		return faultf("email", "is missing; a user needs an email, a username or an account at an upstream to sign in with")
	}
	return nil
}

const (
	maxSubject = 255 // OpenID Connect Core section 2
	maxTerms   = 100
)

func (l *Line) checkSmall(_ *storage.User, _ time.Time) *Fault {
	switch {
	case len(l.Sub) > maxSubject || strings.ContainsFunc(l.Sub, notVisible) || strings.Contains(l.Sub, " "):
		return faultf("sub", "is not up to %d visible ASCII characters", maxSubject)
	case len(l.TermsVersion) > maxTerms || strings.ContainsFunc(l.TermsVersion, unicode.IsControl):
		return faultf("terms_version", "is longer than %d bytes, or holds a control character", maxTerms)
	case (l.TermsVersion == "") != (l.TermsAccepted == nil):
		return faultf("terms_version", "and terms_accepted belong together")
	}
	if l.Locale != "" && claims.Check("locale", l.Locale) != nil {
		return faultf("locale", "is no language tag such as en or de-AT")
	}
	return nil
}

func (l *Line) checkTimes(u *storage.User, now time.Time) *Fault {
	for name, field := range map[string]struct {
		from *time.Time
		to   *time.Time
	}{"created": {l.Created, &u.Created}, "terms_accepted": {l.TermsAccepted, &u.TermsAccepted}} {
		switch {
		case field.from == nil:
		case field.from.Before(time.Unix(0, 0)) || field.from.After(now.Add(time.Minute)):
			return faultf(name, "is before 1970 or in the future")
		default:
			*field.to = field.from.UTC().Truncate(time.Microsecond)
		}
	}
	return nil
}

// maxIdentityText bounds what is told of an account, in bytes; see storage.Identity.
const maxIdentityText = 255

// CheckIdentity checks what an operator tells of an account at an upstream.
func CheckIdentity(i *storage.Identity) *Fault {
	for _, f := range []struct {
		field, text string
		shown       bool // to people, and so may be any text or none
	}{{"upstream", i.Upstream, false}, {"external_id", i.ExternalID, false}, {"label", i.Label, true}} {
		bad := notVisible
		if f.shown {
			bad = unicode.IsControl
		}
		switch {
		case f.text == "" && !f.shown:
			return faultf(f.field, "is missing")
		case len(f.text) > maxIdentityText:
			return faultf(f.field, "is longer than %d bytes", maxIdentityText)
		case strings.ContainsFunc(f.text, bad):
			return faultf(f.field, "holds a character that it cannot have; write it as the provider does")
		}
	}
	return nil
}

// notVisible tells what no id has: OpenID Connect Core section 2 wants ASCII.
func notVisible(r rune) bool { return r < ' ' || r > '~' }
