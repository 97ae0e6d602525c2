package request

// Where the parameters of a request come from: the URL or body itself, a request object by value or by reference (RFC 9101), or a push (RFC 9126).

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/grant"
	"gatehouse/provider/opaque"
	"gatehouse/provider/redirect"
	"gatehouse/storage"
)

// PushedURN begins the request_uri of a pushed request (RFC 9126 section 2.2).
const PushedURN = "urn:ietf:params:oauth:request_uri:"

// copyLife is how long a fetched request object is kept if the fragment of its URI tells versions apart (OpenID Connect Core section 6.2).
const copyLife = 5 * time.Minute

// resolve replaces the parameters by those that count. It does nothing for parameters that have been resolved before.
func (p *Parser) resolve(ctx context.Context, req *Authorize, in Input) error {
	object, uri, c := req.Params.Get("request"), req.Params.Get("request_uri"), req.Client
	for _, name := range []string{"request", "request_uri"} {
		if slices.Contains(in.Repeated, name) {
			return grant.Refuse("invalid_request", "The parameter "+name+" is repeated. Send it once.")
		}
	}
	pushed := strings.HasPrefix(uri, PushedURN)
	switch {
	case in.Source != "":
		return nil
	case object != "" && uri != "":
		return grant.Refuse("invalid_request", "The parameters request and request_uri exclude each other. Send one.")
	case in.Pushing && uri != "":
		return grant.Refuse("invalid_request", "A pushed request cannot refer to another one. Send request, or the parameters by themselves.")
	case c.RequirePAR && !in.Pushing && !pushed:
		return grant.Refuse("invalid_request", "This client must push its requests. Send the parameters to the pushed_authorization_request_endpoint, and its request_uri here.")
	case pushed:
		return p.load(ctx, req, uri)
	case object == "" && uri == "" && c.RequireSignedRequestObject:
		return grant.Refuse("invalid_request", "This client must send a signed request object. Send request or request_uri.")
	case object == "" && uri == "":
		return nil
	case uri != "":
		var err error
		if object, err = p.fetch(ctx, c, uri); err != nil {
			return err
		}
	}
	return p.open(ctx, req, object)
}

// answerable lets the client hear by redirect why the parameters that count could not be had, if the ones in the open name one of its redirect URIs: sending an error
// there tells nobody else.
func answerable(req *Authorize, in Input) {
	sent := req.Params.Get("redirect_uri")
	if in.Pushing || strings.HasPrefix(req.Params.Get("request_uri"), PushedURN) || slices.Contains(in.Repeated, "redirect_uri") || !redirect.Match(req.Client, sent) {
		return
	}
	req.RedirectURI, req.Proven = sent, true
	_ = checkResponseMode(in.Repeated)(req) // decides how the error travels; a mode that cannot be had is the smaller fault
}

// fetch reads a request object from an address that the client registered, character for character, with its fragment, which is not sent (trap: nor is it checked as
// a hash, because clients send others).
func (p *Parser) fetch(ctx context.Context, c *storage.Client, uri string) (string, error) {
	if !slices.Contains(c.RequestURIs, uri) {
		return "", grant.Refuse("invalid_request_uri", "The request_uri is not registered for this client. Add it to request_uris, character for character.")
	}
	target, fragment, versioned := strings.Cut(uri, "#")
	life := time.Duration(0)
	if versioned {
		life = copyLife
	}
	response, err := p.Outbound.Cached(ctx, target, fragment, "application/oauth-authz-req+jwt, application/jwt;q=0.9, */*;q=0.1", life)
	if err != nil {
		return "", grant.Refuse("invalid_request_uri", "The request_uri could not be fetched. It must answer 200 within 5 seconds, without a redirect, with at most 64 KiB.").WithWrap(err)
	}
	return strings.TrimSpace(string(response.Body)), nil
}

// pushedPayload is what the row of a pushed request holds.
type pushedPayload struct {
	Params url.Values `json:"params"`
	// Expires ends the time in which a browser may arrive with the request, in seconds; the row itself lives on while the user signs in.
	Expires int64 `json:"exp"`
}

// load reads a pushed request and changes nothing: the code's transaction consumes it (rulings). Everything beside it but client_id is ignored.
func (p *Parser) load(ctx context.Context, req *Authorize, uri string) error {
	gone := grant.Refuse("invalid_request_uri", "The request_uri is unknown, was used, or has expired. Push the request again.")
	signature, ok := opaque.Parse(opaque.Pushed, strings.TrimPrefix(uri, PushedURN))
	if !ok {
		return gone
	}
	row, err := p.Store.Token(ctx, storage.TokenPushed, signature)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return gone
	case err != nil:
		return fmt.Errorf("read pushed request: %w", err)
	}
	var payload pushedPayload
	if err := json.Unmarshal(row.Payload, &payload); err != nil {
		return fmt.Errorf("decode pushed request: %w", err)
	}
	if row.ClientID != req.Client.ID || !row.ConsumedAt.IsZero() || p.Now().Unix() >= payload.Expires {
		return gone
	}
	req.take(payload.Params, signature)
	return nil
}

// Pushed returns the row that keeps a validated request for its browser, and the request_uri that finds it. waits is how long a user may take to answer once the
// browser is there.
func (p *Parser) Pushed(req *Authorize, life, waits time.Duration) (*storage.Token, string, error) {
	now := p.Now()
	payload, err := json.Marshal(pushedPayload{Params: req.Params, Expires: now.Add(life).Unix()})
	if err != nil {
		return nil, "", fmt.Errorf("encode pushed request: %w", err)
	}
	grantID, err := grant.NewGrantID(now)
	if err != nil {
		return nil, "", err
	}
	token, signature := opaque.Mint(opaque.Pushed)
	ends := now.Add(life + waits)
	return &storage.Token{
		Kind: storage.TokenPushed, Signature: signature, GrantID: grantID, ClientID: req.Client.ID, Payload: payload, Created: now, Expires: ends, GrantExpires: ends,
	}, PushedURN + token, nil
}
