package oauth

// Authorization requests: RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2, RFC 7636, RFC 8707. Everything is checked here, before any page is
// shown; fosite's own checks then find nothing left to refuse.

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ory/fosite"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// AuthorizeRequest is a validated authorization request.
type AuthorizeRequest struct {
	Client *storage.Client
	// Proven is true once client and redirect_uri are known to belong together: only then may an error travel to RedirectURI.
	Proven       bool
	RedirectURI  string
	ResponseMode string // query or form_post
	State        string
	Nonce        string
	Challenge    string
	Scopes       []string
	Resources    []string
	Prompt       []string
	// MaxAge is nil if neither the request nor the client sets one; seconds.
	MaxAge *int64
	// HintSubject is the subject of id_token_hint.
	HintSubject string
	// EssentialACR are the acr values of which the client needs one (parameter claims); empty means any will do.
	EssentialACR []string
	Params       url.Values

	requester fosite.AuthorizeRequester
}

// RedirectMismatch says that a redirect_uri is not a registered one; its page helps the developer to find the difference.
type RedirectMismatch struct {
	Client *storage.Client
	Sent   string
}

func (e *RedirectMismatch) Error() string { return "redirect_uri is not registered for the client" }

// Has tells whether a scope was asked for.
func (r *AuthorizeRequest) Has(scope string) bool { return slices.Contains(r.Scopes, scope) }

// Authorization says what a subject is about to grant by this request. began is a time before session and consent were read.
func (r *AuthorizeRequest) Authorization(s *storage.Session, began time.Time) *grant.Authorization {
	return &grant.Authorization{Client: r.Client, Subject: s.Subject, Began: began, Payload: grant.Payload{
		Scopes: r.Scopes, Resources: r.Resources, RedirectURI: r.Params.Get("redirect_uri"), Challenge: r.Challenge, Nonce: r.Nonce,
		AuthTime: s.AuthTime.Unix(), ACR: s.ACR, AMR: s.AMR, SID: s.ID, Epoch: s.Epoch, Offline: r.Has("offline_access"),
	}}
}

var (
	challengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	scopePattern     = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`)
)

// ParseAuthorize validates an authorization request. repeated names the parameters that came more than once. The request is never nil; with an error it
// holds what was proven before. Errors are *RedirectMismatch, *fosite.RFC6749Error or come from storage.
func (e *Engine) ParseAuthorize(ctx context.Context, r *http.Request, params url.Values, repeated []string) (*AuthorizeRequest, error) {
	req := &AuthorizeRequest{Params: params, State: params.Get("state"), Nonce: params.Get("nonce"), ResponseMode: "query"}
	if err := e.proveRedirect(ctx, req, repeated); err != nil {
		return req, err
	}
	for _, check := range []func(*AuthorizeRequest) error{
		checkResponseMode(repeated), checkRepeated(repeated), checkUnsupported, checkResponseType, checkScope, checkChallenge, checkPrompt, checkMaxAge, checkClaims,
		e.checkHint, e.checkResources,
	} {
		if err := check(req); err != nil {
			return req, err
		}
	}
	// fosite gets parameters of its own and no body: it must not add to what was checked.
	request := *r
	request.Form, request.PostForm, request.Body, request.Header = maps.Clone(params), url.Values{}, http.NoBody, http.Header{}
	requester, err := e.fosite.NewAuthorizeRequest(ctx, &request)
	// A missing state is the client's choice, and fosite's last check.
	if err != nil && !(req.State == "" && errors.Is(err, fosite.ErrInvalidState)) {
		return req, err
	}
	req.requester = requester
	return req, nil
}

// proveRedirect finds the client and the redirect URI. Whatever fails here must be answered by a page.
func (e *Engine) proveRedirect(ctx context.Context, req *AuthorizeRequest, repeated []string) error {
	for _, name := range []string{"client_id", "redirect_uri"} {
		if slices.Contains(repeated, name) {
			return grant.Refuse("invalid_request", "The parameter "+name+" is repeated. Send it once.")
		}
	}
	id := req.Params.Get("client_id")
	if id == "" {
		return grant.Refuse("invalid_request", "The parameter client_id is missing.")
	}
	client, err := e.Client(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return grant.Refuse("invalid_client", "No application with this client_id is registered here.")
	}
	if err != nil {
		return err
	}
	req.Client = client
	sent := req.Params.Get("redirect_uri")
	switch {
	case sent == "" && len(client.RedirectURIs) == 1 && !slices.Contains(strings.Fields(req.Params.Get("scope")), "openid"):
		sent = client.RedirectURIs[0]
	case sent == "":
		return grant.Refuse("invalid_request", "The parameter redirect_uri is missing. Send one of the registered values.")
	case !MatchRedirect(client, sent):
		return &RedirectMismatch{Client: client, Sent: sent}
	}
	req.RedirectURI, req.Proven = sent, true
	return nil
}

// checkResponseMode comes first, because it decides how every later error travels. Named twice it decides nothing.
func checkResponseMode(repeated []string) func(*AuthorizeRequest) error {
	return func(req *AuthorizeRequest) error {
		switch mode := req.Params.Get("response_mode"); {
		case mode == "", mode == "query", slices.Contains(repeated, "response_mode"):
			return nil
		case mode == "form_post":
			target, err := url.Parse(req.RedirectURI)
			if err != nil || target.Scheme != "https" && (target.Scheme != "http" || !loopbackHost(target.Hostname())) {
				return grant.Refuse("invalid_request", "The response_mode form_post needs an https redirect_uri.")
			}
			req.ResponseMode = mode
			return nil
		}
		return grant.Refuse("invalid_request", "The response_mode is not supported for this client. Use query or form_post.")
	}
}

// checkRepeated comes before anything reads a value that may not be the one another reader takes (RFC 6749 section 3.1).
func checkRepeated(repeated []string) func(*AuthorizeRequest) error {
	return func(*AuthorizeRequest) error {
		if len(repeated) == 0 {
			return nil
		}
		return grant.Refuse("invalid_request", "The parameter "+repeated[0]+" is repeated. Send it once.")
	}
}

func checkUnsupported(req *AuthorizeRequest) error {
	for _, parameter := range []string{"request", "request_uri", "registration"} {
		if req.Params.Get(parameter) != "" {
			return grant.Refuse(parameter+"_not_supported", "The parameter "+parameter+" is not supported. Send the parameters by themselves.")
		}
	}
	return nil
}

func checkResponseType(req *AuthorizeRequest) error {
	switch wanted := req.Params.Get("response_type"); {
	case wanted == "":
		return grant.Refuse("invalid_request", "The parameter response_type is missing.")
	case wanted != "code":
		return grant.Refuse("unsupported_response_type", "This response_type is not supported. Use code.")
	case !slices.Contains(req.Client.ResponseTypes, wanted), !slices.Contains(req.Client.GrantTypes, "authorization_code"):
		return grant.Refuse("unauthorized_client", "This client is not registered for the authorization code flow.")
	}
	return nil
}

func checkScope(req *AuthorizeRequest) error {
	for scope := range strings.SplitSeq(req.Params.Get("scope"), " ") { // a tab or line break is part of a scope, and refused below
		if scope != "" && !slices.Contains(req.Scopes, scope) {
			req.Scopes = append(req.Scopes, scope)
		}
		if len(req.Scopes) > maxScopes {
			return grant.Refuse("invalid_scope", "More than 50 scopes were requested.")
		}
	}
	if len(req.Scopes) == 0 {
		return grant.Refuse("invalid_scope", "The parameter scope is missing. OpenID Connect needs at least openid.")
	}
	for _, scope := range req.Scopes {
		if !scopePattern.MatchString(scope) {
			return grant.Refuse("invalid_scope", "A requested scope holds characters that are not allowed.")
		}
		if !slices.Contains(req.Client.Scopes, scope) {
			return grant.Refuse("invalid_scope", "This client is not registered for the scope "+scope+".")
		}
	}
	return nil
}

// checkChallenge demands PKCE (RFC 7636) with S256, of all clients but confidential ones of the profile compatible.
func checkChallenge(req *AuthorizeRequest) error {
	challenge, method := req.Params.Get("code_challenge"), req.Params.Get("code_challenge_method")
	if challenge == "" && method == "" && req.Client.Profile == "compatible" && req.Client.AuthMethod != "none" {
		return nil
	}
	switch {
	case challenge == "":
		return grant.Refuse("invalid_request", "PKCE is required for this client; send code_challenge, or, for a confidential client, set its profile to compatible.")
	case method != "S256":
		return grant.Refuse("invalid_request", "The code_challenge_method must be S256.")
	case !challengePattern.MatchString(challenge):
		return grant.Refuse("invalid_request", "The code_challenge must be 43 base64url characters: the SHA-256 of the code_verifier.")
	}
	req.Challenge = challenge
	return nil
}

func checkPrompt(req *AuthorizeRequest) error {
	req.Prompt = slices.DeleteFunc(strings.Split(req.Params.Get("prompt"), " "), func(p string) bool { return p == "" })
	for _, prompt := range req.Prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, prompt) {
			return grant.Refuse("invalid_request", "The prompt is not supported. Use none, login, consent or select_account.")
		}
	}
	if slices.Contains(req.Prompt, "none") && len(req.Prompt) > 1 {
		return grant.Refuse("invalid_request", "The prompt none cannot be combined with others.")
	}
	return nil
}

func checkMaxAge(req *AuthorizeRequest) error {
	if req.Params.Get("max_age") == "" {
		req.MaxAge = req.Client.DefaultMaxAge
		return nil
	}
	seconds, err := strconv.ParseUint(req.Params.Get("max_age"), 10, 31)
	if err != nil {
		return grant.Refuse("invalid_request", "The max_age must be a number of seconds, 0 or more.")
	}
	age := int64(seconds)
	req.MaxAge = &age
	return nil
}

// checkHint reads id_token_hint (OIDC Core section 3.1.2.1): one of our ID tokens, expired or not, also of a retired key.
func (e *Engine) checkHint(req *AuthorizeRequest) error {
	hint := req.Params.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
		// GrantID is in access tokens only.
		GrantID string `json:"gid"`
	}
	payload, err := e.Keys.VerifyHint(hint)
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil || claims.Issuer != e.Issuer || claims.Subject == "" || claims.GrantID != "" {
		return grant.Refuse("invalid_request", "The id_token_hint is not an ID token of this issuer.").WithWrap(err)
	}
	req.HintSubject = claims.Subject
	return nil
}

func (e *Engine) checkResources(req *AuthorizeRequest) error {
	for _, uri := range req.Params["resource"] {
		if uri != "" && !slices.Contains(req.Resources, uri) {
			req.Resources = append(req.Resources, uri)
		}
	}
	return e.resources.CheckWanted(req.Client, req.Resources)
}
