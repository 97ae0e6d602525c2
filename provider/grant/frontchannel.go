package grant

// The responses of the authorization endpoint: RFC 6749 section 4.1.2, OpenID Connect Core sections 3.2.2.5 and 3.3.2.5, OAuth 2.0 Multiple Response Type Encoding
// Practices.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ory/fosite"

	"gatehouse/storage"
)

// AuthorizeHandler issues what the response type asks for: code, token, id_token, or several of them.
func (p *Pipeline) AuthorizeHandler() fosite.AuthorizeEndpointHandler { return authorizeHandler{p} }

type authorizeHandler struct{ *Pipeline }

// HandleAuthorizeEndpointRequest makes and signs everything for the session's Authorization, stores what must be stored, and puts it into the response. All of it is of
// one grant, so that all of it dies together.
func (h authorizeHandler) HandleAuthorizeEndpointRequest(ctx context.Context, ar fosite.AuthorizeRequester, w fosite.AuthorizeResponder) error {
	auth, types := ar.GetSession().(*TokenSession).Authorization, ar.GetResponseTypes()
	grantID, err := NewGrantID(auth.Began)
	if err != nil {
		return err
	}
	var rows []*storage.Token
	hashed := Hashed{State: auth.State}
	if slices.Contains(types, "code") {
		row, code, err := h.newCode(auth, grantID)
		if err != nil {
			return err
		}
		rows, hashed.Code = append(rows, row), code
		w.AddParameter("code", code)
		ar.SetResponseTypeHandled("code")
	}
	if len(types) > 1 || hashed.Code == "" {
		row, err := h.frontChannel(ctx, auth.award(grantID), hashed, ar, w)
		if err != nil {
			return err
		}
		if row != nil {
			rows = append([]*storage.Token{row}, rows...) // the code is the last thing that can fail
		}
	}
	return h.store(ctx, auth, rows)
}

// award is what an authorization earns at once, without the detour over a code. There is never a refresh token among it (RFC 6749 section 4.2.2).
func (a *Authorization) award(grantID string) *Award {
	return &Award{
		Client: a.Client, GrantID: grantID, Subject: a.Subject, User: a.User, Payload: a.Payload, Scopes: a.Payload.Scopes, Resources: a.Payload.Resources, SID: a.Payload.SID,
		Nonce: a.Payload.Nonce,
	}
}

// frontChannel adds access token and ID token, as far as they are asked for. It returns the row of the access token, nil if none is needed.
func (h authorizeHandler) frontChannel(ctx context.Context, a *Award, hashed Hashed, ar fosite.AuthorizeRequester, w fosite.AuthorizeResponder) (*storage.Token, error) {
	types := ar.GetResponseTypes()
	var access AccessToken
	if slices.Contains(types, "token") {
		var err error
		if access, err = h.Engine.AccessToken(ctx, a); err != nil {
			return nil, fmt.Errorf("sign access token: %w", err)
		}
		hashed.AccessToken = access.Token
		w.AddParameter("access_token", access.Token)
		w.AddParameter("token_type", "Bearer")
		w.AddParameter("expires_in", strconv.FormatInt(int64(access.Lifetime.Seconds()), 10))
		w.AddParameter("scope", strings.Join(a.Scopes, " "))
		ar.SetResponseTypeHandled("token")
	}
	if slices.Contains(types, "id_token") {
		a.Alone = len(types) == 1
		token, err := h.Engine.IDToken(ctx, a, hashed)
		if err != nil {
			return nil, fmt.Errorf("sign ID token: %w", err)
		}
		w.AddParameter("id_token", token)
		ar.SetResponseTypeHandled("id_token")
	}
	return access.Row, nil
}

// store writes the rows in their order. Those of a pushed request consume the request in the same transaction, so that of many browsers that come with it one wins (RFC
// 9126 section 4); it is consumed too where nothing else is stored.
func (h authorizeHandler) store(ctx context.Context, auth *Authorization, rows []*storage.Token) error {
	if auth.Pushed == "" {
		for _, row := range rows {
			if err := h.Store.CreateToken(ctx, row); err != nil {
				return fmt.Errorf("store %s: %w", row.Kind, err)
			}
		}
		return nil
	}
	err := h.Store.ExchangeToken(ctx, storage.TokenPushed, auth.Pushed, nil, rows...)
	if errors.Is(err, storage.ErrConsumed) {
		return Refuse("invalid_request_uri", "This pushed request was answered before. Push it again.")
	}
	if err != nil {
		return fmt.Errorf("store answer of pushed request: %w", err)
	}
	return nil
}
