package provider_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/storage"
)

// Section N of the attacks: sessions, cookies, cross-site requests, the browser's caches and sign-out.

// bare sends one request as it is, without a cookie jar. Headers are written "Name: value".
func (s *server) bare(method, path, body string, headers ...string) page {
	s.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	response, err := s.http.Client().Transport.RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	response.Request = r
	s.wantHead(response)
	return page{response, string(text)}
}

// bareForm is bare with a form that the server's own page seems to send.
func (s *server) bareForm(path string, values url.Values, headers ...string) page {
	s.Helper()
	return s.bare("POST", path, values.Encode(), append([]string{"Content-Type: application/x-www-form-urlencoded"}, headers...)...)
}

// cookies are the browser's cookies as a Cookie header sends them; names pick some, none picks all.
func (b *browser) cookies(names ...string) string {
	b.s.Helper()
	at, err := url.Parse(b.s.URL)
	if err != nil {
		b.s.Fatal(err)
	}
	var pairs []string
	for _, c := range b.client.Jar.Cookies(at) {
		if len(names) == 0 || slices.Contains(names, strings.TrimPrefix(c.Name, "__Host-")) {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
	}
	return strings.Join(pairs, "; ")
}

// plant puts a cookie into the browser, as a hostile page on a neighbouring host would.
func (b *browser) plant(name, value string) {
	at, _ := url.Parse(b.s.URL)
	b.client.Jar.SetCookies(at, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: b.s.TLS}})
}

// watched is a transport that keeps every answer's head.
type watched struct {
	http.RoundTripper
	mu   sync.Mutex
	seen []*http.Response
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.RoundTripper.RoundTrip(r)
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen = append(w.seen, response)
	}
	return response, err
}

// watch keeps the head of every answer that the browser gets.
func (b *browser) watch() *watched {
	w := &watched{RoundTripper: b.client.Transport}
	b.client.Transport = w
	return w
}

// signedIn tells whether a Cookie header opens the account page.
func (s *server) signedIn(cookie string) bool {
	s.Helper()
	p := s.bare("GET", "/account", "", "Cookie: "+cookie)
	if p.StatusCode != http.StatusOK && (p.StatusCode != http.StatusSeeOther || !strings.HasPrefix(p.Header.Get("Location"), "/login?interaction=")) {
		s.Errorf("the account page answers %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	return p.StatusCode == http.StatusOK
}

// sessions counts a user's sessions in the store.
func (s *server) sessions(subject string) int {
	s.Helper()
	rows, err := s.Store.SessionsOf(context.Background(), subject)
	if err != nil {
		s.Fatal(err)
	}
	return len(rows)
}

func (s *server) hasConsent(subject string) bool {
	s.Helper()
	rows, err := s.Store.ConsentsOf(context.Background(), subject)
	if err != nil {
		s.Fatal(err)
	}
	return len(rows) > 0
}

func (s *server) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func TestRow179SessionCookieChangesAndTheOldOneIsDead(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		ada, bob := s.user("ada@example.com"), s.user("bob@example.com")
		b := s.browser("ada@example.com")
		planted := strings.Repeat("A", 43)
		b.plant("gth_sid", planted)
		first := jwtPayload(s.T, s.redeem(b.code(nil)).Str("id_token"))
		one := b.cookies("gth_sid")
		if one == "" || one == "gth_sid="+planted || s.signedIn("gth_sid="+planted) || !s.signedIn(one) {
			s.Fatal("the planted cookie took part in the sign-in")
		}
		s.Clock.Advance(2 * time.Second)
		again := jwtPayload(s.T, s.redeem(b.code(url.Values{"prompt": {"login"}})).Str("id_token"))
		two := b.cookies("gth_sid")
		if two == one || s.signedIn(one) || !s.signedIn(two) {
			s.Error("the cookie from before the second sign-in still works")
		}
		if again["sid"] != first["sid"] || again["sub"] != ada || s.sessions(ada) != 1 {
			s.Errorf("the same person's session became another one: %v, then %v", first["sid"], again["sid"])
		}
		b.User = "bob@example.com"
		other := jwtPayload(s.T, s.redeem(b.code(url.Values{"prompt": {"login"}})).Str("id_token"))
		three := b.cookies("gth_sid")
		if three == two || s.signedIn(two) || !s.signedIn(three) || other["sid"] == first["sid"] || other["sub"] != bob || s.sessions(ada) != 0 {
			s.Errorf("another person sits in the first one's session: %v", other)
		}
		s.ok(s.Store.SetPassword(s.Context(), bob, "unusable"))
		if s.signedIn(three) {
			s.Error("the session outlived a change of the password")
		}
		s.noSecrets(strings.TrimPrefix(one, "gth_sid="), strings.TrimPrefix(two, "gth_sid="), strings.TrimPrefix(three, "gth_sid="), planted)
	})
}

func TestRow179CookiesAreHostOnlySecureAndHTTPOnly(t *testing.T) {
	for name, tls := range map[string]bool{"https issuer": true, "http on loopback": false} {
		t.Run(name, func(t *testing.T) {
			s := startAs(t, "memory", func(s *server) { s.TLS = tls })
			s.client()
			s.user("ada@example.com")
			b := s.browser("ada@example.com")
			w := b.watch()
			b.code(nil)
			p := b.get(s.URL + "/account")
			if hsts := p.Header.Get("Strict-Transport-Security"); tls != (hsts == "max-age=63072000") || !tls && hsts != "" {
				t.Errorf("Strict-Transport-Security %q", hsts)
			}
			b.submit(p, "logout", nil)
			prefix := ""
			if tls {
				prefix = "__Host-"
			}
			names := map[string]bool{}
			for _, response := range w.seen {
				for _, c := range response.Cookies() {
					names[c.Name] = true
					if c.Path != "/" || c.Domain != "" || c.Secure != tls || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
						t.Errorf("cookie %s", c.Raw)
					}
					if c.Name == prefix+"gth_sid" && c.MaxAge > 0 || c.MaxAge > 180*24*3600 || !c.Expires.IsZero() {
						t.Errorf("cookie lives too long: %s", c.Raw)
					}
				}
			}
			if got, want := slices.Sorted(maps.Keys(names)), []string{prefix + "gth_dev", prefix + "gth_flow", prefix + "gth_sid"}; !slices.Equal(got, want) {
				t.Errorf("cookies %v, want %v", got, want)
			}
			if b.cookies("gth_sid") != "" {
				t.Error("sign-out leaves the session cookie")
			}
		})
	}
}

func TestRow180OnlyTheExactCookieIsRead(t *testing.T) {
	s := startAs(t, "memory", func(s *server) { s.TLS = true })
	s.client()
	s.user("ada@example.com")
	s.user("mallory@example.com")
	b, m := s.browser("ada@example.com"), s.browser("mallory@example.com")
	b.code(nil)
	m.code(nil)
	good, evil := b.cookies("gth_sid"), m.cookies("gth_sid")
	value := strings.TrimPrefix(good, "__Host-gth_sid=")
	for cookie, want := range map[string]bool{
		good: true, "other=1; " + good + "; more=2": true, "$Version=1; " + good + "; $Path=/": true,
		good + "; " + evil: false, evil + "; " + good: false, good + "; " + good: false,
		"gth_sid=" + value: false, "sid=" + value: false, "__host-gth_sid=" + value: false, "__HOST-gth_sid=" + value: false, "__Secure-gth_sid=" + value: false,
		"__Host-gth_sid =" + value: false, `__Host-gth_sid="` + value + `"`: false, "__Host-gth_sid=" + value + ",x": false, "__Host-gth_sid=": false,
		"=" + good: false, "__Host-gth_sid=" + value[:42]: false, "__Host-gth_sid=" + value + "A": false, "__Host-gth_sid=" + strings.ToLower(value): false,
		"x=1, " + good: false, "__Host-gth_sid%3D" + value: false, "__Host-gth%5Fsid=" + value: false,
	} {
		if got := s.signedIn(cookie); got != want {
			t.Errorf("Cookie %q: signed in %v", cookie, got)
		}
		if p := s.bare("GET", "/oauth2/logout", "", "Cookie: "+cookie); hasForm(p.Body, "logout") != want {
			t.Errorf("Cookie %q: asked whether to sign out: %v", cookie, !want)
		}
	}
	// Two Cookie headers are two cookies as well.
	if p := s.bare("GET", "/account", "", "Cookie: "+good, "Cookie: "+evil); p.StatusCode != http.StatusSeeOther {
		t.Errorf("two headers: %d", p.StatusCode)
	}
	// A second flow cookie that a neighbour tossed does not move the form into the neighbour's interaction.
	victim := s.browser("ada@example.com")
	p := victim.get(s.authorizeURL(nil))
	p = victim.get(s.URL + p.Header.Get("Location"))
	action, fields := readForm(t, p.Body, "login")
	fields.Set("username", "ada@example.com")
	fields.Set("password", password)
	flow := victim.cookies("gth_flow")
	for _, cookie := range []string{flow + "; __Host-gth_flow=" + strings.Repeat("A", 43), "__Host-gth_flow=" + strings.Repeat("A", 43) + "; " + flow, strings.Replace(flow, "__Host-", "", 1)} {
		if p := s.bareForm(action, fields, "Origin: "+s.URL, "Cookie: "+cookie); p.StatusCode != http.StatusForbidden || strings.Contains(fmt.Sprint(p.Header["Set-Cookie"]), "gth_sid") {
			t.Errorf("Cookie %q: %d %v", cookie, p.StatusCode, p.Header["Set-Cookie"])
		}
	}
}

// forgery is a form that must not be sent by others: where it goes, what it holds, whose cookies come along, and whether it did anything.
type forgery struct {
	path    string
	fields  url.Values
	cookies string
	done    func() bool
}

// forms opens one of each form that acts on a cookie.
func (s *server) forms() map[string]*forgery {
	s.Helper()
	ada, bob, eve := s.user("ada@example.com"), s.user("bob@example.com"), s.user("eve@example.com")
	open := func(b *browser, p page, form string, more url.Values, done func() bool) *forgery {
		action, fields := readForm(s.T, p.Body, form)
		maps.Copy(fields, more)
		return &forgery{action, fields, b.cookies(), done}
	}
	login := s.browser("bob@example.com")
	p := login.get(s.URL + login.get(s.authorizeURL(nil)).Header.Get("Location"))
	forms := map[string]*forgery{"login": open(login, p, "login", url.Values{"username": {"bob@example.com"}, "password": {password}}, func() bool { return s.sessions(bob) > 0 })}

	asked := s.browser("eve@example.com")
	p = asked.get(s.URL + asked.get(s.authorizeURL(nil)).Header.Get("Location"))
	p = asked.submit(p, "login", url.Values{"username": {"eve@example.com"}, "password": {password}})
	p = asked.get(s.URL + p.Header.Get("Location"))
	p = asked.get(s.URL + p.Header.Get("Location"))
	forms["consent"] = open(asked, p, "consent", url.Values{"decision": {"allow"}}, func() bool { return s.hasConsent(eve) })

	account := s.browser("ada@example.com")
	account.code(nil)
	p = account.get(s.URL + "/account")
	forms["sign-out"] = open(account, p, "logout", nil, func() bool { return s.sessions(ada) == 0 })
	disconnect := *forms["sign-out"]
	disconnect.path, disconnect.fields = "/account/disconnect", maps.Clone(disconnect.fields)
	disconnect.fields.Set("client_id", "app")
	disconnect.done = func() bool { return !s.hasConsent(ada) }
	forms["disconnect"] = &disconnect
	s.ok(s.Store.CreateNotice(s.Context(), &storage.Notice{ID: "notice", Subject: ada, Kind: "refresh_reuse", ClientID: "app", Created: s.Clock.Now()}))
	dismiss := disconnect
	dismiss.path, dismiss.fields = "/account/dismiss", maps.Clone(disconnect.fields)
	dismiss.fields.Set("notice", "notice")
	dismiss.done = func() bool {
		notices, err := s.Store.Notices(context.Background(), ada)
		return err == nil && len(notices) == 0
	}
	forms["dismiss"] = &dismiss
	return forms
}

// forged are the ways in which somebody else's page can send a form, and how each is answered.
var forged = []struct {
	name    string
	status  []int
	method  string
	headers []string
	change  func(f *forgery) (path string, body string)
}{
	{"from another site", []int{403}, "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, nil},
	{"from another site, which claims our Origin", []int{403}, "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: null"}, nil},
	{"from a sub-domain of the same site", []int{403}, "POST", []string{"Sec-Fetch-Site: same-site", "Origin: http://evil.localhost"}, nil},
	{"from a sandboxed frame", []int{403}, "POST", []string{"Origin: null"}, nil},
	{"from another origin, old browser", []int{403}, "POST", []string{"Origin: https://evil.example"}, nil},
	{"from another port of this host", []int{403}, "POST", []string{"Origin: http://127.0.0.1:1"}, nil},
	{"from this host in another scheme", []int{403}, "POST", []string{"Origin: https://ORIGINHOST"}, nil},
	{"from a longer host", []int{403}, "POST", []string{"Origin: http://ORIGINHOST.evil.example"}, nil},
	{"with two Origins", []int{403}, "POST", []string{"Origin: https://evil.example", "Origin: http://ORIGINHOST"}, nil},
	{"as text/plain", []int{415}, "POST", []string{"Content-Type: text/plain", "Origin: http://ORIGINHOST"}, nil},
	{"as JSON in text/plain", []int{415}, "POST", []string{"Content-Type: text/plain; charset=utf-8", "Origin: http://ORIGINHOST"}, nil},
	{"as multipart", []int{415}, "POST", []string{"Content-Type: multipart/form-data; boundary=x", "Origin: http://ORIGINHOST"}, nil},
	{"as application/json", []int{415}, "POST", []string{"Content-Type: application/json", "Origin: http://ORIGINHOST"}, nil},
	{"without a type", []int{415}, "POST", []string{"Content-Type: ", "Origin: http://ORIGINHOST"}, nil},
	{"without a token", []int{403}, "POST", []string{"Origin: http://ORIGINHOST"}, func(f *forgery) (string, string) {
		fields := maps.Clone(f.fields)
		fields.Del("csrf")
		return f.path, fields.Encode()
	}},
	{"with an empty token", []int{403}, "POST", []string{"Origin: http://ORIGINHOST"}, func(f *forgery) (string, string) {
		fields := maps.Clone(f.fields)
		fields.Set("csrf", "")
		return f.path, fields.Encode()
	}},
	{"with two tokens", []int{400}, "POST", []string{"Origin: http://ORIGINHOST"}, func(f *forgery) (string, string) {
		return f.path, f.fields.Encode() + "&csrf=x"
	}},
	{"without a token and without Origin", []int{403}, "POST", nil, func(f *forgery) (string, string) {
		fields := maps.Clone(f.fields)
		fields.Del("csrf")
		return f.path, fields.Encode()
	}},
	{"by GET", []int{200, 303, 405}, "GET", []string{"Sec-Fetch-Site: cross-site"}, func(f *forgery) (string, string) { return f.path + "?" + f.fields.Encode(), "" }},
	{"by GET with _method", []int{200, 303, 405}, "GET", nil, func(f *forgery) (string, string) { return f.path + "?_method=POST&" + f.fields.Encode(), "" }},
	{"by GET with an override header", []int{200, 303, 405}, "GET", []string{"X-HTTP-Method-Override: POST", "X-Method-Override: POST"}, func(f *forgery) (string, string) {
		return f.path + "?" + f.fields.Encode(), ""
	}},
	{"by HEAD", []int{405}, "HEAD", nil, func(f *forgery) (string, string) { return f.path + "?" + f.fields.Encode(), "" }},
	{"by PUT", []int{405}, "PUT", []string{"Origin: http://ORIGINHOST"}, nil},
	{"by DELETE", []int{405}, "DELETE", []string{"Origin: http://ORIGINHOST"}, nil},
	{"by PATCH", []int{405}, "PATCH", []string{"Origin: http://ORIGINHOST"}, nil},
	{"by OPTIONS", []int{405}, "OPTIONS", []string{"Origin: https://evil.example", "Access-Control-Request-Method: POST"}, nil},
	{"by a made-up method", []int{405}, "POSTX", []string{"Origin: http://ORIGINHOST"}, nil},
}

// forge sends a form in one of the ways of forged.
func (s *server) forge(f *forgery, i int) page {
	s.Helper()
	c, path, body := forged[i], f.path, f.fields.Encode()
	if c.change != nil {
		path, body = c.change(f)
	}
	headers := []string{"Cookie: " + f.cookies}
	if !strings.Contains(strings.Join(c.headers, " "), "Content-Type: ") {
		headers = append(headers, "Content-Type: application/x-www-form-urlencoded")
	}
	for _, header := range c.headers {
		headers = append(headers, strings.ReplaceAll(header, "ORIGINHOST", strings.TrimPrefix(s.URL, "http://")))
	}
	return s.bare(c.method, path, body, headers...)
}

func TestRow181ForgedFormsChangeNothing(t *testing.T) {
	s := start(t, "memory")
	s.client()
	forms := s.forms()
	for _, name := range []string{"login", "consent", "dismiss", "disconnect", "sign-out"} {
		f := forms[name]
		for i, c := range forged {
			t.Run(name+" "+c.name, func(t *testing.T) {
				p := s.on(t).forge(f, i)
				if !slices.Contains(c.status, p.StatusCode) {
					t.Errorf("status %d, want one of %v", p.StatusCode, c.status)
				}
				if f.done() {
					t.Fatal("the form did its work")
				}
				if got := fmt.Sprint(p.Header["Set-Cookie"]); strings.Contains(got, "gth_sid") || p.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("headers %v", p.Header)
				}
			})
		}
		t.Run(name+" with the token of another browser", func(t *testing.T) {
			for _, other := range []string{"login", "consent", "sign-out"} {
				stolen := *f
				stolen.fields = maps.Clone(f.fields)
				stolen.fields.Set("csrf", forms[other].fields.Get("csrf"))
				if forms[other].cookies == f.cookies {
					continue
				}
				if p := s.bareForm(stolen.path, stolen.fields, "Cookie: "+f.cookies, "Origin: "+s.URL); p.StatusCode != http.StatusForbidden || f.done() {
					t.Errorf("token of %s: %d", other, p.StatusCode)
				}
			}
		})
	}
	// The same requests from our own page do their work, or the refusals above prove nothing.
	for _, name := range []string{"login", "consent", "dismiss", "disconnect", "sign-out"} {
		f := forms[name]
		if p := s.bareForm(f.path, f.fields, "Cookie: "+f.cookies, "Origin: "+s.URL, "Sec-Fetch-Site: same-origin"); p.StatusCode >= 400 || !f.done() {
			t.Errorf("%s from our own page: %d %s", name, p.StatusCode, cut(p.Body))
		}
	}
}

// endings are the ways in which a session ends; whoever holds its cookie has nothing afterwards.
var endings = map[string]func(s *server, b *browser, subject string){
	"sign-out": func(s *server, b *browser, _ string) {
		b.submit(b.get(s.URL+"/account"), "logout", nil)
	},
	"idle limit": func(s *server, _ *browser, _ string) { s.Clock.Advance(31 * time.Minute) },
	"absolute limit": func(s *server, b *browser, _ string) {
		for range 29 { // in use all the time
			s.Clock.Advance(25 * time.Minute)
			if !s.signedIn(b.cookies()) {
				return
			}
		}
		s.Error("a session in use lasts for more than 12 hours")
	},
	"disabled user": func(s *server, _ *browser, subject string) {
		_, err := s.Store.UpdateUser(s.Context(), subject, func(u *storage.User) error { u.Disabled = true; return nil })
		s.ok(err)
	},
	"changed password": func(s *server, _ *browser, subject string) {
		s.ok(s.Store.SetPassword(s.Context(), subject, "unusable"))
	},
	"deleted user": func(s *server, _ *browser, subject string) { s.ok(s.Store.DeleteUser(s.Context(), subject)) },
	"sign-in as somebody else": func(s *server, b *browser, _ string) {
		b.User = "bob@example.com"
		b.code(url.Values{"prompt": {"login"}})
	},
	"sign-in again":                    func(s *server, b *browser, _ string) { b.code(url.Values{"prompt": {"login"}}) },
	"session ended by another program": func(s *server, b *browser, subject string) { s.endAll(subject) },
	"disabled user who is enabled again": func(s *server, _ *browser, subject string) {
		for _, disabled := range []bool{true, false} {
			_, err := s.Store.UpdateUser(s.Context(), subject, func(u *storage.User) error { u.Disabled = disabled; return nil })
			s.ok(err)
		}
	},
}

func (s *server) endAll(subject string) {
	s.Helper()
	rows, err := s.Store.SessionsOf(s.Context(), subject)
	s.ok(err)
	for _, row := range rows {
		s.ok(s.Store.EndSession(s.Context(), row.ID))
	}
}

func TestRow182StolenCookieOpensNothingAfterTheEnd(t *testing.T) {
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			s := start(t, "memory")
			s.client()
			subject := s.user("ada@example.com")
			s.user("bob@example.com")
			b := s.browser("ada@example.com")
			b.code(nil)
			_, fields := readForm(t, b.get(s.URL+"/account").Body, "logout")
			asking := b.get(s.authorizeURL(url.Values{"prompt": {"consent"}})).Header.Get("Location")
			_, decision := readForm(t, b.get(s.URL+asking).Body, "consent")
			decision.Set("decision", "allow")
			stolen := b.cookies()
			if !s.signedIn(stolen) {
				t.Fatal("the stolen cookie never worked")
			}
			consented := s.hasConsent(subject)
			end(s, b, subject)
			if name != "deleted user" && s.hasConsent(subject) != consented {
				t.Fatal("the end took the consent along")
			}
			s.openNothing(stolen, fields, decision, asking)
			if name != "deleted user" && !s.hasConsent(subject) {
				t.Error("the stolen cookie disconnected an app")
			}
		})
	}
}

// openNothing tries a dead cookie on every route.
func (s *server) openNothing(stolen string, fields, decision url.Values, asking string) {
	s.Helper()
	cookie := "Cookie: " + stolen
	if s.signedIn(stolen) {
		s.Error("the account page opens")
	}
	if p := s.bare("GET", strings.TrimPrefix(s.authorizeURL(url.Values{"prompt": {"none"}}), s.URL), "", cookie); !strings.Contains(p.Header.Get("Location"), "error=login_required") {
		s.Errorf("authorize with prompt=none: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	if p := s.bare("GET", strings.TrimPrefix(s.authorizeURL(nil), s.URL), "", cookie); !strings.HasPrefix(p.Header.Get("Location"), "/login?") {
		s.Errorf("authorize: %d %s", p.StatusCode, p.Header.Get("Location"))
	} else if p = s.bare("GET", p.Header.Get("Location"), "", cookie); p.StatusCode == http.StatusOK && strings.Contains(p.Body, "ada@example.com") {
		s.Error("the sign-in page still names the user")
	}
	for what, p := range map[string]page{
		"consent page": s.bare("GET", asking, "", cookie),
		"consent":      s.bareForm("/consent", decision, cookie, "Origin: "+s.URL),
		"disconnect":   s.bareForm("/account/disconnect", with(fields, "client_id", "app"), cookie, "Origin: "+s.URL),
		"dismiss":      s.bareForm("/account/dismiss", with(fields, "notice", "notice"), cookie, "Origin: "+s.URL),
		"home":         s.bare("GET", "/", "", cookie),
		"userinfo":     s.bare("GET", "/oauth2/userinfo", "", cookie),
		"sign-out":     s.bareForm("/account/sign-out", fields, cookie, "Origin: "+s.URL),
		"end_session":  s.bare("GET", "/oauth2/logout", "", cookie),
		"confirmation": s.bareForm("/oauth2/logout/confirm", fields, cookie, "Origin: "+s.URL),
	} {
		location := p.Header.Get("Location")
		led := p.StatusCode == http.StatusSeeOther && (location == "/account" || strings.HasPrefix(location, "/login?interaction=") || strings.HasPrefix(location, "/oauth2/authorize?interaction="))
		if !led && p.StatusCode != http.StatusUnauthorized && p.StatusCode != http.StatusForbidden && (!slices.Contains([]string{"sign-out", "end_session", "confirmation"}, what) || p.StatusCode != http.StatusOK) {
			s.Errorf("%s: %d %s", what, p.StatusCode, location)
		}
		if strings.Contains(p.Body, "ada@example.com") || strings.Contains(p.Body, "Ada Lovelace") || strings.Contains(location, "code=") {
			s.Errorf("%s tells about the user", what)
		}
	}
}

// with returns values with one more.
func with(values url.Values, name, value string) url.Values {
	values = maps.Clone(values)
	values.Set(name, value)
	return values
}

func TestRow183TwoUsersInOneBrowser(t *testing.T) {
	setUp := func(t *testing.T) (s *server, b *browser, ada, bob string) {
		s = start(t, "memory")
		s.client()
		ada, bob = s.user("ada@example.com"), s.user("bob@example.com", func(u *storage.User) { u.Claims = map[string]any{"name": "Bob Martin"} })
		b = s.browser("ada@example.com")
		return s, b, ada, bob
	}
	onlyBob := func(s *server, b *browser, bob string) {
		p := b.get(s.URL + "/account")
		if p.StatusCode != http.StatusOK || strings.Contains(p.Body, "ada@example.com") || !strings.Contains(p.Body, "bob@example.com") {
			s.Errorf("the account page: %d %s", p.StatusCode, cut(p.Body))
		}
		a := s.redeem(b.code(url.Values{"prompt": {"none"}}))
		if id := jwtPayload(s.T, a.Str("id_token")); id["sub"] != bob || s.userinfo(a.Str("access_token")).Str("email") != "bob@example.com" {
			s.Errorf("bob's tokens are %v", id)
		}
	}
	t.Run("the first one's cookies are lost", func(t *testing.T) {
		s, b, ada, bob := setUp(t)
		first := s.redeem(b.code(nil))
		b.plant("gth_sid", "")
		b.User = "bob@example.com"
		if id := jwtPayload(t, s.redeem(b.code(nil)).Str("id_token")); id["sub"] != bob || id["sid"] == jwtPayload(t, first.Str("id_token"))["sid"] {
			t.Errorf("bob got %v", id)
		}
		onlyBob(s, b, bob)
		if s.sessions(ada) != 1 {
			t.Error("ada's session cannot have been found")
		}
	})
	t.Run("the first one does not sign out", func(t *testing.T) {
		s, b, ada, bob := setUp(t)
		online := s.redeem(b.code(url.Values{"scope": {"openid email"}}))
		b.User = "bob@example.com"
		b.code(url.Values{"prompt": {"login"}})
		onlyBob(s, b, bob)
		if s.sessions(ada) != 0 {
			t.Error("ada's session lives on in bob's browser")
		}
		s.wantError(s.refresh(online.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
		if got := s.introspect(online.Str("access_token")); got.Raw != `{"active":false}` {
			t.Errorf("ada's access token: %s", got.Raw)
		}
	})
	t.Run("a consent page of the first one is answered by the second", func(t *testing.T) {
		s, b, ada, bob := setUp(t)
		p := b.get(s.URL + b.get(s.authorizeURL(nil)).Header.Get("Location"))
		p = b.submit(p, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})
		p = b.get(s.URL + p.Header.Get("Location"))
		asked := b.get(s.URL + p.Header.Get("Location"))
		b.User = "bob@example.com"
		s.client(func(c *storage.Client) { c.ID, c.FirstParty = "own", true })
		b.code(url.Values{"client_id": {"own"}, "prompt": {"login"}})
		if p := b.submit(asked, "consent", url.Values{"decision": {"allow"}}); p.StatusCode != http.StatusForbidden {
			t.Errorf("ada's page, sent as bob: %d %s", p.StatusCode, p.Header.Get("Location"))
		}
		// With a token of bob's own the request is still ada's.
		action, fields := readForm(t, asked.Body, "consent")
		_, own := readForm(t, b.get(s.URL+"/account").Body, "logout")
		fields.Set("csrf", own.Get("csrf"))
		fields.Set("decision", "allow")
		p = b.walk(s.URL + b.post(s.URL+action, fields).Header.Get("Location"))
		if s.hasConsent(ada) {
			t.Error("bob allowed something in ada's name")
		}
		if code := p.Header.Get("Location"); strings.Contains(code, "code=") {
			location, _ := url.Parse(code)
			if id := jwtPayload(t, s.redeem(location.Query().Get("code")).Str("id_token")); id["sub"] != bob {
				t.Errorf("the code is for %v", id["sub"])
			}
		}
	})
	t.Run("a hint of the first one in the second one's browser", func(t *testing.T) {
		s, b, _, _ := setUp(t)
		hint := s.redeem(b.code(nil)).Str("id_token")
		b.User = "bob@example.com"
		b.code(url.Values{"prompt": {"login"}})
		params := b.callback(url.Values{"prompt": {"none"}, "id_token_hint": {hint}})
		s.wantErrorParams(params, "login_required", "af0ifjsldkj")
		// Nor does it sign the second one out unasked, or show whom it names.
		p := b.get(s.logoutURL(url.Values{"id_token_hint": {hint}}))
		s.wantAsked(p, b)
		if strings.Contains(p.Body, "ada@example.com") || !strings.Contains(p.Body, "bob@example.com") {
			t.Errorf("bob reads: %s", visible(t, p.Body))
		}
	})
	t.Run("the first one's logout does not reach the second one", func(t *testing.T) {
		s, b, ada, bob := setUp(t)
		hint := s.redeem(b.code(nil)).Str("id_token")
		asked := b.get(s.logoutURL(nil))
		b.plant("gth_sid", "") // ada's cookies are lost, her session is not
		b.User = "bob@example.com"
		b.code(nil)
		if p := b.submit(asked, "logout", url.Values{"id_token_hint": {hint}}); p.StatusCode != http.StatusForbidden || s.sessions(bob) != 1 || s.sessions(ada) != 1 {
			t.Errorf("ada's question, answered as bob: %d", p.StatusCode)
		}
		onlyBob(s, b, bob)
	})
}

func TestRow185NothingOfAUserIsKeptInACache(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	w := b.watch()
	a := s.redeem(b.code(nil))
	b.get(s.URL + "/")
	b.get(s.URL + "/login")
	b.get(s.URL + "/consent")
	b.get(s.URL + "/account/sign-out")
	b.get(s.authorizeURL(url.Values{"redirect_uri": {"https://evil.example"}}))
	b.get(s.authorizeURL(url.Values{"prompt": {"none"}, "response_mode": {"form_post"}}))
	b.get(s.logoutURL(url.Values{"id_token_hint": {"x"}, "post_logout_redirect_uri": {bye}}))
	b.get(s.URL + "/oauth2/logout?state=1&state=2")
	s.client(func(c *storage.Client) { c.ID, c.FrontchannelLogoutURI = "framed", "https://rp.example/out" })
	b.tokensOf("framed", nil)
	p := b.get(s.URL + "/account")
	for _, path := range []string{
		"/oauth2/logout/x.css", "/oauth2/logout.css", "/oauth2/logout/confirm/x.css", "/oauth2/logout;x.css", "/account/x.css", "/account/", "/account.css", "/account;x.css", "/account%2fx.css", "/account%3bx.css", "/account%00.css", "/account/..%2fstatic%2fx.css", "/account/sign-out/x.js", "/ACCOUNT",
		"/consent/x.png", "/login/x.css", "/login.css", "/oauth2/userinfo/x.css", "/oauth2/userinfo.json", "/oauth2/token/x.css", "/oauth2/authorize/x.css", "/static/../account", "/static/%2e%2e/account",
		"/static/account", "/static/x.css", "/x.css",
	} {
		found := s.bare("GET", path, "", "Cookie: "+b.cookies(), "Authorization: Bearer "+a.Str("access_token"), "Accept: text/html")
		if found.StatusCode != http.StatusNotFound || found.Header.Get("Cache-Control") != "no-store" || strings.Contains(found.Body, "ada@example.com") || found.Header.Get("Location") != "" {
			t.Errorf("%s: %d, Cache-Control %q", path, found.StatusCode, found.Header.Get("Cache-Control"))
		}
	}
	b.submit(p, "logout", nil) // with a frame
	b.get(s.logoutURL(nil))
	b.get(s.URL + "/account")
	if len(w.seen) < 20 {
		t.Fatalf("only %d answers", len(w.seen))
	}
	for _, response := range w.seen {
		if got := response.Header.Values("Cache-Control"); len(got) != 1 || got[0] != "no-store" || response.Header.Get("ETag")+response.Header.Get("Last-Modified")+response.Header.Get("Expires") != "" {
			t.Errorf("%s %s: %d with Cache-Control %q", response.Request.Method, response.Request.URL.Path, response.StatusCode, got)
		}
	}
	for what, got := range map[string]answer{
		"token": a, "userinfo": s.userinfo(a.Str("access_token")), "introspection": s.introspect(a.Str("access_token")), "revocation": s.post("/oauth2/revoke", url.Values{"token": {"x"}}),
		"userinfo without a token": s.userinfo(""), "refused token request": s.redeem("x"),
	} {
		if got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q", what, got.Header.Get("Cache-Control"))
		}
	}
	// What may be kept says nothing of anybody, and sets no cookie.
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/jwks.json"} {
		p := s.bare("GET", path, "", "Cookie: "+b.cookies())
		if p.Header.Get("Cache-Control") != "public, max-age=300" || p.Header["Set-Cookie"] != nil || p.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", path, p.Header)
		}
	}
}

func TestRow188SignOut(t *testing.T) {
	s := start(t, "memory")
	s.client()
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	online := s.redeem(b.code(url.Values{"scope": {"openid email"}}))
	offline := s.redeem(b.code(nil))
	account := b.get(s.URL + "/account")
	// An image, a link or a prefetch signs nobody out, nor does an address that this server does not have. A request without an ID token is asked about first.
	for _, path := range []string{"/account/sign-out", "/account/sign-out?confirm=1", "/logout", "/account?sign-out=1", "/oauth2/logout?post_logout_redirect_uri=https://evil.example", "/oauth2/logout",
		"/oauth2/logout?post_logout_redirect_uri=" + url.QueryEscape("javascript:alert(1)"), "/oauth2/logout?id_token_hint=e30.e30.e30&post_logout_redirect_uri=https://evil.example"} {
		p := s.bare("GET", path, "", "Cookie: "+b.cookies(), "Sec-Fetch-Dest: image", "Sec-Fetch-Site: cross-site")
		if p.StatusCode < 400 && path != "/account?sign-out=1" && !strings.HasPrefix(path, "/oauth2/logout") || p.Header.Get("Location") != "" || s.sessions(subject) != 1 || strings.Contains(fmt.Sprint(p.Header["Set-Cookie"]), "gth_sid") {
			t.Errorf("GET %s: %d %v", path, p.StatusCode, p.Header)
		}
	}
	// Whatever is sent along, the answer is our own page.
	p := b.submit(account, "logout", url.Values{
		"post_logout_redirect_uri": {"https://evil.example/"}, "next": {"javascript:alert(1)"}, "state": {`"><script>alert(1)</script>`}, "redirect_uri": {callback}, "id_token_hint": {"x"},
	})
	s.wantPage(p, http.StatusOK)
	if strings.Contains(p.Body, "evil.example") || strings.Contains(p.Body, "alert(1)") || b.cookies("gth_sid") != "" || s.sessions(subject) != 0 {
		t.Errorf("after signing out: cookies %q, %d sessions, %s", b.cookies(), s.sessions(subject), cut(p.Body))
	}
	s.wantError(s.refresh(online.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	for _, token := range []string{online.Str("access_token"), online.Str("refresh_token")} {
		if got := s.introspect(token); got.Raw != `{"active":false}` {
			t.Errorf("a token of the session: %s", got.Raw)
		}
	}
	if got := s.userinfo(online.Str("access_token")); got.Status != http.StatusUnauthorized {
		t.Errorf("userinfo after sign-out: %d", got.Status)
	}
	if got := s.refresh(offline.Str("refresh_token")); got.Status != http.StatusOK {
		t.Errorf("offline access ended with the session: %d %s", got.Status, got.Raw)
	}
	// Signing out again, by the back button, is no error.
	if p := b.submit(account, "logout", nil); p.StatusCode != http.StatusOK && p.StatusCode != http.StatusForbidden {
		t.Errorf("signing out twice: %d", p.StatusCode)
	}
	if b.get(s.URL+"/account").StatusCode != http.StatusSeeOther {
		t.Error("the account page opens after signing out")
	}
}
