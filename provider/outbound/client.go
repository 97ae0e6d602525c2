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
	"syscall"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	defaultTimeout  = 5 * time.Second
	defaultMaxBytes = 256 << 10
	dialTimeout     = 2 * time.Second
	maxHeaderBytes  = 16 << 10
	userAgent       = "gatehouse"
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
	// Resolver looks up names; default that of the system.
	Resolver *net.Resolver
	// Now is the clock of the kept copies (see Cached); default time.Now.
	Now func() time.Time
}

// Client fetches URLs that others chose, and posts to them. It is safe for concurrent use.
type Client struct {
	http     *http.Client
	allow    allowList
	timeout  time.Duration
	maxBytes int64
	floor    time.Duration
	flights  singleflight.Group
	gates    gates
	copies   *copies
	resolver *net.Resolver // nil: the system's
	operator *http.Client  // see HTTP
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

// New makes a Client.
func New(o Options) (*Client, error) {
	allow, err := parseAllow(o.Allow)
	if err != nil {
		return nil, err
	}
	roots, err := Roots(o.CAFile)
	if err != nil {
		return nil, err
	}
	c := &Client{allow: allow, timeout: o.Timeout, maxBytes: o.MaxBytes, floor: o.FailureFloor, gates: gates{open: map[string]*gate{}}, copies: newCopies(o.Now), resolver: o.Resolver}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.maxBytes <= 0 {
		c.maxBytes = defaultMaxBytes
	}
	if c.floor == 0 {
		c.floor = defaultFloor
	}
	transport := &http.Transport{
		Proxy:                  nil, // a proxy would connect where we must not
		DialContext:            c.dial,
		DisableKeepAlives:      true, // every fetch passes the address check
		DisableCompression:     true, // 256 KiB are 256 KiB
		MaxResponseHeaderBytes: maxHeaderBytes,
		TLSHandshakeTimeout:    c.timeout,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c.operator = newOperator(c, transport)
	return c, nil
}

// Roots are the authorities to trust: the system's and those of a PEM file. nil means the system's alone.
func Roots(file string) (*x509.CertPool, error) {
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
	target, err := c.parse(url)
	if err != nil {
		return nil, err // told by the URL alone, so at once
	}
	return c.get(ctx, target, accept, c.maxBytes)
}

func (c *Client) get(ctx context.Context, target *url.URL, accept string, maxBytes int64) (*Response, error) {
	return join(ctx, c.flights.DoChan(fmt.Sprint(accept, " ", maxBytes, " ", target), func() (any, error) {
		start := time.Now()
		// The fetch belongs to all who wait for it; the first one leaving must not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		defer cancel()
		response, err := c.fetch(ctx, target, accept, maxBytes)
		if err != nil {
			time.Sleep(c.floor - time.Since(start))
			return nil, &Error{err}
		}
		return response, nil
	}))
}

// join waits for a flight, or leaves it to the others.
func join(ctx context.Context, flight <-chan singleflight.Result) (*Response, error) {
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

// fetch does the work, at most perHost at a time for a host.
func (c *Client) fetch(ctx context.Context, target *url.URL, accept string, maxBytes int64) (*Response, error) {
	leave, err := c.gates.enter(ctx, hostOf(target))
	if err != nil {
		return nil, err
	}
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", userAgent)
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
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > maxBytes {
		return nil, fmt.Errorf("answer of more than %d bytes", maxBytes)
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
