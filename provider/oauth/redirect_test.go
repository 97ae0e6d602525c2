package oauth

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/storage"
)

func TestRedirectURIRegistration(t *testing.T) {
	for name, tc := range map[string]struct {
		method  string
		refused []string
		allowed []string
	}{
		"Row4 wildcards": {"none", []string{"https://*.example.com/cb", "https://app.example/*", "com.example.app:/*"}, nil},
		"Row8 schemes": {"none", []string{
			"javascript:alert(1)", "JavaScript:alert(1)", "javascript://x.y/%0aalert(1)", "data:text/html,x", "vbscript:x", "blob:https://a.example/1", "file:///etc/passwd", "intent://x#Intent;end", "about:blank",
			"myapp://callback", "myapp://127.0.0.1/cb", "ws://localhost/cb", "urn:ietf:wg:oauth:2.0:oob", "HTTPS://app.example/cb",
		}, []string{"com.example.app:/callback", "com.example.app://callback/x", "https://app.example/cb"}},
		"Row8 fragments":                    {"none", []string{"https://app.example/cb#", "https://app.example/cb#x", "com.example.app:/cb#"}, nil},
		"custom scheme of a confidential":   {"client_secret_basic", []string{"com.example.app:/callback"}, []string{"https://app.example/cb"}},
		"opaque custom scheme":              {"none", []string{"com.example.app:callback"}, nil},
		"http on loopback only":             {"client_secret_basic", []string{"http://app.example/cb", "http://127.0.0.2/cb", "http://127.1/cb", "http://0.0.0.0/cb", "http://[::ffff:127.0.0.1]/cb", "http://localhost.evil.example/cb", "http://localhost./cb"}, []string{"http://127.0.0.1/cb", "http://127.0.0.1:8080/cb", "http://[::1]/cb", "http://[::1]:1/cb", "http://localhost:3000/cb"}},
		"R4 not absolute":                   {"none", []string{"/cb", "//app.example/cb", "app.example/cb", "https:", "https:///cb", "https:app.example", "https://", "http:127.0.0.1/cb"}, nil},
		"user info":                         {"none", []string{"https://app.example@evil.example/cb", "https://a:b@app.example/cb", "https://@app.example/cb", "http://evil@127.0.0.1/cb"}, nil},
		"control characters and backslash":  {"none", []string{"https://app.example/\ncb", "https://app.example/c b", "https://app.example\\@evil.example/cb", "https://app.example/\x7f", "https://bücher.example/cb", "https://app.example/\x00", "https://app.example/<x>"}, nil},
		"bad escapes":                       {"none", []string{"https://app.example/%zz", "https://app%2eexample/cb", "https://[fe80::1%25eth0]/cb"}, nil},
		"dot segments":                      {"none", []string{"https://app.example/a/../cb", "https://app.example/./cb", "https://app.example/a/%2e%2e/cb", "https://app.example/..%2fcb", "https://app.example/..%5ccb"}, []string{"https://app.example/a..b/.cb"}},
		"ports":                             {"none", []string{"https://app.example:/cb", "https://app.example:0/cb", "https://app.example:65536/cb", "https://app.example:080/cb", "http://127.0.0.1:99999/cb"}, []string{"https://app.example:8443/cb", "https://app.example:443/cb"}},
		"A4 query and international domain": {"none", nil, []string{"https://app.example/cb?tenant=1&x=%20", "https://xn--bcher-kva.example/cb", "https://app.example", "https://app.example?x=1", "https://[2001:db8::1]/cb"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, uri := range tc.refused {
				if problem := redirectURI(uri, tc.method == "none"); problem == "" {
					t.Errorf("%q was accepted", uri)
				}
			}
			for _, uri := range tc.allowed {
				if problem := redirectURI(uri, tc.method == "none"); problem != "" {
					t.Errorf("%q was refused: %s", uri, problem)
				}
			}
		})
	}
}

func TestRedirectMatch(t *testing.T) {
	public := func(uris ...string) *storage.Client { return &storage.Client{AuthMethod: "none", RedirectURIs: uris} }
	confidential := func(uris ...string) *storage.Client {
		return &storage.Client{AuthMethod: "client_secret_basic", ApplicationType: "native", RedirectURIs: uris}
	}
	for name, tc := range map[string]struct {
		client  *storage.Client
		refused []string
		allowed []string
	}{
		"Row1 unregistered":    {confidential("https://app.example/cb"), []string{"", "https://evil.example/cb", "https://app.example/", "https://app.example"}, []string{"https://app.example/cb"}},
		"Row1 none registered": {confidential(), []string{"", "https://app.example/cb"}, nil},
		"Row2 prefix and traversal": {confidential("https://app.example/cb"), []string{
			"https://app.example.evil.com/cb", "https://app.example/cb/extra", "https://app.example/cb/../x", "https://app.example/cb/..%2Fx", "https://app.example/cb/..;/x", "https://app.example/%252f", "https:///app.example/cb", "https://app.example///cb", "https://app.example/c",
		}, nil},
		"Row3 host confusion": {confidential("https://app.example/cb"), []string{
			"https://app.example@evil.com/cb", "https://app.example\\@evil.com", "https://evil.com#@app.example/cb", "https://app.example\t/cb", "https://app.example/cb\r\n", "https://app.example%00/cb", "https://[fe80::1%25en0]/cb", " https://app.example/cb",
		}, nil},
		"Row4 dots are no pattern": {confidential("https://a.b.com/cb"), []string{"https://aXb.com/cb", "https://aXbXcom/cb"}, nil},
		"Row5 byte-exact": {confidential("https://app.example/cb"), []string{
			"https://APP.example/cb", "HTTPS://app.example/cb", "https://app.example/CB", "https://app.example/%63b", "https://app.example/cb/", "https://app.example/cb?", "https://app.example:443/cb", "https://app.example/cb#", "https://app.example./cb",
		}, nil},
		"Row5 international domain": {confidential("https://xn--bcher-kva.example/cb"), []string{"https://bücher.example/cb"}, nil},
		"A3 query included":         {confidential("https://app.example/cb?a=1&b=2"), []string{"https://app.example/cb", "https://app.example/cb?b=2&a=1", "https://app.example/cb?a=1"}, []string{"https://app.example/cb?a=1&b=2"}},
		"Row6 any port of a loopback address": {public("http://127.0.0.1/cb", "http://[::1]:4000/cb?x=1"), []string{
			"https://127.0.0.1:9/cb", "http://evil@127.0.0.1:9/cb", "http://127.0.0.1:9@evil.example/cb", "http://127.0.0.1:9/%63b", "http://127.0.0.1:9/cb#", "http://127.0.0.1:99999/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:09/cb", "http://127.0.0.1:+9/cb",
			"http://127.0.0.1.evil.example/cb", "http://127.0.0.1:9.evil.example/cb", "http://127.0.0.1:9/cb?x=1", "http://127.0.0.1:9/cb/", "http://127.0.0.1:9/other", "HTTP://127.0.0.1:9/cb", "http://127.0.0.1:9\\@evil.example/cb", "http://[::1]:9/cb",
		}, []string{"http://127.0.0.1/cb", "http://127.0.0.1:9/cb", "http://127.0.0.1:65535/cb", "http://[::1]:4000/cb?x=1", "http://[::1]:9/cb?x=1", "http://[::1]/cb?x=1"}},
		"Row6 https and custom schemes have no free port": {public("https://127.0.0.1/cb", "com.example.app://127.0.0.1/cb"), []string{"http://127.0.0.1:9/cb", "https://127.0.0.1:9/cb", "com.example.app://127.0.0.1:9/cb"}, []string{"https://127.0.0.1/cb"}},
		"Row7 confidential clients are exact":             {confidential("http://127.0.0.1/cb"), []string{"http://127.0.0.1:9/cb"}, []string{"http://127.0.0.1/cb"}},
		"Row7 other spellings of loopback": {public("http://127.0.0.1/cb"), []string{
			"http://localhost/cb", "http://localhost:9/cb", "http://127.1:9/cb", "http://0.0.0.0:9/cb", "http://[::ffff:127.0.0.1]:9/cb", "http://[::1]:9/cb", "http://2130706433:9/cb", "http://127.0.0.1.:9/cb",
		}, nil},
		"Row7 localhost is exact": {public("http://localhost/cb"), []string{"http://localhost:9/cb", "http://127.0.0.1/cb"}, []string{"http://localhost/cb"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, uri := range tc.refused {
				if MatchRedirect(tc.client, uri) {
					t.Errorf("%q was accepted", uri)
				}
				if m := Mismatch(tc.client, uri); len(m.Differences) == 0 {
					t.Errorf("%q is refused without saying why: %+v", uri, m)
				}
			}
			for _, uri := range tc.allowed {
				if !MatchRedirect(tc.client, uri) {
					t.Errorf("%q was refused", uri)
				}
			}
		})
	}
}

func TestLoopbackLiteralEndsWhereTheHostEnds(t *testing.T) {
	for _, uri := range []string{"http://127.0.0.1.evil.example/cb", "http://127.0.0.10/cb", "http://127.0.0.1@evil.example", "http://[::1].evil.example", "http://127.0.0.1#", "http://127.0.0.1\\x"} {
		if literal, port, rest, ok := cutLoopback(uri); ok {
			t.Errorf("cutLoopback(%q) = %q, %q, %q", uri, literal, port, rest)
		}
	}
}

func TestMismatchNamesThePart(t *testing.T) {
	c := &storage.Client{AuthMethod: "client_secret_basic", RedirectURIs: []string{
		"https://app.example/auth/callback", "http://localhost:3000/cb", "https://app.example/cb?tenant=1", "https://staging.app.example:8443/auth/callback", "http://127.0.0.1:5000/x",
	}}
	for name, tc := range map[string]struct {
		sent, nearest string
		parts         []string
		advice        string
	}{
		"scheme":         {"http://app.example/auth/callback", c.RedirectURIs[0], []string{"scheme"}, "proxy"},
		"host":           {"https://other.example/auth/callback", c.RedirectURIs[0], []string{"host"}, "registered host"},
		"port":           {"http://localhost:3001/cb", c.RedirectURIs[1], []string{"port"}, "registered port"},
		"default port":   {"https://app.example:443/auth/callback", c.RedirectURIs[0], []string{"port"}, "Leave the port out"},
		"missing port":   {"https://staging.app.example/auth/callback", c.RedirectURIs[3], []string{"port"}, "names a port"},
		"loopback port":  {"http://127.0.0.1:5001/x", c.RedirectURIs[4], []string{"port"}, "none only"},
		"loopback name":  {"http://127.0.0.1:3000/cb", c.RedirectURIs[1], []string{"host"}, "different hosts"},
		"path":           {"https://app.example/auth/callback2", c.RedirectURIs[0], []string{"path"}, "registered path"},
		"trailing slash": {"https://app.example/auth/callback/", c.RedirectURIs[0], []string{"trailing slash"}, "Remove the slash"},
		"case of path":   {"https://app.example/auth/Callback", c.RedirectURIs[0], []string{"case"}, "case"},
		"case of host":   {"https://App.example/auth/callback", c.RedirectURIs[0], []string{"case"}, "case"},
		"query":          {"https://app.example/cb?tenant=2", c.RedirectURIs[2], []string{"query"}, "state"},
		"missing query":  {"https://app.example/cb", c.RedirectURIs[2], []string{"query"}, "Send it too"},
		"fragment":       {"https://app.example/auth/callback#", c.RedirectURIs[0], []string{"fragment"}, "fragment"},
		"user info":      {"https://me@app.example/auth/callback", c.RedirectURIs[0], []string{"user info"}, "user name"},
		"escaped twice":  {"https://app.example/auth%2Fcallback", c.RedirectURIs[0], []string{"path"}, "percent-encoding"},
		"several":        {"http://app.example/auth/callback/", c.RedirectURIs[0], []string{"scheme", "trailing slash"}, "slash"},
	} {
		t.Run(name, func(t *testing.T) {
			m := Mismatch(c, tc.sent)
			var parts []string
			advice := ""
			for _, d := range m.Differences {
				parts = append(parts, d.Part)
				advice += d.Advice
				if d.Sent == d.Registered || !strings.HasSuffix(d.Advice, ".") {
					t.Errorf("difference %+v", d)
				}
			}
			if m.Nearest != tc.nearest || !slices.Equal(parts, tc.parts) || !strings.Contains(advice, tc.advice) {
				t.Errorf("Mismatch(%q) = %+v", tc.sent, m)
			}
		})
	}
}

func TestMismatchOfAClientWithoutRedirects(t *testing.T) {
	m := Mismatch(&storage.Client{}, "https://app.example/cb")
	if m.Nearest != "" || len(m.Differences) != 1 || !strings.Contains(m.Differences[0].Advice, "Register one") {
		t.Errorf("Mismatch = %+v", m)
	}
}

// FuzzMatchRedirect holds the rule against whatever can be sent: what matches is registered, or differs in the digits of a port only.
func FuzzMatchRedirect(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1:9/cb", "http://evil@127.0.0.1:9/cb", "http://127.0.0.1:9/%63b", "http://127.0.0.1:99999/cb", "http://127.0.0.1.evil/cb", "https://app.example/cb", "http://[::1]:1/cb#"} {
		f.Add(seed)
	}
	registered := []string{"https://app.example/cb", "http://127.0.0.1/cb", "http://[::1]:4000/cb"}
	c := &storage.Client{AuthMethod: "none", RedirectURIs: registered}
	f.Fuzz(func(t *testing.T, sent string) {
		if !MatchRedirect(c, sent) || slices.Contains(registered, sent) {
			return
		}
		for _, literal := range []string{"http://127.0.0.1", "http://[::1]"} {
			rest, found := strings.CutPrefix(sent, literal)
			if found && (rest == "/cb" || strings.HasPrefix(rest, ":") && strings.HasSuffix(rest, "/cb") && strings.Trim(rest[1:len(rest)-3], "0123456789") == "" && len(rest) <= 9) {
				return
			}
		}
		t.Errorf("%q was accepted", sent)
	})
}
