package provider_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/ratelimit"
	"gatehouse/storage"
)

// The rows of sections A, B and O for the pages of mails, sign-ups and second factors.

// everyPage opens each page of a sign-up, of links in mails and of second factors, as it is asked for and as it answers what is wrong.
func (m *mailed) everyPage() map[string]page {
	m.Helper()
	pages := map[string]page{}
	ada := m.browser("ada@example.com")
	m.user("ada@example.com", unverified)
	pages["recovery"] = ada.get(m.URL + "/recovery?interaction=" + m.interaction(ada))
	pages["recovery, bad name"] = ada.submit(pages["recovery"], "recovery", url.Values{"username": {"a b@c@d"}})
	pages["recovery, asked"] = ada.submit(pages["recovery"], "recovery", url.Values{"username": {"ada@example.com"}})
	reset := m.link("ada@example.com", "reset")
	pages["reset"] = ada.get(reset)
	pages["reset, weak"] = ada.submit(pages["reset"], "reset", url.Values{"password": {"short"}})
	pages["reset, dead"] = ada.get(m.URL + "/recovery/reset?token=x")
	pages["reset elsewhere"] = m.browser("").resets(reset, otherPassword)
	pages["not me"] = m.browser("").get(m.issue(storage.Ticket{Kind: storage.TicketRevert, Subject: m.subject("ada@example.com"), Email: "ada@example.com", EmailKey: "ada@example.com"}))
	pages["not me, dead"] = m.browser("").get(m.URL + "/recovery/not-me")
	pages["link"] = ada.get(m.URL + "/login/mail")
	pages["link, asked"] = ada.submit(pages["link"], "mail-link", url.Values{"username": {"ada@example.com"}})
	magic := m.link("ada@example.com", "magic")
	pages["link, elsewhere"] = m.browser("").get(magic)
	pages["link, here"] = ada.get(magic)
	pages["verify, elsewhere"] = m.browser("").get(m.issue(storage.Ticket{Kind: storage.TicketVerify, Subject: m.subject("ada@example.com"), Email: "ada@example.com", EmailKey: "ada@example.com"}))
	pages["verify, dead"] = ada.get(m.URL + "/verify?token=x")
	guest := m.browser("")
	pages["sign-up"] = guest.get(m.URL + "/signup?interaction=" + m.interaction(guest))
	pages["sign-up, weak"] = guest.submit(pages["sign-up"], "signup", url.Values{"email": {"new@example.com"}, "password": {"short"}})
	pages["sign-up, asked"] = guest.submit(pages["sign-up"], "signup", url.Values{"email": {"new@example.com"}, "password": {password}})
	confirm := m.link("new@example.com", "signup")
	pages["confirm"] = guest.get(confirm)
	pages["confirm, elsewhere"] = m.browser("").get(confirm)
	pages["confirm, wrong"] = m.browser("").press(confirm, "confirm", url.Values{"password": {"wrong"}})
	pages["confirm, dead"] = guest.get(m.URL + "/signup/confirm?token=x")
	pages["invitation, dead"] = guest.get(m.URL + "/signup?token=x")
	m.factorPages(pages)
	return pages
}

func (m *mailed) factorPages(pages map[string]page) {
	m.Helper()
	app := m.app(m.user("bob@example.com"))
	bob := m.browser("bob@example.com")
	pages["factor"] = bob.half(nil)
	pages["factor, wrong"] = bob.submit(pages["factor"], "factor", url.Values{"code": {"x"}})
	for range 5 {
		pages["factor, over"] = bob.submit(pages["factor"], "factor", url.Values{"code": {"x"}})
	}
	m.Clock.Advance(time.Hour)
	bob = m.browser("bob@example.com")
	bob.toApp(bob.submit(bob.half(nil), "factor", url.Values{"code": {app.Code(m.Clock.Now())}}))
	pages["choice"] = bob.get(m.at(bob.get(m.at(bob.get(m.authorizeURL(url.Values{"prompt": {"select_account"}}))))))
	for _, path := range ownPages {
		if path != "/account/passkey" && path != "/account/choose" { // which shows no page of its own
			pages[path] = bob.get(m.URL + path)
		}
	}
	m.user("eve@example.com")
	eve := m.browser("eve@example.com")
	pages["enrol"] = eve.walk(m.authorizeURL(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}))
	pages["enrol, wrong"] = eve.submit(pages["enrol"], "enrol", url.Values{"code": {"x"}})
	own := credentialtest.App{Secret: textOf(m.T, pages["enrol"].Body, `data-secret="`, `"`)}
	pages["codes"] = eve.submit(pages["enrol"], "enrol", url.Values{"code": {own.Code(m.Clock.Now())}})
}

// Rows 13, 18, 28 and 185: none of the pages can be framed, is kept, loads or runs anything of others, or tells another site where somebody was: some have a secret in their address.
func TestRow18Row28Row185PagesOfMailsAndFactors(t *testing.T) {
	m := correspond(t, "memory", longPages, withApps, func(o *provider.Options) { o.Limits.FactorUser = ratelimit.Limit{} })
	m.client()
	pages := m.everyPage()
	statuses := map[int]int{}
	for name, p := range pages {
		t.Run(name, func(t *testing.T) {
			s := m.server.on(t)
			statuses[p.StatusCode]++
			if p.Header.Get("Location") != "" || !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
				t.Fatalf("%d %v", p.StatusCode, p.Header)
			}
			s.wantPageHeaders(p)
			s.wantNoActiveContent(p)
			for _, href := range attributes(t, p.Body, "a", "href") {
				if strings.Contains(href, "token=") || strings.Contains(href, "://") {
					t.Errorf("a link to %s", href)
				}
			}
			if strings.Contains(p.Body, password) || strings.Contains(p.Body, otherPassword) {
				t.Error("the page repeats a password")
			}
		})
	}
	if len(pages) < 35 || statuses[http.StatusOK] < 20 || statuses[http.StatusBadRequest] < 4 || statuses[http.StatusForbidden] < 4 {
		t.Errorf("%d pages: %v", len(pages), statuses)
	}
}

// Row 27: an interaction that somebody else began is a page about another browser, or a fresh start, on every page that takes one.
func TestRow27EveryPageKnowsItsBrowser(t *testing.T) {
	m := correspond(t, "memory", longPages, withApps)
	m.client()
	app := m.app(m.user("eve@example.com"))
	m.user("ada@example.com")
	attacker, victim := m.browser("eve@example.com"), m.browser("ada@example.com")
	half := attacker.half(nil)
	_, theirs := readForm(t, half.Body, "factor")
	id := theirs.Get("interaction")
	victim.code(nil)
	_, own := readForm(t, victim.get(m.URL+"/recovery").Body, "recovery")
	flow := func() string {
		row, err := m.Store.Interaction(t.Context(), id)
		m.ok(err)
		return fmt.Sprint(row.Subject, row.Proofs, row.ConsumedAt)
	}
	before := flow()
	for path, values := range map[string]url.Values{
		"/recovery": {"username": {"ada@example.com"}}, "/login/mail": {"username": {"ada@example.com"}}, "/signup": {"email": {"new@example.com"}, "password": {password}}, "/login/factor": {"code": {app.Code(m.Clock.Now())}},
		"/login/enrol": {"code": {"123456"}}, "/login/accounts": {"account": {""}}, "/login": {"username": {"ada@example.com"}, "password": {password}}, "/consent": {"decision": {"allow"}}, "/login/step-up": nil,
		"/terms": {"decision": {"accept"}, "version": {""}},
	} {
		for _, b := range []*browser{victim, m.browser("")} {
			p := b.get(m.URL + path + "?interaction=" + id)
			for n := 0; p.StatusCode == http.StatusSeeOther && n < 3; n++ {
				p = b.get(m.at(p))
			}
			if p.StatusCode != http.StatusForbidden || !strings.Contains(visible(t, p.Body), "another browser") {
				t.Errorf("GET %s: %d %s", path, p.StatusCode, cut(p.Body))
			}
		}
		if values == nil {
			continue
		}
		for _, token := range []string{own.Get("csrf"), theirs.Get("csrf")} {
			sent := maps.Clone(values)
			sent["interaction"], sent["csrf"] = []string{id}, []string{token}
			p := victim.post(m.URL+path, sent)
			if to := p.Header.Get("Location"); p.StatusCode != http.StatusForbidden && to != "/login?interaction="+id && to != "/oauth2/authorize?interaction="+id {
				t.Errorf("POST %s: %d %s", path, p.StatusCode, to)
			}
		}
	}
	if flow() != before || len(m.post.Mails("")) != 0 || m.account("new@example.com") != nil {
		t.Errorf("something changed: %s, before %s", flow(), before)
	}
	attacker.toApp(attacker.submit(half, "factor", url.Values{"code": {app.Code(m.Clock.Now())}}))
}

// Row 22: whoever is asked to sign in anew and sends the choice of an account instead has not signed in.
func TestRow22ChoiceOfAnAccountIsNoSignIn(t *testing.T) {
	for name, values := range map[string]url.Values{"prompt=login": {"prompt": {"login"}}, "max_age=0": {"max_age": {"0"}}, "max_age": {"max_age": {"60"}}, "login and a choice": {"prompt": {"login select_account"}}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, "memory", quickKeys, longSessions)
			s.client()
			subject := s.user("ada@example.com")
			b := s.browser("ada@example.com")
			b.code(nil)
			s.advance(time.Hour)
			asked := s.Clock.Now().Unix()
			rows, err := s.Store.SessionsOf(t.Context(), subject)
			s.ok(err)
			_, fields := readForm(t, b.get(s.URL+"/account").Body, "logout")
			login := s.at(b.get(s.authorizeURL(values)))
			id := login[strings.Index(login, "interaction=")+len("interaction="):]
			p := b.post(s.URL+"/login/accounts", url.Values{"csrf": fields["csrf"], "interaction": {id}, "account": {rows[0].ID}})
			if p.StatusCode == http.StatusSeeOther {
				p = b.walkTo(s.at(p))
			}
			if strings.Contains(p.Header.Get("Location"), "code=") {
				t.Fatalf("a code without a sign-in: %s", p.Header.Get("Location"))
			}
			if at := s.authTime(b.codeFrom(s.URL + "/oauth2/authorize?interaction=" + id)); at < asked {
				t.Errorf("auth_time %d is before the request at %d", at, asked)
			}
		})
	}
}

// walkTo follows redirects inside the server and fills nothing in.
func (b *browser) walkTo(target string) page {
	b.s.Helper()
	p := b.get(target)
	for n := 0; p.StatusCode == http.StatusSeeOther && strings.HasPrefix(p.Header.Get("Location"), "/") && n < 5; n++ {
		p = b.get(b.s.at(p))
	}
	return p
}

// Row 182: a cookie that is dead opens none of the pages and sends none of the forms, however its session ended.
func TestRow182DeadCookiesOpenNoPageAndSendNoForm(t *testing.T) {
	for _, name := range []string{"sign-out", "idle limit", "disabled user", "changed password", "deleted user", "session ended by another program"} {
		t.Run(name, func(t *testing.T) {
			s := strong(t, "memory", func(o *provider.Options) { o.Limits.Interactions, o.SessionIdle = ratelimit.Limit{}, 30*time.Minute })
			subject := s.user("ada@example.com")
			s.user("bob@example.com")
			b := s.browser("ada@example.com")
			b.code(nil)
			_, fields := readForm(t, b.get(s.URL+"/account").Body, "logout")
			login := s.at(b.get(s.authorizeURL(anew)))
			stolen := "Cookie: " + b.cookies()
			endings[name](s, b, subject)
			before := ""
			if name != "deleted user" {
				before = s.stateOf(subject)
			}
			for _, path := range append(slices.Clone(ownPages), "/account/profile?done=profile", strings.TrimPrefix(strings.Replace(login, "/login?", "/login/step-up?", 1), s.URL)) {
				p := s.bare("GET", path, "", stolen)
				to := p.Header.Get("Location")
				// The interaction has ended as well: refused, or begun anew by a sign-in.
				over := strings.HasPrefix(path, "/login/") && (p.StatusCode == http.StatusForbidden || p.StatusCode == http.StatusSeeOther && strings.HasPrefix(to, "/oauth2/authorize?interaction="))
				if !over && (p.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/login?interaction=")) {
					t.Errorf("GET %s: %d %s", path, p.StatusCode, to)
				}
			}
			for path, form := range acts {
				p := s.bareForm(path, with(form, "csrf", fields.Get("csrf")), stolen, "Origin: "+s.URL)
				to := p.Header.Get("Location")
				if p.StatusCode < 400 && to != "/account" && !strings.HasPrefix(to, "/login?interaction=") && path != "/account/sign-out" && path != "/oauth2/logout/confirm" || strings.Contains(p.Body, "ada@example.com") {
					t.Errorf("POST %s: %d %s", path, p.StatusCode, to)
				}
			}
			if name != "deleted user" && s.stateOf(subject) != before {
				t.Error("something changed")
			}
		})
	}
}

// Row 193: what a request says of where it comes from buys no mail, no account and no code.
func TestRow193ForwardedHeadersBuyNoMailsAccountsAndCodes(t *testing.T) {
	three := ratelimit.Limit{Burst: 3, Every: time.Hour}
	m := correspond(t, "memory", withApps, func(o *provider.Options) {
		o.Limits.MailIP, o.Limits.SignupIP, o.Limits.FactorIP, o.Limits.FactorUser, o.Limits.FactorChallenge = three, three, three, ratelimit.Limit{}, 50
	})
	m.client()
	m.app(m.user("ada@example.com"))
	half := m.browser("ada@example.com")
	_, factor := readForm(t, half.half(nil).Body, "factor")
	served := map[string]int{}
	for i, header := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Cluster-Client-IP", "Fastly-Client-IP"} {
		value := fmt.Sprintf("198.51.100.%d", i)
		if header == "Forwarded" {
			value = "for=" + value
		}
		send := func(b *browser, path string, values url.Values) page {
			return m.bareForm(path, values, "Cookie: "+b.cookies(), "Origin: "+m.URL, header+": "+value)
		}
		b := m.browser("")
		_, fields := readForm(t, b.get(m.URL+"/recovery").Body, "recovery")
		m.wants(send(b, "/recovery", with(fields, "username", fmt.Sprintf("user%d@example.com", i))), http.StatusOK)
		if p := send(b, "/signup", with(with(fields, "email", fmt.Sprintf("new%d@example.com", i)), "password", password)); p.StatusCode != http.StatusTooManyRequests {
			served["sign-up"]++
		}
		if p := send(half, "/login/factor", with(factor, "code", "x")); p.StatusCode == http.StatusUnauthorized {
			served["code"]++
		}
	}
	// Mails are counted for all of them together, and silently: three were asked for by /recovery or /signup, whoever got them.
	if mails := len(m.post.Mails("")); mails > 3 || served["sign-up"] != 3 || served["code"] != 3 {
		t.Errorf("%d mails were sent, %v served, want 3 of each", mails, served)
	}
	if strings.Contains(m.Log.String(), "198.51.100.") {
		t.Error("the log names a peer that somebody made up")
	}
}

// Rows 190, 191, 192 and 197: hostile text in every field of these pages stays text, and what is too big is refused.
func TestRow190Row191HostileTextInMailsAndFactors(t *testing.T) {
	m := correspond(t, "sqlite", longPages, withApps, func(o *provider.Options) { o.Limits.FactorUser, o.Limits.FactorChallenge = ratelimit.Limit{}, 10_000 })
	m.client()
	app := m.app(m.user("ada@example.com"))
	ada := m.browser("ada@example.com")
	half := ada.half(nil)
	_, factor := readForm(t, half.Body, "factor")
	bob := m.browser("bob@example.com")
	subject := m.user("bob@example.com")
	bob.code(nil)
	_, own := readForm(t, bob.get(m.URL+"/account").Body, "logout")
	guest := m.browser("")
	_, fields := readForm(t, guest.get(m.URL+"/recovery").Body, "recovery")
	for i, text := range hostileTexts {
		for path, names := range map[string][]string{
			"/recovery": {"username", "interaction"}, "/login/mail": {"username", "interaction"}, "/signup": {"email", "name", "password", "interaction", "invite", "terms"}, "/recovery/reset": {"token", "password"}, "/login/link": {"token"},
			"/signup/confirm": {"token", "password"}, "/verify": {"token"}, "/recovery/not-me": {"token"}, "/login/factor": {"code", "interaction", "trust", "response", "state"},
			"/account/profile": {"name", "locale"}, "/account/factor/rename": {"factor", "name"}, "/account/devices/forget": {"device"}, "/account/sessions/end": {"session", "scope"}, "/account/disconnect": {"client_id"},
			"/account/email": {"email"}, "/account/authenticator": {"code", "pending", "name"}, "/account/delete": {"confirm"},
		} {
			for _, name := range names {
				b, values := guest, with(fields, "email", fmt.Sprintf("guest%d@example.com", i))
				switch {
				case path == "/login/factor":
					b, values = ada, factor
				case strings.HasPrefix(path, "/account/"):
					b, values = bob, own
				}
				values = with(with(with(values, "password", "short"), "scope", "x"), name, text)
				p := b.post(m.URL+path, values)
				if p.StatusCode >= 500 || strings.Contains(fmt.Sprint(p.Header["Set-Cookie"]), "gth_sid") {
					t.Errorf("%s with %s=%.40q: %d %v", path, name, text, p.StatusCode, p.Header["Set-Cookie"])
				}
				m.inert(p, text)
			}
		}
		for _, path := range []string{"/recovery/reset?token=", "/login/link?token=", "/signup/confirm?token=", "/verify?token=", "/recovery/not-me?token=", "/signup?token=", "/recovery?interaction=", "/login/factor?interaction="} {
			if p := guest.get(m.URL + path + url.QueryEscape(text)); p.StatusCode >= 500 || p.StatusCode == http.StatusOK {
				t.Errorf("GET %s%.40q: %d", path, text, p.StatusCode)
			}
		}
	}
	if m.account("bob@example.com") == nil || m.sessions(subject) != 1 || m.sessions(m.subject("ada@example.com")) != 0 {
		t.Error("an account or a session is not what it was")
	}
	m.wellFormedLog()
	if strings.Contains(m.Log.String(), `"level":"ERROR"`) {
		t.Error("server errors")
	}
	m.Clock.Advance(time.Hour)
	ada.toApp(ada.submit(ada.half(nil), "factor", url.Values{"code": {app.Code(m.Clock.Now())}}))
}

// Row 195: these pages have one spelling each, too, and the methods that they have.
func TestRow195PagesOfMailsAndFactorsHaveOneSpelling(t *testing.T) {
	m := correspond(t, "memory", withApps)
	m.client()
	address := m.listen(false)
	for _, path := range []string{"/recovery", "/recovery/reset", "/recovery/not-me", "/login/mail", "/login/link", "/login/factor", "/login/enrol", "/login/step-up", "/login/accounts", "/signup", "/signup/confirm", "/verify"} {
		for _, other := range []string{path + "/", "/" + path, path + "//", path + "/.", path + "%2f", path + ".", path + "%20", path + ";x", path + "%00", "/x/.." + path, "/x/%2e%2e" + path, "/%" + fmt.Sprintf("%02x", path[1]) + path[2:], strings.ToUpper(path), path + ".css"} {
			for _, method := range []string{"GET", "POST"} {
				answer := m.say(address, method+" "+other+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n")
				if !strings.HasPrefix(answer, "HTTP/1.1 404 ") && !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
					t.Errorf("%s %s: %.60q", method, other, answer)
				}
			}
		}
		for _, method := range []string{"HEAD", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "post"} {
			if answer := m.say(address, method+" "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 405 ") {
				t.Errorf("%s %s: %.60q", method, path, answer)
			}
		}
	}
}

// Row 197: what is greedy is refused by these forms before any work is done for it.
func TestRow197GreedyFormsOfMailsAndFactors(t *testing.T) {
	m := correspond(t, "memory", withApps)
	m.client()
	b := m.browser("")
	_, fields := readForm(t, b.get(m.URL+"/recovery").Body, "recovery")
	big := func(n int) string { return strings.Repeat("x", n) }
	for _, path := range []string{"/recovery", "/login/mail", "/signup", "/recovery/reset", "/signup/confirm", "/login/factor", "/login/enrol", "/verify"} {
		for name, c := range map[string]struct {
			body string
			want []int
		}{
			"2 MB": {"&username=" + big(2<<20), []int{413}}, "64 KiB": {"&email=" + big(64<<10), []int{413}}, "a long value": {"&password=" + big(5<<10), []int{400}}, "a long token": {"&token=" + big(17<<10), []int{400}},
			"101 parameters": {strings.Repeat("&a=b", 101), []int{400}}, "bad UTF-8": {"&username=%ff%fe&email=%ff", []int{400}}, "bad escapes": {"&username=%zz", []int{400}}, "NUL": {"&username=%00", []int{400}},
			"twice": {"&username=a&username=b", []int{400}},
		} {
			p := m.bare("POST", path, fields.Encode()+c.body, "Content-Type: application/x-www-form-urlencoded", "Cookie: "+b.cookies(), "Origin: "+m.URL)
			if !slices.Contains(c.want, p.StatusCode) {
				t.Errorf("%s, %s: %d", path, name, p.StatusCode)
			}
		}
	}
	if len(m.post.Mails("")) != 0 {
		t.Error("a mail was sent")
	}
}
