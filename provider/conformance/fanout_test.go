package conformance

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Lines L7 to L9 and A28: how clients learn that a session ended or changed.

const (
	backchannel  = `{"backchannel_logout_uri":"{rp}/backchannel","backchannel_logout_session_required":true}`
	frontchannel = `{"frontchannel_logout_uri":"{rp}/frontchannel","frontchannel_logout_session_required":true}`
	logoutEvent  = "http://schemas.openid.net/event/backchannel-logout"
)

// logoutToken verifies what came to a back-channel endpoint (Back-Channel Logout 1.0 section 2.4).
func (c *client) logoutToken(got *received) *jwt {
	c.s.Helper()
	if got.Method != "POST" || !strings.HasPrefix(got.Header.Get("Content-Type"), "application/x-www-form-urlencoded") || len(got.Form) != 1 || len(got.Form["logout_token"]) != 1 {
		c.s.Fatalf("%s %s %s, want a form with logout_token alone", got.Method, got.Header.Get("Content-Type"), got.Body)
	}
	if got.TLS != tls.VersionTLS13 {
		c.s.Errorf("delivered over TLS version %x to a client that speaks 1.3", got.TLS)
	}
	t, now := c.s.verify(got.Form.Get("logout_token")), c.s.Clock.Now().Unix()
	allowed := []string{"iss", "aud", "iat", "exp", "jti", "events", "sid", "sub"}
	for _, name := range allowed {
		if t.Claims[name] == nil {
			c.s.Errorf("logout token without %s: %v", name, t.Claims)
		}
	}
	for name := range t.Claims {
		if !slices.Contains(allowed, name) {
			c.s.Errorf("logout token with %s: %v", name, t.Claims)
		}
	}
	if asJSON(t.Claims["events"]) != `{"`+logoutEvent+`":{}}` || t.Str("iss") != c.s.URL || t.Claims["aud"] != c.ID || t.Header["typ"] != "logout+jwt" {
		c.s.Errorf("header %v, claims %v", t.Header, t.Claims)
	}
	if t.Num("iat") > now+1 || t.Num("exp") <= t.Num("iat") || t.Num("exp") > t.Num("iat")+600 {
		c.s.Errorf("iat %d, exp %d, now %d", t.Num("iat"), t.Num("exp"), now)
	}
	return t
}

func TestL7BackChannelLogout(t *testing.T) {
	everywhere(t, func(s *suite) {
		first, second, silent, never := s.client(leaving, backchannel), s.client(backchannel, `{"id_token_signed_response_alg":"ES256"}`), s.client(), s.client(backchannel)
		b := s.browser()
		a := b.signedIn(first)
		idToken := first.idToken(a.Str("id_token"))
		b.signedIn(second)
		b.signedIn(silent)
		s.browser().signedIn(never) // in another session
		b.leave(first, values{"id_token_hint": a.Str("id_token"), "post_logout_redirect_uri": first.bye()})
		seen := map[string]bool{}
		for _, c := range []*client{first, second} {
			got := s.rp.await(c.path("backchannel"), 1, patience)
			if len(got) != 1 {
				s.Fatalf("%d logout tokens", len(got))
			}
			token := c.logoutToken(got[0])
			want := map[bool]string{true: "RS256", false: "ES256"}[c == first]
			if token.Str("sid") != idToken.Str("sid") || token.Str("sub") != s.person.Subject || token.Header["alg"] != want || seen[token.Str("jti")] {
				s.Errorf("header %v, claims %v, ID token %v", token.Header, token.Claims, idToken.Claims)
			}
			seen[token.Str("jti")] = true
		}
		if n := len(s.rp.at(never.path("backchannel"))); n > 0 {
			s.Errorf("%d logout tokens for another session", n)
		}
		// It is no ID token: neither as a hint nor at userinfo.
		raw := s.rp.at(first.path("backchannel"))[0].Form.Get("logout_token")
		b.authorize(first, values{"prompt": "none", "id_token_hint": raw}).wantError("invalid_request", "login_required")
	})
}

func TestL7SlowClientsDoNotBlockTheBrowser(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b, release := s.client(leaving, backchannel), s.browser(), make(chan struct{})
		s.rp.serve(c.path("backchannel"), document{Delay: release, ContentType: "text/plain"})
		hint := b.signedIn(c).Str("id_token")
		began := time.Now()
		p := b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye()})
		if p.URL.String() != c.bye() || time.Since(began) > 2*time.Second {
			s.Errorf("at %s after %s", p.URL, time.Since(began))
		}
		if got := s.rp.await(c.path("backchannel"), 1, patience); len(got) == 0 {
			s.Error("nothing was delivered")
		}
		close(release)
	})
}

func TestL7FailedDeliveriesAreRepeated(t *testing.T) {
	onBackends(t, func(s *suite) {
		c, b := s.client(leaving, backchannel), s.browser()
		s.rp.serve(c.path("backchannel"), document{Status: http.StatusServiceUnavailable})
		hint := b.signedIn(c).Str("id_token")
		b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye()})
		if got := s.rp.await(c.path("backchannel"), 1, patience); len(got) != 1 {
			s.Fatalf("%d deliveries", len(got))
		}
		s.rp.serve(c.path("backchannel"), document{Status: http.StatusNoContent})
		s.eventually("the delivery is repeated", func() bool {
			s.Clock.Advance(10 * time.Second)
			s.wakeDeliveries()
			return len(s.rp.at(c.path("backchannel"))) > 1
		})
		got := s.rp.at(c.path("backchannel"))
		if first, second := c.logoutToken(got[0]), c.logoutToken(got[1]); second.Str("sid") != first.Str("sid") || second.Str("jti") == first.Str("jti") {
			s.Errorf("first %v, second %v", first.Claims, second.Claims)
		}
		s.pass(time.Hour)
		s.wakeDeliveries()
		if n := len(s.rp.at(c.path("backchannel"))); n != 2 {
			s.Errorf("%d deliveries, want no more after the one that was taken", n)
		}
	})
}

// wakeDeliveries makes the server look at its queue, by one more logout, and returns when that one was delivered.
func (s *suite) wakeDeliveries() {
	s.Helper()
	c, b := s.client(leaving, backchannel), s.browser()
	b.person = s.newPerson()
	hint := b.signedIn(c).Str("id_token")
	b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye()})
	if got := s.rp.await(c.path("backchannel"), 1, patience); len(got) != 1 {
		s.Fatalf("%d deliveries", len(got))
	}
}

func TestL7PairwiseLogoutToken(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{"subject_type": "pairwise", "backchannel_logout_uri": "{rp}/backchannel", "backchannel_logout_session_required": true, "post_logout_redirect_uris": []string{"{rp}/bye"}})
		b := s.browser()
		hint := b.signedIn(c.client).Str("id_token")
		b.leave(c.client, values{"id_token_hint": hint, "post_logout_redirect_uri": s.folder() + "/bye"})
		got := s.rp.await("/"+s.person.Subject+"/backchannel", 1, patience)
		if len(got) != 1 {
			s.Fatalf("%d logout tokens", len(got))
		}
		if token, idToken := c.logoutToken(got[0]), c.idToken(hint); token.Str("sub") != idToken.Str("sub") || token.Str("sid") != idToken.Str("sid") {
			s.Errorf("logout token %v, ID token %v", token.Claims, idToken.Claims)
		}
	})
}

func TestL8FrontChannelLogout(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, broken, never, b := s.client(leaving, frontchannel), s.client(frontchannel), s.client(frontchannel), s.browser()
		s.rp.serve(broken.path("frontchannel"), document{Status: http.StatusInternalServerError})
		s.browser().signedIn(never)
		a := b.signedIn(c)
		b.signedIn(broken)
		sid := c.idToken(a.Str("id_token")).Str("sid")
		p := b.leave(c, values{"id_token_hint": a.Str("id_token"), "post_logout_redirect_uri": c.bye(), "state": "s"})
		if p.URL.Path != c.path("bye") || p.URL.RawQuery != "state=s" || !slices.Contains(b.Steps, "refresh") {
			s.Errorf("at %s by %v", p.URL, b.Steps)
		}
		for _, c := range []*client{c, broken} {
			got := s.rp.at(c.path("frontchannel"))
			if len(got) != 1 || got[0].Method != "GET" || len(got[0].Query) != 2 || got[0].Query.Get("iss") != s.URL || got[0].Query.Get("sid") != sid {
				s.Errorf("%v, want one GET with iss and sid %s alone", got, sid)
			}
		}
		if len(s.rp.at(never.path("frontchannel"))) > 0 {
			s.Error("a client of another session was told")
		}
		b.wantSignedOut(c)
		for _, page := range b.History {
			if frames := page.all("iframe"); s.ours(page) && len(frames) > 0 {
				s.framesAllowed(page, len(frames))
			}
		}
	})
}

// framesAllowed demands a policy that names exactly where the frames of a logout page lead.
func (s *suite) framesAllowed(p *page, frames int) {
	s.Helper()
	sources := ""
	for directive := range strings.SplitSeq(p.Header.Get("Content-Security-Policy"), ";") {
		if list, ok := strings.CutPrefix(strings.TrimSpace(directive), "frame-src "); ok {
			sources = list
		}
	}
	if sources != s.rp.URL || frames != 2 {
		s.Errorf("%d frames, frame-src %q, want two to %s", frames, sources, s.rp.URL)
	}
}

func TestL8FrontChannelQueryIsKept(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(leaving, `{"frontchannel_logout_uri":"{rp}/frontchannel?rp_x=1","frontchannel_logout_session_required":true}`), s.browser()
		hint := b.signedIn(c).Str("id_token")
		s.wantOurPage(b.leave(c, values{"id_token_hint": hint})) // no redirect: the frames are on the page that stays
		if got := s.rp.at(c.path("frontchannel")); len(got) != 1 || !strings.HasPrefix(got[0].RawQuery, "rp_x=1&") || len(got[0].Query) != 3 {
			s.Errorf("%v", got)
		}
	})
}

// browserState is the cookie that check_session_iframe reads.
func (b *browser) browserState() *kept {
	for _, c := range b.jar.cookies {
		if strings.HasSuffix(c.name, "gth_bs") {
			return c
		}
	}
	return nil
}

// wantSessionState demands a session_state of the form that check_session_iframe can compute (Session Management 1.0 section 3.2).
func (r *response) wantSessionState(b *browser) string {
	r.s.Helper()
	sent := r.Params.Get("session_state")
	hash, salt, ok := strings.Cut(sent, ".")
	cookie := b.browserState()
	if !ok || salt == "" || strings.Contains(sent, " ") || cookie == nil {
		r.s.Fatalf("session_state %q, cookie %v", sent, cookie)
	}
	sum := sha256.Sum256([]byte(r.c.ID + " " + r.s.rp.URL + " " + cookie.value + " " + salt))
	if hash != base64.RawURLEncoding.EncodeToString(sum[:]) {
		r.s.Errorf("session_state %q is not the hash of client, origin, browser state and salt", sent)
	}
	return cookie.value
}

func TestA28SessionStateIsReturned(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(compatible), s.browser()
		for _, v := range []values{nil, {"response_mode": "form_post"}, {"response_type": "code id_token"}, {"response_type": "id_token"}, {"prompt": "none"}} {
			b.authorize(c, v).wantSessionState(b)
		}
		if cookie := b.browserState(); cookie.httpOnly || !cookie.secure || cookie.sameSite != http.SameSiteNoneMode || cookie.path != "/" {
			s.Errorf("cookie %+v: scripts of a frame on another site must be able to read it (ruling 49)", cookie)
		}
	})
}

func TestL9SessionStateChangesOnLoginAndLogout(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(leaving), s.browser()
		r := b.authorize(c, nil)
		first := r.wantSessionState(b)
		if b.authorize(c, values{"prompt": "none"}).wantSessionState(b) != first {
			s.Error("the browser state changes although nothing happened")
		}
		b.person = s.newPerson()
		if second := b.authorize(c, values{"prompt": "login"}).wantSessionState(b); second == first {
			s.Error("another user has the same browser state")
		}
		b.person = s.person
		hint := c.redeem(b.authorize(c, values{"prompt": "login"}).code(), nil).Str("id_token")
		before := b.browserState().value
		b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye()})
		if after := b.browserState(); after != nil && after.value == before && (after.expires.IsZero() || after.expires.After(s.Clock.Now())) {
			s.Error("the browser state survives logout")
		}
	})
}

func TestL9CheckSessionFrameMayBeFramed(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(), s.browser()
		target, _ := s.metadata()["check_session_iframe"].(string)
		if target == "" {
			s.Fatal("no check_session_iframe")
		}
		p := b.frame(c.home(), target)
		policy := p.Header.Get("Content-Security-Policy")
		if p.Status != http.StatusOK || !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") || p.Header.Get("X-Frame-Options") != "" || strings.Contains(policy, "frame-ancestors") {
			s.Errorf("%d, X-Frame-Options %q, policy %q", p.Status, p.Header.Get("X-Frame-Options"), policy)
		}
		if len(p.all("script")) == 0 || !strings.Contains(p.Body, "postMessage") && !strings.Contains(policy, "script-src") {
			s.Errorf("no script that answers: %s", p.Body)
		}
		if strings.Contains(p.Header.Get("Cross-Origin-Resource-Policy"), "same") || p.Header.Get("Set-Cookie") != "" {
			s.Errorf("headers %v", p.Header)
		}
	})
}
