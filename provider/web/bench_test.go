package web

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"gatehouse/provider/telemetry"
)

// BenchmarkChain is what the kernel adds to a bare handler.
func BenchmarkChain(b *testing.B) {
	k := newKernel(b, func(o *Options) {
		o.Log, o.Metrics = slog.New(slog.NewJSONHandler(io.Discard, nil)), telemetry.New()
	}).standard()
	r := httptest.NewRequest("GET", "/.well-known/jwks.json", nil)
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		k.ServeHTTP(w, r)
	}
}

type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}
