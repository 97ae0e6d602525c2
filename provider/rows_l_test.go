package provider_test

// Security section L: second factors on the way to a session.

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/seal"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// secondFactors offers both kinds, asks who has one, and lets browsers be trusted.
func secondFactors(o *provider.Options) {
	o.Factors = signin.Policy{TOTP: true, Passkeys: true, TrustDevice: 30 * 24 * time.Hour}
	o.Limits.FactorUser = ratelimit.Limit{Burst: 10, Every: 6 * time.Minute}
	o.Issuer = strings.Replace(o.Issuer, "127.0.0.1", "localhost", 1) // passkeys need a domain
}

func mfaForAll(o *provider.Options) { o.Factors.Required = signin.Everyone }

// strong boots a server with second factors at the address that passkeys work at.
func strong(t *testing.T, backend string, changes ...func(*provider.Options)) *server {
	t.Helper()
	s := start(t, backend, append([]func(*provider.Options){quickKeys, longSessions, secondFactors}, changes...)...)
	s.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	s.client()
	return s
}

// app enrols an authenticator app for a user; the code of this time step counts as used.
func (s *server) app(subject string) credentialtest.App {
	s.Helper()
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		s.Fatal(err)
	}
	apps := credential.NewTOTP(credential.TOTPOptions{Store: s.Store, Seal: ring, Issuer: "Gatehouse", Now: s.Clock.Now})
	e, err := apps.Begin(subject, "ada")
	if err != nil {
		s.Fatal(err)
	}
	app := credentialtest.App{Secret: e.Secret}
	user, err := s.Store.User(s.Context(), subject)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := apps.Finish(s.Context(), user, e.Sealed, app.Code(s.Clock.Now()), ""); err != nil {
		s.Fatal(err)
	}
	s.Clock.Advance(time.Minute)
	return app
}

// half signs in with the password and returns the page of the second factor.
func (b *browser) half(values url.Values) page {
	b.s.Helper()
	p := b.walk(b.s.authorizeURL(values))
	if !hasForm(p.Body, "factor") && !hasForm(p.Body, "passkey") {
		b.s.Fatalf("no page for the second factor: %d %s %s", p.StatusCode, p.Header.Get("Location"), cut(p.Body))
	}
	return p
}

// toApp follows redirects and consents until the client has its code, and returns what the ID token says.
func (b *browser) toApp(p page) map[string]any {
	b.s.Helper()
	if p.StatusCode != http.StatusSeeOther {
		b.s.Fatalf("status %d: %s", p.StatusCode, cut(p.Body))
	}
	end := b.walk(b.s.at(p))
	return jwtPayload(b.s.T, b.s.redeem(b.s.wantCode(b.s.sentTo(end, callback), "af0ifjsldkj")).Str("id_token"))
}

func amrOf(claims map[string]any) string {
	var words []string
	for _, w := range claims["amr"].([]any) {
		words = append(words, w.(string))
	}
	return strings.Join(words, " ")
}

func TestSecondFactorMakesTheSessionStrong(t *testing.T) {
	for _, backend := range []string{"memory", "sqlite", "postgres"} {
		t.Run(backend, func(t *testing.T) {
			s := strong(t, backend)
			subject := s.user("ada@example.com")
			app := s.app(subject)
			b := s.browser("ada@example.com")
			p := b.half(nil)
			claims := b.toApp(b.submit(p, "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
			if claims["acr"] != "2" || amrOf(claims) != "pwd otp mfa" {
				t.Errorf("acr %v, amr %v", claims["acr"], claims["amr"])
			}
			b.Pages = nil
			if again := b.subOf(nil); again != subject || len(b.Pages) > 0 {
				t.Errorf("the session is asked again: %v", b.Pages)
			}
		})
	}
}

// Row 153, 154: a code works once, whatever it looks like and however many try it at once.
func TestRow153Row154CodeWorksOnceHoweverItIsTyped(t *testing.T) {
	s := strong(t, "sqlite")
	app := s.app(s.user("ada@example.com"))
	code := app.Code(s.Clock.Now())
	wide := strings.Map(func(r rune) rune { return r - '0' + '０' }, code)
	first := s.browser("ada@example.com")
	first.toApp(first.submit(first.half(nil), "factor", url.Values{"code": {code[:3] + " " + code[3:]}}))
	for _, typed := range []string{code, wide, code + "\n", " " + code, code[:3] + "-" + code[3:]} {
		b := s.browser("ada@example.com")
		if p := b.submit(b.half(nil), "factor", url.Values{"code": {typed}}); p.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q again: %d to %s", typed, p.StatusCode, p.Header.Get("Location"))
		}
	}
	s.Clock.Advance(time.Minute)
	s.Clock.Advance(time.Hour) // the limit of the user
	code = app.Code(s.Clock.Now())
	const parallel = 8
	pages, wins := make([]page, parallel), 0
	browsers := make([]*browser, parallel)
	for i := range parallel {
		browsers[i] = s.browser("ada@example.com")
		pages[i] = browsers[i].half(nil)
	}
	var wg sync.WaitGroup
	for i := range parallel {
		wg.Go(func() { pages[i] = browsers[i].submit(pages[i], "factor", url.Values{"code": {code}}) })
	}
	wg.Wait()
	for _, p := range pages {
		if p.StatusCode == http.StatusSeeOther {
			wins++
		}
	}
	if wins != 1 {
		t.Errorf("%d of %d got in with one code", wins, parallel)
	}
}

// Row 155: five codes a sign-in, and ten an hour for a user, however often the sign-in begins anew.
func TestRow155GuessingCodesIsBounded(t *testing.T) {
	s := strong(t, "memory")
	app := s.app(s.user("ada@example.com"))
	wrong := func() string {
		if app.Code(s.Clock.Now()) == "000000" {
			return "000001"
		}
		return "000000"
	}
	b := s.browser("ada@example.com")
	p := b.half(nil)
	for range 5 {
		if p = b.submit(p, "factor", url.Values{"code": {wrong()}}); p.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a wrong code: %d", p.StatusCode)
		}
	}
	form := p
	if p = b.submit(form, "factor", url.Values{"code": {app.Code(s.Clock.Now())}}); p.StatusCode != http.StatusForbidden {
		t.Errorf("the sixth code, a right one: %d", p.StatusCode)
	}
	if p = b.submit(form, "factor", url.Values{"code": {app.Code(s.Clock.Now())}}); !strings.Contains(p.Header.Get("Location"), "/login?") {
		t.Errorf("the sign-in goes on: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	tries := 0
	for range 4 {
		b := s.browser("ada@example.com")
		p := b.half(nil)
		for range 5 {
			if p = b.submit(p, "factor", url.Values{"code": {wrong()}}); p.StatusCode == http.StatusTooManyRequests {
				break
			}
			tries++
		}
	}
	if tries > 6 {
		t.Errorf("%d more codes were tried within an hour", tries)
	}
	b = s.browser("ada@example.com")
	p = b.submit(b.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}})
	if p.StatusCode != http.StatusTooManyRequests || p.Header.Get("Retry-After") == "" {
		t.Errorf("a right code over the limit: %d, Retry-After %q", p.StatusCode, p.Header.Get("Retry-After"))
	}
	s.Clock.Advance(time.Hour)
	b.toApp(b.submit(b.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
}

// Wrong codes are also counted by address, over all users, and a right one is not counted.
func TestRow155WrongCodesOfOneAddressAreLimited(t *testing.T) {
	s := strong(t, "memory", func(o *provider.Options) {
		o.Limits.FactorChallenge, o.Limits.FactorUser, o.Limits.FactorIP = 2, ratelimit.Limit{}, ratelimit.Limit{Burst: 3, Every: time.Hour}
	})
	statuses := []int{}
	for _, email := range []string{"ada@example.com", "bob@example.com", "eve@example.com"} {
		app := s.app(s.user(email))
		b := s.browser(email)
		right := b.half(nil)
		s.Clock.Advance(30 * time.Second)
		if email == "ada@example.com" {
			b.toApp(b.submit(right, "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
			continue
		}
		for range 2 {
			statuses = append(statuses, b.submit(right, "factor", url.Values{"code": {"x"}}).StatusCode)
		}
	}
	if want := []int{401, 401, 401, 429}; !slices.Equal(statuses, want) {
		t.Errorf("wrong codes of two users from one address are answered by %v, want %v", statuses, want)
	}
}

// Row 156: with the password alone nothing opens.
func TestRow156HalfASignInOpensNothing(t *testing.T) {
	s := strong(t, "memory")
	app := s.app(s.user("ada@example.com"))
	b := s.browser("ada@example.com")
	p := b.half(nil)
	jar, _ := url.Parse(s.URL)
	for _, c := range b.client.Jar.Cookies(jar) {
		if strings.Contains(c.Name, "gth_sid") {
			t.Errorf("there is a session cookie before the second factor")
		}
	}
	id := p.Request.URL.Query().Get("interaction")
	for _, path := range []string{"/oauth2/authorize?interaction=" + id, "/account", "/consent?interaction=" + id, "/login/enrol?interaction=" + id} {
		got := b.get(s.URL + path)
		if got.StatusCode == http.StatusOK && !hasForm(got.Body, "factor") && !hasForm(got.Body, "login") || strings.Contains(got.Header.Get("Location"), "code=") {
			t.Errorf("%s with half a sign-in: %d %s", path, got.StatusCode, got.Header.Get("Location"))
		}
		if strings.Contains(got.Header.Get("Location"), "/oauth2/authorize?interaction=") {
			got = b.get(s.at(got))
		}
		if to := got.Header.Get("Location"); got.StatusCode == http.StatusSeeOther && !strings.Contains(to, "/login") {
			t.Errorf("%s leads to %s", path, to)
		}
	}
	if got := b.callback(url.Values{"prompt": {"none"}}); got.Get("error") != "login_required" {
		t.Errorf("prompt=none: %v", got)
	}
	// Another browser cannot take the half over, and it dies with the password.
	thief := s.browser("eve@example.com")
	if got := thief.get(p.Request.URL.String()); got.StatusCode != http.StatusForbidden {
		t.Errorf("another browser sees the second step: %d", got.StatusCode)
	}
	user, _, err := s.Store.UserByLogin(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	_, encoded, _ := s.Store.UserByLogin(t.Context(), "ada@example.com")
	if err := s.Store.SetPassword(t.Context(), user.Subject, encoded); err != nil {
		t.Fatal(err)
	}
	if got := b.submit(p, "factor", url.Values{"code": {app.Code(s.Clock.Now())}}); !strings.Contains(got.Header.Get("Location"), "/login?") {
		t.Errorf("after a password change the half goes on: %d %s", got.StatusCode, got.Header.Get("Location"))
	}
}

// Row 158: a recovery code works once, and only for its user.
func TestRow158RecoveryCodeWorksOnce(t *testing.T) {
	s := strong(t, "sqlite")
	ada, eve := s.user("ada@example.com"), s.user("eve@example.com")
	s.app(ada)
	s.app(eve)
	ring, _ := seal.New([][]byte{masterKey[:]})
	codes, err := credential.NewRecoveryCodes(t.Context(), s.Store, s.Store, ring)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := codes.Generate(t.Context(), &storage.User{Subject: ada})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := codes.Generate(t.Context(), &storage.User{Subject: eve}); err != nil {
		t.Fatal(err)
	}
	thief := s.browser("eve@example.com")
	if p := thief.submit(thief.half(nil), "factor", url.Values{"code": {mine[0]}}); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("a code of another user: %d", p.StatusCode)
	}
	const parallel = 6
	browsers, pages, wins := make([]*browser, parallel), make([]page, parallel), 0
	for i := range parallel {
		browsers[i] = s.browser("ada@example.com")
		pages[i] = browsers[i].half(nil)
	}
	var wg sync.WaitGroup
	for i := range parallel {
		wg.Go(func() {
			pages[i] = browsers[i].submit(pages[i], "factor", url.Values{"code": {strings.ToUpper(strings.ReplaceAll(mine[0], "-", " "))}})
		})
	}
	wg.Wait()
	for i, p := range pages {
		if p.StatusCode == http.StatusSeeOther {
			wins++
			if claims := browsers[i].toApp(p); claims["acr"] != "2" {
				t.Errorf("acr %v", claims["acr"])
			}
		}
	}
	if wins != 1 {
		t.Errorf("%d of %d got in with one recovery code", wins, parallel)
	}
	s.Clock.Advance(time.Hour)
	if _, err := codes.Generate(t.Context(), &storage.User{Subject: ada}); err != nil {
		t.Fatal(err)
	}
	b := s.browser("ada@example.com")
	if p := b.submit(b.half(nil), "factor", url.Values{"code": {mine[1]}}); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("a code of the old set: %d", p.StatusCode)
	}
}

// Row 159: an essential acr is reached by the second factor alone, and the first factor keeps its time.
func TestRow159StepUpAddsStrengthAndKeepsTheTime(t *testing.T) {
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	old := jwtPayload(t, s.redeem(b.code(nil)).Str("id_token"))
	if old["acr"] != "1" {
		t.Fatalf("acr %v without a second factor", old["acr"])
	}
	app := s.app(subject)
	s.advance(20 * time.Minute)
	essential := url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["2"]}}}`}}
	if got := b.callback(url.Values{"claims": essential["claims"], "prompt": {"none"}}); got.Get("error") == "" {
		t.Errorf("prompt=none: %v", got)
	}
	b.Pages = nil
	p := b.half(essential)
	if len(b.Pages) > 0 {
		t.Errorf("pages before the second factor: %v", b.Pages)
	}
	claims := b.toApp(b.submit(p, "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
	if claims["acr"] != "2" || claims["auth_time"] != old["auth_time"] {
		t.Errorf("acr %v, auth_time %v, want 2 and that of the password, %v", claims["acr"], claims["auth_time"], old["auth_time"])
	}
	// A time limit wants the first factor again.
	s.advance(2 * time.Minute)
	b.Pages = nil
	b.half(url.Values{"claims": essential["claims"], "max_age": {"60"}})
	if !slices.Equal(b.Pages, []string{"login"}) {
		t.Errorf("max_age with step-up: pages %v", b.Pages)
	}
}

func TestRow32EssentialStrengthMakesPeopleEnrol(t *testing.T) {
	s := strong(t, "memory")
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	p := b.walk(s.authorizeURL(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}))
	if !hasForm(p.Body, "enrol") {
		t.Fatalf("no enrolment: %d %s", p.StatusCode, cut(p.Body))
	}
	if claims := b.enrolHere(p); claims["acr"] != "2" || amrOf(claims) != "pwd otp mfa" {
		t.Errorf("acr %v, amr %v", claims["acr"], claims["amr"])
	}
	if factors, err := s.Store.FactorsOf(t.Context(), s.subject("ada@example.com")); err != nil || len(factors) != 1 {
		t.Errorf("factors %v, %v", factors, err)
	}
}

func (s *server) subject(email string) string {
	s.Helper()
	user, _, err := s.Store.UserByLogin(s.Context(), email)
	if err != nil {
		s.Fatal(err)
	}
	return user.Subject
}

// enrolHere enrols an app on the page that the sign-in came to, keeps the recovery codes and goes on to the client.
func (b *browser) enrolHere(p page) map[string]any {
	b.s.Helper()
	app := credentialtest.App{Secret: textOf(b.s.T, p.Body, `data-secret="`, `"`)}
	if wrong := b.submit(p, "enrol", url.Values{"code": {"12"}}); wrong.StatusCode != http.StatusUnprocessableEntity || textOf(b.s.T, wrong.Body, `data-secret="`, `"`) != app.Secret {
		b.s.Errorf("a wrong code: %d, and the secret changes", wrong.StatusCode)
	}
	codes := b.submit(p, "enrol", url.Values{"code": {app.Code(b.s.Clock.Now())}})
	if codes.StatusCode != http.StatusOK || strings.Count(codes.Body, "<li><code>") != 10 {
		b.s.Fatalf("no recovery codes: %d %s", codes.StatusCode, cut(codes.Body))
	}
	on := html.UnescapeString(textOf(b.s.T, codes.Body, `id="continue" href="`, `"`))
	end := b.walk(originOf(b.s.URL) + on)
	return jwtPayload(b.s.T, b.s.redeem(b.s.wantCode(b.s.sentTo(end, callback), "af0ifjsldkj")).Str("id_token"))
}

func textOf(t *testing.T, body, before, after string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, before)
	text, _, ok2 := strings.Cut(rest, after)
	if !ok || !ok2 {
		t.Fatalf("no %s in %s", before, cut(body))
	}
	return text
}

func TestPolicyMakesEverybodyEnrol(t *testing.T) {
	s := strong(t, "sqlite", mfaForAll)
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.enrolHere(b.walk(s.authorizeURL(nil)))
	other := s.browser("ada@example.com")
	other.half(nil)
}

func TestClientMayRequireASecondFactor(t *testing.T) {
	s := strong(t, "memory")
	s.user("ada@example.com")
	if _, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.RequireMFA = true; return nil }); err != nil {
		t.Fatal(err)
	}
	s.advance(time.Millisecond)
	b := s.browser("ada@example.com")
	b.enrolHere(b.walk(s.authorizeURL(nil)))
}

// Row 157: whoever has a factor is asked for it and cannot enrol another with the password alone.
func TestRow157NoEnrolmentBesideAFactor(t *testing.T) {
	s := strong(t, "memory", mfaForAll)
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	p := b.walk(s.authorizeURL(nil))
	if !hasForm(p.Body, "enrol") {
		t.Fatalf("no enrolment: %s", cut(p.Body))
	}
	evil := credentialtest.App{Secret: textOf(t, p.Body, `data-secret="`, `"`)}
	s.app(subject) // the owner enrols meanwhile
	got := b.submit(p, "enrol", url.Values{"code": {evil.Code(s.Clock.Now())}})
	if got.StatusCode != http.StatusSeeOther || !strings.Contains(got.Header.Get("Location"), "/login/factor") {
		t.Errorf("a second enrolment with the password alone: %d %s", got.StatusCode, got.Header.Get("Location"))
	}
	if factors, _ := s.Store.FactorsOf(t.Context(), subject); len(factors) != 1 {
		t.Errorf("%d factors", len(factors))
	}
}

// Row 160: a trusted device is one user's, until the password changes, and a copy of its cookie ends it.
func TestRow160TrustedDevice(t *testing.T) {
	s := strong(t, "sqlite")
	app := s.app(s.user("ada@example.com"))
	s.app(s.user("bob@example.com"))
	b := s.browser("ada@example.com")
	b.toApp(b.submit(b.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}, "trust": {"1"}}))
	here, _ := url.Parse(s.URL)
	device := func(b *browser) *http.Cookie {
		for _, c := range b.client.Jar.Cookies(here) {
			if strings.Contains(c.Name, "gth_td") {
				return c
			}
		}
		return nil
	}
	copied := device(b)
	if copied == nil {
		t.Fatal("no cookie of a trusted device")
	}
	again := url.Values{"prompt": {"login"}}
	if claims := jwtPayload(t, s.redeem(b.code(again)).Str("id_token")); claims["acr"] != "1" || amrOf(claims) != "pwd" {
		t.Errorf("without a second factor acr is %v and amr %v", claims["acr"], claims["amr"])
	}
	b.User = "bob@example.com"
	b.half(again)
	b.User = "ada@example.com"
	// An essential strength is not met by trust.
	b.half(url.Values{"prompt": {"login"}, "claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}})
	thief := s.browser("ada@example.com")
	thief.client.Jar.SetCookies(here, []*http.Cookie{{Name: copied.Name, Value: copied.Value, Path: "/"}})
	s.Clock.Advance(storage.DeviceGrace)
	thief.half(nil)
	b.half(again) // the copy has ended the trust of both
	s.Clock.Advance(time.Minute)
	b.toApp(b.submit(b.half(again), "factor", url.Values{"code": {app.Code(s.Clock.Now())}, "trust": {"1"}}))
	b.code(again)
	_, encoded, _ := s.Store.UserByLogin(t.Context(), "ada@example.com")
	if err := s.Store.SetPassword(t.Context(), s.subject("ada@example.com"), encoded); err != nil {
		t.Fatal(err)
	}
	b.half(nil)
}

// Row 179: the cookie before the second factor is worth nothing after it.
func TestRow179SecondFactorChangesTheCookie(t *testing.T) {
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	here, _ := url.Parse(s.URL)
	before := b.client.Jar.Cookies(here)
	app := s.app(subject)
	b.toApp(b.submit(b.half(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}), "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
	thief := s.browser("ada@example.com")
	thief.client.Jar.SetCookies(here, before)
	if got := thief.callback(url.Values{"prompt": {"none"}}); got.Get("error") != "login_required" {
		t.Errorf("the old cookie still works: %v", got)
	}
}

// passkey makes a passkey of a user, as the account page does.
func (s *server) passkey(email string, changes ...func(*credentialtest.Answer)) *credentialtest.Authenticator {
	s.Helper()
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		s.Fatal(err)
	}
	keys, err := credential.NewPasskeys(s.Context(), credential.PasskeyOptions{Store: s.Store, Seal: ring, Issuer: s.URL, Name: "Gatehouse", Now: s.Clock.Now})
	if err != nil {
		s.Fatal(err)
	}
	user, err := s.Store.User(s.Context(), s.subject(email))
	if err != nil {
		s.Fatal(err)
	}
	c, err := keys.BeginRegistration(s.Context(), user, "here")
	if err != nil {
		s.Fatal(err)
	}
	a := credentialtest.New(s.T, s.URL)
	if _, err := keys.FinishRegistration(s.Context(), user, "here", c.Sealed, a.Create(c.Options, changes...), ""); err != nil {
		s.Fatal(err)
	}
	return a
}

// asked is the question that a page puts to an authenticator.
func (b *browser) asked(p page) json.RawMessage {
	b.s.Helper()
	return json.RawMessage(html.UnescapeString(textOf(b.s.T, p.Body, `data-options="`, `"`)))
}

func TestPasskeySignsInAloneAndStrong(t *testing.T) {
	for _, backend := range []string{"memory", "sqlite", "postgres"} {
		t.Run(backend, func(t *testing.T) {
			s := strong(t, backend)
			subject := s.user("ada@example.com")
			key := s.passkey("ada@example.com")
			b := s.browser("")
			p := s.signIn(b)
			answer := b.submit(p, "passkey", url.Values{"response": {key.Get(b.asked(p))}})
			claims := b.toApp(answer)
			if claims["sub"] != subject || claims["acr"] != "2" || !strings.Contains(amrOf(claims), "mfa") {
				t.Errorf("claims %v", claims)
			}
		})
	}
}

// Rows 162, 163, 164 by way of the sign-in page: a foreign origin, no verification, another's handle, a used challenge.
func TestRow162Row163Row164PasskeyAnswersThatAreRefused(t *testing.T) {
	s := strong(t, "memory")
	s.user("ada@example.com")
	s.user("eve@example.com")
	ada, eve := s.passkey("ada@example.com"), s.passkey("eve@example.com")
	for name, change := range map[string]func(*credentialtest.Answer){
		"evil origin":        func(a *credentialtest.Answer) { a.Origin = "https://evil.example" },
		"sub-domain":         func(a *credentialtest.Answer) { a.Origin = strings.Replace(s.URL, "localhost", "x.localhost", 1) },
		"other port":         func(a *credentialtest.Answer) { a.Origin = "http://localhost:1" },
		"cross origin":       func(a *credentialtest.Answer) { a.CrossOrigin = true; a.TopOrigin = "https://evil.example" },
		"wrong type":         func(a *credentialtest.Answer) { a.Type = "webauthn.create" },
		"wrong rp":           func(a *credentialtest.Answer) { a.RPID = "evil.example" },
		"no presence":        func(a *credentialtest.Answer) { a.Flags = credentialtest.Verified },
		"no verification":    func(a *credentialtest.Answer) { a.Flags = credentialtest.Present },
		"handle of another":  func(a *credentialtest.Answer) { a.Handle = eve.Keys()[0].Handle },
		"another credential": func(a *credentialtest.Answer) { a.ID = eve.Keys()[0].ID },
		"other challenge":    func(a *credentialtest.Answer) { a.Challenge = strings.Repeat("A", 43) },
	} {
		b := s.browser("")
		p := s.signIn(b)
		if got := b.submit(p, "passkey", url.Values{"response": {ada.Get(b.asked(p), change)}}); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.Header.Get("Location"))
		}
	}
	b := s.browser("")
	p := s.signIn(b)
	answer := url.Values{"response": {ada.Get(b.asked(p))}}
	for name, junk := range map[string]string{"junk": "junk", "huge": strings.Repeat("x", 60<<10), "deep": strings.Repeat("[", 9000)} {
		if got := b.submit(p, "passkey", url.Values{"response": {junk}}); got.StatusCode < 400 || got.StatusCode >= 500 {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
		p = s.signIn(b)
		answer = url.Values{"response": {ada.Get(b.asked(p))}}
	}
	if got := b.submit(p, "passkey", answer); got.StatusCode != http.StatusSeeOther {
		t.Fatalf("a good answer: %d", got.StatusCode)
	}
	if got := b.submit(p, "passkey", answer); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a used challenge: %d %s", got.StatusCode, got.Header.Get("Location"))
	}
}

func TestPasskeyAsSecondFactor(t *testing.T) {
	s := strong(t, "memory")
	s.user("ada@example.com")
	s.user("eve@example.com")
	ada, eve := s.passkey("ada@example.com"), s.passkey("eve@example.com")
	b := s.browser("ada@example.com")
	p := b.half(nil)
	if got := b.submit(p, "passkey", url.Values{"response": {eve.Get(b.asked(p), func(a *credentialtest.Answer) { a.ID = eve.Keys()[0].ID })}}); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("another user's passkey: %d", got.StatusCode)
	}
	p = b.half(nil)
	claims := b.toApp(b.submit(p, "passkey", url.Values{"response": {ada.Get(b.asked(p), func(a *credentialtest.Answer) { a.Flags = credentialtest.Present })}}))
	if claims["acr"] != "2" || amrOf(claims) != "pwd hwk user mfa" {
		t.Errorf("acr %v, amr %v", claims["acr"], claims["amr"])
	}
}

func TestStaySignedInOutlivesTheBrowser(t *testing.T) {
	s := strong(t, "sqlite", func(o *provider.Options) { o.Remember = 30 * 24 * time.Hour })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	form := s.signIn(b)
	got := b.submit(form, "login", url.Values{"username": {"ada@example.com"}, "password": {password}, "remember": {"1"}})
	var life int
	for _, c := range got.Cookies() {
		if strings.Contains(c.Name, "gth_sid") {
			life = c.MaxAge
		}
	}
	if want := 30 * 24 * 3600; life < want-5 || life > want {
		t.Errorf("the cookie lives %d s, want %d", life, want)
	}
	b.toApp(got)
	s.advance(29 * 24 * time.Hour)
	if got := b.callback(url.Values{"prompt": {"none"}}); got.Get("code") == "" {
		t.Errorf("after 29 days: %v", got)
	}
	s.advance(2 * 24 * time.Hour)
	if got := b.callback(url.Values{"prompt": {"none"}}); got.Get("error") != "login_required" {
		t.Errorf("after 31 days: %v", got)
	}
}

// Row 32: a second factor that the client or the server asks for is asked for in single sign-on, too.
func TestRow32RequiredFactorIsAskedForInSingleSignOn(t *testing.T) {
	for name, change := range map[string]func(*provider.Options){"client": func(*provider.Options) {}, "everyone": mfaForAll} {
		t.Run(name, func(t *testing.T) {
			s := strong(t, "sqlite", change)
			subject := s.user("ada@example.com")
			b := s.browser("ada@example.com")
			if name == "client" {
				b.code(nil)
				if _, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.RequireMFA = true; return nil }); err != nil {
					t.Fatal(err)
				}
				s.eventually("the client is known to ask for it", func() bool { return b.callback(url.Values{"prompt": {"none"}}).Get("error") == "interaction_required" })
				b.Pages = nil
				if p := b.walk(s.authorizeURL(nil)); !hasForm(p.Body, "enrol") || !slices.Equal(b.Pages, []string{"login"}) {
					t.Errorf("a session of one factor, and no second one: %d %s, pages %v", p.StatusCode, cut(p.Body), b.Pages)
				}
				app := s.app(subject)
				other := s.browser("ada@example.com")
				claims := other.toApp(other.submit(other.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}, "trust": {"1"}}))
				if claims["acr"] != "2" {
					t.Errorf("acr %v", claims["acr"])
				}
				other.half(url.Values{"prompt": {"login"}}) // a trusted browser does not stand in for what the client asks
				return
			}
			// A session from before the policy.
			row := &storage.Session{ID: "old", CookieHash: web.Hash(strings.Repeat("A", 43)), Subject: subject, AMR: []string{"pwd"}, ACR: "1", AuthTime: s.Clock.Now(), Created: s.Clock.Now(), LastSeen: s.Clock.Now(), Absolute: s.Clock.Now().Add(time.Hour)}
			if err := s.Store.CreateSession(t.Context(), row); err != nil {
				t.Fatal(err)
			}
			here, _ := url.Parse(s.URL)
			b.client.Jar.SetCookies(here, []*http.Cookie{{Name: "gth_sid", Value: strings.Repeat("A", 43), Path: "/"}})
			if got := b.callback(url.Values{"prompt": {"none"}}); got.Get("error") != "interaction_required" {
				t.Errorf("prompt=none: %v", got)
			}
			if p := b.walk(s.authorizeURL(nil)); !hasForm(p.Body, "enrol") {
				t.Errorf("no enrolment: %d %s", p.StatusCode, cut(p.Body))
			}
		})
	}
}

// Row 159: the step-up page, opened by hand, is no sign-in.
func TestRow159StepUpIsNoSignIn(t *testing.T) {
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	app := s.app(subject)
	s.advance(20 * time.Minute)
	login := s.at(b.get(s.authorizeURL(url.Values{"max_age": {"60"}})))
	p := b.walk(strings.Replace(login, "/login?", "/login/step-up?", 1))
	on := s.at(b.submit(p, "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
	if to := b.get(on).Header.Get("Location"); !strings.Contains(to, "/login?") {
		t.Errorf("max_age=60 after a step-up leads to %s", to)
	}
}
