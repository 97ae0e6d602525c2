package web

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// aead are the TLS 1.2 cipher suites that are offered; those of TLS 1.3 are all of this kind.
var aead = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Server returns an HTTP server whose time-outs and sizes cut off slow and greedy clients. It serves plain HTTP/1.1 behind a proxy, and TLS (ServeTLS, or
// certificates in TLSConfig) with HTTP/2; HTTP/2 without TLS is not spoken.
func Server(addr string, handler http.Handler) *http.Server {
	s := &http.Server{
		Addr: addr, Handler: handler,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 60 * time.Second,
		MaxHeaderBytes: 32 << 10,
		TLSConfig:      &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: aead},
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: 100, WriteByteTimeout: 10 * time.Second},
		Protocols:      new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	return s
}

// LimitConns returns a listener that closes connections beyond perIP of one address (of one /64 for IPv6) at once. Addresses in exempt, the trusted proxies,
// are not counted: all their users would share one allowance. perIP 0 or less is no limit.
func LimitConns(l net.Listener, perIP int, exempt ...netip.Prefix) net.Listener {
	if perIP <= 0 {
		return l
	}
	return &limited{Listener: l, perIP: perIP, exempt: exempt, open: map[string]int{}}
}

type limited struct {
	net.Listener
	perIP  int
	exempt []netip.Prefix

	mu   sync.Mutex
	open map[string]int
}

// Accept returns the next connection that is within the limit.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := parseAddr(conn.RemoteAddr().String())
		if !address.IsValid() || contains(l.exempt, address) {
			return conn, nil
		}
		key := peerKey(address, 32, 64)
		if l.take(key) {
			return &counted{Conn: conn, release: sync.OnceFunc(func() { l.release(key) })}, nil
		}
		// The peer learns nothing from an error of Close.
		_ = conn.Close()
	}
}

func (l *limited) take(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key] >= l.perIP {
		return false
	}
	l.open[key]++
	return true
}

func (l *limited) release(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key]--; l.open[key] <= 0 {
		delete(l.open, key)
	}
}

// counted is a connection that gives its place back when it is closed.
type counted struct {
	net.Conn
	release func()
}

func (c *counted) Close() error {
	c.release()
	return c.Conn.Close()
}
