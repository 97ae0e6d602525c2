package place

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"github.com/oschwald/maxminddb-golang/v2"
)

const (
	// maxFile bounds the file, in bytes. The largest one of a city database is a quarter of that.
	maxFile = 512 << 20
	// maxName bounds a name, in characters.
	maxName = 60
	// maxSample is how many networks are asked for a place before a file is said to hold none.
	maxSample = 10_000
)

// fallback is the language of names that every file has.
const fallback = "en"

// Place is where an address probably is, in words for people, on one line and short. Either may be empty; both are if nothing is known.
type Place struct{ City, Country string }

// Options build a Book.
type Options struct {
	// File is the path of a database of cities or countries. It may be replaced while the server runs.
	File string
}

// Book answers where addresses are. It is safe for concurrent use; a nil Book knows nothing.
//
// The file is read into memory and not mapped: a mapping of a file that somebody overwrites in place ends the process at the next look-up (SIGBUS), and one that was replaced must not be unmapped
// while a look-up reads it. Memory that nobody refers to any more goes by itself. It costs the size of the file, and twice that for the moment of a reload.
type Book struct {
	file   string
	reader atomic.Pointer[maxminddb.Reader]

	mu sync.Mutex // one Refresh at a time
	// seen is the file that was read last, and fault what is wrong with it; nil if it is the one in use.
	seen  fs.FileInfo
	fault error
}

// Open reads the file.
func Open(o Options) (*Book, error) {
	seen, reader, err := load(o.File)
	if err != nil {
		return nil, err
	}
	b := &Book{file: o.File, seen: seen}
	b.reader.Store(reader)
	return b, nil
}

// Near tells where an address (an IP address as text) probably is, in a language (BCP 47), in English for what has no name in it. An address that the file does not know, or that is none, is nowhere.
func (b *Book) Near(address, language string) Place {
	if b == nil {
		return Place{}
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return Place{}
	}
	found := b.reader.Load().Lookup(ip.Unmap())
	return Place{City: name(found, "city", language), Country: name(found, "country", language)}
}

// Refresh reads the file again if it was replaced. One that cannot be used changes nothing: it returns what is wrong, each time until there is another file, and the last good one stays in use.
func (b *Book) Refresh(context.Context) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now, err := os.Stat(b.file)
	if err != nil {
		return fmt.Errorf("look at file of places: %w", err)
	}
	if same(now, b.seen) {
		return b.fault
	}
	seen, reader, err := load(b.file)
	if seen != nil {
		b.seen, b.fault = seen, err
	}
	if err == nil {
		b.reader.Store(reader)
	}
	return err
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// load reads a file. What it was when the reading began is returned with most errors, too.
func load(path string) (seen fs.FileInfo, _ *maxminddb.Reader, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open file of places: %w", err)
	}
	defer file.Close()
	if seen, err = file.Stat(); err != nil {
		return nil, nil, fmt.Errorf("look at file of places: %w", err)
	}
	if !seen.Mode().IsRegular() || seen.Size() > maxFile {
		return seen, nil, fmt.Errorf("read file of places: %s is no file of at most %d MiB", path, maxFile>>20)
	}
	body := make([]byte, seen.Size())
	if _, err := io.ReadFull(file, body); err != nil {
		return seen, nil, fmt.Errorf("read file of places: %w", err)
	}
	if after, err := file.Stat(); err != nil || !same(seen, after) {
		return seen, nil, errors.New("read file of places: it was written to meanwhile")
	}
	reader, err := maxminddb.OpenBytes(body)
	if err != nil {
		return seen, nil, fmt.Errorf("read file of places: %w", err)
	}
	return seen, reader, check(reader)
}

// check tells whether a file holds places at all: one about network providers, say, has the same format and would show nothing without a word.
func check(reader *maxminddb.Reader) error {
	left := maxSample
	for found := range reader.Networks() {
		if err := found.Err(); err != nil {
			return fmt.Errorf("read networks of file of places: %w", err)
		}
		if name(found, "country", fallback)+name(found, "city", fallback) != "" {
			return nil
		}
		if left--; left == 0 {
			break
		}
	}
	return fmt.Errorf("read file of places: a %s has neither cities nor countries with names", cmp.Or(clean(reader.Metadata.DatabaseType), "database without a type"))
}

// name reads what something is called; a record that is broken or of another shape has no name.
func name(found maxminddb.Result, of, language string) string {
	base, _, _ := strings.Cut(language, "-")
	for _, tag := range [...]string{language, base, fallback} {
		var text string
		if err := found.DecodePath(&text, of, "names", tag); err != nil {
			return ""
		}
		if text = clean(text); text != "" {
			return text
		}
	}
	return ""
}

// clean makes a name fit for one line between other words: short, and without characters that steer a terminal or turn the direction of what follows (security rows 191 and 192).
func clean(s string) string {
	var b strings.Builder
	count, space := 0, false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case r == unicode.ReplacementChar || unicode.In(r, unicode.C):
			continue
		}
		if count++; count > maxName {
			return b.String() + "…"
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}
