package federation_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

func TestBackChannelLogoutFromTheProvider(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, backend string) {
		o := upstreamtest.NewOIDC(t)
		g := start(t, backend, []upstream.Config{corp(o)})
		o.SetNow(g.Clock.Now)
		g.app()
		in := func(sub, sid string) *visitor {
			o.SetUser(map[string]any{"sub": sub, "sid": sid})
			v := newVisitor(t)
			v.arrived(g, v.choose(g, "corp", nil))
			return v
		}
		one, two, other := in("u", "s1"), in("u", "s2"), in("other", "s3")
		to := g.URL + "/upstream/corp/logout"
		if answer := o.PostLogout(http.DefaultClient, to, "u", "s1"); answer.StatusCode != http.StatusOK || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", answer.StatusCode, answer.Header)
		}
		if one.signedIn(g) || !two.signedIn(g) || !other.signedIn(g) {
			t.Error("a logout of one session ends that one")
		}
		token := o.LogoutToken("u", "")
		for n, want := range []int{http.StatusOK, http.StatusBadRequest} {
			answer, err := http.PostForm(to, url.Values{"logout_token": {token}})
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("use %d of a token: %d, want %d", n+1, answer.StatusCode, want)
			}
		}
		if two.signedIn(g) || !other.signedIn(g) {
			t.Error("a logout of a subject ends all of its sessions, and no other")
		}
		for name, bad := range map[string]string{"none": "", "ID token": other.lastIDToken, "rubbish": "a.b.c"} {
			answer, err := http.PostForm(to, url.Values{"logout_token": {bad}})
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusBadRequest || !other.signedIn(g) {
				t.Errorf("%s: %d", name, answer.StatusCode)
			}
		}
	})
}

// The way back from a provider's sign-out is for the browser that went there.
func TestSignedOutLeadsOnlyItsOwnBrowserOn(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	o.Break(upstreamtest.Faults{Document: func(d map[string]any) { d["end_session_endpoint"] = o.Issuer + "/end" }})
	g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.EndSession = true })})
	g.app()
	v := newVisitor(t)
	v.arrived(g, v.choose(g, "corp", nil))
	p := v.one(g.URL + "/oauth2/logout?" + url.Values{"id_token_hint": {v.lastIDToken}, "post_logout_redirect_uri": {"https://rp.example/bye"}}.Encode())
	to, err := url.Parse(p.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), o.Issuer+"/end?") || to.Query().Get("id_token_hint") == "" {
		t.Fatalf("sign-out leads to %q", p.Header.Get("Location"))
	}
	back := to.Query().Get("post_logout_redirect_uri") + "?state=" + url.QueryEscape(to.Query().Get("state"))
	if p := newVisitor(t).one(back); p.StatusCode != http.StatusOK || p.Header.Get("Location") != "" {
		t.Errorf("another browser is led to %q", p.Header.Get("Location"))
	}
	if p := v.one(back); p.Header.Get("Location") != "https://rp.example/bye" {
		t.Errorf("its own browser is led to %q", p.Header.Get("Location"))
	}
}
