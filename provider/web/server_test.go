package web

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve runs Server on a loopback port and returns its address. stop waits for the running requests, so that the log is complete after it.
func serve(t *testing.T, h http.Handler, limit func(net.Listener) net.Listener) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, served := Server("", h), make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(limit(l))
	}()
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-served
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func unlimited(l net.Listener) net.Listener { return l }

// say sends raw bytes and returns the status line.
func say(t *testing.T, address, raw string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, raw)
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

func TestServerHasTheTimeOutsOfTheRules(t *testing.T) {
	s := Server(":0", http.NotFoundHandler())
	if s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout != 15*time.Second || s.WriteTimeout != 30*time.Second || s.IdleTimeout != time.Minute || s.MaxHeaderBytes != 32<<10 {
		t.Errorf("server %+v", s)
	}
	if s.HTTP2.MaxConcurrentStreams != 100 || s.Protocols.UnencryptedHTTP2() {
		t.Errorf("HTTP/2 %+v, h2c %v", s.HTTP2, s.Protocols.UnencryptedHTTP2())
	}
}

func TestTLSIsModernOnly(t *testing.T) {
	certificates := httptest.NewTLSServer(http.NotFoundHandler())
	defer certificates.Close()
	s := Server("", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.TLSConfig.Certificates = certificates.TLS.Certificates
	s.ErrorLog = log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.ServeTLS(l, "", "")
	defer s.Close()
	dial := func(change func(*tls.Config)) error {
		config := &tls.Config{InsecureSkipVerify: true}
		change(config)
		conn, err := tls.Dial("tcp", l.Addr().String(), config)
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := dial(func(*tls.Config) {}); err != nil {
		t.Error(err)
	}
	if err := dial(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }); err != nil {
		t.Error("TLS 1.2:", err)
	}
	if dial(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }) == nil {
		t.Error("TLS 1.1 was taken")
	}
	if dial(func(c *tls.Config) {
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
	}) == nil {
		t.Error("a suite without AEAD or forward secrecy was taken")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := text(t, resp); got != "HTTP/2.0" {
		t.Errorf("spoke %s", got)
	}
}

func TestRow195AmbiguousFramingIsRefused(t *testing.T) {
	k := newKernel(t, nil).standard()
	address, stop := serve(t, k, unlimited)
	head := "POST /oauth2/token HTTP/1.1\r\nHost: op.test\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	for name, raw := range map[string]string{
		"two lengths":      head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\na=b",
		"bad length":       head + "Content-Length: +3\r\n\r\na=b",
		"two encodings":    head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"unknown encoding": head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"space in name":    head + "Content-Length : 3\r\n\r\na=b",
		"no host":          "GET /login HTTP/1.1\r\n\r\n",
		"two hosts":        "GET /login HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"1 MB header":      "GET /login HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
	} {
		line := say(t, address, raw)
		if !strings.Contains(line, " 400 ") && !strings.Contains(line, " 501 ") && !strings.Contains(line, " 431 ") && line != "" {
			t.Errorf("%s: %q", name, line)
		}
	}
	if stop(); len(k.lines(t)) != 0 {
		t.Errorf("a handler ran: %v", k.lines(t))
	}
	// A bad chunk shows only while the body is read.
	k2 := newKernel(t, nil)
	k2.Protocol("/oauth2/token", []string{"POST"}, func(w http.ResponseWriter, r *http.Request) error {
		_, _, err := Params(r)
		return err
	})
	address, _ = serve(t, k2, unlimited)
	if line := say(t, address, head+"Transfer-Encoding: chunked\r\n\r\nZZ\r\na=b\r\n0\r\n\r\n"); !strings.Contains(line, " 400 ") {
		t.Errorf("bad chunk: %q", line)
	}
}

func TestRow195LengthAndChunksTogetherDoNotSmuggle(t *testing.T) {
	k := newKernel(t, nil).standard()
	address, stop := serve(t, k, unlimited)
	say(t, address, "POST /oauth2/token HTTP/1.1\r\nHost: op.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+
		"GET /account HTTP/1.1\r\nHost: op.test\r\n\r\n")
	stop()
	if lines := k.lines(t); len(lines) != 1 || lines[0]["route"] != "/oauth2/token" {
		t.Errorf("served %v", lines)
	}
}

func TestRow196H2CIsNotSpoken(t *testing.T) {
	address, _ := serve(t, newKernel(t, nil).standard(), unlimited)
	if line := say(t, address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); strings.Contains(line, "HTTP/2") || strings.Contains(line, " 200 ") || line != "" && !strings.HasPrefix(line, "HTTP/1.1 ") {
		t.Errorf("answer %q", line)
	}
	if line := say(t, address, "GET /login HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"); !strings.Contains(line, " 200 ") {
		t.Errorf("upgrade: %q", line)
	}
}

func TestConnectionsOfOneAddressAreCapped(t *testing.T) {
	const allowed = 3
	address, _ := serve(t, newKernel(t, nil).standard(), func(l net.Listener) net.Listener { return LimitConns(l, allowed) })
	var open []net.Conn
	ask := func() (net.Conn, string) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, "GET /login HTTP/1.1\r\nHost: a\r\n\r\n")
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return conn, line
	}
	for range allowed {
		conn, line := ask()
		if open = append(open, conn); !strings.Contains(line, " 200 ") {
			t.Fatalf("within the limit: %q", line)
		}
	}
	conn, line := ask()
	if conn.Close(); line != "" {
		t.Errorf("beyond the limit: %q", line)
	}
	for _, conn := range open {
		conn.Close()
	}
	// The server notices a closed connection on its own time.
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, line := ask()
		conn.Close()
		if strings.Contains(line, " 200 ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("closing a connection does not give its place back")
		}
	}
}

func TestTrustedProxiesAreNotCapped(t *testing.T) {
	l := LimitConns(fakeListener{}, 1, netip.MustParsePrefix("127.0.0.0/8"))
	for range 3 {
		if conn, err := l.Accept(); err != nil || conn == nil {
			t.Fatalf("%v %v", conn, err)
		}
	}
	if got := l.(*limited).open; len(got) != 0 {
		t.Errorf("counted %v", got)
	}
}

func TestTheCapCountsByAddressAndForgets(t *testing.T) {
	l := LimitConns(fakeListener{}, 2).(*limited)
	first, _ := l.Accept()
	second, _ := l.Accept()
	if l.take("127.0.0.1") {
		t.Error("a third place was given")
	}
	first.Close()
	first.Close() // only once counts
	if !l.take("127.0.0.1") || l.take("127.0.0.1") {
		t.Error("closing one connection must free exactly one place")
	}
	l.release("127.0.0.1")
	second.Close()
	if len(l.open) != 0 {
		t.Errorf("still counts %v", l.open)
	}
}

type fakeListener struct{ net.Listener }

func (fakeListener) Accept() (net.Conn, error) { return fakeConn{}, nil }

type fakeConn struct{ net.Conn }

func (fakeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (fakeConn) Close() error         { return nil }
