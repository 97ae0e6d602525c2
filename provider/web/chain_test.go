package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/telemetry"
	"gatehouse/storage"

	"gatehouse/templates"
)

func fails(err error) Handler {
	return func(http.ResponseWriter, *http.Request) error { return err }
}

func TestErrorsAreRenderedOnceByTheKindOfRoute(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
		retry  string
	}{
		"bad request": {BadRequest(templates.Plain("Name the app.")), 400, "invalid_request", ""},
		"wrapped":     {fmt.Errorf("load: %w", NotFound()), 404, "not_found", ""},
		"forbidden":   {Forbidden(templates.Plain("No.")), 403, "forbidden", ""},
		"limit":       {&Error{Status: 429, Code: "slow_down", Message: "Wait.", RetryAfter: 1500 * time.Millisecond}, 429, "slow_down", "2"},
		"storage":     {fmt.Errorf("read user: %w", storage.ErrUnavailable), 503, "temporarily_unavailable", "2"},
		"time-out":    {fmt.Errorf("read user: %w", context.DeadlineExceeded), 503, "temporarily_unavailable", "2"},
		"anything":    {errors.New("secret detail"), 500, "server_error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t, nil)
			k.Page("/page", fails(c.err), nil)
			k.Protocol("/json", []string{"GET"}, fails(c.err))
			k.Public("/public", fails(c.err))
			for path, contentType := range map[string]string{"/page": "text/html; charset=utf-8", "/json": "application/json", "/public": "application/json"} {
				resp := k.send("GET", path)
				wantStatus(t, resp, c.status)
				if resp.Header.Get("Content-Type") != contentType || resp.Header.Get("Retry-After") != c.retry || resp.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: headers %v", path, resp.Header)
				}
				body := text(t, resp)
				wire := c.code
				if path == "/json" && (wire == "not_found" || wire == "forbidden") {
					wire = "invalid_request" // the registry of OAuth errors has no such codes; the log keeps them
				}
				if contentType == "application/json" && !strings.Contains(body, `{"error":"`+wire+`","error_description":"`) {
					t.Errorf("%s: body %s", path, body)
				}
				if strings.Contains(body, "secret detail") {
					t.Errorf("%s: the cause is told to strangers: %s", path, body)
				}
				line := k.lastLine(t)
				if line["error"] != c.code || line["status"] != float64(c.status) {
					t.Errorf("%s: log line %v", path, line)
				}
				if c.status == 500 && (!strings.Contains(body, line["request_id"].(string)) || line["cause"] != "secret detail" || line["level"] != "ERROR") {
					t.Errorf("%s: no way from %q to %v", path, body, line)
				}
			}
		})
	}
}

func TestA9ErrorDescriptionKeepsToItsCharacters(t *testing.T) {
	k := newKernel(t, nil)
	k.Protocol("/json", []string{"GET"}, fails(BadRequest(templates.Plain("a \"quoted\" back\\slash\r\nline é"))))
	if body := text(t, k.send("GET", "/json")); !strings.Contains(body, `"a 'quoted' back'slash??line ?"`) {
		t.Errorf("body %s", body)
	}
}

func TestPanicIsA500AndOneLogLine(t *testing.T) {
	k := newKernel(t, nil)
	k.Page("/page", func(http.ResponseWriter, *http.Request) error { panic("lost\nmy \x1b[31mmind") }, nil)
	resp := k.send("GET", "/page")
	wantStatus(t, resp, 500)
	line := k.lastLine(t)
	if line["cause"] != `panic: lost\nmy \x1b[31mmind` || !strings.Contains(line["stack"].(string), "chain_test.go") || len(k.lines(t)) != 1 {
		t.Errorf("log %v", k.lines(t))
	}
}

func TestHalfAnAnswerIsCutOff(t *testing.T) {
	k := newKernel(t, nil)
	k.Public("/doc", func(w http.ResponseWriter, r *http.Request) error {
		io.WriteString(w, strings.Repeat("x", 10_000))
		panic("half way")
	})
	address, stop := serve(t, k, unlimited)
	resp, err := http.Get("http://" + address + "/doc")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	stop()
	if err == nil {
		t.Error("the client took half an answer for a whole one")
	}
	if line := k.lastLine(t); line["cause"] != "panic: half way" || len(k.lines(t)) != 1 {
		t.Errorf("log %v", k.lines(t))
	}
}

func TestErrorAfterTheAnswerBeganIsOnlyLogged(t *testing.T) {
	k := newKernel(t, nil)
	k.Public("/doc", func(w http.ResponseWriter, r *http.Request) error {
		io.WriteString(w, "begun")
		return errors.New("disk gone")
	})
	resp := k.send("GET", "/doc")
	if wantStatus(t, resp, 200); text(t, resp) != "begun" || k.lastLine(t)["cause"] != "disk gone" {
		t.Errorf("log %v", k.lastLine(t))
	}
}

func TestNobodyWaitingIsNoServerError(t *testing.T) {
	k := newKernel(t, nil)
	k.Public("/doc", func(w http.ResponseWriter, r *http.Request) error {
		return fmt.Errorf("read: %w: %w", storage.ErrUnavailable, r.Context().Err())
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/doc", nil))
	if line := k.lastLine(t); line["status"] != float64(499) || line["level"] != "INFO" {
		t.Errorf("log %v", line)
	}
}

func TestOneLogLineSaysWhatHappened(t *testing.T) {
	k := newKernel(t, func(o *Options) { o.Metrics = telemetry.New() })
	k.Page("/login", nil, func(w http.ResponseWriter, r *http.Request) error { return nil })
	k.Page("/page", func(w http.ResponseWriter, r *http.Request) error {
		Annotate(r, "client", "web-1")
		Annotate(r, "outcome", "login")
		Annotate(r, "rounds", 3)
		if RequestID(r.Context()) != w.Header().Get("X-Request-Id") {
			t.Error("two request ids")
		}
		return plain(w, "12345")
	}, nil)
	resp := k.send("GET", "/page?interaction=QUERYSECRET", "Cookie: __Host-gth_sid=COOKIESECRET", "Authorization: Bearer TOKENSECRET")
	if len(k.lines(t)) != 1 {
		t.Fatalf("log %v", k.lines(t))
	}
	line := k.lastLine(t)
	for key, want := range map[string]any{
		"level": "INFO", "msg": "request", "method": "GET", "route": "/page", "status": 200.0, "bytes": 5.0, "peer": "192.0.2.7", "client": "web-1", "outcome": "login", "rounds": 3.0,
		"request_id": resp.Header.Get("X-Request-Id"),
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	if line["time"] == nil || line["duration_ms"] == nil || len(line["request_id"].(string)) < 20 {
		t.Errorf("line %v", line)
	}
	k.send("POST", "/login", form("password", "BODYSECRET"), "Cookie: __Host-gth_flow=COOKIESECRET")
	if strings.Contains(k.log.String(), "SECRET") {
		t.Errorf("a secret is in the log: %s", k.log)
	}
}

func TestRequestIDsAreNotTakenFromOutside(t *testing.T) {
	k := newKernel(t, func(o *Options) { o.TrustedProxies = prefixes("0.0.0.0/0") }).standard()
	if id := k.send("GET", "/login", "X-Request-Id: mine").Header.Get("X-Request-Id"); id == "mine" || id == "" {
		t.Errorf("request id %q", id)
	}
}

func TestRow192HostileTextStaysOnOneLine(t *testing.T) {
	hostile := "a\r\n{\"level\":\"INFO\"}\x1b[2J\u2028\u009b31m\x00\xff" + strings.Repeat("x", 5000)
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t, nil)
			k.options.Log = slog.New(handler(k.log))
			k.Page("/page", func(_ http.ResponseWriter, r *http.Request) error {
				Annotate(r, "client", hostile)
				Annotate(r, "list", []string{hostile})
				Annotate(r, "outcome", errors.New(hostile))
				return errors.New(hostile)
			}, nil)
			k.send(strings.Repeat("M", 100), "/page?"+"x", "User-Agent: "+hostile)
			k.send("GET", "/page", "User-Agent: "+hostile)
			got := k.log.String()
			if strings.Count(got, "\n") != 2 || len(got) > 12_000 || strings.Contains(got, "MMM") {
				t.Errorf("%d bytes: %q", len(got), got)
			}
			for _, c := range got {
				if c != '\n' && (c < ' ' || c > '~') {
					t.Fatalf("the log has %q: %q", c, got)
				}
			}
		})
	}
}

func TestProbesAreDebugLines(t *testing.T) {
	k := newKernel(t, nil)
	k.Health(func(context.Context) error { return nil })
	k.send("GET", "/healthz")
	if line := k.lastLine(t); line["level"] != "DEBUG" {
		t.Errorf("log %v", line)
	}
}

func TestRememberLastsForTheRequest(t *testing.T) {
	type key struct{}
	k := newKernel(t, nil)
	k.Page("/page", func(w http.ResponseWriter, r *http.Request) error {
		before := Recall(r, key{})
		Remember(r, key{}, "a")
		Remember(r, key{}, "b")
		return plain(w, fmt.Sprint(before, Recall(r.WithContext(context.WithValue(r.Context(), key{}, 1)), key{})))
	}, nil)
	for range 2 {
		if got := text(t, k.send("GET", "/page")); got != "<nil>b" {
			t.Errorf("recalled %s", got)
		}
	}
}

func TestServerClosesWithinTheChain(t *testing.T) {
	k := newKernel(t, nil)
	k.Public("/doc", func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) })
	defer func() {
		if caught := recover(); caught != http.ErrAbortHandler {
			t.Errorf("recovered %v", caught)
		}
	}()
	k.send("GET", "/doc")
}
