package web

import (
	"net/http"
	"strings"

	"gatehouse/templates"
)

// header is a header that many answers share; the slice is never written to.
type header struct {
	name  string
	value []string
}

// jsonPolicy is for everything that is no page: nothing may load, run or frame it.
const jsonPolicy = "default-src 'none'; frame-ancestors 'none'; sandbox"

// commonHeaders are sent with every answer.
func commonHeaders(secure bool) []header {
	list := []header{
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"X-Frame-Options", []string{"DENY"}},
		{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
		{"Permissions-Policy", []string{"publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()"}},
	}
	if secure {
		list = append(list, header{"Strict-Transport-Security", []string{"max-age=63072000"}})
	}
	return list
}

var (
	noStore      = []string{"no-store"}
	noReferrer   = []string{"no-referrer"}
	sameOrigin   = []string{"same-origin"}
	crossOrigin  = []string{"cross-origin"}
	anyOrigin    = []string{"*"}
	jsonPolicies = []string{jsonPolicy}
	barePolicies = []string{"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"}
	// embeddedPolicies are for the errors of an embedded page.
	embeddedPolicies = []string{"default-src 'none'; base-uri 'none'; form-action 'none'"}
	exposeHeaders    = []string{"WWW-Authenticate, DPoP-Nonce"}
	varyOrigin       = []string{"Origin"}
	closeAfter       = []string{"close"}
)

// setHeaders writes the security headers before the handler runs, so that no answer goes without them. Handlers may set Cache-Control on public documents.
//
// The server lets a request pass that has a length and is chunked as well, and hides it from us; whatever a proxy took for its rest must not be read as the
// next request (RFC 9112 section 6.1), so no connection outlives a chunked request.
func (m *Mux) setHeaders(x *exchange, chunked bool) {
	h := x.Header()
	for _, c := range m.common {
		h[c.name] = c.value
	}
	h["X-Request-Id"] = []string{x.id}
	h["Cache-Control"] = noStore
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = jsonPolicies
	if chunked {
		h["Connection"] = closeAfter
	}
	switch k := x.route.kind; k {
	case kindPage, kindSelfPage:
		// no-referrer would turn the Origin of a form's POST into null, which checkOrigin refuses.
		h["Referrer-Policy"] = sameOrigin
		h["Content-Security-Policy"] = barePolicies
		if k == kindSelfPage {
			h["Cross-Origin-Opener-Policy"] = sameOrigin
		}
	case kindForeign:
		h["Referrer-Policy"] = sameOrigin
		h["Content-Security-Policy"] = barePolicies
	case kindOpenPage:
		h["Content-Security-Policy"] = barePolicies
	case kindProtocol:
		if x.route.json {
			AllowOrigin(x, "*")
		}
	case kindEmbedded:
		delete(h, "X-Frame-Options")
		h["Cross-Origin-Resource-Policy"] = crossOrigin
		h["Content-Security-Policy"] = embeddedPolicies
	case kindPublic:
		h["Access-Control-Allow-Origin"] = anyOrigin
	}
}

// pagePolicy is the Content-Security-Policy of a page. Only pages whose forms stay here name form-action: browsers apply it to every redirect that follows
// the form, also to those at the client that we know nothing of. frames are the origins that may be shown inside the page.
func pagePolicy(nonce string, k kind, frames ...string) string {
	extra := ""
	if k == kindSelfPage {
		extra = "form-action 'self'; "
	}
	if len(frames) > 0 {
		extra += "frame-src " + strings.Join(frames, " ") + "; "
	}
	return "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " + extra +
		"frame-ancestors 'none'; base-uri 'none'; object-src 'none'; require-trusted-types-for 'script'"
}

// embeddedPolicy is for a page that others show in a frame (ruling 10): one script, nothing else, and no frame-ancestors.
func embeddedPolicy(nonce string) string {
	return "default-src 'none'; script-src 'nonce-" + nonce + "'; base-uri 'none'; form-action 'none'"
}

// AllowOrigin lets scripts of an origin read the answer, without credentials. "*" is any; "null" and "" are nobody.
func AllowOrigin(w http.ResponseWriter, origin string) {
	if origin == "" || origin == "null" {
		return
	}
	h := w.Header()
	h["Access-Control-Allow-Origin"] = []string{origin}
	h["Access-Control-Expose-Headers"] = exposeHeaders
	if origin != "*" {
		h.Add("Vary", "Origin")
	}
}

// preflight answers a browser's question whether a script may send a request (Fetch standard, section 3.2.2; ruling 31). It says nothing about who may read the
// answer.
func preflight(x *exchange, r *http.Request, rt *route) error {
	h := x.Header()
	h["Vary"] = varyOrigin
	h.Set("Allow", rt.allow+", OPTIONS")
	origin := r.Header.Get("Origin")
	if origin == "null" {
		return Forbidden(templates.Say("error.no_origin"))
	}
	if origin != "" {
		h["Access-Control-Allow-Origin"] = []string{origin}
		h.Set("Access-Control-Allow-Methods", rt.allow)
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
		h.Set("Access-Control-Max-Age", "7200")
	}
	x.WriteHeader(http.StatusNoContent)
	return nil
}
