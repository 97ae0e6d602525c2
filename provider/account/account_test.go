package account_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/account"
	"gatehouse/provider/activity"
	"gatehouse/provider/audit"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/letter"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/seal"
	"gatehouse/provider/session"
	"gatehouse/provider/ticket"
	"gatehouse/provider/web"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
	"gatehouse/storage/sqlite"
	"gatehouse/storage/sqlite/sqlitetest"
	"gatehouse/templates"
)

const (
	origin = "http://localhost:8080"
	base   = "/op" // the issuer has a path, which every link must carry
	// sessionCookie and langCookie are what browsers call the cookies below that path.
	sessionCookie, langCookie = "gth_sid_4453edd1", "gth_lang_4453edd1"
)

type server struct {
	*testing.T
	store  storage.Store
	memory *memory.Store // the store again, nil on SQL
	mux    *web.Mux
	now    time.Time
	mails  []templates.Mail
	to     []string // the addresses of the mails
	totp   *credential.TOTP
	log    *webtest.Log
	signIn session.Login // how /test signs somebody in
	tokens int           // how many were made
}

// On and Send make the server a mailer.
func (s *server) On() bool { return true }

func (s *server) Send(_ context.Context, to, _ string, m templates.Mail) error {
	s.mails, s.to = append(s.mails, m), append(s.to, to)
	return nil
}

// Feign makes mails that nobody gets.
func (s *server) Feign(context.Context, string, templates.Mail) error { return nil }

// start serves the account page on a store in memory; changes alter its options.
func start(t *testing.T, changes ...func(*account.Options)) *server {
	t.Helper()
	return startOn(t, "memory", changes...)
}

// onEveryStore runs a test on memory and on SQL.
func onEveryStore(t *testing.T, test func(s *server), changes ...func(*account.Options)) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) { test(startOn(t, name, changes...)) })
	}
}

func (s *server) openStore(name string) {
	s.Helper()
	o := storage.Options{Now: s.clock, RevocationTTL: time.Hour}
	switch name {
	case "memory":
		s.memory = memory.New(o)
		s.store = s.memory
		return
	case "postgres":
		db, err := postgres.Open(s.Context(), postgres.Options{URL: postgrestest.StartMigrated(s.T), Options: o, AutoMigrate: true})
		s.must(err)
		s.Cleanup(func() { db.Close() })
		s.store = db
		return
	}
	db, err := sqlite.Open(s.Context(), sqlite.Options{Path: sqlitetest.Migrated(s), Options: o, AutoMigrate: true})
	s.must(err)
	s.Cleanup(func() { _ = db.Close() })
	s.store = db
}

func (s *server) clock() time.Time { return s.now }

func startOn(t *testing.T, name string, changes ...func(*account.Options)) *server {
	t.Helper()
	s := &server{T: t, now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), log: &webtest.Log{}}
	s.openStore(name)
	ring, err := seal.New([][]byte{[]byte("0123456789abcdef0123456789abcdeF")})
	s.must(err)
	pages, err := templates.Load()
	s.must(err)
	s.mux, err = web.New(web.Options{Issuer: origin + base, Templates: pages, CSRFKeys: ring.Derive("csrf", 32), Now: s.clock})
	s.must(err)
	sessions := session.New(session.Options{Store: s.store, Idle: 30 * time.Minute, Absolute: 12 * time.Hour, Remember: 30 * 24 * time.Hour, Now: s.clock})
	log := slog.New(slog.NewJSONHandler(s.log, nil))
	passwords, err := credential.New(credential.Options{Store: s.store, Seal: ring, Cost: 4, MinLength: 15})
	s.must(err)
	s.must(passwords.Load(t.Context()))
	recovery, err := credential.NewRecoveryCodes(t.Context(), s.store, s.store, ring)
	s.must(err)
	passkeys, err := credential.NewPasskeys(t.Context(), credential.PasskeyOptions{Store: s.store, Seal: ring, Issuer: origin + base, Name: "Shop", Now: s.clock})
	s.must(err)
	s.totp = credential.NewTOTP(credential.TOTPOptions{Store: s.store, Seal: ring, Issuer: "Shop", Now: s.clock})
	languages, err := pages.Choices()
	s.must(err)
	tickets := ticket.New(ticket.Options{Store: s.store, Users: s.store, Issuer: origin + base, Now: s.clock})
	o := account.Options{
		Issuer: origin + base, Store: s.store, Sessions: sessions, Flows: interaction.New(interaction.Options{Store: s.store, Now: s.clock}), Clients: s.store, Now: s.clock, Passwords: passwords,
		Offered: &storage.Offered{Password: true, Passkeys: true},
		Factors: account.Factors{TOTP: s.totp, Passkeys: passkeys, Recovery: recovery, Tries: ratelimit.Limit{Burst: 10, Every: time.Minute}}, Languages: languages,
		Tickets:  tickets,
		Activity: activity.New(activity.Options{Store: s.store, Mailer: s, Tickets: tickets, Audit: audit.New(log), Log: log, Now: s.clock}),
		Limiter:  ratelimit.New(ratelimit.Options{Store: s.store, Now: s.clock}), Starts: ratelimit.Limit{Burst: 4, Every: time.Minute},
		Shared: ratelimit.New(ratelimit.Options{Store: s.store, Now: s.clock}),
		SignOut: func(w http.ResponseWriter, r *http.Request) error {
			if _, err := sessions.End(w, r); err != nil {
				return err
			}
			return web.Render(w, r, http.StatusOK, templates.SignedOut{})
		},
	}
	o.Post = letter.New(letter.Options{
		Tickets: ticket.New(ticket.Options{Store: s.store, Users: s.store, Issuer: origin + base, Now: s.clock}), Mailer: s, Limiter: o.Shared, PerAddress: ratelimit.Limit{Burst: 3, Every: 20 * time.Minute},
		PerIP: ratelimit.Limit{Burst: 10, Every: 6 * time.Minute},
	})
	for _, change := range changes {
		change(&o)
	}
	account.New(o).Mount(s.mux)
	s.signIn = session.Login{AMR: []string{"pwd"}, ACR: "1"}
	s.mux.PageNoCSRF("/test", func(w http.ResponseWriter, r *http.Request) error {
		login := s.signIn
		login.Subject = r.URL.Query().Get("subject")
		u, err := s.store.User(r.Context(), login.Subject)
		if err != nil {
			return err
		}
		login.Epoch = u.Epoch
		_, err = sessions.Start(w, r, login)
		return err
	}, nil)
	s.seed()
	return s
}

// seed stores two users, an app, and what belongs to them.
func (s *server) seed() {
	s.Helper()
	ctx := s.Context()
	s.must(s.store.CreateUser(ctx, &storage.User{
		Subject: "alice", Email: "Alice@shop.example", EmailKey: "alice@shop.example", EmailVerified: true, Username: "al", UsernameKey: "al", Claims: map[string]any{"name": "Alice <b>A</b>"},
	}, "bcrypt:not-a-hash-"+secretWord))
	s.must(s.store.CreateUser(ctx, &storage.User{Subject: "bob", Email: "bob@shop.example", EmailKey: "bob@shop.example"}, ""))
	s.must(s.store.CreateClient(ctx, &storage.Client{ID: "shop", Name: "The Shop", AuthMethod: "none", LogoURI: "https://shop.example/l.png"}))
	s.must(s.store.GrantConsent(ctx, &storage.Consent{Subject: "alice", ClientID: "shop", Scopes: []string{"openid", "email"}}))
	s.must(s.store.GrantConsent(ctx, &storage.Consent{Subject: "alice", ClientID: "gone", Scopes: []string{"openid"}}))
	s.must(s.store.GrantConsent(ctx, &storage.Consent{Subject: "bob", ClientID: "shop", Scopes: []string{"openid"}}))
	s.must(s.store.CreateNotice(ctx, &storage.Notice{ID: "n1", Subject: "alice", Kind: "refresh_reuse", ClientID: "shop"}))
	s.must(s.store.CreateNotice(ctx, &storage.Notice{ID: "n2", Subject: "bob", Kind: "refresh_reuse", ClientID: "shop"}))
}

// secretWord stands in whatever must not be shown.
const secretWord = "never-to-be-shown"

func (s *server) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// signedIn returns a browser in which the subject is signed in.
func (s *server) signedIn(subject string) *webtest.Browser {
	s.Helper()
	b := webtest.New(s.mux, origin)
	if p := b.Get(base + "/test?subject=" + subject); p.Status != http.StatusOK || len(b.Cookies) == 0 {
		s.Fatalf("sign-in: %d %s", p.Status, p.Body)
	}
	return b
}

// isIn is 1 if the browser is signed in.
func (s *server) isIn(b *webtest.Browser) int {
	if b.Clone().Get(base+"/account").Status == http.StatusOK {
		return 1
	}
	return 0
}

func (s *server) granted(subject, client string) bool {
	_, err := s.store.Consent(s.Context(), subject, client)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		s.Fatal(err)
	}
	return err == nil
}

func TestAccountShowsWhoIsSignedInAndWhatIsConnected(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	for path, wants := range map[string][]string{
		"/account":      {"Alice@shop.example", "Alice &lt;b&gt;A&lt;/b&gt;", "was used twice"},
		"/account/apps": {"The Shop", base + "/client-logo/shop", "gone"},
	} {
		p := b.Get(base + path)
		if p.Status != http.StatusOK || p.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("Row185 %s: %d, Cache-Control %q", path, p.Status, p.Header.Get("Cache-Control"))
		}
		for _, want := range wants {
			if !strings.Contains(p.Body, want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
		if strings.Contains(p.Body, "bob@shop") || strings.Contains(p.Body, "<b>A</b>") {
			t.Errorf("Row191 %s shows another user, or unescaped text", path)
		}
	}
}

// What is said of second factors holds for bob, too, who has no password; and the buttons name everything that they add.
func TestAdviceIsTrueWithoutAPassword(t *testing.T) {
	s := start(t)
	b := s.signedIn("bob")
	for lang, test := range map[string]struct{ password, add string }{"en": {"password", "Add a passkey or security key"}, "de": {"passwort", "Passkey oder Sicherheitsschlüssel hinzufügen"}} {
		b.Get(base + "/account?lang=" + lang)
		_, advice, _ := strings.Cut(b.Get(base+"/account").Body, `id="advice"`)
		advice, _, more := strings.Cut(advice, "</section>")
		if !more || !strings.Contains(advice, `href="`+base+interaction.ReturnSecurity+`"`) || strings.Contains(strings.ToLower(advice), test.password) {
			t.Errorf("%s: the advice is %q", lang, advice)
		}
		_, factors, _ := strings.Cut(b.Get(base+"/account/security").Body, `id="factors-heading"`)
		factors, _, _ = strings.Cut(factors, "</section>")
		if !strings.Contains(factors, test.add) || strings.Contains(strings.ToLower(factors), test.password) {
			t.Errorf("%s: of second factors is said %q", lang, factors)
		}
		if p := b.Get(base + "/account/passkey"); !strings.Contains(p.Body, "<h1>"+test.add+"</h1>") {
			t.Errorf("%s: %d %q", lang, p.Status, p.Text("main"))
		}
	}
}

func TestRuling57ConnectedAppsAreOpenedWithTheIssuerAlone(t *testing.T) {
	for uri, want := range map[string]string{
		"":                                   "",
		"https://shop.example/login":         "https://shop.example/login?iss=",
		"https://shop.example/login?lang=de": "https://shop.example/login?lang=de&amp;iss=",
		"https://shop.example/login?":        "https://shop.example/login?iss=",
	} {
		s := start(t)
		_, err := s.store.UpdateClient(t.Context(), "shop", func(c *storage.Client) error { c.InitiateLoginURI = uri; return nil })
		s.must(err)
		p := s.signedIn("alice").Get(base + "/account/apps")
		if want != "" {
			want = `href="` + want + url.QueryEscape(origin+base) + `"`
		}
		if opens := strings.Contains(p.Body, ">Open<"); opens != (uri != "") || !strings.Contains(p.Body, want) {
			t.Errorf("initiate_login_uri %q: the page lacks %s", uri, want)
		}
	}
}

func TestRow182WithoutSessionEveryPageLeadsToSignIn(t *testing.T) {
	s := start(t)
	b := webtest.New(s.mux, origin)
	p := b.Get(base + "/account")
	if p.Status != http.StatusSeeOther || !strings.HasPrefix(strings.TrimPrefix(p.Location(), origin), base+"/login?interaction=") {
		t.Fatalf("%d to %q", p.Status, p.Location())
	}
	if p := b.Get(base + "/"); p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), base+"/account") {
		t.Errorf("home: %d to %q", p.Status, p.Location())
	}
	u, err := url.Parse(p.Location())
	s.must(err)
	flow, err := s.store.Interaction(t.Context(), u.Query().Get("interaction"))
	s.must(err)
	if flow.Kind != storage.InteractionAccount || flow.ReturnTo != interaction.ReturnAccount || flow.Binder == "" {
		t.Errorf("interaction %+v", flow)
	}
}

func TestRow182EndedSessionsOpenNothing(t *testing.T) {
	for name, end := range map[string]func(s *server){
		"idle":     func(s *server) { s.now = s.now.Add(31 * time.Minute) },
		"absolute": func(s *server) { s.now = s.now.Add(13 * time.Hour) },
		"disabled": func(s *server) {
			_, err := s.store.UpdateUser(s.Context(), "alice", func(u *storage.User) error { u.Disabled = true; return nil })
			s.must(err)
		},
		"deleted": func(s *server) { s.must(s.store.DeleteUser(s.Context(), "alice")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			b := s.signedIn("alice")
			end(s)
			if p := b.Get(base + "/account"); p.Status != http.StatusSeeOther {
				t.Errorf("status %d", p.Status)
			}
		})
	}
}

func TestRow168SignInStartsAreLimited(t *testing.T) {
	s := start(t)
	b := webtest.New(s.mux, origin)
	for range 4 {
		b.Get(base + "/account")
	}
	if p := b.Get(base + "/account"); p.Status != http.StatusTooManyRequests || p.Header.Get("Retry-After") == "" || !strings.Contains(p.Body, "Try again in ") {
		t.Errorf("status %d, Retry-After %q: %s", p.Status, p.Header.Get("Retry-After"), p.Body)
	}
	b.Peer = "198.51.100.1:1"
	if p := b.Get(base + "/account"); p.Status != http.StatusSeeOther {
		t.Errorf("another address: %d", p.Status)
	}
}

func TestSignOutEndsTheSession(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	stolen := b.Clone()
	p := b.Submit(b.Get(base+"/account"), "logout", nil)
	if p.Status != http.StatusOK || !strings.Contains(p.Body, "signed out") {
		t.Fatalf("%d %s", p.Status, p.Body)
	}
	if _, kept := b.Cookies[sessionCookie]; kept {
		t.Error("the browser keeps the cookie")
	}
	if p := stolen.Get(base + "/account"); p.Status != http.StatusSeeOther {
		t.Errorf("Row182 a copy of the cookie still works: %d", p.Status)
	}
}

func TestSignOutTwiceIsNoError(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	form := b.Get(base + "/account")
	sessions, err := s.store.SessionsOf(t.Context(), "alice")
	s.must(err)
	s.must(s.store.EndSession(t.Context(), sessions[0].ID))
	if p := b.Submit(form, "logout", nil); p.Status != http.StatusOK {
		t.Errorf("status %d", p.Status)
	}
}

func TestDisconnectTakesBackOneAppOfOneUser(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	for _, form := range b.Get(base + "/account/apps").Forms(base + "/account/disconnect") {
		if form.Fields.Get("client_id") != "shop" {
			continue
		}
		if p := b.SubmitForm(form, nil); p.Status != http.StatusSeeOther || !strings.Contains(p.Location(), base+"/account/apps") {
			t.Fatalf("%d to %q", p.Status, p.Location())
		}
	}
	if s.granted("alice", "shop") || !s.granted("alice", "gone") || !s.granted("bob", "shop") {
		t.Error("disconnecting must take back this app for this user and nothing else")
	}
	revoked, err := s.store.Revocations(t.Context(), 0)
	s.must(err)
	if len(revoked) != 1 || revoked[0].Kind != storage.RevokeSubjectClient || revoked[0].ID != storage.SubjectClient("alice", "shop") {
		t.Errorf("revocations %+v", revoked)
	}
}

func TestDisconnectRefusesWhatIsNoClient(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	form := b.Get(base + "/account/apps").Forms(base + "/account/disconnect")[0]
	for _, id := range []string{"", "shop\nx", "a\x00b"} {
		if p := b.SubmitForm(form, url.Values{"client_id": {id}}); p.Status != http.StatusBadRequest {
			t.Errorf("client_id %q: %d", id, p.Status)
		}
	}
	if !s.granted("alice", "shop") {
		t.Error("something was taken back")
	}
}

func TestRow166NoticesAreDismissedByTheirOwnerOnly(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	form := b.Get(base + "/account").Forms(base + "/account/dismiss")[0]
	if p := b.SubmitForm(form, url.Values{"notice": {"n2"}}); p.Status != http.StatusSeeOther {
		t.Errorf("status %d", p.Status)
	}
	if left, err := s.store.Notices(t.Context(), "bob"); err != nil || len(left) != 1 {
		t.Errorf("alice dismissed bob's notice: %v, %v", left, err)
	}
	b.SubmitForm(form, nil)
	if left, err := s.store.Notices(t.Context(), "alice"); err != nil || len(left) != 0 {
		t.Errorf("the notice stayed: %v, %v", left, err)
	}
}

func TestStorageFailureIs503AndTheSessionStays(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	page := b.Get(base + "/account")
	s.memory.Fault = func(op string) error {
		if op == "EndSession" {
			return errors.New("disk full")
		}
		return nil
	}
	p := b.Submit(page, "logout", nil)
	s.memory.Fault = nil
	if p.Status != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" {
		t.Errorf("Row55 status %d: a sign-out that did not happen must not look like one", p.Status)
	}
}

func TestUnknownKindOfNoticeIsLeftOut(t *testing.T) {
	s := start(t)
	s.must(s.store.CreateNotice(t.Context(), &storage.Notice{ID: "n3", Subject: "alice", Kind: "of_the_future", ClientID: "shop"}))
	if n := len(s.signedIn("alice").Get(base + "/account").Forms(base + "/account/dismiss")); n != 1 {
		t.Errorf("%d notices are shown", n)
	}
}
