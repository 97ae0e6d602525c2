package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"gatehouse/templates"
)

// maxDepth bounds how deep JSON may nest.
const maxDepth = 32

// JSON reads the body of a route that takes JSON (ProtocolJSON). It is one object, in UTF-8, at most 32 levels deep, without two members of one name and without null
// in an array: what two parsers could read differently is refused. The error is an *Error with status 400, which says what is wrong, or 413.
func JSON(r *http.Request) (json.RawMessage, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if e := asError(err); e.Status < 500 {
			return nil, e
		}
		return nil, &Error{Status: http.StatusBadRequest, Code: "invalid_request", Text: templates.Say("error.unreadable"), Cause: err}
	}
	if problem := checkJSON(body); problem != "" {
		return nil, BadRequest(templates.Plain(problem))
	}
	return body, nil
}

// checkJSON says what is wrong with a JSON object, or nothing.
func checkJSON(body []byte) string {
	switch {
	case len(body) == 0:
		return "The body is empty. Send a JSON object."
	case !utf8.Valid(body):
		return "The body is not UTF-8."
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return "The body is not a JSON object."
	}
	d := json.NewDecoder(bytes.NewReader(body))
	problem, err := nested(d, "", 1, false)
	switch {
	case err != nil:
		return fmt.Sprintf("The body is not JSON: it goes wrong at byte %d.", d.InputOffset())
	case problem != "":
		return problem
	}
	if _, err := d.Token(); err != io.EOF {
		return "Something follows the JSON object. Send one object and nothing else."
	}
	return ""
}

// nested reads the next value and says what is wrong with it. member is the name of the outermost object's member that it belongs to, for the message.
func nested(d *json.Decoder, member string, depth int, inArray bool) (problem string, err error) {
	token, err := d.Token()
	if err != nil {
		return "", err
	}
	opened, compound := token.(json.Delim)
	switch {
	case token == nil && inArray:
		return "The array " + fieldName(member) + " holds null. Leave it out.", nil
	case !compound:
		return "", nil
	}
	if depth > maxDepth {
		return fmt.Sprintf("The JSON nests more than %d levels deep.", maxDepth), nil
	}
	if opened == '{' {
		problem, err = members(d, member, depth)
	} else {
		problem, err = elements(d, member, depth)
	}
	if problem == "" && err == nil {
		_, err = d.Token() // the closing bracket
	}
	return problem, err
}

func members(d *json.Decoder, member string, depth int) (problem string, err error) {
	seen := map[string]bool{}
	for problem == "" && d.More() {
		token, err := d.Token()
		if err != nil {
			return "", err
		}
		name := token.(string) // the decoder allows nothing else here
		if seen[name] {
			return "The member " + fieldName(name) + " comes twice. Send it once.", nil
		}
		seen[name] = true
		outer := member
		if depth == 1 {
			outer = name
		}
		if problem, err = nested(d, outer, depth+1, false); err != nil {
			return "", err
		}
	}
	return problem, nil
}

func elements(d *json.Decoder, member string, depth int) (problem string, err error) {
	for problem == "" && d.More() {
		if problem, err = nested(d, member, depth+1, true); err != nil {
			return "", err
		}
	}
	return problem, nil
}

// jsonEncoded tells whether the body is declared to be JSON. A request without a body needs no type.
func jsonEncoded(r *http.Request, body bool) bool {
	types := r.Header["Content-Type"]
	if len(types) == 0 {
		return !body
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || len(types) > 1 || media != jsonType {
		return false
	}
	charset, named := params["charset"]
	return !named || strings.EqualFold(charset, "utf-8")
}

const jsonType = "application/json"
