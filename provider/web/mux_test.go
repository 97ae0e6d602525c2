package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"gatehouse/templates"
)

func TestIssuerMustBeHTTPSOrLoopback(t *testing.T) {
	pages, err := templates.Load()
	if err != nil {
		t.Fatal(err)
	}
	for issuer, good := range map[string]bool{
		"https://op.test": true, "https://op.test/x": true, "http://localhost:8080": true, "http://127.0.0.1:1": true, "http://[::1]:1": true,
		"http://op.test": false, "https://op.test/": false, "https://op.test?x=1": false, "https://op.test#f": false, "https://u@op.test": false,
		"op.test": false, "": false, "http://localhost.evil.test": false,
	} {
		if _, err := New(Options{Issuer: issuer, Templates: pages, CSRFKeys: [][]byte{{1}}}); (err == nil) != good {
			t.Errorf("issuer %q: %v", issuer, err)
		}
	}
}

func TestRow195OnlyTheExactPathIsKnown(t *testing.T) {
	k := newKernel(t, nil).standard()
	k.Handle("/playground", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for _, path := range []string{
		"//oauth2/token", "/oauth2//token", "/%6fauth2/token", "/oauth2/%74oken", "/oauth2/..;/account", "/account%2f", "/account/", "/account.", "/oauth2/token.",
		"/account/x.css", "/x/../account", "/./account", "/ACCOUNT", "/account%00", "/account;x=1", "/account\\", "/account%20", "/static/../account", "/static/%2e%2e/account",
		"/static/..%2faccount", "/static", "/client-logo/", "/client-logo/a/b", "/client-logo/a%2fb", "/client-logo/%00", "/client-logo/%ff",
		"/client-logo/..", "/playgroundx", "/playground/../account", "/playground//x", "/playground/%2e%2e/account", "/", "/oauth2",
	} {
		for _, method := range []string{"GET", "POST"} {
			resp := k.send(method, path)
			if resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s %s: status %d, want 404", method, path, resp.StatusCode)
			}
			if resp.Header.Get("X-Frame-Options") != "DENY" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: the chain was skipped", method, path)
			}
			if route := k.lastLine(t)["route"]; route != "unknown" {
				t.Errorf("%s %s: logged as route %v", method, path, route)
			}
		}
	}
	for path, want := range map[string]int{"/login": 200, "/client-logo/a:b": 200, "/playground": 418, "/playground/": 418, "/playground/a/b": 418} {
		if got := k.send("GET", path).StatusCode; got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
}

func TestRow195AbsoluteFormAndForeignHostReachTheSameRoutes(t *testing.T) {
	k := newKernel(t, nil).standard()
	resp := k.send("GET", "https://evil.test/oauth2/authorize", "Host: evil.test", "X-Forwarded-Host: evil.test", "X-Original-Url: /account", "X-Rewrite-Url: /account")
	wantStatus(t, resp, 200)
	if route := k.lastLine(t)["route"]; route != "/oauth2/authorize" {
		t.Errorf("route %v", route)
	}
}

func TestRow195WrongMethodIs405WithAllow(t *testing.T) {
	k := newKernel(t, nil).standard()
	for _, c := range []struct{ method, path, allow string }{
		{"HEAD", "/login", "GET, POST"}, {"TRACE", "/login", "GET, POST"}, {"PUT", "/oauth2/authorize", "GET, POST"}, {"HEAD", "/oauth2/authorize", "GET, POST"},
		{"OPTIONS", "/login", "GET, POST"}, {"DELETE", "/account", "GET, POST"}, {"GET", "/oauth2/token", "POST"}, {"HEAD", "/oauth2/token", "POST"},
		{"TRACE", "/oauth2/token", "POST"}, {"POST", "/.well-known/jwks.json", "GET, HEAD"}, {"BREW", "/oauth2/userinfo", "GET, POST"}, {"get", "/login", "GET, POST"},
	} {
		resp := k.send(c.method, c.path, "X-Http-Method-Override: GET")
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: status %d, Allow %q", c.method, c.path, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
	resp := k.send("POST", "/account", form("_method", "DELETE"))
	wantStatus(t, resp, http.StatusForbidden) // a POST is a POST, and this one has no token
}

func TestNilHandlerIs405(t *testing.T) {
	k := newKernel(t, nil)
	k.Page("/sign-out", nil, showForm)
	resp := k.send("GET", "/sign-out")
	if wantStatus(t, resp, http.StatusMethodNotAllowed); resp.Header.Get("Allow") != "POST" {
		t.Errorf("Allow %q", resp.Header.Get("Allow"))
	}
}

func TestARouteIsMountedOnce(t *testing.T) {
	k := newKernel(t, nil).standard()
	defer func() {
		if recover() == nil {
			t.Error("the second mount went unnoticed")
		}
	}()
	k.Page("/login", showForm, nil)
}

func TestIssuerPathComesBeforeEveryPathButRoot(t *testing.T) {
	k := newKernel(t, func(o *Options) { o.Issuer = issuer + "/auth" }).standard()
	k.Page("/", func(w http.ResponseWriter, r *http.Request) error {
		return Redirect(w, r, LocalURL(r, "/account", map[string][]string{"a": {"b c"}}))
	}, nil)
	k.Root("/.well-known/oauth-authorization-server/auth", func(w http.ResponseWriter, r *http.Request) error {
		return plain(w, AbsoluteURL(r, "/oauth2/token"))
	})
	k.Health(func(context.Context) error { return nil })
	for path, want := range map[string]int{"/login": 404, "/auth/login": 200, "/static/x.css": 404, "/auth/.well-known/jwks.json": 200, "/healthz": 200, "/auth/": 303, "/auth": 303} {
		if got := k.send("GET", path).StatusCode; got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
	if got := text(t, k.send("GET", "/.well-known/oauth-authorization-server/auth", "Host: evil.test")); got != issuer+"/auth/oauth2/token" {
		t.Errorf("absolute URL %q", got)
	}
	if got := k.send("GET", "/auth/").Header.Get("Location"); got != "/auth/account?a=b+c" {
		t.Errorf("Location %q", got)
	}
	page := text(t, k.send("GET", "/auth/login"))
	if !strings.Contains(page, `href="/auth/static/app.`) || !strings.Contains(page, `action="/auth/account/sign-out"`) {
		t.Errorf("the page does not use the issuer's path: %s", page)
	}
}

func TestVarIsDecoded(t *testing.T) {
	k := newKernel(t, nil)
	k.Public("/client-logo/{id}", func(w http.ResponseWriter, r *http.Request) error {
		return plain(w, Var(r, "id")+"|"+Var(r, "other"))
	})
	if got := text(t, k.send("GET", "/client-logo/a%20%C3%A9b")); got != "a éb|" {
		t.Errorf("variable %q", got)
	}
	if route := k.lastLine(t)["route"]; route != "/client-logo/{id}" {
		t.Errorf("route %v", route)
	}
}

func TestStaticFilesAreImmutable(t *testing.T) {
	k := newKernel(t, nil).standard()
	path := k.options.Templates.Stylesheet()
	resp := k.send("GET", path)
	if wantStatus(t, resp, 200); resp.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || resp.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("headers %v", resp.Header)
	}
	if len(text(t, resp)) == 0 {
		t.Error("the stylesheet is empty")
	}
	wantStatus(t, k.send("HEAD", path), 200)
	for _, other := range []string{"/static/", "/static/app.css", "/static/x" + path, "/static/..", path + ".gz", path + "/"} {
		wantStatus(t, k.send("GET", other), 404)
	}
	wantStatus(t, k.send("POST", path), http.StatusMethodNotAllowed)
}

func TestReadinessFollowsTheStore(t *testing.T) {
	k := newKernel(t, nil)
	var state error
	k.Health(func(context.Context) error { return state })
	wantStatus(t, k.send("GET", "/readyz"), 200)
	state = errors.New("ping: refused by 10.0.0.1")
	resp := k.send("GET", "/readyz")
	if wantStatus(t, resp, http.StatusServiceUnavailable); strings.Contains(text(t, resp), "10.0.0.1") {
		t.Error("the cause is told to strangers")
	}
	if cause := k.lastLine(t)["cause"]; cause != state.Error() {
		t.Errorf("logged cause %v", cause)
	}
	wantStatus(t, k.send("GET", "/healthz"), 200)
}

func TestForeignHandlerIsProtectedFromOtherSites(t *testing.T) {
	k := newKernel(t, nil)
	k.Handle("/playground", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	wantStatus(t, k.send("POST", "/playground/run", "Sec-Fetch-Site: cross-site"), http.StatusForbidden)
	wantStatus(t, k.send("POST", "/playground/run", "Sec-Fetch-Site: same-origin"), http.StatusTeapot)
}
