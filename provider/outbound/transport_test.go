package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// whole fetches a URL with the client of HTTP and reads all of the body.
func whole(c *Client, url string) ([]byte, error) {
	answer, err := c.HTTP().Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

func TestRow177TheOperatorsClientFollowsNoRedirect(t *testing.T) {
	reached := make(chan string, 10)
	inside := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.URL.Path }))
	defer inside.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		outside := httptest.NewServer(http.RedirectHandler(inside.URL, status))
		defer outside.Close()
		c := newClient(t, local) // even to where it may go
		if _, err := whole(c, outside.URL); !errors.Is(err, ErrAnswer) {
			t.Errorf("%d: %v", status, err)
		}
		if answer, err := c.HTTP().Post(outside.URL, "text/plain", strings.NewReader("code=secret")); !errors.Is(err, ErrAnswer) {
			t.Errorf("POST, %d: %v, %v", status, answer, err)
		}
	}
	if len(reached) != 0 {
		t.Errorf("%s was reached", <-reached)
	}
}

func TestRow177TheOperatorsClientReachesPublicAddressesOnly(t *testing.T) {
	var dialled atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { dialled.Add(1) }))
	defer inside.Close()
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	must(t, err)
	named := newClient(t)
	named.resolver = answers(t, "127.0.0.1")
	for _, url := range []string{
		inside.URL, "https://127.0.0.1:" + port, "https://[::1]:" + port, "https://2130706433:" + port, "https://10.0.0.1/", "https://169.254.169.254/", "https://intern.example:" + port,
	} {
		if _, err := whole(named, url); err == nil {
			t.Errorf("%s was reached", url)
		}
	}
	if _, err := whole(named, "https://intern.example:"+port); !errors.Is(err, ErrBlocked) {
		t.Errorf("a name that points inside: %v", err)
	}
	for _, url := range []string{"http://a.example/", "https://u:p@a.example/", "ftp://a.example/", "https://a.example/" + strings.Repeat("a", 4096)} {
		if _, err := whole(named, url); err == nil {
			t.Errorf("%.60s was fetched", url)
		}
	}
	if n := dialled.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
	if _, err := whole(newClient(t, local), inside.URL); err != nil || dialled.Load() != 1 {
		t.Errorf("an allowed address: %v", err)
	}
}

func TestRow177HostileAnswersToTheOperatorsClientAreErrors(t *testing.T) {
	length := func(n int64) func(net.Conn) {
		return func(conn net.Conn) {
			_, err := fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n", head, n)
			for block := make([]byte, 64<<10); err == nil && n > 0; n -= int64(len(block)) {
				_, err = conn.Write(block)
			}
		}
	}
	const limit = 500 * time.Millisecond
	var wg sync.WaitGroup
	for name, serve := range map[string]func(net.Conn){
		"100 MB announced": length(100 << 20),
		"100 MB in chunks": endless(head+"Transfer-Encoding: chunked\r\n\r\n", "8000\r\n"+strings.Repeat("a", 0x8000)+"\r\n", 0),
		"unending body":    endless(head+"\r\n", strings.Repeat("a", 32<<10), 0),
		"compressed": func(conn net.Conn) {
			_, _ = io.WriteString(conn, head+"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\naaa")
		},
		"slow body":       endless(head+"Content-Length: 100000\r\n\r\n", "a", 20*time.Millisecond),
		"slow header":     endless("HTTP/1.1 200 OK\r\nX: ", "a", 20*time.Millisecond),
		"unending header": endless(head, "X-More: "+strings.Repeat("a", 100)+"\r\n", 0),
		"silence":         hang,
	} {
		at := raw(t, serve)
		c := newClient(t, local, func(o *Options) { o.Timeout = limit })
		wg.Go(func() {
			start := time.Now()
			body, err := whole(c, "http://"+at)
			took := time.Since(start)
			if err == nil || len(body) > defaultMaxBytes {
				t.Errorf("%s: %d bytes, %v", name, len(body), err)
			}
			slow := strings.HasPrefix(name, "slow") || name == "silence"
			if errors.Is(err, context.DeadlineExceeded) != slow || errors.Is(err, ErrAnswer) == (slow || name == "unending header") {
				t.Errorf("%s: %v", name, err)
			}
			if took > limit+2*time.Second {
				t.Errorf("%s: took %s", name, took)
			}
		})
	}
	wg.Wait()
}

func TestTheOperatorsClientReadsWhatFitsAndKeepsConnections(t *testing.T) {
	var connections atomic.Int64
	body := make([]byte, defaultMaxBytes)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") != userAgent || r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("header %v", r.Header)
		}
		if r.URL.Path == "/over" {
			w.(http.Flusher).Flush() // in chunks, so that the length is not told
			_, _ = w.Write([]byte{0})
		}
		_, _ = w.Write(body)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c := newClient(t, local)
	for range 3 {
		if got, err := whole(c, server.URL); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for three fetches", n)
	}
	if got, err := whole(c, server.URL+"/over"); !errors.Is(err, ErrAnswer) {
		t.Errorf("one byte over: %d bytes, %v", len(got), err)
	}
	if first, second := c.HTTP(), c.HTTP(); first != second || first.Timeout != defaultTimeout {
		t.Error("the client is not one, or its time is not that of Options")
	}
}

func TestOneHostGetsAHundredOfTheOperatorsConnectionsAtOnce(t *testing.T) {
	const at = 100 // more than perHost, which is for strangers
	var waiting sync.WaitGroup
	waiting.Add(at)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { waiting.Done(); waiting.Wait() }))
	defer server.Close()
	c := newClient(t, local)
	var wg sync.WaitGroup
	for range at {
		wg.Go(func() {
			if _, err := whole(c, server.URL); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
