package endpoint

// The userinfo endpoint: OpenID Connect Core section 5.3, with bearer tokens as in RFC 6750.

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"gatehouse/provider/grant"
	"gatehouse/provider/oauth"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

func (e *Endpoints) userinfo(w http.ResponseWriter, r *http.Request) error {
	err := e.serveUserinfo(w, r)
	if err == nil {
		return nil
	}
	wire := bearerWire(err)
	web.Annotate(r, "error", wire.Code)
	web.Annotate(r, "cause", cause(err))
	writeError(w, wire)
	return nil
}

func (e *Endpoints) serveUserinfo(w http.ResponseWriter, r *http.Request) error {
	var values form
	if r.Method == http.MethodPost {
		var repeated []string
		var err error
		if values, repeated, err = web.Params(r); err != nil {
			return asRefusal(r, err)
		}
		if len(repeated) > 0 {
			return grant.Refuse("invalid_request", "The parameter "+repeated[0]+" is repeated. Send it once.")
		}
	}
	token, err := bearer(r, values)
	if err != nil {
		return err
	}
	e.allowOrigin(w, r, claimedClient(token))
	if token == "" {
		return errNoToken
	}
	claims, user, err := e.Engine.VerifyAccess(r.Context(), token)
	if err != nil {
		return err
	}
	e.allowOrigin(w, r, claims.ClientID)
	web.Annotate(r, "client", claims.ClientID)
	// Tokens made for another API are worth nothing here, nor are those without a user.
	if !slices.Contains(claims.Audience, e.Engine.Issuer) {
		return oauth.ErrInactive
	}
	if !slices.Contains(claims.Scopes(), "openid") {
		return errScope
	}
	if user == nil {
		if user, err = e.Store.User(r.Context(), claims.User); err != nil {
			if isMissing(err) {
				return oauth.ErrInactive
			}
			return err
		}
	}
	if user.Disabled {
		return oauth.ErrInactive
	}
	// The Accept header has no say: the client registered what it wants.
	body, mediaType, err := e.Engine.Userinfo(claims, user)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	_, err = w.Write(body)
	return err
}

var (
	errNoToken = grant.Refuse("invalid_token", "No access token was sent. Send it as a Bearer token in the Authorization header.")
	errScope   = grant.Refuse("insufficient_scope", "The access token lacks the scope openid.")
)

// bearerWire maps errors as RFC 6750 section 3 wants them.
func bearerWire(err error) oauth.Wire {
	const realm = `Bearer realm="gatehouse"`
	switch {
	case errors.Is(err, storage.ErrUnavailable):
		return oauth.ToWire(err)
	case errors.Is(err, oauth.ErrInactive):
		return oauth.Wire{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "The access token is invalid, expired, revoked or made for another audience.",
			Challenge: realm + `, error="invalid_token", error_description="The access token is invalid, expired, revoked or made for another audience."`}
	case errors.Is(err, errNoToken):
		return oauth.Wire{Status: http.StatusUnauthorized, Code: "invalid_token", Description: errNoToken.DescriptionField, Challenge: realm}
	case errors.Is(err, errScope):
		return oauth.Wire{Status: http.StatusForbidden, Code: "insufficient_scope", Description: errScope.DescriptionField, Challenge: realm + `, error="insufficient_scope", scope="openid"`}
	}
	wire := oauth.ToWire(err)
	if wire.Status == http.StatusBadRequest {
		wire.Challenge = realm + `, error="invalid_request"`
	}
	return wire
}

// claimedClient reads the client id out of a JWT without verifying it: good enough to let the client's own script read why its token was refused.
func claimedClient(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > 16<<10 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		ClientID string `json:"client_id"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.ClientID
}
