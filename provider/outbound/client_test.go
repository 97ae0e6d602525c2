package outbound

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func newClient(t *testing.T, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{FailureFloor: -1}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// discard is a log for servers that meet clients who do not trust them.
var discard = log.New(io.Discard, "", 0)

func local(o *Options) { o.Allow = []string{"127.0.0.1"} }

// failure fetches and wants the uniform error; it returns the cause.
func failure(t *testing.T, c *Client, url string) error {
	t.Helper()
	response, err := c.Get(t.Context(), url, "*/*")
	var outside *Error
	if response != nil || !errors.As(err, &outside) {
		t.Fatalf("Get(%.80s) = %v, %v", url, response, err)
	}
	if err.Error() != "the URL could not be fetched" {
		t.Errorf("the error tells outsiders: %v", err)
	}
	return errors.Unwrap(err)
}

// answers makes a resolver that gives the same addresses for every name.
func answers(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, peer, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := dnsReply(buf[:n], addresses); reply != nil {
				_, _ = server.WriteTo(reply, peer)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func dnsReply(query []byte, addresses []string) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	q := m.Questions[0]
	for _, s := range addresses {
		a := netip.MustParseAddr(s)
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 0}
		if a.Is4() && q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		}
		if a.Is6() && q.Type == dnsmessage.TypeAAAA {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

func TestURLsThatNoClientNeedsAreRefused(t *testing.T) {
	c := newClient(t, func(o *Options) { o.Allow = []string{"intern.example:8443"} })
	for _, url := range []string{
		"", "x", "//a.example/", "http://a.example/", "HTTP://a.example/", "ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "https://", "https:///x", "https://u@a.example/", "https://u:p@a.example/",
		"https://a.example/#x", "https://a.example/#", "https://a\\@b.example/", "https://a b.example/", "https://a.example:port/", "http://intern.example/", "https://a.example/" + strings.Repeat("a", 4096), "https://a.example/\r\nX: y",
	} {
		failure(t, c, url)
	}
}

// CheckURL speaks to whoever registers a client: its words must fit into an error_description and name the fault.
func TestCheckURLTellsTheFaultWithoutTheNetwork(t *testing.T) {
	c := newClient(t, func(o *Options) { o.Allow = []string{"intern.example:8443", "10.1.0.0/16"} })
	c.resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("the network was asked")
		return nil, io.ErrClosedPipe
	}}
	for url, want := range map[string]error{
		"https://a.example/x?y=z&logout=backchannel": nil, "https://a.example:8443": nil, "https://1.1.1.1/": nil, "https://[2606:4700::1111]/": nil, "https://xn--e1afmkfd.example/": nil,
		"http://intern.example:8443/x": nil, "https://intern.example/": nil, "https://10.1.2.3/": nil, "http://10.1.2.3:9/": nil,
		"http://a.example/": errScheme, "http://intern.example/": errScheme, "javascript:alert(1)": errScheme, "": errScheme, "a.example/x": errScheme,
		"https://u@a.example/": errUserInfo, "https://:@a.example/": errUserInfo,
		"https://a.example/#x": errFragment, "https://a.example/#": errFragment,
		"https://": errHost, "https://:443/": errHost, "https://a.example:65536/": errHost, "https://a.example:99999999999/": errHost,
		"https://a.example:port/": errNoURL, "https://a\"b\\.example/": errNoURL, "https://a.example/\x00": errNoURL, "https://[::1/": errNoURL,
		"https://127.0.0.1/": ErrBlocked, "https://localhost/": ErrBlocked, "https://10.2.0.1/": ErrBlocked, "https://[::1]/": ErrBlocked, "https://2130706433/": ErrBlocked, "https://exämple.example/": ErrBlocked,
		"https://a.example/" + strings.Repeat("a", 2048): errLong,
	} {
		err := c.CheckURL(url)
		if !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("CheckURL(%.60q) = %v, want %v", url, err, want)
		}
		if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
			t.Errorf("%q does not fit into an error_description", err)
		}
	}
}

func TestAllowListReachesPrivateHosts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "%s %s", r.Header.Get("Accept"), r.Header.Get("Accept-Encoding"))
	}))
	defer server.Close()
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:9")
	at := strings.TrimPrefix(server.URL, "http://")
	for _, entry := range []string{"127.0.0.1", at, "127.0.0.0/8", " 127.0.0.1 "} {
		c := newClient(t, func(o *Options) { o.Allow = []string{entry} })
		response, err := c.Get(t.Context(), server.URL+"/x", "application/json")
		if err != nil {
			t.Errorf("%q: %v: %v", entry, err, errors.Unwrap(err))
			continue
		}
		if string(response.Body) != "application/json " || response.ContentType != "application/json" {
			t.Errorf("%q: %+v", entry, response)
		}
	}
	for _, entry := range []string{"127.0.0.2", "127.0.0.1:1", "10.0.0.0/8", "example.com"} {
		c := newClient(t, func(o *Options) { o.Allow = []string{entry} })
		failure(t, c, server.URL)
	}
	for _, bad := range []string{"", "http://a.example", "a/b", "10.0.0.0/33", "a b", "user@host", "*.example.com"} {
		if _, err := New(Options{Allow: []string{bad}}); err == nil {
			t.Errorf("allow-list entry %q accepted", bad)
		}
	}
}

func TestTLSIsVerifiedWithTheExtraRoots(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	server.Config.ErrorLog = discard
	server.StartTLS()
	defer server.Close()
	failure(t, newClient(t, local), server.URL)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, local, func(o *Options) { o.CAFile = file })
	if response, err := c.Get(t.Context(), server.URL, "*/*"); err != nil || string(response.Body) != "ok" {
		t.Errorf("with the root: %v", err)
	}
	if err := os.WriteFile(file, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, file + ".missing"} {
		if _, err := New(Options{CAFile: bad}); err == nil {
			t.Errorf("CA file %s accepted", filepath.Base(bad))
		}
	}
}

func TestParallelGetsShareOneFetchAndTheFirstMayLeave(t *testing.T) {
	var hits atomic.Int64
	reached, release, cut := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if hits.Add(1) == 1 {
			close(reached)
			<-release
			cut <- r.Context().Err()
		}
	}))
	defer server.Close()
	c := newClient(t, local)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := c.Get(ctx, server.URL, "*/*")
		first <- err
	}()
	<-reached
	cancel()
	var outside *Error
	if err := <-first; !errors.As(err, &outside) || !errors.Is(err, context.Canceled) {
		t.Errorf("the one who left: %v", err)
	}
	for range 20 { // each joins the flight, and leaves at once because its context has ended
		if _, err := c.Get(ctx, server.URL, "*/*"); !errors.Is(err, context.Canceled) {
			t.Errorf("a joining one: %v", err)
		}
	}
	close(release)
	if err := <-cut; err != nil {
		t.Errorf("the shared fetch ended with its first caller: %v", err)
	}
	if n := hits.Load(); n != 1 {
		t.Errorf("%d fetches for 21 calls", n)
	}
}
