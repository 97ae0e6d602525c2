package oauth

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ory/fosite"

	"gatehouse/provider/client"
	"gatehouse/provider/clientauth"
	"gatehouse/storage"
)

// Wire is an error as the RFCs allow it on the wire.
type Wire struct {
	Status int
	// Code is a registered OAuth error code, Description printable ASCII without quotes and backslashes (RFC 6749 section 5.2).
	Code        string
	Description string
	// Challenge is the value of WWW-Authenticate, empty for none.
	Challenge  string
	RetryAfter time.Duration
}

// LimitError says that a caller asked too often, or failed too often, and when to come back.
type LimitError struct {
	RetryAfter time.Duration
	Failures   bool
}

func (e *LimitError) Error() string { return "rate limit reached" }

// renamed maps the codes that fosite made up to registered ones.
var renamed = map[string]string{
	"invalid_state": "invalid_request", "insufficient_entropy": "invalid_request", "jti_known": "invalid_client", "token_inactive": "invalid_grant",
	"request_unauthorized": "invalid_client", "scope_not_granted": "invalid_scope", "unsupported_response_mode": "invalid_request", "token_expired": "invalid_grant",
	"token_signature_mismatch": "invalid_grant", "invalid_token": "invalid_grant", "not_found": "invalid_request", "misconfiguration": "server_error", "error": "server_error",
	"request_forbidden": "access_denied",
}

const (
	unavailableRetry = 5 * time.Second
	serverErrorText  = "Something went wrong on our side. The request id in the X-Request-Id header names it in our log."
)

// ToWire maps any error to what goes on the wire. It is the only such mapping.
func ToWire(err error) Wire {
	var limit *LimitError
	switch {
	case errors.As(err, &limit):
		what := "requests"
		if limit.Failures {
			what = "failed attempts"
		}
		return Wire{Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", RetryAfter: limit.RetryAfter, Description: "Too many " + what + ". Wait as long as Retry-After says."}
	case errors.Is(err, client.ErrSecretsBusy):
		return Wire{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", RetryAfter: unavailableRetry, Description: "Too many client secrets are being checked right now. Try again in a moment."}
	case errors.Is(err, storage.ErrUnavailable):
		return Wire{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", RetryAfter: unavailableRetry, Description: "The server cannot reach its storage. Try again in a moment."}
	}
	var oauthErr *fosite.RFC6749Error
	if !errors.As(err, &oauthErr) {
		return Wire{Status: http.StatusInternalServerError, Code: "server_error", Description: serverErrorText}
	}
	w := Wire{Status: http.StatusBadRequest, Code: oauthErr.ErrorField, Description: describe(oauthErr)}
	if code, ok := renamed[w.Code]; ok {
		w.Code = code
	}
	switch w.Code {
	case "invalid_client":
		w.Status = http.StatusUnauthorized
		var auth *clientauth.Error
		if errors.As(err, &auth) && auth.Basic {
			w.Challenge = `Basic realm="gatehouse", charset="UTF-8"`
		}
	case "server_error":
		w.Status, w.Description = http.StatusInternalServerError, serverErrorText
	}
	return w
}

// describe keeps a description within the character set of RFC 6749 section 5.2.
func describe(e *fosite.RFC6749Error) string {
	text := e.DescriptionField
	if e.HintField != "" {
		text += " " + e.HintField
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return -1
		}
		return r
	}, text)
}
