package request

// Authorization requests: RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2, RFC 7636, RFC 8707. Everything is checked here, before any page is
// shown; fosite's own checks then find nothing left to refuse.

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ory/fosite"

	"gatehouse/provider/client"
	"gatehouse/provider/grant"
	"gatehouse/provider/outbound"
	"gatehouse/provider/redirect"
	"gatehouse/storage"
)

// Options build a Parser.
type Options struct {
	Issuer string
	// Clients finds enabled clients; storage.ErrNotFound for others.
	Clients interface {
		Client(ctx context.Context, id string) (*storage.Client, error)
	}
	Keys HintKeys
	// Subject finds the user whom a client knows by a sub; false if it knows nobody by it.
	Subject func(c *storage.Client, sub string) (string, bool)
	// ClientKeys verifies what clients sign.
	ClientKeys interface {
		Verify(ctx context.Context, c *storage.Client, compact, alg string) (payload []byte, err error)
	}
	// Outbound fetches request objects.
	Outbound interface {
		Cached(ctx context.Context, url, version, accept string, life time.Duration) (*outbound.Response, error)
	}
	// Store finds pushed requests.
	Store interface {
		Token(ctx context.Context, kind storage.TokenKind, signature string) (*storage.Token, error)
	}
	Resources grant.Resources
	// ResponseTypes are those that are enabled.
	ResponseTypes []string
	// SignUp tells whether people may make an account on the way to a client by themselves; nil: nowhere.
	SignUp func(c *storage.Client) bool
	// Unsigned allows request objects with alg none to clients whose profile and registration allow them too.
	Unsigned bool
	Now      func() time.Time
}

// Input is what a request is read from.
type Input struct {
	Params url.Values
	// Repeated names the parameters that came more than once.
	Repeated []string
	// Source is how Params came if they have been resolved before: storage.SourceObject, or the signature of a pushed request.
	Source string
	// Pushing is true at the endpoint for pushed requests (RFC 9126).
	Pushing bool
}

// Parser validates authorization requests.
type Parser struct{ Options }

// New returns a parser.
func New(o Options) *Parser { return &Parser{o} }

// maxScopes is how many scopes one request may name.
const maxScopes = 50

// Authorize is a validated authorization request.
type Authorize struct {
	Client *storage.Client
	// Proven is true once client and redirect_uri are known to belong together: only then may an error travel to RedirectURI.
	Proven      bool
	RedirectURI string
	// ResponseType has its words in the order of grant.ResponseTypes; empty if there is none or no such one.
	ResponseType string
	ResponseMode string // query, fragment or form_post
	State        string
	Nonce        string
	Challenge    string
	Scopes       []string
	Resources    []string
	Prompt       []string
	// MaxAge is nil if neither the request nor the client sets one; seconds.
	MaxAge *int64
	// HintSubjects are the users whom the request may be answered for (id_token_hint, and sub in the parameter claims); empty means any.
	HintSubjects []string
	// EssentialACR are the acr values of which the client needs one (parameter claims); empty means any will do.
	EssentialACR []string
	// UserinfoClaims and IDTokenClaims are the user's claims that are asked for one by one (parameter claims) and that this client may have.
	UserinfoClaims, IDTokenClaims []Claim
	// subs are the values of sub in the parameter claims, as the client knows users.
	subs [][]string
	// Params are the parameters that count, Source is how they came (storage.Interaction.Source).
	Params url.Values
	Source string

	// Requester is the request as fosite has it, once it has passed here.
	Requester fosite.AuthorizeRequester
}

// RedirectMismatch says that a redirect_uri is not a registered one; its page helps the developer to find the difference.
type RedirectMismatch struct {
	Client *storage.Client
	Sent   string
}

func (e *RedirectMismatch) Error() string { return "redirect_uri is not registered for the client" }

// Has tells whether a scope was asked for.
func (r *Authorize) Has(scope string) bool { return slices.Contains(r.Scopes, scope) }

// Authorization says what a user is about to grant by this request. began is a time before session and consent were read.
func (r *Authorize) Authorization(s *storage.Session, u *storage.User, began time.Time) *grant.Authorization {
	return &grant.Authorization{Client: r.Client, Subject: s.Subject, User: u, State: r.State, Began: began, Payload: grant.Payload{
		Scopes: r.Scopes, Resources: r.Resources, RedirectURI: r.Params.Get("redirect_uri"), Challenge: r.Challenge, Nonce: r.Nonce,
		AuthTime: s.AuthTime.Unix(), ACR: s.ACR, AMR: s.AMR, SID: s.ID, Epoch: s.Epoch, Offline: r.Has("offline_access"),
	}, Pushed: r.pushed()}
}

// pushed is the signature of the pushed request that this one is, empty for others.
func (r *Authorize) pushed() string {
	if r.Source == storage.SourceObject {
		return ""
	}
	return r.Source
}

var (
	challengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	scopePattern     = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`)
)

// Parse validates an authorization request. The request is never nil; with an error it
// holds what was proven before. Errors are *RedirectMismatch, *fosite.RFC6749Error or come from storage.
func (p *Parser) Parse(ctx context.Context, in Input) (*Authorize, error) {
	params, repeated := in.Params, in.Repeated
	req := &Authorize{Params: params, Source: in.Source, State: params.Get("state"), Nonce: params.Get("nonce"), ResponseMode: "query"}
	if err := p.proveRedirect(ctx, req, in); err != nil {
		return req, err
	}
	for _, check := range []func(*Authorize) error{
		checkResponseMode(repeated), checkRepeated(repeated), checkUnsupported, p.checkResponseType, checkScope, checkNonce, checkChallenge, p.checkPrompt, checkMaxAge, checkClaims,
		p.checkHint, p.checkSubjects, p.checkResources,
	} {
		if err := check(req); err != nil {
			return req, err
		}
	}
	return req, nil
}

// proveRedirect finds the client and the redirect URI. Whatever fails here must be answered by a page.
func (p *Parser) proveRedirect(ctx context.Context, req *Authorize, in Input) error {
	for _, name := range []string{"client_id", "redirect_uri"} {
		if slices.Contains(in.Repeated, name) {
			return grant.Refuse("invalid_request", "The parameter "+name+" is repeated. Send it once.")
		}
	}
	id := req.Params.Get("client_id")
	if id == "" {
		return grant.Refuse("invalid_request", "The parameter client_id is missing.")
	}
	c, err := p.Clients.Client(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return grant.Refuse("invalid_client", "No application with this client_id is registered here.")
	}
	if err != nil {
		return err
	}
	req.Client = c
	if err := p.resolve(ctx, req, in); err != nil {
		answerable(req, in)
		return err
	}
	sent := req.Params.Get("redirect_uri")
	switch {
	case sent == "" && len(c.RedirectURIs) == 1 && !slices.Contains(strings.Fields(req.Params.Get("scope")), "openid"):
		sent = c.RedirectURIs[0]
	case sent == "":
		return grant.Refuse("invalid_request", "The parameter redirect_uri is missing. Send one of the registered values.")
	case !redirect.Match(c, sent):
		return &RedirectMismatch{Client: c, Sent: sent}
	}
	req.RedirectURI, req.Proven = sent, true
	return nil
}

// checkRepeated comes before anything reads a value that may not be the one another reader takes (RFC 6749 section 3.1).
func checkRepeated(repeated []string) func(*Authorize) error {
	return func(*Authorize) error {
		if len(repeated) == 0 {
			return nil
		}
		return grant.Refuse("invalid_request", "The parameter "+repeated[0]+" is repeated. Send it once.")
	}
}

func checkUnsupported(req *Authorize) error {
	if req.Params.Get("registration") != "" {
		return grant.Refuse("registration_not_supported", "The parameter registration is not supported. Register the client.")
	}
	return nil
}

func checkScope(req *Authorize) error {
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
	if req.Returns("id_token") && !req.Has("openid") {
		return grant.Refuse("invalid_scope", "The response_type asks for an ID token, which needs the scope openid.")
	}
	if !req.Returns("code") {
		// Without a code there is no refresh token to be had, and the scope is ignored (OIDC Core section 11).
		req.Scopes = slices.DeleteFunc(req.Scopes, isOffline)
	}
	return nil
}

func isOffline(scope string) bool { return scope == "offline_access" }

// checkNonce: an ID token that travels through the browser is bound to what the client asked by its nonce alone (OIDC Core sections 3.2.2.1 and 3.3.2.11).
func checkNonce(req *Authorize) error {
	if req.Nonce == "" && req.Returns("id_token") {
		return grant.Refuse("invalid_request", "The parameter nonce is missing. The response_type "+req.ResponseType+" needs one.")
	}
	return nil
}

// checkChallenge demands PKCE (RFC 7636) with S256 where there is a code, of all clients but confidential ones of the profile compatible.
func checkChallenge(req *Authorize) error {
	if !req.Returns("code") {
		return nil
	}
	challenge, method := req.Params.Get("code_challenge"), req.Params.Get("code_challenge_method")
	if challenge == "" && method == "" && !client.PKCERequired(req.Client) {
		return nil
	}
	switch {
	case challenge == "":
		return grant.Refuse("invalid_request", "The profile of this client, "+client.ProfileOf(req.Client).Name+", requires PKCE; send code_challenge, or, for a confidential client, set the profile to compatible.")
	case method != "S256":
		return grant.Refuse("invalid_request", "The code_challenge_method must be S256.")
	case !challengePattern.MatchString(challenge):
		return grant.Refuse("invalid_request", "The code_challenge must be 43 base64url characters: the SHA-256 of the code_verifier.")
	}
	req.Challenge = challenge
	return nil
}

func (p *Parser) checkPrompt(req *Authorize) error {
	req.Prompt = slices.DeleteFunc(strings.Split(req.Params.Get("prompt"), " "), func(p string) bool { return p == "" })
	for _, prompt := range req.Prompt {
		if prompt == "create" && (p.SignUp == nil || !p.SignUp(req.Client)) {
			return grant.Refuse("invalid_request", "The prompt create is not supported: users cannot sign up here by themselves. Use none, login, consent or select_account.")
		}
		if !slices.Contains([]string{"none", "login", "consent", "select_account", "create"}, prompt) {
			return grant.Refuse("invalid_request", "The prompt is not supported. Use none, login, consent or select_account.")
		}
	}
	if slices.Contains(req.Prompt, "none") && len(req.Prompt) > 1 {
		return grant.Refuse("invalid_request", "The prompt none cannot be combined with others.")
	}
	return nil
}

func checkMaxAge(req *Authorize) error {
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

func (p *Parser) checkResources(req *Authorize) error {
	for _, uri := range req.Params["resource"] {
		if uri != "" && !slices.Contains(req.Resources, uri) {
			req.Resources = append(req.Resources, uri)
		}
	}
	return p.Resources.CheckWanted(req.Client, req.Resources)
}
