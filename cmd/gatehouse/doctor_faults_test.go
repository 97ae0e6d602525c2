package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/doctor"
)

// spoilAnswers changes answers of paths that begin with prefix, after the server made them.
func spoilAnswers(prefix string, change func(h http.Header, body string) string) spoiler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, prefix) {
				next.ServeHTTP(w, r)
				return
			}
			kept := httptest.NewRecorder()
			next.ServeHTTP(kept, r)
			body := change(kept.Header(), kept.Body.String())
			for name, values := range kept.Header() {
				w.Header()[name] = values
			}
			w.Header().Del("Content-Length")
			w.WriteHeader(kept.Code)
			_, _ = io.WriteString(w, body)
		})
	}
}

// headerSpoiler changes only headers of all answers.
func headerSpoiler(change func(http.Header)) spoiler {
	return spoilAnswers("/", func(h http.Header, body string) string { change(h); return body })
}

// replacing answers a path in place of the server.
func replacing(path string, handler http.HandlerFunc) spoiler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				handler(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// proxied makes requests come from a proxy with the address, which does with X-Forwarded-For what forward says.
func proxied(address string, forward func(http.Header)) spoiler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			forward(r.Header)
			r.RemoteAddr = address + ":4711"
			next.ServeHTTP(w, r)
		})
	}
}

func rewriteCookies(from, to string) spoiler {
	return headerSpoiler(func(h http.Header) {
		for i := range h["Set-Cookie"] {
			h["Set-Cookie"][i] = strings.Replace(h["Set-Cookie"][i], from, to, 1)
		}
	})
}

func TestDoctorNamesTheFaultAndItsFix(t *testing.T) {
	p := newPatient(t)
	for name, c := range map[string]struct {
		spoil                spoiler
		check, verdict, text string
	}{
		"another issuer": {spoilAnswers(document, func(_ http.Header, body string) string {
			return strings.Replace(body, `"issuer": "`+p.issuer, `"issuer": "https://other.example`, 1)
		}), "issuer", "fail", "restart the server with it"},
		"http endpoints": {spoilAnswers(document, func(_ http.Header, body string) string {
			return strings.Replace(body, p.issuer+"/oauth2/token", strings.Replace(p.issuer, "https", "http", 1)+"/oauth2/token", 1)
		}), "endpoints", "fail", "nothing before the server may rewrite its answers"},
		"a redirect": {replacing(document, http.RedirectHandler("https://www.example/", http.StatusFound).ServeHTTP),
			"discovery", "fail", "make the issuer the address that answers by itself"},
		"a path that is not passed on": {replacing(document, http.NotFound), "discovery", "fail", "let the proxy pass everything below the issuer on"},
		"a portal": {replacing(document, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<p>Welcome") }),
			"discovery", "fail", "find out what answers there in place of Gatehouse"},
		"no PKCE":       {spoilAnswers(document, func(_ http.Header, body string) string { return strings.Replace(body, `"S256"`, `"plain"`, 1) }), "offers", "fail", "S256 in code_challenge_methods_supported"},
		"no RFC 8414":   {replacing("/.well-known/oauth-authorization-server", http.NotFound), "oauth metadata", "warn", "let the proxy pass this path on"},
		"a stale clock": {headerSpoiler(func(h http.Header) { h.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)) }), "clock", "fail", "behind this machine; clients refuse such tokens; fix: let both machines follow a time server"},
		"a fast clock":  {headerSpoiler(func(h http.Header) { h.Set("Date", time.Now().Add(15*time.Second).UTC().Format(http.TimeFormat)) }), "clock", "warn", "ahead of this machine; fix: let both machines follow a time server"},
		"tokens cached": {spoilAnswers("/oauth2/token", func(h http.Header, body string) string { h.Set("Cache-Control", "max-age=60"); return body }), "token endpoint", "fail", "pass the server's Cache-Control on, and cache nothing below /oauth2"},
		"only good answers cached": {spoilAnswers("/oauth2/token", func(h http.Header, body string) string {
			if strings.Contains(body, "access_token") {
				h.Del("Cache-Control")
			}
			return body
		}), "code", "fail", "pass the server's Cache-Control on, and cache nothing below /oauth2"},
		"a firewall": {replacing("/oauth2/token", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "blocked", http.StatusForbidden) }), "token endpoint", "fail", "something before the server answers in its place"},
		"no HSTS":    {headerSpoiler(func(h http.Header) { h.Del("Strict-Transport-Security") }), "hsts", "warn", "max-age=63072000"},
		"short HSTS": {headerSpoiler(func(h http.Header) { h.Set("Strict-Transport-Security", "max-age=300; includeSubDomains") }), "hsts", "warn", "remember https for 5m0s only"},
		"two CORS headers": {headerSpoiler(func(h http.Header) { h.Add("Access-Control-Allow-Origin", "*") }),
			"browser apps", "warn", "take Access-Control headers of its own out of the proxy"},
		"no Secure":     {rewriteCookies("; Secure", ""), "flow cookie", "fail", "is not Secure; fix: the server sets it right: turn off what rewrites cookies in the proxy"},
		"no HttpOnly":   {rewriteCookies("; HttpOnly", ""), "session cookie", "fail", "is not HttpOnly"},
		"SameSite none": {rewriteCookies("SameSite=Lax", "SameSite=None"), "session cookie", "fail", "has not SameSite=Lax"},
		"no prefix":     {rewriteCookies("__Host-", ""), "flow cookie", "fail", "the server set no cookie __Host-gth_flow; got: gth_flow; fix: let the proxy pass Set-Cookie on"},
		"a narrow path": {rewriteCookies("Path=/", "Path=/login"), "flow cookie", "fail", "is not for this host as a whole"},
		"frames": {headerSpoiler(func(h http.Header) { h.Del("X-Frame-Options"); h.Del("Content-Security-Policy") }),
			"sign-in page", "fail", "let the proxy pass Content-Security-Policy and X-Frame-Options on"},
		"pages cached": {spoilAnswers("/login", func(h http.Header, body string) string { h.Del("Cache-Control"); return body }), "sign-in page", "fail", "lacks Cache-Control: no-store"},
		"no pages":     {replacing("/login", http.NotFound), "sign-in page", "fail", "let the proxy pass /account and /login on"},
		"forms lost":   {replacing("/consent", http.NotFound), "sign-in", "fail", "let the proxy pass /oauth2/authorize, /login and /consent on"},
		"keys for a day": {spoilAnswers("/.well-known/jwks.json", func(h http.Header, body string) string {
			h.Set("Cache-Control", "public, max-age=86400")
			return body
		}), "key caching", "warn", "clients would refuse good tokens so long"},
		"a private key shown": {spoilAnswers("/.well-known/jwks.json", func(_ http.Header, body string) string { return strings.Replace(body, `"kid"`, `"d":"x","kid"`, 1) }),
			"keys", "fail", "run: gatehouse keys revoke KID"},
		"a key twice": {spoilAnswers("/.well-known/jwks.json", func(_ http.Header, body string) string {
			return strings.Replace(body, `"keys":[`, `"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"x"},{"kty":"RSA","use":"sig","alg":"RS256","kid":"x"},`, 1)
		}), "keys", "fail", "key 2 (x) is there twice"},
		"no RSA key":     {spoilAnswers("/.well-known/jwks.json", func(_ http.Header, body string) string { return strings.ReplaceAll(body, `"RS256"`, `"RS512"`) }), "keys", "fail", "put RS256 into keys.algorithms"},
		"another store":  {spoilAnswers("/.well-known/jwks.json", func(_ http.Header, body string) string { return strings.ReplaceAll(body, `"kid":"`, `"kid":"x`) }), "store", "fail", "the same storage.url"},
		"a key withheld": {spoilAnswers("/.well-known/jwks.json", func(_ http.Header, body string) string { return lastKeyOff(body) }), "store", "fail", "look whether a cache before the server keeps jwks_uri"},
		"forged address": {proxied(proxyAddress, func(http.Header) {}), "client address", "fail", "anyone can choose the address that rate limits count; fix: keep server.trusted_proxies"},
		"no address":     {proxied(proxyAddress, func(h http.Header) { h.Del("X-Forwarded-For") }), "client address", "fail", "let the proxy set X-Forwarded-For to the address of its peer"},
		"unknown proxy":  {proxied("10.0.0.2", func(http.Header) {}), "client address", "warn", "if it is your proxy's, put it into server.trusted_proxies"},
		"no Authorization": {func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/oauth2/userinfo" {
					r.Header.Del("Authorization")
				}
				next.ServeHTTP(w, r)
			})
		}, "userinfo", "fail", "let the proxy pass the Authorization header on"},
		"revocation lost": {replacing("/oauth2/revoke", func(http.ResponseWriter, *http.Request) {}), "revocation", "fail", "introspection, userinfo, refresh; fix: look whether every node uses the same store"},
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			p.spoil.Store(c.spoil)
			text, err := p.examine(t.Context())
			line := finding(text, c.check)
			if !strings.HasPrefix(line, c.verdict+" ") || !strings.Contains(line, c.text) || !strings.Contains(line, "; fix: ") {
				t.Errorf("%s is %q, want %s with %q\n%s", c.check, line, c.verdict, c.text, text)
			}
			if (c.verdict == "fail") != (err != nil) {
				t.Errorf("the command ends with %v", err)
			}
		})
	}
}

// lastKeyOff takes the last key out of a JWK set.
func lastKeyOff(set string) string { return set[:strings.LastIndex(set, ",{")] + "]}" }

// A key job may be at work while the doctor looks: right after the first start it makes the next keys.
func TestDoctorForgivesKeysThatAreJustBeingPublished(t *testing.T) {
	p := newPatient(t)
	var answers atomic.Int32
	p.spoil.Store(spoilAnswers("/.well-known/jwks.json", func(_ http.Header, body string) string {
		if answers.Add(1) <= 2 {
			return lastKeyOff(body)
		}
		return body
	}))
	text, err := p.examine(t.Context())
	if line := finding(text, "store"); err != nil || !strings.HasPrefix(line, "ok ") {
		t.Errorf("store is %q, error %v\n%s", line, err, text)
	}
}

func TestDoctorSaysWhyAnAddressCannotBeReached(t *testing.T) {
	p := newPatient(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	at := func(issuer string) func(*doctor.Options) { return func(o *doctor.Options) { o.Issuer = issuer } }
	host, ends := strings.TrimPrefix(p.issuer, "https://"), certificateEnds()
	for name, c := range map[string]struct {
		change              func(*doctor.Options)
		check, status, text string
	}{
		"http for https":    {at(strings.Replace(plain.URL, "http:", "https:", 1)), "tls", "fail", "it speaks http, and the issuer says https; fix: end TLS in the proxy, or set server.tls.cert and server.tls.key"},
		"https for http":    {at("http://" + host), "address", "fail", "fix: write the issuer with https"},
		"http in public":    {at("http://login.example.com"), "address", "fail", "write the issuer with https"},
		"no issuer":         {at("login.example.com"), "address", "fail", "write https://host"},
		"nobody listens":    {at(closed.URL), "address", "fail", "start the server (gatehouse serve)"},
		"unknown name":      {at("https://nowhere.invalid"), "address", "fail", "nowhere.invalid"},
		"another name":      {at(strings.Replace(p.issuer, "127.0.0.1", "localhost", 1)), "tls", "fail", "get a certificate for localhost"},
		"unknown authority": {func(o *doctor.Options) { o.Roots = nil }, "tls", "fail", "send the whole chain"},
		"expired": {func(o *doctor.Options) { o.Now = func() time.Time { return ends.Add(time.Hour) } },
			"tls", "fail", "renew the certificate"},
		"expires soon": {func(o *doctor.Options) { o.Now = func() time.Time { return ends.Add(-5*24*time.Hour - time.Hour) } },
			"tls", "warn", "in 5 days; fix: renew it"},
	} {
		text, err := p.examine(t.Context(), c.change)
		if line := finding(text, c.check); !strings.HasPrefix(line, c.status+" ") || !strings.Contains(line, c.text) || err == nil {
			t.Errorf("%s: %v, want %s %s with %q\n%s", name, err, c.status, c.check, c.text, text)
		}
	}
}

// certificateEnds is the end of the certificate that all test servers have.
func certificateEnds() time.Time {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return server.Certificate().NotAfter
}
