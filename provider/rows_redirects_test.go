package provider_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gatehouse/storage"
)

// Rows 1, 9, 10, 12 and 13: what an attacker tries next, once the plain form of each is refused.

// bothWays sends a request by GET and by POST, and goes on where the POST is answered by the way back.
func (b *browser) bothWays(target string) []page {
	b.s.Helper()
	endpoint, query, _ := strings.Cut(target, "?")
	r, err := http.NewRequest("POST", endpoint, strings.NewReader(query))
	b.s.ok(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	p := b.do(r)
	if strings.HasPrefix(p.Header.Get("Location"), "/oauth2/authorize?handle=") {
		p = b.get(b.s.at(p))
	}
	return []page{b.get(target), p}
}

// Row 1: nothing that stands beside an unregistered redirect_uri makes it good: no session, prompt, mode or type.
func TestRow1NothingMakesAnUnregisteredURIGood(t *testing.T) {
	k := newAssertionKeys(t)
	s := start(t, "memory", quickKeys, everything)
	ada := frontClient(s, func(c *storage.Client) { c.JWKS = k.jwks() })
	s.client(func(c *storage.Client) { c.ID, c.RedirectURIs = "other", []string{"https://other.example/cb"} })
	types, modes := []string{"code", "id_token", "code id_token token", "token"}, []string{"", "query", "fragment", "form_post", "web_message"}
	n := 0
	for _, prompt := range []string{"none", "login", "consent", "select_account", "create", "NONE", "none login"} {
		for _, uri := range []string{"https://other.example/cb", callback + " ", " " + callback, callback + "\t", callback + "\n", "https://RP.example/callback", callback + "/", callback + "?", callback + "#", "http://rp.example/callback", callback + "," + callback, callback + " https://evil.example/"} {
			n++
			values := url.Values{"redirect_uri": {uri}, "prompt": {prompt}, "response_type": {types[n%len(types)]}, "response_mode": {modes[n%len(modes)]}}
			for _, b := range []*browser{ada, s.browser("")} {
				for _, p := range b.bothWays(s.authorizeURL(values)) {
					s.wantPage(p, http.StatusBadRequest, "redirect_uri")
				}
			}
			if a := s.post("/oauth2/par", s.pushable(values)); a.Status != http.StatusBadRequest || a.Str("error") != "invalid_request" {
				t.Errorf("row 1: pushed %q: %d %s", uri, a.Status, a.Raw)
			}
			// Inside a signed object, beside the good one: what is outside does not count.
			s.wantPage(ada.get(s.withObject(k.wrap(s, values), url.Values{"redirect_uri": {callback}})), http.StatusBadRequest, "redirect_uri")
			if a := s.post("/oauth2/par", url.Values{"request": {k.wrap(s, values)}, "redirect_uri": {callback}}); a.Status != http.StatusBadRequest {
				t.Errorf("row 1: pushed object %q: %d %s", uri, a.Status, a.Raw)
			}
		}
	}
	for name, uri := range map[string]string{"NUL": callback + "\x00", "no UTF-8": callback + "\xff", "none": "", "5 KiB": callback + strings.Repeat("/", 5<<10)} {
		for _, prompt := range []string{"none", "login"} {
			for _, p := range ada.bothWays(s.authorizeURL(url.Values{"redirect_uri": {""}, "prompt": {prompt}}) + "&redirect_uri=" + url.QueryEscape(uri)) {
				if s.wantPage(p, http.StatusBadRequest, "redirect_uri"); t.Failed() {
					t.Fatal(name)
				}
			}
		}
	}
	for name, member := range map[string]any{"a list": []string{callback, "https://evil.example/"}, "a list of one": []string{callback}, "an object": map[string]string{"a": callback}, "a number": 1, "true": true, "empty": "", "NUL": callback + "\x00"} {
		if p := ada.get(s.withObject(k.object(s, claim("redirect_uri", member)), nil)); p.StatusCode != http.StatusBadRequest || p.Header.Get("Location") != "" {
			t.Errorf("row 1: redirect_uri is %s in an object: %d %s", name, p.StatusCode, p.Header.Get("Location"))
		}
	}
	twice := k.signRaw(s, `{"alg":"ES256","kid":"ec"}`, `{"client_id":"app","redirect_uri":"https://evil.example/","redirect_uri":"`+callback+`","response_type":"code","scope":"openid","prompt":"none"}`)
	s.wantPage(ada.get(s.withObject(twice, nil)), http.StatusBadRequest, "invalid_request_object")
	r, err := http.NewRequest("HEAD", s.authorizeURL(url.Values{"redirect_uri": {"https://evil.example/"}, "prompt": {"none"}}), nil)
	s.ok(err)
	if p := ada.do(r); p.StatusCode != http.StatusMethodNotAllowed || p.Header.Get("Location") != "" {
		t.Errorf("row 1: HEAD: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
}

// Row 9: however a name comes twice, and whoever is signed in.
func TestRow9TwiceInAnySpellingAndPlace(t *testing.T) {
	k := newAssertionKeys(t)
	s := start(t, "memory", quickKeys, everything)
	ada := frontClient(s, func(c *storage.Client) { c.JWKS = k.jwks() })
	for name, query := range map[string]string{
		"encoded name": "client%5Fid=other", "encoded redirect": "redirect%5furi=https://evil.example/", "empty": "client_id=", "no value": "client_id", "thrice": "redirect_uri=x&redirect_uri=y", "both": "client_id=x&redirect_uri=y",
		"beside others": "state=x&redirect_uri=y&scope=z",
	} {
		for _, prompt := range []string{"", "none"} {
			target := s.authorizeURL(url.Values{"prompt": {prompt}})
			endpoint, usual, _ := strings.Cut(target, "?")
			for where, p := range map[string]page{"after": ada.get(target + "&" + query), "before": ada.get(endpoint + "?" + query + "&" + usual)} {
				if s.wantPage(p, http.StatusBadRequest, "repeated"); t.Failed() {
					t.Fatal(name, where)
				}
			}
		}
	}
	for _, name := range []string{
		"response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "request_uri", "request", "prompt", "max_age", "display", "ui_locales", "claims_locales", "id_token_hint", "login_hint", "acr_values", "claims",
		"registration", "response_mode", "made_up", "dpop_jkt",
	} {
		for _, second := range []string{"", "x", "OPENID"} {
			query := url.Values{name: {second}}.Encode()
			if !s.pushable(nil).Has(name) {
				query += "&" + url.Values{name: {"1"}}.Encode()
			}
			for _, p := range everyPlace(s, nil, query) {
				s.wantErrorParams(answerOf(p), "invalid_request", answerOf(p).Get("state"))
			}
			if got := answerOf(ada.get(s.raw(nil, query))); got.Get("error") != "invalid_request" || got.Has("code") {
				t.Errorf("row 9: %s, signed in: %v", query, got)
			}
			if a := s.post("/oauth2/par", nil, func(r *http.Request) {
				setBody(r, "application/x-www-form-urlencoded", s.pushable(nil).Encode()+"&"+query)
			}); a.Status != http.StatusBadRequest || a.Str("error") != "invalid_request" {
				t.Errorf("row 9: %s, pushed: %d %s", query, a.Status, a.Raw)
			}
		}
	}
	t.Run("row 9 other names are other parameters", func(t *testing.T) {
		for _, name := range []string{"client_id[]", "client_id ", " client_id", "Client_ID", "CLIENT_ID", "client-id", "redirect_uri[0]", "Redirect_URI", "redirect_uri.x", "scope\t"} {
			params := answerOf(ada.get(s.raw(nil, url.Values{name: {"https://evil.example/"}}.Encode())))
			if params.Get("code") == "" || s.on(t).redeem(params.Get("code")).Status != http.StatusOK {
				t.Errorf("%q: %v", name, params)
			}
		}
		for _, query := range []string{"x;client_id=other", "x=1;redirect_uri=https://evil.example/"} { // no separator (URL standard)
			if got := answerOf(ada.get(s.raw(nil, query))); got.Get("code") == "" {
				t.Errorf("%q: %v", query, got)
			}
		}
		s.on(t).wantPage(ada.get(s.raw(nil, "client_id%00=other")), http.StatusBadRequest)
	})
	t.Run("row 9 beside a push and an object", func(t *testing.T) {
		s := s.on(t)
		uri := s.push(nil)
		for _, query := range []string{"client_id=app", "request_uri=" + url.QueryEscape(uri), "request_uri=", "request_uri=urn:x"} {
			s.wantPage(ada.get(s.withPushed(uri, nil)+"&"+query), http.StatusBadRequest, "repeated")
		}
		for _, query := range []string{"state=x&state=y", "prompt=none&prompt=login", "redirect_uri=" + callback + "&redirect_uri=" + callback} {
			if p := ada.get(s.withPushed(uri, nil) + "&" + query); p.StatusCode != http.StatusBadRequest && answerOf(p).Get("error") != "invalid_request" {
				t.Errorf("%s: %d %s", query, p.StatusCode, p.Header.Get("Location"))
			}
			if p := ada.get(s.withObject(k.wrap(s, nil), nil) + "&" + query); p.StatusCode != http.StatusBadRequest && answerOf(p).Get("error") != "invalid_request" {
				t.Errorf("%s beside an object: %d %s", query, p.StatusCode, p.Header.Get("Location"))
			}
		}
		s.wantPage(ada.get(s.withObject(k.wrap(s, nil), nil)+"&request=x"), http.StatusBadRequest, "repeated")
		if got := answerOf(ada.get(s.withPushed(uri, nil))); got.Get("code") == "" {
			t.Errorf("the refusals used up the push: %v", got)
		}
	})
	t.Run("row 9 on pages", func(t *testing.T) {
		s := s.on(t)
		login := s.at(ada.get(s.authorizeURL(url.Values{"prompt": {"login"}})))
		s.wantPage(ada.get(login+"&interaction=x"), http.StatusBadRequest, "twice")
		_, fields := readForm(t, ada.get(login).Body, "login")
		for _, name := range []string{"username", "password", "csrf", "interaction"} {
			sent := url.Values{"username": {"ada@example.com"}, "password": {password}}
			maps.Copy(sent, fields)
			sent[name] = append(slices.Clone(sent[name]), "x")
			s.wantPage(ada.post(s.URL+"/login", sent), http.StatusBadRequest, "twice")
		}
	})
}

// Ruling 8, row 9: a POST reads and sets no cookie, not even that of Session Management, and not even where it is answered at once.
func TestRow9RefusedPOSTLeavesCookiesAlone(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := startAs(t, "memory", func(s *server) { s.TLS = secure }, quickKeys, everything)
		b := frontClient(s)
		before := b.cookies()
		for _, from := range []*browser{b, s.browser("")} {
			for _, mode := range []string{"query", "form_post", "fragment"} {
				r, err := http.NewRequest("POST", s.authorizeURL(url.Values{"response_mode": {mode}}), strings.NewReader("state=again"))
				s.ok(err)
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("Origin", "https://evil.example")
				r.Header.Set("Sec-Fetch-Site", "cross-site")
				if p := from.do(r); len(p.Header["Set-Cookie"]) != 0 {
					t.Errorf("https %t, %s: a POST of another site sets %v", secure, mode, p.Header["Set-Cookie"])
				}
			}
		}
		if after := b.cookies(); after != before {
			t.Errorf("https %t: cookies %s, before %s", secure, after, before)
		}
	}
}

// Row 10: an unknown, a disabled and a deleted client look alike wherever they are named, down to the headers.
func TestRow10UnknownClientsLookAlikeEverywhere(t *testing.T) {
	k := newAssertionKeys(t)
	s := start(t, "memory", quickKeys, everything)
	ada := frontClient(s)
	for _, id := range []string{"disabled", "deleted"} {
		s.client(func(c *storage.Client) { c.ID, c.JWKS = id, k.jwks() })
		ada.codeOf(id)
	}
	_, err := s.Store.UpdateClient(t.Context(), "disabled", func(c *storage.Client) error { c.Disabled = true; return nil })
	s.ok(err)
	s.ok(s.Store.DeleteClient(t.Context(), "deleted"))
	s.eventually("the changes are seen", func() bool {
		return s.opened(url.Values{"client_id": {"disabled"}}).StatusCode == 400 && s.opened(url.Values{"client_id": {"deleted"}}).StatusCode == 400
	})
	looks := map[string]string{}
	for _, id := range []string{"unknown", "disabled", "deleted", "DISABLED", "disabled ", "disabled/", "disabled\u200b", "ｄisabled", "app'--", strings.Repeat("a", 4<<10)} {
		object := k.object(s, claim("client_id", id), claim("iss", id))
		for name, values := range map[string]url.Values{
			"plain": {}, "none": {"prompt": {"none"}}, "object": {"request": {object}}, "broken object": {"request": {"x"}}, "push": {"request_uri": {"urn:ietf:params:oauth:request_uri:gth_par_x"}}, "reference": {"request_uri": {"https://evil.example/o"}},
			"both": {"request": {object}, "request_uri": {"urn:x"}}, "no redirect": {"redirect_uri": {""}}, "token": {"response_type": {"id_token"}, "response_mode": {"fragment"}}, "hint": {"id_token_hint": {"x"}},
		} {
			for _, b := range []*browser{ada, s.browser("")} {
				for way, p := range b.bothWays(s.authorizeURL(with(values, "client_id", id))) {
					s.wantPage(p, http.StatusBadRequest, "client_id")
					if got := s.lookOf(p); looks["page"] == "" {
						looks["page"] = got
					} else if got != looks["page"] {
						t.Errorf("row 10: %.20q %s, way %d looks different:\n%s\n%s", id, name, way, got, looks["page"])
					}
				}
			}
		}
		for _, path := range []string{"/oauth2/par", "/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"} {
			a := s.post(path, s.pushable(url.Values{"client_id": {""}, "grant_type": {"refresh_token"}, "refresh_token": {"x"}, "token": {"x"}}), as(id, clientSecret))
			s.wantError(a, http.StatusUnauthorized, "invalid_client")
			if looks[path] == "" {
				looks[path] = a.Raw
			} else if a.Raw != looks[path] {
				t.Errorf("row 10: %.20q at %s: %s, others %s", id, path, a.Raw, looks[path])
			}
		}
	}
	for name, id := range map[string]string{"NUL": "app\x00", "no UTF-8": "app\xff", "64 KB": strings.Repeat("a", 64<<10), "5 KB": strings.Repeat("a", 5<<10)} {
		endpoint, query, _ := strings.Cut(s.authorizeURL(url.Values{"client_id": {id}, "prompt": {"none"}}), "?")
		s.wantPage(ada.get(endpoint+"?"+query), http.StatusBadRequest, "client_id")
		p := ada.post(endpoint, s.pushable(url.Values{"client_id": {id}, "prompt": {"none"}}))
		if want := map[bool]int{true: http.StatusRequestEntityTooLarge, false: http.StatusBadRequest}[name == "64 KB"]; p.StatusCode != want || p.Header.Get("Location") != "" {
			t.Errorf("row 10: %s by POST: %d %s", name, p.StatusCode, p.Header.Get("Location"))
		}
	}
}

// codeOf walks to another client than "app".
func (b *browser) codeOf(id string) string { return b.code(url.Values{"client_id": {id}}) }

// lookOf is all that an answer could tell, but for what is random.
func (s *server) lookOf(p page) string {
	header := p.Header.Clone()
	for _, name := range []string{"Date", "X-Request-Id"} {
		header.Del(name)
	}
	return requestIDs.ReplaceAllString(fmt.Sprint(p.StatusCode, header, p.Body), "ID")
}

// Rows 12 and 21: an app's own scheme gets no form, by whatever way and however late, and no page has a link that the template engine took away.
func TestRow12OwnSchemesGetNoFormByAnyWay(t *testing.T) {
	const uri = "com.example.app:/cb"
	k := newAssertionKeys(t)
	s := start(t, "memory", quickKeys, everything)
	s.client(frontChannel, func(c *storage.Client) { c.RedirectURIs, c.JWKS = []string{uri}, k.jwks() })
	s.client(func(c *storage.Client) {
		c.ID, c.RedirectURIs, c.RegisteredBy, c.AuthMethod = "open", []string{uri}, "open", "none"
	})
	s.user("ada@example.com")
	ada := s.browser("ada@example.com")
	clean := func(name string, p page) {
		if strings.Contains(p.Body, "ZgotmplZ") || hasForm(p.Body, "form-post") {
			t.Errorf("row 12: %s: %d %s", name, p.StatusCode, cut(p.Body))
		}
	}
	consent := ada.get(s.at(ada.get(s.authorizeURL(url.Values{"redirect_uri": {uri}}))))
	consent = ada.get(s.at(ada.get(s.at(ada.submit(consent, "login", url.Values{"username": {ada.User}, "password": {password}})))))
	clean("consent", consent)
	s.wantPage(consent, http.StatusOK)
	resume := s.at(ada.submit(consent, "consent", url.Values{"decision": {"allow"}}))
	s.wantCode(s.sentTo(ada.get(resume), uri), "af0ifjsldkj")
	clean("finished", ada.get(resume))
	for _, responseType := range []string{"code", "id_token", "code id_token"} {
		for _, prompt := range []string{"", "none", "login", "consent"} {
			values := url.Values{"redirect_uri": {uri}, "response_mode": {"form_post"}, "response_type": {responseType}, "prompt": {prompt}}
			for _, b := range []*browser{ada, s.browser("")} {
				for _, p := range append(b.bothWays(s.authorizeURL(values)), b.get(s.withObject(k.wrap(s, values), nil))) {
					location := p.Header.Get("Location")
					clean(responseType, p)
					if p.StatusCode != http.StatusSeeOther || !strings.HasPrefix(location, uri) || !strings.Contains(location, "error=invalid_request&") {
						t.Errorf("row 12: %s %s: %d %s", responseType, prompt, p.StatusCode, location)
					}
				}
			}
			s.wantError(s.post("/oauth2/par", s.pushable(values)), http.StatusBadRequest, "invalid_request")
		}
	}
	for _, values := range []url.Values{{"response_mode": {"form_post"}}, {"response_mode": {"form_post"}, "scope": {"bad"}}, {"scope": {"bad"}}} {
		p := s.opened(with(with(values, "client_id", "open"), "redirect_uri", uri))
		s.wantPage(p, http.StatusBadRequest)
		clean("interstitial", p)
		if link := attr(element(t, p.Body, "continue"), "href"); !strings.HasPrefix(link, uri+"?error=") {
			t.Errorf("row 12: the page for an open client leads to %q", link)
		}
	}
	for _, sent := range []string{"com.evil.app:/cb", "javascript:alert(1)", "com.example.app:/CB"} {
		clean("mismatch", s.opened(url.Values{"redirect_uri": {sent}, "response_mode": {"form_post"}}))
	}
}

// Row 13: what errors repeat of a request is text, in the form, on the page for openly registered clients, and in the Location.
func TestRow13ErrorsRepeatNothingThatRuns(t *testing.T) {
	s := start(t, "memory", quickKeys, everything)
	ada := frontClient(s)
	s.client(func(c *storage.Client) { c.ID, c.RegisteredBy, c.AuthMethod = "open", "open", "none" })
	hostile := []string{"<svg/onload=alert(1)>", "</script><script>alert(1)</script>", "'><img/src=x/onerror=alert(1)>", "{{.Nonce}}", "<!--", "javascript:alert(1)", "]]>", "<base/href=//evil.example>"}
	for _, text := range hostile {
		for name, query := range map[string]string{
			"scope": url.Values{"scope": {text}}.Encode(), "repeated name": url.Values{text: {"1", "2"}}.Encode(), "type": url.Values{"response_type": {text}}.Encode(), "prompt": url.Values{"prompt": {text}}.Encode(),
			"hint": url.Values{"id_token_hint": {text}}.Encode(), "claims": url.Values{"claims": {text}}.Encode(), "max_age": url.Values{"max_age": {text}}.Encode(), "resource": url.Values{"resource": {text}}.Encode(),
			"object": url.Values{"request": {text}}.Encode(), "reference": url.Values{"request_uri": {text}}.Encode(), "challenge": url.Values{"code_challenge_method": {text}}.Encode(), "mode": url.Values{"response_mode": {text}}.Encode(),
		} {
			values, _ := url.ParseQuery(query)
			removed := url.Values{}
			for member := range values {
				removed[member] = []string{""}
			}
			for _, way := range []struct{ id, mode string }{{"app", "form_post"}, {"app", ""}, {"app", "fragment"}, {"open", "form_post"}, {"open", ""}} {
				id := way.id
				removed["client_id"], removed["response_mode"] = []string{id}, []string{way.mode}
				if values.Has("response_mode") {
					removed["response_mode"] = []string{""}
				}
				p := ada.get(s.raw(removed, query))
				if p.StatusCode == http.StatusSeeOther && strings.ContainsAny(p.Header.Get("Location"), "<>\"'` ") {
					t.Errorf("row 13: %s to %s: %s", name, id, p.Header.Get("Location"))
				}
				s.wantNoActiveContent(p)
				if body := strings.ReplaceAll(p.Body, html.EscapeString(text), ""); strings.Contains(body, text) || strings.Contains(body, "onload=alert") && !strings.Contains(html.UnescapeString(visible(t, body)), "onload") {
					t.Errorf("row 13: %s to %s: %s", name, id, cut(p.Body))
				}
				if p.StatusCode >= 500 {
					t.Errorf("row 13: %s to %s: %d", name, id, p.StatusCode)
				}
			}
		}
	}
}
