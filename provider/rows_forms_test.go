package provider_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// setBody replaces the body of a request.
func setBody(r *http.Request, contentType, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	r.GetBody = nil
	if contentType == "" {
		r.Header.Del("Content-Type")
		return
	}
	r.Header.Set("Content-Type", contentType)
}

// addForm adds parameters to the form that a request carries, replacing those of the same name.
func addForm(r *http.Request, values url.Values) {
	raw, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(raw))
	maps.Copy(form, values)
	setBody(r, r.Header.Get("Content-Type"), form.Encode())
}

// header sets a header of a request.
func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// formOf reads the form that a request carries and leaves it in place.
func formOf(r *http.Request) url.Values {
	raw, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(raw))
	setBody(r, r.Header.Get("Content-Type"), string(raw))
	return form
}
