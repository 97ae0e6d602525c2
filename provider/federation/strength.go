package federation

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// authTime is when the person was last asked. A provider that was to ask anew has done so, or its answer would have been refused: that counts as now, whatever its clock says.
// Where max_age counts, the sign-in is as old as it was by the provider's clock when the ID token was issued: clocks may differ by the leeway, and then nobody could ever meet a
// short one. Both times are whole seconds, so that the difference may be one too many.
func (a *arrival) authTime(now time.Time) time.Time {
	switch {
	case a.AuthTime.IsZero() || a.walk.Fresh:
		return now
	case a.walk.MaxAge != nil:
		return now.Add(-max(0, a.Issued.Sub(a.AuthTime)-time.Second))
	}
	return a.AuthTime
}

// acr is our word for the provider's; "1" is a sign-in by one factor, of which nothing more is known.
func (p *provider) acr(told string) string {
	if ours := p.ACR[told]; told != "" && ours != "" {
		return ours
	}
	return "1"
}

// ACRValues are our words for what sign-ins at the providers may be, sorted, without "1".
func (f *Federation) ACRValues() []string {
	var values []string
	for _, p := range f.providers {
		for _, ours := range p.ACR {
			if ours != "1" && !slices.Contains(values, ours) {
				values = append(values, ours)
			}
		}
	}
	slices.Sort(values)
	return values
}

// wanted are the acr values that a request asks for, in the provider's words: those of acr_values, and first the ones that the parameter claims asks for in the ID token (OpenID
// Connect Core section 5.5.1.1).
func (p *provider) wanted(params url.Values) string {
	var claims struct {
		IDToken struct {
			ACR struct {
				Value  string   `json:"value"`
				Values []string `json:"values"`
			} `json:"acr"`
		} `json:"id_token"`
	}
	var ours []string
	if json.Unmarshal([]byte(params.Get("claims")), &claims) == nil {
		ours = append(claims.IDToken.ACR.Values, claims.IDToken.ACR.Value)
	}
	var theirs []string
	for _, value := range append(ours, strings.Fields(params.Get("acr_values"))...) {
		words := []string{value}
		if mapped := slices.DeleteFunc(slices.Sorted(maps.Keys(p.ACR)), func(word string) bool { return p.ACR[word] != value }); len(mapped) > 0 {
			words = mapped
		}
		for _, word := range words {
			if word != "" && !slices.Contains(theirs, word) {
				theirs = append(theirs, word)
			}
		}
	}
	return strings.Join(theirs, " ")
}

// methods are the values of amr that are worth passing on (RFC 8176): short words, ten at most. What a provider does not tell is not made up.
func methods(told []string) []string {
	var out []string
	for _, m := range told {
		if m != "" && len(m) <= 32 && len(out) < 10 && !slices.Contains(out, m) && !slices.ContainsFunc([]byte(m), func(c byte) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
			out = append(out, m)
		}
	}
	return out
}
