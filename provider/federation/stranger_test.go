package federation_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/storage"
)

// A stranger can bring back any answer: what it says of the provider is no news for others.
func TestAnswerOfAStrangerTakesNoProviderDown(t *testing.T) {
	for name, values := range map[string][2]string{"the browser says so": {"error", "server_error"}, "a code that the provider chokes on": {"code", "choke"}} {
		t.Run(name, func(t *testing.T) {
			o := upstreamtest.NewOIDC(t)
			g := start(t, "memory", []upstream.Config{corp(o)})
			g.app()
			o.Break(upstreamtest.Faults{
				Answer: func(q url.Values) { q.Del("code"); q.Set(values[0], values[1]) },
				Before: func(w http.ResponseWriter, r *http.Request) bool {
					choked := r.URL.Path == "/token" && r.FormValue("code") == "choke"
					if choked {
						w.WriteHeader(http.StatusInternalServerError)
					}
					return choked
				},
			})
			if p := newVisitor(t).choose(g, "corp", nil); p.StatusCode != http.StatusBadGateway {
				t.Fatalf("%d %s", p.StatusCode, p.Body)
			}
			o.Break(upstreamtest.Faults{})
			v := newVisitor(t)
			v.arrived(g, v.choose(g, "corp", nil))
		})
	}
}

// Whoever comes back from a provider without a sign-in is still on the way to the client, and sees its looks.
func TestRefusalOfAProviderWearsTheLooksOfTheClient(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o)})
	g.app(func(c *storage.Client) { c.Branding = &storage.Branding{Name: "Harbour Books"} })
	o.Break(upstreamtest.Faults{Answer: func(q url.Values) { q.Del("code"); q.Set("error", "server_error") }})
	if p := newVisitor(t).choose(g, "corp", nil); !strings.Contains(p.Body, "Harbour Books") {
		t.Errorf("%d %s", p.StatusCode, p.Body)
	}
}
