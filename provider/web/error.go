package web

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/storage"
	"gatehouse/templates"
)

// Error is an answer that is no success. Text, one or two sentences, is for the person at the other end: pages show it in the person's language, programs and the
// log get it in English. Empty it is the status' own. Cause is for the log alone.
type Error struct {
	Status     int
	Code       string // machine-readable, as in OAuth; "" is the status' own
	Text       templates.Text
	Message    string // instead of Text at places that only programs ask: no translation
	Cause      error
	RetryAfter time.Duration // 0: no Retry-After
}

func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.Text.ID
	}
	if text == "" {
		text = http.StatusText(e.Status)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Cause }

// BadRequest is a 400 that says what to correct.
func BadRequest(text templates.Text) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", Text: text}
}

// NotFound is a 404.
func NotFound() *Error { return &Error{Status: http.StatusNotFound, Code: "not_found"} }

// Forbidden is a 403 that says why.
func Forbidden(text templates.Text) *Error {
	return &Error{Status: http.StatusForbidden, Code: "forbidden", Text: text}
}

// TooMany is a 429 that says when to try again; the text id has a place for the Time.
func TooMany(id string, wait time.Duration) *Error {
	whole := time.Duration(math.Ceil(wait.Seconds())) * time.Second // as in Retry-After
	return &Error{Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", RetryAfter: wait, Text: templates.Say(id, "Time", whole)}
}

// Unavailable is a 503 with Retry-After: nothing was done, the request may be repeated.
func Unavailable(cause error) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Cause: cause, RetryAfter: 2 * time.Second}
}

func tooLarge(limit int64) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Text: templates.Say("error.too_large", "Limit", limit>>10)}
}

// asError finds the answer that an error stands for.
func asError(err error) *Error {
	var known *Error
	var body *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &body):
		return tooLarge(body.Limit)
	case errors.Is(err, storage.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return Unavailable(err)
	}
	return &Error{Status: http.StatusInternalServerError, Code: "server_error", Cause: err}
}

// statusClientGone is what the log says when nobody waits for the answer any more.
const statusClientGone = 499

// fail renders an error, once.
func (m *Mux) fail(x *exchange, r *http.Request, err error) {
	e := asError(err)
	x.code = e.code()
	if e.Cause != nil {
		x.cause = clean(e.Cause.Error(), maxNote)
	} else if x.cause == "" {
		x.cause = clean(m.english(e, x.id), maxNote)
	}
	if x.status != 0 {
		return // the answer has begun; the log line is all there is left to do
	}
	if errors.Is(r.Context().Err(), context.Canceled) && e.Status >= 500 {
		x.status = statusClientGone
		return
	}
	if e.RetryAfter > 0 {
		x.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	x.Header()["Cache-Control"] = noStore
	if x.route.kind.page() || x.route.kind != kindProtocol && x.route.kind != kindPublic && wantsHTML(r) {
		if m.failPage(x, r, e) == nil {
			return
		}
	}
	failJSON(x, e)
}

// wantsHTML tells a browser from a program at a path that belongs to neither.
func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

func (m *Mux) failPage(x *exchange, r *http.Request, e *Error) error {
	page := templates.Error{Status: e.Status, Heading: heading(e.Status), Message: e.text(x.id), RequestID: x.id}
	if err := Render(x, r, e.Status, page); err != nil {
		x.cause = clean(x.cause+"; then: "+err.Error(), maxNote)
		return err
	}
	return nil
}

func failJSON(x *exchange, e *Error) {
	body, err := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{x.route.wireCode(e), printable(x.mux.english(e, x.id))})
	if err != nil {
		body = []byte(`{"error":"server_error"}`)
	}
	x.Header().Set("Content-Type", "application/json")
	x.Header()["Content-Security-Policy"] = jsonPolicies
	x.WriteHeader(e.Status)
	// A write can only fail because the client has gone.
	_, _ = x.Write(body)
}

func (e *Error) code() string {
	if e.Code != "" {
		return e.Code
	}
	if e.Status >= 500 {
		return "server_error"
	}
	return "invalid_request"
}

// wireCode is the code that an answer carries. To clients of the protocol it is always one of the OAuth registry, as they may know no other; the log has the closer one.
func (rt *route) wireCode(e *Error) string {
	code := e.code()
	if rt.kind != kindProtocol {
		return code
	}
	switch code {
	case "not_found", "forbidden", "method_not_allowed", "too_many_cookies":
		return "invalid_request"
	}
	return code
}

// text is what the other end is told. The cause of a 500 is nobody's business, so its id has to do.
func (e *Error) text(requestID string) templates.Text {
	switch {
	case e.Message != "":
		return templates.Plain(e.Message)
	case !e.Text.Empty():
		return e.Text
	case e.Status == http.StatusNotFound:
		return templates.Say("error.nothing_here")
	case e.Status == http.StatusServiceUnavailable:
		return templates.Say("error.unavailable")
	case e.Status >= 500:
		return templates.Say("error.ours", "ID", requestID)
	}
	return templates.Say("error.status", "Status", strconv.Itoa(e.Status)+" "+http.StatusText(e.Status))
}

// English is what a program at the other end of a request is told of an error.
func English(r *http.Request, e *Error) string {
	x := from(r)
	return x.mux.english(e, x.id)
}

// english is the text for programs and the log.
func (m *Mux) english(e *Error, requestID string) string {
	text := e.text(requestID)
	words, err := m.options.Templates.Say("en", text)
	if err != nil {
		return text.ID // the tests find every key that is not in the catalogue
	}
	return words
}

func heading(status int) templates.Text {
	switch {
	case status == http.StatusNotFound:
		return templates.Say("error.not_found")
	case status == http.StatusForbidden:
		return templates.Say("error.forbidden")
	case status == http.StatusTooManyRequests:
		return templates.Say("error.too_many")
	case status == http.StatusServiceUnavailable:
		return templates.Say("error.busy")
	case status < 500:
		return templates.Say("error.refused")
	}
	return templates.Text{}
}

// printable keeps to the characters of error_description (RFC 6749 section 5.2): printable ASCII without double quote and backslash.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"' || c == '\\':
			return '\''
		case c < ' ' || c > '~':
			return '?'
		}
		return c
	}, text)
}
