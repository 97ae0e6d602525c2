package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ory/fosite"

	"gatehouse/storage"
)

// Store is what the pipeline needs of storage.
type Store interface {
	CreateToken(ctx context.Context, t *storage.Token) error
	Token(ctx context.Context, kind storage.TokenKind, signature string) (*storage.Token, error)
	ExchangeToken(ctx context.Context, kind storage.TokenKind, signature string, successor []byte, next ...*storage.Token) error
	RevokeTokens(ctx context.Context, r storage.Revocation) (int, error)
}

// Engine is what the pipeline needs of the protocol engine.
type Engine interface {
	// Parse checks prefix and checksum of an opaque token and returns its signature.
	Parse(kind storage.TokenKind, token string) (signature string, ok bool)
	// Mint makes a new opaque token.
	Mint(kind storage.TokenKind) (token, signature string)
	// AccessToken signs or mints the access token of an award.
	AccessToken(ctx context.Context, a *Award) (AccessToken, error)
	// IDToken signs the ID token of an award (OIDC Core section 2).
	IDToken(ctx context.Context, a *Award, h Hashed) (string, error)
	// Replayed is told of a code or refresh token that came back after its grant was killed for it.
	Replayed(ctx context.Context, row *storage.Token)
}

// AccessToken is one access token.
type AccessToken struct {
	Token    string
	Lifetime time.Duration
	// Row is what must be stored for it; nil for JWTs.
	Row *storage.Token
}

// Options build a Pipeline.
type Options struct {
	Store     Store
	Engine    Engine
	Lifetimes Lifetimes
	Resources Resources
	Now       func() time.Time
}

// Pipeline runs every grant type through the same steps.
type Pipeline struct{ Options }

// New returns a pipeline. Now defaults to time.Now.
func New(o Options) *Pipeline {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Pipeline{o}
}

// TokenHandlers returns one fosite handler for each row of Table that the token endpoint takes.
func (p *Pipeline) TokenHandlers() fosite.TokenEndpointHandlers {
	var handlers fosite.TokenEndpointHandlers
	for _, row := range Table {
		if row.Redeem != nil {
			handlers = append(handlers, handler{p, row})
		}
	}
	return handlers
}

type handler struct {
	*Pipeline
	row Row
}

// CanSkipClientAuth is false for every grant: public clients authenticate with the method none.
func (h handler) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest matches the grant type exactly; fosite's own comparison ignores case.
func (h handler) CanHandleTokenEndpointRequest(_ context.Context, r fosite.AccessRequester) bool {
	types := r.GetGrantTypes()
	return len(types) == 1 && types[0] == h.row.Type
}

// HandleTokenEndpointRequest is fosite's first phase: everything that can refuse the request.
func (h handler) HandleTokenEndpointRequest(ctx context.Context, r fosite.AccessRequester) error {
	client, session := r.GetClient().(Client), r.GetSession().(*TokenSession)
	if !slices.Contains(client.GrantTypes, h.row.Type) || h.row.NeedsSecret && client.AuthMethod == "none" {
		return Refuse("unauthorized_client", "This client is not registered for the grant type "+h.row.Type+".")
	}
	session.row, session.request = h.row, Request{Client: client.Client, Form: r.GetRequestForm(), Now: h.Now()}
	award, err := h.redeem(ctx, session)
	if err != nil {
		return err
	}
	session.Award = award
	r.SetID(award.GrantID)
	return nil
}

// redeem runs the row and then the checks that no row may skip.
func (h handler) redeem(ctx context.Context, s *TokenSession) (*Award, error) {
	award, err := s.row.Redeem(ctx, h.Pipeline, s.request)
	if err != nil {
		return nil, err
	}
	if row := award.Row; row != nil && row.Subject != "" {
		if row.User == nil || row.User.Disabled || row.User.Epoch != award.Payload.Epoch {
			return nil, Refuse("invalid_grant", "The user that this grant belongs to is no longer active.")
		}
		if !row.SessionAlive {
			return nil, Refuse("invalid_grant", "The sign-in session that this grant belongs to has ended. Ask the user to sign in again.")
		}
		award.User = row.User
	}
	return award, nil
}

// PopulateTokenEndpointResponse is fosite's second phase: mint and sign all, then exchange.
func (h handler) PopulateTokenEndpointResponse(ctx context.Context, r fosite.AccessRequester, w fosite.AccessResponder) error {
	if !h.CanHandleTokenEndpointRequest(ctx, r) {
		return fosite.ErrUnknownRequest
	}
	session := r.GetSession().(*TokenSession)
	err := h.issue(ctx, session.Award, w)
	if errors.Is(err, storage.ErrConsumed) {
		// Another request consumed the row between our read and our write. Look again: a repeated refresh gets the same successor, a repeated
		// code is a replay.
		if session.Award, err = h.redeem(ctx, session); err == nil {
			err = h.issue(ctx, session.Award, w)
		}
		if errors.Is(err, storage.ErrConsumed) {
			return errGone("code or refresh token")
		}
	}
	return err
}

func (h handler) issue(ctx context.Context, a *Award, w fosite.AccessResponder) error {
	access, err := h.Engine.AccessToken(ctx, a)
	if err != nil {
		return fmt.Errorf("sign access token: %w", err)
	}
	var next []*storage.Token
	if access.Row != nil {
		next = append(next, access.Row)
	}
	idToken := ""
	if a.Subject != "" && slices.Contains(a.Scopes, "openid") {
		if idToken, err = h.Engine.IDToken(ctx, a, Hashed{AccessToken: access.Token}); err != nil {
			return fmt.Errorf("sign ID token: %w", err)
		}
	}
	refresh, successor := a.Reissued, []byte(nil)
	if a.Refresh {
		row, token, err := h.newRefreshToken(a)
		if err != nil {
			return err
		}
		next, refresh = append(next, row), token
		if a.Presented != "" {
			if successor, err = sealSuccessor(a.Presented, token); err != nil {
				return err
			}
		}
	}
	if err := h.commit(ctx, a, successor, next); err != nil {
		return err
	}
	w.SetAccessToken(access.Token)
	w.SetTokenType("Bearer")
	w.SetExpiresIn(access.Lifetime)
	a.ExpiresIn = int64(access.Lifetime.Seconds())
	w.SetScopes(a.Scopes)
	if idToken != "" {
		w.SetExtra("id_token", idToken)
	}
	if refresh != "" {
		w.SetExtra("refresh_token", refresh)
	}
	return nil
}

// commit is the last thing that can fail.
func (h handler) commit(ctx context.Context, a *Award, successor []byte, next []*storage.Token) error {
	if a.Consume {
		return h.Store.ExchangeToken(ctx, a.Row.Kind, a.Row.Signature, successor, next...)
	}
	for _, row := range next {
		if err := h.Store.CreateToken(ctx, row); err != nil {
			return fmt.Errorf("store token: %w", err)
		}
	}
	return nil
}

// newRefreshToken makes the next refresh token of the award's family. Idle and absolute limits both apply.
func (p *Pipeline) newRefreshToken(a *Award) (*storage.Token, string, error) {
	payload := a.Payload
	payload.RedirectURI, payload.Challenge, payload.Nonce = "", "", ""
	encoded, err := payload.encode()
	if err != nil {
		return nil, "", err
	}
	now := p.Now()
	idle, absolute := p.Lifetimes.refresh(a.Client)
	ends := a.GrantExpires
	if ends.IsZero() {
		ends = now.Add(absolute)
	}
	expires := now.Add(idle)
	if ends.Before(expires) {
		expires = ends
	}
	token, signature := p.Engine.Mint(storage.TokenRefresh)
	return &storage.Token{
		Kind: storage.TokenRefresh, Signature: signature, GrantID: a.GrantID, ClientID: a.Client.ID, Subject: a.Subject, SessionID: boundSession(payload),
		Payload: encoded, Created: now, Expires: expires, GrantExpires: ends,
	}, token, nil
}

// boundSession returns the session that a code or refresh token dies with; offline tokens outlive theirs.
func boundSession(p Payload) string {
	if p.Offline {
		return ""
	}
	return p.SID
}

// NewGrantID returns a new family id: a UUIDv7 (RFC 9562 section 5.7), whose time revocations are compared with. It takes the clock that revocations
// take, not the system's.
func NewGrantID(now time.Time) (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("make grant id: %w", err)
	}
	for i, ms := 5, now.UnixMilli(); i >= 0; i, ms = i-1, ms>>8 {
		id[i] = byte(ms)
	}
	id[6] = id[6]&0x0f | 0x70
	return id.String(), nil
}

// within refuses names of wanted that are not in granted.
func within(wanted, granted []string) bool {
	return !slices.ContainsFunc(wanted, func(s string) bool { return !slices.Contains(granted, s) })
}
