package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// contentTypes are those of the files that we serve; the machine's own tables are not asked.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg",
	".webp": "image/webp", ".ico": "image/x-icon", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}

// Static serves the files of a flat file system below /static/. Their names change with their content, so they may be kept for ever.
func (m *Mux) Static(files fs.FS) {
	prefix := m.base + "/static/"
	m.mountPrefix(prefix, readOnly(kindStatic, func(w http.ResponseWriter, r *http.Request) error {
		name := strings.TrimPrefix(r.URL.Path, prefix)
		contentType, known := contentTypes[path.Ext(name)]
		if !known || strings.Contains(name, "/") {
			return NotFound()
		}
		body, err := fs.ReadFile(files, name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			return NotFound()
		}
		if err != nil {
			return fmt.Errorf("read static file: %w", err)
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
		return nil
	}))
}

// Handle mounts a foreign handler on prefix and everything below it. It gets requests of every method that no other site's page sent, bodies of at most
// MaxBody.Page bytes, and answers with its own Content-Security-Policy.
func (m *Mux) Handle(prefix string, h http.Handler) {
	serve := func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
	m.mount(m.base+prefix, &route{kind: kindForeign, maxBody: m.options.MaxBody.Page, any: serve})
	m.mountPrefix(m.base+prefix+"/", &route{kind: kindForeign, maxBody: m.options.MaxBody.Page, any: serve})
}

// Health mounts /healthz, which answers while the process does, and /readyz, which answers 503 while ready returns an error. They stand outside the issuer's
// path, where probes look for them.
func (m *Mux) Health(ready func(ctx context.Context) error) {
	m.mount("/healthz", readOnly(kindHealth, func(w http.ResponseWriter, _ *http.Request) error {
		return plain(w, "ok\n")
	}))
	m.mount("/readyz", readOnly(kindHealth, func(w http.ResponseWriter, r *http.Request) error {
		if err := ready(r.Context()); err != nil {
			return Unavailable(err)
		}
		return plain(w, "ready\n")
	}))
}

func plain(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write([]byte(text))
	return err
}
