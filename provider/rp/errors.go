package rp

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/oauth2"
)

// ErrState says that an authorization response does not belong to this attempt: another browser, another tab, a replay, or a forgery.
var ErrState = errors.New("state is not the one that was sent")

// Error is an OAuth error answer (RFC 6749 sections 4.1.2.1 and 5.2).
type Error struct {
	// Endpoint is authorization, token, revocation or introspection.
	Endpoint string
	// Status is the HTTP status; 0 for an authorization response.
	Status int
	// Code is empty if the answer was no OAuth error.
	Code        string
	Description string
}

func (e *Error) Error() string {
	text := e.Endpoint + " endpoint answered"
	if e.Status != 0 {
		text = fmt.Sprintf("%s %d", text, e.Status)
	}
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Description != "" {
		text += ": " + e.Description
	}
	return text
}

func tokenError(err error) error {
	var retrieve *oauth2.RetrieveError
	if !errors.As(err, &retrieve) {
		return fmt.Errorf("request tokens: %w", err)
	}
	e := &Error{Endpoint: "token", Code: retrieve.ErrorCode, Description: retrieve.ErrorDescription}
	if retrieve.Response != nil {
		e.Status = retrieve.Response.StatusCode
	}
	return e
}

func responseError(endpoint string, status int, body []byte) error {
	var answer struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	// An answer that is no JSON is reported by its status alone.
	_ = json.Unmarshal(body, &answer)
	return &Error{Endpoint: endpoint, Status: status, Code: answer.Code, Description: answer.Description}
}
