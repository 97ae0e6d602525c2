package federation_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential"
	"gatehouse/provider/federation"
	"gatehouse/provider/interaction"
	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/storage"
)

// corp is a configuration of the double of an OpenID provider.
func corp(o *upstreamtest.OIDC, changes ...func(*upstream.Config)) upstream.Config {
	c := upstream.Config{ID: "corp", Type: "oidc", Name: "Corp", Issuer: o.Issuer, ClientID: upstreamtest.ClientID, ClientSecret: upstreamtest.ClientSecret, CreateUsers: true}
	for _, change := range changes {
		change(&c)
	}
	return c
}

// onEveryBackend runs a test on all stores.
func onEveryBackend(t *testing.T, test func(t *testing.T, backend string)) {
	for _, name := range slices.Sorted(maps.Keys(backends)) {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

func (g *gatehouse) identities(subject string) []*storage.Identity {
	g.Helper()
	list, err := g.Store.IdentitiesOf(g.Context(), subject)
	if err != nil {
		g.Fatal(err)
	}
	return list
}

// byEmail finds a user and the encoded password.
func (g *gatehouse) byEmail(email string) (*storage.User, string) {
	g.Helper()
	key, err := credential.EmailKey(email)
	if err != nil {
		g.Fatal(err)
	}
	u, encoded, err := g.Store.UserByLogin(g.Context(), key)
	if err != nil {
		g.Fatal(err)
	}
	return u, encoded
}

func (g *gatehouse) countUsers() int {
	g.Helper()
	list, err := g.Store.ListUsers(g.Context(), "", 500)
	if err != nil {
		g.Fatal(err)
	}
	return len(list)
}

func TestFirstSignInMakesAUserAndTheNextFindsIt(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, backend string) {
		o := upstreamtest.NewOIDC(t)
		g := start(t, backend, []upstream.Config{corp(o)})
		g.app()
		v := newVisitor(t)
		info, token := v.arrived(g, v.choose(g, "corp", nil))
		if info["email"] != "ada@example.com" || info["email_verified"] != true || info["name"] != "Ada Lovelace" {
			t.Errorf("userinfo %v", info)
		}
		if token["acr"] != "1" || token["sub"] != info["sub"] {
			t.Errorf("ID token %v", token)
		}
		o.SetUser(map[string]any{"sub": "user-1", "email": "changed@example.com", "email_verified": true, "name": "Ada King"})
		other := newVisitor(t)
		again, _ := other.arrived(g, other.choose(g, "corp", nil))
		if again["sub"] != info["sub"] || again["name"] != "Ada King" || again["email"] != "ada@example.com" {
			t.Errorf("the second sign-in is %v, the first was %v: the key is the account, claims are refreshed, the address here is the user's own", again, info)
		}
		if n := g.countUsers(); n != 1 {
			t.Errorf("%d users", n)
		}
		if list := g.identities(info["sub"].(string)); len(list) != 1 || list[0].ExternalID != "user-1" || list[0].Label != "changed@example.com" {
			t.Errorf("identities %+v", list)
		}
	})
}

// A chain: the relying party trusts one Gatehouse, which trusts another, which asks for a password.
func TestChainOfTwoGatehouses(t *testing.T) {
	far := reserve(t, "memory", "localhost")
	near := reserve(t, "sqlite", "127.0.0.1")
	if err := far.boot(nil); err != nil {
		t.Fatal(err)
	}
	far.app(func(c *storage.Client) {
		c.ID, c.RedirectURIs, c.Scopes = "near", []string{federation.RedirectURI(near.URL, "far")}, []string{"openid", "profile", "email"}
		c.BackchannelLogoutURI = near.URL + "/upstream/far/logout"
		c.PostLogoutRedirectURIs = []string{near.URL + "/upstream/far/signed-out"}
	})
	far.user("ada@example.com")
	if err := near.boot([]upstream.Config{{ID: "far", Type: "oidc", Name: "Far", Issuer: far.URL, ClientID: "near", ClientSecret: appSecret, CreateUsers: true, EndSession: true}}); err != nil {
		t.Fatal(err)
	}
	near.app()
	v := newVisitor(t)
	page := v.choose(near, "far", url.Values{"login_hint": {"ada@example.com"}})
	if page.Request.URL.Host != strings.TrimPrefix(far.URL, "http://") || !strings.Contains(page.Body, "ada@example.com") {
		t.Fatalf("not on the far sign-in page with the hint: %s", page.Request.URL)
	}
	info, token := v.arrived(near, v.submit(page, "id", "login", url.Values{"username": {"ada@example.com"}, "password": {password}}))
	if info["email"] != "ada@example.com" || info["email_verified"] != true || !slices.Equal(token["amr"].([]any), []any{"pwd"}) {
		t.Errorf("userinfo %v, ID token %v", info, token)
	}
	// The far session ends: the near one is told, and ends too.
	subject := info["sub"].(string)
	sessions, err := far.Store.SessionsOf(t.Context(), "sub-ada-example-com")
	if err != nil || len(sessions) != 1 {
		t.Fatalf("%d far sessions, %v", len(sessions), err)
	}
	if err := far.Store.EndSession(t.Context(), sessions[0].ID); err != nil {
		t.Fatal(err)
	}
	near.await("the near session ends", func() bool { return len(near.sessions(subject)) == 0 })

	// Signing out here signs out there, and comes back to the app.
	info, token = v.arrived(near, v.submit(v.choose(near, "far", nil), "id", "login", url.Values{"username": {"ada@example.com"}, "password": {password}}))
	hint := v.lastIDToken
	out := v.get(near.URL + "/oauth2/logout?" + url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://rp.example/bye"}, "state": {"s1"}}.Encode())
	if location := out.Header.Get("Location"); location != "https://rp.example/bye?state=s1" {
		t.Errorf("sign-out ends at %s (%q): %s", out.Request.URL, location, out.Body)
	}
	if rest, err := far.Store.SessionsOf(t.Context(), "sub-ada-example-com"); err != nil || len(rest) != 0 {
		t.Errorf("%d sessions live on at the far server, %v (%v %v)", len(rest), err, info["sub"], token["sid"])
	}
}

func (g *gatehouse) sessions(subject string) []*storage.Session {
	g.Helper()
	list, err := g.Store.SessionsOf(g.Context(), subject)
	if err != nil {
		g.Fatal(err)
	}
	return list
}

func TestGitHubUserSignsIn(t *testing.T) {
	h := upstreamtest.NewGitHub(t)
	g := start(t, "memory", []upstream.Config{{ID: "github", Type: "github", URL: h.URL, ClientID: upstreamtest.ClientID, ClientSecret: upstreamtest.ClientSecret, CreateUsers: true}})
	g.app()
	v := newVisitor(t)
	info, _ := v.arrived(g, v.choose(g, "github", nil))
	if info["email"] != "octocat@example.com" || info["name"] != "The Octocat" {
		t.Errorf("userinfo %v", info)
	}
	if list := g.identities(info["sub"].(string)); len(list) != 1 || list[0].ExternalID != "583231" {
		t.Errorf("identities %+v", list)
	}
}

func TestMappingOfGroupsAndRoles(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "sqlite", []upstream.Config{corp(o, func(c *upstream.Config) {
		c.Claims = map[string]string{"nickname": "handle", "website": "home"}
		c.Groups, c.Roles = "realm.groups", map[string][]string{"admin": {"ops"}, "reader": {"staff", "ops"}}
		c.ACR = map[string]string{"gold": "2"}
	})})
	g.app()
	user := map[string]any{"sub": "user-1", "name": "Ada", "handle": "ada", "home": "javascript:alert(1)", "realm": map[string]any{"groups": []any{"ops", "staff", 7}}, "acr": "gold", "amr": []any{"hwk", "bad value"}}
	o.SetUser(user)
	v := newVisitor(t)
	info, token := v.arrived(g, v.choose(g, "corp", nil))
	for name, want := range map[string]string{"nickname": `"ada"`, "groups": `["ops","staff"]`, "roles": `["admin","reader"]`, "website": "null"} {
		if got, _ := json.Marshal(info[name]); string(got) != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if token["acr"] != "2" || !slices.Equal(token["amr"].([]any), []any{"hwk"}) {
		t.Errorf("ID token %v", token)
	}
	user["realm"] = map[string]any{"groups": []any{"staff"}}
	delete(user, "handle")
	o.SetUser(user)
	v = newVisitor(t)
	info, _ = v.arrived(g, v.choose(g, "corp", nil))
	if got, _ := json.Marshal([]any{info["groups"], info["roles"], info["nickname"]}); string(got) != `[["staff"],["reader"],null]` {
		t.Errorf("after leaving a group: %s", got)
	}
}

func TestRoutingSendsPeopleOnWithoutAQuestion(t *testing.T) {
	a, b := upstreamtest.NewOIDC(t), upstreamtest.NewOIDC(t)
	b.SetUser(map[string]any{"sub": "b-user", "email": "b@b.example", "email_verified": true})
	configs := []upstream.Config{corp(a, func(c *upstream.Config) { c.ID, c.Domains = "a", []string{"a.example"} }), corp(b, func(c *upstream.Config) { c.ID, c.Domains = "b", []string{"b.example"} })}
	g := start(t, "memory", configs)
	g.app()
	g.app(func(c *storage.Client) { c.ID, c.Upstream = "app-b", "b" })
	for name, test := range map[string]struct {
		values url.Values
		issuer string // of who was asked; empty if the person chooses
	}{
		"nothing":          {url.Values{}, ""},
		"idp_hint":         {url.Values{"idp_hint": {"b"}}, b.Issuer},
		"unknown idp_hint": {url.Values{"idp_hint": {"x"}}, ""},
		"domain":           {url.Values{"login_hint": {"Somebody@B.Example"}}, b.Issuer},
		"foreign domain":   {url.Values{"login_hint": {"x@evil.example"}}, ""},
		"client":           {url.Values{"client_id": {"app-b"}}, b.Issuer},
		"hint over client": {url.Values{"client_id": {"app-b"}, "idp_hint": {"a"}}, a.Issuer},
		"silent":           {url.Values{"idp_hint": {"b"}, "prompt": {"none"}}, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			beforeA, beforeB := a.Count("/authorize"), b.Count("/authorize")
			p := newVisitor(t).get(g.authorize(test.values))
			asked := ""
			switch {
			case a.Count("/authorize") > beforeA:
				asked = a.Issuer
			case b.Count("/authorize") > beforeB:
				asked = b.Issuer
			case strings.Contains(p.Header.Get("Location"), "error=login_required"):
				asked = "error"
			}
			if asked != test.issuer {
				t.Errorf("asked %q, want %q: %d %s", asked, test.issuer, p.StatusCode, p.Header.Get("Location"))
			}
		})
	}
	t.Run("the only one", func(t *testing.T) {
		alone := start(t, "memory", configs[:1], func(o *provider.Options) { o.NoPassword = true })
		alone.app()
		v := newVisitor(t)
		v.arrived(alone, v.get(alone.authorize(nil)))
		// Who comes back without a sign-in is not sent again, but may choose.
		a.Break(upstreamtest.Faults{Answer: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }})
		defer a.Break(upstreamtest.Faults{})
		v = newVisitor(t)
		p := v.get(alone.authorize(nil))
		if p.StatusCode != http.StatusOK || !strings.Contains(p.Body, "You did not sign in") {
			t.Fatalf("cancelled: %d %s", p.StatusCode, p.Body)
		}
		a.Break(upstreamtest.Faults{})
		asked := a.Count("/authorize")
		if page := v.get(alone.URL + nextLink(t, p.Body)); page.StatusCode != http.StatusOK || !strings.Contains(page.Body, `action="/upstream/a/start"`) || a.Count("/authorize") != asked {
			t.Errorf("sent again: %d %s", page.StatusCode, page.Body)
		}
		v.arrived(alone, v.submit(p, "action", "/upstream/a/start", nil))
	})
}

// The domain of the name decides and nothing else, so that it tells nothing of accounts (security row 136).
func TestTypedNameLeadsToTheProviderOfItsDomain(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	o.AddUser("grace@corp.example", map[string]any{"sub": "corp-7", "email": "grace@corp.example", "email_verified": true})
	g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.Domains = []string{"corp.example"} })}, inSteps)
	g.app()
	g.user("ada@corp.example")
	g.user(adaEmail)
	cancelled := upstreamtest.Faults{Answer: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }}
	for _, name := range []string{"grace@corp.example", "ada@corp.example", "nobody@Corp.Example"} {
		o.Break(cancelled)
		v, asked := newVisitor(t), o.Count("/authorize")
		p := v.submit(v.get(g.authorize(nil)), "id", "login", url.Values{"username": {name}})
		if o.Count("/authorize") != asked+1 || !strings.Contains(p.Body, "You did not sign in") {
			t.Fatalf("%s: %d %s", name, p.StatusCode, p.Body)
		}
		// Who comes back without a sign-in is not sent again, and can have a password here.
		p = v.submit(v.get(g.URL+nextLink(t, p.Body)), "id", "login", url.Values{"username": {name}})
		if action, _ := v.form(p, "id", "login"); action != "/login/password" || !strings.Contains(p.Body, `value="`+name+`"`) || o.Count("/authorize") != asked+1 {
			t.Errorf("%s a second time: %s %s", name, action, p.Body)
		}
	}
	o.Break(upstreamtest.Faults{})
	v := newVisitor(t)
	info, _ := v.arrived(g, v.submit(v.get(g.authorize(nil)), "id", "login", url.Values{"username": {"grace@corp.example"}}))
	if info["email"] != "grace@corp.example" {
		t.Errorf("the provider was not told the name: %v", info)
	}
	v, asked := newVisitor(t), o.Count("/authorize")
	p := v.submit(v.get(g.authorize(nil)), "id", "login", url.Values{"username": {adaEmail}})
	v.arrived(g, v.submit(p, "id", "login", url.Values{"password": {password}}))
	if o.Count("/authorize") != asked {
		t.Error("an address of another domain went to the provider")
	}
}

// What is typed may be a password in the wrong field, so no provider is told but the one that has the domain of it (security row 192).
func TestRow192TypedNameGoesOnlyToTheProviderOfItsDomain(t *testing.T) {
	g, a, b := twoDomains(t)
	for name, test := range map[string]struct {
		typed, hint, press string
		a, b               string // the login_hint that each was sent last
	}{
		"a password":                   {typed: "hunter2hunter2", press: "b"},
		"a password, with a hint":      {typed: "hunter2hunter2", hint: "ada@rp.example", press: "b", b: "ada@rp.example"},
		"an address of nobody":         {typed: "ada@rp.example", press: "a"},
		"an address of the provider":   {typed: "ada@a.example", a: "ada@a.example"},
		"and then another":             {typed: "ada@a.example", press: "b", a: "ada@a.example"},
		"and then another, and a hint": {typed: "ada@a.example", hint: "ada@rp.example", press: "b", a: "ada@a.example", b: "ada@rp.example"},
		"and then the same":            {typed: "ada@a.example", press: "a", a: "ada@a.example"},
	} {
		t.Run(name, func(t *testing.T) {
			a.asked, b.asked = nil, nil
			v := newVisitor(t)
			values := url.Values{}
			if test.hint != "" {
				values.Set("login_hint", test.hint)
			}
			first := v.get(g.authorize(values))
			_, fields := v.form(first, "id", "login")
			v.submit(first, "id", "login", url.Values{"username": {test.typed}})
			if test.press != "" {
				v.submit(v.get(g.URL+"/login?interaction="+fields.Get("interaction")), "action", "/upstream/"+test.press+"/start", nil)
			}
			if a.asked.Get("login_hint") != test.a || b.asked.Get("login_hint") != test.b || test.press == "b" && b.asked == nil {
				t.Errorf("asked a %v, b %v", a.asked, b.asked)
			}
		})
	}
	if strings.Contains(g.Log.String(), "hunter2") || strings.Contains(g.Log.String(), "ada@") {
		t.Errorf("the log holds a name: %s", g.Log.String())
	}
}

// refusing is a provider that notes what it is asked, and at which nobody signs in.
type refusing struct {
	*upstreamtest.OIDC
	asked url.Values
}

// twoDomains is a server in two steps with the providers a, of a.example, and b, of b.example.
func twoDomains(t *testing.T, changes ...func(*provider.Options)) (g *gatehouse, a, b *refusing) {
	t.Helper()
	var configs []upstream.Config
	double := func(id string) *refusing {
		p := &refusing{OIDC: upstreamtest.NewOIDC(t)}
		p.Break(upstreamtest.Faults{
			Before: func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/authorize" {
					p.asked = r.URL.Query()
				}
				return false
			},
			Answer: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") },
		})
		configs = append(configs, corp(p.OIDC, func(c *upstream.Config) { c.ID, c.Domains = id, []string{id + ".example"} }))
		return p
	}
	a, b = double("a"), double("b")
	g = start(t, "memory", configs, append([]func(*provider.Options){inSteps}, changes...)...)
	g.app()
	return g, a, b
}

// Whoever comes back without a sign-in sees the page, and only a name of another provider's domain leads on from it: nobody is sent to one provider twice without asking for it.
func TestWhoComesBackIsSentOnByAnotherDomainOnly(t *testing.T) {
	g, a, b := twoDomains(t)
	g.app(func(c *storage.Client) { c.ID, c.Upstream = "app-a", "a" })
	for name, test := range map[string]struct {
		values url.Values
		press  string   // the button, if any, before names are typed
		typed  []string // one after the other
		asked  string   // the providers in order
	}{
		"another domain":                 {typed: []string{"x@a.example", "x@b.example"}, asked: "ab"},
		"the same domain":                {typed: []string{"x@a.example", "y@a.example"}, asked: "a"},
		"there and back":                 {typed: []string{"x@a.example", "x@b.example", "x@a.example", "x@b.example"}, asked: "ab"},
		"no domain between":              {typed: []string{"x@a.example", "ada", "x@b.example"}, asked: "ab"},
		"after a button":                 {press: "b", typed: []string{"x@a.example"}, asked: "ba"},
		"after its own button":           {press: "a", typed: []string{"x@a.example"}, asked: "a"},
		"after idp_hint":                 {values: url.Values{"idp_hint": {"b"}}, typed: []string{"ada", "x@b.example", "x@a.example"}, asked: "ba"},
		"after the client's":             {values: url.Values{"client_id": {"app-a"}}, typed: []string{"ada", "x@a.example", "x@b.example"}, asked: "ab"},
		"after login_hint":               {values: url.Values{"login_hint": {"x@a.example"}}, typed: []string{"x@a.example", "x@b.example"}, asked: "ab"},
		"idp_hint, client's":             {values: url.Values{"client_id": {"app-a"}, "idp_hint": {"b"}}, asked: "b"},
		"idp_hint, client's and a name":  {values: url.Values{"client_id": {"app-a"}, "idp_hint": {"b"}}, typed: []string{"ada"}, asked: "b"},
		"idp_hint, login_hint":           {values: url.Values{"login_hint": {"x@a.example"}, "idp_hint": {"b"}}, asked: "b"},
		"idp_hint, login_hint is typed":  {values: url.Values{"login_hint": {"x@a.example"}, "idp_hint": {"b"}}, typed: []string{"x@a.example"}, asked: "ba"},
		"the client's, and a login_hint": {values: url.Values{"client_id": {"app-a"}, "login_hint": {"x@b.example"}}, asked: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			asked, atA, atB := "", a.Count("/authorize"), b.Count("/authorize")
			count := func() {
				asked += strings.Repeat("a", a.Count("/authorize")-atA) + strings.Repeat("b", b.Count("/authorize")-atB)
				atA, atB = a.Count("/authorize"), b.Count("/authorize")
			}
			v := newVisitor(t)
			p := v.get(g.authorize(test.values))
			count()
			id, _, _ := strings.Cut(cmp.Or(interactionOf(p), p.Request.URL.Query().Get("state")), ".")
			back := g.URL + "/login?interaction=" + id
			if test.press != "" {
				v.submit(p, "action", "/upstream/"+test.press+"/start", nil)
				count()
			}
			for _, name := range test.typed {
				v.submit(v.get(back), "id", "login", url.Values{"username": {name}})
				count()
			}
			for range 3 {
				p = v.get(back)
				count()
			}
			if action, _ := v.form(p, "id", "login"); action != "/login" || asked != test.asked {
				t.Errorf("asked %q, want %q; then the page %s", asked, test.asked, action)
			}
		})
	}
}

// An account that waits to be linked has its owner: the page asks for the password at once, beside the other ways.
func TestLinkWaitsForThePasswordInTwoSteps(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	o.SetUser(map[string]any{"sub": "corp-1", "email": adaEmail, "email_verified": true})
	g := start(t, "memory", []upstream.Config{corp(o)}, inSteps)
	g.app()
	g.user(adaEmail)
	v := newVisitor(t)
	p := v.choose(g, "corp", nil)
	action, fields := v.form(p, "id", "login")
	if action != "/login/password" || !strings.Contains(p.Body, `value="`+adaEmail+`"`) || strings.Contains(p.Body, `id="other"`) {
		t.Fatalf("asked by %s: %s", action, p.Body)
	}
	back := v.get(g.URL + "/login/name?interaction=" + fields.Get("interaction"))
	if action, _ := v.form(back, "id", "login"); action != "/login/password" {
		t.Errorf("the first step is open: %s", action)
	}
	v.arrived(g, v.submit(p, "id", "login", url.Values{"password": {password}}))
	if n := len(g.identities(adaSubject)); n != 1 {
		t.Errorf("%d identities", n)
	}
}

func inSteps(o *provider.Options) { o.IdentifierFirst = true }

// nextLink is the first link of a page back to the sign-in.
func nextLink(t *testing.T, body string) string {
	t.Helper()
	link := regexp.MustCompile(`href="(/login\?interaction=[\w-]{43})"`).FindStringSubmatch(body)
	if link == nil {
		t.Fatalf("no way back: %s", body)
	}
	return link[1]
}

// Only the provider's own clock tells how old a sign-in there is: with clocks apart, within the leeway, people would have to sign in again and again.
func TestMaxAgeIsMetByProviderWhoseClockIsApart(t *testing.T) {
	for name, apart := range map[string]time.Duration{"behind": -30 * time.Second, "ahead": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			o := upstreamtest.NewOIDC(t)
			g := start(t, "memory", []upstream.Config{corp(o)})
			o.SetNow(func() time.Time { return g.Clock.Now().Add(apart) })
			g.app()
			v := newVisitor(t)
			_, token := v.arrived(g, v.choose(g, "corp", url.Values{"max_age": {"5"}}))
			if age := g.Clock.Now().Unix() - int64(token["auth_time"].(float64)); age < 0 || age > 5 {
				t.Errorf("auth_time is %d s ago", age)
			}
			// Somebody who signed in there 33 s ago, by the clock there, has done so too long ago, however the clocks differ.
			o.SetUser(map[string]any{"sub": "user-1", "auth_time": g.Clock.Now().Add(apart - 33*time.Second).Unix()})
			if p := newVisitor(t).choose(g, "corp", url.Values{"max_age": {"5"}}); p.Header.Get("Location") != "" {
				t.Errorf("33 s passed for 5: %d %s", p.StatusCode, p.Header.Get("Location"))
			}
		})
	}
}

func TestDryRunSignsNobodyIn(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o)})
	flow, err := interaction.New(interaction.Options{Store: g.Store, Now: g.Clock.Now}).Start(t.Context(), storage.Interaction{
		Kind: storage.InteractionTest, ReturnTo: interaction.ReturnAccount, Binder: hash("the key"),
	})
	if err != nil {
		t.Fatal(err)
	}
	link := g.URL + "/upstream/corp/test?" + url.Values{"interaction": {flow.ID}, "key": {"the key"}}.Encode()
	v := newVisitor(t)
	if p := v.get(link); p.StatusCode != http.StatusOK || !strings.Contains(p.Body, "The sign-in works") {
		t.Fatalf("%d %s", p.StatusCode, p.Body)
	}
	if p := newVisitor(t).get(link); p.StatusCode != http.StatusForbidden {
		t.Errorf("a second browser used the link: %d", p.StatusCode)
	}
	kept, err := g.Store.Interaction(t.Context(), flow.ID)
	if err != nil {
		t.Fatal(err)
	}
	var outcome federation.Outcome
	if err := json.Unmarshal([]byte(kept.Proofs[federation.ProofTest]), &outcome); err != nil || outcome.ID != "user-1" || outcome.Raw["preferred_username"] != "ada" || outcome.Set["name"] != "Ada Lovelace" {
		t.Errorf("outcome %+v %v", outcome, err)
	}
	if g.countUsers() != 0 || !strings.Contains(v.get(g.URL+"/account").Body, "Sign in") {
		t.Error("the dry run signed somebody in")
	}
}
