package oauth

import (
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

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// credentials are what a request presented to authenticate its client.
type credentials struct {
	clientID  string
	secret    string
	assertion string
	basic     bool
}

// authenticate is the one client authentication (RFC 6749 section 2.3, RFC 7523 section 2.2). Exactly one method may be used, and it must
// be the registered one; only the two places of a secret, header and body, stand for each other.
func (e *Engine) authenticate(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	sent, err := readCredentials(r, form)
	if err != nil {
		return nil, err
	}
	refused := func(text string) error { return &authError{grant.Refuse("invalid_client", text), sent.basic} }
	if sent.clientID == "" {
		return nil, refused("Client authentication is missing. Send client_id, and the client's secret or assertion.")
	}
	client, proven, err := e.caller(ctx, sent)
	if err != nil {
		return nil, err
	}
	switch method := client.AuthMethod; method {
	case "none":
		if sent.secret != "" || sent.assertion != "" {
			return nil, refused("This client is registered without a secret. Send client_id alone.")
		}
	case "private_key_jwt":
		if sent.assertion == "" {
			return nil, refused("This client is registered for private_key_jwt. Send a client_assertion.")
		}
		if err := e.checkAssertion(ctx, client, sent.assertion); err != nil {
			if errors.Is(err, storage.ErrUnavailable) {
				return nil, err
			}
			return nil, &authError{grant.Refuse("invalid_client", "The client assertion was not accepted: "+assertionText(err)).WithWrap(err), sent.basic}
		}
	default:
		if sent.assertion != "" || !proven || client.ID == "" {
			return nil, refused("The client is unknown, or its credentials are wrong, missing or of another method than registered.")
		}
	}
	return grant.Client{Client: client, AuthenticatedBy: client.AuthMethod}, nil
}

// caller returns the client that a request claims to come from, and whether its secret proves that. A client that is unknown or disabled is replaced by a
// decoy. Every failure costs the same (ruling 27): a comparison with the copy or the decoy, and a read, which also finds a secret that another process
// has just set.
func (e *Engine) caller(ctx context.Context, sent credentials) (client *storage.Client, proven bool, err error) {
	known := e.copied(sent.clientID)
	if known == nil || known.Disabled {
		known = decoy
	}
	if !usesSecret(known) {
		return known, false, nil
	}
	if proven, err = checkSecret(ctx, known, sent.secret, e.Now()); proven || err != nil {
		return known, proven, err
	}
	client, err = e.readClient(ctx, sent.clientID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && client.Disabled {
		client, err = decoy, nil
	}
	if err != nil {
		return nil, false, err
	}
	changed := !slices.EqualFunc(client.Secrets, known.Secrets, func(a, b storage.ClientSecret) bool { return a.Hash == b.Hash && a.Expires.Equal(b.Expires) })
	if !changed || !usesSecret(client) {
		return client, false, nil
	}
	proven, err = checkSecret(ctx, client, sent.secret, e.Now())
	return client, proven, err
}

func usesSecret(c *storage.Client) bool {
	return c.AuthMethod != "none" && c.AuthMethod != "private_key_jwt"
}

// decoy stands for clients that do not exist. Nobody knows its secret, and it has no id.
var decoy = func() *storage.Client {
	_, hash := NewSecret()
	return &storage.Client{AuthMethod: "client_secret_basic", Secrets: []storage.ClientSecret{{Hash: hash}}}
}()

// checkSecret compares a secret with the client's unexpired ones: first those that cost next to nothing, so that a client whose old chosen secret still
// counts does not pay a bcrypt for it at every request.
func checkSecret(ctx context.Context, c *storage.Client, secret string, now time.Time) (bool, error) {
	if secret == "" {
		return false, nil
	}
	var slow []string
	for _, s := range c.Secrets {
		switch matches, known := verifyFast(s.Hash, secret); {
		case !s.Expires.IsZero() && !now.Before(s.Expires):
		case matches:
			return true, nil
		case !known:
			slow = append(slow, s.Hash)
		}
	}
	for _, hash := range slow {
		if matches, err := VerifySecret(ctx, hash, secret); matches || err != nil {
			return matches, err
		}
	}
	return false, nil
}

// readCredentials finds the one method that a request uses. Two are an invalid_request (RFC 6749 section 2.3).
func readCredentials(r *http.Request, form url.Values) (credentials, error) {
	sent := credentials{clientID: form.Get("client_id"), secret: form.Get("client_secret"), assertion: form.Get("client_assertion")}
	id, secret, present, err := basicAuth(r)
	if err != nil {
		return sent, &authError{grant.Refuse("invalid_client", "The Authorization header is not valid Basic authentication."), true}
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

// ClaimedClient names the client that a request claims to come from, before anything is proven. It reads what authenticate reads, so that what is counted
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

// refusingHasher fails closed: fosite's own secret comparison must never be reached.
type refusingHasher struct{}

func (refusingHasher) Compare(context.Context, []byte, []byte) error {
	return errors.New("client secrets are not compared by fosite")
}

func (refusingHasher) Hash(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("client secrets are not hashed by fosite")
}
