package provider_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/storage"
)

// before runs do once, when an operation of a memory store is about to happen.
func (m *mailed) before(op string, do func()) { m.ahead.Store(&interlude{op, do}) }

// A thief whose password is being hashed while the owner presses the button is out all the same.
func TestRow172NotMeBeatsAPasswordThatIsUnderWay(t *testing.T) {
	m := correspond(t, "memory")
	m.client()
	m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
	owner, thief := m.browser("ada@example.com"), m.browser("ada@example.com")
	owner.resets(m.resetLink(owner, "ada@example.com"), password)
	link := m.link("ada@example.com", "password_changed")
	m.Clock.Advance(time.Minute)
	thief.code(nil)
	m.wants(thief.get(m.URL+"/account/password"), http.StatusOK)
	done := owner.get(link)
	m.before("UpstreamToken", func() { m.wants(owner.submit(done, "press", nil), http.StatusOK) })
	p := thief.ask("/account/password", "password-form", url.Values{"password": {otherPassword}, "repeat": {otherPassword}})
	if m.signsIn("ada@example.com", otherPassword) {
		t.Errorf("the thief's password is set: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	if p := thief.get(m.URL + "/account"); p.StatusCode == http.StatusOK {
		t.Error("the thief has a session")
	}
}

// The same with a link to a new password that was used up just before.
func TestRow172NotMeBeatsAResetThatIsUnderWay(t *testing.T) {
	m := correspond(t, "memory")
	m.client()
	subject := m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
	owner, thief := m.browser("ada@example.com"), m.browser("eve@evil.example")
	owner.resets(m.resetLink(owner, "ada@example.com"), password)
	link := m.link("ada@example.com", "password_changed")
	m.steal(subject, "eve@evil.example")
	m.Clock.Advance(time.Minute)
	reset := m.resetLink(thief, "eve@evil.example")
	done := owner.get(link)
	m.before("ReplacePassword", func() { m.wants(owner.submit(done, "press", nil), http.StatusOK) })
	thief.resets(reset, otherPassword)
	if m.signsIn("ada@example.com", otherPassword) {
		t.Error("the thief's password is set")
	}
}

// An address that nobody has proven gets no link that gives the account away.
func TestRow144UnprovenOldAddressGetsNoWayIntoTheAccount(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("typo@example.com", func(u *storage.User) { u.EmailVerified = false })
		owner := m.browser("typo@example.com")
		owner.code(nil)
		m.wants(owner.ask("/account/profile", "email", url.Values{"email": {"ada@example.com"}}), http.StatusSeeOther)
		m.wants(owner.press(m.link("ada@example.com", "email_change"), "press", nil), http.StatusOK)
		if m.account("ada@example.com") == nil {
			t.Fatal("the address is not changed")
		}
		if len(m.post.Mails("typo@example.com")) > 0 {
			stranger := m.browser("")
			p := stranger.press(m.link("typo@example.com", "email_changed"), "press", nil)
			t.Errorf("the stranger has a link: %d; the owner's account: %v, the stranger's: %v", p.StatusCode, m.account("ada@example.com"), m.account("typo@example.com"))
		}
	})
}

// Whoever is locked out right after a new password was stored is not signed in by it.
func TestRow172NotMeBeatsTheSessionOfANewPassword(t *testing.T) {
	for op, change := range map[string]func(m *mailed, thief *browser, reset string){
		"CreateSession": func(m *mailed, thief *browser, _ string) {
			thief.ask("/account/password", "password-form", url.Values{"password": {otherPassword}, "repeat": {otherPassword}})
		},
		"UpdateUser": func(_ *mailed, thief *browser, reset string) { thief.resets(reset, otherPassword) },
	} {
		t.Run(op, func(t *testing.T) {
			m := correspond(t, "memory")
			m.client()
			m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
			owner, thief := m.browser("ada@example.com"), m.browser("ada@example.com")
			owner.resets(m.resetLink(owner, "ada@example.com"), password)
			link := m.link("ada@example.com", "password_changed")
			m.Clock.Advance(time.Minute)
			thief.code(nil)
			done, reset := owner.get(link), m.resetLink(thief, "ada@example.com")
			m.before(op, func() { m.wants(owner.submit(done, "press", nil), http.StatusOK) })
			change(m, thief, reset)
			if p := thief.get(m.URL + "/account"); p.StatusCode == http.StatusOK {
				t.Error("the thief has a session")
			}
		})
	}
}

// A thief whose new address is being stored while the owner presses the button does not keep it.
func TestRow172NotMeBeatsAnAddressThatIsUnderWay(t *testing.T) {
	m := correspond(t, "memory")
	m.client()
	m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
	owner, thief := m.browser("ada@example.com"), m.browser("ada@example.com")
	owner.resets(m.resetLink(owner, "ada@example.com"), password)
	link := m.link("ada@example.com", "password_changed")
	m.Clock.Advance(time.Minute)
	thief.code(nil)
	m.wants(thief.ask("/account/profile", "email", url.Values{"email": {"eve@evil.example"}}), http.StatusSeeOther)
	done, confirm := owner.get(link), thief.get(m.link("eve@evil.example", "email_change"))
	m.before("UpdateUser", func() { m.wants(owner.submit(done, "press", nil), http.StatusOK) })
	m.wants(thief.submit(confirm, "press", nil), http.StatusBadRequest)
	if m.account("eve@evil.example") != nil || m.account("ada@example.com") == nil {
		t.Error("the thief's address is the account's")
	}
}

// A factor, or recovery codes, that a thief is just storing while the owner presses the button do not stay.
func TestRow172NotMeBeatsAFactorThatIsUnderWay(t *testing.T) {
	for _, op := range []string{"CreateFactor", "SetRecoveryCodes"} {
		t.Run(op, func(t *testing.T) {
			m := correspond(t, "memory", withApps)
			m.client()
			subject := m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
			owner, thief := m.browser("ada@example.com"), m.browser("ada@example.com")
			owner.resets(m.resetLink(owner, "ada@example.com"), password)
			link := m.link("ada@example.com", "password_changed")
			m.Clock.Advance(time.Minute)
			thief.code(nil)
			p, done := thief.get(m.URL+"/account/authenticator"), owner.get(link)
			app := credentialtest.App{Secret: secretOn.FindStringSubmatch(p.Body)[1]}
			m.before(op, func() { m.wants(owner.submit(done, "press", nil), http.StatusOK) })
			thief.submit(p, "authenticator", url.Values{"code": {app.Code(m.Clock.Now())}})
			left, err := m.Store.RecoveryCodes(t.Context(), subject)
			if err != nil {
				t.Fatal(err)
			}
			if n := m.factors(subject); n != 0 || left != 0 {
				t.Errorf("%d factors and %d recovery codes are left", n, left)
			}
			if p := thief.get(m.URL + "/account"); p.StatusCode == http.StatusOK {
				t.Error("the thief has a session")
			}
		})
	}
}

var secretOn = regexp.MustCompile(`<code id="secret"[^>]*>([^<]+)<`)

// Row 138: whoever has the password and drops the cookie at each sign-in gets no end of counters, neither for mails nor for codes. Browsers that are known stay so.
func TestRow138NewBrowsersOfOneDayAreBounded(t *testing.T) {
	m := correspond(t, "memory")
	m.client()
	m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
	known := func(b *browser) bool {
		at, _ := url.Parse(m.URL)
		return slices.ContainsFunc(b.client.Jar.Cookies(at), func(c *http.Cookie) bool { return strings.HasSuffix(c.Name, "gth_dev") })
	}
	owner := m.browser("ada@example.com")
	owner.code(nil)
	n := 0
	for range 30 {
		thief := m.browser("ada@example.com")
		thief.code(nil)
		if known(thief) {
			n++
		}
	}
	if n > 20 || n == 0 {
		t.Errorf("%d new browsers are known after one day", n)
	}
	owner.code(url.Values{"prompt": {"login"}})
	if !known(owner) {
		t.Error("the owner's browser is forgotten")
	}
}

// Row 175: what is not offered is no way in. Who has nothing but a passkey, and an account at a provider that is gone, keeps the passkey; beside a second one it may go.
func TestRow175LastPasskeyStaysBesideAProviderThatIsGone(t *testing.T) {
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	key := s.passkey("ada@example.com")
	b := s.browser("")
	p := s.signIn(b)
	b.toApp(b.submit(p, "passkey", url.Values{"response": {key.Get(b.asked(p))}}))
	_, encoded, err := s.Store.UserByLogin(t.Context(), "ada@example.com")
	s.ok(err)
	s.ok(s.Store.RehashPassword(t.Context(), subject, encoded, ""))
	s.ok(s.Store.CreateIdentity(t.Context(), &storage.Identity{Upstream: "gone", ExternalID: "1", Subject: subject}, 0))
	factors, err := s.Store.FactorsOf(t.Context(), subject)
	s.ok(err)
	remove := func() page {
		_, fields := readForm(t, b.get(s.URL+"/account/profile").Body, "email")
		return b.post(s.URL+"/account/factor/remove", url.Values{"csrf": fields["csrf"], "factor": {factors[0].ID}})
	}
	s.wants(remove(), http.StatusConflict)
	s.passkey("ada@example.com")
	s.wants(remove(), http.StatusSeeOther)
	left, err := s.Store.FactorsOf(t.Context(), subject)
	s.ok(err)
	if len(left) != 1 || left[0].ID == factors[0].ID {
		t.Errorf("%d passkeys are left", len(left))
	}
}

// Row 175: a security key that cannot sign in alone is no way in. Beside it the only passkey of somebody without a password stays; after a password it is a second factor like any other.
func TestRow175KeyThatCannotSignInAloneIsNoWayIn(t *testing.T) {
	for _, backend := range []string{"memory", "sqlite", "postgres"} {
		for name, lack := range map[string]func(*credentialtest.Answer){"without a PIN": credentialtest.Unverified, "not discoverable": credentialtest.Discoverable(false)} {
			t.Run(backend+"/"+name, func(t *testing.T) { keyIsNoWayIn(strong(t, backend), lack) })
		}
	}
}

func keyIsNoWayIn(s *server, lack func(*credentialtest.Answer)) {
	subject := s.user("ada@example.com")
	passkey := s.passkey("ada@example.com")
	b, p := s.comesBy(passkey)
	b.toApp(p)
	_, encoded, err := s.Store.UserByLogin(s.Context(), "ada@example.com")
	s.ok(err)
	s.ok(s.Store.RehashPassword(s.Context(), subject, encoded, ""))
	p = b.get(s.URL + "/account/passkey")
	key := credentialtest.New(s.T, s.URL)
	s.wants(b.submit(p, "passkey", url.Values{"response": {key.Create(b.asked(p), lack)}}), http.StatusOK)
	factors, err := s.Store.FactorsOf(s.Context(), subject)
	s.ok(err)
	if len(factors) != 2 || factors[0].Kind != storage.FactorPasskey || factors[1].Kind != storage.FactorKey {
		s.Fatalf("factors %+v", factors)
	}
	if p := b.get(s.URL + "/account/security"); strings.Count(p.Body, "<span>Passkey</span>") != 1 || strings.Count(p.Body, "<span>Security key</span>") != 1 {
		s.Errorf("the page does not tell the two: %s", p.Body)
	}
	remove := func(f *storage.Factor) page {
		_, fields := readForm(s.T, b.get(s.URL+"/account/profile").Body, "email")
		return b.post(s.URL+"/account/factor/remove", url.Values{"csrf": fields["csrf"], "factor": {f.ID}})
	}
	s.wants(remove(factors[0]), http.StatusConflict)
	if _, p := s.comesBy(key, credentialtest.Unverified); p.StatusCode != http.StatusUnauthorized {
		s.Errorf("a touch signs in alone: %d", p.StatusCode)
	}
	s.ok(s.Store.RehashPassword(s.Context(), subject, "", encoded))
	other := s.browser("ada@example.com")
	p = other.half(nil)
	claims := other.toApp(other.submit(p, "passkey", url.Values{"response": {key.Get(other.asked(p), func(a *credentialtest.Answer) { a.ID = key.Keys()[0].ID }, credentialtest.Unverified)}}))
	if claims["acr"] != "2" || amrOf(claims) != "pwd hwk user mfa" {
		s.Errorf("acr %v, amr %v", claims["acr"], claims["amr"])
	}
	s.wants(remove(factors[0]), http.StatusSeeOther)
	s.wants(remove(factors[1]), http.StatusSeeOther)
}

// Security keys go with passkeys: where those are off, nobody is asked for a key, and changes of the account do not wait for one.
func TestKeysAreAskedForWherePasskeysAre(t *testing.T) {
	for _, on := range []bool{true, false} {
		s := strong(t, "memory", func(o *provider.Options) { o.Factors.Passkeys = on })
		s.user("ada@example.com")
		s.passkey("ada@example.com", credentialtest.Unverified)
		b := s.browser("ada@example.com")
		if p := b.walk(s.authorizeURL(nil)); hasForm(p.Body, "passkey") != on {
			t.Errorf("passkeys %t: %d %s", on, p.StatusCode, cut(p.Body))
		}
		if on {
			continue
		}
		if p := b.get(s.URL + "/account/authenticator"); p.StatusCode != http.StatusOK {
			t.Errorf("the account waits for a key: %d %s", p.StatusCode, p.Header.Get("Location"))
		}
	}
}

// Whoever sends a form after a while signs in again, and is told that the form did nothing.
func TestFormThatCameTooLateSaysThatNothingWasDone(t *testing.T) {
	for what, late := range map[string]time.Duration{"the sign-in is too old": 10 * time.Minute, "the session is over": 400 * 24 * time.Hour} {
		m := correspond(t, "memory")
		m.client()
		m.user("ada@example.com")
		b := m.browser("ada@example.com")
		b.code(nil)
		form := b.get(m.URL + "/account/password")
		m.Clock.Advance(late)
		login := b.arrive(b.submit(form, "password-form", url.Values{"password": {otherPassword}, "repeat": {otherPassword}}))
		p := m.wants(b.arrive(b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})), http.StatusOK)
		if !strings.Contains(p.Body, "Nothing has been done yet") || m.signsIn("ada@example.com", otherPassword) {
			t.Errorf("%s: at %s: %s", what, p.Request.URL.Path, cut(p.Body))
		}
	}
}

// Who clicks twice sends the cookie of a trusted browser twice, and is not taken for a thief.
func TestRow160SecondClickIsNoCopy(t *testing.T) {
	s := strong(t, "memory")
	app := s.app(s.user("ada@example.com"))
	b := s.browser("ada@example.com")
	b.toApp(b.submit(b.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}, "trust": {"1"}}))
	again := url.Values{"prompt": {"login"}}
	at, _ := url.Parse(s.URL)
	before := b.client.Jar.Cookies(at)
	b.code(again)
	b.client.Jar.SetCookies(at, before) // of which the browser had sent the second request, too
	b.code(again)
	b.code(again)
}

// moves changes the address of whoever is signed in, and proves it.
func (m *mailed) moves(b *browser, to string) {
	m.Helper()
	m.wants(b.ask("/account/profile", "email", url.Values{"email": {to}}), http.StatusSeeOther)
	m.wants(b.press(m.link(to, "email_change"), "press", nil), http.StatusOK)
}

// Row 172: an owner who puts the address right by hand has shut the thief's mailbox out as well: the mail there has no link, and the links that it got before are dead.
func TestRow172AddressThatIsPutRightByHandShutsTheThiefsOut(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		owner, thief := m.browser("ada@example.com"), m.browser("ada@example.com")
		owner.code(nil)
		thief.code(nil)
		m.moves(thief, "eve@evil.example")
		undo := m.link("ada@example.com", "email_changed")
		m.Clock.Advance(time.Minute)
		reset := m.resetLink(thief, "eve@evil.example")
		thief.resets(reset, otherPassword)
		planted := m.link("eve@evil.example", "password_changed")
		m.Clock.Advance(time.Minute)
		owner.User = "eve@evil.example"
		login := owner.arrive(owner.get(m.URL + "/account"))
		m.wants(owner.submit(login, "login", url.Values{"username": {"eve@evil.example"}, "password": {otherPassword}}), http.StatusSeeOther) // they share what the thief has set, say
		m.moves(owner, "ada@example.com")
		if mail := m.post.Last(t, "eve@evil.example", "email_changed"); strings.Contains(mail.Text, "/recovery/not-me") {
			t.Errorf("the thief's mailbox gets a link: %s", mail.Text)
		}
		m.wants(thief.get(planted), http.StatusBadRequest)
		if m.account("ada@example.com") == nil || m.account("eve@evil.example") != nil {
			t.Error("the address is not the owner's")
		}
		m.wants(owner.get(undo), http.StatusOK) // the owner's own link works on
	})
}

// Row 172: "it was not me" that takes an address away is told there, without a link: nobody knows here which of the two is the owner's.
func TestRow172AddressThatIsTakenAwayIsTold(t *testing.T) {
	m := correspond(t, "memory")
	m.client()
	m.user("bob@example.com", func(u *storage.User) { u.EmailVerified = true })
	b := m.browser("bob@example.com")
	b.code(nil)
	m.moves(b, "ada@example.com")
	m.wants(m.browser("").press(m.link("bob@example.com", "email_changed"), "press", nil), http.StatusOK)
	mail := m.post.Last(t, "ada@example.com", "reverted")
	if !strings.Contains(mail.Text, "ada@example.com") || strings.Contains(mail.Text, "/recovery/") {
		t.Errorf("%s", mail.Text)
	}
}
