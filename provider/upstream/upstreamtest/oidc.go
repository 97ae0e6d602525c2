package upstreamtest

import (
	"crypto"
	"crypto/rand"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// The one client of every double.
const ClientID, ClientSecret = "gatehouse-client", "a secret+with/odd characters"

// Faults make a double dishonest. The zero value is honest.
type Faults struct {
	// Before is called first; true means that it has answered.
	Before func(http.ResponseWriter, *http.Request) bool
	// Document changes the discovery document, KeySet the JWK Set, Answer the parameters that go back by the browser, Tokens the answer of the token endpoint.
	Document, KeySet, Tokens func(map[string]any)
	Answer                   func(url.Values)
	// Header and Claims change a token before it is signed; kind is "id", "logout" or "userinfo". Userinfo that is not signed passes Claims, too.
	Header, Claims func(kind string, members map[string]any)
	// Signed replaces a token; empty leaves it.
	Signed func(kind string, header, claims map[string]any) string
}

// OIDC is an OpenID Provider. Its authorization endpoint signs people in at once: who, says login_hint if it is a name that AddUser was given, else SetUser.
type OIDC struct {
	Issuer string

	t      testing.TB
	server *httptest.Server
	mu     sync.Mutex
	now    func() time.Time
	faults Faults
	counts map[string]int
	users  map[string]map[string]any
	user   map[string]any
	alg    string
	kid    string
	key    crypto.Signer
	public []map[string]any
	signed bool
	codes  map[string]code
	access map[string]map[string]any
	auth   string // how the client named itself last
	form   url.Values
}

type code struct {
	user map[string]any
	q    url.Values
}

// NewOIDC starts a provider that ends with the test. It signs by ES256, tells the time of sign-in and a sid, and has the user "user-1" with a verified address.
func NewOIDC(t testing.TB) *OIDC {
	t.Helper()
	o := &OIDC{t: t, now: time.Now, counts: map[string]int{}, users: map[string]map[string]any{}, codes: map[string]code{}, access: map[string]map[string]any{}}
	o.server = httptest.NewServer(o)
	t.Cleanup(o.server.Close)
	o.Issuer = o.server.URL
	o.UseKey("ES256", "key-1", NewKey(t, "ES256"), false)
	o.SetUser(map[string]any{"sub": "user-1", "email": "ada@example.com", "email_verified": true, "name": "Ada Lovelace", "preferred_username": "ada"})
	return o
}

// SetNow sets the clock.
func (o *OIDC) SetNow(now func() time.Time) { o.set(func() { o.now = now }) }

// SetUser says who signs in from now on, by claims; auth_time, sid, acr and amr among them go into the ID token too.
func (o *OIDC) SetUser(claims map[string]any) { o.set(func() { o.user = maps.Clone(claims) }) }

// AddUser says who signs in when login_hint is hint.
func (o *OIDC) AddUser(hint string, claims map[string]any) {
	o.set(func() { o.users[hint] = maps.Clone(claims) })
}

// SignUserInfo makes userinfo a JWT.
func (o *OIDC) SignUserInfo(on bool) { o.set(func() { o.signed = on }) }

// Break makes the provider dishonest from now on.
func (o *OIDC) Break(f Faults) { o.set(func() { o.faults = f }) }

// UseKey signs by another key from now on. keep leaves the earlier ones in the key set. An empty kid is none.
func (o *OIDC) UseKey(alg, kid string, key crypto.Signer, keep bool) {
	jwk := JWK(o.t, key, kid)
	o.set(func() {
		o.alg, o.kid, o.key = alg, kid, key
		if !keep {
			o.public = nil
		}
		o.public = append(o.public, jwk)
	})
}

// Count is how often a path was asked for.
func (o *OIDC) Count(path string) (n int) {
	o.set(func() { n = o.counts[path] })
	return n
}

// Redeemed is the last request to the token endpoint: its Authorization header and its form.
func (o *OIDC) Redeemed() (authorization string, form url.Values) {
	o.set(func() { authorization, form = o.auth, o.form })
	return authorization, form
}

// Close stops the provider for good.
func (o *OIDC) Close() { o.server.CloseClientConnections(); o.server.Close() }

func (o *OIDC) set(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

// SignIn walks to an authorization URL as a browser would, and returns the parameters of the answer.
func (o *OIDC) SignIn(authURL string) url.Values {
	o.t.Helper()
	u, err := url.Parse(authURL)
	if err != nil || !strings.HasPrefix(authURL, o.Issuer+"/authorize?") {
		o.t.Fatalf("authorization URL %q: %v", authURL, err)
	}
	return o.answer(u.Query())
}

// LogoutToken signs a logout token (Back-Channel Logout 1.0 section 2.4) about sub and sid, either of which may be empty.
func (o *OIDC) LogoutToken(sub, sid string) string {
	o.t.Helper()
	now := o.clock()
	claims := map[string]any{
		"iss": o.Issuer, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	for name, value := range map[string]string{"sub": sub, "sid": sid} {
		if value != "" {
			claims[name] = value
		}
	}
	return o.sign("logout", map[string]any{"typ": "logout+jwt"}, claims)
}

// PostLogout posts a fresh logout token to a URL (section 2.5). The answer's body is closed.
func (o *OIDC) PostLogout(client *http.Client, to, sub, sid string) *http.Response {
	o.t.Helper()
	answer, err := client.PostForm(to, url.Values{"logout_token": {o.LogoutToken(sub, sid)}})
	if err != nil {
		o.t.Fatalf("post logout token: %v", err)
	}
	_ = answer.Body.Close()
	return answer
}

func (o *OIDC) clock() (now time.Time) {
	o.set(func() { now = o.now() })
	return now
}

// ServeHTTP implements http.Handler.
func (o *OIDC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var before func(http.ResponseWriter, *http.Request) bool
	o.set(func() { o.counts[r.URL.Path]++; before = o.faults.Before })
	if before != nil && before(w, r) {
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		o.document(w)
	case "/keys":
		o.keySet(w)
	case "/authorize":
		o.authorize(w, r)
	case "/token":
		o.token(w, r)
	case "/userinfo":
		o.userInfo(w, r)
	case "/logout":
		back := r.FormValue("post_logout_redirect_uri") + "?" + url.Values{"state": {r.FormValue("state")}}.Encode()
		http.Redirect(w, r, back, http.StatusSeeOther)
	default:
		http.NotFound(w, r)
	}
}
