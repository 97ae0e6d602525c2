package credential

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// PolicyError says why a new password is refused: Message in English, for the command line, and Reason for pages, which have words of their own in every language. It never holds the
// password.
type PolicyError struct {
	Message string
	Reason  Reason
	// Length is how many characters a password of the reason TooShort has, Least how many it needs.
	Length, Least int
}

func (e *PolicyError) Error() string { return e.Message }

// Reason is why a password is refused.
type Reason string

// The reasons.
const (
	TooLong  Reason = "long"
	NotText  Reason = "text"
	TooShort Reason = "short"
	Common   Reason = "common" // made of what everybody tries
	OwnWords Reason = "own"    // made of the user's own words, or the product's
)

var errTooLong = &PolicyError{Reason: TooLong, Message: fmt.Sprintf("The password is too long: at most %d bytes.", maxPassword)}

// product is a word that nobody may build a password on here.
const product = "gatehouse"

// judged is how many characters of a password are looked at.
const judged = 128

// longestOwn is the longest word of a user, in characters, that a password is searched for.
const longestOwn = 64

// leastScore is how much of a password must be left once common words, sequences, repetitions and the user's own words are taken out.
const leastScore = 8

// MinLength is the least length of a new password, in characters.
func (p *Passwords) MinLength() int { return p.minLength }

// Check judges a new password (NIST SP 800-63B-4 section 3.1.1.2): long enough, not one that everybody tries, not built on words: the
// user's e-mail, user name, name. There are no rules of composition. *PolicyError.
func (p *Passwords) Check(password string, words ...string) error {
	if len(password) > maxPassword {
		return errTooLong
	}
	if !utf8.ValidString(password) {
		return &PolicyError{Reason: NotText, Message: "The password is not valid text (UTF-8)."}
	}
	if n := utf8.RuneCountInString(norm.NFC.String(password)); n < p.minLength {
		return &PolicyError{Reason: TooShort, Length: n, Least: p.minLength, Message: fmt.Sprintf("The password is too short: it has %d characters, and at least %d are needed. A few unrelated words make a good one.", n, p.minLength)}
	}
	if score(password, nil) < leastScore || known(password) {
		return &PolicyError{Reason: Common, Message: "The password is too easy to guess: many people have it, or it is made of very common words, repetitions or keyboard patterns. A few unrelated words make a good one."}
	}
	if score(password, words) < leastScore {
		return &PolicyError{Reason: OwnWords, Message: "The password is too easy to guess: it is made of your own name, e-mail address or user name, or the name of this service."}
	}
	return nil
}

// score estimates what an attacker who knows the common passwords and the words still has to guess, in characters: of what is left of the
// password once the user's words (worth nothing), common words and sequences (worth two characters each, once) are taken out, a repetition
// counts for one round only.
func score(password string, words []string) int {
	own := ownWords(words)
	views := readings(password)
	text := views[0]
	known := map[string]bool{}
	var rest []rune
	for i := 0; i < len(text); {
		n, mine := match(views, i, own)
		if walk := sequence(text[i:]); walk >= 4 && walk > n {
			n, mine = walk, false
		}
		if n == 0 {
			rest = append(rest, text[i])
			i++
			continue
		}
		if !mine {
			known[string(text[i:i+n])] = true
		}
		i += n
	}
	return min(period(rest), distinct(rest)*2) + 2*len(known)
}

// ownWords returns the product's name and the parts of the user's words that are long enough to count.
func ownWords(words []string) map[string]bool {
	own := map[string]bool{product: true}
	for _, word := range words {
		word = word[:min(len(word), maxPassword)]
		for _, part := range strings.FieldsFunc(strings.ToLower(norm.NFKC.String(word)), func(r rune) bool { return !wordRune(r) }) {
			if n := utf8.RuneCountInString(part); n >= 3 && n <= longestOwn {
				own[part] = true
			}
		}
	}
	return own
}

// leet maps the digits and signs that are read as letters.
var leet = map[rune]rune{'@': 'a', '4': 'a', '0': 'o', '3': 'e', '$': 's', '5': 's', '7': 't', '+': 't', '!': 'i', '1': 'i'}

// readings returns the password in small letters as it is written, and twice with digits and signs read as letters (1 as i, 1 as l), rune by
// rune beside each other. Spaces and signs that are no letters in any reading are left out, unless there is nothing else.
func readings(s string) [3][]rune {
	var out [3][]rune
	s = strings.ToLower(norm.NFKC.String(s))
	signsOnly := strings.IndexFunc(s, wordRune) < 0
	for _, r := range s {
		letter, mapped := leet[r]
		if !signsOnly && !mapped && !wordRune(r) {
			continue
		}
		if !mapped {
			letter = r
		}
		out[0], out[1], out[2] = append(out[0], r), append(out[1], letter), append(out[2], letter)
		if r == '1' {
			out[2][len(out[2])-1] = 'l'
		}
		if len(out[0]) == judged {
			break
		}
	}
	return out
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// match returns the length of the longest known word that any reading has at i, and whether it is one of the user's own.
func match(views [3][]rune, i int, own map[string]bool) (n int, mine bool) {
	common := blocklist()
	longest := common.longest
	for w := range own {
		longest = max(longest, utf8.RuneCountInString(w))
	}
	for n := min(len(views[0])-i, longest); n >= 3; n-- {
		found := false
		for _, view := range views {
			s := string(view[i : i+n])
			if own[s] {
				return n, true
			}
			found = found || common.words[s]
		}
		if found {
			return n, false
		}
	}
	return 0, false
}

// rows are what fingers and minds walk along.
var rows = func() (out []string) {
	for _, row := range []string{"abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm"} {
		back := []rune(row)
		for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
			back[i], back[j] = back[j], back[i]
		}
		out = append(out, row, string(back))
	}
	return out
}()

// sequence returns how many characters at the start of text are one character again and again, or a walk along a row.
func sequence(text []rune) int {
	best := 1
	for best < len(text) && text[best] == text[0] {
		best++
	}
	for _, row := range rows {
		at := strings.IndexRune(row, text[0])
		if at < 0 {
			continue
		}
		n := 0
		for n < len(text) && at+n < len(row) && rune(row[at+n]) == text[n] {
			n++
		}
		best = max(best, n)
	}
	return best
}

// period returns the length of the shortest part that text repeats (Knuth, Morris, Pratt).
func period(text []rune) int {
	fail := make([]int, len(text)+1)
	for i, k := 1, 0; i < len(text); i++ {
		for k > 0 && text[i] != text[k] {
			k = fail[k]
		}
		if text[i] == text[k] {
			k++
		}
		fail[i+1] = k
	}
	return len(text) - fail[len(text)]
}

func distinct(text []rune) int {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return len(seen)
}

//go:embed common.txt
var commonText string

type wordlist struct {
	words   map[string]bool
	longest int
}

// blocklist reads the embedded words at the first use, so that a start does not pay for it.
var blocklist = sync.OnceValue(func() wordlist {
	list := wordlist{words: map[string]bool{}}
	for _, word := range strings.Fields(commonText) {
		list.words[word] = true
		list.longest = max(list.longest, utf8.RuneCountInString(word))
	}
	for year := 1900; year < 2050; year++ {
		list.words[strconv.Itoa(year)] = true
	}
	return list
})
