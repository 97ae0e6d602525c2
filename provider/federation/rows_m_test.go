package federation_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/storage"
)

// The attacks of section M, through the whole server. What a bent token does is tested beside the drivers.

// signedIn tells whether a browser has a session.
func (v *visitor) signedIn(g *gatehouse) bool {
	v.Helper()
	return strings.Contains(v.get(g.URL+"/account").Body, `id="account-name"`)
}

// nobody demands that a walk ended on a page with a status and signed nobody in.
func (v *visitor) nobody(g *gatehouse, p view, status int, words ...string) {
	v.Helper()
	if p.StatusCode != status || p.Header.Get("Location") != "" {
		v.Errorf("%d %s, want a page with %d: %s", p.StatusCode, p.Header.Get("Location"), status, p.Body)
	}
	for _, w := range words {
		if !strings.Contains(p.Body, w) {
			v.Errorf("the page does not say %q: %s", w, p.Body)
		}
	}
	if v.signedIn(g) {
		v.Error("somebody is signed in")
	}
}

// signInLocally answers a sign-in page with the password.
func (v *visitor) signInLocally(p view, email string) view {
	v.Helper()
	return v.submit(p, "id", "login", url.Values{"username": {email}, "password": {password}})
}

// local is a browser whose user has just signed in with the password, on the account page.
func local(g *gatehouse, email string) (*visitor, view) {
	v := newVisitor(g.T)
	return v, v.signInLocally(v.get(g.URL+"/account"), email)
}

func TestRow169ABentIDTokenSignsNobodyIn(t *testing.T) {
	for name, bend := range map[string]func(map[string]any){
		"nonce": func(c map[string]any) { c["nonce"] = "other" }, "no nonce": func(c map[string]any) { delete(c, "nonce") },
		"aud": func(c map[string]any) { c["aud"] = "somebody-else" }, "iss": func(c map[string]any) { c["iss"] = "https://evil.example" },
	} {
		t.Run(name, func(t *testing.T) {
			o := upstreamtest.NewOIDC(t)
			g := start(t, "memory", []upstream.Config{corp(o)})
			g.app()
			o.Break(upstreamtest.Faults{Claims: func(kind string, c map[string]any) {
				if kind == "id" {
					bend(c)
				}
			}})
			v := newVisitor(t)
			v.nobody(g, v.choose(g, "corp", nil), http.StatusBadGateway, "The sign-in with Corp failed")
			if g.countUsers() != 0 || !strings.Contains(g.Log.String(), `"event":"federation.refused"`) {
				t.Error("a user was made, or nothing was recorded")
			}
		})
	}
}

// Every address that is not verified by the JSON word true finds nobody: the owner of the address here is neither signed in nor linked, and a user without an address is all there is.
func TestRow171OnlyAVerifiedAddressFindsAUser(t *testing.T) {
	for _, link := range []string{"proof", "verified", "never"} {
		for name, verified := range map[string]any{"false": false, "text false": "false", "text true": "true", "one": 1, "list": []any{}, "absent": nil} {
			t.Run(link+" "+name, func(t *testing.T) {
				o := upstreamtest.NewOIDC(t)
				g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.Link = link })})
				g.app()
				victim := g.user("ada@example.com")
				claims := map[string]any{"sub": "evil", "email": "ada@example.com", "name": "Mallory"}
				if verified != nil {
					claims["email_verified"] = verified
				}
				o.SetUser(claims)
				v := newVisitor(t)
				info, _ := v.arrived(g, v.choose(g, "corp", nil))
				if info["sub"] == victim || info["email"] != nil || info["email_verified"] != nil {
					t.Errorf("signed in as %v", info)
				}
				if len(g.identities(victim)) != 0 {
					t.Error("linked to the victim")
				}
				if _, encoded := g.byEmail("ada@example.com"); encoded == "" {
					t.Error("the victim's password is gone")
				}
			})
		}
	}
}

func TestRow172PreHijackedAccount(t *testing.T) {
	t.Run("unverified here: asked for proof, never let in", func(t *testing.T) {
		for _, link := range []string{"proof", "verified"} {
			o := upstreamtest.NewOIDC(t)
			g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.Link = link })})
			g.app()
			squatter := g.user("ada@example.com", func(u *storage.User) { u.EmailVerified = false })
			v := newVisitor(t)
			p := v.choose(g, "corp", nil)
			if !strings.Contains(p.Body, "ada@example.com") || !strings.Contains(p.Body, "readonly") || v.signedIn(g) || len(g.identities(squatter)) != 0 {
				t.Errorf("%s: %d %s", link, p.StatusCode, p.Body)
			}
		}
	})
	t.Run("never: refused", func(t *testing.T) {
		o := upstreamtest.NewOIDC(t)
		g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.Link = "never" })})
		g.app()
		owner := g.user("ada@example.com")
		v := newVisitor(t)
		v.nobody(g, v.choose(g, "corp", nil), http.StatusConflict, "You have an account here already")
		if len(g.identities(owner)) != 0 {
			t.Error("linked")
		}
	})
	t.Run("verified on both sides: nothing of the squatter is left", func(t *testing.T) {
		onEveryBackend(t, func(t *testing.T, backend string) {
			o := upstreamtest.NewOIDC(t)
			g := start(t, backend, []upstream.Config{corp(o, func(c *upstream.Config) { c.Link = "verified" })})
			g.app()
			subject := g.user("ada@example.com")
			if err := g.Store.CreateIdentity(t.Context(), &storage.Identity{Upstream: "corp", ExternalID: "squatter", Subject: subject, Label: "evil"}, 0); err != nil {
				t.Fatal(err)
			}
			squatter, _ := local(g, "ada@example.com")
			code := squatter.get(g.authorize(url.Values{"scope": {"openid offline_access"}, "prompt": {"consent"}})).Header.Get("Location")
			location, _ := url.Parse(code)
			tokens := g.call("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {location.Query().Get("code")}, "redirect_uri": {appCallback}, "code_verifier": {verifier}})
			g.Clock.Advance(time.Millisecond)

			victim := newVisitor(t)
			info, _ := victim.arrived(g, victim.choose(g, "corp", nil))
			if info["sub"] != subject {
				t.Fatalf("signed in as %v, want %s", info["sub"], subject)
			}
			if squatter.signedIn(g) {
				t.Error("the squatter's session lives on")
			}
			if _, encoded := g.byEmail("ada@example.com"); encoded != "" {
				t.Error("the squatter's password lives on")
			}
			if list := g.identities(subject); len(list) != 1 || list[0].ExternalID != "user-1" {
				t.Errorf("identities %+v", list)
			}
			if answer := g.raw("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}}); answer.StatusCode != http.StatusBadRequest {
				t.Errorf("the squatter's refresh token: %d", answer.StatusCode)
			}
		})
	})
}

func TestRow173TheKeyIsTheAccountNotItsName(t *testing.T) {
	h := upstreamtest.NewGitHub(t)
	g := start(t, "memory", []upstream.Config{{ID: "github", Type: "github", URL: h.URL, ClientID: upstreamtest.ClientID, ClientSecret: upstreamtest.ClientSecret, CreateUsers: true}})
	g.app()
	in := func() string {
		v := newVisitor(t)
		info, _ := v.arrived(g, v.choose(g, "github", nil))
		return info["sub"].(string)
	}
	first := in()
	h.SetUser(upstreamtest.GitHubUser{ID: 583231, Login: "renamed", Emails: []upstreamtest.GitHubEmail{{Email: "new@example.com", Primary: true, Verified: true}}})
	if renamed := in(); renamed != first {
		t.Errorf("renamed, the account is %s, it was %s", renamed, first)
	}
	h.SetUser(upstreamtest.GitHubUser{ID: 99, Login: "octocat", PublicEmail: "octocat@example.com", Emails: []upstreamtest.GitHubEmail{{Email: "octocat@example.com", Primary: true, Verified: false}}})
	if taken := in(); taken == first {
		t.Error("whoever took over the old login and address is taken for the old account")
	}
}

func TestRow177TheProvidersWordsAndAddressesDoNothing(t *testing.T) {
	hits := make(chan string, 10)
	inside := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hits <- r.URL.Path }))
	defer inside.Close()
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o)})
	g.app()
	o.Break(upstreamtest.Faults{Answer: func(q url.Values) {
		q.Del("code")
		q.Set("error", "server_error<script>alert(1)</script>")
		q.Set("error_description", "<script>alert(2)</script>")
	}})
	v := newVisitor(t)
	p := v.choose(g, "corp", nil)
	v.nobody(g, p, http.StatusBadGateway)
	if strings.Contains(p.Body, "alert(") {
		t.Errorf("the provider's words are on the page: %s", p.Body)
	}
	o.Break(upstreamtest.Faults{})
	o.SetUser(map[string]any{"sub": "user-1", "name": "<script>alert(3)</script>", "picture": inside.URL + "/avatar.png", "email": "x@example.com", "email_verified": true})
	v = newVisitor(t)
	info, _ := v.arrived(g, v.choose(g, "corp", nil))
	account := v.get(g.URL + "/account")
	if strings.Contains(account.Body, "<script>alert(3)") || info["picture"] != inside.URL+"/avatar.png" {
		t.Errorf("%v %s", info, account.Body)
	}
	if len(hits) != 0 {
		t.Errorf("the avatar was fetched: %s", <-hits)
	}
}

// A state works in one browser, once, and for the provider that it was made for.
func TestMixUpStateSwapAndReplay(t *testing.T) {
	a, b := upstreamtest.NewOIDC(t), upstreamtest.NewOIDC(t)
	b.SetUser(map[string]any{"sub": "b-user"})
	g := start(t, "sqlite", []upstream.Config{corp(a, func(c *upstream.Config) { c.ID = "a" }), corp(b, func(c *upstream.Config) { c.ID = "b" })})
	g.app()
	begin := func(v *visitor, id string) string {
		page := v.get(g.authorize(nil))
		action, fields := v.form(page, "action", "/upstream/"+id+"/start")
		return v.one(v.postOnce(g.URL+action, fields).Header.Get("Location")).Header.Get("Location")
	}
	v := newVisitor(t)
	toA := begin(v, "a")
	swapped := strings.Replace(toA, "/upstream/a/callback", "/upstream/b/callback", 1)
	redeemed := b.Count("/token")
	v.nobody(g, v.get(swapped), http.StatusForbidden)
	if b.Count("/token") != redeemed {
		t.Error("the code of one provider went to the other")
	}
	other := newVisitor(t)
	other.nobody(g, other.get(toA), http.StatusForbidden)
	forged, _ := url.Parse(toA)
	q := forged.Query()
	q.Set("state", q.Get("state")+"x")
	forged.RawQuery = q.Encode()
	v.nobody(g, v.get(forged.String()), http.StatusForbidden)

	if info, _ := v.arrived(g, v.get(toA)); info["sub"] == nil {
		t.Error("the strangers' tries ended the walk")
	}
	if p := v.get(toA); p.StatusCode != http.StatusForbidden {
		t.Errorf("the answer worked twice: %d", p.StatusCode)
	}
	late := newVisitor(t)
	toA = begin(late, "a")
	g.advance(11 * time.Minute)
	late.nobody(g, late.get(toA), http.StatusForbidden)
	// An answer that carries the issuer of another provider (RFC 9207).
	a.Break(upstreamtest.Faults{Answer: func(q url.Values) { q.Set("iss", b.Issuer) }})
	v = newVisitor(t)
	v.nobody(g, v.get(begin(v, "a")), http.StatusBadGateway)
}

func TestAnAnswerThatComesByFormIsSentOnWithCookies(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o)})
	g.app()
	v := newVisitor(t)
	page := v.get(g.authorize(nil))
	action, fields := v.form(page, "action", "/upstream/corp/start")
	answer, _ := url.Parse(v.one(v.postOnce(g.URL+action, fields).Header.Get("Location")).Header.Get("Location"))
	r, _ := http.NewRequest("POST", g.URL+"/upstream/corp/callback", strings.NewReader(answer.RawQuery))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://appleid.example")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	sent, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r) // no cookies, as SameSite has it
	if err != nil {
		t.Fatal(err)
	}
	sent.Body.Close()
	if sent.StatusCode != http.StatusSeeOther || len(sent.Header["Set-Cookie"]) != 0 {
		t.Fatalf("%d %v", sent.StatusCode, sent.Header)
	}
	v.arrived(g, v.get(g.URL+sent.Header.Get("Location")))
}

// A Kelvin sign is no K: keys fold the two, and a provider may well have both.
func TestRow148LookAlikeAddressFindsNobody(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	o.SetUser(map[string]any{"sub": "evil", "email": "\u212aim@example.com", "email_verified": true})
	g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.Link = "verified" })})
	g.app()
	kim := g.user("kim@example.com")
	v := newVisitor(t)
	if info, _ := v.arrived(g, v.choose(g, "corp", nil)); info["sub"] == kim || info["email"] != nil {
		t.Errorf("signed in as %v", info)
	}
}
