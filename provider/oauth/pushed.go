package oauth

// Pushed authorization requests: RFC 9126.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gatehouse/provider/grant"
	"gatehouse/provider/request"
	"gatehouse/storage"
)

// Push validates a pushed request of an authenticated client as the authorization endpoint would, keeps it and returns its request_uri and how long that may be used.
// What authenticated the client is not kept. waits is how long the user may take to answer once the browser is there.
func (e *Engine) Push(ctx context.Context, r *http.Request, c *storage.Client, form url.Values, waits time.Duration) (requestURI string, life time.Duration, err error) {
	params := url.Values{}
	for name, values := range form {
		switch name {
		case "client_secret", "client_assertion", "client_assertion_type":
		default:
			params[name] = values
		}
	}
	params.Set("client_id", c.ID)
	req, err := e.ParseAuthorize(ctx, r, request.Input{Params: params, Pushing: true})
	var mismatch *request.RedirectMismatch
	if errors.As(err, &mismatch) {
		return "", 0, grant.Refuse("invalid_request", "The redirect_uri is not registered for this client. Send a registered value, character for character.")
	}
	if err != nil {
		return "", 0, err
	}
	row, requestURI, err := e.requests.Pushed(req, e.Tokens.Pushed, waits)
	if err != nil {
		return "", 0, err
	}
	if err := e.Store.CreateToken(ctx, row); err != nil {
		return "", 0, fmt.Errorf("store pushed request: %w", err)
	}
	return requestURI, e.Tokens.Pushed, nil
}
