package telemetry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	return w.Body.String()
}

func TestRequestsErrorsAndEventsAreServed(t *testing.T) {
	m := New()
	m.Request("/oauth2/token", "POST", 200, 3*time.Millisecond, "")
	m.Request("/oauth2/token", "POST", 400, 3*time.Millisecond, "invalid_grant")
	m.Request("/oauth2/token", "POST", 401, 3*time.Millisecond, "invalid_client")
	m.Event("login.ok")
	m.Event("login.ok")
	m.Gauge("sessions", "Open sessions.", func() float64 { return 7 })
	m.Counter("password_hashes_total", "Hashes computed.", func() float64 { return 9 })
	text := scrape(t, m)
	for _, want := range []string{
		`gatehouse_http_request_duration_seconds_count{method="POST",route="/oauth2/token",status="2xx"} 1`,
		`gatehouse_http_request_duration_seconds_count{method="POST",route="/oauth2/token",status="4xx"} 2`,
		`gatehouse_http_request_duration_seconds_bucket{method="POST",route="/oauth2/token",status="2xx",le="0.005"} 1`,
		`gatehouse_errors_total{code="invalid_grant",route="/oauth2/token"} 1`,
		`gatehouse_errors_total{code="invalid_client",route="/oauth2/token"} 1`,
		`gatehouse_events_total{event="login.ok"} 2`,
		"gatehouse_sessions 7", "gatehouse_password_hashes_total 9", "go_goroutines ", "process_start_time_seconds ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestTwoServersInOneProcessDoNotShareCounts(t *testing.T) {
	a, b := New(), New()
	a.Event("login.ok")
	if strings.Contains(scrape(t, b), "login.ok") {
		t.Error("registries are shared")
	}
}

// Row197, Row192: what a request holds can neither grow the registry nor show up in it.
func TestLabelsStayFewWhateverIsSent(t *testing.T) {
	m := New()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				m.Request(fmt.Sprintf("/made/up/%d", i), fmt.Sprintf("M%d", i), 100+i+w, time.Millisecond, fmt.Sprintf("secret-%d", i))
				m.Event(fmt.Sprintf("event %d", i))
			}
		})
	}
	wg.Wait()
	text := scrape(t, m)
	if strings.Contains(text, "secret-") || strings.Contains(text, `method="M1"`) {
		t.Error("a made-up value became a label")
	}
	for label, most := range map[string]int{"route": maxValues + 1, "event": maxValues + 1, "method": 1, "status": 6, "code": 1} {
		seen := map[string]bool{}
		for _, found := range regexp.MustCompile(`[{,]`+label+`="([^"]*)"`).FindAllStringSubmatch(text, -1) {
			seen[found[1]] = true
		}
		if len(seen) == 0 || len(seen) > most {
			t.Errorf("label %s has %d values, at most %d are right", label, len(seen), most)
		}
	}
}

func TestNoMetricsAreNoTrouble(t *testing.T) {
	var m *Metrics
	m.Request("/", "GET", 200, 0, "") // must not panic
	m.Event("x")
	if got := scrape(t, New()); strings.Contains(got, "gatehouse_events_total{") {
		t.Error("a fresh registry has events")
	}
}
