package rp

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Attempt is one authorization request (RFC 6749 section 4.1.1, RFC 7636). The party that began it keeps State, Nonce and Verifier for the
// callback, bound to the browser.
type Attempt struct {
	State    string
	Nonce    string
	Verifier string
	// URL is where to send the browser.
	URL string
}

// Tokens is a token response (RFC 6749 section 5.1) with its ID token, if there is one, verified.
type Tokens struct {
	*oauth2.Token
	// Scope is the scope parameter of the response; empty if it was left out.
	Scope string
	// RawIDToken is empty if the response held none.
	RawIDToken string
	// ID is nil if the response held no ID token.
	ID *IDToken
}

// Begin makes an authorization request with fresh state, nonce and PKCE S256. extra parameters are added and replace those of the same name.
func (p *Party) Begin(extra url.Values) Attempt {
	a := Attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(a.Verifier), oauth2.SetAuthURLParam("nonce", a.Nonce)}
	for name := range extra {
		options = append(options, oauth2.SetAuthURLParam(name, extra.Get(name)))
	}
	a.URL = p.config.AuthCodeURL(a.State, options...)
	return a
}

// Callback checks an authorization response: state, issuer (RFC 9207 section 2.4), then error. It returns the code. An error that the provider sent is an
// *Error.
func (p *Party) Callback(a Attempt, response url.Values) (code string, err error) {
	for name, values := range response {
		if len(values) > 1 {
			return "", fmt.Errorf("authorization response repeats %q", name)
		}
	}
	if a.State == "" || subtle.ConstantTimeCompare([]byte(response.Get("state")), []byte(a.State)) != 1 {
		return "", ErrState
	}
	if p.meta.ResponseIssuer && !response.Has("iss") {
		return "", errors.New("authorization response lacks iss, which discovery promises")
	}
	if response.Has("iss") && response.Get("iss") != p.o.Issuer {
		return "", fmt.Errorf("authorization response comes from issuer %q", response.Get("iss"))
	}
	if response.Has("error") {
		return "", &Error{Endpoint: "authorization", Code: response.Get("error"), Description: response.Get("error_description")}
	}
	if response.Get("code") == "" {
		return "", errors.New("authorization response holds neither code nor error")
	}
	return response.Get("code"), nil
}

// Exchange checks an authorization response, redeems its code and verifies the ID token with its nonce. The response must hold an ID token if
// openid was asked for.
func (p *Party) Exchange(ctx context.Context, a Attempt, response url.Values) (*Tokens, error) {
	code, err := p.Callback(a, response)
	if err != nil {
		return nil, err
	}
	t, err := p.config.Exchange(p.context(ctx), code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, tokenError(err)
	}
	tokens, err := p.read(ctx, t, a.Nonce)
	if err != nil {
		return nil, err
	}
	if tokens.ID == nil && slices.Contains(p.o.Scopes, oidc.ScopeOpenID) {
		return nil, errors.New("token response lacks id_token")
	}
	return tokens, nil
}

// Refresh uses a refresh token (RFC 6749 section 6). A returned ID token is verified (OIDC Core 12.2); that it names the same subject as before is the
// caller's to compare. If the response holds no refresh token, the old one stands in Tokens.
func (p *Party) Refresh(ctx context.Context, refreshToken string) (*Tokens, error) {
	t, err := p.config.TokenSource(p.context(ctx), &oauth2.Token{RefreshToken: refreshToken}).Token()
	if err != nil {
		return nil, tokenError(err)
	}
	return p.read(ctx, t, "")
}

// ClientCredentials gets a token for the client itself (RFC 6749 section 4.4).
func (p *Party) ClientCredentials(ctx context.Context, scopes ...string) (*Tokens, error) {
	c := clientcredentials.Config{
		ClientID: p.o.ClientID, ClientSecret: p.o.ClientSecret, TokenURL: p.meta.Token, Scopes: scopes, AuthStyle: p.config.Endpoint.AuthStyle,
	}
	t, err := c.Token(p.context(ctx))
	if err != nil {
		return nil, tokenError(err)
	}
	return p.read(ctx, t, "")
}

func (p *Party) read(ctx context.Context, t *oauth2.Token, nonce string) (*Tokens, error) {
	tokens := &Tokens{Token: t}
	tokens.Scope, _ = t.Extra("scope").(string)
	tokens.RawIDToken, _ = t.Extra("id_token").(string)
	if tokens.RawIDToken == "" {
		return tokens, nil
	}
	id, err := p.VerifyIDToken(ctx, tokens.RawIDToken, nonce, t.AccessToken)
	if err != nil {
		return nil, err
	}
	tokens.ID = id
	return tokens, nil
}
