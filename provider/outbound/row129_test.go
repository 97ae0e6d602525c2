//go:build unix

package outbound

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// filtered returns an address that answers no connection attempt: the queue of its listener is full.
func filtered(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port))
	for range 8 {
		conn, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this system has no full queue")
	}
	t.Skip("this system has no full queue")
	return ""
}

// With the real times: who measures cannot tell a filtered port from a closed one, from a wrong path, from a host without TLS, from an address inside.
func TestRow129FailuresLookAlike(t *testing.T) {
	t.Parallel()
	notFound := httptest.NewServer(http.NotFoundHandler())
	defer notFound.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = discard
	untrusted.StartTLS()
	defer untrusted.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	c := newClient(t, local, func(o *Options) { o.FailureFloor = 0 })
	c.resolver = answers(t, "10.0.0.1")
	var wg sync.WaitGroup
	var mu sync.Mutex
	took := map[string]time.Duration{}
	for name, to := range map[string]string{
		"404": notFound.URL, "no TLS": strings.Replace(notFound.URL, "http://", "https://", 1), "untrusted": untrusted.URL,
		"closed": "https://" + closed.Addr().String(), "filtered": "https://" + filtered(t), "inside": "https://inside.example",
	} {
		wg.Go(func() {
			start := time.Now()
			failure(t, c, to)
			mu.Lock()
			defer mu.Unlock()
			took[name] = time.Since(start)
		})
	}
	wg.Wait()
	for name, d := range took {
		if d < defaultFloor || d > defaultFloor+2*time.Second {
			t.Errorf("%s: told after %s; want %s, as for all", name, d, defaultFloor)
		}
	}
	if defaultFloor <= dialTimeout || defaultFloor > defaultTimeout {
		t.Error("a filtered port takes longer than the others")
	}
}
