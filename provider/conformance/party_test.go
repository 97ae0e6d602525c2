package conformance

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"
)

// party is the relying party: one https listener on which every client of the tests has a folder, /<client id>/. It notes what it receives and serves the
// documents that a test puts there.
type party struct {
	URL  string
	http *httptest.Server

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced at every request
	received  map[string][]*received
	documents map[string]document
}

// received is one request as the relying party saw it.
type received struct {
	Method, RawQuery, Body string
	Header                 http.Header
	Query, Form            url.Values
	TLS                    uint16 // the version
}

// document is what a path answers instead of an empty page.
type document struct {
	Status      int
	ContentType string
	Body        string
	Header      http.Header
	Delay       <-chan struct{} // the answer waits for it, if it is not nil
}

func newParty(host string) (*party, error) {
	p := &party{changed: make(chan struct{}), received: map[string][]*received{}, documents: map[string]document{}}
	p.http = httptest.NewUnstartedServer(p)
	p.URL = "https://" + host + ":" + port(p.http.Listener)
	p.http.TLS = authority().serverConfig()
	p.http.StartTLS()
	return p, nil
}

func (p *party) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	got := &received{Method: r.Method, RawQuery: r.URL.RawQuery, Body: string(body), Header: r.Header.Clone(), Query: r.URL.Query(), TLS: r.TLS.Version}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		got.Form, _ = url.ParseQuery(got.Body) // a broken body shows in Body
	}
	p.mu.Lock()
	p.received[r.URL.Path] = append(p.received[r.URL.Path], got)
	close(p.changed)
	p.changed = make(chan struct{})
	answer, ok := p.documents[r.URL.Path]
	p.mu.Unlock()
	if answer.Delay != nil {
		select {
		case <-answer.Delay:
		case <-r.Context().Done():
			return
		}
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	if !ok {
		answer = document{ContentType: "text/html; charset=utf-8", Body: "<!doctype html><title>relying party</title>"}
	}
	if answer.ContentType != "" {
		w.Header().Set("Content-Type", answer.ContentType)
	}
	if answer.Status == 0 {
		answer.Status = http.StatusOK
	}
	w.WriteHeader(answer.Status)
	io.WriteString(w, answer.Body)
}

// serve puts a document at a path.
func (p *party) serve(path string, d document) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.documents[path] = d
}

// at returns what came to a path so far.
func (p *party) at(path string) []*received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*received(nil), p.received[path]...)
}

// await returns what came to a path as soon as there are n requests; fewer after the time-out.
func (p *party) await(path string, n int, timeout time.Duration) []*received {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		p.mu.Lock()
		got, changed := append([]*received(nil), p.received[path]...), p.changed
		p.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-changed:
		case <-timer.C:
			return got
		}
	}
}
