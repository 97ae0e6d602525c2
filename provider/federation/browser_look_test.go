package federation_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
	"gatehouse/provider/web/webtest"
)

// everyMark configures a double for each type that has a mark of its own.
func everyMark(t *testing.T) []upstream.Config {
	t.Helper()
	google, microsoft, apple, gitlab := upstreamtest.NewOIDC(t), upstreamtest.NewOIDC(t), upstreamtest.NewOIDC(t), upstreamtest.NewOIDC(t)
	google.SetUser(map[string]any{"sub": "1081", "email": "google@gmail.com", "email_verified": true})
	apple.SetUser(map[string]any{"sub": "001.a", "email": "apple@example.com", "email_verified": "true"})
	apple.Break(upstreamtest.Faults{Document: func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"} }}) // as Apple does
	gitlab.SetUser(map[string]any{"sub": "42", "email": "gitlab@example.com", "email_verified": true})
	tenant := inTenant(t, microsoft)
	github := upstreamtest.NewGitHub(t)
	der, err := x509.MarshalPKCS8PrivateKey(upstreamtest.NewKey(t, "ES256"))
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	configs := []upstream.Config{
		{Type: "google", Issuer: google.Issuer}, {Type: "github", URL: github.URL}, {Type: "microsoft", URL: microsoft.Issuer, Tenant: tenant},
		{Type: "apple", Issuer: apple.Issuer, TeamID: "TEAM", KeyID: "KEY", PrivateKey: key}, {Type: "gitlab", URL: gitlab.Issuer},
	}
	for i := range configs {
		configs[i].ID, configs[i].ClientID, configs[i].ClientSecret, configs[i].CreateUsers = configs[i].Type, upstreamtest.ClientID, upstreamtest.ClientSecret, true
	}
	return configs
}

// inTenant makes a double one of Microsoft's directories, whose issuer has a path, and returns the tenant.
func inTenant(t *testing.T, o *upstreamtest.OIDC) string {
	t.Helper()
	const tenant = "11111111-2222-3333-4444-555555555555"
	issuer := o.Issuer + "/" + tenant + "/v2.0"
	o.SetUser(map[string]any{"sub": "m-1", "tid": tenant, "email": "microsoft@example.com", "xms_edov": true})
	o.Break(upstreamtest.Faults{
		Before: func(_ http.ResponseWriter, r *http.Request) bool {
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/"+tenant+"/v2.0")
			return false
		},
		Document: func(m map[string]any) { m["issuer"] = issuer },
		Answer:   func(q url.Values) { q.Set("iss", issuer) },
		Claims:   func(_ string, claims map[string]any) { claims["iss"] = issuer },
	})
	return tenant
}

// TestJourneyByKeyboardWithEveryMark tabs to each provider in turn, in windows of every size and colour, and comes in.
func TestJourneyByKeyboardWithEveryMark(t *testing.T) {
	t.Parallel()
	chromium := webtest.StartChromium(t)
	g := home(t, everyMark(t)...)
	s := g.shop()
	emails := map[string]string{
		"google": "google@gmail.com", "github": "octocat@example.com", "microsoft": "microsoft@example.com", "apple": "apple@example.com", "gitlab": "gitlab@example.com",
	}
	for _, look := range []struct {
		width  int64
		scheme string
		ids    []string
	}{{360, "light", []string{"google"}}, {360, "dark", []string{"apple"}}, {1280, "light", []string{"microsoft", "github"}}, {1280, "dark", []string{"gitlab"}}} {
		for _, id := range look.ids {
			t.Run(fmt.Sprint(look.width, " ", look.scheme, " ", id), func(t *testing.T) {
				b := chromium.Window(t)
				b.Look(look.width, 800, look.scheme)
				s.enter(b)
				b.Await("#login")
				b.Says("Continue with Google", "Continue with GitHub", "Continue with Microsoft", "Continue with Apple", "Continue with GitLab")
				b.Fits()
				picture(b, fmt.Sprint("marks-", look.width, "-", look.scheme))
				tabTo(b, "#upstream-"+id)
				picture(b, fmt.Sprint("focus-", id))
				b.Do(chromedp.KeyEvent(kb.Enter))
				s.arrived(b, emails[id])
				b.Open(g.URL + "/account/security")
				b.Await("#identities")
				b.Fits()
				picture(b, fmt.Sprint("account-", look.width, "-", look.scheme))
				b.Silent()
			})
		}
	}
}

// tabTo presses Tab until the focus, which can be seen, is on the button of a form.
func tabTo(b *webtest.Chromium, form string) {
	const seen = `(s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(document.activeElement))`
	for range 6 {
		b.Do(chromedp.KeyEvent(kb.Tab))
		if b.True(fmt.Sprintf(`document.activeElement.matches(%q) && %s`, form+" button", seen)) {
			break
		}
	}
	b.Until(fmt.Sprintf(`document.activeElement.matches(%q) && %s`, form+" button", seen))
}
