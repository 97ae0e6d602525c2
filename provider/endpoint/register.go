package endpoint

// Client registration: RFC 7591, OpenID Connect Dynamic Client Registration 1.0. Managing what was registered (RFC 7592) is in manage.go.

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/client"
	"gatehouse/provider/oauth"
	"gatehouse/provider/opaque"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/registration"
	"gatehouse/provider/seal"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// RegistrationStore is what registration needs of storage.
type RegistrationStore interface {
	registration.InitialTokens
	Client(ctx context.Context, id string) (*storage.Client, error)
	CreateClient(ctx context.Context, c *storage.Client) error
	UpdateClient(ctx context.Context, id string, change func(*storage.Client) error) (*storage.Client, error)
	DeleteClient(ctx context.Context, id string) error
}

// Registration is how clients register themselves.
type Registration struct {
	// Open lets anyone register; otherwise each registration needs an initial access token.
	Open  bool
	Rules client.Rules
	Store RegistrationStore
	// Fetcher asks for sector_identifier_uri; Logos are fetched in the background.
	Fetcher registration.Fetcher
	Logos   *registration.Logos
	Seal    *seal.Ring
	// ExpireUnused ends a registration that is never used; zero lets it stay.
	ExpireUnused time.Duration
	// Limit bounds registrations from one address that no initial access token vouches for.
	Limit ratelimit.Limit
}

func (e *Endpoints) mountRegistration(m *web.Mux) {
	m.ProtocolJSON("/oauth2/register", map[string]web.Handler{"POST": e.registering(e.register)})
	m.ProtocolJSON("/oauth2/register/{client_id}", map[string]web.Handler{
		"GET": e.registering(e.readRegistration), "PUT": e.registering(e.updateRegistration), "DELETE": e.registering(e.deleteRegistration),
	})
}

// registering writes the errors of registration: those of RFC 7591 section 3.2.2, and of RFC 6750 for access tokens.
func (e *Endpoints) registering(next web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := next(w, r)
		var kernel *web.Error
		if err == nil || errors.As(err, &kernel) && kernel.Status != http.StatusBadRequest {
			return err
		}
		wire := registrationWire(r, err)
		web.Annotate(r, "error", wire.Code)
		web.Annotate(r, "cause", cause(err))
		if wire.Status < 500 {
			e.Audit.Record(r.Context(), audit.Event{Name: "registration.refused", Result: "refused", Reason: wire.Code})
		}
		writeError(w, wire)
		return nil
	}
}

// tokenError is a missing or bad access token of registration.
type tokenError struct {
	sent bool
	text string
}

func (e *tokenError) Error() string { return e.text }

var (
	errNoInitial  = &tokenError{false, "Registration needs an initial access token. Ask the people who run this server for one and send it as a Bearer token in the Authorization header."}
	errBadInitial = &tokenError{true, "The initial access token is unknown, expired or was used before. Ask for a new one."}
	errNoManager  = &tokenError{false, "No registration access token was sent. Send it as a Bearer token in the Authorization header."}
	errBadManager = &tokenError{true, "There is no such registration, or the registration access token is not the one of it."}
)

func registrationWire(r *http.Request, err error) oauth.Wire {
	var token *tokenError
	var refused *client.MetadataError
	var kernel *web.Error
	var limit *oauth.LimitError
	switch {
	case errors.As(err, &token):
		wire := oauth.Wire{Status: http.StatusUnauthorized, Code: "invalid_token", Description: token.text, Challenge: `Bearer realm="gatehouse"`}
		if token.sent {
			wire.Challenge += `, error="invalid_token", error_description="` + token.text + `"`
		}
		return wire
	case errors.As(err, &refused):
		return oauth.Wire{Status: http.StatusBadRequest, Code: refused.Code, Description: refused.Error() + "."}
	case errors.As(err, &kernel):
		return oauth.Wire{Status: http.StatusBadRequest, Code: client.InvalidClientMetadata, Description: web.English(r, kernel)}
	case errors.As(err, &limit):
		return oauth.Wire{Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", RetryAfter: limit.RetryAfter,
			Description: "Too many registrations came from this address, or too many changes of this registration. Wait as long as Retry-After says."}
	}
	wire := bearerWire(err)
	if wire.Status == http.StatusBadRequest {
		wire.Challenge = ""
	}
	return wire
}

func (e *Endpoints) register(w http.ResponseWriter, r *http.Request) error {
	ctx, reg := r.Context(), e.Registration
	c := &storage.Client{RegisteredBy: "open"}
	signature, once, err := e.initialToken(r)
	if signature == "" {
		if err := e.limitRegistrations(r, registrationKey(r)); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if signature != "" {
		c.RegisteredBy = "token"
	}
	if reg.ExpireUnused > 0 {
		c.Expires = e.Now().Add(reg.ExpireUnused)
	}
	m, err := readMetadata(r)
	if err != nil {
		return err
	}
	if err := reg.Rules.Apply(c, m); err != nil {
		return err
	}
	if err := registration.CheckSector(ctx, reg.Fetcher, c); err != nil {
		return err
	}
	secret, err := reg.giveSecret(c, e.Now())
	if err != nil {
		return err
	}
	token, hash := opaque.Mint(opaque.Registration)
	c.RegistrationToken = hash
	// Everything that can be wrong with the request has been found by now: it must not cost the token.
	if once {
		err := registration.UseInitial(ctx, reg.Store, signature)
		if errors.Is(err, registration.ErrInitial) {
			return errBadInitial
		}
		if err != nil {
			return err
		}
	}
	if err := reg.Store.CreateClient(ctx, c); err != nil {
		return err
	}
	reg.Logos.Want(c)
	web.Annotate(r, "client", c.ID)
	e.Audit.Record(ctx, audit.Event{Name: "client.registered", Client: c.ID, Result: "ok", Reason: c.RegisteredBy})
	return writeJSON(w, http.StatusCreated, e.registered(c, secret, token))
}

func registrationKey(r *http.Request) string { return "registration\n" + web.PeerKey(r) }

// limitRegistrations counts what no initial access token vouches for.
func (e *Endpoints) limitRegistrations(r *http.Request, key string) error {
	allowed, retry, err := e.Limiter.Take(r.Context(), key, e.Registration.Limit)
	if err != nil {
		return err
	}
	if !allowed {
		e.Audit.Record(r.Context(), audit.Event{Name: "limit.hit", Result: "refused", Reason: "registration"})
		return &oauth.LimitError{RetryAfter: retry}
	}
	return nil
}

// initialToken checks the initial access token of a request, which open registration can do without: the signature is empty then. once tells whether it must be used up.
func (e *Endpoints) initialToken(r *http.Request) (signature string, once bool, err error) {
	token, err := bearer(r, nil)
	switch {
	case err != nil:
		return "", false, err
	case token == "" && e.Registration.Open:
		return "", false, nil
	case token == "":
		return "", false, errNoInitial
	}
	signature, once, err = registration.CheckInitial(r.Context(), e.Registration.Store, token, e.Now())
	if errors.Is(err, registration.ErrInitial) {
		err = errBadInitial
	}
	return signature, once, err
}

// readMetadata reads the body. Members that mean nothing here are ignored (RFC 7591 section 2).
func readMetadata(r *http.Request) (m client.Metadata, err error) {
	body, err := web.JSON(r)
	if err != nil {
		return m, err
	}
	_, err = client.Decode(body, &m)
	return m, err
}

// giveSecret makes the secret that the client's authentication method needs and that it has not got; empty if there is none to make.
func (reg *Registration) giveSecret(c *storage.Client, now time.Time) (string, error) {
	if !client.NeedsSecret(c) || len(c.Secrets) > 0 {
		return "", nil
	}
	secret, stored, err := client.MakeSecret(reg.Seal, c, "", now.UTC())
	if err != nil {
		return "", err
	}
	client.PutSecret(c, stored, 0)
	return secret, nil
}

// registered is the client information response (RFC 7591 section 3.2.1, RFC 7592 section 3). secret is empty unless it was made just now.
func (e *Endpoints) registered(c *storage.Client, secret, token string) client.Metadata {
	m := client.View(c, secret)
	m.RegistrationToken, m.RegistrationURI = token, e.registrationURI(c.ID)
	return m
}

func (e *Endpoints) registrationURI(clientID string) string {
	return e.Engine.URL("/oauth2/register/" + clientID)
}

// used notes that a client got a token or an authorization response, unless it is known to have no end that this could move.
func (e *Endpoints) used(clientID string) {
	if c := e.Engine.Copied(clientID); c == nil || !c.Expires.IsZero() {
		e.Uses.Mark(clientID)
	}
}
