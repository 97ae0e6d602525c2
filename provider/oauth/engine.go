package oauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"

	"gatehouse/provider/audit"
	"gatehouse/provider/clientauth"
	"gatehouse/provider/grant"
	"gatehouse/provider/keys"
	"gatehouse/provider/outbound"
	"gatehouse/provider/request"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// Lifetimes and Resource are part of the grant pipeline; they are named here too because operators meet them as settings of the engine.
type (
	Lifetimes = grant.Lifetimes
	Resource  = grant.Resource
)

// Store is what the engine needs of storage.
type Store interface {
	grant.Store
	MirrorStore
	Remember(ctx context.Context, key string, expires time.Time) error
	CreateNotice(ctx context.Context, n *storage.Notice) error
}

// Options build an Engine.
type Options struct {
	// Issuer is the public URL, without trailing slash.
	Issuer   string
	Store    Store
	Keys     *keys.Set
	Outbound *outbound.Client
	// Seal opens the secrets of clients that use client_secret_jwt.
	Seal *seal.Ring
	// Pairwise makes the subjects of pairwise clients; its key must live as long as the database.
	Pairwise *seal.SIV
	Audit    *audit.Log
	Now      func() time.Time
	Tokens   Lifetimes
	// DefaultAudience is added to the audience of access tokens that name no resource; empty adds nothing.
	DefaultAudience string
	Resources       []Resource
	// ResponseTypes are those that are enabled (grant.ResponseTypes); nil means code.
	ResponseTypes []string
	// UnsignedRequestObjects and UnsignedIDTokens let compatible clients have them with alg none.
	UnsignedRequestObjects, UnsignedIDTokens bool
	// SignUp tells whether people may make an account on the way to a client by themselves; nil: nowhere.
	SignUp func(c *storage.Client) bool
	// Reused tells the person that a refresh token was used again after its time, which ended the grant; nil: the account page alone does. It fails nothing.
	Reused func(ctx context.Context, subject, clientID string)
	// IDTokenAlg and AccessTokenAlg sign for clients that registered no algorithm.
	IDTokenAlg, AccessTokenAlg string
}

// Engine is the protocol engine. It is safe for concurrent use.
type Engine struct {
	Options
	*Mirror
	clients   *clientauth.Authenticator
	fosite    *fosite.Fosite
	requests  *request.Parser
	verified  verifiedTokens
	resources grant.Resources
}

// New returns an engine whose copies are still empty; call Sync before the first request.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ResponseTypes == nil {
		o.ResponseTypes = []string{"code"}
	}
	e := &Engine{Options: o, resources: o.Resources, Mirror: NewMirror(o.Store, o.Keys, o.Now)}
	e.clients = clientauth.New(clientauth.Options{Issuer: o.Issuer, Clients: e.Mirror, Store: o.Store, Outbound: o.Outbound, Seal: o.Seal, Now: o.Now})
	e.requests = request.New(request.Options{Issuer: o.Issuer, Clients: e.Mirror, Keys: o.Keys, Subject: e.Subject, ClientKeys: e.clients.Keys, Outbound: o.Outbound, Store: o.Store, Resources: o.Resources, ResponseTypes: o.ResponseTypes, Unsigned: o.UnsignedRequestObjects, SignUp: o.SignUp, Now: o.Now})
	pipeline := grant.New(grant.Options{Store: o.Store, Engine: e, Lifetimes: o.Tokens, Resources: o.Resources, Now: o.Now})
	e.fosite = &fosite.Fosite{Store: fositeStore{e.Mirror}, Config: &fosite.Config{
		// Everything that fosite would fill in lazily, and so with a race, is set.
		ScopeStrategy:                fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:     func([]string, []string) error { return nil }, // RFC 8707 is ours
		ClientAuthenticationStrategy: e.clients.Authenticate,
		ClientSecretsHasher:          refusingHasher{},
		JWKSFetcherStrategy:          refusingFetcher{},
		MinParameterEntropy:          1,
		OmitRedirectScopeParam:       true,
		EnforcePKCE:                  true,
		TokenURL:                     e.URL("/oauth2/token"),
		AuthorizeEndpointHandlers:    fosite.AuthorizeEndpointHandlers{pipeline.AuthorizeHandler()},
		TokenEndpointHandlers:        pipeline.TokenHandlers(),
	}}
	return e
}

// URL returns the absolute URL of a path under the issuer.
func (e *Engine) URL(path string) string { return e.Issuer + path }

// AuthenticateClient authenticates the client of a protocol request by its registered method (RFC 6749 section 2.3). form is the request's body.
func (e *Engine) AuthenticateClient(ctx context.Context, r *http.Request, form url.Values) (grant.Client, error) {
	c, err := e.clients.Authenticate(ctx, r, form)
	if err != nil {
		return grant.Client{}, err
	}
	return c.(grant.Client), nil
}

// Token answers one token request (RFC 6749 section 3.2). form is the request's body, already checked for size and repetition. The client is
// returned as soon as it is known, also with an error.
func (e *Engine) Token(ctx context.Context, r *http.Request, form url.Values) (fosite.AccessResponder, *grant.TokenSession, string, error) {
	session := &grant.TokenSession{}
	request := *r
	request.PostForm, request.Form = form, form
	access, err := e.fosite.NewAccessRequest(ctx, &request, session)
	clientID := ""
	if access != nil {
		if c, ok := access.GetClient().(grant.Client); ok {
			clientID = c.ID
		}
	}
	if err != nil {
		return nil, nil, clientID, err
	}
	response, err := e.fosite.NewAccessResponse(ctx, access)
	return response, session, clientID, err
}

// ParseAuthorize validates an authorization request. The request is never nil; with an error it
// holds what was proven before. Errors are *request.RedirectMismatch, *fosite.RFC6749Error or come from storage.
func (e *Engine) ParseAuthorize(ctx context.Context, r *http.Request, in request.Input) (*request.Authorize, error) {
	req, err := e.requests.Parse(ctx, in)
	if err != nil {
		return req, err
	}
	// fosite gets parameters of its own and no body: it must not add to what was checked.
	own := *r
	own.Form, own.PostForm, own.Body, own.Header = maps.Clone(req.Params), url.Values{}, http.NoBody, http.Header{}
	delete(own.Form, "response_mode") // is settled
	requester, err := e.fosite.NewAuthorizeRequest(ctx, &own)
	// A missing state is the client's choice, and fosite's last check.
	if err != nil && !(req.State == "" && errors.Is(err, fosite.ErrInvalidState)) {
		return req, err
	}
	req.Requester = requester
	return req, nil
}

// Issue makes what the response type asks for and returns the parameters of the authorization response (RFC 6749 section 4.1.2, OpenID Connect Core sections 3.2.2.5 and
// 3.3.2.5, RFC 9207).
func (e *Engine) Issue(ctx context.Context, req *request.Authorize, auth *grant.Authorization) (url.Values, error) {
	auth.Payload.UserinfoClaims, auth.Payload.IDTokenClaims = single(req.UserinfoClaims, auth.User), single(req.IDTokenClaims, auth.User)
	response, err := e.fosite.NewAuthorizeResponse(ctx, req.Requester, &grant.TokenSession{Authorization: auth})
	if err != nil {
		return nil, fmt.Errorf("issue %s: %w", req.ResponseType, err)
	}
	return e.withState(req, response.GetParameters()), nil
}

// ErrorParams returns the parameters of an authorization error response (RFC 6749 section 4.1.2.1, RFC 9207).
func (e *Engine) ErrorParams(req *request.Authorize, w Wire) url.Values {
	return e.withState(req, url.Values{"error": {w.Code}, "error_description": {w.Description}})
}

func (e *Engine) withState(req *request.Authorize, params url.Values) url.Values {
	params.Set("iss", e.Issuer)
	if req.State != "" {
		params.Set("state", req.State)
	}
	return params
}

// Revoke writes a revocation and waits until this process honours it.
func (e *Engine) Revoke(ctx context.Context, r storage.Revocation) error {
	if _, err := e.Store.RevokeTokens(ctx, r); err != nil {
		return fmt.Errorf("revoke %s: %w", r.Kind, err)
	}
	return e.Sync(ctx)
}

// Scopes lists the scopes for discovery: those of OpenID Connect and those of the configured resources.
func (e *Engine) Scopes() []string {
	scopes := []string{"openid", "profile", "email", "address", "phone", "offline_access"}
	for _, r := range e.resources {
		for _, scope := range r.Scopes {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}
