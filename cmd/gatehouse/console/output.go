package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// Show prints one object: as JSON, or as a line for each of its members.
func (c *Console) Show(object any) error {
	text, err := json.MarshalIndent(object, "", "  ")
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if c.JSON {
		_, err = fmt.Fprintf(c.Out, "%s\n", text)
		return err
	}
	members, err := members(text)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	for _, m := range members {
		fmt.Fprintf(w, "%s\t%s\n", m.name, m.value)
	}
	return w.Flush()
}

type member struct{ name, value string }

// members are the members of a JSON object in order, as text for people.
func members(object []byte) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	var out []member
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		out = append(out, member{fmt.Sprint(name), plain(value)})
	}
	return out, nil
}

func plain(value any) string {
	switch value := value.(type) {
	case string:
		return Printable(value)
	case []any:
		var parts []string
		for _, item := range value {
			parts = append(parts, plain(item))
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		text, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		return Printable(string(text))
	}
	return fmt.Sprint(value)
}

// Printable quotes text that could move the cursor or hide something on a terminal (security row 192).
func Printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// List prints any number of objects as they come, so that a long list needs no memory.
type List struct {
	json  bool
	out   io.Writer
	table *tabwriter.Writer
	count int
}

// List begins a list; the columns head its table.
func (c *Console) List(columns ...string) *List {
	l := &List{json: c.JSON, out: c.Out}
	if !l.json {
		l.table = tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(l.table, strings.Join(columns, "\t"))
	}
	return l
}

// Add prints object as JSON, or cells as a row.
func (l *List) Add(object any, cells ...string) error {
	l.count++
	if !l.json {
		for i := range cells {
			cells[i] = Printable(cells[i])
		}
		_, err := fmt.Fprintln(l.table, strings.Join(cells, "\t"))
		return err
	}
	text, err := json.MarshalIndent(object, "  ", "  ")
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	before := ",\n  "
	if l.count == 1 {
		before = "[\n  "
	}
	_, err = fmt.Fprintf(l.out, "%s%s", before, text)
	return err
}

// End finishes the list.
func (l *List) End() error {
	if !l.json {
		return l.table.Flush()
	}
	after := "\n]\n"
	if l.count == 0 {
		after = "[]\n"
	}
	_, err := io.WriteString(l.out, after)
	return err
}

// When writes a time for a table; zero is a dash.
func When(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// Say tells the operator what was done, where there is no object to show.
func (c *Console) Say(object any, format string, args ...any) error {
	if c.JSON {
		return c.Show(object)
	}
	_, err := fmt.Fprintf(c.Out, format+"\n", args...)
	return err
}
