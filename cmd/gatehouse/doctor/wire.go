package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	patience  = 10 * time.Second // for one request
	maxAnswer = 1 << 20
)

// wire is how the doctor reaches the server: as any client does, with a note of what came over it.
type wire struct {
	base   *http.Transport
	client *http.Client
	mu     sync.Mutex
	last   map[string]http.Header // by address, of the last answer with status 200
	local  netip.Addr             // this machine's end of the last connection
}

func newWire(o Options) *wire {
	w := &wire{last: map[string]http.Header{}, base: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12, Time: o.Now}, TLSHandshakeTimeout: patience,
		ResponseHeaderTimeout: patience, DialContext: (&net.Dialer{Timeout: patience}).DialContext, ForceAttemptHTTP2: true,
	}}
	w.client = &http.Client{Transport: w, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return w
}

func (w *wire) close() { w.base.CloseIdleConnections() }

// RoundTrip sends the request and notes the answer.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if at, err := netip.ParseAddrPort(c.Conn.LocalAddr().String()); err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.local = at.Addr().Unmap().WithZone("")
		}
	}}
	resp, err := w.base.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err == nil && resp.StatusCode == http.StatusOK {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.last[r.URL.String()] = resp.Header
	}
	return resp, err
}

// lastHeader is that of the last good answer of an address.
func (w *wire) lastHeader(address string) http.Header {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last[address]
}

func (w *wire) address() netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.local
}

// reply is an answer that has been read whole.
type reply struct {
	*http.Response
	body []byte
	// sent and received are this machine's times around the request.
	sent, received time.Time
}

// send makes one request and follows no redirect. form nil is a GET.
func (d *doctor) send(ctx context.Context, target string, form url.Values, header http.Header) (*reply, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	for name := range header {
		r.Header.Set(name, header.Get(name))
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a := &reply{sent: d.o.Now()}
	if a.Response, err = d.wire.client.Do(r); err != nil {
		return nil, withoutURL(err)
	}
	defer a.Body.Close()
	a.received = d.o.Now()
	if a.body, err = io.ReadAll(io.LimitReader(a.Body, maxAnswer)); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return a, nil
}

// withoutURL drops the address from an error's text, which names it anyway.
func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// isJSON tells whether the answer says that it is JSON.
func (a *reply) isJSON() bool {
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// noStore tells whether nobody may keep the answer.
func noStore(h http.Header) bool {
	for _, line := range h.Values("Cache-Control") {
		for _, word := range strings.Split(line, ",") {
			if strings.EqualFold(strings.TrimSpace(word), "no-store") {
				return true
			}
		}
	}
	return false
}

// directive returns the number of seconds that a header gives to a directive such as max-age.
func directive(h http.Header, header, name string) (time.Duration, bool) {
	for _, line := range h.Values(header) {
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ';' }) {
			key, value, _ := strings.Cut(strings.TrimSpace(word), "=")
			seconds, err := time.ParseDuration(strings.Trim(value, `"`) + "s")
			if strings.EqualFold(key, name) && err == nil {
				return seconds, true
			}
		}
	}
	return 0, false
}
