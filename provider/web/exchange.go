package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strconv"
	"time"

	"gatehouse/provider/audit"
)

// exchange is what the kernel knows about one request and its answer: one allocation that is at the same time the request's context and its response
// writer.
type exchange struct {
	context.Context
	http.ResponseWriter
	mux     *Mux
	route   *route
	vars    map[string]string
	id      string
	peer    netip.Addr
	started time.Time

	status int // 0 until the header is written
	bytes  int64

	entry
	kept
}

// entry is what the log line will say beside the plain facts.
type entry struct {
	client, code, cause string
	notes               []slog.Attr
}

// kept is what one part of the request leaves for the next.
type kept struct {
	params   *parsed
	cookies  []cookie // set in this answer
	memories []memory
	wishes   wishes
}

// memory is a value that a feature keeps for the length of a request.
type memory struct{ key, value any }

type exchangeKey struct{}

// Value makes the exchange findable in the contexts derived from it.
func (x *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return x
	}
	return x.Context.Value(key)
}

// from returns the exchange of a request that came through a Mux.
func from(r *http.Request) *exchange {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		panic("web: the request did not come through a Mux")
	}
	return x
}

func (x *exchange) WriteHeader(status int) {
	if x.status != 0 {
		return
	}
	if status >= 200 { // 1xx answers come before the real one
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	n, err := x.ResponseWriter.Write(p)
	x.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the server's writer.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// ServeHTTP runs the chain.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, mux: m, started: m.options.Now(), id: rand.Text()}
	x.peer = m.peer(r)
	x.Context = audit.WithRequest(r.Context(), audit.RequestInfo{ID: x.id, Peer: x.peerText(), UserAgent: clean(r.UserAgent(), 256)})
	r = r.WithContext(x)
	x.route, x.vars = m.find(r)
	m.setHeaders(x, len(r.TransferEncoding) > 0)
	defer m.finish(x, r)
	if err := m.serve(x, r); err != nil {
		m.fail(x, r, err)
	}
}

// finish recovers from a panic, counts and logs. It runs deferred.
func (m *Mux) finish(x *exchange, r *http.Request) {
	if caught := recover(); caught != nil {
		m.recovered(x, r, caught)
	}
	if x.status == 0 {
		x.status = http.StatusOK
	}
	elapsed := m.options.Now().Sub(x.started)
	method := knownMethod(r.Method)
	if m.options.Metrics != nil {
		m.options.Metrics.Request(x.route.pattern, method, x.status, elapsed, x.code)
	}
	m.log(x, method, elapsed)
}

func (m *Mux) recovered(x *exchange, r *http.Request, caught any) {
	if caught == http.ErrAbortHandler {
		panic(caught)
	}
	x.notes = append(x.notes, slog.String("stack", string(debug.Stack())))
	begun := x.status != 0
	m.fail(x, r, fmt.Errorf("panic: %v", caught))
	if begun {
		// Half an answer must not look like a whole one: log, then cut the connection.
		m.log(x, knownMethod(r.Method), m.options.Now().Sub(x.started))
		panic(http.ErrAbortHandler)
	}
}

// log writes the one line of the request. It holds no query, body, cookie or header of it, and of its path only the route's pattern.
func (m *Mux) log(x *exchange, method string, elapsed time.Duration) {
	level := slog.LevelInfo
	switch {
	case x.status >= 500:
		level = slog.LevelError
	case x.route.kind == kindHealth:
		level = slog.LevelDebug
	}
	if !m.options.Log.Enabled(x, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("request_id", x.id), slog.String("method", method), slog.String("route", x.route.pattern), slog.Int("status", x.status),
		slog.Float64("duration_ms", float64(elapsed.Microseconds())/1000), slog.Int64("bytes", x.bytes), slog.String("peer", x.peerText()),
	)
	for _, pair := range [...]struct{ key, value string }{{"client", x.client}, {"error", x.code}, {"cause", x.cause}} {
		if pair.value != "" {
			attrs = append(attrs, slog.String(pair.key, pair.value))
		}
	}
	m.options.Log.LogAttrs(x, level, "request", append(attrs, x.notes...)...)
}

// Annotate adds a fact to the request's log line. The keys "client", "error" (the error code, also counted) and "cause" have their own places. Values that
// came from outside may hold anything: control characters are escaped and long texts cut. Never a secret, token, code or password.
func Annotate(r *http.Request, key string, value any) {
	x := from(r)
	switch v := value.(type) {
	case string:
		x.note(key, clean(v, maxNote))
	case error:
		x.note(key, clean(v.Error(), maxNote))
	case []string:
		list := make([]string, 0, len(v))
		for _, text := range v {
			list = append(list, clean(text, maxNote))
		}
		x.notes = append(x.notes, slog.Any(key, list))
	default:
		x.notes = append(x.notes, slog.Any(key, v))
	}
}

func (x *exchange) note(key, text string) {
	switch key {
	case "client":
		x.client = text
	case "error":
		x.code = text
	case "cause":
		x.cause = text
	default:
		x.notes = append(x.notes, slog.String(key, text))
	}
}

// maxNote is the longest text in a log line, in bytes.
const maxNote = 1024

// clean makes a text safe to print: anything but printable ASCII comes escaped, so neither a line break nor a terminal's escape codes survive.
func clean(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit] + "..."
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			quoted := strconv.QuoteToASCII(text)
			return quoted[1 : len(quoted)-1]
		}
	}
	return text
}

// RequestID returns the id of the request that ctx belongs to: what people quote and the log line says. "" outside of a request.
func RequestID(ctx context.Context) string {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x.id
	}
	return ""
}

// Remember keeps a value for the rest of the request; Recall returns it. Keys are compared with ==, so use a type of your own.
func Remember(r *http.Request, key, value any) {
	x := from(r)
	for i := range x.memories {
		if x.memories[i].key == key {
			x.memories[i].value = value
			return
		}
	}
	x.memories = append(x.memories, memory{key, value})
}

// Recall returns what Remember kept under key in this request, or nil.
func Recall(r *http.Request, key any) any {
	for _, m := range from(r).memories {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// LocalURL returns the path of a page of this server, with the issuer's path before it, and the query if there is one.
func LocalURL(r *http.Request, path string, query url.Values) string {
	local := from(r).mux.base + path
	if len(query) > 0 {
		local += "?" + query.Encode()
	}
	return local
}

// AbsoluteURL returns the public URL of a path of this server.
func AbsoluteURL(r *http.Request, path string) string { return from(r).mux.options.Issuer + path }
