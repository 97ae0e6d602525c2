package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/storage"
)

// Row 160, and what rows 157 and 180 ask of browsers in which the second factor is not asked for.

// trusting signs ada in with her second factor and makes the browser a trusted one.
func (s *server) trusting(app credentialtest.App) *browser {
	s.Helper()
	b := s.browser("ada@example.com")
	b.toApp(b.submit(b.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}, "trust": {"1"}}))
	if b.cookies("gth_td") == "" {
		s.Fatal("the browser is not trusted")
	}
	return b
}

// spared demands that the password alone signs in.
func (b *browser) spared() {
	b.s.Helper()
	if claims := jwtPayload(b.s.T, b.s.redeem(b.code(anew)).Str("id_token")); claims["acr"] != "1" || amrOf(claims) != "pwd" {
		b.s.Errorf("without a second factor acr is %v and amr %v", claims["acr"], claims["amr"])
	}
}

var anew = url.Values{"prompt": {"login"}}

// onEveryTrust runs a test on every store. ada and bob have apps; b is trusted by ada.
func onEveryTrust(t *testing.T, test func(s *server, app credentialtest.App, b *browser)) {
	for backend := range backends {
		t.Run(backend, func(t *testing.T) {
			s := strong(t, backend)
			app := s.app(s.user("ada@example.com"))
			s.app(s.user("bob@example.com"))
			test(s, app, s.trusting(app))
		})
	}
}

func TestRow160TrustIsOneUsers(t *testing.T) {
	onEveryTrust(t, func(s *server, _ credentialtest.App, b *browser) {
		b.spared()
		b.User = "bob@example.com"
		b.half(anew)
		b.User = "ada@example.com"
		b.spared()
	})
}

// Several people use one browser: the trust of one takes that of nobody else away, nor does the end of one.
func TestRow160SeveralPeopleMayTrustOneBrowser(t *testing.T) {
	s := strong(t, "memory")
	people := []string{"ada@example.com", "bob@example.com", "cyd@example.com"}
	b := s.browser("")
	for _, b.User = range people {
		app := s.app(s.user(b.User))
		b.toApp(b.submit(b.half(anew), "factor", url.Values{"code": {app.Code(s.Clock.Now())}, "trust": {"1"}}))
	}
	for range 2 {
		for _, b.User = range people {
			b.spared()
		}
	}
	devices, err := s.Store.DevicesOf(s.Context(), s.subject("bob@example.com"))
	if err != nil || len(devices) != 1 {
		t.Fatalf("%v, %v", devices, err)
	}
	s.ok(s.Store.DeleteDevice(s.Context(), s.subject("bob@example.com"), devices[0].ID))
	stale := b.cookies("gth_td")
	for _, b.User = range []string{"ada@example.com", "cyd@example.com"} {
		b.spared()
	}
	b.User = "bob@example.com"
	b.half(anew)
	s.Clock.Advance(storage.DeviceGrace)
	thief := s.browser("ada@example.com")
	thief.plant("gth_td", strings.TrimPrefix(stale, "gth_td="))
	thief.half(nil) // a copy of an earlier cookie: the trust of ada is over
	b.User = "ada@example.com"
	b.half(anew)
	b.User = "cyd@example.com"
	b.spared()
}

func TestRow160CookieOfATrustedBrowserIsAnotherEachTime(t *testing.T) {
	onEveryTrust(t, func(s *server, _ credentialtest.App, b *browser) {
		seen := map[string]bool{b.cookies("gth_td"): true}
		for range 3 {
			b.spared()
			cookie := b.cookies("gth_td")
			if seen[cookie] {
				s.Fatal("the cookie has not changed")
			}
			seen[cookie] = true
		}
	})
}

// A copy is noticed whoever of the two comes first, and ends the trust of both.
func TestRow160CopyOfATrustedBrowserEndsTheTrust(t *testing.T) {
	onEveryTrust(t, func(s *server, _ credentialtest.App, b *browser) {
		thief := s.browser("ada@example.com")
		thief.plant("gth_td", strings.TrimPrefix(b.cookies("gth_td"), "gth_td="))
		thief.spared() // who has the password and the cookie of now is not told from the owner, until that one comes
		s.Clock.Advance(storage.DeviceGrace)
		b.half(anew)
		thief.half(anew)
		if !strings.Contains(s.Log.String(), "device.copied") {
			s.Error("nobody is told of the copy")
		}
	})
}

func TestRow160TrustEnds(t *testing.T) {
	for name, end := range map[string]func(s *server, b *browser){
		"after its time": func(s *server, _ *browser) { s.Clock.Advance(30*24*time.Hour + time.Second) },
		"when its user forgets it": func(s *server, b *browser) {
			rows, err := s.Store.DevicesOf(s.Context(), s.subject("ada@example.com"))
			if err != nil || len(rows) != 1 {
				s.Fatalf("devices %v, %v", rows, err)
			}
			_, fields := readForm(s.T, b.get(s.URL+"/account").Body, "logout")
			s.wants(b.post(s.URL+"/account/devices/forget", with(fields, "device", rows[0].ID)), http.StatusSeeOther)
		},
		"with the password": func(s *server, _ *browser) {
			_, encoded, err := s.Store.UserByLogin(s.Context(), "ada@example.com")
			s.ok(err)
			s.ok(s.Store.SetPassword(s.Context(), s.subject("ada@example.com"), encoded))
		},
		"when its cookie comes twice (row 180)": func(s *server, b *browser) {
			at, _ := url.Parse(s.URL)
			tossed := &http.Cookie{Name: "gth_td", Value: strings.Repeat("A", 43), Path: "/login"} // what a neighbour can do on a longer path
			b.client.Jar.SetCookies(at, []*http.Cookie{tossed})
		},
		"with a cookie that is none": func(_ *server, b *browser) { b.plant("gth_td", "x") },
		"without the cookie":         func(_ *server, b *browser) { b.plant("gth_td", "") },
	} {
		t.Run(name, func(t *testing.T) {
			onEveryTrust(t, func(s *server, _ credentialtest.App, b *browser) {
				end(s, b)
				b.half(anew)
			})
		})
	}
}

// Rows 157 and 160: trust stands in for no factor before a change of the ways in, for none that the client asks for, and cannot be given there.
func TestRow157TrustedBrowserChangesNoWayIn(t *testing.T) {
	onEveryTrust(t, func(s *server, app credentialtest.App, b *browser) {
		b.spared()
		for _, path := range []string{"/account/password", "/account/authenticator", "/account/passkey", "/account/recovery-codes"} {
			p := b.walk(s.URL + path)
			if !hasForm(p.Body, "factor") {
				s.Fatalf("%s after the password alone: %d %s %s", path, p.StatusCode, p.Request.URL, cut(p.Body))
			}
			if strings.Contains(p.Body, `name="trust"`) {
				s.Errorf("%s: a browser can be trusted where trust counts for nothing", path)
			}
		}
		s.Clock.Advance(time.Minute) // the code of the sign-in is used
		before := b.cookies("gth_td")
		p := b.submit(b.walk(s.URL+"/account/password"), "factor", url.Values{"code": {app.Code(s.Clock.Now())}, "trust": {"1"}})
		if after := b.cookies("gth_td"); after != before {
			s.Errorf("trust was given where it counts for nothing: %q, before %q", after, before)
		}
		if p := b.get(s.at(p)); !hasForm(p.Body, "password-form") {
			s.Errorf("with the factor: %d %s", p.StatusCode, cut(p.Body))
		}
	})
}

// Row 179: the cookies of a trusted browser, of one that is known and of a parked account have the same flags as the session's, and none outlives what it is for.
func TestRow179EveryCookieIsHostOnly(t *testing.T) {
	for name, tls := range map[string]bool{"https issuer": true, "http on loopback": false} {
		t.Run(name, func(t *testing.T) {
			s := startAs(t, "memory", func(s *server) { s.TLS = tls }, quickKeys, secondApps, func(o *provider.Options) { o.Remember = 30 * 24 * time.Hour })
			s.client()
			app := s.app(s.user("ada@example.com"))
			s.user("bob@example.com")
			b := s.browser("ada@example.com")
			w := b.watch()
			login := s.signIn(b)
			p := b.get(s.at(b.submit(login, "login", url.Values{"username": {"ada@example.com"}, "password": {password}, "remember": {"1"}})))
			b.toApp(b.submit(p, "factor", url.Values{"code": {app.Code(s.Clock.Now())}, "trust": {"1"}}))
			b.User = "bob@example.com"
			b.code(url.Values{"prompt": {"select_account"}}) // ada is parked
			prefix, seen := "", map[string]int{}
			if tls {
				prefix = "__Host-"
			}
			for _, response := range w.seen {
				for _, c := range response.Cookies() {
					seen[strings.TrimPrefix(c.Name, prefix)] = max(seen[strings.TrimPrefix(c.Name, prefix)], c.MaxAge)
					if !strings.HasPrefix(c.Name, prefix+"gth_") || c.Path != "/" || c.Domain != "" || c.Secure != tls || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || !c.Expires.IsZero() {
						t.Errorf("cookie %s", c.Raw)
					}
				}
			}
			for cookie, life := range map[string]int{"gth_sid": 30 * 24 * 3600, "gth_td": 30 * 24 * 3600, "gth_dev": 180 * 24 * 3600, "gth_flow": int((30*time.Minute + storage.InteractionGrace).Seconds())} {
				if got, ok := seen[cookie]; !ok || got > life {
					t.Errorf("%s lives for %d s, want at most %d (seen %v)", cookie, got, life, ok)
				}
			}
			if len(seen) != 5 {
				t.Errorf("cookies %v, want four and that of parked accounts", seen)
			}
		})
	}
}
