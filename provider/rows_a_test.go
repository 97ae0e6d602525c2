package provider_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gatehouse/provider/client"
	"gatehouse/storage"
)

// Section A: redirect URI and authorization response. What concerns response modes and headers is in rows_a_answer_test.go.

func TestRow1UnregisteredRedirectURIGetsAPage(t *testing.T) {
	s := start(t, "memory")
	s.client()
	for name, values := range map[string]url.Values{
		"alone":            {},
		"prompt=none":      {"prompt": {"none"}},
		"form_post":        {"response_mode": {"form_post"}},
		"other faults too": {"scope": {"nonsense"}, "response_type": {"token"}, "code_challenge": {""}, "max_age": {"-1"}},
		"hint and prompt":  {"prompt": {"none login"}, "id_token_hint": {"x.y.z"}},
	} {
		for _, uri := range []string{"https://evil.example/callback", "https://rp.example/", "//rp.example/callback", "javascript:alert(1)", "x"} {
			t.Run("row 1 "+name+" "+uri, func(t *testing.T) {
				values["redirect_uri"] = []string{uri}
				s.on(t).wantPage(s.on(t).opened(values), http.StatusBadRequest, "redirect_uri", uri, callback)
			})
		}
	}
	for name, values := range map[string]url.Values{
		"request object":    {"request": {"e30.e30."}},
		"request_uri":       {"request_uri": {"https://evil.example/r"}},
		"pushed request":    {"request_uri": {"urn:ietf:params:oauth:request_uri:x"}},
		"object and an URI": {"request": {"e30.e30."}, "request_uri": {"https://evil.example/r"}},
	} {
		t.Run("row 1 inside a "+name, func(t *testing.T) {
			values["redirect_uri"] = []string{"https://evil.example/callback"}
			s.on(t).wantPage(s.on(t).opened(values), http.StatusBadRequest)
		})
	}
	t.Run("row 1 by POST", func(t *testing.T) {
		s := s.on(t)
		b := s.browser("")
		target, _ := url.Parse(s.authorizeURL(url.Values{"redirect_uri": {"https://evil.example/callback"}}))
		p := b.post(s.URL+"/oauth2/authorize", target.Query())
		for p.StatusCode == http.StatusSeeOther {
			next, err := p.Location()
			if err != nil || next.Host != target.Host {
				t.Fatalf("sent to %v", next)
			}
			p = b.get(next.String())
		}
		s.wantPage(p, http.StatusBadRequest, "https://evil.example/callback", callback)
	})
	t.Run("row 1 with a session", func(t *testing.T) {
		s := s.on(t)
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		b.code(nil)
		s.wantPage(b.get(s.authorizeURL(url.Values{"redirect_uri": {"https://evil.example/callback"}})), http.StatusBadRequest)
	})
}

// mismatch asks client "app", registered for one URI, for others.
func mismatch(t *testing.T, row, registered string, public bool, sent ...string) {
	s := start(t, "memory", quickKeys)
	s.client(func(c *storage.Client) {
		c.RedirectURIs = []string{registered}
		if public {
			c.AuthMethod = "none"
		}
	})
	for _, uri := range sent {
		t.Run(fmt.Sprintf("%s %q", row, uri), func(t *testing.T) {
			s.on(t).wantPage(s.on(t).opened(url.Values{"redirect_uri": {uri}}), http.StatusBadRequest, "redirect_uri")
			s.on(t).wantPage(s.on(t).opened(url.Values{"redirect_uri": {uri}, "prompt": {"none"}}), http.StatusBadRequest)
		})
	}
}

func TestRow2PrefixSuffixTraversal(t *testing.T) {
	mismatch(t, "row 2", "https://app.example/cb", false,
		"https://app.example.evil.com/cb", "https://app.example/cb/extra", "https://app.example/cb/../x", "https://app.example/cb/..%2Fx", "https://app.example/cb/..;/x",
		"https://app.example/%252f/cb", "https:///app.example/cb", "https://app.example///cb", "https://app.example/cbx", "https://app.example/c",
		"https://app.example", "https://app.example/cb;x", "https://app.example/./cb")
}

func TestRow3HostConfusion(t *testing.T) {
	mismatch(t, "row 3", "https://app.example/cb", false,
		"https://app.example@evil.com/cb", `https://app.example\@evil.com`, "https://evil.com#@app.example/cb", "https://evil.com#@app.example",
		"https://app.example\t/cb", "https://app.example\r\n/cb", "https://app.exa\nmple/cb",
		"https://app.example%00/cb", "https://[fe80::1%25en0]/cb", " https://app.example/cb", "https://app.example/cb ", "https://evil.com\\app.example/cb",
		"https:app.example/cb", "https://app.example:443@evil.com/cb", "https://app.example。evil.com/cb")
	s := start(t, "memory")
	s.client()
	t.Run("row 3 NUL", func(t *testing.T) {
		s.on(t).wantPage(s.on(t).opened(url.Values{"redirect_uri": {"https://rp.example\x00/callback"}}), http.StatusBadRequest)
	})
	t.Run("row 3 broken UTF-8", func(t *testing.T) {
		s.on(t).wantPage(s.on(t).opened(url.Values{"redirect_uri": {"https://rp.example\xff/callback"}}), http.StatusBadRequest)
	})
}

func TestRow4NoPatterns(t *testing.T) {
	mismatch(t, "row 4", "https://a.b.com/cb", false, "https://aXb.com/cb", "https://a.bXcom/cb", "https://aXbXcom/cb", "https://a-b.com/cb")
	// A wildcard that got into the store all the same stands for itself alone.
	mismatch(t, "row 4 wildcard", "https://*.example.com/cb", false, "https://x.example.com/cb", "https://example.com/cb", "https://.example.com/cb", "https://evil.com/.example.com/cb")
	for _, uri := range []string{"https://*.example.com/cb", "https://app.example/*", "https://*/cb", "com.example.app:/*"} {
		wantRegistrationRefused(t, "row 4", uri)
	}
}

func wantRegistrationRefused(t *testing.T, row, uri string) {
	for _, method := range []string{"none", "client_secret_basic"} {
		t.Run(fmt.Sprintf("%s register %q %s", row, uri, method), func(t *testing.T) {
			var c storage.Client
			err := client.Rules{Operator: true}.Apply(&c, client.Metadata{ClientID: "x", RedirectURIs: []string{"https://ok.example/cb", uri}, AuthMethod: method})
			refusal, ok := err.(*client.MetadataError)
			if !ok || refusal.Code != client.InvalidRedirectURI || len(c.RedirectURIs) != 0 {
				t.Errorf("Apply = %v, client %+v", err, c)
			}
		})
	}
}

func TestRow5ByteExact(t *testing.T) {
	mismatch(t, "row 5", "https://app.example/cb", false,
		"https://APP.example/cb", "HTTPS://app.example/cb", "https://app.example/CB", "https://app.example/%63b", "https://app.example/cb/",
		"https://app.example/cb?", "https://app.example:443/cb", "https://app.example/cb#", "https://app.example./cb", "https://app.example/cb?a=1")
	mismatch(t, "row 5 international", "https://xn--bcher-kva.example/cb", false, "https://bücher.example/cb", "https://b%C3%BCcher.example/cb",
		"https://XN--BCHER-KVA.example/cb", "https://xn--bcher-kva.example/cb/")
	mismatch(t, "row 5 A3 query", "https://app.example/cb?a=1&b=2", false, "https://app.example/cb", "https://app.example/cb?b=2&a=1", "https://app.example/cb?a=1",
		"https://app.example/cb?a=1&b=2&c=3", "https://app.example/cb?a=1&b=%32")
}

func TestRow6LoopbackAbuse(t *testing.T) {
	mismatch(t, "row 6 https", "https://127.0.0.1/cb", true, "http://127.0.0.1:9/cb", "https://127.0.0.1:9/cb", "http://127.0.0.1/cb", "https://127.0.0.1:443/cb")
	mismatch(t, "row 6 custom", "com.example.app://127.0.0.1/cb", true, "http://127.0.0.1:9/cb", "com.example.app://127.0.0.1:9/cb", "http://127.0.0.1/cb", "com.example.app:/cb")
	mismatch(t, "row 6 http", "http://127.0.0.1/cb", true,
		"http://evil@127.0.0.1:9/cb", "http://127.0.0.1:9@evil.example/cb", "http://127.0.0.1:9/%63b", "http://127.0.0.1:9/cb#", "http://127.0.0.1:9/cb#x",
		"http://127.0.0.1:99999/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:09/cb",
		"http://127.0.0.1:+9/cb", "http://127.0.0.1:-9/cb", "http://127.0.0.1:9x/cb", "http://127.0.0.1:٩/cb", "https://127.0.0.1:9/cb",
		"http://127.0.0.1.evil.example/cb", "http://127.0.0.1:9.evil.example/cb", "http://127.0.0.1:9/cb/", "http://127.0.0.1:9/cb?x=1",
		"http://127.0.0.1:9/other", "http://127.0.0.1:9", "HTTP://127.0.0.1:9/cb", "http://127.0.0.1:9\\@evil.example/cb", "http://127.0.0.1:9\t/cb", "http://[::1]:9/cb")
}

func TestRow7LoopbackLeniencyIsForPublicClientsAndLiterals(t *testing.T) {
	mismatch(t, "row 7 confidential", "http://127.0.0.1/cb", false, "http://127.0.0.1:9/cb", "http://127.0.0.1:80/cb", "http://localhost/cb", "http://[::1]/cb")
	mismatch(t, "row 7 confidential IPv6", "http://[::1]/cb", false, "http://[::1]:9/cb", "http://[::1]:80/cb", "http://127.0.0.1/cb", "http://[0:0:0:0:0:0:0:1]/cb")
	mismatch(t, "row 7 other spellings", "http://127.0.0.1/cb", true, "http://localhost:9/cb", "http://localhost/cb", "http://127.1:9/cb", "http://0.0.0.0:9/cb",
		"http://[::ffff:127.0.0.1]:9/cb", "http://[::1]:9/cb", "http://2130706433:9/cb", "http://127.0.0.1.:9/cb", "http://0x7f.1:9/cb", "http://127.0.0.2:9/cb")
	mismatch(t, "row 7 localhost", "http://localhost/cb", true, "http://localhost:9/cb", "http://127.0.0.1/cb", "http://127.0.0.1:9/cb", "http://LOCALHOST/cb", "http://localhost./cb")
	mismatch(t, "row 7 IPv6", "http://[::1]/cb", true, "http://[0:0:0:0:0:0:0:1]:9/cb", "http://[::0001]:9/cb", "http://127.0.0.1:9/cb", "http://[::1%25lo]:9/cb")
}

// Ruling 30: any port, for public clients whose registered URI is an http loopback literal; the answer goes to the port that was asked for.
func TestRow7AnyPortOfALoopbackLiteralForPublicClients(t *testing.T) {
	s := start(t, "memory")
	s.user("ada@example.com")
	s.client(func(c *storage.Client) {
		c.AuthMethod, c.RedirectURIs = "none", []string{"http://127.0.0.1/cb", "http://[::1]:4000/cb?x=1", "http://127.0.0.1:7000"}
	})
	for _, uri := range []string{
		"http://127.0.0.1/cb", "http://127.0.0.1:9/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://[::1]:4000/cb?x=1", "http://[::1]:9/cb?x=1",
		"http://[::1]/cb?x=1", "http://127.0.0.1:7001",
	} {
		t.Run("row 7 "+uri, func(t *testing.T) {
			s := s.on(t)
			code := s.wantCode(s.sentTo(s.browser("ada@example.com").walk(s.authorizeURL(url.Values{"redirect_uri": {uri}})), uri), "af0ifjsldkj")
			form := url.Values{"grant_type": {"authorization_code"}, "client_id": {"app"}, "code": {code}, "redirect_uri": {uri}, "code_verifier": {verifier}}
			if a := s.post("/oauth2/token", form, noBasic); a.Status != http.StatusOK {
				t.Errorf("code exchange: %d %s", a.Status, a.Raw)
			}
		})
	}
}

func TestRow8DangerousSchemes(t *testing.T) {
	for _, uri := range []string{
		"javascript:alert(1)", "JavaScript:alert(1)", "javascript://x.y/%0aalert(1)", "data:text/html,x", "vbscript:x", "blob:https://a.example/1",
		"file:///etc/passwd", "intent://x#Intent;end", "about:blank", "myapp:/cb",
		"myapp://127.0.0.1/cb", "https://app.example/cb#", "https://app.example/cb#x",
	} {
		wantRegistrationRefused(t, "row 8", uri)
	}
	mismatch(t, "row 8", callback, true, "javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "javascript://rp.example/callback", callback+"#",
		"intent://rp.example/callback#Intent;end", "about:blank")
}

func TestRow9RepeatedParameters(t *testing.T) {
	s := start(t, "memory")
	s.client()
	for _, tc := range []struct{ name, again string }{
		{"redirect_uri", callback}, {"redirect_uri", "https://evil.example/cb"}, {"client_id", "app"}, {"client_id", "other"}, {"redirect_uri", ""},
	} {
		query := url.Values{tc.name: {tc.again}}.Encode()
		t.Run("row 9 page "+query, func(t *testing.T) {
			for _, p := range everyPlace(s.on(t), nil, query) {
				s.on(t).wantPage(p, http.StatusBadRequest, tc.name, "repeated")
			}
		})
	}
	for _, tc := range []struct{ name, again string }{
		{"response_type", "code"}, {"response_type", "token"}, {"scope", "openid"}, {"scope", "nonsense"}, {"state", "other"}, {"nonce", "other"},
		{"code_challenge", challenge}, {"code_challenge_method", "plain"}, {"prompt", "none"}, {"max_age", "5"},
		{"response_mode", "form_post"}, {"id_token_hint", "x"}, {"login_hint", "x"}, {"acr_values", "x"}, {"claims", "{}"}, {"made_up", "x"}, {"request_uri", "urn:x"}, {"request", "x"},
	} {
		// Either order: the first value must not decide which error it is, nor how it travels.
		t.Run("row 9 "+tc.name+" again "+tc.again, func(t *testing.T) {
			usual := url.Values{"prompt": {"login"}, "max_age": {"100"}, "response_mode": {"query"}, "id_token_hint": {"a.b.c"}, "login_hint": {"x"},
				"acr_values": {"1"}, "claims": {"{}"}, "made_up": {"y"}, "request_uri": {"urn:y"}, "request": {"y"}}
			values := url.Values{}
			if usual.Has(tc.name) {
				values[tc.name] = usual[tc.name]
			}
			first := url.Values{tc.name: {tc.again}}
			query := first.Encode()
			for _, p := range everyPlace(s.on(t), values, query) {
				if tc.name == "state" {
					params := s.on(t).sentTo(p, callback)
					s.on(t).wantErrorParams(params, "invalid_request", params.Get("state")) // which of the two comes back is all one
					continue
				}
				s.on(t).wantRedirect(p, "invalid_request")
			}
			second := usual.Get(tc.name)
			if second == "" {
				target, _ := url.Parse(s.authorizeURL(nil))
				second = target.Query().Get(tc.name)
			}
			if tc.name == "state" {
				return // the other order is the same thing with another state
			}
			for _, p := range everyPlace(s.on(t), first, url.Values{tc.name: {second}}.Encode()) {
				s.on(t).wantRedirect(p, "invalid_request")
			}
		})
	}
	t.Run("row 9 resource may come twice", func(t *testing.T) {
		p := s.on(t).browser("").get(s.raw(nil, "resource=https://a.example&resource=https://b.example"))
		s.on(t).wantRedirect(p, "invalid_target") // read, and refused for what they are
	})
	t.Run("row 9 hostile name", func(t *testing.T) {
		query := url.Values{"\"><svg onload=alert(1)>\r\n\\é": {"1", "2"}}.Encode()
		for _, p := range everyPlace(s.on(t), nil, query) {
			s.on(t).wantRedirect(p, "invalid_request")
		}
	})
}

// everyPlace sends a request with a further query in the three places where a parameter can come twice: the query, the body, and one in each.
func everyPlace(s *server, values url.Values, again string) []page {
	s.Helper()
	target := s.authorizeURL(values)
	endpoint, query, _ := strings.Cut(target, "?")
	post := func(target, body string) page {
		r, err := http.NewRequest("POST", target, strings.NewReader(body))
		if err != nil {
			s.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return s.browser("").do(r)
	}
	return []page{s.browser("").get(target + "&" + again), post(endpoint, query+"&"+again), post(endpoint+"?"+again, query), post(endpoint+"?"+query, again)}
}

var requestIDs = regexp.MustCompile(`[A-Z2-7]{26,}`)

func TestRow10UnknownAndDisabledClientsLookAlike(t *testing.T) {
	s := start(t, "memory")
	for _, id := range []string{"app", "disabled", "deleted"} {
		s.client(func(c *storage.Client) { c.ID = id })
		// The server has seen them all.
		if p := s.opened(url.Values{"client_id": {id}}); p.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %d", id, p.StatusCode)
		}
	}
	if _, err := s.Store.UpdateClient(t.Context(), "disabled", func(c *storage.Client) error { c.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.DeleteClient(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	s.eventually("the changes are seen", func() bool {
		return s.opened(url.Values{"client_id": {"disabled"}}).StatusCode == http.StatusBadRequest && s.opened(url.Values{"client_id": {"deleted"}}).StatusCode == http.StatusBadRequest
	})
	same := ""
	for _, id := range []string{"unknown", "disabled", "deleted", "App", "app ", "'; DROP TABLE clients; --", "app\r\nX: y"} {
		t.Run(fmt.Sprintf("row 10 %q", id), func(t *testing.T) {
			s := s.on(t)
			for _, values := range []url.Values{{}, {"prompt": {"none"}}, {"redirect_uri": {"https://evil.example/cb"}}, {"response_mode": {"form_post"}}} {
				values["client_id"] = []string{id}
				p := s.opened(values)
				s.wantPage(p, http.StatusBadRequest, "client_id")
				body := requestIDs.ReplaceAllString(p.Body, "ID")
				if same == "" {
					same = body
				}
				if body != same {
					t.Errorf("the page tells this client from the others:\n%s\n%s", body, same)
				}
			}
		})
	}
	t.Run("row 10 64 KB", func(t *testing.T) {
		s.on(t).wantPage(s.on(t).opened(url.Values{"client_id": {strings.Repeat("a", 64<<10)}}), http.StatusBadRequest, "client_id")
	})
	t.Run("row 10 missing", func(t *testing.T) {
		s.on(t).wantPage(s.on(t).opened(url.Values{"client_id": {""}}), http.StatusBadRequest, "client_id")
	})
}

func TestRow11OpenlyRegisteredClientsAreNoOpenRedirector(t *testing.T) {
	s := start(t, "memory")
	register := func(id, by, profile, method, uri string) {
		s.client(func(c *storage.Client) {
			c.ID, c.RegisteredBy, c.Profile, c.AuthMethod, c.RedirectURIs = id, by, profile, method, []string{uri}
		})
	}
	register("open", "open", "strict", "none", "https://evil.example/cb?a=1")
	register("app-scheme", "open", "strict", "none", "com.evil.app:/cb")
	register("compatible", "open", "compatible", "client_secret_basic", "https://rp2.example/cb")
	register("token", "token", "strict", "none", "https://rp3.example/cb")
	ask := func(s *server, id, uri string, values url.Values) page {
		values["client_id"], values["redirect_uri"] = []string{id}, []string{uri}
		return s.opened(values)
	}
	for name, values := range map[string]url.Values{
		"bad scope": {"scope": {"bad"}}, "no challenge": {"code_challenge": {""}},
		"max_age": {"max_age": {"-1"}}, "response type": {"response_type": {"token"}},
		"silent and broken": {"prompt": {"none"}, "scope": {"bad"}}, "silent and not": {"prompt": {"none login"}},
	} {
		t.Run("row 11 "+name, func(t *testing.T) {
			p := ask(s.on(t), "open", "https://evil.example/cb?a=1", values)
			s.on(t).wantPage(p, http.StatusBadRequest, "evil.example")
			link := element(t, p.Body, "continue")
			rest, ok := strings.CutPrefix(attr(link, "href"), "https://evil.example/cb?a=1&")
			params, err := url.ParseQuery(rest)
			if !ok || err != nil || params.Get("error") == "" || params.Get("iss") != s.URL || params.Get("state") != "af0ifjsldkj" || attr(link, "rel") != "noreferrer" {
				t.Errorf("the link leads to %q (rel %q)", attr(link, "href"), attr(link, "rel"))
			}
		})
	}
	t.Run("row 11 form_post", func(t *testing.T) {
		p := ask(s.on(t), "open", "https://evil.example/cb?a=1", url.Values{"scope": {"bad"}, "response_mode": {"form_post"}})
		s.on(t).wantPage(p, http.StatusBadRequest, "evil.example")
		s.on(t).wantNoActiveContent(p)
		action, params := readForm(t, p.Body, "form-post")
		if action != "https://evil.example/cb?a=1" {
			t.Errorf("posts to %q", action)
		}
		s.on(t).wantErrorParams(params, "invalid_scope", "af0ifjsldkj")
		element(t, p.Body, "continue")
	})
	t.Run("row 11 custom scheme", func(t *testing.T) {
		p := ask(s.on(t), "app-scheme", "com.evil.app:/cb", url.Values{"scope": {"bad"}})
		s.on(t).wantPage(p, http.StatusBadRequest, "com.evil.app")
		if host := text(element(t, p.Body, "redirect-host")); host != "com.evil.app" {
			t.Errorf("the page names %q", host)
		}
		if link := element(t, p.Body, "continue"); !strings.HasPrefix(attr(link, "href"), "com.evil.app:/cb?") {
			t.Errorf("the link leads to %q", attr(link, "href"))
		}
	})
	t.Run("row 11 answer to prompt=none", func(t *testing.T) {
		p := ask(s.on(t), "open", "https://evil.example/cb?a=1", url.Values{"prompt": {"none"}})
		s.on(t).wantErrorParams(s.on(t).sentTo(p, "https://evil.example/cb?a=1"), "login_required", "af0ifjsldkj")
	})
	t.Run("row 11 compatible", func(t *testing.T) {
		p := ask(s.on(t), "compatible", "https://rp2.example/cb", url.Values{"scope": {"bad"}})
		s.on(t).wantErrorParams(s.on(t).sentTo(p, "https://rp2.example/cb"), "invalid_scope", "af0ifjsldkj")
	})
	t.Run("row 11 registered with a token", func(t *testing.T) {
		p := ask(s.on(t), "token", "https://rp3.example/cb", url.Values{"scope": {"bad"}})
		s.on(t).wantErrorParams(s.on(t).sentTo(p, "https://rp3.example/cb"), "invalid_scope", "af0ifjsldkj")
	})
}

// element returns the element with the id.
func element(t *testing.T, body, id string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && attr(n, "id") == id {
			return n
		}
	}
	t.Fatalf("no element %q in %s", id, cut(body))
	return nil
}

// Ruling 54: the page shows what was sent, the nearest registered URI and the differences in words; the registered list is for the log and --dev.
func TestA3MismatchPageHelpsTheDeveloper(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) {
		c.RedirectURIs = []string{"https://app.example/auth/callback", "https://secret-staging.example:8443/other", "https://app.example/cb?tenant=1"}
	})
	for _, tc := range []struct{ sent, nearest, part, advice string }{
		{"http://app.example/auth/callback", "https://app.example/auth/callback", "scheme", "Send https"},
		{"https://other.example/auth/callback", "https://app.example/auth/callback", "host", "registered host"},
		{"https://app.example:8443/auth/callback", "https://app.example/auth/callback", "port", "no port"},
		{"https://app.example/auth/callback2", "https://app.example/auth/callback", "path", "registered path"},
		{"https://app.example/auth/callback/", "https://app.example/auth/callback", "trailing slash", "Remove the slash"},
		{"https://app.example/auth/Callback", "https://app.example/auth/callback", "case", "character by character"},
		{"https://app.example/cb?tenant=2", "https://app.example/cb?tenant=1", "query", "exactly"},
		{"https://app.example/cb", "https://app.example/cb?tenant=1", "query", "has a query"},
		{"https://app.example/auth/callback#x", "https://app.example/auth/callback", "fragment", "no fragment"},
	} {
		t.Run("A3 "+tc.sent, func(t *testing.T) {
			s := s.on(t)
			p := s.opened(url.Values{"redirect_uri": {tc.sent}})
			s.wantPage(p, http.StatusBadRequest, "Example App", tc.part, tc.advice)
			if got := text(element(t, p.Body, "redirect-sent")); got != tc.sent {
				t.Errorf("sent is shown as %q", got)
			}
			if got := text(element(t, p.Body, "redirect-nearest")); got != tc.nearest {
				t.Errorf("the nearest is %q", got)
			}
			if strings.Contains(p.Body, "secret-staging") {
				t.Error("a stranger sees the whole list")
			}
		})
	}
	if !strings.Contains(s.Log.String(), "secret-staging.example") {
		t.Error("the log does not list the registered URIs")
	}
	t.Run("A3 hostile text", func(t *testing.T) {
		s := s.on(t)
		for _, sent := range []string{`https://app.example/"><svg onload=alert(1)>`, "https://app.example/</code><script>alert(1)</script>",
			"https://app.example/&lt;b&gt;", "javascript:alert(document.cookie)", "https://app.example/\u202eevil"} {
			p := s.opened(url.Values{"redirect_uri": {sent}})
			s.wantPage(p, http.StatusBadRequest)
			if got := text(element(t, p.Body, "redirect-sent")); got != sent {
				t.Errorf("sent %q is shown as %q", sent, got)
			}
			s.wantNoActiveContent(p)
		}
	})
	t.Run("A3 A4 no redirect_uri although several are registered", func(t *testing.T) {
		s.on(t).wantPage(s.on(t).opened(url.Values{"redirect_uri": {""}}), http.StatusBadRequest, "redirect_uri is missing")
		s.on(t).wantPage(s.on(t).opened(url.Values{"redirect_uri": {""}, "scope": {"profile"}}), http.StatusBadRequest, "redirect_uri is missing")
	})
}

// wantNoActiveContent demands that nothing on the page runs or loads but what the page itself means to.
func (s *server) wantNoActiveContent(p page) {
	s.Helper()
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		s.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script":
			own := attr(n, "src") == "" || strings.HasPrefix(attr(n, "src"), "/static/") && text(n) == ""
			if attr(n, "nonce") == "" || !own || !strings.Contains(p.Header.Get("Content-Security-Policy"), "script-src 'nonce-"+attr(n, "nonce")+"'") {
				s.Errorf("a script that is not the server's, or without the page's nonce: %v", n.Attr)
			}
		case "iframe", "object", "embed", "base", "frame", "video", "audio", "meta":
			if n.Data != "meta" || attr(n, "http-equiv") != "" {
				s.Errorf("the page holds <%s>", n.Data)
			}
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), "javascript:") {
				s.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
			}
			// What the browser fetches by itself.
			if (a.Key == "src" || a.Key == "srcset" || n.Data == "link" && a.Key == "href") && (!strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "//")) {
				s.Errorf("<%s> loads %q", n.Data, a.Val)
			}
		}
	}
}
