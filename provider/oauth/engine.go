package oauth

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"

	"gatehouse/provider/audit"
	"gatehouse/provider/grant"
	"gatehouse/provider/keys"
	"gatehouse/provider/outbound"
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
	Audit    *audit.Log
	Now      func() time.Time
	Tokens   Lifetimes
	// DefaultAudience is added to the audience of access tokens that name no resource; empty adds nothing.
	DefaultAudience string
	Resources       []Resource
	// IDTokenAlg and AccessTokenAlg sign for clients that registered no algorithm.
	IDTokenAlg, AccessTokenAlg string
}

// Engine is the protocol engine. It is safe for concurrent use.
type Engine struct {
	Options
	*Mirror
	fosite    *fosite.Fosite
	jwks      *clientKeys
	verified  verifiedTokens
	resources grant.Resources
}

// New returns an engine whose copies are still empty; call Sync before the first request.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{Options: o, resources: o.Resources, Mirror: NewMirror(o.Store, o.Keys, o.Now)}
	e.jwks = newClientKeys(o.Outbound, o.Now)
	pipeline := grant.New(grant.Options{Store: o.Store, Engine: e, Lifetimes: o.Tokens, Resources: o.Resources, Now: o.Now})
	e.fosite = &fosite.Fosite{Store: fositeStore{e.Mirror}, Config: &fosite.Config{
		// Everything that fosite would fill in lazily, and so with a race, is set.
		ScopeStrategy:                fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:     func([]string, []string) error { return nil }, // RFC 8707 is ours
		ClientAuthenticationStrategy: e.authenticate,
		ClientSecretsHasher:          refusingHasher{},
		JWKSFetcherStrategy:          refusingFetcher{},
		MinParameterEntropy:          1,
		OmitRedirectScopeParam:       true,
		EnforcePKCE:                  true,
		TokenURL:                     e.URL("/oauth2/token"),
		AuthorizeEndpointHandlers:    fosite.AuthorizeEndpointHandlers{pipeline.CodeHandler()},
		TokenEndpointHandlers:        pipeline.TokenHandlers(),
	}}
	return e
}

// URL returns the absolute URL of a path under the issuer.
func (e *Engine) URL(path string) string { return e.Issuer + path }

// AuthenticateClient authenticates the client of a protocol request by its registered method (RFC 6749 section 2.3). form is the request's body.
func (e *Engine) AuthenticateClient(ctx context.Context, r *http.Request, form url.Values) (grant.Client, error) {
	c, err := e.authenticate(ctx, r, form)
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

// IssueCode stores a code for what was authorized and returns the parameters of the authorization response (RFC 6749 section 4.1.2, RFC 9207).
func (e *Engine) IssueCode(ctx context.Context, req *AuthorizeRequest, auth *grant.Authorization) (url.Values, error) {
	response, err := e.fosite.NewAuthorizeResponse(ctx, req.requester, &grant.TokenSession{Authorization: auth})
	if err != nil {
		return nil, fmt.Errorf("issue code: %w", err)
	}
	return e.withState(req, url.Values{"code": {response.GetCode()}}), nil
}

// ErrorParams returns the parameters of an authorization error response (RFC 6749 section 4.1.2.1, RFC 9207).
func (e *Engine) ErrorParams(req *AuthorizeRequest, w Wire) url.Values {
	return e.withState(req, url.Values{"error": {w.Code}, "error_description": {w.Description}})
}

func (e *Engine) withState(req *AuthorizeRequest, params url.Values) url.Values {
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

// fositeStore is the little storage that fosite itself still asks for.
type fositeStore struct{ *Mirror }

// GetClient returns an enabled client.
func (s fositeStore) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	c, err := s.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	return grant.Client{Client: c}, nil
}

// ClientAssertionJWTValid refuses: assertions are verified in assertion.go.
func (fositeStore) ClientAssertionJWTValid(context.Context, string) error { return fosite.ErrJTIKnown }

// SetClientAssertionJWT refuses, as ClientAssertionJWTValid does.
func (fositeStore) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return fosite.ErrJTIKnown
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
