package upstream

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-jose/go-jose/v4/json"
)

// leeway is how far the provider's clock may be from ours.
const leeway = time.Minute

// claimSet holds claims in the types that JSON gives them.
type claimSet map[string]any

// readClaims reads a JSON object.
func readClaims(raw []byte) (claimSet, bool) {
	var c claimSet
	err := json.Unmarshal(raw, &c)
	return c, err == nil && c != nil
}

// text is a claim that is a string, empty for any other.
func (c claimSet) text(name string) string {
	s, _ := c[name].(string)
	return s
}

// list is a claim that is a string or an array of strings (RFC 7519 section 4.1.3), nil for any other.
func (c claimSet) list(name string) []string {
	switch v := c[name].(type) {
	case string:
		return []string{v}
	case []any:
		out := make([]string, 0, len(v))
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil
			}
			out = append(out, s)
		}
		return out
	}
	return nil
}

// instant is a NumericDate (RFC 7519 section 2), zero for anything else and for times that cannot be.
func (c claimSet) instant(name string) time.Time {
	seconds, ok := c[name].(float64)
	if !ok || seconds <= 0 || seconds > 1e11 {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC()
}

// identifier tells whether s can name an account or a session: what OpenID Connect Core section 2 says of sub. Letters beyond ASCII are out, since two spellings of broken UTF-8
// would read the same.
func identifier(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// word is a claim that is a string and can be stored and compared as it came, empty for any other.
func (c claimSet) word(name string) string {
	if s := c.text(name); identifier(s) {
		return s
	}
	return ""
}

// maxMethods is how many items of amr are kept.
const maxMethods = 20

// methods is amr, an array of strings (OpenID Connect Core section 2), without what cannot be stored as it came.
func (c claimSet) methods() []string {
	if _, ok := c["amr"].([]any); !ok {
		return nil
	}
	list := slices.DeleteFunc(c.list("amr"), func(s string) bool { return !identifier(s) })
	return list[:min(len(list), maxMethods)]
}

// address is the claim email if it can be one, else empty.
func (c claimSet) address() string {
	s := c.text("email")
	at := strings.LastIndexByte(s, '@')
	odd := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar }
	if len(s) > 254 || at < 1 || at == len(s)-1 || strings.ContainsFunc(s, odd) {
		return ""
	}
	return s
}

// label is what the person knows the account by: one short line that any terminal can show.
func (c claimSet) label(email, id string) string {
	for _, s := range []string{email, c.text("preferred_username"), c.text("name"), id} {
		s = strings.TrimSpace(strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, s))
		if s != "" {
			return shortened(s, 200)
		}
	}
	return ""
}

// shortened cuts s to at most n bytes, between letters.
func shortened(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := 0
	for i := range s {
		if i > n {
			break
		}
		cut = i
	}
	return s[:cut]
}
