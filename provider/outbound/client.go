package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	defaultTimeout  = 5 * time.Second
	defaultMaxBytes = 256 << 10
	dialTimeout     = 2 * time.Second
	maxHeaderBytes  = 16 << 10
	maxURL          = 2 << 10
	perHost         = 8
	// defaultFloor is longer than a dial that nobody answers.
	defaultFloor = dialTimeout + 500*time.Millisecond
)

// Options make a Client.
type Options struct {
	// Allow lists hosts (host, host:port, address, CIDR) that may be reached although they are not public, and by plain http.
	Allow []string
	// CAFile holds further root certificates (PEM), beside those of the system.
	CAFile string
	// Timeout is for one fetch from first to last byte; default 5 s.
	Timeout time.Duration
	// MaxBytes is the longest body; default 256 KiB.
	MaxBytes int64
	// FailureFloor is the least time after which a failed fetch is reported, so that a refused, a closed, a filtered and a wrong address look alike;
	// default 2.5 s, negative for none.
	FailureFloor time.Duration
}

// Client fetches URLs that others chose. It is safe for concurrent use.
type Client struct {
	http     *http.Client
	allow    allowList
	timeout  time.Duration
	maxBytes int64
	floor    time.Duration
	flights  singleflight.Group
	gates    gates
	resolver *net.Resolver // nil: the system's
}

// Response is a successful answer (200). It is shared between callers: do not change it.
type Response struct {
	Body        []byte
	ContentType string
	Header      http.Header
}

// Error says that a fetch failed, in the same words whatever happened: outsiders must not learn from it what is behind a URL. The cause is for
// the log only, by errors.Unwrap.
type Error struct{ cause error }

func (e *Error) Error() string { return "the URL could not be fetched" }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// ErrBlocked is the cause if a URL or its address is not one that may be fetched.
var ErrBlocked = errors.New("address is not public and not on the allow-list")

// New makes a Client.
func New(o Options) (*Client, error) {
	allow, err := parseAllow(o.Allow)
	if err != nil {
		return nil, err
	}
	roots, err := rootCAs(o.CAFile)
	if err != nil {
		return nil, err
	}
	c := &Client{allow: allow, timeout: o.Timeout, maxBytes: o.MaxBytes, floor: o.FailureFloor, gates: gates{open: map[string]*gate{}}}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.maxBytes <= 0 {
		c.maxBytes = defaultMaxBytes
	}
	if c.floor == 0 {
		c.floor = defaultFloor
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would connect where we must not
			DialContext:            c.dial,
			DisableKeepAlives:      true, // every fetch passes the address check
			DisableCompression:     true, // 256 KiB are 256 KiB
			MaxResponseHeaderBytes: maxHeaderBytes,
			TLSHandshakeTimeout:    c.timeout,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func rootCAs(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil // those of the system
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read outbound CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read outbound CA file: %s holds no PEM certificate", file)
	}
	return pool, nil
}

// Get fetches a URL with an Accept header. Callers that ask for the same at the same time share one fetch. Every failure, from a URL that may not be fetched to a
// body that is too long, is an *Error.
func (c *Client) Get(ctx context.Context, url string, accept string) (*Response, error) {
	target, err := c.check(url)
	if err != nil {
		return nil, &Error{err} // told by the URL alone, so at once
	}
	flight := c.flights.DoChan(accept+" "+target.String(), func() (any, error) {
		start := time.Now()
		// The fetch belongs to all who wait for it; the first one leaving must not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		defer cancel()
		response, err := c.fetch(ctx, target, accept)
		if err != nil {
			time.Sleep(c.floor - time.Since(start))
			return nil, &Error{err}
		}
		return response, nil
	})
	select {
	case result := <-flight:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*Response), nil
	case <-ctx.Done():
		return nil, &Error{ctx.Err()}
	}
}

// check refuses URLs that no client has a reason to name.
func (c *Client) check(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("URL of %d bytes", len(raw))
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("malformed URL")
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	listed := c.allow.host(host, port)
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !listed):
		return nil, errors.New("URL is not https")
	case u.User != nil || strings.Contains(raw, "#") || host == "":
		return nil, errors.New("URL has user info, a fragment or no host")
	case !listed && !plainHost(host):
		return nil, fmt.Errorf("%w: %q", ErrBlocked, host)
	}
	return u, nil
}

// plainHost refuses hosts that are read differently by different programs: numbers that some take for an IPv4 address (2130706433, 0x7f.1, 0177.0.0.1),
// letters that some map to others, IPv6 zones.
func plainHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return public(a)
	}
	for i := range len(host) {
		if c := host[i]; c >= 0x80 || c <= ' ' || strings.IndexByte("%\\:@", c) >= 0 {
			return false
		}
	}
	last := strings.ToLower(strings.TrimSuffix(host, "."))
	last = last[strings.LastIndexByte(last, '.')+1:]
	return last != "" && last != "localhost" && strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x")
}

// fetch does the work, at most perHost at a time for a host.
func (c *Client) fetch(ctx context.Context, target *url.URL, accept string) (*Response, error) {
	leave, err := c.gates.enter(ctx, strings.ToLower(target.Host))
	if err != nil {
		return nil, err
	}
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "gatehouse")
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
	if coding := answer.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, errors.New("compressed answer")
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, c.maxBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > c.maxBytes {
		return nil, fmt.Errorf("answer of more than %d bytes", c.maxBytes)
	}
	return &Response{Body: body, ContentType: answer.Header.Get("Content-Type"), Header: answer.Header}, nil
}

// dial connects, and looks at the address of each attempt after the name was resolved and before the first packet, so that no name can point
// inside.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, Resolver: c.resolver}
	if !c.allow.host(host, port) {
		dialer.Control = c.control
	}
	return dialer.DialContext(ctx, network, address)
}

func (c *Client) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !c.allow.address(at.Addr()) {
		return fmt.Errorf("%w: %s", ErrBlocked, address)
	}
	return nil
}

// gates lets a few callers at a time through for each host.
type gates struct {
	mu   sync.Mutex
	open map[string]*gate
}

type gate struct {
	slots chan struct{}
	users int
}

func (g *gates) enter(ctx context.Context, host string) (leave func(), err error) {
	g.mu.Lock()
	at := g.open[host]
	if at == nil {
		at = &gate{slots: make(chan struct{}, perHost)}
		g.open[host] = at
	}
	at.users++
	g.mu.Unlock()
	done := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if at.users--; at.users == 0 {
			delete(g.open, host)
		}
	}
	select {
	case at.slots <- struct{}{}:
		return func() { <-at.slots; done() }, nil
	case <-ctx.Done():
		done()
		return nil, fmt.Errorf("wait for a slot: %w", ctx.Err())
	}
}
