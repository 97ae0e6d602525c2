package federation_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/seal"
	"gatehouse/provider/signin"
	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/storage"
)

// Rows 156, 159 and 160 for people who come by a provider: its word is the first factor, and no more than it says.

func withApps(o *provider.Options) {
	o.Factors = signin.Policy{TOTP: true, TrustDevice: 30 * 24 * time.Hour}
}

// enrols gives a user an authenticator app.
func (g *gatehouse) enrols(subject string) credentialtest.App {
	g.Helper()
	ring, err := seal.New([][]byte{g.key[:]})
	if err != nil {
		g.Fatal(err)
	}
	apps := credential.NewTOTP(credential.TOTPOptions{Store: g.Store, Seal: ring, Issuer: "Gatehouse", Now: g.Clock.Now})
	e, err := apps.Begin(subject, "ada")
	if err != nil {
		g.Fatal(err)
	}
	app := credentialtest.App{Secret: e.Secret}
	user, err := g.Store.User(g.Context(), subject)
	if err != nil {
		g.Fatal(err)
	}
	if _, err := apps.Finish(g.Context(), user, e.Sealed, app.Code(g.Clock.Now()), ""); err != nil {
		g.Fatal(err)
	}
	g.advance(time.Minute)
	return app
}

// waits demands a page for the second factor, and that nobody is signed in.
func (v *visitor) waits(g *gatehouse, p view) view {
	v.Helper()
	if p.StatusCode != http.StatusOK || !strings.Contains(p.Body, `id="factor"`) {
		v.Fatalf("no page for the second factor: %d %s %s", p.StatusCode, p.Request.URL, p.Body)
	}
	if v.session(g) != "" || v.signedIn(g) {
		v.Error("signed in without the second factor")
	}
	return p
}

func methods(token map[string]any) string { return fmt.Sprint(token["amr"]) }

func TestRow156FederatedSignInIsAskedForTheSecondFactor(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "sqlite", []upstream.Config{corp(o)}, withApps)
	g.app()
	first := newVisitor(t)
	info, _ := first.arrived(g, first.choose(g, "corp", nil))
	app := g.enrols(info["sub"].(string))
	for name, told := range map[string]map[string]any{
		"nothing more": {}, "a strong acr in its own words": {"acr": "urn:corp:strong"}, "our word for strong": {"acr": "2"}, "many methods": {"amr": []string{"pwd", "otp", "mfa", "hwk"}},
	} {
		user := map[string]any{"sub": "user-1"}
		for member, value := range told {
			user[member] = value
		}
		o.SetUser(user)
		v := newVisitor(t)
		p := v.waits(g, v.choose(g, "corp", nil))
		id := interactionOf(p)
		// Nothing of the way back, taken a second time or by hand, is a sign-in.
		for _, path := range []string{"/upstream/corp/finish?interaction=" + id, "/oauth2/authorize?interaction=" + id, "/login?interaction=" + id, "/login/step-up?interaction=" + id} {
			if p := v.get(g.URL + path); strings.Contains(p.Header.Get("Location"), "code=") {
				t.Errorf("%s: %s: a code", name, path)
			}
		}
		if p := v.get(g.authorize(url.Values{"prompt": {"none"}})); !strings.Contains(p.Header.Get("Location"), "login_required") {
			t.Errorf("%s: prompt=none: %s", name, p.Header.Get("Location"))
		}
		g.advance(time.Minute)
		p = v.waits(g, v.choose(g, "corp", nil))
		_, token := v.arrived(g, v.submit(p, "id", "factor", url.Values{"code": {app.Code(g.Clock.Now())}}))
		if token["acr"] != "2" || !strings.Contains(methods(token), "otp") || !strings.Contains(methods(token), "mfa") {
			t.Errorf("%s: acr %v, amr %v", name, token["acr"], token["amr"])
		}
	}
}

// Row 156: an account of a provider that waits for its owner's sign-in is not tied by half of one.
func TestRow156HalfASignInLinksNothing(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	o.SetUser(map[string]any{"sub": "new", "email": "ada@example.com", "email_verified": true})
	g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.Link = "proof" })}, withApps)
	g.app()
	subject := g.user("ada@example.com")
	app := g.enrols(subject)
	v := newVisitor(t)
	p := v.waits(g, v.signInLocally(v.choose(g, "corp", nil), "ada@example.com"))
	v.get(g.URL + "/upstream/corp/finish?interaction=" + interactionOf(p))
	if n := len(g.identities(subject)); n != 0 {
		t.Fatalf("%d identities are linked by the password alone", n)
	}
	g.advance(time.Minute)
	v = newVisitor(t)
	p = v.waits(g, v.signInLocally(v.choose(g, "corp", nil), "ada@example.com"))
	v.arrived(g, v.submit(p, "id", "factor", url.Values{"code": {app.Code(g.Clock.Now())}}))
	if n := len(g.identities(subject)); n != 1 {
		t.Errorf("%d identities are linked by both factors", n)
	}
}

// Rows 157 and 159: who came by a provider without the second factor in a trusted browser changes none of the ways in; the page asks for the factor.
func TestRow159FederatedSignInIsNoStepUp(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o), corp(o, func(c *upstream.Config) { c.ID = "second" })}, withApps)
	g.app()
	first := newVisitor(t)
	info, _ := first.arrived(g, first.choose(g, "corp", nil))
	subject := info["sub"].(string)
	app := g.enrols(subject)
	v := newVisitor(t)
	v.arrived(g, v.submit(v.waits(g, v.choose(g, "corp", nil)), "id", "factor", url.Values{"code": {app.Code(g.Clock.Now())}, "trust": {"1"}}))
	_, token := v.arrived(g, v.choose(g, "corp", url.Values{"prompt": {"login"}}))
	if token["acr"] != "1" {
		t.Fatalf("acr %v in a trusted browser", token["acr"])
	}
	_, fields := v.form(v.get(g.URL+"/account"), "id", "logout")
	for path, values := range map[string]url.Values{
		"/account/link": {"upstream": {"second"}, "confirm": {"1"}}, "/account/unlink": {"upstream": {"corp"}, "external_id": {"user-1"}}, "/account/recovery-codes": {}, "/account/delete": {"confirm": {"x"}},
	} {
		values["csrf"] = fields["csrf"]
		if p := v.postOnce(g.URL+path, values); p.StatusCode != http.StatusSeeOther || !strings.HasPrefix(p.Header.Get("Location"), "/login?interaction=") {
			t.Errorf("%s: %d %s", path, p.StatusCode, p.Header.Get("Location"))
		}
	}
	essential := url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}
	if p := v.get(g.authorize(essential)); !strings.Contains(p.Body, `id="factor"`) {
		t.Errorf("an essential strength: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	if n := len(g.identities(subject)); n != 1 {
		t.Errorf("%d identities", n)
	}
}

// Row 174: an account of a provider that waits for its owner is tied by a sign-in that is newer than its coming, and by no session that was there before, whatever form is sent for that one.
func TestRow174OldSessionIsNoProofForALink(t *testing.T) {
	for name, values := range map[string]url.Values{"asked to sign in": {"prompt": {"login"}}, "asked to choose": {"prompt": {"login select_account"}}, "asked for a newer sign-in": {"max_age": {"5"}}} {
		t.Run(name, func(t *testing.T) {
			o := upstreamtest.NewOIDC(t)
			o.SetUser(map[string]any{"sub": "new", "email": "ada@example.com", "email_verified": true})
			g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.Link = "proof" })})
			o.SetNow(g.Clock.Now)
			g.app()
			subject := g.user("ada@example.com")
			v, _ := local(g, "ada@example.com")
			g.advance(time.Minute)
			p := v.choose(g, "corp", values)
			id := interactionOf(p)
			_, fields := v.form(v.get(g.URL+"/account"), "id", "logout")
			rows, err := g.Store.SessionsOf(t.Context(), subject)
			if err != nil || len(rows) != 1 || id == "" {
				t.Fatalf("sessions %v, interaction %q, %v: %d %s", rows, id, err, p.StatusCode, p.Body)
			}
			finish := func() {
				v.get(g.URL + "/upstream/corp/finish?interaction=" + id)
				if n := len(g.identities(subject)); n != 0 {
					t.Fatalf("%d identities without a new sign-in", n)
				}
			}
			for path, form := range map[string]url.Values{"/login/accounts": {"account": {rows[0].ID}}, "/consent": {"decision": {"allow"}}} {
				form["csrf"], form["interaction"] = fields["csrf"], []string{id}
				v.postOnce(g.URL+path, form)
			}
			v.get(g.URL + "/oauth2/authorize?interaction=" + id)
			finish()
		})
	}
}

// Rows 33 and 172: an account that is disabled, or that has a second factor, is not taken over by whoever comes with its address first, even from a provider that is trusted with addresses.
func TestRow172TrustedAddressTakesNoAccountThatIsClosedOrStrong(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, backend string) {
		o := upstreamtest.NewOIDC(t)
		g := start(t, backend, []upstream.Config{corp(o, func(c *upstream.Config) { c.Link = "verified" })}, withApps)
		o.SetNow(g.Clock.Now)
		g.app()
		gone := g.user("gone@example.com", func(u *storage.User) { u.Disabled = true })
		strong := g.user("strong@example.com")
		app := g.enrols(strong)
		for email, subject := range map[string]string{"gone@example.com": gone, "strong@example.com": strong} {
			o.SetUser(map[string]any{"sub": "for-" + email, "email": email, "email_verified": true})
			v := newVisitor(t)
			p := v.choose(g, "corp", nil)
			if strings.Contains(p.Header.Get("Location"), "code=") || v.signedIn(g) {
				t.Errorf("%s: somebody is signed in: %d %s", email, p.StatusCode, p.Header.Get("Location"))
			}
			_, encoded, err := g.Store.UserByLogin(t.Context(), email)
			if n := len(g.identities(subject)); err != nil || encoded == "" || n != 0 {
				t.Errorf("%s: %d identities, password %q, %v", email, n, encoded, err)
			}
		}
		if factors, err := g.Store.FactorsOf(t.Context(), strong); err != nil || len(factors) != 1 {
			t.Errorf("factors %v, %v", factors, err)
		}
		// The owner shows both factors, and the account is linked.
		v := newVisitor(t)
		o.SetUser(map[string]any{"sub": "for-strong@example.com", "email": "strong@example.com", "email_verified": true})
		p := v.waits(g, v.signInLocally(v.choose(g, "corp", nil), "strong@example.com"))
		v.arrived(g, v.submit(p, "id", "factor", url.Values{"code": {app.Code(g.Clock.Now())}}))
		if n := len(g.identities(strong)); n != 1 {
			t.Errorf("%d identities", n)
		}
	})
}
