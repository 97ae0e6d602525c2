package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/provider"
	"gatehouse/storage"
)

// Section A, second part: how the answer travels, and what comes with it.

// hostileValues are values of state and nonce that something on the way could misread. All must come back as they went.
var hostileValues = map[string]string{
	"unreserved":      "-._~AZaz09",
	"one character":   "0",
	"a space":         " ",
	"reserved":        "!*'();:@&=+$,/?#[]",
	"encoded":         "a b+c%20d%2Be%",
	"injection":       "x&code=evil&error=access_denied&iss=https://evil.example#code=evil",
	"markup":          `"><svg onload=alert(1)>`,
	"script":          `</script><script>alert(1)</script>`,
	"quotes":          "'\"`\\",
	"template":        "{{.Nonce}}#ZgotmplZ<!--",
	"entities":        "&amp;&quot;&#34;&lt;",
	"not ASCII":       "ünïcödé 漢字 🙂 \u2028\u202e",
	"JSON":            `{"a":["b",null],"c":"\u0000"}`,
	"1000 characters": strings.Repeat("-._~0aZ ", 125),
	"4 KiB":           strings.Repeat("x", 4<<10),
}

// withLineBreaks adds what a Location must not carry as it is. A form cannot carry it exactly: browsers write every line break as CR LF.
var withLineBreaks = map[string]string{"header": "x\r\nSet-Cookie: gth_sid=evil\r\n\r\n<html>", "tab and line feed": "\ta\nb\x7f\x1b[31m"}

func TestA6StateComesBackExactly(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	signedIn := s.browser("ada@example.com")
	signedIn.code(nil)
	for _, list := range []map[string]string{hostileValues, withLineBreaks} {
		for name, state := range list {
			t.Run("A6 success "+name, func(t *testing.T) {
				s := s.on(t)
				s.wantCode(s.sentTo(signedIn.get(s.authorizeURL(url.Values{"state": {state}})), callback), state)
			})
			t.Run("A6 error "+name, func(t *testing.T) {
				s := s.on(t)
				s.wantErrorParams(s.sentTo(s.opened(url.Values{"state": {state}, "prompt": {"none"}}), callback), "login_required", state)
				s.wantErrorParams(s.sentTo(s.opened(url.Values{"state": {state}, "scope": {"bad"}}), callback), "invalid_scope", state)
			})
		}
	}
	for name, query := range map[string]string{"absent": "", "empty": "&state="} {
		t.Run("A6 "+name, func(t *testing.T) {
			s := s.on(t)
			target := s.authorizeURL(url.Values{"state": {""}}) + query
			s.wantCode(s.sentTo(signedIn.get(target), callback), "")
			s.wantErrorParams(s.sentTo(s.browser("").get(target+"&prompt=none"), callback), "login_required", "")
		})
	}
	for name, state := range map[string]string{"NUL": "a\x00b", "not UTF-8": "a\xffb", "too long": strings.Repeat("x", 4<<10+1)} {
		t.Run("A6 "+name, func(t *testing.T) {
			s.on(t).wantPage(s.on(t).opened(url.Values{"state": {state}}), http.StatusBadRequest, "state")
		})
	}
}

// What waits in storage while pages are shown must come out as it went in, on every backend.
func TestA6StateAndNonceSurviveThePages(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		s.user("ada@example.com")
		for _, name := range []string{"markup", "not ASCII", "quotes", "encoded", "JSON", "1000 characters"} {
			value := hostileValues[name]
			b := s.browser("ada@example.com")
			p := b.walk(s.authorizeURL(url.Values{"state": {value}, "nonce": {value}, "prompt": {"login consent"}}))
			code := s.wantCode(s.sentTo(p, callback), value)
			if got := strings.Join(b.Pages, " "); got != "login consent" {
				s.Errorf("%s: pages %s", name, got)
			}
			if id := jwtPayload(s.T, s.redeem(code).Str("id_token")); id["nonce"] != value {
				s.Errorf("%s: nonce %q, want %q", name, id["nonce"], value)
			}
		}
	})
}

func TestRow12FormPostNeedsHTTPS(t *testing.T) {
	s := start(t, "memory")
	s.publicClient("app", "com.example.app:/cb", "com.example.app://host/cb?x=1", "http://127.0.0.1/cb", callback)
	s.client(func(c *storage.Client) { c.ID, c.RedirectURIs = "old", []string{"http://rp.example/cb"} })
	for _, tc := range []struct{ client, uri string }{{"app", "com.example.app:/cb"}, {"app", "com.example.app://host/cb?x=1"}, {"old", "http://rp.example/cb"}} {
		for _, values := range []url.Values{{}, {"prompt": {"none"}}, {"scope": {"bad"}}} {
			t.Run("row 12 "+tc.uri+" "+values.Encode(), func(t *testing.T) {
				s := s.on(t)
				values["client_id"], values["redirect_uri"], values["response_mode"] = []string{tc.client}, []string{tc.uri}, []string{"form_post"}
				s.wantErrorParams(s.sentTo(s.opened(values), tc.uri), "invalid_request", "af0ifjsldkj")
			})
		}
	}
	t.Run("row 12 loopback and https may", func(t *testing.T) {
		s := s.on(t)
		for _, uri := range []string{"http://127.0.0.1:9/cb", callback} {
			action, params := s.posted(s.opened(url.Values{"redirect_uri": {uri}, "response_mode": {"form_post"}, "prompt": {"none"}}))
			if action != uri {
				t.Errorf("the form posts to %q, want %q", action, uri)
			}
			s.wantErrorParams(params, "login_required", "af0ifjsldkj")
		}
	})
}

func TestRow13FormPostPageIsInert(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.RedirectURIs = []string{callback, `https://rp.example/cb?a=1&b='<x>'`} })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	nonces := map[string]bool{}
	check := func(t *testing.T, p page, uri, state string) url.Values {
		s := s.on(t)
		action, params := s.posted(p)
		if action != uri {
			t.Errorf("the form posts to %q, want %q", action, uri)
		}
		policy := p.Header.Get("Content-Security-Policy")
		if strings.Contains(policy, "form-action") {
			t.Errorf("the policy %q would stop the client's own redirects", policy)
		}
		if strings.Contains(strings.ReplaceAll(p.Body, html.EscapeString(state), ""), "ZgotmplZ") {
			t.Error("the template engine refused a value")
		}
		if got := p.Header.Get("Referrer-Policy"); got != "no-referrer" {
			t.Errorf("Referrer-Policy %q", got)
		}
		s.wantNoActiveContent(p)
		_, after, _ := strings.Cut(policy, "'nonce-")
		nonce, _, _ := strings.Cut(after, "'")
		if len(nonce) < 22 || nonces[nonce] {
			t.Errorf("nonce %q is short or was used before", nonce)
		}
		nonces[nonce] = true
		if submit := element(t, p.Body, "continue"); submit.Data != "button" || attr(submit, "type") != "submit" {
			t.Errorf("no button for browsers without scripts (A11): %v", submit)
		}
		return params
	}
	for name, state := range hostileValues {
		values := url.Values{"response_mode": {"form_post"}, "state": {state}}
		t.Run("row 13 success "+name, func(t *testing.T) {
			s.on(t).wantCode(check(t, b.get(s.authorizeURL(values)), callback, state), state)
		})
		t.Run("row 13 error "+name, func(t *testing.T) {
			refused := url.Values{"response_mode": {"form_post"}, "state": {state}, "scope": {`bad"><script>`}}
			s.on(t).wantErrorParams(check(t, b.get(s.authorizeURL(refused)), callback, state), "invalid_scope", state)
		})
	}
	t.Run("row 13 hostile names", func(t *testing.T) {
		target := s.raw(url.Values{"response_mode": {"form_post"}}, url.Values{`"><svg onload=alert(1)>`: {"x"}, "</script>": {"</script>"}, "code": {"evil"}, "error": {"evil"}}.Encode())
		s.on(t).wantCode(check(t, b.get(target), callback, "x"), "af0ifjsldkj")
	})
	t.Run("row 13 registered query", func(t *testing.T) {
		uri := `https://rp.example/cb?a=1&b='<x>'`
		s.on(t).wantCode(check(t, b.get(s.authorizeURL(url.Values{"response_mode": {"form_post"}, "redirect_uri": {uri}})), uri, "x"), "af0ifjsldkj")
	})
	t.Run("row 13 error pages", func(t *testing.T) {
		s := s.on(t)
		hostile := `"><svg onload=alert(1)></script><script>alert(2)</script>`
		for _, values := range []url.Values{
			{"client_id": {hostile}}, {"redirect_uri": {hostile}}, {"redirect_uri": {"https://rp.example/" + hostile}}, {"state": {hostile + "\x00"}},
			{hostile: {"\xff"}}, {"redirect_uri": {"javascript:alert(1)//" + hostile}},
		} {
			p := s.opened(values)
			s.wantPage(p, http.StatusBadRequest)
			s.wantNoActiveContent(p)
		}
		for _, path := range []string{"/login?interaction=", "/consent?interaction=", "/oauth2/authorize?interaction=", "/oauth2/authorize?handle="} {
			p := b.get(s.URL + path + url.QueryEscape(hostile))
			s.wantPage(p, http.StatusForbidden)
			s.wantNoActiveContent(p)
		}
	})
}

func TestRow14UnofferedResponseModes(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.client(func(c *storage.Client) { c.ID, c.Profile = "compatible", "compatible" })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	for _, mode := range []string{"fragment", "web_message", "jwt", "query.jwt", "form_post.jwt", "FORM_POST", "Query", "query fragment", "none", " "} {
		for _, client := range []string{"app", "compatible"} {
			t.Run("row 14 "+client+" "+mode, func(t *testing.T) {
				s := s.on(t)
				for _, prompt := range []string{"", "none", "login"} {
					s.wantRedirect(b.get(s.authorizeURL(url.Values{"response_mode": {mode}, "client_id": {client}, "prompt": {prompt}})), "invalid_request")
				}
			})
		}
	}
	for _, responseType := range []string{"token", "id_token", "code token", "code id_token", "id_token token", "none", "CODE", "code code"} {
		t.Run("row 14 response_type "+responseType, func(t *testing.T) {
			s := s.on(t)
			for _, client := range []string{"app", "compatible"} {
				s.wantRedirect(b.get(s.authorizeURL(url.Values{"response_type": {responseType}, "client_id": {client}})), "unsupported_response_type")
			}
		})
	}
}

func TestRow16EveryRedirectIs303(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	for _, decision := range []string{"allow", "deny"} {
		t.Run("row 16 "+decision, func(t *testing.T) {
			s := s.on(t)
			b := s.browser("ada@example.com")
			target, _ := url.Parse(s.authorizeURL(url.Values{"prompt": {"consent"}}))
			p := b.post(s.URL+"/oauth2/authorize", target.Query())
			posts := 0
			follow := func() {
				for p.Header.Get("Location") != "" {
					if p.StatusCode != http.StatusSeeOther {
						t.Errorf("%s %s is answered by a redirect with %d", p.Request.Method, p.Request.URL.Path, p.StatusCode)
					}
					if p.Request.Method == "POST" {
						posts++
					}
					next, _ := p.Location()
					if next.Host != target.Host {
						return
					}
					p = b.get(next.String())
				}
			}
			follow()
			p = b.submit(p, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})
			follow()
			p = b.submit(p, "consent", url.Values{"decision": {decision}})
			follow()
			if posts != 3 {
				t.Errorf("%d of 3 forms were answered by a redirect", posts)
			}
			if params := s.sentTo(p, callback); decision == "allow" {
				s.wantCode(params, "af0ifjsldkj")
			} else {
				s.wantErrorParams(params, "access_denied", "af0ifjsldkj")
			}
			for _, secret := range []string{password, url.QueryEscape(password), "csrf"} {
				if strings.Contains(p.Header.Get("Location"), secret) {
					t.Errorf("the answer to the client holds %q", secret)
				}
			}
		})
	}
}

func TestRow17IssInEveryAnswer(t *testing.T) {
	for _, path := range []string{"", "/tenant/a"} {
		s, faults := startFaulty(t, func(o *provider.Options) { o.Issuer += path })
		s.URL += path
		s.client()
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		b.code(nil)
		r, _ := http.NewRequest("GET", s.URL+"/.well-known/openid-configuration", nil)
		document := s.send(r)
		if document.Str("issuer") != s.URL || document.JSON["authorization_response_iss_parameter_supported"] != true {
			t.Fatalf("discovery: %s", document.Raw)
		}
		ask := func(t *testing.T, b *browser, values url.Values) (query, form url.Values) {
			s := s.on(t)
			query = s.sentTo(b.walk(s.authorizeURL(values)), callback)
			values["response_mode"] = []string{"form_post"}
			_, form = s.posted(b.walk(s.authorizeURL(values)))
			return query, form
		}
		t.Run("row 17 success"+path, func(t *testing.T) {
			query, form := ask(t, b, url.Values{})
			s.on(t).wantCode(query, "af0ifjsldkj")
			s.on(t).wantCode(form, "af0ifjsldkj")
		})
		for code, values := range map[string]url.Values{
			"login_required": {"prompt": {"none"}, "max_age": {"0"}}, "invalid_request": {"code_challenge": {""}}, "invalid_scope": {"scope": {"x"}},
			"unsupported_response_type": {"response_type": {"token"}},
			"invalid_request_object":    {"request": {"x"}}, "invalid_request_uri": {"request_uri": {"urn:x"}}, "invalid_target": {"resource": {"https://x.example"}},
			"unmet_authentication_requirements": {"claims": {`{"id_token":{"acr":{"essential":true,"value":"9"}}}`}},
		} {
			t.Run("row 17 "+code+path, func(t *testing.T) {
				query, form := ask(t, b, values)
				s.on(t).wantErrorParams(query, code, "af0ifjsldkj")
				s.on(t).wantErrorParams(form, code, "af0ifjsldkj")
			})
		}
		t.Run("row 17 access_denied"+path, func(t *testing.T) {
			refusing := s.on(t).browser("ada@example.com")
			refusing.Deny = true
			query, form := ask(t, refusing, url.Values{"prompt": {"consent"}})
			s.on(t).wantErrorParams(query, "access_denied", "af0ifjsldkj")
			s.on(t).wantErrorParams(form, "access_denied", "af0ifjsldkj")
		})
		t.Run("row 17 temporarily_unavailable"+path, func(t *testing.T) {
			s := s.on(t)
			defer faults.Up()
			for _, op := range []string{"SessionByCookie", "Consent", "CreateToken"} {
				faults.Down(op)
				s.wantErrorParams(s.sentTo(b.get(s.authorizeURL(nil)), callback), "temporarily_unavailable", "af0ifjsldkj")
			}
			// Before client and redirect_uri are proven there is nowhere to send an answer.
			faults.Down("Client")
			p := s.opened(url.Values{"client_id": {"never seen"}})
			s.wantPage(p, http.StatusServiceUnavailable)
			if p.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
}

func TestRow18NothingLeavesByReferer(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) {
		c.LogoURI, c.PolicyURI, c.TOSURI, c.ClientURI = "https://rp.example/logo.png", "https://rp.example/policy", "https://rp.example/tos", "https://rp.example/"
	})
	s.client(func(c *storage.Client) { c.ID, c.RegisteredBy = "open", "open" })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	pages := map[string]page{"mismatch": s.opened(url.Values{"redirect_uri": {"https://evil.example/"}}), "error": s.opened(url.Values{"client_id": {"x"}}),
		"interstitial": s.opened(url.Values{"client_id": {"open"}, "scope": {"x"}})}
	pages["login"] = b.get(s.at(b.get(s.authorizeURL(nil))))
	pages["login failed"] = b.submit(pages["login"], "login", url.Values{"username": {"ada@example.com"}, "password": {"wrong"}})
	after := b.submit(pages["login"], "login", url.Values{"username": {"ada@example.com"}, "password": {password}})
	pages["consent"] = b.get(s.at(b.get(s.at(after))))
	resume := s.at(b.submit(pages["consent"], "consent", url.Values{"decision": {"allow"}}))
	s.wantCode(s.sentTo(b.get(resume), callback), "af0ifjsldkj")
	pages["finished"] = b.get(resume)
	pages["other browser"] = s.browser("").get(resume)
	pages["form_post"] = b.get(s.authorizeURL(url.Values{"response_mode": {"form_post"}}))
	pages["account"] = b.get(s.URL + "/account")
	pages["not found"] = b.get(s.URL + "/oauth2/authorize/x")
	pages["method"] = b.post(s.URL+"/oauth2/authorize", url.Values{"client_id": {"app", "app"}})
	for name, p := range pages {
		t.Run("row 18 row 28 "+name, func(t *testing.T) {
			s := s.on(t)
			if name == "not found" && !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
				return // programs get JSON there
			}
			s.wantPageHeaders(p)
			s.wantNoActiveContent(p)
			root, err := html.Parse(strings.NewReader(p.Body))
			if err != nil {
				t.Fatal(err)
			}
			for n := range root.Descendants() {
				if n.Data == "a" && strings.Contains(attr(n, "href"), "://") && !strings.Contains(attr(n, "rel"), "noreferrer") {
					t.Errorf("the link to %s tells where it was followed", attr(n, "href"))
				}
			}
		})
	}
	if len(pages) != 12 {
		t.Errorf("%d pages", len(pages))
	}
}

// at returns where a redirect leads, inside the server.
func (s *server) at(p page) string {
	s.Helper()
	next, err := p.Location()
	if err != nil || !strings.HasPrefix(next.String(), s.URL) {
		s.Fatalf("no redirect inside the server: %d %s %s", p.StatusCode, p.Header.Get("Location"), cut(p.Body))
	}
	return next.String()
}

// Ruling 8: a POST stores the parameters and lets the browser come back by GET. Only that GET reads or sets cookies.
func TestA1PostToAuthorize(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	target, _ := url.Parse(s.authorizeURL(nil))
	endpoint := s.URL + "/oauth2/authorize"
	crossSite := func(t *testing.T, b *browser, body url.Values) page {
		r, err := http.NewRequest("POST", endpoint, strings.NewReader(body.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://rp.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		return b.do(r)
	}
	t.Run("A1 neither reads nor sets a cookie", func(t *testing.T) {
		s := s.on(t)
		for _, b := range []*browser{b, s.browser("")} {
			for _, prompt := range []string{"", "none", "login"} {
				body := target.Query()
				body.Set("prompt", prompt)
				p := crossSite(t, b, body)
				next := s.at(p)
				if p.StatusCode != http.StatusSeeOther || len(p.Header["Set-Cookie"]) != 0 || !strings.HasPrefix(next, endpoint+"?handle=") || strings.Contains(next, "app") {
					t.Errorf("%d to %s, cookies %v", p.StatusCode, next, p.Header["Set-Cookie"])
				}
			}
		}
	})
	t.Run("A1 the GET that follows uses the session", func(t *testing.T) {
		s := s.on(t)
		handle := s.at(crossSite(t, b, target.Query()))
		s.wantCode(s.sentTo(b.get(handle), callback), "af0ifjsldkj")
		s.wantPage(b.get(handle), http.StatusForbidden) // works once
	})
	t.Run("A1 signs in and consents", func(t *testing.T) {
		s := s.on(t)
		fresh := s.browser("ada@example.com")
		s.wantCode(s.sentTo(fresh.walk(s.at(crossSite(t, fresh, target.Query()))), callback), "af0ifjsldkj")
	})
	t.Run("A1 a handle lasts a minute", func(t *testing.T) {
		s := s.on(t)
		handle := s.at(crossSite(t, b, target.Query()))
		s.Clock.Advance(61 * time.Second)
		s.wantPage(b.get(handle), http.StatusForbidden)
	})
	t.Run("A1 a handle is no interaction and the reverse", func(t *testing.T) {
		s := s.on(t)
		handle := s.at(crossSite(t, b, target.Query()))
		id := strings.TrimPrefix(handle, endpoint+"?handle=")
		for _, path := range []string{"/oauth2/authorize?interaction=", "/login?interaction=", "/consent?interaction="} {
			s.wantPage(b.get(s.URL+path+id), http.StatusForbidden)
		}
		s.wantCode(s.sentTo(b.get(handle), callback), "af0ifjsldkj") // and trying did not use it up
		login := s.at(b.get(s.authorizeURL(url.Values{"prompt": {"login"}})))
		interaction := strings.TrimPrefix(login, s.URL+"/login?interaction=")
		s.wantPage(b.get(endpoint+"?handle="+interaction), http.StatusForbidden)
		if p := b.get(login); p.StatusCode != http.StatusOK || !hasForm(p.Body, "login") {
			t.Errorf("the interaction was used up: %d", p.StatusCode)
		}
	})
	t.Run("A1 concurrent GETs of one handle", func(t *testing.T) {
		s := s.on(t)
		handle := s.at(crossSite(t, b, target.Query()))
		if codes := s.race(b, 8, handle); len(codes) != 1 {
			t.Errorf("%d codes from one POST", len(codes))
		}
	})
	for name, contentType := range map[string]string{"JSON": "application/json", "multipart": "multipart/form-data; boundary=x", "text": "text/plain",
		"charset": "application/x-www-form-urlencoded; charset=utf-16"} {
		t.Run("A1 "+name, func(t *testing.T) {
			r, _ := http.NewRequest("POST", endpoint, strings.NewReader(target.RawQuery))
			r.Header.Set("Content-Type", contentType)
			s.on(t).wantPage(b.do(r), http.StatusUnsupportedMediaType)
		})
	}
	for _, method := range []string{"PUT", "DELETE", "HEAD", "PATCH"} {
		t.Run("A1 "+method, func(t *testing.T) {
			r, _ := http.NewRequest(method, target.String(), nil)
			if p := b.do(r); p.StatusCode != http.StatusMethodNotAllowed || p.Header.Get("Location") != "" {
				t.Errorf("%d %s", p.StatusCode, p.Header.Get("Location"))
			}
		})
	}
}

// race asks for one address many times at once in one browser and returns the codes that came of it. Every answer must be a redirect or a page, never a fault.
func (s *server) race(b *browser, parallel int, target string) []string {
	s.Helper()
	type outcome struct {
		status int
		code   string
		err    error
	}
	outcomes := make(chan outcome, parallel)
	begin := make(chan struct{})
	for range parallel {
		go func() {
			<-begin
			response, err := b.client.Get(target)
			if err != nil {
				outcomes <- outcome{err: err}
				return
			}
			response.Body.Close()
			location, _ := url.Parse(response.Header.Get("Location"))
			outcomes <- outcome{status: response.StatusCode, code: location.Query().Get("code")}
		}()
	}
	close(begin)
	var codes []string
	for range parallel {
		o := <-outcomes
		if o.err != nil || o.status >= 500 {
			s.Errorf("status %d: %v", o.status, o.err)
		}
		if o.code != "" {
			codes = append(codes, o.code)
		}
	}
	return codes
}

func TestA2ParametersThatNeverDisturb(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	for name, value := range map[string]string{
		"display": "hologram", "ui_locales": "xx-YY de \"<", "claims_locales": "tlh", "login_hint": `"><script>alert(1)</script>`, "acr_values": "urn:made:up 99",
		"audience": "https://x.example", "foo": "bar", "utm_source": "x",
		"interaction": "x", "handle": "x", "code": "x", "error": "x", "iss": "https://evil.example", "csrf": "x", "response_modes": "x",
		"claims":  `{"userinfo":{"email":{"essential":true},"made_up":{"essential":true}},"id_token":{"acr":{"values":["9"]},"x":null}}`,
		"max_age": "", "request": "", "request_uri": "", "registration": "", "resource": "", "prompt": "", "response_mode": "", "id_token_hint": "",
	} {
		t.Run("A2 "+name+"="+value, func(t *testing.T) {
			s := s.on(t)
			s.wantCode(s.sentTo(b.get(s.raw(nil, url.Values{name: {value}}.Encode())), callback), "af0ifjsldkj")
			login := s.browser("ada@example.com")
			p := login.get(s.at(login.get(s.raw(nil, url.Values{name: {value}}.Encode()))))
			if !hasForm(p.Body, "login") {
				t.Errorf("no login page: %s", cut(p.Body))
			}
			s.wantNoActiveContent(p)
		})
	}
	t.Run("A1 any order", func(t *testing.T) {
		s := s.on(t)
		target, _ := url.Parse(s.authorizeURL(nil))
		pairs := strings.Split(target.RawQuery, "&")
		for range len(pairs) {
			pairs = append(pairs[1:], pairs[0])
			s.wantCode(s.sentTo(b.get(s.URL+"/oauth2/authorize?"+strings.Join(pairs, "&")), callback), "af0ifjsldkj")
		}
		for _, scope := range []string{"offline_access email profile openid", "email openid", "openid openid email", " openid  email "} {
			s.wantCode(s.sentTo(b.get(s.authorizeURL(url.Values{"scope": {scope}})), callback), "af0ifjsldkj")
		}
	})
}

func TestA4RegisteredQueryIsPreserved(t *testing.T) {
	s := start(t, "memory")
	s.user("ada@example.com")
	for i, uri := range []string{"https://rp.example/cb?tenant=1", "https://rp.example/cb?a=%20+&b=ü%C3%BC", "https://rp.example/cb?", "https://rp.example/cb?x=1&", "https://rp.example?x"} {
		t.Run("A4 "+uri, func(t *testing.T) {
			s := s.on(t)
			id := "q" + string(rune('0'+i))
			s.client(func(c *storage.Client) { c.ID, c.RedirectURIs, c.FirstParty = id, []string{uri}, true })
			check := func(p page) url.Values {
				rest, ok := strings.CutPrefix(p.Header.Get("Location"), asciiOnly(uri))
				params, err := url.ParseQuery(strings.TrimPrefix(rest, "&"))
				if !ok || err != nil || strings.Contains(rest, "?") || strings.HasSuffix(uri, "&") == strings.HasPrefix(rest, "&") && !strings.HasSuffix(uri, "?") {
					t.Fatalf("sent to %q", p.Header.Get("Location"))
				}
				return params
			}
			s.wantCode(check(s.browser("ada@example.com").walk(s.authorizeURL(url.Values{"client_id": {id}, "redirect_uri": {uri}}))), "af0ifjsldkj")
			s.wantErrorParams(check(s.opened(url.Values{"client_id": {id}, "redirect_uri": {uri}, "prompt": {"none"}})), "login_required", "af0ifjsldkj")
		})
	}
	t.Run("A4 the only registered URI may be left out without openid", func(t *testing.T) {
		s := s.on(t)
		s.client(func(c *storage.Client) { c.ID, c.FirstParty = "only", true })
		values := url.Values{"client_id": {"only"}, "redirect_uri": {""}, "scope": {"profile"}}
		code := s.wantCode(s.sentTo(s.browser("ada@example.com").walk(s.authorizeURL(values)), callback), "af0ifjsldkj")
		a := s.post("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}}, as("only", clientSecret))
		if a.Status != http.StatusOK || a.Str("id_token") != "" {
			t.Errorf("code exchange: %d %s", a.Status, a.Raw)
		}
		s.wantPage(s.opened(url.Values{"client_id": {"only"}, "redirect_uri": {""}}), http.StatusBadRequest, "redirect_uri is missing")
	})
}

// asciiOnly is how a Location writes a URI.
func asciiOnly(uri string) string { return strings.ReplaceAll(uri, "ü", "%C3%BC") }

func TestA5A10ErrorsTravelByTheRequestedMode(t *testing.T) {
	s := start(t, "memory")
	s.client()
	for name, tc := range map[string]struct {
		values url.Values
		code   string
	}{
		"A5 no response_type":    {url.Values{"response_type": {""}}, "invalid_request"},
		"A10 bad response_type":  {url.Values{"response_type": {"id_token token"}}, "unsupported_response_type"},
		"A10 no scope":           {url.Values{"scope": {""}}, "invalid_scope"},
		"A10 no session":         {url.Values{"prompt": {"none"}}, "login_required"},
		"A10 bad prompt":         {url.Values{"prompt": {"sing"}}, "invalid_request"},
		"A10 bad hint":           {url.Values{"id_token_hint": {"x"}}, "invalid_request"},
		"A10 registration":       {url.Values{"registration": {"{}"}}, "registration_not_supported"},
		"A10 malformed claims":   {url.Values{"claims": {"{"}}, "invalid_request"},
		"A12 nonce is optional":  {url.Values{"nonce": {""}, "prompt": {"none"}}, "login_required"},
		"A9 quotes in the scope": {url.Values{"scope": {`a"b\c`}}, "invalid_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			s.wantRedirect(s.opened(tc.values), tc.code)
			tc.values["response_mode"] = []string{"query"}
			s.wantRedirect(s.opened(tc.values), tc.code)
			tc.values["response_mode"] = []string{"form_post"}
			action, params := s.posted(s.opened(tc.values))
			if action != callback {
				t.Errorf("posts to %s", action)
			}
			s.wantErrorParams(params, tc.code, "af0ifjsldkj")
		})
	}
}

func TestA25LoginPageNamesTheClient(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) {
		c.Name, c.LogoURI, c.PolicyURI, c.TOSURI = `Ada & "Bob" <Ltd>`, "https://rp.example/logo.png", "https://rp.example/policy?a=1&b=2", "https://rp.example/tos"
	})
	s.client(func(c *storage.Client) {
		c.ID, c.Name, c.LogoURI, c.PolicyURI, c.TOSURI, c.ClientURI = "hostile", "", "javascript:alert(1)", "javascript:alert(1)", "data:text/html,x", "vbscript:x"
	})
	b := s.browser("ada@example.com")
	p := b.get(s.at(b.get(s.authorizeURL(nil))))
	s.wantPage(p, http.StatusOK, `Ada & "Bob" <Ltd>`, "rp.example")
	if attr(element(t, p.Body, "client-policy"), "href") != "https://rp.example/policy?a=1&b=2" || attr(element(t, p.Body, "client-terms"), "href") != "https://rp.example/tos" {
		t.Errorf("policy and terms: %s", cut(p.Body))
	}
	if !strings.Contains(p.Body, `src="/client-logo/app"`) {
		t.Errorf("no logo: %s", cut(p.Body))
	}
	// A26: plain HTML, stable ids, no script at all.
	for id, name := range map[string]string{"login": "form", "username": "input", "password": "input", "sign-in": "button"} {
		if got := element(t, p.Body, id); got.Data != name {
			t.Errorf("#%s is <%s>", id, got.Data)
		}
	}
	if strings.Contains(p.Body, "<script") || attr(element(t, p.Body, "password"), "type") != "password" || attr(element(t, p.Body, "sign-in"), "type") != "submit" {
		t.Errorf("the page needs more than HTML: %s", cut(p.Body))
	}
	p = b.get(s.at(b.get(s.authorizeURL(url.Values{"client_id": {"hostile"}}))))
	s.wantPage(p, http.StatusOK, "hostile")
	s.wantNoActiveContent(p)
}

func TestA26PagesArePlainHTML(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	login := b.get(s.at(b.get(s.authorizeURL(nil))))
	consent := b.get(s.at(b.get(s.at(b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})))))
	s.wantPage(consent, http.StatusOK, "Example App", "rp.example", "ada@example.com")
	if strings.Contains(consent.Body, "<script") {
		t.Error("the consent page needs a script")
	}
	for id, value := range map[string]string{"allow": "allow", "deny": "deny"} {
		button := element(t, consent.Body, id)
		if button.Data != "button" || attr(button, "name") != "decision" || attr(button, "value") != value || attr(button, "type") != "submit" {
			t.Errorf("#%s is %v", id, button.Attr)
		}
	}
	b.submit(consent, "consent", url.Values{"decision": {"allow"}})
	account := b.get(s.URL + "/account")
	s.wantPage(account, http.StatusOK)
	if out := element(t, account.Body, "sign-out"); out.Data != "button" || element(t, account.Body, "logout").Data != "form" {
		t.Errorf("sign-out: %v", out)
	}
	for name, p := range map[string]page{"client": s.opened(url.Values{"client_id": {"x"}}), "mismatch": s.opened(url.Values{"redirect_uri": {"https://x.example"}}),
		"interaction": b.get(s.URL + "/login?interaction=x")} {
		if text(element(t, p.Body, "error-message")) == "" || text(element(t, p.Body, "error-heading")) == "" || strings.Contains(p.Body, "<script") {
			t.Errorf("%s: the error page gives no reason in plain words: %s", name, cut(p.Body))
		}
	}
}
