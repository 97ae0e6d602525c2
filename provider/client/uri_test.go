package client

import "testing"

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
