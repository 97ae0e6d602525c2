package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
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

func unknownVariable(name string, known []leaf) Fault {
	f := Fault{Key: name, Source: "environment", Problem: "sets no key of Gatehouse", Fix: "unset it"}
	if base, ok := strings.CutSuffix(name, "_FILE"); ok && slices.ContainsFunc(known, func(l leaf) bool { return l.env() == base }) {
		f.Fix = "only secrets can be read from a file; set " + base
		return f
	}
	if best := nearest(name, known, leaf.env); best != "" {
		f.Fix = "did you mean " + best + "?"
	}
	return f
}

// nearest returns the known name that differs in at most three letters, or shares the last part, or nothing.
func nearest(name string, known []leaf, text func(leaf) string) string {
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
