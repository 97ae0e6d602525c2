package web

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"gatehouse/templates"
)

func TestRow28NoAnswerCanBeFramed(t *testing.T) {
	k := newKernel(t, nil).standard()
	k.Page("/broken", func(http.ResponseWriter, *http.Request) error { panic("x") }, nil)
	for _, c := range []struct{ method, path string }{
		{"GET", "/login"}, {"GET", "/account"}, {"GET", "/oauth2/authorize"}, {"GET", "/nowhere"}, {"GET", "/broken"}, {"POST", "/login"}, {"PUT", "/login"}, {"POST", "/oauth2/token"},
		{"GET", "/.well-known/jwks.json"}, {"GET", k.options.Templates.Stylesheet()}, {"OPTIONS", "/oauth2/token"},
	} {
		resp := k.send(c.method, c.path, "Accept: text/html")
		if resp.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s %s: %v", c.method, c.path, resp.Header)
		}
	}
}

func TestSecurityHeadersByKindOfRoute(t *testing.T) {
	k := newKernel(t, nil).standard()
	for path, want := range map[string]map[string]string{
		"/login":                  {"Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "", "Access-Control-Allow-Origin": ""},
		"/account":                {"Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin"},
		"/oauth2/authorize":       {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Access-Control-Allow-Origin": ""},
		"/oauth2/userinfo":        {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Content-Security-Policy": jsonPolicy, "Access-Control-Allow-Origin": ""},
		"/.well-known/jwks.json":  {"Content-Security-Policy": jsonPolicy, "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": ""},
		"/static/nothing-here.js": {"Cache-Control": "no-store"},
	} {
		resp := k.send("GET", path, "Origin: https://rp.test")
		for name, value := range want {
			if got := resp.Header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		for name, value := range map[string]string{
			"Strict-Transport-Security": "max-age=63072000", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
			"Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()",
		} {
			if got := resp.Header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
	}
}

func TestHTTPIssuerSendsNoHSTS(t *testing.T) {
	k := newKernel(t, func(o *Options) { o.Issuer = "http://localhost:8080" }).standard()
	if got := k.send("GET", "/login").Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("HSTS %q", got)
	}
}

func TestSharedHeadersCannotBeSpoiled(t *testing.T) {
	k := newKernel(t, nil)
	k.Page("/page", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Add("X-Frame-Options", "ALLOWALL")
		w.Header().Set("Cache-Control", "public")
		return plain(w, "")
	}, nil)
	k.send("GET", "/page")
	k.Page("/other", showForm, nil)
	resp := k.send("GET", "/other")
	if got := resp.Header["X-Frame-Options"]; len(got) != 1 || got[0] != "DENY" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", resp.Header)
	}
}

var nonceOf = regexp.MustCompile(`script-src 'nonce-([A-Z2-7]+)'`)

func TestPagePolicyIsStrict(t *testing.T) {
	k := newKernel(t, nil).standard()
	post := func(w http.ResponseWriter, r *http.Request) error {
		return RenderFormPost(w, r, templates.FormPost{Action: "https://rp.test/cb", Params: []templates.Pair{{Name: "code", Value: "x"}}})
	}
	k.PageNoCSRF("/post", post, nil)
	k.SelfPage("/self-post", post, nil)
	seen := map[string]bool{}
	for path, formAction := range map[string]bool{"/login": false, "/account": true, "/nowhere": false, "/post": false, "/self-post": false} {
		resp := k.send("GET", path, "Accept: text/html")
		policy := resp.Header.Get("Content-Security-Policy")
		nonce := nonceOf.FindStringSubmatch(policy)
		if nonce == nil || seen[nonce[1]] {
			t.Fatalf("%s: policy %q", path, policy)
		}
		seen[nonce[1]] = true
		want := "default-src 'none'; script-src 'nonce-" + nonce[1] + "'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
		if formAction {
			want += "form-action 'self'; "
		}
		if want += "frame-ancestors 'none'; base-uri 'none'; object-src 'none'; require-trusted-types-for 'script'"; policy != want {
			t.Errorf("%s: policy %q, want %q", path, policy, want)
		}
		if strings.HasSuffix(path, "post") {
			if body := text(t, resp); !strings.Contains(body, `<script nonce="`+nonce[1]+`"`) || resp.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s: %s", path, body)
			}
		}
	}
}

func TestRow13ErrorPagesEscape(t *testing.T) {
	k := newKernel(t, nil)
	k.Page("/page", fails(BadRequest(templates.Plain(`"><svg onload=alert(1)></script>`))), nil)
	if body := text(t, k.send("GET", "/page")); strings.Contains(body, "<svg onload") || !strings.Contains(body, "&lt;svg onload") {
		t.Errorf("body %s", body)
	}
}

func TestRow13HostileParameterNameStaysText(t *testing.T) {
	k := newKernel(t, nil).standard()
	name := `"><svg onload=x></script>`
	body := text(t, k.send("GET", "/login?"+form(name, "1", name, "2")))
	if strings.Contains(body, "<svg onload") {
		t.Errorf("body %s", body)
	}
}

func TestRow16RedirectsAreAlways303(t *testing.T) {
	k := newKernel(t, nil)
	to := ""
	k.PageNoCSRF("/go", nil, func(w http.ResponseWriter, r *http.Request) error { return Redirect(w, r, to) })
	for target, location := range map[string]string{
		"https://rp.test/cb?code=1&state=%2B": "https://rp.test/cb?code=1&state=%2B", "com.example.app:/cb?code=1": "com.example.app:/cb?code=1", "/login?interaction=x": "/login?interaction=x",
		"https://rp.test/é a\r\nSet-Cookie: x=1": "https://rp.test/%C3%A9%20a%0D%0ASet-Cookie:%20x=1",
	} {
		to = target
		resp := k.send("POST", "/go", "a=1")
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != location || resp.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %d %v", target, resp.StatusCode, resp.Header)
		}
	}
}

func TestPageThatCannotBeRenderedIsA500(t *testing.T) {
	k := newKernel(t, nil)
	k.PageNoCSRF("/post", func(w http.ResponseWriter, r *http.Request) error {
		return RenderFormPost(w, r, templates.FormPost{Action: "javascript:alert(1)"})
	}, nil)
	resp := k.send("GET", "/post")
	if wantStatus(t, resp, 500); strings.Contains(text(t, resp), "javascript:") {
		t.Error("the target is on the page")
	}
}

func TestPreflightsAreForEveryOriginButNull(t *testing.T) {
	k := newKernel(t, nil).standard()
	for _, path := range []string{"/oauth2/token", "/oauth2/userinfo", "/.well-known/jwks.json"} {
		resp := k.send("OPTIONS", path, "Origin: https://spa.test", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization, dpop")
		h := resp.Header
		if resp.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "https://spa.test" || h.Get("Access-Control-Allow-Credentials") != "" || h.Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, h)
		}
		if allowed := h.Get("Access-Control-Allow-Headers"); !strings.Contains(allowed, "Authorization") || !strings.Contains(allowed, "DPoP") {
			t.Errorf("%s: Access-Control-Allow-Headers %q", path, allowed)
		}
		resp = k.send("OPTIONS", path, "Origin: null", "Access-Control-Request-Method: POST")
		if got := resp.Header.Get("Access-Control-Allow-Methods"); resp.StatusCode != 403 || got != "" {
			t.Errorf("%s: a preflight from null got %d, %q", path, resp.StatusCode, got)
		}
	}
	for _, path := range []string{"/login", "/account", "/oauth2/authorize", "/nowhere"} {
		resp := k.send("OPTIONS", path, "Origin: https://spa.test", "Access-Control-Request-Method: POST")
		if resp.StatusCode < 400 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", path, resp.StatusCode, resp.Header)
		}
	}
}

func TestAllowOriginReflectsWithoutCredentials(t *testing.T) {
	k := newKernel(t, nil)
	k.Protocol("/oauth2/token", []string{"POST"}, func(w http.ResponseWriter, r *http.Request) error {
		AllowOrigin(w, r.Header.Get("Origin"))
		return BadRequest(templates.Plain("no")) // errors are readable too
	})
	h := k.send("POST", "/oauth2/token", "a=b", "Origin: https://spa.test").Header
	if h.Get("Access-Control-Allow-Origin") != "https://spa.test" || h.Get("Access-Control-Expose-Headers") != "WWW-Authenticate, DPoP-Nonce" || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("headers %v", h)
	}
	for _, origin := range []string{"Origin: null", "X: y"} {
		if got := k.send("POST", "/oauth2/token", "a=b", origin).Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s: allowed %q", origin, got)
		}
	}
}
