package audit

import (
	"context"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxField is the longest value that is written, in bytes; what a browser or a user sends may be longer.
const maxField = 256

// Event is one thing that happened. No field may hold a secret: name a token by the first 8 hex digits of its hash or by its grant.
type Event struct {
	// Name is the thing and what happened to it: "login.failed", "consent.granted". It is also a label of a counter, so it never holds data.
	Name string
	// Actor is the subject or client that acted, Target what it acted on.
	Actor, Target string
	Client        string
	// SessionHash is the hash of the browser session; only its beginning is written.
	SessionHash    string
	Result, Reason string
}

// RequestInfo is what an event inherits from the request in which it happened.
type RequestInfo struct {
	ID, Peer, UserAgent string
}

// Log records events. A nil Log records nothing. It is safe for concurrent use.
type Log struct {
	log   *slog.Logger
	count func(name string)
}

// New makes a Log that writes to a logger; nil means slog.Default.
func New(log *slog.Logger) *Log {
	if log == nil {
		log = slog.Default()
	}
	return &Log{log: log, count: func(string) {}}
}

// CountWith returns a Log that also calls count with the name of each event.
func (l *Log) CountWith(count func(name string)) *Log {
	return &Log{log: l.log, count: count}
}

type requestKey struct{}

// WithRequest returns a context whose events carry info.
func WithRequest(ctx context.Context, info RequestInfo) context.Context {
	return context.WithValue(ctx, requestKey{}, info)
}

// Record writes one line. It waits for nothing but the log's own output, fails nothing and drops nothing. Values are cut to 256 bytes, and
// characters that could break a line or steer a terminal are replaced.
func (l *Log) Record(ctx context.Context, e Event) {
	if l == nil {
		return
	}
	l.count(e.Name)
	attrs := make([]slog.Attr, 0, 10)
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, clean(value)))
		}
	}
	add("event", e.Name)
	add("actor", e.Actor)
	add("target", e.Target)
	add("client", e.Client)
	add("session", e.SessionHash[:min(len(e.SessionHash), 8)])
	add("result", e.Result)
	add("reason", e.Reason)
	if info, ok := ctx.Value(requestKey{}).(RequestInfo); ok {
		add("request_id", info.ID)
		add("peer", info.Peer)
		add("user_agent", info.UserAgent)
	}
	l.log.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
}

// clean makes foreign text safe to print on one line.
func clean(s string) string {
	cut := len(s) > maxField
	if cut {
		s = strings.ToValidUTF8(s[:maxField], "\ufffd")
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			return '\ufffd'
		}
		return r
	}, s)
	if cut {
		s += "…"
	}
	return s
}
