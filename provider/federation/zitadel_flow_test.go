package federation_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/federation"
	"gatehouse/provider/upstream"
)

var (
	adaAtGoogle   = googleAccount{Sub: "110169484474386276334", Email: "ada@example.com", Name: "Ada Lovelace", HD: "example.com", Verified: true}
	graceAtGoogle = googleAccount{Sub: "110248495921238986420", Email: "grace@gmail.com", Name: "Grace Hopper", Verified: true}
	// alanAtGoogle verified an address that Google does not host, once.
	alanAtGoogle = googleAccount{Sub: "117386298411290011237", Email: "alan@corp.example", Name: "Alan Turing", Verified: true}
)

// withGoogle starts a server whose only upstream is a Google with the three accounts.
func withGoogle(t *testing.T, changes ...func(*upstream.Config)) (*gatehouse, *googleLike) {
	t.Helper()
	g := reserve(t, "memory", "127.0.0.1")
	o := newGoogle(t, federation.RedirectURI(g.URL, "google"), adaAtGoogle, graceAtGoogle, alanAtGoogle)
	if err := g.boot([]upstream.Config{o.config(changes...)}); err != nil {
		t.Fatal(err)
	}
	g.app()
	return g, o
}

// atGoogle goes to Google, which shows its accounts, and chooses one.
func (v *visitor) atGoogle(g *gatehouse, sub string, values url.Values) view {
	v.Helper()
	return v.submit(v.choose(g, "google", values), "id", sub, nil)
}

func TestGoogleSignInAndReturnWithRefreshedClaims(t *testing.T) {
	g, o := withGoogle(t)
	v := newVisitor(t)
	info, token := v.arrived(g, v.atGoogle(g, adaAtGoogle.Sub, nil))
	if info["email"] != adaAtGoogle.Email || info["email_verified"] != true || info["name"] != adaAtGoogle.Name || info["family_name"] != "Lovelace" {
		t.Errorf("userinfo %v", info)
	}
	if at, _ := token["auth_time"].(float64); g.Clock.Now().Unix()-int64(at) > 60 || token["acr"] != "1" || token["iss"] != g.URL {
		t.Errorf("ID token %v: Google does not tell auth_time, so it is the time of the sign-in", token)
	}
	for name, want := range map[string]string{"code_challenge_method": "S256", "scope": "openid profile email", "response_type": "code", "prompt": "", "hd": ""} {
		if got := o.lastAsked().Get(name); got != want {
			t.Errorf("%s is %q in what Google was asked, want %q", name, got, want)
		}
	}
	o.set(adaAtGoogle.Sub, func(a *googleAccount) { a.Name, a.Email = "Ada King", "ada.king@example.com" })
	again, _ := v.arrived(g, v.atGoogle(g, adaAtGoogle.Sub, url.Values{"prompt": {"select_account"}}))
	if again["sub"] != info["sub"] || again["name"] != "Ada King" || again["email"] != adaAtGoogle.Email {
		t.Errorf("the second sign-in is %v: the key is sub, the name is refreshed, the address here stays", again)
	}
	if list := g.identities(info["sub"].(string)); len(list) != 1 || list[0].ExternalID != adaAtGoogle.Sub || list[0].Label != "ada.king@example.com" {
		t.Errorf("identities %+v", list)
	}
}

func TestGoogleIsAskedInItsOwnWords(t *testing.T) {
	g, o := withGoogle(t)
	v := newVisitor(t)
	info, _ := v.arrived(g, v.choose(g, "google", url.Values{"login_hint": {graceAtGoogle.Email}}))
	if info["email"] != graceAtGoogle.Email || o.lastAsked().Get("login_hint") != graceAtGoogle.Email {
		t.Errorf("login_hint %q led to %v", o.lastAsked().Get("login_hint"), info["email"])
	}
	// Google refuses prompt=login. It has nothing nearer than the question which account.
	p := v.choose(g, "google", url.Values{"prompt": {"login"}})
	if o.lastAsked().Get("prompt") != "select_account" || p.Request.URL.Path != "/accountchooser" {
		t.Fatalf("prompt=login became %q and led to %s", o.lastAsked().Get("prompt"), p.Request.URL)
	}
	if other, _ := v.arrived(g, v.submit(p, "id", adaAtGoogle.Sub, nil)); other["sub"] == info["sub"] || other["email"] != adaAtGoogle.Email {
		t.Errorf("another account was chosen, but %v is signed in", other)
	}
}

// Security row 173: the hosted domain counts by the claim of the token, whatever the request said.
func TestGoogleHostedDomainCountsByTheClaim(t *testing.T) {
	g, o := withGoogle(t, func(c *upstream.Config) { c.HostedDomains = []string{"example.com"} })
	v := newVisitor(t)
	if info, _ := v.arrived(g, v.atGoogle(g, adaAtGoogle.Sub, nil)); info["email"] != adaAtGoogle.Email {
		t.Errorf("userinfo %v", info)
	}
	if got := o.lastAsked().Get("hd"); got != "example.com" {
		t.Errorf("hd is %q in what Google was asked", got)
	}
	for name, account := range map[string]func(*googleAccount){
		"gmail":                      func(*googleAccount) {},
		"another domain":             func(a *googleAccount) { a.HD = "evil.example" },
		"address of the domain only": func(a *googleAccount) { a.Email = "grace@example.com" },
		"subdomain":                  func(a *googleAccount) { a.HD = "sub.example.com" },
		"capitals":                   func(a *googleAccount) { a.HD = "EXAMPLE.COM" },
	} {
		t.Run(name, func(t *testing.T) {
			o.set(graceAtGoogle.Sub, func(a *googleAccount) { *a = graceAtGoogle; account(a) })
			before := g.countUsers()
			// The person takes hd out of the address, and Google offers every account.
			v := newVisitor(t)
			id, hidden := v.form(v.get(g.authorize(nil)), "action", "/upstream/google/start")
			altered, err := url.Parse(v.postOnce(g.URL+id, hidden).Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			q := altered.Query()
			q.Del("hd")
			altered.RawQuery = q.Encode()
			p := v.submit(v.get(altered.String()), "id", graceAtGoogle.Sub, nil)
			if p.StatusCode != http.StatusForbidden || !strings.Contains(p.Body, "Your account is not allowed here") {
				t.Errorf("%d %s", p.StatusCode, p.Body)
			}
			if n := g.countUsers(); n != before {
				t.Errorf("%d users after %d", n, before)
			}
		})
	}
}

func TestGoogleRotatesItsKeys(t *testing.T) {
	g, o := withGoogle(t)
	sub := func() any {
		t.Helper()
		v := newVisitor(t)
		info, _ := v.arrived(g, v.atGoogle(g, adaAtGoogle.Sub, nil))
		return info["sub"]
	}
	first := sub()
	// A new key signs, the old one is kept: the new one is fetched although the set is fresh.
	o.publish("key-2", "key-1", "key-2")
	if got := sub(); got != first {
		t.Errorf("by the new key %v, by the old one %v", got, first)
	}
	o.publish("key-1", "key-1", "key-2")
	if got := sub(); got != first {
		t.Errorf("by the old key, which is in the set yet, %v, before %v", got, first)
	}
	// The old one is gone, and with it whoever has stolen it.
	o.publish("key-2", "key-2")
	g.advance(11 * time.Minute)
	if got := sub(); got != first {
		t.Errorf("without the old key %v, before %v", got, first)
	}
	o.publish("key-1", "key-2")
	v := newVisitor(t)
	if p := v.atGoogle(g, adaAtGoogle.Sub, nil); p.StatusCode != http.StatusBadGateway || p.Header.Get("Location") != "" {
		t.Errorf("a key that is gone signed somebody in: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	if !strings.Contains(g.Log.String(), "no key of the provider verifies") {
		t.Errorf("the log does not say why: %s", g.Log.String())
	}
}

// Security rows 171 and 173: Google vouches for the addresses that it gives out or hosts, and for no others.
func TestGoogleIsNoAuthorityForAddressesOfOthers(t *testing.T) {
	for name, test := range map[string]struct {
		account googleAccount
		linked  bool
	}{
		"hosted":                     {adaAtGoogle, true},
		"gmail":                      {graceAtGoogle, true},
		"neither":                    {alanAtGoogle, false},
		"hosted, but not verified":   {googleAccount{Sub: "1", Email: "ada@example.com", HD: "example.com"}, false},
		"looks like gmail":           {googleAccount{Sub: "2", Email: "grace@gmail.com.example", Verified: true}, false},
		"a subdomain of gmail":       {googleAccount{Sub: "3", Email: "grace@x.gmail.com", Verified: true}, false},
		"gmail as a suffix of words": {googleAccount{Sub: "4", Email: "grace@notgmail.com", Verified: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g, o := withGoogle(t, func(c *upstream.Config) { c.Link = "verified" })
			o.set(alanAtGoogle.Sub, func(a *googleAccount) { *a = test.account })
			owner := g.user(test.account.Email)
			v := newVisitor(t)
			info, _ := v.arrived(g, v.atGoogle(g, test.account.Sub, nil))
			if got := info["sub"] == owner; got != test.linked {
				t.Fatalf("signed in as %v, the owner of the address is %v", info["sub"], owner)
			}
			if !test.linked && (info["email"] != nil || len(g.identities(owner)) != 0) {
				t.Errorf("an address that nobody vouches for became %v; identities of its owner: %+v", info, g.identities(owner))
			}
		})
	}
}

// Google has no end_session_endpoint, and the configuration refuses to ask for one: sign-out ends here, and goes on to the app.
func TestSignOutWithoutEndSessionAtGoogle(t *testing.T) {
	g, _ := withGoogle(t)
	v := newVisitor(t)
	info, _ := v.arrived(g, v.atGoogle(g, adaAtGoogle.Sub, nil))
	out := v.get(g.URL + "/oauth2/logout?" + url.Values{"id_token_hint": {v.lastIDToken}, "post_logout_redirect_uri": {"https://rp.example/bye"}, "state": {"s1"}}.Encode())
	if location := out.Header.Get("Location"); location != "https://rp.example/bye?state=s1" {
		t.Errorf("sign-out ends at %s (%q)", out.Request.URL, location)
	}
	if left := g.sessions(info["sub"].(string)); len(left) != 0 {
		t.Errorf("%d sessions live on", len(left))
	}
}
