package console

import (
	"errors"
	"strings"
	"testing"
)

type thing struct {
	Name string   `json:"name"`
	Tags []string `json:"tags,omitempty"`
	Off  bool     `json:"off"`
}

func TestTableKeepsTheOrderOfMembers(t *testing.T) {
	var out strings.Builder
	c := Console{Out: &out}
	if err := c.Show(thing{"a", []string{"x", "y"}, true}); err != nil {
		t.Fatal(err)
	}
	if want := "name  a\ntags  x, y\noff   true\n"; out.String() != want {
		t.Errorf("%q", out.String())
	}
}

// Row192: what a client or user is called must not move the operator's cursor or forge a line.
func TestRow192NothingPrintedControlsTheTerminal(t *testing.T) {
	for _, name := range []string{"a\x1b[2Jb", "a\r\nroot  admin", "a\u2028b", "a\u202eb", "a\x00b"} {
		var out strings.Builder
		c := Console{Out: &out}
		l := c.List("NAME")
		if err := errors.Join(c.Show(thing{Name: name, Tags: []string{name}}), l.Add(nil, name), l.End()); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), name) || strings.ContainsAny(out.String(), "\x1b\r\x00\u2028\u202e") || strings.Count(out.String(), "\n") != 5 {
			t.Errorf("%q is printed as %q", name, out.String())
		}
	}
}

func TestListIsOneJSONArray(t *testing.T) {
	for n, want := range []string{"[]\n", "[\n  {\n    \"name\": \"a\",\n    \"off\": false\n  }\n]\n"} {
		var out strings.Builder
		c := Console{Out: &out, JSON: true}
		l := c.List("NAME")
		for range n {
			if err := l.Add(thing{Name: "a"}, "a"); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.End(); err != nil || out.String() != want {
			t.Errorf("%d: %q %v", n, out.String(), err)
		}
	}
}

func TestSecretLosesItsLineEndAndNothingElse(t *testing.T) {
	for text, want := range map[string]string{"a b": "a b", " a \n": " a ", "a\r\n": "a", "a\n\n": "a\n"} {
		c := Console{In: strings.NewReader(text)}
		if got, err := c.ReadSecret(); err != nil || got != want {
			t.Errorf("%q is read as %q, %v", text, got, err)
		}
	}
	var usage UsageError
	for _, text := range []string{"", "\n"} {
		c := Console{In: strings.NewReader(text)}
		if _, err := c.ReadSecret(); !errors.As(err, &usage) {
			t.Errorf("%q: %v", text, err)
		}
	}
	c := Console{In: strings.NewReader(strings.Repeat("x", maxInput+1))}
	if _, err := c.ReadSecret(); err == nil {
		t.Error("more than 1 MiB is read")
	}
}
