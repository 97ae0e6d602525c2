package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/rp/rptest"
)

// TestMain lets the test binary be the bare handler's process.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "serve-bare" {
		if err := ServeBare(context.Background(), "127.0.0.1:0", os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func options(p *rptest.Provider) Options {
	return Options{
		Issuer: p.Issuer, Client: Credentials{rptest.ClientID, rptest.ClientSecret}, User: Credentials{rptest.Username, rptest.Password},
		RedirectURI: "http://127.0.0.1:9/callback", Workers: 2, Duration: 100 * time.Millisecond,
	}
}

func run(t *testing.T, o Options) *Report {
	t.Helper()
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestEveryOperationIsDrivenAndMeasured(t *testing.T) {
	o := options(rptest.New(t))
	o.Server, o.Bare, o.Duration = []int{os.Getpid()}, []string{os.Args[0], "serve-bare"}, time.Second
	var told []string
	o.Progress = func(r Result) { told = append(told, r.Operation) }
	report := run(t, o)
	if !slices.Equal(told, Operations()) {
		t.Errorf("progress told %v", told)
	}
	for _, r := range report.Results {
		if r.Errors != 0 || r.Count == 0 || r.Rate <= 0 || r.P50 <= 0 || r.P50 > r.P95 || r.P95 > r.P99 || r.ServerCPU <= 0 || r.RSS <= 0 {
			t.Errorf("%s: %+v", r.Operation, r)
		}
		if r.Against != "" && r.Ratio <= 0 {
			t.Errorf("%s: no ratio to %s", r.Operation, r.Against)
		}
	}
	if report.RSASign <= 0 || report.Bare == nil || report.Bare.ServerCPU <= 0 || report.IdleRSS <= 0 {
		t.Errorf("yardsticks: %v, %+v", report.RSASign, report.Bare)
	}
}

func TestChosenOperationsRunInTheOrderOfTheTable(t *testing.T) {
	o := options(rptest.New(t))
	o.Operations = []string{"userinfo", "jwks"}
	report := run(t, o)
	if len(report.Results) != 2 || report.Results[0].Operation != "jwks" || report.Results[1].Operation != "userinfo" {
		t.Errorf("results: %+v", report.Results)
	}
	o.Operations = []string{"nothing"}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "client_credentials") {
		t.Errorf("an unknown operation: %v", err)
	}
}

func TestOperationWithoutEndpointIsSkipped(t *testing.T) {
	p := rptest.New(t)
	p.Break(rptest.Faults{Document: func(d map[string]any) { delete(d, "introspection_endpoint") }})
	o := options(p)
	o.Operations = []string{"introspect"}
	if r := run(t, o).Results[0]; r.Skipped == "" || r.Count != 0 || r.Errors != 0 {
		t.Errorf("result: %+v", r)
	}
}

// answerOn makes one path answer something else.
func answerOn(path string, status int, contentType, body string) rptest.Faults {
	return rptest.Faults{Before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, err := io.WriteString(w, body)
		return err == nil
	}}
}

// afterDiscovery leaves the first request alone, with which every run begins.
func afterDiscovery(f rptest.Faults) rptest.Faults {
	if next := f.Before; next != nil {
		first := true
		f.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if first {
				first = false
				return false
			}
			return next(w, r)
		}
	}
	return f
}

func TestWrongAnswersAreNoticed(t *testing.T) {
	claim := func(kind, name string, value any) rptest.Faults {
		return rptest.Faults{Claims: func(k string, c map[string]any) {
			if k == kind {
				c[name] = value
			}
		}}
	}
	kid := func(kind string) rptest.Faults {
		return rptest.Faults{Header: func(k string, h map[string]any) {
			if k == kind {
				h["kid"] = "unknown"
			}
		}}
	}
	const asJSON = "application/json"
	for name, c := range map[string]struct {
		operation string
		faults    rptest.Faults
	}{
		"jwks without keys":              {"jwks", answerOn("/.well-known/jwks.json", 200, asJSON, `{"keys":[]}`)},
		"jwks 500":                       {"jwks", answerOn("/.well-known/jwks.json", 500, asJSON, `{}`)},
		"discovery of another issuer":    {"discovery", answerOn("/.well-known/openid-configuration", 200, asJSON, `{"issuer":"x","token_endpoint":"x","jwks_uri":"x"}`)},
		"token 400":                      {"client_credentials", answerOn("/oauth2/token", 400, asJSON, `{"error":"invalid_scope"}`)},
		"token without expires_in":       {"client_credentials", answerOn("/oauth2/token", 200, asJSON, `{"access_token":"a","token_type":"Bearer"}`)},
		"token as text":                  {"client_credentials", answerOn("/oauth2/token", 200, "text/plain", `{"access_token":"a","token_type":"Bearer","expires_in":1}`)},
		"access token of another issuer": {"client_credentials", claim("access", "iss", "https://evil.example")},
		"access token expired":           {"client_credentials", claim("access", "exp", 1)},
		"access token of unknown key":    {"client_credentials", kid("access")},
		"ID token with another nonce":    {"authorize_token", claim("id", "nonce", "x")},
		"ID token of unknown key":        {"authorize_token", kid("id")},
		"ID token of another audience":   {"login", claim("id", "aud", "x")},
		"userinfo of somebody else":      {"userinfo", answerOn("/oauth2/userinfo", 200, asJSON, `{"sub":"else"}`)},
		"introspection not active":       {"introspect", answerOn("/oauth2/introspect", 200, asJSON, `{"active":false}`)},
		"introspection without active":   {"introspect", answerOn("/oauth2/introspect", 200, asJSON, `{}`)},
		"revocation 503":                 {"revoke", answerOn("/oauth2/revoke", 503, asJSON, `{"error":"temporarily_unavailable"}`)},
		"revocation does nothing":        {"revoke", answerOn("/oauth2/revoke", 200, asJSON, ``)},
		"page without a form":            {"login", answerOn("/login", 200, "text/html", `<form id="other"></form>`)},
		"callback with another state":    {"login", rptest.Faults{Response: func(v url.Values) { v.Set("state", "x") }}},
		"login in circles":               {"login", answerOn("/login", 200, "text/html", `<form id="login" action="/login">`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := rptest.New(t)
			o := options(p)
			o.Operations, o.Duration = []string{c.operation}, 50*time.Millisecond
			p.Break(afterDiscovery(c.faults))
			report := run(t, o)
			if r := report.Results[0]; r.Errors == 0 || r.FirstError == "" || len(report.Failed()) != 1 {
				t.Errorf("nothing was noticed: %+v", r)
			} else {
				t.Log(r.FirstError)
			}
		})
	}
}

func TestErrorsHoldNoTokenAndNoSecret(t *testing.T) {
	p := rptest.New(t)
	o := options(p)
	o.Client.Secret, o.User.Secret = "the-client-secret", "the-password"
	for _, r := range run(t, o).Results {
		if r.Operation == "discovery" || r.Operation == "jwks" {
			continue
		}
		if r.FirstError == "" || strings.Contains(r.FirstError, "the-") || strings.Contains(r.FirstError, "eyJ") {
			t.Errorf("%s: error %q", r.Operation, r.FirstError)
		}
	}
}

func TestReportIsTableJSONAndSVG(t *testing.T) {
	r := Report{
		Issuer: "http://127.0.0.1:1", Workers: 2, Seconds: 1, CPUs: 2, RSASign: 1.5, Bare: &Result{Operation: "bare", ServerCPU: .02, Rate: 9000},
		Results: []Result{
			{Operation: "discovery", Count: 10, Rate: 10, ServerCPU: .03, Comparison: Comparison{Against: againstBare, Limit: 2}},
			{Operation: "refresh", Count: 10, Rate: 10, ServerCPU: 2, DatabaseCPU: 1, Comparison: Comparison{Against: againstRSA, Limit: 1.6}},
			{Operation: "login", Trouble: Trouble{Errors: 1, FirstError: "status 500 <&>"}},
			{Operation: "introspect", Trouble: Trouble{Skipped: "no endpoint"}},
		},
	}
	r.compare()
	if got := r.Results[0].Ratio; got < 1.499 || got > 1.501 {
		t.Errorf("ratio to the bare handler is %v", got)
	}
	if failed := r.Failed(); len(failed) != 2 || !strings.HasPrefix(failed[0], "refresh: 2.00 times rsa2048") || !strings.HasPrefix(failed[1], "login: status 500") {
		t.Errorf("failed: %q", failed)
	}
	var table, object, chart bytes.Buffer
	if err := errors.Join(r.WriteTable(&table), r.WriteJSON(&object), r.WriteSVG(&chart)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"1.50 x bare", "FAILED refresh", "introspect: no endpoint"} {
		if !strings.Contains(table.String(), text) {
			t.Errorf("the table lacks %q:\n%s", text, &table)
		}
	}
	var back Report
	if err := json.Unmarshal(object.Bytes(), &back); err != nil || len(back.Results) != 4 || back.Results[1].Ratio != 2 {
		t.Errorf("JSON: %v %+v", err, back)
	}
	decoder := xml.NewDecoder(&chart)
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("SVG: %v", err)
		}
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	var list []time.Duration
	for i := range 100 {
		list = append(list, time.Duration(i+1))
	}
	for p, want := range map[int]time.Duration{1: 1, 50: 50, 95: 95, 99: 99, 100: 100} {
		if got := percentile(list, p); got != want {
			t.Errorf("p%d is %d", p, got)
		}
	}
	if percentile(nil, 50) != 0 || percentile(list[:1], 99) != 1 || percentile(list[:3], 50) != 2 {
		t.Error("short lists")
	}
}
