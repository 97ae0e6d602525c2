package opaque

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
)

func TestMintedTokenHasTheScannableForm(t *testing.T) {
	form := regexp.MustCompile(`^gth_(ac|rt|at|cs|lk)_[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	for range 500 {
		for _, prefix := range []string{Code, Refresh, Access, Secret, Link} {
			token, signature := Mint(prefix)
			if !form.MatchString(token) || seen[token] {
				t.Fatalf("token %q is malformed or was made twice", token)
			}
			seen[token] = true
			if got, ok := Parse(prefix, token); !ok || got != signature || len(signature) != 43 {
				t.Fatalf("Parse(%q) = %q, %v; minted signature %q", token, got, ok, signature)
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
	prefixes := []string{Code, Refresh, Access, Secret, Link}
	for _, made := range prefixes {
		token, _ := Mint(made)
		for _, asked := range prefixes {
			if _, ok := Parse(asked, token); ok != (made == asked) {
				t.Errorf("Parse(%q, %s token) = %v", asked, made, ok)
			}
			swapped := asked + strings.TrimPrefix(token, made)
			if _, ok := Parse(asked, swapped); ok != (made == asked) {
				t.Errorf("the prefix of a %s token was swapped for %q and accepted: the checksum must cover it", made, asked)
			}
		}
	}
}

func TestRow54AlteredTokenIsRefused(t *testing.T) {
	token, _ := Mint(Refresh)
	half := len(Refresh) + 21
	recased := []byte(token)
	for i := len(Refresh); i < len(recased); i++ {
		if c := recased[i]; c >= 'a' && c <= 'z' {
			recased[i] = c - 'a' + 'A'
			break
		}
	}
	for name, altered := range map[string]string{
		"empty":     "",
		"prefix":    Refresh,
		"truncated": token[:len(token)-1],
		"extended":  token + "0",
		"padded":    token + "=",
		"space":     token[:len(token)-1] + " ",
		"re-cased":  string(recased),
		"halves":    Refresh + token[half:] + token[len(Refresh):half],
		"no prefix": strings.TrimPrefix(token, Refresh),
		"not ascii": Refresh + strings.Repeat("é", 24) + "0",
		"upper":     strings.ToUpper(Refresh) + strings.TrimPrefix(token, Refresh),
		"newline":   "\n" + token[1:],
	} {
		if altered == token {
			t.Fatalf("%s: the vector does not alter the token", name)
		}
		if _, ok := Parse(Refresh, altered); ok {
			t.Errorf("%s: %q was accepted", name, altered)
		}
	}
}

func TestEverySingleCharacterIsCovered(t *testing.T) {
	token, _ := Mint(Code)
	for i := range token {
		for _, c := range "0aZ-" {
			altered := token[:i] + string(c) + token[i+1:]
			if altered == token {
				continue
			}
			if _, ok := Parse(Code, altered); ok {
				t.Errorf("character %d changed to %q and the token was accepted", i, c)
			}
		}
	}
}
