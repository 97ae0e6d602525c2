package grant

import (
	"net/http"

	"github.com/ory/fosite"
)

// Refuse builds an OAuth error (RFC 6749 sections 4.1.2.1 and 5.2). The description goes to the client: printable ASCII without quotes and backslashes,
// saying what was wrong and what to do. Its status is settled once, by package oauth.
func Refuse(code, description string) *fosite.RFC6749Error {
	return &fosite.RFC6749Error{ErrorField: code, DescriptionField: description, CodeField: http.StatusBadRequest}
}

// errGone is the one answer to codes and refresh tokens that are unknown, foreign, revoked, expired or used.
func errGone(what string) *fosite.RFC6749Error {
	return Refuse("invalid_grant", "The "+what+" is invalid, expired, revoked or was issued to another client.")
}
