package endpoint

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ory/fosite"

	"gatehouse/provider/audit"
	"gatehouse/provider/clientauth"
	"gatehouse/provider/grant"
	"gatehouse/provider/oauth"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// form is the checked body of a protocol request.
type form = url.Values

// protocol wraps an endpoint that clients POST to: parameters, CORS, the limit on failures, and the one place where errors are written.
func (e *Endpoints) protocol(next func(http.ResponseWriter, *http.Request, form) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		values, err := e.readForm(r)
		e.allowOrigin(w, r, clientauth.ClaimedClient(r, values))
		if err == nil {
			err = e.guarded(w, r, values, next)
		}
		if err == nil {
			return nil
		}
		wire := oauth.ToWire(err)
		web.Annotate(r, "error", wire.Code)
		web.Annotate(r, "cause", cause(err))
		writeError(w, wire)
		return nil
	}
}

func (e *Endpoints) readForm(r *http.Request) (form, error) {
	values, repeated, err := web.Params(r)
	if err != nil {
		return values, asRefusal(r, err)
	}
	if r.URL.RawQuery != "" {
		return values, grant.Refuse("invalid_request", "Parameters belong into the request body, not into the URL.")
	}
	if len(repeated) > 0 {
		return values, grant.Refuse("invalid_request", "The parameter "+repeated[0]+" is repeated. Send it once.")
	}
	if len(values) == 0 {
		return values, grant.Refuse("invalid_request", "The request body is empty. Send the parameters form-encoded.")
	}
	return values, nil
}

// guarded bounds failed client authentications per client and address, so that guessing is slow and the real client, elsewhere, is not locked out.
func (e *Endpoints) guarded(w http.ResponseWriter, r *http.Request, values form, next func(http.ResponseWriter, *http.Request, form) error) error {
	clientID := clientauth.ClaimedClient(r, values)
	leave, retry, err := e.failures.enter(r.Context(), limitKey("token-failures", clientID, web.PeerKey(r)), e.Limits.TokenFailures)
	if err != nil {
		return err
	}
	if retry > 0 {
		e.Audit.Record(r.Context(), audit.Event{Name: "limit.hit", Client: e.nameable(clientID), Result: "refused", Reason: "token failures"})
		return &oauth.LimitError{RetryAfter: retry, Failures: true}
	}
	failed := true // also if next panics
	defer func() { leave(failed) }()
	err = next(w, r, values)
	// Codes and tokens are 256 random bits: guessing them is hopeless, and counting them would let anyone who sends junk codes through a web app lock
	// that app out.
	failed = isRefusal(err, "invalid_client")
	if failed || isRefusal(err, "invalid_grant") {
		e.Audit.Record(r.Context(), audit.Event{Name: "token.refused", Client: e.nameable(clientID), Result: "refused", Reason: oauth.ToWire(err).Description})
	}
	return err
}

// unnamed stands in the log for a client that there is not: a line that lacked the field would take less time (ruling 27).
const unnamed = "-"

// nameable keeps what was sent as a client's id out of the log unless it is one: people put secrets into the wrong field.
func (e *Endpoints) nameable(clientID string) string {
	if e.Engine.Known(clientID) {
		return clientID
	}
	return unnamed
}

func isRefusal(err error, code string) bool {
	var refusal *fosite.RFC6749Error
	return errors.As(err, &refusal) && refusal.ErrorField == code
}

// allowOrigin lets a script read the answer if it runs on an origin that the client registered a redirect URI on.
func (e *Endpoints) allowOrigin(w http.ResponseWriter, r *http.Request, clientID string) {
	origin := r.Header.Get("Origin")
	if origin == "" || origin == "null" || clientID == "" {
		return
	}
	client, err := e.Engine.Client(r.Context(), clientID)
	if err != nil {
		return // the endpoint itself will say why
	}
	if slices.ContainsFunc(client.RedirectURIs, func(uri string) bool { return originOf(uri) == origin }) {
		web.AllowOrigin(w, origin)
	}
}

func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// asRefusal turns the kernel's complaint about parameters into an OAuth error.
func asRefusal(r *http.Request, err error) error {
	var bad *web.Error
	if errors.As(err, &bad) && bad.Status == http.StatusBadRequest {
		return grant.Refuse(bad.Code, web.English(r, bad)).WithWrap(err)
	}
	return err
}

// cause is what the log may know: never a parameter's value.
func cause(err error) string {
	var refusal *fosite.RFC6749Error
	if errors.As(err, &refusal) {
		if inner := refusal.Unwrap(); inner != nil {
			return refusal.DescriptionField + " (" + inner.Error() + ")"
		}
		return refusal.DescriptionField
	}
	return err.Error()
}

func writeJSON(w http.ResponseWriter, status int, body any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(encoded)
	return err
}

// writeError writes an error as RFC 6749 section 5.2 has it.
func writeError(w http.ResponseWriter, wire oauth.Wire) {
	if wire.Challenge != "" {
		w.Header().Set("WWW-Authenticate", wire.Challenge)
	}
	if wire.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wire.RetryAfter.Seconds()))))
	}
	body := map[string]string{"error": wire.Code}
	if wire.Description != "" {
		body["error_description"] = wire.Description
	}
	// A write can only fail because the client has gone.
	_ = writeJSON(w, wire.Status, body)
}

// bearer finds the one access token of a request (RFC 6750 section 2): in the header, or in the body of a POST; never in the URL.
func bearer(r *http.Request, values form) (string, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	header, body := strings.EqualFold(scheme, "Bearer"), values.Get("access_token")
	switch {
	case r.URL.Query().Has("access_token"):
		return "", grant.Refuse("invalid_request", "An access token in the URL is not accepted. Send it in the Authorization header.")
	case header && body != "":
		return "", grant.Refuse("invalid_request", "The access token was sent twice. Send it in the Authorization header only.")
	case header:
		return strings.TrimSpace(token), nil
	}
	return body, nil
}

func isMissing(err error) bool { return errors.Is(err, storage.ErrNotFound) }
