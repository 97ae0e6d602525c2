package provider_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/signin"
	"gatehouse/storage"
)

// Sections K and M as far as links in mails go: sign-up, recovery, and links that sign in.

const otherPassword = "a wholly different battery of words"

// asksForLink fills in the form that mails one.
func (m *mailed) asksForLink(b *browser, path, name string) page {
	m.Helper()
	form := "recovery"
	if strings.HasPrefix(path, "/login/mail") {
		form = "mail-link"
	}
	return b.ask(path, form, url.Values{"username": {name}})
}

func TestRow136AskingForALinkTellsNothing(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		m.user("gone@example.com", func(u *storage.User) { u.Disabled = true })
		for _, path := range []string{"/recovery", "/login/mail", "/signup"} {
			var first string
			for _, name := range []string{"ada@example.com", "nobody@example.com", "gone@example.com"} {
				ask := func() page {
					if b := m.browser(""); path != "/signup" {
						return m.asksForLink(b, path, name)
					} else {
						return m.asksForAccount(b, path, name, password)
					}
				}
				p := m.wants(ask(), http.StatusOK)
				got := alike(p, name)
				if first == "" {
					first = got
				}
				if got != first {
					t.Errorf("%s: %s is answered unlike the first:\n%s\n%s", path, name, got, first)
				}
			}
		}
		var sent []string
		for _, mail := range m.post.Mails("") {
			sent = append(sent, mail.Kind+" "+mail.To)
		}
		slices.Sort(sent)
		if want := []string{"exists ada@example.com", "magic ada@example.com", "reset ada@example.com", "signup nobody@example.com"}; !slices.Equal(sent, want) {
			t.Errorf("mails %v, want %v", sent, want)
		}
	})
}

// Over the limit of an address the answer is the same, too, and no mail goes out.
func TestRow136LimitOfAnAddressIsNotTold(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		var first string
		for i := range 4 {
			got := alike(m.wants(m.asksForLink(m.browser(""), "/recovery", "ada@example.com"), http.StatusOK), "ada@example.com")
			if first == "" {
				first = got
			}
			if got != first {
				t.Errorf("request %d is answered unlike the first", i)
			}
		}
		if n := len(m.post.Mails("ada@example.com")); n != 2 {
			t.Errorf("%d mails, want 2", n)
		}
	}, func(o *provider.Options) { o.Limits.ResetAddress = ratelimit.Limit{Burst: 2, Every: time.Hour} })
}

func TestRow143LinksBeginWithTheIssuerWhateverTheRequestSays(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		for _, header := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded", "X-Original-Host", "X-Host"} {
			m.Clock.Advance(time.Minute)
			b := m.browser("")
			p := b.get(m.URL + "/recovery")
			action, fields := readForm(t, p.Body, "recovery")
			fields.Set("username", "ada@example.com")
			r, err := http.NewRequest("POST", m.URL+action, strings.NewReader(fields.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", m.URL)
			r.Header.Set(header, map[bool]string{true: "host=evil.example;proto=https", false: "evil.example"}[header == "Forwarded"])
			if header == "Host" {
				r.Host = "evil.example"
			}
			before := len(m.post.Mails(""))
			p = b.do(r)
			if len(m.post.Mails("")) == before {
				if header != "Host" { // a foreign host may be refused
					t.Errorf("%s: no mail, %d", header, p.StatusCode)
				}
				continue
			}
			mail := m.post.Last(t, "ada@example.com", "reset")
			if link := m.link("ada@example.com", "reset"); !strings.HasPrefix(link, m.URL+"/recovery/reset?token=") || strings.Contains(mail.Text+mail.HTML, "evil.example") {
				t.Errorf("%s: the link is %s", header, link)
			}
		}
	})
}

// resets opens a link to a new password and sends one.
func (b *browser) resets(link, chosen string) page {
	b.s.Helper()
	p := b.get(link)
	if !hasForm(p.Body, "reset") {
		return p
	}
	return b.submit(p, "reset", url.Values{"password": {chosen}})
}

// resetLink asks for a link to a new password and returns it.
func (m *mailed) resetLink(b *browser, email string) string {
	m.Helper()
	m.wants(m.asksForLink(b, "/recovery", email), http.StatusOK)
	return m.link(email, "reset")
}

func TestRow144ResetLinkWorksOnceAndOnlyInItsTime(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com")
		m.user("bob@example.com")
		t.Run("in parallel", func(t *testing.T) {
			link := m.resetLink(m.browser(""), "ada@example.com")
			var wg sync.WaitGroup
			var mu sync.Mutex
			won := 0
			browsers, pages := make([]*browser, 20), make([]page, 20)
			for i := range browsers {
				browsers[i] = m.browser("")
				pages[i] = browsers[i].get(link)
			}
			for i := range browsers {
				wg.Go(func() {
					chosen := fmt.Sprint("the password of browser number ", i)
					got := browsers[i].submit(pages[i], "reset", url.Values{"password": {chosen}})
					mu.Lock()
					defer mu.Unlock()
					if got.StatusCode == http.StatusOK {
						won++
					} else if got.StatusCode != http.StatusBadRequest && got.StatusCode != http.StatusServiceUnavailable {
						t.Errorf("status %d: %s", got.StatusCode, cut(got.Body))
					}
				})
			}
			wg.Wait()
			if won != 1 {
				t.Errorf("%d of 20 set a password", won)
			}
			m.wants(m.browser("").resets(link, otherPassword), http.StatusBadRequest)
		})
		dies := func(name string, then func()) {
			t.Run(name, func(t *testing.T) {
				m.Clock.Advance(time.Minute)
				link := m.resetLink(m.browser(""), "ada@example.com")
				then()
				b := m.browser("")
				if p := b.resets(link, otherPassword); p.StatusCode != http.StatusBadRequest {
					t.Errorf("status %d: %s", p.StatusCode, cut(p.Body))
				}
				if m.signsIn("ada@example.com", otherPassword) {
					t.Error("the password was set")
				}
			})
		}
		dies("after a newer request", func() { m.Clock.Advance(time.Second); m.resetLink(m.browser(""), "ada@example.com") })
		dies("after the password changed", func() { m.ok(m.Store.SetPassword(m.Context(), subject, "")) })
		dies("after the address changed", func() {
			_, err := m.Store.UpdateUser(m.Context(), subject, func(u *storage.User) error {
				u.Email, u.EmailKey = "new@example.com", "new@example.com"
				return nil
			})
			m.ok(err)
		})
		_, err := m.Store.UpdateUser(m.Context(), subject, func(u *storage.User) error {
			u.Email, u.EmailKey = "ada@example.com", "ada@example.com"
			return nil
		})
		m.ok(err)
		dies("when its time is over", func() { m.Clock.Advance(20 * time.Minute) })
		dies("after the account was disabled", func() {
			_, err := m.Store.UpdateUser(m.Context(), subject, func(u *storage.User) error { u.Disabled = true; return nil })
			m.ok(err)
		})
		if !m.signsIn("bob@example.com", password) {
			t.Error("the password of another user changed")
		}
	})
}

func TestRow145NoStepOfRecoveryCanBeSkipped(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		b := m.browser("ada@example.com")
		p := b.get(m.URL + "/recovery?interaction=" + m.interaction(b))
		_, asked := readForm(t, p.Body, "recovery")
		p = b.submit(p, "recovery", url.Values{"username": {"ada@example.com"}})
		link := m.link("ada@example.com", "reset")
		for name, fields := range map[string]url.Values{
			"the flow id alone":        {"interaction": asked["interaction"], "password": {otherPassword}},
			"the flow id as the token": {"token": asked["interaction"], "password": {otherPassword}},
			"nothing":                  {},
			"an empty token":           {"token": {""}, "password": {otherPassword}},
			"a name":                   {"username": {"ada@example.com"}, "password": {otherPassword}, "interaction": asked["interaction"]},
		} {
			fields.Set("csrf", asked.Get("csrf"))
			if p := b.post(m.URL+"/recovery/reset", fields); p.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %d %s", name, p.StatusCode, cut(p.Body))
			}
		}
		m.wants(b.get(m.URL+"/recovery/reset"), http.StatusBadRequest)
		if !m.signsIn("ada@example.com", password) || m.signsIn("ada@example.com", otherPassword) {
			t.Error("the password changed")
		}
		// The old step again, after the last one.
		old := b.get(link)
		m.wants(b.submit(old, "reset", url.Values{"password": {otherPassword}}), http.StatusSeeOther)
		m.wants(b.submit(old, "reset", url.Values{"password": {password}}), http.StatusBadRequest)
		if m.signsIn("ada@example.com", password) {
			t.Error("the old step set a password again")
		}
	})
}

// interaction begins a sign-in for the app and returns its id.
func (m *mailed) interaction(b *browser) string {
	m.Helper()
	_, fields := readForm(m.T, m.server.signIn(b).Body, "login")
	return fields.Get("interaction")
}

func TestRow146ResetStillAsksForTheSecondFactorAndEndsSessions(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		subject := m.user("ada@example.com")
		app := m.app(subject)
		elsewhere := m.browser("ada@example.com")
		elsewhere.toApp(elsewhere.submit(elsewhere.half(nil), "factor", url.Values{"code": {app.Code(m.Clock.Now())}}))
		m.Clock.Advance(time.Minute)
		b := m.browser("ada@example.com")
		p := b.get(m.URL + "/recovery?interaction=" + m.interaction(b))
		m.wants(b.submit(p, "recovery", url.Values{"username": {"ada@example.com"}}), http.StatusOK)
		p = m.wants(b.resets(m.link("ada@example.com", "reset"), otherPassword), http.StatusSeeOther)
		if !strings.HasPrefix(p.Header.Get("Location"), signin.FactorPath) {
			t.Fatalf("a new password leads to %s", p.Header.Get("Location"))
		}
		if got := elsewhere.get(m.authorizeURL(url.Values{"prompt": {"none"}})).Header.Get("Location"); !strings.Contains(got, "login_required") {
			t.Errorf("the old session goes on: %s", got)
		}
		if got := b.get(m.authorizeURL(url.Values{"prompt": {"none"}})).Header.Get("Location"); !strings.Contains(got, "login_required") {
			t.Errorf("signed in without the second factor: %s", got)
		}
		m.post.Last(t, "ada@example.com", "password_changed")
		claims := b.toApp(b.submit(b.get(m.at(p)), "factor", url.Values{"code": {app.Code(m.Clock.Now())}}))
		if claims["acr"] != "2" {
			t.Errorf("acr %v", claims["acr"])
		}
	}, func(o *provider.Options) { o.Factors = signin.Policy{TOTP: true} })
}

func TestRow147OneMailToTheStoredAddressOnly(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		m.user("eve@evil.example")
		b := m.browser("")
		for _, name := range []string{
			"ada@example.com,eve@evil.example", "ada@example.com;eve@evil.example", "ada@example.com eve@evil.example", "ada@example.com\r\nBcc: eve@evil.example", "ada@example.com\nCc:eve@evil.example",
			"Ada <ada@example.com>", `"ada@example.com" <eve@evil.example>`, "ada@example.com\x00", "<ada@example.com>", "ada@example.com@evil.example",
		} {
			for _, path := range []string{"/recovery", "/login/mail"} {
				if p := m.asksForLink(b, path, name); p.StatusCode != http.StatusBadRequest {
					t.Errorf("%s: %q: %d", path, name, p.StatusCode)
				}
			}
			if p := m.asksForAccount(b, "/signup", name, password); p.StatusCode != http.StatusBadRequest {
				t.Errorf("sign-up: %q: %d", name, p.StatusCode)
			}
		}
		for path, field := range map[string]string{"/recovery": "username", "/signup": "email"} {
			form := strings.TrimPrefix(path, "/")
			for _, fields := range []url.Values{
				{field + "[]": {"ada@example.com", "eve@evil.example"}}, {field: {"ada@example.com", "eve@evil.example"}}, {field + "[0]": {"ada@example.com"}, field + "[1]": {"eve@evil.example"}},
			} {
				fields.Set("password", password)
				if p := b.ask(path, form, fields); p.StatusCode != http.StatusBadRequest {
					t.Errorf("%s: %v: %d", path, fields, p.StatusCode)
				}
			}
		}
		if sent := m.post.Mails(""); len(sent) != 0 {
			t.Fatalf("%d mails", len(sent))
		}
		m.wants(m.asksForLink(b, "/recovery", " ADA@Example.COM "), http.StatusOK)
		if sent := m.post.Mails(""); len(sent) != 1 || sent[0].To != "ada@example.com" {
			t.Errorf("mails %v", sent)
		}
	})
}

func TestRow148AddressesAreNormalisedOnceAndNeverCollide(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("victim@kelvin.example")
		b := m.browser("")
		for typed, same := range map[string]bool{
			"VICTIM@KELVIN.EXAMPLE": true, "victim＠kelvin.example": true, "ｖictim@kelvin.example": true, "victim@\u212Aelvin.example": true, // Kelvin sign
			"v\u0131ctim@kelvin.example": false, "vict\u0456m@kelvin.example": false, "victim@kelv\u0131n.example": false,
		} {
			before := len(m.post.Mails(""))
			for _, ask := range []func() page{
				func() page { return m.asksForLink(b, "/recovery", typed) }, func() page { return m.asksForAccount(b, "/signup", typed, password) },
			} {
				m.Clock.Advance(time.Second)
				if p := ask(); p.StatusCode != http.StatusOK && p.StatusCode != http.StatusBadRequest {
					t.Errorf("%q: %d", typed, p.StatusCode)
				}
			}
			for _, mail := range m.post.Mails("")[before:] {
				if same != (mail.To == "victim@kelvin.example") || same == (mail.Kind == "signup") {
					t.Errorf("%q: %s to %q", typed, mail.Kind, mail.To)
				}
				if strings.ContainsFunc(mail.To[strings.Index(mail.To, "@"):], func(c rune) bool { return c > 0x7e }) {
					t.Errorf("%q: mail to the typed twin %q", typed, mail.To)
				}
			}
			if same && len(m.post.Mails("")) != before+2 {
				t.Errorf("%q is not the account", typed)
			}
		}
		for _, typed := range []string{"a@xn--example-.com", `"a@evil.example"@good.example`, "a@[127.0.0.1]", "a@127.0.0.1", "a@exa mple.com", "a@.com", "@example.com"} {
			if p := m.asksForAccount(b, "/signup", typed, password); p.StatusCode != http.StatusBadRequest {
				t.Errorf("%q: %d", typed, p.StatusCode)
			}
		}
	})
}

func TestRow149OneRowForAnAddressUnderAnyRace(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		const callers = 50
		browsers, links := make([]*browser, callers), make([]string, callers)
		var wg sync.WaitGroup
		for i := range callers {
			browsers[i] = m.browser("")
			p := browsers[i].get(m.URL + "/signup")
			wg.Go(func() {
				address := []string{"ada@example.com", "ADA@example.com", "ada@EXAMPLE.com"}[i%3]
				m.wants(browsers[i].submit(p, "signup", url.Values{"email": {address}, "password": {password}}), http.StatusOK)
			})
		}
		wg.Wait()
		mails := m.post.Mails("ada@example.com")
		if len(mails) != callers {
			t.Fatalf("%d mails", len(mails))
		}
		for i, mail := range mails {
			links[i] = regexp.MustCompile(`http\S+/signup/confirm\S+`).FindString(mail.Text)
		}
		var mu sync.Mutex
		made := 0
		for i := range callers {
			p := browsers[i].get(links[i]) // whose it is does not matter: the password is given where it is another's
			if !hasForm(p.Body, "confirm") {
				continue
			}
			wg.Go(func() {
				p := browsers[i].submit(p, "confirm", url.Values{"password": {password}})
				mu.Lock()
				defer mu.Unlock()
				switch p.StatusCode {
				case http.StatusSeeOther, http.StatusOK:
					made++
				case http.StatusConflict, http.StatusBadRequest:
				default:
					t.Errorf("status %d: %s", p.StatusCode, cut(p.Body))
				}
			})
		}
		wg.Wait()
		if made != 1 {
			t.Errorf("%d accounts were made", made)
		}
	})
}

func TestRow149SignUpThatIsOffIsOffEverywhere(t *testing.T) {
	for mode, text := range map[string]string{"off": "Nobody can create an account", "invite": "An account needs an invitation", "": "Nobody can create an account"} {
		t.Run("mode "+mode, func(t *testing.T) {
			onEveryStore(t, func(m *mailed) {
				b := m.browser("")
				id := m.interaction(b)
				if p := m.server.signIn(b); strings.Contains(p.Body, "to-signup") {
					t.Error("the sign-in page leads to the sign-up")
				}
				_, fields := readForm(t, b.get(m.URL+"/recovery").Body, "recovery")
				for _, p := range []page{
					b.get(m.URL + "/signup"), b.get(m.URL + "/signup?interaction=" + id),
					b.post(m.URL+"/signup", url.Values{"csrf": fields["csrf"], "email": {"ada@example.com"}, "password": {password}}),
					b.post(m.URL+"/signup", url.Values{"csrf": fields["csrf"], "interaction": {id}, "email": {"ada@example.com"}, "password": {password}}),
				} {
					if p.StatusCode != http.StatusForbidden || !strings.Contains(p.Body, text) {
						t.Errorf("%s: %d %s", p.Request.URL, p.StatusCode, cut(p.Body))
					}
				}
				if got := m.sentTo(b.get(m.authorizeURL(url.Values{"prompt": {"create"}})), callback); got.Get("error") != "invalid_request" {
					t.Errorf("prompt=create: %v", got)
				}
				if len(m.post.Mails("")) != 0 || m.account("ada@example.com") != nil {
					t.Error("something was made")
				}
			}, func(o *provider.Options) { o.SignUp.Mode = mode })
		})
	}
	t.Run("switched off while a link waits", func(t *testing.T) {
		m := correspond(t, "memory")
		m.client()
		b := m.browser("")
		id := m.interaction(b)
		m.wants(m.asksForAccount(b, "/signup?interaction="+id, "ada@example.com", password), http.StatusOK)
		link := m.link("ada@example.com", "signup")
		_, err := m.Store.UpdateClient(m.Context(), "app", func(c *storage.Client) error { c.SignUp = "off"; return nil })
		m.ok(err)
		m.eventually("the client is known to be closed", func() bool { return b.get(link).StatusCode == http.StatusForbidden })
		if m.account("ada@example.com") != nil {
			t.Error("there is an account")
		}
	})
	t.Run("without mail nothing is offered", func(t *testing.T) {
		m := correspond(t, "memory", func(o *provider.Options) { o.Mail = provider.Mail{} })
		m.client()
		b := m.browser("")
		p := m.server.signIn(b)
		for _, id := range []string{"to-signup", "to-recovery", "to-mail-link"} {
			if strings.Contains(p.Body, id) {
				t.Errorf("the sign-in page has %s", id)
			}
		}
		for _, path := range []string{"/signup", "/recovery", "/login/mail"} {
			m.wants(b.get(m.URL+path), http.StatusNotFound)
		}
	})
}

func TestRow151OpeningALinkDoesNothingAndAnotherBrowserIsNotSignedIn(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		session := func(b *browser) bool {
			return !strings.Contains(b.get(m.authorizeURL(url.Values{"prompt": {"none"}, "scope": {"openid"}})).Header.Get("Location"), "login_required")
		}
		t.Run("magic link", func(t *testing.T) {
			m := m.on(t)
			b, other := m.browser("ada@example.com"), m.browser("ada@example.com")
			m.wants(m.asksForLink(b, "/login/mail?interaction="+m.interaction(b), "ada@example.com"), http.StatusOK)
			link := m.link("ada@example.com", "magic")
			for range 3 { // a scanner
				m.wants(m.browser("").get(link), http.StatusForbidden)
			}
			_, fields := readForm(t, other.get(m.URL+"/recovery").Body, "recovery")
			fields.Set("token", link[strings.Index(link, "token=")+len("token="):])
			m.wants(other.post(m.URL+"/login/link", fields), http.StatusForbidden)
			p := m.wants(b.get(link), http.StatusOK)
			if session(b) || session(other) {
				t.Error("signed in without a click")
			}
			claims := b.toApp(b.submit(p, "press", nil))
			if amrOf(claims) != "email" || claims["acr"] != "1" {
				t.Errorf("amr %v, acr %v", claims["amr"], claims["acr"])
			}
			m.wants(b.get(link), http.StatusBadRequest)
		})
		t.Run("sign-up", func(t *testing.T) {
			m := m.on(t)
			b, other := m.browser(""), m.browser("")
			m.wants(m.asksForAccount(b, "/signup", "bob@example.com", password), http.StatusOK)
			link := m.link("bob@example.com", "signup")
			m.wants(m.browser("").get(link), http.StatusOK)
			if m.account("bob@example.com") != nil {
				t.Fatal("a GET made an account")
			}
			m.wants(other.press(link, "confirm", nil), http.StatusUnauthorized)
			m.wants(other.press(link, "confirm", url.Values{"password": {otherPassword}}), http.StatusUnauthorized)
			if m.account("bob@example.com") != nil {
				t.Fatal("an account without its password")
			}
			m.wants(other.press(link, "confirm", url.Values{"password": {password}}), http.StatusOK)
			if session(other) || m.account("bob@example.com") == nil {
				t.Error("signed in in another browser, or no account")
			}
		})
	})
}

func TestRow172WhoSignsUpWithSomebodysAddressLeavesNothing(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		squatter, owner := m.browser(""), m.browser("")
		m.wants(m.asksForAccount(squatter, "/signup", "ada@example.com", otherPassword), http.StatusOK)
		theirs := m.link("ada@example.com", "signup")
		if m.account("ada@example.com") != nil || m.signsIn("ada@example.com", otherPassword) {
			t.Fatal("there is something before the address is proven")
		}
		// A click of the owner on the squatter's link makes no account to which somebody else has the password.
		m.wants(owner.press(theirs, "confirm", nil), http.StatusUnauthorized)
		m.Clock.Advance(time.Second)
		m.wants(m.asksForAccount(owner, "/signup", "ada@example.com", password), http.StatusOK)
		m.wants(owner.press(m.link("ada@example.com", "signup"), "confirm", nil), http.StatusSeeOther)
		if !m.signsIn("ada@example.com", password) || m.signsIn("ada@example.com", otherPassword) {
			t.Error("the password is not the owner's")
		}
		if p := m.browser("").press(theirs, "confirm", url.Values{"password": {otherPassword}}); p.StatusCode != http.StatusConflict && p.StatusCode != http.StatusBadRequest {
			t.Errorf("the squatter's link: %d", p.StatusCode)
		}
		if m.signsIn("ada@example.com", otherPassword) {
			t.Error("the squatter is in")
		}
	})
}

func TestRow45LinksOfOneKindAreNoneOfAnother(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		b := m.browser("ada@example.com")
		m.wants(m.asksForLink(b, "/recovery", "ada@example.com"), http.StatusOK)
		links := map[string]string{"reset": m.link("ada@example.com", "reset")}
		m.wants(m.asksForLink(b, "/login/mail", "ada@example.com"), http.StatusOK)
		links["magic"] = m.link("ada@example.com", "magic")
		m.wants(m.asksForAccount(b, "/signup", "bob@example.com", password), http.StatusOK)
		links["signup"] = m.link("bob@example.com", "signup")
		places := map[string]string{"reset": "/recovery/reset", "magic": "/login/link", "signup": "/signup/confirm", "verify": "/verify", "revert": "/recovery/not-me"}
		_, fields := readForm(t, b.get(m.URL+"/recovery").Body, "recovery")
		for kind, link := range links {
			token := link[strings.Index(link, "token=")+len("token="):]
			for of, path := range places {
				if of == kind {
					continue
				}
				if p := b.get(m.URL + path + "?token=" + token); p.StatusCode != http.StatusBadRequest {
					t.Errorf("GET %s with a link of %s: %d", path, kind, p.StatusCode)
				}
				if p := b.post(m.URL+path, url.Values{"csrf": fields["csrf"], "token": {token}, "password": {otherPassword}}); p.StatusCode != http.StatusBadRequest {
					t.Errorf("POST %s with a link of %s: %d", path, kind, p.StatusCode)
				}
			}
			m.wantError(m.redeem(token), http.StatusBadRequest, "invalid_grant")
			m.wantError(m.refresh(token), http.StatusBadRequest, "invalid_grant")
			if got := m.introspect(token).Raw; got != inactive {
				t.Errorf("a link of %s is a token: %s", kind, got)
			}
		}
		for kind, link := range links { // none of that used one up
			if p := b.get(link); p.StatusCode != http.StatusOK {
				t.Errorf("%s: %d", kind, p.StatusCode)
			}
		}
	})
}
