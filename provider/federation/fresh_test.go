package federation_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/storage"
)

// advance moves the clock and waits until the server's copies are current again.
func (g *gatehouse) advance(d time.Duration) {
	g.Helper()
	g.Clock.Advance(d)
	g.await("the copies are current", func() bool { return g.Provider.Ready(g.Context()) == nil })
}

// await polls until done or a deadline.
func (g *gatehouse) await(what string, done func() bool) {
	g.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			g.Fatalf("%s: not within 20 s\n%s", what, g.Log.String())
		}
	}
}

func TestPromptMaxAgeAndFreshness(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o)})
	o.SetNow(g.Clock.Now)
	g.app()
	var asked url.Values
	o.Break(upstreamtest.Faults{Before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/authorize" {
			asked = r.URL.Query()
		}
		return false
	}})
	v := newVisitor(t)
	_, first := v.arrived(g, v.choose(g, "corp", url.Values{"ui_locales": {"de"}, "acr_values": {"1"}}))
	if asked.Get("prompt") != "" || asked.Get("ui_locales") != "de" || asked.Get("acr_values") != "1" || asked.Get("code_challenge_method") != "S256" || asked.Get("nonce") == "" {
		t.Errorf("asked the provider %v", asked)
	}
	g.advance(2 * time.Minute)
	_, second := v.arrived(g, v.choose(g, "corp", url.Values{"prompt": {"login"}, "max_age": {"60"}}))
	if asked.Get("prompt") != "login" || asked.Get("max_age") != "60" {
		t.Errorf("asked the provider %v", asked)
	}
	if second["auth_time"].(float64) <= first["auth_time"].(float64) {
		t.Errorf("auth_time %v after %v", second["auth_time"], first["auth_time"])
	}
	if second["sid"] != first["sid"] {
		t.Errorf("another session: %v, %v", first["sid"], second["sid"])
	}
	// A provider that does not ask again is found out.
	o.SetUser(map[string]any{"sub": "user-1", "auth_time": g.Clock.Now().Add(-time.Hour).Unix()})
	p := v.choose(g, "corp", url.Values{"prompt": {"login"}})
	if p.StatusCode != http.StatusBadGateway || p.Header.Get("Location") != "" {
		t.Errorf("an old sign-in passed for a new one: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	// Whoever is to choose has chosen, although the provider knew the person.
	v = newVisitor(t)
	v.arrived(g, v.choose(g, "corp", url.Values{"prompt": {"select_account"}}))
	if asked.Get("prompt") != "select_account" {
		t.Errorf("asked the provider %v", asked)
	}
	// An old sign-in that nobody minds is told as it is.
	v = newVisitor(t)
	_, old := v.arrived(g, v.choose(g, "corp", nil))
	if got := g.Clock.Now().Unix() - int64(old["auth_time"].(float64)); got < 3590 || got > 3620 {
		t.Errorf("auth_time is %d s ago, the provider said an hour", got)
	}
}

// An essential acr that only a provider can give leads to the sign-in page, and the provider is asked for it in its own words.
func TestEssentialACRIsAskedOfTheProvider(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o, func(c *upstream.Config) { c.ACR = map[string]string{"urn:gold": "mfa"} })})
	g.app()
	g.user("bob@example.com")
	var asked url.Values
	o.Break(upstreamtest.Faults{Before: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/authorize" {
			asked = r.URL.Query()
		}
		return false
	}})
	var document struct {
		ACR []string `json:"acr_values_supported"`
	}
	answer, err := http.Get(g.URL + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&document); err != nil || !slices.Equal(document.ACR, []string{"1", "mfa"}) {
		t.Errorf("acr_values_supported %v %v", document.ACR, err)
	}
	essential := url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"values":["mfa"]}}}`}}
	v, _ := local(g, "bob@example.com") // a password is not enough
	o.SetUser(map[string]any{"sub": "user-1", "acr": "urn:gold"})
	g.Clock.Advance(time.Millisecond)
	_, token := v.arrived(g, v.choose(g, "corp", essential))
	if asked.Get("acr_values") != "urn:gold" || token["acr"] != "mfa" {
		t.Errorf("asked for %q, the ID token says %v", asked.Get("acr_values"), token["acr"])
	}
	o.SetUser(map[string]any{"sub": "user-2", "acr": "urn:lead"})
	v = newVisitor(t)
	if p := v.choose(g, "corp", essential); !strings.Contains(p.Header.Get("Location"), "error=unmet_authentication_requirements") {
		t.Errorf("a weak sign-in: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
	silent := maps.Clone(essential)
	silent.Set("prompt", "none")
	if p := v.get(g.authorize(silent)); !strings.Contains(p.Header.Get("Location"), "error=") {
		t.Errorf("silent: %d %s", p.StatusCode, p.Header.Get("Location"))
	}
}

// What a provider vouched for in this request is not asked again and again, however long ago the person signed in there and however long the consent page is read.
func TestASignInElsewhereIsNotAskedForTwice(t *testing.T) {
	o := upstreamtest.NewOIDC(t)
	g := start(t, "memory", []upstream.Config{corp(o)})
	o.SetNow(g.Clock.Now)
	age := int64(600)
	g.app(func(c *storage.Client) { c.DefaultMaxAge, c.FirstParty = &age, false })
	since := func(d time.Duration) {
		o.SetUser(map[string]any{"sub": "user-1", "auth_time": g.Clock.Now().Add(-d).Unix()})
	}
	var asked url.Values
	o.Break(upstreamtest.Faults{Before: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/authorize" {
			asked = r.URL.Query()
		}
		return false
	}})
	for name, test := range map[string]struct {
		ago     time.Duration
		values  url.Values
		maxAge  string
		reading time.Duration
	}{
		"default_max_age":       {500 * time.Second, nil, "600", 0},
		"max_age at the edge":   {61 * time.Second, url.Values{"max_age": {"60"}}, "60", 0},
		"a slow reader":         {50 * time.Second, url.Values{"max_age": {"60"}}, "60", 25 * time.Second},
		"another account first": {time.Hour, url.Values{"prompt": {"select_account"}, "max_age": {"7200"}}, "7200", 0},
	} {
		t.Run(name, func(t *testing.T) {
			since(test.ago)
			v := newVisitor(t)
			p := v.choose(g, "corp", test.values)
			if asked.Get("max_age") != test.maxAge {
				t.Errorf("max_age %q, want %q", asked.Get("max_age"), test.maxAge)
			}
			if strings.Contains(p.Body, `id="consent"`) {
				g.advance(test.reading + time.Millisecond)
				p = v.submit(p, "id", "consent", url.Values{"decision": {"allow"}})
			}
			v.arrived(g, p)
		})
	}
}
