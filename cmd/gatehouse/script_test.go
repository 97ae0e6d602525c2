package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main})
}

// TestScript drives the program as an operator does: the real binary, real files, a real listener.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			port, err := freePort()
			if err != nil {
				return err
			}
			ops, err := freePort()
			if err != nil {
				return err
			}
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Setenv("PORT", port)
			env.Setenv("OPS", ops)
			env.Setenv("GATEHOUSE_ISSUER", "http://localhost:"+port)
			env.Setenv("GATEHOUSE_SERVER_LISTEN", "127.0.0.1:"+port)
			env.Setenv("GATEHOUSE_PASSWORDS_COST", "10")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ready": ready, "get": get, "token": token, "follow": follow, "keep": keep, "mode": mode, "absent": absent},
	})
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// eventually repeats try until it succeeds or half a minute is over.
func eventually(ts *testscript.TestScript, try func() error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("not within half a minute: %v", err)
		}
	}
}

// ready waits until the server in the background says that it is ready: ready
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	eventually(ts, func() error {
		status, body, err := fetch(ts, http.MethodGet, "/readyz", nil, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
}

// get fetches a path and shows the answer as standard output: get STATUS PATH [HOST]
func get(ts *testscript.TestScript, _ bool, args []string) {
	header := http.Header{}
	if len(args) > 2 {
		header.Set("Host", args[2])
	}
	status, body, err := fetch(ts, http.MethodGet, args[1], nil, header)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), body)
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("%s answers %d, want %s: %s", args[1], status, args[0], body)
	}
}

// follow fetches a path until the answer holds the text, or with ! holds it no more, which must be within a second of a change: [!] follow TEXT PATH
func follow(ts *testscript.TestScript, neg bool, args []string) {
	withinASecond(ts, func() error {
		_, body, err := fetch(ts, http.MethodGet, args[1], nil, nil)
		if err == nil && strings.Contains(body, args[0]) == neg {
			err = fmt.Errorf("%s answers %s", args[1], body)
		}
		return err
	})
}

// token asks for tokens with client_credentials until the answer has the status, which must be within a second of a change: token STATUS ID SECRET.
// A fourth argument says that the secret was chosen by a person: checking it takes a bcrypt, whose time is not counted.
func token(ts *testscript.TestScript, _ bool, args []string) {
	wait := withinASecond
	if len(args) > 3 {
		wait = eventually
	}
	wait(ts, func() error {
		header := http.Header{"Authorization": {"Basic " + basic(args[1], args[2])}}
		status, body, err := fetch(ts, http.MethodPost, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, header)
		if err == nil && strconv.Itoa(status) != args[0] {
			err = fmt.Errorf("status %d, want %s: %s", status, args[0], body)
		}
		return err
	})
}

func withinASecond(ts *testscript.TestScript, try func() error) {
	begin := time.Now()
	eventually(ts, try)
	if took := time.Since(begin); took > promise {
		ts.Fatalf("the server needed %v to follow", took)
	}
}

func basic(id, secret string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(id, secret)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

func fetch(ts *testscript.TestScript, method, path string, form url.Values, header http.Header) (int, string, error) {
	base := "http://127.0.0.1:" + ts.Getenv("PORT")
	if rest, ok := strings.CutPrefix(path, ":"); ok {
		base, path = "http://127.0.0.1:"+rest, ""
	}
	r, err := http.NewRequest(method, base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	for name := range header {
		r.Header.Set(name, header.Get(name))
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := (&http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

// keep puts a member of the JSON on standard output into a variable: keep VARIABLE MEMBER
func keep(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]any
	text := ts.ReadFile("stdout")
	if strings.HasPrefix(text, "[") {
		var all []map[string]any
		ts.Check(json.Unmarshal([]byte(text), &all))
		object = all[0]
	} else {
		ts.Check(json.Unmarshal([]byte(text), &object))
	}
	value, ok := object[args[1]]
	if !ok {
		ts.Fatalf("%s is not in %s", args[1], text)
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// mode compares a file's permissions: mode 0600 FILE
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// absent fails if the text of a variable is in one of the files: absent VARIABLE FILE...
func absent(ts *testscript.TestScript, _ bool, args []string) {
	secret := ts.Getenv(args[0])
	if len(secret) < 8 {
		ts.Fatalf("%s is %q, too short to look for", args[0], secret)
	}
	for _, file := range args[1:] {
		if strings.Contains(ts.ReadFile(file), secret) {
			ts.Fatalf("%s shows %s", file, args[0])
		}
	}
}
