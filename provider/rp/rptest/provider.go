// Package rptest is a small OpenID Provider for tests of relying parties: honest by default, and dishonest where a test asks for it. It keeps
// Gatehouse's page contract (login form, consent form) but shares no code with the server.
package rptest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// The one client and the one user that the provider knows.
const (
	ClientID, ClientSecret = "demo", "a secret+with/odd characters"
	Username, Password     = "ada", "correct horse battery"
	Subject                = "user-1"
)

// Faults make the provider dishonest. The zero value is honest.
type Faults struct {
	// Document changes the discovery document.
	Document func(map[string]any)
	// Claims changes a token's claims before it is signed; kind is "id" or "access".
	Claims func(kind string, claims map[string]any)
	// Header changes a token's JOSE header before it is signed.
	Header func(kind string, header map[string]any)
	// Response changes the parameters of an authorization response.
	Response func(url.Values)
	// Before is called first; true means that it has answered.
	Before func(http.ResponseWriter, *http.Request) bool
}

// Provider is a running provider.
type Provider struct {
	Issuer string
	// Client is an HTTP client that reaches it.
	Client *http.Client

	keys    *keys
	mu      sync.Mutex
	faults  Faults
	counts  map[string]int
	codes   map[string]grant
	refresh map[string]grant
	access  map[string]bool // live access tokens
	logins  map[string]bool // session cookies
	hints   map[string]bool // ID tokens
	consent map[string]bool
}

type grant struct{ redirectURI, challenge, nonce, scope string }

// New starts a provider that ends with the test.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{
		keys: newKeys(t), counts: map[string]int{}, codes: map[string]grant{}, refresh: map[string]grant{}, access: map[string]bool{},
		logins: map[string]bool{}, hints: map[string]bool{}, consent: map[string]bool{},
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Issuer, p.Client = server.URL, server.Client()
	return p
}

// Break makes the provider dishonest from now on.
func (p *Provider) Break(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

// Count tells how often a path was asked for.
func (p *Provider) Count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[path]
}

// ServeHTTP answers one request at a time, so that the maps need no other lock.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[r.URL.Path]++
	if p.faults.Before != nil && p.faults.Before(w, r) {
		return
	}
	routes := map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": p.document, "/.well-known/jwks.json": p.jwks, "/oauth2/authorize": p.authorize,
		"/login": p.login, "/consent": p.allow, "/oauth2/token": p.token, "/oauth2/userinfo": p.userinfo, "/oauth2/introspect": p.introspect,
		"/oauth2/revoke": p.revoke, "/oauth2/logout": p.endSession, "/account": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "account") },
	}
	if h, ok := routes[r.URL.Path]; ok {
		h(w, r)
		return
	}
	http.NotFound(w, r)
}

func (p *Provider) document(w http.ResponseWriter, _ *http.Request) {
	doc := map[string]any{
		"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/oauth2/authorize", "token_endpoint": p.Issuer + "/oauth2/token",
		"jwks_uri": p.Issuer + "/.well-known/jwks.json", "userinfo_endpoint": p.Issuer + "/oauth2/userinfo",
		"introspection_endpoint": p.Issuer + "/oauth2/introspect", "revocation_endpoint": p.Issuer + "/oauth2/revoke",
		"code_challenge_methods_supported": []string{"S256"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token", "client_credentials"},
		"authorization_response_iss_parameter_supported": true,
	}
	if p.faults.Document != nil {
		p.faults.Document(doc)
	}
	answer(w, http.StatusOK, doc)
}

func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, p.keys.set())
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	cookie, err := r.Cookie("sid")
	switch {
	case q.Get("client_id") != ClientID || q.Get("code_challenge_method") != "S256":
		http.Error(w, "bad request", http.StatusBadRequest)
	case q.Get("prompt") == "none" && (err != nil || !p.logins[cookie.Value]):
		p.respond(w, r, url.Values{"error": {"login_required"}, "error_description": {"nobody is signed in"}})
	case err != nil || !p.logins[cookie.Value]:
		http.Redirect(w, r, "/login?interaction="+url.QueryEscape(q.Encode()), http.StatusSeeOther)
	case !p.consent[cookie.Value]:
		http.Redirect(w, r, "/consent?interaction="+url.QueryEscape(q.Encode()), http.StatusSeeOther)
	default:
		code := "code." + rand.Text()
		p.codes[code] = grant{q.Get("redirect_uri"), q.Get("code_challenge"), q.Get("nonce"), q.Get("scope")}
		p.respond(w, r, url.Values{"code": {code}})
	}
}

func (p *Provider) respond(w http.ResponseWriter, r *http.Request, response url.Values) {
	response.Set("state", r.URL.Query().Get("state"))
	response.Set("iss", p.Issuer)
	if p.faults.Response != nil {
		p.faults.Response(response)
	}
	http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?"+response.Encode(), http.StatusSeeOther)
}

const form = `<!doctype html><title>x</title><form method="post" action="/other"><input name="bait" value="x"></form>
<form id="%s" method="post" action="%s"><input type="hidden" name="csrf" value="token"><input type="hidden" name="interaction" value="%s">%s</form>`

func (p *Provider) login(w http.ResponseWriter, r *http.Request) {
	asked := r.FormValue("interaction")
	if r.Method == http.MethodGet {
		fmt.Fprintf(w, form, "login", "/login", strings.ReplaceAll(asked, "&", "&amp;"),
			`<input name="username" autocomplete="username"><input name="password" type="password" autocomplete="current-password"><button id="sign-in">Sign in</button>`)
		return
	}
	if r.FormValue("csrf") != "token" || r.FormValue("username") != Username || r.FormValue("password") != Password {
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	sid := rand.Text()
	p.logins[sid] = true
	http.SetCookie(w, &http.Cookie{Name: "sid", Value: sid, Path: "/", HttpOnly: true})
	http.Redirect(w, r, "/oauth2/authorize?"+asked, http.StatusSeeOther)
}

func (p *Provider) allow(w http.ResponseWriter, r *http.Request) {
	asked := r.FormValue("interaction")
	if r.Method == http.MethodGet {
		fmt.Fprintf(w, form, "consent", "/consent", strings.ReplaceAll(asked, "&", "&amp;"),
			`<button name="decision" value="allow" id="allow">Allow</button><button name="decision" value="deny" id="deny">Deny</button>`)
		return
	}
	cookie, err := r.Cookie("sid")
	if err != nil || r.FormValue("csrf") != "token" || r.FormValue("decision") != "allow" {
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	p.consent[cookie.Value] = true
	http.Redirect(w, r, "/oauth2/authorize?"+asked, http.StatusSeeOther)
}

// endSession is there always; discovery names it only if a test says so (see OfferLogout).
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	cookie, err := r.Cookie("sid")
	if err != nil || !p.hints[q.Get("id_token_hint")] || q.Get("client_id") != ClientID {
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	delete(p.logins, cookie.Value)
	http.Redirect(w, r, q.Get("post_logout_redirect_uri")+"?"+url.Values{"state": {q.Get("state")}}.Encode(), http.StatusSeeOther)
}

// OfferLogout changes a discovery document: it names the end_session_endpoint.
func OfferLogout(document map[string]any) {
	document["end_session_endpoint"] = document["issuer"].(string) + "/oauth2/logout"
}

// client tells whether the request authenticates the client by Basic, form-encoded.
func client(r *http.Request) bool {
	id, secret, ok := r.BasicAuth()
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	return ok && err1 == nil && err2 == nil && id == ClientID && secret == ClientSecret
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client of a test may hang up
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p *Provider) idToken(g grant, access string) string {
	now, sum := time.Now().Unix(), sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": p.Issuer, "sub": Subject, "aud": ClientID, "iat": now, "exp": now + 600, "auth_time": now, "sid": "s",
		"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	token := p.sign("id", map[string]any{"alg": "RS256", "kid": "rsa"}, claims)
	p.hints[token] = true
	return token
}

func (p *Provider) accessToken(subject, scope string) string {
	now := time.Now().Unix()
	token := p.sign("access", map[string]any{"alg": "ES256", "kid": "ec", "typ": "at+jwt"}, map[string]any{
		"iss": p.Issuer, "sub": subject, "aud": p.Issuer, "iat": now, "exp": now + 600, "jti": rand.Text(), "client_id": ClientID, "scope": scope,
	})
	p.access[token] = true
	return token
}

func (p *Provider) sign(kind string, header, claims map[string]any) string {
	if p.faults.Claims != nil {
		p.faults.Claims(kind, claims)
	}
	if p.faults.Header != nil {
		p.faults.Header(kind, header)
	}
	return p.keys.sign(header, claims)
}
