package interop

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/provider/web/webtest"
)

// serveApplication serves the single-page application and returns its port. It is one application on two sites: localhost is the server's own, 127.0.0.1 another.
func serveApplication(t *testing.T, scheme string, a *authority) string {
	t.Helper()
	mux := http.NewServeMux()
	files := http.FileServer(http.Dir("."))
	mux.Handle("/node_modules/", files)
	mux.Handle("/spa/", files)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "spa/index.html") })
	s := httptest.NewUnstartedServer(mux)
	if scheme == "https" {
		pair, err := tls.LoadX509KeyPair(a.cert, a.key)
		if err != nil {
			t.Fatal(err)
		}
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// public registers a public client at an origin and returns its id.
func (s *server) public(origin string) string {
	s.Helper()
	metadata, err := json.Marshal(map[string]any{
		"client_name": "Single-page application", "token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"},
		"redirect_uris": []string{origin + "/callback", origin + "/silent"}, "post_logout_redirect_uris": []string{origin + "/signed-out"},
		"scope": "openid profile email offline_access",
	})
	if err != nil {
		s.Fatal(err)
	}
	var made struct {
		ID string `json:"client_id"`
	}
	if err := json.Unmarshal([]byte(s.command(string(metadata), "client", "create", "-f", "-", "--format", "json")), &made); err != nil {
		s.Fatal(err)
	}
	return made.ID
}

// TestOIDCClientTS is a single-page application with oidc-client-ts in Chromium.
func TestOIDCClientTS(t *testing.T) {
	requireNode(t)
	ca := newAuthority(t)
	chromium := webtest.StartChromium(t, chromedp.Flag("ignore-certificate-errors-spki-list", ca.pin))
	for _, scheme := range []string{"http", "https"} {
		s := start(t, scheme, ca)
		port := serveApplication(t, scheme, ca)
		for site, host := range map[string]string{"same": "localhost", "other": "127.0.0.1"} {
			t.Run(scheme+" on the "+site+" site", func(t *testing.T) {
				journey(t, s, chromium.Window(t), scheme+"://"+host+":"+port, singlePage[scheme+" "+site])
			})
		}
	}
}

// journey signs in at an application, runs its checks, and signs out.
func journey(t *testing.T, s *server, b *webtest.Chromium, origin string, want application) {
	b.NoForeignCookies()
	settings := url.Values{
		"issuer": {s.issuer}, "client": {s.public(origin)}, "stranger": {s.public("https://elsewhere.example")}, "user": {email}, "frame": {want.frame},
		"scope": {"openid profile email offline_access"},
	}
	b.Open(origin + "/?" + settings.Encode())
	b.Until(says("ready"))
	b.Click("sign-in")
	b.Fill("username", email)
	b.Fill("password", password)
	b.Click("sign-in")
	b.Click("allow")
	b.Until(says("signed in"))
	b.Click("run")
	b.Until(says("done"))
	b.Click("sign-out")
	b.Until(says("signed out"))
	_, found, _ := strings.Cut(b.Text(), "\n{")
	want.compare(t, parse(t, "{"+found))
}

// says is true once the application is in a state.
func says(state string) string {
	return `document.querySelector("#state")?.textContent.startsWith("` + state + `")`
}
