package claims

import (
	"unicode"
	"unicode/utf8"
)

// joiners bind letters and signs together: Persian, the languages of India and many pictures are not written without.
var joiners = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x200c, Hi: 0x200d, Stride: 1}}}

// Hidden finds the first character of a text that does not show as itself but does something to what stands around it: it moves a cursor, ends a line, turns the direction of the text or hides in it
// (security rows 191 and 192). utf8.RuneError stands for what is no UTF-8.
func Hidden(text string) (found rune, there bool) {
	if !utf8.ValidString(text) {
		return utf8.RuneError, true
	}
	for _, r := range text {
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) && !unicode.Is(joiners, r) {
			return r, true
		}
	}
	return 0, false
}
