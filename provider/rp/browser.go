package rp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// maxHops bounds a journey: one that needs more requests goes round in circles.
const maxHops = 16

// Browser is a user agent with cookies and without scripts.
type Browser struct {
	http   *http.Client
	header http.Header
	seen   func(Answer)
}

// BrowserOptions say which browser to be.
type BrowserOptions struct {
	// Transport is for every request; nil means the default one.
	Transport http.RoundTripper
	// Header is added to every request.
	Header http.Header
	// Seen is told about every answer; nil: nobody is.
	Seen func(Answer)
}

// NewBrowser returns a fresh browser: no cookies.
func NewBrowser(o BrowserOptions) *Browser {
	jar, _ := cookiejar.New(nil) // fails with options only
	if o.Seen == nil {
		o.Seen = func(Answer) {}
	}
	return &Browser{header: o.Header, seen: o.Seen, http: &http.Client{
		Transport: o.Transport, Jar: jar, Timeout: answerTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Open asks for one address, or sends a form to it, and follows nothing.
func (b *Browser) Open(ctx context.Context, target string, form url.Values) (Answer, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return Answer{}, fmt.Errorf("make request: %w", err)
	}
	maps.Copy(r.Header, b.header)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := b.http.Do(r)
	if err != nil {
		return Answer{}, pathError(method, r.URL.Path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = errors.New("answer is too long")
	}
	if err != nil {
		return Answer{}, pathError(method, r.URL.Path, err)
	}
	a := Answer{URL: target, Status: resp.StatusCode, Header: resp.Header, Body: text}
	b.seen(a)
	return a, nil
}

// pathError drops the query, which can hold a code or a token, from the error's text.
func pathError(method, path string, err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return fmt.Errorf("%s %s: %w", method, path, err)
}

// Walk goes from start to the client's redirect URI, while the user signs in, accepts the terms and consents, and returns the parameters that arrive there. Nothing needs to listen at
// redirectURI.
func (b *Browser) Walk(ctx context.Context, user User, start, redirectURI string) (url.Values, error) {
	a, err := b.Open(ctx, start, nil)
	for range maxHops {
		if err != nil {
			return nil, err
		}
		if values, ok := a.Arrived(redirectURI); ok {
			return values, nil
		}
		target, form, wrong := user.Next(a)
		if wrong != nil {
			return nil, wrong
		}
		a, err = b.Open(ctx, target, form)
	}
	return nil, errors.New("the provider sends the browser round in circles")
}
