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
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// traps listens on the loopback addresses at one port and counts who connects.
func traps(t *testing.T) (port string, connections *atomic.Int64) {
	t.Helper()
	connections = &atomic.Int64{}
	trap := func(address string) net.Listener {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				connections.Add(1)
				conn.Close()
			}
		}()
		return l
	}
	first := trap("0.0.0.0:0")
	if first == nil {
		t.Fatal("cannot listen")
	}
	_, port, err := net.SplitHostPort(first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	trap("[::1]:" + port) // where there is IPv6
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatalf("the trap does not work: %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	conn.Close()
	if connections.Swap(0) != 1 {
		t.Fatal("the trap does not count")
	}
	return port, connections
}

func TestRow126InsideAddressesAreNeverConnectedTo(t *testing.T) {
	port, connections := traps(t)
	c := newClient(t)
	for _, host := range []string{
		"127.0.0.1", "127.255.255.254", "[::1]", "0.0.0.0", "[::]", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "[fd00::1]", "[fe80::1]",
		"[fe80::1%25lo]", "[::1%25lo]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[2002:7f00:1::1]",
		"2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.1", "127.0.1", "0", "localhost", "localhost.", "LOCALHOST", "x.localhost", "127.0.0.1.", "①②⑦.⓪.⓪.①", "127。0。0。1", "ｌocalhost", "[ff02::1]", "255.255.255.255", "224.0.0.1",
	} {
		cause := failure(t, c, "https://"+host+":"+port+"/jwks")
		if cause == nil {
			t.Errorf("%s: no cause", host)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Fatalf("%d connections reached a local listener", n)
	}
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

func TestRow126NamesThatPointInsideAreNeverConnectedTo(t *testing.T) {
	port, connections := traps(t)
	for _, inside := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "10.1.2.3", "169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::"} {
		c := newClient(t)
		c.resolver = answers(t, inside)
		if cause := failure(t, c, "https://rebound.example:"+port+"/"); !errors.Is(cause, ErrBlocked) {
			t.Errorf("%s: %v", inside, cause)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Fatalf("%d connections reached a local listener", n)
	}
	c := newClient(t, func(o *Options) { o.Allow = []string{"rebound.example"} })
	c.resolver = answers(t, "127.0.0.1")
	failure(t, c, "https://rebound.example:"+port+"/")
	if connections.Load() == 0 {
		t.Fatal("the test proves nothing: an allowed name does not connect either")
	}
}

func TestRow126PublicAddressesAndTheirBorders(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "9.255.255.255": true, "11.0.0.0": true, "100.63.255.255": true, "100.128.0.0": true, "126.255.255.255": true, "128.0.0.0": true,
		"169.253.255.255": true, "172.15.255.255": true, "172.32.0.0": true, "192.167.255.255": true, "192.169.0.0": true, "198.17.255.255": true, "198.20.0.0": true, "223.255.255.255": true,
		"2606:4700::1111": true, "2a00::1": true, "2001:4860:4860::8888": true,
		"0.0.0.1": false, "10.255.255.255": false, "100.64.0.0": false, "100.127.255.255": false, "127.0.0.53": false, "169.254.0.1": false, "172.31.255.255": false, "192.0.0.8": false,
		"192.0.2.1": false, "192.88.99.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false, "239.1.1.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::8.8.8.8": false, "::ffff:8.8.8.8": false, "64:ff9b::808:808": false, "64:ff9b:1::1": false, "100::1": false, "2001::1": false, "2001:db8::1": false,
		"2002:808:808::1": false, "3fff::1": false, "5f00::1": false, "fc00::1": false, "fdff::1": false, "fe80::1": false, "febf::1": false, "fec0::1": false, "ff02::1": false, "2606:4700::1%eth0": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("public(%s) = %t", address, got)
		}
	}
	if public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

func TestURLsThatNoClientNeedsAreRefused(t *testing.T) {
	c := newClient(t, func(o *Options) { o.Allow = []string{"intern.example:8443"} })
	for _, url := range []string{
		"", "x", "//a.example/", "http://a.example/", "HTTP://a.example/", "ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "https://", "https:///x", "https://u@a.example/", "https://u:p@a.example/",
		"https://a.example/#x", "https://a.example/#", "https://a\\@b.example/", "https://a b.example/", "https://a.example:port/", "http://intern.example/", "https://a.example/" + strings.Repeat("a", 4096), "https://a.example/\r\nX: y",
	} {
		failure(t, c, url)
	}
	if _, err := c.check("http://intern.example:8443/x"); err != nil {
		t.Errorf("http to a listed host and port: %v", err)
	}
	if _, err := c.check("https://a.example/x?y=z"); err != nil {
		t.Errorf("a plain URL: %v", err)
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
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
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

func TestRow128RedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer target.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(target.URL, status))
		cause := failure(t, newClient(t, local), server.URL)
		server.Close()
		if want := fmt.Sprintf("status %d", status); cause == nil || cause.Error() != want {
			t.Errorf("cause %v, want %s", cause, want)
		}
	}
	if followed.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestRow129FailuresLookAlike(t *testing.T) {
	t.Parallel()
	notFound := httptest.NewServer(http.NotFoundHandler())
	defer notFound.Close()
	plain := strings.Replace(notFound.URL, "http://", "https://", 1) // answers no TLS
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	const floor = 400 * time.Millisecond
	c := newClient(t, func(o *Options) { o.Allow, o.FailureFloor = []string{"127.0.0.1"}, floor })
	c.resolver = answers(t, "10.0.0.1")
	for name, url := range map[string]string{"404": notFound.URL, "TLS": plain, "closed": "https://" + closed.Addr().String(), "blocked": "https://inside.example"} {
		start := time.Now()
		failure(t, c, url)
		if took := time.Since(start); took < floor {
			t.Errorf("%s: told after %s, want at least %s", name, took, floor)
		}
	}
	if defaultFloor <= dialTimeout || defaultFloor > defaultTimeout {
		t.Error("a filtered port takes longer than the others")
	}
}

func TestRow130HostileAnswersAreCut(t *testing.T) {
	stop := make(chan struct{})
	chunk := []byte(strings.Repeat("a", 64<<10))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/10MB":
			for range 160 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		case "/exact":
			_, _ = w.Write(make([]byte, 256<<10))
		case "/over":
			_, _ = w.Write(make([]byte, 256<<10+1))
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("bomb"))
		case "/drip":
			for {
				_, _ = w.Write([]byte("a"))
				w.(http.Flusher).Flush()
				select {
				case <-time.After(20 * time.Millisecond):
				case <-stop:
					return
				case <-r.Context().Done():
					return
				}
			}
		case "/headers":
			for i := range 1000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("a", 100))
			}
		case "/500":
			w.WriteHeader(http.StatusInternalServerError)
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()
	defer close(stop)
	c := newClient(t, local, func(o *Options) { o.Timeout = time.Second })
	for _, path := range []string{"/10MB", "/over", "/gzip", "/headers", "/500", "/204"} {
		failure(t, c, server.URL+path)
	}
	start := time.Now()
	if cause := failure(t, c, server.URL+"/drip"); !errors.Is(cause, context.DeadlineExceeded) {
		t.Errorf("drip: %v", cause)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("drip took %s", took)
	}
	if response, err := c.Get(t.Context(), server.URL+"/exact", "*/*"); err != nil || len(response.Body) != 256<<10 {
		t.Errorf("256 KiB: %v", err)
	}
}

func TestRow130AtMostEightFetchesForAHostAtOnce(t *testing.T) {
	var now, most atomic.Int64
	reached := make(chan struct{}, 100)
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		reached <- struct{}{}
		<-release
		now.Add(-1)
	}))
	defer server.Close()
	c := newClient(t, local, func(o *Options) { o.Timeout = time.Minute })
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if _, err := c.Get(context.Background(), fmt.Sprintf("%s/%d", server.URL, i), "*/*"); err != nil {
				t.Error(err)
			}
		})
	}
	for range perHost {
		<-reached
	}
	close(release)
	wg.Wait()
	if n := most.Load(); n != perHost {
		t.Errorf("%d at once, want %d", n, perHost)
	}
	if n := len(c.gates.open); n != 0 {
		t.Errorf("%d hosts remembered after the last fetch", n)
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
