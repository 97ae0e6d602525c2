package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong: where, what was written, and what to write instead.
type Fault struct {
	Key     string `json:"key"`
	Source  string `json:"source,omitempty"` // the file or variable that set it; empty for a default
	Value   string `json:"value,omitempty"`  // never a secret
	Problem string `json:"problem"`
	Fix     string `json:"fix,omitempty"`
}

func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Key)
	if f.Source != "" {
		fmt.Fprintf(&b, " (from %s)", f.Source)
	}
	b.WriteString(": ")
	if f.Value != "" {
		fmt.Fprintf(&b, "%q ", f.Value)
	}
	b.WriteString(f.Problem)
	if f.Fix != "" {
		b.WriteString("; " + f.Fix)
	}
	return b.String()
}

// Faults is the error of a wrong configuration: all of it, sorted by key.
type Faults []Fault

func (fs Faults) Error() string {
	lines := make([]string, 0, len(fs)+1)
	noun := "faults"
	if len(fs) == 1 {
		noun = "fault"
	}
	lines = append(lines, fmt.Sprintf("the configuration has %d %s:", len(fs), noun))
	for _, f := range fs {
		lines = append(lines, "  "+f.String())
	}
	return strings.Join(lines, "\n")
}

// fault records a fault of a key by its name.
func (l *loader) fault(key, problem, fix string) {
	i := indexKey(l.leaves, key)
	if i < 0 {
		l.faults = append(l.faults, Fault{Key: key, Problem: problem, Fix: fix})
		return
	}
	l.faultAt(l.leaves[i], text(l.leaves[i].value), problem, fix)
}

func (l *loader) faultAt(leaf leaf, value, problem, fix string) {
	if leaf.secret {
		value = ""
	}
	if len(value) > 200 {
		value = value[:200] + "..."
	}
	l.faults = append(l.faults, Fault{Key: leaf.key, Source: l.from[leaf.key], Value: value, Problem: problem, Fix: fix})
}

// itemField names a field of an item of a list.
type itemField struct {
	key   string
	item  int
	field string
}

// unreadable records a field of an item whose value cannot be had.
func (l *loader) unreadable(key string, f itemFault) {
	l.badItems[itemField{key, f.item, f.field}] = true
	l.faultIn(key, f)
}

// faultIn records a fault of an item. The value of a list is never told: it is long, and holds secrets.
func (l *loader) faultIn(key string, f itemFault) {
	l.faults = append(l.faults, Fault{Key: key, Source: l.from[key], Problem: itemName(f.item, f.id) + ": " + f.field + " " + f.problem, Fix: f.fix})
}

// itemName is how a message calls item i, by its place and its id if it has a good one.
func itemName(i int, id string) string {
	name := "item " + strconv.Itoa(i+1)
	if upstreamID.MatchString(id) {
		name += " (" + id + ")"
	}
	return name
}

// broken tells whether a key already has a fault, so that rules about it are not judged on the default.
func (l *loader) broken(key string) bool {
	return slices.ContainsFunc(l.faults, func(f Fault) bool { return f.Key == key })
}

func unknownKey(key, source string, known []leaf) Fault {
	f := Fault{Key: key, Source: source, Problem: "is no key of Gatehouse", Fix: "remove it"}
	if best := nearest(key, known, func(l leaf) string { return l.key }); best != "" {
		f.Fix = "did you mean " + best + "?"
	}
	return f
}

// unknownVariable is the fault of a variable that is none of the keys known, nor of those of single items.
func unknownVariable(name string, known []leaf, items []string) Fault {
	f := Fault{Key: name, Source: "environment", Problem: "sets no key of Gatehouse", Fix: "unset it"}
	if base, ok := strings.CutSuffix(name, "_FILE"); ok && slices.ContainsFunc(known, func(l leaf) bool { return l.env() == base }) {
		f.Fix = "only secrets can be read from a file; set " + base
		return f
	}
	best := nearest(name, known, leaf.env)
	if of := nearest(name, items, func(item string) string { return item }); of != "" {
		best = of
	}
	if best != "" {
		f.Fix = "did you mean " + best + "?"
	}
	return f
}

// nearest returns the known name that differs in at most three letters, or nothing.
func nearest[T any](name string, known []T, text func(T) string) string {
	best, bestDistance := "", 4
	for _, l := range known {
		if d := distance(name, text(l)); d < bestDistance {
			best, bestDistance = text(l), d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// pathless drops the operation and path of an I/O error: the fault names them already.
func pathless(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
