package sqlstore

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/storage"
)

// trim brings a time to the store's precision.
func trim(t time.Time) time.Time { return readTime(micros(t)) }

// micros is a time as a column holds it: microseconds since 1970, 0 for no time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func readTime(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// blob makes bytes that are not NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// readBlob undoes blob.
func readBlob(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// errNotUTF8 refuses texts that JSON cannot hold.
var errNotUTF8 = errors.New("a text is not valid UTF-8")

// encode is a value as JSON text. The encoder would replace bytes that are not UTF-8 by the escape it uses for nothing else; what cannot be
// read back as it was is refused instead.
func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err == nil && notUTF8.Match(b) {
		err = errNotUTF8
	}
	if err != nil {
		return "", unavailable("encode row", err)
	}
	return string(b), nil
}

var notUTF8 = regexp.MustCompile(`(^|[^\\])(\\\\)*\\ufffd`)

func decode(text []byte, v any) error {
	if len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, v); err != nil {
		return unavailable("decode row", err)
	}
	return nil
}

// storable tells whether both engines can hold a text as it is.
func storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// plain makes a remark of the outside world (a User-Agent) storable; what cannot be stored is replaced.
func plain(s string) string {
	if storable(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// key makes any bytes a storable key. Two different keys stay different: no storable key starts with the unit separator that marks an encoded one,
// unless it is encoded itself.
func key(s string) string {
	const mark = "\x1f"
	if storable(s) && !strings.HasPrefix(s, mark) {
		return s
	}
	return mark + base64.RawURLEncoding.EncodeToString([]byte(s))
}

// taken turns a violated unique constraint into the field that is taken.
func taken(err error) error {
	var c *Conflict
	if !errors.As(err, &c) {
		return err
	}
	if strings.Contains(c.Constraint, "identities") {
		return &storage.ExistsError{Field: "identity"}
	}
	for _, field := range []string{"credential", "email", "username"} {
		if strings.Contains(c.Constraint, field) {
			return &storage.ExistsError{Field: field}
		}
	}
	return &storage.ExistsError{Field: "id"}
}
