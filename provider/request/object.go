package request

// Request objects: RFC 9101, OpenID Connect Core section 6. Only what is inside of one counts; of what is around it, client_id must be the same and response_type
// may not differ.

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json" // names of members are exact, and none may be there twice
	"github.com/ory/fosite"

	"gatehouse/provider/client"
	"gatehouse/provider/clientauth"
	"gatehouse/provider/grant"
	"gatehouse/storage"
)

const (
	objectLeeway = 60 * time.Second
	// maxObjectLife is how long after it was made a request object may be used (rulings: 60 minutes).
	maxObjectLife = 60 * time.Minute
	// maxObject bounds an object however it comes, and maxText those members that come back in an answer: the sizes of the parameters that they stand for (rulings).
	maxObject = 16 << 10
	maxText   = 4 << 10
)

// objectClaims are the claims of a request object that are about itself (RFC 7519 section 4.1); they are no parameters.
type objectClaims struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  grant.Audience `json:"aud"`
	Expires   *float64       `json:"exp"`
	IssuedAt  *float64       `json:"iat"`
	NotBefore *float64       `json:"nbf"`
}

var objectMembers = []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti"}

func refuseObject(text string) *fosite.RFC6749Error {
	return grant.Refuse("invalid_request_object", text)
}

// open replaces the request's parameters by those of a request object of its client.
func (p *Parser) open(ctx context.Context, req *Authorize, compact string) error {
	payload, err := p.verifyObject(ctx, req.Client, compact)
	if err != nil {
		return err
	}
	var claims objectClaims
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil || json.Unmarshal(payload, &claims) != nil || members == nil {
		return refuseObject("The request object is not a JSON object with each member once, and with iss, aud, exp, iat and nbf in the types of RFC 7519.")
	}
	if err := p.checkObjectClaims(req.Client, &claims); err != nil {
		return err
	}
	params, err := objectParams(members)
	if err != nil {
		return err
	}
	id := req.Client.ID
	switch outer := req.Params.Get("response_type"); {
	case params.Has("request") || params.Has("request_uri"):
		return refuseObject("A request object cannot hold request or request_uri.")
	case params.Has("client_id") && params.Get("client_id") != id:
		return refuseObject("The client_id in the request object is not the one beside it.")
	case outer != "" && !sameWords(outer, params.Get("response_type")):
		return grant.Refuse("invalid_request", "The response_type beside the request object is not the one inside. Send the same, or leave it out.")
	}
	params.Set("client_id", id)
	req.take(params, storage.SourceObject)
	return nil
}

// take makes params the parameters of the request.
func (r *Authorize) take(params url.Values, source string) {
	r.Params, r.Source, r.State, r.Nonce = params, source, params.Get("state"), params.Get("nonce")
}

func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// verifyObject returns the payload of a request object. Which algorithm it may have is decided here: the registered one if there is one, and none only if the client
// registered no other, its profile allows it, and the configuration does.
func (p *Parser) verifyObject(ctx context.Context, c *storage.Client, compact string) ([]byte, error) {
	if len(compact) > maxObject {
		return nil, refuseObject("The request object is too long: at most 16 KiB.")
	}
	if strings.Count(compact, ".") == 4 {
		return nil, refuseObject("Encrypted request objects are not supported. Sign it only.")
	}
	head, err := clientauth.ReadHead(compact)
	if err != nil {
		return nil, refuseObject("The request object was not accepted: " + clientauth.Text(err)).WithWrap(err)
	}
	switch strings.TrimPrefix(strings.ToLower(head.Typ), "application/") {
	case "", "jwt", "oauth-authz-req+jwt":
	default:
		return nil, refuseObject("The typ of the request object must be oauth-authz-req+jwt, JWT or absent.")
	}
	if head.Alg == "none" {
		return p.unsignedObject(c, compact)
	}
	if c.RequestObjectAlg == "none" {
		return nil, refuseObject("This client registered request objects with alg none. Register the algorithm that it signs with as request_object_signing_alg.")
	}
	payload, err := p.ClientKeys.Verify(ctx, c, compact, c.RequestObjectAlg)
	switch {
	case errors.Is(err, storage.ErrUnavailable):
		return nil, err
	case err != nil:
		return nil, refuseObject("The request object was not accepted: " + clientauth.Text(err)).WithWrap(err)
	}
	return payload, nil
}

func (p *Parser) unsignedObject(c *storage.Client, compact string) ([]byte, error) {
	profile := client.ProfileOf(c)
	switch {
	// OpenID Connect Registration section 2: a client that registered no algorithm may use any, none among them.
	case c.RequireSignedRequestObject || c.RequestObjectAlg != "none" && c.RequestObjectAlg != "":
		return nil, refuseObject("The request object has alg none, which this client is not registered for. Sign it with a registered key.")
	case !profile.Unsigned:
		return nil, refuseObject("The profile of this client, " + profile.Name + ", requires signed request objects.")
	case !p.Unsigned:
		return nil, refuseObject("Request objects with alg none are not allowed here. Sign it with a registered key.")
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 3 || parts[2] != "" {
		return nil, refuseObject("A request object with alg none has three parts, and the third is empty.")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, refuseObject("The request object is not base64url.")
	}
	return payload, nil
}

// checkObjectClaims checks whom the object is from, whom it is for, and when (RFC 9101 sections 4 and 10.8, rulings).
func (p *Parser) checkObjectClaims(c *storage.Client, claims *objectClaims) error {
	now := p.Now()
	ahead := func(seconds *float64) float64 { return *seconds - float64(now.Unix()) }
	inFuture := func(seconds *float64) bool { return seconds != nil && ahead(seconds) > objectLeeway.Seconds() }
	from := float64(now.Unix())
	for _, made := range []*float64{claims.NotBefore, claims.IssuedAt} {
		if made != nil {
			from = *made
			break
		}
	}
	switch {
	case claims.Issuer != "" && claims.Issuer != c.ID:
		return refuseObject("The iss of the request object must be the client_id.")
	case claims.Subject == c.ID:
		// It could be sent as a client assertion, or be one.
		return refuseObject("A request object has no sub with the client_id.")
	case claims.Audience != nil && !slices.Contains(claims.Audience, p.Issuer):
		return refuseObject("The aud of the request object must be the issuer, " + p.Issuer + ".")
	case inFuture(claims.IssuedAt) || inFuture(claims.NotBefore):
		return refuseObject("The iat or nbf of the request object is in the future. Check the client's clock.")
	case claims.Expires == nil:
		return nil
	case ahead(claims.Expires) <= -objectLeeway.Seconds():
		return refuseObject("The request object has expired.")
	case *claims.Expires-from > (maxObjectLife + objectLeeway).Seconds():
		return refuseObject("The exp of the request object is more than 60 minutes after it was made.")
	}
	return nil
}

// objectParams turns the members of a request object into parameters: texts as they are, everything else as JSON writes it (max_age, claims), but lists of texts as
// several values where a parameter may be repeated (resource).
func objectParams(members map[string]json.RawMessage) (url.Values, error) {
	params := url.Values{}
	for name, raw := range members {
		if slices.Contains(objectMembers, name) {
			continue
		}
		values, ok := memberValues(name, raw)
		if !ok {
			return nil, refuseObject("The member " + readable(name) + " of the request object is of a type that the parameter cannot have.")
		}
		params[name] = values
	}
	for _, name := range []string{"state", "nonce"} {
		if len(params.Get(name)) > maxText {
			return nil, refuseObject("The member " + name + " of the request object is longer than 4 KiB.")
		}
	}
	return params, nil
}

func memberValues(name string, raw json.RawMessage) ([]string, bool) {
	switch raw[0] {
	case '"':
		var text string
		if json.Unmarshal(raw, &text) != nil || strings.ContainsRune(text, 0) {
			return nil, false
		}
		return []string{text}, true
	case '[':
		if name != "resource" && name != "audience" {
			break
		}
		var texts []string
		if json.Unmarshal(raw, &texts) != nil || len(texts) == 0 {
			return nil, false
		}
		return texts, true
	case 'n':
		return nil, false
	}
	return []string{string(raw)}, true
}

// readable keeps a sent name fit for a message.
func readable(name string) string {
	if len(name) > 64 {
		name = name[:64]
	}
	return strings.Map(func(c rune) rune {
		if c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, name)
}
