package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// A sign-in that needs more requests than this goes round in circles.
const maxHops = 16

// signIn is a whole sign-in of a fresh browser: authorize, login page, consent page if there is one, code, tokens.
func signIn(ctx context.Context, w *worker) error {
	clear(w.cookies)
	attempt := w.e.party.Begin(nil)
	a, err := w.send(ctx, http.MethodGet, attempt.URL, nil, "")
	at := attempt.URL
	for range maxHops {
		if err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
		if callback, ok := w.arrived(a); ok {
			return w.redeem(ctx, attempt, callback)
		}
		var form url.Values
		if at, form, err = w.next(at, a); err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		a, err = w.send(ctx, method, at, form, "")
	}
	return errors.New("sign in: the provider sends the browser round in circles")
}

// arrived tells whether the answer sends the browser back to the client, and with what.
func (w *worker) arrived(a answer) (url.Values, bool) {
	location := a.header.Get("Location")
	query, ok := strings.CutPrefix(location, w.e.o.RedirectURI+"?")
	if !ok {
		return nil, false
	}
	values, err := url.ParseQuery(query)
	return values, err == nil
}

// next is what a browser and its user do with an answer: follow a redirect, or fill in the form of the page.
func (w *worker) next(at string, a answer) (target string, form url.Values, err error) {
	base, err := url.Parse(at)
	if err != nil {
		return "", nil, fmt.Errorf("parse address: %w", err)
	}
	reference := a.header.Get("Location")
	switch {
	case a.status >= 300 && a.status < 400 && reference != "":
	case a.status == http.StatusOK:
		if reference, form, err = w.fill(a.body); err != nil {
			return "", nil, err
		}
	default:
		return "", nil, errors.New(a.what())
	}
	to, err := base.Parse(reference)
	if err != nil {
		return "", nil, fmt.Errorf("parse address: %w", err)
	}
	if to.Host != base.Host {
		return "", nil, fmt.Errorf("the provider sends the browser to host %q", to.Host)
	}
	return to.String(), form, nil
}

// fill finds the login or the consent form and fills it in: hidden fields stay as they are.
func (w *worker) fill(page []byte) (action string, form url.Values, err error) {
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return "", nil, fmt.Errorf("parse page: %w", err)
	}
	for node := range root.Descendants() {
		if node.Type != html.ElementNode || node.Data != "form" {
			continue
		}
		form := hidden(node)
		switch attribute(node, "id") {
		case "login":
			form.Set("username", w.e.o.User.ID)
			form.Set("password", w.e.o.User.Secret)
		case "consent":
			form.Set("decision", "allow")
		default:
			continue
		}
		return attribute(node, "action"), form, nil
	}
	return "", nil, errors.New("the page has neither a form with id login nor one with id consent")
}

func hidden(form *html.Node) url.Values {
	fields := url.Values{}
	for node := range form.Descendants() {
		if node.Type == html.ElementNode && node.Data == "input" && attribute(node, "type") == "hidden" {
			fields.Add(attribute(node, "name"), attribute(node, "value"))
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
