package rp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// Answer is what a browser got for one request.
type Answer struct {
	// URL is the address that was asked for.
	URL    string
	Status int
	Header http.Header
	Body   []byte
}

// User is a person in front of a browser, who signs in and allows whatever is asked.
type User struct{ Name, Password string }

// Next is what the browser and its user do with an answer: follow a redirect, or fill in the form of the page. form is nil for a redirect. Only a redirect may lead
// to another host, and only at the end; Next refuses it, so look first whether the answer leads to where the journey ends.
func (u User) Next(a Answer) (target string, form url.Values, err error) {
	base, err := url.Parse(a.URL)
	if err != nil {
		return "", nil, fmt.Errorf("parse address: %w", err)
	}
	reference := a.Header.Get("Location")
	switch {
	case a.Status >= 300 && a.Status < 400 && reference != "":
	case a.Status == http.StatusOK:
		if reference, form, err = u.fill(a.Body); err != nil {
			return "", nil, err
		}
	default:
		return "", nil, errors.New(a.String())
	}
	to, err := base.Parse(reference)
	if err != nil {
		return "", nil, fmt.Errorf("parse address: %w", err)
	}
	if to.Scheme != base.Scheme || to.Host != base.Host {
		return "", nil, fmt.Errorf("the provider sends the browser to %s://%s", to.Scheme, to.Host)
	}
	return to.String(), form, nil
}

// fill finds the form to fill in: login, terms, consent or logout. Hidden fields stay as they are.
func (u User) fill(page []byte) (action string, form url.Values, err error) {
	root, err := html.ParseWithOptions(bytes.NewReader(page), html.ParseOptionEnableScripting(false))
	if err != nil {
		return "", nil, fmt.Errorf("parse page: %w", err)
	}
	for node := range root.Descendants() {
		if node.Type != html.ElementNode || node.Data != "form" {
			continue
		}
		form := inputs(node)
		switch attribute(node, "id") {
		case "login":
			form.Set("username", u.Name)
			form.Set("password", u.Password)
		case "terms":
			form.Set("decision", "accept")
		case "consent":
			form.Set("decision", "allow")
		case "logout":
		default:
			continue
		}
		return attribute(node, "action"), form, nil
	}
	return "", nil, errors.New("the page has no form with id login, terms, consent or logout")
}

// inputs are the hidden fields of a form and the first of its buttons.
func inputs(form *html.Node) url.Values {
	fields := url.Values{}
	pressed := false
	for node := range form.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		switch name := attribute(node, "name"); {
		case name == "":
		case node.Data == "input" && attribute(node, "type") == "hidden":
			fields.Add(name, attribute(node, "value"))
		case node.Data == "button" && !pressed:
			pressed = true
			fields.Set(name, attribute(node, "value"))
		}
	}
	return fields
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// Arrived tells whether the answer sends the browser back to the client, and with which parameters.
func (a Answer) Arrived(redirectURI string) (url.Values, bool) {
	location := a.Header.Get("Location")
	if location == redirectURI {
		return url.Values{}, true
	}
	query, ok := strings.CutPrefix(location, redirectURI+"?")
	if !ok {
		return nil, false
	}
	values, err := url.ParseQuery(query)
	return values, err == nil
}

// String names the answer for an error text: its status and OAuth error, never a token.
func (a Answer) String() string {
	var body struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	text := fmt.Sprintf("status %d", a.Status)
	if json.Unmarshal(a.Body, &body) == nil && body.Code != "" {
		text += " " + strings.TrimSuffix(body.Code+": "+body.Description, ": ")
	}
	if location, err := url.Parse(a.Header.Get("Location")); err == nil && location.Path != "" {
		text += " to " + location.Path
		if code := location.Query().Get("error"); code != "" {
			text += " with error " + code
		}
	}
	return text
}
