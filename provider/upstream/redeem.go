package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
)

// How providers say that the person did not go through with it (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6, Apple), and that they cannot answer now.
var (
	cancelErrors = []string{"access_denied", "consent_required", "login_required", "interaction_required", "account_selection_required", "user_cancelled_authorize"}
	busyErrors   = []string{"server_error", "temporarily_unavailable"}
)

// answerError is the refusal for an answer without a code; nil if there is one.
func answerError(answer url.Values) error {
	code := answer.Get("error")
	if code == "" {
		if answer.Get("code") == "" {
			return broken("its answer has neither code nor error", nil)
		}
		return nil
	}
	reason := Broken
	switch {
	case slices.Contains(cancelErrors, code):
		reason = Cancelled
	case slices.Contains(busyErrors, code):
		reason = Unavailable
	}
	detail := "its answer has the error " + said(code)
	if description := answer.Get("error_description"); description != "" {
		detail += ": " + said(description)
	}
	return &Refusal{Reason: reason, Detail: detail}
}

// tokens is an answer of a token endpoint (RFC 6749 section 5).
type tokens struct {
	Access           string `json:"access_token"`
	Type             string `json:"token_type"`
	ID               string `json:"id_token"`
	Scope            string `json:"scope"`
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
	raw              []byte
}

// redeem redeems the code, once, with the one way of client authentication that discovery names first choice (OpenID Connect Core section 9).
func (p *openID) redeem(ctx context.Context, m *metadata, a *Attempt, code string) (*tokens, error) {
	secret := p.ClientSecret
	if p.special.secret != nil {
		made, err := p.special.secret(p.Now())
		if err != nil {
			return nil, fmt.Errorf("make client secret: %w", err)
		}
		secret = made
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.RedirectURI}, "code_verifier": {a.Verifier}}
	var basic *url.Userinfo
	if m.AuthMethods == nil || slices.Contains(m.AuthMethods, "client_secret_basic") {
		basic = url.UserPassword(p.ClientID, secret)
	} else {
		form.Set("client_id", p.ClientID)
		form.Set("client_secret", secret)
	}
	answer, err := p.remote.post(ctx, "its token endpoint", m.Token, form, basic)
	if err != nil {
		return nil, err
	}
	t, err := answer.tokens(code, a.Verifier, secret)
	if err == nil && t.ID == "" {
		err = broken("its token endpoint gave no ID token; the scope openid must be allowed", nil)
	}
	return t, err
}

// tokens reads the answer of a token endpoint. secrets are those of the request.
func (r *reply) tokens(secrets ...string) (*tokens, error) {
	t := &tokens{raw: r.body}
	failure := json.Unmarshal(r.body, t)
	switch {
	case failure == nil && t.Error != "" && r.refused().Reason == Broken: // GitHub has errors of status 200
		detail := r.what + " answered " + said(t.Error, secrets...)
		if t.ErrorDescription != "" {
			detail += ": " + said(t.ErrorDescription, secrets...)
		}
		return nil, broken(detail, nil)
	case r.status != http.StatusOK:
		return nil, r.refused()
	case failure != nil:
		return nil, broken(r.what+" was answered with no JSON of the right form", failure)
	case t.Access == "":
		return nil, broken(r.what+" gave no access token", nil)
	case t.Type != "" && !strings.EqualFold(t.Type, "bearer"):
		return nil, broken(r.what+" gave a token of type "+said(t.Type)+", which is not Bearer", nil)
	}
	return t, nil
}
