package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// subOf tells who the code of a walk is about.
func (b *browser) subOf(values url.Values) string {
	b.s.Helper()
	a := b.s.redeem(b.code(values))
	return jwtPayload(b.s.T, a.Str("id_token"))["sub"].(string)
}

// chosen is the session id of the button that shows a text.
func chosen(t *testing.T, p page, text string) string {
	t.Helper()
	for _, button := range strings.Split(p.Body, "<button")[1:] {
		if strings.Contains(button, text) {
			_, rest, _ := strings.Cut(button, `name="account" value="`)
			id, _, _ := strings.Cut(rest, `"`)
			return id
		}
	}
	t.Fatalf("no button for %s in %s", text, p.Body)
	return ""
}

func TestA13SelectAccountOffersWhoIsSignedIn(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		ada, bob := s.user("ada@example.com"), s.user("bob@example.com")
		b := s.browser("ada@example.com")
		if got := b.subOf(nil); got != ada {
			t.Fatalf("signed in as %s", got)
		}
		again := url.Values{"prompt": {"select_account"}}
		b.User = "bob@example.com"
		if got := b.subOf(again); got != bob {
			t.Errorf("another account gave %s, want bob", got)
		}
		b.Pages = nil
		if got := b.subOf(nil); got != bob || len(b.Pages) > 0 {
			t.Errorf("the next request is %s's after pages %v, want bob's without any", got, b.Pages)
		}
		list := b.get(s.at(b.get(s.at(b.get(s.authorizeURL(again))))))
		b.Choose, b.Pages = chosen(t, list, "ada@example.com"), nil
		if got := b.subOf(again); got != ada || strings.Join(b.Pages, " ") != "accounts" {
			t.Errorf("chosen ada: %s after pages %v", got, b.Pages)
		}
		if got := b.subOf(nil); got != ada {
			t.Errorf("after the choice the browser is %s's", got)
		}
	}, quickKeys)
}

// A choice proves no sign-in: what asks for one still gets one (security row 22).
func TestRow22ChoosingAnAccountIsNoSignIn(t *testing.T) {
	s := start(t, "memory", quickKeys, longSessions)
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	for _, values := range []url.Values{{"prompt": {"select_account login"}}, {"prompt": {"select_account"}, "max_age": {"60"}}} {
		s.advance(2 * 60 * 1e9)
		asked := s.Clock.Now().Unix()
		list := b.get(s.at(b.get(s.at(b.get(s.authorizeURL(values))))))
		b.Choose, b.Pages = chosen(t, list, "ada@example.com"), nil
		p := b.walk(s.authorizeURL(values))
		if at := s.authTime(s.wantCode(s.sentTo(p, callback), "af0ifjsldkj")); at < asked || strings.Join(b.Pages, " ") != "accounts login" {
			t.Errorf("%v: auth_time %d, asked at %d, pages %v", values, at, asked, b.Pages)
		}
	}
}

func TestRow166AccountsOfOtherBrowsersCannotBeChosen(t *testing.T) {
	s := start(t, "memory", quickKeys)
	s.client()
	s.user("ada@example.com")
	eve := s.user("eve@example.com")
	victim, thief := s.browser("ada@example.com"), s.browser("eve@example.com")
	victim.code(nil)
	thief.code(nil)
	again := url.Values{"prompt": {"select_account"}}
	list := victim.get(s.at(victim.get(s.at(victim.get(s.authorizeURL(again))))))
	thief.Choose = chosen(t, list, "ada@example.com")
	at := s.at(thief.get(s.at(thief.get(s.authorizeURL(again)))))
	p := thief.submit(thief.get(at), "accounts", url.Values{"account": {thief.Choose}})
	if p.StatusCode != http.StatusSeeOther || !strings.Contains(p.Header.Get("Location"), "/login?") {
		t.Errorf("a session of another browser: %d to %s", p.StatusCode, p.Header.Get("Location"))
	}
	thief.Choose = ""
	if got := thief.subOf(nil); got != eve {
		t.Errorf("the thief is %s", got)
	}
}
