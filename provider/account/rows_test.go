package account_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/account"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/interaction"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// posts are all routes that act, with a form that would do something for alice. The pages that forms stand on are read by GET.
var posts = map[string]url.Values{
	"/account/sign-out": {}, "/account/disconnect": {"client_id": {"shop"}}, "/account/dismiss": {"notice": {"n1"}}, "/account/profile": {"name": {"Mallory"}}, "/account/email": {"email": {"eve@evil.example"}}, "/account/email/cancel": {},
	"/account/password": {"password": {"a sentence for mallory"}, "repeat": {"a sentence for mallory"}}, "/account/devices/forget": {"device": {"d-alice"}},
	"/account/factor/rename": {"factor": {"f-alice"}, "name": {"Mallory"}}, "/account/factor/remove": {"factor": {"f-alice"}}, "/account/authenticator": {"code": {"123456"}}, "/account/passkey": {"response": {"{}"}},
	"/account/recovery-codes": {}, "/account/recovery-codes/download": {"codes": {"aaaa-bbbb-cccc-dddd"}}, "/account/sessions/end": {"scope": {"all"}}, "/account/data/download": {}, "/account/delete": {"confirm": {"al"}},
}

// pages are all that is read.
var pages = []string{
	"/account", "/account/profile", "/account/security", "/account/password", "/account/authenticator", "/account/passkey", "/account/recovery-codes", "/account/sessions", "/account/activity", "/account/apps", "/account/data",
}

// strong makes the sign-ins of /test ones with a second factor.
func (s *server) strong() { s.signIn.AMR, s.signIn.ACR = []string{"pwd", "otp", "mfa"}, "2" }

// owned gives both users a factor, a trusted device and an address that waits for its link.
func (s *server) owned() {
	s.Helper()
	for _, subject := range []string{"alice", "bob"} {
		s.must(s.store.CreateFactor(s.Context(), &storage.Factor{ID: "f-" + subject, Subject: subject, Kind: storage.FactorPasskey, Name: "Key of " + subject, CredentialID: "c-" + subject, Data: []byte(`{}`), Created: s.now}, 0))
		s.must(s.store.CreateDevice(s.Context(), &storage.Device{ID: "d-" + subject, Subject: subject, CookieHash: "h-" + subject + secretWord, Epoch: s.user(subject).Epoch, Created: s.now, LastUsed: s.now, Expires: s.now.Add(time.Hour)}))
		s.must(s.store.CreateTicket(s.Context(), &storage.Ticket{Signature: "t-" + subject, Kind: storage.TicketEmail, Subject: subject, Email: "new@" + subject + ".example", EmailKey: "new@" + subject + ".example",
			Epoch: s.user(subject).Epoch, Created: s.now, Expires: s.now.Add(time.Hour)}))
	}
}

func (s *server) user(subject string) *storage.User {
	s.Helper()
	u, err := s.store.User(s.Context(), subject)
	s.must(err)
	return u
}

// state is everything of a user that a form could change, as text.
func (s *server) state(subject string) string {
	s.Helper()
	ctx := s.Context()
	var all []any
	add := func(v any, err error) {
		s.Helper()
		s.must(err)
		all = append(all, v)
	}
	u, err := s.store.User(ctx, subject)
	add(u, err)
	factors, err := s.store.FactorsOf(ctx, subject)
	add(factors, err)
	codes, err := s.store.RecoveryCodes(ctx, subject)
	add(codes, err)
	devices, err := s.store.DevicesOf(ctx, subject)
	add(devices, err)
	consents, err := s.store.ConsentsOf(ctx, subject)
	add(consents, err)
	notices, err := s.store.Notices(ctx, subject)
	add(notices, err)
	if pending, err := s.store.TicketOf(ctx, subject, storage.TicketEmail); !errors.Is(err, storage.ErrNotFound) {
		add(pending, err)
	}
	sessions, err := s.store.SessionsOf(ctx, subject)
	for _, row := range sessions {
		row.LastSeen = time.Time{}
	}
	add(len(sessions), err)
	text, err := json.Marshal(all)
	s.must(err)
	return string(text)
}

// token is a synchroniser token of the browser's session.
func token(b *webtest.Browser) string {
	return b.Get(base + "/account").Form("logout").Fields.Get("csrf")
}

func with(fields url.Values, more ...string) url.Values {
	fields = maps.Clone(fields)
	for i := 0; i < len(more); i += 2 {
		fields.Set(more[i], more[i+1])
	}
	return fields
}

func TestRow181EveryAccountFormNeedsBothProtections(t *testing.T) {
	onEveryStore(t, func(s *server) {
		s.owned()
		s.strong()
		own, other := s.signedIn("alice"), s.signedIn("bob")
		foreign := token(other)
		before := s.state("alice")
		attacks := map[string]func(b *webtest.Browser, f url.Values){
			"no token": func(_ *webtest.Browser, f url.Values) { f.Del("csrf") },
			"cross-site": func(b *webtest.Browser, _ url.Values) {
				b.Header["Sec-Fetch-Site"], b.Header["Origin"] = []string{"cross-site"}, []string{"https://evil.example"}
			},
			"sub-domain": func(b *webtest.Browser, _ url.Values) {
				b.Header["Sec-Fetch-Site"], b.Header["Origin"] = []string{"same-site"}, []string{"http://evil.localhost:8080"}
			},
			"null origin": func(b *webtest.Browser, _ url.Values) {
				b.Header["Sec-Fetch-Site"], b.Header["Origin"] = nil, []string{"null"}
			},
			"token of another session": func(_ *webtest.Browser, f url.Values) { f.Set("csrf", foreign) },
		}
		for path, fields := range posts {
			for name, attack := range attacks {
				b := own.Clone()
				sent := with(fields, "csrf", token(own))
				attack(b, sent)
				if p := b.Post(base+path, sent); p.Status != http.StatusForbidden {
					s.Errorf("%s, %s: %d", path, name, p.Status)
				}
			}
			get := own.Clone().Get(base + path + "?" + fields.Encode())
			if shown := slices.Contains(pages, path); shown && get.Status != http.StatusOK || !shown && get.Status != http.StatusMethodNotAllowed {
				s.Errorf("GET %s: %d", path, get.Status)
			}
		}
		if after := s.state("alice"); after != before {
			s.Errorf("something changed:\n%s\n%s", before, after)
		}
	})
}

func TestRow185EverythingSignedInIsNoStore(t *testing.T) {
	s := start(t)
	s.owned() // recovery codes take a factor
	s.strong()
	b := s.signedIn("alice")
	for _, path := range pages {
		p := b.Get(base + path)
		if p.Status != http.StatusOK || p.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("GET %s: %d, Cache-Control %q", path, p.Status, p.Header.Get("Cache-Control"))
		}
		if p := b.Get(base + path + "/x.css"); p.Status != http.StatusNotFound {
			t.Errorf("GET %s/x.css: %d", path, p.Status)
		}
	}
	for path, fields := range posts {
		s := start(t)
		b := s.signedIn("alice")
		if p := b.Post(base+path, with(fields, "csrf", token(b))); p.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("POST %s: %d, Cache-Control %q", path, p.Status, p.Header.Get("Cache-Control"))
		}
	}
}

// sensitive are the routes that want a fresh sign-in, and where a new one leads.
var sensitive = map[string]string{
	"/account/email": "/account/profile", "/account/email/cancel": "/account/profile", "/account/password": "/account/password", "/account/factor/rename": "/account/security", "/account/factor/remove": "/account/security",
	"/account/authenticator": "/account/authenticator", "/account/passkey": "/account/passkey", "/account/recovery-codes": "/account/recovery-codes", "/account/data/download": "/account/data",
	"/account/delete": "/account/data",
}

// wantsSignIn checks that a request was sent to sign in again and will come back to place.
func (s *server) wantsSignIn(p *webtest.Page, what, place string) {
	s.Helper()
	at, err := url.Parse(p.Location())
	s.must(err)
	if p.Status != http.StatusSeeOther || !strings.HasSuffix(at.Path, base+"/login") {
		s.Errorf("%s: %d to %q", what, p.Status, p.Location())
		return
	}
	flow, err := s.store.Interaction(s.Context(), at.Query().Get("interaction"))
	s.must(err)
	if sent := strings.HasPrefix(what, "POST"); (flow.Params.Get(interaction.ParamUndone) != "") != sent {
		s.Errorf("%s: the page afterwards says that nothing was done: %t", what, !sent)
	}
	if flow.Kind != storage.InteractionAccount || flow.Params.Get("prompt") != "login" || flow.ReturnTo != place {
		s.Errorf("%s: %+v", what, flow)
	}
}

func TestRow157ChangesOfTheWaysInNeedAFreshSignIn(t *testing.T) {
	onEveryStore(t, func(s *server) {
		s.owned()
		s.strong()
		b := s.signedIn("alice")
		s.now = s.now.Add(5*time.Minute + time.Second)
		csrf, before := token(b), s.state("alice")
		for path, place := range sensitive {
			s.wantsSignIn(b.Clone().Post(base+path, with(posts[path], "csrf", csrf)), "POST "+path, place)
			if slices.Contains(pages, path) {
				s.wantsSignIn(b.Clone().Get(base+path), "GET "+path, place)
			}
		}
		if after := s.state("alice"); after != before {
			s.Errorf("something changed:\n%s\n%s", before, after)
		}
	}, unlimited)
}

func unlimited(o *account.Options) { o.Limiter = nil }

func TestRow157APasswordAloneEnrolsNothingBesideAFactor(t *testing.T) {
	onEveryStore(t, func(s *server) {
		s.owned()
		b := s.signedIn("alice") // just now, but with the password alone: a trusted device, or a session from before the factor
		csrf, before := token(b), s.state("alice")
		for path, place := range sensitive {
			s.wantsSignIn(b.Clone().Post(base+path, with(posts[path], "csrf", csrf)), "POST "+path, place)
		}
		if after := s.state("alice"); after != before {
			s.Errorf("something changed:\n%s\n%s", before, after)
		}
	}, unlimited)
}

func TestRow157TheLastFactorStaysWherePolicyWantsOne(t *testing.T) {
	onEveryStore(t, func(s *server) {
		s.owned()
		s.strong()
		b := s.signedIn("alice")
		p := b.Post(base+"/account/factor/remove", url.Values{"factor": {"f-alice"}, "csrf": {token(b)}})
		if factors, err := s.store.FactorsOf(s.Context(), "alice"); p.Status != http.StatusConflict || !strings.Contains(p.Text("error"), "required") || err != nil || len(factors) != 1 {
			s.Errorf("%d %s, %v %v", p.Status, p.Text("error"), factors, err)
		}
	}, func(o *account.Options) { o.Factors.Required = true })
}

func TestRow157RemovingAFactorIsTold(t *testing.T) {
	onEveryStore(t, func(s *server) {
		s.owned()
		s.strong()
		b := s.signedIn("alice")
		stolen := b.Clone()
		p := b.Post(base+"/account/factor/remove", url.Values{"factor": {"f-alice"}, "csrf": {token(b)}})
		if factors, err := s.store.FactorsOf(s.Context(), "alice"); p.Status != http.StatusSeeOther || err != nil || len(factors) != 0 {
			s.Fatalf("%d, %v %v", p.Status, factors, err)
		}
		if len(s.mails) != 1 || s.mails[0].Kind != "factor_removed" || s.to[0] != "alice@shop.example" || s.mails[0].Detail != "Key of alice" {
			s.Errorf("mails %+v to %v", s.mails, s.to)
		}
		if stolen.Get(base+"/account").Status != http.StatusSeeOther || b.Get(base+"/account").Status != http.StatusOK {
			s.Error("Row179 the cookie is the same as before")
		}
	})
}

func TestRow166IDsOfOthersAre404(t *testing.T) {
	onEveryStore(t, func(s *server) {
		s.owned()
		s.strong()
		b, other := s.signedIn("alice"), s.signedIn("bob")
		sessions, err := s.store.SessionsOf(s.Context(), "bob")
		s.must(err)
		s.must(s.store.GrantConsent(s.Context(), &storage.Consent{Subject: "bob", ClientID: "only-bob", Scopes: []string{"openid"}}))
		before := s.state("bob")
		for path, fields := range map[string]url.Values{
			"/account/factor/rename": {"factor": {"f-bob"}, "name": {"x"}}, "/account/factor/remove": {"factor": {"f-bob"}}, "/account/devices/forget": {"device": {"d-bob"}},
			"/account/sessions/end": {"session": {sessions[0].ID}}, "/account/disconnect": {"client_id": {"only-bob"}},
		} {
			for _, change := range []func(url.Values){func(url.Values) {}, func(f url.Values) { // what is nobody's looks the same
				for name := range f {
					f.Set(name, "nobody")
				}
			}} {
				sent := maps.Clone(fields)
				change(sent)
				if p := b.Post(base+path, with(sent, "csrf", token(b))); p.Status != http.StatusNotFound {
					s.Errorf("%s %v: %d", path, sent, p.Status)
				}
			}
		}
		if after := s.state("bob"); after != before || other.Get(base+"/account").Status != http.StatusOK {
			s.Errorf("something of bob's changed:\n%s\n%s", before, after)
		}
	})
}

func TestRow179NewPasswordEndsEverySessionAndGivesThisBrowserANewOne(t *testing.T) {
	onEveryStore(t, func(s *server) {
		b, other := s.signedIn("alice"), s.signedIn("alice")
		stolen := b.Clone()
		old, err := s.store.SessionsOf(s.Context(), "alice")
		s.must(err)
		p := b.Submit(b.Get(base+"/account/password"), "password-form", url.Values{"password": {"three unrelated words"}, "repeat": {"three unrelated words"}})
		if p.Status != http.StatusSeeOther || !strings.Contains(p.Location(), "/account/security?done=password") {
			s.Fatalf("%d to %q: %s", p.Status, p.Location(), p.Text("error"))
		}
		for name, gone := range map[string]*webtest.Browser{"a copy of the cookie": stolen, "another device": other} {
			if gone.Get(base+"/account").Status != http.StatusSeeOther {
				s.Errorf("Row51 %s is signed in still", name)
			}
		}
		if b.Get(base+"/account/security?done=password").Text("done") == "" {
			s.Error("this browser is signed out")
		}
		rows, err := s.store.SessionsOf(s.Context(), "alice")
		s.must(err)
		if len(rows) != 1 || slices.ContainsFunc(old, func(o *storage.Session) bool { return o.ID == rows[0].ID }) || !slices.Equal(rows[0].AMR, []string{"pwd"}) {
			s.Errorf("sessions %+v", rows)
		}
		if len(s.mails) != 1 || s.mails[0].Kind != "password_changed" || !strings.HasPrefix(s.mails[0].Link, origin+base+"/recovery/not-me?token=gth_lk_") {
			s.Errorf("mails %+v", s.mails)
		}
		if strings.Contains(s.log.String(), "unrelated") || strings.Contains(s.log.String(), "gth_lk_") {
			s.Error("Row192 the log holds the password or the link")
		}
	})
}

func TestRow140WeakPasswordsAreRefusedWithAReason(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	page := b.Get(base + "/account/password")
	before := s.state("alice")
	for password, repeat := range map[string]string{
		"xyzzy plugh": "xyzzy plugh", "": "", "alice shop alice shop al": "alice shop alice shop al", "passwordpassword1": "passwordpassword1", "three unrelated words": "three unrelated word",
	} {
		if p := b.Submit(page, "password-form", url.Values{"password": {password}, "repeat": {repeat}}); p.Status != http.StatusUnprocessableEntity || p.Text("error") == "" || strings.Contains(p.Body, password) && password != "" {
			t.Errorf("%.30q: %d %s", password, p.Status, p.Text("error"))
		}
	}
	if s.state("alice") != before {
		t.Error("something changed")
	}
}

// Row 155: codes of an app that is being added can be guessed no faster than others, and whoever mistypes them is told when to go on.
func TestRow155CodesOfANewAppAreLimited(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	page := b.Get(base + "/account/authenticator")
	for range 10 {
		if p := b.Submit(page, "authenticator", url.Values{"code": {"000000"}}); p.Status != http.StatusUnprocessableEntity {
			t.Fatalf("a wrong code: %d", p.Status)
		}
	}
	app := credentialtest.App{Secret: page.Text("secret")}
	p := b.Submit(page, "authenticator", url.Values{"code": {app.Code(s.now)}})
	if p.Status != http.StatusTooManyRequests || p.Header.Get("Retry-After") != "60" || !strings.Contains(p.Body, "Too many codes were tried. Try again in a minute.") {
		t.Errorf("%d, Retry-After %q: %s", p.Status, p.Header.Get("Retry-After"), p.Body)
	}
}

func TestRow179EnrollingAnAppMakesTheSessionStrongAndShowsCodesOnce(t *testing.T) {
	onEveryStore(t, func(s *server) {
		b := s.signedIn("alice")
		stolen := b.Clone()
		page := b.Get(base + "/account/authenticator")
		app := credentialtest.App{Secret: page.Text("secret")}
		if p := b.Submit(page, "authenticator", url.Values{"code": {"000000"}}); p.Status != http.StatusUnprocessableEntity || p.Text("secret") != app.Secret {
			s.Fatalf("a wrong code: %d, secret %q instead of %q", p.Status, p.Text("secret"), app.Secret)
		}
		p := b.Submit(page, "authenticator", url.Values{"code": {app.Code(s.now)}, "name": {"  Blue <b> phone "}})
		codes := strings.Fields(p.Text("codes"))
		if p.Status != http.StatusOK || len(codes) != 10 {
			s.Fatalf("%d, codes %v: %s", p.Status, codes, p.Text("error"))
		}
		if stolen.Get(base+"/account").Status != http.StatusSeeOther {
			s.Error("Row179 the old cookie works")
		}
		factors, err := s.store.FactorsOf(s.Context(), "alice")
		s.must(err)
		rows, err := s.store.SessionsOf(s.Context(), "alice")
		s.must(err)
		if len(factors) != 1 || factors[0].Name != "Blue <b> phone" || len(rows) != 1 || rows[0].ACR != "2" || !slices.Equal(rows[0].AMR, []string{"pwd", "otp", "mfa"}) {
			s.Errorf("factors %+v, sessions %+v", factors, rows)
		}
		file := b.Submit(p, "codes-file", nil)
		if file.Status != http.StatusOK || !strings.HasPrefix(file.Header.Get("Content-Disposition"), "attachment") || file.Header.Get("Cache-Control") != "no-store" || !strings.Contains(file.Body, codes[9]) {
			s.Errorf("file: %d %v %s", file.Status, file.Header, file.Body)
		}
		if again := b.Get(base + "/account/recovery-codes"); strings.Contains(again.Body, codes[0]) {
			s.Error("the codes are shown twice")
		}
		if p := b.Submit(page, "authenticator", url.Values{"code": {app.Code(s.now)}, "csrf": {token(b)}}); p.Status != http.StatusUnprocessableEntity {
			s.Errorf("an enrolment works twice: %d", p.Status)
		}
		if s.mails[0].Kind != "factor_added" || strings.Contains(s.log.String(), codes[0]) || strings.Contains(s.log.String(), strings.ReplaceAll(app.Secret, " ", "")) {
			s.Errorf("mails %+v, or the log holds a secret", s.mails)
		}
	})
}

func TestRecoveryCodesFileHoldsCodesAndNothingElse(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	for _, codes := range []string{"", "hello", "<script>alert(1)</script>", strings.Repeat("aaaa-bbbb-cccc-dddd ", 21), "aaaa-bbbb-cccc-dddd http://evil.example/"} {
		if p := b.Post(base+"/account/recovery-codes/download", url.Values{"codes": {codes}, "csrf": {token(b)}}); p.Status != http.StatusBadRequest {
			t.Errorf("%.40q: %d", codes, p.Status)
		}
	}
}

func TestRow158NewCodesReplaceTheOldOnes(t *testing.T) {
	onEveryStore(t, func(s *server) {
		s.owned()
		s.strong()
		b := s.signedIn("alice")
		first := strings.Fields(b.Submit(b.Get(base+"/account/recovery-codes"), "codes-new", nil).Text("codes"))
		second := strings.Fields(b.Submit(b.Get(base+"/account/recovery-codes"), "codes-new", nil).Text("codes"))
		left, err := s.store.RecoveryCodes(s.Context(), "alice")
		s.must(err)
		if len(first) != 10 || len(second) != 10 || left != 10 || slices.ContainsFunc(first, func(c string) bool { return slices.Contains(second, c) }) {
			s.Errorf("%v, then %v, %d left", first, second, left)
		}
	})
}

func TestPasskeyIsAddedOnce(t *testing.T) {
	onEveryStore(t, func(s *server) {
		b := s.signedIn("alice")
		key := credentialtest.New(s.T, origin)
		page := b.Get(base + "/account/passkey")
		form := page.Form("passkey")
		answer := key.Create(json.RawMessage(page.Attribute("passkey", "data-options")))
		sent := url.Values{"response": {answer}, "name": {"Blue key"}}
		if p := b.SubmitForm(form, sent); p.Status != http.StatusOK || len(strings.Fields(p.Text("codes"))) != 10 {
			s.Fatalf("%d %s", p.Status, p.Text("error"))
		}
		sent.Set("csrf", token(b))
		if p := b.SubmitForm(form, sent); p.Status != http.StatusUnprocessableEntity {
			s.Errorf("the same answer again: %d", p.Status)
		}
		if factors, err := s.store.FactorsOf(s.Context(), "alice"); err != nil || len(factors) != 1 || factors[0].Name != "Blue key" {
			s.Errorf("%+v %v", factors, err)
		}
	})
}
