package federation_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"gatehouse/provider"
	"gatehouse/provider/signin"
	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/storage"
)

func TestUpstreamDownOrNotItselfAtStart(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	wrong := corp(o, func(c *upstream.Config) { c.Issuer = o.Issuer + "/other" })
	o.Break(upstreamtest.Faults{Before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/other/.well-known/openid-configuration" {
			return false
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": o.Issuer, "authorization_endpoint": o.Issuer + "/authorize", "token_endpoint": o.Issuer + "/token", "jwks_uri": o.Issuer + "/jwks"})
		return true
	}})
	if err := reserve(t, "memory", "127.0.0.1").boot([]upstream.Config{wrong}); err == nil || !strings.Contains(err.Error(), "issuer") || !strings.Contains(err.Error(), "corp") {
		t.Errorf("a provider of another name is accepted at the start: %v", err)
	}
	o.Close()
	g := start(t, "memory", []upstream.Config{corp(o)})
	g.app()
	g.user("bob@example.com")
	v := newVisitor(t)
	page := v.get(g.authorize(nil))
	if !strings.Contains(page.Body, "Corp is not available right now") || strings.Contains(page.Body, `action="/upstream/corp/start"`) {
		t.Errorf("the page offers a provider that is down: %s", page.Body)
	}
	v.arrived(g, v.signInLocally(page, "bob@example.com"))
}

func TestNobodyIsCreatedWhereNobodyMayBe(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.CreateUsers = false })})
	g.app()
	v := newVisitor(t)
	v.nobody(g, v.choose(g, "corp", nil), http.StatusForbidden, "There is no account for you here")
	if g.countUsers() != 0 {
		t.Error("a user was made")
	}
}

func TestDisabledUserStaysOut(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o)})
	g.app()
	v := newVisitor(t)
	info, _ := v.arrived(g, v.choose(g, "corp", nil))
	if _, err := g.Store.UpdateUser(t.Context(), info["sub"].(string), func(u *storage.User) error { u.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	v = newVisitor(t)
	v.nobody(g, v.choose(g, "corp", nil), http.StatusForbidden, "disabled")
}

func TestWithoutPasswordsThereIsNoForm(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	two := []upstream.Config{corp(o), corp(o, func(c *upstream.Config) { c.ID = "second" })}
	g := start(t, "memory", two, func(o *provider.Options) { o.NoPassword = true })
	g.app()
	g.user("bob@example.com")
	v := newVisitor(t)
	page := v.get(g.authorize(nil))
	if strings.Contains(page.Body, `type="password"`) {
		t.Error("there is a password field")
	}
	_, fields := v.form(page, "action", "/upstream/corp/start")
	fields.Set("username", "bob@example.com")
	fields.Set("password", password)
	if p := v.postOnce(g.URL+"/login", fields); p.StatusCode != http.StatusForbidden || v.signedIn(g) {
		t.Errorf("a password was taken: %d", p.StatusCode)
	}
}

// Where there are no passwords, a user who was made beforehand cannot prove anything: the page says so and does not lead in circles.
func TestNobodyIsAskedForAProofThatCannotBeGiven(t *testing.T) {
	for _, none := range []bool{true, false} {
		o := upstreamtest.NewOIDC(t)
		g := start(t, "memory", []upstream.Config{corp(o)}, func(o *provider.Options) { o.NoPassword = none })
		g.app()
		subject := g.user("ada@example.com")
		if !none {
			if err := g.Store.SetPassword(t.Context(), subject, ""); err != nil {
				t.Fatal(err)
			}
		}
		v := newVisitor(t)
		p := v.get(g.authorize(nil))
		if !none {
			p = v.submit(p, "action", "/upstream/corp/start", nil)
		}
		if p.StatusCode != http.StatusConflict || !strings.Contains(p.Body, "no way to sign in to it yet") || len(g.identities(subject)) != 0 {
			t.Errorf("without passwords %v: %d %s", none, p.StatusCode, p.Body)
		}
	}
}

// A passkey is a way in, where there are passkeys: who has nothing else may prove the account by it and link a provider. A security key that cannot sign in alone is none.
func TestPasskeyIsAWayIn(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	for _, c := range []struct {
		on   bool
		kind storage.FactorKind
		want bool
	}{{true, storage.FactorPasskey, true}, {false, storage.FactorPasskey, false}, {true, storage.FactorKey, false}} {
		g := reserve(t, "memory", "localhost") // there are no passkeys for addresses
		if err := g.boot([]upstream.Config{corp(o)}, func(o *provider.Options) { o.Factors = signin.Policy{Passkeys: c.on} }); err != nil {
			t.Fatal(err)
		}
		g.app()
		subject := g.user("ada@example.com")
		key := &storage.Factor{ID: "key", Subject: subject, Kind: c.kind, Name: "Key", CredentialID: "credential", Data: []byte("{}")}
		if err := errors.Join(g.Store.SetPassword(t.Context(), subject, ""), g.Store.CreateFactor(t.Context(), key, 1)); err != nil {
			t.Fatal(err)
		}
		v := newVisitor(t)
		p := v.submit(v.get(g.authorize(nil)), "action", "/upstream/corp/start", nil)
		if told := strings.Contains(p.Body, "no way to sign in to it yet"); told == c.want {
			t.Errorf("passkeys %t, a %s: %d %s", c.on, c.kind, p.StatusCode, p.Body)
		}
	}
}
