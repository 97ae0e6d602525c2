package upstream_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

// at answers requests for one path by a handler of the test's own.
func at(path string, h http.HandlerFunc) upstreamtest.Faults {
	return upstreamtest.Faults{Before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		_ = r.ParseForm() // a server notices that the client has left only after the body
		h(w, r)
		return true
	}}
}

// hostile are answers that no honest provider gives.
func hostile(inside string) map[string]http.HandlerFunc {
	endless := func(contentType, text string, every time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			for err := error(nil); err == nil && r.Context().Err() == nil; {
				_, err = io.WriteString(w, text)
				_ = http.NewResponseController(w).Flush()
				if every > 0 {
					select {
					case <-r.Context().Done():
					case <-time.After(every):
					}
				}
			}
		}
	}
	return map[string]http.HandlerFunc{
		"100 MB": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(100<<20))
			for block, err := make([]byte, 64<<10), error(nil); err == nil; {
				_, err = w.Write(block)
			}
		},
		"endless JSON":  endless("application/json", `{"a":`+strings.Repeat("[", 1000), 0),
		"endless, slow": endless("application/json", " ", 10*time.Millisecond),
		"silent":        func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<!doctype html><script>alert(1)</script>")
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inside, http.StatusFound) },
		"redirect, 307": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inside, http.StatusTemporaryRedirect)
		},
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"a list":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") },
		"null":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "null") },
		"deep":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(`{"a":`, 40000)) },
		"wrong types": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"issuer":5,"access_token":{},"keys":"x","sub":[]}`)
		},
		"500": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<script>", http.StatusInternalServerError)
		},
		"404":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<script>", http.StatusNotFound) },
		"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "{}")
		},
		"nothing, 204":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"an empty thing": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") },
	}
}

// limit is how long a call may take in tests of slow providers; what it took may be longer, for the machine is shared.
const limit = 500 * time.Millisecond

// atOnce runs the cases of slow providers side by side, and the others, which end by themselves, one after the other.
func atOnce(t *testing.T, inside string, run func(name string, answer http.HandlerFunc, timeout time.Duration)) {
	t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	for name, answer := range hostile(inside) {
		if name != "silent" && name != "endless, slow" {
			run(name, answer, 0)
			continue
		}
		wg.Go(func() {
			start := time.Now()
			run(name, answer, limit)
			if took := time.Since(start); took > 2*limit+2*time.Second {
				t.Errorf("%s: took %s", name, took)
			}
		})
	}
}

func TestRow177HostileAnswersFailInTime(t *testing.T) {
	reached := make(chan struct{}, 1000)
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached <- struct{}{} }))
	defer inside.Close()
	for _, path := range []string{"/.well-known/openid-configuration", "/keys", "/token", "/userinfo"} {
		atOnce(t, inside.URL, func(name string, answer http.HandlerFunc, timeout time.Duration) {
			u, op := openID(t, func(s *driverSet) { s.timeout = timeout })
			op.SetUser(map[string]any{"sub": "user-1"}) // so that userinfo is needed
			op.Break(at(path, answer))
			e, err := walkTo(t, u, op, newAttempt())
			reason := upstream.Broken
			if timeout > 0 || name == "500" || name == "hangs up" {
				reason = upstream.Unavailable
			}
			wantRefusal(t, path+", "+name, err, reason)
			if e != nil || strings.Contains(fmt.Sprint(err), "<script>") {
				t.Errorf("%s, %s: %+v, %v", path, name, e, err)
			}
		})
	}
	if len(reached) != 0 {
		t.Error("a redirect was followed")
	}
}

func TestRow177HostileAnswersOfGitHubFailInTime(t *testing.T) {
	inside := httptest.NewServer(http.NotFoundHandler())
	defer inside.Close()
	for _, path := range []string{
		"/login/oauth/access_token", "/api/v3/user", "/api/v3/user/emails", "/api/v3/user/memberships/orgs", "/api/v3/orgs/acme/teams/ops/memberships/octocat",
	} {
		atOnce(t, inside.URL, func(name string, answer http.HandlerFunc, timeout time.Duration) {
			switch name {
			case "404", "null", "a list", "an empty thing", "wrong types":
				return // these mean something in places: TestGitHubWithoutPermission
			}
			u, hub := gitHubAt(t, func(s *driverSet) {
				s.timeout, s.Organizations, s.Teams = timeout, []string{"acme"}, []string{"acme/ops"}
			})
			hub.SetUser(upstreamtest.GitHubUser{ID: 583231, Login: "octocat", Orgs: map[string]string{"acme": "active"}, Teams: map[string]string{"acme/ops": "active"}})
			hub.Break(at(path, answer).Before, nil)
			e, err := walkTo(t, u, hub, newAttempt())
			var refusal *upstream.Refusal
			if e != nil || !errors.As(err, &refusal) || (refusal.Reason == upstream.Unavailable) != (timeout > 0 || name == "500" || name == "hangs up") {
				t.Errorf("%s, %s: %+v, %v", path, name, e, err)
			}
		})
	}
}

func TestRow177HostileDiscoveryDocumentsAreRefused(t *testing.T) {
	for name, change := range map[string]func(d map[string]any, issuer string){
		"no authorization endpoint": func(d map[string]any, _ string) { delete(d, "authorization_endpoint") },
		"no token endpoint":         func(d map[string]any, _ string) { delete(d, "token_endpoint") },
		"no key set":                func(d map[string]any, _ string) { delete(d, "jwks_uri") },
		"javascript":                func(d map[string]any, _ string) { d["authorization_endpoint"] = "javascript:alert(1)" },
		"data":                      func(d map[string]any, _ string) { d["end_session_endpoint"] = "data:text/html,<script>" },
		"relative":                  func(d map[string]any, _ string) { d["authorization_endpoint"] = "/authorize" },
		"user info": func(d map[string]any, _ string) {
			d["authorization_endpoint"] = "https://accounts.google.com@evil.example/"
		},
		"file":       func(d map[string]any, _ string) { d["jwks_uri"] = "file:///etc/passwd" },
		"a fragment": func(d map[string]any, iss string) { d["authorization_endpoint"] = iss + "/authorize#x" },
		"only private_key_jwt": func(d map[string]any, _ string) {
			d["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"}
		},
		"no method at all": func(d map[string]any, _ string) { d["token_endpoint_auth_methods_supported"] = []string{} },
	} {
		u, op := openID(t)
		op.Break(upstreamtest.Faults{Document: func(d map[string]any) { change(d, op.Issuer) }})
		if to, err := u.AuthURL(t.Context(), newAttempt()); to != "" {
			t.Errorf("%s: sends people to %s", name, to)
		} else {
			wantRefusal(t, name, err, upstream.Broken, "discovery document")
		}
		if err := probe(t, u); err == nil {
			t.Errorf("%s: may be used, says the probe", name)
		}
	}
}

func TestRow177AnIssuerThatIsNotTheConfiguredOneIsAMismatch(t *testing.T) {
	for name, change := range map[string]func(issuer string) any{
		"another": func(string) any { return "https://evil.example" }, "a slash more": func(s string) any { return s + "/" },
		"capitals": func(s string) any { return strings.ToUpper(s) },
		"none":     func(string) any { return "" }, "markup": func(string) any { return "<script>alert(1)</script>\x1b[2J" },
	} {
		u, op := openID(t)
		op.Break(upstreamtest.Faults{Document: func(d map[string]any) { d["issuer"] = change(op.Issuer) }})
		err := probe(t, u)
		var mismatch *upstream.Mismatch
		if !errors.As(err, &mismatch) || mismatch.Configured != op.Issuer || mismatch.Found != change(op.Issuer) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "markup" && (strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), `"<script>`)) {
			t.Errorf("not quoted: %v", err)
		}
		_, err = u.AuthURL(t.Context(), newAttempt())
		wantRefusal(t, name, err, upstream.Broken)
	}
}

func TestRow177AnHTTPSProviderCannotSendAnybodyOnOverHTTP(t *testing.T) {
	const issuer = "https://id.example"
	for _, endpoint := range []string{"", "authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"} {
		document := map[string]string{"issuer": issuer}
		for _, name := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"} {
			if document[name] = issuer + "/" + name; name == endpoint {
				document[name] = "http://id.example/" + name
			}
		}
		raw, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(bytes.NewReader(raw))}, nil
		})}
		u, err := upstream.FindKind("oidc").New(upstream.Options{Config: upstream.Config{Issuer: issuer, ClientID: "x", ClientSecret: "y"}, HTTP: client})
		if err != nil {
			t.Fatal(err)
		}
		to, err := u.AuthURL(t.Context(), newAttempt())
		if endpoint == "" && err != nil {
			t.Error(err)
		}
		if endpoint != "" {
			wantRefusal(t, endpoint+" "+to, err, upstream.Broken, endpoint)
		}
	}
}

func TestRow177EndpointsInsideTheNetworkAreNotReached(t *testing.T) {
	u, op := openID(t, func(s *driverSet) { s.deny = true })
	_, err := u.AuthURL(t.Context(), newAttempt())
	wantRefusal(t, "loopback that is not allowed", err, upstream.Unavailable)
	if n := op.Count("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("asked %d times", n)
	}
	for _, endpoint := range []string{"http://10.0.0.1/", "http://169.254.169.254/latest", "https://[::1]/", "http://intern.example/"} {
		u, op := openID(t, func(s *driverSet) { s.timeout = limit })
		op.Break(upstreamtest.Faults{Document: func(d map[string]any) { d["jwks_uri"] = endpoint }})
		_, err := walkTo(t, u, op, newAttempt())
		wantRefusal(t, endpoint, err, upstream.Unavailable, "key set")
	}
}

// Whoever waits for a slow provider waits for it once, and can leave.
func TestRow177ASlowProviderIsWaitedForOnce(t *testing.T) {
	u, op := openID(t, func(s *driverSet) { s.timeout = limit })
	op.Break(at("/.well-known/openid-configuration", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	start := time.Now()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := u.AuthURL(t.Context(), newAttempt())
			wantRefusal(t, "slow", err, upstream.Unavailable)
		})
	}
	wg.Go(func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := u.AuthURL(ctx, newAttempt()); !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
	})
	wg.Wait()
	if took, n := time.Since(start), op.Count("/.well-known/openid-configuration"); n != 1 || took > limit+2*time.Second {
		t.Errorf("asked %d times in %s", n, took)
	}
	// For ten seconds nobody asks at all.
	_, err := u.AuthURL(t.Context(), newAttempt())
	wantRefusal(t, "right after", err, upstream.Unavailable)
	if n := op.Count("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
