package outbound

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxOperatorConns is how many connections to one host the client of HTTP has at once. The gate of perHost is for URLs that strangers choose; these are an operator's.
const maxOperatorConns = 128

// ErrAnswer is the cause of an error of the client of HTTP if the host answered what is not accepted: a redirect, a compressed body, a body that is too long.
var ErrAnswer = errors.New("answer that is not accepted")

// HTTP returns a client for what an operator names, such as a provider to sign in with, and what that names in turn: the addresses and URLs of Get, no redirects, no
// proxy, Timeout from dial to the last byte of the body, MaxBytes of body, no compression. Failures are told when they happen, with their cause, for nobody learns from
// them but a log. Connections are kept: the address was judged when it was dialled.
func (c *Client) HTTP() *http.Client { return c.operator }

func newOperator(c *Client, like *http.Transport) *http.Client {
	transport := like.Clone()
	transport.DisableKeepAlives = false
	transport.MaxConnsPerHost = maxOperatorConns
	transport.MaxIdleConnsPerHost = maxOperatorConns
	transport.IdleConnTimeout = 90 * time.Second
	return &http.Client{Transport: &guard{c, transport}, Timeout: c.timeout}
}

// guard judges every request before it is sent and every answer before it is read.
type guard struct {
	client *Client
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper. A redirect is an error here, so that no client above can follow it.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := g.client.check(r.URL.String()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("the URL %w", err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", userAgent)
	r.Header.Del("Accept-Encoding")
	answer, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	coding := answer.Header.Get("Content-Encoding")
	switch {
	case answer.StatusCode/100 == 3:
		err = fmt.Errorf("%w: a redirect, status %d", ErrAnswer, answer.StatusCode)
	case coding != "" && !strings.EqualFold(coding, "identity"):
		err = fmt.Errorf("%w: compressed", ErrAnswer)
	case answer.ContentLength > g.client.maxBytes:
		err = g.client.tooLong()
	}
	if err != nil {
		_ = answer.Body.Close()
		return nil, err
	}
	answer.Body = &boundedBody{ReadCloser: answer.Body, client: g.client, left: g.client.maxBytes}
	return answer, nil
}

func (c *Client) tooLong() error {
	return fmt.Errorf("%w: more than %d bytes", ErrAnswer, c.maxBytes)
}

// boundedBody fails where a longer body would go on, so that nobody takes its beginning for the whole.
type boundedBody struct {
	io.ReadCloser
	client *Client
	left   int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		return int(b.left), b.client.tooLong()
	}
	b.left -= int64(n)
	return n, err
}
