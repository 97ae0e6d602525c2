package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../.."

// The table must not rot: what it breaks must be there, and so must the tests.
func TestEveryMutantCanBeMade(t *testing.T) {
	tests := map[string]map[string]bool{}
	seen := map[string]bool{}
	for _, m := range all {
		source, err := os.ReadFile(filepath.Join(root, m.File))
		if err != nil {
			t.Error(err)
			continue
		}
		if n := strings.Count(string(source), m.Old); n != 1 {
			t.Errorf("%s: %s holds %q %d times, want once", m.Line, m.File, m.Old, n)
		}
		if m.Old == m.New || m.Old == "" || strings.Contains(m.Old+m.New, "\n") || m.Line == "" || m.Rule == "" {
			t.Errorf("%s: not a one-line breakage with a rule: %q", m.Line, m.Old)
		}
		in, _ := m.place()
		if tests[in] == nil {
			tests[in] = testNames(t, in)
		}
		if !tests[in][m.name()] {
			t.Errorf("%s: there is no %s in %s", m.Line, m.Test, in)
		}
		if key := m.File + "\n" + m.Old + "\n" + m.New + "\n" + m.Test; seen[key] {
			t.Errorf("%s is there twice", m.Line)
		} else {
			seen[key] = true
		}
	}
	if len(table) < 30 || len(people) < 40 {
		t.Errorf("%d mutants of the checklist and %d of the people's rows, want at least 30 and 40", len(table), len(people))
	}
}

// testNames are the tests of a folder.
func testNames(t *testing.T, folder string) map[string]bool {
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", folder, err)
	}
	names := map[string]bool{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(string(source), -1) {
			names[found[1]] = true
		}
	}
	return names
}

func TestOnlyAFailingAssertionKills(t *testing.T) {
	for _, c := range []struct {
		output, want string
		passed       bool
	}{
		{"ok  \tgatehouse/provider/conformance\t0.5s", survived, true},
		{"ok  \tgatehouse/provider/conformance\t0.5s [no tests to run]", broken, true},
		{"FAIL\tgatehouse/provider/conformance [build failed]", broken, false},
		{"--- FAIL: TestA3 (0.1s)\n    x_test.go:1: wrong\nFAIL", killed, false},
		{"--- FAIL: TestA3Other (0.1s)\nFAIL", broken, false},
		{"--- FAIL: TestA3 (0.1s)\npanic: nil pointer\nFAIL", broken, false},
		{"FAIL\tgatehouse/provider/conformance 300s", broken, false},
	} {
		if got := judge("TestA3", c.output, c.passed); got != c.want {
			t.Errorf("%q: %s, want %s", c.output, got, c.want)
		}
	}
}
