package audit

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func record(t *testing.T, e Event, info *RequestInfo) map[string]string {
	t.Helper()
	var out bytes.Buffer
	log := New(slog.New(slog.NewJSONHandler(&out, nil)))
	ctx := t.Context()
	if info != nil {
		ctx = WithRequest(ctx, *info)
	}
	log.Record(ctx, e)
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines: %q", n, out.String())
	}
	fields := map[string]string{}
	if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	delete(fields, "time")
	return fields
}

func TestEventIsOneStructuredLine(t *testing.T) {
	got := record(t, Event{Name: "login.ok", Actor: "u1", Target: "t", Client: "c1", SessionHash: "0123456789abcdef", Result: "ok", Reason: "r"},
		&RequestInfo{ID: "req", Peer: "192.0.2.1", UserAgent: "UA/1"})
	want := map[string]string{"level": "INFO", "msg": "audit", "event": "login.ok", "actor": "u1", "target": "t", "client": "c1", "session": "01234567",
		"result": "ok", "reason": "r", "request_id": "req", "peer": "192.0.2.1", "user_agent": "UA/1"}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := record(t, Event{Name: "start"}, nil); !maps.Equal(got, map[string]string{"level": "INFO", "msg": "audit", "event": "start"}) {
		t.Errorf("empty fields are written: %v", got)
	}
}

func TestRow192HostileTextStaysOnOneLine(t *testing.T) {
	hostile := "a\r\nb\x1b[31mc\u2028d\u2029e\u202ef\u200bg\x00h\x7fi\u0085j\xffk"
	for _, handler := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var out bytes.Buffer
		log := New(slog.New(handler(&out)))
		log.Record(WithRequest(t.Context(), RequestInfo{ID: hostile, Peer: hostile, UserAgent: hostile}),
			Event{Name: hostile, Actor: hostile, Target: hostile, Client: hostile, SessionHash: hostile, Result: hostile, Reason: hostile})
		line := out.String()
		if strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\r\x1b\u2028\u2029\u202e\u200b\x00\x7f\u0085") || !utf8.ValidString(line) {
			t.Errorf("%q", line)
		}
		if strings.Contains(line, `\u001b`) || strings.Contains(line, `\x1b`) {
			t.Errorf("escaped control characters come back when the line is read: %q", line)
		}
	}
}

func TestLongValuesAreCut(t *testing.T) {
	got := record(t, Event{Name: "x", Reason: strings.Repeat("ä", 100_000)}, nil)
	if n := len(got["reason"]); n > maxField+10 || !utf8.ValidString(got["reason"]) || !strings.HasSuffix(got["reason"], "…") {
		t.Errorf("%d bytes: %q", n, got["reason"])
	}
}

func TestEventsAreCountedByName(t *testing.T) {
	var names []string
	log := New(slog.New(slog.DiscardHandler)).CountWith(func(name string) { names = append(names, name) })
	log.Record(t.Context(), Event{Name: "a"})
	log.Record(t.Context(), Event{Name: "b"})
	if strings.Join(names, " ") != "a b" {
		t.Errorf("counted %v", names)
	}
	var none *Log
	none.Record(t.Context(), Event{Name: "c"}) // must not panic
}
