package provider_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/mail"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
	"gatehouse/storage/sqlite"
)

// What strangers can use up of somebody's limits, and what the limits tell them.

// traced is a server that sends mail, without background jobs, over an SQLite database whose statements c notes.
func traced(t *testing.T, changes ...func(*provider.Options)) (*server, *tracer) {
	t.Helper()
	c := &tracer{}
	s := &server{T: t, Log: &webtest.Log{}, Clock: &webtest.Clock{}, Idle: true}
	now := time.Now()
	frozen := func() time.Time { return now }
	var err error
	s.Store, err = sqlite.Open(t.Context(), sqlite.Options{
		Path: filepath.Join(t.TempDir(), "gatehouse.db"), AutoMigrate: true, Trace: c.trace, Options: storage.Options{Now: frozen, RevocationTTL: provider.RevocationTTL(testTokens, nil)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Store.Close() })
	s.boot(append([]func(*provider.Options){quickKeys, func(o *provider.Options) {
		o.Now = frozen
		o.Mail = provider.Mail{Carrier: mail.NewBox(100), From: "no-reply@id.example"}
		o.SignUp, o.MagicLink = provider.SignUp{Mode: "open"}, true
	}}, changes...)...)
	s.client()
	return s, c
}

// asks opens a page and sends its form, and returns the answer and the statements that the second step costs.
func (c *tracer) asks(s *server, path, name string) (page, []string) {
	s.Helper()
	b, form, fields := s.browser(""), map[string]string{"/recovery": "recovery", "/login/mail": "mail-link", "/signup": "signup"}[path], url.Values{"username": {name}}
	if path == "/signup" {
		fields = url.Values{"email": {name}, "name": {"Ada Lovelace"}, "password": {password}}
	}
	opened := b.get(s.URL + path)
	var p page
	work := c.during(func() { p = b.submit(opened, form, fields) })
	for i, text := range work { // the tickets of a user and those of an address are found by different indexes
		work[i] = strings.Replace(text, "WHERE subject = $1 AND kind", "WHERE subject IS NULL AND email_key = $1 AND email_key <> '' AND kind", 1)
	}
	return s.wants(p, http.StatusOK), work
}

func TestRow136AskingForALinkCostsTheSameStatementsForEverybody(t *testing.T) {
	s, c := traced(t, func(o *provider.Options) { o.Limits.ResetAddress = ratelimit.Limit{Burst: 1, Every: time.Hour} })
	s.user("ada@example.com")
	s.user("gone@example.com", func(u *storage.User) { u.Disabled = true })
	for _, path := range []string{"/recovery", "/login/mail", "/signup"} {
		_, want := c.asks(s, path, "ada@example.com")
		if n := strings.Count(strings.Join(want, "\n"), "INSERT INTO tickets"); n != 1 {
			t.Fatalf("%s: %d tickets:\n%s", path, n, strings.Join(want, "\n"))
		}
		for _, name := range []string{"nobody@example.com", "gone@example.com"} {
			if _, got := c.asks(s, path, name); !slices.Equal(got, want) {
				t.Errorf("%s: %s costs\n%s\nand somebody with an account\n%s", path, name, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		// The second time all of them are over the limit of the address.
		_, want = c.asks(s, path, "ada@example.com")
		for _, name := range []string{"nobody@example.com", "gone@example.com"} {
			if _, got := c.asks(s, path, name); !slices.Equal(got, want) {
				t.Errorf("%s over the limit: %s costs\n%s\nand somebody with an account\n%s", path, name, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

func TestRow136PeerOverItsLimitWritesNothingWhoeverItAsksFor(t *testing.T) {
	s, c := traced(t, func(o *provider.Options) { o.Limits.MailIP = ratelimit.Limit{Burst: 1, Every: time.Hour} })
	s.user("ada@example.com")
	first, _ := c.asks(s, "/recovery", "eve@example.com")
	for _, path := range []string{"/recovery", "/login/mail", "/signup"} {
		for _, name := range []string{"ada@example.com", "nobody@example.com"} {
			p, work := c.asks(s, path, name)
			if n := len(work) - reads(work); n != 0 {
				t.Errorf("%s for %s writes:\n%s", path, name, strings.Join(work, "\n"))
			}
			if path == "/recovery" && alike(p, name) != alike(first, "eve@example.com") {
				t.Errorf("%s for %s is answered unlike one within the limit", path, name)
			}
		}
	}
}

func TestRow144PeerOverItsLimitTakesNoMailFromTheOwner(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		stranger := m.browser("")
		m.asksForLink(stranger, "/recovery", "nobody@example.com")
		for range 3 {
			m.asksForLink(stranger, "/recovery", "ada@example.com")
		}
		if n := len(m.post.Mails("")); n != 0 {
			t.Fatalf("%d mails over the limit of the peer", n)
		}
		m.Clock.Advance(7 * time.Minute)
		m.resetLink(m.browser("ada@example.com"), "ada@example.com")
	}, func(o *provider.Options) {
		o.Limits.ResetAddress, o.Limits.MailIP = ratelimit.Limit{Burst: 3, Every: 20 * time.Minute}, ratelimit.Limit{Burst: 1, Every: 6 * time.Minute}
	})
}

// threeAnHour is the default for mails to one address.
func threeAnHour(o *provider.Options) {
	o.Limits.ResetAddress = ratelimit.Limit{Burst: 3, Every: 20 * time.Minute}
}

func TestRow144StrangersUseUpTheMailsOfOneKindOnly(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = false })
		owner := m.browser("ada@example.com")
		owner.code(nil)
		for _, path := range []string{"/recovery", "/signup"} {
			for range 4 {
				if path == "/signup" {
					m.asksForAccount(m.browser(""), path, "ada@example.com", password)
				} else {
					m.asksForLink(m.browser(""), path, "ada@example.com")
				}
			}
		}
		m.asksForLink(owner, "/login/mail", "ada@example.com")
		m.wants(owner.get(m.link("ada@example.com", "magic")), http.StatusOK)
		for range 4 {
			m.asksForLink(m.browser(""), "/login/mail", "ada@example.com")
		}
		m.wants(owner.press(m.URL+"/account/profile", "verify", nil), http.StatusSeeOther)
		m.link("ada@example.com", "verify")
		kinds := map[string]int{}
		for _, sent := range m.post.Mails("ada@example.com") {
			kinds[sent.Kind]++
		}
		if kinds["reset"] != 3 || kinds["exists"] != 3 || kinds["magic"] != 4 {
			t.Errorf("mails %v, want three of a kind, and one that the owner's browser asked for", kinds)
		}
	}, threeAnHour)
}

func TestRow151StrangersDoNotEndTheLinkThatTheOwnerWaitsFor(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		owner := m.browser("ada@example.com")
		m.asksForLink(owner, "/login/mail?interaction="+m.interaction(owner), "ada@example.com")
		link := m.link("ada@example.com", "magic")
		for range 3 { // the last one is over the limit
			m.Clock.Advance(time.Second)
			m.asksForLink(m.browser(""), "/login/mail", "ada@example.com")
		}
		if claims := owner.toApp(owner.press(link, "press", nil)); amrOf(claims) != "email" {
			t.Errorf("amr %v", claims["amr"])
		}
	}, threeAnHour)
}

func TestRow144NotMeBringsANewPasswordWhateverStrangersAskedFor(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
		thief, owner := m.browser(""), m.browser("ada@example.com")
		m.wants(thief.resets(m.resetLink(thief, "ada@example.com"), otherPassword), http.StatusSeeOther)
		notMe := m.link("ada@example.com", "password_changed")
		for range 4 {
			m.asksForLink(m.browser(""), "/recovery", "ada@example.com")
		}
		before := len(m.post.Mails("ada@example.com"))
		m.wants(owner.press(notMe, "press", nil), http.StatusOK)
		if n := len(m.post.Mails("ada@example.com")) - before; n != 1 {
			t.Fatalf("%d mails", n)
		}
		m.wants(owner.resets(m.link("ada@example.com", "reset"), password), http.StatusSeeOther)
	}, threeAnHour)
}

// spends tries wrong codes in fresh sign-ins until one is refused unseen.
func (s *server) spends(email, password string, wrong string) {
	s.Helper()
	for range 4 {
		b := s.browser(email)
		p := b.submit(s.signIn(b), "login", url.Values{"username": {email}, "password": {password}})
		p = b.walk(s.at(p))
		for range 5 {
			if got := b.submit(p, "factor", url.Values{"code": {wrong}}); got.StatusCode == http.StatusTooManyRequests {
				return
			}
		}
	}
	s.Fatal("codes are not limited")
}

func TestRow155WhoTriesCodesKeepsNobodyFromPasskeysAndRecoveryCodes(t *testing.T) {
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	app, key := s.app(subject), s.passkey("ada@example.com")
	codes := s.recoveryCodes(subject)
	s.spends("ada@example.com", password, "no code")
	owner := s.browser("ada@example.com")
	if p := owner.submit(owner.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}}); p.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a code of the app over the limit of the user: %d", p.StatusCode)
	}
	owner.toApp(owner.submit(owner.half(nil), "factor", url.Values{"code": {codes[0]}}))
	owner = s.browser("ada@example.com")
	p := owner.half(nil)
	owner.toApp(owner.submit(p, "passkey", url.Values{"response": {key.Get(owner.asked(p), func(a *credentialtest.Answer) { a.Flags = credentialtest.Present })}}))
}

func TestRow158GuessedRecoveryCodesAreLimitedByAddressAndBySignIn(t *testing.T) {
	s := strong(t, "memory", func(o *provider.Options) {
		o.Limits.FactorChallenge, o.Limits.FactorIP = 4, ratelimit.Limit{Burst: 6, Every: time.Hour}
	})
	s.app(s.user("ada@example.com"))
	guess := "aaaa-aaaa-aaaa-aaaa"
	if !credential.IsRecoveryCode(guess) {
		t.Fatal("the guess is no recovery code")
	}
	var statuses []int
	for range 2 {
		b := s.browser("ada@example.com")
		p := b.half(nil)
		for range 5 {
			statuses = append(statuses, b.submit(p, "factor", url.Values{"code": {guess}}).StatusCode)
		}
	}
	if want := []int{401, 401, 401, 401, 403, 401, 401, 429, 429, 403}; !slices.Equal(statuses, want) {
		t.Errorf("%v, want %v", statuses, want)
	}
}

func TestRow155AddressOverItsLimitTakesNothingFromTheUser(t *testing.T) {
	s := strong(t, "memory", func(o *provider.Options) {
		o.Limits.FactorIP, o.Limits.FactorUser = ratelimit.Limit{Burst: 2, Every: time.Minute}, ratelimit.Limit{Burst: 3, Every: time.Hour}
	})
	app := s.app(s.user("ada@example.com"))
	thief := s.browser("ada@example.com")
	p := thief.half(nil)
	for range 5 { // two are counted, three meet the limit of the address
		thief.submit(p, "factor", url.Values{"code": {"no code"}})
	}
	s.Clock.Advance(3 * time.Minute)
	owner := s.browser("ada@example.com")
	owner.toApp(owner.submit(owner.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
}

func TestRow155NewPasswordBeginsANewCountOfCodes(t *testing.T) {
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	app := s.app(subject)
	_, encoded, err := s.Store.UserByLogin(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	s.spends("ada@example.com", password, "no code")
	if err := s.Store.SetPassword(t.Context(), subject, encoded); err != nil {
		t.Fatal(err)
	}
	owner := s.browser("ada@example.com")
	owner.toApp(owner.submit(owner.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
}

// Whoever has the mailbox sets one new password after the other; the codes that this allows to be tried have an end all the same.
func TestRow155NewPasswordsAreNoEndlessCodes(t *testing.T) {
	s := strong(t, "memory", func(o *provider.Options) { o.Limits.FactorIP, o.Limits.LoginIP = ratelimit.Limit{}, ratelimit.Limit{} })
	subject := s.user("ada@example.com")
	app := s.app(subject)
	_, encoded, err := s.Store.UserByLogin(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for range 12 {
		tried += s.guesses("ada@example.com")
		if err := s.Store.SetPassword(t.Context(), subject, encoded); err != nil {
			t.Fatal(err)
		}
	}
	if tried < 30 || tried > 70 {
		t.Errorf("%d codes were looked at within 12 passwords", tried)
	}
	s.Clock.Advance(24 * time.Hour)
	owner := s.browser("ada@example.com")
	owner.toApp(owner.submit(owner.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
}

// guesses tries codes until it is told to wait, and returns how many were looked at.
func (s *server) guesses(email string) (n int) {
	s.Helper()
	for range 4 {
		b := s.browser(email)
		p := b.half(nil)
		for range 5 {
			switch got := b.submit(p, "factor", url.Values{"code": {"000000"}}); got.StatusCode {
			case http.StatusTooManyRequests:
				return n
			case http.StatusUnauthorized:
				n++
			}
		}
	}
	s.Fatal("codes are not limited")
	return n
}
