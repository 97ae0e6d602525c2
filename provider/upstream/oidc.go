package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// openIDConnect is any provider with a discovery document: Okta, Keycloak, another Gatehouse.
var openIDConnect = Kind{
	Type: "oidc", Name: "OpenID Connect",
	Check: func(c *Config, fault func(field, problem, fix string)) {
		checkSettings(c, fault, []string{"issuer", "client_id", "client_secret"}, []string{"trust_email", "acr", "end_session"})
		checkAddress("issuer", c.Issuer, fault)
	},
	New: func(o Options) (Upstream, error) { return newOpenID(o, o.Config.Issuer, special{tellsTime: true}), nil },
}

// openID is an OpenID Provider (OpenID Connect Core 1.0), by code flow with PKCE.
type openID struct {
	Options
	issuer    string // as configured
	special   special
	remote    *remote
	discovery kept[metadata]
	keys      *keySet
}

// special is what a type does otherwise than the others. Any of it may be nil.
type special struct {
	// tellsTime says that the type tells auth_time when it is asked for max_age, as it must (OpenID Connect Core section 2), so that an ID token without it was made for a request
	// that lost max_age on its way through the browser. The others do not promise it and are not held to it.
	tellsTime bool
	// scopes are asked for unless the configuration has others.
	scopes []string
	// found tells whether the issuer of the discovery document is right; nil compares it with the configured one.
	found func(issuer string) bool
	// issued tells whether the issuer of a token or an answer is the provider; nil compares it with that of the discovery document. claims and keyIssuer are the token's and
	// its key's, nil and empty for an answer.
	issued func(m *metadata, issuer string, claims claimSet, keyIssuer string) bool
	// request changes the parameters of the authorization request.
	request func(a *Attempt, q url.Values)
	// secret makes the client secret.
	secret func(now time.Time) (string, error)
	// id names the account by the claims of a token; nil takes sub.
	id func(claims claimSet) string
	// judge says what the type knows better of who signed in, or refuses them. token holds the claims of the ID token alone, which are those that are signed.
	judge func(e *External, token claimSet, answer url.Values) error
}

func newOpenID(o Options, issuer string, s special) *openID {
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &openID{Options: o, issuer: issuer, special: s, remote: newRemote(o.HTTP)}
	p.discovery.now, p.discovery.limit, p.discovery.fetch = o.Now, p.remote.limit, p.discover
	p.keys = newKeySet(p.remote, o.Now, func(ctx context.Context) (string, error) {
		m, err := p.discovery.usable(ctx)
		if err != nil {
			return "", err
		}
		return m.JWKS, nil
	})
	return p
}

// scopes always hold openid, without which there is no ID token.
func (p *openID) scopes() string {
	list := p.special.scopes
	if len(list) == 0 {
		list = []string{"openid", "profile", "email"}
	}
	if len(p.Scopes) > 0 {
		list = p.Scopes
	}
	if !slices.Contains(list, "openid") {
		list = append([]string{"openid"}, list...)
	}
	return strings.Join(list, " ")
}

// AuthURL implements Upstream (OpenID Connect Core section 3.1.2.1, RFC 7636 section 4.3). A fresh sign-in is asked for by max_age, too, since prompt=login alone obliges nobody to
// tell auth_time.
func (p *openID) AuthURL(ctx context.Context, a *Attempt) (string, error) {
	ctx, cancel := p.remote.bounded(ctx)
	defer cancel()
	m, err := p.discovery.usable(ctx)
	if err != nil {
		return "", err
	}
	q := url.Values{
		"response_type": {"code"}, "client_id": {p.ClientID}, "redirect_uri": {a.RedirectURI}, "scope": {p.scopes()}, "state": {a.State}, "nonce": {a.Nonce},
		"code_challenge": {challenge(a.Verifier)}, "code_challenge_method": {"S256"},
	}
	var prompt []string
	if a.Fresh {
		prompt = append(prompt, "login")
	}
	if a.SelectAccount {
		prompt = append(prompt, "select_account")
	}
	var age string
	switch {
	case a.MaxAge != nil:
		age = strconv.FormatInt(*a.MaxAge, 10)
	case a.Fresh && p.special.tellsTime:
		age = "0"
	}
	for name, value := range map[string]string{
		"prompt": strings.Join(prompt, " "), "max_age": age, "login_hint": a.LoginHint, "acr_values": a.ACRValues, "ui_locales": a.UILocales,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if p.special.request != nil {
		p.special.request(a, q)
	}
	return withQuery(m.Authorization, q), nil
}

// challenge is the code challenge of a verifier (RFC 7636 section 4.2).
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Exchange implements Upstream.
func (p *openID) Exchange(ctx context.Context, a *Attempt, answer url.Values) (*External, error) {
	ctx, cancel := p.remote.bounded(ctx)
	defer cancel()
	m, err := p.discovery.usable(ctx)
	if err != nil {
		return nil, err
	}
	switch iss := answer.Get("iss"); {
	case iss == "" && m.ResponseIssuer:
		return nil, broken("its answer lacks iss, which its discovery document promises", nil)
	case iss != "" && !p.issued(m, iss, nil, ""):
		return nil, broken("its answer has the iss "+said(iss)+", so it is that of another provider", nil)
	}
	if err := answerError(answer); err != nil {
		return nil, err
	}
	t, err := p.redeem(ctx, m, a, answer.Get("code"))
	if err != nil {
		return nil, err
	}
	token, err := p.idToken(ctx, m, a, t)
	if err != nil {
		return nil, err
	}
	claims, err := p.withUserInfo(ctx, m, t.Access, token)
	if err != nil {
		return nil, err
	}
	return p.external(t, token, claims, answer)
}

// issued tells whether an issuer is this provider.
func (p *openID) issued(m *metadata, issuer string, claims claimSet, keyIssuer string) bool {
	if p.special.issued != nil {
		return p.special.issued(m, issuer, claims, keyIssuer)
	}
	return issuer == m.Issuer
}

func (p *openID) id(claims claimSet) string {
	if p.special.id != nil {
		return p.special.id(claims)
	}
	return claims.text("sub")
}

// external puts together what is known of who signed in.
func (p *openID) external(t *tokens, token, claims claimSet, answer url.Values) (*External, error) {
	e := &External{
		ID: p.id(token), Email: claims.address(), Claims: claims, AuthTime: token.instant("auth_time"), Issued: token.instant("iat"),
		AMR: token.methods(), ACR: token.word("acr"), SID: token.word("sid"), IDToken: t.ID, Tokens: t.raw,
	}
	if !identifier(e.ID) {
		return nil, broken("its name for the account is longer than 255 bytes", nil)
	}
	e.EmailVerified = e.Email != "" && claims["email_verified"] == true
	if p.special.judge != nil {
		if err := p.special.judge(e, token, answer); err != nil {
			return nil, err
		}
	}
	if p.TrustEmail && e.Email != "" {
		e.EmailVerified = true
	}
	e.Label = claims.label(e.Email, e.ID)
	return e, nil
}
