package web

import (
	"net/http"
	"testing"
)

func TestRow193ForwardedForIsBelievedFromTrustedProxiesOnly(t *testing.T) {
	for name, c := range map[string]struct {
		trusted []string
		remote  string
		headers []string
		want    string
	}{
		"nobody is trusted":            {nil, "192.0.2.7:1", []string{"1.1.1.1"}, "192.0.2.7"},
		"loopback is not exempt":       {nil, "127.0.0.1:1", []string{"1.1.1.1"}, "127.0.0.1"},
		"an untrusted peer":            {[]string{"10.0.0.0/8"}, "192.0.2.7:1", []string{"1.1.1.1"}, "192.0.2.7"},
		"one proxy":                    {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"1.1.1.1"}, "1.1.1.1"},
		"forged entries on the left":   {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"9.9.9.9, 8.8.8.8, 1.1.1.1"}, "1.1.1.1"},
		"two proxies":                  {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"9.9.9.9, 1.1.1.1, 10.0.0.2"}, "1.1.1.1"},
		"two header lines":             {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"1.1.1.1", "10.0.0.2"}, "1.1.1.1"},
		"forged trusted entry":         {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"10.0.0.9, 1.1.1.1"}, "1.1.1.1"},
		"all trusted":                  {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"no header":                    {[]string{"10.0.0.0/8"}, "10.0.0.1:1", nil, "10.0.0.1"},
		"empty header":                 {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{""}, "10.0.0.1"},
		"garbage ends the chain":       {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"9.9.9.9, unknown, 10.0.0.2"}, "10.0.0.2"},
		"with port":                    {[]string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"1.1.1.1:555"}, "1.1.1.1"},
		"IPv6":                         {[]string{"fd00::/8"}, "[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 in brackets":             {[]string{"fd00::/8"}, "[fd00::1]:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv6 with port":               {[]string{"fd00::/8"}, "[fd00::1]:1", []string{"[2001:db8::1]:99"}, "2001:db8::1"},
		"mapped IPv4 peer is IPv4":     {[]string{"10.0.0.0/8"}, "[::ffff:10.0.0.1]:1", []string{"::ffff:1.1.1.1"}, "1.1.1.1"},
		"zone":                         {nil, "[fe80::1%eth0]:1", nil, "fe80::1"},
		"no address":                   {nil, "@", []string{"1.1.1.1"}, "unknown"},
		"an address without trust all": {[]string{"0.0.0.0/0"}, "@", []string{"1.1.1.1"}, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t, func(o *Options) { o.TrustedProxies = prefixes(c.trusted...) })
			r, _ := http.NewRequest("GET", "/", nil)
			r.RemoteAddr = c.remote
			r.Header["X-Forwarded-For"] = c.headers
			for _, hearsay := range []string{"X-Real-Ip", "Forwarded", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip"} {
				r.Header.Set(hearsay, "7.7.7.7")
			}
			if got := addrText(k.peer(r)); got != c.want {
				t.Errorf("peer %s, want %s", got, c.want)
			}
		})
	}
}

func TestLimitKeysAreOneHousehold(t *testing.T) {
	for address, want := range map[string][2]string{
		"192.0.2.7":         {"192.0.2.7", "192.0.2.0/24"},
		"::ffff:192.0.2.7":  {"192.0.2.7", "192.0.2.0/24"},
		"2001:db8:1:2:3::4": {"2001:db8:1:2::/64", "2001:db8:1:2::/64"},
		"nonsense":          {"unknown", "unknown"},
	} {
		k := newKernel(t, nil)
		var got [2]string
		k.Page("/page", func(w http.ResponseWriter, r *http.Request) error {
			from(r).peer = parseAddr(address)
			got = [2]string{PeerKey(r), NetKey(r)}
			return nil
		}, nil)
		k.send("GET", "/page")
		if got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}

func TestWalkThroughForwardedForIsBounded(t *testing.T) {
	k := newKernel(t, func(o *Options) { o.TrustedProxies = prefixes("10.0.0.0/8") })
	r, _ := http.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	r.Header["X-Forwarded-For"] = []string{"1.1.1.1"}
	for range 100 {
		r.Header.Add("X-Forwarded-For", "10.0.0.2,10.0.0.2")
	}
	if got := k.peer(r).String(); got != "10.0.0.2" {
		t.Errorf("peer %s", got)
	}
}
