package clientauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"gatehouse/provider/client"
	"gatehouse/provider/grant"
	"gatehouse/provider/outbound"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Clients are the clients as this process knows them.
type Clients interface {
	// Copied returns the process's copy of a client, nil if it has none that may be used.
	Copied(id string) *storage.Client
	// Outdated tells, without reading it, whether a client in the store is another one than the copy c, nil for no copy. storage.ErrNotFound.
	Outdated(ctx context.Context, id string, c *storage.Client) (bool, error)
	// ReadClient reads a client from the store.
	ReadClient(ctx context.Context, id string) (*storage.Client, error)
}

// Store remembers which assertions were used.
type Store interface {
	Remember(ctx context.Context, key string, expires time.Time) error
}

// Options build an Authenticator.
type Options struct {
	Issuer   string
	Clients  Clients
	Store    Store
	Outbound *outbound.Client
	// Seal opens the secrets of clients that use client_secret_jwt.
	Seal *seal.Ring
	Now  func() time.Time
}

// Authenticator authenticates clients. It is safe for concurrent use.
type Authenticator struct {
	Options
	// Keys are the public keys of clients.
	Keys *Keys
}

// New returns an authenticator.
func New(o Options) *Authenticator {
	return &Authenticator{Options: o, Keys: newKeys(o.Outbound, o.Now)}
}

// Error is invalid_client with the knowledge whether Basic was used.
type Error struct {
	*fosite.RFC6749Error
	Basic bool
}

// Unwrap returns the error without that knowledge.
func (e *Error) Unwrap() error { return e.RFC6749Error }

// credentials are what a request presented to authenticate its client.
type credentials struct {
	clientID  string
	secret    string
	assertion string
	basic     bool
	// pushing: the request came to the pushed authorization request endpoint.
	pushing bool
}

const pathPAR = "/oauth2/par"

// Authenticate is the one client authentication (RFC 6749 section 2.3, RFC 7523 section 2.2). Exactly one method may be used, and it must
// be the registered one; only the two places of a secret, header and body, stand for each other.
func (a *Authenticator) Authenticate(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	sent, err := readCredentials(r, form)
	if err != nil {
		return nil, err
	}
	refused := func(text string) error { return &Error{grant.Refuse("invalid_client", text), sent.basic} }
	if sent.clientID == "" {
		return nil, refused("Client authentication is missing. Send client_id, and the client's secret or assertion.")
	}
	c, proven, err := a.caller(ctx, sent)
	if err != nil {
		return nil, err
	}
	switch method := c.AuthMethod; method {
	case "none":
		if sent.secret != "" || sent.assertion != "" {
			return nil, refused("This client is registered without a secret. Send client_id alone.")
		}
	case "private_key_jwt", "client_secret_jwt":
		if sent.assertion == "" {
			return nil, refused("This client is registered for " + method + ". Send a client_assertion.")
		}
		if err := a.checkAssertion(ctx, c, sent); err != nil {
			if errors.Is(err, storage.ErrUnavailable) || errors.Is(err, seal.ErrUnknownKey) || errors.Is(err, seal.ErrBroken) { // nothing that the client could mend
				return nil, err
			}
			return nil, &Error{grant.Refuse("invalid_client", "The client assertion was not accepted: "+Text(err)).WithWrap(err), sent.basic}
		}
	default:
		if sent.assertion != "" || !proven || c.ID == "" {
			return nil, refused("The client is unknown, or its credentials are wrong, missing or of another method than registered.")
		}
	}
	return grant.Client{Client: c, AuthenticatedBy: c.AuthMethod}, nil
}

// caller returns the client that a request claims to come from, and whether its secret proves that. A client that is unknown or disabled is replaced by a
// decoy. Every failure costs the same (ruling 27): a comparison with the copy or the decoy, and a small read, which also tells of a secret that another
// process has just set. The client itself is read only then, because the time of reading it would tell that there is one.
func (a *Authenticator) caller(ctx context.Context, sent credentials) (c *storage.Client, proven bool, err error) {
	copied, known := a.Clients.Copied(sent.clientID), decoy
	if copied != nil && !copied.Disabled {
		known = copied
	}
	if !usesSecret(known) {
		return known, false, nil
	}
	if proven, err = client.CheckSecret(ctx, known, sent.secret, a.Now()); proven || err != nil {
		return known, proven, err
	}
	outdated, err := a.Clients.Outdated(ctx, sent.clientID, copied)
	if err == nil && !outdated || errors.Is(err, storage.ErrNotFound) {
		return decoy, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	c, err = a.Clients.ReadClient(ctx, sent.clientID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && c.Disabled {
		c, err = decoy, nil
	}
	if err != nil {
		return nil, false, err
	}
	if sameSecrets(c, known) || !usesSecret(c) {
		return c, false, nil
	}
	proven, err = client.CheckSecret(ctx, c, sent.secret, a.Now())
	return c, proven, err
}

// usesSecret tells whether the client sends its secret.
func usesSecret(c *storage.Client) bool {
	return c.AuthMethod != "none" && c.AuthMethod != "private_key_jwt" && c.AuthMethod != "client_secret_jwt"
}

func sameSecrets(a, b *storage.Client) bool {
	return slices.EqualFunc(a.Secrets, b.Secrets, func(a, b storage.ClientSecret) bool {
		return a.Hash == b.Hash && bytes.Equal(a.Sealed, b.Sealed) && a.Expires.Equal(b.Expires)
	})
}

// decoy stands for clients that do not exist. Nobody knows its secret, and it has no id.
var decoy = func() *storage.Client {
	_, hash := client.NewSecret()
	return &storage.Client{AuthMethod: "client_secret_basic", Secrets: []storage.ClientSecret{{Hash: hash}}}
}()

// readCredentials finds the one method that a request uses. Two are an invalid_request (RFC 6749 section 2.3).
func readCredentials(r *http.Request, form url.Values) (credentials, error) {
	sent := credentials{clientID: form.Get("client_id"), secret: form.Get("client_secret"), assertion: form.Get("client_assertion"), pushing: strings.HasSuffix(r.URL.Path, pathPAR)}
	id, secret, present, err := basicAuth(r)
	if err != nil {
		return sent, &Error{grant.Refuse("invalid_client", "The Authorization header is not valid Basic authentication."), true}
	}
	if form.Has("client_assertion_type") && form.Get("client_assertion_type") != assertionType {
		return sent, grant.Refuse("invalid_request", "The client_assertion_type is not supported. Send "+assertionType+".")
	}
	if sent.assertion != "" && !form.Has("client_assertion_type") {
		return sent, grant.Refuse("invalid_request", "The client_assertion_type is missing. Send "+assertionType+".")
	}
	methods := 0
	for _, used := range []bool{present, sent.secret != "", sent.assertion != ""} {
		if used {
			methods++
		}
	}
	if methods > 1 {
		return sent, grant.Refuse("invalid_request", "The request uses more than one client authentication method. Use one.")
	}
	if present {
		if sent.clientID != "" && sent.clientID != id {
			return sent, grant.Refuse("invalid_request", "The client_id in the body is not the one in the Authorization header.")
		}
		sent.clientID, sent.secret, sent.basic = id, secret, true
	}
	if sent.clientID == "" && sent.assertion != "" {
		sent.clientID = assertionSubject(sent.assertion)
	}
	return sent, nil
}

// ClaimedClient names the client that a request claims to come from, before anything is proven. It reads what Authenticate reads, so that what is counted
// or logged under a name and what is checked under it cannot differ.
func ClaimedClient(r *http.Request, form url.Values) string {
	sent, _ := readCredentials(r, form) // with an error it is what the body says
	return sent.clientID
}

// basicAuth reads RFC 7617 credentials whose parts are form-urlencoded (RFC 6749 section 2.3.1). Other schemes count as absent.
func basicAuth(r *http.Request) (id, secret string, present bool, err error) {
	scheme, encoded, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false, nil
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", true, fmt.Errorf("decode Basic: %w", err)
	}
	user, password, ok := strings.Cut(string(raw), ":")
	if !ok {
		return "", "", true, errors.New("no colon in Basic")
	}
	if id, err = url.QueryUnescape(user); err != nil {
		return "", "", true, fmt.Errorf("decode client id: %w", err)
	}
	if secret, err = url.QueryUnescape(password); err != nil {
		return "", "", true, fmt.Errorf("decode secret: %w", err)
	}
	return id, secret, true, nil
}
