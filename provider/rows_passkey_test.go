package provider_test

import (
	"encoding/json"
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

// Rows 136, 162 to 166 and 179 for passkeys, by way of the pages.

// comesBy answers the sign-in page of a fresh browser with a passkey.
func (s *server) comesBy(key *credentialtest.Authenticator, changes ...func(*credentialtest.Answer)) (*browser, page) {
	s.Helper()
	b := s.browser("")
	p := s.signIn(b)
	return b, b.submit(p, "passkey", url.Values{"response": {key.Get(b.asked(p), changes...)}})
}

// Row 136: the sign-in page asks everybody the same question, and says the same to whoever cannot answer it.
func TestRow136PasskeysTellNothingOfAccounts(t *testing.T) {
	s := strong(t, "memory", func(o *provider.Options) { o.Limits.LoginIP, o.Limits.LoginNet = ratelimit.Limit{}, ratelimit.Limit{} })
	for _, email := range []string{"ada@example.com", "gone@example.com", "deleted@example.com", "copied@example.com"} {
		s.user(email)
	}
	good, gone, deleted, copied := s.passkey("ada@example.com"), s.passkey("gone@example.com"), s.passkey("deleted@example.com"), s.passkey("copied@example.com")
	_, err := s.Store.UpdateUser(t.Context(), s.subject("gone@example.com"), func(u *storage.User) error { u.Disabled = true; return nil })
	s.ok(err)
	s.ok(s.Store.DeleteUser(t.Context(), s.subject("deleted@example.com")))
	s.comesBy(copied)
	s.comesBy(copied)
	var first string
	for name, try := range map[string]struct {
		key    *credentialtest.Authenticator
		change func(*credentialtest.Answer)
	}{
		"of a disabled user": {gone, func(*credentialtest.Answer) {}}, "of a deleted user": {deleted, func(*credentialtest.Answer) {}}, "that nobody has": {good, func(a *credentialtest.Answer) { a.ID = make([]byte, 32) }},
		"with a foreign handle": {good, func(a *credentialtest.Answer) { a.Handle = make([]byte, 32) }}, "with a bad signature": {good, func(a *credentialtest.Answer) { a.Damage = func(b []byte) []byte { b[36]++; return b } }},
		"of a foreign page": {good, func(a *credentialtest.Answer) { a.Origin = "https://evil.example" }}, "that was copied": {copied, func(a *credentialtest.Answer) { a.Counter = 1 }},
		"that verified nobody": {good, func(a *credentialtest.Answer) { a.Flags = credentialtest.Present }},
	} {
		_, p := s.comesBy(try.key, try.change)
		got := withoutQuestion(alike(s.wants(p, http.StatusUnauthorized), "\x00"))
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("a passkey %s is answered unlike the others:\n%s\n%s", name, got, first)
		}
	}
	var asked string
	for _, hint := range []string{"", "ada@example.com", "gone@example.com", "nobody@example.com"} {
		b := s.browser("")
		p := b.get(s.at(b.get(s.authorizeURL(url.Values{"login_hint": {hint}}))))
		var o map[string]any
		s.ok(json.Unmarshal(b.asked(p), &o))
		delete(o, "challenge")
		text, err := json.Marshal(o)
		s.ok(err)
		if asked == "" {
			asked = string(text)
		}
		if string(text) != asked || strings.Contains(asked, "allowCredentials\":[{") {
			t.Errorf("with the hint %q the question is %s, and without %s", hint, text, asked)
		}
	}
}

// withoutQuestion leaves the challenges out of an answer.
func withoutQuestion(text string) string {
	for _, name := range []string{`data-options="`, `name="state" value="`} {
		before, rest, ok := strings.Cut(text, name)
		if _, after, found := strings.Cut(rest, `"`); ok && found {
			text = before + name + `*"` + after
		}
	}
	return text
}

// Row 136: whether an account has a second factor is told to nobody but whoever has the first.
func TestRow136SecondFactorsAreNotTold(t *testing.T) {
	s := strong(t, "memory")
	s.user("bare@example.com")
	s.app(s.user("app@example.com"))
	s.user("key@example.com")
	s.passkey("key@example.com")
	var first string
	for _, name := range []string{"bare@example.com", "app@example.com", "key@example.com", "nobody@example.com"} {
		b := s.browser(name)
		got := withoutQuestion(alike(b.submit(s.signIn(b), "login", url.Values{"username": {name}, "password": {"wrong horse battery staple"}}), name))
		if first == "" {
			first = got
		}
		if got != first || !strings.HasPrefix(got, "401 ") {
			t.Errorf("%s is answered unlike the first:\n%s\n%s", name, got, first)
		}
	}
}

// Row 163: what the ID token says is what the authenticator did.
func TestRow163AMRTellsTheTruth(t *testing.T) {
	s := strong(t, "memory")
	for _, email := range []string{"ada@example.com", "bob@example.com", "cyd@example.com"} {
		s.user(email)
	}
	fixed, synced := s.passkey("ada@example.com"), s.syncedPasskey("bob@example.com")
	for name, c := range map[string]struct {
		key    *credentialtest.Authenticator
		change func(*credentialtest.Answer)
		want   string
	}{
		"in hardware": {fixed, func(*credentialtest.Answer) {}, "hwk user mfa"}, "synced": {synced, func(*credentialtest.Answer) {}, "swk user mfa"},
		"synced, not backed up now": {synced, func(a *credentialtest.Answer) { a.Flags &^= credentialtest.Backed }, "swk user mfa"},
	} {
		b, p := s.comesBy(c.key, c.change)
		if claims := b.toApp(p); claims["acr"] != "2" || amrOf(claims) != c.want {
			t.Errorf("%s: acr %v, amr %v", name, claims["acr"], claims["amr"])
		}
	}
	for name, flags := range map[string]byte{"nothing": 0, "verified without presence": credentialtest.Verified, "present alone": credentialtest.Present} {
		for _, key := range []*credentialtest.Authenticator{fixed, synced} {
			own := key.Flags &^ (credentialtest.Present | credentialtest.Verified)
			if _, p := s.comesBy(key, func(a *credentialtest.Answer) { a.Flags = own | flags }); p.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %d %s", name, p.StatusCode, p.Header.Get("Location"))
			}
		}
	}
	// Beside a password a touch is enough, and is told as what it is; without one it is refused.
	second := s.passkey("cyd@example.com")
	b := s.browser("cyd@example.com")
	p := b.half(nil)
	if got := b.submit(p, "passkey", url.Values{"response": {second.Get(b.asked(p), func(a *credentialtest.Answer) { a.Flags = credentialtest.Verified })}}); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a touch: %d", got.StatusCode)
	}
}

// syncedPasskey is passkey for one that may be copied to other devices.
func (s *server) syncedPasskey(email string) *credentialtest.Authenticator {
	s.Helper()
	b := s.browser(email)
	b.code(nil)
	p := b.get(s.URL + "/account/passkey")
	a := credentialtest.New(s.T, s.URL)
	a.Flags |= credentialtest.Eligible | credentialtest.Backed
	s.wants(b.submit(p, "passkey", url.Values{"response": {a.Create(b.asked(p))}}), http.StatusOK)
	return a
}

// Row 164: a question that was put to one person is no question to another, nor in another request; whom a form names does not matter.
func TestRow164QuestionsAreNotSwapped(t *testing.T) {
	s := strong(t, "memory")
	s.user("ada@example.com")
	s.user("eve@example.com")
	ada, eve := s.passkey("ada@example.com"), s.passkey("eve@example.com")
	victim, thief := s.browser("ada@example.com"), s.browser("eve@example.com")
	asked, own := victim.half(nil), thief.half(nil)
	_, theirs := readForm(t, asked.Body, "passkey")
	_, mine := readForm(t, own.Body, "passkey")
	answer := eve.Get(thief.asked(own))
	for name, c := range map[string]struct {
		b      *browser
		p      page
		values url.Values
	}{
		"ada's page, eve's key":              {victim, asked, url.Values{"response": {eve.Get(victim.asked(asked), func(a *credentialtest.Answer) { a.ID = eve.Keys()[0].ID })}}},
		"ada's page, eve's question":         {victim, victim.half(nil), url.Values{"state": mine["state"], "response": {answer}}},
		"eve's page, ada's interaction":      {thief, own, url.Values{"interaction": theirs["interaction"], "response": {answer}}},
		"eve's page, ada's question":         {thief, thief.half(nil), url.Values{"state": theirs["state"], "response": {ada.Get(victim.asked(asked))}}},
		"the question of the sign-in page":   {victim, victim.half(nil), s.signInQuestion(ada)},
		"ada's handle with eve's credential": {thief, thief.half(nil), url.Values{"response": {eve.Get(thief.asked(own), func(a *credentialtest.Answer) { a.Handle = ada.Keys()[0].Handle })}}},
	} {
		p := c.b.submit(c.p, "passkey", with(c.values, "username", "ada@example.com"))
		if p.StatusCode != http.StatusUnauthorized && p.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, p.StatusCode, p.Header.Get("Location"))
		}
	}
	// One person's two requests, and two people's one request.
	other := s.browser("ada@example.com")
	page, elsewhere := other.half(nil), victim.half(nil)
	_, fields := readForm(t, elsewhere.Body, "passkey")
	s.wants(other.submit(page, "passkey", url.Values{"state": fields["state"], "response": {ada.Get(victim.asked(elsewhere))}}), http.StatusUnauthorized)
	shared := s.browser("")
	login := s.signIn(shared)
	first := shared.get(s.at(shared.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})))
	_, fields = readForm(t, first.Body, "passkey")
	second := shared.get(s.at(shared.submit(login, "login", url.Values{"username": {"eve@example.com"}, "password": {password}})))
	for _, key := range []*credentialtest.Authenticator{ada, eve} {
		s.wants(shared.submit(second, "passkey", url.Values{"state": fields["state"], "response": {key.Get(shared.asked(first), func(a *credentialtest.Answer) { a.ID = key.Keys()[0].ID })}}), http.StatusUnauthorized)
	}
	b := s.browser("")
	s.wants(b.submit(s.signIn(b), "passkey", s.signInQuestion(ada)), http.StatusUnauthorized)
	if s.sessions(s.subject("ada@example.com"))+s.sessions(s.subject("eve@example.com")) != 0 {
		t.Error("there is a session")
	}
}

// signInQuestion is what the sign-in page of another browser asked, with ada's answer to it.
func (s *server) signInQuestion(key *credentialtest.Authenticator) url.Values {
	s.Helper()
	b := s.browser("")
	p := s.signIn(b)
	_, fields := readForm(s.T, p.Body, "passkey")
	return url.Values{"state": fields["state"], "response": {key.Get(b.asked(p))}}
}

// Rows 162, 164 and 165 where a passkey is made: what somebody else has, what is of another page, and what is no key makes none.
func TestRow165PasskeysThatAreNoneAreNotMade(t *testing.T) {
	s := strong(t, "memory", func(o *provider.Options) { o.Limits.FactorUser = ratelimit.Limit{} })
	s.user("ada@example.com")
	eve := s.user("eve@example.com")
	taken := s.passkey("ada@example.com").Keys()[0]
	b := s.browser("eve@example.com")
	b.code(nil)
	for name, change := range map[string]func(*credentialtest.Answer){
		"a credential that ada has": func(a *credentialtest.Answer) { a.ID = taken.ID }, "evil origin": func(a *credentialtest.Answer) { a.Origin = "https://evil.example" }, "in a frame": func(a *credentialtest.Answer) { a.CrossOrigin, a.TopOrigin = true, "https://evil.example" },
		"an answer of a sign-in": func(a *credentialtest.Answer) { a.Type = "webauthn.get" }, "another party": func(a *credentialtest.Answer) { a.RPID = "evil.example" }, "another challenge": func(a *credentialtest.Answer) { a.Challenge = strings.Repeat("A", 43) },
		"unknown algorithm": func(a *credentialtest.Answer) { a.PublicKey[4] = 0x38 }, "zero key": func(a *credentialtest.Answer) { a.PublicKey = append(a.PublicKey[:10], make([]byte, 67)...) }, "no key": func(a *credentialtest.Answer) { a.PublicKey = nil },
		"deep CBOR": func(a *credentialtest.Answer) { a.PublicKey = []byte(strings.Repeat("\x81", 10_000)) }, "long id": func(a *credentialtest.Answer) { a.ID = make([]byte, 2000) }, "not present": func(a *credentialtest.Answer) { a.Flags &^= credentialtest.Present },
	} {
		p := b.get(s.URL + "/account/passkey")
		got := b.submit(p, "passkey", url.Values{"response": {credentialtest.New(t, s.URL).Create(b.asked(p), change)}})
		if want := []int{http.StatusUnprocessableEntity, http.StatusBadRequest}; !slices.Contains(want, got.StatusCode) {
			t.Errorf("%s: %d %s", name, got.StatusCode, cut(got.Body))
		}
	}
	p := b.get(s.URL + "/account/passkey")
	for name, response := range map[string]string{"1 MB": strings.Repeat("A", 1<<20), "1 MB of CBOR": `{"response":{"attestationObject":"` + strings.Repeat("g", 1<<20) + `"}}`} {
		if got := b.submit(p, "passkey", url.Values{"response": {response}}); got.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
	if n := s.factorsOf(eve); n != 0 {
		t.Errorf("%d passkeys were made", n)
	}
}

// Row 165: a copied key is refused and written down; what its owner has beside it, and the key itself, go on.
func TestRow165CopiesLockNobodyOut(t *testing.T) {
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	fixed := s.passkey("ada@example.com")
	app := s.app(subject)
	for range 3 {
		b, p := s.comesBy(fixed)
		b.toApp(p)
	}
	back := func(a *credentialtest.Answer) { a.Counter = 2 }
	if _, p := s.comesBy(fixed, back); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("a copy signs in: %d", p.StatusCode)
	}
	b := s.browser("ada@example.com")
	p := b.half(nil)
	if got := b.submit(p, "passkey", url.Values{"response": {fixed.Get(b.asked(p), back)}}); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a copy is a second factor: %d", got.StatusCode)
	}
	if !strings.Contains(s.Log.String(), "counter went back") {
		t.Error("nothing is written down")
	}
	b = s.browser("ada@example.com")
	b.toApp(b.submit(b.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
	b, p = s.comesBy(fixed)
	b.toApp(p)
}

// Row 166: somebody else's passkey is neither renamed nor removed by its id, and cannot be told from one that there is not.
func TestRow166PasskeysOfOthersAre404(t *testing.T) {
	s := strong(t, "memory")
	ada, eve := s.user("ada@example.com"), s.user("eve@example.com")
	s.passkey("ada@example.com")
	s.app(ada)
	own := s.syncedPasskey("eve@example.com")
	b, p := s.comesBy(own)
	b.toApp(p)
	_, fields := readForm(t, b.get(s.URL+"/account").Body, "logout")
	rows, err := s.Store.FactorsOf(t.Context(), ada)
	s.ok(err)
	before := s.stateOf(ada)
	ids := []string{"nobody", "", "../" + rows[0].ID, rows[0].ID + " "}
	for _, f := range rows {
		ids = append(ids, f.ID)
	}
	var first string
	for _, path := range []string{"/account/factor/rename", "/account/factor/remove"} {
		for _, id := range ids {
			got := alike(s.wants(b.post(s.URL+path, with(with(fields, "factor", id), "name", "x")), http.StatusNotFound), "\x00")
			if first == "" {
				first = got
			}
			if got != first {
				t.Errorf("%s of %q is answered unlike the first", path, id)
			}
		}
	}
	for _, id := range ids { // a GET with an id is no route
		if p := b.get(s.URL + "/account/factor/" + url.PathEscape(id)); p.StatusCode != http.StatusNotFound {
			t.Errorf("GET with %q: %d", id, p.StatusCode)
		}
	}
	if s.stateOf(ada) != before || s.factorsOf(eve) != 1 {
		t.Error("something changed")
	}
}

// Row 179: however somebody comes in, the cookie that was there before is worth nothing afterwards, planted or real.
func TestRow179EveryWayInChangesTheCookie(t *testing.T) {
	for name, enter := range map[string]func(m *mailed, b *browser){
		"password": func(_ *mailed, b *browser) { b.code(anew) },
		"a link in a mail": func(m *mailed, b *browser) {
			m.wants(m.asksForLink(b, "/login/mail", "ada@example.com"), http.StatusOK)
			m.wants(b.press(m.link("ada@example.com", "magic"), "press", nil), http.StatusSeeOther)
		},
		"a new password": func(m *mailed, b *browser) {
			m.wants(b.resets(m.resetLink(b, "ada@example.com"), otherPassword), http.StatusSeeOther)
		},
		"a new account": func(m *mailed, b *browser) {
			m.wants(m.asksForAccount(b, "/signup", "new@example.com", password), http.StatusOK)
			m.wants(b.press(m.link("new@example.com", "signup"), "confirm", nil), http.StatusSeeOther)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEveryStore(t, func(m *mailed) {
				m.user("ada@example.com")
				for _, known := range []bool{false, true} {
					b := m.browser("ada@example.com")
					before := "gth_sid=" + strings.Repeat("A", 43)
					b.plant("gth_sid", strings.Repeat("A", 43))
					if known && name != "a new account" {
						b.User = "ada@example.com"
						if name == "a new password" { // the first round changed it
							m.wants(m.asksForLink(b, "/login/mail", "ada@example.com"), http.StatusOK)
							m.wants(b.press(m.link("ada@example.com", "magic"), "press", nil), http.StatusSeeOther)
						} else {
							b.code(nil)
						}
						before = b.cookies("gth_sid")
					} else if known {
						continue
					}
					m.Clock.Advance(time.Minute)
					enter(m, b)
					if after := b.cookies("gth_sid"); after == before || !m.signedIn(after) || m.signedIn(before) {
						t.Errorf("known %v: before %q, after %q", known, before, after)
					}
				}
			})
		})
	}
	t.Run("passkey", func(t *testing.T) {
		s := strong(t, "memory")
		s.user("ada@example.com")
		key := s.passkey("ada@example.com")
		b := s.browser("")
		b.plant("gth_sid", strings.Repeat("A", 43))
		p := s.signIn(b)
		s.wants(b.submit(p, "passkey", url.Values{"response": {key.Get(b.asked(p))}}), http.StatusSeeOther)
		one := b.cookies("gth_sid")
		p = b.get(s.at(b.get(s.authorizeURL(anew))))
		s.wants(b.submit(p, "passkey", url.Values{"response": {key.Get(b.asked(p))}}), http.StatusSeeOther)
		two := b.cookies("gth_sid")
		if one == "gth_sid="+strings.Repeat("A", 43) || one == two || s.signedIn(one) || !s.signedIn(two) {
			t.Errorf("cookies %q and %q", one, two)
		}
	})
}
