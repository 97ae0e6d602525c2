package conformance

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// jar keeps cookies as browsers do (RFC 6265bis): by host without port, with Secure, Path, expiry, the name prefixes and SameSite.
type jar struct {
	now     func() time.Time
	cookies []*kept
	refused []string // names of cookies that a browser would not have taken
}

type kept struct {
	name, value, host, path string
	secure, httpOnly        bool
	sameSite                http.SameSite
	expires                 time.Time // zero: until the browser closes
}

// trip says in what context a request is made.
type trip struct {
	sameSite bool // the page that asks, and all pages around it, are of the target's site
	topLevel bool // it changes the address bar
}

// send returns the Cookie header for a request.
func (j *jar) send(u *url.URL, method string, t trip) string {
	var pairs []string
	for _, c := range j.cookies {
		if c.matches(u, j.now()) && c.mayTravel(method, t) {
			pairs = append(pairs, c.name+"="+c.value)
		}
	}
	return strings.Join(pairs, "; ")
}

func (c *kept) matches(u *url.URL, now time.Time) bool {
	inPath := u.Path == c.path || strings.HasPrefix(u.Path, strings.TrimSuffix(c.path, "/")+"/")
	return c.host == u.Hostname() && inPath && (!c.secure || u.Scheme == "https") && (c.expires.IsZero() || now.Before(c.expires))
}

// mayTravel is the rule of SameSite; a cookie without the attribute counts as Lax.
func (c *kept) mayTravel(method string, t trip) bool {
	switch {
	case t.sameSite, c.sameSite == http.SameSiteNoneMode:
		return true
	case c.sameSite == http.SameSiteStrictMode:
		return false
	}
	return t.topLevel && (method == http.MethodGet || method == http.MethodHead)
}

// take stores the cookies of an answer.
func (j *jar) take(u *url.URL, header http.Header, t trip) {
	for _, c := range (&http.Response{Header: header}).Cookies() {
		k := &kept{name: c.Name, value: c.Value, host: u.Hostname(), path: c.Path, secure: c.Secure, httpOnly: c.HttpOnly, sameSite: c.SameSite}
		if !acceptable(c, u) || !t.topLevel && !t.sameSite && c.SameSite != http.SameSiteNoneMode {
			j.refused = append(j.refused, c.Name)
			continue
		}
		if k.path == "" || k.path[0] != '/' {
			k.path = "/"
		}
		switch {
		case c.MaxAge < 0:
			k.expires = j.now()
		case c.MaxAge > 0:
			k.expires = j.now().Add(time.Duration(c.MaxAge) * time.Second)
		case !c.Expires.IsZero():
			k.expires = c.Expires
		}
		j.put(k)
	}
}

func (j *jar) put(k *kept) {
	for i, old := range j.cookies {
		if old.name == k.name && old.host == k.host && old.path == k.path {
			j.cookies[i] = k
			return
		}
	}
	j.cookies = append(j.cookies, k)
}

// acceptable holds a cookie against the prefixes and against SameSite=None, which needs Secure.
func acceptable(c *http.Cookie, u *url.URL) bool {
	switch {
	case c.Secure && u.Scheme != "https", c.SameSite == http.SameSiteNoneMode && !c.Secure:
		return false
	case strings.HasPrefix(c.Name, "__Host-"):
		return c.Secure && c.Path == "/" && c.Domain == ""
	case strings.HasPrefix(c.Name, "__Secure-"):
		return c.Secure
	}
	return c.Domain == "" || c.Domain == u.Hostname()
}

// get returns a cookie that is still alive.
func (j *jar) get(host, name string) (*kept, bool) {
	for _, c := range j.cookies {
		if c.host == host && c.name == name && (c.expires.IsZero() || j.now().Before(c.expires)) {
			return c, true
		}
	}
	return nil, false
}

// The jar decides what half of these tests see, so it is tested itself.
func TestJarKeepsTheRulesOfBrowsers(t *testing.T) {
	now := time.Now()
	j := &jar{now: func() time.Time { return now }}
	op := &url.URL{Scheme: "https", Host: "localhost:1", Path: "/login"}
	j.take(op, http.Header{"Set-Cookie": {
		"lax=1; Path=/; Secure; SameSite=Lax", "none=1; Path=/; Secure; SameSite=None", "strict=1; Path=/; Secure; SameSite=Strict", "plain=1; Path=/",
		"__Host-bad=1; Path=/", "__Host-good=1; Path=/; Secure; SameSite=Lax; Max-Age=60", "leaky=1; Path=/; SameSite=None", "deep=1; Path=/account; Secure; SameSite=None",
	}}, trip{topLevel: true})
	other := &url.URL{Scheme: "https", Host: "localhost:2", Path: "/x"}
	for _, c := range []struct {
		name, method, want string
		u                  *url.URL
		t                  trip
	}{
		{"same site sends all, whatever the port", "POST", "lax=1; none=1; strict=1; plain=1; __Host-good=1", other, trip{sameSite: true}},
		{"top-level GET from elsewhere", "GET", "lax=1; none=1; plain=1; __Host-good=1", op, trip{topLevel: true}},
		{"top-level POST from elsewhere", "POST", "none=1", op, trip{topLevel: true}},
		{"frame from elsewhere", "GET", "none=1", op, trip{}},
		{"another host", "GET", "", &url.URL{Scheme: "https", Host: "127.0.0.1:1", Path: "/"}, trip{sameSite: true}},
		{"plain http", "GET", "plain=1", &url.URL{Scheme: "http", Host: "localhost:1", Path: "/"}, trip{sameSite: true}},
	} {
		if got := j.send(c.u, c.method, c.t); got != c.want {
			t.Errorf("%s: sent %q, want %q", c.name, got, c.want)
		}
	}
	now = now.Add(2 * time.Minute)
	if _, ok := j.get("localhost", "__Host-good"); ok {
		t.Error("a cookie outlived its Max-Age")
	}
	if len(j.refused) != 2 {
		t.Errorf("refused %v, want __Host-bad and leaky", j.refused)
	}
}
