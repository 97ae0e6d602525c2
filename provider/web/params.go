package web

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/templates"
)

// parsed is the outcome of Params, kept for the second call.
type parsed struct {
	values   url.Values
	repeated []string
	err      error
}

var errTooManyParams = BadRequest(templates.Say("error.too_many_params", "Limit", maxParams))

// maxValue is the size of a value, in bytes, unless maxSizes says otherwise (ruling 47).
const maxValue = 4 << 10

// maxScopes bounds the list in scope.
const maxScopes = 50

var maxSizes = map[string]int{
	"scope":   2 << 10,
	"request": jwtSize, "id_token_hint": jwtSize, "logout_hint": jwtSize, "client_assertion": jwtSize, "assertion": jwtSize, "token": jwtSize,
	"access_token": jwtSize, "subject_token": jwtSize, "actor_token": jwtSize, "claims": jwtSize,
	"response": jwtSize, // of an authenticator, which repeats a credential id of up to 1 KiB in base64, and may attest what nobody asked for
}

const jwtSize = 16 << 10

// Params returns the parameters of the query and of a form body, at most 100, with their sizes checked and every value in UTF-8 without NUL. repeated lists
// the names that came more than once, in the query, in the body or in both, and are not among the two that may (resource and audience, RFC 8707 and RFC
// 8693); what to do about them is the caller's decision. The error is an *Error with status 400, which names the parameter, or 413. Values are never in it.
//
// It is safe to call more than once. After it r.Form and r.PostForm hold the same values.
func Params(r *http.Request) (values url.Values, repeated []string, err error) {
	x := from(r)
	if x.params == nil {
		x.params = &parsed{}
		x.params.values, x.params.repeated, x.params.err = readParams(r)
		r.Form, r.PostForm = x.params.values, x.params.values
	}
	return x.params.values, x.params.repeated, x.params.err
}

func readParams(r *http.Request) (values url.Values, repeated []string, err error) {
	values = make(url.Values, 8)
	repeated, err = collect(values, nil, r.URL.RawQuery)
	if err != nil || r.Method != http.MethodPost || r.Body == nil || r.Body == http.NoBody {
		return values, repeated, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if e := asError(err); e.Status < 500 {
			return values, repeated, e
		}
		return values, repeated, &Error{Status: http.StatusBadRequest, Code: "invalid_request", Text: templates.Say("error.unreadable"), Cause: err}
	}
	repeated, err = collect(values, repeated, string(body))
	return values, repeated, err
}

// collect parses name=value pairs as the URL standard does (a semicolon is a character like others) and adds them to values.
func collect(values url.Values, repeated []string, raw string) ([]string, error) {
	if strings.Count(raw, "&") >= maxParams {
		return repeated, errTooManyParams
	}
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		encodedName, encodedValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(encodedName)
		if err != nil || len(name) > 256 || !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
			return repeated, BadRequest(templates.Say("error.param_name"))
		}
		value, err := url.QueryUnescape(encodedValue)
		if err != nil {
			return repeated, BadRequest(templates.Say("error.param_encoding", "Name", fieldName(name)))
		}
		if err := checkValue(name, value); err != nil {
			return repeated, err
		}
		if _, seen := values[name]; seen && name != "resource" && name != "audience" && !slices.Contains(repeated, name) {
			repeated = append(repeated, name)
		}
		values[name] = append(values[name], value)
	}
	if len(values) > maxParams {
		return repeated, errTooManyParams
	}
	return repeated, nil
}

func checkValue(name, value string) error {
	limit, ok := maxSizes[name]
	if !ok {
		limit = maxValue
	}
	switch {
	case name == "scope" && strings.Count(value, " ") >= maxScopes:
		return badScope(fmt.Sprintf("The parameter scope has more than %d entries.", maxScopes))
	case name == "scope" && len(value) > limit:
		return badScope(fmt.Sprintf("The parameter scope is longer than %d KiB.", limit>>10))
	case len(value) > limit:
		return BadRequest(templates.Say("error.param_long", "Name", fieldName(name), "Limit", limit>>10))
	case !utf8.ValidString(value):
		return BadRequest(templates.Say("error.param_utf8", "Name", fieldName(name)))
	case strings.IndexByte(value, 0) >= 0:
		return BadRequest(templates.Say("error.param_nul", "Name", fieldName(name)))
	}
	return nil
}

// badScope has the error code that clients look for (security row 29).
func badScope(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_scope", Message: message}
}

// fieldName is a parameter's name as an error may show it.
func fieldName(name string) string {
	if len(name) > 64 {
		name = name[:64]
	}
	return printable(name)
}
