package web

import (
	"crypto/rand"
	"fmt"
	"net/http"

	"gatehouse/templates"
)

// Render writes a page inside the layout: brand, nonce, issuer path and, on routes that need it, the synchroniser token (which sets the browser's flow
// cookie).
func Render(w http.ResponseWriter, r *http.Request, status int, page templates.Page) error {
	x := from(r)
	layout := templates.Layout{Brand: x.mux.options.Brand, Nonce: rand.Text(), Base: x.mux.base, Lang: "en", Stylesheet: x.mux.options.Templates.Stylesheet()}
	if x.route.kind.protected() {
		layout.CSRF = x.mux.token(w, r)
	}
	target := &pageWriter{w: w, status: status, policy: pagePolicy(layout.Nonce, x.route.kind)}
	if err := x.mux.options.Templates.Render(target, layout, page); err != nil {
		if target.begun {
			return fmt.Errorf("send page: %w", err)
		}
		return err
	}
	return nil
}

// RenderFormPost writes the page that carries an authorization response to the client by POST. It has no form-action, wherever it is rendered, and tells
// the client nothing about the page it came from.
func RenderFormPost(w http.ResponseWriter, r *http.Request, page templates.Page) error {
	x := from(r)
	layout := templates.Layout{Brand: x.mux.options.Brand, Nonce: rand.Text(), Base: x.mux.base, Lang: "en", Stylesheet: x.mux.options.Templates.Stylesheet()}
	w.Header()["Referrer-Policy"] = noReferrer
	return x.mux.options.Templates.Render(&pageWriter{w: w, status: http.StatusOK, policy: pagePolicy(layout.Nonce, kindOpenPage)}, layout, page)
}

// pageWriter sends the header with the first byte of a page, so that a page that cannot be rendered leaves the answer untouched.
type pageWriter struct {
	w      http.ResponseWriter
	status int
	policy string
	begun  bool
}

func (p *pageWriter) Write(body []byte) (int, error) {
	if !p.begun {
		p.begun = true
		p.w.Header().Set("Content-Type", "text/html; charset=utf-8")
		p.w.Header().Set("Content-Security-Policy", p.policy)
		p.w.WriteHeader(p.status)
	}
	return p.w.Write(body)
}

// Redirect sends the browser on with 303, which never repeats a POST and its body (RFC 9700 section 4.12). target is a path of this server or a checked URL;
// it is sent as it is, but for bytes that a header cannot carry.
func Redirect(w http.ResponseWriter, _ *http.Request, target string) error {
	w.Header().Set("Location", asciiURL(target))
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

func asciiURL(target string) string {
	const hex = "0123456789ABCDEF"
	for i := range len(target) {
		if target[i] > ' ' && target[i] <= '~' {
			continue
		}
		escaped := make([]byte, 0, len(target)+8)
		for _, b := range []byte(target) {
			if b > ' ' && b <= '~' {
				escaped = append(escaped, b)
			} else {
				escaped = append(escaped, '%', hex[b>>4], hex[b&15])
			}
		}
		return string(escaped)
	}
	return target
}
