package provider_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/mail/mailtest"
	"gatehouse/provider/signin"
	"gatehouse/provider/ticket"
	"gatehouse/storage"
)

// More of section K as far as links in mails go: whom they reach, where they lead, and what is left of them.

// on lets the helpers report to a subtest.
func (m *mailed) on(t *testing.T) *mailed { return &mailed{server: m.server.on(t), post: m.post} }

// issue makes a link as an operator's command does, or as one that was mailed before something happened.
func (m *mailed) issue(made storage.Ticket) string {
	m.Helper()
	link, err := ticket.New(ticket.Options{Store: m.Store, Users: m.Store, Issuer: m.URL, Now: m.Clock.Now}).Issue(m.Context(), made)
	m.ok(err)
	return link
}

// lies are headers by which a request says that it was sent to somebody else's host.
var lies = map[string]string{
	"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher", "X-Forwarded-Prefix": "/evil.example", "X-Forwarded-Server": "evil.example", "X-Forwarded-Port": "6666", "Forwarded": "host=evil.example;proto=gopher",
	"X-Original-Host": "evil.example", "X-Host": "evil.example", "X-Original-URL": "https://evil.example/", "X-Rewrite-URL": "https://evil.example/", "X-HTTP-Host-Override": "evil.example",
}

// lying sends all of them with every request, and a Host header of somebody else's.
type lying struct{ http.RoundTripper }

func (l lying) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range lies {
		r.Header.Set(name, value)
	}
	r.Host = "evil.example"
	return l.RoundTripper.RoundTrip(r)
}

// Row 143: every kind of mail, whatever the request that causes it says of where it was sent, and whether or not it comes by a proxy that is trusted.
func TestRow143EveryMailLeadsToTheIssuer(t *testing.T) {
	for name, change := range map[string]func(*provider.Options){
		"from anywhere": func(*provider.Options) {},
		"by a proxy":    func(o *provider.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
	} {
		t.Run(name, func(t *testing.T) {
			m := correspond(t, "memory", change, longPages, withApps)
			m.client()
			m.user("ada@example.com", unverified)
			b := m.browser("ada@example.com")
			b.client.Transport = lying{b.client.Transport}
			b.code(nil)
			m.wants(m.asksForLink(b, "/recovery", "ada@example.com"), http.StatusOK)
			m.wants(m.asksForLink(b, "/login/mail", "ada@example.com"), http.StatusOK)
			m.wants(m.asksForAccount(b, "/signup", "ada@example.com", password), http.StatusOK)
			m.wants(m.asksForAccount(b, "/signup", "new@example.com", password), http.StatusOK)
			m.wants(b.ask("/account/profile", "verify", nil), http.StatusSeeOther)
			m.wants(b.press(m.link("ada@example.com", "verify"), "press", nil), http.StatusOK)
			m.wants(b.ask("/account/profile", "email", url.Values{"email": {"other@example.com"}}), http.StatusSeeOther)
			m.wants(b.ask("/account/password", "password-form", url.Values{"password": {otherPassword}, "repeat": {otherPassword}}), http.StatusSeeOther)
			kinds := map[string]bool{}
			for _, mail := range m.post.Mails("") {
				kinds[mail.Kind] = true
				if text := mail.Text + mail.HTML; strings.Contains(text, "evil") || strings.Contains(text, "gopher") || strings.Contains(text, "6666") {
					t.Errorf("%s repeats what the request says: %s", mail.Kind, text)
				}
				if link := mailtest.Link(t, mail); !strings.HasPrefix(link, m.URL+"/") {
					t.Errorf("%s leads to %s", mail.Kind, link)
				}
			}
			for _, kind := range []string{"reset", "magic", "exists", "signup", "verify", "email_change", "password_changed"} {
				if !kinds[kind] {
					t.Errorf("no mail of kind %s among %v", kind, kinds)
				}
			}
		})
	}
}

// Row 144: whatever an operator hands out or was mailed before, it opens nothing while the account is disabled.
func TestRow144LinksOfADisabledAccountOpenNothing(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("gone@example.com", func(u *storage.User) { u.Disabled = true })
		b := m.browser("")
		for kind, path := range map[storage.TicketKind]string{storage.TicketReset: "/recovery/reset", storage.TicketRecovery: "/recovery/reset", storage.TicketMagic: "/login/link", storage.TicketVerify: "/verify"} {
			made := storage.Ticket{Kind: kind, Subject: subject, Email: "gone@example.com", EmailKey: "gone@example.com", Data: map[string]string{"browser": strings.TrimPrefix(b.cookies("gth_flow"), "gth_flow=")}}
			token := tokenOf(m.issue(made))
			m.wants(b.get(m.URL+path+"?token="+token), http.StatusBadRequest)
			m.wants(b.sends(m.URL+path+"?token="+token, url.Values{"password": {otherPassword}}), http.StatusBadRequest)
		}
		_, err := m.Store.UpdateUser(m.Context(), subject, func(u *storage.User) error { u.Disabled = false; return nil })
		m.ok(err)
		if m.signsIn("gone@example.com", otherPassword) || !m.signsIn("gone@example.com", password) {
			t.Error("the password changed")
		}
	})
}

// Row 144: a reset that cannot be finished has used its link up: whoever reads it later, in a history or a log, has nothing.
func TestRow144ResetThatFailsHasUsedItsLinkUp(t *testing.T) {
	m := correspond(t, "memory")
	m.client()
	m.user("ada@example.com")
	b := m.browser("")
	link := m.resetLink(b, "ada@example.com")
	p := b.get(link)
	if !m.broken.during("ReplacePassword", func() {
		m.wants(b.submit(p, "reset", url.Values{"password": {otherPassword}}), http.StatusServiceUnavailable)
	}) {
		t.Fatal("nothing failed")
	}
	m.dead(b, link)
	if !m.signsIn("ada@example.com", password) || m.signsIn("ada@example.com", otherPassword) {
		t.Error("the password changed")
	}
}

// Row 146: whatever way a new password is chosen, it is one factor: sessions and tokens of before are dead, a trusted browser is asked again, and no other browser is signed in by it.
func TestRow146NewPasswordIsOneFactorEverywhere(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com")
		app := m.app(subject)
		old := m.trusting(app)
		m.Clock.Advance(time.Minute)
		online := m.redeem(old.code(nil))
		ways := map[string]func() string{
			"mailed": func() string { return m.resetLink(m.browser(""), "ada@example.com") },
			"handed out by an operator": func() string {
				return m.issue(storage.Ticket{Kind: storage.TicketRecovery, Subject: subject, Email: "ada@example.com", EmailKey: "ada@example.com"})
			},
		}
		n := 0
		for name, way := range ways {
			n++
			m.Clock.Advance(time.Minute)
			elsewhere := m.browser("ada@example.com")
			m.wants(elsewhere.resets(way(), fmt.Sprint("a wholly different battery of words ", n)), http.StatusOK)
			if got := elsewhere.get(m.authorizeURL(url.Values{"prompt": {"none"}})).Header.Get("Location"); !strings.Contains(got, "login_required") {
				t.Errorf("%s: signed in in a browser that did not ask: %s", name, got)
			}
			if got := old.get(m.authorizeURL(url.Values{"prompt": {"none"}})).Header.Get("Location"); !strings.Contains(got, "login_required") {
				t.Errorf("%s: the old session goes on: %s", name, got)
			}
			m.wantError(m.refresh(online.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
			if got := m.introspect(online.Str("access_token")); got.Raw != inactive {
				t.Errorf("%s: an access token of before: %s", name, got.Raw)
			}
			for _, b := range []*browser{old, elsewhere} { // also in the browser that was trusted
				p := b.submit(b.get(m.at(b.get(m.authorizeURL(nil)))), "login", url.Values{"username": {"ada@example.com"}, "password": {fmt.Sprint("a wholly different battery of words ", n)}})
				if to := p.Header.Get("Location"); !strings.HasPrefix(to, signin.FactorPath) {
					t.Errorf("%s: a new password leads to %d %s", name, p.StatusCode, to)
				}
			}
		}
		if got := m.mails("ada@example.com", "password_changed"); got != len(ways) {
			t.Errorf("%d mails tell of %d new passwords", got, len(ways))
		}
	}, secondApps)
}

// secondApps is secondFactors without passkeys, which need a domain.
func secondApps(o *provider.Options) {
	o.Factors = signin.Policy{TOTP: true, TrustDevice: 30 * 24 * time.Hour}
}

// Row 148: an address that an import or an operator stored as another spelling of its key gets no mail: the key does. Row 147: exactly one.
func TestRow148MailGoesToTheKeyOfWhatIsStored(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		for key, stored := range map[string]string{
			"victim@kelvin.example": "victim@\u212Aelvin.example", "ada@example.com": "ADA@Example.COM", "bob@example.com": "bob\uFF20example.com", "cyd@xn--bcher-kva.example": "cyd@b\u00FCcher.example",
		} {
			m.user(key, func(u *storage.User) { u.Email = stored })
			b := m.browser("")
			for path, kind := range map[string]string{"/recovery": "reset", "/login/mail": "magic", "/signup": "exists"} {
				before := len(m.post.Mails(""))
				if path == "/signup" {
					m.wants(m.asksForAccount(b, path, stored, password), http.StatusOK)
				} else {
					m.wants(m.asksForLink(b, path, stored), http.StatusOK)
				}
				sent := m.post.Mails("")[before:]
				if len(sent) != 1 || sent[0].To != key || sent[0].Kind != kind {
					t.Errorf("%s for %q: mails %+v, want one to %s", path, stored, sent, key)
				}
			}
		}
	})
}

// Row 149: an invitation that names nobody makes one account as well, however many have begun with it.
func TestRow149InvitationWithoutAnAddressMakesOneAccount(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		link := m.issue(storage.Ticket{Kind: storage.TicketInvite})
		const callers = 8
		browsers, pages := make([]*browser, callers), make([]page, callers)
		for i := range callers {
			email := fmt.Sprintf("guest%d@example.com", i)
			browsers[i] = m.browser("")
			m.wants(browsers[i].submit(m.wants(browsers[i].get(link), http.StatusOK), "signup", url.Values{"email": {email}, "password": {password}}), http.StatusOK)
			pages[i] = browsers[i].get(m.link(email, "signup"))
		}
		statuses := make([]int, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() { statuses[i] = browsers[i].submit(pages[i], "confirm", nil).StatusCode })
		}
		wg.Wait()
		made, refused := 0, 0
		for i, status := range statuses {
			if status == http.StatusSeeOther {
				made++
			} else if status == http.StatusForbidden {
				refused++
			}
			if has := m.account(fmt.Sprintf("guest%d@example.com", i)) != nil; has != (status == http.StatusSeeOther) {
				t.Errorf("guest %d: status %d, account %v", i, status, has)
			}
		}
		if made != 1 || refused != callers-1 {
			t.Errorf("%d accounts by one invitation: %v", made, statuses)
		}
		m.wants(m.browser("").get(link), http.StatusForbidden)
	}, func(o *provider.Options) { o.SignUp.Mode = "invite" })
}

// Row 136: an invitation that was used, is over, was never made or is a link of another kind is one and the same thing to whoever tries it.
func TestRow136DeadInvitationsAreAlike(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		used := m.issue(storage.Ticket{Kind: storage.TicketInvite, Email: "bob@example.com", EmailKey: "bob@example.com", Data: map[string]string{"mailed": "1"}})
		m.wants(m.browser("").press(used, "signup", url.Values{"password": {password}}), http.StatusSeeOther)
		late := m.issue(storage.Ticket{Kind: storage.TicketInvite, Expires: m.Clock.Now().Add(time.Second)})
		m.Clock.Advance(time.Minute)
		reset := m.issue(storage.Ticket{Kind: storage.TicketReset, Subject: m.subject("ada@example.com"), Email: "ada@example.com", EmailKey: "ada@example.com"})
		var first string
		for name, token := range map[string]string{
			"used": tokenOf(used), "late": tokenOf(late), "of a reset": tokenOf(reset), "made up": "gth_lk_" + strings.Repeat("A", 49), "no token": "no-token-at-all", "an address": "ada@example.com", "huge": strings.Repeat("x", 2000),
		} {
			p := m.wants(m.browser("").get(m.URL+"/signup?token="+url.QueryEscape(token)), http.StatusForbidden)
			got := alike(p, token)
			if first == "" {
				first = got
			}
			if got != first {
				t.Errorf("%s is answered unlike the others:\n%s\n%s", name, got, first)
			}
		}
	}, func(o *provider.Options) { o.SignUp.Mode = "invite" })
}

// Row 151: whoever opens a link that ends in a sign-in, in whatever way a scanner, a preview or a prefetch does, changes nothing.
func TestRow151ScannersUseNothingUp(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		b := m.browser("ada@example.com")
		m.wants(m.asksForLink(b, "/login/mail", "ada@example.com"), http.StatusOK)
		links := []string{m.link("ada@example.com", "magic")}
		m.wants(m.asksForLink(b, "/recovery", "ada@example.com"), http.StatusOK)
		m.wants(m.asksForAccount(b, "/signup", "new@example.com", password), http.StatusOK)
		links = append(links, m.link("ada@example.com", "reset"), m.link("new@example.com", "signup"))
		for _, link := range links {
			path := strings.TrimPrefix(link, m.URL)
			for _, headers := range [][]string{
				{"User-Agent: Mozilla/5.0 (compatible; Scanner)"}, {"Sec-Purpose: prefetch"}, {"Purpose: prefetch", "Cookie: " + b.cookies()}, {"X-Moz: prefetch"}, {"Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image", "Cookie: " + b.cookies()},
			} {
				for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
					p := m.bare(method, path, "", headers...)
					if p.StatusCode >= 500 || p.Header.Get("Location") != "" || strings.Contains(fmt.Sprint(p.Header["Set-Cookie"]), "gth_sid") {
						t.Errorf("%s %s: %d %v", method, path, p.StatusCode, p.Header)
					}
				}
			}
		}
		if m.sessions(m.subject("ada@example.com")) != 0 || m.account("new@example.com") != nil {
			t.Error("a GET signed somebody in, or made an account")
		}
		for i, form := range []string{"press", "reset", "confirm"} { // and all of them work still
			m.wants(b.press(links[i], form, url.Values{"password": {otherPassword}}), http.StatusSeeOther)
		}
	})
}

// Row 149: an invitation that names an address but was handed out in another way proves no address: its account waits for a mail, and is made for nobody else.
func TestRow149InvitationThatWasHandedOutProvesNoAddress(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		link := m.issue(storage.Ticket{Kind: storage.TicketInvite, Email: "ada@example.com", EmailKey: "ada@example.com"})
		for range 2 { // it works until there is an account
			b := m.browser("")
			m.wants(b.press(link, "signup", url.Values{"email": {"eve@evil.example"}, "password": {password}}), http.StatusOK)
			if m.account("ada@example.com") != nil || m.account("eve@evil.example") != nil || len(m.post.Mails("eve@evil.example")) != 0 {
				t.Fatal("there is an account, or a mail to somebody else")
			}
			m.Clock.Advance(time.Second)
		}
		b := m.browser("")
		m.wants(b.press(link, "signup", url.Values{"password": {password}}), http.StatusOK)
		m.wants(b.press(m.link("ada@example.com", "signup"), "confirm", nil), http.StatusSeeOther)
		if m.account("ada@example.com") == nil {
			t.Error("the address is proven, and there is no account")
		}
		m.wants(m.browser("").get(link), http.StatusForbidden)
	}, func(o *provider.Options) { o.SignUp.Mode = "invite" })
}

// Row 172: if the owner's address cannot come back because somebody has it by now, whoever was locked out is not sent the way to a new password.
func TestRow172NoNewPasswordForTheThiefsMailbox(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		owner := m.browser("ada@example.com")
		owner.resets(m.resetLink(owner, "ada@example.com"), otherPassword) // stands for the thief's first change
		link := m.link("ada@example.com", "password_changed")
		m.steal(subject, "eve@evil.example")
		m.user("ada@example.com", func(u *storage.User) { u.Subject = "another" })
		m.Clock.Advance(time.Minute)
		m.wants(owner.press(link, "press", nil), http.StatusOK)
		told := m.post.Mails("eve@evil.example") // that the address was taken away
		if len(told) != 1 || told[0].Kind != "reverted" || strings.Contains(told[0].Text+told[0].HTML, "token=") {
			t.Errorf("mails to the thief: %v", told)
		}
		if n := m.mails("ada@example.com", "reset"); n != 1 || m.signsIn("eve@evil.example", otherPassword) { // the one that the owner asked for
			t.Errorf("%d mails with a link to a new password, or the thief signs in", n)
		}
		// Nor does the thief get one by asking for it: the mailbox is not the account's any more.
		thief := m.browser("eve@evil.example")
		m.Clock.Advance(time.Minute)
		for _, path := range []string{"/recovery", "/login/mail"} {
			m.wants(m.asksForLink(thief, path, "eve@evil.example"), http.StatusOK)
		}
		if sent := m.post.Mails("eve@evil.example"); len(sent) != len(told) {
			t.Errorf("mails to the thief who asks: %s", sent[len(sent)-1].Kind)
		}
		if m.account("eve@evil.example") != nil {
			t.Error("the account has the thief's address still")
		}
	})
}
