package provider_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/ratelimit"
	"gatehouse/storage"
)

// Rows 145, 155, 156 and 159: sign-ins that are not done yet, and what somebody makes of them who leaves a step out, takes one twice, or has only the first.

// acts are the routes that act for whoever is signed in, with a form that would do something for ada.
var acts = map[string]url.Values{
	"/account/sign-out": {}, "/account/disconnect": {"client_id": {"app"}}, "/account/dismiss": {"notice": {"n"}}, "/account/profile": {"name": {"Mallory"}}, "/account/email": {"email": {"eve@evil.example"}}, "/account/email/cancel": {},
	"/account/password": {"password": {otherPassword}, "repeat": {otherPassword}}, "/account/devices/forget": {"device": {"d"}}, "/account/factor/rename": {"factor": {"f"}, "name": {"Mallory"}},
	"/account/factor/remove": {"factor": {"f"}}, "/account/authenticator": {"code": {"123456"}}, "/account/passkey": {"response": {"{}"}}, "/account/recovery-codes": {},
	"/account/sessions/end": {"scope": {"all"}}, "/account/data/download": {}, "/account/delete": {"confirm": {"ada@example.com"}}, "/verify/start": {}, "/oauth2/logout/confirm": {},
}

// ownPages are the pages of whoever is signed in.
var ownPages = []string{
	"/account/choose",
	"/account", "/account/profile", "/account/security", "/account/password", "/account/authenticator", "/account/passkey", "/account/recovery-codes", "/account/sessions", "/account/activity", "/account/apps", "/account/data",
}

// Row 156: with the password alone no page opens and no form does anything, with the token that the half sign-in's own page has.
func TestRow156HalfASignInReadsAndActsNowhere(t *testing.T) {
	s := strong(t, "memory", withTerms, func(o *provider.Options) { o.Limits.Interactions = ratelimit.Limit{} })
	subject := s.user("ada@example.com")
	s.app(subject)
	b := s.browser("ada@example.com")
	p := b.half(nil)
	_, fields := readForm(t, p.Body, "factor")
	before := s.stateOf(subject)
	for _, path := range ownPages {
		got := b.get(s.URL + path)
		if to := got.Header.Get("Location"); got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/login?interaction=") {
			t.Errorf("GET %s: %d %s", path, got.StatusCode, to)
		}
	}
	for path, form := range acts {
		values := maps.Clone(form)
		values["csrf"], values["interaction"] = fields["csrf"], fields["interaction"]
		got := b.post(s.URL+path, values)
		if to := got.Header.Get("Location"); got.StatusCode < 400 && !strings.HasPrefix(to, "/login?interaction=") && to != "/account" && path != "/account/sign-out" && path != "/oauth2/logout/confirm" || strings.Contains(got.Body, "ada@example.com") {
			t.Errorf("POST %s: %d %s %s", path, got.StatusCode, to, cut(got.Body))
		}
	}
	for _, c := range [][2]string{{"/consent", "allow"}, {"/consent", "deny"}, {"/terms", "accept"}, {"/terms", "decline"}} {
		got := b.post(s.URL+c[0], url.Values{"csrf": fields["csrf"], "interaction": fields["interaction"], "decision": {c[1]}, "version": {"2026-01"}})
		if to := got.Header.Get("Location"); got.StatusCode < 400 && !strings.Contains(to, "/oauth2/authorize?interaction=") || strings.Contains(to, "code=") {
			t.Errorf("%s: %d %s", c[0], got.StatusCode, to)
		}
	}
	if got := s.at(b.get(s.URL + "/oauth2/authorize?interaction=" + fields.Get("interaction"))); !strings.Contains(got, "/login") {
		t.Errorf("the request goes on to %s", got)
	}
	if after := s.stateOf(subject); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	if s.hasConsent(subject) || s.sessions(subject) != 0 {
		t.Error("there is a consent, or a session")
	}
}

// stateOf is what a form could change of a user, as text.
func (s *server) stateOf(subject string) string {
	s.Helper()
	ctx := s.Context()
	u, err := s.Store.User(ctx, subject)
	s.ok(err)
	factors, err := s.Store.FactorsOf(ctx, subject)
	s.ok(err)
	codes, err := s.Store.RecoveryCodes(ctx, subject)
	s.ok(err)
	devices, err := s.Store.DevicesOf(ctx, subject)
	s.ok(err)
	text := fmt.Sprint(*u, codes)
	for _, f := range factors {
		text += fmt.Sprint(f.ID, f.Name, f.Kind)
	}
	for _, d := range devices {
		text += d.ID
	}
	return text
}

// Row 156: a half sign-in enrols no factor beside the one that is asked for, whatever it was given by another one; and what its owner enrols elsewhere it is asked for.
func TestRow156HalfASignInEnrolsNothing(t *testing.T) {
	s := strong(t, "memory")
	ada, eve := s.user("ada@example.com"), s.user("eve@example.com")
	s.app(ada)
	// Eve has no factor and must enrol one: her page has a seed, and a question to a passkey.
	enrolling := s.browser("eve@example.com")
	p := enrolling.walk(s.authorizeURL(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}))
	_, seed := readForm(t, p.Body, "enrol")
	own := credentialtest.App{Secret: textOf(t, p.Body, `data-secret="`, `"`)}
	b := s.browser("ada@example.com")
	_, fields := readForm(t, b.half(nil).Body, "factor")
	for name, values := range map[string]url.Values{
		"eve's seed": {"pending": seed["pending"], "code": {own.Code(s.Clock.Now())}}, "no seed": {"code": {"123456"}}, "a passkey": {"response": {"{}"}, "state": {"x"}}, "nothing": {},
	} {
		values["csrf"], values["interaction"] = fields["csrf"], fields["interaction"]
		got := b.post(s.URL+"/login/enrol", values)
		if got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got.Header.Get("Location"), "/login/factor?") {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.Header.Get("Location"))
		}
	}
	// Nor is Eve's own enrolment done for Ada, who is named in the form.
	got := enrolling.submit(p, "enrol", url.Values{"code": {own.Code(s.Clock.Now())}, "subject": {ada}, "username": {"ada@example.com"}, "user": {ada}})
	s.wants(got, http.StatusOK)
	if a, e := s.factorsOf(ada), s.factorsOf(eve); a != 1 || e != 1 {
		t.Errorf("%d factors of ada and %d of eve", a, e)
	}
}

func (s *server) factorsOf(subject string) int {
	s.Helper()
	rows, err := s.Store.FactorsOf(s.Context(), subject)
	s.ok(err)
	return len(rows)
}

// Row 145: the steps of a sign-in come one after the other. Whoever sends a later one first is sent back to the first, and nothing is proven.
func TestRow145NoStepOfASignInCanBeSkipped(t *testing.T) {
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	app := s.app(subject)
	fresh := func() (*browser, url.Values) {
		b := s.browser("ada@example.com")
		_, fields := readForm(t, s.signIn(b).Body, "login")
		return b, fields
	}
	begun, question := fresh()
	begun.submit(s.signIn(begun), "login", url.Values{"username": {"ada@example.com"}, "password": {password}})
	for name, step := range map[string]struct {
		path   string
		values url.Values
	}{
		"a code": {"/login/factor", url.Values{"code": {app.Code(s.Clock.Now())}}}, "a code and a name": {"/login/factor", url.Values{"code": {app.Code(s.Clock.Now())}, "username": {"ada@example.com"}, "subject": {subject}}},
		"an empty code": {"/login/factor", url.Values{}}, "trust": {"/login/factor", url.Values{"trust": {"1"}}}, "an enrolment": {"/login/enrol", url.Values{"code": {"123456"}}}, "consent": {"/consent", url.Values{"decision": {"allow"}}},
		"a passkey without its question": {"/login/passkey", url.Values{"response": {"{}"}}}, "an account": {"/login/accounts", url.Values{"account": {"x"}}}, "an empty name": {"/login", url.Values{}},
		"a password without a name": {"/login", url.Values{"password": {password}}}, "a name without a password": {"/login", url.Values{"username": {"ada@example.com"}}},
		"the interaction of somebody's half": {"/login/factor", url.Values{"interaction": question["interaction"], "code": {app.Code(s.Clock.Now())}}},
	} {
		b, fields := fresh()
		for field, value := range step.values {
			fields[field] = value
		}
		p := b.post(s.URL+step.path, fields)
		if to := p.Header.Get("Location"); p.StatusCode < 400 && !strings.HasPrefix(to, "/login?interaction=") && !strings.HasPrefix(to, "/oauth2/authorize?interaction=") && !hasForm(p.Body, "login") {
			t.Errorf("%s: %d %s %s", name, p.StatusCode, to, cut(p.Body))
		}
		if p := b.get(s.URL + "/oauth2/authorize?interaction=" + question.Get("interaction")); p.StatusCode < 400 && b != begun {
			t.Errorf("%s: somebody else's request goes on: %d %s", name, p.StatusCode, p.Header.Get("Location"))
		}
		if got := b.callback(url.Values{"prompt": {"none"}}); got.Get("error") != "login_required" {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, path := range []string{"/login/factor", "/login/enrol", "/login/step-up", "/consent", "/login/accounts", "/oauth2/authorize"} { // jump to the address of a later step
		b, fields := fresh()
		p := b.get(s.URL + path + "?interaction=" + fields.Get("interaction"))
		for n := 0; p.StatusCode == http.StatusSeeOther && n < 5; n++ {
			p = b.get(s.at(p))
		}
		if !hasForm(p.Body, "login") || hasForm(p.Body, "factor") || hasForm(p.Body, "consent") {
			t.Errorf("GET %s ends at %d %s", path, p.StatusCode, p.Request.URL)
		}
	}
	if s.sessions(subject) != 0 || s.hasConsent(subject) {
		t.Error("there is a session, or a consent")
	}
}

// Row 145: a step that is done is not done again: its page, reloaded or sent a second time, begins nothing and gives no second code.
func TestRow145StepsAreTakenOnce(t *testing.T) {
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	app := s.app(subject)
	b := s.browser("ada@example.com")
	login := s.signIn(b)
	factor := b.get(s.at(b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})))
	on := b.submit(factor, "factor", url.Values{"code": {app.Code(s.Clock.Now())}})
	consent := b.get(s.at(b.get(s.at(on))))
	end := s.at(b.submit(consent, "consent", url.Values{"decision": {"allow"}}))
	s.wantCode(s.sentTo(b.get(end), callback), "af0ifjsldkj")
	s.Clock.Advance(time.Minute)
	cookie := b.cookies("gth_sid")
	for name, again := range map[string]func() page{
		"the name and the password": func() page {
			return b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}})
		},
		"a code":          func() page { return b.submit(factor, "factor", url.Values{"code": {app.Code(s.Clock.Now())}}) },
		"consent":         func() page { return b.submit(consent, "consent", url.Values{"decision": {"allow"}}) },
		"the first page":  func() page { return b.get(login.Request.URL.String()) },
		"the second page": func() page { return b.get(factor.Request.URL.String()) },
		"the third page":  func() page { return b.get(consent.Request.URL.String()) },
		"the way back":    func() page { return b.get(end) },
		"the step-up page": func() page {
			return b.get(strings.Replace(login.Request.URL.String(), "/login?", "/login/step-up?", 1))
		},
		"the choice": func() page {
			return b.get(strings.Replace(login.Request.URL.String(), "/login?", "/login/accounts?", 1))
		},
		"the enrolment":     func() page { return b.get(strings.Replace(login.Request.URL.String(), "/login?", "/login/enrol?", 1)) },
		"a link for a mail": func() page { return b.get(strings.Replace(login.Request.URL.String(), "/login?", "/recovery?", 1)) },
	} {
		p := again()
		for n := 0; p.StatusCode == http.StatusSeeOther && n < 5; n++ {
			if strings.Contains(p.Header.Get("Location"), "code=") {
				t.Fatalf("%s gives a second code", name)
			}
			p = b.get(s.at(p))
		}
		if hasForm(p.Body, "factor") || hasForm(p.Body, "consent") {
			t.Errorf("%s: %d shows a step", name, p.StatusCode)
		}
	}
	if s.sessions(subject) != 1 || b.cookies("gth_sid") != cookie {
		t.Error("the session was begun anew")
	}
}

// Row 155: what is tried by way of a step-up counts with what is tried at a sign-in.
func TestRow155StepUpBuysNoCodes(t *testing.T) {
	s := strong(t, "memory")
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com") // signed in before the factor was
	b.code(nil)
	app := s.app(subject)
	essential := url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}
	tries := 0
	for range 4 {
		for _, walk := range []func() (*browser, page){
			func() (*browser, page) { return b, b.half(essential) },
			func() (*browser, page) { thief := s.browser("ada@example.com"); return thief, thief.half(nil) },
		} {
			who, p := walk()
			for range 3 {
				if p = who.submit(p, "factor", url.Values{"code": {"x"}}); p.StatusCode != http.StatusUnauthorized {
					break
				}
				tries++
			}
		}
	}
	if tries > 10 {
		t.Errorf("%d codes within an hour", tries)
	}
	if p := b.submit(b.half(essential), "factor", url.Values{"code": {app.Code(s.Clock.Now())}}); p.StatusCode != http.StatusTooManyRequests || p.Header.Get("Retry-After") == "" {
		t.Errorf("a right code over the limit: %d", p.StatusCode)
	}
}

// Row 159: neither a link in a mail nor a refreshed token nor single sign-on stands in for the strength and the freshness that are asked for.
func TestRow159WeakerMethodsAreNoStepUp(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com")
		b := m.browser("ada@example.com")
		m.wants(m.asksForLink(b, "/login/mail?interaction="+m.interaction(b), "ada@example.com"), http.StatusOK)
		claims := b.toApp(b.press(m.link("ada@example.com", "magic"), "press", nil))
		if claims["acr"] != "1" {
			t.Errorf("acr %v by a link", claims["acr"])
		}
		app := m.app(m.subject("ada@example.com"))
		essential := url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}
		silent := maps.Clone(essential)
		silent["prompt"] = []string{"none"}
		for _, values := range []url.Values{silent, with(silent, "max_age", "3600")} {
			if got := b.callback(values); got.Get("error") == "" || got.Get("code") != "" {
				t.Errorf("single sign-on: %v", got)
			}
		}
		b.half(essential)
		// A new link does not help: the factor is asked for after it, in the interaction that wants it.
		other := m.browser("ada@example.com")
		login := m.at(other.get(m.authorizeURL(essential)))
		id := login[strings.Index(login, "interaction=")+len("interaction="):]
		m.Clock.Advance(time.Minute)
		m.wants(m.asksForLink(other, "/login/mail?interaction="+id, "ada@example.com"), http.StatusOK)
		p := other.get(m.at(other.press(m.link("ada@example.com", "magic"), "press", nil)))
		if !hasForm(p.Body, "factor") {
			t.Fatalf("after a link: %d %s", p.StatusCode, cut(p.Body))
		}
		claims = other.toApp(other.submit(p, "factor", url.Values{"code": {app.Code(m.Clock.Now())}}))
		if claims["acr"] != "2" || amrOf(claims) != "email otp mfa" {
			t.Errorf("acr %v, amr %v", claims["acr"], claims["amr"])
		}
		// Refreshing makes a sign-in neither newer nor stronger.
		first := m.redeem(other.code(essential))
		before := jwtPayload(t, first.Str("id_token"))
		m.Clock.Advance(30 * time.Minute)
		after := jwtPayload(t, m.refresh(first.Str("refresh_token")).Str("id_token"))
		if after["auth_time"] != before["auth_time"] || after["acr"] != before["acr"] || amrOf(after) != amrOf(before) {
			t.Errorf("refreshed %v, before %v", after, before)
		}
		// Time and method both count: the strong session is too old, and a step-up alone does not make it younger.
		if got := other.callback(with(silent, "max_age", "60")); got.Get("error") != "login_required" {
			t.Errorf("max_age=60 with an old strong session: %v", got)
		}
	}, withApps)
}

// Row 156: half a sign-in ends with the account, too.
func TestRow156HalfASignInEndsWithTheAccount(t *testing.T) {
	for name, end := range map[string]func(s *server, subject string){
		"disabled": func(s *server, subject string) {
			_, err := s.Store.UpdateUser(s.Context(), subject, func(u *storage.User) error { u.Disabled = true; return nil })
			s.ok(err)
		},
		"deleted":                 func(s *server, subject string) { s.ok(s.Store.DeleteUser(s.Context(), subject)) },
		"new password":            func(s *server, subject string) { s.ok(s.Store.SetPassword(s.Context(), subject, "unusable")) },
		"over after half an hour": func(s *server, _ string) { s.Clock.Advance(31 * time.Minute) },
		"disabled and enabled":    func(s *server, subject string) { endings["disabled user who is enabled again"](s, nil, subject) },
	} {
		t.Run(name, func(t *testing.T) {
			s := strong(t, "memory")
			subject := s.user("ada@example.com")
			app := s.app(subject)
			b := s.browser("ada@example.com")
			p := b.half(nil)
			end(s, subject)
			got := b.submit(p, "factor", url.Values{"code": {app.Code(s.Clock.Now())}})
			if strings.HasPrefix(got.Header.Get("Location"), "/oauth2/authorize?interaction=") && len(got.Header["Set-Cookie"]) == 0 {
				got = b.get(s.at(got)) // where the request begins anew
			}
			if strings.Contains(fmt.Sprint(got.Header["Set-Cookie"]), "gth_sid") || got.StatusCode < 400 && !strings.Contains(got.Header.Get("Location"), "/login?") {
				t.Errorf("%d %s %v", got.StatusCode, got.Header.Get("Location"), got.Header["Set-Cookie"])
			}
		})
	}
}

// Row 156: what makes a session stronger ends with that session: there is nothing left that a code could strengthen.
func TestRow156StepUpEndsWithItsSession(t *testing.T) {
	for name, end := range map[string]func(s *server, b *browser, subject string){
		"signed out elsewhere": func(s *server, _ *browser, subject string) { s.endAll(subject) },
		"signed out":           func(s *server, b *browser, _ string) { b.submit(b.get(s.URL+"/account"), "logout", nil) },
		"idle":                 func(s *server, _ *browser, _ string) { s.Clock.Advance(29 * time.Minute) },
		"somebody else's": func(s *server, b *browser, _ string) {
			b.User = "bob@example.com"
			b.code(anew)
		},
		"without its cookie": func(_ *server, b *browser, _ string) { b.plant("gth_sid", "") },
		"with another one":   func(_ *server, b *browser, _ string) { b.plant("gth_sid", strings.Repeat("A", 43)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := strong(t, "memory", func(o *provider.Options) { o.SessionIdle = 28 * time.Minute })
			subject := s.user("ada@example.com")
			s.user("bob@example.com")
			b := s.browser("ada@example.com")
			b.code(nil)
			app := s.app(subject)
			p := b.half(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}})
			end(s, b, subject)
			before := b.cookies("gth_sid")
			got := b.submit(p, "factor", url.Values{"code": {app.Code(s.Clock.Now())}})
			if got.StatusCode < 400 && !strings.HasPrefix(got.Header.Get("Location"), "/login?interaction=") || b.cookies("gth_sid") != before {
				t.Errorf("%d %s, cookies %q and %q", got.StatusCode, got.Header.Get("Location"), before, b.cookies("gth_sid"))
			}
			rows, err := s.Store.SessionsOf(t.Context(), subject)
			s.ok(err)
			for _, row := range rows {
				if row.ACR == "2" {
					t.Errorf("a session became strong: %+v", row)
				}
			}
		})
	}
}

// Row 155: enrolling an app, and the password that a sign-up is confirmed with, have a number of tries as well, however many browsers they come from.
func TestRow155EnrolmentsAndSignUpsHaveAnEnd(t *testing.T) {
	m := correspond(t, "memory", withApps, longPages, func(o *provider.Options) { o.Limits.FactorUser = ratelimit.Limit{Burst: 4, Every: time.Hour} })
	m.client()
	m.user("ada@example.com")
	statuses := []int{}
	for range 3 {
		b := m.browser("ada@example.com")
		b.code(nil)
		p := b.get(m.URL + "/account/authenticator")
		for range 2 {
			statuses = append(statuses, b.submit(p, "authenticator", url.Values{"code": {"x"}}).StatusCode)
		}
	}
	if fmt.Sprint(statuses) != "[422 422 422 422 429 429]" {
		t.Errorf("enrolments are answered by %v", statuses)
	}
	guest := m.browser("")
	m.wants(m.asksForAccount(guest, "/signup", "new@example.com", password), http.StatusOK)
	link := m.link("new@example.com", "signup")
	statuses = nil
	for range 7 {
		statuses = append(statuses, m.browser("").press(link, "confirm", url.Values{"password": {otherPassword}}).StatusCode)
	}
	p := m.browser("").press(link, "confirm", url.Values{"password": {password}})
	if fmt.Sprint(statuses) != "[401 401 401 401 401 429 429]" || p.StatusCode != http.StatusTooManyRequests || p.Header.Get("Retry-After") == "" || m.account("new@example.com") != nil {
		t.Errorf("passwords are answered by %v, then the right one by %d", statuses, p.StatusCode)
	}
	m.wants(guest.press(link, "confirm", nil), http.StatusSeeOther) // who asked for it is not kept from it
}
