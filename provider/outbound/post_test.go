package outbound

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPostSendsTheFormOnceToTheURLWithItsQuery(t *testing.T) {
	requests := make(chan *http.Request, 2)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		requests <- r
	}))
	defer server.Close()
	c := newClient(t, local)
	status, err := c.Post(t.Context(), server.URL+"/redirect_uri?logout=backchannel", url.Values{"logout_token": {"a.b+c/d="}})
	if status != 200 || err != nil {
		t.Fatalf("%d, %v", status, err)
	}
	r := <-requests
	if r.Method != http.MethodPost || r.URL.RawQuery != "logout=backchannel" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
	if len(r.PostForm) != 1 || r.PostForm.Get("logout_token") != "a.b+c/d=" {
		t.Errorf("the form arrived as %v", r.PostForm)
	}
	if len(requests) != 0 {
		t.Error("the form was sent twice")
	}
	if status, err := c.Post(t.Context(), server.URL+"/#x", nil); status != 0 || !errors.Is(err, errFragment) || len(requests) != 0 {
		t.Errorf("a URL with a fragment: %d, %v", status, err)
	}
}

func TestPostReportsEveryStatusAndOnly2xxIsSuccess(t *testing.T) {
	var answer int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) }))
	defer server.Close()
	c := newClient(t, local)
	for _, answer = range []int{200, 201, 202, 204, 299, 300, 304, 400, 401, 404, 429, 500, 501, 503, 599} {
		status, err := c.Post(t.Context(), server.URL, url.Values{"logout_token": {"very-secret"}})
		if status != answer || (err == nil) != (answer < 300) {
			t.Errorf("%d: %d, %v", answer, status, err)
		}
		if err != nil && (err.Error() != "the URL could not be fetched" || strings.Contains(errors.Unwrap(err).Error(), "secret")) {
			t.Errorf("%d: the error tells outsiders: %v, %v", answer, err, errors.Unwrap(err))
		}
	}
	server.Close()
	status, err := c.Post(t.Context(), server.URL, url.Values{"logout_token": {"very-secret"}})
	if status != 0 || !errors.As(err, new(*Error)) || strings.Contains(errors.Unwrap(err).Error(), "secret") {
		t.Errorf("closed: %d, %v", status, errors.Unwrap(err))
	}
}

// L7: the receiver may speak nothing older than TLS 1.3.
func TestL7PostSpeaksTLS13AndVerifiesTheHost(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.TLS.Version != tls.VersionTLS13 {
			t.Errorf("TLS version %x", r.TLS.Version)
		}
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	server.Config.ErrorLog = discard
	server.StartTLS()
	defer server.Close()
	if status, err := newClient(t, local).Post(t.Context(), server.URL, nil); status != 0 || err == nil {
		t.Errorf("an unknown root: %d, %v", status, err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	c := newClient(t, local, func(o *Options) { o.CAFile = file })
	if status, err := c.Post(t.Context(), server.URL, nil); status != 200 || err != nil {
		t.Errorf("%d, %v", status, errors.Unwrap(err))
	}
}
