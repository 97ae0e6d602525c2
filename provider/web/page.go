package web

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"

	"gatehouse/storage"
	"gatehouse/templates"
)

// Render writes a page inside the layout: brand, nonce, issuer path and, on routes that need it, the synchroniser token (which sets the browser's flow
// cookie).
func Render(w http.ResponseWriter, r *http.Request, status int, page templates.Page) error {
	return RenderFraming(w, r, status, page)
}

// RenderFraming is Render for a page that shows pages of others in frames, and names their origins.
func RenderFraming(w http.ResponseWriter, r *http.Request, status int, page templates.Page, origins ...string) error {
	x := from(r)
	layout := x.layout(r)
	if x.route.kind.protected() {
		layout.CSRF = x.mux.token(w, r)
	}
	return x.render(w, status, pagePolicy(layout.Nonce, x.route.kind, origins...), layout, page)
}

// RenderForm is Render for a page of an open route whose form goes to a protected one: it holds the synchroniser token. The handler must know that the browser
// has sent its cookies, or the flow cookie would be replaced.
func RenderForm(w http.ResponseWriter, r *http.Request, status int, page templates.Page) error {
	x := from(r)
	layout := x.layout(r)
	layout.CSRF = x.mux.token(w, r)
	w.Header()["Referrer-Policy"] = sameOrigin // no-referrer would turn the Origin of the form's POST into null
	return x.render(w, status, pagePolicy(layout.Nonce, x.route.kind), layout, page)
}

// RenderFormPost writes the page that carries an authorization response to the client by POST. It has no form-action, wherever it is rendered, and tells
// the client nothing about the page it came from.
func RenderFormPost(w http.ResponseWriter, r *http.Request, page templates.Page) error {
	x := from(r)
	layout := x.layout(r)
	w.Header()["Referrer-Policy"] = noReferrer
	return x.render(w, http.StatusOK, pagePolicy(layout.Nonce, kindOpenPage), layout, page)
}

// RenderEmbedded writes the page of an Embedded route.
func RenderEmbedded(w http.ResponseWriter, r *http.Request, page templates.Page) error {
	x := from(r)
	layout := x.layout(r)
	return x.render(w, http.StatusOK, embeddedPolicy(layout.Nonce), layout, page)
}

func (x *exchange) layout(r *http.Request) templates.Layout {
	lang := x.lang(r)
	return templates.Layout{
		Brand: x.brand(), Nonce: rand.Text(), Base: x.mux.base, Lang: lang, Switch: x.switches(r, lang), Stylesheet: x.mux.options.Templates.Stylesheet(),
	}
}

// SetClient makes the rest of the request's pages look as the operator wants it for people on their way to a client: what its branding names replaces what is configured, and an accent both colours. A client
// with a logo of its own needs no other.
func SetClient(r *http.Request, c *storage.Client) {
	x, b := from(r), c.Branding
	if b == nil {
		return
	}
	x.look = templates.Brand{
		Name: b.Name, LogoURL: b.LogoURL, PrivacyURL: b.PrivacyURL, TermsURL: b.TermsURL, SupportURL: b.SupportURL, Theme: templates.Theme{Accent: b.Accent, Dark: b.AccentDark},
	}
	if b.LogoURL == "" && c.LogoURI != "" {
		x.look.LogoURL = x.mux.base + "/client-logo/" + url.PathEscape(c.ID)
	}
}

// Brand is what the pages of a request look like, for mails that it sends.
func Brand(r *http.Request) templates.Brand { return from(r).brand() }

func (x *exchange) brand() templates.Brand {
	b := x.mux.options.Brand
	for _, part := range [...]struct{ to, look *string }{
		{&b.Name, &x.look.Name}, {&b.LogoURL, &x.look.LogoURL}, {&b.PrivacyURL, &x.look.PrivacyURL}, {&b.TermsURL, &x.look.TermsURL}, {&b.SupportURL, &x.look.SupportURL},
	} {
		if *part.look != "" {
			*part.to = *part.look
		}
	}
	if x.look.Name != "" && x.look.LogoURL == "" {
		b.LogoURL = "" // a logo shows a name, and this one another
	}
	if x.look.Theme.Accent != "" {
		b.Theme = x.look.Theme
	}
	return b
}

func (x *exchange) render(w http.ResponseWriter, status int, policy string, layout templates.Layout, page templates.Page) error {
	target := &pageWriter{w: w, status: status, policy: policy}
	err := x.mux.options.Templates.Render(target, layout, page)
	if err != nil && target.begun {
		return fmt.Errorf("send page: %w", err)
	}
	return err
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
