package provider_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"gatehouse/provider"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/ratelimit"
	"gatehouse/storage"
)

// Rows 137, 140, 147, 180, 183 and 192: what people type, and what becomes of it.

// Row 137: a name that is nobody's other name buys nothing and costs its neighbour nothing, and there is no other door to try passwords at.
func TestRow137NoOtherNameAndNoOtherDoor(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) { o.Limits.LoginAccount = ratelimit.Backoff{Free: 2, Longest: time.Hour} })
	s.client(func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "password") })
	s.user("ada@example.com")
	for _, name := range []string{"ada+tag@example.com", "a.da@example.com", "ada@example.com.evil.example", "ada@sub.example.com", "ada", "\u0430da@example.com", "ada@examp\u04CFe.com", "ada%40example.com", "ada@example.com\x00"} {
		for range 3 {
			if p := s.guess(name, password); p.StatusCode == http.StatusSeeOther {
				t.Errorf("%q signs in", name)
			}
		}
	}
	if p := s.guess("ada@example.com", "wrong horse battery staple"); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("the neighbours' failures are counted for ada: %d", p.StatusCode)
	}
	before := s.Log.String()
	for _, header := range []string{"Authorization: Basic " + basic("ada@example.com", password), "Authorization: Bearer " + password, "X-Remote-User: ada@example.com", "Remote-User: ada@example.com", "X-Forwarded-User: ada@example.com"} {
		for _, path := range []string{"/account", "/account/security", "/login", "/oauth2/userinfo"} {
			if p := s.bare("GET", path, "", header); p.StatusCode != http.StatusSeeOther && p.StatusCode != http.StatusUnauthorized || strings.Contains(fmt.Sprint(p.Header["Set-Cookie"]), "gth_sid") {
				t.Errorf("%s with %.30s: %d", path, header, p.StatusCode)
			}
		}
	}
	for _, grant := range []string{"password", "PASSWORD", "urn:ietf:params:oauth:grant-type:password"} {
		s.wantError(s.post("/oauth2/token", url.Values{"grant_type": {grant}, "username": {"ada@example.com"}, "password": {password}}), http.StatusBadRequest, "unsupported_grant_type")
	}
	if strings.Contains(strings.TrimPrefix(s.Log.String(), before), "login.ok") || s.sessions(s.subject("ada@example.com")) != 0 {
		t.Error("somebody got in by another door")
	}
}

// basic is the credential of RFC 7617.
func basic(name, secret string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, secret)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

// Row 140: wherever a password is chosen, the same ones are good, and each signs in as it was typed, in either normal form.
func TestRow140WhereverAPasswordIsChosen(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("lovelace@example.com", func(u *storage.User) { u.Claims = map[string]any{"name": "Augusta King"} })
		n := 0
		choose := func(way, chosen string) (string, page) {
			n++
			m.Clock.Advance(time.Minute)
			b := m.browser("")
			email := "lovelace@example.com"
			switch way {
			case "reset":
				return email, b.submit(b.get(m.resetLink(b, email)), "reset", url.Values{"password": {chosen}})
			default:
				email = fmt.Sprintf("guest%d@example.com", n)
				return email, b.ask("/signup", "signup", url.Values{"email": {email}, "name": {"Augusta King"}, "password": {chosen}})
			}
		}
		for _, way := range []string{"reset", "sign-up"} {
			for name, chosen := range map[string]string{
				"14 characters": "kvulzmqrwtpxbn", "everybody's": "passwordpassword", "a row of keys": "qwertyuiopasdfghjkl", "one letter": strings.Repeat("a", 30), "own name": "AugustaKingAugustaKing", "the product": "gatehousegatehouse", "not text": "kvulzmqrwtpxbnc\xff",
			} {
				_, p := choose(way, chosen)
				if want := []int{http.StatusUnprocessableEntity, http.StatusBadRequest}; !slices.Contains(want, p.StatusCode) || strings.Contains(p.Body, chosen) {
					t.Errorf("%s, %s: %d", way, name, p.StatusCode)
				} else if p.StatusCode == http.StatusUnprocessableEntity && !strings.Contains(p.Body, `role="alert"`) && !strings.Contains(p.Body, "aria-invalid") {
					t.Errorf("%s, %s: no reason: %s", way, name, cut(p.Body))
				}
			}
			for name, chosen := range map[string]string{"1 MB": strings.Repeat("kvulzmqr ", 1<<17), "5 KB": strings.Repeat("kvulzmqr ", 600)} {
				if _, p := choose(way, chosen); p.StatusCode != http.StatusRequestEntityTooLarge && p.StatusCode != http.StatusBadRequest {
					t.Errorf("%s, %s: %d", way, name, p.StatusCode)
				}
			}
			for name, chosen := range map[string]string{
				"15 characters": "kvulzmqrwtpxbnc", "64": strings.Repeat("kvulzmqrwtpxbnc ", 4), "128": strings.Repeat("kvulzmqrwtpxbnc ", 8), "spaces at both ends": "  otter climbs velvet ladders  ", "emoji": "🦊🐙🎹🧲🪁🥨🛶🎯🧊🌵🦜🪐🧵🍄🪶", "accents": "un café très serré à Zürich", "tabs": "otter\tclimbs\tvelvet",
			} {
				email, p := choose(way, chosen)
				if way == "sign-up" {
					p = m.browser("").press(m.link(email, "signup"), "confirm", url.Values{"password": {chosen}})
				}
				if p.StatusCode != http.StatusOK && p.StatusCode != http.StatusSeeOther {
					t.Fatalf("%s, %s: %d %s", way, name, p.StatusCode, cut(p.Body))
				}
				if !m.signsIn(email, norm.NFC.String(chosen)) || !m.signsIn(email, norm.NFD.String(chosen)) || m.signsIn(email, chosen+" ") || m.signsIn(email, strings.TrimSpace(chosen)) != (strings.TrimSpace(chosen) == chosen) {
					t.Errorf("%s, %s: it does not sign in as it was chosen, or another one does", way, name)
				}
			}
		}
	}, func(o *provider.Options) { o.Limits.LoginAccount = ratelimit.Backoff{} })
}

// Rows 147 and 148: the new address of an account is one address, too, and the mail goes to it alone.
func TestRow147NewAddressOfAnAccountIsOne(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		b := m.browser("ada@example.com")
		b.code(nil)
		p := b.get(m.URL + "/account/profile")
		for _, typed := range []string{
			"a@x.example,b@y.example", "a@x.example;b@y.example", "a@x.example b@y.example", "a@x.example\r\nBcc: b@y.example", "a@x.example\nCc:b@y.example", "Ada <a@x.example>", "<a@x.example>", `"a@x.example"@y.example`, "a@x.example@y.example",
			"a@[127.0.0.1]", "a@127.0.0.1", "a@xn--example-.com", "a@", "@x.example", "a@x..example", strings.Repeat("a", 65) + "@x.example", "a@" + strings.Repeat("x", 254) + ".example", "a\u202e@x.example", "a\u200b@x.example", "a @x.example",
		} {
			if got := b.submit(p, "email", url.Values{"email": {typed}}); got.StatusCode != http.StatusUnprocessableEntity && got.StatusCode != http.StatusBadRequest {
				t.Errorf("%.40q: %d", typed, got.StatusCode)
			}
		}
		for _, fields := range []url.Values{{"email[]": {"a@x.example"}}, {"email": {"a@x.example", "b@y.example"}}, {"Email": {"a@x.example"}}, {"email[0]": {"a@x.example"}}} {
			_, own := readForm(t, p.Body, "email")
			fields["csrf"] = own["csrf"]
			if got := b.post(m.URL+"/account/email", fields); got.StatusCode != http.StatusUnprocessableEntity && got.StatusCode != http.StatusBadRequest {
				t.Errorf("%v: %d", fields, got.StatusCode)
			}
		}
		if sent := m.post.Mails(""); len(sent) != 0 {
			t.Fatalf("mails %v", sent)
		}
		m.wants(b.submit(p, "email", url.Values{"email": {" NEW\uFF20Kelvin.example "}}), http.StatusSeeOther)
		if sent := m.post.Mails(""); len(sent) != 1 || sent[0].To != "new@kelvin.example" {
			t.Errorf("mails %+v", sent)
		}
	}, longPages)
}

// Row 180: a cookie of the browser that comes twice is none, for every form that hangs on it.
func TestRow180TossedCookiesAreNone(t *testing.T) {
	m := correspond(t, "memory", longPages, withApps)
	m.client()
	forms := m.mailForms()
	factor := m.browser("factor@example.com")
	app := m.app(m.user("factor@example.com"))
	forms["code"] = factor.opens(factor.half(nil), "factor", url.Values{"code": {app.Code(m.Clock.Now())}}, func() bool { return m.sessions(m.subject("factor@example.com")) > 0 })
	tossed := "gth_flow=" + strings.Repeat("A", 43)
	for name, f := range forms {
		for _, cookie := range []string{
			f.cookies + "; " + tossed, tossed + "; " + f.cookies, strings.ReplaceAll(f.cookies, "gth_flow=", "GTH_FLOW="), strings.ReplaceAll(f.cookies, "gth_flow=", "__Host-gth_flow="), strings.ReplaceAll(f.cookies, "gth_flow=", "gth_flow =") + "; " + tossed, tossed, "",
		} {
			if p := m.bareForm(f.path, f.fields, "Cookie: "+cookie, "Origin: "+m.URL); p.StatusCode != http.StatusForbidden || f.done() {
				t.Errorf("%s with %q: %d", name, cookie, p.StatusCode)
			}
		}
		if p := m.bareForm(f.path, f.fields, "Cookie: "+f.cookies, "Origin: "+m.URL); p.StatusCode >= 400 || !f.done() {
			t.Errorf("%s with its own cookies: %d", name, p.StatusCode)
		}
	}
}

// Row 183: what one person began in a browser is not the next one's: neither half a sign-in, nor a link, nor a page.
func TestRow183WhatOnePersonBeganIsNotTheNexts(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		ada, bob := m.user("ada@example.com"), m.user("bob@example.com")
		app := m.app(ada)
		b := m.browser("ada@example.com")
		half := b.half(nil)
		_, fields := readForm(t, half.Body, "factor")
		m.Clock.Advance(time.Minute)
		m.wants(m.asksForLink(b, "/login/mail", "ada@example.com"), http.StatusOK)
		link := m.link("ada@example.com", "magic")
		// Bob sits down, and signs in on Ada's page.
		login := b.get(m.URL + "/login?interaction=" + fields.Get("interaction"))
		m.wants(b.submit(login, "login", url.Values{"username": {"bob@example.com"}, "password": {password}}), http.StatusSeeOther)
		p := b.submit(half, "factor", url.Values{"code": {app.Code(m.Clock.Now())}})
		if strings.Contains(fmt.Sprint(p.Header["Set-Cookie"]), "gth_sid") || m.sessions(ada) != 0 || m.sessions(bob) != 1 {
			t.Errorf("Ada's half went on under Bob: %d %s, %d and %d sessions", p.StatusCode, p.Header.Get("Location"), m.sessions(ada), m.sessions(bob))
		}
		tokens := m.redeem(b.codeFrom(m.URL + "/oauth2/authorize?interaction=" + fields.Get("interaction")))
		if id := jwtPayload(t, tokens.Str("id_token")); id["sub"] != bob {
			t.Errorf("the request that Ada began is answered for %v", id["sub"])
		}
		// Ada's link, opened after Bob: it asks for her factor, and does not touch his session until that is there.
		p = b.get(m.at(b.press(link, "press", nil)))
		if !hasForm(p.Body, "factor") || m.sessions(ada) != 0 || m.sessions(bob) != 1 {
			t.Errorf("after the link: %d %s", p.StatusCode, cut(p.Body))
		}
		m.wants(b.submit(p, "factor", url.Values{"code": {app.Code(m.Clock.Now())}}), http.StatusSeeOther)
		if account := b.get(m.URL + "/account"); strings.Contains(account.Body, "bob@example.com") || !strings.Contains(account.Body, "ada@example.com") || m.sessions(bob) != 0 {
			t.Errorf("Ada sees %s", visible(t, account.Body))
		}
	}, withApps, longPages)
}

// Row 192: nothing that opens anything reaches the log by way of a mail, a sign-up or a second factor, whether it works or is refused.
func TestRow192NothingOfMailsAndFactorsReachesTheLog(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", unverified)
		b := m.browser("ada@example.com")
		w := b.watch()
		secrets := []string{otherPassword, url.QueryEscape(otherPassword), "a wrong password of hers"}
		keep := func(link string) string {
			secrets = append(secrets, tokenOf(link), url.QueryEscape(tokenOf(link)))
			return link
		}
		b.code(nil)
		verify := keep(proofs[0].make(m, b))
		b.press(verify, "press", nil)
		b.get(verify)
		m.hasWaited()
		reset := keep(m.resetLink(b, "ada@example.com"))
		m.bare("GET", strings.TrimPrefix(reset, m.URL), "", "Referer: "+reset, "User-Agent: "+reset)
		m.wants(b.resets(reset, otherPassword), http.StatusSeeOther)
		b.resets(reset, otherPassword)
		m.hasWaited()
		m.wants(m.asksForLink(b, "/login/mail", "ada@example.com"), http.StatusOK)
		magic := keep(m.link("ada@example.com", "magic"))
		m.browser("").get(magic)
		b.press(magic, "press", nil)
		guest := m.browser("")
		m.wants(m.asksForAccount(guest, "/signup", "new@example.com", "otter climbs velvet ladders"), http.StatusOK)
		signup := keep(m.link("new@example.com", "signup"))
		m.browser("").press(signup, "confirm", url.Values{"password": {"a wrong password of hers"}})
		guest.press(signup, "confirm", nil)
		m.user("eve@example.com")
		eve := m.browser("eve@example.com")
		enrol := eve.walk(m.authorizeURL(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}))
		secret := textOf(t, enrol.Body, `data-secret="`, `"`)
		_, fields := readForm(t, enrol.Body, "enrol")
		app := credentialtest.App{Secret: secret}
		codes := eve.submit(enrol, "enrol", url.Values{"code": {app.Code(m.Clock.Now())}})
		recovery := strings.TrimSpace(textOf(t, codes.Body, "<li><code>", "</code>"))
		secrets = append(secrets, secret, strings.ReplaceAll(secret, " ", ""), fields.Get("pending"), fields.Get("csrf"), recovery, "otter climbs velvet ladders")
		other := m.browser("eve@example.com")
		p := other.half(nil)
		p = other.submit(p, "factor", url.Values{"code": {recovery + "x"}})
		other.submit(p, "factor", url.Values{"code": {recovery}})
		for _, response := range w.seen {
			for _, c := range response.Cookies() {
				secrets = append(secrets, c.Value)
			}
		}
		if len(secrets) < 25 {
			t.Fatalf("only %d secrets", len(secrets))
		}
		m.noSecrets(slices.DeleteFunc(secrets, func(v string) bool { return len(v) < 8 })...)
		m.wellFormedLog()
	}, withApps, longPages)
}
