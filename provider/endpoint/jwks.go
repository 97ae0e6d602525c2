package endpoint

// The JWK set (RFC 7517 section 5) that relying parties verify tokens with, and the logos of clients, which browsers fetch from us only.

import (
	"net/http"

	"gatehouse/provider/web"
)

func (e *Endpoints) jwks(w http.ResponseWriter, r *http.Request) error {
	body, etag := e.Keys.JWKS()
	return serveDocument(w, r, document{body, etag})
}

func (e *Endpoints) logo(w http.ResponseWriter, r *http.Request) error {
	logo, err := e.Store.Logo(r.Context(), web.Var(r, "id"))
	if isMissing(err) {
		return web.NotFound()
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("Content-Type", logo.ContentType)
	_, err = w.Write(logo.Data)
	return err
}
