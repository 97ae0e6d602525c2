package outbound

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

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

// ways are all ways to reach a URL.
var ways = map[string]func(*testing.T, *Client, string) error{
	"Get": func(t *testing.T, c *Client, to string) error {
		_, err := c.Get(t.Context(), to, "*/*")
		return err
	},
	"Cached": func(t *testing.T, c *Client, to string) error {
		_, err := c.Cached(t.Context(), to, "", "*/*", time.Minute)
		return err
	},
	"Post": func(t *testing.T, c *Client, to string) error {
		status, err := c.Post(t.Context(), to, url.Values{"logout_token": {"x"}})
		if status != 0 {
			t.Errorf("Post(%s) met status %d", to, status)
		}
		return err
	},
}

func TestRow126InsideAddressesAreNeverConnectedTo(t *testing.T) {
	port, connections := traps(t)
	c := newClient(t)
	for _, host := range []string{
		"127.0.0.1", "127.255.255.254", "[::1]", "0.0.0.0", "[::]", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "[fd00::1]", "[fe80::1]",
		"[fe80::1%25lo]", "[::1%25lo]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[2002:7f00:1::1]",
		"2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.1", "127.0.1", "0", "localhost", "localhost.", "LOCALHOST", "x.localhost", "127.0.0.1.", "①②⑦.⓪.⓪.①", "127。0。0。1", "ｌocalhost", "[ff02::1]", "255.255.255.255", "224.0.0.1",
	} {
		to := "https://" + host + ":" + port + "/jwks"
		for name, reach := range ways {
			if err := reach(t, c, to); !errors.As(err, new(*Error)) {
				t.Errorf("%s(%s): %v", name, to, err)
			}
		}
		if err := c.CheckURL(to); err == nil {
			t.Errorf("CheckURL(%s) lets it be registered", to)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Fatalf("%d connections reached a local listener", n)
	}
}

func TestRow126NamesThatPointInsideAreNeverConnectedTo(t *testing.T) {
	port, connections := traps(t)
	for _, inside := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "10.1.2.3", "169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::"} {
		c := newClient(t)
		c.resolver = answers(t, inside)
		for name, reach := range ways {
			if err := reach(t, c, "https://rebound.example:"+port+"/"); !errors.Is(err, ErrBlocked) {
				t.Errorf("%s, %s: %v", name, inside, err)
			}
		}
	}
	if n := connections.Load(); n != 0 {
		t.Fatalf("%d connections reached a local listener", n)
	}
	for name, reach := range ways {
		c := newClient(t, func(o *Options) { o.Allow = []string{"rebound.example"} })
		c.resolver = answers(t, "127.0.0.1")
		_ = reach(t, c, "https://rebound.example:"+port+"/")
		if connections.Swap(0) == 0 {
			t.Errorf("%s: the test proves nothing: an allowed name does not connect either", name)
		}
	}
}

// A name of several addresses, one of them inside: the others may be reached, that one never.
func TestRow126EveryAddressOfANameIsJudged(t *testing.T) {
	inside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	_, port, err := net.SplitHostPort(inside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("no second loopback address: %v", err)
	}
	defer allowed.Close()
	count := func(l net.Listener) *atomic.Int64 {
		var n atomic.Int64
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				n.Add(1)
				conn.Close()
			}
		}()
		return &n
	}
	hit, good := count(inside), count(allowed)
	for name, reach := range ways {
		c := newClient(t, func(o *Options) { o.Allow = []string{"127.0.0.2/32"} })
		c.resolver = answers(t, "127.0.0.1", "127.0.0.2")
		_ = reach(t, c, "https://mixed.example:"+port+"/")
		if good.Swap(0) == 0 {
			t.Errorf("%s: the allowed address was not tried", name)
		}
	}
	if hit.Load() != 0 {
		t.Error("the address inside was connected to")
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
