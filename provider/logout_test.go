package provider_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client/rp"

	"gatehouse/provider"
	"gatehouse/storage"
)

// RP-Initiated Logout 1.0: lines L1 to L6, trap 9, ruling 48, security rows 188 and 189.

// bye is where client "app" wants people to arrive after signing out.
const bye = "https://rp.example/bye"

// logoutClient registers "app" with bye and an address with a query.
func (s *server) logoutClient(changes ...func(*storage.Client)) {
	s.Helper()
	s.client(append([]func(*storage.Client){func(c *storage.Client) { c.PostLogoutRedirectURIs = []string{bye, bye + "?tenant=7&x=a%2Fb"} }}, changes...)...)
}

func (s *server) logoutURL(values url.Values) string {
	return s.URL + "/oauth2/logout?" + values.Encode()
}

// signIn signs ada in at client "app" and returns her browser and the ID token.
func (s *server) signedInAt(values url.Values) (*browser, answer) {
	s.Helper()
	b := s.browser("ada@example.com")
	return b, s.wantOK(s.redeem(b.code(values)))
}

// wantAsked demands the confirmation page, and that nothing has happened.
func (s *server) wantAsked(p page, b *browser) {
	s.Helper()
	s.wantPage(p, http.StatusOK, "Sign out?")
	if !hasForm(p.Body, "logout") || b.cookies("gth_sid") == "" || !s.signedIn(b.cookies("gth_sid")) {
		s.Error("the session ended without a question, or there is none")
	}
}

// wantOut demands our own page after the end of the session.
func (s *server) wantOut(p page, b *browser) {
	s.Helper()
	s.wantPage(p, http.StatusOK, "You are signed out")
	if b.cookies("gth_sid") != "" {
		s.Error("the session cookie is left")
	}
}

func TestL1L2ValidHintEndsTheSessionAndReturnsStateAlone(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.logoutClient()
		subject := s.user("ada@example.com")
		for name, c := range map[string]struct {
			uri, state, want string
			post             bool
		}{
			"state":               {uri: bye, state: "af0ifjsldkj", want: bye + "?state=af0ifjsldkj"},
			"no state":            {uri: bye, want: bye},
			"hostile state":       {uri: bye, state: "a+b c%20&x=1\"'<é>#", want: bye + "?state=a%2Bb%20c%2520%26x%3D1%22%27%3C%C3%A9%3E%23"},
			"registered query":    {uri: bye + "?tenant=7&x=a%2Fb", state: "s", want: bye + "?tenant=7&x=a%2Fb&state=s"},
			"by POST":             {uri: bye, state: "s", want: bye + "?state=s", post: true},
			"long state":          {uri: bye, state: strings.Repeat("z", 1000), want: bye + "?state=" + strings.Repeat("z", 1000)},
			"query without state": {uri: bye + "?tenant=7&x=a%2Fb", want: bye + "?tenant=7&x=a%2Fb"},
		} {
			b, a := s.signedInAt(nil)
			stolen := b.cookies("gth_sid")
			values := url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {c.uri}, "client_id": {"app"}, "logout_hint": {"ada"}, "ui_locales": {"xx de"}, "unknown": {"1"}}
			if c.state != "" {
				values.Set("state", c.state)
			}
			p := page{}
			if c.post {
				p = b.post(s.URL+"/oauth2/logout", values)
			} else {
				p = b.get(s.logoutURL(values))
			}
			if p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != c.want || p.Body != "" {
				s.Errorf("%s: %d %q, want %q", name, p.StatusCode, p.Header.Get("Location"), c.want)
			}
			if b.cookies("gth_sid") != "" || s.signedIn(stolen) || s.sessions(subject) != 0 {
				s.Errorf("%s: the session goes on", name)
			}
		}
	})
}

func TestL3WithoutAnAddressTheServersOwnPageIsTheEnd(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient()
	s.user("ada@example.com")
	for name, values := range map[string]url.Values{"no parameters": {}, "only state": {"state": {"s"}}, "only client_id": {"client_id": {"app"}}, "only logout_hint": {"logout_hint": {"ada@example.com"}}} {
		for _, method := range []string{"GET", "POST"} {
			b, _ := s.signedInAt(nil)
			p := page{}
			if method == "GET" {
				p = b.get(s.logoutURL(values))
			} else {
				p = b.post(s.URL+"/oauth2/logout", values)
			}
			s.wantAsked(p, b)
			if !strings.Contains(p.Body, "ada@example.com") {
				t.Errorf("%s: the page does not say who is signed in", name)
			}
			s.wantOut(b.submit(p, "logout", nil), b)
		}
	}
	b, a := s.signedInAt(nil)
	s.wantOut(b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}, "state": {"s"}})), b)
	s.wantPage(b.get(s.logoutURL(nil)), http.StatusOK, "You are signed out") // nobody is signed in: nothing to ask
}

// hints are ID tokens that prove nothing, and other things that are not even that.
func (s *server) badHints(a answer) map[string]string {
	s.Helper()
	good := a.Str("id_token")
	parts := strings.Split(good, ".")
	other := start(s.T, "memory")
	other.logoutClient()
	other.user("ada@example.com")
	_, foreign := other.signedInAt(nil)
	return map[string]string{
		"missing": "", "not a token": "x", "unsigned": "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + ".", "no signature": parts[0] + "." + parts[1] + ".",
		"another signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])), "foreign": foreign.Str("id_token"),
		"access token": a.Str("access_token"), "refresh token": a.Str("refresh_token"), "another payload": parts[0] + "." + strings.Split(foreign.Str("id_token"), ".")[1] + "." + parts[2],
	}
}

// TestTrap9L4WithoutAGenuineHintNobodyIsSentAnywhere: not at once, and not after the confirmation.
func TestTrap9L4WithoutAGenuineHintNobodyIsSentAnywhere(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient()
	s.client(func(c *storage.Client) {
		c.ID, c.PostLogoutRedirectURIs = "other", []string{"https://other.example/bye"}
	})
	s.user("ada@example.com")
	b, a := s.signedInAt(nil)
	cases := map[string]url.Values{}
	for name, hint := range s.badHints(a) {
		cases[name] = url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "client_id": {"app"}, "state": {"s"}}
	}
	cases["hint of another client than client_id"] = url.Values{"id_token_hint": {a.Str("id_token")}, "client_id": {"other"}, "post_logout_redirect_uri": {"https://other.example/bye"}}
	cases["unknown client_id"] = url.Values{"id_token_hint": {a.Str("id_token")}, "client_id": {"nobody"}, "post_logout_redirect_uri": {bye}}
	for name, values := range cases {
		if values.Get("id_token_hint") == "" {
			values.Del("id_token_hint")
		}
		for _, p := range []page{b.get(s.logoutURL(values)), b.post(s.URL+"/oauth2/logout", values)} {
			s.wantAsked(p, b)
			if strings.Contains(p.Body, "asks you to sign out") {
				t.Errorf("%s: the page vouches for an app that has proven nothing", name)
			}
		}
		asked := b.get(s.logoutURL(values))
		s.wantOut(b.submit(asked, "logout", nil), b)
		s.wantPage(b.get(s.logoutURL(values)), http.StatusOK, "You are signed out") // and once nobody is signed in
		b.code(nil)
	}
}

func TestL4AnExpiredHintAndOneOfARetiredKeyAreGenuine(t *testing.T) {
	s := start(t, "sqlite")
	s.logoutClient()
	s.user("ada@example.com")
	b, a := s.signedInAt(nil)
	s.advance(25 * time.Minute)
	s.rotateKeys()
	if p := b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {bye}})); p.Header.Get("Location") != bye || s.sessions("sub-ada-example-com") != 0 {
		t.Errorf("%d %s", p.StatusCode, p.Header.Get("Location"))
	}
	// An idle session is one that can be signed out of: its refresh tokens still live.
	b, a = s.signedInAt(url.Values{"scope": {"openid"}})
	s.advance(31 * time.Minute)
	if p := b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {bye}})); p.Header.Get("Location") != bye || s.sessions("sub-ada-example-com") != 0 {
		t.Errorf("idle: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	s.wantError(s.refresh(a.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
}

func TestL5AddressesThatAreNotRegisteredLeadNowhere(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient()
	s.client(func(c *storage.Client) {
		c.ID, c.PostLogoutRedirectURIs = "other", []string{"https://other.example/bye"}
	})
	s.user("ada@example.com")
	for _, uri := range []string{
		"https://evil.example/", bye + "/", bye + "?x=1", bye + "#x", bye + "?tenant=7", bye + "?tenant=7&x=a/b", "HTTPS://rp.example/bye", "https://rp.example/Bye", "https://rp.example:443/bye", "//rp.example/bye", "/bye",
		callback, "https://other.example/bye", "javascript:alert(1)", "data:text/html,x", bye + "\r\nx: y", " " + bye, bye + "%00",
	} {
		b, a := s.signedInAt(nil)
		p := b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {uri}, "state": {"s"}}))
		s.wantOut(p, b) // the app is the session's own: the person did sign out
		if !strings.Contains(visible(t, p.Body), "not registered") || strings.Contains(p.Body, "evil.example") {
			t.Errorf("%q: %s", uri, visible(t, p.Body))
		}
	}
	for name, query := range map[string]string{"repeated uri": "post_logout_redirect_uri=" + bye + "&post_logout_redirect_uri=https://evil.example/", "repeated hint": "id_token_hint=x&id_token_hint=y"} {
		b, _ := s.signedInAt(nil)
		s.wantPage(b.get(s.URL+"/oauth2/logout?"+query), http.StatusBadRequest, "sent twice")
		if !s.signedIn(b.cookies("gth_sid")) {
			t.Errorf("%s: the session ended", name)
		}
	}
}

// TestL6Row189AfterLogoutNothingOfTheSessionLives: prompt=none fails, and what was issued in the session is dead, except offline access.
func TestL6Row189AfterLogoutNothingOfTheSessionLives(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.logoutClient()
		s.user("ada@example.com")
		b, online := s.signedInAt(url.Values{"scope": {"openid email"}})
		offline := s.wantOK(s.redeem(b.code(nil)))
		late := b.code(url.Values{"scope": {"openid email"}}) // not redeemed before the end
		if p := b.get(s.logoutURL(url.Values{"id_token_hint": {online.Str("id_token")}, "post_logout_redirect_uri": {bye}})); p.Header.Get("Location") != bye {
			s.Fatalf("%d %s", p.StatusCode, p.Body)
		}
		s.wantRedirect(b.get(s.authorizeURL(url.Values{"prompt": {"none"}})), "login_required")
		s.wantDead(online.Str("refresh_token"), online.Str("access_token"))
		if got := s.userinfo(online.Str("access_token")); got.Status != http.StatusUnauthorized {
			s.Errorf("userinfo: %d", got.Status)
		}
		if got := s.introspect(offline.Str("access_token")); got.Raw != `{"active":false}` {
			s.Errorf("an access token of the session: %s", got.Raw)
		}
		s.wantOK(s.refresh(offline.Str("refresh_token")))
		s.wantError(s.redeem(late), http.StatusBadRequest, "invalid_grant")
		s.noSecrets(online.Str("id_token"), online.Str("refresh_token"))
	})
}

func TestRow188TheHintOfAnotherUserOrSessionIsAskedFirst(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient()
	s.user("ada@example.com")
	s.user("bob@example.com")
	_, elsewhere := s.signedInAt(nil) // ada at another computer
	b, _ := s.signedInAt(nil)
	values := url.Values{"id_token_hint": {elsewhere.Str("id_token")}, "post_logout_redirect_uri": {bye}, "state": {"s"}}
	p := b.get(s.logoutURL(values))
	s.wantAsked(p, b)
	if got := b.submit(p, "logout", nil); got.Header.Get("Location") != bye+"?state=s" || b.cookies("gth_sid") != "" {
		t.Errorf("confirmed: %d %s", got.StatusCode, got.Header.Get("Location"))
	}
	bob := s.browser("bob@example.com")
	bob.code(nil)
	p = bob.get(s.logoutURL(values))
	s.wantAsked(p, bob)
	s.wantOut(bob.submit(p, "logout", nil), bob) // stays on our page: the app means somebody else
	if s.sessions("sub-ada-example-com") != 1 {
		t.Error("another browser's session ended with this one")
	}
	// The confirmation proves nothing about an address that is smuggled into it.
	bob.code(nil)
	p = bob.get(s.logoutURL(nil))
	s.wantOut(bob.submit(p, "logout", url.Values{"post_logout_redirect_uri": {"https://evil.example/"}, "state": {"s"}}), bob)
}

func TestRow181TheConfirmationNeedsBothProtections(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient()
	s.user("ada@example.com")
	s.user("bob@example.com")
	b, a := s.signedInAt(nil)
	bob := s.browser("bob@example.com")
	bob.code(nil)
	_, foreign := readForm(t, bob.get(s.logoutURL(nil)).Body, "logout")
	_, fields := readForm(t, b.get(s.logoutURL(nil)).Body, "logout")
	fields.Set("id_token_hint", a.Str("id_token"))
	cookie := "Cookie: " + b.cookies()
	for name, p := range map[string]page{
		"cross-site":       s.bareForm("/oauth2/logout/confirm", fields, cookie, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"),
		"same site":        s.bareForm("/oauth2/logout/confirm", fields, cookie, "Sec-Fetch-Site: same-site"),
		"null origin":      s.bareForm("/oauth2/logout/confirm", fields, cookie, "Origin: null"),
		"no token":         s.bareForm("/oauth2/logout/confirm", url.Values{"id_token_hint": fields["id_token_hint"]}, cookie, "Origin: "+s.URL),
		"foreign token":    s.bareForm("/oauth2/logout/confirm", url.Values{"csrf": foreign["csrf"]}, cookie, "Origin: "+s.URL),
		"GET":              s.bare("GET", "/oauth2/logout/confirm?"+fields.Encode(), "", cookie),
		"HEAD end_session": s.bare("HEAD", "/oauth2/logout?"+fields.Encode(), "", cookie),
	} {
		if p.StatusCode != http.StatusForbidden && p.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", name, p.StatusCode)
		}
	}
	if !s.signedIn(b.cookies("gth_sid")) {
		t.Error("a forged form signed somebody out")
	}
}

// TestRuling48PostWithoutCookiesEndsNothing: what a relying party's server sends, and what a browser sends from another site.
func TestRuling48PostWithoutCookiesEndsNothing(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient()
	subject := s.user("ada@example.com")
	b, a := s.signedInAt(nil)
	values := url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {bye}, "state": {"s"}}
	p := s.bareForm("/oauth2/logout", values, "Origin: https://rp.example", "Sec-Fetch-Site: cross-site")
	s.wantPage(p, http.StatusOK)
	if s.sessions(subject) != 1 || len(p.Header["Set-Cookie"]) != 0 {
		t.Errorf("%d sessions, cookies %v", s.sessions(subject), p.Header["Set-Cookie"])
	}
	// The browser comes back by itself, or by the button, now with its cookies.
	got := b.submit(p, "logout-return", nil)
	if got.Header.Get("Location") != bye+"?state=s" || s.sessions(subject) != 0 {
		t.Errorf("%d %s", got.StatusCode, got.Header.Get("Location"))
	}
	// Without a session it goes on too.
	if got := b.submit(p, "logout-return", nil); got.Header.Get("Location") != bye+"?state=s" {
		t.Errorf("without a session: %d %s", got.StatusCode, got.Header.Get("Location"))
	}
	if got := b.get(s.logoutURL(values)); got.Header.Get("Location") != bye+"?state=s" {
		t.Errorf("GET without a session: %d %s", got.StatusCode, got.Header.Get("Location"))
	}
}

func TestInteropZitadelEndSessionIsAServerSidePost(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient()
	subject := s.user("ada@example.com")
	_, a := s.signedInAt(nil)
	party, err := rp.NewRelyingPartyOIDC(t.Context(), s.URL, "app", clientSecret, callback, []string{"openid"})
	s.ok(err)
	if location, err := rp.EndSession(t.Context(), party, a.Str("id_token"), bye, "s", "", nil); err != nil || location != nil {
		t.Errorf("location %v, error %v", location, err)
	}
	if s.sessions(subject) != 1 {
		t.Error("a request without the browser's cookies ended its session")
	}
}

// TestRuling17NoLinkToUsLeadsToWhatAnybodyRegistered: with a session the person at least signed in there.
func TestRuling17NoLinkToUsLeadsToWhatAnybodyRegistered(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient(func(c *storage.Client) { c.RegisteredBy = "open" })
	s.user("ada@example.com")
	b, a := s.signedInAt(nil)
	values := url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {bye}, "state": {"s"}}
	if p := b.get(s.logoutURL(values)); p.Header.Get("Location") != bye+"?state=s" {
		t.Errorf("%d %s", p.StatusCode, p.Header.Get("Location"))
	}
	p := s.browser("").get(s.logoutURL(values))
	s.wantPage(p, http.StatusOK, "You are signed out", "rp.example", "nobody has checked who runs it")
	if !strings.Contains(p.Body, `href="`+bye+`?state=s"`) {
		t.Error("the link is missing")
	}
}

func TestRuling45PairwiseClientsSignOutByTheirOwnNames(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient(pairwise("app", "rp.example"))
	s.client(pairwise("two", "two.example"), func(c *storage.Client) { c.PostLogoutRedirectURIs = []string{bye} })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	a := b.tokensOf("app", nil)
	other := b.tokensOf("two", nil)
	// A disabled client proves nothing.
	if _, err := s.Store.UpdateClient(t.Context(), "two", func(c *storage.Client) error { c.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	s.eventually("the client is disabled", func() bool {
		p := b.get(s.logoutURL(url.Values{"id_token_hint": {other.Str("id_token")}, "post_logout_redirect_uri": {bye}}))
		return p.StatusCode == http.StatusOK && strings.Contains(p.Body, "disabled")
	})
	if p := b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {bye}})); p.Header.Get("Location") != bye || b.cookies("gth_sid") != "" {
		t.Errorf("%d %s", p.StatusCode, p.Body)
	}
}

func TestClientsOfASessionAreNotedOnce(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.logoutClient()
		s.client(func(c *storage.Client) { c.ID, c.FirstParty = "house", true })
		s.user("ada@example.com")
		b, a := s.signedInAt(nil)
		b.tokensOf("house", nil)
		sid, _ := jwtPayload(s.T, a.Str("id_token"))["sid"].(string)
		got, err := s.Store.SessionClients(s.Context(), sid)
		if err != nil || !slices.Equal(got, []string{"app", "house"}) {
			s.Errorf("%v %v", got, err)
		}
		p := b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}}))
		s.wantOut(p, b)
		s.wantPage(p, http.StatusOK, "May keep their own sign-in", "Example App")
	})
}

// vanishing ends the session at the moment when a client is noted in it.
type vanishing struct {
	storage.Store
	armed bool
}

func (v *vanishing) AddSessionClient(ctx context.Context, sessionID, clientID string) error {
	if v.armed {
		v.armed = false
		if err := v.EndSession(ctx, sessionID); err != nil {
			return err
		}
	}
	return v.Store.AddSessionClient(ctx, sessionID, clientID)
}

func TestASessionThatEndsMeanwhileGivesNoCode(t *testing.T) {
	var v *vanishing
	s := startAs(t, "sqlite", func(s *server) { v = &vanishing{Store: s.Store}; s.Store = v })
	s.client()
	for _, id := range []string{"one", "two"} {
		s.client(func(c *storage.Client) { c.ID, c.FirstParty = id, true })
	}
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	v.armed = true
	s.wantRedirect(b.get(s.authorizeURL(url.Values{"client_id": {"one"}, "prompt": {"none"}})), "login_required")
	b.code(nil)
	v.armed = true
	p := b.get(s.authorizeURL(url.Values{"client_id": {"two"}}))
	if !strings.HasPrefix(p.Header.Get("Location"), "/login?interaction=") || v.armed {
		t.Errorf("%d %s", p.StatusCode, p.Header.Get("Location"))
	}
	b.Pages = nil
	if b.code(url.Values{"client_id": {"two"}}) == "" || !slices.Equal(b.Pages, []string{"login"}) {
		t.Errorf("pages %v", b.Pages)
	}
}

func TestStorageFailureWhileSigningOutSaysSo(t *testing.T) {
	s, f := faulty(t)
	s.logoutClient()
	s.user("ada@example.com")
	b, a := s.signedInAt(nil)
	values := url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {bye}}
	for _, op := range []string{"SessionByCookie", "SessionClients", "EndSession"} {
		var p page
		if !f.during(op, func() { p = b.get(s.logoutURL(values)) }) {
			t.Errorf("%s was not needed", op)
		}
		s.wantDownPage(p)
		if b.cookies("gth_sid") == "" {
			t.Errorf("%s: a sign-out that did not happen took the cookie", op)
		}
	}
	if p := b.get(s.logoutURL(values)); p.Header.Get("Location") != bye {
		t.Errorf("afterwards: %d", p.StatusCode)
	}
}

// TestL8FrontchannelPageTellsEachClient looks at the page; logout_browser_test.go at what a browser makes of it.
func TestL8FrontchannelPageTellsEachClient(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient(func(c *storage.Client) { c.FrontchannelLogoutURI = "https://rp.example/out?tenant=7" })
	s.client(pairwise("two", "two.example"), func(c *storage.Client) {
		c.FrontchannelLogoutURI, c.FrontchannelLogoutSessionRequired, c.Name = "https://two.example:8443/out", true, `<b>"Two"</b>`
	})
	s.client(func(c *storage.Client) { c.ID, c.FrontchannelLogoutURI = "absent", "https://absent.example/out" }) // takes no part
	s.client(func(c *storage.Client) { c.ID, c.Name = "silent", "The silent app" })
	s.user("ada@example.com")
	for _, target := range []string{bye + "?state=s", ""} {
		b, a := s.signedInAt(nil)
		two := b.tokensOf("two", nil)
		b.tokensOf("silent", nil)
		values := url.Values{"id_token_hint": {a.Str("id_token")}}
		if target != "" {
			values.Set("post_logout_redirect_uri", bye)
			values.Set("state", "s")
		}
		p := b.get(s.logoutURL(values))
		if p.StatusCode != http.StatusOK || b.cookies("gth_sid") != "" {
			t.Fatalf("%d %s", p.StatusCode, p.Body)
		}
		s.wantPageHeaders(p)
		if policy := p.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "; frame-src https://rp.example https://two.example:8443; ") {
			t.Errorf("policy %s", policy)
		}
		iss := "iss=" + url.QueryEscape(s.URL)
		want := []string{
			"https://rp.example/out?tenant=7&" + iss + "&sid=" + fmt.Sprint(jwtPayload(t, a.Str("id_token"))["sid"]),
			"https://two.example:8443/out?" + iss + "&sid=" + fmt.Sprint(jwtPayload(t, two.Str("id_token"))["sid"]),
		}
		if got := attributes(t, p.Body, "iframe", "src"); !slices.Equal(got, want) {
			t.Errorf("frames %q, want %q", got, want)
		}
		refresh := attributes(t, p.Body, "meta", "content")
		if got := slices.Contains(refresh, "4;url="+target); got != (target != "") {
			t.Errorf("meta %q", refresh)
		}
		if target == "" {
			read := visible(t, p.Body)
			for _, words := range []string{"You are signed out", "Told to sign you out", "Example App", `<b>"Two"</b>`, "May keep their own sign-in", "The silent app"} {
				if !strings.Contains(read, words) {
					t.Errorf("the page does not say %s: %s", words, read)
				}
			}
		} else if got := attributes(t, p.Body, "a", "href"); !slices.Contains(got, target) {
			t.Errorf("links %q", got)
		}
	}
}

// TestAccountSignOutIsTheSameEnd: the account page's button tells the apps too.
func TestAccountSignOutIsTheSameEnd(t *testing.T) {
	s := start(t, "memory")
	s.logoutClient(func(c *storage.Client) { c.FrontchannelLogoutURI = "https://rp.example/out" })
	s.user("ada@example.com")
	b, _ := s.signedInAt(nil)
	p := b.submit(b.get(s.URL+"/account"), "logout", nil)
	s.wantOut(p, b)
	if got := attributes(t, p.Body, "iframe", "src"); len(got) != 1 || !strings.HasPrefix(got[0], "https://rp.example/out?iss=") {
		t.Errorf("frames %q", got)
	}
	if policy := p.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-src https://rp.example; ") {
		t.Errorf("policy %s", policy)
	}
}

func TestD11DiscoveryNamesLogout(t *testing.T) {
	for name, on := range map[string]bool{"with session management": true, "without": false} {
		s := startAs(t, "memory", func(s *server) { s.TLS = true }, quickKeys, func(o *provider.Options) { o.SessionManagement = on })
		d := s.fetch(s.URL + "/.well-known/openid-configuration").JSON
		for _, member := range []string{"backchannel_logout_supported", "backchannel_logout_session_supported", "frontchannel_logout_supported", "frontchannel_logout_session_supported"} {
			if d[member] != true {
				t.Errorf("%s: %s is %v", name, member, d[member])
			}
		}
		if d["end_session_endpoint"] != s.URL+"/oauth2/logout" {
			t.Errorf("%s: end_session_endpoint %v", name, d["end_session_endpoint"])
		}
		want := any(nil)
		if on {
			want = s.URL + "/oauth2/check_session"
		}
		if d["check_session_iframe"] != want {
			t.Errorf("%s: check_session_iframe %v", name, d["check_session_iframe"])
		}
		if got := s.bare("GET", "/oauth2/check_session", "").StatusCode; (got == http.StatusOK) != on {
			t.Errorf("%s: the frame answers %d", name, got)
		}
	}
}
