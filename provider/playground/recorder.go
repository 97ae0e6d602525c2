package playground

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Of longer bodies only the beginning is shown.
const maxShown = 64 << 10

// message is one request to the provider and its answer, fit to be shown: the client's secret is left out.
type message struct {
	Method, URL string
	Headers     []pair // of the request
	Form        []pair
	Status      int
	Answer      []pair // headers of the answer
	Body        []byte
}

type pair struct{ Name, Value string }

// recording collects the messages of one context.
type recording struct {
	mu   sync.Mutex
	list []message
}

type recordingKey struct{}

func record(ctx context.Context) (context.Context, *recording) {
	log := &recording{}
	return context.WithValue(ctx, recordingKey{}, log), log
}

func (l *recording) messages() []message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// recorder is a transport that keeps what passes through it, if the request's context asks for it.
type recorder struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	log, ok := r.Context().Value(recordingKey{}).(*recording)
	if !ok {
		return next.RoundTrip(r)
	}
	m := message{Method: r.Method, URL: r.URL.String(), Headers: requestHeaders(r), Form: requestForm(r)}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	m.Status, m.Body = resp.StatusCode, body[:min(len(body), maxShown)]
	for _, name := range []string{"Content-Type", "Cache-Control", "WWW-Authenticate", "Retry-After"} {
		if value := resp.Header.Get(name); value != "" {
			m.Answer = append(m.Answer, pair{name, value})
		}
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	log.list = append(log.list, m)
	return resp, nil
}

func requestHeaders(r *http.Request) []pair {
	var shown []pair
	for _, name := range []string{"Accept", "Content-Type", "Authorization"} {
		value := r.Header.Get(name)
		if id, _, ok := r.BasicAuth(); ok && name == "Authorization" {
			value = "Basic base64(" + id + ":client secret)"
		}
		if token, ok := strings.CutPrefix(value, "Bearer "); ok {
			value = "Bearer " + shorten(token)
		}
		if value != "" {
			shown = append(shown, pair{name, value})
		}
	}
	return shown
}

func requestForm(r *http.Request) []pair {
	if r.GetBody == nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(body, maxShown))
	if err != nil {
		return nil
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		return nil
	}
	if form.Has("client_secret") {
		form.Set("client_secret", "client secret")
	}
	return pairs(form)
}

// pairs are the parameters by name.
func pairs(values url.Values) []pair {
	var list []pair
	for name, all := range values {
		for _, value := range all {
			list = append(list, pair{name, value})
		}
	}
	slices.SortFunc(list, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// shorten keeps the two ends of a long token.
func shorten(token string) string {
	if len(token) <= 40 {
		return token
	}
	return token[:24] + "…" + token[len(token)-8:]
}
