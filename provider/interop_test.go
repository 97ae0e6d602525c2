package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/client"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/oauth2"

	"gatehouse/provider"
	"gatehouse/provider/keys"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// The client libraries of the field, used as their documentation says: coreos/go-oidc with x/oauth2, and zitadel/oidc.

// clientKey is the key of a client that authenticates with private_key_jwt.
type clientKey struct{ signer jose.Signer }

// keyClient makes a client authenticate by private_key_jwt and returns its key.
func keyClient(t *testing.T, c *storage.Client) clientKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: "client-key"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.AuthMethod = "private_key_jwt"
	c.JWKS, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "client-key", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return clientKey{signer}
}

// assertion signs an assertion (RFC 7523 section 2.2) for an hour, as zitadel's client does. aud is a string or a list.
func (k clientKey) assertion(t *testing.T, clientID string, aud any) string {
	t.Helper()
	now := time.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": clientID, "sub": clientID, "aud": aud, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := k.signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// rotateKeys lets the next keys sign, as `gatehouse keys rotate` does from another process.
func (s *server) rotateKeys() {
	s.Helper()
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		s.Fatal(err)
	}
	set := keys.New(keys.Options{Store: s.Store, Seal: ring, Now: s.Clock.Now, Algorithms: []string{"RS256", "ES256"}, LongestToken: testTokens.ID})
	for _, alg := range set.Algorithms() {
		if _, err := set.Rotate(s.Context(), alg); err != nil {
			s.Fatal(err)
		}
	}
	s.Clock.Advance(6 * time.Second) // a rotated key signs five seconds later
	s.eventually("the server's copies are current at the new time", func() bool { return s.Provider.Ready(s.Context()) == nil })
}

// kid returns the key id in the header of a JWT.
func kid(t *testing.T, token string) string {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.PS256, jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Protected.KeyID
}

// goParty is a relying party on go-oidc and x/oauth2 with its automatic choice of client authentication.
type goParty struct {
	*server
	provider *gooidc.Provider
	config   oauth2.Config
	verifier *gooidc.IDTokenVerifier
	key      *clientKey
}

func newGoParty(s *server, clientID, secret, redirectURI string, key *clientKey) *goParty {
	s.Helper()
	provider, err := gooidc.NewProvider(s.Context(), s.URL)
	if err != nil {
		s.Fatal(err)
	}
	if provider.Endpoint().AuthStyle != oauth2.AuthStyleAutoDetect {
		s.Fatal("the library no longer detects the authentication by itself")
	}
	return &goParty{
		server: s, provider: provider, verifier: provider.Verifier(&gooidc.Config{ClientID: clientID}), key: key,
		config: oauth2.Config{
			ClientID: clientID, ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: redirectURI,
			Scopes: []string{gooidc.ScopeOpenID, "profile", "email", gooidc.ScopeOfflineAccess},
		},
	}
}

// authenticated adds the client assertion, if the client has a key.
func (p *goParty) authenticated(options ...oauth2.AuthCodeOption) []oauth2.AuthCodeOption {
	p.Helper()
	if p.key == nil {
		return options
	}
	return append(options, oauth2.SetAuthURLParam("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
		oauth2.SetAuthURLParam("client_assertion", p.key.assertion(p.T, p.config.ClientID, p.URL)))
}

// signIn runs the code flow with PKCE, state and nonce, and verifies what comes back.
func (p *goParty) signIn(b *browser) *oauth2.Token {
	p.Helper()
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	answer := b.walk(p.config.AuthCodeURL(state, gooidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)))
	location, err := answer.Location()
	if err != nil {
		p.Fatalf("no redirect to the client: %d %s", answer.StatusCode, cut(answer.Body))
	}
	if !strings.HasPrefix(location.String(), p.config.RedirectURL+"?") || location.Query().Get("state") != state {
		p.Fatalf("sent to %s", location)
	}
	token, err := p.config.Exchange(p.Context(), location.Query().Get("code"), p.authenticated(oauth2.VerifierOption(verifier))...)
	if err != nil {
		p.Fatal(err)
	}
	if id := p.verify(token); id.Nonce != nonce {
		p.Errorf("nonce %q, want %q", id.Nonce, nonce)
	}
	return token
}

// verify checks the ID token by JWKS and its at_hash.
func (p *goParty) verify(token *oauth2.Token) *gooidc.IDToken {
	p.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := p.verifier.Verify(p.Context(), raw)
	if err != nil {
		p.Fatal(err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		p.Errorf("at_hash: %v", err)
	}
	if token.Type() != "Bearer" || time.Until(token.Expiry) < 9*time.Minute || token.RefreshToken == "" {
		p.Errorf("type %q, expires %v, refresh token %q", token.Type(), token.Expiry, token.RefreshToken)
	}
	return id
}

// refreshed lets the library notice that a token has expired and fetch the next.
func (p *goParty) refreshed(token *oauth2.Token) *oauth2.Token {
	p.Helper()
	var next *oauth2.Token
	var err error
	if p.key != nil { // TokenSource has no place for an assertion
		next, err = p.config.Exchange(p.Context(), "", p.authenticated(oauth2.SetAuthURLParam("grant_type", "refresh_token"), oauth2.SetAuthURLParam("refresh_token", token.RefreshToken))...)
	} else {
		expired := *token
		expired.Expiry = time.Now().Add(-time.Second)
		next, err = p.config.TokenSource(p.Context(), &expired).Token()
	}
	if err != nil {
		p.Fatal(err)
	}
	if next.AccessToken == token.AccessToken || next.RefreshToken == token.RefreshToken {
		p.Error("the refresh changed nothing")
	}
	return next
}

func (p *goParty) userInfo(token *oauth2.Token) (*gooidc.UserInfo, error) {
	return p.provider.UserInfo(p.Context(), oauth2.StaticTokenSource(token))
}

// goParties are the ways in which clients of x/oauth2 authenticate.
var goParties = map[string]func(s *server) *goParty{
	"confidential by Basic": func(s *server) *goParty {
		s.client()
		return newGoParty(s, "app", clientSecret, callback, nil)
	},
	"secret with reserved characters": func(s *server) *goParty {
		const secret = "100%+sure:/?&=#~"
		s.client(func(c *storage.Client) {
			c.ID, c.Secrets = "odd id:+%/1", []storage.ClientSecret{{Hash: chosenSecret(s.T, secret)}}
		})
		return newGoParty(s, "odd id:+%/1", secret, callback, nil)
	},
	"public with PKCE": func(s *server) *goParty {
		s.publicClient("native", "http://127.0.0.1/callback")
		return newGoParty(s, "native", "", "http://127.0.0.1:49152/callback", nil)
	},
	"private_key_jwt": func(s *server) *goParty {
		var key clientKey
		s.client(func(c *storage.Client) { c.ID, key = "keyed", keyClient(s.T, c) })
		return newGoParty(s, "keyed", "", callback, &key)
	},
}

// TestGoOIDCAndOAuth2 is one user and four clients on each store; the keys rotate while their sign-ins are alive.
func TestGoOIDCAndOAuth2(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		subject := s.user("ada@example.com")
		first := map[*goParty]*oauth2.Token{}
		for name, make := range goParties {
			s.Run(name, func(t *testing.T) {
				p := make(s.on(t))
				token := p.signIn(s.on(t).browser("ada@example.com"))
				info, err := p.userInfo(token)
				if err != nil || info.Subject != subject || info.Email != "ada@example.com" || !info.EmailVerified {
					t.Errorf("userinfo %+v, %v", info, err)
				}
				p.server, first[p] = s, token
			})
		}
		if s.Failed() {
			return
		}
		s.rotateKeys()
		for p, token := range first {
			s.Run("after rotation "+p.config.ClientID, func(t *testing.T) {
				p.server = s.on(t)
				p.verify(token) // what the old key signed
				old, next := kid(t, token.Extra("id_token").(string)), token
				s.eventually("a token of the new key", func() bool {
					next = p.refreshed(next)
					return kid(t, next.Extra("id_token").(string)) != old
				})
				if id := p.verify(next); id.Subject != subject {
					t.Errorf("the refreshed ID token is about %q", id.Subject)
				}
				if _, err := p.userInfo(next); err != nil {
					t.Error(err)
				}
				p.revokedIsDead(next)
			})
		}
	})
}

// revokedIsDead revokes by RFC 7009, for which the library has nothing, and demands that the library sees it.
func (p *goParty) revokedIsDead(token *oauth2.Token) {
	p.Helper()
	var metadata struct {
		Revocation string `json:"revocation_endpoint"`
	}
	if err := p.provider.Claims(&metadata); err != nil {
		p.Fatal(err)
	}
	form := url.Values{"token": {token.RefreshToken}, "client_id": {p.config.ClientID}}
	if p.config.ClientSecret != "" {
		form.Set("client_secret", p.config.ClientSecret)
	}
	if p.key != nil {
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", p.key.assertion(p.T, p.config.ClientID, p.URL))
	}
	answer, err := http.PostForm(metadata.Revocation, form)
	if err != nil {
		p.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		p.Errorf("revocation: %s", answer.Status)
	}
	if _, err := p.userInfo(token); err == nil || !strings.HasPrefix(err.Error(), "401") {
		p.Errorf("userinfo after revocation: %v", err)
	}
	if p.key != nil {
		return
	}
	expired := *token
	expired.Expiry = time.Now().Add(-time.Second)
	_, err = p.config.TokenSource(p.Context(), &expired).Token()
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
		p.Errorf("refresh after revocation: %v", err)
	}
}

type zitadelTokens = oidc.Tokens[*oidc.IDTokenClaims]

// zitadelParty is a web application on zitadel's relying party: its own handlers, its own cookies, a callback that is really called.
type zitadelParty struct {
	*server
	rp.RelyingParty
	app  *httptest.Server
	came chan arrived
}

// arrived is what reached the application.
type arrived struct {
	tokens *zitadelTokens
	info   *oidc.UserInfo
	failed string
}

// newZitadelParty serves the application; register gets its redirect URI.
func newZitadelParty(s *server, clientID, secret string, register func(redirectURI string), options ...rp.Option) *zitadelParty {
	s.Helper()
	p := &zitadelParty{server: s, came: make(chan arrived, 1)}
	mux := http.NewServeMux()
	p.app = httptest.NewServer(mux)
	s.Cleanup(p.app.Close)
	redirectURI := p.app.URL + "/callback"
	register(redirectURI)
	fail := func(w http.ResponseWriter, what string) {
		w.WriteHeader(http.StatusBadRequest)
		p.came <- arrived{failed: what}
	}
	options = append([]rp.Option{
		rp.WithPKCEFromDiscovery(httphelper.NewCookieHandler([]byte(rand.Text() + rand.Text())[:32], nil, httphelper.WithUnsecure())),
		rp.WithSigningAlgsFromDiscovery(), rp.WithVerifierOpts(rp.WithIssuedAtOffset(time.Minute)), // the test moves the server's clock
		rp.WithErrorHandler(func(w http.ResponseWriter, _ *http.Request, code, description, _ string) {
			fail(w, code+": "+description)
		}),
		rp.WithUnauthorizedHandler(func(w http.ResponseWriter, _ *http.Request, description, _ string) { fail(w, description) }),
	}, options...)
	var err error
	p.RelyingParty, err = rp.NewRelyingPartyOIDC(s.Context(), s.URL, clientID, secret, redirectURI, []string{"openid", "profile", "email", "offline_access"}, options...)
	if err != nil {
		s.Fatal(err)
	}
	mux.Handle("/login", rp.AuthURLHandler(rand.Text, p))
	mux.Handle("/callback", rp.CodeExchangeHandler(rp.UserinfoCallback(
		func(_ http.ResponseWriter, _ *http.Request, tokens *zitadelTokens, _ string, _ rp.RelyingParty, info *oidc.UserInfo) {
			p.came <- arrived{tokens: tokens, info: info}
		}), p))
	return p
}

// signIn opens the application in a browser, signs in and comes back.
func (p *zitadelParty) signIn(b *browser) arrived {
	p.Helper()
	begin, err := b.get(p.app.URL + "/login").Location()
	if err != nil {
		p.Fatal(err)
	}
	back, err := b.walk(begin.String()).Location()
	if err != nil {
		p.Fatal(err)
	}
	b.get(back.String())
	select {
	case a := <-p.came:
		return a
	default: // the callback has answered, so it has reported
		p.Fatal("nothing came of the callback")
		return arrived{}
	}
}

func (p *zitadelParty) refreshed(tokens *zitadelTokens) *zitadelTokens {
	p.Helper()
	next, err := rp.RefreshTokens[*oidc.IDTokenClaims](p.Context(), p, tokens.RefreshToken, "", "")
	if err != nil {
		p.Fatal(err)
	}
	if next.IDTokenClaims == nil || next.IDTokenClaims.Subject != tokens.IDTokenClaims.Subject {
		p.Fatalf("refreshed claims %+v", next.IDTokenClaims)
	}
	return next
}

// zitadelParties come with the resource server that introspects their tokens; a public client cannot.
var zitadelParties = map[string]func(s *server) (*zitadelParty, rs.ResourceServer){
	"confidential": func(s *server) (*zitadelParty, rs.ResourceServer) {
		p := newZitadelParty(s, "app", clientSecret, func(redirectURI string) {
			s.client(func(c *storage.Client) { c.RedirectURIs = []string{redirectURI} })
		})
		api, err := rs.NewResourceServerClientCredentials(s.Context(), s.URL, "app", clientSecret)
		if err != nil {
			s.Fatal(err)
		}
		return p, api
	},
	"public with PKCE": func(s *server) (*zitadelParty, rs.ResourceServer) {
		return newZitadelParty(s, "native", "", func(redirectURI string) { s.publicClient("native", redirectURI) }), nil
	},
	"private_key_jwt": func(s *server) (*zitadelParty, rs.ResourceServer) {
		var key clientKey
		register := func(redirectURI string) {
			s.client(func(c *storage.Client) { c.ID, c.RedirectURIs, key = "keyed", []string{redirectURI}, keyClient(s.T, c) })
		}
		p := newZitadelParty(s, "keyed", "", register, rp.WithJWTProfile(func() (jose.Signer, error) { return lateSigner{&key}, nil }))
		return p, keyedAPI{key: &key, s: s}
	},
}

// lateSigner uses a key that is made after it.
type lateSigner struct{ key *clientKey }

func (l lateSigner) Sign(payload []byte) (*jose.JSONWebSignature, error) {
	return l.key.signer.Sign(payload)
}
func (l lateSigner) Options() jose.SignerOptions { return l.key.signer.Options() }

// keyedAPI is zitadel's resource server with an assertion of an EC key; its own constructor takes PEM.
type keyedAPI struct {
	key *clientKey
	s   *server
}

func (a keyedAPI) IntrospectionURL() string { return a.s.URL + "/oauth2/introspect" }
func (a keyedAPI) TokenEndpoint() string    { return a.s.URL + "/oauth2/token" }
func (a keyedAPI) HttpClient() *http.Client { return http.DefaultClient }
func (a keyedAPI) AuthFn() (any, error) {
	assertion, err := client.SignedJWTProfileAssertion("keyed", []string{a.s.URL}, time.Hour, a.key.signer)
	return client.ClientAssertionFormAuthorization(assertion), err
}

// TestZitadelOIDC uses no option that a user would not set: the secret travels by Basic with the code and in the body afterwards.
func TestZitadelOIDC(t *testing.T) {
	t.Parallel()
	onEveryBackend(t, func(s *server) {
		subject := s.user("ada@example.com")
		type signedIn struct {
			*zitadelParty
			api    rs.ResourceServer
			tokens *zitadelTokens
		}
		var all []signedIn
		for name, make := range zitadelParties {
			s.Run(name, func(t *testing.T) {
				p, api := make(s)
				p.server = s.on(t)
				came := p.signIn(s.on(t).browser("ada@example.com"))
				if came.failed != "" {
					t.Fatal(came.failed)
				}
				if c := came.tokens.IDTokenClaims; c.Subject != subject || c.AuthorizedParty != "" && c.AuthorizedParty != c.ClientID {
					t.Errorf("claims %+v", c)
				}
				if came.info.Subject != subject || came.info.Email != "ada@example.com" || came.info.GivenName != "Ada" {
					t.Errorf("userinfo %+v", came.info)
				}
				all = append(all, signedIn{p, api, came.tokens})
			})
		}
		if s.Failed() {
			return
		}
		s.rotateKeys()
		for _, p := range all {
			s.Run("after rotation "+p.OAuthConfig().ClientID, func(t *testing.T) {
				p.server = s.on(t)
				if _, err := rp.VerifyTokens[*oidc.IDTokenClaims](t.Context(), p.tokens.AccessToken, p.tokens.IDToken, p.IDTokenVerifier()); err != nil {
					t.Errorf("what the old key signed: %v", err)
				}
				old, next := kid(t, p.tokens.IDToken), p.tokens
				s.eventually("a token of the new key", func() bool {
					next = p.refreshed(next)
					return kid(t, next.IDToken) != old
				})
				wantZitadelIntrospection(t, p.api, next.AccessToken, subject, true)
				if err := rp.RevokeToken(t.Context(), p, next.RefreshToken, "refresh_token"); err != nil {
					t.Fatal(err)
				}
				wantZitadelIntrospection(t, p.api, next.AccessToken, subject, false)
				if _, err := rp.Userinfo[*oidc.UserInfo](t.Context(), next.AccessToken, "Bearer", subject, p); err == nil {
					t.Error("userinfo answers after revocation")
				}
				if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](t.Context(), p, next.RefreshToken, "", ""); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
					t.Errorf("refresh after revocation: %v", err)
				}
			})
		}
	})
}

func wantZitadelIntrospection(t *testing.T, api rs.ResourceServer, token, subject string, active bool) {
	t.Helper()
	if api == nil {
		return
	}
	got, err := rs.Introspect[*oidc.IntrospectionResponse](t.Context(), api, token)
	if err != nil {
		t.Fatal(err)
	}
	if got.Active != active || active && (got.Subject != subject || got.TokenType != "Bearer" || !slices.Contains(got.Scope, "offline_access")) {
		t.Errorf("introspection %+v, want active %v", got, active)
	}
}

// TestZitadelToldOfRefusal: the library shows the user what the server said.
func TestZitadelToldOfRefusal(t *testing.T) {
	s := start(t, "memory")
	s.user("ada@example.com")
	p, _ := zitadelParties["confidential"](s)
	b := s.browser("ada@example.com")
	b.Deny = true
	if came := p.signIn(b); !strings.HasPrefix(came.failed, "access_denied: ") {
		t.Errorf("the application saw %+v", came)
	}
}

// TestInteropIssuerIsExact: both libraries compare byte for byte, so a slash too many must fail and the exact string must not.
func TestInteropIssuerIsExact(t *testing.T) {
	for name, path := range map[string]string{"no path": "", "path": "/op", "deep path": "/tenants/7"} {
		t.Run(name, func(t *testing.T) {
			issuer := ""
			s := start(t, "memory", underPath(path, &issuer))
			if _, err := gooidc.NewProvider(t.Context(), issuer); err != nil {
				t.Error(err)
			}
			if _, err := client.Discover(t.Context(), issuer, http.DefaultClient); err != nil {
				t.Error(err)
			}
			if _, err := gooidc.NewProvider(t.Context(), issuer+"/"); err == nil {
				t.Error("go-oidc accepts an issuer with a slash too many")
			}
			if _, err := client.Discover(t.Context(), issuer+"/", http.DefaultClient); err == nil {
				t.Error("zitadel accepts an issuer with a slash too many")
			}
			s.wantIssuer(issuer)
		})
	}
}

// wantIssuer signs in and demands the very same issuer at every place that names it.
func (s *server) wantIssuer(issuer string) {
	s.Helper()
	s.URL = issuer
	s.client()
	s.user("ada@example.com")
	params := s.browser("ada@example.com").callback(nil)
	tokens := s.redeem(params.Get("code"))
	for place, got := range map[string]any{
		"authorization response": params.Get("iss"), "ID token": jwtPayload(s.T, tokens.Str("id_token"))["iss"],
		"access token": jwtPayload(s.T, tokens.Str("access_token"))["iss"], "introspection": s.introspect(tokens.Str("access_token")).Str("iss"),
	} {
		if got != issuer {
			s.Errorf("iss of the %s is %q, want %q", place, got, issuer)
		}
	}
}

// underPath gives the server an issuer with a path and tells it to the test.
func underPath(path string, issuer *string) func(*provider.Options) {
	return func(o *provider.Options) {
		o.Issuer += path
		*issuer = o.Issuer
	}
}

// chosenSecret stores a secret that a person chose.
func chosenSecret(t *testing.T, secret string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}
