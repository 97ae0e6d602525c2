package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"gatehouse/cmd/gatehouse/console"
)

// maxDepth is how deep objects and arrays may lie in each other.
const maxDepth = 16

// members splits a line into the members of its object, strictly: encoding/json alone would mend bad UTF-8, take the last of two equal names and match names in any case.
func members(line []byte) (map[string]json.RawMessage, *Fault) {
	switch {
	case bytes.HasPrefix(line, []byte("\ufeff")):
		return nil, faultf("", "begins with a byte order mark; save the file as UTF-8 without one")
	case !utf8.Valid(line):
		return nil, faultf("", "is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, notAnObject()
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		name, value, fault := member(d)
		if fault != nil {
			return nil, fault
		}
		if _, there := out[name]; there {
			return nil, faultf(name, "is there twice")
		}
		if twice, err := repeated(json.NewDecoder(bytes.NewReader(value)), name, 1); err != nil {
			return nil, faultf(name, "%v", err)
		} else if twice != "" {
			return nil, faultf(twice, "is there twice")
		}
		out[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, notAnObject()
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, faultf("", "holds more than one object; put each user on a line of its own")
	}
	return out, nil
}

func notAnObject() *Fault {
	return faultf("", `is no JSON object such as {"email": "ada@example.com", "password_hash": "$2b$12$..."}`)
}

func member(d *json.Decoder) (string, json.RawMessage, *Fault) {
	token, err := d.Token()
	name, ok := token.(string)
	if err != nil || !ok {
		return "", nil, notAnObject()
	}
	var value json.RawMessage
	if err := d.Decode(&value); err != nil {
		return "", nil, notAnObject()
	}
	return name, value, nil
}

var errDepth = errors.New("holds objects or arrays too deep in each other")

// repeated returns a name that an object in the next value has twice, with the path to it.
func repeated(d *json.Decoder, path string, depth int) (string, error) {
	token, err := d.Token()
	if err != nil {
		return "", err
	}
	open, nested := token.(json.Delim)
	if !nested {
		return "", nil
	}
	if depth > maxDepth {
		return "", errDepth
	}
	seen := map[string]bool{}
	for d.More() {
		at := path
		if open == '{' {
			token, err := d.Token()
			if err != nil {
				return "", err
			}
			name, _ := token.(string)
			if at = path + "." + name; seen[name] {
				return console.Printable(at), nil
			}
			seen[name] = true
		}
		if twice, err := repeated(d, at, depth+1); err != nil || twice != "" {
			return twice, err
		}
	}
	_, err = d.Token()
	return "", err
}
