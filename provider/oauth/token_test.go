package oauth

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
)

func TestMintedTokenHasTheScannableForm(t *testing.T) {
	form := regexp.MustCompile(`^gth_(ac|rt|at|cs)_[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	for range 500 {
		for _, prefix := range []string{PrefixCode, PrefixRefresh, PrefixAccess, PrefixSecret} {
			token, signature := Mint(prefix)
			if !form.MatchString(token) || seen[token] {
				t.Fatalf("token %q is malformed or was made twice", token)
			}
			seen[token] = true
			if got, ok := ParseToken(prefix, token); !ok || got != signature || len(signature) != 43 {
				t.Fatalf("ParseToken(%q) = %q, %v; minted signature %q", token, got, ok, signature)
			}
		}
	}
}

func TestSmallNumbersAreFilledToTheFullWidth(t *testing.T) {
	if got := digits(big.NewInt(61), bodyDigits); got != strings.Repeat("0", 42)+"Z" {
		t.Errorf("digits(61) = %q", got)
	}
	largest := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	if got := digits(largest, bodyDigits); len(got) != bodyDigits {
		t.Errorf("2^256-1 takes %d digits, want %d", len(got), bodyDigits)
	}
}

func TestRow45TokenOfAnotherKindIsRefused(t *testing.T) {
	prefixes := []string{PrefixCode, PrefixRefresh, PrefixAccess, PrefixSecret}
	for _, made := range prefixes {
		token, _ := Mint(made)
		for _, asked := range prefixes {
			if _, ok := ParseToken(asked, token); ok != (made == asked) {
				t.Errorf("ParseToken(%q, %s token) = %v", asked, made, ok)
			}
			swapped := asked + strings.TrimPrefix(token, made)
			if _, ok := ParseToken(asked, swapped); ok != (made == asked) {
				t.Errorf("the prefix of a %s token was swapped for %q and accepted: the checksum must cover it", made, asked)
			}
		}
	}
}

func TestRow54AlteredTokenIsRefused(t *testing.T) {
	token, _ := Mint(PrefixRefresh)
	half := len(PrefixRefresh) + 21
	recased := []byte(token)
	for i := len(PrefixRefresh); i < len(recased); i++ {
		if c := recased[i]; c >= 'a' && c <= 'z' {
			recased[i] = c - 'a' + 'A'
			break
		}
	}
	for name, altered := range map[string]string{
		"empty":     "",
		"prefix":    PrefixRefresh,
		"truncated": token[:len(token)-1],
		"extended":  token + "0",
		"padded":    token + "=",
		"space":     token[:len(token)-1] + " ",
		"re-cased":  string(recased),
		"halves":    PrefixRefresh + token[half:] + token[len(PrefixRefresh):half],
		"no prefix": strings.TrimPrefix(token, PrefixRefresh),
		"not ascii": PrefixRefresh + strings.Repeat("é", 24) + "0",
		"upper":     strings.ToUpper(PrefixRefresh) + strings.TrimPrefix(token, PrefixRefresh),
		"newline":   "\n" + token[1:],
	} {
		if altered == token {
			t.Fatalf("%s: the vector does not alter the token", name)
		}
		if _, ok := ParseToken(PrefixRefresh, altered); ok {
			t.Errorf("%s: %q was accepted", name, altered)
		}
	}
}

func TestEverySingleCharacterIsCovered(t *testing.T) {
	token, _ := Mint(PrefixCode)
	for i := range token {
		for _, c := range "0aZ-" {
			altered := token[:i] + string(c) + token[i+1:]
			if altered == token {
				continue
			}
			if _, ok := ParseToken(PrefixCode, altered); ok {
				t.Errorf("character %d changed to %q and the token was accepted", i, c)
			}
		}
	}
}
