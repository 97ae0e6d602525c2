package federation_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

// googleLike is an OpenID Provider of zitadel/oidc's OP package in the shape of Google: its paths, the members of its discovery document, RS256 by keys that rotate, the claims of
// its ID token without auth_time, no end_session_endpoint, and a page to choose an account on, which login_hint skips and prompt=select_account brings back.
type googleLike struct {
	op.Storage // what the code flow does not need is not there
	*testing.T
	Issuer      string
	redirectURI string
	provider    *op.Provider

	mu       sync.Mutex
	accounts []googleAccount
	keys     []googleKey // as published
	signing  string      // the kid of the one that signs
	requests map[string]*googleRequest
	codes    map[string]string
	asked    url.Values // the last authorization request
}

// googleAccount is one account. HD is empty for one that no organization hosts.
type googleAccount struct {
	Sub, Email, Name, HD string
	Verified             bool
}

// newGoogle starts the server on localhost, for one client with one redirect URI.
func newGoogle(t *testing.T, redirectURI string, accounts ...googleAccount) *googleLike {
	t.Helper()
	o := &googleLike{T: t, redirectURI: redirectURI, accounts: accounts, requests: map[string]*googleRequest{}, codes: map[string]string{}}
	o.publish("key-1", "key-1")
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	o.Issuer = "http://localhost:" + port
	config := &op.Config{CodeMethodS256: true, AuthMethodPost: true, SupportedScopes: []string{"openid", "email", "profile"}}
	rand.Read(config.CryptoKey[:])
	o.provider, err = op.NewProvider(config, o, op.StaticIssuer(o.Issuer), op.WithAllowInsecure(), op.WithCustomEndpoints(
		op.NewEndpoint("/o/oauth2/v2/auth"), op.NewEndpoint("/token"), op.NewEndpoint("/v1/userinfo"), op.NewEndpoint("/revoke"), op.NewEndpoint("/not-at-google"),
		op.NewEndpoint("/oauth2/v3/certs")))
	if err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", o.discovery)
	mux.HandleFunc("GET /accountchooser", o.chooser)
	mux.HandleFunc("POST /accountchooser", o.chosen)
	mux.HandleFunc("GET /oauth2/v3/certs", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600, must-revalidate, no-transform")
		o.provider.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /o/oauth2/v2/auth", func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked = r.URL.Query()
		o.mu.Unlock()
		o.provider.ServeHTTP(w, r)
	})
	mux.Handle("/", o.provider)
	return o
}

// config is the configuration of this Google, found good.
func (o *googleLike) config(changes ...func(*upstream.Config)) upstream.Config {
	o.Helper()
	c := upstream.Config{ID: "google", Type: "google", Issuer: o.Issuer, ClientID: upstreamtest.ClientID, ClientSecret: upstreamtest.ClientSecret, CreateUsers: true}
	for _, change := range changes {
		change(&c)
	}
	upstream.FindKind("google").Check(&c, func(field, problem, fix string) { o.Errorf("%s %s; %s", field, problem, fix) })
	return c
}

// discovery has the members that Google's document has, and no others.
func (o *googleLike) discovery(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	json.NewEncoder(w).Encode(map[string]any{
		"issuer": o.Issuer, "authorization_endpoint": o.Issuer + "/o/oauth2/v2/auth", "device_authorization_endpoint": o.Issuer + "/device/code", "token_endpoint": o.Issuer + "/token",
		"userinfo_endpoint": o.Issuer + "/v1/userinfo", "revocation_endpoint": o.Issuer + "/revoke", "jwks_uri": o.Issuer + "/oauth2/v3/certs",
		"response_types_supported": []string{"code", "token", "id_token", "code token", "code id_token", "token id_token", "code token id_token", "none"},
		"subject_types_supported":  []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"}, "scopes_supported": []string{"openid", "email", "profile"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"}, "code_challenge_methods_supported": []string{"plain", "S256"},
		"claims_supported":      []string{"aud", "email", "email_verified", "exp", "family_name", "given_name", "iat", "iss", "name", "picture", "sub"},
		"grant_types_supported": []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
	})
}

var chooserPage = template.Must(template.New("").Parse(`<h1>Choose an account</h1>
{{range .Accounts}}<form id="{{.Sub}}" method="post" action="/accountchooser"><input type="hidden" name="id" value="{{$.ID}}"><input type="hidden" name="sub" value="{{.Sub}}">
<button>{{.Name}} {{.Email}}</button></form>{{end}}`))

// chooser signs in at once whom login_hint names, or who has signed in by this browser, unless the request wants a choice. hd shapes the page and nothing else.
func (o *googleLike) chooser(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	q, accounts := o.requests[r.FormValue("id")], slices.Clone(o.accounts)
	hd := o.asked.Get("hd")
	o.mu.Unlock()
	if q == nil {
		http.Error(w, "no such request", http.StatusBadRequest)
		return
	}
	name, hint := "", func(a googleAccount) bool { return a.Email == q.LoginHint }
	if session, err := r.Cookie("SID"); err == nil {
		name = session.Value
	}
	i := slices.IndexFunc(accounts, hint)
	if i < 0 {
		i = slices.IndexFunc(accounts, func(a googleAccount) bool { return a.Sub == name })
	}
	if i >= 0 && !slices.Contains(q.Prompt, oidc.PromptSelectAccount) {
		o.goOn(w, r, q, accounts[i].Sub)
		return
	}
	accounts = slices.DeleteFunc(accounts, func(a googleAccount) bool { return hd == "*" && a.HD == "" || hd != "" && hd != "*" && a.HD != hd })
	if err := chooserPage.Execute(w, map[string]any{"ID": q.id, "Accounts": accounts}); err != nil {
		o.Error(err)
	}
}

func (o *googleLike) chosen(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	q := o.requests[r.PostFormValue("id")]
	o.mu.Unlock()
	if q == nil {
		http.Error(w, "no such request", http.StatusBadRequest)
		return
	}
	o.goOn(w, r, q, r.PostFormValue("sub"))
}

func (o *googleLike) goOn(w http.ResponseWriter, r *http.Request, q *googleRequest, sub string) {
	o.mu.Lock()
	q.sub = sub
	o.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "SID", Value: sub, Path: "/", HttpOnly: true})
	http.Redirect(w, r, op.AuthCallbackURL(o.provider)(op.ContextWithIssuer(r.Context(), o.Issuer), q.id), http.StatusSeeOther)
}

// set changes an account.
func (o *googleLike) set(sub string, change func(*googleAccount)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(&o.accounts[slices.IndexFunc(o.accounts, func(a googleAccount) bool { return a.Sub == sub })])
}

func (o *googleLike) account(sub string) (googleAccount, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.IndexFunc(o.accounts, func(a googleAccount) bool { return a.Sub == sub }); i >= 0 {
		return o.accounts[i], nil
	}
	return googleAccount{}, errors.New("no such account")
}

// lastAsked is the authorization request that came last.
func (o *googleLike) lastAsked() url.Values {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

// publish says which keys are in the set from now on, and which one signs; it need not be in the set.
func (o *googleLike) publish(signing string, kids ...string) {
	o.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.signing = signing
	for i := range o.keys {
		o.keys[i].published = slices.Contains(kids, o.keys[i].kid)
	}
	for _, kid := range append([]string{signing}, kids...) {
		if slices.ContainsFunc(o.keys, func(k googleKey) bool { return k.kid == kid }) {
			continue
		}
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			o.Fatal(err)
		}
		o.keys = append(o.keys, googleKey{key, kid, slices.Contains(kids, kid)})
	}
}

// What follows is what op.NewProvider wants of a store.

// CreateAuthRequest takes the values of prompt that Google documents.
func (o *googleLike) CreateAuthRequest(_ context.Context, r *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	for _, prompt := range r.Prompt {
		switch prompt {
		case oidc.PromptConsent, oidc.PromptSelectAccount:
		case oidc.PromptNone:
			return nil, oidc.ErrLoginRequired()
		default:
			return nil, oidc.ErrInvalidRequest().WithDescription("Invalid parameter value for prompt: Invalid prompt: %s", prompt)
		}
	}
	q := &googleRequest{AuthRequest: r, id: rand.Text()}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests[q.id] = q
	return q, nil
}

func (o *googleLike) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if q := o.requests[id]; q != nil {
		copied := *q
		return &copied, nil
	}
	return nil, errors.New("no such request")
}

func (o *googleLike) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	o.mu.Lock()
	id := o.codes[code]
	delete(o.codes, code)
	o.mu.Unlock()
	return o.AuthRequestByID(ctx, id)
}

func (o *googleLike) SaveAuthCode(_ context.Context, id, code string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.codes[code] = id
	return nil
}

func (o *googleLike) DeleteAuthRequest(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.requests, id)
	return nil
}

func (o *googleLike) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return rand.Text(), time.Now().Add(time.Hour), nil
}

func (o *googleLike) SigningKey(context.Context) (op.SigningKey, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return googleSigner{o.keys[slices.IndexFunc(o.keys, func(k googleKey) bool { return k.kid == o.signing })]}, nil
}

func (o *googleLike) KeySet(context.Context) (set []op.Key, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, key := range o.keys {
		if key.published {
			set = append(set, key)
		}
	}
	return set, nil
}

func (o *googleLike) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != upstreamtest.ClientID {
		return nil, errors.New("no such client")
	}
	return googleClient{o.redirectURI}, nil
}

func (o *googleLike) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if id != upstreamtest.ClientID || secret != upstreamtest.ClientSecret {
		return errors.New("wrong client secret")
	}
	return nil
}

func (o *googleLike) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil // in favour of the next one, says the package
}

// SetUserinfoFromRequest makes the claims of the ID token.
func (o *googleLike) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, _ []string) error {
	return o.describe(info, r.GetSubject())
}

func (o *googleLike) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, _, sub, _ string) error {
	return o.describe(info, sub)
}

func (o *googleLike) describe(info *oidc.UserInfo, sub string) error {
	a, err := o.account(sub)
	info.Subject, info.Email, info.EmailVerified, info.Name, info.Picture = a.Sub, a.Email, oidc.Bool(a.Verified), a.Name, "https://lh3.example/"+a.Sub
	info.GivenName, info.FamilyName, _ = strings.Cut(a.Name, " ")
	if a.HD != "" {
		info.AppendClaims("hd", a.HD)
	}
	return err
}
