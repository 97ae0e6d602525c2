package outbound

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestRow128RedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer target.Close()
	c := newClient(t, local)
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(target.URL, status))
		cause := failure(t, c, server.URL)
		if want := fmt.Sprintf("status %d", status); cause == nil || cause.Error() != want {
			t.Errorf("cause %v, want %s", cause, want)
		}
		if got, err := c.Post(t.Context(), server.URL, url.Values{"logout_token": {"secret"}}); got != status || !errors.As(err, new(*Error)) {
			t.Errorf("Post: %d, %v; want %d and an error", got, err, status)
		}
		server.Close()
	}
	if followed.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// raw listens and hands each connection, after the request's header, to serve.
func raw(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 4096)); err == nil {
					serve(conn)
				}
			})
		}
	})
	return l.Addr().String()
}

// endless writes text until the peer hangs up.
func endless(begin, text string, every time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		_, err := io.WriteString(conn, begin)
		for err == nil {
			time.Sleep(every)
			_, err = io.WriteString(conn, text)
		}
	}
}

// hang says nothing and waits for the peer to hang up.
func hang(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

func TestRow130HostileAnswersAreCut(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	if _, err := w.Write(make([]byte, 16<<20)); err != nil || w.Close() != nil || bomb.Len() >= defaultMaxBytes {
		t.Fatalf("the bomb has %d bytes, %v", bomb.Len(), err)
	}
	answer := func(more string, body []byte) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = fmt.Fprintf(conn, "%s%sContent-Length: %d\r\n\r\n", head, more, len(body))
			_, _ = conn.Write(body)
		}
	}
	var wg sync.WaitGroup
	for name, serve := range map[string]func(net.Conn){
		"10 MB":            answer("", make([]byte, 10<<20)),
		"one byte over":    answer("", make([]byte, 256<<10+1)),
		"unending body":    endless(head+"\r\n", strings.Repeat("a", 32<<10), 0),
		"unending chunks":  endless(head+"Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\na\r\n", 5000), 0),
		"HTML without end": endless("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html>", strings.Repeat("<div>", 4<<10), 0),
		"slow body":        endless(head+"Content-Length: 100000\r\n\r\n", "a", 20*time.Millisecond),
		"slow header":      endless("HTTP/1.1 200 OK\r\nX: ", "a", 20*time.Millisecond),
		"unending header":  endless(head, "X-More: "+strings.Repeat("a", 100)+"\r\n", 0),
		"unending line":    endless(head+"X: ", strings.Repeat("a", 1000), 0),
		"unending 1xx":     endless("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0),
		"gzip bomb":        answer("Content-Encoding: gzip\r\n", bomb.Bytes()),
		"gzip on the way":  answer("Transfer-Encoding: gzip\r\n", bomb.Bytes()),
		"silence":          hang,
		"hung up":          func(net.Conn) {},
		"no HTTP":          func(conn net.Conn) { _, _ = io.WriteString(conn, "220 mail ESMTP\r\n") },
		"204":              func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n") },
		"206":              func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\na") },
		"500":              func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\na") },
	} {
		at := raw(t, serve)
		c := newClient(t, local, func(o *Options) { o.Timeout = 2 * time.Second }) // one each: they would wait at one gate
		wg.Go(func() {
			start := time.Now()
			response, err := c.Get(context.Background(), "http://"+at, "*/*")
			if !errors.As(err, new(*Error)) {
				t.Errorf("%s: %v, %v", name, response, err)
			}
			waits := strings.HasPrefix(name, "slow") || name == "silence"
			if errors.Is(err, context.DeadlineExceeded) != waits {
				t.Errorf("%s: cut by time is %t: %v", name, !waits, errors.Unwrap(err))
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("%s: took %s", name, took)
			}
			if len(c.gates.open) != 0 {
				t.Errorf("%s: still holds a worker", name)
			}
		})
	}
	wg.Wait()
	c := newClient(t, local)
	for name, body := range map[string][]byte{"256 KiB": make([]byte, 256<<10), "gzip not announced": bomb.Bytes()} {
		if response, err := c.Get(t.Context(), "http://"+raw(t, answer("", body)), "*/*"); err != nil || !bytes.Equal(response.Body, body) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if defaultTimeout != 5*time.Second || defaultMaxBytes != 256<<10 || maxHeaderBytes > 32<<10 {
		t.Error("the limits are not those of the row")
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
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, func(o *Options) { o.Allow, o.Timeout = []string{"localhost"}, time.Minute })
	c.resolver = answers(t, "127.0.0.1")
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			// The host has one gate, whatever its port is called and whatever is wanted.
			to := fmt.Sprintf("http://%s:%s/%d", []string{"localhost", "LOCALHOST"}[i%2], port, i)
			var err error
			if i%3 == 0 {
				_, err = c.Post(context.Background(), to, nil)
			} else {
				_, err = c.Get(context.Background(), to, "*/*")
			}
			if err != nil {
				t.Error(errors.Unwrap(err))
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

func TestRow130AHostHasOneGateHoweverItIsWritten(t *testing.T) {
	for _, list := range [][]string{
		{"https://a.example/x", "https://A.example:8443/y?z", "http://a.example.:80"},
		{"https://192.0.2.1", "https://192.0.2.1:8443", "https://[::ffff:192.0.2.1]/"},
		{"https://[2001:db8::1]", "https://[2001:DB8:0:0::1]:8443"},
	} {
		for _, to := range list {
			u, err := url.Parse(to)
			if err != nil {
				t.Fatal(err)
			}
			if got := hostOf(u); list[0] != "https://"+got && list[0] != "https://["+got+"]" && list[0] != "https://"+got+"/x" {
				t.Errorf("%s has the gate of %s", to, got)
			}
		}
	}
}

func TestRow133DeliveryIsCutAfterThreeSeconds(t *testing.T) {
	t.Parallel()
	c := newClient(t, local, func(o *Options) { o.Timeout = time.Minute })
	var wg sync.WaitGroup
	for name, serve := range map[string]func(net.Conn){
		"hangs":           hang,
		"slow header":     endless("HTTP/1.1 200 OK\r\nX: ", "a", 20*time.Millisecond),
		"unending 1xx":    endless("", "HTTP/1.1 100 Continue\r\n\r\n", 20*time.Millisecond),
		"unending header": endless(head, "X-More: "+strings.Repeat("a", 100)+"\r\n", 0),
	} {
		at := raw(t, serve)
		wg.Go(func() {
			start := time.Now()
			status, err := c.Post(context.Background(), "http://"+at, url.Values{"logout_token": {"x"}})
			took := time.Since(start)
			if status != 0 || !errors.As(err, new(*Error)) || took > postTimeout+3*time.Second {
				t.Errorf("%s: %d, %v after %s", name, status, err, took)
			}
		})
	}
	wg.Wait()
	if postTimeout != 3*time.Second {
		t.Errorf("a delivery may take %s", postTimeout)
	}
}

func TestRow133WaitingForTheGateCountsAsTimeOfTheDelivery(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	at := raw(t, func(conn net.Conn) { connections.Add(1); hang(conn) })
	c := newClient(t, local)
	var wg sync.WaitGroup
	start := time.Now()
	for range 3 * perHost {
		wg.Go(func() {
			if status, err := c.Post(context.Background(), "http://"+at, nil); status != 0 || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d, %v", status, errors.Unwrap(err))
			}
		})
	}
	users := func() (n int) {
		c.gates.mu.Lock()
		defer c.gates.mu.Unlock()
		for _, g := range c.gates.open {
			n += g.users
		}
		return n
	}
	for users() < 3*perHost || connections.Load() < perHost {
		if time.Since(start) > postTimeout {
			t.Fatalf("%d deliveries at the gate, %d at the host", users(), connections.Load())
		}
		time.Sleep(time.Millisecond) // until all have come; nothing signals it
	}
	if n := connections.Load(); n != perHost {
		t.Errorf("%d deliveries at once reached the host", n)
	}
	wg.Wait()
	if took := time.Since(start); took > postTimeout+2*time.Second {
		t.Errorf("24 deliveries to one hanging host held their workers for %s", took)
	}
}

func TestRow133TheBodyOfTheAnswerIsIgnored(t *testing.T) {
	c := newClient(t, local)
	gone := make(chan struct{})
	at := raw(t, func(conn net.Conn) {
		endless(head+"\r\n", strings.Repeat("a", 32<<10), 0)(conn)
		close(gone)
	})
	start := time.Now()
	if status, err := c.Post(t.Context(), "http://"+at, nil); status != 200 || err != nil {
		t.Errorf("%d, %v", status, err)
	}
	if took := time.Since(start); took >= postTimeout {
		t.Errorf("took %s: as long as the body lasts", took)
	}
	<-gone // the server has noticed that nobody listens
}
