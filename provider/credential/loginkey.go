package credential

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// The limits of a login name, in bytes of its canonical form unless said otherwise.
const (
	maxTyped      = 1 << 10 // as it was typed
	maxEmail      = 254     // RFC 5321 section 4.5.3.1.3, less the brackets
	maxLocal      = 64
	maxUsername   = 64 // code points
	localSigns    = "!#$%&'*+-/=?^_`{|}~."
	usernameSigns = ".-_+"
	maxDomain     = 253
)

var (
	// ErrEmail says that a text is not an e-mail address that can be used here.
	ErrEmail = errors.New("not a usable e-mail address")
	// ErrUsername says that a text is not a user name that can be used here.
	ErrUsername = errors.New("not a usable user name: 1 to 64 letters, digits and . - _ +, beginning with a letter or digit")
)

// LoginKey returns the key under which a typed login is looked up and its failures are counted: that of an e-mail address if it holds an @ in any
// width, that of a user name otherwise. Whatever a person may type for the same account has one key. ErrEmail, ErrUsername: no account has such a login.
func LoginKey(s string) (string, error) {
	if len(s) <= maxTyped && strings.Contains(norm.NFKC.String(s), "@") {
		return EmailKey(s)
	}
	return UsernameKey(s)
}

// EmailKey checks an e-mail address and returns its canonical form: local part in NFKC, case-folded; domain in ASCII (IDNA2008, UTS 46). No quoted local parts,
// no address literals. ErrEmail.
func EmailKey(s string) (string, error) {
	s, ok := clean(s)
	if !ok {
		return "", ErrEmail
	}
	local, domain, found := strings.Cut(s, "@")
	if !found || strings.Contains(domain, "@") {
		return "", ErrEmail
	}
	local = fold(local)
	if local == "" || len(local) > maxLocal || !only(local, localSigns) || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", ErrEmail
	}
	domain, ok = domainKey(domain)
	if !ok || len(local)+1+len(domain) > maxEmail {
		return "", ErrEmail
	}
	return local + "@" + domain, nil
}

// UsernameKey checks a user name and returns its canonical form: NFKC, case-folded. It never holds an @. ErrUsername.
func UsernameKey(s string) (string, error) {
	s, ok := clean(s)
	if !ok {
		return "", ErrUsername
	}
	s = fold(s)
	if s == "" || utf8.RuneCountInString(s) > maxUsername || !only(s, usernameSigns) {
		return "", ErrUsername
	}
	if first, _ := utf8.DecodeRuneInString(s); !unicode.IsLetter(first) && !unicode.IsDigit(first) {
		return "", ErrUsername
	}
	return s, nil
}

// clean trims and normalises, and refuses what is no text or too long to look at.
func clean(s string) (string, bool) {
	if len(s) > maxTyped || !utf8.ValidString(s) {
		return "", false
	}
	return strings.TrimSpace(norm.NFKC.String(s)), true
}

// fold ends in a form that folds to itself.
func fold(s string) string {
	for range 4 {
		next := norm.NFKC.String(cases.Fold().String(s))
		if next == s {
			break
		}
		s = next
	}
	return s
}

// only tells whether s consists of letters, their marks, digits and the given signs: no spaces, controls, or invisible format characters.
func only(s, signs string) bool {
	for _, r := range s {
		if !unicode.In(r, unicode.L, unicode.M, unicode.Nd) && !strings.ContainsRune(signs, r) {
			return false
		}
	}
	return true
}

var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.CheckJoiners(true), idna.CheckHyphens(true),
	idna.StrictDomainName(true), idna.ValidateLabels(true), idna.VerifyDNSLength(true))

// domainKey returns the one ASCII form of a domain name, without the root's dot.
func domainKey(domain string) (string, bool) {
	ascii, err := domains.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil || ascii == "" || len(ascii) > maxDomain {
		return "", false
	}
	top := ascii[strings.LastIndexByte(ascii, '.')+1:]
	if strings.Trim(top, "0123456789") == "" { // an IPv4 address, whole or short
		return "", false
	}
	return ascii, true
}
