package redirect

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/storage"
	"gatehouse/templates"
)

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
				if Match(tc.client, uri) {
					t.Errorf("%q was accepted", uri)
				}
				if m := Compare(tc.client, uri); len(m.Differences) == 0 {
					t.Errorf("%q is refused without saying why: %+v", uri, m)
				}
			}
			for _, uri := range tc.allowed {
				if !Match(tc.client, uri) {
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
			m := Compare(c, tc.sent)
			var parts []string
			advice := ""
			for _, d := range m.Differences {
				words := said(t, d.Advice, "Registered", d.Registered)
				parts = append(parts, said(t, d.Part))
				advice += words
				if d.Sent == d.Registered || !strings.HasSuffix(words, ".") {
					t.Errorf("difference %+v", d)
				}
			}
			if m.Nearest != tc.nearest || !slices.Equal(parts, tc.parts) || !strings.Contains(advice, tc.advice) {
				t.Errorf("Compare(%q) = %+v", tc.sent, m)
			}
		})
	}
}

// said is a text of the catalogue in English.
func said(t *testing.T, id string, values ...any) string {
	t.Helper()
	set, err := templates.Load()
	if err != nil {
		t.Fatal(err)
	}
	words, err := set.Say("en", templates.Say(id, values...))
	if err != nil {
		t.Fatal(err)
	}
	return words
}

func TestMismatchOfAClientWithoutRedirects(t *testing.T) {
	m := Compare(&storage.Client{}, "https://app.example/cb")
	if m.Nearest != "" || len(m.Differences) != 1 || !strings.Contains(said(t, m.Differences[0].Advice), "Register one") {
		t.Errorf("Mismatch = %+v", m)
	}
}

// FuzzMatchRedirect holds the rule against whatever can be sent: what matches is registered, or differs in the digits of a port only.
func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1:9/cb", "http://evil@127.0.0.1:9/cb", "http://127.0.0.1:9/%63b", "http://127.0.0.1:99999/cb", "http://127.0.0.1.evil/cb", "https://app.example/cb", "http://[::1]:1/cb#"} {
		f.Add(seed)
	}
	registered := []string{"https://app.example/cb", "http://127.0.0.1/cb", "http://[::1]:4000/cb"}
	c := &storage.Client{AuthMethod: "none", RedirectURIs: registered}
	f.Fuzz(func(t *testing.T, sent string) {
		if !Match(c, sent) || slices.Contains(registered, sent) {
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
