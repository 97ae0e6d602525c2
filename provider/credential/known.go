package credential

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"
)

// known.txt.gz has passwords that were found out elsewhere, which attackers try first, from eight characters on, in small letters, one a line, in order. deploy/dev/known-passwords.sh makes it, and says
// where they come from.
//
//go:embed known.txt.gz
var knownText []byte

// knownPasswords reads the list at the first use, so that a start does not pay for it.
var knownPasswords = sync.OnceValue(func() []string {
	unpacked, err := gzip.NewReader(bytes.NewReader(knownText))
	if err != nil {
		panic("credential: known.txt.gz: " + err.Error()) // a fault of the build: the file is part of the program
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		panic("credential: known.txt.gz: " + err.Error())
	}
	return strings.Fields(string(text))
})

// folded is how passwords are compared with the known ones: whoever tries those tries them in capitals, too.
func folded(password string) string { return strings.ToLower(norm.NFKC.String(password)) }

func known(password string) bool {
	_, found := slices.BinarySearch(knownPasswords(), folded(password))
	return found
}
