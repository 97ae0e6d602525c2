package playground

import (
	"bytes"
	"encoding/json"
	"strings"
)

// span is a piece of text with the CSS class of what it is; the template escapes it.
type span struct{ Class, Text string }

// highlight indents JSON and names its parts. Other text comes back as it is.
func highlight(body []byte) []span {
	var indented bytes.Buffer
	if json.Indent(&indented, body, "", "  ") != nil {
		return []span{{"", string(body)}}
	}
	text := indented.String()
	var spans []span
	for len(text) > 0 {
		class, size := lex(text)
		spans = append(spans, span{class, text[:size]})
		text = text[size:]
	}
	return spans
}

// lex returns the class and the length of what valid JSON begins with.
func lex(text string) (class string, size int) {
	const marks = "{}[],: \n"
	switch {
	case text[0] == '"':
		size = 1
		for text[size] != '"' {
			if text[size] == '\\' {
				size++
			}
			size++
		}
		size++
		if strings.HasPrefix(text[size:], ":") {
			return "json-name", size
		}
		return "json-text", size
	case strings.ContainsRune(marks, rune(text[0])):
		for size < len(text) && strings.IndexByte(marks, text[size]) >= 0 {
			size++
		}
		return "json-mark", size
	default:
		if size = strings.IndexAny(text, marks); size < 0 {
			size = len(text)
		}
		return "json-value", size
	}
}
