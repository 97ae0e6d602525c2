package federation_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/storage"
)

func TestRow178AHundredAtOnceAndNoIdentityCrosses(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, backend string) {
		o := upstreamtest.NewOIDC(t)
		g := start(t, backend, []upstream.Config{corp(o, func(c *upstream.Config) { c.KeepTokens = true })})
		g.app()
		const people = 100
		for n := range people {
			o.AddUser(fmt.Sprint("p", n), map[string]any{"sub": fmt.Sprint("sub-", n), "email": fmt.Sprintf("p%d@example.com", n), "email_verified": true, "name": fmt.Sprint("Person ", n)})
		}
		var group sync.WaitGroup
		for n := range people {
			group.Go(func() {
				v := newVisitor(t)
				info, _ := v.arrived(g, v.choose(g, "corp", url.Values{"login_hint": {fmt.Sprint("p", n)}}))
				if info["name"] != fmt.Sprint("Person ", n) || info["email"] != fmt.Sprintf("p%d@example.com", n) {
					t.Errorf("person %d is %v", n, info)
				}
			})
		}
		group.Wait()
		if n := g.countUsers(); n != people {
			t.Errorf("%d users", n)
		}
		if strings.Contains(g.Log.String(), `"status":5`) {
			t.Error("an answer of 5xx")
		}
		u, _ := g.byEmail("p7@example.com")
		identity, _, err := g.Store.Identity(t.Context(), "corp", "sub-7")
		if err != nil || identity.Subject != u.Subject || len(identity.Tokens) == 0 || json.Valid(identity.Tokens) || strings.Contains(string(identity.Tokens), "access_token") {
			t.Errorf("the kept tokens are not sealed: %q %v", identity.Tokens, err)
		}
	})
}

// The same person in eight tabs at once is one user.
func TestRow178OnePersonManyTabsOneUser(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, backend string) {
		o := upstreamtest.NewOIDC(t)
		g := start(t, backend, []upstream.Config{corp(o)})
		g.app()
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				v := newVisitor(t)
				v.arrived(g, v.choose(g, "corp", nil))
			})
		}
		group.Wait()
		if n := g.countUsers(); n != 1 {
			t.Errorf("%d users", n)
		}
	})
}

// While a provider holds everybody up, others sign in with their passwords and machines get tokens.
func TestASlowProviderHoldsNobodyElseUp(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "sqlite", []upstream.Config{corp(o)})
	g.app(func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
	g.user("bob@example.com")
	release, held := make(chan struct{}), make(chan struct{}, 100)
	o.Break(upstreamtest.Faults{Before: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			held <- struct{}{}
			<-release
		}
		return false
	}})
	const stuck = 40
	var group sync.WaitGroup
	for range stuck {
		group.Go(func() {
			v := newVisitor(t)
			v.arrived(g, v.choose(g, "corp", nil))
		})
	}
	for range stuck {
		<-held
	}
	v := newVisitor(t)
	v.arrived(g, v.signInLocally(v.get(g.authorize(nil)), "bob@example.com"))
	g.call("/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
	close(release)
	group.Wait()
}
