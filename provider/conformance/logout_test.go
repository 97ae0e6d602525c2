package conformance

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// Lines L1 to L6: logout that a relying party begins.

// leaving is a client with a place to go after logout.
const leaving = `{"post_logout_redirect_uris":["{rp}/bye","{rp}/bye?rp_x=1"]}`

// bye is the client's post-logout page.
func (c *client) bye() string { return strings.TrimSuffix(c.Callback, "callback") + "bye" }

// leave sends the browser from the client's page to the end session endpoint and confirms where it is asked.
func (b *browser) leave(c *client, v values) *page {
	b.s.Helper()
	query := url.Values{}
	for name, value := range v {
		query.Set(name, value)
	}
	target := b.s.URL + "/oauth2/logout"
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	b.s.Clock.Advance(tick)
	return b.finishLeaving(b.follow(c.home(), target))
}

// finishLeaving loads the frames of a logout page, follows its refresh, and confirms where the server asks.
func (b *browser) finishLeaving(p *page) *page {
	b.s.Helper()
	for range 5 {
		if !b.s.ours(p) || p.Status >= 400 {
			return p
		}
		for _, frame := range p.all("iframe") {
			b.frame(p, attr(frame, "src"))
		}
		switch next := p.refresh(); {
		case next != "":
			b.Steps = append(b.Steps, "refresh")
			p = b.follow(p, next)
		case p.form("logout") != nil:
			b.Steps = append(b.Steps, "confirm")
			p = b.submit(p, "logout", "sign-out", nil)
		default:
			return p
		}
	}
	b.s.Fatal("logging out does not end")
	return nil
}

// refresh is the target of a page's meta refresh, empty if it has none.
func (p *page) refresh() string {
	for _, meta := range p.all("meta") {
		if strings.EqualFold(attr(meta, "http-equiv"), "refresh") {
			_, target, _ := strings.Cut(attr(meta, "content"), "url=")
			next, err := p.URL.Parse(strings.Trim(target, `'"`))
			if err == nil && target != "" {
				return next.String()
			}
		}
	}
	return ""
}

// signedIn signs the browser in at a client and returns the tokens.
func (b *browser) signedIn(c *client) *answer {
	b.s.Helper()
	return c.redeem(b.authorize(c, nil).code(), nil).wantTokens()
}

// wantSignedOut is L6.
func (b *browser) wantSignedOut(c *client) {
	b.s.Helper()
	b.authorize(c, values{"prompt": "none"}).wantError("login_required", "interaction_required")
}

// wantOurPage demands that the browser stayed at the server.
func (s *suite) wantOurPage(p *page) {
	s.Helper()
	if !s.ours(p) || !strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") || p.Status != http.StatusOK && p.Status != http.StatusBadRequest {
		s.Errorf("the browser is at %s (%d), want a page of the server", p.URL, p.Status)
	}
}

func TestL1LogoutReturnsWithStateAndNothingElse(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, state := range []string{"af0ifjsldkj", "a b&c=d\"☃"} {
			c, b := s.client(leaving), s.browser()
			hint := b.signedIn(c).Str("id_token")
			p := b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye(), "state": state})
			if want := c.bye() + "?" + (url.Values{"state": {state}}).Encode(); p.URL.Path != c.path("bye") || p.URL.Query().Get("state") != state || len(p.URL.Query()) != 1 {
				s.Errorf("the browser is at %s, want %s", p.URL, want)
			}
			b.wantSignedOut(c)
		}
	})
}

func TestL1QueryOfTheURIIsKept(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(leaving), s.browser()
		hint := b.signedIn(c).Str("id_token")
		p := b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye() + "?rp_x=1", "state": "s"})
		if p.URL.RawQuery != "rp_x=1&state=s" {
			s.Errorf("the browser is at %s", p.URL)
		}
	})
}

func TestL2WithoutStateNoState(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(leaving), s.browser()
		hint := b.signedIn(c).Str("id_token")
		p := b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye(), "client_id": c.ID, "ui_locales": "de", "logout_hint": "x"})
		if p.URL.String() != c.bye() {
			s.Errorf("the browser is at %s", p.URL)
		}
		b.wantSignedOut(c)
	})
}

func TestL3WithoutURITheServersOwnPage(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, v := range []values{{}, {"state": "only"}, {"id_token_hint": "yes"}, {"id_token_hint": "yes", "state": "s"}, {"client_id": "yes"}} {
			c, b := s.client(leaving), s.browser()
			hint := b.signedIn(c).Str("id_token")
			if v["id_token_hint"] != "" {
				v = v.with(values{"id_token_hint": hint})
			}
			if v["client_id"] != "" {
				v = v.with(values{"client_id": c.ID})
			}
			p := b.leave(c, v)
			s.wantOurPage(p)
			s.plainPage(p)
			if p.Status != http.StatusOK || p.form("logout") != nil {
				s.Errorf("%v: %d %s", slices.Sorted(func(yield func(string) bool) {
					for name := range v {
						yield(name)
					}
				}), p.Status, p.Body)
			}
			b.wantSignedOut(c)
		}
	})
}

func TestL3SignedOutAlready(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.client(leaving)
		hint := s.browser().signedIn(c).Str("id_token")
		b := s.browser() // has no session
		s.wantOurPage(b.leave(c, nil))
		if p := b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye(), "state": "s"}); p.URL.Path != c.path("bye") {
			s.Errorf("the browser is at %s: %s", p.URL, p.Body)
		}
	})
}

func TestL4NoRedirectWithoutAGenuineHint(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, other := s.client(leaving), s.client()
		b := s.browser()
		genuine := b.signedIn(c)
		claims := func() map[string]any { return c.idToken(genuine.Str("id_token")).Claims }
		for name, v := range map[string]values{
			"missing": {}, "missing, with client_id": {"client_id": c.ID}, "unsigned": {"id_token_hint": unsigned(claims())}, "foreign-signed": {"id_token_hint": own.rs256().sign("JWT", claims())},
			"wrong audience": {"id_token_hint": s.browser().signedIn(other).Str("id_token")}, "an access token": {"id_token_hint": genuine.Str("access_token")}, "junk": {"id_token_hint": "junk"},
			"another client_id": {"id_token_hint": genuine.Str("id_token"), "client_id": other.ID}, "another's, under our client_id": {"id_token_hint": b.signedIn(other).Str("id_token"), "client_id": c.ID},
			"changed": {"id_token_hint": changed(genuine.Str("id_token"))},
		} {
			p := b.leave(c, v.with(values{"post_logout_redirect_uri": c.bye(), "state": "s"}))
			if s.wantOurPage(p); len(s.rp.at(c.path("bye"))) > 0 {
				s.Fatalf("%s: the browser was sent to the client (trap 9)", name)
			}
		}
	})
}

// changed is a JWT with another payload under its old signature.
func changed(raw string) string {
	parts := strings.Split(raw, ".")
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(decode(parts[1]), `"iat":1`, `"iat":2`, 1)))
	return strings.Join(parts, ".")
}

func TestL4ExpiredHintIsAccepted(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(leaving), s.browser()
		hint := b.signedIn(c).Str("id_token")
		s.pass(2 * time.Hour)
		if p := b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye()}); p.URL.String() != c.bye() {
			s.Errorf("the browser is at %s: %s", p.URL, p.Body)
		}
		b.wantSignedOut(c)
	})
}

func TestL5UnregisteredURIsGetAPage(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(leaving), s.browser()
		for _, uri := range []string{
			c.bye() + "?rp_x=2", c.bye() + "?rp_x=1&a=b", c.bye() + "/", c.bye() + "#x", c.bye() + "?", c.Callback, "https://evil.example/bye", "javascript:alert(1)", "//evil.example",
			strings.Replace(c.bye(), "https:", "http:", 1), strings.ToUpper(c.bye()),
		} {
			hint := b.signedIn(c).Str("id_token")
			before := len(s.rp.at(c.path("callback"))) + len(s.rp.at(c.path("bye")))
			p := b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": uri, "state": "s"})
			if s.wantOurPage(p); len(s.rp.at(c.path("callback")))+len(s.rp.at(c.path("bye"))) != before {
				s.Errorf("%s: the browser was sent to the client", uri)
			}
		}
	})
}

func TestL6HintOfAnotherSessionAsks(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b, other := s.client(leaving), s.browser(), s.browser()
		other.person = s.newPerson()
		foreign := other.signedIn(c).Str("id_token")
		b.signedIn(c)
		// A link with somebody else's hint must not sign this person out without asking.
		p := b.follow(c.home(), s.URL+"/oauth2/logout?"+url.Values{"id_token_hint": {foreign}, "post_logout_redirect_uri": {c.bye()}}.Encode())
		if s.wantOurPage(p); p.form("logout") == nil {
			s.Errorf("no confirmation: %s", p.Body)
		}
		b.authorize(c, values{"prompt": "none"}).code()
		b.authorize(c, values{"prompt": "none"}).code()
		other.authorize(c, values{"prompt": "none"}).code()
	})
}

// A form that another site posts carries no session cookie, so it ends nothing by itself (ruling 48); one from the same site does.
func TestL6LogoutByPost(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(leaving), s.browser()
		hint := b.signedIn(c).Str("id_token")
		form := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {c.bye()}, "state": {"s"}}
		p := b.send(c.home(), s.URL+"/oauth2/logout", form)
		if s.otherSite {
			s.wantOurPage(p)
			if p.Status != http.StatusOK {
				s.Errorf("status %d", p.Status)
			}
			b.authorize(c, values{"prompt": "none"}).code()
			return
		}
		if p = b.finishLeaving(p); p.URL.Path != c.path("bye") || p.URL.RawQuery != "state=s" {
			s.Errorf("the browser is at %s: %s", p.URL, p.Body)
		}
		b.wantSignedOut(c)
	})
}

func TestLogoutEndsTheTokensOfTheSession(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(leaving), s.browser()
		online := c.redeem(b.authorize(c, values{"scope": "openid"}).code(), nil).wantTokens()
		offline := c.redeem(b.authorize(c, values{"scope": "openid offline_access"}).code(), nil).wantTokens()
		pending := b.authorize(c, nil).code()
		b.leave(c, values{"id_token_hint": online.Str("id_token"), "post_logout_redirect_uri": c.bye()})
		b.wantSignedOut(c)
		c.refresh(online.Str("refresh_token"), nil).wantError(http.StatusBadRequest, "invalid_grant")
		c.redeem(pending, nil).wantError(http.StatusBadRequest, "invalid_grant")
		if a := s.userinfo(online.Str("access_token")); a.Status != http.StatusUnauthorized {
			s.Errorf("the access token lives: %d", a.Status)
		}
		c.refresh(offline.Str("refresh_token"), nil).wantTokens()
	})
}
