package rp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Answers larger than this are refused.
const maxAnswer = 1 << 20

// UserInfo returns the claims of the userinfo endpoint (OIDC Core 5.3). subject is the sub of the ID token; an answer about anyone else is refused. Empty: not
// compared.
func (p *Party) UserInfo(ctx context.Context, accessToken, subject string) (map[string]any, error) {
	source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: accessToken, TokenType: "Bearer"})
	info, err := p.provider.UserInfo(p.context(ctx), source)
	if err != nil {
		return nil, fmt.Errorf("read userinfo: %w", err)
	}
	if info.Subject == "" || subject != "" && info.Subject != subject {
		return nil, errors.New("read userinfo: sub is not the one of the ID token")
	}
	var claims map[string]any
	if err := info.Claims(&claims); err != nil {
		return nil, fmt.Errorf("read userinfo: %w", err)
	}
	return claims, nil
}

// Revoke revokes a token (RFC 7009 section 2.1). hint is access_token, refresh_token or empty. A token that the provider does not know is no error.
func (p *Party) Revoke(ctx context.Context, token, hint string) error {
	_, err := p.post(ctx, "revocation", p.meta.Revocation, token, hint)
	return err
}

// Introspect asks the provider about a token (RFC 7662 section 2.1). The answer always has active, a bool.
func (p *Party) Introspect(ctx context.Context, token, hint string) (map[string]any, error) {
	body, err := p.post(ctx, "introspection", p.meta.Introspection, token, hint)
	if err != nil {
		return nil, err
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read introspection response: %w", err)
	}
	if _, ok := answer["active"].(bool); !ok {
		return nil, errors.New("read introspection response: active is missing")
	}
	return answer, nil
}

func (p *Party) post(ctx context.Context, name, endpoint, token, hint string) ([]byte, error) {
	if endpoint == "" {
		return nil, fmt.Errorf("provider has no %s endpoint", name)
	}
	form := url.Values{"token": {token}}
	if hint != "" {
		form.Set("token_type_hint", hint)
	}
	if p.o.ClientSecret == "" {
		form.Set("client_id", p.o.ClientID)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("make %s request: %w", name, err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if p.o.ClientSecret != "" {
		SetBasic(r, p.o.ClientID, p.o.ClientSecret)
	}
	resp, err := p.o.HTTP.Do(r)
	if err != nil {
		return nil, fmt.Errorf("send %s request: %w", name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read %s response: %w", name, err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("read %s response: larger than %d bytes", name, maxAnswer)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, responseError(name, resp.StatusCode, body)
	}
	return body, nil
}

// SetBasic adds client authentication as RFC 6749 section 2.3.1 asks: id and secret are form-encoded first.
func SetBasic(r *http.Request, id, secret string) {
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
}

// OfflineAccess is the scope for refresh tokens that outlive the browser session (OIDC Core section 11).
const OfflineAccess = oidc.ScopeOfflineAccess
