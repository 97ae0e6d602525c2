// Package interop runs the client libraries of the JavaScript world against the program: openid-client and oauth4webapi in Node.js, oidc-client-ts in
// Chromium. And it runs the program against what people sign in with: node-oidc-provider, and another process of the program.
package interop

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// finding is a line that a script prints; see checks.mjs.
type finding struct {
	Check string
	OK    bool
	Error string
}

// missing skips the test, or fails it in CI.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// requireNode demands Node.js 20 and the libraries of package-lock.json.
func requireNode(t *testing.T) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is not installed; see deploy/dev/deps.sh")
	}
	recent := exec.Command(node, "-e", "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)")
	if err := recent.Run(); err != nil {
		missing(t, "node is older than version 20")
	}
	if _, err := os.Stat("node_modules/.package-lock.json"); err != nil {
		missing(t, "the libraries are not installed; run deploy/dev/deps.sh")
	}
}

// script runs a script against the server and demands that exactly the expected checks pass.
func (s *server) script(t *testing.T, name string, want expectation) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "node", name)
	c.Env = append(slices.Clone(s.env),
		"NODE_EXTRA_CA_CERTS="+s.tls.ca, "INTEROP_ISSUER="+s.issuer, "INTEROP_BIN="+s.bin, "INTEROP_USER="+email, "INTEROP_PASSWORD="+password, "INTEROP_RESOURCE="+resource,
		"INTEROP_CERT="+s.tls.cert, "INTEROP_KEY="+s.tls.key)
	var out, complaint bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaint
	err := c.Run()
	want.compare(t, parse(t, out.String()))
	if err != nil {
		t.Errorf("%s: %v: %s", name, err, complaint.String())
	}
}

// parse reads findings, one a line.
func parse(t *testing.T, text string) []finding {
	t.Helper()
	var found []finding
	for line := range strings.Lines(text) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%q is no finding: %v", line, err)
		}
		found = append(found, f)
	}
	return found
}

// expectation lists the checks that a script has to make, and to find good.
type expectation []string

func (want expectation) compare(t *testing.T, found []finding) {
	t.Helper()
	var made []string
	for _, f := range found {
		made = append(made, f.Check)
		if !f.OK {
			t.Errorf("%s: %s", f.Check, f.Error)
		}
	}
	for _, name := range want {
		if !slices.Contains(made, name) {
			t.Errorf("%q was not checked", name)
		}
	}
	for _, name := range made {
		if !slices.Contains(want, name) {
			t.Errorf("%q is not expected", name)
		}
	}
	t.Logf("%d checks", len(made))
}
