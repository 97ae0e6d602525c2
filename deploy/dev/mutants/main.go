// Command mutants is `make mutants`: it breaks the rule behind a line of the conformance checklist or a row of the attacks, one line of code at a time, and expects the test that is named
// beside it to go red. The tree is not touched: the compiler reads the broken file through an overlay. It prints a table and fails if a mutant survives.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mutant is one breakage.
type mutant struct {
	Line string // of the checklist, or the row of the attacks
	Rule string // what is broken, in words
	File string // from the root of the repository
	Old  string // text that is in the file exactly once, within one line
	New  string
	Test string // that must fail; with the name of its package and a dot in front if the line does not tell where it is
}

// The folders where the tests of the table are: those of section M of the attacks, federation, and those of the checklist.
const (
	folder           = "./provider/conformance"
	folderFederation = "./provider/federation"
)

// name is the name of the test in its package.
func (m mutant) name() string { return m.Test[strings.LastIndexByte(m.Test, '.')+1:] }

// folderOf is where a package is that a test is named with.
func folderOf(name string) string {
	switch name {
	case "provider":
		return "./provider"
	case "transfer":
		return "./cmd/gatehouse/transfer"
	}
	return "./provider/" + name
}

// place is where the test of a mutant is, and the pattern that runs it. One backend is enough to see a rule broken; which one it is makes no difference to it. The tests of the
// checklist have one subtest for each.
func (m mutant) place() (in, pattern string) {
	if in, name, found := strings.Cut(m.Test, "."); found {
		return folderOf(in), "^" + name + "$"
	}
	if strings.HasPrefix(m.Line, "M") {
		return folderFederation, "^" + m.Test + "$"
	}
	return folder, "^" + m.Test + "$/^sqlite$"
}

// The verdicts.
const (
	killed   = "killed"
	survived = "SURVIVED"
	broken   = "ERROR" // the table is wrong: it does not build, or no test ran
)

// timeout ends a mutant that makes its test hang; that counts as an error, since a test should say what is wrong.
const timeout = 5 * time.Minute

func main() {
	only := flag.String("run", "", "regular expression of the lines and tests to try; empty means all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("read -run: %w", err)
	}
	if err := unbroken(ctx, wanted); err != nil {
		return err
	}
	fmt.Println("| line | rule broken | file | test | verdict | s |\n|---|---|---|---|---|---:|")
	tried, bad := 0, 0
	for _, m := range all {
		if !m.matches(wanted) {
			continue
		}
		began := time.Now()
		verdict, output, err := try(ctx, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Line, err)
		}
		tried++
		fmt.Printf("| %s | %s | %s | %s | %s | %.0f |\n", m.Line, m.Rule, m.File, m.Test, verdict, time.Since(began).Seconds())
		if verdict != killed {
			bad++
			fmt.Fprintf(os.Stderr, "%s in %s:\n%s\n", m.Line, m.File, tail(output, 15))
		}
	}
	fmt.Printf("\n%d mutants, %d killed\n", tried, tried-bad)
	if bad > 0 {
		return fmt.Errorf("%d of %d mutants were not killed", bad, tried)
	}
	return nil
}

func (m mutant) matches(wanted *regexp.Regexp) bool {
	return wanted.MatchString(m.Line) || wanted.MatchString(m.Test)
}

// unbroken demands that the tests pass on the tree as it is: a test that is red anyway kills nothing.
func unbroken(ctx context.Context, wanted *regexp.Regexp) error {
	names := map[string][]string{} // by folder and what comes after the name
	for _, m := range all {
		in, pattern := m.place()
		_, rest, _ := strings.Cut(pattern, m.name())
		if key := in + " " + rest; m.matches(wanted) && !slices.Contains(names[key], m.name()) {
			names[key] = append(names[key], m.name())
		}
	}
	if len(names) == 0 {
		return errors.New("no line matches -run")
	}
	for key, tests := range names {
		in, rest, _ := strings.Cut(key, " ")
		limited, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		output, err := exec.CommandContext(limited, "go", "test", "-count=1", "-run", "^("+strings.Join(tests, "|")+")"+rest, in).CombinedOutput()
		if err != nil {
			return fmt.Errorf("the tests are red without a mutant: %w\n%s", err, tail(string(output), 30))
		}
	}
	return nil
}

// try runs the test of a mutant against it.
func try(ctx context.Context, m mutant) (verdict, output string, err error) {
	dir, err := os.MkdirTemp("", "gatehouse-mutant-")
	if err != nil {
		return "", "", fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(dir)
	if err != nil {
		return "", "", err
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	in, pattern := m.place()
	// Nobody debugs or vets a mutant, and linking is most of the time.
	cmd := exec.CommandContext(limited, "go", "test", "-count=1", "-vet=off", "-ldflags=-s -w", "-overlay", overlay, "-run", pattern, in)
	text, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return "", "", fmt.Errorf("run go test: %w", err)
	}
	return judge(m.name(), string(text), err == nil), string(text), nil
}

// overlay writes the broken file and the list that names it (go help build, -overlay).
func (m mutant) overlay(dir string) (string, error) {
	path, err := filepath.Abs(m.File)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", m.File, err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", m.File, err)
	}
	if n := bytes.Count(source, []byte(m.Old)); n != 1 {
		return "", fmt.Errorf("%s holds %q %d times, want once", m.File, m.Old, n)
	}
	replacement, list := filepath.Join(dir, filepath.Base(path)), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(replacement, bytes.Replace(source, []byte(m.Old), []byte(m.New), 1), 0o600); err != nil {
		return "", fmt.Errorf("write mutant: %w", err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {path: replacement}})
	if err != nil {
		return "", fmt.Errorf("encode overlay: %w", err)
	}
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	return list, nil
}

// judge reads the output of go test. Only the named test failing kills a mutant: a build that breaks, a panic or a test that does not exist shows nothing.
func judge(test, output string, passed bool) string {
	switch {
	case strings.Contains(output, "no tests to run"), strings.Contains(output, "[build failed]"), strings.Contains(output, "[setup failed]"), strings.Contains(output, "panic: "):
		return broken
	case passed:
		return survived
	case strings.Contains(output, "--- FAIL: "+test+" "):
		return killed
	}
	return broken
}

// tail returns the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
