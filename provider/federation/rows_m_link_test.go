package federation_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/storage"
)

// linkCorp links the provider to whoever is signed in, from the account page on.
func (v *visitor) linkCorp(g *gatehouse) view {
	v.Helper()
	p := v.submit(v.get(g.URL+"/account/security"), "action", "/account/link", url.Values{"upstream": {"corp"}})
	return v.submit(p, "id", "link", nil)
}

func TestRow174ForcedLinking(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.Link = "proof" })})
	o.SetNow(g.Clock.Now)
	g.app()
	victim := g.user("victim@example.com")
	g.user("ada@example.com")
	o.SetUser(map[string]any{"sub": "attacker", "email": "attacker@example.com", "email_verified": true})

	t.Run("row 174 cross-site", func(t *testing.T) {
		v, _ := local(g, "victim@example.com")
		for name, change := range map[string]func(*http.Request){
			"cross-site POST": func(r *http.Request) {
				r.Header.Set("Origin", "https://evil.example")
				r.Header.Set("Sec-Fetch-Site", "cross-site")
			},
			"no token": func(*http.Request) {},
		} {
			r, _ := http.NewRequest("POST", g.URL+"/account/link", strings.NewReader("upstream=corp&confirm=1"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", g.URL)
			change(r)
			if p := v.do(r); p.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %d %s", name, p.StatusCode, p.Header.Get("Location"))
			}
		}
		before := o.Count("/authorize")
		v.get(g.URL + "/account/link?upstream=corp&confirm=1")
		v.get(g.URL + "/upstream/corp/start?link=1")
		if o.Count("/authorize") != before || len(g.identities(victim)) != 0 {
			t.Error("a link led to the provider, or linked")
		}
	})
	t.Run("row 174 the attacker's callback in the victim's browser", func(t *testing.T) {
		attacker, _ := local(g, "ada@example.com")
		p := attacker.submit(attacker.get(g.URL+"/account/security"), "action", "/account/link", url.Values{"upstream": {"corp"}})
		action, fields := attacker.form(p, "id", "link")
		to := attacker.postOnce(g.URL+action, fields).Header.Get("Location")
		callback := attacker.one(to).Header.Get("Location")
		v, _ := local(g, "victim@example.com")
		if p := v.get(callback); p.StatusCode != http.StatusForbidden {
			t.Errorf("%d %s", p.StatusCode, p.Body)
		}
		if len(g.identities(victim)) != 0 {
			t.Error("the attacker's account is linked to the victim")
		}
	})
	t.Run("row 174 the session changed on the way", func(t *testing.T) {
		v, _ := local(g, "ada@example.com")
		p := v.submit(v.get(g.URL+"/account/security"), "action", "/account/link", url.Values{"upstream": {"corp"}})
		action, fields := v.form(p, "id", "link")
		callback := v.one(v.postOnce(g.URL+action, fields).Header.Get("Location")).Header.Get("Location")
		v.submit(v.get(g.URL+"/account"), "id", "logout", nil)
		v.signInLocally(v.get(g.URL+"/account"), "victim@example.com")
		if p := v.get(callback); p.StatusCode != http.StatusConflict || len(g.identities(victim)) != 0 {
			t.Errorf("%d %s", p.StatusCode, p.Body)
		}
	})
	t.Run("row 174 an old sign-in is asked again", func(t *testing.T) {
		v, _ := local(g, "victim@example.com")
		page := v.get(g.URL + "/account/security")
		g.advance(6 * time.Minute)
		before := o.Count("/authorize")
		p := v.submit(page, "action", "/account/link", url.Values{"upstream": {"corp"}, "confirm": {"1"}})
		if !strings.Contains(p.Body, `id="login"`) || o.Count("/authorize") != before {
			t.Fatalf("not asked: %d %s", p.StatusCode, p.Body)
		}
		p = v.signInLocally(p, "victim@example.com")
		if !strings.Contains(p.Body, `action="/account/link"`) {
			t.Errorf("after the sign-in the question is not there: %s", p.Body)
		}
	})
	t.Run("row 174 the proof is for one account", func(t *testing.T) {
		o.SetUser(map[string]any{"sub": "first", "email": "ada@example.com", "email_verified": true})
		v := newVisitor(t)
		asked := v.choose(g, "corp", nil)
		// Another account of the provider, whose address is nobody's here, takes the same interaction before the proof comes.
		o.SetUser(map[string]any{"sub": "second", "email": "ada@example.com", "email_verified": true})
		_, fields := v.form(asked, "id", "login")
		asked = v.post(g.URL+"/upstream/corp/start", fields)
		v.arrived(g, v.signInLocally(asked, "ada@example.com"))
		list := g.identities("sub-ada-example-com")
		if len(list) != 1 || list[0].ExternalID != "second" {
			t.Errorf("identities %+v, want the one that was vouched for last", list)
		}
		// The used proof links nothing more.
		finish := g.URL + "/upstream/corp/finish?interaction=" + interactionOf(asked)
		v.get(finish)
		if n := len(g.identities("sub-ada-example-com")); n != 1 {
			t.Errorf("%d identities after the proof was used again", n)
		}
	})
}

func interactionOf(p view) string { return p.Request.URL.Query().Get("interaction") }

func TestRow174OnlyTheOwnerOfTheAddressIsLinked(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "sqlite", []upstream.Config{corp(o)})
	g.app()
	owner, other := g.user("ada@example.com"), g.user("other@example.com")
	v := newVisitor(t)
	p := v.choose(g, "corp", nil)
	if p = v.submit(p, "id", "login", url.Values{"username": {"other@example.com"}, "password": {password}}); len(g.identities(other)) != 0 {
		t.Errorf("another user's password linked: %d", p.StatusCode)
	}
	// The name is fixed: the password went to the owner's account, whose it is, too.
	if list := g.identities(owner); len(list) != 1 || list[0].ExternalID != "user-1" {
		t.Errorf("identities of the owner %+v", list)
	}
	v = newVisitor(t)
	if info, _ := v.arrived(g, v.choose(g, "corp", nil)); info["sub"] != owner {
		t.Errorf("afterwards the provider leads to %v", info["sub"])
	}
}

// Like everything else that the account page does, a link that was made or taken away is said there.
func TestAccountPageSaysWhatWasLinkedAndUnlinked(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o)})
	g.user("ada@example.com")
	v, _ := local(g, "ada@example.com")
	p := v.linkCorp(g)
	if !strings.Contains(p.Body, "The sign-in provider is added.") {
		t.Errorf("after a link: %d %s", p.StatusCode, p.Body)
	}
	p = v.submit(v.get(g.URL+"/account/security"), "action", "/account/unlink", nil)
	if !strings.Contains(p.Body, "The sign-in provider is removed.") {
		t.Errorf("after it was taken away: %d %s", p.StatusCode, p.Body)
	}
	if p = v.get(g.URL + "/account/security"); strings.Contains(p.Body, "The sign-in provider is") {
		t.Errorf("of a page that was opened anew: %s", p.Body)
	}
}

func TestRow175BoundElsewhereAndLastWayIn(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, backend string) {
		o := upstreamtest.NewOIDC(t)
		o.SetUser(map[string]any{"sub": "user-1", "name": "Somebody"})
		g := start(t, backend, []upstream.Config{corp(o)})
		g.app()
		first, second := g.user("ada@example.com"), g.user("bob@example.com")
		a, _ := local(g, "ada@example.com")
		cookie := a.session(g)
		a.linkCorp(g)
		if list := g.identities(first); len(list) != 1 {
			t.Fatalf("not linked: %+v", list)
		}
		if a.session(g) == cookie || !a.signedIn(g) {
			t.Error("the cookie did not change with the link (row 179), or the session is lost")
		}
		b, _ := local(g, "bob@example.com")
		if p := b.linkCorp(g); p.StatusCode != http.StatusConflict || !strings.Contains(p.Body, "linked already") {
			t.Errorf("linked twice: %d %s", p.StatusCode, p.Body)
		}
		if len(g.identities(second)) != 0 {
			t.Error("the account moved")
		}
		if p := a.submit(a.get(g.URL+"/account/security"), "action", "/account/unlink", nil); len(g.identities(first)) != 0 {
			t.Errorf("with a password left the account can be removed: %d %s", p.StatusCode, p.Body)
		}

		// A user without a password.
		o.SetUser(map[string]any{"sub": "only", "name": "Only"})
		v := newVisitor(t)
		info, _ := v.arrived(g, v.choose(g, "corp", nil))
		page := v.get(g.URL + "/account/security")
		if strings.Contains(page.Body, `action="/account/unlink"`) || !strings.Contains(page.Body, "only way into your account") {
			t.Errorf("the last way in is offered for removal: %s", page.Body)
		}
		_, fields := v.form(v.get(g.URL+"/account"), "id", "logout")
		p := v.postOnce(g.URL+"/account/unlink", url.Values{"csrf": {fields.Get("csrf")}, "upstream": {"corp"}, "external_id": {"only"}})
		if p.StatusCode != http.StatusConflict || len(g.identities(info["sub"].(string))) != 1 {
			t.Errorf("the last way in was removed: %d", p.StatusCode)
		}
	})
}

// session is the session cookie that the browser holds.
func (v *visitor) session(g *gatehouse) string {
	u, _ := url.Parse(g.URL)
	for _, c := range v.client.Jar.Cookies(u) {
		if c.Name == "gth_sid" {
			return c.Value
		}
	}
	return ""
}

// A password that nobody may use, or an account at a provider that is gone, is no way in.
func TestRow175OnlyUsableWaysInCount(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	two := []upstream.Config{corp(o), corp(o, func(c *upstream.Config) { c.ID = "second" })}
	g := start(t, "memory", two, func(o *provider.Options) { o.NoPassword = true })
	subject := g.user("ada@example.com")
	for _, i := range []*storage.Identity{{Upstream: "corp", ExternalID: "user-1", Subject: subject}, {Upstream: "gone", ExternalID: "x", Subject: subject}} {
		if err := g.Store.CreateIdentity(t.Context(), i, 0); err != nil {
			t.Fatal(err)
		}
	}
	v := newVisitor(t)
	page := v.submit(v.get(g.URL+"/account"), "action", "/upstream/corp/start", nil)
	_, fields := v.form(page, "id", "logout")
	remove := func(id, external string) int {
		return v.postOnce(g.URL+"/account/unlink", url.Values{"csrf": {fields.Get("csrf")}, "upstream": {id}, "external_id": {external}}).StatusCode
	}
	if code := remove("corp", "user-1"); code != http.StatusConflict || len(g.identities(subject)) != 2 {
		t.Errorf("the last usable way in was removed: %d", code)
	}
	if code := remove("gone", "x"); code != http.StatusSeeOther || len(g.identities(subject)) != 1 {
		t.Errorf("what is no way in cannot be removed: %d", code)
	}
}

func TestTrustedProvidersDoNotThrowEachOtherOut(t *testing.T) {
	a, b := upstreamtest.NewOIDC(t), upstreamtest.NewOIDC(t)
	b.SetUser(map[string]any{"sub": "b-user", "email": "ada@example.com", "email_verified": true})
	verified := func(id string) func(*upstream.Config) {
		return func(c *upstream.Config) { c.ID, c.Link = id, "verified" }
	}
	g := start(t, "sqlite", []upstream.Config{corp(a, verified("a")), corp(b, verified("b"))})
	g.app()
	phone, laptop := newVisitor(t), newVisitor(t)
	first, _ := phone.arrived(g, phone.choose(g, "a", nil))
	second, _ := laptop.arrived(g, laptop.choose(g, "b", nil))
	if first["sub"] != second["sub"] || !phone.signedIn(g) || len(g.identities(first["sub"].(string))) != 2 {
		t.Errorf("%v and %v, the phone is signed in: %v", first["sub"], second["sub"], phone.signedIn(g))
	}
}

func TestGroupsGoWithTheAccountThatBroughtThem(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	o.SetUser(map[string]any{"sub": "user-1", "groups": []any{"ops", "a\x00b\x1b[31m", "op\u202es"}, "nickname": "Ada\u202egnp.exe"})
	g := start(t, "sqlite", []upstream.Config{corp(o, func(c *upstream.Config) { c.Groups, c.Roles = "groups", map[string][]string{"admin": {"ops"}} })})
	subject := g.user("ada@example.com")
	v, _ := local(g, "ada@example.com")
	v.linkCorp(g)
	if u, _ := g.byEmail("ada@example.com"); fmt.Sprint(u.Claims["roles"], u.Claims["groups"]) != "[admin] [ops]" || u.Claims["nickname"] != nil {
		t.Fatalf("claims %v", u.Claims)
	}
	v.submit(v.get(g.URL+"/account/security"), "action", "/account/unlink", nil)
	if u, _ := g.byEmail("ada@example.com"); len(g.identities(subject)) != 0 || u.Claims["roles"] != nil || u.Claims["groups"] != nil || u.Claims["name"] == nil {
		t.Errorf("after unlinking: %v", u.Claims)
	}
}

// Row 168: what is over the limit stores nothing, also for somebody who is signed in.
func TestRow168LinkingIsLimitedBeforeItStores(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "sqlite", []upstream.Config{corp(o)}, func(o *provider.Options) { o.Limits.Interactions = ratelimit.Limit{Burst: 3, Every: time.Hour} })
	g.user("ada@example.com")
	v, page := local(g, "ada@example.com")
	_, fields := v.form(page, "id", "logout")
	const posts = 12
	codes := map[int]int{}
	for range posts {
		codes[v.postOnce(g.URL+"/account/link", url.Values{"csrf": {fields.Get("csrf")}, "upstream": {"corp"}, "confirm": {"1"}}).StatusCode]++
	}
	if codes[http.StatusSeeOther] != 3 || codes[http.StatusTooManyRequests] != posts-3 {
		t.Errorf("answers %v, want 3 that lead to the provider and %d refused", codes, posts-3)
	}
	// The sign-in and the three are all there is; the session lives longer than that.
	stored, err := g.Store.Purge(t.Context(), g.Clock.Now().Add(31*time.Minute+storage.InteractionGrace), 500)
	if err != nil || stored > 1+3 {
		t.Errorf("%d interactions were stored, %v", stored, err)
	}
}
