package playground

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"time"
)

//go:embed html/*.html static/*
var files embed.FS

// pages are the templates and the static files.
type pages struct {
	set    *template.Template
	assets map[string]asset
}

type asset struct {
	body []byte
	tag  string
}

// loadPages reads what is embedded; a fault in it is a fault of the build, which the tests find.
func loadPages() *pages {
	p := &pages{set: template.Must(template.ParseFS(files, "html/*.html")), assets: map[string]asset{}}
	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err)
	}
	names, err := fs.Glob(static, "*")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		body, err := fs.ReadFile(static, name)
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		p.assets[name] = asset{body, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return p
}

func (p *pages) static(w http.ResponseWriter, r *http.Request, name string) {
	a, ok := p.assets[name]
	if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", a.tag)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.body))
}

// render writes a page whole or, if its template fails, not at all.
func (p *pages) render(w http.ResponseWriter, status int, data page) {
	var body bytes.Buffer
	if err := p.set.ExecuteTemplate(&body, "page", data); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the browser has gone if this fails
}
