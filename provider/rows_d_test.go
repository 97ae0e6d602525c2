package provider_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/grant"
	"gatehouse/provider/keys/keystest"
	"gatehouse/provider/opaque"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
	"gatehouse/storage/memory"
)

// Section D of the attack list, first half: refresh tokens.

// faults makes operations of a memory store fail, and remembers which ones were asked for.
type faults struct {
	mu   sync.Mutex
	down func(op string) bool
	ops  []string
}

func (f *faults) fault(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops = append(f.ops, op)
	if f.down != nil && f.down(op) {
		return errors.New("the database is down")
	}
	return nil
}

// Down makes the named operations fail, or all if none is named.
func (f *faults) Down(ops ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = func(op string) bool { return len(ops) == 0 || slices.Contains(ops, op) }
}

// Up repairs the store.
func (f *faults) Up() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = nil
}

// During returns the operations that were asked for while fn ran, without those that serve the copies of the process.
func (f *faults) During(fn func()) []string {
	f.mu.Lock()
	f.ops = nil
	f.mu.Unlock()
	fn()
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.ops), func(op string) bool {
		return slices.Contains([]string{"Changes", "Purge", "SigningKeys", "Revocations", "Client", "ClientUpdated"}, op)
	})
}

// startFaulty boots a server on a memory store that can be made to fail.
func startFaulty(t *testing.T, changes ...func(*provider.Options)) (*server, *faults) {
	t.Helper()
	f := &faults{}
	s := &server{T: t, Log: &webtest.Log{}, Clock: &webtest.Clock{}, rsa: keystest.RSA()}
	store := memory.New(storage.Options{Now: s.Clock.Now, RevocationTTL: provider.RevocationTTL(testTokens, nil)})
	store.Fault = f.fault
	s.Store = store
	s.boot(changes...)
	return s, f
}

// node boots a second process of the same issuer on the same store.
func (s *server) node(changes ...func(*provider.Options)) *server {
	s.Helper()
	second := *s
	second.boot(append([]func(*provider.Options){func(o *provider.Options) { o.Issuer = s.URL }}, changes...)...)
	return &second
}

// advance moves the clock and waits until the server has compared its copies with the store again: to it the time without news has passed too.
func (s *server) advance(d time.Duration) {
	s.Helper()
	s.Clock.Advance(d)
	s.within(5*time.Second, "the copies are current", func() bool { return s.Provider.Ready(context.Background()) == nil })
}

// within waits until a condition holds that another process, or a background job, brings about.
func (s *server) within(limit time.Duration, what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.Errorf("not within %v: %s", limit, what)
			return
		}
	}
}

// active tells what introspection says of an access token, as client "app".
func (s *server) active(token string) bool {
	s.Helper()
	a := s.introspect(token)
	if a.Status != http.StatusOK {
		s.Fatalf("introspection: %d %s", a.Status, a.Raw)
	}
	return a.JSON["active"] == true
}

// wantDead demands that a grant is over: refresh token, access token, userinfo.
func (s *server) wantDead(refresh, access string, changes ...func(*http.Request)) {
	s.Helper()
	if refresh != "" {
		s.wantError(s.refresh(refresh, changes...), http.StatusBadRequest, "invalid_grant")
	}
	if info := s.userinfo(access); info.Status != http.StatusUnauthorized {
		s.Errorf("userinfo with an access token of a dead grant: %d %s", info.Status, info.Raw)
	}
}

// wantNoSecrets demands that nothing of a list of secrets is in the log.
func (s *server) wantNoSecrets(secrets ...string) {
	s.Helper()
	log := s.Log.String()
	for _, secret := range append(secrets, clientSecret, password) {
		if secret != "" && strings.Contains(log, secret) {
			s.Errorf("the log holds %.12s...", secret)
		}
	}
}

// public turns a client into one without credentials.
func public(c *storage.Client) { c.AuthMethod = "none" }

// byID names a public client in the body.
func byID(id string) func(*http.Request) {
	return func(r *http.Request) { noBasic(r); addForm(r, url.Values{"client_id": {id}}) }
}

// refreshWith uses a refresh token with further parameters.
func (s *server) refreshWith(token string, more url.Values, changes ...func(*http.Request)) answer {
	s.Helper()
	values := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for name, value := range more {
		values[name] = value
	}
	return s.post("/oauth2/token", values, changes...)
}

func (s *server) wantOK(a answer) answer {
	s.Helper()
	if a.Status != http.StatusOK {
		s.Fatalf("got %d %s, want 200", a.Status, a.Raw)
	}
	return a
}

func TestRow46RefreshReuseKillsTheGrant(t *testing.T) {
	for _, test := range []struct {
		name   string
		client func(*storage.Client)
		auth   []func(*http.Request)
		reuse  func(s *server, first answer, auth ...func(*http.Request))
	}{
		{"row 46 after the window", nil, nil, func(s *server, first answer, auth ...func(*http.Request)) { s.advance(61 * time.Second) }},
		{"row 46 within the window, successor used", nil, nil, func(s *server, first answer, auth ...func(*http.Request)) {
			s.wantOK(s.refresh(s.wantOK(s.refresh(first.Str("refresh_token"), auth...)).Str("refresh_token"), auth...))
		}},
		{"row 46 days later", nil, nil, func(s *server, first answer, auth ...func(*http.Request)) { s.advance(13 * 24 * time.Hour) }},
		{"row 46 public client", public, []func(*http.Request){byID("app")}, func(s *server, first answer, auth ...func(*http.Request)) { s.advance(61 * time.Second) }},
		{"row 46 repeats do not lengthen the window", nil, nil, func(s *server, first answer, auth ...func(*http.Request)) {
			s.advance(40 * time.Second)
			s.wantOK(s.refresh(first.Str("refresh_token"), auth...))
			s.advance(25 * time.Second)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "memory")
			if test.client == nil {
				test.client = func(*storage.Client) {}
			}
			s.client(test.client)
			s.user("ada@example.com")
			b := s.browser("ada@example.com")
			first := s.wantOK(s.redeem(b.code(nil), test.auth...))
			second := s.wantOK(s.refresh(first.Str("refresh_token"), test.auth...))
			test.reuse(s, first, test.auth...)

			s.wantError(s.refresh(first.Str("refresh_token"), test.auth...), http.StatusBadRequest, "invalid_grant")
			s.wantDead(second.Str("refresh_token"), second.Str("access_token"), test.auth...)
			s.wantDead("", first.Str("access_token"))
			if log := s.Log.String(); !strings.Contains(log, "refresh.reused") || !strings.Contains(log, "grant revoked") {
				t.Error("no audit line says that a refresh token was reused")
			}
			if p := b.walk(s.URL + "/account"); !strings.Contains(p.Body, "A sign-in of Example App was used twice") {
				t.Errorf("the user is not told: %s", p.Body)
			}
			s.wantNoSecrets(first.Str("refresh_token"), second.Str("refresh_token"), first.Str("access_token"), second.Str("access_token"), first.Str("id_token"))
		})
	}
}

// T11: an agent that lost the answer gets the same refresh token again, and nothing is written for it.
func TestT11RefreshWindowGivesTheSameSuccessor(t *testing.T) {
	t.Parallel()
	s, f := startFaulty(t)
	s.client()
	s.user("ada@example.com")
	first := s.tokens(nil)
	second := s.wantOK(s.refresh(first.Str("refresh_token")))
	s.advance(59 * time.Second)
	var third answer
	ops := f.During(func() { third = s.wantOK(s.refresh(first.Str("refresh_token"))) })
	if third.Str("refresh_token") != second.Str("refresh_token") {
		t.Error("the repeat within the window has another successor")
	}
	if third.Str("access_token") == second.Str("access_token") || third.Str("id_token") == second.Str("id_token") || third.Str("id_token") == "" {
		t.Error("the repeat must bring fresh access and ID tokens")
	}
	if !slices.Equal(ops, []string{"Token", "Token"}) {
		t.Errorf("the repeat did %v, want two reads and no write", ops)
	}
	if !s.active(third.Str("access_token")) || !s.active(second.Str("access_token")) {
		t.Error("access tokens of the window are not active")
	}
	// The window belongs to the client that used the token.
	s.client(func(c *storage.Client) { c.ID = "other" })
	s.wantError(s.refresh(first.Str("refresh_token"), as("other", clientSecret)), http.StatusBadRequest, "invalid_grant")
	s.wantOK(s.refresh(second.Str("refresh_token")))
	if strings.Contains(s.Log.String(), "refresh.reused") {
		t.Error("an innocent repeat was taken for a theft")
	}
}

func TestT11WindowCanBeOff(t *testing.T) {
	t.Parallel()
	s := start(t, "memory", func(o *provider.Options) { o.Tokens.RefreshGrace = 0 })
	s.client()
	s.user("ada@example.com")
	first := s.tokens(nil)
	second := s.wantOK(s.refresh(first.Str("refresh_token")))
	s.wantError(s.refresh(first.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
	s.wantDead(second.Str("refresh_token"), second.Str("access_token"))
}

func TestRow47ParallelRefreshesOnTwoNodesMakeOneLineage(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		s.user("ada@example.com")
		other := s.node()
		first := s.tokens(nil)
		answers := make([]answer, 100)
		var wait sync.WaitGroup
		for i := range answers {
			wait.Go(func() {
				if i%2 == 0 {
					answers[i] = s.refresh(first.Str("refresh_token"))
				} else {
					answers[i] = other.refresh(first.Str("refresh_token"))
				}
			})
		}
		wait.Wait()
		successor := answers[0].Str("refresh_token")
		for i, a := range answers {
			if a.Status != http.StatusOK || a.Str("refresh_token") != successor || a.Str("access_token") == "" {
				s.Fatalf("answer %d: %d %s", i, a.Status, a.Raw)
			}
		}
		if successor == "" || successor == first.Str("refresh_token") {
			s.Fatal("the token did not rotate")
		}
		next := s.wantOK(other.refresh(successor))
		if !s.active(next.Str("access_token")) || strings.Contains(s.Log.String(), "refresh.reused") {
			s.Error("a client that raced itself lost its grant")
		}
	})
}

func TestRow48RefreshTokenOfAnotherClient(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	s.client()
	s.client(func(c *storage.Client) { c.ID = "mallory" })
	s.client(public, func(c *storage.Client) { c.ID = "spa" })
	s.user("ada@example.com")
	first := s.tokens(nil)
	second := s.wantOK(s.refresh(first.Str("refresh_token")))
	s.advance(61 * time.Second) // from here on the first token, presented by its owner, would kill the grant
	for name, auth := range map[string]func(*http.Request){"confidential": as("mallory", clientSecret), "public": byID("spa")} {
		for _, token := range []string{first.Str("refresh_token"), second.Str("refresh_token")} {
			t.Run("row 48 "+name, func(t *testing.T) { s.wantError(s.refresh(token, auth), http.StatusBadRequest, "invalid_grant") })
		}
	}
	if !s.active(second.Str("access_token")) {
		t.Error("another client killed the grant")
	}
	s.wantOK(s.refresh(second.Str("refresh_token")))
}

func TestRow49ScopeAtRefresh(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	token := s.tokens(url.Values{"scope": {"openid profile email offline_access"}}).Str("refresh_token")
	for _, wide := range []string{"openid phone", "phone", "openid profile email offline_access address", "openid Profile", "openid admin", "*"} {
		t.Run("row 49 wider "+wide, func(t *testing.T) {
			s.wantError(s.refreshWith(token, url.Values{"scope": {wide}}), http.StatusBadRequest, "invalid_scope")
		})
	}
	for _, test := range []struct {
		scope, want string
		idToken     bool
	}{
		{"openid email", "openid email", true}, {"email", "email", false}, {"openid offline_access email profile", "openid offline_access email profile", true},
		{"", "openid profile email offline_access", true},
	} {
		t.Run("row 49 narrower "+test.scope, func(t *testing.T) {
			more := url.Values{}
			if test.scope != "" {
				more.Set("scope", test.scope)
			}
			a := s.wantOK(s.refreshWith(token, more))
			if a.Str("scope") != test.want || jwtPayload(t, a.Str("access_token"))["scope"] != test.want {
				t.Errorf("answer's scope %q, token's %v, want %q", a.Str("scope"), jwtPayload(t, a.Str("access_token"))["scope"], test.want)
			}
			if (a.Str("id_token") != "") != test.idToken {
				t.Errorf("ID token %q", a.Str("id_token"))
			}
			token = a.Str("refresh_token") // a narrower answer does not narrow the grant
		})
	}
}

// change is something that takes rights away, done by another process.
type change struct {
	name   string
	do     func(s *server, subject, session string) error
	online bool   // the grant has no offline_access
	status int    // of the next refresh
	code   string // its error
	undo   func(s *server, subject string) error
}

func rightsTaken() []change {
	user := func(disabled bool) func(*server, string) error {
		return func(s *server, subject string) error {
			_, err := s.Store.UpdateUser(s.Context(), subject, func(u *storage.User) error { u.Disabled = disabled; return nil })
			return err
		}
	}
	client := func(change func(*storage.Client)) func(*server, string, string) error {
		return func(s *server, _, _ string) error {
			_, err := s.Store.UpdateClient(s.Context(), "app", func(c *storage.Client) error { change(c); return nil })
			return err
		}
	}
	return []change{
		{name: "row 50 user disabled, then enabled", do: func(s *server, subject, _ string) error { return user(true)(s, subject) }, status: 400, code: "invalid_grant", undo: user(false)},
		{name: "row 50 user deleted", do: func(s *server, subject, _ string) error { return s.Store.DeleteUser(s.Context(), subject) }, status: 400, code: "invalid_grant"},
		{name: "row 50 consent revoked", do: func(s *server, subject, _ string) error { return s.Store.RevokeConsent(s.Context(), subject, "app") }, status: 400, code: "invalid_grant"},
		{name: "row 50 client deleted", do: func(s *server, _, _ string) error { return s.Store.DeleteClient(s.Context(), "app") }, status: 401, code: "invalid_client"},
		{name: "row 50 client disabled, then enabled", do: client(func(c *storage.Client) { c.Disabled = true }), status: 401, code: "invalid_client", undo: func(s *server, _ string) error {
			return client(func(c *storage.Client) { c.Disabled = false })(s, "", "")
		}},
		{name: "row 51 password changed", do: func(s *server, subject, _ string) error {
			return s.Store.SetPassword(s.Context(), subject, "bcrypt:unusable")
		}, status: 400, code: "invalid_grant"},
		{name: "row 50 online, session ended", online: true, do: func(s *server, _, session string) error { return s.Store.EndSession(s.Context(), session) }, status: 400, code: "invalid_grant"},
	}
}

func TestRow50And51RightsTakenAwayEndTheGrant(t *testing.T) {
	for _, test := range rightsTaken() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "memory")
			s.client()
			subject := s.user("ada@example.com")
			values := url.Values{}
			if test.online {
				values.Set("scope", "openid email")
			}
			first := s.tokens(values)
			session, _ := jwtPayload(t, first.Str("id_token"))["sid"].(string)
			if err := test.do(s, subject, session); err != nil {
				t.Fatal(err)
			}
			s.within(time.Second, "the access token is dead at userinfo", func() bool { return s.userinfo(first.Str("access_token")).Status == http.StatusUnauthorized })
			s.wantError(s.refresh(first.Str("refresh_token")), test.status, test.code)
			if test.undo == nil {
				return
			}
			if err := test.undo(s, subject); err != nil {
				t.Fatal(err)
			}
			s.within(time.Second, "the old refresh token is dead for good", func() bool {
				a := s.refresh(first.Str("refresh_token"))
				return a.Status == http.StatusBadRequest && a.Str("error") == "invalid_grant"
			})
		})
	}
}

func TestRow51PasswordChangeEndsOtherSessions(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	s.client()
	subject := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	if err := s.Store.SetPassword(t.Context(), subject, "bcrypt:unusable"); err != nil {
		t.Fatal(err)
	}
	if got := b.callback(url.Values{"prompt": {"none"}}); got.Get("error") != "login_required" || got.Get("code") != "" {
		t.Errorf("a session of before the password change answers %v", got)
	}
}

func TestRow50ClientScopesReducedNarrowTheGrant(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	token := s.tokens(nil).Str("refresh_token")
	reduce := func(scopes ...string) {
		if _, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.Scopes = scopes; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	reduce("openid", "email")
	s.within(time.Second, "the answer is narrowed", func() bool {
		a := s.wantOK(s.refresh(token))
		token = a.Str("refresh_token")
		return a.Str("scope") == "openid email" && jwtPayload(t, a.Str("access_token"))["scope"] == "openid email"
	})
	s.wantError(s.refreshWith(token, url.Values{"scope": {"openid phone"}}), http.StatusBadRequest, "invalid_scope")
	reduce("reports:read")
	s.within(time.Second, "nothing is left", func() bool {
		a := s.refresh(token)
		if a.Status == http.StatusOK {
			token = a.Str("refresh_token")
		}
		return a.Str("error") == "invalid_grant"
	})
}

func TestRow50GrantTypeTakenAway(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	token := s.tokens(nil).Str("refresh_token")
	if _, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.GrantTypes = []string{"authorization_code"}; return nil }); err != nil {
		t.Fatal(err)
	}
	s.within(time.Second, "unauthorized_client", func() bool {
		a := s.refresh(token)
		if a.Status == http.StatusOK {
			token = a.Str("refresh_token")
		}
		return a.Status == http.StatusBadRequest && a.Str("error") == "unauthorized_client"
	})
	if a := s.wantOK(s.redeem(s.browser("ada@example.com").code(nil))); a.Str("refresh_token") != "" {
		t.Error("a client without the grant got a refresh token")
	}
}

// Row 50, second line: a row that outlived its user or session, because it was written while they went, is worth nothing either.
func TestRow50RowsWithoutALivingOwner(t *testing.T) {
	s := start(t, "memory")
	s.client()
	alive, gone := s.user("ada@example.com"), s.user("bob@example.com")
	if _, err := s.Store.UpdateUser(t.Context(), gone, func(u *storage.User) error { u.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		subject, session string
		status           int
	}{
		"living user": {alive, "", 200}, "disabled user": {gone, "", 400}, "deleted user": {"nobody", "", 400}, "ended session": {alive, "ended", 400},
	} {
		t.Run("row 50 "+name, func(t *testing.T) {
			for kind, prefix := range map[storage.TokenKind]string{storage.TokenRefresh: opaque.Refresh, storage.TokenCode: opaque.Code} {
				token, signature := opaque.Mint(prefix)
				family, err := grant.NewGrantID(s.Clock.Now())
				if err != nil {
					t.Fatal(err)
				}
				now := s.Clock.Now()
				err = s.Store.CreateToken(t.Context(), &storage.Token{
					Kind: kind, Signature: signature, GrantID: family, ClientID: "app", Subject: test.subject, SessionID: test.session,
					Payload: []byte(`{"scope":["openid"]}`), Created: now, Expires: now.Add(time.Minute), GrantExpires: now.Add(time.Hour),
				})
				if err != nil {
					t.Fatal(err)
				}
				values := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
				if kind == storage.TokenCode {
					values = url.Values{"grant_type": {"authorization_code"}, "code": {token}}
				}
				a := s.post("/oauth2/token", values)
				if test.status == http.StatusOK {
					s.wantOK(a)
				} else {
					s.wantError(a, test.status, "invalid_grant")
				}
			}
		})
	}
}

// Ruling 6: an online refresh token dies with the session, an offline one does not; neither touches the session.
func TestRuling6OnlineAndOfflineRefreshTokens(t *testing.T) {
	for _, format := range []string{"jwt", "opaque"} {
		for _, how := range []string{"sign-out", "absolute limit", "idle limit"} {
			t.Run(format+" "+how, func(t *testing.T) {
				t.Parallel()
				s := start(t, "memory")
				s.client(func(c *storage.Client) { c.AccessToken = format })
				s.user("ada@example.com")
				b := s.browser("ada@example.com")
				online := s.wantOK(s.redeem(b.code(url.Values{"scope": {"openid email"}})))
				offline := s.wantOK(s.redeem(b.code(nil)))
				switch how {
				case "sign-out":
					p := b.walk(s.URL + "/account")
					b.submit(p, "logout", nil)
				case "absolute limit":
					s.advance(12*time.Hour + time.Second)
				case "idle limit":
					s.advance(31 * time.Minute)
				}
				if how == "idle limit" {
					s.wantOK(s.refresh(online.Str("refresh_token")))
				} else {
					s.wantDead(online.Str("refresh_token"), online.Str("access_token"))
					s.wantDead("", offline.Str("access_token")) // it was made for the session
				}
				refreshed := s.wantOK(s.refresh(offline.Str("refresh_token")))
				if !s.active(refreshed.Str("access_token")) {
					t.Error("an offline grant ended with the session")
				}
			})
		}
	}
}

func TestRuling38RefreshLifetimes(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		name   string
		change func(*storage.Client)
		steps  []time.Duration // between refreshes; the last one is too long
	}{
		{"idle, confidential", func(*storage.Client) {}, []time.Duration{13 * day, 13 * day, 14*day + time.Second}},
		{"idle, public", public, []time.Duration{6 * day, 7*day + time.Second}},
		{"absolute, confidential", func(*storage.Client) {}, []time.Duration{13 * day, 13 * day, 13 * day, 13 * day, 13 * day, 13 * day, 12*day + time.Second}},
		{"absolute, public", public, []time.Duration{6 * day, 6 * day, 6 * day, 6 * day, 6*day + time.Second}},
		{"a client shortens idle", func(c *storage.Client) { c.Lifetimes.RefreshIdle = day }, []time.Duration{23 * time.Hour, day + time.Second}},
		{"a client shortens absolute", func(c *storage.Client) { c.Lifetimes.RefreshAbsolute = 2 * day }, []time.Duration{day, day + time.Second}},
		{"a client cannot lengthen", func(c *storage.Client) {
			c.Lifetimes = storage.Lifetimes{RefreshIdle: 100 * day, RefreshAbsolute: 1000 * day}
		}, []time.Duration{14*day + time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "memory")
			c := s.client(test.change)
			s.user("ada@example.com")
			var auth []func(*http.Request)
			if c.AuthMethod == "none" {
				auth = append(auth, byID("app"))
			}
			token := s.wantOK(s.redeem(s.browser("ada@example.com").code(nil), auth...)).Str("refresh_token")
			for i, step := range test.steps {
				s.Clock.Advance(step)
				a := s.refresh(token, auth...)
				if i == len(test.steps)-1 {
					s.wantError(a, http.StatusBadRequest, "invalid_grant")
					return
				}
				token = s.wantOK(a).Str("refresh_token")
			}
		})
	}
}

// T10: what a refreshed ID token keeps and what it does not have.
func TestT10RefreshedIDToken(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	first := s.tokens(nil)
	s.advance(5 * time.Second)
	before, after := jwtPayload(t, first.Str("id_token")), jwtPayload(t, s.wantOK(s.refresh(first.Str("refresh_token"))).Str("id_token"))
	for _, name := range []string{"iss", "sub", "aud", "auth_time", "acr", "sid"} {
		if before[name] == nil || before[name] != after[name] {
			t.Errorf("%s changed from %v to %v", name, before[name], after[name])
		}
	}
	if after["nonce"] != nil || before["nonce"] == nil || after["azp"] != before["azp"] {
		t.Errorf("nonce or azp: before %v, after %v", before, after)
	}
	if after["iat"].(float64) <= before["iat"].(float64) || after["exp"].(float64) <= before["exp"].(float64) || after["at_hash"] == before["at_hash"] {
		t.Errorf("iat, exp or at_hash is old: before %v, after %v", before, after)
	}
}

// Row 53: nothing revoked comes back with a restart, and row 59: other nodes honour it within a second.
func TestRow53And59RevocationsReachOtherNodesAndRestarts(t *testing.T) {
	for _, test := range []struct {
		name   string
		revoke func(s *server, a answer)
	}{
		{"row 59 refresh token at the revocation endpoint", func(s *server, a answer) {
			s.wantOK(s.post("/oauth2/revoke", url.Values{"token": {a.Str("refresh_token")}}))
		}},
		{"row 59 access token at the revocation endpoint", func(s *server, a answer) {
			s.wantOK(s.post("/oauth2/revoke", url.Values{"token": {a.Str("access_token")}}))
		}},
		{"row 59 user", func(s *server, a answer) {
			s.store(storage.Revocation{Kind: storage.RevokeSubject, ID: jwtPayload(s.T, a.Str("access_token"))["sub"].(string)})
		}},
		{"row 59 client", func(s *server, _ answer) { s.store(storage.Revocation{Kind: storage.RevokeClient, ID: "app"}) }},
		{"row 59 user at one client", func(s *server, a answer) {
			s.store(storage.Revocation{Kind: storage.RevokeSubjectClient, ID: storage.SubjectClient(jwtPayload(s.T, a.Str("access_token"))["sub"].(string), "app")})
		}},
		{"row 59 session", func(s *server, a answer) {
			s.store(storage.Revocation{Kind: storage.RevokeSession, ID: jwtPayload(s.T, a.Str("access_token"))["sid"].(string)})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "sqlite")
			s.client()
			s.user("ada@example.com")
			other := s.node()
			a := s.tokens(nil)
			if !other.active(a.Str("access_token")) || other.userinfo(a.Str("access_token")).Status != http.StatusOK {
				t.Fatal("the second node refuses a fresh token")
			}
			test.revoke(s, a)
			other.within(time.Second, "the other node knows", func() bool { return !other.active(a.Str("access_token")) })
			other.within(time.Second, "userinfo of the other node knows", func() bool { return other.userinfo(a.Str("access_token")).Status == http.StatusUnauthorized })
			restarted := s.node()
			if restarted.active(a.Str("access_token")) {
				t.Error("row 53: after a restart the revoked access token is active")
			}
			if offlineSurvives := strings.HasSuffix(test.name, "session") || strings.Contains(test.name, "access token"); !offlineSurvives {
				restarted.wantError(restarted.refresh(a.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
			}
			// A grant born after the revocation lives.
			s.within(time.Second, "a new grant lives", func() bool { return restarted.active(s.tokens(nil).Str("access_token")) })
		})
	}
}

// store writes a revocation as the command line would.
func (s *server) store(r storage.Revocation) {
	s.Helper()
	if _, err := s.Store.RevokeTokens(s.Context(), r); err != nil {
		s.Fatal(err)
	}
}

func TestRow54MangledTokens(t *testing.T) {
	s, f := startFaulty(t)
	s.client(func(c *storage.Client) { c.AccessToken = "opaque" })
	s.user("ada@example.com")
	a := s.tokens(nil)
	code := s.browser("ada@example.com").code(nil)
	for _, token := range []string{a.Str("refresh_token"), a.Str("access_token"), code} {
		kind, body := token[:7], token[7:]
		for name, mangled := range map[string]string{
			"row 54 truncated": token[:len(token)-1], "row 54 extended": token + "A", "row 54 upper case": kind + strings.ToUpper(body), "row 54 lower case": kind + strings.ToLower(body),
			"row 54 padded": token + "=", "row 54 space": " " + token + " ", "row 54 halves swapped": kind + body[len(body)/2:] + body[:len(body)/2], "row 54 no prefix": body,
			"row 54 checksum of zeros": kind + body[:43] + "000000", "row 54 other prefix": otherKind(kind) + body, "row 54 prefix twice": kind + token, "row 54 body of zeros": kind + strings.Repeat("0", 49),
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				ops := f.During(func() {
					s.wantError(s.refresh(mangled), http.StatusBadRequest, "invalid_grant")
					s.wantError(s.redeem(mangled), http.StatusBadRequest, "invalid_grant")
					if got := s.introspect(mangled); got.Raw != `{"active":false}` {
						t.Errorf("introspection: %s", got.Raw)
					}
					if strings.TrimSpace(mangled) == mangled { // a header's value has no spaces around it
						if got := s.userinfo(mangled); got.Status != http.StatusUnauthorized {
							t.Errorf("userinfo: %d", got.Status)
						}
					}
				})
				if slices.Contains(ops, "Token") {
					t.Errorf("junk reached the store: %v", ops)
				}
			})
		}
	}
	s.wantOK(s.refresh(a.Str("refresh_token")))
	s.wantOK(s.redeem(code))
}

func otherKind(prefix string) string {
	if prefix == opaque.Refresh {
		return opaque.Code
	}
	return opaque.Refresh
}
