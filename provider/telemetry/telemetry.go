package telemetry

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxValues is how many values a label may take before the rest is counted as "other": a bound, should a caller ever pass data.
const maxValues = 200

// maxCode is the length of the longest error code.
const maxCode = 40

// Metrics is one process's registry. A nil Metrics counts nothing. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	errors   *prometheus.CounterVec
	events   *prometheus.CounterVec
	routes   closedSet
	names    closedSet
	codes    closedSet
}

// New makes a registry with the collectors of the Go runtime and of the process.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gatehouse_http_request_duration_seconds",
			Help:    "Time to answer a request, by route pattern, method and class of status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method", "status"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_errors_total",
			Help: "Answers with an error, by route pattern and error code (RFC 6749 section 5.2 and its relatives).",
		}, []string{"route", "code"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_events_total",
			Help: "Audit events, by name.",
		}, []string{"event"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.errors, m.events,
	)
	return m
}

// Handler serves the metrics in the Prometheus formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Request counts one answered request. Route is the pattern, never the path; errorCode is empty if there was no error.
func (m *Metrics) Request(route, method string, status int, d time.Duration, errorCode string) {
	if m == nil {
		return
	}
	route = m.routes.value(route)
	m.requests.WithLabelValues(route, knownMethod(method), statusClass(status)).Observe(d.Seconds())
	if errorCode != "" {
		m.errors.WithLabelValues(route, m.knownCode(errorCode)).Inc()
	}
}

// Event counts one audit event by its name.
func (m *Metrics) Event(name string) {
	if m == nil {
		return
	}
	m.events.WithLabelValues(m.names.value(name)).Inc()
}

// Gauge registers a value that is read when the metrics are. Name is without the prefix "gatehouse_". It panics on a name used before.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_" + name, Help: help}, read))
}

// Counter is Gauge for a value that only grows.
func (m *Metrics) Counter(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gatehouse_" + name, Help: help}, read))
}

// closedSet passes the first maxValues different values and turns the rest into "other".
type closedSet struct {
	mu   sync.RWMutex
	seen map[string]bool
}

func (s *closedSet) value(v string) string {
	s.mu.RLock()
	known := s.seen[v]
	s.mu.RUnlock()
	if known {
		return v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	if len(s.seen) >= maxValues {
		return "other"
	}
	s.seen[v] = true
	return v
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

func statusClass(status int) string {
	switch {
	case status >= 100 && status < 600:
		return string(rune('0'+status/100)) + "xx"
	default:
		return "other"
	}
}

// knownCode passes what looks like an error code of a specification or of our pages: small letters and underscores. Codes are constants of the
// code; the shape keeps out data that reaches this place by mistake.
func (m *Metrics) knownCode(code string) string {
	if len(code) > maxCode || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "other"
	}
	return m.codes.value(code)
}
