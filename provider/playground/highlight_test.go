package playground

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestHighlightKeepsEveryCharacterAndNamesTheParts(t *testing.T) {
	for _, text := range []string{
		`{"a":"b \" \\","c":[1,-2.5e3,true,null],"d":{},"e":"{}[],: \n"}`, `"text"`, `12`, `[]`, `not json <b>`, ``, "{\"\u00e9\":\"\u4e2d\"}",
	} {
		var joined strings.Builder
		for _, s := range highlight([]byte(text)) {
			joined.WriteString(s.Text)
		}
		if !json.Valid([]byte(text)) {
			if joined.String() != text {
				t.Errorf("%q became %q", text, joined.String())
			}
			continue
		}
		var want, got any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(joined.String()), &got); err != nil {
			t.Errorf("%q became %q: %v", text, joined.String(), err)
		}
	}
	classes := map[string]string{}
	for _, s := range highlight([]byte(`{"name":"text","n":7,"b":false}`)) {
		classes[s.Text] = s.Class
	}
	for text, class := range map[string]string{`"name"`: "json-name", `"text"`: "json-text", "7": "json-value", "false": "json-value"} {
		if classes[text] != class {
			t.Errorf("%s is %q, want %q", text, classes[text], class)
		}
	}
}
