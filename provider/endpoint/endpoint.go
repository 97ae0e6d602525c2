package endpoint

import (
	"context"
	"log/slog"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/interaction"
	"gatehouse/provider/keys"
	"gatehouse/provider/oauth"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/registration"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// Store is what the endpoints read by themselves.
type Store interface {
	Consent(ctx context.Context, subject, clientID string) (*storage.Consent, error)
	User(ctx context.Context, subject string) (*storage.User, error)
	Logo(ctx context.Context, clientID string) (*storage.Logo, error)
	CreateInteraction(ctx context.Context, i *storage.Interaction) error
	Interaction(ctx context.Context, id string) (*storage.Interaction, error)
	ConsumeInteraction(ctx context.Context, id string) error
}

// Limits bound failures and anonymous work; a zero Limit is off.
type Limits struct {
	TokenFailures, TokenOK, Introspect, Interactions, PAR ratelimit.Limit
}

// Options build Endpoints.
type Options struct {
	Engine   *oauth.Engine
	Keys     *keys.Set
	Sessions *session.Sessions
	Flows    *interaction.Flows
	Store    Store
	// Limiter counts in this process: a successful request must not cost a statement.
	Limiter *ratelimit.Limiter
	Limits  Limits
	Audit   *audit.Log
	Log     *slog.Logger
	Now     func() time.Time
	// Registration lets clients register themselves; nil for not at all.
	Registration *Registration
	// Uses learns which clients are used.
	Uses *registration.Uses
	// ShowRegistered lists the registered redirect URIs on the mismatch page (--dev).
	ShowRegistered bool
	// SessionManagement tells clients of check_session_iframe.
	SessionManagement bool
	// StepUp tells that /login/step-up adds a second factor to a session.
	StepUp bool
	// FactorDue tells whether policy wants a second factor that the session lacks; nil: never.
	FactorDue func(ctx context.Context, c *storage.Client, s *storage.Session) (bool, error)
	// TermsVersion is what people must have accepted; empty asks for nothing.
	TermsVersion string
	// SignUp announces that prompt=create works for every client that does not say otherwise.
	SignUp bool
	// ACRValues are the acr values that second factors and sign-ins at other providers may give, beside "1".
	ACRValues []string
}

// Endpoints is the feature that mounts all protocol endpoints.
type Endpoints struct {
	Options
	discovery document
	failures  failures
}

// New returns the feature. Now defaults to time.Now.
func New(o Options) *Endpoints {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Endpoints{Options: o, discovery: newDocument(o), failures: failures{limiter: o.Limiter, keys: map[string]*queue{}}}
}

// Mount registers the routes of design section 5.
func (e *Endpoints) Mount(m *web.Mux) {
	m.PageNoCSRF("/oauth2/authorize", e.authorize, e.authorizePost)
	m.Protocol("/oauth2/token", []string{"POST"}, e.protocol(e.token))
	m.Protocol("/oauth2/par", []string{"POST"}, e.protocol(e.par))
	m.Protocol("/oauth2/revoke", []string{"POST"}, e.protocol(e.revoke))
	m.Protocol("/oauth2/introspect", []string{"POST"}, e.protocol(e.introspect))
	m.Protocol("/oauth2/userinfo", []string{"GET", "POST"}, e.userinfo)
	m.Public("/.well-known/jwks.json", e.jwks)
	m.Public("/.well-known/openid-configuration", e.metadata)
	m.Public("/.well-known/oauth-authorization-server", e.metadata)
	if path := e.issuerPath(); path != "" {
		// RFC 8414 section 3.1: the well-known part goes before the issuer's path.
		m.Root("/.well-known/oauth-authorization-server"+path, e.metadata)
		m.Root("/.well-known/openid-configuration"+path, e.metadata)
	}
	m.Public("/client-logo/{id}", e.logo)
	if e.Registration != nil {
		e.mountRegistration(m)
	}
}
